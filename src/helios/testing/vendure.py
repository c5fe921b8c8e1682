"""What a test says to a real Vendure: a shop is set up, orders are placed, paid and shipped.

Everything goes through the two GraphQL APIs of the shop, as a storefront and its staff do. What
the shop then says about itself, orders with their payments and the stock, is the truth that a
reconciliation of its events is judged by. Money is in minor units of the currency, tax included.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import httpx

SKU = "LAMP-1"
PRICE = 2000
"""Net price of one piece."""
PAYMENT_METHOD = "card"
TIMEOUT_S = 60
_PAGE = 100
_TOKEN = "vendure-auth-token"  # noqa: S105 - the name of a header

_ORDER = """
    id code state totalWithTax currencyCode orderPlacedAt updatedAt
    lines { id quantity productVariant { sku } }
    payments { id state amount transactionId }
    fulfillments { id state }
"""
_FAILED = "... on ErrorResult { errorCode message }"


class Refused(Exception):  # noqa: N818 - what happened, not a fault of ours
    """The shop answered with an error; the message is its own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Payment:
    """A payment of an order: Authorized, then Settled; or Declined, Cancelled."""

    id: str
    state: str
    amount: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """An order as the shop has it.

    Attributes:
        code: what its events and its customer call it; `id` is for the API alone.
        lines: pieces by SKU.
        placed_at: ISO 8601 in UTC; None while it is a cart.
    """

    id: str
    code: str
    state: str
    total: int
    currency: str
    placed_at: str | None
    lines: Mapping[str, int]
    line_ids: Mapping[str, int]
    payments: tuple[Payment, ...]
    fulfillments: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stock:
    """Pieces of a variant: in the warehouse, and of those promised to orders not yet shipped."""

    on_hand: int
    allocated: int


