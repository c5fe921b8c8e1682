"""Knowing who somebody is by what he shows: an access token, or a service token."""

import contextlib
import hmac
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from helios.access import bounds, directory, events, following, model, ports, tokens
from helios.kernel import clock as clocks

KEYS = "keys"
_KEY_BYTES = 32
_SERVICE = "service"


class _KnownPrincipal(msgspec.Struct, frozen=True):
    revision: int
    principal: model.Principal
    ends_at: int | None


class Recogniser:
    """Tells who shows what.

    Args:
        follower: owns the directory.
        keep: the secrets.
        signer: the access tokens.
        clock: for their ends.
        random: so many random bytes.
    """

    def __init__(
        self,
        *,
        follower: following.Follower,
        keep: ports.Keep,
        signer: tokens.AccessTokens,
        clock: clocks.Clock,
        random: Callable[[int], bytes],
    ) -> None:
        self._follower = follower
        self._keep = keep
        self._signer = signer
        self._clock = clock
        self._random = random
        self._secret: bytes | None = None
        self._principals: dict[tuple[str, str], _KnownPrincipal] = {}
        self._asked_at: float | None = None
        self._local: dict[str, tuple[str, model.Principal]] = {}

    @property
    def directory(self) -> directory.Directory:
        """Who there is; see `following.Follower.ready`."""
        return self._follower.directory

    async def ready(self) -> None:
        """Return when requests can be told apart. Raises StorageError when that takes long."""
        await self._follower.ready()

    async def principal_of(
        self, text: str, *, by: Literal["cookie", "bearer"] = "bearer"
    ) -> model.Principal:
        """Who shows an access token, or as bearer a service token.

        Raises:
            UnauthenticatedError: nobody; the message does not say why.
            StorageError: it cannot be told now.
        """
        if by == "bearer" and text.startswith(tokens.SERVICE_PREFIX):
            return await self._service(text)
        await self._follower.ready()
        claims = await self._signer.verify(text)
        if self._secret is None:
            await self._key()
        found = self._of_session(claims.session, claims.user, by)
        if found is None and claims.session not in self.directory.sessions:
            # Another process may have opened it a moment ago; ours is the signature, so nobody
            # can make us look as often as he likes.
            await self._look_again()
            found = self._of_session(claims.session, claims.user, by)
        if found is None:
            raise tokens.refused()
        return found

    async def ends_at(self, text: str) -> clocks.Timestamp:
        """When an access token ends. Raises UnauthenticatedError when it is none of ours."""
        return (await self._signer.verify(text)).expires_at

    def is_current(self, principal: model.Principal) -> bool:
        """Whether who was let in would be let in now: for connections that stay open."""
        if principal.kind == "user" and principal.session is not None:
            session = self.directory.sessions.get(principal.session)
            if session is None or session.expires_at <= self._clock.now():
                return False
            user = self.directory.users.get(session.user_id)
            return user is not None and not user.disabled and user.grants == principal.grants
        if principal.kind == "service":
            own = any(each == principal for _, each in self._local.values())
            return own or self._of_token(principal.token or "") == principal
        return True

    def csrf_of(self, session: str) -> str:
        """What pages of a session send along to show that they are ours; the session of a
        principal that was found here.
        """
        assert self._secret is not None, "no session was known yet"
        return hmac.digest(self._secret, f"csrf\0{session}".encode(), "sha256").hex()

    @contextlib.contextmanager
    def local_token(self, principal: model.Principal | None = None) -> Iterator[str]:
        """A service token that this process alone takes, for the block; of an administrator, or
        of the principal.
        """
        text, name, digest = tokens.issue(self._random)
        self._local[name] = digest, principal or _LOCAL
        try:
            yield text
        finally:
            del self._local[name]

    async def _service(self, text: str) -> model.Principal:
        name, digest = tokens.service(text)
        own, principal = self._local.get(name, ("", model.NOBODY))
        if own and hmac.compare_digest(own, digest):
            return principal
        await self._follower.ready()
        token = self.directory.tokens.get(name)
        if token is None:
            await self._look_again()
            token = self.directory.tokens.get(name)
        found = self._of_token(name)
        if token is None or found is None or not hmac.compare_digest(token.digest, digest):
            raise tokens.refused()
        return found

    async def _look_again(self) -> None:
        """Catch up with what other processes did, at most once a second."""
        now_s = self._clock.monotonic()
        if self._asked_at is None or now_s - self._asked_at >= 1.0:
            self._asked_at = now_s
            await self._follower.caught_up()

    def _of_token(self, token_id: str) -> model.Principal | None:
        return self._current((token_id, _SERVICE), lambda: self._bearer(token_id))

    def _bearer(self, token_id: str) -> _KnownPrincipal | None:
        """Who shows a token; nobody, where its owner is not let in any more."""
        token = self.directory.tokens.get(token_id)
        if token is None:
            return None
        grants = token.grants
        if token.owner is not None:
            owner = self.directory.users.get(token.owner)
            if owner is None or owner.disabled:
                return None
            grants = bounds.common(grants, owner.grants)
        found = model.Principal(
            kind="service", name=token.name, grants=grants, token=token.id, by="bearer"
        )
        return _KnownPrincipal(self.directory.revision, found, token.expires_at)

    def _of_session(
        self, session_id: str, user_id: str, by: Literal["cookie", "bearer"]
    ) -> model.Principal | None:
        return self._current((session_id, by), lambda: self._looked_up(session_id, user_id, by))

    def _current(
        self, key: tuple[str, str], look: Callable[[], _KnownPrincipal | None]
    ) -> model.Principal | None:
        """What was found by a key, or is now where the directory has changed, until it ends."""
        known = self._principals.get(key)
        if known is None or known.revision != self.directory.revision:
            known = look()
            if known is None:
                self._principals.pop(key, None)
                return None
            if len(self._principals) >= tokens.VERIFIED_MAX:
                self._principals.clear()
            self._principals[key] = known
        return None if self._is_over(known.ends_at) else known.principal

    def _looked_up(
        self, session_id: str, user_id: str, by: Literal["cookie", "bearer"]
    ) -> _KnownPrincipal | None:
        session = self.directory.sessions.get(session_id)
        user = self.directory.users.get(user_id)
        if session is None or user is None or session.user_id != user.id or user.disabled:
            return None
        found = principal(user, session_id, by)
        return _KnownPrincipal(self.directory.revision, found, session.expires_at)

    async def _key(self) -> bytes:
        if self._secret is None:
            fresh = self._random(_KEY_BYTES)
            self._secret = await self._keep.put_if_absent(KEYS, "installation", fresh)
        return self._secret

    def _is_over(self, at: clocks.Timestamp | int | None) -> bool:
        return at is not None and at <= self._clock.now()


_LOCAL = model.Principal(
    kind="service",
    name="local",
    grants=(model.Grant(role="admin"),),
    by="bearer",
    speaks=True,
)


def principal(user: events.User, session: str, by: Literal["cookie", "bearer"]) -> model.Principal:
    """Who a user is in a session, shown in a cookie or as bearer."""
    return model.Principal(
        kind="user",
        name=user.name,
        grants=user.grants,
        session=session,
        by=by,
        groups=user.groups,
    )
