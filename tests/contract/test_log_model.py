"""Random histories have equal answers from the model, from memory and from SQLite."""

import asyncio
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import given, settings

from helios.drivers.sqlite import log_storage
from helios.eventlog import envelope
from helios.kernel import clock
from helios.testing import log_histories, memory_log

T = TypeVar("T")


class Inline:
    async def run(self, name: str, call: Callable[[], T], /) -> T:
        return call()

    def close(self) -> None:
        pass


class Memory:
    def __init__(self) -> None:
        self._storage = memory_log.MemoryLogStorage()

    def storage(self) -> memory_log.MemoryLogStorage:
        return self._storage

    async def tamper(self, position: envelope.Position) -> None:
        raise NotImplementedError


class Sqlite:
    def __init__(self, folder: str) -> None:
        self._path = str(pathlib.Path(folder) / "log.db")

    def storage(self) -> log_storage.SqliteLogStorage:
        return log_storage.SqliteLogStorage(
            self._path, clock.SystemClock(), writer=Inline(), prewarm_pages=0
        )

    async def tamper(self, position: envelope.Position) -> None:
        raise NotImplementedError


@settings(max_examples=200, deadline=None)
@given(log_histories.histories)
def test_memory_does_as_the_model(history: list[Any]) -> None:
    asyncio.run(log_histories.play(Memory(), history))


@settings(max_examples=60, deadline=None)
@given(log_histories.histories)
def test_sqlite_does_as_the_model(history: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(log_histories.play(Sqlite(folder), history))
