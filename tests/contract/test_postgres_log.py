"""The PostgreSQL storage against the suite that every storage of the log must pass."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest

from helios.drivers.postgres import log_storage
from helios.eventlog import envelope
from helios.kernel import clock, ids, limits
from helios.testing import log_conformance
from helios.testing import log_samples as samples

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


def test_the_longest_names_of_the_widest_characters_fit(postgres_url: str) -> None:
    async def test() -> None:
        rng = random.Random(1)

        def wide() -> str:
            return "".join(chr(rng.randrange(0x1F300, 0x1F600)) for _ in range(limits.ID_CHARS_MAX))

        names = ("id", "source", "type", "tenant", "aggregate_type", "aggregate_id", "actor")
        given = [samples.event(n, **{name: wide() for name in names}) for n in range(3)]
        async with samples.opened(Place(postgres_url)) as a_log:
            await a_log.append(given)
            assert [samples.stripped(event) for event in await samples.read_all(a_log)] == given
            assert (await a_log.append(given)).duplicates == [True] * 3
            found = await a_log.find(given[1].tenant, given[1].source, given[1].id)
            assert found is not None
            assert found.position == 2

    asyncio.run(test())


def test_an_event_of_302_bytes_takes_at_most_700_on_disk(postgres_url: str) -> None:
    async def test() -> None:
        count = 20_000
        fresh = ids.Uuid7Ids(clock.SystemClock(), random.Random(2))
        names = [fresh.new() for _ in range(count // 4)]
        async with samples.opened(Place(postgres_url)) as a_log:
            for start in range(0, count, 1_000):
                await a_log.append(
                    [
                        samples.event(
                            n,
                            id=fresh.new(),
                            aggregate_id=names[n // 4],
                            correlation_id=fresh.new(),
                            payload=b'{"x":"%s"}' % (b"x" * 294),
                        )
                        for n in range(start, start + 1_000)
                    ]
                )
        connection = await asyncpg.connect(postgres_url)
        size = await connection.fetchval(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relnamespace = 'helios'::regnamespace AND relkind = 'r'"
        )
        await connection.close()
        assert size / count <= 700

    asyncio.run(test())
