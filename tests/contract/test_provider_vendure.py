"""Vendure's adapter against a real shop: what is made again is what its plugin told."""

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios.kernel import clock as clocks
from helios.kernel import jsonio, secret
from helios.providers import ports, vendure, vendure_api, vendure_events
from helios.testing import answering, components, provider_conformance, receiver

SECRET = "vendure-secret"
PROVIDER = vendure.Vendure()
TIME = "2026-01-02T00:00:0{}.000Z"


def product(number: int, at: str, **changes: Any) -> dict[str, Any]:
    variant = {
        "id": str(number),
        "sku": f"S{number}",
        "name": "V",
        "enabled": True,
        "priceWithTax": 2399,
        "currencyCode": "EUR",
        "createdAt": TIME.format(0),
        "updatedAt": TIME.format(0),
        "stockLevels": [{"stockOnHand": 10, "stockAllocated": 3, "updatedAt": at}],
    }
    made = {"id": str(number), "name": "P", "slug": "p", "enabled": True, "description": ""}
    times = {"createdAt": TIME.format(0), "updatedAt": at}
    return {**made, **times, "variants": [variant], **changes}


def body(event: str, time: str, **data: Any) -> dict[str, Any]:
    return {"id": f"{event} {time}", "event": event, "time": time, "data": data}


def delivery(payload: Mapping[str, Any]) -> ports.Delivery:
    raw = json.dumps(payload).encode()
    signature = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    headers = (("X-Vendure-Signature", f"sha256={signature}"),)
    return ports.Delivery(headers=headers, body=raw)


MOVEMENTS = [
    {"id": n, "type": "ALLOCATION", "quantity": 1, "productVariant": {"id": "1", "sku": "S1"},
     "order": {"id": "4", "code": "ABC"}}
    for n in ("8", "9")
]  # fmt: skip


class Shop:
    """Answers the queries of the adapter from a few products and no orders."""

    def __init__(self) -> None:
        self.products = [product(n, TIME.format(n)) for n in range(1, 4)]

    def answer(self, request: answering.Request) -> answering.Response:
        asked = request.json()
        query, options = asked["query"], asked.get("variables", {}).get("options", {})
        if "login(" in query:
            good = asked["variables"] == {"user": "u", "password": "p"}
            kind = {"__typename": "CurrentUser" if good else "InvalidCredentialsError"}
            headers = {"vendure-auth-token": "session"} if good else {}
            return answering.Response(value={"data": {"login": kind}}, headers=headers)
        assert request.headers["authorization"] == "Bearer session"
        if "activeAdministrator" in query:
            return answering.Response(value={"data": {"activeAdministrator": {"id": "1"}}})
        name = next(n for n in ("orders", "productVariants", "products") if f"{n}(options" in query)
        items: list[dict[str, Any]] = [] if name == "orders" else self.products
        after = options.get("filter", {}).get("updatedAt", {}).get("after", "")
        if name == "productVariants":
            items = [{**v, "product": {"id": p["id"]}} for p in items for v in p["variants"]]
        wanted = options.get("filter", {}).get("id", {}).get("in")
        found = [
            item
            for item in items
            if item["updatedAt"] > after and (wanted is None or item["id"] in wanted)
        ]
        found = found[options.get("skip", 0) :]
        return answering.Response(value={"data": {name: {"items": found}}})


