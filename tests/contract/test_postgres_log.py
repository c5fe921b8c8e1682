"""The PostgreSQL storage against the suite that every storage of the log must pass."""

import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from helios.drivers.postgres import log_storage
from helios.eventlog import envelope
from helios.kernel import clock
from helios.testing import log_conformance

pytestmark = pytest.mark.postgres


class Place:
    """One schema of one database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def storage(self) -> log_storage.PostgresLogStorage:
        return log_storage.PostgresLogStorage(self._url, clock.SystemClock())

    async def tamper(self, position: envelope.Position) -> None:
        connection = await asyncpg.connect(self._url)
        changed = "UPDATE helios.events SET payload = '{\"number\":0}' WHERE position = $1"
        assert await connection.execute(changed, position) == "UPDATE 1"
        await connection.close()


class TestPostgresLogStorage(log_conformance.LogStorageConformance):
    @pytest.fixture(autouse=True)
    def database(self, postgres_url: str) -> None:
        self.url = postgres_url

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        yield Place(self.url)
