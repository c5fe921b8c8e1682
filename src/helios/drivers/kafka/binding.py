"""CloudEvents in Kafka records, by the Kafka protocol binding 1.0.

Not the HTTP rules with another prefix: attributes are headers `ce_…` whose values are plain UTF-8
without percent-encoding, a record without a value is an event without data, and there is no batch.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from helios.kernel import cloudevents, cloudevents_wire, errors, jsonio

Headers: TypeAlias = Sequence[tuple[str, bytes]]
Mode: TypeAlias = Literal["structured", "binary"]

CONTENT_TYPE = "content-type"
PREFIX = "ce_"
_FAMILY = "application/cloudevents"
_NOT_HEADERS = frozenset(("datacontenttype", "data", "data_base64"))


def mode(headers: Headers) -> Mode | None:
    """How a record carries a CloudEvent, by its headers; None: it does not say that it does."""
    for name, value in headers:
        if name.lower() == CONTENT_TYPE and value.lstrip().lower().startswith(_FAMILY.encode()):
            return "structured"
    return "binary" if any(name.startswith(PREFIX) for name, _ in headers) else None


def parse_structured(headers: Headers, value: bytes | None) -> cloudevents.CloudEvent:
    """The event that is the record's value.

    Raises:
        InvalidInputError: a format other than JSON, no value, or against the specification.
    """
    content_type = _content_type(headers)
    media = cloudevents_wire.media_type(content_type)
    if media.startswith(_FAMILY) and media != cloudevents_wire.STRUCTURED:
        raise errors.InvalidInputError(
            f"{media[:80]!r} is not understood; send {cloudevents_wire.STRUCTURED}",
            field=CONTENT_TYPE,
        )
    if value is None:
        raise errors.InvalidInputError("a structured event needs a value; the record has none")
    return cloudevents_wire.parse_structured(value)


def parse_binary(headers: Headers, value: bytes | None) -> cloudevents.CloudEvent:
    """The event whose attributes are the record's headers and whose data are its value.

    Raises:
        InvalidInputError: against the specification, a header given twice or not UTF-8, or JSON
            data that are not strict JSON.
    """
    attributes: dict[str, cloudevents.Value] = {}
    for name, raw in headers:
        if not name.startswith(PREFIX):
            continue
        attribute = name.removeprefix(PREFIX)
        if attribute in attributes:
            raise errors.InvalidInputError("the header comes twice", field=name[:80])
        if attribute in _NOT_HEADERS:
            raise errors.InvalidInputError(
                f"not a header: {CONTENT_TYPE} and the value say it", field=name
            )
        attributes[attribute] = _text(name, raw)
    content_type = _content_type(headers)
    if content_type:
        attributes["datacontenttype"] = content_type
    if not value:
        event = cloudevents.CloudEvent(attributes=attributes)
    elif content_type and cloudevents_wire.is_json(content_type):
        jsonio.parse(value)
        event = cloudevents.CloudEvent(attributes=attributes, kind="json", data=value)
    else:
        event = cloudevents.CloudEvent(attributes=attributes, kind="binary", data=value)
    return cloudevents.check(event)


def to_structured(event: cloudevents.CloudEvent) -> tuple[list[tuple[str, bytes]], bytes]:
    """Headers and value of a record that carries the event in the JSON format."""
    content_type = f"{cloudevents_wire.STRUCTURED}; charset=UTF-8"
    return [(CONTENT_TYPE, content_type.encode())], cloudevents_wire.to_structured(event)


def to_binary(event: cloudevents.CloudEvent) -> tuple[list[tuple[str, bytes]], bytes | None]:
    """Headers and value of a record in binary mode; integers and booleans become text."""
    headers = [
        (f"{PREFIX}{name}", _plain(value).encode())
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    ]
    content_type = event.attributes.get("datacontenttype")
    if content_type is None and event.kind != "none":
        content_type = "application/json" if event.kind == "json" else "application/octet-stream"
    if content_type is not None:
        headers.append((CONTENT_TYPE, str(content_type).encode()))
    return headers, None if event.kind == "none" else event.data


def _content_type(headers: Headers) -> str | None:
    found = [raw for name, raw in headers if name.lower() == CONTENT_TYPE]
    if len(found) > 1:
        raise errors.InvalidInputError("the header comes twice", field=CONTENT_TYPE)
    return _text(CONTENT_TYPE, found[0]).strip() if found else None


def _text(name: str, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise errors.InvalidInputError("not UTF-8", field=name[:80]) from None


def _plain(value: cloudevents.Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
