"""Ids and cursors that GraphQL hands out: opaque outside, checked when they come back.

An id holds the client of what it names, and is refused where that client is out of scope before
anything is looked up: whoever guesses one learns nothing.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from helios.kernel import errors, tenancy

Part: TypeAlias = str | int
_CHARS_MAX = 4_000


def made(kind: str, *parts: Part) -> str:
    """The opaque text of something; of ids the first part is the client."""
    packed = msgspec.json.encode([kind, *parts])
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_id(text: str) -> tuple[str, list[Any]]:
    """Kind and parts of an id.

    Raises:
        InvalidInputError: it is none of ours.
        ForbiddenError: its client is out of scope.
    """
    kind, parts = _unpacked(text, "id")
    if not parts or not isinstance(parts[0], str):
        raise _strange("id")
    tenancy.require(parts[0])
    return kind, parts


def read_cursor(kind: str, text: str | None, shape: Sequence[type]) -> list[Any] | None:
    """Parts of a cursor; None: there is none.

    Raises:
        CursorError: it is not of this list.
    """
    if text is None:
        return None
    try:
        found, parts = _unpacked(text, "after")
    except errors.InvalidInputError as error:
        raise errors.CursorError(str(error)) from None
    if found != kind or [type(each) for each in parts] != list(shape):
        raise errors.CursorError(
            "after: this is no cursor of this list; give `endCursor` back as it came"
        )
    return parts


def _unpacked(text: str, field: str) -> tuple[str, list[Any]]:
    if len(text) > _CHARS_MAX:
        raise _strange(field)
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        kind, *parts = msgspec.json.decode(raw, type=list[str | int])
    except (binascii.Error, UnicodeEncodeError, msgspec.DecodeError, ValueError):
        raise _strange(field) from None
    return str(kind), parts


def _strange(field: str) -> errors.InvalidInputError:
    return errors.InvalidInputError("none of ours; give it back as it came", field=field)
