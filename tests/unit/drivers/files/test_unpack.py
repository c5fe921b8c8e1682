"""Unpacking: every stream whole, or an error that names the file; never a block too much."""

import gzip
import io
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from helios.drivers.files import unpack
from helios.kernel import errors


class Dribble(io.BytesIO):
    """Gives a few bytes at a time, as a pipe may."""

    step = 7

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(self.step, size) if size and size > 0 else size)


def unpacked(data: bytes, *, dribble: bool = False) -> bytes:
    handle = Dribble(data) if dribble else io.BytesIO(data)
    return b"".join(unpack.unpacked(unpack.Source("a.bin", handle)))


def zstd(data: bytes, **options: bool) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(data)  # type: ignore[arg-type]


def zstd_streamed(data: bytes) -> bytes:
    """A frame that does not tell its size and has many blocks."""
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    parts = []
    for at in range(0, len(data), 50):
        parts.append(packer.compress(data[at : at + 50]))
        parts.append(packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    return b"".join([*parts, packer.flush()])


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd,
    "zstd streamed": zstd_streamed,
}
CONTENT = b"".join(b'{"n":%d}\n' % n for n in range(300))


@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4), dribble=st.booleans())
@pytest.mark.parametrize("packer", PACKERS)
def test_members_and_frames_one_after_another_are_one_content(
    packer: str, parts: list[bytes], *, dribble: bool
) -> None:
    data = b"".join(PACKERS[packer](part) for part in parts)
    assert unpacked(data, dribble=dribble) == b"".join(parts)


@pytest.mark.parametrize("packer", PACKERS)
def test_a_stream_cut_off_anywhere_is_refused(packer: str) -> None:
    data = PACKERS[packer](CONTENT)
    for size in {*range(8, len(data), max(1, len(data) // 60)), len(data) - 1}:
        with pytest.raises(errors.InvalidInputError, match=r"^a\.bin: .*(cut off|damaged)"):
            unpacked(data[:size])


@pytest.mark.parametrize("packer", PACKERS)
def test_a_flipped_bit_is_refused_or_harmless(packer: str) -> None:
    data = PACKERS[packer](CONTENT)
    refused = 0
    for at in range(4, len(data), max(1, len(data) // 60)):
        damaged = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        try:
            unpacked(damaged)
        except errors.InvalidInputError as error:
            refused += str(error).startswith("a.bin: ")
    assert refused > 5


@pytest.mark.parametrize("packer", PACKERS)
def test_what_follows_the_packed_data_is_refused(packer: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=r"a\.bin"):
        unpacked(PACKERS[packer](CONTENT) + b'{"n":301}\n')


def test_zeros_that_pad_a_gzip_file_are_harmless() -> None:
    assert unpacked(gzip.compress(b"a") + gzip.compress(b"b") + b"\0" * 512) == b"ab"


def test_skippable_frames_are_passed_over() -> None:
    skip = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert unpacked(skip + zstd(b"a") + skip + zstd(b"b") + skip) == b"ab"


@pytest.mark.parametrize("packer", ["gzip", "zstd"])
def test_a_bomb_takes_time_and_not_memory(packer: str) -> None:
    if packer == "gzip":
        packer_object = zlib.compressobj(9, wbits=31)
        parts = [packer_object.compress(bytes(1 << 20)) for _ in range(200)]
        data = b"".join([*parts, packer_object.flush()])
    else:
        data = zstd(bytes(200 << 20))
    assert len(data) < 1 << 18
    tracemalloc.start()
    try:
        size, longest = 0, 0
        for block in unpack.unpacked(unpack.Source("bomb", io.BytesIO(data))):
            size += len(block)
            longest = max(longest, len(block))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 200 << 20
    assert longest < 2 * unpack.BLOCK_BYTES
    assert peak < 16 << 20


@pytest.mark.parametrize(
    ("head", "what"), [(b"BZh91AY", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"PK\x03\x04", "ZIP")]
)
def test_other_packers_are_named_with_the_remedy(head: bytes, what: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=f"{what}.*unpack it first"):
        unpacked(head + bytes(100))


def test_plain_bytes_stay_as_they_are() -> None:
    assert unpacked(b"") == b""
    assert unpacked(b"x") == b"x"
    assert unpacked(CONTENT, dribble=True) == CONTENT
