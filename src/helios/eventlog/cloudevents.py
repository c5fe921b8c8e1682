"""CloudEvents 1.0, to and from the events of the log, without loss.

Everything a CloudEvent says is kept: what Helios has a field for goes there, the rest stands in the
metadata under `cloudevents`, and what would come out differently on the way back is kept beside it.

How data is kept, as `payload` must be a JSON object:

- a JSON object is the payload, byte for byte;
- any other JSON value is wrapped: `{"data": value}`;
- anything else (`data_base64`, or a body that is not JSON) is wrapped: `{"data_base64": "…"}`;
- no data at all is the payload `{}`.

Extension attributes that Helios understands and writes: `clientid`, `eventversion`,
`aggregatetype`, `aggregateid`, `actor`, `correlationid`, `causationid`, `heliosmetadata` (what else
the metadata hold, as JSON text); `traceparent` and `tracestate` stand in the metadata by the same
names. On output an event of the log also has `heliosposition`, `heliossequence`, `heliosrecorded`.
"""

import base64
from collections.abc import Mapping
from typing import Literal

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import cloudevents as events
from helios.kernel import errors, jsonio, limits, rfc3339

CloudEvent = events.CloudEvent
Value = events.Value

KEPT = "cloudevents"
"""Key of the metadata under which stands what no field of an event has a place for."""

_VERSION_MAX = 2**31 - 1
_FORMATTED = ("heliosposition", "heliossequence", "heliosrecorded")


