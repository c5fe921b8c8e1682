"""Bytes of a file, unpacked as they are read.

Compression is told by the first bytes, not by the name: exports are renamed often and wrongly.
Whatever a stream unpacks to, no step holds more than a block of it, so a bomb costs time and not
memory. A stream that ends early is an error by name: half a file gives wrong verdicts, not fewer.
"""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import zstandard

from helios.kernel import errors

BLOCK_BYTES = 1 << 20
"""How much is read or unpacked at a time."""

_ZSTD_WINDOW_BYTES_MAX = 128 << 20
"""The largest window that `zstd` writes without `--long`; a reader must hold one window."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_OTHER_PACKERS = (
    (b"BZh", "bzip2", "bunzip2"),
    (b"\xfd7zXZ\x00", "xz", "unxz"),
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet", "unzip, or save the sheet as CSV"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"),
)


class Source:
    """One opened file or pipe: counts what was read of it and names it in errors.

    Args:
        name: as the user gave it.
        handle: opened for reading bytes; closed by `close`.
        size: bytes of the file, or 0 when it is a pipe.
    """

    def __init__(self, name: str, handle: BinaryIO, *, size: int = 0) -> None:
        self.name = name
        self.size = size
        self.position = 0
        self._handle = handle

    def raw(self) -> Iterator[bytes]:
        """The stored bytes, in blocks.

        Raises:
            InvalidInputError: the file cannot be read.
        """
        while True:
            try:
                block = self._handle.read(BLOCK_BYTES)
            except OSError as error:
                raise self.error(f"cannot be read: {error.strerror or error}") from error
            if not block:
                return
            self.position += len(block)
            yield block

    def error(self, message: str, *, line: int | None = None) -> errors.InvalidInputError:
        """An error that names this file."""
        return errors.InvalidInputError(message, source=self.name, line=line)

    def close(self) -> None:
        self._handle.close()


def unpacked(source: Source) -> Iterator[bytes]:
    """The content in blocks of at most about `BLOCK_BYTES`, unpacked if it is packed.

    Raises:
        InvalidInputError: unreadable, cut off, damaged, or packed in a way not supported.
    """
    raw = source.raw()
    first = b""
    for block in raw:
        first += block
        if len(first) >= 8:
            break
    blocks = _chain(first, raw)
    if first.startswith(b"\x1f\x8b"):
        return _gunzip(source, blocks)
    if first.startswith(_ZSTD_MAGIC) or _is_skippable(first):
        return _unzstd(source, blocks)
    for magic, what, remedy in _OTHER_PACKERS:
        if first.startswith(magic):
            raise source.error(f"is {what}, which is not read here; unpack it first ({remedy})")
    return blocks


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _gunzip(source: Source, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack all members of a gzip file; zeros that pad its end are allowed, as in `gzip`."""
    member = zlib.decompressobj(wbits=31)
    fresh = True
    for block in blocks:
        data, full = block, False
        while full or (data.strip(b"\0") if fresh else data):
            try:
                out = member.decompress(data, BLOCK_BYTES)
            except zlib.error as error:
                raise source.error(f"the gzip data is damaged ({error}); get it again") from error
            if out:
                yield out
            fresh = member.eof
            # A full block may leave content waiting although all input is taken.
            full = len(out) == BLOCK_BYTES and not fresh
            data = member.unused_data if fresh else member.unconsumed_tail
            if fresh:
                member = zlib.decompressobj(wbits=31)
    if not fresh:
        raise source.error("the gzip data ends early: the file is cut off; get it again")


def _unzstd(source: Source, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack all frames, one zstd block (at most 128 KiB of content) at a time."""
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX)
    frame = context.decompressobj()
    gathered: list[bytes] = []
    size = 0
    try:
        for piece, last in _zstd_pieces(source, _Feed(blocks)):
            out = frame.decompress(piece)
            if out:
                gathered.append(out)
                size += len(out)
            if size >= BLOCK_BYTES:
                yield b"".join(gathered)
                gathered, size = [], 0
            if last:
                frame = context.decompressobj()
    except zstandard.ZstdError as error:
        raise source.error(f"the zstd data is damaged or too wide ({error})") from error
    if gathered:
        yield b"".join(gathered)


class _Feed:
    """Exact reads from blocks of any size."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._data = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or fewer at the end."""
        parts: list[bytes] = []
        while True:
            part = self._data[self._at : self._at + count]
            self._at += len(part)
            count -= len(part)
            parts.append(part)
            if not count:
                return part if len(parts) == 1 else b"".join(parts)
            self._data = next(self._blocks, b"")
            self._at = 0
            if not self._data:
                return b"".join(parts)


def _zstd_pieces(source: Source, feed: _Feed) -> Iterator[tuple[bytes, bool]]:
    """Cut frames at their blocks (RFC 8878, 3.1.1): (bytes, whether they end a frame).

    The library's own stream reader takes a stream that ends early for a finished one; and fed
    with arbitrary pieces a decompressor may return gigabytes at once. Cut at blocks it cannot.
    """

    def need(count: int) -> bytes:
        data = feed.take(count)
        if len(data) < count:
            raise source.error("the zstd data ends early: the file is cut off; get it again")
        return data

    while magic := feed.take(4):
        if _is_skippable(magic):
            left = int.from_bytes(need(4), "little")
            while left:
                left -= len(need(min(left, BLOCK_BYTES)))
            continue
        if magic != _ZSTD_MAGIC:
            raise source.error("after the zstd data comes something else; get the file again")
        flags = need(1)[0]
        single, checksum = flags >> 5 & 1, flags >> 2 & 1
        sizes = (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6] + (not single)
        yield magic + bytes([flags]) + need(sizes), False
        last = False
        while not last:
            head = need(3)
            value = int.from_bytes(head, "little")
            last = bool(value & 1)
            body = need(1 if value >> 1 & 3 == 1 else value >> 3)
            tail = need(4) if last and checksum else b""
            yield head + body + tail, last


def _is_skippable(data: bytes) -> bool:
    return len(data) >= 4 and data[1:4] == b"\x2a\x4d\x18" and data[0] >> 4 == 5
