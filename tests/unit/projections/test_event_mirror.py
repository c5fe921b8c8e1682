"""The event mirror: what a row holds, its three accesses, pages and expiry."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope, log
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding, ports
from helios.projections.views import event_mirror
from helios.testing import memory_log, view_conformance

DAY_US = 24 * 3600 * clocks.SECOND_US


def event(position: int, **changes: Any) -> envelope.Event:
    fields: dict[str, Any] = {
        "position": envelope.Position(position),
        "sequence": 1,
        "recorded_at": clocks.Timestamp(1_000 + position),
        "id": f"e{position}",
        "source": "strapi",
        "type": "entry.updated",
        "occurred_at": clocks.Timestamp(position),
        "aggregate_type": "content",
        "aggregate_id": f"c{position}",
        "tenant": "acme",
    }
    return envelope.Event(**{**fields, **changes})


def mirrored(
    tmp_path: Path,
    events: Sequence[envelope.Event],
    check: Callable[[ports.ViewStore], Coroutine[Any, Any, None]],
    *,
    batch: int = 100,
) -> None:
    """Fold the events in batches and look at the result."""

    async def test() -> None:
        store = view_store.SqliteViewStore(str(tmp_path / "views.db"))
        async with view_conformance.opened(store) as opened:
            slot = await opened.claim(await opened.create(event_mirror.VIEW, live=True))
            for start in range(0, len(events), batch):
                part = events[start : start + batch]
                checkpoint = ports.Checkpoint(position=part[-1].position)
                writes = folding.fold(event_mirror.VIEW, part)
                slot = await opened.commit(slot, writes, checkpoint)
            await check(opened)

    asyncio.run(test())


@pytest.mark.parametrize(
    ("payload", "content_id"),
    [
        (b'{"contentId": "a", "id": "b"}', "a"),
        (b'{"documentId": "d1"}', "d1"),
        (b'{"id": 17}', "17"),
        (b'{"_id": "sanity"}', "sanity"),
        (b'{"id": true}', "c1"),
        (b'{"id": null, "entry_id": "x"}', "x"),
        (b'{"id": {"nested": 1}}', "c1"),
        (b'{"id": ""}', "c1"),
        (b'{"id": "%s"}' % (b"x" * 513), "c1"),
        (b"{}", "c1"),
        (b"[1]", "c1"),
        (b"no json", "c1"),
    ],
)
def test_the_content_id_is_what_the_payload_names_else_the_aggregate(
    tmp_path: Path, payload: bytes, content_id: str
) -> None:
    async def check(store: ports.ViewStore) -> None:
        (entry,) = await event_mirror.by_id(store, "acme", "e1")
        assert entry.content_id == content_id

    mirrored(tmp_path, [event(1, payload=payload)], check)


@pytest.mark.parametrize(
    ("metadata", "environment"),
    [(b'{"environment": "staging"}', "staging"), (b'{"environment": 1}', None), (b"{}", None)],
)
def test_a_row_holds_what_the_event_says(
    tmp_path: Path, metadata: bytes, environment: str | None
) -> None:
    async def check(store: ports.ViewStore) -> None:
        assert await event_mirror.by_id(store, "acme", "e7") == [
            event_mirror.Entry(
                position=envelope.Position(7),
                client_id="acme",
                provider_name="strapi",
                event_id="e7",
                event_type="entry.updated",
                content_id="c7",
                timestamp=clocks.Timestamp(7),
                ttl_timestamp=clocks.Timestamp(1_007 + 30 * DAY_US),
                environment=environment,
                drift_checked=False,
            )
        ]

    mirrored(tmp_path, [event(7, metadata=metadata)], check)


def test_pages_by_client_give_every_event_once_newest_first(tmp_path: Path) -> None:
    events = [
        event(
            p,
            occurred_at=clocks.Timestamp(p % 10),
            tenant="acme" if p % 3 else "other",
            source="strapi" if p % 2 else "sanity",
        )
        for p in range(1, 101)
    ]

    async def pages(list_page: Callable[[str | None], Any]) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        cursor: str | None = None
        while True:
            page = await list_page(cursor)
            found += [(entry.timestamp, entry.position) for entry in page.entries]
            cursor = page.next_cursor
            if cursor is None:
                return found
            assert len(page.entries) == 7

    async def check(store: ports.ViewStore) -> None:
        mine = sorted((e.occurred_at, e.position) for e in events if e.tenant == "acme")[::-1]
        found = await pages(lambda c: event_mirror.by_client(store, "acme", limit=7, cursor=c))
        assert found == mine
        span = {"since": clocks.Timestamp(3), "until": clocks.Timestamp(6)}
        found = await pages(
            lambda c: event_mirror.by_client(store, "acme", limit=7, cursor=c, **span)
        )
        assert found == [place for place in mine if 3 <= place[0] < 6]
        found = await pages(
            lambda c: event_mirror.by_provider(store, "acme", "sanity", limit=7, cursor=c)
        )
        assert found == [place for place in mine if place[1] % 2 == 0]

    mirrored(tmp_path, events, check)


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", "1.x", f"{1 << 64}.1", "..", "é.1"])
def test_a_text_that_is_no_cursor_is_refused(tmp_path: Path, cursor: str) -> None:
    async def check(store: ports.ViewStore) -> None:
        with pytest.raises(errors.CursorError, match="next_cursor"):
            await event_mirror.by_client(store, "acme", cursor=cursor)

    mirrored(tmp_path, [event(1)], check)


def test_an_id_of_two_sources_is_found_twice_and_only_by_its_client(tmp_path: Path) -> None:
    events = [
        event(1, id="same"),
        event(2, id="same", source="sanity"),
        event(3, id="same", tenant="other"),
    ]

    async def check(store: ports.ViewStore) -> None:
        found = await event_mirror.by_id(store, "acme", "same")
        assert [entry.position for entry in found] == [1, 2]
        assert await event_mirror.by_id(store, "acme", "unknown") == []

    mirrored(tmp_path, events, check)


def test_rows_expire_by_the_time_of_the_newest_event(tmp_path: Path) -> None:
    events = [event(p) for p in range(1, 11)]
    late = event(11, recorded_at=clocks.Timestamp(1_005 + 30 * DAY_US))

    async def check(store: ports.ViewStore) -> None:
        page = await event_mirror.by_client(store, "acme")
        assert [entry.position for entry in page.entries] == [11, 10, 9, 8, 7, 6]
        assert await event_mirror.by_id(store, "acme", "e5") == []

    mirrored(tmp_path, [*events, late], check)


@pytest.mark.parametrize("batch", [1, 7, 500, 5_000])
def test_expired_rows_are_deleted_a_bounded_number_at_a_time_in_any_batches(
    tmp_path: Path, batch: int
) -> None:
    old = [event(p) for p in range(1, 2_301)]  # those up to 2,000 expire at `late`
    late = clocks.Timestamp(1_000 + 2_000 + 30 * DAY_US)

    def rows_after(last: int) -> list[envelope.Event]:
        return [*old, *(event(p, recorded_at=late) for p in range(2_301, last + 1))]

    async def check(store: ports.ViewStore) -> None:
        (slot,) = await store.slots(event_mirror.NAME)
        rows = await store.query(event_mirror.NAME, "SELECT min(position) FROM {t}events")
        assert (slot.checkpoint.position, rows[0][0]) == (2_500, 2_001)

    mirrored(tmp_path, rows_after(2_500), check, batch=batch)


def test_an_event_is_checked_once_all_stacks_of_its_client_were_looked_at(tmp_path: Path) -> None:
    def looked(place: int, **stacks: int) -> envelope.Event:
        said = json.dumps({"stacks": stacks}).encode()
        return event(place, source="helios", type="StacksVerified", payload=said)

    forged = event(6, source="strapi", type="StacksVerified", payload=b'{"stacks": {"a": 9999}}')
    events = [
        event(1, recorded_at=clocks.Timestamp(10)),
        event(2, recorded_at=clocks.Timestamp(20)),
        event(3, recorded_at=clocks.Timestamp(20), tenant="other"),
        looked(4, a=25, b=10),
        looked(5, a=15),
        forged,
    ]
    gone = event(7, source="helios", type="StackRemoved", aggregate_id="b", payload=b"{}")

    async def checked(store: ports.ViewStore) -> list[int]:
        page = await event_mirror.by_client(store, "acme")
        return sorted(e.position for e in page.entries if e.drift_checked)

    async def check(store: ports.ViewStore) -> None:
        assert await checked(store) == [1], "stack b was looked at before the second came"
        (other,) = (await event_mirror.by_client(store, "other")).entries
        assert not other.drift_checked

    async def check_later(store: ports.ViewStore) -> None:
        assert await checked(store) == [1, 2]

    (tmp_path / "later").mkdir()
    mirrored(tmp_path, events, check)
    mirrored(tmp_path / "later", [*events, gone], check_later)


def test_payloads_are_read_from_the_log(tmp_path: Path) -> None:
    new = [
        envelope.NewEvent(
            id=f"e{n}",
            source="strapi",
            type="entry.updated",
            occurred_at=clocks.Timestamp(n),
            aggregate_type="content",
            aggregate_id="c",
            tenant="acme",
            payload=b'{"n": %d}' % n,
        )
        for n in range(1, 4)
    ]

    async def check(store: ports.ViewStore) -> None:
        history = log.Log(memory_log.MemoryLogStorage(), clocks.SystemClock())
        await history.open()
        await history.append(new)
        entries = (await event_mirror.by_client(store, "acme", limit=2)).entries
        assert await event_mirror.payloads(history, entries) == [b'{"n": 3}', b'{"n": 2}']
        (unknown,) = await event_mirror.by_id(store, "acme", "e4")
        with pytest.raises(errors.CorruptionError, match="position 4"):
            await event_mirror.payloads(history, [unknown])
        await history.close()

    events = [event(2), event(3), event(4, occurred_at=clocks.Timestamp(0))]
    mirrored(tmp_path, events, check)
