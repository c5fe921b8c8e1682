"""Connections that break and servers that restart: what is answered is what is stored.

The worst moment is the COMMIT: it may or may not have arrived. A relay in front of the real server
cuts the line exactly there, on either side of it.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import asyncpg
import pytest

from helios.drivers.postgres import connection as connections
from helios.drivers.postgres import log_storage, view_store
from helios.eventlog import envelope, log, ports, verify
from helios.kernel import clock, errors
from helios.projections import ports as view_ports
from helios.testing import log_samples as samples
from helios.testing import sample_views

pytestmark = pytest.mark.postgres

COMMIT = (b"COMMIT\x00", b"COMMIT;\x00")


class Relay:
    """A line to the server that can be cut.

    Attributes:
        cut_before: cut the next connection that commits before its COMMIT arrives.
        cut_after: cut it after the server has answered, before anyone hears the answer.
        cuts: how often the line was cut.
        is_down: refuse new connections.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._lines: set[asyncio.Task[None]] = set()
        self.cut_before = False
        self.cut_after = False
        self.cuts = 0
        self.is_down = False
        self.url = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Relay"]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        parts = self._parts
        self.url = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        try:
            yield self
        finally:
            server.close()
            for line in list(self._lines):
                line.cancel()
            await asyncio.gather(*self._lines, return_exceptions=True)

    async def _accept(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            if not self.is_down:
                await self._join(from_client, to_client)
        except asyncio.CancelledError:
            pass
        finally:
            self._lines.discard(task)
            to_client.transport.abort()

    async def _join(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        assert self._parts.port is not None
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._parts.port)
        cut = asyncio.Event()
        up = asyncio.create_task(self._up(from_client, to_server, cut))
        down = asyncio.create_task(self._down(from_server, to_client, cut))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            to_server.transport.abort()

    async def _up(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        while data := await source.read(1 << 16):
            if data.endswith(COMMIT) and self.cut_before:
                self.cut_before = False
                self.cuts += 1
                return
            if data.endswith(COMMIT) and self.cut_after:
                self.cut_after = False
                self.cuts += 1
                cut.set()
            sink.write(data)
            await sink.drain()

    async def _down(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        while (data := await source.read(1 << 16)) and not cut.is_set():
            sink.write(data)
            await sink.drain()


def storage_on(url: str, retry_s: float = connections.RETRY_S) -> log_storage.PostgresLogStorage:
    return log_storage.PostgresLogStorage(url, clock.SystemClock(), retry_s=retry_s)


def request(*numbers: int, key: str | None = None) -> list[ports.AppendRequest]:
    idempotency = samples.key(key) if key else None
    return [ports.AppendRequest(events=samples.events(numbers), idempotency=idempotency)]


def arm(relay: Relay, side: str) -> None:
    relay.cut_before = side == "before"
    relay.cut_after = side == "after"


@pytest.fixture(params=["before", "after"])
def side(request: pytest.FixtureRequest) -> str:
    """Where the line is cut: before the COMMIT arrives, or after it was carried out."""
    value: str = request.param
    return value


def test_an_append_whose_commit_got_no_answer_is_stored_once_and_says_so(
    postgres_url: str, side: str
) -> None:
    async def test() -> None:
        async with Relay(postgres_url).open() as relay:
            storage = storage_on(relay.url)
            await storage.open()
            await storage.commit(request(0), samples.T0)
            arm(relay, side)
            (outcome,) = await storage.commit(request(1, 2, key="k"), samples.T0)
            assert relay.cuts == 1
            assert outcome == envelope.Appended(
                positions=[samples.P(2), samples.P(3)], sequences=[2, 3], duplicates=[False] * 2
            )
            (outcome,) = await storage.commit(request(3), samples.T0)
            assert isinstance(outcome, envelope.Appended)
            assert outcome.positions == [4]
            assert (await verify.verify(storage)).events == 4
            await storage.close()

    asyncio.run(test())


def test_an_append_that_fails_because_the_server_stays_away_stored_nothing(
    postgres_url: str,
) -> None:
    async def test() -> None:
        async with Relay(postgres_url).open() as relay:
            storage = storage_on(relay.url, retry_s=0.5)
            await storage.open()
            relay.is_down = True
            relay.cut_before = True
            storage._disconnect()
            with pytest.raises(errors.StorageError, match="server is away") as raised:
                await storage.commit(request(0), samples.T0)
            assert type(raised.value) is errors.StorageError
            assert raised.value.retryable
            relay.is_down = relay.cut_before = False
            (outcome,) = await storage.commit(request(0), samples.T0)
            assert isinstance(outcome, envelope.Appended)
            assert outcome.duplicates == [False]
            await storage.close()

    asyncio.run(test())


def test_when_nobody_can_say_whether_a_commit_took_place_the_process_must_stop(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        monkeypatch.setattr(log_storage, "SETTLE_S", 0.3)
        async with Relay(postgres_url).open() as relay:
            storage = storage_on(relay.url)
            await storage.open()
            relay.cut_after = relay.is_down = True
            with pytest.raises(errors.StorageFailedError, match="restart Helios"):
                await storage.commit(request(0), samples.T0)
            await storage.close()

    asyncio.run(test())


def test_a_waiting_reader_hears_of_commits_again_after_its_line_was_cut(postgres_url: str) -> None:
    async def test() -> None:
        async with Relay(postgres_url).open() as relay:
            reader, writer = storage_on(relay.url), storage_on(postgres_url)
            await reader.open()
            await writer.open()
            for line in list(relay._lines):
                line.cancel()
            for number in range(3):
                await writer.commit(request(number), samples.T0)
                async with asyncio.timeout(60):
                    while await reader.head() <= number:
                        await reader.wait_commit(5)
            await reader.close()
            await writer.close()

    asyncio.run(test())


def test_a_view_commit_that_got_no_answer_is_done_once(postgres_url: str, side: str) -> None:
    async def test() -> None:
        async with Relay(postgres_url).open() as relay:
            store = view_store.PostgresViewStore(relay.url, clock=clock.SystemClock())
            await store.open()
            view = sample_views.Counting()
            slot = await store.claim(await store.create(view, live=True))
            add = view_ports.Write(
                "INSERT INTO {t}counts VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET n = {t}counts.n + excluded.n",
                [("a", 1, 1)],
            )
            for turn in range(1, 4):
                arm(relay, side)
                # The position stands still: only the count of commits tells them apart.
                slot = await store.commit(slot, [add], slot.checkpoint)
                assert relay.cuts == turn
            assert await store.query("counting", "SELECT n FROM {t}counts") == [(3,)]
            await store.close()

    asyncio.run(test())


def test_a_copy_whose_making_got_no_answer_is_made_once(postgres_url: str, side: str) -> None:
    async def test() -> None:
        async with Relay(postgres_url).open() as relay:
            store = view_store.PostgresViewStore(relay.url, clock=clock.SystemClock())
            await store.open()
            view = sample_views.Counting()
            arm(relay, side)
            slot = await store.create(view, live=False, with_indexes=False)
            arm(relay, side)
            await store.finish(view, slot)
            arm(relay, side)
            await store.swap(slot)
            assert relay.cuts == 3
            assert [found.live for found in await store.slots("counting")] == [True]
            await store.close()

    asyncio.run(test())


@pytest.fixture
def own_server(postgres_script: ModuleType, postgres_server: str) -> Iterator[Path]:
    """Folder of a server that this test alone may restart. Skips where the shared one skips."""
    if not postgres_script.find_binaries():
        pytest.skip("the server is elsewhere: no PostgreSQL here to start one of our own")
    folder = Path(tempfile.mkdtemp(prefix="helios-test-restart-"))
    try:
        postgres_script.start(folder)
        yield folder
    finally:
        postgres_script.stop(folder)


RESTARTS = 3
CALLERS = 16
BETWEEN = 300
"""Events acknowledged between two restarts."""


class Load:
    """Callers that append one event after another until told to stop."""

    def __init__(self, a_log: log.Log) -> None:
        self._log = a_log
        self._heard = asyncio.Condition()
        self.is_done = False
        self.acknowledged: dict[str, int] = {}

    async def hear(self, more: int) -> None:
        wanted = len(self.acknowledged) + more
        async with asyncio.timeout(30), self._heard:
            await self._heard.wait_for(lambda: len(self.acknowledged) >= wanted)

    async def call(self, caller: int) -> None:
        number = 0
        while not self.is_done:
            event = samples.event(0, id=f"{caller}.{number}", aggregate_id=f"{caller}")
            try:
                appended = await self._log.append(
                    [event], expected={("default", "order", f"{caller}"): number}
                )
            except errors.StorageError:
                # Nothing was stored: the same event at the same sequence must be new again.
                continue
            assert appended.duplicates == [False]
            number += 1
            self.acknowledged[event.id] = appended.position
            async with self._heard:
                self._heard.notify_all()


def test_a_server_that_restarts_under_load_loses_and_doubles_nothing(
    postgres_script: ModuleType, own_server: Path
) -> None:
    async def test() -> None:
        url = postgres_script.status(own_server)
        a_log = log.Log(storage_on(url), clock.SystemClock())
        await a_log.open()
        load = Load(a_log)
        async with asyncio.TaskGroup() as group:
            for caller in range(CALLERS):
                group.create_task(load.call(caller))
            for gently in (False, True, False)[:RESTARTS]:
                await load.hear(BETWEEN)
                await asyncio.to_thread(postgres_script.restart, own_server, gently=gently)
            await load.hear(BETWEEN)
            load.is_done = True
        stored = await samples.read_all(a_log)
        assert {event.id: event.position for event in stored} == load.acknowledged
        assert len(stored) == len(load.acknowledged) >= BETWEEN * (RESTARTS + 1)
        await a_log.close()
        storage = storage_on(url)
        await storage.open()
        assert (await verify.verify(storage)).broken is None
        await storage.close()

    asyncio.run(test())


def test_a_server_that_is_not_there_is_named_with_the_remedy() -> None:
    async def test() -> None:
        storage = storage_on("postgresql://someone:secret@127.0.0.1:9/helios", retry_s=0.1)
        with pytest.raises(errors.StorageError) as raised:
            await storage.open()
        message = str(raised.value)
        assert "127.0.0.1:9/helios" in message
        assert "start it" in message
        assert "secret" not in message

    asyncio.run(test())


def test_a_database_that_is_not_there_is_named_with_the_remedy(postgres_url: str) -> None:
    async def test() -> None:
        with pytest.raises(errors.StorageError, match="create the database first"):
            await storage_on(postgres_url + "_not").open()

    asyncio.run(test())


def test_tables_of_a_newer_version_are_left_alone(postgres_url: str) -> None:
    async def test() -> None:
        storage = storage_on(postgres_url)
        await storage.open()
        await storage.close()
        connection = await asyncpg.connect(postgres_url)
        await connection.execute("UPDATE helios.helios_schema SET version = 99")
        await connection.close()
        with pytest.raises(errors.StorageError, match="newer Helios"):
            await storage_on(postgres_url).open()

    asyncio.run(test())


def test_many_processes_may_open_a_new_log_at_once(postgres_url: str) -> None:
    async def test() -> None:
        storages = [storage_on(postgres_url) for _ in range(8)]
        await asyncio.gather(*(storage.open() for storage in storages))
        assert len({storage.log_id for storage in storages}) == 1
        await asyncio.gather(*(storage.close() for storage in storages))

    asyncio.run(test())
