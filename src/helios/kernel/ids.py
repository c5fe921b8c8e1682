"""Identifiers, passed in.

UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits. Ids made one after
another sort after one another, which keeps the unique index of the log hot at its tail.
"""

import random
import secrets
from typing import Protocol

from helios.kernel import clock as clocks


class Ids(Protocol):
    """Where new identifiers come from."""

    def new(self) -> str:
        """A fresh UUIDv7 in its canonical text form."""
        ...


class Uuid7Ids:
    """UUIDv7 from a clock and a source of randomness; strictly increasing within a process."""

    def __init__(self, clock: clocks.Clock, rng: random.Random | None = None) -> None:
        self._clock = clock
        self._bits = rng.getrandbits if rng is not None else _Entropy().bits
        self._last = 0

    def new(self) -> str:
        ms = self._clock.now() // 1000
        value = (
            (ms & (1 << 48) - 1) << 80
            | 0x7 << 76
            | self._bits(12) << 64
            | 0b10 << 62
            | self._bits(62)
        )
        if value <= self._last:
            value = self._last + 1
        self._last = value
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class _Entropy:
    """The system's randomness, fetched in advance: a system call for each id costs more than all
    the rest of making it.
    """

    _BYTES = 1024

    def __init__(self) -> None:
        self._pool = 0
        self._left = 0

    def bits(self, count: int, /) -> int:
        if self._left < count:
            self._pool = int.from_bytes(secrets.token_bytes(self._BYTES))
            self._left = self._BYTES * 8
        taken = self._pool & (1 << count) - 1
        self._pool >>= count
        self._left -= count
        return taken
