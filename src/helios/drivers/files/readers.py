"""Any file to chunks of JSON documents.

All inputs are opened and looked into before the first line is given out: a name with a typing
error is told at once and not after an hour. Then they are read one after another, in the order
given, in bounded memory.
"""

import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, BinaryIO, Literal, TypeAlias

import msgspec

from helios.drivers.files import csv_rows, json_array, json_lines, unpack
from helios.kernel import errors
from helios.reconcile.streams import lines as feeds

STDIN = "-"
INPUTS_MAX = 10_000
"""Files in one run. Above: refused."""

Format: TypeAlias = Literal["jsonl", "array", "csv", "parquet"]

_PARQUET_MAGIC = b"PAR1"
_UTF8_BOM = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")
_PACKED_SUFFIXES = (".gz", ".gzip", ".zst", ".zstd")
_FORMATS: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


class _Input(msgspec.Struct):
    """One input that was looked into. `handle` is kept only where it cannot be opened again."""

    name: str
    leg: str | None
    format: Format
    size: int
    handle: BinaryIO | None = None
    head: Sequence[bytes] = ()
    rest: Iterator[bytes] | None = None
    source: unpack.Source | None = None


class Inputs:
    """The inputs of one run, opened and looked into.

    Attributes:
        bytes_total: stored bytes of all files together; pipes count as nothing.
        bytes_done: how many of them were read so far.
    """

    def __init__(self, inputs: Sequence[_Input]) -> None:
        self._inputs = inputs
        self.bytes_total = sum(each.size for each in inputs)
        self.bytes_done = 0

    @property
    def can_be_read_again(self) -> bool:
        """Whether all inputs are files; a pipe gives its bytes only once."""
        return all(each.rest is None for each in self._inputs)

    def __iter__(self) -> Iterator[feeds.Chunk | feeds.Reject]:
        """Chunks and rejects of all inputs, in the order given.

        Raises:
            InvalidInputError: an input is damaged or cut off.
        """
        before = 0
        for each in self._inputs:
            for part in _read(each):
                if isinstance(part, feeds.Chunk):
                    self.bytes_done = before + min(part.bytes_read, each.size)
                yield part
            before += each.size
            self.bytes_done = before


def open_inputs(
    paths: Sequence[str],
    legs: Mapping[str, Sequence[str]] | None = None,
    *,
    stdin: BinaryIO | None = None,
) -> Inputs:
    """Open every input and look into it.

    Args:
        paths: files whose events say themselves which leg they are of; `-` is standard input.
        legs: for each leg, files all of whose events are of it.
        stdin: what `-` reads.

    Raises:
        InvalidInputError: an input is missing, is a folder, cannot be read, or is of no known
            format. Nothing was given out.
    """
    named = [(path, None) for path in paths]
    bound = [(path, leg) for leg, files in (legs or {}).items() for path in files]
    everything = [*named, *bound]
    if len(everything) > INPUTS_MAX:
        message = f"{len(everything)} input files; at most {INPUTS_MAX} are read in one run"
        raise errors.InvalidInputError(message)
    if sum(path == STDIN for path, _ in everything) > 1:
        raise errors.InvalidInputError("standard input can be read once only", source=STDIN)
    return Inputs([_look(path, leg, stdin) for path, leg in everything])


def _look(path: str, leg: str | None, stdin: BinaryIO | None) -> _Input:
    """Open an input, find out its format, and let go of it where that is possible."""
    again = path != STDIN and Path(path).is_file()
    source = _open(path, stdin)
    try:
        blocks = unpack.unpacked(source)
        head: list[bytes] = []
        while b"\n" not in (head[-1] if head else b"") and sum(map(len, head)) < 1 << 16:
            block = next(blocks, b"")
            if not block:
                break
            head.append(block)
        format_ = _format(source, b"".join(head))
    except BaseException:
        source.close()
        raise
    found = _Input(name=path, leg=leg, format=format_, size=source.size)
    if again:
        source.close()
    else:
        found.head, found.rest, found.source = head, blocks, source
    return found


