"""What fetches from a queue, a subscription or a topic must do all this: tests to inherit.

A runner's test file subclasses `RunnerConformance` and gives it the fixture `open_place`: a
function that opens a `Place` with nothing in it.

    class TestMyQueue(runner_conformance.RunnerConformance):
        @pytest.fixture
        def open_place(self):
            return my_place
"""

import asyncio
import contextlib
import importlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec
import pytest

from helios.ingest import sources
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.testing import runner_bench as bench

STOP_S = 3.0
"""Longest time that a runner may take to stop."""

_PROGRAM = "helios.testing.runner_bench"


class Place(Protocol):
    """Where a runner fetches from.

    Attributes:
        module: has the runner's `make`.
        declared: a source that fetches from here.
        credentials: values by name.
        poison: bodies of which no event can be made, as far as the place takes such.
        can_replay: whether what was taken can be fetched again, since a time.
    """

    @property
    def module(self) -> str: ...

    @property
    def declared(self) -> sources.Declared: ...

    @property
    def credentials(self) -> Mapping[str, str]: ...

    @property
    def poison(self) -> Sequence[bytes]: ...

    @property
    def can_replay(self) -> bool: ...

    async def publish(self, numbers: range) -> object:
        """Publish events whose payload is `{"number": n}`."""
        ...

    async def publish_raw(self, body: bytes) -> None:
        """Publish this."""
        ...

    async def owed(self) -> int:
        """How many messages are neither acknowledged nor given up."""
        ...

    async def return_loans(self) -> None:
        """Let what a killed process had on loan come again now, if that is not at once anyway."""
        ...


OpenPlace: TypeAlias = Callable[[], AbstractAsyncContextManager[Place]]


class Stand:
    """A place, a gate, and runners between them."""

    def __init__(self, place: Place, a_gate: bench.Gate) -> None:
        self.place = place
        self.gate = a_gate

    async def make(self, *, paused: bool = False) -> sources.Runner:
        declared = msgspec.structs.replace(self.place.declared, paused=paused)
        tools = bench.tools(declared, self.gate, self.place.credentials)
        runner: sources.Runner = await importlib.import_module(self.place.module).make(tools)
        return runner

    async def numbers(self) -> list[int]:
        return sorted(event.data()["number"] for event in await self.gate.events())

    async def holds(self, numbers: range) -> None:
        async def are_there() -> bool:
            return set(await self.numbers()) >= set(numbers)

        await bench.until(are_there, "all of them in the log")

    async def nothing_owed(self) -> None:
        async def is_empty() -> bool:
            return await self.place.owed() == 0

        await bench.until(is_empty, "all acknowledged")

    async def state_is(self, runner: sources.Runner, state: str) -> sources.Status:
        async def is_so() -> bool:
            return (await runner.status()).state == state

        await bench.until(is_so, f"it is {state}")
        return await runner.status()


@contextlib.asynccontextmanager
async def _stand(open_place: OpenPlace, folder: Path) -> AsyncIterator[Stand]:
    async with open_place() as place, bench.open_gate(folder) as a_gate:
        yield Stand(place, a_gate)


