"""Cursors: a place in one particular log, as an opaque string.

A cursor outlives what made it: it is stored by readers, mailed in bug reports and sent to the
wrong server. So it carries the identity of the log and a checksum, and whatever it is not good
for is refused with the remedy, never waited on: a reader that waits beyond the head of a restored
log would skip what is appended there until then.
"""

import base64
import binascii
import struct

from helios.eventlog import envelope
from helios.kernel import errors

_VERSION = 1
_HEAD = struct.Struct(">BQ")
_SUM = struct.Struct(">I")
_AGAIN = "start again from the beginning, without a cursor"


def encode(log_id: str, position: envelope.Position) -> str:
    """The cursor that means: after `position` of this log."""
    body = _HEAD.pack(_VERSION, position) + log_id.encode()
    sealed = body + _SUM.pack(binascii.crc32(body))
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def decode(text: str, log_id: str) -> envelope.Position:
    """The position a cursor of this log means.

    Raises:
        CursorError: not a cursor, damaged, of a later Helios, or of another log.
    """
    body = _unseal(text)
    version, position = _HEAD.unpack_from(body)
    if version != _VERSION:
        raise errors.CursorError(
            f"cursor of format {version}, this Helios reads format {_VERSION}: "
            f"use a newer Helios, or {_AGAIN}"
        )
    owner = body[_HEAD.size :].decode(errors="replace")
    if owner != log_id:
        raise errors.CursorError(
            f"the cursor belongs to log {owner}, this is log {log_id} (another one, or restored "
            f"to an earlier point): go to the log it came from, or {_AGAIN}"
        )
    return envelope.Position(position)


def check(after: envelope.Position, head: envelope.Position) -> None:
    """Refuse a position that the log has not reached.

    Raises:
        CursorError: `after` lies beyond `head`.
    """
    if after > head:
        raise errors.CursorError(
            f"the cursor is at position {after}, the log ends at {head}: it was restored to "
            f"an earlier point; drop what you built from it and {_AGAIN}"
        )
    if after < 0:
        raise errors.CursorError(f"position {after} is before the log begins: {_AGAIN}")


def _unseal(text: str) -> bytes:
    try:
        sealed = base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except ValueError as error:
        raise _damaged(text) from error
    body = sealed[: -_SUM.size]
    if len(body) < _HEAD.size or _SUM.pack(binascii.crc32(body)) != sealed[-_SUM.size :]:
        raise _damaged(text)
    return body


def _damaged(text: str) -> errors.CursorError:
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    return errors.CursorError(
        f"{shown!r} is not a cursor, or was cut or altered: send it exactly as you got it, "
        f"or {_AGAIN}"
    )
