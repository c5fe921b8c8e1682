"""The keys that sign access tokens: made here, kept in `Keep`, replaced every thirty days.

Time is cut into spans of that length. Whoever first needs the key of a span makes it, and all
processes get the same one because `Keep` keeps the first. A key signs in its own span only, and
verifies until the last token that it signed has ended. What a token says of keys is never followed:
its `kid` is looked up among these and nowhere else.
"""

import asyncio
import hashlib
from collections.abc import Callable

import msgspec
from cryptography.hazmat.primitives.asymmetric import ed25519

from helios.access import ports
from helios.kernel import clock as clocks
from helios.kernel import errors

KIND = "signing"
SPAN_S = 30 * 86_400
"""How long a key signs."""

SLACK_S = 86_400
"""How long after its span a key still verifies: far longer than any token lasts, so that clocks
of processes may differ."""

RELOAD_S = 1.0
"""How often unknown keys make us look for new ones, at most."""

REFRESH_S = 300.0
"""How often it is looked whether keys were taken away."""


class Key(msgspec.Struct, frozen=True):
    """A key and what tokens call it. It does not show itself."""

    kid: str
    span: int
    private: ed25519.Ed25519PrivateKey
    public: ed25519.Ed25519PublicKey

    def __repr__(self) -> str:
        return f"Key({self.kid})"


class Keys:
    """The keys of this installation.

    Args:
        keep: where they are shared.
        clock: says which span it is.
        random: so many random bytes.
    """

    def __init__(
        self, keep: ports.Keep, clock: clocks.Clock, random: Callable[[int], bytes]
    ) -> None:
        self._keep = keep
        self._clock = clock
        self._random = random
        self._known: dict[str, Key] = {}
        self._current: Key | None = None
        self._loaded_at: float | None = None
        self._turn = asyncio.Lock()

    async def signing(self) -> Key:
        """The key that signs now.

        Raises:
            StorageError: it cannot be read or made.
        """
        span = self._span()
        if self._current is None or self._current.span != span or self._is_stale(REFRESH_S):
            async with self._turn:
                fresh = _read(span, await self._keep.put_if_absent(
                    KIND, f"span-{span}", self._random(32)
                ))  # fmt: skip
                self._known[fresh.kid] = fresh
                self._current = fresh
                await self._load()
        assert self._current is not None
        return self._current

    async def verifying(self, kid: str) -> Key | None:
        """The key of a name, if it may still verify; None: there is none.

        Raises:
            StorageError: they cannot be read.
        """
        if self._is_stale(REFRESH_S) or (kid not in self._known and self._is_stale(RELOAD_S)):
            async with self._turn:
                if self._is_stale(REFRESH_S) or kid not in self._known:
                    await self._load()
        found = self._known.get(kid)
        return found if found is not None and self._verifies(found.span) else None

    async def _load(self) -> None:
        found: dict[str, Key] = {}
        for name in await self._keep.names(KIND):
            span = int(digits) if (digits := name.removeprefix("span-")).isdecimal() else None
            if span is None:
                continue
            if not self._verifies(span) and span < self._span():
                await self._keep.delete(KIND, name)
            elif (seed := await self._keep.get(KIND, name)) is not None:
                key = _read(span, seed)
                found[key.kid] = key
        self._known = found
        if self._current is not None and self._current.kid not in found:
            self._current = None
        self._loaded_at = self._clock.monotonic()

    def _is_stale(self, seconds: float) -> bool:
        return self._loaded_at is None or self._clock.monotonic() - self._loaded_at >= seconds

    def _span(self) -> int:
        return self._clock.now() // (SPAN_S * clocks.SECOND_US)

    def _verifies(self, span: int) -> bool:
        now_s = self._clock.now() / clocks.SECOND_US
        return span * SPAN_S - SLACK_S <= now_s < (span + 1) * SPAN_S + SLACK_S


def _read(span: int, seed: bytes) -> Key:
    try:
        private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    except ValueError:
        raise errors.StorageError(
            f"the signing key span-{span} is damaged; remove it, and everybody signs in again"
        ) from None
    public = private.public_key()
    name = hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]
    return Key(name, span, private, public)
