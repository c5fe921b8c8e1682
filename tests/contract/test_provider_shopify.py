"""Shopify's adapters against a shop of the test that answers GraphQL as Shopify documents it."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from helios.kernel import clock as clocks
from helios.kernel import secret
from helios.providers import ports, shopify, shopify_api, shopify_graphql, shopify_hooks
from helios.testing import answering, provider_conformance

SECRET = "shpss_0123456789abcdef"
TOKEN = "shpat_1"
SOURCE = ports.Source(
    name="shop",
    tenant="default",
    provider="shopify",
    secrets=(secret.Secret(SECRET),),
    options=shopify_graphql.ApiOptions(shop="acme.example", base_url=answering.BASE_URL),
    credentials={"token": secret.Secret(TOKEN)},
)
HOOK = ports.Hook(
    url="https://helios.example/webhook/shop", events=("orders/create", "products/update")
)


def product(number: int, at: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Product/{number}",
        "legacyResourceId": str(number),
        "title": f"Product {number}",
        "handle": f"product-{number}",
        "status": "ACTIVE",
        "descriptionHtml": "<p>…</p>",
        "vendor": "Acme",
        "productType": "lamp",
        "tags": ["a", "b"],
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": at,
        "publishedAt": "2026-01-01T00:00:00Z",
        "variants": [variant(number * 1000 + n) for n in range(25)],
        **changes,
    }


def variant(number: int) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/ProductVariant/{number}",
        "legacyResourceId": str(number),
        "title": "V",
        "sku": f"S{number}",
        "price": f"{9 + number % 1000}.90",
        "inventoryQuantity": 2,
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
    }


def order(number: int, at: str, **changes: Any) -> dict[str, Any]:
    money = {"shopMoney": {"amount": "23.98", "currencyCode": "EUR"}}
    return {
        "legacyResourceId": str(number),
        "name": f"#{number}",
        "email": "a@example.com",
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": at,
        "processedAt": at,
        "cancelledAt": None,
        "closedAt": None,
        "currencyCode": "EUR",
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "UNFULFILLED",
        "totalPriceSet": money,
        "subtotalPriceSet": money,
        "lineItems": {
            "nodes": [
                {
                    "id": "gid://shopify/LineItem/7",
                    "sku": "S1",
                    "title": "P",
                    "quantity": 2,
                    "originalUnitPriceSet": money,
                }
            ]
        },
        "transactions": [
            {
                "id": "gid://shopify/OrderTransaction/8",
                "kind": "SALE",
                "status": "SUCCESS",
                "gateway": "bogus",
                "processedAt": at,
                "amountSet": money,
            }
        ],
        **changes,
    }


class Shop:
    """A shop with a budget of points."""

    def __init__(self) -> None:
        times = [f"2026-01-02T00:{n // 4:02d}:00Z" for n in range(60)]
        self.products = [product(n + 1, at) for n, at in enumerate(times)]
        self.products[5]["status"] = "DRAFT"
        self.orders = [order(1000 + n, f"2026-01-03T00:00:{n:02d}Z") for n in range(30)]
        self.hooks: dict[str, dict[str, str]] = {}
        self.made = 0
        self.points = 2000.0
        self.throttled = 0
        self.looks = 0

    def answer(self, request: answering.Request) -> answering.Response:
        if request.path == "/bulk.jsonl":
            assert "x-shopify-access-token" not in request.headers, "not to another host"
            return answering.Response(value=self._file())
        if request.headers.get("x-shopify-access-token") != TOKEN:
            errors = "[API] Invalid API key or access token"
            return answering.Response(status=401, value={"errors": errors})
        assert request.path == "/admin/api/2025-10/graphql.json"
        asked = request.json()
        status = {"maximumAvailable": 2000, "currentlyAvailable": self.points, "restoreRate": 100}
        cost = {"requestedQueryCost": 120, "throttleStatus": status}
        if self.throttled:
            self.throttled -= 1
            fault = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
            value: dict[str, Any] = {"errors": [fault]}
        else:
            value = {"data": self._data(asked["query"], asked["variables"], request)}
        return answering.Response(value={**value, "extensions": {"cost": cost}})

    def _data(
        self, query: str, variables: Mapping[str, Any], request: answering.Request
    ) -> dict[str, Any]:
        known: list[tuple[str, Callable[[], dict[str, Any]]]] = [
            ("webhookSubscriptionCreate", lambda: self._create(variables)),
            ("webhookSubscriptionUpdate", lambda: self._update(variables)),
            ("webhookSubscriptionDelete", lambda: self._delete(variables)),
            ("webhookSubscriptions", self._subscriptions),
            ("bulkOperationRunQuery", self._bulk),
            ("node(id", lambda: self._look(request)),
            ("nodes(ids", lambda: self._nodes(variables["ids"])),
            ("product(id", lambda: self._variants(variables)),
            ("order(id", lambda: {"order": self._order(variables["id"])}),
            ("products(", lambda: self._page("products", self.products, query, variables)),
            ("orders(", lambda: self._page("orders", self.orders, query, variables)),
            ("shop { name }", lambda: {"shop": {"name": "Acme"}}),
        ]
        return next(answer() for word, answer in known if word in query)

    def _page(
        self, name: str, items: list[dict[str, Any]], query: str, variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        said = variables.get("query") or ""
        since = re.fullmatch(r"updated_at:>='(.*)'", said)
        number = re.fullmatch(r"name:'(.*)'", said)
        found = [
            each
            for each in items
            if (not since or each["updatedAt"] >= since[1].replace(".000Z", "Z"))
            and (not number or each["name"] == number[1])
        ]
        if "sortKey: UPDATED_AT" in query:
            found.sort(key=lambda each: (each["updatedAt"], int(each["legacyResourceId"])))
        start = int(variables["after"] or 0)
        nodes = [dict(each) for each in found[start : start + variables["first"]]]
        for node in nodes:
            if name == "products":
                first = node["variants"][:20]
                more = {"hasNextPage": len(node["variants"]) > 20, "endCursor": "20"}
                node["variants"] = {"nodes": first, "pageInfo": more}
        end = start + len(nodes)
        info = {"hasNextPage": end < len(found), "endCursor": str(end)}
        return {name: {"nodes": nodes, "pageInfo": info}, "shop": {"currencyCode": "EUR"}}

    def _variants(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        (found,) = [each for each in self.products if each["id"] == variables["id"]]
        nodes = found["variants"][int(variables["after"]) :]
        return {"product": {"variants": {"nodes": nodes, "pageInfo": {"hasNextPage": False}}}}

    def _nodes(self, ids: Sequence[str]) -> dict[str, Any]:
        known = {each["id"]: each for each in self.products}
        nodes = [known.get(gid) for gid in ids]
        return {
            "shop": {"currencyCode": "EUR"},
            "nodes": [
                None if n is None else {**n, "variants": {"nodes": n["variants"], "pageInfo": {}}}
                for n in nodes
            ],
        }

    def _order(self, gid: str) -> dict[str, Any] | None:
        number = gid.rpartition("/")[2]
        return next((each for each in self.orders if each["legacyResourceId"] == number), None)

    def _create(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        self.made += 1
        gid = f"gid://shopify/WebhookSubscription/{self.made}"
        self.hooks[gid] = {"topic": variables["topic"], "url": variables["url"]}
        return {"webhookSubscriptionCreate": {"webhookSubscription": {"id": gid}, "userErrors": []}}

    def _update(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        self.hooks[variables["id"]]["url"] = variables["url"]
        return {"webhookSubscriptionUpdate": {"userErrors": []}}

    def _delete(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        del self.hooks[variables["id"]]
        return {"webhookSubscriptionDelete": {"userErrors": []}}

    def _subscriptions(self) -> dict[str, Any]:
        nodes = [
            {"id": gid, "topic": each["topic"], "endpoint": {"callbackUrl": each["url"]}}
            for gid, each in self.hooks.items()
        ]
        return {"webhookSubscriptions": {"nodes": nodes, "pageInfo": {"hasNextPage": False}}}

    def _bulk(self) -> dict[str, Any]:
        operation = {"id": "gid://shopify/BulkOperation/1", "status": "CREATED"}
        return {"bulkOperationRunQuery": {"bulkOperation": operation, "userErrors": []}}

    def _look(self, request: answering.Request) -> dict[str, Any]:
        self.looks += 1
        if self.looks < 3:
            return {"node": {"status": "RUNNING", "url": None}}
        url = f"http://{request.headers['host']}/bulk.jsonl"
        return {"node": {"status": "COMPLETED", "url": url, "errorCode": None}}

    def _file(self) -> bytes:
        lines = []
        for each in self.products:
            lines.append({k: v for k, v in each.items() if k != "variants"})
            lines += [{**v, "__parentId": each["id"]} for v in each["variants"]]
        return "\n".join(json.dumps(line) for line in lines).encode()


def delivery(topic: str, payload: Mapping[str, Any]) -> ports.Delivery:
    body = json.dumps(payload).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
    headers = {
        "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": "acme.example",
        "X-Shopify-Event-Id": hashlib.sha256(body).hexdigest(),
    }
    return ports.Delivery(headers=tuple(headers.items()), body=body)


def rest(number: int, at: str, **changes: Any) -> dict[str, Any]:
    return shopify_api.rest_product(
        {**product(number, at, **changes), "variants": {"nodes": []}}, "EUR"
    )


class TestShopify(provider_conformance.ProviderConformance):
    provider = shopify.Shopify()
    source = SOURCE
    hook = HOOK

    def deliveries(self) -> Sequence[ports.Delivery]:
        return [
            delivery("products/update", rest(1, "2026-01-02T00:00:00Z")),
            delivery("products/delete", {"id": 788032119674292922}),
            delivery("orders/create", {"id": 1, "updated_at": "2026-01-02T00:00:00Z"}),
            delivery("customers/redact", {"shop_id": 1, "customer": {"id": 2}}),
        ]

    def states(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return [
            ("products/create", rest(1, "2026-01-02T01:00:00+01:00")),
            ("products/update", rest(1, "2026-01-02T00:00:01Z")),
            ("products/update", rest(1, "2026-01-01T20:00:02-05:00", status="ARCHIVED")),
            ("products/delete", {"id": 1}),
        ]

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        return answering.api(self.source, Shop().answer)


class TestShopifyAdvanced(TestShopify):
    provider = shopify.ShopifyAdvanced()
    source = ports.Source(
        name="shop",
        tenant="default",
        provider="shopify-advanced",
        secrets=SOURCE.secrets,
        options=SOURCE.options,
        credentials=SOURCE.credentials,
    )


class FastClock(clocks.SystemClock):
    """Notes how long it was asked to sleep, and does not."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)


