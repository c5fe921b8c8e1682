"""Vendure: what its admin API tells.

Facts of Vendure 3 that decide how it is polled: `order.updatedAt` does not move when the state of
an order changes, so orders that were placed lately are all looked at, by the newest entry of their
history; times of SQLite have whole seconds, so a product that changed within this second is left
for the next poll; the API does not tell which order a movement of stock is for, unless the shop
runs the plugin `stock-of-orders`.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import outbound
from helios.providers import calling, paging, ports, vendure_events

PAGE = 100
DETAIL_PAGE = 20
DAY_US = 24 * 3600 * clocks.SECOND_US
_MS = 1000

_LOGIN = """mutation($user: String!, $password: String!) {
  login(username: $user, password: $password) {
    __typename ... on ErrorResult { errorCode message } } }"""
_LATELY = """query($options: OrderListOptions) { orders(options: $options) { items {
  id orderPlacedAt
  history(options: {take: 1, sort: {createdAt: DESC}}) { items { createdAt } } } } }"""
_MOVEMENTS = "stockMovements { id createdAt type quantity stockLocationId productVariantId sku }"
_ORDERS = """query($options: OrderListOptions) { orders(options: $options) { items {
  id code state active orderPlacedAt updatedAt currencyCode totalWithTax
  customer { emailAddress }
  lines { id quantity linePriceWithTax productVariant { id sku product { id } } }
  payments { id amount method state transactionId refunds { id total state } }
  fulfillments { id method state }
  history(options: {take: 1000, sort: {id: ASC}}) { items { id type createdAt data } }
  MOVEMENTS } } }"""
_VARIANT = """id sku name enabled price priceWithTax currencyCode createdAt updatedAt languageCode
  stockLevels { stockOnHand stockAllocated updatedAt }"""
_PRODUCTS = (
    "query($options: ProductListOptions) { products(options: $options) { items {"
    " id name slug description enabled languageCode createdAt updatedAt"
    f" variants {{ {_VARIANT} }} }} }} }}"
)
_CHANGED_PRODUCTS = """query($options: ProductListOptions) {
  products(options: $options) { items { id updatedAt } } }"""
_CHANGED_VARIANTS = """query($options: ProductVariantListOptions) {
  productVariants(options: $options) { items { id updatedAt product { id } } } }"""
_IDS = """query($options: ProductListOptions) { products(options: $options) { items {
  id enabled updatedAt
  variants { id enabled updatedAt stockLevels { updatedAt } } } } }"""
_PRODUCTS_OF = """query($options: ProductVariantListOptions) {
  productVariants(options: $options) { items { id product { id } } } }"""


class ApiOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What polling a Vendure needs.

    Attributes:
        base_url: such as `https://shop.example.com`.
        admin_path: of its admin API.
        channel: token of the channel to look at; empty: the default one.
        order_days: for so long after an order was placed its changes are looked for.
        orders, products: what is polled.
    """

    base_url: str = ""
    admin_path: str = "/admin-api"
    channel: str = ""
    order_days: int = 7
    orders: bool = True
    products: bool = True


