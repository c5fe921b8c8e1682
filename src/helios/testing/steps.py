"""A clock that tests put forward."""

import asyncio
import contextlib

from helios.kernel import clock as clocks


class Steps:
    """The machine's clock, put forward by hand: what is due then is due now."""

    def __init__(self) -> None:
        self._system = clocks.SystemClock()
        self._ahead_us = 0
        self._moved: asyncio.Event = asyncio.Event()

    def now(self) -> clocks.Timestamp:
        return clocks.Timestamp(self._system.now() + self._ahead_us)

    def monotonic(self) -> float:
        return self._system.monotonic() + self._ahead_us / clocks.SECOND_US

    async def sleep(self, seconds: float, /) -> None:
        until = self.monotonic() + seconds
        while (left := until - self.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._moved.wait()

    def forward(self, seconds: float) -> None:
        self._ahead_us += round(seconds * clocks.SECOND_US)
        self._moved.set()
        self._moved = asyncio.Event()
