"""Azure Event Grid: nothing is signed; a secret stands in the address or in a header.

Two schemas, and a handshake for each. An event of validation is answered at once with its code; its
address is called only where there is no code, and only at Event Grid. By OPTIONS, as CloudEvents
has it, the answer's headers are enough, and the callback is never called.
"""

import re
import urllib.parse
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, limits, outbound
from helios.providers import authentication, base, cloudevents, ports, reading, signatures

_HOSTS = (".eventgrid.azure.net",)
# Event Grid answers at 443, or at 553; the pattern is of the whole address.
_ADDRESS = re.compile(
    r"https://[a-z0-9-]+(?:\.[a-z0-9-]+)*\.eventgrid\.azure\.net(?::(?:443|553))?/[!-\[\]-~]*",
    re.ASCII,
)
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_OWN_TOPIC = re.compile(r"/subscriptions/.*/providers/microsoft\.eventgrid/\w+/.*", re.IGNORECASE)
_REQUIRED = ("id", "eventType", "eventTime")


class Options(authentication.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        query_key: the secret stands in the address under this name, as in `?code=…`; without it,
            as the other options have it.
        topics: if given, events of other topics are refused.
        origins: who is told that it may send, when it asks by OPTIONS.
    """

    query_key: str | None = None
    topics: tuple[str, ...] = ()
    origins: tuple[str, ...] = ("eventgrid.azure.net",)


class EventGrid(authentication.Generic):
    """Topics of Azure Event Grid."""

    name: ClassVar[str] = "azure-eventgrid"
    title: ClassVar[str] = "Azure Event Grid"
    schemes: ClassVar[tuple[str, ...]] = ("eventgrid", *authentication.SCHEMES)
    headers: ClassVar[tuple[str, ...]] = (
        "Content-Type", "aeg-event-type", "aeg-subscription-name", "WebHook-Request-Origin",
        "WebHook-Request-Callback", "WebHook-Request-Rate",
    )  # fmt: skip
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID
    # It drops the events of an answer 400, 401 or 413 for good; whatever is our trouble is 503.
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(stored=200, limited=503)
    Options: ClassVar[type[msgspec.Struct]] = Options

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,
        now: clocks.Timestamp,
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        options = _options(source)
        if options.query_key is None:
            verified = super().verify(delivery, source, documents, now)
        else:
            given = _in_query(delivery.path, options.query_key)
            found = signatures.token(signatures.keys(source), given)
            verified = self.verified(found)
        if delivery.method == "OPTIONS":
            cloudevents.check_origin(delivery, options.origins)
            _check_address(cloudevents.callback(delivery), "bad_callback_url")
        else:
            _check_body(delivery, options)
        return verified

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        if delivery.method == "OPTIONS":
            return cloudevents.allowed(delivery)
        if cloudevents.is_one(delivery):
            return cloudevents.read(delivery)
        texts = reading.items(delivery.body, limits.BATCH_EVENTS_MAX)
        kinds = {_member(reading.strict(text), "eventType") for text in texts}
        if _VALIDATION in kinds:
            if len(texts) != 1:
                msg = "a validation stands alone in its delivery"
                raise ports.UnprocessableError("invalid_body", msg)
            return _validated(texts[0])
        subscription = base.text(delivery, "aeg-subscription-name")
        return [event(text, subscription=subscription) for text in texts]


def event(text: bytes, *, subscription: str | None = None) -> ports.Received:
    """One event in the schema of Event Grid.

    Raises:
        UnprocessableError: `invalid_json`, or `invalid_body`: names what it lacks.
    """
    seen = reading.read_object(text)
    missing = [name for name in _REQUIRED if type(seen.get(name)) is not str]
    if missing or not seen.text("id") or not seen.text("eventType"):
        msg = f"no event of Event Grid: without {', '.join(missing or ['id', 'eventType'])}"
        raise ports.UnprocessableError("invalid_body", msg)
    raw = reading.members(text)
    topic, time = seen.text("topic"), seen.text("eventTime")
    told = base.present(
        subject=seen.text("subject"),
        topic=topic,
        subscription=subscription,
        data_version=seen.text("dataVersion"),
        metadata_version=seen.text("metadataVersion"),
    )
    return ports.Received(
        id=seen.text("id"),
        scope=topic,
        type=str(seen.get("eventType")),
        occurred_at=base.moment(time),
        time=time,
        payload=reading.read_json(raw["data"]).payload if "data" in raw else b"{}",
        metadata=told,
        attributes={**told, **base.present(source=topic)},
    )


def _options(source: ports.Source) -> Options:
    return source.options if isinstance(source.options, Options) else Options()


def _in_query(path: str, name: str) -> str:
    """The one value of a parameter of the address, as bytes that stand one in a character."""
    query = path.partition("?")[2]
    try:
        pairs = urllib.parse.parse_qsl(
            query, keep_blank_values=True, max_num_fields=64, encoding="latin-1"
        )
    except ValueError:
        pairs = []
    values = [value for key, value in pairs if key == name]
    if len(values) > 1:
        raise ports.RefusedError("duplicate_parameter", f"the parameter {name} comes twice")
    if not values or not values[0]:
        raise ports.RefusedError("missing_token", f"the address has no parameter {name}")
    return values[0]


def _check_body(delivery: ports.Delivery, options: Options) -> None:
    """See to it that nothing of it comes from elsewhere; what cannot be read is not told here."""
    try:
        value = jsonio.parse(delivery.body)
    except errors.InvalidInputError:
        return
    for each in value if type(value) is list else [value]:
        topic = _member(each, "topic") or _member(each, "source")
        # A CloudEvent's source is for its publisher to say, unless it names a topic.
        schema = type(each) is dict and not {"topic", "eventType"}.isdisjoint(each)
        if schema or (topic is not None and _OWN_TOPIC.fullmatch(topic)):
            _check_topic(topic, options.topics)
        if _member(each, "eventType") == _VALIDATION:
            data = each.get("data")
            address = data.get("validationUrl") if type(data) is dict else None
            _check_address(address, "bad_validation_url")


def _member(value: Any, name: str) -> str | None:
    found = value.get(name) if type(value) is dict else None
    return found if type(found) is str else None


def _check_topic(topic: str | None, allowed: Sequence[str]) -> None:
    """Names of resources are the same in any case; a domain's topics lie below it."""
    if not allowed:
        return
    told = (topic or "").lower().rstrip("/")
    names = [each.lower().rstrip("/") for each in allowed]
    if not any(told == name or told.startswith(f"{name}/") for name in names):
        raise ports.RefusedError("topic_not_allowed", "the source does not name this topic")


def _check_address(address: Any, reason: str) -> None:
    """Who names an address elsewhere is not Event Grid, even if nobody would call there."""
    if address is None:
        return
    if type(address) is not str or _ADDRESS.fullmatch(address) is None:
        raise ports.RefusedError(reason, "the address to be called is not at Event Grid")


def _validated(text: bytes) -> ports.Handshake:
    body = reading.read_object(text)
    code = body.text("data", "validationCode")
    if code is not None:
        answer = jsonio.encode({"validationResponse": code})
        return ports.Handshake(headers=(("Content-Type", "application/json"),), body=answer)
    address = body.text("data", "validationUrl")
    if address is None:
        raise ports.UnprocessableError("invalid_body", "a validation without a code or an address")
    call = outbound.Call(url=address, hosts=_HOSTS, timeout_s=3.0, bytes_max=64 << 10, attempts=3)
    return ports.Handshake(confirm=call)