class VendureApi:
    """Capabilities of Vendure beyond its webhooks' bodies.

    Credentials: `user` and `password` of an administrator who may read orders and the catalogue,
    or `token`, a session's. The plugin's webhook stands in the shop's configuration, so there is
    none to manage.
    """

    capabilities: ClassVar[frozenset[ports.Capability]] = calling.ALL - {ports.Capability.WEBHOOKS}

    def normalise(
        self,
        event_type: str,
        payload: Mapping[str, Any],
        source: ports.Source,  # noqa: ARG002
    ) -> Sequence[ports.ContentChange]:
        """See `ports.Normaliser`."""
        return vendure_events.changes(event_type, payload)

    async def list_changes(
        self, api: ports.Api, since: clocks.Timestamp
    ) -> AsyncIterator[ports.Changed]:
        """See `ports.ChangeLister`: events of orders as the plugin tells them; products whole."""
        options = _options(api.source)
        admin = await _admin(api)
        newest = 0
        now = vendure_events.second(api.clock.now())
        products: set[str] = set()
        if options.orders:
            async for page in _changed_orders(admin, options, since):
                products.update(_products_of(page))
                events = [e for order in page for e in vendure_events.order_events(order, since)]
                events.sort(key=lambda e: (e.occurred_at or 0, e.id or ""))
                newest = max([newest, *(e.occurred_at or 0 for e in events)])
                yield ports.Changed(
                    events=events,
                    cursor=f"orders {page[-1]['id']}",
                    high_water=clocks.Timestamp(newest) if newest else None,
                )
        if options.products:
            async for ids in _changed_products(admin, options, since):
                products.update(ids)
            async for page in _products(admin, options, sorted(products)):
                settled = [each for each in page if vendure_events.newest(each) < now]
                events = [vendure_events.polled_product(each) for each in settled]
                newest = max([newest, *(e.occurred_at or 0 for e in events)])
                yield ports.Changed(
                    events=sorted(events, key=lambda e: (e.occurred_at or 0, e.id or "")),
                    cursor=f"products {page[-1]['id']}",
                    high_water=clocks.Timestamp(newest) if newest else None,
                )
        yield ports.Changed(events=(), high_water=clocks.Timestamp(newest) if newest else None)

    async def find(self, api: ports.Api, event_type: str, key: str) -> Sequence[ports.Received]:
        """Events of this type of the order with this code."""
        admin = await _admin(api)
        where = {"filter": {"code": {"eq": key}}}
        found = await _orders(admin, _options(api.source), where)
        begin = clocks.Timestamp(0)
        return [
            e
            for order in found
            for e in vendure_events.order_events(order, begin)
            if e.type == event_type
        ]

    async def list_ids(self, api: ports.Api) -> AsyncIterator[Sequence[ports.Listed]]:
        """See `ports.IdLister`."""
        options = _options(api.source)
        admin = await _admin(api)
        sort = {"createdAt": "ASC", "id": "ASC"}
        for number in range(calling.LIST_PAGES_MAX):
            asked = {"options": {"sort": sort, "take": PAGE, "skip": number * PAGE}}
            data = await admin.graphql(options.admin_path, _IDS, asked)
            items = vendure_events.items(data, "products")
            if not items:
                return
            yield [
                ports.Listed(
                    type=kind,
                    id=str(each["id"]),
                    stage=vendure_events.stage(each),
                    version=calling.version(vendure_events.newest(each)),
                )
                for product in items
                for kind, each in [
                    ("product", product),
                    *(("variant", variant) for variant in calling.listed(product.get("variants"))),
                ]
            ]

    async def read_contents(
        self, api: ports.Api, wanted: Sequence[ports.Listed]
    ) -> AsyncIterator[Sequence[ports.Received]]:
        """See `ports.ContentReader`: products whole, with those whose variants are wanted."""
        options = _options(api.source)
        admin = await _admin(api)
        products = {each.id for each in wanted if each.type == "product"}
        variants = sorted({each.id for each in wanted if each.type == "variant"})
        for start in range(0, len(variants), PAGE):
            where = {"filter": {"id": {"in": variants[start : start + PAGE]}}, "take": PAGE}
            data = await admin.graphql(options.admin_path, _PRODUCTS_OF, {"options": where})
            found = vendure_events.items(data, "productVariants")
            products |= {str(calling.mapping(each.get("product")).get("id")) for each in found}
        async for page in _products(admin, options, sorted(products)):
            yield [vendure_events.polled_product(each) for each in page]

    def listed_types(self, source: ports.Source) -> Sequence[str]:
        """See `ports.IdLister`."""
        return ("product", "variant") if _options(source).products else ()

    def deletion(self, listed: ports.Listed, seen_at: clocks.Timestamp) -> ports.Received:
        """See `ports.IdLister`."""
        return vendure_events.deletion(listed, seen_at)

    async def health(self, api: ports.Api) -> ports.Health:
        """See `ports.HealthChecker`."""
        return await calling.health(_probe(api))


async def _probe(api: ports.Api) -> outbound.Answer:
    admin = await _admin(api)
    path = _options(api.source).admin_path
    answer = await admin.send("POST", path, body={"query": "{ activeAdministrator { id } }"})
    data = admin.graphql_data(answer, path)
    if data.get("activeAdministrator") is None:
        raise ports.ProviderApiError(
            f"{admin.place('POST', path)}: nobody is logged in", status=401
        )
    return answer


def _options(source: ports.Source) -> ApiOptions:
    return source.options if isinstance(source.options, ApiOptions) else ApiOptions()


async def _admin(api: ports.Api) -> calling.Rest:
    """The admin API with a session; a new one each time, since sessions end."""
    options = _options(api.source)
    channel = (("vendure-token", options.channel),) if options.channel else ()
    door = calling.rest(api, options.base_url, channel)
    if "token" in api.source.credentials:
        token = api.source.credentials["token"].text
    else:
        variables = {
            "user": calling.credential(api.source, "user"),
            "password": calling.credential(api.source, "password"),
        }
        body = {"query": _LOGIN, "variables": variables}
        answer = await door.send("POST", options.admin_path, body=body)
        login = calling.mapping(door.graphql_data(answer, options.admin_path).get("login"))
        token = answer.headers.get("vendure-auth-token", "")
        if login.get("__typename") != "CurrentUser" or not token:
            said = login.get("message", "no token: does it allow authOptions.tokenMethod bearer?")
            place = door.place("POST", options.admin_path)
            raise ports.ProviderApiError(f"{place} let nobody in: {said}", status=401)
    return calling.rest(api, options.base_url, (*channel, ("Authorization", f"Bearer {token}")))


