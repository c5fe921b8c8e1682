"""Signing in, staying signed in, and being known by what one shows.

A session is opened by a password, a provider of identities, or the one-time link of the person at
the machine. It lives as its refresh tokens do: each may be used once, and one that comes a second
time was copied, so the session ends for the thief and for the owner alike. Two tabs that refresh at
the same moment are no thieves: within ten seconds both get the same answer.

Every answer to a failed try is the same, and takes the same work.
"""

import hmac
from collections.abc import Callable, Sequence

import msgspec

from helios.access import (
    directory,
    events,
    following,
    limiting,
    model,
    passwords,
    ports,
    recognising,
    tokens,
    writing,
)
from helios.kernel import clock as clocks
from helios.kernel import errors, ids

IDLE_S = 7 * 86_400
"""A session ends when it was not refreshed for so long."""

LIFE_S = 30 * 86_400
"""A session ends after so long however it is used."""

REUSE_S = 10.0
"""How long a refresh token that was just used is taken again: two tabs, or a lost answer."""

SESSIONS_MAX = 50
"""Sessions of one user. Above: the oldest is closed."""

LINK_S = 86_400
"""How long the one-time link is good."""

LINK = "link"
_REFRESH_TRIES = 3


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request comes from, as far as it says.

    Attributes:
        address: of the caller; empty: not known.
        agent: what the browser or program calls itself.
    """

    address: str = ""
    agent: str = ""


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was opened or refreshed.

    Attributes:
        access_token: shows who they are, for ten minutes.
        refresh_token: gets the next ones, once.
        csrf: what pages send along, so that no page of elsewhere can act in their name.
        principal: who they are.
        expires_at: when the access token ends, in microseconds.
        session_ends_at: when the refresh token ends, in microseconds.
    """

    access_token: str
    refresh_token: str
    csrf: str
    principal: model.Principal
    expires_at: clocks.Timestamp
    session_ends_at: clocks.Timestamp

    def __repr__(self) -> str:
        return f"Signed({self.principal.actor})"


class _KeptLink(msgspec.Struct, frozen=True):
    digest: str
    expires_at: int


