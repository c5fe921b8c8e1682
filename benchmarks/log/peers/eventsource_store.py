"""The `eventsource-py` library: its event store, on SQLite or PostgreSQL.

python eventsource_store.py sqlite FILE | postgres URL
"""

import asyncio
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import slices
from eventsource import DomainEvent, PostgreSQLEventStore, SQLiteEventStore
from eventsource.domain import StreamId
from eventsource.ports import ExpectedVersion
from sqlalchemy.ext.asyncio import create_async_engine


class Placed(DomainEvent):
    aggregate_type: str = "Order"
    body: dict[str, Any]


def store(kind: str, place: str) -> Any:
    if kind == "sqlite":
        return SQLiteEventStore(place)
    url = place.replace("postgresql://", "postgresql+asyncpg://")
    return PostgreSQLEventStore(create_async_engine(url), create_schema=True, owns_engine=True)


async def main() -> None:
    events = store(sys.argv[1], sys.argv[2])

    def make() -> slices.AsyncAppend:
        aggregate, version = uuid4(), 0

        async def append() -> None:
            nonlocal aggregate, version
            if version == slices.STREAM_EVENTS:
                aggregate, version = uuid4(), 0
            event = Placed(
                aggregate_id=aggregate, aggregate_version=version + 1, body=slices.PAYLOAD
            )
            expected = ExpectedVersion.exact(version)
            await events.append(StreamId(aggregate, "Order"), [event], expected)
            version += 1

        return append

    await slices.serve_tasks(make)
    await events.close()


if __name__ == "__main__":
    asyncio.run(main())