class TestVendure(provider_conformance.ProviderConformance):
    provider = PROVIDER
    source = ports.Source(
        name="shop",
        tenant="default",
        provider="vendure",
        secrets=(secret.Secret(SECRET),),
        options=vendure_api.ApiOptions(base_url=answering.BASE_URL),
        credentials={"user": secret.Secret("u"), "password": secret.Secret("p")},
    )

    def deliveries(self) -> Sequence[ports.Delivery]:
        moved = {"fromState": "Created", "toState": "Authorized"}
        order = {"id": "4", "code": "ABC"}
        return [
            delivery(body("order.placed", TIME.format(0), order=order)),
            delivery(body("payment.state", TIME.format(0), **moved, payment={"id": "1"})),
            delivery(body("stock.allocation", TIME.format(0), movements=MOVEMENTS)),
            delivery(body("variant.updated", TIME.format(0), variants=[{"id": "1"}])),
        ]

    def states(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        sold = product(1, TIME.format(3))
        hidden = product(1, TIME.format(3), enabled=False, updatedAt=TIME.format(4))
        hidden["variants"][0]["updatedAt"] = TIME.format(4)
        return [
            (
                "product.updated",
                body("product.updated", TIME.format(1), product=product(1, TIME.format(1))),
            ),
            ("product.updated", body("product.updated", TIME.format(3), product=sold)),
            ("product.updated", body("product.updated", TIME.format(4), product=hidden)),
            ("product.deleted", body("product.deleted", TIME.format(5), product={"id": "1"})),
        ]

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        return answering.api(self.source, Shop().answer)


def test_each_movement_of_stock_is_an_event_under_its_own_id() -> None:
    parsed = PROVIDER.parse(
        delivery(body("stock.allocation", TIME.format(0), movements=MOVEMENTS)),
        TestVendure.source,
        {},
    )
    assert not isinstance(parsed, ports.Handshake)
    assert [event.id for event in parsed] == ["stock.allocation:8", "stock.allocation:9"]
    assert {event.aggregate_id for event in parsed} == {"ABC"}


def test_a_transition_made_twice_is_two_events() -> None:
    made = [
        vendure_events.received(
            "d", "order.state", TIME.format(0),
            {"historyId": number, "fromState": "A", "toState": "B", "order": {"id": "1"}},
        )[0].id
        for number in ("7", "9")
    ]  # fmt: skip
    assert made == ["order.state:1:7", "order.state:1:9"]


# A real one


@contextlib.asynccontextmanager
async def real(shop: components.Vendure) -> AsyncIterator[ports.Api]:
    about = shop.about
    made = ports.Source(
        name="shop",
        tenant="default",
        provider="vendure",
        secrets=(secret.Secret(about["webhook_secret"]),),
        options=vendure_api.ApiOptions(base_url=about["url"]),
        credentials={
            "user": secret.Secret(about["admin_user"]),
            "password": secret.Secret(about["admin_password"]),
        },
    )
    async with answering.calling() as client:
        yield ports.Api(source=made, client=client, clock=clocks.SystemClock())


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendure_api, "PAGE", 2)
    monkeypatch.setattr(vendure_api, "DETAIL_PAGE", 2)


@pytest.fixture
def door() -> Iterator[receiver.Receiver]:
    with receiver.Receiver() as made:
        yield made


async def polled(api: ports.Api, since: int = 0) -> dict[str, ports.Received]:
    pages = PROVIDER.list_changes(api, clocks.Timestamp(since))
    return {event.id or "": event async for page in pages for event in page.events}


def told(api: ports.Api, sent: Sequence[receiver.Delivery]) -> dict[str, ports.Received]:
    """What the plugin posted, verified and read."""
    found: dict[str, ports.Received] = {}
    for one in sent:
        came = ports.Delivery(headers=one.headers, body=one.body)
        PROVIDER.verify(came, api.source, {}, clocks.Timestamp(0))
        parsed = PROVIDER.parse(came, api.source, {})
        assert not isinstance(parsed, ports.Handshake)
        found |= {event.id or "": event for event in parsed}
    return found


def _of_orders(events: Mapping[str, ports.Received]) -> dict[str, ports.Received]:
    return {name: event for name, event in events.items() if event.aggregate_type == "order"}


