"""The content cache: whatever order events come in, the last version of each content stands."""

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding, ports
from helios.projections.views import content, content_read
from helios.providers import ports as providers
from helios.testing import view_conformance

NOW = 1_000_000
WHICH = content_read.Which(client_id="acme")


def read(event: envelope.Event) -> Sequence[providers.ContentChange]:
    """A provider whose payloads say what they mean."""
    said = event.data()
    if said.get("broken"):
        raise ValueError("no idea what this is")
    made = None
    if "status" in said:
        made = providers.Content(
            id=said["id"],
            type="article",
            status=said["status"],
            title=said.get("title"),
            stock=said.get("stock"),
            locale=said.get("locale"),
            raw=said,
        )
    return [
        providers.ContentChange(
            change=said["change"],
            id=said["id"],
            type="article",
            locale=said.get("locale"),
            content=made,
            version=said.get("version", ""),
        )
    ]


VIEW = content.ContentView(read)


def event(position: int, said: Mapping[str, Any], **changes: Any) -> envelope.Event:
    fields: dict[str, Any] = {
        "position": envelope.Position(position),
        "sequence": 1,
        "recorded_at": clocks.Timestamp(NOW + position),
        "id": f"e{position}",
        "source": "strapi",
        "type": "entry",
        "occurred_at": clocks.Timestamp(position),
        "aggregate_type": "content",
        "aggregate_id": "c",
        "tenant": "acme",
        "payload": json.dumps(said).encode(),
        "metadata": b'{"provider":"strapi"}',
    }
    return envelope.Event(**{**fields, **changes})


def folded(
    tmp_path: Path,
    events: Sequence[envelope.Event],
    look: Callable[[ports.ViewStore], Coroutine[Any, Any, Any]],
    *,
    batch: int = 100,
) -> Any:
    async def run() -> Any:
        store = view_store.SqliteViewStore(str(tmp_path / "views.db"))
        async with view_conformance.opened(store) as opened:
            slot = await opened.claim(await opened.create(VIEW, live=True))
            for start in range(0, len(events), batch):
                part = events[start : start + batch]
                checkpoint = ports.Checkpoint(position=part[-1].position)
                slot = await opened.commit(slot, folding.fold(VIEW, part), checkpoint)
            return await look(opened)

    return asyncio.run(run())


async def titles(store: ports.ViewStore, stage: content_read.Stage = "published") -> dict[str, Any]:
    which = content_read.Which(client_id="acme", stage=stage)
    page = await content_read.page(store, which, fresh_after=clocks.Timestamp(0))
    return {f"{i.id}/{i.locale or ''}": i.title for i in page.items}


PUBLISH = {"change": "published", "id": "a", "status": "published"}


def test_a_later_version_replaces_an_earlier_one_and_never_the_other_way(tmp_path: Path) -> None:
    events = [
        event(1, PUBLISH | {"title": "new", "version": "2"}),
        event(2, PUBLISH | {"title": "old", "version": "1"}),
    ]

    assert folded(tmp_path, events, titles) == {"a/": "new"}


def test_what_is_gone_does_not_come_back_by_a_late_event(tmp_path: Path) -> None:
    events = [
        event(1, {"change": "deleted", "id": "a", "version": "5"}),
        event(2, PUBLISH | {"title": "late", "version": "4"}),
        event(3, PUBLISH | {"title": "late too", "version": "3", "locale": "de"}),
    ]

    assert folded(tmp_path, events, titles) == {}


def test_what_is_made_anew_after_a_deletion_is_there(tmp_path: Path) -> None:
    events = [
        event(1, PUBLISH | {"title": "first", "version": "1"}),
        event(2, {"change": "deleted", "id": "a", "version": "2"}),
        event(3, PUBLISH | {"title": "again", "version": "3"}),
    ]

    assert folded(tmp_path, events, titles) == {"a/": "again"}