class _Listing(msgspec.Struct):
    """A list of the API in the order of a time.

    Attributes:
        admin, path: the API.
        query: with a variable `options`.
        name: of the list in the answer.
        field: the time that orders it.
    """

    admin: calling.Rest
    path: str
    query: str
    name: str
    field: str

    def since(
        self, since: clocks.Timestamp, where: Mapping[str, Any]
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Pages of what fits the conditions and has that time or a later one."""

        async def fetch(begin: clocks.Timestamp, number: int) -> list[dict[str, Any]]:
            after = calling.rfc3339_ms(clocks.Timestamp(max(0, begin - _MS)))
            options = {
                "filter": {**where, self.field: {"after": after}},
                "sort": {self.field: "ASC", "id": "ASC"},
                "take": PAGE,
                "skip": (number - 1) * PAGE,
            }
            data = await self.admin.graphql(self.path, self.query, {"options": options})
            return vendure_events.items(data, self.name)

        return paging.by_time(fetch, self._place, since, PAGE, unit=_MS)

    def _place(self, item: Mapping[str, Any]) -> tuple[clocks.Timestamp, str]:
        return calling.latest(item.get(self.field)), str(item.get("id"))


async def _changed_orders(
    admin: calling.Rest, options: ApiOptions, since: clocks.Timestamp
) -> AsyncIterator[list[dict[str, Any]]]:
    horizon = clocks.Timestamp(max(0, since - options.order_days * DAY_US))
    listing = _Listing(admin, options.admin_path, _LATELY, "orders", "orderPlacedAt")
    async for page in listing.since(horizon, {"active": {"eq": False}}):
        changed = [
            str(each["id"]) for each in page if _changed_at(each) >= vendure_events.second(since)
        ]
        for at in range(0, len(changed), DETAIL_PAGE):
            chosen = {"filter": {"id": {"in": changed[at : at + DETAIL_PAGE]}}}
            found = await _orders(admin, options, chosen)
            if found:
                yield found


def _orders_query(movements: str) -> str:
    return _ORDERS.replace("MOVEMENTS", movements)


async def _orders(
    admin: calling.Rest, options: ApiOptions, where: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Orders in full; with their movements of stock where the shop tells them."""
    asked = {"options": {**where, "sort": {"id": "ASC"}, "take": PAGE}}
    try:
        data = await admin.graphql(options.admin_path, _orders_query(_MOVEMENTS), asked)
    except ports.ProviderApiError as error:
        # A query that does not fit the schema is answered with 400.
        if error.status != 400:
            raise
        data = await admin.graphql(options.admin_path, _orders_query(""), asked)
    return vendure_events.items(data, "orders")


def _changed_at(order: Mapping[str, Any]) -> clocks.Timestamp:
    entries = vendure_events.items(order, "history")
    return calling.latest(order.get("orderPlacedAt"), *(e.get("createdAt") for e in entries))


def _products_of(orders: Iterable[Mapping[str, Any]]) -> set[str]:
    lines = [line for order in orders for line in calling.listed(order.get("lines"))]
    variants = [calling.mapping(line.get("productVariant")) for line in lines]
    return {str(calling.mapping(each.get("product")).get("id")) for each in variants}


async def _changed_products(
    admin: calling.Rest, options: ApiOptions, since: clocks.Timestamp
) -> AsyncIterator[set[str]]:
    begin = vendure_events.second(since)
    path = options.admin_path
    products = _Listing(admin, path, _CHANGED_PRODUCTS, "products", "updatedAt")
    async for page in products.since(begin, {}):
        yield {str(each["id"]) for each in page}
    variants = _Listing(admin, path, _CHANGED_VARIANTS, "productVariants", "updatedAt")
    async for page in variants.since(begin, {}):
        yield {str(calling.mapping(each.get("product")).get("id")) for each in page}


async def _products(
    admin: calling.Rest, options: ApiOptions, ids: Sequence[str]
) -> AsyncIterator[list[dict[str, Any]]]:
    for at in range(0, len(ids), DETAIL_PAGE):
        where = {"filter": {"id": {"in": ids[at : at + DETAIL_PAGE]}}, "take": PAGE}
        items = vendure_events.items(
            await admin.graphql(options.admin_path, _PRODUCTS, {"options": where}), "products"
        )
        if items:
            yield items