@pytest.mark.components
def test_a_real_shop_tells_the_same_events_by_webhook_and_by_poll(
    shop_folder: Path, door: receiver.Receiver, small_pages: None
) -> None:
    with components.Vendure(shop_folder, webhook_url=door.url) as shop:
        orders = [shop.api.place_order(quantity=n + 1) for n in range(3)]
        shop.api.fulfil(shop.api.pay(orders[0]))
        shop.api.pay(orders[1])
        shop.api.cancel(orders[2])
        last = "Shipped", "PaymentSettled", "Cancelled"

        def done(sent: Sequence[receiver.Delivery]) -> bool:
            bodies = [one.body for one in sent]
            return all(any(f'"toState":"{each}"'.encode() in b for b in bodies) for each in last)

        door.wait(done)

        async def main() -> None:
            async with real(shop) as api:
                by_poll = _of_orders(await polled(api))
                sent = door.wait(lambda each: len(told(api, each)) >= len(by_poll))
                by_webhook = _of_orders(told(api, sent))
                assert by_poll.keys() == by_webhook.keys()
                assert {f"order.placed:{order.id}" for order in orders} <= by_poll.keys()
                for name, event in by_webhook.items():
                    # An order is told as it is now, not as the cart that it was; what was cancelled
                    # has no lines any more.
                    placed = f"order.placed:{orders[0].id}", f"order.placed:{orders[1].id}"
                    if event.type in ("payment.state", "stock.allocation") or name in placed:
                        mine = jsonio.parse_object(by_poll[name].payload)["data"]
                        assert mine == jsonio.parse_object(event.payload)["data"]

        asyncio.run(main())


@pytest.mark.components
def test_a_real_shop_finds_the_events_of_one_order(shop_folder: Path) -> None:
    with components.Vendure(shop_folder) as shop:
        order = shop.api.pay(shop.api.place_order(quantity=2))
        shop.api.place_order()

        async def main() -> None:
            async with real(shop) as api:
                payments = await PROVIDER.find(api, "payment.state", order.code)
                states = [json.loads(each.payload)["data"]["toState"] for each in payments]
                assert states == ["Authorized", "Settled"]
                (stock,) = await PROVIDER.find(api, "stock.allocation", order.code)
                assert json.loads(stock.payload)["data"]["movement"]["quantity"] == 2
                (placed,) = await PROVIDER.find(api, "order.placed", order.code)
                assert placed.aggregate_id == order.code
                assert not await PROVIDER.find(api, "payment.state", "nobody")

        asyncio.run(main())


@pytest.mark.components
def test_a_real_shop_tells_stock_and_what_is_there(shop_folder: Path) -> None:
    with components.Vendure(shop_folder) as shop:
        shop.api.place_order(quantity=2)
        (left,) = shop.api.stock().values()

        async def main() -> None:
            async with real(shop) as api:
                later = msgspec.structs.replace(api, clock=_Later())
                events = await polled(later)
                (event,) = [e for e in events.values() if e.type == "product.updated"]
                payload = jsonio.parse_object(event.payload)
                changes = PROVIDER.normalise(event.type, payload, api.source)
                stock = {each.type: each.content.stock for each in changes if each.content}
                assert stock == dict.fromkeys(("product", "variant"), left.on_hand - left.allocated)
                there = [each async for page in PROVIDER.list_ids(api) for each in page]
                assert {(each.type, each.id) for each in there} == {
                    (each.type, each.id) for each in changes
                }

        asyncio.run(main())


class _Later(clocks.SystemClock):
    """A clock a few seconds ahead: what changed just now is settled."""

    def now(self) -> clocks.Timestamp:
        return clocks.Timestamp(super().now() + 5 * clocks.SECOND_US)


@pytest.mark.components
def test_the_health_of_a_real_shop_is_told(shop_folder: Path) -> None:
    with components.Vendure(shop_folder) as shop:

        async def main() -> None:
            async with real(shop) as api:
                found = await PROVIDER.health(api)
                assert (found.reachable, found.authorised) == (True, True), found.detail
                wrong = {"user": secret.Secret("x"), "password": secret.Secret("y")}
                stranger = msgspec.structs.replace(api.source, credentials=wrong)
                found = await PROVIDER.health(msgspec.structs.replace(api, source=stranger))
                assert (found.reachable, found.authorised) == (True, False)
                shop.stop()
                found = await PROVIDER.health(api)
                assert found.reachable is False

        asyncio.run(main())
