"""Managing users and service tokens: who may change whom is decided here and in `bounds`."""

from collections.abc import Callable, Sequence

import msgspec

from helios.access import (
    bounds,
    directory,
    events,
    following,
    limiting,
    model,
    passwords,
    tokens,
    writing,
)
from helios.kernel import clock as clocks
from helios.kernel import errors

USERS_MAX = 20_000
"""Users of an installation, as all of them are held in memory. Above: refused."""

TOKENS_MAX = 5_000
"""Service tokens of an installation, likewise."""

TOKEN_S_MAX = 366 * 86_400
"""The longest life of a service token that is given one."""


class Issued(msgspec.Struct, frozen=True):
    """A service token that was issued. Its text is shown once and kept nowhere."""

    token: events.Token
    text: str

    def __repr__(self) -> str:
        return f"Issued({self.token.id})"


class Desk:
    """Manages users and tokens, in the name of a principal.

    Args:
        follower: owns the directory.
        writer: appends what happens.
        kept: the passwords.
        limits: of tries of a password.
        clock: for times.
        random: so many random bytes.
    """

    def __init__(
        self,
        *,
        follower: following.Follower,
        writer: writing.Writer,
        kept: passwords.Passwords,
        limits: limiting.Limits,
        clock: clocks.Clock,
        random: Callable[[int], bytes],
    ) -> None:
        self._follower = follower
        self._writer = writer
        self._passwords = kept
        self._limits = limits
        self._clock = clock
        self._random = random

    @property
    def _directory(self) -> directory.Directory:
        return self._follower.directory

    # Users

    async def users(self, by: model.Principal) -> list[events.User]:
        """Whom they manage, by name.

        Raises:
            ForbiddenError: they administer nothing.
        """
        await self._administering(by)
        found = [each for each in self._directory.users.values() if bounds.manages(by, each.grants)]
        return sorted(found, key=lambda each: each.name.casefold())

    async def user(self, by: model.Principal, user_id: str) -> events.User:
        """One of whom they manage, by id or name.

        Raises:
            NotFoundError: there is none, or it is not for them to know.
            ForbiddenError: they administer nothing.
        """
        await self._administering(by)
        return self._managed(by, user_id)

    async def invite(
        self,
        by: model.Principal,
        *,
        name: str,
        display_name: str = "",
        grants: Sequence[model.Grant],
        groups: Sequence[str] = (),
        password: str | None = None,
    ) -> events.User:
        """Add a local user.

        Args:
            by: who does it.
            name: to sign in with; unique whatever the case of its letters.
            display_name: how they are shown.
            grants: what they may do: nothing that `by` may not give.
            groups: of approvers that they are in.
            password: to sign in with; None: set later.

        Raises:
            ConflictError: there is a user of this name.
            ForbiddenError: a grant goes beyond what `by` has.
            InvalidInputError: a name, grant, group or password that cannot be taken.
        """
        await self._administering(by)
        given = bounds.checked(grants)
        bounds.require_covers(by, given)
        _check_name(name)
        if name.casefold() == events.ADMINISTRATOR:
            by.require(model.Permission.ADMINISTER)
        if len(self._directory.users) >= USERS_MAX:
            raise errors.InvalidInputError(f"there are {USERS_MAX} users, the most there can be")
        if password is not None:
            passwords.check(password, name, display_name)
        await self._follower.caught_up()
        if self._directory.user_named(name) is not None:
            raise errors.ConflictError(f"there is a user {name} already")
        user = events.User(
            id=writing.local_id(name),
            name=name,
            display_name=writing.shown(display_name),
            grants=given,
            groups=bounds.checked_groups(groups),
            created_at=self._clock.now(),
        )
        # One of this name may have been removed while its password could not be.
        await self._passwords.forget(user.id)
        await self._writer.invited(user, by.actor)
        if password is not None:
            await self._passwords.set(user.id, password)
        return user

    async def change(
        self,
        by: model.Principal,
        user_id: str,
        *,
        display_name: str | None = None,
        grants: Sequence[model.Grant] | None = None,
        groups: Sequence[str] | None = None,
        disabled: bool | None = None,
        expected: int | None = None,
    ) -> events.User:
        """Change a user; None leaves a thing as it is. To lock one out closes all sessions.

        With `expected` only if that is the sequence of the last event about them.

        Raises:
            NotFoundError: there is none, or it is not for `by` to know.
            ForbiddenError: a grant goes beyond what `by` has.
            ConflictError: somebody else changed them meanwhile.
            InvalidInputError: a grant or group that cannot be taken.
        """
        await self._administering(by)
        await self._follower.caught_up()
        known = self._managed(by, user_id)
        self._require_sequence(known, expected)
        given = known.grants if grants is None else bounds.checked(grants)
        if given != known.grants:
            bounds.require_covers(by, given)
        user = msgspec.structs.replace(
            known,
            display_name=(
                known.display_name if display_name is None else writing.shown(display_name)
            ),
            grants=given,
            groups=known.groups if groups is None else bounds.checked_groups(groups),
            disabled=known.disabled if disabled is None else disabled,
        )
        if user != known:
            await self._writer.changed(user, by.actor, "user_disabled" if user.disabled else None)
        return user

    async def remove(
        self, by: model.Principal, user_id: str, *, expected: int | None = None
    ) -> events.User:
        """Remove a user, all sessions and the password; `expected` as of `change`.

        Raises:
            NotFoundError: there is none, or it is not for `by` to know.
            ConflictError: somebody else changed them meanwhile.
        """
        await self._administering(by)
        await self._follower.caught_up()
        user = self._managed(by, user_id)
        self._require_sequence(user, expected)
        await self._writer.removed(user, by.actor)
        await self._passwords.forget(user.id)
        return user

    async def set_password(
        self, by: model.Principal, user_id: str, new: str, *, old: str | None = None
    ) -> events.User:
        """Set the password of a local user; all other sessions of theirs are closed.

        Whoever changes his own has to know the old one, if there is one.

        Raises:
            NotFoundError: there is none, or it is not for `by` to know.
            InvalidInputError: the new one cannot be taken, or the user signs in elsewhere.
            ForbiddenError: the old one is not right.
            LimitedError: too many tries of the old one failed.
            OverloadError: too many passwords are being checked.
        """
        await self._follower.caught_up()
        own = self._own(by)
        # However he writes his name, he is himself.
        if own is not None and self._named(user_id) == own:
            user, is_own = own, True
        else:
            await self._administering(by)
            user, is_own = self._managed(by, user_id), False
        if user.origin != "local":
            raise errors.InvalidInputError(
                f"{user.name} signs in elsewhere and has no password here", field="id"
            )
        passwords.check(new, user.name, user.display_name)
        if is_own and await self._passwords.has(user.id):
            await self._require_old(user, old or "")
        await self._passwords.set(user.id, new)
        others = [each for each in self._directory.sessions_of(user.id) if each.id != by.session]
        await self._writer.closed(others, "password_changed", by.actor)
        return user

    async def has_password(self, user: events.User) -> bool:
        """Whether a user has a password here."""
        return user.origin == "local" and await self._passwords.has(user.id)

    # Tokens

    async def service_tokens(self, by: model.Principal) -> list[events.Token]:
        """The tokens that they manage, by name.

        Raises:
            ForbiddenError: they administer nothing.
        """
        await self._administering(by)
        found = [
            each for each in self._directory.tokens.values() if bounds.manages(by, each.grants)
        ]
        return sorted(found, key=lambda each: (each.name.casefold(), each.id))

    async def issue(
        self,
        by: model.Principal,
        *,
        name: str,
        grants: Sequence[model.Grant],
        expires_in_s: float | None = None,
    ) -> Issued:
        """Issue a service token.

        Args:
            by: who does it.
            name: of what uses it, as events show it.
            grants: what it may do: nothing that `by` may not give; at least one. Of what a user
                issued, by himself or by a token of his, no more counts than he may do himself.
            expires_in_s: how long it lasts; None: until it is revoked.

        Raises:
            ForbiddenError: a grant goes beyond what `by` has.
            InvalidInputError: a name, grant or time that cannot be taken.
        """
        await self._administering(by)
        _check_name(name)
        given = bounds.checked(grants)
        if not given:
            raise errors.InvalidInputError("expected at least one grant", field="grants")
        bounds.require_covers(by, given)
        if expires_in_s is not None and not 1 <= expires_in_s <= TOKEN_S_MAX:
            raise errors.InvalidInputError(
                f"expected 1 to {TOKEN_S_MAX} seconds", field="expires_in_s"
            )
        if len(self._directory.tokens) >= TOKENS_MAX:
            raise errors.InvalidInputError(f"there are {TOKENS_MAX} tokens, the most there can be")
        text, token_id, digest = tokens.issue(self._random)
        now = self._clock.now()
        ends = None if expires_in_s is None else round(now + expires_in_s * clocks.SECOND_US)
        token = events.Token(
            id=token_id,
            name=name,
            digest=digest,
            grants=given,
            expires_at=None if ends is None else clocks.Timestamp(ends),
            issued_at=now,
            issued_by=by.actor,
            owner=self._owner(by),
        )
        change = writing.Change(events.TOKEN_ISSUED, events.SERVICE_TOKEN, token_id, token, 0)
        await self._writer.append(by.actor, [change])
        return Issued(token, text)

    async def revoke(self, by: model.Principal, token_id: str) -> events.Token:
        """End a token now.

        Raises:
            NotFoundError: there is none of this id, or it is not for `by` to know.
        """
        await self._administering(by)
        await self._follower.caught_up()
        token = self._directory.tokens.get(token_id)
        if token is None or not bounds.manages(by, token.grants):
            raise errors.NotFoundError(f"there is no token {token_id[:80]}")
        payload = events.Removed(id=token.id, name=token.name)
        change = writing.Change(events.TOKEN_REVOKED, events.SERVICE_TOKEN, token.id, payload)
        await self._writer.append(by.actor, [change])
        return token

    # Sessions

    async def sessions(self, by: model.Principal) -> list[tuple[events.Session, events.User]]:
        """Their own sessions, and those of whom they manage; newest first."""
        await self._follower.ready()
        self._directory.prune(self._clock.now())
        own = self._own(by)
        found = []
        for session in self._directory.sessions.values():
            user = self._directory.users.get(session.user_id)
            if user is not None and (user == own or bounds.manages(by, user.grants)):
                found.append((session, user))
        return sorted(found, key=lambda each: each[0].refreshed_at, reverse=True)

    async def session(
        self, by: model.Principal, session_id: str
    ) -> tuple[events.Session, events.User]:
        """One of those.

        Raises:
            NotFoundError: there is none of this id, or it is not for `by` to know.
        """
        await self._follower.caught_up()
        for session, user in await self.sessions(by):
            if session.id == session_id:
                return session, user
        raise errors.NotFoundError(f"there is no session {session_id[:80]}")

    # Parts

    async def _require_old(self, user: events.User, old: str) -> None:
        """Refuse whoever does not know the password: a session may be used by somebody else."""
        with self._limits.trying(user.id, ""):
            if not await self._passwords.fits(user.id, old):
                await self._writer.failed(events.Failed(who=user.id, name=user.name))
                raise errors.ForbiddenError("the old password is not right")

    async def _administering(self, by: model.Principal) -> None:
        await self._follower.ready()
        if not bounds.administers_something(by):
            # Says who would be allowed, or that nobody is signed in.
            by.require(model.Permission.ADMINISTER)

    def _managed(self, by: model.Principal, user_id: str) -> events.User:
        user = self._named(user_id)
        if user is None or not bounds.manages(by, user.grants):
            raise errors.NotFoundError(f"there is no user {user_id[:80]}")
        return user

    def _named(self, user_id: str) -> events.User | None:
        return self._directory.users.get(user_id) or self._directory.user_named(user_id)

    def _require_sequence(self, user: events.User, expected: int | None) -> None:
        sequence = self._directory.sequence(events.USER, user.id)
        if expected is not None and expected != sequence:
            raise errors.ConflictError(
                f"user {user.name} was changed meanwhile: look again",
                expected=expected,
                actual=sequence,
            )

    def _owner(self, by: model.Principal) -> str | None:
        """The person who answers for what somebody issues: also for what his tokens issue."""
        own = self._own(by)
        if own is not None:
            return own.id
        token = self._directory.tokens.get(by.token or "")
        return None if token is None else token.owner

    def _own(self, by: model.Principal) -> events.User | None:
        if by.kind != "user" or by.session is None:
            return None
        session = self._directory.sessions.get(by.session)
        return None if session is None else self._directory.users.get(session.user_id)


def _check_name(name: str) -> None:
    if not name or len(name) > events.NAME_CHARS_MAX or writing.cleaned(name) != name:
        raise errors.InvalidInputError(
            f"expected 1 to {events.NAME_CHARS_MAX} printable characters without colons, slashes "
            "or double spaces",
            field="name",
        )
    if name.casefold() in events.OURS:
        raise errors.InvalidInputError("Helios itself is called so; take another", field="name")
