"""Sanity's adapter against a dataset of the test that answers its queries and keeps webhooks."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from helios.kernel import clock as clocks
from helios.kernel import secret
from helios.providers import ports, sanity, sanity_api
from helios.testing import answering, provider_conformance

SECRET = "sanity-hook-secret"
SOURCE = ports.Source(
    name="cms",
    tenant="default",
    provider="sanity",
    secrets=(secret.Secret(SECRET),),
    options=sanity_api.ApiOptions(project="p1", base_url=answering.BASE_URL, types=("post",)),
    credentials={"token": secret.Secret("t")},
)
NOW = clocks.parse_rfc3339("2026-01-02T03:04:05Z")


def post(name: str, at: str, **changes: Any) -> dict[str, Any]:
    return {
        "_id": name,
        "_type": "post",
        "_rev": f"rev-{name}-{at}",
        "_createdAt": "2026-01-01T00:00:00Z",
        "_updatedAt": at,
        "title": f"Post {name}",
        "slug": {"_type": "slug", "current": f"post-{name}"},
        **changes,
    }


class Dataset:
    """Understands the queries of the adapter by their parameters."""

    def __init__(self, pages: int = 2) -> None:
        times = [f"2026-01-02T00:00:{n % 60:02d}Z" for n in range(sanity_api.PAGE * pages // 2)]
        self.documents = [post(f"p{n:05d}", at) for n, at in enumerate(times)]
        self.documents += [post(f"drafts.p{n:05d}", "2026-01-02T01:00:00Z") for n in range(3)]
        self.documents.append(post("drafts.new", "2026-01-02T01:00:00Z"))
        self.hooks: dict[str, dict[str, Any]] = {}

    def answer(self, request: answering.Request) -> answering.Response:
        if request.headers.get("authorization") != "Bearer t":
            return answering.Response(status=401, value={"message": "Unauthorized"})
        path = request.path.removeprefix("/v2025-02-19")
        if path == "/users/me":
            headers = {"ratelimit-remaining": "421"}
            return answering.Response(value={"id": "robot"}, headers=headers)
        if path == "/data/query/production":
            return answering.Response(value={"result": self._rows(request.query)})
        return self._webhooks(request, path.removeprefix("/hooks/projects/p1").strip("/"))

    def _rows(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        assert query["perspective"] == "raw"
        asked = query["query"]
        said = {k[1:]: json.loads(v) for k, v in query.items() if k.startswith("$")}
        if "id" in said:
            return [each for each in self.documents if each["_id"] == said["id"]]
        if "ids" in said:
            return [each for each in self.documents if each["_id"] in said["ids"]]
        assert '_type in ["post"]' in asked
        fields = ["_updatedAt", "_id"] if "order(_updatedAt asc, _id asc)" in asked else ["_id"]
        assert f"order({' asc, '.join(fields)} asc)" in asked
        last = [said.get("at", "").replace(".000Z", "Z"), said["last"]][-len(fields) :]
        places = [([d[name] for name in fields], d) for d in self.documents]
        found = sorted((each for each in places if each[0] > last), key=lambda each: each[0])
        return [document for _, document in found[: sanity_api.PAGE]]

    def _webhooks(self, request: answering.Request, name: str) -> answering.Response:
        if request.method == "GET":
            return answering.Response(value=list(self.hooks.values()))
        if request.method == "POST":
            hook = {"id": f"h{len(self.hooks)}", **request.json()}
            assert hook.pop("secret") == "s"
            self.hooks[hook["id"]] = hook
            return answering.Response(status=201, value=hook)
        if name not in self.hooks:
            return answering.Response(status=404, value={"message": "not found"})
        if request.method == "DELETE":
            return answering.Response(value=self.hooks.pop(name))
        self.hooks[name] |= {k: v for k, v in request.json().items() if k != "secret"}
        return answering.Response(value=self.hooks[name])


def delivery(operation: str, payload: Mapping[str, Any]) -> ports.Delivery:
    body = json.dumps(payload).encode()
    stamp = str(NOW // 1000)
    digest = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    headers = {
        "sanity-webhook-signature": f"t={stamp},v1={signature}",
        "sanity-operation": operation,
        "sanity-document-id": payload["_id"],
        "idempotency-key": hashlib.sha256(body).hexdigest(),
    }
    return ports.Delivery(headers=tuple(headers.items()), body=body)


class TestSanity(provider_conformance.ProviderConformance):
    provider = sanity.Sanity()
    source = SOURCE
    now = NOW
    hook = ports.Hook(
        url="https://helios.example/webhook/cms",
        events=("create", "delete", "update"),
        secret=secret.Secret("s"),
    )

    def deliveries(self) -> Sequence[ports.Delivery]:
        return [
            delivery("update", post("a", "2026-01-02T00:00:00Z")),
            delivery("create", post("drafts.a", "2026-01-02T00:00:00Z")),
            delivery("delete", post("a", "2026-01-02T00:00:01Z")),
        ]

    def states(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return [
            ("create", post("drafts.a", "2026-01-02T00:00:00Z")),
            ("create", post("a", "2026-01-02T00:00:01Z")),
            ("update", post("a", "2026-01-02T00:00:02Z")),
            ("delete", post("a", "2026-01-02T00:00:02Z")),
        ]

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        return answering.api(self.source, Dataset().answer)


def test_every_page_begins_after_the_last_document_of_the_page_before() -> None:
    async def main() -> None:
        async with answering.api(SOURCE, Dataset(pages=5).answer) as api:
            changed = sanity.Sanity().list_changes(api, clocks.Timestamp(0))
            ids = [event.aggregate_id async for page in changed for event in page.events]
        assert len(ids) == len(set(ids)) == sanity_api.PAGE * 5 // 2 + 4

    asyncio.run(main())


def test_what_was_published_is_not_missed_as_a_draft() -> None:
    async def main() -> None:
        async with answering.api(SOURCE, Dataset().answer) as api:
            pages = sanity.Sanity().list_ids(api)
            there = [(each.id, each.stage) async for page in pages for each in page]
        assert ("p00010", "draft") in there
        assert ("new", "published") not in there

    asyncio.run(main())


def test_types_are_compared_only_when_they_are_named() -> None:
    bare = ports.Source(name="x", tenant="x", provider="sanity", options=sanity_api.ApiOptions())
    assert sanity.Sanity().listed_types(bare) == ()
    assert sanity.Sanity().listed_types(SOURCE) == ("post",)


def test_a_draft_that_goes_and_a_version_of_a_release_say_nothing() -> None:
    provider = sanity.Sanity()
    assert not provider.normalise("delete", post("drafts.a", "2026-01-02T00:00:00Z"), SOURCE)
    assert not provider.normalise("update", post("versions.r.a", "2026-01-02T00:00:00Z"), SOURCE)


def test_a_document_is_found_by_its_id() -> None:
    async def main() -> None:
        async with answering.api(SOURCE, Dataset().answer) as api:
            (found,) = await sanity.Sanity().find(api, "update", "p00001")
            assert found.aggregate_id == "p00001"
            assert not await sanity.Sanity().find(api, "update", 'x" || true')

    asyncio.run(main())
