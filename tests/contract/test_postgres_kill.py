"""Writers that are killed, and sessions that sit in the way: nothing lost, nothing twice."""

import asyncio
import collections
import contextlib
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from helios.drivers.postgres import log_storage
from helios.eventlog import envelope, ports, verify
from helios.kernel import clock
from helios.testing import log_samples as samples

pytestmark = pytest.mark.postgres

WRITERS = 8
KILLS = 10
BETWEEN = 200
"""Events acknowledged between two kills."""

BOUND_S = 60.0


def made(url: str) -> log_storage.PostgresLogStorage:
    return log_storage.PostgresLogStorage(url, clock.SystemClock())


@contextlib.asynccontextmanager
async def storing(url: str) -> AsyncIterator[log_storage.PostgresLogStorage]:
    storage = made(url)
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


@contextlib.asynccontextmanager
async def idle_in_transaction(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's session that wrote something and went for lunch."""
    session = await asyncpg.connect(url)
    await session.execute("CREATE TABLE lunch (n integer)")
    await session.execute("BEGIN; INSERT INTO lunch VALUES (1)")
    try:
        yield session
    finally:
        await session.close()


class Writers:
    """Processes that append, and what they were told."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._alive: list[asyncio.subprocess.Process] = []
        self._listening: list[asyncio.Task[None]] = []
        self._names = 0
        self._heard = asyncio.Condition()
        self.acknowledged: list[str] = []

    async def start(self) -> None:
        script = Path(__file__).with_name("postgres_writer.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            self._url,
            f"w{self._names}",
            stdout=asyncio.subprocess.PIPE,
        )
        self._names += 1
        self._alive.append(process)
        self._listening.append(asyncio.create_task(self._listen(process)))

    async def kill(self, nth: int) -> None:
        process = self._alive.pop(nth)
        assert process.returncode is None, "a writer ended by itself"
        process.kill()
        await process.wait()

    async def hear(self, more: int) -> None:
        """Return after so many more acknowledgements; fail when none come for too long."""
        wanted = len(self.acknowledged) + more
        async with asyncio.timeout(BOUND_S), self._heard:
            await self._heard.wait_for(lambda: len(self.acknowledged) >= wanted)

    async def stop(self) -> None:
        while self._alive:
            await self.kill(0)
        await asyncio.gather(*self._listening)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            # A line cut off by the kill was never read by anyone.
            if line.endswith(b"\n"):
                self.acknowledged.append(line.decode().strip())
            async with self._heard:
                self._heard.notify_all()


async def follow(
    storage: log_storage.PostgresLogStorage, seen: list[envelope.Event], done: asyncio.Event
) -> None:
    """Read on from the last position seen, as any reader does."""
    after = envelope.Position(0)
    while True:
        last_round = done.is_set()
        page = await storage.read(after, 100, envelope.ALL)
        seen.extend(page.events)
        after = page.next_after
        if after == page.head and last_round:
            return
        if after == page.head:
            await storage.wait_commit(0.2)


def test_killed_writers_lose_nothing_and_leave_no_gap_to_a_reader(postgres_url: str) -> None:
    async def test() -> None:
        rng = random.Random(7)
        writers = Writers(postgres_url)
        seen: list[envelope.Event] = []
        done = asyncio.Event()
        async with storing(postgres_url) as storage, idle_in_transaction(postgres_url):
            reading = asyncio.create_task(follow(storage, seen, done))
            for _ in range(WRITERS):
                await writers.start()
            await writers.hear(BETWEEN)
            for _ in range(KILLS):
                await writers.kill(rng.randrange(WRITERS))
                await writers.start()
                await writers.hear(BETWEEN)
            await writers.stop()
            done.set()
            async with asyncio.timeout(BOUND_S):
                await reading
            report = await verify.verify(storage)
        assert report.broken is None
        assert [event.position for event in seen] == list(range(1, report.head + 1))
        times = collections.Counter(event.id for event in seen)
        assert max(times.values()) == 1
        assert set(writers.acknowledged) <= set(times)
        assert len(writers.acknowledged) == len(set(writers.acknowledged)) > KILLS * BETWEEN

    asyncio.run(test())


def test_a_writer_frozen_while_it_has_the_turn_stops_nobody_for_long(postgres_url: str) -> None:
    async def test() -> None:
        async with storing(postgres_url) as storage, storing(postgres_url) as frozen:
            connection = await frozen._connected()
            await connection.execute("BEGIN; SELECT FROM turn FOR UPDATE")
            request = [ports.AppendRequest(events=samples.events([1]))]
            async with asyncio.timeout(BOUND_S):
                (outcome,) = await storage.commit(request, samples.T0)
            assert isinstance(outcome, envelope.Appended)
            again = [ports.AppendRequest(events=samples.events([2]))]
            async with asyncio.timeout(BOUND_S):
                (outcome,) = await frozen.commit(again, samples.T0)
            assert isinstance(outcome, envelope.Appended)
            assert outcome.positions == [2]

    asyncio.run(test())