def test_drafts_and_what_is_published_stand_side_by_side(tmp_path: Path) -> None:
    events = [
        event(1, PUBLISH | {"title": "public", "version": "1"}),
        event(2, {"change": "updated", "id": "a", "status": "draft", "title": "d", "version": "2"}),
    ]

    async def look(store: ports.ViewStore) -> Any:
        return await titles(store), await titles(store, "draft")

    assert folded(tmp_path, events, look) == ({"a/": "public"}, {"a/": "d"})


def test_unpublishing_takes_away_what_is_published_and_leaves_the_draft(tmp_path: Path) -> None:
    events = [
        event(1, PUBLISH | {"title": "public", "version": "1"}),
        event(2, {"change": "updated", "id": "a", "status": "draft", "title": "d", "version": "1"}),
        event(3, {"change": "unpublished", "id": "a", "version": "2"}),
    ]

    async def look(store: ports.ViewStore) -> Any:
        return await titles(store), await titles(store, "draft")

    assert folded(tmp_path, events, look) == ({}, {"a/": "d"})


@settings(deadline=None)
@given(data=st.data())
def test_every_order_of_arrival_with_repetitions_ends_the_same(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    said = data.draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "id": st.sampled_from(["a", "b"]),
                    "change": st.sampled_from(["published", "updated", "deleted", "unpublished"]),
                    "stage": st.sampled_from(["published", "draft"]),
                }
            ),
            min_size=1,
            max_size=8,
        )
    )
    changes = [_numbered(n, one) for n, one in enumerate(said)]
    again = data.draw(st.lists(st.sampled_from(changes), max_size=4))
    shuffled = data.draw(st.permutations([*changes, *again]))

    async def look(store: ports.ViewStore) -> Any:
        return await titles(store), await titles(store, "draft")

    events = [event(n + 1, one) for n, one in enumerate(shuffled)]
    batch = data.draw(st.integers(1, len(events)))
    found = folded(tmp_path_factory.mktemp("c"), events, look, batch=batch)

    assert found == _model(changes)


def _numbered(n: int, said: Mapping[str, Any]) -> dict[str, Any]:
    made = {"change": said["change"], "id": said["id"], "version": f"{n:04}"}
    if said["change"] in ("published", "updated"):
        made |= {"status": said["stage"], "title": f"t{n}"}
    return made


def _model(changes: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], dict[str, str]]:
    published: dict[str, str] = {}
    draft: dict[str, str] = {}
    for said in changes:
        key = f"{said['id']}/"
        if said["change"] == "deleted":
            published.pop(key, None)
            draft.pop(key, None)
        elif said["change"] == "unpublished":
            published.pop(key, None)
        else:
            (draft if said["status"] == "draft" else published)[key] = said["title"]
    return published, draft


def test_a_poll_that_tells_the_same_again_changes_nothing_for_builds(tmp_path: Path) -> None:
    events = [
        event(1, PUBLISH | {"title": "t", "version": "1"}),
        event(2, PUBLISH | {"title": "t", "version": "1", "shape": "of the poll"}),
    ]

    async def look(store: ports.ViewStore) -> Any:
        return await content_read.dirty(store, WHICH, 0), await content_read.dirty(store, WHICH, 1)

    first, second = folded(tmp_path, events, look)

    assert (first.changes, first.position) == (1, 1)
    assert second is None


def test_a_deletion_of_what_nobody_saw_is_no_change_and_of_what_was_there_is_one(
    tmp_path: Path,
) -> None:
    events = [
        event(1, {"change": "deleted", "id": "x", "version": "1"}),
        event(2, PUBLISH | {"title": "t", "version": "1"}),
        event(3, {"change": "deleted", "id": "a", "version": "2"}),
        event(4, {"change": "deleted", "id": "a", "version": "3"}),
    ]

    async def look(store: ports.ViewStore) -> Any:
        return await content_read.dirty(store, WHICH, 2), await content_read.extent(store, WHICH)

    dirty, extent = folded(tmp_path, events, look)

    assert (dirty.changes, dirty.position, dirty.first_at) == (1, 3, NOW + 3)
    assert extent == content_read.Extent(position=3, count=0)