def _open(path: str, stdin: BinaryIO | None) -> unpack.Source:
    if path == STDIN:
        if stdin is None:
            raise errors.InvalidInputError("there is no standard input", source=STDIN)
        return unpack.Source(STDIN, stdin)
    try:
        state = Path(path).stat()
        if stat.S_ISDIR(state.st_mode):
            message = f"is a folder; name its files, for example {Path(path) / '*.jsonl'}"
            raise errors.InvalidInputError(message, source=path)
        handle = Path(path).open("rb", buffering=0)  # noqa: SIM115 - `Source` closes it
    except FileNotFoundError as error:
        message = "no such file"
        if any(char in path for char in "*?["):
            message = "no file has a name of this pattern"
        raise errors.InvalidInputError(message, source=path) from error
    except PermissionError as error:
        message = "may not be read; give yourself the right to read it (chmod u+r)"
        raise errors.InvalidInputError(message, source=path) from error
    except (OSError, ValueError) as error:
        message = f"cannot be opened: {getattr(error, 'strerror', None) or error}"
        raise errors.InvalidInputError(message, source=path) from error
    size = state.st_size if stat.S_ISREG(state.st_mode) else 0
    return unpack.Source(path, handle, size=size)


def _format(source: unpack.Source, head: bytes) -> Format:
    """What a file is, by its content where that is clear, else by its name."""
    if head.startswith(_PARQUET_MAGIC):
        return "parquet"
    if head.startswith(_OTHER_ENCODINGS):
        raise source.error("is UTF-16; convert it to UTF-8, for example with iconv -f UTF-16")
    suffixes = [s.lower() for s in Path(source.name).suffixes]
    while suffixes and suffixes[-1] in _PACKED_SUFFIXES:
        suffixes.pop()
    by_name = _FORMATS.get(suffixes[-1]) if suffixes else None
    if by_name == "parquet":
        raise source.error("is not Parquet, as its name says; get it again or rename it")
    if by_name == "csv":
        return "csv"
    text = head.removeprefix(_UTF8_BOM).lstrip()
    if text[:1] == b"[":
        return "array"
    if by_name or text[:1] == b"{" or not text:
        return "jsonl"
    if any(separator.encode() in text.partition(b"\n")[0] for separator in csv_rows.SEPARATORS):
        return "csv"
    message = "is neither JSON Lines, CSV nor Parquet; name it .jsonl or .csv to say what it is"
    raise source.error(message)


def _read(each: _Input) -> Iterator[feeds.Chunk | feeds.Reject]:
    source = each.source or _open(each.name, None)
    try:
        blocks = _resumed(each) if each.rest is not None else unpack.unpacked(source)
        if each.format == "parquet":
            yield from _read_parquet(source, blocks, each.leg)
        else:
            blocks = _without_bom(blocks)
            reader = {"jsonl": json_lines.read, "array": json_array.read, "csv": csv_rows.read}
            yield from reader[each.format](source, blocks, leg=each.leg)
    finally:
        source.close()


def _resumed(each: _Input) -> Iterator[bytes]:
    yield from each.head
    if each.rest is not None:
        yield from each.rest


def _without_bom(blocks: Iterator[bytes]) -> Iterator[bytes]:
    head = b""
    for block in blocks:
        head += block
        if len(head) >= len(_UTF8_BOM):
            break
    if head:
        yield head.removeprefix(_UTF8_BOM)
    yield from blocks


def _read_parquet(
    source: unpack.Source, blocks: Iterator[bytes], leg: str | None
) -> Iterator[feeds.Chunk]:
    """Read Parquet where it lies; packed or from a pipe, from an unnamed copy on disk.

    Its index stands at its end, so it cannot be read as it comes.
    """
    from helios.drivers.files import parquet_rows  # noqa: PLC0415 - slow to load, rarely needed

    first = next(blocks, b"")
    if source.size and first.startswith(_PARQUET_MAGIC) and _lies_open(source):
        with Path(source.name).open("rb") as handle:
            yield from parquet_rows.read(source, handle, leg=leg)
        return
    with tempfile.TemporaryFile(prefix="helios-") as copy:
        _spool(copy, first, blocks)
        yield from parquet_rows.read(source, copy, leg=leg)


def _lies_open(source: unpack.Source) -> bool:
    """Whether the file itself begins as Parquet, and is not a packed one."""
    with Path(source.name).open("rb") as handle:
        return handle.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def _spool(copy: IO[bytes], first: bytes, blocks: Iterator[bytes]) -> None:
    try:
        copy.write(first)
        for block in blocks:
            copy.write(block)
        copy.seek(0)
    except OSError as error:
        message = f"no room for an unpacked copy in {tempfile.gettempdir()}: {error.strerror}"
        raise errors.StorageError(f"{message}; free some or set TMPDIR") from error