class Client:
    """Speaks with one Vendure. What it refuses raises `Refused`."""

    def __init__(self, url: str, *, user: str, password: str) -> None:
        """Open the connections; the staff's session begins at the first call that needs it."""
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)
        self._login = {"user": user, "password": password}
        self._staff: _Session | None = None
        self._variants: dict[str, str] = {}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # The shop

    def set_up(self, stock: int = 500, sku: str = SKU) -> None:
        """Make an empty shop sell one product: a country, tax, shipping, payment and a lamp."""
        self._admin(
            """mutation { createCountry(input: {code: "NL", enabled: true,
            translations: [{languageCode: en, name: "Netherlands"}]}) { id } }"""
        )
        country = self._admin("{ countries { items { id } } }")["countries"]["items"][0]["id"]
        zone = self._admin(
            """mutation($members: [ID!]) { createZone(input: {name: "Europe",
            memberIds: $members}) { id } }""",
            members=[country],
        )["createZone"]["id"]
        channel = self._admin("{ activeChannel { id } }")["activeChannel"]["id"]
        self._admin(
            f"""mutation($id: ID!, $zone: ID!) {{ updateChannel(input: {{id: $id,
            pricesIncludeTax: false, defaultTaxZoneId: $zone, defaultShippingZoneId: $zone}}) {{
            ... on Channel {{ id }} {_FAILED} }} }}""",
            id=channel,
            zone=zone,
        )
        tax = self._set_up_tax(zone)
        self._set_up_checkout()
        self._set_up_product(sku, stock, tax)

    def _set_up_tax(self, zone: str) -> str:
        category: str = self._admin(
            'mutation { createTaxCategory(input: {name: "Standard", isDefault: true}) { id } }'
        )["createTaxCategory"]["id"]
        self._admin(
            """mutation($category: ID!, $zone: ID!) { createTaxRate(input: {name: "Standard",
            enabled: true, value: 20, categoryId: $category, zoneId: $zone}) { id } }""",
            category=category,
            zone=zone,
        )
        return category

    def _set_up_checkout(self) -> None:
        self._admin(
            """mutation { createShippingMethod(input: {code: "post",
            fulfillmentHandler: "manual-fulfillment",
            checker: {code: "default-shipping-eligibility-checker",
                arguments: [{name: "orderMinimum", value: "0"}]},
            calculator: {code: "default-shipping-calculator", arguments: [
                {name: "rate", value: "500"}, {name: "taxRate", value: "20"},
                {name: "includesTax", value: "exclude"}]},
            translations: [{languageCode: en, name: "Post", description: ""}]}) { id } }"""
        )
        self._admin(
            """mutation($code: String!) { createPaymentMethod(input: {code: $code, enabled: true,
            handler: {code: "dummy-payment-handler",
                arguments: [{name: "automaticSettle", value: "false"}]},
            translations: [{languageCode: en, name: "Card", description: ""}]}) { id } }""",
            code=PAYMENT_METHOD,
        )

    def _set_up_product(self, sku: str, stock: int, tax: str) -> None:
        product = self._admin(
            """mutation { createProduct(input: {enabled: true, translations: [
            {languageCode: en, name: "Lamp", slug: "lamp", description: ""}]}) { id } }"""
        )["createProduct"]["id"]
        self._admin(
            """mutation($input: [CreateProductVariantInput!]!) {
            createProductVariants(input: $input) { id } }""",
            input=[
                {
                    "productId": product,
                    "sku": sku,
                    "price": PRICE,
                    "taxCategoryId": tax,
                    "stockOnHand": stock,
                    "trackInventory": "TRUE",
                    "translations": [{"languageCode": "en", "name": "Lamp"}],
                }
            ],
        )

    # What customers and staff do

    def place_order(
        self, quantity: int = 1, *, sku: str = SKU, email: str = "ada@example.test"
    ) -> Order:
        """A guest orders and the card is authorised; the order is placed, not yet paid."""
        guest = _Session(self._http, "/shop-api")
        variant = self._variant(sku)
        guest.ask(
            f"""mutation($variant: ID!, $quantity: Int!) {{ addItemToOrder(
            productVariantId: $variant, quantity: $quantity) {{ __typename {_FAILED} }} }}""",
            variant=variant,
            quantity=quantity,
        )
        guest.ask(
            f"""mutation($email: String!) {{ setCustomerForOrder(input: {{firstName: "Ada",
            lastName: "L", emailAddress: $email}}) {{ __typename {_FAILED} }} }}""",
            email=email,
        )
        guest.ask(
            f"""mutation {{ setOrderShippingAddress(input: {{streetLine1: "Street 1",
            city: "Utrecht", countryCode: "NL"}}) {{ __typename {_FAILED} }} }}"""
        )
        method = guest.ask("{ eligibleShippingMethods { id } }")["eligibleShippingMethods"][0]
        guest.ask(
            f"""mutation($ids: [ID!]!) {{ setOrderShippingMethod(shippingMethodId: $ids) {{
            __typename {_FAILED} }} }}""",
            ids=[method["id"]],
        )
        guest.ask(
            f"""mutation {{ transitionOrderToState(state: "ArrangingPayment") {{
            __typename {_FAILED} }} }}"""
        )
        placed = guest.ask(
            f"""mutation($method: String!) {{ addPaymentToOrder(input: {{method: $method,
            metadata: {{}}}}) {{ ... on Order {{ id }} {_FAILED} }} }}""",
            method=PAYMENT_METHOD,
        )
        return self.order(placed["addPaymentToOrder"]["id"])

    def pay(self, order: Order) -> Order:
        """Settle what the customer authorised."""
        for payment in order.payments:
            self._admin(
                f"""mutation($id: ID!) {{ settlePayment(id: $id) {{
                __typename {_FAILED} }} }}""",
                id=payment.id,
            )
        return self.order(order.id)

    def fulfil(self, order: Order) -> Order:
        """Ship all of a paid order."""
        made = self._admin(
            f"""mutation($lines: [OrderLineInput!]!) {{ addFulfillmentToOrder(input: {{
            lines: $lines, handler: {{code: "manual-fulfillment",
            arguments: [{{name: "method", value: "Post"}}]}}}}) {{
            ... on Fulfillment {{ id }} {_FAILED} }} }}""",
            lines=[
                {"orderLineId": line, "quantity": pieces} for line, pieces in order.line_ids.items()
            ],
        )
        self._admin(
            f"""mutation($id: ID!) {{ transitionFulfillmentToState(id: $id, state: "Shipped") {{
            __typename {_FAILED} }} }}""",
            id=made["addFulfillmentToOrder"]["id"],
        )
        return self.order(order.id)

    def cancel(self, order: Order) -> Order:
        """Cancel all of an order; its stock is free again."""
        self._admin(
            f"""mutation($id: ID!) {{ cancelOrder(input: {{orderId: $id}}) {{
            __typename {_FAILED} }} }}""",
            id=order.id,
        )
        return self.order(order.id)

    # What the shop says

    def order(self, order_id: str) -> Order:
        """One order, as it is now."""
        found = self._admin(f"query($id: ID!) {{ order(id: $id) {{ {_ORDER} }} }}", id=order_id)
        return _order(found["order"])

    def orders(self) -> list[Order]:
        """All orders that were placed, oldest first."""
        found: list[Order] = []
        total = 1
        while len(found) < total:
            page = self._admin(
                f"""query($skip: Int!) {{ orders(options: {{skip: $skip, take: {_PAGE},
                sort: {{id: ASC}}, filter: {{active: {{eq: false}}}}}}) {{
                totalItems items {{ {_ORDER} }} }} }}""",
                skip=len(found),
            )["orders"]
            if not page["items"]:
                break
            found += [_order(each) for each in page["items"]]
            total = page["totalItems"]
        return found

    def stock(self) -> dict[str, Stock]:
        """The stock of every variant by its SKU, all warehouses together."""
        items = self._admin(
            """{ productVariants { items { sku stockLevels { stockOnHand stockAllocated } } } }"""
        )["productVariants"]["items"]
        return {
            each["sku"]: Stock(
                on_hand=sum(level["stockOnHand"] for level in each["stockLevels"]),
                allocated=sum(level["stockAllocated"] for level in each["stockLevels"]),
            )
            for each in items
        }

    def _variant(self, sku: str) -> str:
        if sku not in self._variants:
            items = self._admin("{ productVariants { items { id sku } } }")["productVariants"]
            self._variants = {each["sku"]: each["id"] for each in items["items"]}
        if sku not in self._variants:
            raise Refused(f"no variant {sku}: was the shop set up?")
        return self._variants[sku]

    def _admin(self, document: str, **variables: Any) -> Any:
        if self._staff is None:
            session = _Session(self._http, "/admin-api")
            session.ask(
                f"""mutation($user: String!, $password: String!) {{ login(username: $user,
                password: $password) {{ __typename {_FAILED} }} }}""",
                **self._login,
            )
            self._staff = session
        return self._staff.ask(document, **variables)


