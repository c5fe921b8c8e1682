"""The content cache holds the same rows in SQLite and in PostgreSQL."""

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.postgres import view_store as postgres
from helios.drivers.sqlite import view_store as sqlite
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import folding, ports
from helios.projections.views import content, content_read
from helios.providers import ports as providers
from helios.testing import view_conformance

pytestmark = pytest.mark.postgres


def read(event: envelope.Event) -> Sequence[providers.ContentChange]:
    said = event.data()
    made = None
    if said["change"] in ("published", "updated"):
        made = providers.Content(
            id=said["id"],
            type=said["type"],
            status=said["status"],
            title=said["title"],
            stock=said["stock"],
            updated_at=clocks.Timestamp(said["at"]),
            locale=said["locale"],
            raw={"Ä": said["title"]},
        )
    return [
        providers.ContentChange(
            change=said["change"],
            id=said["id"],
            type=said["type"],
            locale=said["locale"],
            content=made,
            version=said["version"],
        )
    ]


def event(position: int, rng: random.Random) -> envelope.Event:
    said: dict[str, Any]
    if rng.random() < 0.1:
        kind, source, said = content.INVALIDATED, "helios", {"source": "shop", "id": "a"}
    else:
        kind, source = "x", "shop"
        said = {
            "change": rng.choice(["published", "updated", "unpublished", "deleted", "created"]),
            "id": rng.choice("aÄz"),
            "type": rng.choice(["product", "article"]),
            "locale": rng.choice([None, "de"]),
            "status": rng.choice(["draft", "published"]),
            "title": rng.choice([None, "t", "ß"]),
            "stock": rng.choice([None, 0, 2**40]),
            "at": 2**50 + position,
            "version": rng.choice(["", "1", "2", "Z", "a", "10"]),
        }
    return envelope.Event(
        position=envelope.Position(position),
        sequence=position,
        recorded_at=clocks.Timestamp(2**50 + position),
        id=f"e{position}",
        source=source,
        type=kind,
        occurred_at=clocks.Timestamp(1),
        aggregate_type="c",
        aggregate_id="c",
        tenant="acme",
        payload=json.dumps(said).encode(),
        metadata=b'{"provider":"shop"}',
    )


async def kept(store: ports.ViewStore, events: Sequence[envelope.Event]) -> list[Any]:
    view = content.ContentView(read)
    which = content_read.Which(client_id="acme")
    async with view_conformance.opened(store) as opened:
        slot = await opened.claim(await opened.create(view, live=True))
        for start in range(0, len(events), 7):
            part = events[start : start + 7]
            at = ports.Checkpoint(position=part[-1].position)
            slot = await opened.commit(slot, folding.fold(view, part), at)
        sql = f"SELECT {content.COLUMNS} FROM {{t}}content ORDER BY type, id, locale, stage"
        page = await content_read.page(opened, which, fresh_after=clocks.Timestamp(1))
        return [
            [tuple(row) for row in await opened.query(content.NAME, sql)],
            page,
            await content_read.extent(opened, which),
            await content_read.dirty(opened, which, 10),
            await content_read.stale(opened, fresh_after=clocks.Timestamp(2**50)),
        ]


@pytest.mark.parametrize("seed", range(5))
def test_the_same_events_make_the_same_cache(seed: int, postgres_url: str, tmp_path: Path) -> None:
    rng = random.Random(seed)
    events = [event(position, rng) for position in range(1, 200)]

    ours = asyncio.run(kept(postgres.PostgresViewStore(postgres_url), events))
    theirs = asyncio.run(kept(sqlite.SqliteViewStore(str(tmp_path / "views.db")), events))

    assert ours == theirs
