"""Drifts of all stacks in one list, by a filter expression."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

import msgspec

from helios.api import facets, scoping
from helios.kernel import filtering, limits
from helios.projections import ports
from helios.reconcile.compositions import model, view

_PAGE = 500


Place: TypeAlias = tuple[int, str, str, str]
"""Position, client, stack and id of a drift: its place in the list."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A drift, whose it is, and the position of the event that last changed it."""

    client_id: str
    stack_id: str
    position: int
    drift: model.Drift


def _found(row: Sequence[Any]) -> Found:
    drift = msgspec.json.decode(row[4], type=model.Drift)
    if drift.state != row[5]:
        drift = msgspec.structs.replace(drift, state=row[5])
    return Found(client_id=row[0], stack_id=row[1], position=int(row[3]), drift=drift)


def fields(found: Found) -> facets.Row:
    """The fields that a filter may ask for; see `facets.TITLES["drifts"]`."""
    drift = found.drift
    return {
        "severity": drift.severity,
        "state": drift.state,
        "type": drift.type,
        "cause": drift.cause,
        "component": drift.component,
        "stack": found.stack_id,
        "client": found.client_id,
        "provider": drift.provider or None,
    }


async def drifts(
    store: ports.ViewStore,
    tenants: scoping.Tenants,
    expression: filtering.Expression,
    *,
    closed: bool = False,
    after: Place | None = None,
) -> AsyncIterator[tuple[Found | None, Place]]:
    """Drifts that a filter holds of, newest first, each with its place in the list.

    None stands for one that it does not hold of, so that who reads can end between any two.

    Args:
        store: where the views are.
        tenants: whose.
        expression: over the fields of `facets.TITLES["drifts"]`.
        closed: those that are over too.
        after: go on behind this place.
    """
    of, params = scoping.clause("tenant", tenants)
    open_only = "" if closed else " AND closed_at = 0"
    while True:
        behind, given = "", []
        if after is not None:
            behind, given = " AND (position, tenant, stack, drift_id) < (?, ?, ?, ?)", list(after)
        rows = await store.query(
            view.NAME,
            "SELECT tenant, stack, drift_id, position, record, state FROM {t}drifts "
            f"WHERE {of}{open_only}{behind} "
            "ORDER BY position DESC, tenant DESC, stack DESC, drift_id DESC LIMIT ?",
            (*params, *given, _PAGE),
        )
        for row in rows:
            made = _found(row)
            after = (made.position, made.client_id, made.stack_id, made.drift.drift_id)
            wanted = filtering.holds(expression, facets.look(fields(made)))
            yield (made if wanted else None), after
        if len(rows) < _PAGE:
            return


async def chosen(
    store: ports.ViewStore, tenants: scoping.Tenants, expression: filtering.Expression
) -> list[Found]:
    """The open drifts of a filter, newest first, at most `limits.DRIFTS_CHOSEN_MAX`."""
    made: list[Found] = []
    async for found, _ in drifts(store, tenants, expression):
        if found is not None:
            made.append(found)
        if len(made) >= limits.DRIFTS_CHOSEN_MAX:
            break
    return made
