"""CloudEvents 1.0, to and from the events of the log, without loss.

A parser of our own, because the official ones take what the specification refuses. Everything a
CloudEvent says is kept: what Helios has a field for goes there, the rest stands in the metadata
under `cloudevents`, and what would come out differently on the way back is kept beside it.

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
import binascii
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, limits, rfc3339

Value: TypeAlias = str | int | bool
"""What an attribute may be. Binary, URI and time attributes are strings on the wire."""

Kind: TypeAlias = Literal["none", "json", "binary"]

SPECVERSION = "1.0"
KEPT = "cloudevents"
"""Key of the metadata under which stands what no field of an event has a place for."""

_INT_MAX = 2**31 - 1
_CORE = frozenset(
    ("specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype")
)
_NAME = re.compile(r"[a-z0-9]+")
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:.+")
_MEDIA = re.compile(r"[\w!#$&^.+\-]+/[\w!#$&^.+\-]+\s*(;.*)?", re.ASCII)
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
_FORMATTED = ("heliosposition", "heliossequence", "heliosrecorded")


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One CloudEvent, whatever mode it travelled in.

    Attributes:
        attributes: context attributes and extensions by name, without `data`.
        kind: what `data` is.
        data: JSON text if `kind` is json, the bytes themselves if binary, else empty.
    """

    attributes: dict[str, Value]
    kind: Kind = "none"
    data: bytes = b""


class _Kept(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What stands in the metadata under `cloudevents`."""

    data: Literal["object", "value", "base64", "none"] = "object"
    overrides: dict[str, Value | None] = {}


_kept_decoder = msgspec.json.Decoder(_Kept)
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def check(event: CloudEvent) -> CloudEvent:
    """Return the event when it is as the specification has it.

    Raises:
        InvalidInputError: names the attribute and the rule it breaks.
    """
    attributes = event.attributes
    for name in ("specversion", "id", "source", "type"):
        if name not in attributes:
            raise _bad(name, "required")
    for name, value in attributes.items():
        _check_attribute(name, value)
    if attributes["specversion"] != SPECVERSION:
        raise _bad("specversion", f"{attributes['specversion']!r}; only 1.0 is understood")
    return event


def _check_attribute(name: str, value: Any) -> None:
    if _NAME.fullmatch(name) is None:
        raise _bad(name, "an attribute's name has lower-case letters and digits only")
    if name == "data":
        raise _bad(name, "the name is reserved")
    if type(value) is int:
        if not -_INT_MAX - 1 <= value <= _INT_MAX:
            raise _bad(name, "an integer attribute has 32 bits; send larger ones as a string")
    elif type(value) is str:
        if _FORBIDDEN.search(value):
            raise _bad(name, "holds a control character or what is not a character")
    elif type(value) is not bool:
        raise _bad(name, f"an attribute is a string, an integer or a boolean, not {_kind(value)}")
    if name in _CORE:
        _check_core(name, value)


def _check_core(name: str, value: Value) -> None:
    if type(value) is not str:
        raise _bad(name, f"expected a string, found {_kind(value)}")
    if not value:
        raise _bad(name, "empty; leave it out or give it a value")
    if name in ("id", "source", "type") and len(value) > limits.ID_CHARS_MAX:
        raise _bad(name, f"longer than {limits.ID_CHARS_MAX} characters")
    if name == "source" and _URI_REFERENCE.fullmatch(value) is None:
        raise _bad(name, "not a URI reference (percent-encode what a URI may not hold)")
    if name == "dataschema" and not (_URI.fullmatch(value) and _URI_REFERENCE.fullmatch(value)):
        raise _bad(name, "not an absolute URI")
    if name == "datacontenttype" and _MEDIA.fullmatch(value) is None:
        raise _bad(name, "not a media type, such as application/json")
    if name == "time":
        try:
            rfc3339.parse(value)
        except ValueError as error:
            raise _bad(name, str(error)) from None


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
        "specversion": SPECVERSION,
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
            raise _bad("heliosmetadata", error.message) from None
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
        raise _bad("heliosmetadata", f"the key {KEPT!r} is reserved")
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
        raise _bad(name, "expected a string that is not empty")
    if name != "heliosmetadata" and len(value) > limits.ID_CHARS_MAX:
        raise _bad(name, f"longer than {limits.ID_CHARS_MAX} characters")
    return value


def _version(given: Mapping[str, Value]) -> int:
    value = given.get("eventversion", 1)
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) <= 10:
        value = int(value)
    if type(value) is not int or not 1 <= value <= _INT_MAX:
        raise _bad("eventversion", "expected a whole number from 1")
    return value


def _kind(value: Any) -> str:
    return jsonio.type_name(value)


def _bad(name: str, reason: str) -> errors.InvalidInputError:
    return errors.InvalidInputError(reason, field=name[:80])


def decode_base64(text: Any) -> bytes:
    """The bytes of a `data_base64` member.

    Raises:
        InvalidInputError: not a string, or not base64.
    """
    if type(text) is not str:
        raise _bad("data_base64", f"expected a string, found {_kind(text)}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad("data_base64", f"not base64: {error}") from None