class RunnerConformance:
    """The tests."""

    def test_every_event_is_stored_once_and_then_acknowledged(
        self, open_place: OpenPlace, tmp_path: Path
    ) -> None:
        async def main() -> None:
            async with _stand(open_place, tmp_path) as stand:
                runner = await stand.make()
                await stand.place.publish(range(40))
                async with bench.running(runner):
                    await bench.until(lambda: stand.gate.stored == 40, "the first forty")
                    await stand.place.publish(range(40, 60))
                    await bench.until(lambda: stand.gate.stored == 60, "all sixty")
                    await stand.nothing_owed()
                    status = await runner.status()
                assert await stand.numbers() == list(range(60))
                assert (status.state, status.dead) == ("running", 0)
                assert status.fetched - status.duplicates == 60
                assert status.last_event_at is not None
                assert (await runner.status()).state == "stopped"

        asyncio.run(main())

    @pytest.mark.parametrize("where", ["before", "after"])
    def test_what_was_fetched_by_a_task_that_is_cancelled_comes_again(
        self, open_place: OpenPlace, tmp_path: Path, where: str
    ) -> None:
        async def main() -> None:
            async with _stand(open_place, tmp_path) as stand:
                reached = asyncio.Event()

                async def hang() -> None:
                    reached.set()
                    await bench.forever()

                setattr(stand.gate, where, hang)
                await stand.place.publish(range(12))
                task = asyncio.create_task((await stand.make()).run())
                await asyncio.wait_for(reached.wait(), bench.WAIT_S)
                loop = asyncio.get_running_loop()
                began = loop.time()
                task.cancel()
                await asyncio.wait([task])
                assert loop.time() - began < STOP_S
                assert task.cancelled()
                assert await stand.place.owed() == 12
                setattr(stand.gate, where, bench.nothing)
                async with bench.running(await stand.make()):
                    # Not by the gate's count: an append whose caller is cancelled is not counted.
                    await stand.holds(range(12))
                    await stand.nothing_owed()
                assert await stand.numbers() == list(range(12))

        asyncio.run(main())

    def test_a_process_that_is_killed_loses_nothing(
        self, open_place: OpenPlace, tmp_path: Path
    ) -> None:
        async def main() -> None:
            async with open_place() as place:
                await place.publish(range(50))
                words = (
                    place.module,
                    str(tmp_path),
                    msgspec.json.encode(place.declared).decode(),
                    msgspec.json.encode(dict(place.credentials)).decode(),
                )
                child = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", _PROGRAM, *words, stdout=asyncio.subprocess.PIPE
                )
                assert child.stdout is not None
                # It says so after the append and before it tells the source.
                assert await asyncio.wait_for(child.stdout.readline(), bench.WAIT_S)
                child.send_signal(signal.SIGKILL)
                await child.wait()
                await place.return_loans()
                async with bench.open_gate(tmp_path) as a_gate:
                    stand = Stand(place, a_gate)
                    assert await stand.numbers()
                    async with bench.running(await stand.make()):
                        await stand.nothing_owed()
                    assert await stand.numbers() == list(range(50))

        asyncio.run(main())

    def test_what_no_event_can_be_made_of_is_a_dead_letter_and_blocks_nothing(
        self, open_place: OpenPlace, tmp_path: Path
    ) -> None:
        async def main() -> None:
            async with _stand(open_place, tmp_path) as stand:
                poison = stand.place.poison
                assert poison
                await stand.place.publish(range(3))
                for body in poison:
                    await stand.place.publish_raw(body)
                await stand.place.publish(range(3, 6))
                runner = await stand.make()
                async with bench.running(runner):
                    await bench.until(lambda: stand.gate.stored == 6, "the good ones")
                    await bench.until(lambda: stand.gate.dead >= len(poison), "the bad ones")
                    await stand.nothing_owed()
                    status = await runner.status()
                assert await stand.numbers() == list(range(6))
                letters = await stand.gate.letters()
                assert len(letters) == len(poison) == status.dead
                for letter in letters:
                    assert letter["reason"], letter
                    assert letter["origin"], letter

        asyncio.run(main())

    def test_a_gate_that_takes_nothing_has_nothing_acknowledged(
        self, open_place: OpenPlace, tmp_path: Path
    ) -> None:
        async def main() -> None:
            async with _stand(open_place, tmp_path) as stand:
                stand.gate.before = bench.overloaded
                await stand.place.publish(range(15))
                runner = await stand.make()
                async with bench.running(runner):
                    await bench.until(lambda: stand.gate.calls >= 3, "three tries")
                    status = await runner.status()
                    assert (status.state, status.detail) == ("waiting", "full")
                    assert await stand.place.owed() == 15
                    stand.gate.before = bench.nothing
                    await bench.until(lambda: stand.gate.stored == 15, "all of them")
                    await stand.nothing_owed()
                    await stand.state_is(runner, "running")
                assert await stand.numbers() == list(range(15))

        asyncio.run(main())

    def test_nothing_is_fetched_while_it_is_paused(
        self, open_place: OpenPlace, tmp_path: Path
    ) -> None:
        async def main() -> None:
            async with _stand(open_place, tmp_path) as stand:
                runner = await stand.make(paused=True)
                async with bench.running(runner):
                    await stand.place.publish(range(5))
                    await stand.state_is(runner, "paused")
                    assert (stand.gate.calls, await stand.place.owed()) == (0, 5)
                    runner.resume()
                    await bench.until(lambda: stand.gate.stored == 5, "resumed")
                    await stand.nothing_owed()
                    runner.pause()
                    await stand.state_is(runner, "paused")
                    calls = stand.gate.calls
                    # A call for more may be under way still: what it brings is given back.
                    await stand.place.publish(range(5, 9))
                    assert (stand.gate.calls, await stand.place.owed()) == (calls, 4)
                    runner.resume()
                    await bench.until(lambda: stand.gate.stored == 9, "resumed again")
                    await stand.nothing_owed()
                assert await stand.numbers() == list(range(9))

        asyncio.run(main())

    def test_a_replay_brings_duplicates_only_or_is_declined_in_words(
        self, open_place: OpenPlace, tmp_path: Path
    ) -> None:
        async def main() -> None:
            async with _stand(open_place, tmp_path) as stand:
                now = clocks.SystemClock().now()
                since = clocks.Timestamp(now - 60 * clocks.SECOND_US)
                what = sources.Replay(since=since)
                runner = await stand.make()
                await stand.place.publish(range(8))
                async with bench.running(runner):
                    await bench.until(lambda: stand.gate.stored == 8, "all of them")
                    await stand.nothing_owed()
                    if stand.place.can_replay:
                        await self._replayed(stand, runner, what)
                    else:
                        with pytest.raises(errors.InvalidInputError):
                            await runner.replay(what)
                    with pytest.raises(errors.InvalidInputError):
                        await runner.replay(sources.Replay())
                assert await stand.numbers() == list(range(8))

        asyncio.run(main())

    async def _replayed(self, stand: Stand, runner: Any, what: sources.Replay) -> None:
        before = stand.gate.duplicates
        done = await runner.replay(what)
        await bench.until(lambda: stand.gate.duplicates - before >= 8, "all of them again")
        assert (done.stored, done.dead) == (0, 0)
        if done.complete:
            assert done.fetched == done.duplicates == 8
        await stand.nothing_owed()

    def test_it_stops_at_once_when_there_is_nothing_to_do(
        self, open_place: OpenPlace, tmp_path: Path
    ) -> None:
        async def main() -> float:
            async with _stand(open_place, tmp_path) as stand:
                runner = await stand.make()
                loop = asyncio.get_running_loop()
                async with bench.running(runner):
                    await stand.place.publish(range(1))
                    await bench.until(lambda: stand.gate.stored == 1, "it works")
                    await stand.nothing_owed()
                    began = loop.time()
                return loop.time() - began

        assert asyncio.run(main()) < STOP_S
