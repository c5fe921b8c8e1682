"""What an offline run is fed with: chunks of lines, and the lines that could not be used.

A reader turns any file into chunks of JSON documents, one document a line, so that the engine has
one decoder for all formats. Lines that stand together in the file are handed over uncut, as one
block, so that nothing in Python looks at a line of it unless something is wrong.
"""

from collections.abc import Sequence

import msgspec

RAW_BYTES_MAX = 1024
"""How much of a rejected line is kept; the file itself has the rest."""


class Chunk:
    """Up to about a thousand lines of one input.

    Attributes:
        source: the file's name as the user gave it; `-` is standard input.
        leg: the leg that the file was bound to, or None when each event says itself.
        numbers: the 1-based line (JSONL, CSV) or row (Parquet) of each, strictly increasing.
        block: all lines, joined by line feeds; None: only `lines` is given.
        lax: the values came from a format without types: each is a string or null, and numbers
            must be read from text.
        bytes_read: bytes of the file, as it is stored, consumed so far.
    """

    __slots__ = ("_lines", "block", "bytes_read", "lax", "leg", "numbers", "source")

    def __init__(
        self,
        *,
        source: str,
        numbers: Sequence[int],
        lines: list[bytes] | None = None,
        block: bytes | None = None,
        leg: str | None = None,
        lax: bool = False,
        bytes_read: int = 0,
    ) -> None:
        self.source = source
        self.numbers = numbers
        self.block = block
        self.leg = leg
        self.lax = lax
        self.bytes_read = bytes_read
        self._lines = lines

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chunk) and self._content() == other._content()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Chunk of {self.source}, lines {self.numbers[0]} to {self.numbers[-1]}>"

    def _content(self) -> tuple[object, ...]:
        return (
            self.source,
            self.leg,
            self.lax,
            self.bytes_read,
            list(self.numbers),
            self.lines,
        )

    @property
    def lines(self) -> list[bytes]:
        """One JSON document each, without the line's end.

        Some may be empty or of white space only; that is no error.
        """
        if self._lines is None:
            self._lines = self.block.split(b"\n") if self.block is not None else []
        return self._lines


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
