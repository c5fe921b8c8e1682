"""Users, service tokens and sessions: who there is, what they may do, and where they are signed in.

Who administers clients manages the users and tokens whose grants all lie within those, and finds no
others here; nobody gives more than he has.
"""

import msgspec

from helios.access import events, model
from helios.api import services, showing, web, wire
from helios.api.routes import access_desk as desks
from helios.kernel import clock as clocks

USERS = "/api/v1/users"
TOKENS = "/api/v1/tokens"
SESSIONS = "/api/v1/sessions"

_IF_MATCH = web.Parameter(
    "If-Match", "The ETag of the user: change nothing if that is not the last.", str, "header"
)


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user.

    Attributes:
        name: to sign in with, and as events show it.
        groups: names of further roles in which they may answer approvals.
        origin: `local`: signs in by a password here; `oidc`: at a provider of identities.
        issuer: which one; null: local.
        disabled: may not sign in.
        has_password: whether one was set; null in listings.
        sessions: how many are open.
    """

    id: str
    name: str
    display_name: str
    grants: list[desks.GrantView]
    groups: list[str]
    origin: events.Origin
    issuer: str | None
    disabled: bool
    created_at: str
    has_password: bool | None = None
    sessions: int


class UserList(msgspec.Struct, frozen=True, kw_only=True):
    """The users whom one manages, by name."""

    users: list[UserView]


class Invite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A local user to add. Without a password they cannot sign in until one is set."""

    name: str
    display_name: str = ""
    grants: list[desks.GrantGiven]
    groups: list[str] = []
    password: str | None = None

    def __repr__(self) -> str:
        return "Invite(***)"


class ChangeUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a user; null: leave it. Whoever is disabled is signed out at once."""

    display_name: str | None = None
    grants: list[desks.GrantGiven] | None = None
    groups: list[str] | None = None
    disabled: bool | None = None


class SetPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password, and the old one for who changes his own. Other sessions are closed."""

    new: str
    old: str | None = None

    def __repr__(self) -> str:
        return "SetPassword(***)"


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A service token; its secret was shown once and is kept nowhere."""

    id: str
    name: str
    grants: list[desks.GrantView]
    issued_at: str
    issued_by: str
    expires_at: str | None


class TokenList(msgspec.Struct, frozen=True, kw_only=True):
    """The service tokens that one manages, by name."""

    tokens: list[TokenView]


class Issue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service token to issue. Without a time it lasts until it is revoked."""

    name: str
    grants: list[desks.GrantGiven]
    expires_in_s: float | None = None


class IssuedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A service token that was issued. `secret` is what to send as bearer; it is shown only now."""

    token: TokenView
    secret: str

    def __repr__(self) -> str:
        return f"IssuedToken({self.token.id})"


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody is signed in. `current`: the one that the request came with."""

    id: str
    user_id: str
    user: str
    opened_at: str
    refreshed_at: str
    expires_at: str
    agent: str
    address: str
    current: bool


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """One's own sessions and those of whom one manages, the last used first."""

    sessions: list[SessionView]


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """It is over with this user, token or session, or their password was set."""

    id: str


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on users, tokens and sessions."""
    desk = _People(parts)
    user, token, session = f"{USERS}/{{id}}", f"{TOKENS}/{{id}}", f"{SESSIONS}/{{id}}"
    one = ("The user.", UserView)
    ended = ("Done.", Ended)
    of_user = web.Parameter("user_id", "Of this user only.")
    made = desks.route
    return [
        made("GET", USERS, desk.users, "The users", ("By name.", UserList)),
        made("POST", USERS, desk.invite, "Add a local user", one, status=201, asked=Invite),
        made("GET", user, desk.user, "One user", one),
        made(
            "PATCH",
            user,
            desk.change,
            "Change a user",
            one,
            asked=ChangeUser,
            parameters=(_IF_MATCH,),
        ),
        made("DELETE", user, desk.remove, "Remove a user", ended, parameters=(_IF_MATCH,)),
        made("POST", f"{user}/password", desk.password, "Set a password", ended, asked=SetPassword),
        made("GET", TOKENS, desk.tokens, "The service tokens", ("By name.", TokenList)),
        made(
            "POST",
            TOKENS,
            desk.issue,
            "Issue a service token",
            ("Its secret is shown only now.", IssuedToken),
            status=201,
            asked=Issue,
        ),
        made("DELETE", token, desk.revoke, "Revoke a service token", ended),
        made(
            "GET",
            SESSIONS,
            desk.sessions,
            "Where people are signed in",
            ("The last used first.", SessionList),
            parameters=(of_user,),
        ),
        made("DELETE", session, desk.close, "Close a session", ended),
    ]


class _People(desks.Desk):
    async def users(self, request: web.Request) -> web.Response:
        request.query()
        found = await self.access.people.users(request.principal)
        return _private(UserList(users=[self._user(each) for each in found]))

    async def user(self, request: web.Request) -> web.Response:
        found = await self.access.people.user(request.principal, request.params["id"])
        return await self._shown(found)

    async def invite(self, request: web.Request) -> web.Response:
        asked = await desks.body(request, Invite)
        found = await self.access.people.invite(
            request.principal,
            name=asked.name,
            display_name=asked.display_name,
            grants=desks.given(asked.grants),
            groups=asked.groups,
            password=asked.password,
        )
        return await self._shown(found, status=201)

    async def change(self, request: web.Request) -> web.Response:
        asked = await desks.body(request, ChangeUser)
        found = await self.access.people.change(
            request.principal,
            request.params["id"],
            display_name=asked.display_name,
            grants=None if asked.grants is None else desks.given(asked.grants),
            groups=asked.groups,
            disabled=asked.disabled,
            expected=_if_match(request),
        )
        return await self._shown(found)

    async def remove(self, request: web.Request) -> web.Response:
        found = await self.access.people.remove(
            request.principal, request.params["id"], expected=_if_match(request)
        )
        return _private(Ended(id=found.id))

    async def password(self, request: web.Request) -> web.Response:
        asked = await desks.body(request, SetPassword)
        found = await self.access.people.set_password(
            request.principal, request.params["id"], asked.new, old=asked.old
        )
        return _private(Ended(id=found.id))

    async def tokens(self, request: web.Request) -> web.Response:
        request.query()
        found = await self.access.people.service_tokens(request.principal)
        return _private(TokenList(tokens=[_token(each) for each in found]))

    async def issue(self, request: web.Request) -> web.Response:
        asked = await desks.body(request, Issue)
        made = await self.access.people.issue(
            request.principal,
            name=asked.name,
            grants=desks.given(asked.grants),
            expires_in_s=asked.expires_in_s,
        )
        return _private(IssuedToken(token=_token(made.token), secret=made.text), status=201)

    async def revoke(self, request: web.Request) -> web.Response:
        found = await self.access.people.revoke(request.principal, request.params["id"])
        return _private(Ended(id=found.id))

    async def sessions(self, request: web.Request) -> web.Response:
        wanted = request.query("user_id").get("user_id")
        found = await self.access.people.sessions(request.principal)
        views = [
            _session(session, user, request.principal)
            for session, user in found
            if wanted in (None, user.id, user.name)
        ]
        return _private(SessionList(sessions=views))

    async def close(self, request: web.Request) -> web.Response:
        session, _ = await self.access.people.session(request.principal, request.params["id"])
        await self.access.sessions.close(session.id, actor=request.principal.actor)
        return _private(Ended(id=session.id))

    async def _shown(self, user: events.User, *, status: int = 200) -> web.Response:
        has_password = await self.access.people.has_password(user)
        view = msgspec.structs.replace(self._user(user), has_password=has_password)
        headers = [(b"etag", self._etag(user).encode()), desks.NO_STORE]
        return web.answer(view, status=status, headers=headers)

    def _etag(self, user: events.User) -> str:
        return f'"{self.access.sessions.directory.sequence(events.USER, user.id)}"'

    def _user(self, user: events.User) -> UserView:
        return UserView(
            id=user.id,
            name=user.name,
            display_name=user.display_name,
            grants=desks.shown(user.grants),
            groups=list(user.groups),
            origin=user.origin,
            issuer=user.issuer,
            disabled=user.disabled,
            created_at=clocks.to_rfc3339(user.created_at),
            sessions=len(self.access.sessions.directory.sessions_of(user.id)),
        )


def _if_match(request: web.Request) -> int | None:
    text = request.header(b"if-match")
    if text is None:
        return None
    return wire.whole(text.strip().strip('"'), "If-Match", most=2**53)


def _private(value: msgspec.Struct, *, status: int = 200) -> web.Response:
    return web.answer(value, status=status, headers=[desks.NO_STORE])


def _token(token: events.Token) -> TokenView:
    ends = token.expires_at
    return TokenView(
        id=token.id,
        name=token.name,
        grants=desks.shown(token.grants),
        issued_at=clocks.to_rfc3339(token.issued_at),
        issued_by=token.issued_by,
        expires_at=showing.at(ends),
    )


def _session(session: events.Session, user: events.User, principal: model.Principal) -> SessionView:
    return SessionView(
        id=session.id,
        user_id=user.id,
        user=user.name,
        opened_at=clocks.to_rfc3339(session.opened_at),
        refreshed_at=clocks.to_rfc3339(session.refreshed_at),
        expires_at=clocks.to_rfc3339(session.expires_at),
        agent=session.agent,
        address=session.address,
        current=session.id == principal.session,
    )
