"""Simulated ports: clock, ids, blocking calls and messages, each with its faults.

Latency is not decoration. A race between a check and the write after it needs an await in between
that takes time: with awaits of no length a planted race was found in none of 100 seeds, with the
delays used here in 97 of 100. So every port call takes 10 ms on average and one in five up to
five seconds.
"""

import asyncio
import collections
import random
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from helios.kernel import clock, ids
from helios.testing import simloop

T = TypeVar("T")

EPOCH = clock.Timestamp(1_767_225_600_000_000)
"""Wall-clock time at which every simulation begins: 2026-01-01T00:00:00Z."""

LATENCY_MEAN_S = 0.010
SLOW_SHARE = 0.2
SLOW_S = (0.5, 5.0)

DEAD_TIMER_RATE = 0.5
"""Share of cancelled calls that ran all the same, as a thread that had begun cannot be stopped."""

SECOND_BLOW_RATE = 1 / 2
SECOND_BLOW_POINTS = 60
"""After half of the random crashes the next one comes within so many points."""


def latency(rng: random.Random) -> float:
    """How long one port call takes, in virtual seconds."""
    if rng.random() < SLOW_SHARE:
        return rng.uniform(*SLOW_S)
    return rng.expovariate(1 / LATENCY_MEAN_S)


class SimClock:
    """A node's clock: monotonic time is the loop's, wall time may be off and may step."""

    def __init__(self, loop: simloop.SimLoop, *, skew_us: int = 0) -> None:
        self._loop = loop
        self.skew_us = skew_us

    def now(self) -> clock.Timestamp:
        return clock.Timestamp(EPOCH + int(self._loop.time() * clock.SECOND_US) + self.skew_us)

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(seconds)

    def step(self, by_us: int) -> None:
        """Wall time jumps, forwards or back."""
        self.skew_us += by_us
        self._loop.note(f"clock stepped {by_us} us")


class SimIds(ids.Uuid7Ids):
    """UUIDv7 from a simulated clock and a seeded stream."""

    def __init__(self, sim_clock: SimClock, rng: random.Random) -> None:
        super().__init__(sim_clock, rng)


class CrashNode(Protocol):
    """How a port ends the life of its node."""

    def __call__(self, why: str, /) -> None:
        """Kill the node that the caller belongs to."""


class CrashPoints:
    """Numbers every place where a node may die, and kills at those that were asked for.

    Args:
        crash_at: numbers of the points at which to crash, from 1.
        rate: chance to crash at any other point.
        rng: decides by the rate.
        crashes_max: how often it kills by the rate.
        names: only points whose name starts with one of these are counted; empty means all.
    """

    def __init__(
        self,
        *,
        crash_at: frozenset[int] = frozenset(),
        rate: float = 0.0,
        rng: random.Random,
        crashes_max: int = 1 << 30,
        names: tuple[str, ...] = (),
    ) -> None:
        self.seen = 0
        self._crashes_max = crashes_max
        self.crashed: list[str] = []
        self._second_blow = 0
        self.rate = rate
        self._crash_at = crash_at
        self._names = names
        self._rng = rng

    def hit(self, name: str) -> bool:
        """Count this point; True: the node dies here."""
        if self._names and not name.startswith(self._names):
            return False
        self.seen += 1
        dies = self.seen in self._crash_at or (self.rate > 0 and self._draw())
        if dies:
            self.crashed.append(f"{self.seen}:{name}")
        return dies

    def _draw(self) -> bool:
        if len(self.crashed) >= self._crashes_max:
            return False
        if self.seen != self._second_blow and self._rng.random() >= self.rate:
            return False
        # Recovery is the code that runs least and must work best: often strike again soon.
        if self._rng.random() < SECOND_BLOW_RATE:
            self._second_blow = self.seen + self._rng.randint(1, SECOND_BLOW_POINTS)
        return True


