"""The three ways a CloudEvent travels over HTTP: structured, binary, batch.

Bytes and headers in, checked `cloudevents.CloudEvent` values out, and back.
"""

import base64
import re
import urllib.parse
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from helios.kernel import cloudevents, errors, jsonio

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
Headers = Sequence[tuple[bytes, bytes]]

_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def media_type(content_type: str | None) -> str:
    """The media type of a Content-Type header, lower case, without parameters."""
    return (content_type or "").partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Whether data of this content type are JSON."""
    kind = media_type(content_type)
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def parse_structured(data: bytes) -> cloudevents.CloudEvent:
    """One event in the JSON format.

    Raises:
        InvalidInputError: not strict JSON, or against the specification.
    """
    values = jsonio.parse_object(data)
    attributes = {
        name: value
        for name, value in values.items()
        if name not in ("data", "data_base64") and value is not None
    }
    if "data" in values and "data_base64" in values:
        raise errors.InvalidInputError("beside data_base64", field="data")
    if "data_base64" in values:
        content = cloudevents.decode_base64(values["data_base64"])
        event = cloudevents.CloudEvent(attributes=attributes, kind="binary", data=content)
    elif "data" in values:
        raw = bytes(_raw_object.decode(data)["data"])
        event = cloudevents.CloudEvent(attributes=attributes, kind="json", data=raw)
    else:
        event = cloudevents.CloudEvent(attributes=attributes)
    return cloudevents.check(event)


def parse_binary(headers: Headers, body: bytes) -> cloudevents.CloudEvent:
    """One event whose attributes are `ce-` headers and whose data are the body.

    Args:
        headers: names in lower case, as ASGI has them.
        body: the data.

    Raises:
        InvalidInputError: against the specification, a header given twice, or JSON data that are
            not strict JSON.
    """
    attributes: dict[str, cloudevents.Value] = {}
    content_type: str | None = None
    for name, value in headers:
        if name == b"content-type":
            content_type = value.decode("latin-1").strip()
        if not name.startswith(b"ce-"):
            continue
        attribute = name[3:].decode("latin-1")
        if attribute in attributes:
            raise errors.InvalidInputError("the header comes twice", field=f"ce-{attribute}")
        if attribute in ("datacontenttype", "data", "data_base64"):
            raise errors.InvalidInputError(
                "not a header: the content type and the body say it", field=f"ce-{attribute}"
            )
        attributes[attribute] = _header_text(attribute, value)
    if content_type:
        attributes["datacontenttype"] = content_type
    if not body:
        return cloudevents.check(cloudevents.CloudEvent(attributes=attributes))
    if content_type and is_json(content_type):
        jsonio.parse(body)
        event = cloudevents.CloudEvent(attributes=attributes, kind="json", data=body)
    else:
        event = cloudevents.CloudEvent(attributes=attributes, kind="binary", data=body)
    return cloudevents.check(event)


def to_structured(event: cloudevents.CloudEvent) -> bytes:
    """The event in the JSON format; JSON data stay the bytes they are."""
    members: dict[str, Any] = dict(event.attributes)
    if event.kind == "json":
        members["data"] = msgspec.Raw(event.data)
    elif event.kind == "binary":
        members["data_base64"] = base64.b64encode(event.data).decode()
    return msgspec.json.encode(members)


def to_binary(event: cloudevents.CloudEvent) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of the event in binary mode; integers and booleans become text."""
    headers = []
    for name, value in event.attributes.items():
        if name != "datacontenttype":
            headers.append((f"ce-{name}".encode(), _to_header(value)))
    content_type = event.attributes.get("datacontenttype")
    if content_type is None and event.kind != "none":
        content_type = "application/json" if event.kind == "json" else "application/octet-stream"
    if content_type is not None:
        headers.append((b"content-type", str(content_type).encode()))
    return headers, event.data


def to_batch(events: Iterable[cloudevents.CloudEvent]) -> bytes:
    """A batch in the JSON format."""
    return b"[" + b",".join(to_structured(event) for event in events) + b"]"


def _header_text(name: str, value: bytes) -> str:
    """Undo the header encoding: optional quotes, then percent-encoded UTF-8."""
    text = value.strip()
    quoted = _QUOTED.fullmatch(text.decode("latin-1"))
    if quoted is not None:
        text = re.sub(r"\\(.)", r"\1", quoted[1]).encode("latin-1")
    if _PERCENT.search(text):
        raise errors.InvalidInputError(
            "a per cent sign without two hexadecimal digits", field=f"ce-{name}"
        )
    try:
        return urllib.parse.unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise errors.InvalidInputError(
            "not UTF-8 once percent-decoded", field=f"ce-{name}"
        ) from None


def _to_header(value: cloudevents.Value) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    text = str(value)
    return "".join(
        char if "!" <= char <= "~" and char not in '"%' else urllib.parse.quote(char, safe="")
        for char in text
    ).encode()
