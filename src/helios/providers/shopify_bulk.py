"""Bulk operations of Shopify: all products in one file, which costs no points."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from urllib import parse as urls

from helios.kernel import errors, jsonio, outbound
from helios.providers import calling, ports
from helios.providers.shopify_graphql import Admin

WAIT_S_MAX = 1800.0
"""Longest wait for a bulk operation. Above: an error; the next poll tries again."""

LOOK_S = 5.0
FILE_BYTES_MAX = 512 << 20
PAGE = 500

Made = Callable[[Mapping[str, Any], Sequence[Any]], ports.Received]

_RUN = """mutation($query: String!) { bulkOperationRunQuery(query: $query) {
  bulkOperation { id status } userErrors { message } } }"""
_LOOK = """query($id: ID!) { node(id: $id) { ... on BulkOperation {
  status errorCode objectCount url } } }"""
_PRODUCTS = """{ products { edges { node {
  id legacyResourceId title handle status descriptionHtml vendor productType tags
  createdAt updatedAt publishedAt
  variants { edges { node { id legacyResourceId title sku price inventoryQuantity
    createdAt updatedAt } } } } } } }"""


async def products(admin: Admin, make: Made) -> AsyncIterator[list[ports.Received]]:
    """All products as events, as `make` makes them of an object and its variants.

    Raises:
        OutboundError, ProviderApiError: of the API; the operation failed or takes too long.
    """
    url = await _run(admin, _PRODUCTS)
    if url is None:
        return
    made: list[ports.Received] = []
    for node, variants in _objects(await _file(admin, url)):
        made.append(make(node, variants))
        if len(made) >= PAGE:
            yield made
            made = []
    if made:
        yield made


async def _run(admin: Admin, query: str) -> str | None:
    """Start an operation and wait for it; where its file is, or None when it holds nothing."""
    started = calling.mapping(
        (await admin.ask(_RUN, {"query": query})).get("bulkOperationRunQuery")
    )
    faults = calling.listed(started.get("userErrors"))
    if faults:
        said = calling.mapping(faults[0]).get("message")
        raise ports.ProviderApiError(f"Shopify starts no bulk operation: {said}", status=409)
    operation = calling.mapping(started.get("bulkOperation")).get("id")
    clock = admin.rest.api.clock
    deadline = clock.monotonic() + WAIT_S_MAX
    while clock.monotonic() < deadline:
        await clock.sleep(LOOK_S)
        found = calling.mapping((await admin.ask(_LOOK, {"id": operation})).get("node"))
        status = found.get("status")
        if status == "COMPLETED":
            return calling.text(found.get("url"))
        if status in ("FAILED", "CANCELED", "EXPIRED"):
            raise ports.ProviderApiError(
                f"Shopify's bulk operation ended as {status}: {found.get('errorCode')}"
            )
    raise ports.ProviderApiError(f"Shopify's bulk operation takes longer than {WAIT_S_MAX:g} s")


async def _file(admin: Admin, url: str) -> bytes:
    """The file; its address is signed and on another host, so no credential goes there."""
    call = outbound.Call(
        url=url,
        timeout_s=300.0,
        bytes_max=FILE_BYTES_MAX,
        attempts=calling.ATTEMPTS,
        hosts=(urls.urlsplit(url).hostname or "",),
    )
    answer = await admin.rest.api.client.send(call)
    if not answer.ok:
        raise ports.ProviderApiError(
            f"Shopify's file of a bulk operation: {answer.status}", status=answer.status
        )
    return answer.body


def _objects(
    content: bytes,
) -> list[tuple[Mapping[str, Any], list[Any]]]:
    """Products with their variants; a child comes on a later line than its parent."""
    found: dict[str, tuple[Mapping[str, Any], list[Any]]] = {}
    for line in content.splitlines():
        try:
            item = jsonio.parse_object(line)
        except errors.InvalidInputError as error:
            raise ports.ProviderApiError(f"Shopify's bulk file is broken: {error}") from None
        parent = item.get("__parentId")
        if parent is None:
            found[str(item.get("id"))] = (item, [])
        elif parent in found:
            found[parent][1].append(item)
    return list(found.values())
