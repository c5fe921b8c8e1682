"""Strapi's adapter against a CMS of the test, and against a real Strapi."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound, secret
from helios.providers import ports, strapi, strapi_api
from helios.testing import answering, cms, components, provider_conformance, receiver

SECRET = "strapi-hook-token"
EVENTS = ("entry.create", "entry.delete", "entry.publish", "entry.unpublish", "entry.update")
PROVIDER = strapi.Strapi()


def source(url: str, token: str = "t", admin_token: str = "a") -> ports.Source:
    return ports.Source(
        name="cms",
        tenant="default",
        provider="strapi",
        secrets=(secret.Secret(SECRET),),
        options=strapi_api.ApiOptions(base_url=url, content_types={"article": "articles"}),
        credentials={"token": secret.Secret(token), "admin_token": secret.Secret(admin_token)},
    )


def body(event: str, created_at: str, **entry: Any) -> dict[str, Any]:
    at = {"createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": created_at}
    made = {"id": 1, "documentId": "d1", "title": "T", "slug": "t", **at, **entry}
    return {"event": event, "createdAt": created_at, "model": "article", "entry": made}


def delivery(payload: Mapping[str, Any]) -> ports.Delivery:
    headers = (("Authorization", f"Bearer {SECRET}"), ("X-Strapi-Event", payload["event"]))
    return ports.Delivery(headers=headers, body=json.dumps(payload).encode())


class Server:
    """`testing.cms` behind HTTP, with webhooks that can be kept."""

    def __init__(self) -> None:
        self.cms = cms.Cms(clocks.SystemClock())
        self.hooks: dict[str, dict[str, Any]] = {}

    def answer(self, request: answering.Request) -> answering.Response:
        wanted = "Bearer a" if request.path.startswith("/admin") else "Bearer t"
        if request.headers.get("authorization") != wanted:
            return answering.Response(
                status=401, value={"error": {"message": "Missing or invalid"}}
            )
        if request.path.startswith("/admin/webhooks"):
            return self._webhooks(request, request.path.removeprefix("/admin/webhooks").strip("/"))
        if "status" not in request.query:
            return answering.Response(value={"data": []})
        path = request.path + "?" + "&".join(f"{k}={v}" for k, v in request.query.items())
        call = outbound.Call(url=f"http://cms{path}".replace("+", "%2B"))
        found = asyncio.run(self.cms.send(call))
        return answering.Response(status=found.status, value=found.body)

    def _webhooks(self, request: answering.Request, name: str) -> answering.Response:
        if not name and request.method == "GET":
            return answering.Response(value={"data": list(self.hooks.values())})
        if not name:
            made = {"id": str(len(self.hooks) + 1), "isEnabled": True, **request.json()}
            self.hooks[made["id"]] = made
            return answering.Response(status=201, value={"data": made})
        if name not in self.hooks:
            return answering.Response(status=404, value={"error": {"message": "Not Found"}})
        if request.method == "DELETE":
            return answering.Response(value={"data": self.hooks.pop(name)})
        if request.method == "PUT":
            self.hooks[name] |= request.json()
        return answering.Response(value={"data": self.hooks[name]})


class TestStrapi(provider_conformance.ProviderConformance):
    provider = PROVIDER
    source = source(answering.BASE_URL)
    signs_body = False
    hook = ports.Hook(
        url="https://helios.example/webhook/cms", events=EVENTS, secret=secret.Secret("s")
    )

    def deliveries(self) -> Sequence[ports.Delivery]:
        return [delivery(body(event, "2026-01-02T00:00:00.000Z")) for event in EVENTS]

    def states(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        time = "2026-01-02T00:00:0{}.000Z"
        published = {"publishedAt": time.format(2), "id": 2}
        return [
            ("entry.create", body("entry.create", time.format(0), publishedAt=None)),
            ("entry.update", body("entry.update", time.format(1), publishedAt=None)),
            ("entry.publish", body("entry.publish", time.format(1), **published)),
            ("entry.unpublish", body("entry.unpublish", time.format(3), **published)),
            ("entry.delete", body("entry.delete", time.format(4), publishedAt=None)),
        ]

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        server = Server()
        for number in range(7):
            document = server.cms.create(f"Title {number}")
            if number == 3:
                server.cms.unpublish(document)
        return answering.api(self.source, server.answer)


def test_a_hook_keeps_its_token_when_nobody_gives_a_new_one() -> None:
    async def main() -> None:
        server = Server()
        async with answering.api(TestStrapi.source, server.answer) as api:
            made = await PROVIDER.create_hook(api, TestStrapi.hook)
            kept = msgspec.structs.replace(made, enabled=False)
            changed = await PROVIDER.update_hook(api, kept)
        assert not changed.enabled
        assert server.hooks[str(made.id)]["headers"] == {"Authorization": "Bearer s"}

    asyncio.run(main())


def test_a_release_that_publishes_an_old_draft_is_a_later_state() -> None:
    old = body("entry.publish", "2026-01-05T00:00:00.000Z")
    old["entry"] |= {"updatedAt": "2026-01-01T00:00:00.000Z", "publishedAt": old["createdAt"]}
    edited = body(
        "entry.publish", "2026-01-02T00:00:00.000Z", publishedAt="2026-01-02T00:00:00.000Z"
    )
    (later,) = PROVIDER.normalise("entry.publish", old, TestStrapi.source)
    (earlier,) = PROVIDER.normalise("entry.publish", edited, TestStrapi.source)
    assert later.version > earlier.version


# A real one


@contextlib.asynccontextmanager
async def real(running: components.Strapi) -> AsyncIterator[ports.Api]:
    about = running.about
    made = source(about["url"], about["content_token"], about["webhook_token"])
    async with answering.calling() as client:
        yield ports.Api(source=made, client=client, clock=clocks.SystemClock())


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strapi_api, "PAGE_ROWS", 7)


async def content(api: ports.Api, since: int = 0) -> dict[tuple[str, str], str]:
    """Titles by (documentId, stage) of what changed."""
    found: dict[tuple[str, str], str] = {}
    async for page in PROVIDER.list_changes(api, clocks.Timestamp(since)):
        for event in page.events:
            payload = jsonio.parse_object(event.payload)
            for change in PROVIDER.normalise(event.type, payload, api.source):
                assert change.content is not None
                found[change.id, change.content.status] = change.content.title or ""
    return found


@pytest.mark.components
def test_a_real_strapi_lists_what_changed_page_by_page(
    strapi: components.Strapi, small_pages: None
) -> None:
    articles = [strapi.api.create(f"Title {number}") for number in range(20)]
    draft = strapi.api.create("Draft", publish=False)

    async def main() -> None:
        async with real(strapi) as api:
            found = await content(api)
            for each in articles:
                assert found[each.document_id, "published"] == each.title
            assert (draft.document_id, "published") not in found
            pages = [page async for page in PROVIDER.list_changes(api, clocks.Timestamp(0))]
            newest = max(page.high_water or 0 for page in pages)
            strapi.api.update(articles[4].document_id, title="Changed")
            later = await content(api, newest + 1000)
            assert set(later.values()) == {"Changed"}
            strapi.api.publish(draft.document_id)
            assert (draft.document_id, "published") in await content(api, newest + 1000)

    asyncio.run(main())


@pytest.mark.components
def test_a_real_strapi_tells_by_webhook_and_by_poll_the_same_versions(
    strapi: components.Strapi,
) -> None:
    with receiver.Receiver() as door:
        strapi.api.create_webhook(door.url, headers={"Authorization": f"Bearer {SECRET}"})
        article = strapi.api.create("One")
        strapi.api.update(article.document_id, title="Two")
        came = door.wait(lambda sent: len(sent) >= 4)

    async def main() -> None:
        async with real(strapi) as api:
            told: dict[str, str] = {}
            for one in came:
                sent = ports.Delivery(headers=one.headers, body=one.body)
                PROVIDER.verify(sent, api.source, {}, clocks.Timestamp(0))
                parsed = PROVIDER.parse(sent, api.source, {})
                assert not isinstance(parsed, ports.Handshake)
                for event in parsed:
                    payload = jsonio.parse_object(event.payload)
                    for change in PROVIDER.normalise(event.type, payload, api.source):
                        stage = "" if change.content is None else change.content.status
                        told[stage] = max(told.get(stage, ""), change.version)
            async for page in PROVIDER.list_changes(api, clocks.Timestamp(0)):
                for event in page.events:
                    payload = jsonio.parse_object(event.payload)
                    (change,) = PROVIDER.normalise(event.type, payload, api.source)
                    assert change.content is not None
                    assert change.version == told[change.content.status]

    asyncio.run(main())


@pytest.mark.components
def test_a_real_strapi_lists_what_is_there(strapi: components.Strapi, small_pages: None) -> None:
    articles = [strapi.api.create(f"Title {number}") for number in range(10)]
    strapi.api.unpublish(articles[0].document_id)
    strapi.api.delete(articles[1].document_id)

    async def main() -> None:
        async with real(strapi) as api:
            pages = [page async for page in PROVIDER.list_ids(api)]
        there = {(each.id, each.stage) for page in pages for each in page}
        for stage in ("draft", "published"):
            known = {article.document_id for article in strapi.api.articles(stage)}
            assert {name for name, at in there if at == stage} == known

    asyncio.run(main())


@pytest.mark.components
def test_the_webhooks_of_a_real_strapi_are_kept(strapi: components.Strapi) -> None:
    with receiver.Receiver() as door:

        async def main() -> None:
            async with real(strapi) as api:
                hook = ports.Hook(url=door.url, events=EVENTS, secret=secret.Secret(SECRET))
                made = await PROVIDER.create_hook(api, hook)
                assert made in await PROVIDER.list_hooks(api)
                assert (await PROVIDER.trigger_hook(api, str(made.id))).status == 200
                off = msgspec.structs.replace(made, enabled=False, events=("entry.publish",))
                assert await PROVIDER.update_hook(api, off) == off
                door.status = 500
                assert (await PROVIDER.trigger_hook(api, str(made.id))).status == 500
                await PROVIDER.delete_hook(api, str(made.id))
                await PROVIDER.delete_hook(api, str(made.id))
                assert made.id not in [each.id for each in await PROVIDER.list_hooks(api)]

        asyncio.run(main())
        sent = door.deliveries[0]
    as_sent = ports.Delivery(headers=sent.headers, body=sent.body)
    PROVIDER.verify(as_sent, TestStrapi.source, {}, clocks.Timestamp(0))


@pytest.mark.components
def test_the_health_of_a_real_strapi_is_told(strapi: components.Strapi) -> None:
    async def main() -> None:
        async with real(strapi) as api:
            found = await PROVIDER.health(api)
            assert (found.reachable, found.authorised) == (True, True)
            wrong = {"token": secret.Secret("x"), "admin_token": secret.Secret("x")}
            stranger = msgspec.structs.replace(api.source, credentials=wrong)
            found = await PROVIDER.health(msgspec.structs.replace(api, source=stranger))
            assert (found.reachable, found.authorised) == (True, False)
            strapi.stop()
            found = await PROVIDER.health(api)
            assert found.reachable is False

    asyncio.run(main())
