"""The log in memory passes the suite that the durable ones pass."""

import contextlib
from collections.abc import AsyncIterator

import msgspec

from helios.eventlog import envelope
from helios.testing import log_conformance, log_samples, memory_log


class _Place:
    def __init__(self) -> None:
        self._storage = memory_log.MemoryLogStorage()

    def storage(self) -> memory_log.MemoryLogStorage:
        return self._storage

    async def tamper(self, position: envelope.Position) -> None:
        event = self._storage._events[position - 1]
        self._storage._events[position - 1] = msgspec.structs.replace(event, payload=b'{"x":1}')


class TestMemoryLog(log_conformance.LogStorageConformance):
    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[log_samples.Place]:
        yield _Place()
