"""How fast views follow the log, are rebuilt, and show what was appended.

    python benchmarks/views.py --backend sqlite --events 300000
    python benchmarks/views.py --backend postgres --database-url postgresql://…

Prints one JSON object: events per second of catching up (with checkpoint) and of a rebuild while
the old copy is read, in wall and CPU time, the readers' latencies meanwhile, the latency from
append to visible, and the disk's flush rate beside them. The answers are checked: the view is
verified against the log row for row.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import measure

from helios.eventlog import envelope, log
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.projections import ports, rebuild, verify, wait, worker
from helios.projections.views import event_mirror

PAYLOAD_BYTES = 302
APPEND_EVENTS = 1_000
CLIENT = "acme-corp"


def payload(number: int) -> bytes:
    body = {"orderId": f"o-{number // 4}", "amount": number % 10_000, "currency": "EUR"}
    text = json.dumps({**body, "note": ""})
    return json.dumps({**body, "note": "x" * (PAYLOAD_BYTES - len(text))}).encode()


def new_events(start: int, count: int, fresh: ids.Ids, clock: clocks.Clock) -> list[Any]:
    sources = ("aws", "gcp", "azure")
    return [
        envelope.NewEvent(
            id=fresh.new(),
            source=sources[number % 3],
            type="OrderPlaced",
            occurred_at=clock.now(),
            aggregate_type="order",
            aggregate_id=f"o-{number // 4}",
            tenant=CLIENT,
            payload=payload(number),
            metadata=b'{"environment":"production"}',
        )
        for number in range(start, start + count)
    ]


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50_ms": round(statistics.median(ordered) * 1e3, 2),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1e3, 2),
        "max_ms": round(ordered[-1] * 1e3, 2),
    }


def rate(events: int, wall: float, cpu: float) -> dict[str, float]:
    return {
        "events_per_s": round(events / wall),
        "events_per_cpu_s": round(events / cpu),
        "seconds": round(wall, 2),
    }


@contextlib.asynccontextmanager
async def opened(
    args: argparse.Namespace, folder: Path
) -> AsyncIterator[tuple[log.Log, ports.ViewStore, clocks.Clock, ids.Ids]]:
    clock = clocks.SystemClock()
    fresh = ids.Uuid7Ids(clock)
    storage: log_ports.LogStorage
    store: ports.ViewStore
    if args.backend == "sqlite":
        from helios.drivers.sqlite import log_storage, view_store

        storage = log_storage.SqliteLogStorage(str(folder / "log.db"), clock)
        store = view_store.SqliteViewStore(str(folder / "views.db"))
    else:
        from helios.drivers.postgres import log_storage as pg_log
        from helios.drivers.postgres import view_store as pg_views

        storage = pg_log.PostgresLogStorage(args.database_url, clock=clock, fresh=fresh)
        store = pg_views.PostgresViewStore(args.database_url)
    history = log.Log(storage, clock)
    await history.open()
    await store.open()
    try:
        yield history, store, clock, fresh
    finally:
        await store.close()
        await history.close()


async def read_meanwhile(store: ports.ViewStore, done: asyncio.Event) -> list[float]:
    """What a reader of the old copy waits for each page."""
    took = []
    while not done.is_set():
        start = time.perf_counter()
        page = await event_mirror.by_client(store, CLIENT, limit=20)
        took.append(time.perf_counter() - start)
        assert len(page.entries) == 20
        await asyncio.sleep(0.01)
    return took


async def measured(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = {"backend": args.backend, "events": args.events}
    async with opened(args, folder) as (history, store, clock, fresh):
        for start in range(0, args.events, APPEND_EVENTS):
            count = min(APPEND_EVENTS, args.events - start)
            await history.append(new_events(start, count, fresh, clock))
        head = await history.head()
        progress = wait.Progress()
        waiter = wait.Waiter(store, progress)
        keeper = worker.Worker(event_mirror.VIEW, history, store, progress=progress, clock=clock)
        task = asyncio.create_task(keeper.run())

        wall, cpu = time.perf_counter(), time.process_time()
        while (progress.position(event_mirror.NAME) or 0) < head:
            await progress.changed(event_mirror.NAME, timeout_s=1.0)
            if task.done():
                task.result()
        result["catch_up"] = rate(
            args.events, time.perf_counter() - wall, time.process_time() - cpu
        )

        done = asyncio.Event()
        reading = asyncio.create_task(read_meanwhile(store, done))
        wall, cpu = time.perf_counter(), time.process_time()
        phases: dict[str, float] = {}
        await rebuild.rebuild(
            event_mirror.VIEW,
            history,
            store,
            clock=clock,
            report=lambda step: phases.__setitem__(step.phase, round(step.seconds, 2)),
        )
        result["rebuild"] = rate(args.events, time.perf_counter() - wall, time.process_time() - cpu)
        done.set()
        result["rebuild"]["phases"] = phases
        result["rebuild"]["reads_meanwhile"] = quantiles_ms(await reading)

        result["append_to_visible"] = await latencies(args, history, waiter, fresh, clock)
        verified = await verify.verify(event_mirror.VIEW, history, store, clock=clock)
        result["verified"] = verified.is_equal
        result["rows"] = verified.rows
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return result


async def latencies(
    args: argparse.Namespace,
    history: log.Log,
    waiter: wait.Waiter,
    fresh: ids.Ids,
    clock: clocks.Clock,
) -> dict[str, Any]:
    whole, after_append = [], []
    for number in range(args.appends):
        events = new_events(args.events + number, 1, fresh, clock)
        start = time.perf_counter()
        position = (await history.append(events)).position
        appended = time.perf_counter()
        await waiter.wait_for(event_mirror.NAME, position)
        end = time.perf_counter()
        whole.append(end - start)
        after_append.append(end - appended)
        await asyncio.sleep(0.002)
    return {"from_call": quantiles_ms(whole), "from_answer": quantiles_ms(after_append)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--database-url", help="with --backend postgres: an empty database")
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--appends", type=int, default=300, help="single appends timed")
    parser.add_argument("--folder", type=Path, help="where the files go; default: a temporary one")
    args = parser.parse_args()
    if args.backend == "postgres" and not args.database_url:
        parser.error("--backend postgres needs --database-url")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        flush = measure.flush_rate(Path(folder))
        result = asyncio.run(measured(args, Path(folder)))
    result["flush"] = {name: getattr(flush, name) for name in flush.__slots__}
    result["machine"] = measure.machine()
    result["python"] = sys.version.split()[0]
    result["load"] = os.getloadavg()[0]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
