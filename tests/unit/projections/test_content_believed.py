"""What content there is as far as events tell, however much of it."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import folding, ports
from helios.projections.views import content, content_believed
from helios.providers import ports as providers
from helios.testing import view_conformance


def read(event: envelope.Event) -> Sequence[providers.ContentChange]:
    said = event.data()
    made = providers.Content(id=said["id"], type="article", locale=said.get("locale"))
    return [
        providers.ContentChange(
            change=said["change"],
            id=said["id"],
            type="article",
            locale=said.get("locale"),
            content=None if said["change"] == "deleted" else made,
            version=f"{event.position:06}",
        )
    ]


VIEW = content.ContentView(read)


def event(position: int, change: str, content_id: str, source: str, **more: Any) -> envelope.Event:
    return envelope.Event(
        position=envelope.Position(position),
        sequence=1,
        recorded_at=clocks.Timestamp(position),
        id=f"e{position}",
        source=source,
        type="entry",
        occurred_at=clocks.Timestamp(position),
        aggregate_type="content",
        aggregate_id=content_id,
        tenant="acme",
        payload=json.dumps({"change": change, "id": content_id, **more}).encode(),
        metadata=b'{"provider":"strapi"}',
    )


def believed(tmp_path: Path, events: Sequence[envelope.Event]) -> dict[Any, int]:
    async def run() -> dict[Any, int]:
        store: ports.ViewStore = view_store.SqliteViewStore(str(tmp_path / "views.db"))
        async with view_conformance.opened(store) as opened:
            slot = await opened.claim(await opened.create(VIEW, live=True))
            checkpoint = ports.Checkpoint(position=events[-1].position)
            await opened.commit(slot, folding.fold(VIEW, events), checkpoint)
            told = content_believed.Believed(opened).believed("acme", "cms")
            return {key: at async for key, _, at, _ in told}

    return asyncio.run(run())


def test_what_is_gone_and_what_is_of_others_is_left_out(tmp_path: Path) -> None:
    events = [
        event(1, "published", "a", "cms"),
        event(2, "published", "a", "cms", locale="de"),
        event(3, "published", "b", "cms"),
        event(4, "deleted", "b", "cms"),
        event(5, "published", "c", "another"),
        event(6, "updated", "a", "cms"),
    ]
    assert believed(tmp_path, events) == {
        ("article", "a", "", "published"): 6,
        ("article", "a", "de", "published"): 2,
    }


@pytest.mark.parametrize("count", [content_believed.PAGE - 1, content_believed.PAGE, 2_345])
def test_all_pages_are_read(tmp_path: Path, count: int) -> None:
    events = [event(n, "published", f"id-{n}", "cms") for n in range(1, count + 1)]
    found = believed(tmp_path, events)
    assert {key[1]: at for key, at in found.items()} == {f"id-{n}": n for n in range(1, count + 1)}
