"""Reads the view of stacks for many of them at once; one by one, see `reading`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from helios.projections import ports
from helios.reconcile.compositions import events, model, reading, view

Name: TypeAlias = tuple[str, str]
"""Client and stack."""

KINDS: Mapping[str, tuple[str, Any]] = {
    "drifts": ("drift_id", model.Drift),
    "plans": ("plan_id", model.Plan),
    "approvals": ("approval_id", model.Approval),
    "heals": ("action_id", model.Heal),
    "runs": ("reconciliation_id", events.Completed),
}
"""Column of the id and type of the records, by table."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A record of a list and its place there; `position` is of the event that last changed it.

    Attributes:
        id: of the record; with `position` its place.
        note: of a plan why it is void, of an approval its status, of a drift its state; as the
            table has it, where the record may be older.
        closed_at: of a drift that was closed without an event of its own.
    """

    client_id: str
    stack_id: str
    position: int
    id: str
    record: Any
    note: str = ""
    closed_at: int = 0


_NOTES = {"plans": "voided", "approvals": "status", "drifts": "state"}


async def known(store: ports.ViewStore, names: Sequence[Name]) -> dict[Name, reading.Known]:
    """Stacks by name, also removed ones; those that were never declared are left out."""
    found = await store.query(
        view.NAME,
        f"{reading.KNOWN}WHERE {_any(len(names), 's.')}",
        tuple(part for name in names for part in name),
    )
    read = [reading.known_of(row) for row in found]
    return {(each.state.client_id, each.state.stack_id): each for each in read}


async def known_after(
    store: ports.ViewStore, clients: Sequence[str] | None, after: Name, limit: int
) -> list[tuple[Name, reading.Known]]:
    """Declared stacks of some clients, or of all, in order of client and name, after one."""
    of = "1 = 1" if clients is None else f"s.tenant IN ({', '.join('?' * len(clients)) or 'NULL'})"
    found = await store.query(
        view.NAME,
        f"{reading.KNOWN}WHERE {of} AND (s.tenant > ? OR (s.tenant = ? AND s.stack > ?)) "
        "AND s.removed = 0 ORDER BY s.tenant, s.stack LIMIT ?",
        (*(clients or ()), after[0], *after, limit),
    )
    read = [reading.known_of(row) for row in found]
    return [((each.state.client_id, each.state.stack_id), each) for each in read]


async def by_id(store: ports.ViewStore, table: str, client_id: str, name: str) -> Found | None:
    """A record of a client by its id."""
    rows = await store.query(
        view.NAME,
        f"SELECT {_columns(table)} FROM {{t}}{table} WHERE tenant = ? AND {_id(table)} = ? "
        "ORDER BY position DESC LIMIT 1",
        (client_id, name),
    )
    return _found(table, rows[0]) if rows else None


async def entries(
    store: ports.ViewStore,
    table: str,
    names: Sequence[Name],
    *,
    before: tuple[int, str] | None,
    states: Sequence[str] | None = None,
    limit: int,
) -> dict[Name, list[Found]]:
    """The newest records of each of some stacks, after a place.

    Args:
        store: where the views are.
        table: one of `KINDS`.
        names: of the stacks.
        before: position and id of the last record of the page before.
        states: of drifts: in these states only.
        limit: records of each stack.
    """
    where, params = _where(table, before, states)
    sql = (
        f"SELECT * FROM (SELECT {_columns(table)}, row_number() OVER (PARTITION BY tenant, stack "
        f"ORDER BY position DESC, {_id(table)}) AS place FROM {{t}}{table} WHERE "
        f"({_any(len(names))}) AND {where}) AS placed WHERE place <= ? "
        "ORDER BY tenant, stack, place"
    )
    named = [part for name in names for part in name]
    rows = await store.query(view.NAME, sql, (*named, *params, limit))
    found: dict[Name, list[Found]] = {name: [] for name in names}
    for row in rows:
        found[row[0], row[1]].append(_found(table, row))
    return found


async def of_clients(
    store: ports.ViewStore,
    table: str,
    clients: Sequence[str] | None,
    *,
    before: tuple[int, str] | None,
    states: Sequence[str] | None = None,
    limit: int,
) -> list[Found]:
    """The newest records of all stacks of some clients, or of all clients, after a place."""
    where, params = _where(table, before, states)
    of = "1 = 1" if clients is None else f"tenant IN ({', '.join('?' * len(clients)) or 'NULL'})"
    sql = (
        f"SELECT {_columns(table)} FROM {{t}}{table} WHERE {of} AND {where} "
        f"ORDER BY position DESC, {_id(table)} LIMIT ?"
    )
    rows = await store.query(view.NAME, sql, (*(clients or ()), *params, limit))
    return [_found(table, row) for row in rows]


async def plans(store: ports.ViewStore, names: Sequence[tuple[str, str]]) -> dict[Name, Found]:
    """Plans by client and id; unknown ones are left out."""
    marks = " OR ".join(["(tenant = ? AND plan_id = ?)"] * len(names)) or "1 = 0"
    rows = await store.query(
        view.NAME,
        f"SELECT {_columns('plans')} FROM {{t}}plans WHERE {marks}",
        tuple(part for name in names for part in name),
    )
    found = [_found("plans", row) for row in rows]
    return {(each.client_id, each.id): each for each in found}


def _any(count: int, prefix: str = "") -> str:
    one = f"({prefix}tenant = ? AND {prefix}stack = ?)"
    return " OR ".join([one] * count) or "1 = 0"


def _id(table: str) -> str:
    return KINDS[table][0]


def _columns(table: str) -> str:
    closed = "closed_at" if table == "drifts" else "0 AS closed_at"
    note = _NOTES.get(table, "''")
    return f"tenant, stack, position, {_id(table)} AS id, record, {note} AS note, {closed}"


def _where(
    table: str, before: tuple[int, str] | None, states: Sequence[str] | None
) -> tuple[str, list[Any]]:
    where, params = ["1 = 1"], []
    if before is not None:
        where.append(f"(position < ? OR (position = ? AND {_id(table)} > ?))")
        params += [before[0], *before]
    if states is not None:
        column = _NOTES[table]
        where.append(f"{column} IN ({', '.join('?' * len(states)) or 'NULL'})")
        params += states
    return " AND ".join(where), params


def _found(table: str, row: ports.Row) -> Found:
    record = msgspec.json.decode(row[4], type=KINDS[table][1])
    if table == "drifts":
        record = reading.drift_of(record, row[5], row[6])
    elif table == "approvals":
        record = msgspec.structs.replace(record, status=row[5])
    return Found(
        client_id=row[0],
        stack_id=row[1],
        position=row[2],
        id=row[3],
        record=record,
        note=row[5],
        closed_at=row[6],
    )
