"""Stripe: `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 in hexadecimal over `t.body`.

The key is the whole text `whsec_…`, not what is encoded in it. Several `v1` stand there while a
secret is replaced; `v0` is for tests of Stripe's own and counts for nothing.
"""

from typing import Any, ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.providers import base, ports, reading, signatures

_SIGNATURE = "Stripe-Signature"
_ITEMS_MAX = 32


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        tolerance_s: how long ago a delivery may have been signed.
    """

    tolerance_s: float = 300.0


class Stripe(base.Adapter):
    """An account."""

    name: ClassVar[str] = "stripe"
    title: ClassVar[str] = "Stripe"
    schemes: ClassVar[tuple[str, ...]] = ("stripe",)
    headers: ClassVar[tuple[str, ...]] = (_SIGNATURE,)
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID
    Options: ClassVar[type[msgspec.Struct]] = Options

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        items = [
            item.partition("=")[::2]
            for item in signatures.header(delivery, _SIGNATURE).split(",")[:_ITEMS_MAX]
        ]
        stamps = [value for name, value in items if name == "t"]
        if len(stamps) != 1:
            raise ports.RefusedError(
                "missing_timestamp" if not stamps else "bad_timestamp",
                "the signature names no time, or several",
            )
        signed_at = signatures.seconds(stamps[0])
        message = stamps[0].encode() + b"." + delivery.body
        found = signatures.fitting(
            signatures.keys(source),
            [value for name, value in items if name == "v1"],
            lambda key: signatures.digest(key, message),
        )
        limit = base.options(source, Options).tolerance_s
        signatures.fresh(signed_at, now, past_s=limit, future_s=None)
        return self.verified(found, signed_at)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        created: Any = body.get("created")
        kind, about = _subject(body)
        return [
            ports.Received(
                id=body.text("id"),
                type=body.text("type") or self.unnamed,
                occurred_at=base.unix(created) or base.moment(created),
                time=created if type(created) is str else None,
                aggregate_type=kind if about else None,
                aggregate_id=about if kind else None,
                payload=body.payload,
                metadata=base.present(
                    account=body.text("account"),
                    livemode=body.get("livemode"),
                    api_version=body.text("api_version"),
                    idempotency_key=body.text("request", "idempotency_key"),
                ),
            )
        ]


def _subject(body: reading.Body) -> tuple[str | None, str | None]:
    """What the event is about: the object it carries, or the one a thin event names."""
    kind, about = body.text("data", "object", "object"), body.text("data", "object", "id")
    if kind is None:
        kind, about = body.text("related_object", "type"), body.text("related_object", "id")
    return kind, about