class SimOffload:
    """`kernel.offload.Offload` on the loop: one call at a time, in order, each taking its time.

    A caller that is cancelled does not stop a call that has begun: like a thread it runs on, and
    nobody hears the result. A crash strikes before the call, after it (done, but never answered),
    or inside it, when `cut_off` says that its disk went away under it.

    Args:
        loop: the loop.
        rng: latencies and the fate of cancelled calls.
        points: where the node may die.
        crash: kills the node.
        cut_off: asked after each call: was the node's disk cut off during it?
        slow: draw latencies; without, calls take no time.
    """

    def __init__(
        self,
        loop: simloop.SimLoop,
        rng: random.Random,
        *,
        points: CrashPoints,
        crash: CrashNode,
        cut_off: Callable[[], bool] = lambda: False,
        slow: bool = True,
    ) -> None:
        self._loop = loop
        self._rng = rng
        self._points = points
        self._crash = crash
        self._cut_off = cut_off
        self._slow = slow
        self._calls: collections.deque[tuple[str, Callable[[], Any], asyncio.Future[Any]]] = (
            collections.deque()
        )
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, name: str, call: Callable[[], T], /) -> T:
        if self._closed:
            raise RuntimeError(f"{name}: the offload is closed")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._calls.append((name, call, answer))
        if self._pump is None or self._pump.done():
            self._pump = self._loop.spawn(
                self._run_calls(), simloop.INCARNATION.get(), f"offload:{name}"
            )
        return await answer

    def close(self) -> None:
        self._closed = True

    async def _run_calls(self) -> None:
        while self._calls:
            name, call, answer = self._calls.popleft()
            await self._wait()
            if answer.cancelled() and self._rng.random() < DEAD_TIMER_RATE:
                continue
            await self._die_if(f"before {name}")
            result, error = self._call(name, call)
            if self._cut_off():
                await self._stop_here(f"inside {name}")
            await self._die_if(f"after {name}")
            await self._wait()
            if not answer.done():
                if error is None:
                    answer.set_result(result)
                else:
                    answer.set_exception(error)

    def _call(self, name: str, call: Callable[[], Any]) -> tuple[Any, Exception | None]:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - handed to the caller, as a thread pool does
            self._loop.note(f"{name}: {type(error).__name__}")
            return None, error
        self._loop.note(name)
        return result, None

    async def _wait(self) -> None:
        if self._slow:
            await asyncio.sleep(latency(self._rng))

    async def _die_if(self, point: str) -> None:
        if self._points.hit(point):
            await self._stop_here(point)

    async def _stop_here(self, point: str) -> None:
        self._crash(point)
        await self._loop.create_future()


class NetFaults(msgspec.Struct, frozen=True, kw_only=True):
    """How a simulated network misbehaves.

    Attributes:
        drop: share of messages that never arrive.
        duplicate: share that arrive twice.
        slow: draw delays, so that messages overtake each other; without, they arrive at once and
            in order.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    slow: bool = False


class Unanswered(Exception):  # noqa: N818 - not an error: nobody knows what happened
    """No answer within the timeout: the request may or may not have had its effect."""


Handler = Callable[[T], Any]


class SimTransport(Generic[T]):
    """Requests and answers between named endpoints over a network with faults.

    An endpoint belongs to the incarnation that registered it: what arrives after its death is
    lost, and so is what the dead would still send.
    """

    def __init__(self, loop: simloop.SimLoop, rng: random.Random, faults: NetFaults) -> None:
        self.faults = faults
        self.dropped = 0
        self.duplicated = 0
        self.lost_on_dead = 0
        self._loop = loop
        self._rng = rng
        self._endpoints: dict[str, tuple[simloop.Incarnation | None, Handler[T]]] = {}

    def register(self, name: str, handler: Handler[T]) -> None:
        """Handle requests to `name` from now on: `handler(request)` is a coroutine function."""
        self._endpoints[name] = (simloop.INCARNATION.get(), handler)

    async def call(self, to: str, request: T, *, timeout_s: float) -> Any:
        """Send a request and wait for its answer.

        Raises:
            Unanswered: no answer came in time.
            Exception: what the handler raised.
        """
        answer: asyncio.Future[Any] = self._loop.create_future()
        caller = simloop.INCARNATION.get()
        self._send(lambda: self._arrive(to, request, caller, answer), f"-> {to}")
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise Unanswered(f"{to}: no answer within {timeout_s} s") from None

    def _send(self, deliver: Callable[[], None], what: str) -> None:
        if self._rng.random() < self.faults.drop:
            self.dropped += 1
            self._loop.note(f"dropped {what}")
            return
        self._later(deliver)
        if self._rng.random() < self.faults.duplicate:
            self.duplicated += 1
            self._loop.note(f"duplicated {what}")
            self._later(deliver)

    def _later(self, deliver: Callable[[], None]) -> None:
        delay_s = latency(self._rng) if self.faults.slow else 0.0
        # A message on its way outlives its sender.
        self._loop.spawn(_after(delay_s, deliver), None, "message")

    def _arrive(
        self,
        to: str,
        request: T,
        caller: simloop.Incarnation | None,
        answer: asyncio.Future[Any],
    ) -> None:
        incarnation, handler = self._endpoints.get(to, (None, None))
        if handler is None or (incarnation is not None and not incarnation.alive):
            self.lost_on_dead += 1
            self._loop.note(f"lost: {to} is down")
            return
        self._loop.spawn(
            self._handle(to, handler, request, caller, answer), incarnation, f"at {to}"
        )

    async def _handle(
        self,
        to: str,
        handler: Handler[T],
        request: T,
        caller: simloop.Incarnation | None,
        answer: asyncio.Future[Any],
    ) -> None:
        result: Any = None
        error: Exception | None = None
        try:
            result = await handler(request)
        except Exception as caught:  # noqa: BLE001 - the answer carries it
            error = caught
        self._send(lambda: _settle(answer, caller, result, error), f"<- {to}")


async def _after(delay_s: float, deliver: Callable[[], None]) -> None:
    await asyncio.sleep(delay_s)
    deliver()


def _settle(
    answer: asyncio.Future[Any],
    caller: simloop.Incarnation | None,
    result: object,
    error: Exception | None,
) -> None:
    if answer.done() or (caller is not None and not caller.alive):
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
