"""Messages on loan: held while the gate takes nothing, extended, given back, never lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import pytest

from helios.ingest import lending, sources
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.testing import runner_bench as bench
from helios.testing import steps

LEASE_S = 20.0


class Shelf:
    """A queue in memory; what is lent comes back when it is released."""

    batch_max = 2
    lease_s = LEASE_S
    is_proven = True

    def __init__(self, *texts: str) -> None:
        self.there = list(texts)
        self.done: list[str] = []
        self.released: list[str] = []
        self.extended = self.rests = self.connects = 0
        self.trouble: errors.HeliosError | None = None
        self.news = asyncio.Event()

    def put(self, *texts: str) -> None:
        self.there += texts
        self.news.set()

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[lending.Queue]:
        self.connects += 1
        if self.trouble is not None:
            raise self.trouble
        yield self

    async def receive(self) -> Sequence[lending.Message]:
        while not self.there:
            self.news.clear()
            await self.news.wait()
        taken, self.there = self.there[:2], self.there[2:]
        return [_message(text) for text in taken]

    async def acknowledge(self, messages: Sequence[lending.Message]) -> None:
        self.done += [message.handle for message in messages]

    async def release(self, messages: Sequence[lending.Message]) -> None:
        self.released += [message.handle for message in messages]
        self.put(*[message.handle for message in messages])

    async def extend(self, messages: Sequence[lending.Message]) -> None:
        self.extended += 1

    async def rest(self) -> None:
        self.rests += 1

    async def waiting(self) -> int | None:
        return len(self.there)


def _message(text: str) -> lending.Message:
    fetched = sources.Fetched(origin=text, body=text.encode(), received=())
    return lending.Message(handle=text, fetched=fetched, sent_at=clocks.Timestamp(0))


class Door:
    """A gate that does as it is told."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.calls = 0
        self.before: Callable[[], Coroutine[Any, Any, None]] = bench.nothing

    async def admit(
        self, source: sources.Declared, fetched: list[sources.Fetched]
    ) -> list[sources.Outcome]:
        del source
        self.calls += 1
        await self.before()
        self.taken += [one.origin for one in fetched]
        return [sources.Outcome(results=("stored",)) for _ in fetched]


class Scene:
    """A shelf, a gate, a runner between them, and a clock put forward by hand."""

    def __init__(self, *texts: str, receivers: int = 1, paused: bool = False) -> None:
        self.clock = steps.Steps()
        self.shelf = Shelf(*texts)
        self.door = Door()
        declared = sources.Declared(name="shelf", provider="shelf", paused=paused)
        tools = bench.tools(declared, self.door, clock=self.clock)
        self.runner = lending.Lending(tools, self.shelf.connect, receivers=receivers)

    async def forward_until(
        self, condition: Callable[[], Any], what: str, *, step_s: float = 2.0
    ) -> None:
        def look() -> bool:
            self.clock.forward(step_s)
            return bool(condition())

        await bench.until(look, what)

    async def state(self) -> str:
        return (await self.runner.status()).state


def _run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def test_what_is_durable_is_acknowledged_and_nothing_else_is() -> None:
    async def main() -> None:
        scene = Scene("a", "b", "c")
        async with bench.running(scene.runner):
            await bench.until(lambda: scene.shelf.done == ["a", "b", "c"], "all of them")
        assert scene.door.taken == ["a", "b", "c"]
        assert scene.shelf.released == []

    _run(main)


def test_a_batch_is_held_and_its_loan_extended_while_the_gate_takes_nothing() -> None:
    async def main() -> None:
        scene = Scene("a", "b")
        scene.door.before = bench.overloaded
        async with bench.running(scene.runner):
            await scene.forward_until(lambda: scene.shelf.extended >= 3, "three extensions")
            assert (scene.shelf.done, scene.shelf.released) == ([], [])
            assert await scene.state() == "waiting"
            status = await scene.runner.status()
            assert status.lag_s is not None
            assert status.lag_s > 0
            scene.door.before = bench.nothing
            await scene.forward_until(lambda: scene.shelf.done == ["a", "b"], "taken")
            assert await scene.state() == "running"

    _run(main)


def test_what_is_held_for_too_long_is_given_back_and_comes_again() -> None:
    async def main() -> None:
        scene = Scene("a")
        scene.door.before = bench.overloaded
        async with bench.running(scene.runner):
            began = scene.clock.monotonic()
            await scene.forward_until(
                lambda: scene.shelf.released == ["a"], "given back", step_s=10.0
            )
            assert scene.clock.monotonic() - began > lending.HOLD_S - lending.BACKOFF_S_MAX - 10
            scene.door.before = bench.nothing
            await scene.forward_until(lambda: scene.shelf.done == ["a"], "taken later")

    _run(main)


