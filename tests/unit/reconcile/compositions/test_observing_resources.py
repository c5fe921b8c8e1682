"""How sites, files, integration APIs and content are seen."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.stackfiles import check as files
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.builds import events as build_events
from helios.reconcile.compositions import composition, model
from helios.reconcile.compositions.observing import contents, ports, sites
from helios.testing import answering
from helios.testing import observing_bench as bench

SITE = """
apiVersion: helios.io/v1
kind: Site
metadata: {name: site, client_id: acme}
spec:
  content: {sources: [cms]}
  build: {type: webhook, url: "https://host.example/build"}
"""
Scene = Callable[[bench.Place], Awaitable[None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Scene], None]:
    def start(scene: Scene) -> None:
        async def main() -> None:
            async with bench.place(tmp_path) as place:
                await scene(place)

        asyncio.run(main())

    return start


Run = Callable[[Scene], None]


def resource(kind: str, expects: Mapping[str, Any] | None = None, **settings: Any) -> Any:
    return composition.Resource(name="site", kind=kind, settings=settings, expects=expects or {})


# Sites


async def build_event(place: bench.Place, kind: str, payload: Any, **more: Any) -> None:
    said = {name: getattr(payload, name) for name in payload.__struct_fields__}
    fields: dict[str, Any] = {"aggregate_type": build_events.AGGREGATE_TYPE, "aggregate_id": "site"}
    await place.tell(build_events.SOURCE, kind, said, **fields, **more)


async def declared(place: bench.Place) -> None:
    digest = hashlib.sha256(SITE.encode()).hexdigest()
    said = build_events.Declared(name="site", yaml=SITE, hash=digest)
    await build_event(place, build_events.DECLARED, said)


async def built(place: bench.Place, upto: int, *, failed: bool = False) -> None:
    started = build_events.Started(
        build_id=f"b{upto}",
        site="site",
        reason="declared",
        executor="webhook",
        changes=1,
        upto_position=upto,
        attempt=1,
        waited_s=0.0,
    )
    await build_event(place, build_events.STARTED, started)
    if failed:
        ended: Any = build_events.Failed(
            build_id=f"b{upto}",
            site="site",
            upto_position=upto,
            cause="remote",
            exit_code=None,
            detail="no",
            seconds=1.0,
        )
        await build_event(place, build_events.FAILED, ended)
    else:
        ended = build_events.Succeeded(
            build_id=f"b{upto}",
            site="site",
            changes=1,
            upto_position=upto,
            seconds=1.0,
            detail="",
            published=None,
        )
        await build_event(place, build_events.SUCCEEDED, ended)


async def published(place: bench.Place, number: int, age_s: float = 0.0, **fields: Any) -> None:
    at = clocks.to_rfc3339(clocks.Timestamp(1_700_000_000_000_000 + number * 1_000_000))
    entry = {"id": number, "documentId": f"d{number}", "updatedAt": at, "publishedAt": at}
    said = {"event": "entry.publish", "createdAt": at, "model": "article", "entry": entry | fields}
    await place.tell("cms", "entry.publish", said, age_s=age_s)


EXPECTS = {"built": True, "unbuilt": {"$max": 0}, "status": "succeeded"}


async def site_seen(place: bench.Place) -> model.Seen:
    return await bench.seen(place.observer(), resource("site", EXPECTS), fresh=True)


def test_a_site_that_nobody_declared_is_absent(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        assert (await site_seen(place)).state == "absent"

    run(scene)


def test_a_site_is_followed_from_its_declaration_to_a_build_that_fails(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        await declared(place)
        young = await site_seen(place)
        assert "healthy" in young.unknown
        await published(place, 1)
        await built(place, upto=2)
        seen = await site_seen(place)
        assert seen.value is not None
        assert {name: seen.value[name] for name in EXPECTS} == {
            "built": True,
            "unbuilt": 0,
            "status": "succeeded",
        }
        assert seen.value["healthy"] is True
        await published(place, 2)
        seen = await site_seen(place)
        assert seen.value is not None
        assert (seen.value["built"], seen.value["unbuilt"]) == (False, 1)
        assert seen.value["healthy"] is True
        await built(place, upto=5, failed=True)
        seen = await site_seen(place)
        assert seen.value is not None
        assert (seen.value["healthy"], seen.value["status"]) == (False, "failed")
        assert "failed" in seen.detail

    run(scene)


def test_a_site_whose_changes_wait_too_long_is_not_healthy(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        await declared(place)
        await built(place, upto=1)
        await published(place, 1)
        place.clock.ahead_s += 60 + 600 + sites.SLACK / clocks.SECOND_US + 1
        seen = await site_seen(place)
        assert seen.value is not None
        assert seen.value["healthy"] is False

    run(scene)


def test_a_generator_stands_for_the_site_that_it_makes(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        generator = composition.Provider(role="ssg", name="eleventy", build={"type": "command"})
        seen = await bench.seen(place.observer(), generator)
        assert seen.value == {"registered": False, "authorised": True}
        await declared(place)
        seen = await bench.seen(place.observer(), generator)
        assert seen.value == {"registered": True, "authorised": True, "_": {"site": "site"}}

    run(scene)


# Files


def file_seen(root: Path | None, expects: Mapping[str, Any], path: str) -> ports.Told:
    asked = ports.Asked(
        client_id="acme", stack_id="s", resource=resource("file", expects, path=path)
    )
    return asyncio.run(files.FileCheck(root).check(asked))


def test_fields_of_a_document_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"build": {"version": "1.2"}, "dotted.name": 1}')
    (tmp_path / "a.yaml").write_text("build: {version: '1.2'}\nflags: [one, two]\n")
    told = file_seen(tmp_path, {"build.version": "1", "dotted.name": 1, "none": 1}, "a.json")
    assert told.value == {
        "healthy": True,
        "build.version": "1.2",
        "dotted.name": 1,
        "none": None,
    }
    told = file_seen(tmp_path, {"build": {}, "flags.1": "two"}, "a.yaml")
    assert told.value == {"healthy": True, "build": {"version": "1.2"}, "flags.1": "two"}


def test_a_file_is_seen_by_its_hash_and_text(tmp_path: Path) -> None:
    (tmp_path / "robots.txt").write_text("Disallow:")
    digest = hashlib.sha256(b"Disallow:").hexdigest()
    told = file_seen(tmp_path, {"sha256": "", "size": 0, "text": "", "colour": ""}, "robots.txt")
    assert told.value == {"healthy": True, "sha256": digest, "size": 9, "text": "Disallow:"}
    assert told.unknown == ("colour",)


def test_a_document_that_cannot_be_read_is_not_healthy(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1, "a": 2}')
    told = file_seen(tmp_path, {"a": 1}, "a.json")
    assert (told.value, told.unknown) == ({"healthy": False}, ("a",))


def test_a_file_that_is_not_there_is_absent_and_a_folder_unknown(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert file_seen(tmp_path, {}, "nowhere/a.json").state == "absent"
    assert file_seen(tmp_path, {}, "folder").state == "unknown"


def test_nothing_outside_the_folder_is_looked_at(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("x")
    (root / "link").symlink_to(tmp_path / "secret")
    for path in ("../secret", str(tmp_path / "secret"), "link", ".", "a\0b"):
        with pytest.raises(errors.InvalidInputError):
            file_seen(root, {"sha256": ""}, path)
    with pytest.raises(errors.InvalidInputError):
        file_seen(None, {"sha256": ""}, "a")


# Integration APIs


class Api:
    def __init__(self) -> None:
        self.status = 200
        self.providers: Any = {"providers": [{"provider_name": "strapi"}, "shopify"]}
        self.integrations: dict[str, Any] = {"cms": {"configuration": {"mode": "fast", "n": 1}}}

    def __call__(self, request: answering.Request) -> answering.Response:
        if self.status != 200:
            return answering.Response(status=self.status)
        assert request.query == {"client_id": "acme"}
        if request.path == "/providers":
            return answering.Response(value=self.providers)
        name = request.path.rpartition("/")[2]
        if name not in self.integrations:
            return answering.Response(status=404)
        return answering.Response(value=self.integrations[name])


def test_an_integration_api_says_what_is_registered_and_how(run: Run) -> None:
    api = Api()

    async def scene(place: bench.Place) -> None:
        with answering.Server(api) as server:
            door = composition.Resource(
                name="api",
                kind="integration_api",
                settings={"url": server.url},
                expects={"providers": []},
            )
            provider = composition.Provider(role="cms", name="strapi")
            configured = composition.Integration(
                name="cms", provider="cms", configuration={"mode": "slow", "more": 1}
            )
            observer = place.observer()
            seen = await bench.seen(observer, door)
            assert seen.value == {"healthy": True, "providers": ["shopify", "strapi"]}
            seen = await bench.seen(observer, door, provider)
            assert seen.value is not None
            assert seen.value["registered"] is True
            seen = await bench.seen(observer, door, provider, configured)
            assert seen.value == {"mode": "fast", "more": None}
            del api.integrations["cms"]
            seen = await bench.seen(observer, door, provider, configured, fresh=True)
            assert seen.state == "absent"
            api.status = 500
            seen = await bench.seen(observer, door, provider, configured, fresh=True)
            assert seen.state == "unknown"
            seen = await bench.seen(observer, door, provider, fresh=True)
            assert "registered" in seen.unknown
            seen = await bench.seen(observer, door, fresh=True)
            assert seen.value == {"healthy": False}

    run(scene)


# Content


def rows(*numbers: int, stage: str = "published") -> list[dict[str, Any]]:
    found = []
    for number in numbers:
        at = clocks.to_rfc3339(clocks.Timestamp(1_700_000_000_000_000 + number * 1_000_000))
        found.append(
            {
                "id": number,
                "documentId": f"d{number}",
                "updatedAt": at,
                "publishedAt": at if stage == "published" else None,
            }
        )
    return found


class Cms:
    def __init__(self, *numbers: int) -> None:
        self.published = rows(*numbers)
        self.status = 200

    def __call__(self, request: answering.Request) -> answering.Response:
        if self.status != 200:
            return answering.Response(status=self.status)
        is_first = not any(name.endswith("[updatedAt][$gt]") for name in request.query)
        wanted = is_first and request.query.get("status") == "published"
        since = request.query.get("filters[$and][0][$or][0][updatedAt][$gte]", "")
        found = [each for each in self.published if each["updatedAt"] >= since]
        return answering.Response(value={"data": found if wanted else []})


def content_seen(place: bench.Place, url: str, **fields: Any) -> Awaitable[model.Seen]:
    place.environment["TOKEN"] = "t"
    options = {"base_url": url, "content_types": {"article": "articles"}}
    place.declare("cms", "strapi", options, token="env:TOKEN")
    provider = composition.Provider(role="cms", name="strapi")
    content = composition.Content(**{"type": "article", "provider": "cms", **fields})
    return bench.seen(place.observer(), provider, content, fresh=True)


def test_content_differs_where_it_is_missing_changed_or_untold(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        with answering.Server(Cms(1, 2, 9)) as server:
            for number in (1, 2, 3):
                await published(place, number, age_s=3600)
            # Told anew an hour ago in a version that the provider does not have.
            await published(place, 2, age_s=3500, updatedAt="2030-01-01T00:00:00Z")
            seen = await content_seen(place, server.url)
            assert seen.value == {"count": 3, "differs": 3}
            assert "d2, d3, d9" in seen.detail

    run(scene)


def test_what_changed_just_now_may_still_be_on_its_way(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        with answering.Server(Cms(1)) as server:
            await published(place, 1, age_s=3600)
            await published(place, 2, age_s=5)
            seen = await content_seen(place, server.url)
            assert seen.value == {"count": 1, "differs": 0}

    run(scene)


def test_content_that_is_not_compared_need_not_be_known(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        with answering.Server(Cms(1)) as server:
            seen = await content_seen(place, server.url, matches_cache=False)
            assert seen.value == {"count": 1}

    run(scene)


def test_an_empty_listing_is_empty_but_no_ground_to_doubt_all_that_is_known(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        with answering.Server(Cms()) as server:
            for number in range(1, 12):
                await published(place, number, age_s=3600)
            seen = await content_seen(place, server.url)
            assert seen.value == {"count": 0}
            assert seen.unknown == ("differs",)

    run(scene)


def test_a_listing_that_fails_or_leaves_the_type_out_says_nothing(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        cms = Cms(1)
        with answering.Server(cms) as server:
            seen = await content_seen(place, server.url, type="page")
            assert seen.state == "unknown"
            assert "does not list page" in seen.detail
            cms.status = 403
            assert (await content_seen(place, server.url)).state == "unknown"
        assert (await content_seen(place, server.url)).state == "unknown"

    run(scene)


def test_the_age_of_content_is_found_however_far_back_and_is_coarse_when_it_is_too_old(
    run: Run,
) -> None:
    async def scene(place: bench.Place) -> None:
        with answering.Server(Cms(1, 5)) as server:
            day = 24 * 3600 * clocks.SECOND_US
            seen = await content_seen(place, server.url, max_age=day)
            assert seen.value is not None
            newest = 1_700_000_005
            age = place.clock.now() // clocks.SECOND_US - newest
            assert seen.value["age_s"] <= age < seen.value["age_s"] + 24 * 360
            assert seen.value["age_s"] % (24 * 360) == 0
            fresh = await content_seen(place, server.url, max_age=200_000 * day)
            assert fresh.value is not None
            assert abs(fresh.value["age_s"] - age) <= 2

    run(scene)


def test_a_listing_that_is_too_long_is_not_compared(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "CONTENTS_MAX", 2)

    async def scene(place: bench.Place) -> None:
        with answering.Server(Cms(1, 2, 3)) as server:
            seen = await content_seen(place, server.url)
            assert seen.state == "unknown"
            assert "more than 2" in seen.detail

    run(scene)