class _Session:
    """One visitor: the shop names its session in the first answer."""

    def __init__(self, http: httpx.Client, path: str) -> None:
        self._http = http
        self._path = path
        self._token = ""

    def ask(self, document: str, **variables: Any) -> Any:
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        body = {"query": document, "variables": variables}
        answer = self._http.post(self._path, json=body, headers=headers)
        self._token = answer.headers.get(_TOKEN, self._token)
        said = answer.json()
        if said.get("errors"):
            raise Refused("; ".join(each["message"] for each in said["errors"]))
        for name, result in said["data"].items():
            if isinstance(result, dict) and result.get("errorCode"):
                raise Refused(f"{name}: {result['errorCode']}: {result['message']}")
        return said["data"]


def _order(raw: Mapping[str, Any]) -> Order:
    lines: dict[str, int] = {}
    for line in raw["lines"]:
        sku = line["productVariant"]["sku"]
        lines[sku] = lines.get(sku, 0) + line["quantity"]
    return Order(
        id=raw["id"],
        code=raw["code"],
        state=raw["state"],
        total=raw["totalWithTax"],
        currency=raw["currencyCode"],
        placed_at=raw["orderPlacedAt"],
        lines=lines,
        line_ids={line["id"]: line["quantity"] for line in raw["lines"]},
        payments=tuple(
            Payment(id=each["id"], state=each["state"], amount=each["amount"])
            for each in raw["payments"] or ()
        ),
        fulfillments=tuple(each["state"] for each in raw["fulfillments"] or ()),
    )
