"""Part 4.2 of the checklist: the mirror of events."""

import asyncio
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helios.kernel import clock as clocks
from helios.projections.views import event_mirror
from helios.reconcile.compositions import verified
from helios.testing import observing_bench

Run = Callable[..., None]
DAY_S = 86_400.0


async def told(office: Any, number: int, **change: Any) -> int:
    event = {
        "id": str(uuid.UUID(int=number)),
        "source": "strapi",
        "client_id": "acme",
        "eventType": "entry.update",
        "timestamp": f"2026-01-0{number}T00:00:00Z",
        "payload": {"documentId": f"a{number}"},
        "metadata": {"environment": "prod"},
        **change,
    }
    answer = await office.http.ingest(event)
    assert answer.status_code in (200, 201, 202), answer.text
    await office.seen()
    return int(answer.json()["position"])


async def ids(office: Any, query: str) -> list[int]:
    page = await office.http.get(f"/api/v1/mirror?client_id=acme&{query}")
    assert page.status_code == 200, page.text
    events = [each for each in page.json()["events"] if each["provider_name"] != "helios"]
    return [uuid.UUID(each["event_id"]).int for each in events]


def test_d_01_an_event_of_the_mirror_has_every_field(worked: Run) -> None:
    async def story(office: Any) -> None:
        await told(office, 1)
        path = "/api/v1/mirror?client_id=acme&provider=strapi&payload=true"
        (found,) = (await office.http.get(path)).json()["events"]
        kept_until = clocks.parse_rfc3339(found.pop("ttl_timestamp"))
        days = (kept_until - office.parts.clock.now()) / clocks.SECOND_US / DAY_S
        assert 29.9 < days <= 30
        assert found.pop("position") > 0
        assert found == {
            "event_id": str(uuid.UUID(int=1)),
            "client_id": "acme",
            "provider_name": "strapi",
            "event_type": "entry.update",
            "content_id": "a1",
            "timestamp": "2026-01-01T00:00:00Z",
            "environment": "prod",
            "drift_checked": False,
            "payload": {"documentId": "a1"},
        }

    worked(story)


def test_d_02_after_thirty_days_an_event_has_left_the_mirror(tmp_path: Path) -> None:
    async def story() -> None:
        async with observing_bench.place(tmp_path) as place:
            for age_days in (31, 29, 0):
                await place.tell("strapi", "entry.update", {}, age_s=age_days * DAY_S)
            page = await event_mirror.by_client(place.store, observing_bench.CLIENT)
            assert [each.position for each in page.entries] == [3, 2]
            sql = "SELECT count(*) FROM {t}events"
            for _ in range(500):
                await place.tell("strapi", "entry.update", {})
            ((rows,),) = await place.store.query(event_mirror.NAME, sql)
            assert rows == 502, "the row itself is gone too"

    asyncio.run(story())


def test_d_03_and_d_04_events_are_found_by_client_and_provider_in_the_order_of_time(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        await told(office, 3)
        await told(office, 1)
        await told(office, 2, source="shopify")
        await told(office, 4, client_id="other")
        span = "start_time=2026-01-01T00:00:00Z&end_time=2026-01-09T00:00:00Z"
        assert await ids(office, span) == [3, 2, 1]
        assert await ids(office, f"provider=strapi&{span}") == [3, 1]
        assert await ids(office, f"provider=shopify&{span}") == [2]

    worked(story)


def test_d_05_whether_drift_was_looked_for_after_an_event_turns_true_once(worked: Run) -> None:
    async def story(office: Any) -> None:
        await told(office, 1)
        path = f"/api/v1/mirror?client_id=acme&event_id={uuid.UUID(int=1)}"

        async def checked() -> bool:
            (found,) = (await office.http.get(path)).json()["events"]
            return bool(found["drift_checked"])

        found = [await checked()]
        for _ in range(3):
            await office.pass_()
            now = office.parts.clock.now()
            looked = {"shop": office.parts.stacks.passes.verified[("acme", "shop")]}
            said = verified.told("acme", looked, now=now, id_source=office.parts.ids)
            await office.parts.log.append(said)
            await office.seen()
            found.append(await checked())
        assert found == [False, True, True, True]
        await told(office, 2)
        assert await checked()
        later = await office.http.get(path.replace(str(uuid.UUID(int=1)), str(uuid.UUID(int=2))))
        assert json.loads(later.text)["events"][0]["drift_checked"] is False

    worked(story)
