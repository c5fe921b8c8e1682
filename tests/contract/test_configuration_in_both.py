"""Settings are the same in SQLite and in PostgreSQL, and every process follows them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from helios import app
from helios.configuration import events, live, view
from helios.drivers.postgres import view_store as postgres
from helios.drivers.sqlite import view_store as sqlite
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import settings
from helios.projections import folding, ports
from helios.testing import view_conformance

pytestmark = pytest.mark.postgres

PATH = "/api/v1/configuration"


def event(position: int, name: str, value: Any, client_id: str = "helios") -> envelope.Event:
    payload = {"name": name, "client_id": client_id, "value": value, "previous": None}
    return envelope.Event(
        position=envelope.Position(position),
        sequence=position,
        recorded_at=clocks.Timestamp(2**50 + position),
        id=f"e{position}",
        source=events.SOURCE,
        type=events.RESET if value is None else events.CHANGED,
        occurred_at=clocks.Timestamp(2**50 - position),
        tenant=client_id,
        aggregate_type=events.AGGREGATE_TYPE,
        aggregate_id=name,
        actor="user:ada",
        payload=json.dumps(payload).encode(),
    )


EVENTS = [
    event(1, "content.ttl", "2h"),
    event(2, "builds.enabled", value=False, client_id="acme"),
    event(5, "content.ttl", "3h"),
    event(6, "attention.mismatch_rate_max", 0.25),
    event(7, "builds.enabled", value=None, client_id="acme"),
    event(9, "of.a.newer.one", {"a": ["Ä", 2**60]}),
]


async def kept(store: ports.ViewStore) -> list[Any]:
    async with view_conformance.opened(store) as opened:
        slot = await opened.claim(await opened.create(view.VIEW, live=True))
        for start in range(0, len(EVENTS), 2):
            part = EVENTS[start : start + 2]
            at = ports.Checkpoint(position=part[-1].position)
            slot = await opened.commit(slot, folding.fold(view.VIEW, part), at)
        return [
            await view.current(opened),
            await view.current(opened, {"acme"}),
            await view.current(opened, set()),
            await view.history(opened, "helios", "content.ttl", limit=10),
            await view.history(opened, "helios", "content.ttl", before=5, limit=10),
            await view.at(opened, 2),
            await view.at(opened, 3),
            await view.of_client(opened, "acme"),
        ]


def test_the_same_changes_make_the_same_view(postgres_url: str, tmp_path: Path) -> None:
    ours = asyncio.run(kept(postgres.PostgresViewStore(postgres_url)))
    theirs = asyncio.run(kept(sqlite.SqliteViewStore(str(tmp_path / "views.db"))))
    assert ours == theirs
    assert [each.position for each in ours[0]] == [7, 6, 5, 9]
    assert [each.value for each in ours[3]] == ["3h", "2h"]


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - a condition of the process itself
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_a_change_is_in_force_before_it_is_answered_and_after_a_restart(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None if backend == "sqlite" else request.getfixturevalue("postgres_url")
    found = settings.Settings(data_dir=tmp_path / "data", database_url=url)

    async def first() -> None:
        async with app.opened(found, briefly=True) as parts, app.kept(parts):
            transport = httpx.ASGITransport(app.application(parts))
            async with httpx.AsyncClient(transport=transport, base_url="http://h") as http:
                for name, value in (("content.ttl", "2h"), ("builds.enabled", "off")):
                    answer = await http.put(f"{PATH}/{name}", json={"value": value})
                    assert answer.status_code == 200, answer.text
            assert parts.kept.live.get("content.ttl") == "2h"

    async def second() -> None:
        # Before the views are kept, and so before anything else works by it.
        async with app.opened(found, briefly=True) as parts:
            assert parts.kept.live.get("content.ttl") == "2h"
            assert parts.kept.live.get("builds.enabled") is False

    asyncio.run(first())
    asyncio.run(second())


def test_a_process_follows_what_another_one_changes(postgres_url: str, tmp_path: Path) -> None:
    def process(name: str) -> settings.Settings:
        return settings.Settings(data_dir=tmp_path / name, database_url=postgres_url)

    async def main() -> None:
        async with (
            app.opened(process("a"), briefly=True) as one,
            app.kept(one),
            app.opened(process("b"), briefly=True) as other,
        ):
            following = asyncio.ensure_future(other.kept.follower.run())
            transport = httpx.ASGITransport(app.application(one))
            async with httpx.AsyncClient(transport=transport, base_url="http://h") as http:
                answer = await http.put(f"{PATH}/content.ttl", json={"value": "2h"})
                assert answer.status_code == 200, answer.text
                await _until(lambda: _is(other.kept.live, "2h"), 2.0)
                await http.delete(f"{PATH}/content.ttl")
                await _until(lambda: _is(other.kept.live, "1d"), 2.0)
            following.cancel()
            await asyncio.wait([following])

    asyncio.run(main())


async def _is(values: live.Live, wanted: str) -> bool:
    return values.get("content.ttl") == wanted
