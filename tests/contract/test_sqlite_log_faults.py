"""What SQLite's failures become: full disks, failed flushes, power cuts, files that are no log."""

import asyncio
import contextlib
import pathlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import apsw
import pytest

from helios.drivers.sqlite import connection as connections
from helios.drivers.sqlite import log_schema, log_storage
from helios.eventlog import envelope, log, ports, verify
from helios.kernel import clock, errors, limits
from helios.testing import log_samples as samples
from helios.testing import simdisk, simloop

T = TypeVar("T")


class Inline:
    async def run(self, name: str, call: Callable[[], T], /) -> T:
        return call()

    def close(self) -> None:
        pass


@contextlib.contextmanager
def disk(seed: int) -> Iterator[simdisk.SimDisk]:
    loop = simloop.SimLoop(seed)
    loop.close()
    made = simdisk.SimDisk(loop, random.Random(seed))
    yield made
    made.close()


def on_disk(a_disk: simdisk.SimDisk) -> log_storage.SqliteLogStorage:
    return log_storage.SqliteLogStorage(
        "/log.db",
        clock.SystemClock(),
        writer=Inline(),
        vfs=a_disk.vfs,
        exclusive=True,
        prewarm_pages=0,
    )


def in_folder(folder: pathlib.Path, **settings: Any) -> log_storage.SqliteLogStorage:
    settings.setdefault("prewarm_pages", 0)
    return log_storage.SqliteLogStorage(str(folder / "log.db"), clock.SystemClock(), **settings)


@contextlib.asynccontextmanager
async def opened(storage: log_storage.SqliteLogStorage, **settings: Any) -> AsyncIterator[log.Log]:
    a_log = log.Log(storage, samples.SteppedClock(), **settings)
    await a_log.open()
    try:
        yield a_log
    finally:
        await a_log.close()


def sides(storage: ports.LogStorage) -> Any:
    """The connections of a storage, which are its own."""
    assert isinstance(storage, log_storage.SqliteLogStorage)
    return storage._sides


def run(test: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(test)


def test_what_was_acknowledged_survives_a_power_cut() -> None:
    async def write(a_disk: simdisk.SimDisk, count: int) -> None:
        async with opened(on_disk(a_disk)) as a_log:
            for n in range(count):
                await asyncio.gather(*(a_log.append(samples.events([n * 3 + i])) for i in range(3)))
            a_disk.crash()

    async def check(a_disk: simdisk.SimDisk, count: int) -> None:
        async with opened(on_disk(a_disk)) as a_log:
            found = await samples.read_all(a_log)
            assert [samples.stripped(e) for e in found] == samples.events(range(count * 3))
            report = await verify.verify(a_log._storage)
            assert report.broken is None

    for seed in range(20):
        with disk(seed) as a_disk:
            run(write(a_disk, 1 + seed))
            run(check(a_disk, 1 + seed))


def test_a_failed_flush_is_fatal_and_never_tried_again() -> None:
    async def scenario(a_disk: simdisk.SimDisk) -> None:
        fatal: list[errors.StorageFailedError] = []
        async with opened(on_disk(a_disk), on_fatal=fatal.append) as a_log:
            await a_log.append(samples.events([0]))
            a_disk.faults = simdisk.DiskFaults(sync_fails=1.0)
            outcomes = await asyncio.gather(
                *(a_log.append(samples.events([n])) for n in (1, 2)), return_exceptions=True
            )
            assert [type(o) for o in outcomes] == [errors.StorageFailedError] * 2
            assert len(fatal) == 1
            a_disk.faults = simdisk.DiskFaults()
            with pytest.raises(errors.StorageFailedError, match="start again"):
                await a_log.append(samples.events([3]))
            assert await a_log.head() == 1

    with disk(1) as a_disk:
        run(scenario(a_disk))


def test_a_full_disk_refuses_and_recovers_when_there_is_space() -> None:
    async def scenario(a_disk: simdisk.SimDisk) -> None:
        async with opened(on_disk(a_disk)) as a_log:
            await a_log.append(samples.events([0]))
            a_disk.faults = simdisk.DiskFaults(full=1.0)
            for _ in range(3):
                with pytest.raises(errors.StorageError, match="disk is full") as refusal:
                    await a_log.append([samples.event(1, payload=b'{"a":"%s"}' % (b"x" * 9000))])
                assert type(refusal.value) is errors.StorageError
                a_disk.call_ended()
            a_disk.faults = simdisk.DiskFaults()
            appended = await a_log.append(samples.events([1, 2]))
            assert appended.positions == [2, 3]
        async with opened(on_disk(a_disk)) as a_log:
            found = await samples.read_all(a_log)
            assert [samples.stripped(e) for e in found] == samples.events(range(3))
            assert (await verify.verify(a_log._storage)).broken is None

    with disk(2) as a_disk:
        run(scenario(a_disk))


def test_a_full_disk_in_the_middle_of_a_commit_leaves_nothing(tmp_path: pathlib.Path) -> None:
    async def scenario() -> None:
        storage = in_folder(tmp_path)
        async with opened(storage) as a_log:
            await a_log.append(samples.events([0]))
            connection = sides(storage).writing
            connection.pragma("max_page_count", connection.pragma("page_count") + 1)
            big = [samples.event(n, payload=b'{"a":"%s"}' % (b"x" * 9000)) for n in (1, 2, 3)]
            with pytest.raises(errors.StorageError, match="disk is full"):
                await a_log.append(big)
            connection.pragma("max_page_count", 1 << 30)
            assert (await a_log.append(big)).positions == [2, 3, 4]

    run(scenario())


def test_names_of_a_rolled_back_commit_are_forgotten(tmp_path: pathlib.Path) -> None:
    """The numbers given in a commit that failed go to other names in the next one."""

    async def scenario() -> None:
        storage = in_folder(tmp_path)
        big = b'{"a":"%s"}' % (b"x" * 9000)
        lost = samples.event(
            1, source="s1", tenant="t1", type="T1", actor="a:1", aggregate_id="x1", payload=big
        )
        kept = samples.event(2, source="s2", tenant="t2", type="T2", actor="a:2", aggregate_id="x2")
        async with opened(storage) as a_log:
            await a_log.append(samples.events([0]))
            connection = sides(storage).writing
            connection.pragma("max_page_count", connection.pragma("page_count") + 1)
            with pytest.raises(errors.StorageError):
                await a_log.append([lost])
            connection.pragma("max_page_count", 1 << 30)
            await a_log.append([kept])
            await a_log.append([lost])
            found = await samples.read_all(a_log)
        assert [samples.stripped(e) for e in found] == [samples.event(0), kept, lost]

    run(scenario())


def test_a_missing_folder_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.StorageError, match=r"nowhere.*folder"):
        run(in_folder(tmp_path / "nowhere").open())


