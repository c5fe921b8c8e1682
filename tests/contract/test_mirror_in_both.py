"""The mirror of events answers the same in SQLite and in PostgreSQL."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.postgres import view_store as postgres
from helios.drivers.sqlite import view_store as sqlite
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import folding, ports
from helios.projections.views import event_mirror
from helios.testing import view_conformance

pytestmark = pytest.mark.postgres


def event(position: int, **given: Any) -> envelope.Event:
    fields: dict[str, Any] = {
        "source": "strapi",
        "type": "entry.update",
        "aggregate_type": "content",
        "aggregate_id": f"c{position}",
        **given,
    }
    return envelope.Event(
        position=envelope.Position(position),
        sequence=position,
        id=f"e{position}",
        tenant="acme",
        recorded_at=clocks.Timestamp(2**50 + position),
        occurred_at=clocks.Timestamp(2**50 - position),
        **fields,
    )


def looked(position: int, **stacks: int) -> envelope.Event:
    said = json.dumps({"stacks": {name: 2**50 + at for name, at in stacks.items()}}).encode()
    return event(position, source="helios", type=event_mirror.LOOKED, payload=said)


EVENTS = [
    event(1),
    looked(2, a=1, b=5),
    event(3),
    looked(4, a=0, b=5),
    looked(5, a=3),
    event(6),
    looked(7, a=9),
    event(8, source="helios", type=event_mirror.LEFT, aggregate_id="b"),
]
"""Looks that come late or out of order, and a stack that is left."""


def test_whether_drift_was_looked_for_is_told_alike(tmp_path: Path, postgres_url: str) -> None:
    async def told(store: ports.ViewStore) -> list[list[int]]:
        found: list[list[int]] = []
        async with view_conformance.opened(store) as opened:
            slot = await opened.claim(await opened.create(event_mirror.VIEW, live=True))
            for each in EVENTS:
                writes = folding.fold(event_mirror.VIEW, [each])
                slot = await opened.commit(slot, writes, ports.Checkpoint(position=each.position))
                page = await event_mirror.by_client(opened, "acme", limit=3)
                rest = await event_mirror.by_client(opened, "acme", cursor=page.next_cursor)
                entries = page.entries + (rest.entries if page.next_cursor else [])
                found.append([int(e.position) for e in entries if e.drift_checked])
        return found

    async def main() -> None:
        here = await told(sqlite.SqliteViewStore(str(tmp_path / "views.db")))
        assert here == [[], [1], [1], [1], [1, 2, 3], [1, 2, 3], [1, 2, 3, 4, 5], [*range(1, 9)]]
        assert await told(postgres.PostgresViewStore(postgres_url)) == here

    asyncio.run(main())
