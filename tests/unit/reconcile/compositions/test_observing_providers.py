"""How providers and their webhooks are seen, against a CMS of the test over real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, model
from helios.testing import answering
from helios.testing import observing_bench as bench

DOOR = "https://helios.example/webhook/cms/acme"
EVENTS = ("entry.publish", "entry.unpublish")


class Cms:
    """As much of a Strapi as can be seen of it from outside."""

    def __init__(self) -> None:
        self.token = "t"
        self.hooks: list[dict[str, Any]] = []
        self.door_answers = 200
        self.triggered = 0
        self.answer_instead: answering.Response | None = None

    def hook(self, **fields: Any) -> dict[str, Any]:
        made = {
            "id": str(len(self.hooks) + 1),
            "name": "cms-webhook",
            "url": DOOR,
            "headers": {"X-Door": "open"},
            "events": list(EVENTS),
            "isEnabled": True,
            **fields,
        }
        self.hooks.append(made)
        return made

    def __call__(self, request: answering.Request) -> answering.Response:
        if self.answer_instead is not None:
            return self.answer_instead
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return answering.Response(status=401, value={"error": {"message": "no"}})
        if request.path.endswith("/trigger"):
            self.triggered += 1
            return answering.Response(value={"data": {"statusCode": self.door_answers}})
        if request.path == "/admin/webhooks":
            return answering.Response(value={"data": self.hooks})
        return answering.Response(value={"data": []})


class World:
    def __init__(self, place: bench.Place, cms: Cms, url: str) -> None:
        self.place = place
        self.cms = cms
        self.url = url
        self.observer = place.observer()

    def declare(self, name: str = "cms", url: str | None = None) -> None:
        options = {"base_url": url or self.url, "content_types": {"article": "articles"}}
        self.place.declare(
            name, "strapi", options, token="env:CMS_TOKEN", admin_token="env:CMS_TOKEN"
        )

    async def provider(self, *, fresh: bool = False, **fields: Any) -> model.Seen:
        return await bench.seen(self.observer, provider(**fields), fresh=fresh)

    async def webhook(
        self, *others: composition.Component, fresh: bool = False, **fields: Any
    ) -> model.Seen:
        parts = (provider(), *others, integration(**fields))
        return await bench.seen(self.observer, *parts, fresh=fresh)


def provider(**fields: Any) -> composition.Provider:
    return composition.Provider(**{"role": "cms", "name": "strapi", **fields})


def integration(**fields: Any) -> composition.Integration:
    usual = {
        "name": "cms-webhook",
        "provider": "cms",
        "events": EVENTS,
        "url": DOOR,
        "headers": {"x-door": "secret:door"},
    }
    return composition.Integration(**{**usual, **fields})


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    def start(scene: Callable[[World], Awaitable[None]]) -> None:
        async def main() -> None:
            cms = Cms()
            with answering.Server(cms) as server:
                async with bench.place(tmp_path) as place:
                    place.environment["CMS_TOKEN"] = "t"
                    place.vault.put("door", b"open")
                    await scene(World(place, cms, server.url))

        asyncio.run(main())

    return start


Run = Callable[[Callable[[World], Awaitable[None]]], None]


def witnesses(seen: model.Seen) -> set[tuple[str, str]]:
    return {(each.kind, each.witness) for each in seen.evidence}


def test_a_provider_with_a_source_and_a_valid_credential_is_as_declared(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        seen = await world.provider(url=world.url + "/")
        assert seen.value == {
            "registered": True,
            "authorised": True,
            "url": world.url + "/",
            "_": {"source": "cms", "adapter": "strapi"},
        }
        assert seen.unknown == ()
        assert ("direct_read", "probe:strapi") in witnesses(seen)

    run(scene)


def test_a_provider_without_a_source_is_seen_by_its_own_credentials(run: Run) -> None:
    async def scene(world: World) -> None:
        seen = await world.provider(
            url=world.url, credentials={"token": "env:CMS_TOKEN"}, content_types=("article",)
        )
        assert seen.value == {"registered": False, "authorised": True}
        assert seen.unknown == ("url",)

    run(scene)


def test_a_credential_that_is_refused_is_evidence_and_one_that_is_missing_is_none(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.token = "another"
        seen = await world.provider()
        assert seen.value is not None
        assert seen.value["authorised"] is False
        assert ("failed_call", "probe:strapi") in witnesses(seen)
        world.place.declare("cms", "strapi", {"base_url": world.url}, token="env:NOT_SET")
        seen = await world.provider(fresh=True)
        assert seen.unknown == ("authorised",)
        assert "NOT_SET" in seen.detail

    run(scene)


def test_a_provider_that_is_away_is_unknown_and_what_it_sent_lately_speaks_for_it(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare(url="http://127.0.0.1:9")
        await world.place.tell("cms", "entry.publish", {}, age_s=3600)
        seen = await world.provider()
        assert seen.value is not None
        assert seen.value["registered"] is True
        assert seen.unknown == ("authorised",)
        assert "cannot be reached" in seen.detail
        assert ("signed_event", "event:cms") in witnesses(seen)

    run(scene)


def test_an_event_of_the_day_before_is_no_witness(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        await world.place.tell("cms", "entry.publish", {}, age_s=25 * 3600)
        seen = await world.provider()
        assert not any(each.kind == "signed_event" for each in seen.evidence)

    run(scene)


def test_the_credential_of_a_source_goes_to_no_other_address(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        asked: list[answering.Request] = []

        def elsewhere(request: answering.Request) -> answering.Response:
            asked.append(request)
            return answering.Response(status=401)

        with answering.Server(elsewhere) as other:
            seen = await world.provider(url=other.url)
        assert asked == []
        assert seen.value is not None
        assert seen.value["url"] == world.url
        assert seen.unknown == ("authorised",)

    run(scene)


def test_a_source_of_another_adapter_is_not_this_provider(run: Run) -> None:
    async def scene(world: World) -> None:
        world.place.declare("cms", "contentful", {})
        seen = await world.provider(source="cms", url=world.url)
        assert seen.value is not None
        assert seen.value["registered"] is False
        assert seen.value["_"] == {"source": "cms", "adapter": "contentful"}

    run(scene)


def test_of_several_sources_the_address_tells_which(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare("one", url="http://127.0.0.1:9")
        world.declare("two")
        seen = await world.provider(url=world.url)
        assert seen.value is not None
        assert seen.value["_"]["source"] == "two"
        seen = await world.provider()
        assert seen.value is not None
        assert seen.value["registered"] is True
        assert "url" in seen.unknown
        assert "name one" in seen.detail

    run(scene)


def test_sources_that_are_not_read_yet_are_no_missing_source(run: Run) -> None:
    async def scene(world: World) -> None:
        world.place.table._entries = None
        seen = await world.provider(url=world.url)
        assert set(seen.unknown) >= {"registered", "url"}
        assert not seen.value

    run(scene)


def test_a_webhook_is_seen_as_it_is_declared(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook()
        seen = await world.webhook()
        assert seen.value == {
            "url": DOOR,
            "events": sorted(EVENTS),
            "enabled": True,
            "headers": {"x-door": "as declared"},
            "delivering": True,
            "_": {"id": "1", "name": "cms-webhook", "detail": {}, "found_by": "url"},
        }
        assert ("direct_read", "trigger:strapi") in witnesses(seen)

    run(scene)


def test_a_webhook_that_is_not_listed_is_absent_by_direct_evidence(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook(name="someone", url="https://elsewhere.example/hook")
        seen = await world.webhook()
        assert (seen.state, seen.value) == ("absent", None)
        assert witnesses(seen) == {("direct_read", "probe:strapi")}

    run(scene)


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"isEnabled": False}, "enabled", False),
        ({"url": "https://wrong.example/hook"}, "url", "https://wrong.example/hook"),
        ({"events": ["entry.publish"]}, "events", ["entry.publish"]),
        ({"headers": {}}, "headers", {}),
    ],
)
def test_what_is_otherwise_of_a_webhook_is_seen(
    run: Run, change: dict[str, Any], field: str, value: Any
) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook(**change)
        seen = await world.webhook()
        assert seen.value is not None
        assert seen.value[field] == value

    run(scene)


def test_a_header_with_another_value_is_shown_as_a_hash_of_it(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook(headers={"X-Door": "a wrong secret"})
        seen = await world.webhook()
        assert seen.value is not None
        shown = seen.value["headers"]["x-door"]
        assert shown.startswith("other:")
        assert len(shown) == len("other:") + 8
        assert "wrong" not in repr(seen)
        again = await world.webhook(fresh=True)
        assert again.value is not None
        assert again.value["headers"] == {"x-door": shown}

    run(scene)


def test_a_header_whose_secret_is_missing_here_is_unknown(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook()
        seen = await world.webhook(headers={"x-door": "Bearer secret:nowhere"})
        assert seen.value is not None
        assert "headers" not in seen.value
        assert "headers" in seen.unknown

    run(scene)


def test_a_delivery_that_our_door_refuses_means_that_nothing_is_delivered(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook()
        world.cms.door_answers = 401
        seen = await world.webhook()
        assert seen.value is not None
        assert seen.value["delivering"] is False
        assert "401" in seen.detail

    run(scene)


def test_webhooks_are_tried_seldom_and_before_a_write_always(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook()
        for _ in range(3):
            await world.webhook()
            world.place.clock.ahead_s += 60
        assert world.cms.triggered == 1
        await world.webhook(fresh=True)
        assert world.cms.triggered == 2
        world.place.clock.ahead_s += 900
        await world.webhook()
        assert world.cms.triggered == 3

    run(scene)


def test_a_webhook_is_tried_again_when_our_door_refused_something(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook()
        refused: list[clocks.Timestamp] = []
        world.observer = world.place.observer(
            refusals=lambda _client, _source: refused[-1] if refused else None
        )
        await world.webhook()
        world.place.clock.ahead_s += 120
        refused.append(world.place.clock.now())
        await world.webhook()
        assert world.cms.triggered == 2
        await world.webhook()
        assert world.cms.triggered == 2

    run(scene)


def test_a_disabled_webhook_is_not_tried(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook(isEnabled=False)
        seen = await world.webhook(fresh=True)
        assert "delivering" in seen.unknown
        assert world.cms.triggered == 0

    run(scene)


def test_a_listing_that_is_refused_says_nothing_of_the_webhook(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.token = "another"
        seen = await world.webhook()
        assert seen.state == "unknown"
        assert witnesses(seen) == {("failed_call", "probe:strapi")}

    run(scene)


def test_two_webhooks_to_one_address_are_told(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook(isEnabled=False, name="helios")
        world.cms.hook()
        seen = await world.webhook()
        assert seen.value is not None
        assert seen.value["enabled"] is True
        assert seen.value["_"]["duplicates"] == ["1"]
        assert "twice" in seen.detail

    run(scene)


def test_a_webhook_of_the_same_name_that_leads_to_another_source_is_not_ours(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.declare("staging")
        world.cms.hook(url="https://helios.example/webhook/staging/acme")
        seen = await bench.seen(world.observer, provider(source="cms"), integration())
        assert seen.state == "absent"

    run(scene)


def test_a_webhook_that_was_renamed_and_moved_is_known_by_its_id(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        hook = world.cms.hook()
        await world.webhook()
        hook |= {"name": "renamed", "url": "https://wrong.example/"}
        seen = await world.webhook(fresh=True)
        assert seen.value is not None
        assert seen.value["_"]["found_by"] == "id"

    run(scene)


def test_a_provider_that_wants_to_be_left_alone_is(run: Run) -> None:
    async def scene(world: World) -> None:
        world.declare()
        world.cms.hook()
        asked = []

        def busy(request: answering.Request) -> answering.Response:
            asked.append(request)
            return answering.Response(status=429, headers={"retry-after": "120"})

        with answering.Server(busy) as server:
            world.declare(url=server.url)
            seen = await world.webhook()
            assert seen.state == "unknown"
            world.place.clock.ahead_s += 60
            again = await world.webhook(fresh=True)
            assert "left alone" in again.detail
            assert len(asked) == 1
            world.place.clock.ahead_s += 61
            await world.webhook(fresh=True)
            assert len(asked) == 2

    run(scene)