async def _events(api: ports.Api, provider: ports.ChangeLister) -> list[ports.Received]:
    changed = provider.list_changes(api, clocks.Timestamp(0))
    return [event async for page in changed for event in page.events]


def with_clock(api: ports.Api, clock: clocks.Clock) -> ports.Api:
    return ports.Api(source=api.source, client=api.client, clock=clock)


def test_all_variants_are_told_though_they_come_on_several_pages() -> None:
    async def main() -> None:
        async with answering.api(SOURCE, Shop().answer) as api:
            events = await _events(api, shopify.Shopify())
        assert len(events) == 60
        (change,) = shopify.Shopify().normalise(
            events[0].type, json.loads(events[0].payload), SOURCE
        )
        assert change.content is not None
        assert len(change.content.raw["variants"]) == 25
        assert (change.content.price, change.content.currency) == ("9.90", "EUR")
        assert change.content.stock == 50

    asyncio.run(main())


def test_queries_wait_for_the_points_that_they_cost() -> None:
    async def main() -> None:
        shop, clock = Shop(), FastClock()
        shop.points = 20.0
        async with answering.api(SOURCE, shop.answer) as api:
            await _events(with_clock(api, clock), shopify.Shopify())
        assert clock.slept
        assert set(clock.slept) == {1.0}

    asyncio.run(main())


