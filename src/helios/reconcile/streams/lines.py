"""What an offline run is fed with: chunks of lines, and the lines that could not be used.

A reader turns any file into chunks of JSON documents, one document a line, so that the engine has
one decoder for all formats. The chunk carries the lines apart rather than as one block: a decoder
let loose on a block of lines accepts a document that runs over two lines and two documents on one,
and to find that out costs more than `list(map(decode, chunk.lines))`, which is exact by itself.
"""

from collections.abc import Sequence

import msgspec

RAW_BYTES_MAX = 1024
"""How much of a rejected line is kept; the file itself has the rest."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Up to about a thousand lines of one input.

    Attributes:
        source: the file's name as the user gave it; `-` is standard input.
        leg: the leg that the file was bound to, or None when each event says itself.
        lines: one JSON document each, without the line's end. Empty lines are left out; one of
            white space only may be among them, and is no error.
        numbers: the 1-based line (JSONL, CSV) or row (Parquet) of each, strictly increasing.
        lax: the values came from a format without types: each is a string or null, and numbers
            must be read from text.
        bytes_read: bytes of the file, as it is stored, consumed so far.
    """

    source: str
    lines: list[bytes]
    numbers: Sequence[int]
    leg: str | None = None
    lax: bool = False
    bytes_read: int = 0


class Reject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line that could not be used.

    Attributes:
        source: the file's name as the user gave it.
        line: 1-based line or row there.
        code: stable name of the reason, such as `line_too_long`; summaries count by it.
        reason: what was wrong and what was expected, for a person.
        raw: the first kilobyte of the line.
    """

    source: str
    line: int
    code: str
    reason: str
    raw: bytes = b""


def reject(source: str, line: int, code: str, reason: str, raw: bytes = b"") -> Reject:
    """A reject that keeps the first kilobyte of `raw`."""
    return Reject(source=source, line=line, code=code, reason=reason, raw=raw[:RAW_BYTES_MAX])
