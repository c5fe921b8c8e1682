"""On whose behalf something is done, as events name them; a context variable, as in `tracing`."""

import contextlib
import contextvars
from collections.abc import Iterator

ANONYMOUS = "user:anonymous"

_current: contextvars.ContextVar[str] = contextvars.ContextVar("actor", default=ANONYMOUS)


def current() -> str:
    """Who asked for what is being done."""
    return _current.get()


@contextlib.contextmanager
def within(actor: str) -> Iterator[None]:
    """Let what the block does be done by somebody."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)
