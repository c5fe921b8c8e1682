"""A bench for tests of projections: a log in memory, a store, workers on a fast clock, crashes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from helios.eventlog import envelope, log
from helios.kernel import clock as clocks
from helios.kernel import limits
from helios.projections import ports, wait, worker
from helios.testing import memory_log, sample_views

_PATIENCE_S = 60.0


class FastClock:
    """The machine's clock, but pauses and measured times pass a hundred times as fast."""

    SPEED = 100

    def __init__(self) -> None:
        self._clock = clocks.SystemClock()

    def now(self) -> clocks.Timestamp:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic() * self.SPEED

    async def sleep(self, seconds: float, /) -> None:
        await self._clock.sleep(seconds / self.SPEED)


class Crash(BaseException):
    """The process is gone."""


class Crashing:
    """A store that dies at one of its calls, and stays dead.

    Args:
        store: does the work until then.
        call: number of the call at which to die, from 0; None: never.
        after: die after its work was done, not before.
    """

    def __init__(self, store: ports.ViewStore, call: int | None, *, after: bool) -> None:
        self._store = store
        self._call = call
        self._after = after
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return method if name == "reading" else self._wrapped(method)

    def _wrapped(
        self, method: Callable[..., Coroutine[Any, Any, Any]]
    ) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def call(*args: Any, **options: Any) -> Any:
            number, self.calls = self.calls, self.calls + 1
            if self._call is not None and (
                number > self._call or self._is_now(number, after=False)
            ):
                raise Crash
            result = await method(*args, **options)
            if self._is_now(number, after=True):
                raise Crash
            return result

        return call

    def _is_now(self, number: int, *, after: bool) -> bool:
        return number == self._call and self._after is after


class Gated:
    """A store of which one call waits until it is let through.

    Args:
        store: does the work.
        call: name of the method that waits for `opened` once `reached` is set.
    """

    def __init__(self, store: ports.ViewStore, call: str) -> None:
        self._store = store
        self._name = call
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return self._waiting(method) if name == self._name else method

    def _waiting(
        self, method: Callable[..., Coroutine[Any, Any, Any]]
    ) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def call(*args: Any, **options: Any) -> Any:
            self.reached.set()
            await self.opened.wait()
            return await method(*args, **options)

        return call


class Bench:
    """A log, a store, and what is needed to run workers on them."""

    def __init__(self, store: ports.ViewStore, storage: memory_log.MemoryLogStorage) -> None:
        self.store = store
        self.storage = storage
        self.clock = FastClock()
        self.log = log.Log(storage, self.clock)
        self.progress = wait.Progress()
        self.waiter = wait.Waiter(store, self.progress)
        self._count = 0

    def worker(self, view: ports.View | None = None, *, batch_events: int = 100) -> worker.Worker:
        return worker.Worker(
            view or sample_views.Counting(),
            self.log,
            self.store,
            progress=self.progress,
            clock=self.clock,
            batch_events=batch_events,
        )

    async def append(self, count: int, *, kind: str = "OrderPlaced") -> envelope.Position:
        head = await self.log.head()
        events = [event(head + 1 + number, kind=kind) for number in range(count)]
        for start in range(0, count, limits.BATCH_EVENTS_MAX):
            appended = await self.log.append(events[start : start + limits.BATCH_EVENTS_MAX])
            head = appended.position
        return head

    async def events(self) -> list[envelope.Event]:
        return (await self.storage.read(envelope.Position(0), 1_000_000, envelope.ALL)).events

    async def check(self, view: str = "counting") -> None:
        """The live copy holds what a replay up to its position gives."""
        position, rows = await sample_views.contents_at(self.store, view)
        assert rows == sample_views.replay((await self.events())[:position])


class Outrun:
    """A store whose live copy moves on before every swap, for as long as it has its owner.

    Args:
        b: the bench.
        owner: the worker of the live copy.
    """

    def __init__(self, b: Bench, owner: worker.Worker) -> None:
        self._b = b
        self._owner = owner
        self.lost = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._b.store, name)

    async def swap(self, slot: ports.Slot) -> None:
        """Swap, after one more event."""
        head = await self._b.append(1)
        await until(
            lambda: (
                self._owner.health().position >= head or self._owner.health().status == "standby"
            )
        )
        self.lost += 1
        await self._b.store.swap(slot)


def event(number: int, *, kind: str = "OrderPlaced") -> envelope.NewEvent:
    """The event of a test's log at a position."""
    return envelope.NewEvent(
        id=f"e{number}",
        source="test",
        type=kind,
        occurred_at=clocks.Timestamp(number),
        aggregate_type="order",
        aggregate_id=f"o{number % 7}",
        payload=b'{"n": %d}' % number,
    )


@contextlib.asynccontextmanager
async def benched(
    store: ports.ViewStore, storage: memory_log.MemoryLogStorage | None = None, *, events: int = 0
) -> AsyncIterator[Bench]:
    """A bench whose log is open within the block and begins with so many events."""
    bench = Bench(store, storage or memory_log.MemoryLogStorage())
    await bench.log.open()
    try:
        if events:
            await bench.append(events)
        yield bench
    finally:
        await bench.log.close()


@contextlib.asynccontextmanager
async def running(
    *coroutines: Coroutine[Any, Any, None],
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Tasks that are stopped at the end of the block; an error of theirs is raised there."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail when it never does."""
    async with asyncio.timeout(_PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - any condition, not only ours
            await asyncio.sleep(0.001)


async def crashing(work: Coroutine[Any, Any, Any]) -> bool:
    """Run until it ends or dies; whether it died."""
    try:
        await work
    except Crash:
        return True
    return False


async def until_caught_up(b: Bench, position: int) -> None:
    """Run a worker until it stands there; its death is ours."""
    work = asyncio.create_task(b.worker().run())
    reached = asyncio.create_task(_reached(b, position))
    try:
        await asyncio.wait([work, reached], return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
    finally:
        await _stop([work, reached])


async def _reached(b: Bench, position: int) -> None:
    while (b.progress.position("counting") or 0) < position:
        await b.progress.changed("counting", timeout_s=1.0)


async def _stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def appending(b: Bench) -> None:
    """Append a few events again and again, until cancelled."""
    while True:
        await b.append(5)
        await asyncio.sleep(0.001)
