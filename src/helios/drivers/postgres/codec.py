"""How values become columns.

Ids are the bulk of a small event, and most are UUIDs: 36 characters of text that are 16 bytes of
fact. They are packed to a tag and those bytes; any other text is a tag and its UTF-8. Packed ids
are `bytea`, so they may hold a NUL, which `text` refuses; where text is stored as text, so that a
person reads it with `psql`, a NUL is written as an escape sequence.
"""

from typing import Any

_UUID = b"u"
_TEXT = b"t"
_DASHES = (8, 13, 18, 23)
_UUID_CHARS = 36

_ESCAPE = "\ue000"
_NUL = _ESCAPE + "0"
_ITSELF = _ESCAPE + "1"


def pack(text: str | None) -> bytes:
    """An id as bytes; None as none at all."""
    if text is None:
        return b""
    if len(text) == _UUID_CHARS and text[8] == "-":
        packed = _pack_uuid(text)
        if packed is not None:
            return packed
    return _TEXT + text.encode()


def unpack(packed: bytes) -> str | None:
    """What `pack` was given."""
    if not packed:
        return None
    if packed[:1] == _TEXT:
        return packed[1:].decode()
    digits = packed[1:].hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _pack_uuid(text: str) -> bytes | None:
    digits = text.replace("-", "")
    if len(digits) != 32 or any(text[place] != "-" for place in _DASHES):
        return None
    try:
        value = bytes.fromhex(digits)
    except ValueError:
        return None
    # Upper case and blanks are legal to `fromhex` but would come back changed.
    return _UUID + value if value.hex() == digits else None


def is_special(value: str) -> bool:
    """Whether `to_text` would change it."""
    return "\0" in value or _ESCAPE in value


def to_text(value: str) -> str:
    """A text that PostgreSQL takes, whatever characters are in it."""
    if not is_special(value):
        return value
    return value.replace(_ESCAPE, _ITSELF).replace("\0", _NUL)


def from_text(value: str) -> str:
    """What `to_text` was given."""
    if _ESCAPE not in value:
        return value
    return value.replace(_NUL, "\0").replace(_ITSELF, _ESCAPE)


def from_value(value: Any) -> Any:
    """Like `from_text` for a column of any type."""
    return from_text(value) if isinstance(value, str) and _ESCAPE in value else value
