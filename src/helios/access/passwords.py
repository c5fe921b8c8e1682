"""Passwords: checked with argon2id, away from the event loop, and never more than two at once.

One check takes 64 MiB and some dozens of milliseconds on purpose. A name that nobody has costs the
same, so that the time of an answer does not tell who exists.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import argon2

from helios.access import ports
from helios.kernel import errors, offload

T = TypeVar("T")

CHARS_MIN = 10
CHARS_MAX = 1024
AT_ONCE = 2
"""Checks at one time: what they take of memory and processors is bounded by it."""

WAITING_MAX = 32
"""Checks that wait for their turn. Above: `OverloadError` (503 with Retry-After)."""

KIND = "password"
_NOBODY = "nobody"
_NOTHING_BUT_LETTERS = re.compile(r"[\W\d_]+")


def check(password: str, *names: str) -> None:
    """Refuse what is no good as a password.

    Args:
        password: what somebody wants to use.
        names: of the person: what everybody knows is no secret.

    Raises:
        InvalidInputError: too short, too long, not text, or a name; never says what it was.
    """
    if not CHARS_MIN <= len(password) <= CHARS_MAX:
        raise errors.InvalidInputError(
            f"expected {CHARS_MIN} to {CHARS_MAX} characters", field="password"
        )
    if not _is_text(password):
        raise errors.InvalidInputError("not text", field="password")
    bare = _bare(password)
    if not bare and len(set(password)) < CHARS_MIN // 2:
        raise errors.InvalidInputError("too simple; take a sentence", field="password")
    if any(bare and bare in (_bare(name), _bare(name) * 2) for name in names):
        raise errors.InvalidInputError(
            "this is the person's name; take something that nobody knows", field="password"
        )


class Passwords:
    """Keeps the hashes of passwords by user.

    Args:
        keep: where they are.
        threads: where they are worked out, each one at a time.
        hasher: what works them out.
    """

    def __init__(
        self,
        keep: ports.Keep,
        threads: Sequence[offload.Offload],
        hasher: argon2.PasswordHasher | None = None,
    ) -> None:
        self._keep = keep
        self._free = list(threads)
        self._hasher = hasher or argon2.PasswordHasher.from_parameters(
            argon2.profiles.RFC_9106_LOW_MEMORY
        )
        self._turn = asyncio.Semaphore(len(threads))
        self._waiting = 0
        self._nobodys: str | None = None

    async def set(self, user_id: str, password: str) -> None:
        """Keep a password in place of the one before.

        Raises:
            OverloadError: too many are being worked out.
        """
        await self._keep.put(KIND, user_id, (await self._hash(password)).encode())

    async def has(self, user_id: str) -> bool:
        """Whether a user has one."""
        return await self._keep.get(KIND, user_id) is not None

    async def forget(self, user_id: str) -> None:
        """Keep none for a user."""
        await self._keep.delete(KIND, user_id)

    async def fits(self, user_id: str | None, password: str) -> bool:
        """Whether this is a user's password; as much work for nobody (None) and whoever has none.

        Raises:
            OverloadError: too many are being worked out.
        """
        kept = await self._keep.get(KIND, _NOBODY if user_id is None else user_id)
        if self._nobodys is None:
            self._nobodys = await self._hash("the password of nobody")
        is_text = len(password) <= CHARS_MAX and _is_text(password)
        given = password if is_text else ""
        digest = self._nobodys if kept is None or user_id is None else kept.decode()
        fits = await self._run(lambda: _verified(self._hasher, digest, given))
        if not fits or kept is None or user_id is None or not is_text:
            return False
        if self._hasher.check_needs_rehash(digest):
            await self.set(user_id, password)
        return True

    async def _hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password))

    async def _run(self, call: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise errors.OverloadError("too many people sign in at once; try again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                thread = self._free.pop()
                try:
                    return await thread.run("access.password", call)
                finally:
                    self._free.append(thread)
        finally:
            self._waiting -= 1


def _verified(hasher: argon2.PasswordHasher, digest: str, password: str) -> bool:
    try:
        return hasher.verify(digest, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _is_text(password: str) -> bool:
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in password


def _bare(text: str) -> str:
    return _NOTHING_BUT_LETTERS.sub("", text).casefold()
