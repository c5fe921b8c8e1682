"""How a real Strapi is seen: its webhooks, its credential, its content, and that it is away."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios.kernel import clock as clocks
from helios.kernel import jsonio
from helios.providers import strapi as adapters
from helios.reconcile.compositions import composition, model
from helios.testing import components, receiver
from helios.testing import observing_bench as bench

pytestmark = [pytest.mark.components, pytest.mark.timeout(300)]

EVENTS = ("entry.publish", "entry.unpublish")
PROVIDER = composition.Provider(role="cms", name="strapi")
DAY = 24 * 3600 * clocks.SECOND_US


class World:
    def __init__(self, place: bench.Place, running: components.Strapi, door: str) -> None:
        self.place = place
        self.running = running
        self.door = door
        self.observer = place.observer()
        place.vault.put("door", b"open")
        place.environment["TOKEN"] = running.about["content_token"]
        place.environment["ADMIN"] = running.about["webhook_token"]
        options = {"base_url": running.about["url"], "content_types": {"article": "articles"}}
        place.declare("cms", "strapi", options, token="env:TOKEN", admin_token="env:ADMIN")

    async def seen(self, component: composition.Component) -> model.Seen:
        return await bench.seen(self.observer, PROVIDER, component, fresh=True)

    async def webhook(self) -> model.Seen:
        declared = composition.Integration(
            name="cms-webhook",
            provider="cms",
            events=EVENTS,
            url=self.door,
            headers={"x-door": "secret:door"},
        )
        return await self.seen(declared)

    async def content(self, **fields: Any) -> model.Seen:
        return await self.seen(composition.Content(type="article", provider="cms", **fields))

    async def take_in(self) -> None:
        """Let Helios know all that is there now."""
        adapter = adapters.Strapi()
        reached = self.observer._tools.reach.reach(bench.CLIENT, PROVIDER)
        async for page in adapter.list_changes(reached.api, clocks.Timestamp(0)):
            for event in page.events:
                said = jsonio.parse_object(event.payload)
                await self.place.tell("cms", event.type, said, age_s=3600)


def value(seen: model.Seen) -> dict[str, Any]:
    assert seen.value is not None, seen.detail
    return dict(seen.value)


def test_webhooks_of_a_real_strapi(strapi: components.Strapi, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        api = strapi.api
        assert (await world.webhook()).state == "absent"
        made = api.create_webhook(
            world.door, name="cms-webhook", headers={"X-Door": "open"}, events=EVENTS
        )
        right = await world.webhook()
        assert value(right) == {
            "url": world.door,
            "events": list(EVENTS),
            "enabled": True,
            "headers": {"x-door": "as declared"},
            "delivering": True,
            "_": {"id": made.id, "name": "cms-webhook", "detail": {}, "found_by": "url"},
        }
        changes: list[tuple[dict[str, Any], str, Any]] = [
            ({"is_enabled": False}, "enabled", False),
            ({"url": f"{world.door}elsewhere"}, "url", f"{world.door}elsewhere"),
            ({"events": ["entry.publish"]}, "events", ["entry.publish"]),
            ({"headers": {}}, "headers", {}),
        ]
        for change, field, expected in changes:
            api.update_webhook(msgspec.structs.replace(made, **change))
            assert value(await world.webhook())[field] == expected
        api.update_webhook(msgspec.structs.replace(made, headers={"X-Door": "shut"}))
        other = await world.webhook()
        assert value(other)["headers"]["x-door"].startswith("other:")
        assert "shut" not in repr(other)
        api.delete_webhook(made.id)
        gone = await world.webhook()
        assert gone.state == "absent"
        assert [each.kind for each in gone.evidence] == ["direct_read"]

    with receiver.Receiver() as door:

        async def main() -> None:
            async with bench.place(tmp_path) as place:
                await scene(World(place, strapi, door.url))

        asyncio.run(main())


def test_a_door_that_is_shut_is_seen_by_the_provider(
    strapi: components.Strapi, tmp_path: Path
) -> None:
    with receiver.Receiver() as door:
        url = door.url
    strapi.api.create_webhook(url, headers={"x-door": "open"}, events=EVENTS)

    async def main() -> None:
        async with bench.place(tmp_path) as place:
            seen = await World(place, strapi, url).webhook()
        assert value(seen)["delivering"] is False
        assert value(seen)["enabled"] is True
        assert ("failed_call", "trigger:strapi") in {(e.kind, e.witness) for e in seen.evidence}

    asyncio.run(main())


def test_credential_and_content_of_a_real_strapi_and_that_it_is_away(
    strapi: components.Strapi, tmp_path: Path
) -> None:
    articles = [strapi.api.create(f"Title {number}") for number in range(3)]
    strapi.api.create("Draft", publish=False)

    async def main() -> None:
        async with bench.place(tmp_path) as place:
            world = World(place, strapi, "https://helios.example/webhook/cms")
            assert value(await world.seen(PROVIDER))["authorised"] is True
            await the_content(world)
            place.environment["TOKEN"] = "no-longer-valid"
            refused = await world.seen(PROVIDER)
            assert value(refused)["authorised"] is False
            assert ("failed_call", "probe:strapi") in {
                (each.kind, each.witness) for each in refused.evidence
            }
            assert (await world.content(min_count=1)).state == "unknown"
            place.environment["TOKEN"] = strapi.about["content_token"]
            strapi.stop()
            away = await world.seen(PROVIDER)
            assert value(away)["registered"] is True
            assert away.unknown == ("authorised",)
            assert (await world.webhook()).state == "unknown"
            assert (await world.content(min_count=1)).state == "unknown"

    async def the_content(world: World) -> None:
        nothing_known = value(await world.content(min_count=1))
        assert nothing_known == {"count": 3, "differs": 4}
        await world.take_in()
        world.place.clock.ahead_s += 120
        same = value(await world.content(min_count=1, max_age=DAY))
        assert (same["count"], same["differs"]) == (3, 0)
        assert 0 <= same["age_s"] < 24 * 3600
        strapi.api.update(articles[0].document_id, title="Changed, and nobody told")
        strapi.api.delete(articles[1].document_id)
        assert value(await world.content(min_count=1))["differs"] == 2
        old = value(await world.content(min_count=1, max_age=1))
        assert old["age_s"] * clocks.SECOND_US > 1
        for each in strapi.api.articles():
            strapi.api.unpublish(each.document_id)
        emptied = value(await world.content(min_count=1, max_age=DAY))
        assert (emptied["count"], emptied["age_s"]) == (0, 0)

    asyncio.run(main())