class _Kept(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What stands in the metadata under `cloudevents`."""

    data: Literal["object", "value", "base64", "none"] = "object"
    overrides: dict[str, Value | None] = {}


_kept_decoder = msgspec.json.Decoder(_Kept)
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def to_new_event(
    event: CloudEvent, now: clocks.Timestamp, *, latest: clocks.Timestamp | None = None
) -> envelope.NewEvent:
    """The event to append.

    Args:
        event: a checked CloudEvent.
        now: event time of an event that brings none.
        latest: what a later event time is cut to; what was claimed is kept in the metadata.

    Raises:
        InvalidInputError: an extension that Helios understands has a wrong type.
    """
    given = event.attributes
    source = str(given["source"])
    metadata = _metadata(given)
    payload, kept = _payload(event)
    occurred_at = rfc3339.parse(str(given["time"])) if "time" in given else now
    made = envelope.NewEvent(
        id=str(given["id"]),
        source=source,
        type=str(given["type"]),
        version=_version(given),
        tenant=_text(given, "clientid") or envelope.DEFAULT_TENANT,
        aggregate_type=_text(given, "aggregatetype") or "source",
        aggregate_id=_text(given, "aggregateid") or source,
        occurred_at=occurred_at if latest is None else min(occurred_at, latest),
        actor=_text(given, "actor") or f"service:{source}",
        correlation_id=_text(given, "correlationid"),
        causation_id=_text(given, "causationid"),
        payload=payload,
        metadata=metadata,
    )
    derived = _derived(made)
    for name in given.keys() | derived.keys():
        if given.get(name) != derived.get(name) or type(given.get(name)) is not type(
            derived.get(name)
        ):
            kept.overrides[name] = given.get(name)
    kept.overrides = dict(sorted(kept.overrides.items()))
    if kept == _Kept():
        return made
    return msgspec.structs.replace(made, metadata=_with_kept(metadata, kept))


def from_event(event: envelope.NewEvent | envelope.Event) -> CloudEvent:
    """The CloudEvent of an event, with everything that the one it came from said."""
    metadata, kept = _without_kept(event.metadata)
    attributes: dict[str, Value | None] = {**_derived(event, metadata), **kept.overrides}
    if isinstance(event, envelope.Event):
        attributes["heliosposition"] = str(event.position)
        attributes["heliossequence"] = str(event.sequence)
        attributes["heliosrecorded"] = clocks.to_rfc3339(event.recorded_at)
    present = {name: value for name, value in attributes.items() if value is not None}
    if kept.data == "none":
        return CloudEvent(attributes=present)
    if kept.data == "object":
        return CloudEvent(attributes=present, kind="json", data=event.payload)
    wrapped = _raw_object.decode(event.payload)
    if kept.data == "value" and wrapped.keys() == {"data"}:
        return CloudEvent(attributes=present, kind="json", data=bytes(wrapped["data"]))
    if kept.data == "base64" and wrapped.keys() == {"data_base64"}:
        text = msgspec.json.decode(wrapped["data_base64"], type=str)
        return CloudEvent(attributes=present, kind="binary", data=base64.b64decode(text))
    return CloudEvent(attributes=present, kind="json", data=event.payload)


def without_place(event: CloudEvent) -> CloudEvent:
    """The same without the attributes that say where in the log an event stands."""
    kept = {n: v for n, v in event.attributes.items() if n not in _FORMATTED}
    return msgspec.structs.replace(event, attributes=kept)


def _derived(
    event: envelope.NewEvent | envelope.Event, metadata: bytes | None = None
) -> dict[str, Value]:
    """The attributes that follow from the fields alone."""
    metadata = event.metadata if metadata is None else metadata
    traces = _traces(metadata)
    found: dict[str, Value | None] = {
        "specversion": events.SPECVERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": clocks.to_rfc3339(event.occurred_at),
        "clientid": _unless(event.tenant, envelope.DEFAULT_TENANT),
        "eventversion": event.version if event.version != 1 else None,
        "aggregatetype": _unless(event.aggregate_type, "source"),
        "aggregateid": _unless(event.aggregate_id, event.source),
        "actor": _unless(event.actor, f"service:{event.source}"),
        "correlationid": event.correlation_id,
        "causationid": event.causation_id,
        **traces,
    }
    if metadata != (jsonio.encode(traces) if traces else b"{}"):
        found["heliosmetadata"] = metadata.decode()
    return {name: value for name, value in found.items() if value is not None}


def _unless(value: str, default: str) -> str | None:
    return None if value == default else value


def _traces(metadata: bytes) -> dict[str, str]:
    values = msgspec.json.decode(metadata)
    names = ("traceparent", "tracestate")
    return {n: values[n] for n in names if type(values.get(n)) is str}


def _metadata(given: Mapping[str, Value]) -> bytes:
    text = _text(given, "heliosmetadata")
    if text is not None:
        data = text.encode().strip(b" \t\r\n")
        try:
            jsonio.parse_object(data)
        except errors.InvalidInputError as error:
            raise events.bad("heliosmetadata", error.message) from None
        return data
    names = ("traceparent", "tracestate")
    traces = {n: given[n] for n in names if type(given.get(n)) is str}
    return jsonio.encode(traces) if traces else b"{}"


def _payload(event: CloudEvent) -> tuple[bytes, _Kept]:
    if event.kind == "none":
        return b"{}", _Kept(data="none", overrides={})
    if event.kind == "binary":
        text = base64.b64encode(event.data).decode()
        return jsonio.encode({"data_base64": text}), _Kept(data="base64", overrides={})
    if event.data.lstrip(b" \t\r\n")[:1] == b"{":
        return event.data.strip(b" \t\r\n"), _Kept(overrides={})
    return b'{"data":' + event.data + b"}", _Kept(data="value", overrides={})


def _with_kept(metadata: bytes, kept: _Kept) -> bytes:
    """Metadata with the entry put at the end, so that the rest stays as it was written."""
    entry = b'"%s":%s}' % (KEPT.encode(), msgspec.json.encode(kept))
    if KEPT in msgspec.json.decode(metadata):
        raise events.bad("heliosmetadata", f"the key {KEPT!r} is reserved")
    head = metadata.rstrip(b" \t\r\n").removesuffix(b"}")
    return head + (b"," if head.strip(b" \t\r\n") != b"{" else b"") + entry


def _without_kept(metadata: bytes) -> tuple[bytes, _Kept]:
    if KEPT.encode() not in metadata:
        return metadata, _Kept()
    raw = _raw_object.decode(metadata).get(KEPT)
    if raw is None:
        return metadata, _Kept()
    text = bytes(raw)
    try:
        kept = _kept_decoder.decode(text)
    except msgspec.DecodeError:
        return metadata, _Kept()
    tail = b'"%s":%s}' % (KEPT.encode(), text)
    if not metadata.endswith(tail):
        return metadata, _Kept()
    head = metadata.removesuffix(tail)
    return head.removesuffix(b",") + b"}", kept


def _text(given: Mapping[str, Value], name: str) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if type(value) is not str or not value:
        raise events.bad(name, "expected a string that is not empty")
    if name != "heliosmetadata" and len(value) > limits.ID_CHARS_MAX:
        raise events.bad(name, f"longer than {limits.ID_CHARS_MAX} characters")
    return value


def _version(given: Mapping[str, Value]) -> int:
    value = given.get("eventversion", 1)
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) <= 10:
        value = int(value)
    if type(value) is not int or not 1 <= value <= _VERSION_MAX:
        raise events.bad("eventversion", "expected a whole number from 1")
    return value
