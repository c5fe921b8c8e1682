"""Whose data what is being done may touch; the one place in which tenants are kept apart.

A context variable, as `tracing` has it: the gate sets it for each request, and the log and the
views ask it at each call, whoever calls them and however deep below. What runs on behalf of nobody
(projections, reconcilers, a command over a data folder) has no scope set and sees everything.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import msgspec

from helios.kernel import errors


class Scope(msgspec.Struct, frozen=True):
    """Some tenants, or all of them.

    Attributes:
        tenants: the only ones that may be touched; None: every one.
    """

    tenants: frozenset[str] | None = None

    def allows(self, tenant: str) -> bool:
        """Whether data of a tenant may be touched."""
        return self.tenants is None or tenant in self.tenants


EVERYTHING = Scope()
NOTHING = Scope(frozenset())

_current: contextvars.ContextVar[Scope] = contextvars.ContextVar("tenancy", default=EVERYTHING)


def current() -> Scope:
    """The scope of what is being done."""
    return _current.get()


def require(tenant: str) -> None:
    """Refuse what touches a tenant out of scope.

    Raises:
        ForbiddenError: it does.
    """
    if not _current.get().allows(tenant):
        raise errors.ForbiddenError(f"no access to client {tenant[:80]!r}")


@contextlib.contextmanager
def within(scope: Scope) -> Iterator[None]:
    """Let what the block does, and tasks that it starts, touch these tenants only."""
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)
