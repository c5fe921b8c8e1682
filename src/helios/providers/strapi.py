"""Strapi: nothing is signed; a token stands in a header that the webhook is set to send.

There is no id and no second try, and five deliveries travel at once, so they overtake each other:
what is newer is told by `createdAt`. Whoever adds a signature of their own says so by the options.
"""

from typing import ClassVar

import msgspec

from helios.providers import authentication, base, ports, reading, strapi_api

_EVENT = "X-Strapi-Event"


class Strapi(strapi_api.StrapiApi, authentication.Generic):
    """A Strapi of one's own."""

    name: ClassVar[str] = "strapi"
    title: ClassVar[str] = "Strapi"
    schemes: ClassVar[tuple[str, ...]] = authentication.SCHEMES
    headers: ClassVar[tuple[str, ...]] = (_EVENT,)
    trust: ClassVar[ports.Trust] = ports.Trust.WEAK_ID
    # It never tries again: what is refused is lost until the next poll.
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(limited=0)
    Options: ClassVar[type[msgspec.Struct]] = strapi_api.ApiOptions

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        time = body.text("createdAt")
        kind = body.text("model") or body.text("uid")
        about = body.word("entry", "documentId") or body.word("entry", "id")
        if kind is None and body.get("media") is not None:
            kind, about = "media", body.word("media", "id")
        usual = ports.Received(
            id=None,
            type=base.text(delivery, _EVENT) or body.text("event") or self.unnamed,
            occurred_at=base.moment(time),
            time=time,
            aggregate_type=kind if about else None,
            aggregate_id=about if kind else None,
            payload=body.payload,
            metadata=base.present(model=body.text("model"), uid=body.text("uid")),
        )
        return [self.extracted(delivery, source, body, usual)]
