"""Reads the view of stacks."""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, limits
from helios.projections import ports
from helios.reconcile.compositions import (
    composition,
    events,
    guard_events,
    guards,
    model,
    policy,
    stack,
    view,
)

T = TypeVar("T")


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A stack with all that a pass over it needs.

    Attributes:
        declared: None: this version of Helios cannot read the declaration.
        policy: the defaults where none was declared; None: it cannot be read.
        last_verified: when it was last looked at as a whole; None: never.
    """

    state: stack.Stack
    declared: composition.Composition | None
    policy: policy.Policy | None
    last_verified: clocks.Timestamp | None


class _Interval(msgspec.Struct, frozen=True):
    interval: int = policy.DEFAULT.interval


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A stack in a list."""

    client_id: str
    stack_id: str
    environment: str
    generation: int
    version: str
    status: model.StackStatus
    drifts: int
    expected_hash: str
    observed_hash: str
    last_verified: clocks.Timestamp | None
    updated_at: clocks.Timestamp


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A record of a list with where it is: `position` is of the event that last changed it."""

    stack_id: str
    position: int
    record: Any


KNOWN = (
    "SELECT s.state, t.declared, coalesce(p.text, ''), coalesce(p.declared, ''), s.last_verified "
    "FROM {t}stacks s "
    "LEFT JOIN {t}texts t ON t.tenant = s.tenant AND t.stack = s.stack "
    "AND t.generation = s.generation "
    "LEFT JOIN {t}policies p ON p.tenant = s.tenant AND p.stack = s.stack "
)
_LISTED = (
    "tenant, stack, environment, generation, version, status, drifts, expected_hash, "
    "observed_hash, last_verified, updated_at"
)


async def known(store: ports.ViewStore, client_id: str, stack_id: str) -> Known | None:
    """A stack, also a removed one; None: it was never declared."""
    sql = KNOWN + "WHERE s.tenant = ? AND s.stack = ?"
    found = await store.query(view.NAME, sql, (client_id, stack_id))
    return known_of(found[0]) if found else None


async def known_after(
    store: ports.ViewStore, after: tuple[str, str], limit: int
) -> list[tuple[tuple[str, str], Known]]:
    """Declared stacks in order of client and stack, after one of them; for a walk over all."""
    sql = (
        KNOWN + "WHERE (s.tenant > ? OR (s.tenant = ? AND s.stack > ?)) AND s.removed = 0 "
        "ORDER BY s.tenant, s.stack LIMIT ?"
    )
    tenant, name = after
    found = await store.query(view.NAME, sql, (tenant, tenant, name, limit))
    read = [known_of(row) for row in found]
    return [((each.state.client_id, each.state.stack_id), each) for each in read]


async def schedule(
    store: ports.ViewStore, after: tuple[str, str] = ("", ""), limit: int = 1_000
) -> list[tuple[str, str, int]]:
    """Client, name and interval (microseconds) of declared stacks, in order; for a walk over all.

    A stack whose policy cannot be read has the interval of the defaults.
    """
    sql = (
        "SELECT s.tenant, s.stack, coalesce(p.declared, '') FROM {t}stacks s "
        "LEFT JOIN {t}policies p ON p.tenant = s.tenant AND p.stack = s.stack "
        "WHERE (s.tenant > ? OR (s.tenant = ? AND s.stack > ?)) AND s.removed = 0 "
        "ORDER BY s.tenant, s.stack LIMIT ?"
    )
    tenant, name = after
    rows = await store.query(view.NAME, sql, (tenant, tenant, name, limit))
    return [
        (
            row[0],
            row[1],
            msgspec.json.decode(row[2], type=_Interval).interval
            if row[2]
            else policy.DEFAULT.interval,
        )
        for row in rows
    ]


async def drifted_since(
    store: ports.ViewStore, since: clocks.Timestamp
) -> list[tuple[str, str, model.Drift]]:
    """Client, stack and drift of all that has drifted since then, whatever became of it.

    What is ignored is left out, and what was only suspected and has gone.
    """
    sql = (
        "SELECT tenant, stack, record FROM {t}drifts WHERE (confirmed_at >= ? OR "
        "(confirmed_at = 0 AND closed_at = 0 AND detected_at >= ?)) AND state <> 'ignored' "
        "ORDER BY position, drift_id"
    )
    rows = await store.query(view.NAME, sql, (since, since))
    return [(row[0], row[1], msgspec.json.decode(row[2], type=model.Drift)) for row in rows]


async def counts(store: ports.ViewStore) -> dict[str, int]:
    """How many stacks each client has declared."""
    sql = "SELECT tenant, count(*) FROM {t}stacks WHERE removed = 0 GROUP BY tenant ORDER BY tenant"
    return {row[0]: int(row[1]) for row in await store.query(view.NAME, sql)}


async def stack_of(store: ports.ViewStore, client_id: str, stack_id: str) -> Known:
    """A declared stack. Raises NotFoundError when there is none of that name."""
    found = await known(store, client_id, stack_id)
    if found is None or not found.state.is_declared:
        raise errors.NotFoundError(
            f"client {client_id[:80]} has no stack {stack_id[:80]}: declare it with `helios apply`"
        )
    return found


async def stacks(
    store: ports.ViewStore,
    client_id: str | None = None,
    *,
    environment: str | None = None,
    status: str | None = None,
    drifted: bool | None = None,
    after: tuple[str, str] = ("", ""),
    limit: int = 100,
) -> list[Listed]:
    """Declared stacks by client and name; `after` is the last one of the page before."""
    where, params = ["removed = 0"], []
    for column, value in (("tenant", client_id), ("environment", environment), ("status", status)):
        if value is not None:
            where.append(f"{column} = ?")
            params.append(value)
    if drifted is not None:
        where.append(f"expected_hash {'<>' if drifted else '='} observed_hash")
    where.append("(tenant > ? OR (tenant = ? AND stack > ?))")
    tenant, name = after
    sql = (
        f"SELECT {_LISTED} FROM {{t}}stacks WHERE {' AND '.join(where)} "
        "ORDER BY tenant, stack LIMIT ?"
    )
    rows = await store.query(view.NAME, sql, (*params, tenant, tenant, name, _bound(limit)))
    return [_listed(row) for row in rows]


async def drifted(store: ports.ViewStore) -> list[tuple[str, str]]:
    """Client and name of each stack whose hashes differ, from an index alone."""
    sql = (
        "SELECT tenant, stack FROM {t}stacks "
        "WHERE expected_hash <> observed_hash AND removed = 0 ORDER BY tenant, stack"
    )
    return [(row[0], row[1]) for row in await store.query(view.NAME, sql)]


async def text(store: ports.ViewStore, client_id: str, stack_id: str, generation: int) -> str:
    """A declaration as it was written. Raises NotFoundError when it is not known."""
    sql = "SELECT text FROM {t}texts WHERE tenant = ? AND stack = ? AND generation = ?"
    rows = await store.query(view.NAME, sql, (client_id, stack_id, generation))
    if not rows:
        raise errors.NotFoundError(f"stack {stack_id[:80]} has no generation {generation}")
    return str(rows[0][0])


async def policy_text(store: ports.ViewStore, client_id: str, stack_id: str) -> str:
    """The declared policy as it was written; empty: none was."""
    sql = "SELECT text FROM {t}policies WHERE tenant = ? AND stack = ?"
    rows = await store.query(view.NAME, sql, (client_id, stack_id))
    return str(rows[0][0]) if rows else ""


async def drifts(
    store: ports.ViewStore,
    client_id: str,
    stack_id: str | None = None,
    *,
    states: Sequence[str] | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Drifts, newest first, open and closed ones; records are `model.Drift`."""
    where, params = _of(client_id, stack_id, before)
    if states is not None:
        where.append(f"state IN ({', '.join('?' * len(states))})")
        params += states
    sql = (
        "SELECT stack, position, record, state, closed_at FROM {t}drifts "
        f"WHERE {' AND '.join(where)} ORDER BY position DESC, drift_id LIMIT ?"
    )
    rows = await store.query(view.NAME, sql, (*params, _bound(limit)))
    return [
        Entry(stack_id=row[0], position=row[1], record=_drift(row[2], row[3], row[4]))
        for row in rows
    ]


