"""Arrays of events, split before anything in them is believed."""

import tracemalloc

import msgspec
import pytest

from helios.ingest import incoming
from helios.kernel import errors, limits

MIB = 1 << 20


@pytest.mark.parametrize("item", [b"{}", b"[]", b"1", b'""', b'{"a":[1,{"b":2}]}'])
def test_an_array_of_millions_is_refused_without_being_made(item: bytes) -> None:
    body = b"[" + (item + b",") * (limits.BODY_BYTES_MAX // (len(item) + 1) - 2) + item + b"]"
    tracemalloc.start()
    try:
        with pytest.raises(errors.TooLargeError, match="split it"):
            incoming.split_array(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50 * MIB


@pytest.mark.parametrize(
    "item",
    [
        b'{"a":[%s1]}' % (b"1," * 700_000),
        b'{"a":"%s"}' % (b"," * 700_000),
        b'{"a":"%s"}' % (b'\\",' * 700_000),
    ],
    ids=["numbers", "text", "quotes"],
)
def test_few_items_of_many_commas_are_few(item: bytes) -> None:
    assert incoming.split_array(b"[%s, %s]" % (item, item)) == [item, item]


@pytest.mark.parametrize("end", [b"", b"\\", b'\\"'], ids=["text", "backslash", "quote"])
def test_a_string_of_commas_that_does_not_end_is_refused_soon(end: bytes) -> None:
    # Each quote within it must not be looked at as the beginning of another string.
    body = b'["' + b'\\",' * 700_000 + end
    with pytest.raises(errors.InvalidInputError):
        incoming.split_array(body)


def test_as_many_items_as_may_be_are_taken_however_large_they_are() -> None:
    item = msgspec.json.encode({"a": [1] * 150})
    body = b"[" + b",".join([item] * limits.BATCH_EVENTS_MAX) + b"]"
    assert len(incoming.split_array(body)) == limits.BATCH_EVENTS_MAX
