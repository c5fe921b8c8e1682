"""The `eventsourcing` library: its recorder, from its own factory, on SQLite or PostgreSQL.

python eventsourcing_store.py sqlite FILE | postgres URL
"""

import sys
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import slices
from eventsourcing.persistence import InfrastructureFactory, StoredEvent
from eventsourcing.utils import Environment


def environment(kind: str, place: str) -> Environment:
    if kind == "sqlite":
        settings = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": place}
    else:
        url = urlsplit(place)
        settings = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": url.path.lstrip("/"),
            "POSTGRES_HOST": url.hostname or "127.0.0.1",
            "POSTGRES_PORT": str(url.port or 5432),
            "POSTGRES_USER": url.username or "postgres",
            "POSTGRES_PASSWORD": url.password or "trusted",
        }
    return Environment("bench", settings)


def main() -> None:
    factory = InfrastructureFactory.construct(environment(sys.argv[1], sys.argv[2]))
    recorder = factory.application_recorder()

    def make() -> slices.SyncAppend:
        aggregate, version = uuid4(), 0

        def append() -> None:
            nonlocal aggregate, version
            if version == slices.STREAM_EVENTS:
                aggregate, version = uuid4(), 0
            version += 1
            event = StoredEvent(aggregate, version, "orders:Placed", slices.PAYLOAD_BYTES)
            recorder.insert_events([event])

        return append

    slices.serve_threads(make)
    factory.close()


if __name__ == "__main__":
    main()
