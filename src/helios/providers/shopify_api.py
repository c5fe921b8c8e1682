"""Shopify: what its GraphQL Admin API and the bodies of its webhooks say.

A poll asks by `updated_at` in the order of it, and tells what it finds in the words of the REST
resource that webhooks bring. The API charges a query by points: what is left stands in each
answer, and we wait until the next query can be paid for. Pages end after 25,000 objects, so a long
listing begins anew at the newest time seen. Ids are never used again, so a deletion is final.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound
from helios.providers import calling, ports, shopify_bulk, shopify_hooks, shopify_orders
from helios.providers.shopify_graphql import Admin, options

PRODUCTS_PAGE = 25
ORDERS_PAGE = 25
IDS_PAGE = 250
RESTART_OBJECTS = 20_000

_PRODUCT = """legacyResourceId title handle status descriptionHtml vendor productType tags
  createdAt updatedAt publishedAt
  variants(first: 20) { pageInfo { hasNextPage endCursor } nodes { VARIANT } }"""
_VARIANT = "legacyResourceId title sku price inventoryQuantity createdAt updatedAt"
_PRODUCTS = """query($first: Int!, $after: String, $query: String) { shop { currencyCode }
  products(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    pageInfo { hasNextPage endCursor } nodes { PRODUCT } } }"""
_NODES = """query($ids: [ID!]!) { shop { currencyCode }
  nodes(ids: $ids) { ... on Product { PRODUCT } } }"""
_MORE_VARIANTS = """query($id: ID!, $after: String) { product(id: $id) {
  variants(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { VARIANT } } } }"""
_IDS = """query($first: Int!, $after: String) { products(first: $first, after: $after) {
  pageInfo { hasNextPage endCursor } nodes { legacyResourceId status updatedAt } } }"""

_CHANGES: Mapping[str, ports.Change] = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
}
_TYPES = {"products": "product", "collections": "collection"}
_STATUS = {"active": "published", "draft": "draft", "archived": "archived"}


class ShopifyApi(shopify_hooks.Hooks):
    """Products and content of a shop.

    Credentials: `token`, an access token of the Admin API (`read_products`, and `read_orders`
    where orders are polled).
    """

    capabilities: ClassVar[frozenset[ports.Capability]] = calling.ALL

    def normalise(
        self,
        event_type: str,
        payload: Mapping[str, Any],
        source: ports.Source,  # noqa: ARG002
    ) -> Sequence[ports.ContentChange]:
        """See `ports.Normaliser`. Takes the REST resource and the GraphQL object."""
        resource, _, action = event_type.partition("/")
        kind, change = _TYPES.get(resource), _CHANGES.get(action)
        item = rest_product(payload, None) if "legacyResourceId" in payload else payload
        if kind is None or change is None or item.get("id") is None:
            return ()
        name = str(item["id"])
        if change == "deleted":
            return (ports.ContentChange(change=change, id=name, type=kind, version=calling.FINAL),)
        content = _content(name, kind, item)
        return (
            ports.ContentChange(
                change="unpublished" if content.status == "draft" else change,
                id=name,
                type=kind,
                content=content,
                version=content.version,
            ),
        )

    async def list_changes(
        self, api: ports.Api, since: clocks.Timestamp
    ) -> AsyncIterator[ports.Changed]:
        """See `ports.ChangeLister`: products by the time they changed."""
        newest: clocks.Timestamp | None = None
        async for events, cursor in self._changed(api, since):
            times = [each.occurred_at or clocks.Timestamp(0) for each in events]
            newest = max([*times, newest or clocks.Timestamp(0)]) or None
            yield ports.Changed(events=events, cursor=cursor, high_water=newest)
        yield ports.Changed(events=(), high_water=newest)

    async def _changed(
        self, api: ports.Api, since: clocks.Timestamp
    ) -> AsyncIterator[tuple[list[ports.Received], str]]:
        admin = Admin.of(api)
        query = _PRODUCTS.replace("PRODUCT", _PRODUCT).replace("VARIANT", _VARIANT)
        async for data, nodes, cursor in pages(admin, query, "products", since, PRODUCTS_PAGE):
            currency = calling.text(calling.mapping(data.get("shop")).get("currencyCode"))
            for node in nodes:
                await _complete(admin, node)
            yield [_polled_product(rest_product(node, currency)) for node in nodes], cursor

    async def list_ids(self, api: ports.Api) -> AsyncIterator[Sequence[ports.Listed]]:
        """See `ports.IdLister`."""
        admin = Admin.of(api)
        after: str | None = None
        for _ in range(calling.LIST_PAGES_MAX):
            data = await admin.ask(_IDS, {"first": IDS_PAGE, "after": after})
            found = calling.mapping(data.get("products"))
            yield [
                ports.Listed(
                    type="product",
                    id=str(node["legacyResourceId"]),
                    stage="draft" if node.get("status") == "DRAFT" else "published",
                    version=calling.version(calling.latest(node.get("updatedAt"))),
                )
                for node in calling.listed(found.get("nodes"))
            ]
            page = calling.mapping(found.get("pageInfo"))
            if not page.get("hasNextPage"):
                return
            after = calling.text(page.get("endCursor"))
        raise ports.ProviderApiError("the pages of Shopify's products do not end")

    async def read_contents(
        self, api: ports.Api, wanted: Sequence[ports.Listed]
    ) -> AsyncIterator[Sequence[ports.Received]]:
        """See `ports.ContentReader`."""
        admin = Admin.of(api)
        query = _NODES.replace("PRODUCT", _PRODUCT).replace("VARIANT", _VARIANT)
        names = sorted({each.id for each in wanted})
        for start in range(0, len(names), PRODUCTS_PAGE):
            some = [f"gid://shopify/Product/{n}" for n in names[start : start + PRODUCTS_PAGE]]
            data = await admin.ask(query, {"ids": some})
            currency = calling.text(calling.mapping(data.get("shop")).get("currencyCode"))
            nodes = [node for node in calling.listed(data.get("nodes")) if node]
            for node in nodes:
                await _complete(admin, node)
            yield [_polled_product(rest_product(node, currency)) for node in nodes]

    def listed_types(self, source: ports.Source) -> Sequence[str]:  # noqa: ARG002
        """See `ports.IdLister`."""
        return ("product",)

    def deletion(self, listed: ports.Listed, seen_at: clocks.Timestamp) -> ports.Received:
        """See `ports.IdLister`."""
        return ports.Received(
            id=f"polled:products/delete:{listed.id}",
            type="products/delete",
            occurred_at=seen_at,
            aggregate_type="products",
            aggregate_id=listed.id,
            payload=jsonio.encode({"id": int(listed.id)}),
            metadata={"polled": True},
        )

    async def health(self, api: ports.Api) -> ports.Health:
        """See `ports.HealthChecker`. What is left is in points of the query budget."""
        left: list[int] = []

        async def probe() -> outbound.Answer:
            admin = Admin.of(api)
            answer = await admin.answer("{ shop { name } }", {})
            left.append(int(admin.available))
            return answer

        found = await calling.health(probe())
        return msgspec.structs.replace(found, quota_left=left[0]) if left else found


class ShopifyAdvancedApi(ShopifyApi):
    """The same with orders, and with bulk operations for the first load of a large shop."""

    async def _changed(
        self, api: ports.Api, since: clocks.Timestamp
    ) -> AsyncIterator[tuple[list[ports.Received], str]]:
        admin = Admin.of(api)
        if since == 0 and options(api.source).bulk:
            async for events in shopify_bulk.products(admin, _polled_bulk):
                yield events, "bulk"
        else:
            async for changed in super()._changed(api, since):
                yield changed
        query = shopify_orders.ORDERS
        async for _, nodes, cursor in pages(admin, query, "orders", since, ORDERS_PAGE):
            yield [shopify_orders.polled(node) for node in nodes], cursor

    def states(self, event_type: str, payload: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """See `ports.Stateful`: which state of an order an event tells."""
        return shopify_orders.states(event_type, payload)

    async def find(self, api: ports.Api, event_type: str, key: str) -> Sequence[ports.Received]:
        """See `ports.Finder`: events of an order by its name (`#1001`) or its number."""
        return await shopify_orders.find(Admin.of(api), event_type, key)


async def pages(
    admin: Admin, query: str, name: str, since: clocks.Timestamp, first: int
) -> AsyncIterator[tuple[Mapping[str, Any], list[dict[str, Any]], str]]:
    """What changed since then, by `updatedAt`, as (data, nodes, cursor)."""
    begin, after, seen = since, None, 0
    for _ in range(calling.LIST_PAGES_MAX):
        at = calling.rfc3339_ms(clocks.Timestamp(begin - begin % clocks.SECOND_US))
        variables = {"first": first, "after": after, "query": f"updated_at:>='{at}'"}
        data = await admin.ask(query, variables)
        found = calling.mapping(data.get(name))
        nodes = [node for node in calling.listed(found.get("nodes")) if isinstance(node, dict)]
        page = calling.mapping(found.get("pageInfo"))
        if nodes:
            yield data, nodes, f"{name} {page.get('endCursor')}"
        if not nodes or not page.get("hasNextPage"):
            return
        seen += len(nodes)
        after = calling.text(page.get("endCursor"))
        newest = calling.latest(nodes[-1].get("updatedAt"))
        if seen >= RESTART_OBJECTS and newest - begin >= clocks.SECOND_US:
            begin, after, seen = newest, None, 0
    raise ports.ProviderApiError(f"the pages of Shopify's {name} do not end")


def rest_product(node: Mapping[str, Any], currency: str | None) -> dict[str, Any]:
    """A product of the GraphQL API as the REST resource that webhooks bring."""
    variants = calling.mapping(node.get("variants")).get("nodes")
    made = {
        "id": int(node["legacyResourceId"]),
        "title": node.get("title"),
        "handle": node.get("handle"),
        "status": str(node.get("status", "ACTIVE")).lower(),
        "body_html": node.get("descriptionHtml"),
        "vendor": node.get("vendor"),
        "product_type": node.get("productType"),
        "tags": ", ".join(map(str, calling.listed(node.get("tags")))),
        "created_at": node.get("createdAt"),
        "updated_at": node.get("updatedAt"),
        "published_at": node.get("publishedAt"),
        "variants": [
            {
                "id": int(each["legacyResourceId"]),
                "title": each.get("title"),
                "sku": each.get("sku"),
                "price": each.get("price"),
                "inventory_quantity": each.get("inventoryQuantity"),
                "created_at": each.get("createdAt"),
                "updated_at": each.get("updatedAt"),
            }
            for each in calling.listed(variants)
        ],
    }
    return made if currency is None else made | {"currency": currency}


async def _complete(admin: Admin, node: dict[str, Any]) -> None:
    """Add the variants that did not fit on the page of a product."""
    variants = calling.mapping(node.get("variants"))
    nodes = calling.listed(variants.get("nodes"))
    page = calling.mapping(variants.get("pageInfo"))
    gid = f"gid://shopify/Product/{node.get('legacyResourceId')}"
    query = _MORE_VARIANTS.replace("VARIANT", _VARIANT)
    while page.get("hasNextPage"):
        data = await admin.ask(query, {"id": gid, "after": page.get("endCursor")})
        more = calling.mapping(calling.mapping(data.get("product")).get("variants"))
        nodes += calling.listed(more.get("nodes"))
        page = calling.mapping(more.get("pageInfo"))
    node["variants"] = {"nodes": nodes}


def _polled_bulk(node: Mapping[str, Any], variants: Sequence[Any]) -> ports.Received:
    return _polled_product(rest_product({**node, "variants": {"nodes": variants}}, None))


def _polled_product(product: Mapping[str, Any]) -> ports.Received:
    changed = calling.instant(product.get("updated_at"))
    return ports.Received(
        id=f"polled:products/update:{product['id']}:{product.get('updated_at')}",
        type="products/update",
        occurred_at=changed,
        aggregate_type="products",
        aggregate_id=str(product["id"]),
        payload=jsonio.encode(product),
        metadata={"polled": True},
    )


def _content(name: str, kind: str, item: Mapping[str, Any]) -> ports.Content:
    variants = [calling.mapping(each) for each in calling.listed(item.get("variants"))]
    stocks = [
        count
        for each in variants
        if (count := calling.whole(each.get("inventory_quantity"))) is not None
    ]
    changed = calling.latest(item.get("updated_at"))
    return ports.Content(
        id=name,
        type=kind,
        slug=calling.text(item.get("handle")),
        title=calling.text(item.get("title")),
        status=_STATUS.get(str(item.get("status", "active")), "published"),
        price=calling.lowest(each.get("price") for each in variants),
        currency=calling.text(item.get("currency")),
        stock=sum(stocks) if stocks else None,
        created_at=calling.instant(item.get("created_at")),
        updated_at=calling.instant(item.get("updated_at")),
        published_at=calling.instant(item.get("published_at")),
        version=calling.version(changed),
        raw=item,
    )
