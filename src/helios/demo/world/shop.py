"""A shop as WooCommerce has it: products, webhooks, and what its REST API answers. No I/O."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from helios.demo import goods
from helios.demo.world import cms
from helios.kernel import clock as clocks

TOPICS = ("product.created", "product.deleted", "product.updated")


class Shop:
    """One shop.

    Args:
        clock: its own.
        key, secret: of its REST API.

    Attributes:
        url: where it is, as its webhooks say; set once it is served.
        outbox: what its webhooks have to post.
    """

    def __init__(self, clock: clocks.Clock, *, key: str, secret: str) -> None:
        self._clock = clock
        self.key = key
        self.secret = secret
        self.url = ""
        self.outbox: list[cms.Sending] = []
        self._products: dict[int, dict[str, Any]] = {}
        self._hooks: dict[int, dict[str, Any]] = {}
        self._numbers = 0

    # -- its staff ------------------------------------------------------------------------------

    @property
    def products(self) -> list[int]:
        """Numbers of the products."""
        return list(self._products)

    def stock(self, number: int, pieces: int) -> None:
        """Set how many pieces of a product there are."""
        self._products[number] |= {"stock_quantity": pieces, "date_modified_gmt": self._now()}
        self._tell("product.updated", number)

    def open(self) -> None:
        """Put everything it sells on the shelves."""
        for number, product in enumerate(goods.PRODUCTS, 1):
            now = self._now()
            self._products[number] = {
                "id": number,
                "name": product.name,
                "slug": product.sku.lower(),
                "sku": product.sku,
                "status": "publish",
                "price": str(product.price),
                "stock_quantity": 40 + number,
                "date_created_gmt": now,
                "date_modified_gmt": now,
            }
            self._tell("product.created", number)

    def _now(self) -> str:
        return clocks.to_rfc3339(self._clock.now())[:19]

    def _tell(self, topic: str, number: int) -> None:
        body = msgspec.json.encode(self._products[number])
        for hook in self._hooks.values():
            if hook["status"] == "active" and hook["topic"] == topic:
                self._numbers += 1
                self.outbox.append(self._sending(hook, body, f"{self._numbers:032x}"))

    def _sending(self, hook: Mapping[str, Any], body: bytes, delivery: str) -> cms.Sending:
        digest = hmac.new(str(hook["secret"]).encode(), body, hashlib.sha256).digest()
        resource, _, event = str(hook["topic"]).partition(".")
        headers = {
            "content-type": "application/json",
            "x-wc-webhook-source": self.url,
            "x-wc-webhook-topic": str(hook["topic"]),
            "x-wc-webhook-resource": resource,
            "x-wc-webhook-event": event,
            "x-wc-webhook-signature": base64.b64encode(digest).decode(),
            "x-wc-webhook-id": str(hook["id"]),
            "x-wc-webhook-delivery-id": delivery,
        }
        return cms.Sending(url=str(hook["delivery_url"]), headers=headers, body=body)

    # -- its API --------------------------------------------------------------------------------

    def listed(self, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        """`GET /products`: a page, by id or by time of change."""
        rows = list(self._products.values())
        if "include" in asked:
            wanted = {int(each) for each in asked["include"].split(",")}
            rows = [row for row in rows if row["id"] in wanted]
        since = asked.get("modified_after", "")
        rows = [row for row in rows if row["date_modified_gmt"] > since]
        if asked.get("orderby") == "modified":
            rows.sort(key=lambda row: (row["date_modified_gmt"], row["id"]))
        size, page = int(asked.get("per_page", 10)), int(asked.get("page", 1))
        return rows[(page - 1) * size : page * size]

    def one(self, number: int) -> dict[str, Any] | None:
        """`GET /products/{id}`."""
        return self._products.get(number)

    # -- its webhooks ---------------------------------------------------------------------------

    def hooks(self) -> list[dict[str, Any]]:
        """`GET /webhooks`, without the secrets, which it never shows."""
        return [_shown(hook) for hook in self._hooks.values()]

    def add_hook(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """`POST /webhooks`; the shop pings the address first, as `ping_of` has it."""
        self._numbers += 1
        made = {"id": self._numbers, "status": "active", "secret": "", **fields}
        self._hooks[self._numbers] = made
        return _shown(made)

    def set_hook(self, number: int, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """`PUT /webhooks/{id}`: what is given."""
        hook = self._hooks.get(number)
        if hook is None:
            return None
        hook |= fields
        return _shown(hook)

    def drop_hook(self, number: int) -> dict[str, Any] | None:
        """`DELETE /webhooks/{id}`."""
        found = self._hooks.pop(number, None)
        return None if found is None else _shown(found)

    def ping_of(self, url: str) -> cms.Sending:
        """What the shop posts to a new webhook's address; it wants exactly 200."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        body = f"webhook_id={self._numbers + 1}".encode()
        return cms.Sending(url=url, headers=headers, body=body)


def _shown(hook: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hook.items() if name != "secret"}