def test_a_file_that_is_no_database_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "log.db").write_bytes(b"not a database at all" * 1000)
    with pytest.raises(errors.CorruptionError, match="not a SQLite file"):
        run(in_folder(tmp_path).open())


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: pathlib.Path) -> None:
    connection = apsw.Connection(str(tmp_path / "log.db"))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(errors.StorageError, match="not a log of Helios"):
        run(in_folder(tmp_path).open())
    connection = apsw.Connection(str(tmp_path / "log.db"))
    assert [n for (n,) in connection.execute("SELECT name FROM sqlite_schema")] == ["theirs"]
    connection.close()


def test_a_log_of_a_later_version_is_refused(tmp_path: pathlib.Path) -> None:
    async def make() -> None:
        async with opened(in_folder(tmp_path)):
            pass

    run(make())
    connection = apsw.Connection(str(tmp_path / "log.db"))
    connection.pragma("user_version", log_schema.VERSION + 1)
    connection.close()
    with pytest.raises(errors.StorageError, match="later Helios"):
        run(in_folder(tmp_path).open())


def test_a_storage_that_is_not_open_says_so(tmp_path: pathlib.Path) -> None:
    storage = in_folder(tmp_path)
    with pytest.raises(errors.StorageError, match="not open"):
        run(storage.head())
    with pytest.raises(errors.StorageError, match="not open"):
        _ = storage.log_id


def test_a_locked_file_is_a_clear_error_and_not_fatal(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_MS", 20)

    async def scenario() -> None:
        async with opened(in_folder(tmp_path)) as a_log:
            other = apsw.Connection(str(tmp_path / "log.db"))
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(errors.StorageError, match="locked by another process") as refusal:
                await a_log.append(samples.events([0]))
            assert refusal.value.retryable
            assert await a_log.head() == 0
            other.execute("ROLLBACK")
            other.close()
            assert (await a_log.append(samples.events([0]))).positions == [1]

    run(scenario())


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE batches SET recorded_at = recorded_at + 1 WHERE last = 6", "altered"),
        ("UPDATE batches SET hash = zeroblob(32) WHERE last = 6", "altered"),
        ("UPDATE events SET lag_us = lag_us + 1 WHERE position = 5", "altered"),
        ("UPDATE kinds SET type = 'Other'", "altered"),
        ("UPDATE events SET sequence = 9 WHERE position = 5", "sequence"),
        ("DELETE FROM events WHERE position = 5", "missing"),
        ("DELETE FROM events WHERE position = 6", "holds 2 events"),
        ("DELETE FROM events WHERE position > 6", "were removed"),
        ("DELETE FROM batches WHERE last = 6", "altered"),
        ("DELETE FROM batches WHERE last = 9", "no commit is recorded"),
    ],
)
def test_verify_names_what_was_changed_behind_the_logs_back(
    tmp_path: pathlib.Path, statement: str, what: str
) -> None:
    async def scenario() -> None:
        async with opened(in_folder(tmp_path)) as a_log:
            for n in range(3):
                await a_log.append(samples.events(range(n * 3, n * 3 + 3)))
        connection = apsw.Connection(str(tmp_path / "log.db"))
        connection.execute(statement)
        connection.close()
        async with opened(in_folder(tmp_path)) as a_log:
            report = await verify.verify(a_log._storage)
        assert report.broken is not None
        assert what in report.broken.what
        assert report.broken.first <= 9

    run(scenario())


