"""Durable appends to the log, beside the flush rate of the same disk.

Rounds alternate between the two, because the rate of a shared disk moves by a factor of ten within
minutes: a result without the flush rate measured beside it says nothing. Each append checks the
dedup key of its events and the expected sequence of its aggregate, with four events to an
aggregate and 302-byte payloads. Prints one JSON object.

    python benchmarks/log_append.py --callers 64 --events-per-append 1 --seconds 1 --rounds 5
    python benchmarks/log_append.py --database-url "$(scripts/postgres.py start)"

Without a database the log is a SQLite file. In a database it gets a schema that is dropped at the
end; the flush rate says something only if the server's data are on the same disk.
"""

import argparse
import asyncio
import json
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time
from typing import Protocol

import apsw
import asyncpg

from helios.drivers.postgres import log_storage as postgres
from helios.drivers.sqlite import log_storage as sqlite
from helios.eventlog import envelope, log, ports
from helios.kernel import clock, ids, limits

EVENTS_PER_AGGREGATE = 4
PAYLOAD_BYTES = 302


def flush_round(folder: pathlib.Path, seconds: float) -> list[float]:
    """Seconds of each 4 KiB append with fdatasync."""
    times = []
    path = folder / "flush"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    block = os.urandom(4096)
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        os.write(fd, block)
        os.fdatasync(fd)
        times.append(time.perf_counter() - start)
    os.close(fd)
    path.unlink()
    return times


class Producer:
    """One caller: appends to one aggregate after the other, as its only writer."""

    def __init__(self, a_log: log.Log, rng: random.Random, per_append: int) -> None:
        self._log = a_log
        self._ids = ids.Uuid7Ids(clock.SystemClock(), rng)
        self._per_append = per_append
        self._now = clock.SystemClock().now
        self.times: list[float] = []
        self.events = 0
        self._next()

    def _next(self) -> None:
        self._aggregate = self._ids.new()
        self._correlation = self._ids.new()
        self._sequence = 0

    async def run(self, end: float) -> None:
        while time.perf_counter() < end:
            expected = {("default", "order", self._aggregate): self._sequence}
            batch = self.batch()
            start = time.perf_counter()
            await self._log.append(batch, expected=expected)
            self.times.append(time.perf_counter() - start)

    def batch(self) -> list[envelope.NewEvent]:
        batch = []
        for _ in range(self._per_append):
            batch.append(self._event())
            self._sequence += 1
            if self._sequence >= EVENTS_PER_AGGREGATE:
                self._next()
        self.events += self._per_append
        return batch

    def _event(self) -> envelope.NewEvent:
        body = {
            "order_id": self._aggregate,
            "amount": "129.90",
            "currency": "EUR",
            "lines": [{"sku": "A-1", "quantity": 2}],
            "note": "",
        }
        size = len(json.dumps(body))
        body["note"] = "x" * (PAYLOAD_BYTES - size)
        return envelope.NewEvent(
            id=self._ids.new(),
            source="aws",
            type=("OrderPlaced", "PaymentTaken", "StockReserved", "OrderShipped")[self._sequence],
            occurred_at=clock.Timestamp(self._now() - 35_000),
            aggregate_type="order",
            aggregate_id=self._aggregate,
            actor="service:shop",
            correlation_id=self._correlation,
            payload=json.dumps(body).encode(),
        )


async def append_round(producers: list[Producer], seconds: float) -> float:
    start = time.perf_counter()
    await asyncio.gather(*(p.run(start + seconds) for p in producers))
    return time.perf_counter() - start


async def read_all(a_log: log.Log) -> tuple[int, float]:
    after, count = envelope.Position(0), 0
    start = time.perf_counter()
    while True:
        page = await a_log.read(after, limit=limits.PAGE_EVENTS_MAX)
        count += len(page.events)
        after = page.next_after
        if after == page.head:
            return count, time.perf_counter() - start


class Place(Protocol):
    """Where the log under measurement lives."""

    def storage(self) -> ports.LogStorage: ...

    async def size(self) -> tuple[int, str]:
        """Bytes it takes, and the version of what keeps it. Nothing is left afterwards."""
        ...


class SqlitePlace:
    def __init__(self, folder: pathlib.Path) -> None:
        self._path = str(folder / "log.db")

    def storage(self) -> ports.LogStorage:
        return sqlite.SqliteLogStorage(self._path, clock.SystemClock())

    async def size(self) -> tuple[int, str]:
        connection = apsw.Connection(self._path)
        connection.pragma("wal_checkpoint(TRUNCATE)")
        pages = connection.pragma("page_count") - connection.pragma("freelist_count")
        size: int = pages * connection.pragma("page_size")
        connection.close()
        return size, f"SQLite {apsw.sqlite_lib_version()}"


class PostgresPlace:
    def __init__(self, url: str) -> None:
        self._url = url
        self._schema = f"helios_bench_{os.getpid()}"

    def storage(self) -> ports.LogStorage:
        return postgres.PostgresLogStorage(self._url, clock.SystemClock(), schema=self._schema)

    async def size(self) -> tuple[int, str]:
        connection = await asyncpg.connect(self._url)
        size: int = await connection.fetchval(
            "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class"
            " WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'",
            self._schema,
        )
        version: str = await connection.fetchval("SHOW server_version")
        await connection.execute(f'DROP SCHEMA "{self._schema}" CASCADE')
        await connection.close()
        return size, f"PostgreSQL {version}"


def milliseconds(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    if not ordered:
        return {}
    return {
        "p50_ms": round(ordered[len(ordered) // 2] * 1e3, 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1e3, 3),
    }


async def measure(args: argparse.Namespace, folder: pathlib.Path) -> dict[str, object]:
    place: Place = PostgresPlace(args.database_url) if args.database_url else SqlitePlace(folder)
    a_log = log.Log(place.storage(), clock.SystemClock())
    await a_log.open()
    rng = random.Random(args.seed)
    producers = [
        Producer(a_log, random.Random(rng.random()), args.events_per_append)
        for _ in range(args.callers)
    ]
    rates, flush_rates, flushes = [], [], []
    for _ in range(args.rounds):
        done = flush_round(folder, args.seconds / 2)
        flushes += done
        flush_rates.append(len(done) / sum(done))
        before = sum(p.events for p in producers)
        took = await append_round(producers, args.seconds)
        rates.append((sum(p.events for p in producers) - before) / took)
    count, took = await read_all(a_log)
    await a_log.close()
    size, version = await place.size()
    return {
        "callers": args.callers,
        "events_per_append": args.events_per_append,
        "events_per_s": round(statistics.median(rates)),
        "best_events_per_s": round(max(rates)),
        **milliseconds([t for p in producers for t in p.times]),
        "flushes_per_s": round(statistics.median(flush_rates)),
        "flush": milliseconds(flushes),
        "events": count,
        "read_events_per_s": round(count / took),
        "bytes_per_event": round(size / max(count, 1)),
        "storage": version,
        "python": sys.version.split()[0],
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--events-per-append", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=pathlib.Path, help="where to write; a temporary one")
    parser.add_argument("--database-url", help="of a PostgreSQL database; default: SQLite")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        print(json.dumps(asyncio.run(measure(args, pathlib.Path(folder)))))


if __name__ == "__main__":
    main()
