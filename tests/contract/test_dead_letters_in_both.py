"""The view of dead letters holds and tells the same in SQLite and in PostgreSQL."""

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
from helios.kernel import errors
from helios.projections import folding, ports
from helios.projections.views import dead_letters as view
from helios.testing import view_conformance


def said(position: int, kind: str, letter: str, payload: Any, client: str) -> envelope.Event:
    return envelope.Event(
        position=envelope.Position(position),
        sequence=position,
        recorded_at=clocks.Timestamp(2**50 + position),
        id=f"e{position}",
        source="helios",
        type=kind,
        occurred_at=clocks.Timestamp(1),
        aggregate_type="dead_letter",
        aggregate_id=letter,
        tenant=client,
        payload=json.dumps(payload).encode(),
    )


def history(rng: random.Random) -> list[envelope.Event]:
    events: list[envelope.Event] = []
    known: list[tuple[str, str]] = []
    for position in range(1, 120):
        if not known or rng.random() < 0.4:
            client, letter = rng.choice(["acme", "default"]), f"l{position}"
            known.append((client, letter))
            payload: Any = {
                "source": rng.choice(["shop", "cms"]),
                "via": "webhook",
                "reason": rng.choice(["schema", "conflict"]),
                "detail": f"{'ä' * rng.randint(0, 3)} at position {position}",
                "event_type": rng.choice([None, "t", "u"]),
                "event_id": rng.choice([None, "a"]),
                "bytes": 2**40,
                "cut": rng.random() < 0.5,
                "index": rng.choice([None, 0, 3]),
                "body": "eA==",
            }
            events.append(said(position, view.RECORDED, letter, payload, client))
            continue
        client, letter = rng.choice(known)
        kind = rng.choice([view.EDITED, view.RETRIED, view.DISCARDED])
        payload = {"note": "", "body": ""}
        if kind == view.RETRIED:
            payload = {"result": rng.choice(["stored", "duplicate", "dead"]), "reason": "again"}
        events.append(said(position, kind, letter, payload, client))
    return events


async def told(store: ports.ViewStore, events: Sequence[envelope.Event], size: int) -> list[Any]:
    async with view_conformance.opened(store) as opened:
        slot = await opened.claim(await opened.create(view.VIEW, live=True))
        for start in range(0, len(events), size):
            part = events[start : start + size]
            at = ports.Checkpoint(position=part[-1].position)
            slot = await opened.commit(slot, folding.fold(view.VIEW, part), at)
        pages: list[view.Letter] = []
        cursor: str | None = None
        while cursor is not None or not pages:
            page = await view.page(opened, view.Where(), after=cursor, limit=7)
            pages += page.letters
            cursor = page.next_cursor
            if cursor is None:
                break
        narrow = view.Where(client_id="acme", status="open", reason="schema", event_type="t")
        between = view.Where(start=clocks.Timestamp(2**50 + 20), end=clocks.Timestamp(2**50 + 60))
        return [
            pages,
            await view.groups(opened, view.Where()),
            await view.groups(opened, view.Where(status="open", source="shop")),
            await view.count(opened, narrow),
            await view.count(opened, between),
            await view.oldest(
                opened,
                view.Where(status="open"),
                after=envelope.Position(10),
                upto=envelope.Position(90),
            ),
        ]


@pytest.mark.postgres
@pytest.mark.parametrize("seed", range(3))
def test_the_same_events_are_told_alike(seed: int, postgres_url: str, tmp_path: Path) -> None:
    events = history(random.Random(seed))
    ours = asyncio.run(told(postgres.PostgresViewStore(postgres_url), events, 7))
    theirs = asyncio.run(told(sqlite.SqliteViewStore(str(tmp_path / "views.db")), events, 11))
    assert ours == theirs


@pytest.mark.parametrize("seed", range(3))
def test_the_view_agrees_with_a_plain_reading_of_the_events(seed: int, tmp_path: Path) -> None:
    events = history(random.Random(seed))
    pages, groups, *_ = asyncio.run(
        told(sqlite.SqliteViewStore(str(tmp_path / "views.db")), events, 13)
    )
    status: dict[str, str] = {}
    attempts: dict[str, int] = {}
    for event in events:
        letter, payload = event.aggregate_id, event.data()
        if event.type == view.RECORDED:
            status[letter], attempts[letter] = "open", 0
        elif event.type == view.DISCARDED and status[letter] == "open":
            status[letter] = "discarded"
        elif event.type == view.RETRIED:
            attempts[letter] += 1
            if payload["result"] != "dead":
                status[letter] = "retried"
    assert {one.id: one.status for one in pages} == status
    assert {one.id: one.attempts for one in pages} == attempts
    assert [one.position for one in pages] == sorted((o.position for o in pages), reverse=True)
    assert sum(group.count for group in groups.groups) == len(status)
    for group in groups.groups:
        assert sum(group.trend) == group.count
        first = (group.first_at - groups.start) // groups.width
        assert group.trend[first] > 0 == sum(group.trend[:first])
        assert group.sample.template == group.template
        assert group.sample.reason == group.reason
        assert group.first_at <= group.sample.recorded_at == group.last_at


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (
            "the id invoice-1795218584-4 came before with another content, at position 1100",
            "the id … came before with another content, at position …",
        ),
        ('payload.qty: the value is not of type "integer"', None),
        ("1:43: detail-type: no JSON (byte 42)", "…: detail-type: no JSON (byte …)"),
        ("items[3].qty: too small", "items[…].qty: too small"),
        ("", None),
    ],
)
def test_a_template_is_what_letters_of_one_cause_share(detail: str, expected: str | None) -> None:
    assert view.template(detail) == (detail if expected is None else expected)


def test_a_cursor_of_another_list_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        store = sqlite.SqliteViewStore(str(tmp_path / "views.db"))
        async with view_conformance.opened(store) as opened:
            await opened.create(view.VIEW, live=True)
            with pytest.raises(errors.CursorError):
                await view.page(opened, view.Where(), after="1.2")
            with pytest.raises(errors.NotFoundError):
                await view.one(opened, "acme", "none")
            assert (await view.groups(opened, view.Where())).groups == []

    asyncio.run(main())