def test_expired_keys_are_removed_a_few_at_each_commit(tmp_path: pathlib.Path) -> None:
    async def scenario() -> None:
        a_clock = samples.SteppedClock()
        storage = in_folder(tmp_path)
        async with samples.opened(
            type("P", (), {"storage": lambda _: storage})(), clock=a_clock
        ) as a_log:
            await asyncio.gather(
                *(
                    a_log.append(samples.events([n]), idempotency=samples.key(f"k{n}"))
                    for n in range(300)
                )
            )
            a_clock.time = clock.Timestamp(
                samples.T0 + limits.IDEMPOTENCY_TTL_S * clock.SECOND_US + 1
            )
            left = []
            for n in range(6):
                await a_log.append(samples.events([1000 + n]), idempotency=samples.key(f"l{n}"))
                left.append(sides(storage).writing.execute("SELECT count(*) FROM idempotency").get)
        assert left[0] > 200
        assert left[-1] == 6

    run(scenario())


@pytest.mark.parametrize(
    "where",
    [
        envelope.Filter(types=("Rare",)),
        envelope.Filter(types=("Rare",), aggregate_id="busy"),
        envelope.Filter(types=("Rare",), aggregate_id="busy", tenant="default"),
    ],
)
def test_a_page_looks_at_a_bounded_number_of_events(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, where: envelope.Filter
) -> None:
    monkeypatch.setattr(limits, "SCAN_EVENTS_MAX", 20)
    given = [
        samples.event(
            n,
            aggregate_id="busy",
            type="Rare" if n in (5, 70, 71) else "Common",
            tenant="acme" if n == 71 else "default",
        )
        for n in range(100)
    ]

    async def scenario() -> None:
        async with opened(in_folder(tmp_path)) as a_log:
            await a_log.append(given)
            page = await a_log.read(envelope.Position(10), where=where)
            assert (page.events, page.head) == ([], 100)
            assert 10 < page.next_after <= 31
            found = await samples.read_all(a_log, where)
            assert [samples.stripped(e) for e in found] == [
                e for e in given if samples.matches(e, where)
            ]

    run(scenario())


def test_a_prewarmed_log_flushes_as_before(tmp_path: pathlib.Path) -> None:
    async def scenario() -> None:
        storage = in_folder(tmp_path, prewarm_pages=200)
        async with opened(storage) as a_log:
            await a_log.append(samples.events([0]))
            await sides(storage).growing
            assert (tmp_path / "log.db-wal").stat().st_size > 200 * 4096
            await a_log.append(samples.events([1]))
            connection = sides(storage).writing
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
            assert "scratch" not in tables
            assert connection.pragma("synchronous") == 2
            assert connection.pragma("wal_autocheckpoint") == log_schema.CHECKPOINT_PAGES
            assert (await verify.verify(storage)).broken is None

    run(scenario())


def test_a_log_closed_while_it_is_prewarmed_keeps_what_it_has(tmp_path: pathlib.Path) -> None:
    async def scenario() -> None:
        async with opened(in_folder(tmp_path, prewarm_pages=1_000_000)) as a_log:
            growing = sides(a_log._storage).growing
            count, beside = 0, apsw.Connection(str(tmp_path / "log.db"))
            while not beside.execute("SELECT 1 FROM sqlite_schema WHERE name = 'scratch'").get:
                await a_log.append(samples.events([count]))
                count += 1
            beside.close()
            assert not growing.done()
        async with opened(in_folder(tmp_path)) as a_log:
            await a_log.append(samples.events([count]))
            assert (await verify.verify(a_log._storage)).broken is None
            assert await a_log.head() == count + 1

    run(scenario())


def test_an_event_takes_at_most_480_bytes(tmp_path: pathlib.Path) -> None:
    """302-byte payloads, four events to an aggregate, every id a UUID, a correlation id on all."""

    async def fill() -> None:
        storage = in_folder(tmp_path)
        async with opened(storage) as a_log:
            rng = random.Random(1)
            for start in range(0, 40_000, 400):
                await a_log.append(_realistic(rng, start, 400))

    run(fill())
    connection = apsw.Connection(str(tmp_path / "log.db"))
    pages = connection.pragma("page_count") - connection.pragma("freelist_count")
    size = pages * connection.pragma("page_size") / 40_000
    connection.close()
    assert size <= 480


def _realistic(rng: random.Random, start: int, count: int) -> list[envelope.NewEvent]:
    made = []
    for n in range(start, start + count):
        if n % 4 == 0:
            aggregate, correlation = (f"{rng.getrandbits(128):032x}" for _ in range(2))
        made.append(
            samples.event(
                n,
                id=_uuid(f"0197{n:08x}{rng.getrandbits(80):020x}"),
                type=("OrderPlaced", "PaymentTaken", "StockReserved", "OrderShipped")[n % 4],
                occurred_at=clock.Timestamp(samples.T0 - rng.randrange(5_000_000)),
                aggregate_id=_uuid(aggregate),
                correlation_id=_uuid(correlation),
                actor="service:shop",
                payload=b'{"note":"%s"}' % (b"x" * 291),
            )
        )
    return made


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
