"""Orders of Shopify: events of them made from the API, in the words of the REST resource."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from helios.kernel import jsonio
from helios.providers import calling, ports
from helios.providers.shopify_graphql import Admin

_ORDER = """legacyResourceId name email createdAt updatedAt processedAt cancelledAt closedAt
  currencyCode displayFinancialStatus displayFulfillmentStatus
  totalPriceSet { shopMoney { amount currencyCode } }
  subtotalPriceSet { shopMoney { amount } }
  lineItems(first: 30) { nodes { id sku title quantity
    originalUnitPriceSet { shopMoney { amount } } } }
  transactions(first: 10) { id kind status gateway processedAt
    amountSet { shopMoney { amount currencyCode } } }"""
ORDERS = (
    "query($first: Int!, $after: String, $query: String) {"
    " orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {"
    f" pageInfo {{ hasNextPage endCursor }} nodes {{ {_ORDER} }} }} }}"
)
_BY_ID = f"query($id: ID!) {{ order(id: $id) {{ {_ORDER} }} }}"


def polled(node: Mapping[str, Any], event_type: str = "orders/updated") -> ports.Received:
    """The present state of an order as an event."""
    order = rest_order(node)
    changed = order["updated_at"]
    return ports.Received(
        id=f"polled:{event_type}:{order['id']}:{changed}",
        type=event_type,
        occurred_at=calling.instant(changed),
        aggregate_type="orders",
        aggregate_id=str(order["id"]),
        payload=jsonio.encode(order),
        metadata={"polled": True},
    )


def states(event_type: str, payload: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Which state of an order an event tells."""
    if event_type.partition("/")[0] != "orders" or payload.get("id") is None:
        return ()
    changed = calling.latest(payload.get("updated_at"))
    return ((f"order/{payload['id']}", calling.version(changed)),) if changed else ()


async def find(admin: Admin, event_type: str, key: str) -> Sequence[ports.Received]:
    """An order by its name or number, if it is in a state that this event tells of."""
    happened = _HAPPENED.get(event_type)
    if happened is None:
        return ()
    if key.isascii() and key.isdigit():
        data = await admin.ask(_BY_ID, {"id": f"gid://shopify/Order/{key}"})
        nodes = [data.get("order")]
    else:
        name = key.replace("\\", "").replace("'", "")
        asked = {"first": 5, "after": None, "query": f"name:'{name}'"}
        nodes = calling.listed(
            calling.mapping((await admin.ask(ORDERS, asked)).get("orders")).get("nodes")
        )
        nodes = [each for each in nodes if each.get("name") == key]
    return [
        polled(each, event_type)
        for each in nodes
        if isinstance(each, dict) and happened(rest_order(each))
    ]


_HAPPENED: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "orders/create": lambda _: True,
    "orders/updated": lambda _: True,
    "orders/paid": lambda order: order["financial_status"] in ("paid", "partially_refunded"),
    "orders/fulfilled": lambda order: order["fulfillment_status"] == "fulfilled",
    "orders/cancelled": lambda order: order["cancelled_at"] is not None,
}


def rest_order(node: Mapping[str, Any]) -> dict[str, Any]:
    """An order of the GraphQL API as the REST resource, as far as it goes."""
    lines = calling.listed(calling.mapping(node.get("lineItems")).get("nodes"))
    fulfilment = str(node.get("displayFulfillmentStatus") or "").lower()
    return {
        "id": int(node["legacyResourceId"]),
        "name": node.get("name"),
        "email": node.get("email"),
        "created_at": node.get("createdAt"),
        "updated_at": node.get("updatedAt"),
        "processed_at": node.get("processedAt"),
        "cancelled_at": node.get("cancelledAt"),
        "closed_at": node.get("closedAt"),
        "currency": node.get("currencyCode"),
        "total_price": _amount(node.get("totalPriceSet")),
        "subtotal_price": _amount(node.get("subtotalPriceSet")),
        "financial_status": str(node.get("displayFinancialStatus") or "").lower() or None,
        "fulfillment_status": None if fulfilment in ("", "unfulfilled") else fulfilment,
        "line_items": [
            {
                "id": _number(line.get("id")),
                "sku": line.get("sku"),
                "title": line.get("title"),
                "quantity": line.get("quantity"),
                "price": _amount(line.get("originalUnitPriceSet")),
            }
            for line in lines
        ],
        "transactions": [
            {
                "id": _number(each.get("id")),
                "kind": str(each.get("kind") or "").lower(),
                "status": str(each.get("status") or "").lower(),
                "gateway": each.get("gateway"),
                "amount": _amount(each.get("amountSet")),
                "processed_at": each.get("processedAt"),
            }
            for each in calling.listed(node.get("transactions"))
        ],
    }


def _amount(money: object) -> str | None:
    shop = calling.mapping(calling.mapping(money).get("shopMoney"))
    return calling.text(shop.get("amount"))


def _number(gid: object) -> int | None:
    """The number at the end of `gid://shopify/LineItem/123`."""
    number = str(gid).rpartition("/")[2]
    return int(number) if number.isascii() and number.isdigit() else None
