"""JSON Lines and JSON arrays: every line once, with its number, wherever a block ends."""

import io
import json
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helios.drivers.files import json_array, json_lines, unpack
from helios.kernel import errors, limits
from helios.reconcile.streams import lines as feeds

Read = list[tuple[int, bytes]]


def source(name: str = "in.jsonl") -> unpack.Source:
    return unpack.Source(name, io.BytesIO())


def blocks_of(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """The data in blocks that end at arbitrary places."""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return (data[a:b] for a, b in pairwise(edges))


def read_lines(data: bytes, cuts: list[int]) -> Read:
    got: Read = []
    for part in json_lines.read(source(), blocks_of(data, cuts), leg=None):
        assert isinstance(part, feeds.Chunk)
        got += [pair for pair in zip(part.numbers, part.lines, strict=True) if pair[1]]
    return got


line_bytes = st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"").rstrip(b"\r"))
ends = st.sampled_from([b"\n", b"\r\n"])
any_cuts = st.lists(st.integers(0, 10_000), max_size=12)


@given(
    given_lines=st.lists(st.tuples(line_bytes, ends), max_size=40),
    cuts=any_cuts,
    last_end=st.booleans(),
)
@example(given_lines=[(b"a", b"\r\n"), (b"b", b"\r\n")], cuts=[2], last_end=True)
def test_every_line_comes_once_with_its_number(
    given_lines: list[tuple[bytes, bytes]], cuts: list[int], *, last_end: bool
) -> None:
    data = b"".join(line + end for line, end in given_lines)
    if given_lines and not last_end:
        data = data[: -len(given_lines[-1][1])]
    expected = [(n, line) for n, (line, _) in enumerate(given_lines, 1) if line]
    assert read_lines(data, cuts) == expected


@given(st.text(max_size=30), any_cuts)
@example("a\u2028b\u2029c\x85d\x0be\x0cf\x1cg", [])
def test_only_a_line_feed_ends_a_line(text: str, cuts: list[int]) -> None:
    document = json.dumps({"text": text}, ensure_ascii=False).encode()
    assert read_lines(document + b"\n" + document, cuts) == [(1, document), (2, document)]


def test_chunks_have_about_a_thousand_lines_whatever_their_length() -> None:
    for width in (10, 1000):
        data = (b"x" * width + b"\n") * 20_000
        blocks = (data[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20))
        chunks = list(json_lines.read(source(), blocks, leg="order"))
        assert all(isinstance(chunk, feeds.Chunk) and chunk.leg == "order" for chunk in chunks)
        sizes = [len(chunk.lines) for chunk in chunks[:-1] if isinstance(chunk, feeds.Chunk)]
        assert max(sizes) < 2000
        assert sum(sizes) / len(sizes) > 800


@given(st.lists(st.integers(0, 40), max_size=30), any_cuts)
def test_a_line_beyond_the_limit_is_passed_over_and_named(
    lengths: list[int], cuts: list[int]
) -> None:
    data = b"".join(b"x" * length + b"\n" for length in lengths)
    good: list[tuple[int, int]] = []
    long: list[int] = []
    for part in json_lines.Cutter(bytes_max=20).cut(blocks_of(data, cuts)):
        if isinstance(part, json_lines.LongLine):
            long.append(part.number)
        else:
            good += [(part.first + i, len(line)) for i, line in enumerate(part.lines)]
    numbered = list(enumerate(lengths, 1))
    assert good == [(n, length) for n, length in numbered if length <= 20]
    assert long == [n for n, length in numbered if length > 20]


def test_a_line_of_100_megabytes_takes_bounded_memory() -> None:
    def blocks() -> Iterator[bytes]:
        yield b'{"n":1}\n{"n":"'
        for _ in range(100):
            yield b"y" * (1 << 20)
        yield b'"}\n{"n":3}\n'

    tracemalloc.start()
    try:
        parts = list(json_lines.read(source(), blocks(), leg=None))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    first, long, last = parts
    assert isinstance(first, feeds.Chunk)
    assert isinstance(last, feeds.Chunk)
    assert isinstance(long, feeds.Reject)
    assert (list(first.numbers), long.line, list(last.numbers)) == ([1], 2, [3])
    assert (long.code, len(long.raw)) == ("line_too_long", feeds.RAW_BYTES_MAX)
    assert long.raw.startswith(b'{"n":"yyy')
    assert peak < 2 * limits.LINE_BYTES_MAX


# --- arrays


def read_array(data: bytes, cuts: list[int], *, bytes_max: int = 1 << 20) -> Read:
    got: Read = []
    blocks = blocks_of(data, cuts)
    for part in json_array.read(source("in.json"), blocks, leg=None, bytes_max=bytes_max):
        got += zip(part.numbers, part.lines, strict=True)
    return got


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(
    values=st.lists(documents, max_size=12),
    cuts=any_cuts,
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
)
def test_the_elements_of_an_array_come_once_and_whole(
    values: list[object], cuts: list[int], indent: int | None, *, ascii_only: bool
) -> None:
    text = "\n " + json.dumps(values, indent=indent, ensure_ascii=ascii_only) + "\n"
    got = read_array(text.encode(), cuts)
    assert [json.loads(line) for _, line in got] == values
    assert all(b"\n" not in line for _, line in got)
    lines = text.split("\n")
    for number, line in got:
        # The element begins on the line that is told for it.
        assert line.decode()[:1] in lines[number - 1]


def test_an_element_is_named_by_the_line_on_which_it_begins() -> None:
    data = b'\n[\n {"a": 1,\n  "b": 2},\n\n {"a": 2}, {"a": 3}\n]\n'
    assert [n for n, _ in read_array(data, [])] == [3, 6, 6]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'[{"a":1},\n{"a":', "2: the array is not closed"),
        (b'[{"a":1}]\n{"a":2}', "2: something stands after"),
        (b'[{"a":1}]\nx', "2: something stands after"),
        (b'[{"a":1},\n,{"a":2}]', "2: an element is missing"),
        (b'[{"a":"x\n"}]', "1: a string is not closed"),
        (b'[{"a":"' + b"x" * 200 + b'"}]', "longer than 100 bytes"),
    ],
)
def test_a_broken_array_is_refused_by_line(data: bytes, message: str) -> None:
    for cuts in ([], [3, 9], list(range(len(data)))):
        with pytest.raises(errors.InvalidInputError, match=message):
            read_array(data, cuts, bytes_max=100)
