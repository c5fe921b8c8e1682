"""Time, passed in.

Nothing in Helios but `SystemClock` reads the time of the machine: the simulation and the tests
pass a clock of their own and run hours in milliseconds.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import NewType, Protocol

Timestamp = NewType("Timestamp", int)
"""An instant: microseconds since 1970-01-01T00:00:00Z. Sortable, exact, one integer in storage."""

SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


class Clock(Protocol):
    """Where the time comes from, and how to let it pass."""

    def now(self) -> Timestamp:
        """Wall-clock time. May step; use it for what is stored or shown."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary origin. Use it for waits and deadlines."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Return after at least `seconds`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> Timestamp:
        return Timestamp(time.time_ns() // 1000)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(seconds)


def from_datetime(value: datetime) -> Timestamp:
    """Convert an aware datetime. A naive one is refused: guessing a zone corrupts silently.

    Raises:
        ValueError: `value` has no time zone.
    """
    if value.tzinfo is None:
        msg = f"time without a zone: {value.isoformat()}"
        raise ValueError(msg)
    return Timestamp((value - _EPOCH) // _US)


def to_datetime(value: Timestamp) -> datetime:
    """The same instant as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=value)


def to_rfc3339(value: Timestamp) -> str:
    """`2026-01-02T03:04:05.000006Z`; the fraction is left out when it is zero."""
    return to_datetime(value).isoformat().replace("+00:00", "Z")


def parse_rfc3339(text: str) -> Timestamp:
    """Read an RFC 3339 time with a zone.

    Raises:
        ValueError: not a time, or without a zone.
    """
    return from_datetime(datetime.fromisoformat(text))