class Desk(recognising.Recogniser):
    """Opens sessions, keeps them, and knows who shows what.

    Args:
        follower: owns the directory.
        writer: appends what happens.
        keep: the secrets.
        kept: the passwords.
        signer: the access tokens.
        limits: of tries.
        clock: for times.
        id_source: for sessions.
        random: so many random bytes.
    """

    def __init__(
        self,
        *,
        follower: following.Follower,
        writer: writing.Writer,
        keep: ports.Keep,
        kept: passwords.Passwords,
        signer: tokens.AccessTokens,
        limits: limiting.Limits,
        clock: clocks.Clock,
        id_source: ids.Ids,
        random: Callable[[int], bytes],
    ) -> None:
        super().__init__(follower=follower, keep=keep, signer=signer, clock=clock, random=random)
        self._writer = writer
        self._passwords = kept
        self._limits = limits
        self._ids = id_source

    # Signing in and out

    async def sign_in(self, name: str, password: str, where: Where) -> Signed:
        """Open a session by name and password.

        Raises:
            UnauthenticatedError: no; the message and the time it takes are always the same.
            LimitedError: too many tries failed; says when to come again.
            OverloadError: too many sign in at once.
            StorageError: it cannot be told now.
        """
        await self._follower.ready()
        user = self.directory.user_named(name[: events.NAME_CHARS_MAX + 1])
        if user is not None and user.origin != "local":
            user = None
        who = user.id if user is not None else await self._nobody(name)
        with self._limits.trying(who, where.address):
            fits = await self._passwords.fits(None if user is None else user.id, password)
            # Somebody may have been removed or locked out while the password was worked out.
            user = None if user is None else self.directory.users.get(user.id)
            if not fits or user is None or user.disabled:
                await self._failed(who, user, where, "disabled" if fits else "refused")
                raise errors.UnauthenticatedError("name or password are not right")
            return await self._open(user, where)

    async def sign_in_external(
        self,
        issuer: str,
        subject: str,
        *,
        name: str,
        display_name: str = "",
        grants: Sequence[model.Grant] | None = None,
        groups: Sequence[str] = (),
        where: Where,
    ) -> Signed:
        """Open a session for whom a provider of identities has vouched for.

        Args:
            issuer: the provider; verified.
            subject: who they are there; verified.
            name: what they are called; another one is taken if somebody else has it.
            display_name: how they are shown.
            grants: what they may do from now on; None: as before, and nothing at first.
            groups: of approvers that they are in from now on.
            where: the request comes from.

        Raises:
            UnauthenticatedError: they are locked out.
            InvalidInputError: a grant or group that cannot be kept.
            StorageError: it cannot be told now.
        """
        await self._follower.caught_up()
        user = await self._writer.external(
            issuer,
            subject,
            name=name,
            display_name=display_name,
            grants=grants,
            groups=groups,
        )
        if user.disabled:
            await self._failed(user.id, user, where, "disabled")
            raise errors.UnauthenticatedError("this user may not sign in here")
        return await self._open(user, where)

    async def issue_link(self, *, actor: str | None = None) -> tuple[str, clocks.Timestamp]:
        """A secret that signs in as administrator of the installation, once, and when it ends.

        For the person at the machine: it is printed there, and sent nowhere. One that was issued
        before counts no more.

        Args:
            actor: who asked for it; None: nobody, it is the one of a server that starts, of which
                the log does not tell.

        Raises:
            StorageError: it cannot be kept.
        """
        secret = tokens.random_text(self._random)
        ends = clocks.Timestamp(self._clock.now() + LINK_S * clocks.SECOND_US)
        kept = _KeptLink(tokens.digest(secret), ends)
        await self._keep.put(LINK, events.ADMINISTRATOR, msgspec.json.encode(kept))
        if actor is not None:
            await self._writer.link_issued(ends, actor)
        return secret, ends

    async def use_link(self, token: str, where: Where) -> Signed:
        """Open a session by the one-time link; makes the user `admin` unless there is one.

        Raises:
            UnauthenticatedError: it was never issued, was used, or ended.
            LimitedError: too many tries failed.
            StorageError: it cannot be told now.
        """
        await self._follower.caught_up()
        # By address alone: nobody may keep the person at the machine from using it.
        who = f"{LINK} {where.address}"[: events.NAME_CHARS_MAX]
        with self._limits.trying(who, where.address):
            if not await self._takes_link(token):
                await self._failed(who, None, where, "link")
                raise errors.UnauthenticatedError(
                    "the link was used or has ended; `helios users link` at the machine of the "
                    "server makes a new one"
                )
        known = self.directory.user_named(events.ADMINISTRATOR)
        if known is not None and not directory.is_administrator(known):
            # Its password was set by somebody who need not administer the installation.
            await self._passwords.forget(known.id)
        return await self._open(await self._writer.administrator(), where)

    def needs_link(self) -> bool:
        """Whether nobody can administer the installation, so that a link should be offered."""
        return not self.directory.has_administrator()

    async def refresh(self, token: str, where: Where) -> Signed:
        """The next tokens for one that was not used before.

        Raises:
            UnauthenticatedError: it is not ours, has ended, or was used before: then its session
                ends.
            StorageError: it cannot be told now.
        """
        asked = tokens.RefreshTokens(await self._key()).read(token)
        for _ in range(_REFRESH_TRIES):
            await self._follower.caught_up()
            session = self.directory.sessions.get(asked.session)
            user = None if session is None else self.directory.users.get(session.user_id)
            if session is None or user is None or user.disabled or self._is_over(
                session.expires_at
            ):  # fmt: skip
                raise tokens.refused()
            if asked.generation < session.generation:
                return await self._again(session, user, asked.generation)
            if asked.generation > session.generation:
                raise tokens.refused()
            try:
                return await self._rotate(session, user, where)
            except errors.ConflictError:
                # Another process was faster; look at what it has made.
                continue
        raise errors.StorageError("the session changes too often just now; try again")

    async def sign_out(self, principal: model.Principal) -> None:
        """Close the session that a request came with; without one there is nothing to do."""
        if principal.session is not None:
            await self._close(principal.session, "signed_out", principal.actor)

    async def sign_out_by(self, token: str) -> None:
        """Close the session of a refresh token, for who has no access token any more."""
        asked = tokens.RefreshTokens(await self._key()).read(token)
        await self._close(asked.session, "signed_out", "")

    async def close(self, session: str, *, actor: str) -> None:
        """Close a session of anybody.

        Raises:
            NotFoundError: there is none of this id.
        """
        await self._follower.caught_up()
        if session not in self.directory.sessions:
            raise errors.NotFoundError(f"there is no session {session[:80]}")
        await self._close(session, "closed", actor)

    # Parts

    async def _open(self, user: events.User, where: Where) -> Signed:
        now = self._clock.now()
        name = self._ids.new()
        session = events.Session(
            id=name,
            user_id=user.id,
            digest=tokens.RefreshTokens(await self._key()).digest(name, 1),
            opened_at=now,
            refreshed_at=now,
            expires_at=clocks.Timestamp(now + IDLE_S * clocks.SECOND_US),
            agent=_cut(where.agent, events.AGENT_CHARS_MAX),
            address=_cut(where.address, events.ADDRESS_CHARS_MAX),
        )
        theirs = self.directory.sessions_of(user.id)
        surplus = theirs[: max(0, len(theirs) + 1 - SESSIONS_MAX)]
        await self._writer.opened(session, user, surplus)
        return await self._signed(session, user)

    async def _rotate(self, session: events.Session, user: events.User, where: Where) -> Signed:
        now = self._clock.now()
        last = session.opened_at + LIFE_S * clocks.SECOND_US
        generation = session.generation + 1
        rotated = msgspec.structs.replace(
            session,
            digest=tokens.RefreshTokens(await self._key()).digest(session.id, generation),
            generation=generation,
            refreshed_at=now,
            expires_at=clocks.Timestamp(min(now + IDLE_S * clocks.SECOND_US, last)),
            agent=_cut(where.agent, events.AGENT_CHARS_MAX) or session.agent,
            address=_cut(where.address, events.ADDRESS_CHARS_MAX) or session.address,
        )
        await self._writer.refreshed(rotated, user)
        return await self._signed(rotated, user)

    async def _again(self, session: events.Session, user: events.User, generation: int) -> Signed:
        """What to answer to a refresh token that was used before."""
        age_s = (self._clock.now() - session.refreshed_at) / clocks.SECOND_US
        if generation == session.generation - 1 and age_s < REUSE_S:
            return await self._signed(session, user)
        await self._close(session.id, "reused", "")
        raise tokens.refused()

    async def _signed(self, session: events.Session, user: events.User) -> Signed:
        text, ends = await self._signer.sign(session.id, user.id, session.expires_at)
        key = await self._key()
        return Signed(
            access_token=text,
            refresh_token=tokens.RefreshTokens(key).write(session.id, session.generation),
            csrf=self.csrf_of(session.id),
            principal=recognising.principal(user, session.id, "cookie"),
            expires_at=clocks.Timestamp(ends),
            session_ends_at=session.expires_at,
        )

    async def _close(self, session_id: str, reason: events.Closing, actor: str) -> None:
        """Close a session unless it is closed."""
        await self._follower.caught_up()
        session = self.directory.sessions.get(session_id)
        if session is not None:
            user = self.directory.users.get(session.user_id)
            by = actor or f"user:{user.name if user is not None else 'unknown'}"
            await self._writer.closed([session], reason, by)

    async def _takes_link(self, token: str) -> bool:
        kept = await self._keep.get(LINK, events.ADMINISTRATOR)
        if kept is None:
            return False
        link = msgspec.json.decode(kept, type=_KeptLink)
        if not hmac.compare_digest(link.digest, tokens.digest(token)):
            return False
        # Of several who come at once only one finds it there.
        return await self._keep.delete(LINK, events.ADMINISTRATOR) and not self._is_over(
            clocks.Timestamp(link.expires_at)
        )

    async def _failed(
        self, who: str, user: events.User | None, where: Where, reason: events.Failure
    ) -> None:
        await self._writer.failed(
            events.Failed(
                who=who,
                name="" if user is None else user.name,
                address=_cut(where.address, events.ADDRESS_CHARS_MAX),
                reason=reason,
            )
        )

    async def _nobody(self, name: str) -> str:
        """What tries of a name are counted under that nobody has."""
        message = f"name\0{name.casefold()}".encode("utf-8", "replace")
        return "?" + hmac.digest(await self._key(), message, "sha256").hex()[:32]


def _cut(text: str, most: int) -> str:
    return "".join(char for char in text[:most] if char.isprintable())
