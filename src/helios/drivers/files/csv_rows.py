"""CSV: a header, then one document a row, each value a string.

The separator is told from the header (comma, semicolon, tab or bar), quoting is that of RFC 4180.
An empty value becomes null: CSV has no other way to leave a value out. A row is named by the line
it begins on, also when quoted values run over several.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from helios.drivers.files import json_lines, unpack
from helios.kernel import errors, limits
from helios.reconcile.streams import lines as feeds

SEPARATORS = ",;\t|"
_NOT_A_NAME = re.compile(r"[-+]?[\d.,]+([eE][-+]?\d+)?|\d{4}-\d\d-\d\d.*|true|false|null|[{\[].*")
Document: TypeAlias = dict[str, str | None]

_ENCODER = msgspec.json.Encoder()


class _RowTooLongError(Exception):
    """A row, most often one whose quote is never closed, is beyond the limit."""


class _Physical:
    """The lines of a file as text, counted; what the row parser reads from.

    A line beyond the limit is kept back in `rejects` and passed over.
    """

    def __init__(self, source: unpack.Source, blocks: Iterator[bytes], bytes_max: int) -> None:
        self._source = source
        self._row_bytes_max = min(bytes_max, limits.EVENT_BYTES_MAX)
        self._parts = json_lines.Cutter(keep_cr=True, bytes_max=bytes_max).cut(blocks)
        self._lines: list[bytes] = []
        self._at = 0
        self._row: list[bytes] = []
        self._row_bytes = 0
        self.rejects: list[feeds.Reject] = []
        self.number = 0
        self.is_done = False

    def __iter__(self) -> "_Physical":
        return self

    def __next__(self) -> str:
        if not self._fill():
            raise StopIteration
        line = self._lines[self._at]
        self._at += 1
        self.number += 1
        self._row.append(line)
        self._row_bytes += len(line)
        if self._row_bytes > self._row_bytes_max:
            raise _RowTooLongError
        return line.decode("utf-8", "surrogateescape") + "\n"

    def _fill(self) -> bool:
        """Have at least one line at hand; False at the end."""
        while self._at >= len(self._lines):
            part = next(self._parts, None)
            if part is None:
                self.is_done = True
                return False
            if isinstance(part, json_lines.LongLine):
                self.rejects.append(json_lines.too_long(self._source.name, part))
                self.number += 1
                continue
            self._lines, self._at = part.lines, 0
        return True

    def ahead(self) -> list[bytes]:
        """All lines at hand; none when a reject must be told first."""
        return self._lines[self._at :] if self._fill() and not self.rejects else []

    def pass_over(self, count: int) -> None:
        """Take as read what `ahead` showed."""
        self._at += count
        self.number += count

    @property
    def is_at_edge(self) -> bool:
        return self._at >= len(self._lines)

    def begin_row(self) -> None:
        """Forget the lines of the row before."""
        self._row = []
        self._row_bytes = 0

    def end_row_at_its_first_line(self) -> None:
        """Give the other lines of the row out again, as rows of their own."""
        self._lines = self._row[1:] + self._lines[self._at :]
        self._at = 0
        self.number -= len(self._row) - 1
        self._row = self._row[:1]

    @property
    def raw(self) -> bytes:
        """The lines of the row under way."""
        return b"\n".join(self._row[: feeds.RAW_BYTES_MAX])

    @property
    def row_lines(self) -> int:
        return len(self._row)


def separator_of(header: str) -> str:
    """The separator that occurs most often outside quotes; a comma when none does."""
    bare = re.sub(r'"[^"]*"?', "", header)
    return max(SEPARATORS, key=bare.count)


def read(
    source: unpack.Source,
    blocks: Iterator[bytes],
    *,
    leg: str | None,
    bytes_max: int = limits.LINE_BYTES_MAX,
) -> Iterator[feeds.Chunk | feeds.Reject]:
    """Chunks of a CSV file, with a reject for each row that does not fit its header.

    Raises:
        InvalidInputError: no usable header, or not UTF-8 at all.
    """
    # Process-wide in the csv module; it bounds a quote that is never closed.
    csv.field_size_limit(min(bytes_max, limits.EVENT_BYTES_MAX))
    physical = _Physical(source, blocks, bytes_max)
    names, separator = _header(source, physical)
    yield from physical.rejects
    physical.rejects.clear()
    table = _Table(source, physical, names, separator)
    numbers: Sequence[int]
    while True:
        whole = table.whole()
        if whole:
            first = physical.number - len(whole) + 1
            yield _chunk(source, whole, range(first, first + len(whole)), leg)
            continue
        documents: list[Document] = []
        numbers = []
        for number, row in table.rows():
            if isinstance(row, feeds.Reject):
                yield row
            else:
                documents.append(row)
                numbers.append(number)
        if documents:
            yield _chunk(source, documents, numbers, leg)
        if physical.is_done:
            return


class _Table:
    """Rows of a file whose header is known."""

    def __init__(
        self, source: unpack.Source, physical: _Physical, names: list[str], separator: str
    ) -> None:
        self._source = source
        self._physical = physical
        self._names = names
        self._separator = separator
        self._parser = csv.reader(physical, delimiter=separator, strict=True)

    def whole(self) -> list[Document]:
        """The next lines at once, when each is a row of its own that fits; else none of them."""
        lines = self._physical.ahead()
        try:
            text = [line.decode() for line in lines]
            rows = list(csv.reader(text, delimiter=self._separator, strict=True))
        except (UnicodeDecodeError, csv.Error):
            return []
        if len(rows) != len(lines) or set(map(len, rows)) != {len(self._names)}:
            return []
        self._physical.pass_over(len(lines))
        names = self._names
        return [dict(zip(names, [value or None for value in row], strict=True)) for row in rows]

    def rows(self) -> Iterator[tuple[int, Document | feeds.Reject]]:
        """Rows one by one, with the line they begin on, until whole lines may be tried again."""
        physical = self._physical
        while True:
            physical.begin_row()
            row: list[str] | feeds.Reject | None = None
            try:
                row = next(self._parser, None)
            except (csv.Error, _RowTooLongError) as error:
                row = _unparsed(self._source, physical, error)
            yield from ((reject.line, reject) for reject in physical.rejects)
            physical.rejects.clear()
            number = physical.number - physical.row_lines + 1
            if isinstance(row, feeds.Reject):
                yield number, row
            elif row:
                yield number, self._document(number, row)
            if row is None or physical.is_at_edge:
                return

    def _document(self, number: int, row: list[str]) -> Document | feeds.Reject:
        """The row by its names, or why it cannot be used."""
        source, raw = self._source.name, self._physical.raw
        if len(row) != len(self._names):
            reason = f"the row has {len(row)} values, the header names {len(self._names)} columns"
            return feeds.reject(source, number, "csv_columns", reason, raw)
        try:
            "".join(row).encode()
        except UnicodeEncodeError:
            reason = "the row is not UTF-8; convert the file, for example with iconv"
            return feeds.reject(source, number, "invalid_utf8", reason, raw)
        return dict(zip(self._names, [value or None for value in row], strict=True))


def _header(source: unpack.Source, physical: _Physical) -> tuple[list[str], str]:
    """The names and the separator, from the first line that is not empty."""
    for line in physical:
        text = line.removeprefix("\ufeff").strip("\r\n")
        if not text.strip():
            continue
        separator = separator_of(text)
        names = [name.strip() for name in next(csv.reader([text], delimiter=separator))]
        _check_names(source, names, line=physical.number)
        return names, separator
    raise _headless(source, "the file is empty", line=1)


def _check_names(source: unpack.Source, names: list[str], *, line: int) -> None:
    for column, name in enumerate(names, 1):
        if not name:
            raise _headless(source, f"column {column} has no name", line=line)
        if any("\ud800" <= char <= "\udfff" for char in name):
            raise source.error("is not UTF-8; convert it, for example with iconv", line=line)
        if _NOT_A_NAME.fullmatch(name):
            raise _headless(source, f"{name[:40]!r} looks like a value, not a name", line=line)
        if name in names[: column - 1]:
            raise _headless(source, f"two columns are named {name[:40]!r}", line=line)


def _headless(source: unpack.Source, what: str, *, line: int) -> errors.InvalidInputError:
    message = f"{what}; a CSV file must begin with a line that names its columns"
    return source.error(message, line=line)


def _unparsed(source: unpack.Source, physical: _Physical, error: Exception) -> feeds.Reject:
    first = physical.number - physical.row_lines + 1
    if isinstance(error, _RowTooLongError) or re.search("field limit|end of data", str(error)):
        reason = "a quote is opened and never closed, or the row is longer than an event may be"
        physical.end_row_at_its_first_line()
    elif physical.row_lines > 1:
        reason = f"not a CSV row: {error} (lines {first} to {physical.number})"
    else:
        reason = f"not a CSV row: {error}"
    return feeds.reject(source.name, first, "csv_row", reason, physical.raw)


def _chunk(
    source: unpack.Source,
    documents: list[Document],
    numbers: Sequence[int],
    leg: str | None,
) -> feeds.Chunk:
    lines = _ENCODER.encode_lines(documents).split(b"\n")
    lines.pop()
    return feeds.Chunk(
        source=source.name,
        lines=lines,
        numbers=numbers,
        leg=leg,
        lax=True,
        bytes_read=source.position,
    )
