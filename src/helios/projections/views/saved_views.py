"""Saved views of the console: filters that people keep, for themselves or for their client.

The fold is a plain upsert. A personal one belongs to who saved it; whose it is stands in the row,
and who reads gives it, so that nobody is shown another person's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding, ports, scoping

NAME = "saved_views"
SOURCE = "helios"
AGGREGATE_TYPE = "saved_view"
SAVED = "SavedViewSaved"
REMOVED = "SavedViewRemoved"
DEFAULT_CHOSEN = "SavedViewDefaultChosen"

LISTED_MAX = 500

_COLUMNS = (
    "tenant, id, owner, screen, title, filter, state, shared, version, position, sequence, "
    "saved_at, saved_by"
)
_SAVE = (
    f"INSERT INTO {{t}}views ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?) "
    "ON CONFLICT (tenant, id) DO UPDATE SET owner = excluded.owner, screen = excluded.screen, "
    "title = excluded.title, filter = excluded.filter, state = excluded.state, "
    "shared = excluded.shared, version = {t}views.version + 1, sequence = excluded.sequence, "
    "position = excluded.position, saved_at = excluded.saved_at, saved_by = excluded.saved_by"
)
_REMOVE = "DELETE FROM {t}views WHERE tenant = ? AND id = ?"
_FORGET = "DELETE FROM {t}defaults WHERE tenant = ? AND view_id = ?"
_CHOOSE = (
    "INSERT INTO {t}defaults (tenant, owner, screen, view_id) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (tenant, owner, screen) DO UPDATE SET view_id = excluded.view_id"
)
_UNCHOOSE = "DELETE FROM {t}defaults WHERE tenant = ? AND owner = ? AND screen = ?"


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SavedViewSaved`.

    Attributes:
        owner: actor whose it is; empty: all of the client.
        screen: of the console, such as `events`.
        filter: the expression.
        state: whatever else the page keeps: columns, sorting, time range.
    """

    id: str
    owner: str
    screen: str
    title: str
    filter: str
    state: dict[str, Any] = {}


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SavedViewRemoved`."""

    id: str


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SavedViewDefaultChosen`: what a screen begins with; empty: with nothing."""

    owner: str
    screen: str
    view_id: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A saved view.

    Attributes:
        sequence: of the last event of its aggregate.
        is_default: the screen begins with it, for who asked.
    """

    client_id: str
    id: str
    owner: str
    screen: str
    title: str
    filter: str
    state: dict[str, Any]
    shared: bool
    version: int
    position: int
    sequence: int
    saved_at: clocks.Timestamp
    saved_by: str
    is_default: bool


class SavedViews:
    """The projection; see the module."""

    name = NAME
    version = 1
    where = envelope.Filter(
        sources=(SOURCE,),
        types=(SAVED, REMOVED, DEFAULT_CHOSEN),
        aggregate_type=AGGREGATE_TYPE,
    )
    tables: Sequence[str] = ("views", "defaults")
    keys: Mapping[str, Sequence[str]] = {
        "views": ("tenant", "id"),
        "defaults": ("tenant", "owner", "screen"),
    }
    tenancy: Mapping[str, scoping.Tenancy] = {"views": scoping.OWN, "defaults": scoping.OWN}
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}views (tenant TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL, "
            "screen TEXT NOT NULL, title TEXT NOT NULL, filter TEXT NOT NULL, "
            "state TEXT NOT NULL, shared INTEGER NOT NULL, version INTEGER NOT NULL, "
            "position INTEGER NOT NULL, sequence INTEGER NOT NULL, saved_at INTEGER NOT NULL, "
            "saved_by TEXT NOT NULL, PRIMARY KEY (tenant, id))"
        ),
        (
            "CREATE TABLE {t}defaults (tenant TEXT NOT NULL, owner TEXT NOT NULL, "
            "screen TEXT NOT NULL, view_id TEXT NOT NULL, PRIMARY KEY (tenant, owner, screen))"
        ),
    )
    indexes: Sequence[str] = ()

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        return [write for event in events for write in _writes(event)]


VIEW = SavedViews()


async def listed(
    store: ports.ViewStore, client_id: str, owner: str, *, screen: str | None = None
) -> list[Row]:
    """What somebody may use: their own and the shared ones, by screen and title."""
    where, params = "", [owner, client_id, owner]
    if screen is not None:
        where, params = " AND v.screen = ?", [*params, screen]
    rows = await _select(store, f"v.tenant = ? AND v.owner IN ('', ?){where}", params)
    return [_row(row) for row in rows]


async def one(store: ports.ViewStore, client_id: str, owner: str, view_id: str) -> Row:
    """One of them.

    Raises:
        NotFoundError: there is none, or it is another person's.
    """
    rows = await _select(
        store,
        "v.tenant = ? AND v.owner IN ('', ?) AND v.id = ?",
        [owner, client_id, owner, view_id],
    )
    if not rows:
        raise errors.NotFoundError(f"client {client_id[:80]} has no saved view {view_id[:80]}")
    return _row(rows[0])


async def taken(store: ports.ViewStore, client_id: str, view_id: str) -> bool:
    """Whether there is one of this id, whoever's it is."""
    sql = "SELECT 1 FROM {t}views WHERE tenant = ? AND id = ?"
    return bool(await store.query(NAME, sql, (client_id, view_id)))


async def count(store: ports.ViewStore, client_id: str, owner: str) -> int:
    """How many there are of an owner; of the shared ones where that is empty."""
    sql = "SELECT count(*) FROM {t}views WHERE tenant = ? AND owner = ?"
    return int((await store.query(NAME, sql, (client_id, owner)))[0][0])


async def _select(store: ports.ViewStore, where: str, params: list[str]) -> list[ports.Row]:
    columns = ", ".join(f"v.{name.strip()}" for name in _COLUMNS.split(","))
    return await store.query(
        NAME,
        f"SELECT {columns}, CASE WHEN d.view_id = v.id THEN 1 ELSE 0 END FROM {{t}}views AS v "
        "LEFT JOIN {t}defaults AS d ON d.tenant = v.tenant AND d.screen = v.screen "
        f"AND d.owner = ? WHERE {where} ORDER BY v.screen, v.title, v.id LIMIT {LISTED_MAX}",
        tuple(params),
    )


def _writes(event: envelope.Event) -> list[ports.Write]:
    if event.type == REMOVED:
        said = folding.payload(event, Removed)
        key = (event.tenant, said.id)
        return [ports.Write(_REMOVE, [key]), ports.Write(_FORGET, [key])]
    if event.type == DEFAULT_CHOSEN:
        chosen = folding.payload(event, Chosen)
        place = (event.tenant, chosen.owner, chosen.screen)
        if not chosen.view_id:
            return [ports.Write(_UNCHOOSE, [place])]
        return [ports.Write(_CHOOSE, [(*place, chosen.view_id)])]
    made = folding.payload(event, Saved)
    row = (
        event.tenant, made.id, made.owner, made.screen, made.title, made.filter,
        msgspec.json.encode(made.state).decode(), int(not made.owner), event.position,
        event.sequence, event.recorded_at, event.actor,
    )  # fmt: skip
    return [ports.Write(_SAVE, [row])]


def _row(row: ports.Row) -> Row:
    return Row(
        client_id=row[0],
        id=row[1],
        owner=row[2],
        screen=row[3],
        title=row[4],
        filter=row[5],
        state=msgspec.json.decode(row[6], type=dict[str, Any]),
        shared=bool(row[7]),
        version=row[8],
        position=row[9],
        sequence=row[10],
        saved_at=row[11],
        saved_by=row[12],
        is_default=bool(row[13]),
    )
