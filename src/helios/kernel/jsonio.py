"""The one strict way in for JSON from outside.

RFC 8259 leaves open what makes two readers of the same bytes disagree: duplicate keys, NaN,
lone surrogates, numbers that no float holds. All of these are refused here, with their place, so
that whatever is in the log reads the same for everyone, for ever. NUL is refused because
PostgreSQL cannot keep it in text.

The good case costs a few microseconds: msgspec decodes (and refuses most of the above by itself),
then a handful of `bytes.count` calls prove that nothing else can be wrong. The trick for
duplicate keys: in a document without backslashes, decoding and encoding it again keeps every
colon, unless a key was dropped because it came twice. Only documents with escapes are walked.
The bad case may be slow, but is bounded: a scanner in Python finds the place.
"""

import re
from typing import Any, NoReturn

import msgspec

from helios.kernel import errors, jsonplace, limits

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_DIGITS_TO_ZERO = bytes(0x30 if 0x30 <= byte < 0x3A else byte for byte in range(256))
_MANY_ZEROS = b"0" * (limits.NUMBER_DIGITS_MAX // 2 + 1)
_CONTAINERS = 50_000
"""So many empty objects cost some milliseconds; from there on it is looked at how full they are."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_NUMBER = re.compile(rb"[0-9]+(?:\.[0-9]+)?")


def parse(data: bytes, *, source: str | None = None, bytes_max: int | None = None) -> Any:
    """Parse strictly.

    Args:
        data: UTF-8 JSON text, without a byte order mark.
        source: what the data is, for messages: a file's name, or None for a request body.
        bytes_max: size to refuse above; None when the caller has checked it.

    Raises:
        TooLargeError: more than `bytes_max`.
        InvalidInputError: not JSON, or JSON of which two readers could think differently; names
            line, column and the path of the value.
    """
    if bytes_max is not None and len(data) > bytes_max:
        msg = f"{len(data)} bytes of JSON, at most {bytes_max} are taken; send it in parts"
        raise errors.TooLargeError(msg, source=source)
    containers = data.count(b"{") + data.count(b"[")
    if containers > _CONTAINERS and _is_hollow(data, containers):
        msg = f"{containers} objects and arrays in {len(data)} bytes: next to nothing is in them"
        raise errors.InvalidInputError(msg, source=source)
    try:
        value = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse(data, source, str(error))
    if containers > limits.JSON_DEPTH_MAX and _is_too_deep(value):
        _refuse(data, source, f"nested deeper than {limits.JSON_DEPTH_MAX} levels")
    if _MANY_ZEROS in data.translate(_DIGITS_TO_ZERO) and _has_long_number(data):
        _refuse(data, source, f"a number of more than {limits.NUMBER_DIGITS_MAX} digits")
    if b"\\" in data:
        _check_escaped(data, value, source)
    elif data.count(b":") != _encode(value).count(b":"):
        _refuse(data, source, "a key comes twice in one object")
    return value


def parse_object(
    data: bytes, *, source: str | None = None, bytes_max: int | None = None
) -> dict[str, Any]:
    """`parse`, and refuse what is not an object at the top.

    Raises:
        TooLargeError: more than `bytes_max`.
        InvalidInputError: not strict JSON, or not an object.
    """
    value = parse(data, source=source, bytes_max=bytes_max)
    if type(value) is not dict:
        msg = f"expected a JSON object, found {type_name(value)}"
        raise errors.InvalidInputError(msg, source=source, line=1, column=1)
    return value


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON text of a value, keys in the order they have."""
    return _encode(value)


def type_name(value: Any) -> str:
    """What JSON calls the type of a decoded value."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), "a number")


def _refuse(data: bytes, source: str | None, reason: str) -> NoReturn:
    found = jsonplace.first_fault(data)
    if found is None:
        raise errors.InvalidInputError(f"not strict JSON: {reason}", source=source)
    line, column = jsonplace.line_and_column(data, found.offset)
    raise errors.InvalidInputError(
        f"not strict JSON: {found.reason} (byte {found.offset})",
        source=source,
        line=line,
        column=column,
        field=found.path or None,
    )


def _is_hollow(data: bytes, containers: int) -> bool:
    """Whether a document is made to take memory; what is nested too deeply is told as that."""
    start = data[: 4 * limits.JSON_DEPTH_MAX]
    opened = start.count(b"{") + start.count(b"[") - start.count(b"}") - start.count(b"]")
    return opened <= limits.JSON_DEPTH_MAX and containers * limits.CONTAINER_BYTES_MIN > len(data)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(limits.JSON_DEPTH_MAX):
        inner: list[Any] = []
        for item in level:
            # Bodies of a million bytes may hold nothing but empty lists.
            if item:
                values = item.values() if type(item) is dict else item
                inner += [v for v in values if type(v) is dict or type(v) is list]
        if not inner:
            return False
        level = inner
    return True


def _has_long_number(data: bytes) -> bool:
    bare = _STRING.sub(b"", data)
    most = limits.NUMBER_DIGITS_MAX
    return any(len(n) - n.count(b".") > most for n in _NUMBER.findall(bare))


def _check_escaped(data: bytes, value: Any, source: str | None) -> None:
    keys = 0
    stack = [value]
    nul = False
    while stack:
        item = stack.pop()
        if type(item) is dict:
            keys += len(item)
            stack.extend(item)
            stack.extend(item.values())
        elif type(item) is list:
            stack.extend(item)
        elif type(item) is str and "\0" in item:
            nul = True
    if nul:
        _refuse(data, source, "NUL in a string")
    if keys != _STRING.sub(b"", data).count(b":"):
        _refuse(data, source, "a key comes twice in one object")
