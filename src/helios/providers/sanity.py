"""Sanity: `sanity-webhook-signature: t=<ms>,v1=<base64url>`, HMAC-SHA256 over `<ms>.<body>`.

What the body holds is for the projection of the hook to say; which document it is, and what became
of it, stands in headers that nothing signs.
"""

import re
from typing import ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.providers import base, ports, reading, sanity_api, signatures

SIGNATURE = "sanity-webhook-signature"
_NAMES = (
    "operation", "document-id", "project-id", "dataset", "transaction-id", "transaction-time",
)  # fmt: skip
# No blank and nothing behind: two readers of a lax form would see two times.
_FORM = re.compile(r"t=([0-9]{1,15}),v1=([A-Za-z0-9_-]+)", re.ASCII)
_EARLIEST_MS = 1_609_459_200_000
"""2021-01-01, before which there was no such header: a smaller time is in seconds."""


Options = sanity_api.ApiOptions


class Sanity(sanity_api.SanityApi, base.Adapter):
    """A dataset."""

    name: ClassVar[str] = "sanity"
    title: ClassVar[str] = "Sanity"
    schemes: ClassVar[tuple[str, ...]] = ("sanity",)
    headers: ClassVar[tuple[str, ...]] = (
        SIGNATURE, "idempotency-key", *(f"sanity-{name}" for name in _NAMES),
    )  # fmt: skip
    trust: ClassVar[ports.Trust] = ports.Trust.HEADER_ID
    # Two tries, half a minute apart: whom we refuse for a minute has lost the event.
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(limited=0)
    Options: ClassVar[type[msgspec.Struct]] = Options

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        match = _FORM.fullmatch(signatures.header(delivery, SIGNATURE))
        if match is None:
            raise signatures.bad("the signature is not of the form t=<ms>,v1=<base64url>")
        stamp, given = match.groups()
        signed_at = signatures.milliseconds(stamp)
        if int(stamp) < _EARLIEST_MS:
            raise ports.RefusedError("bad_timestamp", "the timestamp is not in milliseconds")
        message = stamp.encode() + b"." + delivery.body
        found = signatures.fitting(
            signatures.keys(source),
            [given],
            lambda key: signatures.digest(key, message, encoding="base64url"),
        )
        limit = base.options(source, Options).tolerance_s
        signatures.fresh(signed_at, now, past_s=limit, future_s=limit)
        return self.verified(found, signed_at)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        told = {name: base.text(delivery, f"sanity-{name}") for name in _NAMES}
        document = told["document-id"] or body.text("_id")
        time = told["transaction-time"]
        return [
            ports.Received(
                id=base.text(delivery, "idempotency-key"),
                type=told["operation"] or self.unnamed,
                occurred_at=base.moment(time) or base.moment(body.text("_updatedAt")),
                time=time,
                aggregate_type="document" if document else None,
                aggregate_id=document,
                payload=body.payload,
                metadata=base.present(
                    document_id=document,
                    operation=told["operation"],
                    project=told["project-id"],
                    dataset=told["dataset"],
                    transaction=told["transaction-id"],
                    transaction_time=time,
                ),
            )
        ]
