"""A bench for tests of access: processes over one log in memory, on a clock that a test turns."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import argon2

from helios.access import model, parts, sessions, view
from helios.drivers.sqlite import view_store
from helios.eventlog import envelope, log
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.projections import catalog
from helios.testing import memory_keep, memory_log

T = TypeVar("T")

HERE = sessions.Where(address="192.0.2.1", agent="test")
ADMIN = model.Grant(role="admin")
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Argon2 with almost no work, so that tests are fast; see `access.passwords` for the real one."""


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.time = 1_767_225_600 * clocks.SECOND_US

    def now(self) -> clocks.Timestamp:
        return clocks.Timestamp(self.time)

    def monotonic(self) -> float:
        return self.time / clocks.SECOND_US

    async def sleep(self, seconds: float, /) -> None:  # noqa: ARG002 - the port has it
        # What waits for time here is woken by what it waits for.
        await asyncio.sleep(0.001)

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.time += round(seconds * clocks.SECOND_US)


class Bench:
    """One installation; `process` gives one of its processes."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.keep = memory_keep.MemoryKeep()
        self.log = log.Log(memory_log.MemoryLogStorage(), self.clock)
        self.store = view_store.SqliteViewStore(str(folder / "views.sqlite"))
        self.views = catalog.Catalog([view.VIEW], self.log, self.store, clock=self.clock)
        self._rng = random.Random(1)  # noqa: S311 - a test must be repeatable
        self.ids = ids.Uuid7Ids(self.clock, self._rng)

    @contextlib.asynccontextmanager
    async def process(self) -> AsyncIterator[parts.Access]:
        """A process that knows whom the log knows."""
        made = parts.made(
            self.log,
            self.store,
            self.keep,
            visible=self.views.wait_for,
            threads=[_Inline(), _Inline()],
            clock=self.clock,
            id_source=self.ids,
            random=self._rng.randbytes,
            hasher=CHEAP,
        )
        following = asyncio.create_task(made.follower.run())
        try:
            await made.sessions.ready()
            yield made
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def events(self) -> Sequence[envelope.Event]:
        """All of the log."""
        return (await self.log.read(envelope.Position(0))).events


class _Inline:
    """Runs calls where they are made."""

    async def run(self, name: str, call: Callable[[], T], /) -> T:
        del name
        return call()

    def close(self) -> None:
        """Nothing is open."""


@contextlib.asynccontextmanager
async def benched(folder: Path) -> AsyncIterator[Bench]:
    """A bench whose log and views are open and kept within the block."""
    bench = Bench(folder)
    await bench.log.open()
    await bench.store.open()
    await bench.views.start()
    keeping = asyncio.create_task(bench.views.run())
    try:
        yield bench
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await bench.store.close()
        await bench.log.close()
