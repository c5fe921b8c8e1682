"""What a CloudEvent 1.0 is, told strictly.

A reader of our own, because the official ones take what the specification refuses. How one becomes
an event of the log and back stands in `eventlog.cloudevents`, how it travels in `cloudevents_wire`.
"""

import base64
import binascii
import re
from typing import Any, Literal, TypeAlias

import msgspec

from helios.kernel import errors, jsonio, limits, rfc3339

Value: TypeAlias = str | int | bool
"""What an attribute may be. Binary, URI and time attributes are strings on the wire."""

Kind: TypeAlias = Literal["none", "json", "binary"]

SPECVERSION = "1.0"
CORE = frozenset(
    ("specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype")
)
"""The attributes that the specification names; all others are extensions."""

_INT_MAX = 2**31 - 1
_NAME = re.compile(r"[a-z0-9]+")
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:.+")
_MEDIA = re.compile(r"[\w!#$&^.+\-]+/[\w!#$&^.+\-]+\s*(;.*)?", re.ASCII)
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")


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


def check(event: CloudEvent) -> CloudEvent:
    """Return the event when it is as the specification has it.

    Raises:
        InvalidInputError: names the attribute and the rule it breaks.
    """
    attributes = event.attributes
    for name in ("specversion", "id", "source", "type"):
        if name not in attributes:
            raise bad(name, "required")
    for name, value in attributes.items():
        _check_attribute(name, value)
    if attributes["specversion"] != SPECVERSION:
        raise bad("specversion", f"{attributes['specversion']!r}; only 1.0 is understood")
    return event


def _check_attribute(name: str, value: Any) -> None:
    if _NAME.fullmatch(name) is None:
        raise bad(name, "an attribute's name has lower-case letters and digits only")
    if name == "data":
        raise bad(name, "the name is reserved")
    if type(value) is int:
        if not -_INT_MAX - 1 <= value <= _INT_MAX:
            raise bad(name, "an integer attribute has 32 bits; send larger ones as a string")
    elif type(value) is str:
        if _FORBIDDEN.search(value):
            raise bad(name, "holds a control character or what is not a character")
    elif type(value) is not bool:
        raise bad(name, f"an attribute is a string, an integer or a boolean, not {_kind(value)}")
    if name in CORE:
        _check_core(name, value)


def _check_core(name: str, value: Value) -> None:
    if type(value) is not str:
        raise bad(name, f"expected a string, found {_kind(value)}")
    if not value:
        raise bad(name, "empty; leave it out or give it a value")
    if name in ("id", "source", "type") and len(value) > limits.ID_CHARS_MAX:
        raise bad(name, f"longer than {limits.ID_CHARS_MAX} characters")
    if name == "source" and _URI_REFERENCE.fullmatch(value) is None:
        raise bad(name, "not a URI reference (percent-encode what a URI may not hold)")
    if name == "dataschema" and not (_URI.fullmatch(value) and _URI_REFERENCE.fullmatch(value)):
        raise bad(name, "not an absolute URI")
    if name == "datacontenttype" and _MEDIA.fullmatch(value) is None:
        raise bad(name, "not a media type, such as application/json")
    if name == "time":
        try:
            rfc3339.parse(value)
        except ValueError as error:
            raise bad(name, str(error)) from None


def decode_base64(text: Any) -> bytes:
    """The bytes of a `data_base64` member.

    Raises:
        InvalidInputError: not a string, or not base64.
    """
    if type(text) is not str:
        raise bad("data_base64", f"expected a string, found {_kind(text)}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad("data_base64", f"not base64: {error}") from None


def bad(name: str, reason: str) -> errors.InvalidInputError:
    """The error that names an attribute and the rule it breaks."""
    return errors.InvalidInputError(reason, field=name[:80])


def _kind(value: Any) -> str:
    return jsonio.type_name(value)
