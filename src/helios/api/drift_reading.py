"""Open drifts of all stacks, by a filter expression."""

from collections.abc import Sequence
from typing import Any

import msgspec

from helios.api import facets, scoping
from helios.kernel import filtering, limits
from helios.projections import ports
from helios.reconcile.compositions import model, view

_PAGE = 500


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


async def chosen(
    store: ports.ViewStore, tenants: scoping.Tenants, expression: filtering.Expression
) -> list[Found]:
    """The open drifts of a filter, newest first, at most `limits.DRIFTS_CHOSEN_MAX`."""
    of, params = scoping.clause("tenant", tenants)
    made: list[Found] = []
    behind, given = "", []
    while len(made) < limits.DRIFTS_CHOSEN_MAX:
        rows = await store.query(
            view.NAME,
            "SELECT tenant, stack, drift_id, position, record, state FROM {t}drifts "
            f"WHERE closed_at = 0 AND {of}{behind} "
            "ORDER BY position DESC, tenant DESC, stack DESC, drift_id DESC LIMIT ?",
            (*params, *given, _PAGE),
        )
        found = [_found(row) for row in rows]
        made += [each for each in found if filtering.holds(expression, facets.look(fields(each)))]
        if len(rows) < _PAGE:
            break
        behind = " AND (position, tenant, stack, drift_id) < (?, ?, ?, ?)"
        last = rows[-1]
        given = [last[3], last[0], last[1], last[2]]
    return made[: limits.DRIFTS_CHOSEN_MAX]