async def drift(
    store: ports.ViewStore, client_id: str, stack_id: str, drift_id: str
) -> list[model.Drift]:
    """All occurrences of a drift, newest first. Raises NotFoundError when there is none."""
    sql = (
        "SELECT record, state, closed_at FROM {t}drifts "
        "WHERE tenant = ? AND stack = ? AND drift_id = ? "
        "ORDER BY occurrence DESC"
    )
    rows = await store.query(view.NAME, sql, (client_id, stack_id, drift_id))
    if not rows:
        raise errors.NotFoundError(f"stack {stack_id[:80]} has no drift {drift_id[:80]}")
    return [_drift(row[0], row[1], row[2]) for row in rows]


async def plans(
    store: ports.ViewStore,
    client_id: str,
    stack_id: str | None = None,
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Plans, newest first; records are `model.Plan`."""
    where, params = _of(client_id, stack_id, before)
    return await _entries(store, "plans", model.Plan, (where, params), limit)


async def plan(store: ports.ViewStore, client_id: str, plan_id: str) -> tuple[model.Plan, str, str]:
    """A plan, why it is void (empty: it is not), and its stack. Raises NotFoundError."""
    sql = "SELECT record, voided, stack FROM {t}plans WHERE tenant = ? AND plan_id = ?"
    rows = await store.query(view.NAME, sql, (client_id, plan_id))
    if not rows:
        raise errors.NotFoundError(f"client {client_id[:80]} has no plan {plan_id[:80]}")
    return msgspec.json.decode(rows[0][0], type=model.Plan), rows[0][1], rows[0][2]


async def approvals(
    store: ports.ViewStore,
    client_id: str | None = None,
    *,
    status: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Approvals, newest first; records are `model.Approval`, whose `shown` names the client."""
    where, params = _of(client_id, None, before)
    if status is not None:
        where.append("status = ?")
        params.append(status)
    return await _entries(store, "approvals", model.Approval, (where, params), limit)


async def approval(
    store: ports.ViewStore, client_id: str | None, approval_id: str
) -> tuple[model.Approval, str]:
    """An approval, of any client for None, and its stack. Raises NotFoundError."""
    sql = "SELECT record, status, stack FROM {t}approvals WHERE approval_id = ?"
    params: tuple[str, ...] = (approval_id,)
    if client_id is not None:
        sql, params = f"{sql} AND tenant = ?", (approval_id, client_id)
    rows = await store.query(view.NAME, sql, params)
    if not rows:
        raise errors.NotFoundError.of(client_id, "an approval", approval_id)
    found = msgspec.json.decode(rows[0][0], type=model.Approval)
    return msgspec.structs.replace(found, status=rows[0][1]), rows[0][2]


async def heals(
    store: ports.ViewStore,
    client_id: str | None = None,
    stack_id: str | None = None,
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Actions that were begun, newest first; records are `model.Heal`."""
    where, params = _of(client_id, stack_id, before)
    return await _entries(store, "heals", model.Heal, (where, params), limit)


async def reconciliations(
    store: ports.ViewStore,
    client_id: str,
    stack_id: str | None = None,
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Passes that were asked for or changed something, newest first: `events.Completed`."""
    where, params = _of(client_id, stack_id, before)
    return await _entries(store, "runs", events.Completed, (where, params), limit)


async def reconciliation(
    store: ports.ViewStore, client_id: str, reconciliation_id: str
) -> events.Completed | None:
    """One of them; None: it has not ended, or there is none."""
    sql = "SELECT record FROM {t}runs WHERE tenant = ? AND reconciliation_id = ?"
    rows = await store.query(view.NAME, sql, (client_id, reconciliation_id))
    return msgspec.json.decode(rows[0][0], type=events.Completed) if rows else None


async def guards_of(store: ports.ViewStore, client_id: str) -> guards.Guards:
    """The guards of a client, joined with those that hold for all."""
    sql = "SELECT tenant, state FROM {t}guards WHERE tenant IN (?, ?)"
    rows = await store.query(view.NAME, sql, (client_id, guard_events.SYSTEM_TENANT))
    found = {row[0]: msgspec.json.decode(row[1], type=guards.Guards) for row in rows}
    nothing = guards.Guards()
    own = found.get(client_id, nothing)
    return guards.joined(own, found.get(guard_events.SYSTEM_TENANT, nothing))


async def all_guards(store: ports.ViewStore) -> dict[str, guards.Guards]:
    """The guards of every client that has any, and of `guard_events.SYSTEM_TENANT`."""
    rows = await store.query(view.NAME, "SELECT tenant, state FROM {t}guards ORDER BY tenant")
    return {row[0]: msgspec.json.decode(row[1], type=guards.Guards) for row in rows}


def _drift(record: str, state: Any, closed_at: int) -> model.Drift:
    return drift_of(msgspec.json.decode(record, type=model.Drift), state, closed_at)


def drift_of(found: model.Drift, state: Any, closed_at: int) -> model.Drift:
    """A drift as it is; one of a stack that is gone was closed without an event of its own."""
    if closed_at and found.is_open:
        at = clocks.Timestamp(closed_at)
        return msgspec.structs.replace(found, state=state, closed_at=at)
    return found


def _of(
    client_id: str | None, stack_id: str | None, before: int | None
) -> tuple[list[str], list[Any]]:
    where = ["1 = 1"]
    params: list[Any] = []
    for column, value in (("tenant = ?", client_id), ("stack = ?", stack_id)):
        if value is not None:
            where.append(column)
            params.append(value)
    if before is not None:
        where.append("position < ?")
        params.append(before)
    return where, params


async def _entries(
    store: ports.ViewStore,
    table: str,
    kind: type[T],
    asked: tuple[Sequence[str], Sequence[Any]],
    limit: int,
) -> list[Entry]:
    where, params = asked
    sql = (
        f"SELECT stack, position, record FROM {{t}}{table} WHERE {' AND '.join(where)} "
        "ORDER BY position DESC LIMIT ?"
    )
    rows = await store.query(view.NAME, sql, (*params, _bound(limit)))
    return [
        Entry(stack_id=row[0], position=row[1], record=msgspec.json.decode(row[2], type=kind))
        for row in rows
    ]


def _bound(limit: int) -> int:
    return max(1, min(limit, limits.PAGE_EVENTS_MAX))


def known_of(row: ports.Row) -> Known:
    """The stack of a row of `KNOWN`."""
    state = msgspec.json.decode(row[0], type=stack.Stack)
    declared = None
    if row[1]:
        declared = msgspec.json.decode(row[1], type=composition.Composition)
    rules: policy.Policy | None = None
    if not row[2]:
        rules = policy.DEFAULT
    elif row[3]:
        rules = msgspec.json.decode(row[3], type=policy.Policy)
    return Known(state=state, declared=declared, policy=rules, last_verified=row[4] or None)


def _listed(row: ports.Row) -> Listed:
    return Listed(
        client_id=row[0],
        stack_id=row[1],
        environment=row[2],
        generation=row[3],
        version=row[4],
        status=row[5],
        drifts=row[6],
        expected_hash=row[7],
        observed_hash=row[8],
        last_verified=row[9] or None,
        updated_at=row[10],
    )
