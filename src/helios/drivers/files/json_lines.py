r"""JSON Lines: one document a line.

The path that large inputs take, so nothing here looks at a single line: a block is cut after its
last line's end and split by the interpreter in one call. Only `\n` ends a line; U+2028 and its
like are characters of a JSON string.
"""

from collections.abc import Iterator

import msgspec

from helios.drivers.files import unpack
from helios.kernel import limits
from helios.reconcile.streams import lines as feeds

LINES_PER_CHUNK = 1000
"""About how many lines a chunk has: enough to hide its own cost, few enough to stay in cache."""

_CUT_BYTES_MIN = 4096


class Lines(msgspec.Struct, frozen=True, gc=False):
    """Lines that stand together: `lines[i]` is line `first + i` of the file."""

    first: int
    block: bytes
    lines: list[bytes]


class LongLine(msgspec.Struct, frozen=True, gc=False):
    """A line beyond the limit; only its beginning was kept."""

    number: int
    head: bytes
    bytes_max: int


class Cutter:
    r"""Cuts blocks of any size into lines.

    Args:
        keep_cr: leave a `\r` before the line's end in place.
        bytes_max: longest line; a longer one is passed over in bounded memory.
    """

    def __init__(self, *, keep_cr: bool = False, bytes_max: int = limits.LINE_BYTES_MAX) -> None:
        self._keep_cr = keep_cr
        self._bytes_max = bytes_max
        self._number = 1
        self._cut_bytes = 0

    def cut(self, blocks: Iterator[bytes]) -> Iterator[Lines | LongLine]:
        """Yield every line exactly once, in order, the empty ones too."""
        carry: list[bytes] = []
        carried = 0
        head: bytes | None = None
        for block in blocks:
            start = 0
            if head is not None:
                start = block.find(b"\n") + 1
                if not start:
                    continue
                yield self._long(head)
                head = None
            end = block.rfind(b"\n", start) + 1
            if end:
                carry.append(block[start:end])
                data = carry[0] if len(carry) == 1 else b"".join(carry)
                carry, carried = [], 0
                yield from self._pieces(data)
                start = end
            if start < len(block):
                carry.append(block[start:] if start else block)
                carried += len(block) - start
                if carried > self._bytes_max:
                    kept = feeds.RAW_BYTES_MAX
                    head = b"".join(part[:kept] for part in carry)[:kept]
                    carry, carried = [], 0
        if head is not None:
            yield self._long(head)
        elif carry:
            yield from self._pieces(b"".join([*carry, b"\n"]))

    def _long(self, head: bytes) -> LongLine:
        self._number += 1
        return LongLine(self._number - 1, head, self._bytes_max)

    def _pieces(self, data: bytes) -> Iterator[Lines | LongLine]:
        """Split data that ends with a line's end into chunks of about the wanted length."""
        at, size = 0, len(data)
        if not self._cut_bytes:
            self._cut_bytes = self._wanted(data.find(b"\n"))
        while at < size:
            # What would be left as a short last piece goes with the one before.
            whole = size - at < 3 * self._cut_bytes // 2
            stop = size - 1 if whole else data.find(b"\n", at + self._cut_bytes)
            piece = data[at:stop]
            at = stop + 1
            if not self._keep_cr and b"\r" in piece:
                piece = piece.replace(b"\r\n", b"\n").removesuffix(b"\r")
            # Splitting is how to count: it looks for line ends many bytes at a time.
            lines = piece.split(b"\n")
            self._cut_bytes = self._wanted(len(piece) // len(lines))
            if len(piece) > self._bytes_max:
                yield from self._checked(lines)
            else:
                yield Lines(self._number, piece, lines)
                self._number += len(lines)

    @staticmethod
    def _wanted(line_bytes: int) -> int:
        """The length of a chunk of about a thousand such lines."""
        return max(_CUT_BYTES_MIN, min(LINES_PER_CHUNK * line_bytes, unpack.BLOCK_BYTES))

    def _checked(self, lines: list[bytes]) -> Iterator[Lines | LongLine]:
        """The slow way, for a piece that is long enough to hide a line beyond the limit."""
        for line in lines:
            if len(line) > self._bytes_max:
                yield self._long(line[: feeds.RAW_BYTES_MAX])
            else:
                yield Lines(self._number, line, [line])
                self._number += 1


def too_long(source: str, line: LongLine) -> feeds.Reject:
    """The reject of a line beyond the limit."""
    return feeds.reject(
        source,
        line.number,
        "line_too_long",
        f"the line is longer than {line.bytes_max} bytes",
        line.head,
    )


def read(
    source: unpack.Source, blocks: Iterator[bytes], *, leg: str | None
) -> Iterator[feeds.Chunk | feeds.Reject]:
    """Chunks of a JSON Lines file."""
    for part in Cutter().cut(blocks):
        if isinstance(part, LongLine):
            yield too_long(source.name, part)
            continue
        yield feeds.Chunk(
            source=source.name,
            lines=part.lines,
            block=part.block,
            numbers=range(part.first, part.first + len(part.lines)),
            leg=leg,
            bytes_read=source.position,
        )
