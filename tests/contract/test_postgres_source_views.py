"""What is said of sources, and what pollers compare with, read the same from both stores."""

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
from helios.projections.views import content, content_believed, sources
from helios.providers import ports as providers
from helios.testing import view_conformance

pytestmark = pytest.mark.postgres

HISTORY = [
    (sources.DECLARED, "shop", {}),
    (sources.PAUSED, "shop", {}),
    (sources.DECLARED, "other", {"paused": True}),
    (sources.DECLARED, "shop", {}),
    (sources.REMOVED, "other", {}),
    ("SourcePolled", "shop", {}),
    (sources.DECLARED, "other", {}),
    (sources.RESUMED, "shop", {}),
    (sources.REMOVED, "other", {}),
]


def event(position: int, kind: str, name: str, **payload: Any) -> envelope.Event:
    said = {"name": name, "provider": "p", "yaml": f"y{position}", "hash": "h", **payload}
    return envelope.Event(
        position=envelope.Position(position),
        sequence=position,
        recorded_at=clocks.Timestamp(position),
        id=f"e{position}",
        source="helios" if kind != "entry" else "cms",
        type=kind,
        occurred_at=clocks.Timestamp(position),
        aggregate_type=sources.AGGREGATE_TYPE,
        aggregate_id=name,
        payload=json.dumps(said).encode(),
        metadata=b'{"provider": "cms"}',
    )


def read(seen: envelope.Event) -> list[providers.ContentChange]:
    made = providers.Content(id=seen.aggregate_id, type="article")
    return [
        providers.ContentChange(
            change="updated", id=made.id, type=made.type, content=made, version="1"
        )
    ]


async def fold(store: ports.ViewStore, view: ports.View, events: list[envelope.Event]) -> None:
    slot = await store.claim(await store.create(view, live=True))
    checkpoint = ports.Checkpoint(position=events[-1].position)
    await store.commit(slot, folding.fold(view, events), checkpoint)


async def told(store: ports.ViewStore) -> tuple[Any, Any]:
    async with view_conformance.opened(store) as opened:
        declared = [event(n, kind, name, **more) for n, (kind, name, more) in enumerate(HISTORY, 1)]
        await fold(opened, sources.VIEW, declared)
        entries = [event(n, "entry", f"id-{n}") for n in range(1, content_believed.PAGE + 10)]
        await fold(opened, content.ContentView(read), entries)
        believed = content_believed.Believed(opened).believed("default", "cms")
        return await sources.every(opened), [each async for each in believed]


def test_both_stores_tell_the_same(tmp_path: Path, postgres_url: str) -> None:
    async def both() -> None:
        one = await told(sqlite.SqliteViewStore(str(tmp_path / "views.db")))
        two = await told(postgres.PostgresViewStore(postgres_url))
        assert one == two
        shop, other = one[0][1], one[0][0]
        assert (shop.version, shop.paused, shop.sequence) == (2, False, 8)
        assert (other.version, other.removed_position) == (2, 9)
        assert len(one[1]) == content_believed.PAGE + 9

    asyncio.run(both())
