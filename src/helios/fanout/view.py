"""Subscribers, and the deliveries that were set aside, as the log tells of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.fanout import events
from helios.kernel import clock as clocks
from helios.kernel import errors, limits
from helios.projections import folding, ports, scoping

NAME = "subscribers"
Status: TypeAlias = Literal["waiting", "abandoned"]

_ROW = (
    "tenant, name, version, position, sequence, yaml, hash, declared_at, removed_position, "
    "cursor, delivered, abandoned, disabled, note"
)
_DELIVERY = "tenant, name, position, attempt, next_at, status, detail, updated_at"
_DECLARE = (
    f"INSERT INTO {{t}}subscribers ({_ROW}) VALUES (?, ?, 1, ?, ?, ?, ?, ?, 0, ?, 0, 0, 0, '') "
    "ON CONFLICT (tenant, name) DO UPDATE SET version = {t}subscribers.version + 1, "
    "position = excluded.position, sequence = excluded.sequence, yaml = excluded.yaml, "
    "hash = excluded.hash, declared_at = excluded.declared_at, "
    "cursor = CASE WHEN {t}subscribers.removed_position > 0 THEN excluded.cursor "
    "ELSE {t}subscribers.cursor END, removed_position = 0, disabled = 0, note = ''"
)
_OF = "WHERE tenant = ? AND name = ?"
_REMOVE = f"UPDATE {{t}}subscribers SET removed_position = ?, sequence = ? {_OF}"
_DISABLE = f"UPDATE {{t}}subscribers SET disabled = 1, note = ?, sequence = ? {_OF}"
_ENABLE = (
    "UPDATE {t}subscribers SET disabled = 0, note = '', sequence = ?, "
    f"cursor = CASE WHEN ? = 1 THEN ? ELSE cursor END {_OF}"
)
_ADVANCE = (
    "UPDATE {t}subscribers SET cursor = CASE WHEN cursor < ? THEN ? ELSE cursor END, "
    f"delivered = delivered + ?, sequence = ? {_OF}"
)
_SET_ASIDE = (
    f"INSERT INTO {{t}}deliveries ({_DELIVERY}) VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?) "
    "ON CONFLICT (tenant, name, position) DO UPDATE SET attempt = excluded.attempt, "
    "next_at = excluded.next_at, status = 'waiting', detail = excluded.detail, "
    "updated_at = excluded.updated_at"
)
_SETTLE = f"DELETE FROM {{t}}deliveries {_OF} AND position = ?"
_ABANDON = (
    "UPDATE {t}deliveries SET status = 'abandoned', attempt = ?, detail = ?, updated_at = ? "
    f"{_OF} AND position = ?"
)
_COUNT = (
    "UPDATE {t}subscribers SET delivered = delivered + ?, abandoned = abandoned + ?, "
    f"sequence = ? {_OF}"
)
_SEEN = f"UPDATE {{t}}subscribers SET sequence = ? {_OF}"
_CLEAR = f"DELETE FROM {{t}}deliveries {_OF}"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One subscriber.

    Attributes:
        cursor: every event up to here arrived, or is set aside.
        delivered, abandoned: events, since it was first declared.
        disabled: it gets nothing until a person enables it; `note` says why.
    """

    client_id: str
    name: str
    version: int
    position: envelope.Position
    sequence: int
    yaml: str
    hash: str
    declared_at: clocks.Timestamp
    cursor: envelope.Position
    delivered: int
    abandoned: int
    disabled: bool
    note: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event that was set aside for a subscriber."""

    position: envelope.Position
    attempt: int
    next_at: clocks.Timestamp
    status: Status
    detail: str
    updated_at: clocks.Timestamp


class Subscribers:
    """The projection; see the module."""

    name = NAME
    version = 1
    where = envelope.Filter(
        sources=(events.SOURCE,), types=events.TYPES, aggregate_type=events.AGGREGATE_TYPE
    )
    tables: Sequence[str] = ("subscribers", "deliveries")
    tenancy: Mapping[str, scoping.Tenancy] = {"subscribers": scoping.OWN, "deliveries": scoping.OWN}
    keys: Mapping[str, Sequence[str]] = {
        "subscribers": ("tenant", "name"),
        "deliveries": ("tenant", "name", "position"),
    }
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}subscribers (tenant TEXT NOT NULL, name TEXT NOT NULL, "
            "version INTEGER NOT NULL, position INTEGER NOT NULL, sequence INTEGER NOT NULL, "
            "yaml TEXT NOT NULL, hash TEXT NOT NULL, declared_at INTEGER NOT NULL, "
            "removed_position INTEGER NOT NULL, cursor INTEGER NOT NULL, "
            "delivered INTEGER NOT NULL, abandoned INTEGER NOT NULL, disabled INTEGER NOT NULL, "
            "note TEXT NOT NULL, PRIMARY KEY (tenant, name))"
        ),
        (
            "CREATE TABLE {t}deliveries (tenant TEXT NOT NULL, name TEXT NOT NULL, "
            "position INTEGER NOT NULL, attempt INTEGER NOT NULL, next_at INTEGER NOT NULL, "
            "status TEXT NOT NULL, detail TEXT NOT NULL, updated_at INTEGER NOT NULL, "
            "PRIMARY KEY (tenant, name, position))"
        ),
    )
    indexes: Sequence[str] = ("CREATE INDEX {t}due ON {t}deliveries (tenant, name, next_at)",)

    def apply(self, found: Sequence[envelope.Event]) -> list[ports.Write]:
        return [write for event in found for write in _APPLY[event.type](event)]


VIEW = Subscribers()


async def every(store: ports.ViewStore, client_id: str | None = None) -> list[Row]:
    """The declared subscribers, of one client or of all, by client and name."""
    where = "removed_position = 0" if client_id is None else "removed_position = 0 AND tenant = ?"
    params = () if client_id is None else (client_id,)
    sql = f"SELECT {_ROW} FROM {{t}}subscribers WHERE {where} ORDER BY tenant, name"
    return [_row(row) for row in await store.query(NAME, sql, params)]


async def one(store: ports.ViewStore, client_id: str, name: str) -> Row:
    """One subscriber. Raises NotFoundError when it is not declared."""
    sql = f"SELECT {_ROW} FROM {{t}}subscribers {_OF} AND removed_position = 0"
    rows = await store.query(NAME, sql, (client_id, name))
    if not rows:
        raise errors.NotFoundError(f"client {client_id[:80]} has no subscriber {name[:80]}")
    return _row(rows[0])


async def set_aside(
    store: ports.ViewStore,
    client_id: str,
    name: str,
    *,
    due_at: clocks.Timestamp | None = None,
    limit: int = 100,
) -> list[Delivery]:
    """Events that were set aside for a subscriber; with `due_at` those to try by then."""
    columns = "position, attempt, next_at, status, detail, updated_at"
    where, order = _OF, "position"
    params: ports.Row = (client_id, name)
    if due_at is not None:
        where, order = f"{_OF} AND status = 'waiting' AND next_at <= ?", "next_at, position"
        params = (*params, due_at)
    bound = max(1, min(limit, limits.PAGE_EVENTS_MAX))
    sql = f"SELECT {columns} FROM {{t}}deliveries {where} ORDER BY {order} LIMIT ?"
    return [
        Delivery(
            position=row[0],
            attempt=row[1],
            next_at=row[2],
            status=row[3],
            detail=row[4],
            updated_at=row[5],
        )
        for row in await store.query(NAME, sql, (*params, bound))
    ]


async def next_due(store: ports.ViewStore, client_id: str, name: str) -> clocks.Timestamp | None:
    """When the next event that was set aside is tried again; None: there is none."""
    sql = f"SELECT min(next_at) FROM {{t}}deliveries {_OF} AND status = 'waiting'"
    ((found,),) = await store.query(NAME, sql, (client_id, name))
    return None if found is None else clocks.Timestamp(found)


def _declared(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Declared)
    cursor = 0 if said.start == "beginning" else event.position
    key = (event.tenant, said.name)
    place = (event.position, event.sequence)
    row = (*key, *place, said.yaml, said.hash, event.recorded_at, cursor)
    return [ports.Write(_DECLARE, [row])]


def _removed(event: envelope.Event) -> list[ports.Write]:
    key = _key(event)
    return [
        ports.Write(_REMOVE, [(event.position, event.sequence, *key)]),
        ports.Write(_CLEAR, [key]),
    ]


def _disabled(event: envelope.Event) -> list[ports.Write]:
    note = folding.payload(event, events.Noted).note
    return [ports.Write(_DISABLE, [(note, event.sequence, *_key(event))])]


def _enabled(event: envelope.Event) -> list[ports.Write]:
    skip = int(folding.payload(event, events.Noted).skip)
    return [ports.Write(_ENABLE, [(event.sequence, skip, event.position, *_key(event))])]


def _advanced(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Advanced)
    row = (said.position, said.position, said.delivered, event.sequence, *_key(event))
    return [ports.Write(_ADVANCE, [row])]


def _failed(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Failed)
    key = _key(event)
    row = (*key, said.position, said.attempt, said.next_at, said.detail, event.recorded_at)
    return [ports.Write(_SET_ASIDE, [row]), ports.Write(_SEEN, [(event.sequence, *key)])]


def _settled(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Settled)
    key = _key(event)
    abandoned = said.result == "abandoned"
    counted = (int(said.result == "delivered"), int(abandoned), event.sequence, *key)
    if abandoned:
        row = (said.attempt, said.detail, event.recorded_at, *key, said.position)
        return [ports.Write(_ABANDON, [row]), ports.Write(_COUNT, [counted])]
    return [ports.Write(_SETTLE, [(*key, said.position)]), ports.Write(_COUNT, [counted])]


_APPLY: Mapping[str, Callable[[envelope.Event], list[ports.Write]]] = {
    events.DECLARED: _declared,
    events.REMOVED: _removed,
    events.DISABLED: _disabled,
    events.ENABLED: _enabled,
    events.ADVANCED: _advanced,
    events.FAILED: _failed,
    events.SETTLED: _settled,
}


def _key(event: envelope.Event) -> tuple[str, str]:
    return (event.tenant, event.aggregate_id)


def _row(row: ports.Row) -> Row:
    values = dict(zip([name.strip() for name in _ROW.split(",")], row, strict=True))
    values["client_id"] = values.pop("tenant")
    values["disabled"] = bool(values["disabled"])
    del values["removed_position"]
    return Row(**values)
