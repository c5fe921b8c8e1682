"""What workers, rebuild, verify and waiting must do on every `ViewStore`, as tests to inherit.

The crash tests kill everything at each call of the store in turn, once before the call did its
work and once after, start again over what is left and compare with a replay.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from helios.eventlog import envelope
from helios.kernel import errors
from helios.projections import binding, ports, rebuild, verify, wait
from helios.testing import memory_log, projection_bench, sample_views, view_conformance


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
    ) -> Callable[..., AbstractAsyncContextManager[projection_bench.Bench]]:
        @contextlib.asynccontextmanager
        async def opened(
            storage: memory_log.MemoryLogStorage | None = None, *, events: int = 0
        ) -> AsyncIterator[projection_bench.Bench]:
            async with (
                open_store() as store,
                projection_bench.benched(store, storage, events=events) as bench,
            ):
                yield bench

        return opened

    # Workers

    def test_a_worker_catches_up_and_follows(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=1_234) as b, projection_bench.running(b.worker().run()):
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
                async with projection_bench.running(w.run()):
                    await projection_bench.until(lambda: w.health().status == "live")
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
                async with projection_bench.running(b.worker(view).run()):
                    await b.waiter.wait_for("counting", head)
                    assert [row[0] for row in (await sample_views.contents(b.store))[1]] == [351]
                    (slot,) = await b.store.slots("counting")
                    assert slot.checkpoint.position == head

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
                async with projection_bench.running(b.worker().run()):
                    await b.waiter.wait_for("counting", envelope.Position(3_000))
                    await b.check()

        view_conformance.run(test)

    def test_a_worker_killed_at_any_call_loses_and_doubles_nothing(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=500) as b:
                real, call, died = b.store, 0, True
                while died:
                    for after in (False, True):
                        b.store = projection_bench.Crashing(real, call, after=after)
                        died = await projection_bench.crashing(
                            projection_bench.until_caught_up(b, 500)
                        )
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
                async with projection_bench.running(first.run()):
                    await projection_bench.until(lambda: first.health().status == "live")
                    async with projection_bench.running(second.run()) as tasks:
                        await projection_bench.until(lambda: second.health().status == "live")
                        head = await b.append(10)
                        await projection_bench.until(lambda: second.health().position == head)
                        await projection_bench.until(lambda: first.health().status == "standby")
                        head = await b.append(10)
                        await projection_bench.until(lambda: second.health().position == head)
                        assert first.health().status == "standby"
                        await b.check()
                        tasks[0].cancel()
                    head = await b.append(10)
                    await projection_bench.until(lambda: first.health().position == head)
                    assert first.health().status == "live"
                    await b.check()

        view_conformance.run(test)

    def test_an_event_that_cannot_be_applied_is_named_until_it_can(self, bench: Any) -> None:
        async def test() -> None:
            view = sample_views.Counting(poison={"e777"})
            async with bench(events=1_000) as b:
                w = b.worker(view)
                async with projection_bench.running(w.run()):
                    await projection_bench.until(lambda: w.health().failed_event_id is not None)
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
                async with projection_bench.running(w.run()):
                    await projection_bench.until(lambda: w.health().status == "other_version")
                    assert not w.health().is_ready
                    await rebuild.rebuild(view, b.log, b.store, clock=b.clock)
                    await projection_bench.until(lambda: w.health().status == "live")
                    await b.check()

        view_conformance.run(test)

    def test_a_view_ahead_of_a_restored_log_is_refused_with_the_remedy(self, bench: Any) -> None:
        async def test() -> None:
            storage = memory_log.MemoryLogStorage()
            async with bench(storage) as b:
                for _ in range(3):
                    await b.append(10)
                async with projection_bench.running(b.worker().run()):
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
                async with projection_bench.running(w.run(), projection_bench.appending(b)):
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

    def test_a_rebuild_wins_against_a_view_that_never_stands_still(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=10) as b:
                w = b.worker()
                store = projection_bench.Outrun(b, w)
                async with projection_bench.running(w.run()):
                    await b.waiter.wait_for("counting", envelope.Position(10))
                    await rebuild.rebuild(sample_views.Counting(), b.log, store, clock=b.clock)
                    head = await b.append(1)
                    await b.waiter.wait_for("counting", head)
                assert store.lost > 1
                await b.check()

        view_conformance.run(test)

    def test_a_rebuild_killed_at_any_call_can_be_done_again(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=300) as b:
                await projection_bench.until_caught_up(b, 300)
                view = sample_views.Counting()
                call, died = 0, True
                while died:
                    for after in (False, True):
                        store = projection_bench.Crashing(b.store, call, after=after)
                        again = rebuild.rebuild(view, b.log, store, clock=b.clock, alone=True)
                        died = await projection_bench.crashing(again)
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
                gate = projection_bench.Gated(b.store, "finish")
                first = asyncio.create_task(rebuild.rebuild(view, b.log, gate, clock=b.clock))
                await gate.reached.wait()
                with pytest.raises(errors.ConflictError, match="being rebuilt already"):
                    await rebuild.rebuild(view, b.log, b.store, clock=b.clock)
                gate.opened.set()
                await first
                await b.check()
                await rebuild.rebuild(view, b.log, b.store, clock=b.clock)
                await b.check()

        view_conformance.run(test)

    def test_a_rebuild_that_fails_leaves_the_old_copy_alone(self, bench: Any) -> None:
        async def test() -> None:
            async with bench(events=300) as b:
                await projection_bench.until_caught_up(b, 300)
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
                async with projection_bench.running(
                    b.worker().run(), projection_bench.appending(b)
                ):
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
                await projection_bench.until_caught_up(b, 4_500)
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
            async with bench(events=5) as b, projection_bench.running(b.worker().run()):
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
                projection_bench.benched(store, events=10) as b,
            ):
                waiter = wait.Waiter(other, wait.Progress())
                waiting = asyncio.create_task(waiter.wait_for("counting", envelope.Position(15)))
                async with projection_bench.running(b.worker().run()):
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
                for slot in await b.store.slots("helios_log"):
                    await b.store.drop(slot)
                logs = ("one", "two", "three")
                bound = await asyncio.gather(
                    *(binding.bind(b.store, log_id) for log_id in logs), return_exceptions=True
                )
                assert bound.count(None) == 1
                assert await binding.bound_to(b.store) == logs[bound.index(None)]
                await binding.rebind(b.store, "two")
                await binding.bind(b.store, "two")
                assert await binding.bound_to(b.store) == "two"

        view_conformance.run(test)
