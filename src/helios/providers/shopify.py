"""Shopify: HMAC-SHA256 over the raw body, with the secret of the app.

All shops of one app share that secret, so a delivery of one shop verifies for every other: the
shop's domain has to be the one of the source. Topics that were made with the newer Events carry
the same headers without `X-`.
"""

import re
from typing import ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.providers import base, ports, reading, shopify_api, shopify_graphql, signatures

_X = "X-Shopify-"
_BARE = "shopify-"
_NAMES = ("Hmac-SHA256", "Topic", "Action", "Shop-Domain", "Event-Id", "Webhook-Id")
_DOMAIN = re.compile(r"[a-z0-9][a-z0-9.-]*", re.ASCII)


Options = shopify_graphql.ApiOptions


class Shopify(shopify_api.ShopifyApi, base.Adapter):
    """A shop, with the topics of products and content."""

    name: ClassVar[str] = "shopify"
    title: ClassVar[str] = "Shopify"
    schemes: ClassVar[tuple[str, ...]] = ("shopify",)
    headers: ClassVar[tuple[str, ...]] = tuple(p + n for p in (_X, _BARE) for n in _NAMES)
    trust: ClassVar[ports.Trust] = ports.Trust.HEADER_ID
    Options: ClassVar[type[msgspec.Struct]] = Options

    def check(self, source: ports.Source) -> None:
        super().check(source)
        shop = base.options(source, Options).shop
        if shop is not None and _DOMAIN.fullmatch(shop.lower()) is None:
            raise errors.InvalidInputError(
                f"{shop!r} is not a domain such as acme.myshopify.com", field="spec.options.shop"
            )

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,  # noqa: ARG002 - nothing that is signed says when
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        given = signatures.header(delivery, _prefix(delivery) + "Hmac-SHA256")
        found = signatures.fitting(
            signatures.keys(source),
            [given],
            lambda key: signatures.digest(key, delivery.body, encoding="base64"),
        )
        _check_shop(delivery, base.options(source, Options).shop)
        return self.verified(found)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        prefix = _prefix(delivery)
        body = reading.read(delivery.body)
        topic = base.text(delivery, prefix + "Topic")
        action = base.text(delivery, prefix + "Action")
        kind = f"{topic}/{action}" if topic and action else topic
        time = base.text(delivery, prefix + "Triggered-At")
        delivered = base.text(delivery, prefix + "Webhook-Id")
        shop = base.text(delivery, prefix + "Shop-Domain")
        return [
            ports.Received(
                # One event may be told under several topics.
                id=base.text(delivery, prefix + "Event-Id") or delivered,
                scope=kind,
                type=kind or self.unnamed,
                occurred_at=base.moment(time) or base.moment(body.text("updated_at")),
                time=time,
                aggregate_type=topic.partition("/")[0] if topic and body.word("id") else None,
                aggregate_id=body.word("id") if topic else None,
                payload=body.payload,
                metadata=base.present(
                    shop=shop, delivery=delivered, api_version=_version(delivery, prefix)
                ),
                attributes=base.present(message_id=delivered, shop=shop),
            )
        ]


class ShopifyAdvanced(shopify_api.ShopifyAdvancedApi, Shopify):
    """A shop, with bulk operations and the topics of orders too."""

    name: ClassVar[str] = "shopify-advanced"
    title: ClassVar[str] = "Shopify Advanced"


def _prefix(delivery: ports.Delivery) -> str:
    """The spelling of the headers in use: the one that brings a signature."""
    bare = not delivery.all(_X + "Hmac-SHA256") and delivery.all(_BARE + "Hmac-SHA256")
    return _BARE if bare else _X


def _version(delivery: ports.Delivery, prefix: str) -> str | None:
    return base.text(delivery, prefix + "API-Version")


def _check_shop(delivery: ports.Delivery, shop: str | None) -> None:
    if shop is None:
        return
    told = delivery.header(_prefix(delivery) + "Shop-Domain")
    if told is None or told.lower() != shop.lower():
        raise ports.RefusedError("bad_shop", "the delivery is not of the shop of this source")