def test_an_etag_changes_when_something_shown_changes_and_only_then(tmp_path: Path) -> None:
    base = [event(1, PUBLISH | {"version": "1"}), event(2, PUBLISH | {"id": "b", "version": "1"})]
    later = {
        "same": event(3, PUBLISH | {"version": "1"}),
        "update": event(3, PUBLISH | {"version": "2", "title": "x"}),
        "delete": event(3, {"change": "deleted", "id": "a", "version": "2"}),
    }

    async def look(store: ports.ViewStore) -> Any:
        return content_read.etag(WHICH, await content_read.extent(store, WHICH))

    before = folded(tmp_path, base, look)
    after = {}
    for name, one in later.items():
        folder = tmp_path / name
        folder.mkdir()
        after[name] = folded(folder, [*base, one], look)

    assert after["same"] == before
    assert len({before, after["update"], after["delete"]}) == 3


def test_invalidated_content_is_stale_until_it_is_heard_of_again(tmp_path: Path) -> None:
    invalidate = event(
        3,
        {"source": "strapi", "id": "a"},
        source=content.SOURCE,
        type=content.INVALIDATED,
        metadata=b"{}",
    )
    base = [
        event(1, PUBLISH | {"version": "1"}),
        event(2, PUBLISH | {"id": "b", "version": "1"}),
        invalidate,
    ]

    async def look(store: ports.ViewStore) -> Any:
        page = await content_read.page(store, WHICH, fresh_after=clocks.Timestamp(1))
        stale = await content_read.stale(store, fresh_after=clocks.Timestamp(1))
        return {i.id: i.stale for i in page.items}, stale

    again = tmp_path / "again"
    again.mkdir()
    heard = event(4, PUBLISH | {"version": "1"})

    assert folded(tmp_path, base, look) == ({"a": True, "b": False}, [("acme", "strapi", 1)])
    assert folded(again, [*base, heard], look) == ({"a": False, "b": False}, [])


def confirmed(position: int, as_of: int, types: Sequence[str] = ("article",)) -> envelope.Event:
    said = {"source": "strapi", "types": types, "as_of": as_of}
    of_us = {"source": content.SOURCE, "type": content.CONFIRMED, "metadata": b"{}"}
    return event(position, said, **of_us)


@pytest.mark.parametrize(
    ("types", "stale"), [(("article",), {"a": False, "b": True}), ((), {"a": True, "b": True})]
)
def test_confirmed_content_is_fresh_unless_it_is_not_to_be_trusted(
    tmp_path: Path, types: Sequence[str], stale: dict[str, bool]
) -> None:
    said = {"source": "strapi", "type": "article", "id": "b"}
    of_us = {"source": content.SOURCE, "type": content.INVALIDATED, "metadata": b"{}"}
    events = [
        event(1, PUBLISH | {"version": "1"}),
        event(2, PUBLISH | {"id": "b", "version": "1"}),
        event(3, said, **of_us),
        confirmed(4, NOW + 1000, types),
    ]

    async def look(store: ports.ViewStore) -> Any:
        after = clocks.Timestamp(NOW + 500)
        page = await content_read.page(store, WHICH, fresh_after=after)
        return {i.id: i.stale for i in page.items}, (await content_read.extent(store, WHICH))

    found, extent = folded(tmp_path, events, look)

    assert found == stale
    assert extent.position == 2, "nothing that a site shows has changed"


def reading(position: int, before: int, said: Mapping[str, Any]) -> envelope.Event:
    metadata = json.dumps({"provider": "strapi", "replaces_before": before}).encode()
    return event(position, {**PUBLISH, **said}, metadata=metadata)


@pytest.mark.parametrize("base", [PUBLISH | {"title": "9"}, {"change": "deleted", "id": "a"}])
def test_what_was_read_again_wins_over_what_claimed_to_be_later(
    tmp_path: Path, base: dict[str, Any]
) -> None:
    events = [
        event(1, base | {"version": "9"}),
        reading(2, NOW + 1, {"title": "restored", "version": "2"}),
        event(3, PUBLISH | {"title": "late", "version": "1"}),
    ]

    assert folded(tmp_path, events, titles) == {"a/": "restored"}


