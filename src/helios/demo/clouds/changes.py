"""Waiting for something to change, or for a time to come."""

import asyncio

from helios.kernel import clock as clocks


class Changes:
    """Wakes all who wait. Tell nothing about what changed: everybody looks for himself."""

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._waiting: set[asyncio.Future[None]] = set()

    def tell(self) -> None:
        """Wake all who wait now."""
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def awaited(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def wait(self, until: clocks.Timestamp | None = None) -> None:
        """Return when `tell` is called, or at this time."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(told)
        both: set[asyncio.Future[None]] = {told}
        if until is not None:
            left_s = (until - self._clock.now()) / clocks.SECOND_US
            both.add(asyncio.ensure_future(self._clock.sleep(max(0.0, left_s))))
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(told)
            for waiter in both:
                waiter.cancel()