def test_a_throttled_query_says_when_to_come_again() -> None:
    async def main() -> None:
        shop = Shop()
        shop.points, shop.throttled = 0.0, 100
        async with answering.api(SOURCE, shop.answer) as api:
            with pytest.raises(ports.ProviderApiError, match="Throttled") as caught:
                await _events(api, shopify.Shopify())
        assert (caught.value.status, caught.value.retry_after_s) == (429, 1.2)

    asyncio.run(main())


def test_a_long_listing_begins_anew_before_its_pages_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shopify_api, "RESTART_OBJECTS", 25)

    async def main() -> None:
        async with answering.api(SOURCE, Shop().answer) as api:
            events = await _events(api, shopify.Shopify())
        assert {event.aggregate_id for event in events} == {str(n) for n in range(1, 61)}

    asyncio.run(main())


def test_a_first_load_by_a_bulk_operation_tells_the_same_products() -> None:
    options = shopify_graphql.ApiOptions(base_url=answering.BASE_URL, bulk=True)
    bulk = ports.Source(
        name="shop",
        tenant="default",
        provider="shopify-advanced",
        options=options,
        credentials=SOURCE.credentials,
    )

    async def main() -> None:
        provider = shopify.ShopifyAdvanced()
        async with answering.api(bulk, Shop().answer) as api:
            by_bulk = await _events(with_clock(api, FastClock()), provider)
        async with answering.api(SOURCE, Shop().answer) as api:
            by_pages = await _events(api, provider)
        assert {event.id for event in by_bulk} == {event.id for event in by_pages}

    asyncio.run(main())


