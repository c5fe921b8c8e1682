"""CloudEvents 1.0 over HTTP: structured, binary, batch, from anyone.

CloudEvents says nothing of authentication, so the options do. Before it sends, a sender may ask by
OPTIONS whether it may (the webhook binding); only those whose origin is named are told so.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import cloudevents as events
from helios.kernel import cloudevents_wire as wire
from helios.kernel import errors, jsonio, limits
from helios.providers import authentication, base, ports, reading, signatures, wrapping

_FAMILY = "application/cloudevents"
_ORIGIN = "WebHook-Request-Origin"
_CALLBACK = "WebHook-Request-Callback"
_RATE = "WebHook-Request-Rate"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_NAMED = frozenset(("specversion", "id", "source", "type", "time"))


class Options(authentication.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        origins: who is told that it may send, when it asks by OPTIONS.
    """

    origins: tuple[str, ...] = ()


class CloudEvents(authentication.Generic):
    """Anyone who sends CloudEvents."""

    name: ClassVar[str] = "cloudevents"
    title: ClassVar[str] = "CloudEvents"
    schemes: ClassVar[tuple[str, ...]] = ("cloudevents", *authentication.SCHEMES)
    headers: ClassVar[tuple[str, ...]] = ("Content-Type", _ORIGIN, _CALLBACK, _RATE)
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID
    Options: ClassVar[type[msgspec.Struct]] = Options

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,
        now: clocks.Timestamp,
    ) -> ports.Verified:
        if delivery.method != "OPTIONS":
            return super().verify(delivery, source, documents, now)
        signatures.once(delivery, self.headers)
        check_origin(delivery, base.options(source, Options).origins)
        return ports.Verified(scheme="none")

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        if delivery.method == "OPTIONS":
            return allowed(delivery)
        return read(delivery)


def check_origin(delivery: ports.Delivery, origins: Sequence[str]) -> None:
    """See to it that whoever asks may send.

    Raises:
        RefusedError: `origin_not_allowed`.
    """
    origin = signatures.header(delivery, _ORIGIN, missing="origin_not_allowed")
    if origin.lower() not in {each.lower() for each in origins}:
        raise ports.RefusedError("origin_not_allowed", "the source does not let this origin send")


def callback(delivery: ports.Delivery) -> str | None:
    """Where the sender would like to be told later; nobody calls there, the answer is enough."""
    return delivery.header(_CALLBACK)


def allowed(delivery: ports.Delivery) -> ports.Handshake:
    """The answer to who asks by OPTIONS."""
    rate = delivery.header(_RATE)
    granted = rate if rate is not None and _NUMBER.fullmatch(rate) else "*"
    return ports.Handshake(
        headers=(
            ("WebHook-Allowed-Origin", delivery.header(_ORIGIN) or ""),
            ("WebHook-Allowed-Rate", granted),
            ("Allow", "OPTIONS, POST"),
        )
    )


def is_one(delivery: ports.Delivery) -> bool:
    """Whether a delivery says that it holds CloudEvents."""
    kind = wire.media_type(delivery.header("Content-Type"))
    return kind.startswith(_FAMILY) or bool(delivery.all("ce-specversion"))


def read(delivery: ports.Delivery) -> list[ports.Received]:
    """The events of a delivery in any of the three modes.

    Raises:
        UnprocessableError: `invalid_json`, `invalid_cloudevent`, `unsupported_format`,
            `too_many_events`.
    """
    kind = wire.media_type(delivery.header("Content-Type"))
    if kind == wire.BATCH:
        return batch(delivery.body)
    if kind.startswith(_FAMILY):
        if kind != wire.STRUCTURED:
            msg = f"{kind} is not read; send {wire.STRUCTURED} or {wire.BATCH}"
            raise ports.UnprocessableError("unsupported_format", msg)
        return [structured(delivery.body)]
    headers = [(n.lower().encode("latin-1"), signatures.octets(v)) for n, v in delivery.headers]
    if wire.is_json(kind):
        # So that a body that is not JSON is told from attributes that are wrong.
        reading.read_json(delivery.body)
    try:
        return [received(wire.parse_binary(headers, delivery.body))]
    except errors.InvalidInputError as error:
        raise _invalid(error) from None


def structured(data: bytes) -> ports.Received:
    """One event in the JSON format.

    Raises:
        UnprocessableError: `invalid_json` or `invalid_cloudevent`.
    """
    reading.strict(data)
    try:
        return received(wire.parse_structured(data))
    except errors.InvalidInputError as error:
        raise _invalid(error) from None


def batch(data: bytes) -> list[ports.Received]:
    """The events of a batch in the JSON format; there may be none.

    Raises:
        UnprocessableError: `invalid_json`, `invalid_cloudevent` or `too_many_events`.
    """
    return [structured(each) for each in reading.items(data, limits.BATCH_EVENTS_MAX)]


def received(event: events.CloudEvent) -> ports.Received:
    """A checked CloudEvent as a received event."""
    given = event.attributes
    source = str(given["source"])
    time = given.get("time")
    return ports.Received(
        id=str(given["id"]),
        scope=source,
        type=str(given["type"]),
        occurred_at=base.moment(time),
        time=None if time is None else str(time),
        aggregate_type=_text(given, "aggregatetype"),
        aggregate_id=_text(given, "aggregateid"),
        payload=_payload(event),
        metadata={
            "event_source": source,
            **{name: value for name, value in given.items() if name not in _NAMED},
        },
        attributes={
            **given,
            "extensions": {n: v for n, v in given.items() if n not in events.CORE},
            **_data(event),
        },
    )


def _text(given: Mapping[str, events.Value], name: str) -> str | None:
    both = all(type(given.get(n)) is str for n in ("aggregatetype", "aggregateid"))
    return str(given[name]) if both and given[name] else None


def _payload(event: events.CloudEvent) -> bytes:
    if event.kind == "none":
        return b"{}"
    return wrapping.payload(event.data) if event.kind == "json" else wrapping.binary(event.data)


def _data(event: events.CloudEvent) -> dict[str, Any]:
    """The data as a person would look at them."""
    if event.kind == "none":
        return {}
    if event.kind == "json":
        return {"data": msgspec.json.decode(event.data)}
    try:
        return {"data": event.data.decode(), **_base64(event)}
    except UnicodeDecodeError:
        return _base64(event)


def _base64(event: events.CloudEvent) -> dict[str, Any]:
    return dict(jsonio.parse_object(wrapping.binary(event.data)))


def _invalid(error: errors.InvalidInputError) -> ports.UnprocessableError:
    return ports.UnprocessableError("invalid_cloudevent", str(error))
