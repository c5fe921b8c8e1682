"""Signing in and out, and who one is."""

import contextlib

import msgspec

from helios.access import model, sessions
from helios.api import cookies, services, showing, web
from helios.api.routes import access_desk as desks
from helios.kernel import clock as clocks
from helios.kernel import errors

PATH = "/api/v1/auth"
_BEARER = "bearer "


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name and password of a local user."""

    name: str
    password: str

    def __repr__(self) -> str:
        return "Login(***)"


class UseLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The secret of the one-time link that the server printed."""

    token: str

    def __repr__(self) -> str:
        return "UseLink(***)"


class May(msgspec.Struct, frozen=True, kw_only=True):
    """For which clients one may do what, wherever there; `*`: for all."""

    read: list[str]
    ingest: list[str]
    operate: list[str]
    approve: list[str]
    administer: list[str]


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes the request.

    Attributes:
        kind: `user`; `service`: by a service token; `local`: access is switched off.
        name: as events show it behind the kind.
        tenants: clients whose data one may read; `*`: all.
        groups: names of further roles in which one may answer approvals.
        session: id of the session; null: by a service token, or access is switched off.
        csrf: to be sent as header X-Helios-CSRF by pages; null without a session.
        expires_at: when the token ends that the request came with; null: it does not.
        has_password: whether there is one to change here; null without a session.
    """

    kind: str
    name: str
    display_name: str
    grants: list[desks.GrantView]
    tenants: list[str]
    groups: list[str]
    session: str | None
    csrf: str | None
    expires_at: str | None
    has_password: bool | None
    may: May


class Methods(msgspec.Struct, frozen=True, kw_only=True):
    """How one can sign in here.

    Attributes:
        auth: whether one has to.
        password: by name and password.
        link: whether nobody administers this installation yet: the server printed a link.
        oidc: what people call the provider of identities; null: there is none.
    """

    auth: str
    password: bool
    link: bool
    oidc: str | None


class IssuedLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link that signs in as administrator of the installation, once.

    Attributes:
        url: to be opened in a browser. Its secret stands behind the `#`, so no server logs it.
        token: the secret by itself.
    """

    url: str
    token: str
    expires_at: str

    def __repr__(self) -> str:
        return "IssuedLink(***)"


class SignedOut(msgspec.Struct, frozen=True, kw_only=True):
    """The session has ended."""

    signed_out: bool = True


def routes(parts: services.Services) -> list[web.Route]:
    """The operations of signing in."""
    desk = SignIn(parts)
    me = ("Who one is from now on. The tokens are in cookies.", Me)
    return [
        desks.route("POST", f"{PATH}/login", desk.login, "Sign in by password", me, asked=Login),
        desks.route(
            "POST", f"{PATH}/link", desk.link, "Sign in by the one-time link", me, asked=UseLink
        ),
        desks.route("POST", f"{PATH}/refresh", desk.refresh, "Get the next tokens", me),
        desks.route(
            "POST",
            f"{PATH}/links",
            desk.issue_link,
            "Make a one-time link for an administrator",
            ("Whatever was made before counts no more.", IssuedLink),
            status=201,
        ),
        desks.route("POST", f"{PATH}/logout", desk.logout, "Sign out", ("Done.", SignedOut)),
        desks.route("GET", f"{PATH}/me", desk.me, "Who one is", ("Who one is.", Me)),
        desks.route(
            "GET", f"{PATH}/methods", desk.methods, "How one can sign in", ("How.", Methods)
        ),
    ]


