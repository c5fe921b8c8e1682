"""Passes in virtual time: backoff, deadlines, workers, and the end of the process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from helios.kernel import errors
from helios.reconcile.runtime import backoff, keys, lane, ports, runtime
from helios.testing import simloop, simports

P = keys.Priority
Pass = Callable[[keys.Key, ports.Reason], Awaitable[ports.Result | None]]
A = keys.Key("acme", "stacks", "a")


class Scripted:
    """A reconciler whose passes a test writes, and which sees that no key has two at once."""

    def __init__(self, clock: simports.SimClock, what: Pass) -> None:
        self.clock = clock
        self.what = what
        self.running: set[keys.Key] = set()
        self.passes: list[tuple[float, keys.Key, ports.Reason]] = []

    async def reconcile(self, key: keys.Key, why: ports.Reason) -> ports.Result:
        assert key not in self.running, "two passes over one key at the same time"
        self.running.add(key)
        self.passes.append((self.clock.monotonic(), key, why))
        try:
            return await self.what(key, why) or ports.NOTHING
        finally:
            self.running.discard(key)

    def times(self, key: keys.Key = A) -> list[float]:
        return [round(at, 3) for at, found, _ in self.passes if found == key]


class Bench:
    """A runtime in a simulation."""

    def __init__(self, loop: simloop.SimLoop) -> None:
        self.clock = simports.SimClock(loop)
        self.random = loop.rng("jitter").random
        self.told: list[lane.Passed] = []
        self.runtime = runtime.Runtime(clock=self.clock, random=self.random, told=self.told.append)
        self.running: asyncio.Task[None]

    def register(self, what: Pass, family: str = "stacks", **options: Any) -> Scripted:
        made = Scripted(self.clock, what)
        self.runtime.register(family, made, options=lane.Options(**options))
        return made

    @contextlib.asynccontextmanager
    async def runs(self) -> AsyncIterator[None]:
        self.running = asyncio.create_task(self.runtime.run(), name="runtime")
        try:
            yield
        finally:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)

    def outcomes(self) -> list[str]:
        return [each.outcome for each in self.told]


def simulate(story: Callable[[Bench], Awaitable[None]], seeds: int = 5) -> None:
    for seed in range(seeds):
        loop = simloop.SimLoop(seed)

        async def main(loop: simloop.SimLoop = loop) -> None:
            await story(Bench(loop))

        simloop.run(loop, main())
        assert loop.unhandled == []


async def nothing(key: keys.Key, why: ports.Reason) -> None:
    del key, why


def test_a_wake_up_is_a_pass_and_a_result_says_when_the_next_is() -> None:
    async def again(_: keys.Key, __: ports.Reason) -> ports.Result:
        return ports.Result(requeue_after_s=10.0)

    async def story(bench: Bench) -> None:
        made = bench.register(again)
        async with bench.runs():
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(25)
        assert [round(at) for at in made.times()] == [0, 10, 20]
        assert [why.priority for _, _, why in made.passes] == [P.EVENT] * 3

    simulate(story)


def test_errors_back_off_further_each_time_and_success_forgets_them() -> None:
    fails = 6

    async def failing(_: keys.Key, why: ports.Reason) -> None:
        if why.failures < fails:
            raise errors.StorageError("away")

    async def story(bench: Bench) -> None:
        made = bench.register(failing)
        async with bench.runs():
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(1_000)
            times = made.times()
            assert len(times) == fails + 1
            for number in range(fails):
                assert times[number + 1] - times[number] <= 0.5 * 2**number + 0.01
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(0.1)
            assert made.passes[fails + 1][2].failures == 0

    simulate(story)


def test_how_often_it_failed_may_be_known_from_before_the_process() -> None:
    async def failing(_: keys.Key, why: ports.Reason) -> None:
        assert why.failures == 40
        raise errors.StorageError("no")

    async def story(bench: Bench) -> None:
        made = bench.register(failing, failures=lambda _: 40)
        async with bench.runs():
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(1_000)
        assert 2 <= len(made.passes) <= 40, "300 s at most, 150 s on average"

    simulate(story)


def test_who_says_when_to_come_back_is_not_asked_before_even_for_events() -> None:
    async def limited(_: keys.Key, __: ports.Reason) -> None:
        raise errors.LimitedError("too often", retry_after_s=60.0)

    async def story(bench: Bench) -> None:
        made = bench.register(limited)
        async with bench.runs():
            bench.runtime.wake(A, P.EVENT)
            for _ in range(50):
                await asyncio.sleep(1)
                bench.runtime.wake(A, P.EVENT)
            assert len(made.passes) == 1
            bench.runtime.wake(A, P.OPERATOR)
            await asyncio.sleep(1)
            assert len(made.passes) == 2
            await asyncio.sleep(67)
            assert len(made.passes) == 3

    simulate(story)


def test_a_stream_of_events_does_not_defeat_the_backoff() -> None:
    async def failing(_: keys.Key, __: ports.Reason) -> None:
        raise errors.StorageError("no")

    async def story(bench: Bench) -> None:
        steady = backoff.Linear(base_s=100.0, cap_s=100.0)
        made = bench.register(failing, retries=steady)
        async with bench.runs():
            for _ in range(3_000):
                bench.runtime.wake(A, P.EVENT)
                await asyncio.sleep(0.1)
        assert len(made.passes) <= 60

    simulate(story)


def test_a_pass_is_cancelled_at_its_deadline_which_is_an_error() -> None:
    async def hanging(_: keys.Key, why: ports.Reason) -> None:
        if why.failures == 0:
            await asyncio.sleep(1e6)

    async def story(bench: Bench) -> None:
        made = bench.register(hanging)
        async with bench.runs():
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(40)
        assert bench.outcomes() == ["deadline", "success"]
        assert 30 <= made.times()[1] <= 31

    simulate(story)


def test_a_pass_that_does_not_listen_keeps_its_key_and_takes_nothing_else_along() -> None:
    async def deaf(key: keys.Key, _: ports.Reason) -> None:
        if key != A:
            return
        end = asyncio.get_running_loop().time() + 65
        while (left := end - asyncio.get_running_loop().time()) > 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(left)

    async def story(bench: Bench) -> None:
        made = bench.register(deaf)
        async with bench.runs():
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(1)
            for number in range(60):
                bench.runtime.wake(A, P.OPERATOR)
                bench.runtime.wake(keys.Key("acme", "stacks", f"b{number}"), P.EVENT)
                await asyncio.sleep(1)
            assert bench.outcomes() == ["success"] * 60
            assert len(made.times()) == 1
            await asyncio.sleep(10)
            assert "deadline" in bench.outcomes()
            assert len(made.times()) == 2

    simulate(story)


def test_what_cannot_succeed_is_left_alone_until_something_happens() -> None:
    async def hopeless(_: keys.Key, __: ports.Reason) -> None:
        raise ports.TerminalError("not in this world")

    async def story(bench: Bench) -> None:
        made = bench.register(hopeless)
        async with bench.runs():
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(1)
            for _ in range(10):
                bench.runtime.wake(A, P.RESYNC)
                await asyncio.sleep(300)
            assert len(made.passes) == 1
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(1)
            assert bench.outcomes() == ["terminal", "terminal"]

    simulate(story)


def test_a_family_that_hangs_takes_no_worker_of_another() -> None:
    async def hanging(_: keys.Key, __: ports.Reason) -> None:
        await asyncio.sleep(1e6)

    async def story(bench: Bench) -> None:
        bench.register(hanging, workers=4, pass_s_max=1e5)
        other = bench.register(nothing, "pipeline", workers=1)
        async with bench.runs():
            for number in range(1_000):
                bench.runtime.wake(keys.Key(f"t{number}", "stacks", "a"), P.OPERATOR)
            await asyncio.sleep(1)
            bench.runtime.wake(keys.Key("t", "pipeline", "lag"), P.RESYNC)
            await asyncio.sleep(0.1)
            assert len(other.passes) == 1
            stats = bench.runtime.stats()
            assert (stats["stacks"].queue.running, stats["stacks"].queue.ready) == (4, 996)
            assert stats["pipeline"].passes == {"success": 1}

    simulate(story)


def test_a_key_has_its_pace_and_an_operator_does_not_wait_for_it() -> None:
    async def story(bench: Bench) -> None:
        made = bench.register(nothing, pace_s=10.0)
        async with bench.runs():
            for _ in range(95):
                bench.runtime.wake(A, P.EVENT)
                await asyncio.sleep(0.3)
            assert [round(at) for at in made.times()] == [0, 10, 20]
            bench.runtime.wake(A, P.OPERATOR)
            await asyncio.sleep(0.1)
            assert 28.4 < made.times()[-1] < 28.7

    simulate(story)


def test_a_change_does_not_wait_because_the_resync_has_just_been_there() -> None:
    async def story(bench: Bench) -> None:
        made = bench.register(nothing, pace_s=10.0)
        async with bench.runs():
            bench.runtime.wake(A, P.RESYNC)
            await asyncio.sleep(1)
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(1)
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(60)
        assert [round(at) for at in made.times()] == [0, 1, 11]

    simulate(story)


def test_a_pass_of_the_resync_that_wants_another_at_once_is_paced_too() -> None:
    async def at_once(_: keys.Key, __: ports.Reason) -> ports.Result:
        return ports.Result(requeue_after_s=0.0)

    async def story(bench: Bench) -> None:
        made = bench.register(at_once, pace_s=10.0)
        async with bench.runs():
            bench.runtime.wake(A, P.RESYNC)
            await asyncio.sleep(35)
        assert [round(at) for at in made.times()] == [0, 10, 20, 30]

    simulate(story)


def test_a_long_pass_can_see_that_something_newer_came() -> None:
    seen: list[P | None] = []

    async def long(key: keys.Key, why: ports.Reason) -> None:
        seen.append(why.woken(key))
        await asyncio.sleep(5)
        seen.append(why.woken(key))

    async def story(bench: Bench) -> None:
        seen.clear()
        bench.register(long)
        async with bench.runs():
            bench.runtime.wake(A, P.EVENT)
            await asyncio.sleep(1)
            bench.runtime.wake(A, P.APPROVAL)
            await asyncio.sleep(20)
        assert seen == [None, P.APPROVAL, None, None]

    simulate(story)


def test_passes_may_end_when_the_process_ends_and_none_begins() -> None:
    ended: list[str] = []

    async def some_time(key: keys.Key, _: ports.Reason) -> None:
        await asyncio.sleep(2 if key.name == "short" else 100)
        ended.append(key.name)

    async def story(bench: Bench) -> None:
        ended.clear()
        made = bench.register(some_time, workers=2)
        async with bench.runs():
            for name in ("short", "long", "never"):
                bench.runtime.wake(keys.Key("acme", "stacks", name), P.EVENT)
            await asyncio.sleep(0.1)
        assert ended == ["short"]
        assert {key.name for _, key, _ in made.passes} == {"short", "long"}
        assert sorted(bench.outcomes()) == ["revoked", "success"]
        assert bench.clock.monotonic() < 5

    simulate(story)


def test_a_storage_that_failed_ends_the_process() -> None:
    async def failing(_: keys.Key, __: ports.Reason) -> None:
        raise errors.StorageFailedError("flush")

    async def story(bench: Bench) -> None:
        bench.register(failing)
        bench.register(nothing, "other")
        async with bench.runs():
            bench.runtime.wake(A, P.EVENT)
            with pytest.raises(errors.StorageFailedError):
                await bench.running

    simulate(story)


def test_a_change_behind_a_resync_of_ten_thousand_keys_is_seen_to_at_once() -> None:
    async def probe(_: keys.Key, __: ports.Reason) -> None:
        await asyncio.sleep(0.050)

    async def story(bench: Bench) -> None:
        bench.register(probe)
        async with bench.runs():
            for number in range(10_000):
                bench.runtime.wake(keys.Key(f"t{number % 97}", "stacks", f"r{number}"), P.RESYNC)
            for number in range(100):
                bench.runtime.wake(keys.Key(f"t{number % 97}", "stacks", f"e{number}"), P.EVENT)
                await asyncio.sleep(0.1)
            waits = sorted(each.waited_s for each in bench.told if each.priority is P.EVENT)
            assert len(waits) >= 99
            assert waits[-1] <= 0.250
            assert bench.runtime.stats()["stacks"].queue.ready > 5_000

    simulate(story, seeds=1)


def test_the_error_of_one_key_is_the_matter_of_that_key() -> None:
    async def some_fail(key: keys.Key, _: ports.Reason) -> None:
        if key.name == "a":
            task = asyncio.create_task(asyncio.sleep(100))
            task.cancel()
            await task  # raises CancelledError, though nobody cancelled the pass

    async def story(bench: Bench) -> None:
        made = bench.register(some_fail)
        async with bench.runs():
            for name in "abcd":
                bench.runtime.wake(keys.Key("acme", "stacks", name), P.EVENT)
            await asyncio.sleep(60)
        assert bench.outcomes().count("success") == 3
        assert len(made.times()) > 1, "the one that failed is tried again"

    simulate(story)
