"""The view of settings: what was set, and every change there was."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from helios.configuration import events
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import folding, ports, scoping

NAME = "configuration"

_COLUMNS = (
    "position, tenant, name, kind, value, previous, was_set, reason, undoes, actor, sequence, at"
)
_CHANGE = f"INSERT INTO {{t}}changes ({_COLUMNS}) VALUES ({', '.join('?' * 12)})"
_CURRENT = (
    "INSERT INTO {t}current (tenant, name, position) VALUES (?, ?, ?) "
    "ON CONFLICT (tenant, name) DO UPDATE SET position = excluded.position"
)
_NOW = (
    f"SELECT {_COLUMNS} FROM {{t}}changes WHERE position IN "
    "(SELECT position FROM {t}currentWHICH) ORDER BY tenant, name"
)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a setting, as the log has it.

    Attributes:
        client_id: for whom; `helios`: for everybody.
        is_set: False: it was put back to its default.
        value: what was in force after it, and `previous` before it.
        was_set: whether it had been set in this scope before.
        sequence: of the setting in its scope: 1, 2, 3 …
        undoes: position of the change that it took back, or None.
    """

    position: envelope.Position
    client_id: str
    name: str
    is_set: bool
    value: Any
    previous: Any
    was_set: bool
    reason: str
    undoes: int | None
    actor: str
    sequence: int
    at: clocks.Timestamp


class _Said(msgspec.Struct):
    """What is read of a change: any value at all, for a newer Helios may set what we do not know,
    and the view must not stand still for it.
    """

    value: Any = None
    previous: Any = None
    was_set: bool = True
    reason: str = ""
    undoes: int | None = None


class Configuration:
    """The projection; see the module."""

    name = NAME
    version = 1
    where = events.WHERE
    tables: Sequence[str] = ("changes", "current")
    tenancy: Mapping[str, scoping.Tenancy] = {"changes": scoping.OWN, "current": scoping.OWN}
    keys: Mapping[str, Sequence[str]] = {"changes": ("position",), "current": ("tenant", "name")}
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}changes (position INTEGER NOT NULL PRIMARY KEY, "
            "tenant TEXT NOT NULL, name TEXT NOT NULL, kind INTEGER NOT NULL, "
            "value TEXT NOT NULL, previous TEXT NOT NULL, was_set INTEGER NOT NULL, "
            "reason TEXT NOT NULL, undoes INTEGER NOT NULL, actor TEXT NOT NULL, "
            "sequence INTEGER NOT NULL, at INTEGER NOT NULL)"
        ),
        (
            "CREATE TABLE {t}current (tenant TEXT NOT NULL, name TEXT NOT NULL, "
            "position INTEGER NOT NULL, PRIMARY KEY (tenant, name))"
        ),
    )
    indexes: Sequence[str] = ("CREATE INDEX {t}changes_of ON {t}changes (tenant, name, position)",)

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        return [write for event in events for write in _writes(change(event))]


VIEW = Configuration()


def change(event: envelope.Event) -> Change:
    """The change that an event tells."""
    said = folding.payload(event, _Said)
    return Change(
        position=event.position,
        # The envelope decides whose it is: the payload repeats it for people.
        client_id=event.tenant,
        name=event.aggregate_id,
        is_set=event.type == events.CHANGED,
        value=said.value,
        previous=said.previous,
        was_set=said.was_set,
        reason=said.reason,
        undoes=said.undoes,
        actor=event.actor,
        sequence=event.sequence,
        # Of this very moment is what was said with it, such as a kill switch.
        at=event.occurred_at,
    )


async def current(store: ports.ViewStore, tenants: Collection[str] | None = None) -> list[Change]:
    """The last change of each setting in each scope, of these tenants or of all."""
    if tenants is not None and not tenants:
        return []
    which = "" if tenants is None else f" WHERE tenant IN ({', '.join('?' * len(tenants))})"
    rows = await store.query(NAME, _NOW.replace("WHICH", which), tuple(tenants or ()))
    return [_row(row) for row in rows]


async def current_in(snapshot: ports.Snapshot) -> list[Change]:
    """The last change of each setting in each scope, as of a moment."""
    return [_row(row) for row in await snapshot.query(_NOW.replace("WHICH", ""))]


async def history(
    store: ports.ViewStore,
    client_id: str,
    name: str,
    *,
    before: int | None = None,
    limit: int = 100,
) -> list[Change]:
    """Changes of a setting in a scope, newest first; `before` is a position."""
    sql = (
        f"SELECT {_COLUMNS} FROM {{t}}changes WHERE tenant = ? AND name = ? AND position < ? "
        "ORDER BY position DESC LIMIT ?"
    )
    upto = 1 << 62 if before is None else before
    rows = await store.query(NAME, sql, (client_id, name, upto, limit))
    return [_row(row) for row in rows]


async def of_client(store: ports.ViewStore, client_id: str) -> list[Change]:
    """Every change of a client's settings, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM {{t}}changes WHERE tenant = ? ORDER BY position"
    return [_row(row) for row in await store.query(NAME, sql, (client_id,))]


async def at(store: ports.ViewStore, position: int) -> Change | None:
    """The change at a position."""
    sql = f"SELECT {_COLUMNS} FROM {{t}}changes WHERE position = ?"
    rows = await store.query(NAME, sql, (position,))
    return _row(rows[0]) if rows else None


def _writes(said: Change) -> list[ports.Write]:
    row = (
        said.position, said.client_id, said.name, int(said.is_set), _text(said.value),
        _text(said.previous), int(said.was_set), said.reason, said.undoes or 0, said.actor,
        said.sequence, said.at,
    )  # fmt: skip
    place = (said.client_id, said.name, said.position)
    return [ports.Write(_CHANGE, [row]), ports.Write(_CURRENT, [place])]


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _row(row: ports.Row) -> Change:
    return Change(
        position=envelope.Position(row[0]),
        client_id=row[1],
        name=row[2],
        is_set=bool(row[3]),
        value=msgspec.json.decode(row[4]),
        previous=msgspec.json.decode(row[5]),
        was_set=bool(row[6]),
        reason=row[7],
        undoes=row[8] or None,
        actor=row[9],
        sequence=row[10],
        at=clocks.Timestamp(row[11]),
    )
