"""A JSON file that is one array of documents, read element by element.

Only the structure is followed here (strings, brackets, commas); whether an element is good JSON
is found out by whoever decodes it. What breaks the structure ends the run: after a lost bracket
or quote nobody can say where the next element begins.
"""

import re
from collections.abc import Iterator

from helios.drivers.files import json_lines, unpack
from helios.kernel import errors, limits
from helios.reconcile.streams import lines as feeds

_STRING = rb'"(?:[^"\\\n]++|\\[^\n])*+"'
_FLAT = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb")*+")
_DEEP = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+")
_OPEN, _CLOSE = frozenset(b"[{"), frozenset(b"]}")
_QUOTE, _COMMA = b'",'
_CHUNK_BYTES = 256 * json_lines.LINES_PER_CHUNK


class _Elements:
    """Follows one array over blocks of any size.

    `_data` is what is not yet given out; `_start` is where the element under way begins in it,
    on line `_line` of the file.
    """

    def __init__(self, source: unpack.Source, bytes_max: int) -> None:
        self._source = source
        self._bytes_max = bytes_max
        self._data = b""
        self._start = 0
        self._scanned = 0
        self._line = 1
        self._depth = 0
        self._closed = False

    def feed(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (line, element) for each element that ends in this block."""
        self._data += block
        done = self._scanned
        while (done := self._skip(done)) < len(self._data):
            char = self._data[done]
            if char == _QUOTE:
                if self._data.find(b"\n", done) >= 0:
                    raise self._error(done, "a string is not closed on its line")
                break
            found = self._structure(done, char)
            if found is not None:
                yield found
            done += 1
        if self._depth == 0 and not self._closed:
            self._pass(done)
        self._scanned = done - self._start
        self._data = self._data[self._start :]
        self._start = 0
        self._check_size(len(self._data))

    def finish(self) -> None:
        """Check that the array was closed and that nothing follows."""
        if not self._closed:
            raise self._error(len(self._data), "the array is not closed: the file is cut off")
        if rest := self._data.lstrip():
            raise self._error(len(self._data) - len(rest), "something stands after the array's end")

    def _skip(self, at: int) -> int:
        """The next character that may matter; within an element only its brackets do."""
        skipped = (_DEEP if self._depth > 1 else _FLAT).match(self._data, at)
        return skipped.end() if skipped else at

    def _structure(self, at: int, char: int) -> tuple[int, bytes] | None:
        if self._closed:
            raise self._error(at, "something stands after the array's end")
        if char in _OPEN:
            self._depth += 1
            if self._depth == 1:
                self._pass(at + 1)
            return None
        if char in _CLOSE:
            self._depth -= 1
            self._closed = self._depth == 0
        if not self._closed and (char != _COMMA or self._depth != 1):
            return None
        found = self._element(at)
        self._pass(at + 1)
        return found

    def _element(self, end: int) -> tuple[int, bytes] | None:
        self._check_size(end - self._start)
        raw = self._data[self._start : end]
        text = raw.strip()
        if text:
            lead = raw[: raw.index(text[:1])].count(b"\n")
            # Between tokens an end of line is white space, so the element fits on one line.
            return self._line + lead, text.replace(b"\n", b" ")
        if not self._closed:
            raise self._error(end, "an element is missing before the comma")
        return None

    def _check_size(self, size: int) -> None:
        if size > self._bytes_max:
            message = f"an element is longer than {self._bytes_max} bytes"
            raise self._error(self._start, message)

    def _pass(self, to: int) -> None:
        self._line += self._data.count(b"\n", self._start, to)
        self._start = to

    def _error(self, at: int, message: str) -> errors.InvalidInputError:
        line = self._line + self._data.count(b"\n", self._start, at)
        return self._source.error(message, line=line)


def read(
    source: unpack.Source,
    blocks: Iterator[bytes],
    *,
    leg: str | None,
    bytes_max: int = limits.LINE_BYTES_MAX,
) -> Iterator[feeds.Chunk]:
    """Chunks of a JSON array; an element's number is the line on which it begins.

    Raises:
        InvalidInputError: the array is broken, cut off, or has an element beyond the limit.
    """
    elements = _Elements(source, bytes_max)
    lines: list[bytes] = []
    numbers: list[int] = []
    size = 0
    for block in blocks:
        for number, element in elements.feed(block):
            lines.append(element)
            numbers.append(number)
            size += len(element)
            if size >= _CHUNK_BYTES or len(lines) >= json_lines.LINES_PER_CHUNK:
                yield _chunk(source, lines, numbers, leg)
                lines, numbers, size = [], [], 0
    elements.finish()
    if lines:
        yield _chunk(source, lines, numbers, leg)


def _chunk(
    source: unpack.Source, lines: list[bytes], numbers: list[int], leg: str | None
) -> feeds.Chunk:
    return feeds.Chunk(
        source=source.name,
        lines=lines,
        numbers=numbers,
        leg=leg,
        bytes_read=source.position,
    )
