"""Foxy: `Foxy-Webhook-Signature`, HMAC-SHA256 in hexadecimal over the raw body.

Only 200 counts as taken. Payloads tell the state when they were sent, not when it happened, and
bring no id: event, resource and body together are one.
"""

from typing import ClassVar

from helios.kernel import clock as clocks
from helios.providers import base, ports, reading, signatures

_SIGNATURE = "Foxy-Webhook-Signature"
_EVENT = "Foxy-Webhook-Event"


class Foxy(base.Adapter):
    """A store."""

    name: ClassVar[str] = "foxy"
    title: ClassVar[str] = "Foxy"
    schemes: ClassVar[tuple[str, ...]] = ("foxy",)
    headers: ClassVar[tuple[str, ...]] = (_SIGNATURE, _EVENT, "Foxy-Store-ID")
    trust: ClassVar[ports.Trust] = ports.Trust.WEAK_ID
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(stored=200)

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,  # noqa: ARG002 - nothing that is signed says when
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        given = signatures.header(delivery, _SIGNATURE)
        found = signatures.fitting(
            signatures.keys(source), [given], lambda key: signatures.digest(key, delivery.body)
        )
        return self.verified(found)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        event = base.text(delivery, _EVENT)
        about = body.word("id")
        resource = event.partition("/")[0] if event else None
        return [
            ports.Received(
                id=f"{event}:{about}" if event and about else None,
                type=event or self.unnamed,
                occurred_at=base.moment(body.text("date_modified")),
                aggregate_type=resource if about else None,
                aggregate_id=about if resource else None,
                payload=body.payload,
                metadata=base.present(
                    store=base.text(delivery, "Foxy-Store-ID"),
                    resent=base.text(delivery, "Foxy-Webhook-Refeed"),
                ),
            )
        ]
