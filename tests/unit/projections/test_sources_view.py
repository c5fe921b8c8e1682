"""The sources view: versions, pauses, removals, and other events about a source."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding, ports
from helios.projections.views import sources
from helios.testing import view_conformance


def said(kind: str, position: int, name: str = "shop", **payload: Any) -> envelope.Event:
    if kind == sources.DECLARED:
        given = {"provider": "shopify", "yaml": f"yaml {position}", "hash": f"hash {position}"}
        payload = {**given, **payload}
    return envelope.Event(
        position=envelope.Position(position),
        sequence=position,
        recorded_at=clocks.Timestamp(position * 10),
        id=f"e{position}",
        source="helios",
        type=kind,
        occurred_at=clocks.Timestamp(position),
        aggregate_type=sources.AGGREGATE_TYPE,
        aggregate_id=name,
        tenant="acme",
        payload=json.dumps({"name": name, **payload}).encode(),
    )


def folded(
    tmp_path: Path,
    events: Sequence[envelope.Event],
    check: Callable[[ports.ViewStore], Coroutine[Any, Any, None]],
) -> None:
    async def test() -> None:
        store = view_store.SqliteViewStore(str(tmp_path / "views.db"))
        async with view_conformance.opened(store) as opened:
            slot = await opened.claim(await opened.create(sources.VIEW, live=True))
            checkpoint = ports.Checkpoint(position=events[-1].position)
            await opened.commit(slot, folding.fold(sources.VIEW, events), checkpoint)
            await check(opened)

    asyncio.run(test())


def test_a_declaration_is_the_next_version_and_keeps_the_pause(tmp_path: Path) -> None:
    events = [
        said(sources.DECLARED, 1),
        said(sources.PAUSED, 2),
        said(sources.DECLARED, 3),
        said(sources.DECLARED, 4, "other", paused=True),
        said(sources.DECLARED, 5, "third", paused=True),
        said(sources.RESUMED, 6, "third"),
    ]

    async def check(store: ports.ViewStore) -> None:
        assert await sources.current(store, "acme", "shop") == sources.Source(
            client_id="acme",
            name="shop",
            version=2,
            position=envelope.Position(3),
            sequence=3,
            provider="shopify",
            yaml="yaml 3",
            hash="hash 3",
            declared_at=clocks.Timestamp(30),
            paused=True,
            removed_position=None,
        )
        found = [(s.name, s.paused) for s in await sources.all_current(store, "acme")]
        assert found == [("other", True), ("shop", True), ("third", False)]
        assert await sources.all_current(store, "another") == []

    folded(tmp_path, events, check)


def test_a_removed_source_is_remembered_and_begins_anew_unpaused(tmp_path: Path) -> None:
    events = [
        said(sources.DECLARED, 1),
        said(sources.PAUSED, 2),
        said(sources.REMOVED, 3),
        said(sources.RESUMED, 4),
        said(sources.REMOVED, 5),
        said(sources.DECLARED, 6, "gone"),
        said(sources.REMOVED, 7, "gone"),
        said(sources.DECLARED, 8),
        said(sources.REMOVED, 9, "never"),
    ]

    async def check(store: ports.ViewStore) -> None:
        shop = await sources.current(store, "acme", "shop")
        assert (shop.version, shop.paused) == (2, False)
        with pytest.raises(errors.NotFoundError, match="gone of client acme was removed"):
            await sources.current(store, "acme", "gone")
        with pytest.raises(errors.NotFoundError, match="client acme has no source never"):
            await sources.current(store, "acme", "never")
        every = {s.name: s.removed_position for s in await sources.every(store)}
        assert every == {"gone": 7, "shop": None}

    folded(tmp_path, events, check)


def test_whatever_else_is_told_of_a_source_moves_its_sequence_only(tmp_path: Path) -> None:
    events = [said(sources.DECLARED, 1), said("SourcePolled", 2, number=1)]

    async def check(store: ports.ViewStore) -> None:
        shop = await sources.current(store, "acme", "shop")
        assert (shop.version, shop.position, shop.sequence) == (1, 1, 2)

    folded(tmp_path, events, check)


@pytest.mark.parametrize("kind", [sources.DECLARED, sources.REMOVED, sources.PAUSED])
def test_a_payload_that_is_none_cannot_be_applied(kind: str) -> None:
    broken = msgspec.structs.replace(said(kind, 3), payload=b"{}")
    with pytest.raises(folding.ApplyError, match=r"e3 .* position 3.*name"):
        folding.fold_or_name(sources.VIEW, [broken])
