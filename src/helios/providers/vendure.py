"""Vendure: deliveries of the plugin `components/vendure`, signed `sha256=<hex>` over the raw body.

The id stands in the body too, so it is signed.
"""

from typing import ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.providers import base, ports, reading, signatures, vendure_api, vendure_events

_SIGNATURE = "X-Vendure-Signature"
_EVENT = "X-Vendure-Event"


class Vendure(vendure_api.VendureApi, base.Adapter):
    """A Vendure of one's own."""

    name: ClassVar[str] = "vendure"
    title: ClassVar[str] = "Vendure"
    schemes: ClassVar[tuple[str, ...]] = ("vendure",)
    headers: ClassVar[tuple[str, ...]] = (_SIGNATURE, _EVENT, "X-Vendure-Delivery")
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID
    Options: ClassVar[type[msgspec.Struct]] = vendure_api.ApiOptions

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,  # noqa: ARG002 - the id in the body keeps it from counting twice
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        given = signatures.header(delivery, _SIGNATURE)
        found = signatures.fitting(
            signatures.keys(source),
            [given],
            lambda key: b"sha256=" + signatures.digest(key, delivery.body),
        )
        return self.verified(found)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        identity, event, time = body.text("id"), body.text("event"), body.text("time")
        data = body.get("data")
        if identity and event and time and type(data) is dict:
            return vendure_events.received(identity, event, time, data)
        return [
            ports.Received(
                id=identity,
                type=event or base.text(delivery, _EVENT) or self.unnamed,
                occurred_at=base.moment(time),
                time=time,
                payload=body.payload,
            )
        ]