def test_what_was_told_while_it_was_read_again_stands(tmp_path: Path) -> None:
    events = [
        event(1, PUBLISH | {"title": "first", "version": "1"}),
        event(2, PUBLISH | {"title": "newer", "version": "3"}),
        reading(3, NOW + 1, {"title": "read", "version": "2"}),
    ]

    assert folded(tmp_path, events, titles) == {"a/": "newer"}


def test_reading_again_what_is_as_it_was_changes_nothing_to_see(tmp_path: Path) -> None:
    said = {"title": "same", "version": "1"}
    events = [event(1, PUBLISH | said), reading(2, NOW + 1, said)]

    async def look(store: ports.ViewStore) -> Any:
        page = await content_read.page(store, WHICH, fresh_after=clocks.Timestamp(NOW + 2))
        extent = await content_read.extent(store, WHICH)
        return [(i.version, i.stale) for i in page.items], extent.position

    assert folded(tmp_path, events, look) == ([("1", False)], 1)


def test_a_change_that_nobody_described_makes_its_content_stale(tmp_path: Path) -> None:
    events = [
        event(1, PUBLISH | {"version": "1"}),
        event(2, {"change": "updated", "id": "a", "version": "2"}),
    ]

    async def look(store: ports.ViewStore) -> Any:
        page = await content_read.page(store, WHICH, fresh_after=clocks.Timestamp(1))
        return [i.stale for i in page.items]

    assert folded(tmp_path, events, look) == [True]


def test_what_an_adapter_cannot_read_is_recorded_and_stops_nothing(tmp_path: Path) -> None:
    events = [event(1, {"broken": True}), event(2, PUBLISH | {"title": "t", "version": "1"})]

    async def look(store: ports.ViewStore) -> Any:
        faults = await store.query(content.NAME, "SELECT position, detail FROM {t}faults")
        return await titles(store), faults

    assert folded(tmp_path, events, look) == (
        {"a/": "t"},
        [(1, "ValueError: no idea what this is")],
    )


def test_pages_follow_one_another_without_gap_or_repetition(tmp_path: Path) -> None:
    events = [event(n, PUBLISH | {"id": f"i{n:02}", "version": "1"}) for n in range(1, 12)]

    async def look(store: ports.ViewStore) -> Any:
        seen, cursor = [], None
        for _ in itertools.count():
            page = await content_read.page(
                store, WHICH, fresh_after=clocks.Timestamp(0), limit=4, cursor=cursor
            )
            seen.append([i.id for i in page.items])
            cursor = page.next_cursor
            if cursor is None:
                return seen
        return None

    pages = folded(tmp_path, events, look)

    assert [len(p) for p in pages] == [4, 4, 3]
    assert list(itertools.chain(*pages)) == [f"i{n:02}" for n in range(1, 12)]


@pytest.mark.parametrize("cursor", ["", "x", "W10", "e30"])
def test_a_foreign_cursor_is_refused(tmp_path: Path, cursor: str) -> None:
    async def look(store: ports.ViewStore) -> Any:
        with pytest.raises(errors.CursorError):
            await content_read.page(store, WHICH, fresh_after=clocks.Timestamp(0), cursor=cursor)

    folded(tmp_path, [event(1, PUBLISH | {"version": "1"})], look)


def test_another_client_sees_nothing_of_it(tmp_path: Path) -> None:
    async def look(store: ports.ViewStore) -> Any:
        other = content_read.Which(client_id="other")
        page = await content_read.page(store, other, fresh_after=clocks.Timestamp(0))
        return page.items, await content_read.extent(store, other)

    found = folded(tmp_path, [event(1, PUBLISH | {"version": "1"})], look)

    assert found == ([], content_read.Extent(position=0, count=0))
