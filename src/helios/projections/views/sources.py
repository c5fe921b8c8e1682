"""Declared sources: the current ones, and that there were others.

A declaration makes the next version of its name. A source that was removed keeps its row, so that
whoever still sends to it can be told that it is gone, and its next declaration goes on counting.
"""

from collections.abc import Mapping, Sequence

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding, ports, scoping

NAME = "sources"
SOURCE = "helios"
AGGREGATE_TYPE = "helios.source"
DECLARED = "SourceDeclared"
REMOVED = "SourceRemoved"
PAUSED = "SourcePaused"
RESUMED = "SourceResumed"
CHANGES = envelope.Filter(
    sources=(SOURCE,),
    types=(DECLARED, REMOVED, PAUSED, RESUMED),
    aggregate_type=AGGREGATE_TYPE,
)
"""What changes how a source is declared."""

_COLUMNS = (
    "tenant, name, version, position, sequence, provider, yaml, hash, declared_at, paused, "
    "removed_position"
)
_DECLARE = (
    f"INSERT INTO {{t}}sources ({_COLUMNS}) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, 0, 0) "
    "ON CONFLICT (tenant, name) DO UPDATE SET version = {t}sources.version + 1, "
    "position = excluded.position, sequence = excluded.sequence, provider = excluded.provider, "
    "yaml = excluded.yaml, hash = excluded.hash, declared_at = excluded.declared_at, "
    "paused = CASE WHEN {t}sources.removed_position > 0 THEN 0 ELSE {t}sources.paused END, "
    "removed_position = 0"
)
_CHANGE = (
    "UPDATE {t}sources SET paused = ?, sequence = ? "
    "WHERE tenant = ? AND name = ? AND removed_position = 0"
)
_TOUCH = "UPDATE {t}sources SET sequence = ? WHERE tenant = ? AND name = ?"
_REMOVE = (
    "UPDATE {t}sources SET removed_position = ?, sequence = ? "
    "WHERE tenant = ? AND name = ? AND removed_position = 0"
)


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SourceDeclared`.

    Attributes:
        yaml: the document; it names secrets and holds none.
        hash: digest of it.
        paused: what it says of pausing; None: the source stays as it is.
    """

    name: str
    provider: str
    yaml: str
    hash: str
    paused: bool | None = None


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of the other events."""

    name: str


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A declared source.

    Attributes:
        client_id: whose it is.
        version: 1, 2, 3 … for each declaration of the name.
        position: of the declaration.
        sequence: of the last event about it, to append on the condition that it is the last.
        yaml: the document as it was declared.
        hash: of the document.
        declared_at: when the declaration was recorded.
        paused: whether fetching is paused.
        removed_position: of the removal, or None.
    """

    client_id: str
    name: str
    version: int
    position: envelope.Position
    sequence: int
    provider: str
    yaml: str
    hash: str
    declared_at: clocks.Timestamp
    paused: bool
    removed_position: envelope.Position | None

    @property
    def is_removed(self) -> bool:
        return self.removed_position is not None


class Sources:
    """The projection; see the module."""

    name = NAME
    version = 1
    # All that is told of sources: whoever appends on a condition needs the last sequence.
    where = envelope.Filter(sources=(SOURCE,), aggregate_type=AGGREGATE_TYPE)
    tables: Sequence[str] = ("sources",)
    tenancy: Mapping[str, scoping.Tenancy] = {"sources": scoping.OWN}
    keys: Mapping[str, Sequence[str]] = {"sources": ("tenant", "name")}
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}sources (tenant TEXT NOT NULL, name TEXT NOT NULL, "
            "version INTEGER NOT NULL, position INTEGER NOT NULL, sequence INTEGER NOT NULL, "
            "provider TEXT NOT NULL, yaml TEXT NOT NULL, hash TEXT NOT NULL, "
            "declared_at INTEGER NOT NULL, paused INTEGER NOT NULL, "
            "removed_position INTEGER NOT NULL, PRIMARY KEY (tenant, name))"
        ),
    )
    indexes: Sequence[str] = ()

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        return [write for event in events for write in _writes(event)]


VIEW = Sources()


async def current(store: ports.ViewStore, client_id: str, name: str) -> Source:
    """The source as it is declared now.

    Raises:
        NotFoundError: never declared, or removed.
    """
    found = await last(store, client_id, name)
    if found is None:
        raise errors.NotFoundError(f"client {client_id} has no source {name[:80]}")
    if found.is_removed:
        raise errors.NotFoundError(
            f"source {name} of client {client_id} was removed; declare it anew"
        )
    return found


async def last(store: ports.ViewStore, client_id: str, name: str) -> Source | None:
    """The source as it is, or was when it was removed; None: it was never declared."""
    rows = await _select(store, "WHERE tenant = ? AND name = ?", (client_id, name))
    return rows[0] if rows else None


async def every(store: ports.ViewStore) -> list[Source]:
    """All sources of all clients, by client and name, the removed ones too."""
    return await _select(store, "", ())


async def all_current(store: ports.ViewStore, client_id: str | None = None) -> list[Source]:
    """The sources that are declared now, of one client or of all, by client and name."""
    if client_id is None:
        return await _select(store, "WHERE removed_position = 0", ())
    return await _select(store, "WHERE tenant = ? AND removed_position = 0", (client_id,))


async def _select(store: ports.ViewStore, where: str, params: ports.Row) -> list[Source]:
    sql = f"SELECT {_COLUMNS} FROM {{t}}sources {where} ORDER BY tenant, name"
    return [_source(row) for row in await store.query(NAME, sql, params)]


def _writes(event: envelope.Event) -> list[ports.Write]:
    if event.type == DECLARED:
        return _declare(event)
    if event.type not in (REMOVED, PAUSED, RESUMED):
        return [ports.Write(_TOUCH, [(event.sequence, event.tenant, event.aggregate_id)])]
    key = (event.tenant, folding.payload(event, Named).name)
    if event.type == REMOVED:
        return [ports.Write(_REMOVE, [(event.position, event.sequence, *key)])]
    return [ports.Write(_CHANGE, [(int(event.type == PAUSED), event.sequence, *key)])]


def _declare(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, Payload)
    key = (event.tenant, said.name)
    place = (event.position, event.sequence)
    row = (*key, *place, said.provider, said.yaml, said.hash, event.recorded_at)
    writes = [ports.Write(_DECLARE, [row])]
    if said.paused is not None:
        writes.append(ports.Write(_CHANGE, [(int(said.paused), event.sequence, *key)]))
    return writes


def _source(row: ports.Row) -> Source:
    return Source(
        client_id=row[0],
        name=row[1],
        version=row[2],
        position=row[3],
        sequence=row[4],
        provider=row[5],
        yaml=row[6],
        hash=row[7],
        declared_at=row[8],
        paused=bool(row[9]),
        removed_position=row[10] or None,
    )
