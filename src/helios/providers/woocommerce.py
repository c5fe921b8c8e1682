"""WooCommerce: HMAC-SHA256 in base64 over the raw body.

The shop unescapes HTML in the secret before it signs with it, so a secret with `&` in it signs as
the browser shows it. When a hook is made, the shop sends an unsigned form `webhook_id=N` and wants
exactly 200, else it does not save the hook; that form becomes no event. The delivery's id is a hash
of hook and second: it collides, so the body counts too.
"""

import re
from typing import ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.providers import base, ports, reading, signatures, woocommerce_api

_PREFIX = "X-WC-Webhook-"
_NAMES = ("Signature", "Topic", "Delivery-ID", "Source", "ID", "Resource", "Event")
_PING = re.compile(rb"webhook_id=[0-9]{1,20}")
_ENTITIES = {
    b"lt": b"<",
    b"gt": b">",
    b"quot": b'"',
    b"amp": b"&",
}
_ENTITY = re.compile(rb"&(?:(lt|gt|quot|amp)|#0*(60|62|34|38|39)|#[xX]0*(3[cCeE]|2[267]));")


Options = woocommerce_api.ApiOptions


class WooCommerce(woocommerce_api.WooCommerceApi, base.Adapter):
    """A shop on WordPress."""

    name: ClassVar[str] = "woocommerce"
    title: ClassVar[str] = "WooCommerce"
    schemes: ClassVar[tuple[str, ...]] = ("woocommerce",)
    headers: ClassVar[tuple[str, ...]] = tuple(_PREFIX + name for name in _NAMES)
    trust: ClassVar[ports.Trust] = ports.Trust.WEAK_ID
    # It never tries again, and five failures in a row switch the hook off.
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(stored=200, limited=0)
    Options: ClassVar[type[msgspec.Struct]] = Options

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,  # noqa: ARG002 - nothing that is signed says when
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        if _is_ping(delivery):
            return ports.Verified(scheme="none")
        given = signatures.header(delivery, _PREFIX + "Signature")
        found = signatures.fitting(
            signatures.keys(source),
            [given],
            lambda key: signatures.digest(unescaped(key), delivery.body, encoding="base64"),
        )
        _check_shop(delivery, base.options(source, Options).shop)
        return self.verified(found)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        if _is_ping(delivery):
            return ports.Handshake(status=200)
        body = reading.read(delivery.body)
        topic = base.text(delivery, _PREFIX + "Topic")
        resource = base.text(delivery, _PREFIX + "Resource")
        about = resource if resource and body.word("id") else None
        return [
            ports.Received(
                id=base.text(delivery, _PREFIX + "Delivery-ID"),
                scope=topic,
                type=topic or self.unnamed,
                occurred_at=_changed(body),
                aggregate_type=about,
                aggregate_id=body.word("id") if about else None,
                payload=body.payload,
                metadata=base.present(
                    shop=base.text(delivery, _PREFIX + "Source"),
                    hook=base.text(delivery, _PREFIX + "ID"),
                ),
            )
        ]


def unescaped(key: bytes) -> bytes:
    """A secret as WordPress unescapes it, quotes too; once, so that `&amp;lt;` is `&lt;`."""

    def plain(match: re.Match[bytes]) -> bytes:
        name, decimal, hexadecimal = match.groups()
        if name is not None:
            return _ENTITIES[name]
        return bytes([int(decimal) if decimal is not None else int(hexadecimal, 16)])

    return _ENTITY.sub(plain, key)


def _is_ping(delivery: ports.Delivery) -> bool:
    """Whether this is what the shop sends when a hook is made: a form, and no header of its own."""
    if _PING.fullmatch(delivery.body) is None:
        return False
    return not any(delivery.all(_PREFIX + name) for name in _NAMES)


def _changed(body: reading.Body) -> clocks.Timestamp | None:
    told = body.text("date_modified_gmt") or body.text("date_created_gmt")
    return base.moment(f"{told}Z") if told else None


def _check_shop(delivery: ports.Delivery, shop: str | None) -> None:
    if shop is None:
        return
    told = delivery.header(_PREFIX + "Source")
    if told is None or told.rstrip("/").lower() != shop.rstrip("/").lower():
        raise ports.RefusedError("bad_shop", "the delivery is not of the shop of this source")
