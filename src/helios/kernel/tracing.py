"""Trace context that goes along with what is being done (W3C Trace Context, level 1).

A context variable, so that what happens deep below a request can pass the trace on without every
function in between knowing of it. https://www.w3.org/TR/trace-context/
"""

import contextlib
import contextvars
import hashlib
import re
from collections.abc import Callable, Iterator

import msgspec

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_NEWEST = "ff"


class Trace(msgspec.Struct, frozen=True):
    """Where in a trace we are: 32 and 16 lower-case hex digits, and the sampled flag."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


_current: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("trace", default=None)


def parse(traceparent: str) -> Trace | None:
    """Read the header; None when it is not one, because a bad one is to be ignored."""
    match = _FORM.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == _NEWEST or (version == "00" and more):
        return None
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & 1))


def current() -> Trace | None:
    """The trace of what is being done, if any."""
    return _current.get()


@contextlib.contextmanager
def within(trace: Trace | None) -> Iterator[None]:
    """Let what the block does belong to a trace."""
    token = _current.set(trace)
    try:
        yield
    finally:
        _current.reset(token)


def named(name: str) -> Trace:
    """The trace that begins at something of this name; the same wherever it is asked for.

    So what came without a trace has one all the same, and nobody has to write it down.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=24).hexdigest()
    return Trace(digest[:32], digest[32:])


def following(parent: Trace, name: str) -> Trace:
    """The span of something of this name, in the trace of what caused it."""
    return Trace(parent.trace_id, named(name).span_id, parent.sampled)


def child(bits: Callable[[int], int]) -> Trace:
    """A new span of the current trace, or of a new one; `bits(n)` gives n random bits."""
    span_id = f"{bits(64) or 1:016x}"
    parent = _current.get()
    if parent is None:
        return Trace(f"{bits(128) or 1:032x}", span_id)
    return Trace(parent.trace_id, span_id, parent.sampled)
