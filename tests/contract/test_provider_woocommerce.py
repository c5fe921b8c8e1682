"""WooCommerce's adapter against a shop of the test that answers as its REST API does."""

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
from helios.providers import ports, woocommerce, woocommerce_api
from helios.testing import answering, provider_conformance

SECRET = "hook-secret"
KEYS = base64.b64encode(b"ck_1:cs_1").decode()
SOURCE = ports.Source(
    name="shop",
    tenant="default",
    provider="woocommerce",
    secrets=(secret.Secret(SECRET),),
    options=woocommerce_api.ApiOptions(shop=answering.BASE_URL),
    credentials={
        "consumer_key": secret.Secret("ck_1"),
        "consumer_secret": secret.Secret("cs_1"),
    },
)


def product(number: int, at: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"Product {number}",
        "slug": f"product-{number}",
        "status": "publish",
        "price": "12.50",
        "stock_quantity": 3,
        "date_created_gmt": "2026-01-01T00:00:00",
        "date_modified_gmt": at,
        "_links": {"self": []},
        **changes,
    }


class Shop:
    """Pages by number; `modified_after` leaves out that very second."""

    def __init__(self) -> None:
        # Two hundred and fifty of one second: more than two pages.
        self.products = [product(n, "2026-01-02T00:00:00") for n in range(1, 251)]
        self.products += [product(n, f"2026-01-02T00:01:{n - 251:02d}") for n in range(251, 291)]
        self.products[3]["status"] = "draft"
        self.orders = [
            {"id": n, "number": str(n), "total": "9.00", "date_modified_gmt": "2026-01-03T00:00:00"}
            for n in range(1000, 1005)
        ]
        self.hooks: dict[int, dict[str, Any]] = {}

    def answer(self, request: answering.Request) -> answering.Response:
        if request.headers.get("authorization") != f"Basic {KEYS}":
            return answering.Response(status=401, value={"message": "you cannot list resources"})
        resource, _, name = request.path.removeprefix("/wp-json/wc/v3/").partition("/")
        if resource == "webhooks":
            return self._webhooks(request, name)
        items = {"products": self.products, "orders": self.orders}[resource]
        if name:
            found = [item for item in items if item["id"] == int(name)]
            return answering.Response(status=200, value=found[0]) if found else _missing()
        return answering.Response(value=_page(items, request.query))

    def _webhooks(self, request: answering.Request, name: str) -> answering.Response:
        if request.method == "GET":
            return answering.Response(value=_page(list(self.hooks.values()), request.query))
        if request.method == "POST":
            number = len(self.hooks) + 1
            self.hooks[number] = {"id": number, **request.json()}
            assert self.hooks[number].pop("secret") == "s"
            return answering.Response(status=201, value=self.hooks[number])
        if int(name) not in self.hooks:
            return _missing()
        if request.method == "DELETE":
            assert request.query["force"] == "true"
            return answering.Response(value=self.hooks.pop(int(name)))
        self.hooks[int(name)] |= {k: v for k, v in request.json().items() if k != "secret"}
        return answering.Response(value=self.hooks[int(name)])


def _missing() -> answering.Response:
    return answering.Response(status=404, value={"message": "Invalid ID."})


def _page(items: Sequence[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    if "include" in query:
        items = [item for item in items if str(item["id"]) in query["include"].split(",")]
    after = query.get("modified_after", "")
    found = [item for item in items if item.get("date_modified_gmt", "z") > after]
    if query.get("orderby") == "modified":
        # Within one second the order is anybody's guess, and here it is the other way round.
        found.sort(key=lambda item: (item["date_modified_gmt"], -item["id"]))
    size, number = int(query["per_page"]), int(query.get("page", "1"))
    return found[(number - 1) * size : number * size]


def delivery(topic: str, payload: Mapping[str, Any]) -> ports.Delivery:
    body = json.dumps(payload).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
    headers = {
        "X-WC-Webhook-Signature": base64.b64encode(digest).decode(),
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Resource": topic.partition(".")[0],
        "X-WC-Webhook-Delivery-ID": "d",
        "X-WC-Webhook-Source": f"{answering.BASE_URL}/",
    }
    return ports.Delivery(headers=tuple(headers.items()), body=body)


class TestWooCommerce(provider_conformance.ProviderConformance):
    provider = woocommerce.WooCommerce()
    source = SOURCE
    hook = ports.Hook(
        url="https://helios.example/webhook/shop",
        events=("order.created", "product.updated"),
        secret=secret.Secret("s"),
    )

    def deliveries(self) -> Sequence[ports.Delivery]:
        return [
            delivery("product.updated", product(1, "2026-01-02T00:00:00")),
            delivery("product.deleted", {"id": 1}),
            delivery("order.created", {"id": 2, "total": "9.00"}),
        ]

    def states(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return [
            ("product.created", product(1, "2026-01-02T00:00:00")),
            ("product.updated", product(1, "2026-01-02T00:00:01")),
            ("product.deleted", {"id": 1, "deleted_at": "2026-01-02T00:00:01Z"}),
            ("product.restored", product(1, "2026-01-02T00:00:02")),
        ]

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        return answering.api(self.source, Shop().answer)


def test_more_than_a_page_of_one_second_is_listed_whole() -> None:
    async def main() -> None:
        async with answering.api(SOURCE, Shop().answer) as api:
            changed = woocommerce.WooCommerce().list_changes(api, clocks.Timestamp(0))
            events = [event async for page in changed for event in page.events]
        products = [event.aggregate_id for event in events if event.type == "product.updated"]
        assert sorted(map(int, map(str, products))) == list(range(1, 291))
        assert len([event for event in events if event.type == "order.updated"]) == 5

    asyncio.run(main())


def test_an_order_is_found_by_its_number() -> None:
    async def main() -> None:
        provider = woocommerce.WooCommerce()
        async with answering.api(SOURCE, Shop().answer) as api:
            (found,) = await provider.find(api, "order.created", "1001")
            assert (found.type, found.aggregate_id) == ("order.created", "1001")
            assert not await provider.find(api, "order.created", "9")
            assert not await provider.find(api, "order.created", "../users")
            assert not await provider.find(api, "order.deleted", "1001")

    asyncio.run(main())


def test_a_webhook_that_the_shop_switched_off_is_seen_and_switched_on_again() -> None:
    async def main() -> None:
        shop, provider = Shop(), woocommerce.WooCommerce()
        hook = TestWooCommerce.hook
        async with answering.api(SOURCE, shop.answer) as api:
            await provider.create_hook(api, hook)
            shop.hooks[1]["status"] = "disabled"
            (seen,) = await provider.list_hooks(api)
            assert not seen.enabled
            assert seen.detail["order.created"] == "disabled"
            mended = ports.Hook(id=seen.id, url=hook.url, events=hook.events)
            assert (await provider.update_hook(api, mended)).enabled

    asyncio.run(main())
