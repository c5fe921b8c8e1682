"""Looks at every key now and then, whether anything happened to it or not.

When a key's turn comes is computed from the key and the time alone: nothing is stored, no timer
is set for each, and a restart changes nothing. Turns are spread evenly over the interval, and each
is moved by up to a twentieth of it, so that what once fell together does not for ever: from one to
the next it is the interval, a tenth more or less.

A wake-up of the resync goes behind all others.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import structlog

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.runtime import keys

WINDOW_S = 30.0
"""So far ahead turns are computed; a key that is declared meanwhile is in the next window."""

INTERVAL_S_MIN = 1.0
"""Shorter intervals are taken for this."""

RETRY_S = 2.0
"""After keys could not be listed."""

MOVED_SHARE = 0.05
_YIELD_KEYS = 500
_log = structlog.get_logger("helios.reconcile")

Listed = Callable[[], AsyncIterator[tuple[keys.Key, float]]]
"""All keys of a family, each with its interval in seconds."""

Test = Callable[[keys.Key], bool]


class Wake(Protocol):
    """See `runtime.Runtime.wake`."""

    def __call__(self, key: keys.Key, priority: keys.Priority, /) -> None: ...


def turns(key: keys.Key, interval_s: float, after: float, until: float) -> list[float]:
    """When it is a key's turn, after one time and up to another, in order.

    Args:
        key: whose.
        interval_s: from one turn to the next.
        after: seconds since 1970.
        until: likewise.
    """
    interval_s = max(INTERVAL_S_MIN, interval_s)
    phase = keys.share("phase", *key)
    first = math.floor(after / interval_s - phase - MOVED_SHARE)
    last = math.ceil(until / interval_s - phase + MOVED_SHARE)
    found = []
    for number in range(first, last + 1):
        moved = MOVED_SHARE * (2.0 * keys.share("turn", *key, str(number)) - 1.0)
        at = (number + phase + moved) * interval_s
        if after < at <= until:
            found.append(at)
    return found


class Resync:
    """Wakes every key of a family, each in its turn.

    Args:
        wake: wakes one.
        listed: lists them.
        clock: whose time passes.
    """

    def __init__(self, wake: Wake, listed: Listed, *, clock: clocks.Clock) -> None:
        self._wake = wake
        self._listed = listed
        self._clock = clock
        self._wanted: list[Test] = []
        self._asked = asyncio.Event()

    def all_soon(self, test: Test = lambda _: True) -> None:
        """Wake all keys of which `test` holds without waiting for their turns.

        For when wake-ups may have been missed: at the start, or after a shard was taken.
        """
        self._wanted.append(test)
        self._asked.set()

    async def run(self) -> None:
        """Wake keys until cancelled.

        Raises:
            StorageFailedError: the process must stop.
        """
        both = [asyncio.ensure_future(each) for each in (self._spread(), self._at_once())]
        try:
            ended, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _at_once(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            wanted, self._wanted = self._wanted, []
            try:
                count = 0
                async for key, _ in self._listed():
                    if any(test(key) for test in wanted):
                        self._wake(key, keys.Priority.RESYNC)
                    count += 1
                    if count % _YIELD_KEYS == 0:
                        await asyncio.sleep(0)
            except errors.HeliosError as error:
                await self._pause(error)
                self._wanted += wanted
                self._asked.set()

    async def _spread(self) -> None:
        after = self._now()
        while True:
            until = after + WINDOW_S
            begun = self._clock.monotonic()
            try:
                planned = await self._planned(after, until)
            except errors.HeliosError as error:
                await self._pause(error)
                continue
            for at, key in planned:
                await self._until(begun + at - after)
                self._wake(key, keys.Priority.RESYNC)
            await self._until(begun + WINDOW_S)
            # A clock that was set, or a machine that slept, begins anew where it is.
            now = self._now()
            after = until if abs(now - until) < WINDOW_S else now

    async def _planned(self, after: float, until: float) -> list[tuple[float, keys.Key]]:
        planned = []
        count = 0
        async for key, interval_s in self._listed():
            planned += [(at, key) for at in turns(key, interval_s, after, until)]
            count += 1
            if count % _YIELD_KEYS == 0:
                await asyncio.sleep(0)
        return sorted(planned)

    async def _until(self, when: float) -> None:
        left = when - self._clock.monotonic()
        if left > 0:
            await self._clock.sleep(left)

    async def _pause(self, error: errors.HeliosError) -> None:
        if isinstance(error, errors.StorageFailedError):
            raise error
        _log.warning("resync_waits", error=error)
        await self._clock.sleep(RETRY_S)

    def _now(self) -> float:
        return self._clock.now() / clocks.SECOND_US
