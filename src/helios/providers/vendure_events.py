"""What Vendure tells: the posts of its webhook plugin, and the same made again from its admin API.

A plugin posts what the event bus says, as `{id, event, time, data}`. The id of such a post is made
up anew each time, so an event is named here by what it is about: a payment changes from one state
to another once, a movement of stock has an id, a state of an order has its place in the order's
history. Events that are made again from the API therefore have the ids of those that were lost.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import jsonio
from helios.providers import calling, ports

_PRODUCT_CHANGES: Mapping[str, ports.Change] = {
    "product.created": "created",
    "product.updated": "updated",
    "product.deleted": "deleted",
    "variant.created": "created",
    "variant.updated": "updated",
    "variant.deleted": "deleted",
}


def received(
    delivery_id: str, event: str, time: str, data: Mapping[str, Any]
) -> list[ports.Received]:
    """The events that a post of the plugin holds: one for each movement of stock, else one.

    Args:
        delivery_id: names what nothing else names.
        event: such as `payment.state`.
        time: as the plugin writes it.
        data: what it says.
    """
    if event.startswith("stock."):
        movements = [calling.mapping(each) for each in calling.listed(data.get("movements"))]
        if movements and all("id" in each for each in movements):
            return [_movement(event, time, each) for each in movements]
    return [_event(_id(event, data) or delivery_id, event, time, data)]


def _id(event: str, data: Mapping[str, Any]) -> str | None:
    """What names an event for ever, or None."""
    of = {name: calling.mapping(data.get(name)).get("id") for name in _NAMED}
    states = f"{data.get('fromState')}:{data.get('toState')}"
    if event == "order.placed" and of["order"] is not None:
        return f"order.placed:{of['order']}"
    if event == "order.state" and data.get("historyId") is not None:
        return f"order.state:{of['order']}:{data['historyId']}"
    kind = event.removesuffix(".state")
    if event.endswith(".state") and kind != "order" and of.get(kind) is not None:
        return f"{event}:{of[kind]}:{states}"
    return None


_NAMED = ("order", "payment", "refund", "fulfillment")


def _event(name: str, event: str, time: str, data: Mapping[str, Any]) -> ports.Received:
    about = calling.mapping(data.get("order")).get("code")
    if about is None:
        about = next((o.get("code") for o in calling.listed(data.get("orders"))), None)
    kind = "order"
    if about is None:
        kind = event.partition(".")[0]
        about = calling.mapping(data.get(kind)).get("id")
    return ports.Received(
        id=name,
        type=event,
        occurred_at=calling.instant(time),
        time=time,
        aggregate_type=None if about is None else kind,
        aggregate_id=calling.text(about),
        payload=jsonio.encode({"event": event, "time": time, "data": data}),
    )


def _movement(event: str, time: str, movement: Mapping[str, Any]) -> ports.Received:
    data = {"order": movement.get("order"), "movement": movement}
    return _event(f"{event}:{movement['id']}", event, time, data)


def changes(event_type: str, payload: Mapping[str, Any]) -> Sequence[ports.ContentChange]:
    """What an event says of products and variants.

    Prices are whole numbers of the currency's smallest unit, as Vendure has them.
    """
    data = calling.mapping(payload.get("data"))
    if event_type.startswith("stock."):
        movement = calling.mapping(data.get("movement"))
        variant = calling.mapping(movement.get("productVariant")).get("id")
        return (_thin("updated", "variant", variant),) if variant is not None else ()
    change = _PRODUCT_CHANGES.get(event_type)
    if change is None:
        return ()
    if "product" in data:
        return _product_changes(change, calling.mapping(data["product"]), payload)
    version = calling.version(calling.latest(payload.get("time")), 1)
    found = [calling.mapping(each).get("id") for each in calling.listed(data.get("variants"))]
    at = version if change == "deleted" else ""
    return [_thin(change, "variant", each, at) for each in found if each is not None]


def deletion(listed: ports.Listed, seen_at: clocks.Timestamp) -> ports.Received:
    """The event that says that a product or variant is gone."""
    at = clocks.to_rfc3339(calling.gone_at(seen_at, listed.version))
    event = f"{listed.type}.deleted"
    gone = {"id": listed.id}
    data = {"product": gone} if listed.type == "product" else {"variants": [gone]}
    return ports.Received(
        id=f"{event}:{listed.id}:{at}",
        type=event,
        occurred_at=seen_at,
        aggregate_type=listed.type,
        aggregate_id=listed.id,
        payload=jsonio.encode({"event": event, "time": at, "data": data}),
        metadata={"polled": True},
    )


def items(data: Any, name: str) -> list[dict[str, Any]]:
    """The objects of a list in an answer."""
    items = calling.listed(calling.mapping(calling.mapping(data).get(name)).get("items"))
    return [each for each in items if isinstance(each, dict)]


def second(at: clocks.Timestamp) -> clocks.Timestamp:
    """The beginning of its second: with SQLite the shop tells no more of a time."""
    return clocks.Timestamp(at - at % clocks.SECOND_US)


def order_events(order: Mapping[str, Any], since: clocks.Timestamp) -> list[ports.Received]:
    """What the plugin would have told of an order, from its history and its stock."""
    made = [_placed(order)] if order.get("orderPlacedAt") else []
    made += [e for entry in items(order, "history") for e in _of_history(order, entry)]
    for movement in calling.listed(order.get("stockMovements")):
        made.append(_of_stock(order, movement))
    return [
        msgspec.structs.replace(each, metadata={"polled": True})
        for each in made
        if (each.occurred_at or 0) >= second(since)
    ]


def _placed(order: Mapping[str, Any]) -> ports.Received:
    moves = [calling.mapping(entry.get("data")) for entry in items(order, "history")]
    paid = (m for m in moves if m.get("from") == "ArrangingPayment")
    state = next((m["to"] for m in paid if m.get("to") != "AddingItems"), order.get("state"))
    data = {"order": _body(order, state)}
    time = str(order["orderPlacedAt"])
    return _event(f"order.placed:{order['id']}", "order.placed", time, data)


def _of_history(order: Mapping[str, Any], entry: Mapping[str, Any]) -> list[ports.Received]:
    said = calling.mapping(entry.get("data"))
    body: dict[str, Any]
    moved = {"fromState": said.get("from"), "toState": said.get("to")}
    reference = {"id": order["id"], "code": order["code"]}
    kind = entry.get("type")
    if kind == "ORDER_STATE_TRANSITION":
        event, body = "order.state", {"order": _body(order, said.get("to"))}
        body = {"historyId": str(entry["id"]), **body}
    elif kind == "ORDER_PAYMENT_TRANSITION":
        payment = _with_id(order.get("payments"), said.get("paymentId"))
        kept = {k: payment.get(k) for k in ("id", "amount", "method", "transactionId")}
        event = "payment.state"
        body = {
            "order": {**reference, "currencyCode": order.get("currencyCode")},
            "payment": {**kept, "state": said.get("to")},
        }
    elif kind == "ORDER_FULFILLMENT_TRANSITION":
        found = _with_id(order.get("fulfillments"), said.get("fulfillmentId"))
        event = "fulfillment.state"
        body = {
            "fulfillment": {
                "id": str(said.get("fulfillmentId")),
                "method": found.get("method"),
                "state": said.get("to"),
            },
            "orders": [reference],
        }
    elif kind == "ORDER_REFUND_TRANSITION":
        paid = [p.get("refunds") for p in calling.listed(order.get("payments"))]
        refunds = [refund for each in paid for refund in calling.listed(each)]
        refund = _with_id(refunds, said.get("refundId"))
        event = "refund.state"
        kept = {"id": str(said.get("refundId")), "total": refund.get("total")}
        body = {"order": reference, "refund": {**kept, "state": said.get("to")}}
    else:
        return []
    return received("", event, str(entry["createdAt"]), {**moved, **body})


def _of_stock(order: Mapping[str, Any], movement: Mapping[str, Any]) -> ports.Received:
    told = {
        "id": str(movement["id"]),
        "type": movement.get("type"),
        "quantity": movement.get("quantity"),
        "stockLocationId": movement.get("stockLocationId"),
        "productVariant": {"id": movement.get("productVariantId"), "sku": movement.get("sku")},
        "order": {"id": order["id"], "code": order["code"]},
    }
    event = f"stock.{str(movement.get('type')).lower()}"
    return _movement(event, str(movement["createdAt"]), told)


def _with_id(among: object, wanted: object) -> Mapping[str, Any]:
    found = (each for each in calling.listed(among) if str(each.get("id")) == str(wanted))
    return calling.mapping(next(found, None))


def _body(order: Mapping[str, Any], state: object) -> dict[str, Any]:
    names = ("id", "code", "active", "orderPlacedAt", "updatedAt", "currencyCode", "totalWithTax")
    customer = calling.mapping(order.get("customer"))
    return {name: order.get(name) for name in names} | {
        "state": state,
        "customerEmail": customer.get("emailAddress"),
        "lines": [
            {
                "id": line.get("id"),
                "quantity": line.get("quantity"),
                "productVariantId": calling.mapping(line.get("productVariant")).get("id"),
                "linePriceWithTax": line.get("linePriceWithTax"),
            }
            for line in calling.listed(order.get("lines"))
        ],
    }


def stage(item: Mapping[str, Any]) -> str:
    """`published` or `draft`."""
    return "published" if item.get("enabled", True) else "draft"


def _levels(variant: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [calling.mapping(each) for each in calling.listed(variant.get("stockLevels"))]


def newest(item: Mapping[str, Any]) -> clocks.Timestamp:
    """When a product or variant changed: itself, its variants, or their stock."""
    variants = [calling.mapping(each) for each in calling.listed(item.get("variants"))]
    levels = [level for each in (item, *variants) for level in _levels(each)]
    return calling.latest(*(each.get("updatedAt") for each in (item, *variants, *levels)))


def polled_product(product: Mapping[str, Any]) -> ports.Received:
    """The event that a product as it is now makes, with its stock."""
    at = newest(product)
    time = calling.rfc3339_ms(at)
    stock = sum(_stock(each) for each in calling.listed(product.get("variants")))
    # Whole seconds do not tell two sales within one apart.
    name = f"product.updated:{product['id']}:{time}:{stock}"
    return msgspec.structs.replace(
        _event(name, "product.updated", time, {"product": product}),
        metadata={"polled": True, "fetched": True},
    )


def _stock(variant: Mapping[str, Any]) -> int:
    """Pieces that can be sold."""
    levels = _levels(variant)
    on_hand = sum(calling.whole(each.get("stockOnHand")) or 0 for each in levels)
    return on_hand - sum(calling.whole(each.get("stockAllocated")) or 0 for each in levels)


def _thin(change: ports.Change, kind: str, name: object, version: str = "") -> ports.ContentChange:
    return ports.ContentChange(change=change, id=str(name), type=kind, version=version)


def _product_changes(
    change: ports.Change, product: Mapping[str, Any], payload: Mapping[str, Any]
) -> list[ports.ContentChange]:
    name = product.get("id")
    if name is None:
        return []
    if change == "deleted":
        version = calling.version(calling.latest(payload.get("time")), 1)
        return [_thin(change, "product", name, version)]
    variants = [calling.mapping(each) for each in calling.listed(product.get("variants"))]
    contents = [_content("product", product, variants)]
    contents += [
        _content("variant", {"slug": each.get("sku"), **each}, [each])
        for each in variants
        if each.get("id") is not None
    ]
    return [
        ports.ContentChange(
            change=change if each.status == "published" else "unpublished",
            id=each.id,
            type=each.type,
            content=each,
            version=each.version,
        )
        for each in contents
    ]


def _content(
    kind: str, item: Mapping[str, Any], variants: Sequence[Mapping[str, Any]]
) -> ports.Content:
    prices = [price for each in variants if (price := calling.whole(each.get("priceWithTax")))]
    return ports.Content(
        id=str(item["id"]),
        type=kind,
        slug=calling.text(item.get("slug")),
        title=calling.text(item.get("name")),
        status=stage(item),
        price=str(min(prices)) if prices else None,
        currency=next((calling.text(each.get("currencyCode")) for each in variants), None),
        stock=sum(map(_stock, variants)) if variants else None,
        created_at=calling.instant(item.get("createdAt")),
        updated_at=calling.instant(item.get("updatedAt")),
        version=calling.version(newest(item)),
        raw=item,
    )
