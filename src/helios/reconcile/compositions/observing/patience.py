"""Does not ask anybody for too much at a time, nor while they want to be left alone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib import parse as urls

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import outbound
from helios.providers import calling

AT_ONCE = 8
"""Calls to one host at a time. More wait."""

PAUSE_S = 30.0
"""Pause after an answer 429 that does not say how long."""

PAUSE_S_MAX = 3600.0
PAUSED = "paused"
"""Reason of the `OutboundError` of a call that was not made."""


class _Gate:
    def __init__(self, at_once: int) -> None:
        self.slots = asyncio.Semaphore(at_once)
        self.users = 0


class Gates:
    """Counts calls by where they go.

    Args:
        clock: for pauses.
        at_once: calls to one place.
    """

    def __init__(self, clock: clocks.Clock, *, at_once: int = AT_ONCE) -> None:
        self._clock = clock
        self._at_once = at_once
        self._gates: dict[str, _Gate] = {}
        self._paused: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def through(self, place: str) -> AsyncIterator[None]:
        """Hold one of the slots of a place.

        Raises:
            OutboundError: the place wants to be left alone; reason `paused`.
        """
        self._check(place)
        gate = self._gates.setdefault(place, _Gate(self._at_once))
        gate.users += 1
        try:
            async with gate.slots:
                # Whoever was before in the queue may have been told to go away.
                self._check(place)
                yield
        finally:
            gate.users -= 1
            if not gate.users:
                self._gates.pop(place, None)

    def pause(self, place: str, seconds: float) -> None:
        """Leave a place alone for so long from now on."""
        until = self._clock.monotonic() + min(seconds, PAUSE_S_MAX)
        self._paused[place] = max(until, self._paused.get(place, until))

    def _check(self, place: str) -> None:
        until = self._paused.get(place)
        if until is None:
            return
        left = until - self._clock.monotonic()
        if left <= 0:
            del self._paused[place]
            return
        raise outbound.OutboundError(
            f"{place} wants to be left alone for another {left:.0f} s", reason=PAUSED
        )


class Client:
    """An `outbound.Outbound` that goes through the gates, and tries once: another pass follows.

    Args:
        inner: makes the calls.
        gates: by host.
        clock: to read `Retry-After`.
    """

    def __init__(self, inner: outbound.Outbound, gates: Gates, clock: clocks.Clock) -> None:
        self._inner = inner
        self._gates = gates
        self._clock = clock

    async def send(self, call: outbound.Call) -> outbound.Answer:
        """See `outbound.Outbound.send`. Also raises OutboundError `paused`."""
        place = urls.urlsplit(call.url).netloc.rpartition("@")[2]
        async with self._gates.through(place):
            answer = await self._inner.send(msgspec.structs.replace(call, attempts=1))
        pause_s = calling.retry_after(answer.headers.get("retry-after"), self._clock.now())
        if answer.status == 429:
            self._gates.pause(place, PAUSE_S if pause_s is None else pause_s)
        elif answer.status == 503 and pause_s:
            self._gates.pause(place, pause_s)
        return answer

    async def permit(self, url: str) -> None:
        """See `outbound.Outbound.permit`."""
        await self._inner.permit(url)