def test_an_order_is_found_by_its_name_and_by_its_number() -> None:
    async def main() -> None:
        provider = shopify.ShopifyAdvanced()
        async with answering.api(SOURCE, Shop().answer) as api:
            by_name = await provider.find(api, "orders/paid", "#1003")
            by_number = await provider.find(api, "orders/paid", "1003")
            assert [event.aggregate_id for event in by_name] == ["1003"]
            assert by_number == by_name
            assert json.loads(by_name[0].payload)["total_price"] == "23.98"
            assert not await provider.find(api, "orders/cancelled", "#1003")
            assert not await provider.find(api, "orders/paid", "#9")
            assert not await provider.find(api, "carts/update", "#1003")

    asyncio.run(main())


@pytest.mark.parametrize(
    "topic",
    ["orders/create", "inventory_levels/update", "orders/partially_fulfilled", "shop/update"],
)
def test_topics_are_spelled_both_ways(topic: str) -> None:
    assert shopify_hooks.from_enum(shopify_hooks.to_enum(topic)) == topic


def test_privacy_topics_are_no_content_and_no_state_of_an_order() -> None:
    provider = shopify.ShopifyAdvanced()
    for topic in ("customers/data_request", "customers/redact", "shop/redact"):
        assert provider.normalise(topic, {"id": 1, "shop_id": 2}, SOURCE) == ()
        assert provider.states(topic, {"id": 1, "updated_at": "2026-01-01T00:00:00Z"}) == ()


def test_a_product_that_becomes_a_draft_is_published_no_more() -> None:
    payload = rest(1, "2026-01-02T00:00:00Z", status="DRAFT")
    (change,) = shopify.Shopify().normalise("products/update", payload, SOURCE)
    assert change.change == "unpublished"
    assert change.content is not None
    assert change.content.status == "draft"
