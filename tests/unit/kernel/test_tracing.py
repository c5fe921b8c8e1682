import random

import pytest

from helios.kernel import tracing


def test_a_trace_is_read_and_written_as_the_header_has_it() -> None:
    text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    trace = tracing.parse(text)

    assert trace is not None
    assert trace.traceparent == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    ],
)
def test_what_is_no_trace_is_ignored(text: str) -> None:
    assert tracing.parse(text) is None


def test_a_child_stays_in_its_trace_and_a_first_one_begins_its_own() -> None:
    bits = random.Random(1).getrandbits
    parent = tracing.Trace("a" * 32, "b" * 16, sampled=False)

    with tracing.within(parent):
        inner = tracing.child(bits)
    outer = tracing.child(bits)

    assert (inner.trace_id, inner.sampled) == ("a" * 32, False)
    assert inner.span_id != parent.span_id
    assert outer.trace_id != parent.trace_id
    assert tracing.current() is None
