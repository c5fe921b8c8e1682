"""AWS EventBridge by an API destination: a plain POST with a key that it is set to send.

The same envelopes come out of queues, where `eventbridge_envelope` reads them too.
"""

from typing import ClassVar, Literal

import msgspec

from helios.providers import authentication, ports, reading
from helios.providers import eventbridge_envelope as envelopes


class Options(authentication.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        mode: `raw`: the body is an envelope. `sqs`: it is a message of SQS, or a list of them,
            with envelopes in them. `auto`: whichever it is. With `extract`, events that the rule
            transforms, so that they are no envelopes, are taken too.
    """

    header: str = "x-api-key"
    mode: Literal["auto", "raw", "sqs"] = "raw"


class EventBridge(authentication.Generic):
    """Rules of AWS EventBridge."""

    name: ClassVar[str] = "aws-eventbridge"
    title: ClassVar[str] = "AWS EventBridge"
    schemes: ClassVar[tuple[str, ...]] = ("eventbridge", *authentication.SCHEMES)
    headers: ClassVar[tuple[str, ...]] = ("Content-Type",)
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(stored=200)
    Options: ClassVar[type[msgspec.Struct]] = Options

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        options = _options(source)
        body = reading.read(delivery.body)
        if options.mode != "sqs" and envelopes.is_one(body.value):
            return [envelopes.received(delivery.body)]
        if options.mode == "sqs" or (options.mode == "auto" and _is_sqs(body)):
            return [envelopes.of_message(each) for each in envelopes.messages(delivery.body)]
        if options.extract:
            usual = ports.Received(id=None, type=self.unnamed, payload=body.payload)
            return [self.extracted(delivery, source, body, usual)]
        if options.mode == "auto":
            return [envelopes.of_text(delivery.body)]
        raise ports.UnprocessableError(
            "invalid_envelope", "no envelope of EventBridge; a transformed event needs `extract`"
        )


def _options(source: ports.Source) -> Options:
    return source.options if isinstance(source.options, Options) else Options()


def _is_sqs(body: reading.Body) -> bool:
    value = body.value
    return type(value) is dict and not {"Records", "Messages", "body", "Body"}.isdisjoint(value)
