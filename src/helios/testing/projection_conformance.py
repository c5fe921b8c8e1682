"""What workers, rebuild, verify and waiting must do on every `ViewStore`, as tests to inherit.

The crash tests kill everything at each call of the store in turn, once before the call did its
work and once after, start again over what is left and compare with a replay.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from helios.eventlog import envelope, log
from helios.kernel import clock as clocks
from helios.kernel import errors, limits
from helios.projections import binding, ports, rebuild, verify, wait, worker
from helios.testing import memory_log, sample_views, view_conformance

_PATIENCE_S = 20.0


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
        (slot,) = [slot for slot in await self.store.slots(view) if slot.live]
        known = (await self.events())[: slot.checkpoint.position]
        assert await sample_views.contents(self.store, view) == sample_views.replay(known)


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


class ProjectionConformance:
    """Workers, rebuild, verify, waiting."""

    several_stores = True
    """Whether two stores may be open over one place; False for one that locks it."""

    @pytest.fixture
    def open_store(self) -> view_conformance.OpenStore:
        raise NotImplementedError

    @pytest.fixture
    def bench(
        self, open_store: view_conformance.OpenStore
    ) -> Callable[..., AbstractAsyncContextManager[Bench]]:
        @contextlib.asynccontextmanager
        async def opened(
            storage: memory_log.MemoryLogStorage | None = None, *, events: int = 0
        ) -> AsyncIterator[Bench]:
            async with open_store() as store, benched(store, storage, events=events) as bench:
                yield bench

        return opened

    # Workers

    def test_a_worker_catches_up_and_follows(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=1_234) as b, running(b.worker().run()):
                assert await b.waiter.wait_for("counting", 1_234) == 1_234
                for _ in range(20):
                    position = await b.append(3)
                    await b.waiter.wait_for("counting", position)
                    assert len((await sample_views.contents(b.store))[1]) == position
                await b.check()

        view_conformance.run(test)

    def test_a_worker_says_how_it_is_doing(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=50) as b:
                w = b.worker()
                assert w.health().status == "starting"
                async with running(w.run()):
                    await until(lambda: w.health().status == "live")
                    health = w.health()
                    assert (health.position, health.head, health.lag_events) == (50, 50, 0)
                    assert (health.lag_s, health.error, health.is_ready) == (0.0, None, True)

        view_conformance.run(test)

    def test_a_sparse_filter_still_reaches_the_head(self, bench: Any) -> None:
        async def test() -> None:
            view = sample_views.Counting(where=envelope.Filter(types=("Rare",)))
            async with bench(events=350) as b:
                await b.append(1, kind="Rare")
                head = await b.append(250)
                async with running(b.worker(view).run()):
                    await b.waiter.wait_for("counting", head)
                    assert [row[0] for row in (await sample_views.contents(b.store))[1]] == [351]

        view_conformance.run(test)

    def test_a_worker_stopped_anywhere_goes_on_where_it_was(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=3_000) as b:
                for yields in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89):
                    task = asyncio.create_task(b.worker().run())
                    for _ in range(yields):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    if await b.store.slots("counting"):
                        await b.check()
                async with running(b.worker().run()):
                    await b.waiter.wait_for("counting", envelope.Position(3_000))
                    await b.check()

        view_conformance.run(test)

    def test_a_worker_killed_at_any_call_loses_and_doubles_nothing(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=500) as b:
                real, call, died = b.store, 0, True
                while died:
                    for after in (False, True):
                        b.store = Crashing(real, call, after=after)
                        died = await crashing(_until_caught_up(b, 500))
                        b.store = real
                        if await real.slots("counting"):
                            await b.check()
                        for slot in await real.slots("counting"):
                            await real.drop(slot)
                    call += 1
                assert call > 5

        view_conformance.run(test)

    def test_the_former_owner_stands_by(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=10) as b:
                first, second = b.worker(), b.worker()
                async with running(first.run()):
                    await until(lambda: first.health().status == "live")
                    async with running(second.run()) as tasks:
                        await until(lambda: second.health().status == "live")
                        head = await b.append(10)
                        await until(lambda: second.health().position == head)
                        await until(lambda: first.health().status == "standby")
                        head = await b.append(10)
                        await until(lambda: second.health().position == head)
                        assert first.health().status == "standby"
                        await b.check()
                        tasks[0].cancel()
                    head = await b.append(10)
                    await until(lambda: first.health().position == head)
                    assert first.health().status == "live"
                    await b.check()

        view_conformance.run(test)

    def test_an_event_that_cannot_be_applied_is_named_until_it_can(self, bench: Any) -> None:
        async def test() -> None:
            view = sample_views.Counting(poison={"e777"})
            async with bench(events=1_000) as b:
                w = b.worker(view)
                async with running(w.run()):
                    await until(lambda: w.health().failed_event_id is not None)
                    health = w.health()
                    assert (health.status, health.is_ready) == ("failed", False)
                    assert (health.failed_position, health.failed_event_id) == (777, "e777")
                    assert health.position == 776
                    assert health.lag_s > 0
                    for part in ("counting", "777", "e777", "poison"):
                        assert part in str(health.error)
                    await b.check()
                    view.poison.clear()
                    await b.waiter.wait_for("counting", envelope.Position(1_000))
                    assert w.health().error is None
                    await b.check()

        view_conformance.run(test)

    def test_a_worker_waits_while_another_version_is_live(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=10) as b:
                await b.store.create(sample_views.Counting(version=1), live=True)
                view = sample_views.Counting(version=2)
                w = b.worker(view)
                async with running(w.run()):
                    await until(lambda: w.health().status == "other_version")
                    assert not w.health().is_ready
                    await rebuild.rebuild(view, b.log, b.store, clock=b.clock)
                    await until(lambda: w.health().status == "live")
                    await b.check()

        view_conformance.run(test)

    def test_a_view_ahead_of_a_restored_log_is_refused_with_the_remedy(self, bench: Any) -> None:
        async def test() -> None:
            storage = memory_log.MemoryLogStorage()
            async with bench(storage) as b:
                for _ in range(3):
                    await b.append(10)
                async with running(b.worker().run()):
                    await b.waiter.wait_for("counting", envelope.Position(30))
            async with bench(storage.copy(head=20)) as b:
                with pytest.raises(errors.CursorError, match="views rebuild counting"):
                    await b.worker().run()
                with pytest.raises(errors.CursorError, match="views rebuild counting"):
                    await verify.verify(sample_views.Counting(), b.log, b.store, clock=b.clock)

        view_conformance.run(test)

    # Rebuild

    def test_a_rebuild_serves_the_old_copy_until_the_new_one_has_caught_up(
        self, bench: Any
    ) -> None:
        async def test() -> None:
            async with bench(events=5_000) as b:
                w = b.worker()
                async with running(w.run(), _appending(b)):
                    await b.waiter.wait_for("counting", envelope.Position(5_000))
                    (old,) = await b.store.slots("counting")
                    steps: list[rebuild.Step] = []
                    new = await rebuild.rebuild(
                        sample_views.Counting(),
                        b.log,
                        b.store,
                        clock=b.clock,
                        report=steps.append,
                    )
                    (live,) = await b.store.slots("counting")
                    assert live.prefix == new.prefix != old.prefix
                    assert live.checkpoint.position >= 5_000
                    assert live.checkpoint.state == b""
                    phases = list(dict.fromkeys(step.phase for step in steps))
                    assert phases == ["building", "indexing", "catching_up", "done"]
                    positions = [step.position for step in steps]
                    assert positions == sorted(positions)
                    head = await b.append(1)
                    await b.waiter.wait_for("counting", head)
                await b.check()

        view_conformance.run(test)

    def test_a_rebuild_killed_at_any_call_can_be_done_again(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=300) as b:
                await _until_caught_up(b, 300)
                view = sample_views.Counting()
                call, died = 0, True
                while died:
                    for after in (False, True):
                        store = Crashing(b.store, call, after=after)
                        again = rebuild.rebuild(view, b.log, store, clock=b.clock, alone=True)
                        died = await crashing(again)
                        await b.check()
                        await rebuild.rebuild(view, b.log, b.store, clock=b.clock, alone=True)
                        await b.check()
                        assert len(await b.store.slots("counting")) == 1
                    call += 1
                assert call > 8

        view_conformance.run(test)

    def test_a_second_rebuild_is_refused(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=3_000) as b:
                view = sample_views.Counting()
                begun = asyncio.Event()
                first = asyncio.create_task(
                    rebuild.rebuild(
                        view, b.log, b.store, clock=b.clock, report=lambda _: begun.set()
                    )
                )
                await begun.wait()
                with pytest.raises(errors.ConflictError, match="being rebuilt already"):
                    await rebuild.rebuild(view, b.log, b.store, clock=b.clock)
                await first
                await b.check()
                await rebuild.rebuild(view, b.log, b.store, clock=b.clock)
                await b.check()

        view_conformance.run(test)

    def test_a_rebuild_that_fails_leaves_the_old_copy_alone(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=300) as b:
                await _until_caught_up(b, 300)
                view = sample_views.Counting(poison={"e250"})
                with pytest.raises(errors.HeliosError, match="e250"):
                    await rebuild.rebuild(view, b.log, b.store, clock=b.clock)
                assert len(await b.store.slots("counting")) == 1
                await b.check()

        view_conformance.run(test)

    # Verify

    def test_a_view_that_is_what_the_log_says_verifies(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=5_000) as b:
                async with running(b.worker().run(), _appending(b)):
                    await b.waiter.wait_for("counting", envelope.Position(5_000))
                    found = await verify.verify(
                        sample_views.Counting(), b.log, b.store, clock=b.clock
                    )
                assert found.is_equal, found
                assert found.rows == 7 + found.position
                assert len(await b.store.slots("counting")) == 1

        if self.several_stores:
            view_conformance.run(test)

    @pytest.mark.parametrize("keyed", [True, False])
    def test_verify_names_the_first_differing_row_of_each_table(
        self, bench: Any, *, keyed: bool
    ) -> None:
        async def test() -> None:
            view = sample_views.Counting()
            if not keyed:
                view.keys = {}
            async with bench(events=4_500) as b:
                await _until_caught_up(b, 4_500)
                slot = await b.store.claim((await b.store.slots("counting"))[0])
                statements = (
                    "UPDATE {t}seen SET id = 'other' WHERE position = ?",
                    "DELETE FROM {t}counts WHERE last = ?",
                )
                writes = [ports.Write(sql, [(4_100,)]) for sql in statements[:1]]
                writes.append(ports.Write(statements[1], [(4_500,)]))
                await b.store.commit(slot, writes, slot.checkpoint)
                found = await verify.verify(view, b.log, b.store, clock=b.clock)
                by_table = {d.table: d for d in found.differences}
                assert by_table["seen"].row == 4_100
                assert by_table["seen"].live == (4_100, "other", b'{"n": 4100}')
                assert by_table["seen"].rebuilt == (4_100, "e4100", b'{"n": 4100}')
                assert by_table["counts"].row == 4_500 % 7 + 1
                assert len(await b.store.slots("counting")) == 1

        view_conformance.run(test)

    # Waiting

    def test_a_wait_ends_at_its_deadline_and_names_both_positions(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=5) as b, running(b.worker().run()):
                await b.waiter.wait_for("counting", envelope.Position(5))
                with pytest.raises(errors.DeadlineError, match=r"counting.* 5, .* 6, ") as caught:
                    await b.waiter.wait_for("counting", envelope.Position(6), timeout_s=0.05)
                assert caught.value.retryable

        view_conformance.run(test)

    def test_a_wait_sees_what_another_process_projects(
        self, open_store: view_conformance.OpenStore
    ) -> None:
        async def test() -> None:
            async with (
                open_store() as store,
                open_store() as other,
                benched(store, events=10) as b,
            ):
                waiter = wait.Waiter(other, wait.Progress())
                waiting = asyncio.create_task(waiter.wait_for("counting", envelope.Position(15)))
                async with running(b.worker().run()):
                    await b.waiter.wait_for("counting", envelope.Position(10))
                    assert not waiting.done()
                    await b.append(5)
                    assert await waiting == 15

        if self.several_stores:
            view_conformance.run(test)

    # Binding

    def test_views_serve_the_log_they_were_built_from_and_no_other(self, bench: Any) -> None:
        async def test() -> None:
            async with bench() as b:
                assert await binding.bound_to(b.store) is None
                await asyncio.gather(*(binding.bind(b.store, "one") for _ in range(3)))
                await binding.bind(b.store, "one")
                with pytest.raises(errors.CursorError, match="rebuild --all"):
                    await binding.bind(b.store, "two")
                await binding.rebind(b.store, "two")
                await binding.bind(b.store, "two")
                assert await binding.bound_to(b.store) == "two"

        view_conformance.run(test)


async def _until_caught_up(b: Bench, position: int) -> None:
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


async def _appending(b: Bench) -> None:
    while True:
        await b.append(5)
        await asyncio.sleep(0.001)
