"""Helios' log as a contender: dedup and expected sequence checked on every append.

python ours.py sqlite FILE | postgres URL
"""

import asyncio
import sys
from typing import Any

import slices

from helios.drivers.postgres import log_storage as postgres
from helios.drivers.sqlite import log_storage as sqlite
from helios.eventlog import envelope, log
from helios.kernel import clock as clocks
from helios.kernel import ids


def storage(kind: str, place: str, clock: clocks.Clock, fresh: ids.Ids) -> Any:
    if kind == "sqlite":
        return sqlite.SqliteLogStorage(place, clock)
    return postgres.PostgresLogStorage(place, clock=clock, fresh=fresh)


def caller(events: log.Log, clock: clocks.Clock, fresh: ids.Ids) -> slices.AsyncAppend:
    aggregate, sequence = fresh.new(), 0

    async def append() -> None:
        nonlocal aggregate, sequence
        if sequence == slices.STREAM_EVENTS:
            aggregate, sequence = fresh.new(), 0
        event = envelope.NewEvent(
            id=fresh.new(),
            source="aws",
            type="OrderPlaced",
            occurred_at=clock.now(),
            aggregate_type="order",
            aggregate_id=aggregate,
            payload=slices.PAYLOAD_BYTES,
        )
        await events.append([event], expected={event.aggregate: sequence})
        sequence += 1

    return append


async def main() -> None:
    clock = clocks.SystemClock()
    fresh = ids.Uuid7Ids(clock)
    events = log.Log(storage(sys.argv[1], sys.argv[2], clock, fresh), clock)
    await events.open()
    await slices.serve_tasks(lambda: caller(events, clock, fresh))
    await events.close()


if __name__ == "__main__":
    asyncio.run(main())
