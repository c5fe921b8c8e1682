"""Wake-ups by events and by the clock, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from helios.eventlog import envelope, log
from helios.kernel import errors
from helios.reconcile.runtime import keys, resync, waking
from helios.testing import log_samples, memory_log, simloop, simports

P = keys.Priority
KEYS = [keys.Key("acme", "stacks", f"n{number}") for number in range(50)]
Woke = list[tuple[float, keys.Key, P]]


class Bench:
    def __init__(self, loop: simloop.SimLoop) -> None:
        self.clock = simports.SimClock(loop)
        self.woke: Woke = []
        self.listings: list[Exception] = []

    def wake(self, key: keys.Key, priority: P) -> None:
        self.woke.append((self.clock.monotonic(), key, priority))

    async def listed(self) -> AsyncIterator[tuple[keys.Key, float]]:
        await asyncio.sleep(0)
        for number, key in enumerate(KEYS):
            if self.listings and number == 20:
                raise self.listings.pop()
            yield key, 300.0


def simulate(story: Callable[[Bench], Awaitable[None]]) -> None:
    for seed in range(3):
        loop = simloop.SimLoop(seed)

        async def main(loop: simloop.SimLoop = loop) -> None:
            await story(Bench(loop))

        simloop.run(loop, main())


def woken(events: Sequence[envelope.Event]) -> list[tuple[keys.Key, P]]:
    return [(keys.Key(e.tenant, "stacks", e.id), P.EVENT) for e in events]


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_every_key_has_its_turn_in_each_interval_and_they_are_spread() -> None:
    async def story(bench: Bench) -> None:
        made = resync.Resync(bench.wake, bench.listed, clock=bench.clock)
        task = asyncio.create_task(made.run())
        await asyncio.sleep(3_000)
        await ended(task)
        for key in KEYS:
            times = [at for at, found, _ in bench.woke if found == key]
            assert 9 <= len(times) <= 11
        assert {priority for *_, priority in bench.woke} == {P.RESYNC}
        in_a_minute = [sum(m <= at // 60 < m + 1 for at, *_ in bench.woke) for m in range(50)]
        assert max(in_a_minute) <= 25

    simulate(story)


def test_all_keys_are_woken_at_once_when_asked_and_a_failed_listing_is_made_again() -> None:
    async def story(bench: Bench) -> None:
        made = resync.Resync(bench.wake, bench.listed, clock=bench.clock)
        task = asyncio.create_task(made.run())
        await asyncio.sleep(1)
        bench.woke.clear()
        bench.listings = [errors.StorageError("away")]
        made.all_soon(lambda key: key.name != "n3")
        await asyncio.sleep(5)
        found = {key for _, key, _ in bench.woke}
        assert len(found) >= len(KEYS) - 1
        await ended(task)

    simulate(story)


@pytest.mark.parametrize("by_s", [-86_400, 86_400])
def test_a_clock_that_is_set_stops_nothing(by_s: int) -> None:
    async def story(bench: Bench) -> None:
        made = resync.Resync(bench.wake, bench.listed, clock=bench.clock)
        task = asyncio.create_task(made.run())
        await asyncio.sleep(100)
        bench.clock.step(by_s * 1_000_000)
        bench.woke.clear()
        await asyncio.sleep(400)
        await ended(task)
        assert {key for _, key, _ in bench.woke} == set(KEYS)
        assert len(bench.woke) <= 2 * len(KEYS)

    simulate(story)


def test_who_follows_hears_of_what_it_missed_first_and_then_of_every_event() -> None:
    async def story(bench: Bench) -> None:
        a_log = log.Log(memory_log.MemoryLogStorage(), bench.clock)
        await a_log.open()
        await a_log.append([log_samples.event(1)])
        missed: list[envelope.Position] = []
        made = waking.Waking(a_log, bench.wake, clock=bench.clock)
        made.follow(woken, missed=lambda: missed.append(envelope.Position(1)))
        task = asyncio.create_task(made.run())
        await asyncio.sleep(1)
        assert (len(missed), bench.woke) == (1, [])
        await a_log.append([log_samples.event(number) for number in range(2, 6)])
        await asyncio.sleep(0.1)
        assert len(bench.woke) == 4
        await ended(task)
        await a_log.close()

    simulate(story)


class Failing:
    """A log whose feed breaks off once."""

    def __init__(self, real: log.Log, error: Exception) -> None:
        self.real = real
        self.error: Exception | None = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def tail(self, after: envelope.Position) -> AsyncIterator[envelope.Page]:
        async for page in self.real.tail(after):
            yield page
            if self.error is not None:
                error, self.error = self.error, None
                raise error


@pytest.mark.parametrize(
    ("error", "missed_times"), [(errors.StorageError("away"), 1), (errors.CursorError("gone"), 2)]
)
def test_a_feed_that_breaks_off_is_taken_up_where_it_was(
    error: errors.HeliosError, missed_times: int
) -> None:
    async def story(bench: Bench) -> None:
        real = log.Log(memory_log.MemoryLogStorage(), bench.clock)
        await real.open()
        missed: list[int] = []
        breaking: Any = Failing(real, error)
        made = waking.Waking(breaking, bench.wake, clock=bench.clock)
        made.follow(woken, missed=lambda: missed.append(1))
        task = asyncio.create_task(made.run())
        await asyncio.sleep(1)
        for number in range(1, 4):
            await real.append([log_samples.event(number)])
            await asyncio.sleep(2)
        assert len({key for _, key, _ in bench.woke}) == 3
        assert len(missed) == missed_times
        await ended(task)
        await real.close()

    simulate(story)


def test_an_event_that_one_family_cannot_read_wakes_the_others_all_the_same() -> None:
    def stumbles(events: Sequence[envelope.Event]) -> list[tuple[keys.Key, P]]:
        raise KeyError(events[0].id)

    async def story(bench: Bench) -> None:
        a_log = log.Log(memory_log.MemoryLogStorage(), bench.clock)
        await a_log.open()
        missed: list[int] = []
        made = waking.Waking(a_log, bench.wake, clock=bench.clock)
        made.follow(stumbles, missed=lambda: missed.append(1))
        made.follow(woken)
        task = asyncio.create_task(made.run())
        await asyncio.sleep(1)
        await a_log.append([log_samples.event(1)])
        await asyncio.sleep(1)
        assert len(bench.woke) == 1
        assert len(missed) == 2, "at the start, and for what it could not read"
        await ended(task)
        await a_log.close()

    simulate(story)
