"""How the append rate and the size hold as the log grows.

    python benchmarks/log/growth.py sqlite                       to 2,000,000 events
    python benchmarks/log/growth.py postgres --events 500000     starts a server of its own
    python benchmarks/log/growth.py sqlite --quick

Batches of a thousand 302-byte events, four to an aggregate, durable as always. The rate of the last
step is compared with that of the first. Beside each step stands the disk's flush rate, because a
batch costs a flush.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import apsw
import asyncpg
import ours
import run
import slices

from helios.eventlog import envelope, log
from helios.kernel import clock as clocks
from helios.kernel import ids

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import measure

BATCH = 1_000
STEPS = 8
EVENTS_PER_AGGREGATE = 4
BYTES_MAX = {"sqlite": 480, "postgres": 700}


def batch(clock: clocks.Clock, fresh: ids.Ids) -> list[envelope.NewEvent]:
    aggregates = [fresh.new() for _ in range(BATCH // EVENTS_PER_AGGREGATE)]
    return [
        envelope.NewEvent(
            id=fresh.new(),
            source="aws",
            type="OrderPlaced",
            occurred_at=clock.now(),
            aggregate_type="order",
            aggregate_id=aggregates[number // EVENTS_PER_AGGREGATE],
            payload=slices.PAYLOAD_BYTES,
        )
        for number in range(BATCH)
    ]


async def steps(kind: str, place: str, events: int) -> AsyncIterator[tuple[float, float]]:
    """Wall and CPU seconds of each step."""
    clock = clocks.SystemClock()
    fresh = ids.Uuid7Ids(clock)
    events_log = log.Log(ours.storage(kind, place, clock, fresh), clock)
    await events_log.open()
    for _ in range(STEPS):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(events // STEPS // BATCH):
            await events_log.append(batch(clock, fresh))
        yield time.perf_counter() - wall, time.process_time() - cpu
    await events_log.close()


async def size(kind: str, place: str) -> int:
    """Bytes of tables and indexes."""
    if kind == "sqlite":
        db = apsw.Connection(place)
        db.pragma("wal_checkpoint", "TRUNCATE")
        pages = db.pragma("page_count") - db.pragma("freelist_count")
        total = int(pages * db.pragma("page_size"))
        db.close()
        return total
    connection = await asyncpg.connect(place)
    query = (
        "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'helios' AND relkind = 'r'"
    )
    total = int(await connection.fetchval(query))
    await connection.close()
    return total


async def grow(kind: str, place: str, events: int, folder: Path) -> list[tuple[str, ...]]:
    step = events // STEPS // BATCH * BATCH
    rates, rows = [], []
    async for wall, cpu in steps(kind, place, events):
        rates.append(step / wall)
        flush = measure.flush_rate(folder, seconds=0.3)
        done = f"{step * len(rates):,}"
        rows.append((done, f"{rates[-1]:,.0f}", f"{cpu / step * 1e6:.1f}", f"{flush.per_s:,.0f}"))
    print(measure.table(("events", "events/s", "CPU us/event", "flushes/s"), rows))
    per_event = await size(kind, place) / (step * STEPS)
    return [
        measure.verdict(f"{kind}: rate of the last step / first", rates[-1] / rates[0], 0.6),
        measure.verdict(f"{kind}: bytes per event", per_event, BYTES_MAX[kind], at_most=True),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backend", choices=BYTES_MAX)
    parser.add_argument("--quick", action="store_true", help="40,000 events")
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    options = parser.parse_args()
    events = 40_000 if options.quick else options.events
    print(measure.machine() + "\n")
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch, ExitStack() as stack:
        folder = Path(scratch)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own
        place = str(folder / "log.sqlite")
        if options.backend == "postgres":
            place = stack.enter_context(run.postgres(folder)) + "/ours"
        rows = asyncio.run(grow(options.backend, place, events, folder))
    print("\n" + measure.table(("figure", "measured", "must", ""), rows))
    sys.exit(any(row[-1] == "MISSED" for row in rows) and not options.quick)


if __name__ == "__main__":
    main()
