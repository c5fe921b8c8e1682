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
    """`count` lines that stand together: the first of them is line `first` of the file."""

    first: int
    block: bytes
    count: int

    @property
    def lines(self) -> list[bytes]:
        return self.block.split(b"\n")


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
                yield from self._pieces(b"".join(carry), block, start, end)
                carry, carried = [], 0
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
            carry.append(b"\n")
            data = b"".join(carry)
            yield from self._pieces(b"", data, 0, len(data))

    def _long(self, head: bytes) -> LongLine:
        self._number += 1
        return LongLine(self._number - 1, head, self._bytes_max)

    def _pieces(self, head: bytes, data: bytes, at: int, end: int) -> Iterator[Lines | LongLine]:
        """Split `head + data[at:end]`, which ends a line, into chunks of the wanted length.

        Only the first chunk is put together: blocks are large, and copies of them slow.
        """
        if not self._cut_bytes and at < end:
            self._cut_bytes = self._wanted(len(head) + data.find(b"\n", at) - at)
        while at < end:
            # What would be left as a short last piece goes with the one before.
            whole = len(head) + end - at < 3 * self._cut_bytes // 2
            least = at + max(self._cut_bytes - len(head), 0)
            stop = end - 1 if whole else data.find(b"\n", least)
            piece = head + data[at:stop] if head else data[at:stop]
            head, at = b"", stop + 1
            if not self._keep_cr and b"\r" in piece:
                piece = piece.replace(b"\r\n", b"\n").removesuffix(b"\r")
            # What is missing without line ends: they are looked for many bytes at a time, as
            # `count` does not.
            count = 1 + len(piece) - len(piece.replace(b"\n", b""))
            self._cut_bytes = self._wanted(len(piece) // count)
            if len(piece) > self._bytes_max:
                yield from self._checked(piece.split(b"\n"))
            else:
                yield Lines(self._number, piece, count)
                self._number += count

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
                yield Lines(self._number, line, 1)
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
            block=part.block,
            numbers=range(part.first, part.first + part.count),
            leg=leg,
            bytes_read=source.position,
        )
