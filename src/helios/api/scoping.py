"""Whose data a request reads: the client that it names, or all that its caller may see.

The log and the views ask the same scope again; this keeps what is counted in memory, what is cached
and what spans several reads within it too.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from helios.kernel import tenancy

Tenants: TypeAlias = tuple[str, ...] | None
"""Sorted names; None: all there are."""

SHARED = "helios"
"""Tenant of what holds for all clients, such as a kill switch; everybody may know of it."""


def tenants(client_id: str | None) -> Tenants:
    """Whose data is asked for.

    Args:
        client_id: the client that is named; None: all that may be read.

    Raises:
        ForbiddenError: that client is out of scope.
    """
    if client_id is not None:
        tenancy.require(client_id)
        return (client_id,)
    allowed = tenancy.current().tenants
    return None if allowed is None else tuple(sorted(allowed))


def clause(column: str, asked: Tenants) -> tuple[str, list[Any]]:
    """A condition of a query, with its parameters."""
    if asked is None:
        return "1 = 1", []
    return f"{column} IN ({marks(asked) or 'NULL'})", list(asked)


def marks(values: Sequence[Any]) -> str:
    """Placeholders for so many values."""
    return ", ".join("?" * len(values))


def holds(asked: Tenants, tenant: str) -> bool:
    """Whether something of a tenant is asked for."""
    return asked is None or tenant in asked