class SignIn(desks.Desk):
    """The handlers."""

    async def login(self, request: web.Request) -> web.Response:
        asked = await desks.body(request, Login)
        signed = await self.access.sessions.sign_in(
            asked.name, asked.password, desks.where(request)
        )
        return await self.signed_in(request, signed)

    async def link(self, request: web.Request) -> web.Response:
        asked = await desks.body(request, UseLink)
        signed = await self.access.sessions.use_link(asked.token, desks.where(request))
        return await self.signed_in(request, signed)

    async def refresh(self, request: web.Request) -> web.Response:
        token = cookies.read(request, cookies.REFRESH, secure=self.is_secure(request))
        if token is None:
            raise errors.UnauthenticatedError("there is no session to go on with; sign in")
        signed = await self.access.sessions.refresh(token, desks.where(request))
        return await self.signed_in(request, signed)

    async def logout(self, request: web.Request) -> web.Response:
        token = cookies.read(request, cookies.REFRESH, secure=self.is_secure(request))
        await self.access.sessions.sign_out(request.principal)
        if token is not None:
            # One that is none of ours has no session to end.
            with contextlib.suppress(errors.UnauthenticatedError):
                await self.access.sessions.sign_out_by(token)
        headers = [*cookies.signed_out(secure=self.is_secure(request)), desks.NO_STORE]
        return web.answer(SignedOut(), headers=headers)

    async def issue_link(self, request: web.Request) -> web.Response:
        token, ends = await self.access.sessions.issue_link(actor=request.principal.actor)
        url = link_url(self.parts.address(request.header(b"host")), token)
        made = IssuedLink(url=url, token=token, expires_at=clocks.to_rfc3339(ends))
        return web.answer(made, status=201, headers=[desks.NO_STORE])

    async def me(self, request: web.Request) -> web.Response:
        found = await self._me(request.principal, await self._ends_at(request))
        return web.answer(found, headers=[desks.NO_STORE])

    async def methods(self, request: web.Request) -> web.Response:
        link = False
        if self.parts.access is not None:
            await self.parts.access.sessions.ready()
            link = self.parts.access.sessions.needs_link()
        found = Methods(
            auth="off" if request.principal.kind == "local" else "on",
            password=self.parts.access is not None,
            link=link,
            oidc=None if self.parts.openid is None else self.parts.openid.name,
        )
        return web.answer(found, headers=[desks.NO_STORE])

    async def signed_in(self, request: web.Request, signed: sessions.Signed) -> web.Response:
        """The answer to who has signed in."""
        kept = cookies.signed_in(signed, now=self.parts.clock.now(), secure=self.is_secure(request))
        found = await self._me(signed.principal, signed.expires_at)
        return web.answer(found, headers=[*kept, desks.NO_STORE])

    async def _me(self, principal: model.Principal, ends_at: clocks.Timestamp | None) -> Me:
        display_name, csrf, has_password = principal.name, None, None
        if principal.session is not None:
            csrf = self.access.sessions.csrf_of(principal.session)
            user = self.access.sessions.directory.user_named(principal.name)
            if user is not None:
                display_name = user.display_name or user.name
                has_password = await self.access.people.has_password(user)
        return Me(
            kind=principal.kind,
            name=principal.name,
            display_name=display_name,
            grants=desks.shown(principal.grants),
            tenants=_tenants(principal, model.Permission.READ),
            groups=list(principal.groups),
            session=principal.session,
            csrf=csrf,
            expires_at=showing.at(ends_at),
            has_password=has_password,
            may=May(
                read=_tenants(principal, model.Permission.READ),
                ingest=_tenants(principal, model.Permission.INGEST),
                operate=_tenants(principal, model.Permission.OPERATE),
                approve=_tenants(principal, model.Permission.APPROVE),
                administer=_tenants(principal, model.Permission.ADMINISTER),
            ),
        )

    async def _ends_at(self, request: web.Request) -> clocks.Timestamp | None:
        if request.principal.session is None:
            return None
        text = request.header(b"authorization") or ""
        if text[: len(_BEARER)].lower() == _BEARER:
            token: str | None = text[len(_BEARER) :].strip()
        else:
            token = cookies.read(request, cookies.ACCESS, secure=self.is_secure(request))
        return None if token is None else await self.access.sessions.ends_at(token)


def link_url(address: str, token: str) -> str:
    """The address to open in a browser."""
    return f"{address}/link#token={token}"


def _tenants(principal: model.Principal, permission: model.Permission) -> list[str]:
    """The clients for which somebody may do something, in some environment at least."""
    if principal.kind == "local":
        return [model.ALL]
    found = {each.tenant for each in principal.grants if permission in model.PERMISSIONS[each.role]}
    return [model.ALL] if model.ALL in found else sorted(found)