def test_a_runner_that_is_cancelled_gives_back_what_it_holds() -> None:
    async def main() -> None:
        scene = Scene("a", "b", "c")
        scene.door.before = bench.forever
        async with bench.running(scene.runner):
            await bench.until(lambda: scene.door.calls, "in work")
        assert scene.shelf.done == []
        assert sorted(scene.shelf.there) == ["a", "b", "c"]

    _run(main)


def test_what_a_call_brings_after_a_pause_is_given_back() -> None:
    async def main() -> None:
        scene = Scene("a")
        async with bench.running(scene.runner):
            await bench.until(lambda: scene.shelf.done == ["a"], "the first")
            scene.runner.pause()
            assert await scene.state() == "paused"
            scene.shelf.put("b")
            await bench.until(lambda: scene.shelf.released == ["b"], "given back")
            await bench.until(lambda: scene.shelf.rests > 0, "it rests")
            assert (await scene.runner.status()).lag is not None
            assert scene.door.taken == ["a"]
            scene.runner.resume()
            await bench.until(lambda: scene.shelf.done == ["a", "b"], "resumed")

    _run(main)


def test_a_source_that_is_declared_paused_is_connected_and_tells_its_lag() -> None:
    async def main() -> None:
        scene = Scene("a", "b", "c", paused=True)
        async with bench.running(scene.runner):
            await bench.until(lambda: scene.shelf.rests > 0, "it rests")
            status = await scene.runner.status()
            assert (status.state, status.lag) == ("paused", 3)
            assert scene.door.calls == 0

    _run(main)


def test_further_receivers_help_only_when_there_is_much_to_do() -> None:
    async def main() -> None:
        scene = Scene("a", receivers=3)
        scene.door.before = bench.forever
        async with bench.running(scene.runner):
            await bench.until(lambda: scene.door.calls == 1, "one works")
            scene.shelf.put("b", "c", "d", "e")
            scene.door.before = bench.nothing
            assert scene.shelf.there == ["b", "c", "d", "e"]
        crowd = Scene("a", "b", "c", "d", "e", "f", receivers=3)
        crowd.door.before = bench.forever
        async with bench.running(crowd.runner):
            await bench.until(lambda: crowd.door.calls == 3, "three work at once")

    _run(main)


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (errors.StorageError("the network is away"), "waiting"),
        (errors.InvalidInputError("no such queue"), "failed"),
    ],
)
def test_trouble_is_shown_and_tried_again_later_each_time(
    trouble: errors.HeliosError, state: str
) -> None:
    async def main() -> None:
        scene = Scene("a")
        scene.shelf.trouble = trouble
        async with bench.running(scene.runner):
            await scene.forward_until(lambda: scene.shelf.connects >= 4, "four tries")
            status = await scene.runner.status()
            assert (status.state, status.detail) == (state, str(trouble))
            scene.shelf.trouble = None
            await scene.forward_until(lambda: scene.shelf.done == ["a"], "it recovers")
            assert await scene.state() == "running"
        assert await scene.state() == "stopped"

    _run(main)


def test_pauses_grow_to_a_bound_and_are_as_long_as_the_gate_asks() -> None:
    scene = bench.tools(
        sources.Declared(name="shelf", provider="shelf"), Door(), clock=clocks.SystemClock()
    )
    found = [lending.pause_s(scene, attempt) for attempt in range(1, 40)]
    assert found == sorted(found)
    assert found[-1] <= lending.BACKOFF_S_MAX
    asked = errors.OverloadError("full", retry_after_s=77.0)
    assert lending.pause_s(scene, 1, asked) == 77.0


def test_a_replay_tries_again_a_few_times_and_then_says_so() -> None:
    async def main() -> None:
        door = Door()
        door.before = bench.overloaded
        clock = steps.Steps()
        tools = bench.tools(sources.Declared(name="s", provider="s"), door, clock=clock)
        total = sources.Replayed(fetched=1, stored=1)
        batch = [_message("a").fetched]

        async def replaying() -> sources.Replayed:
            return await lending.again(tools, batch, total)

        task = asyncio.ensure_future(replaying())

        def look() -> bool:
            clock.forward(1)
            return task.done()

        await bench.until(look, "given up")
        with pytest.raises(errors.OverloadError):
            task.result()
        assert door.calls == lending.TRIES
        door.before = bench.nothing
        assert await replaying() == sources.Replayed(fetched=2, stored=2)

    _run(main)
