"""Events by client and time, by provider and time, and by id.

A row holds what is searched and the event's position; the payload stays in the log and is read
there (`payloads`), so the view is small and cheap to keep.

A row lives for 30 days after its event was recorded. "Now" is the time the newest event of the
view was recorded, never the wall clock, so a replay drops exactly what the first run dropped; and
never event time, because one producer with a wrong clock would empty the view. Readers do not see
expired rows; `apply` deletes them, a bounded number at each 500th position.

Whether drift was looked for after an event follows from when each stack of its client was last
looked at: once all of them were looked at since the event came, it is so for ever.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, limits, tenancy
from helios.projections import ports, scoping

NAME = "event_mirror"
TTL_S = 30 * 24 * 3600
"""How long a row lives after its event was recorded."""

_TTL_US = TTL_S * clocks.SECOND_US
_SWEEP_EVERY = 500
_SWEEP_ROWS = 2_000

_COLUMNS = (
    "position, tenant, provider, event_id, event_type, content_id, occurred_at, ttl_at, environment"
)
_INSERT = f"INSERT INTO {{t}}events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CHECKED = (
    f"CASE WHEN ttl_at - {_TTL_US} <= (SELECT min(looked.looked_at) FROM {{t}}looked AS looked "
    "WHERE looked.tenant = {t}events.tenant) THEN 1 ELSE 0 END"
)
_SHOWN = f"{_COLUMNS}, {_CHECKED}"
_SWEEP = (
    "DELETE FROM {t}events WHERE position IN (SELECT position FROM (SELECT position, ttl_at "
    f"FROM {{t}}events ORDER BY position LIMIT {_SWEEP_ROWS}) AS oldest WHERE ttl_at <= ?)"
)
_LOOK = (
    "INSERT INTO {t}looked (tenant, stack, looked_at) VALUES (?, ?, ?) "
    "ON CONFLICT (tenant, stack) DO UPDATE SET looked_at = excluded.looked_at "
    "WHERE excluded.looked_at > {t}looked.looked_at"
)
_LEAVE = "DELETE FROM {t}looked WHERE tenant = ? AND stack = ?"
_NOW = f"SELECT ttl_at - {_TTL_US} FROM {{t}}events ORDER BY position DESC LIMIT 1"
_ALIVE = f"ttl_at > ({_NOW})"

OURS = "helios"
LOOKED = "StacksVerified"
"""Says when stacks were last looked at: payload `{"stacks": {name: microseconds}}`."""
LEFT = "StackRemoved"
"""Says that a stack, its aggregate, is looked at no more."""


class _Content(msgspec.Struct):
    """The fields of a payload that may name the content it is about, in order of preference."""

    contentId: Any = None  # noqa: N815 - the wire's name
    content_id: Any = None
    documentId: Any = None  # noqa: N815 - the wire's name
    document_id: Any = None
    entryId: Any = None  # noqa: N815 - the wire's name
    entry_id: Any = None
    id: Any = None
    _id: Any = None


class _Metadata(msgspec.Struct):
    environment: Any = None


class _Looked(msgspec.Struct):
    stacks: dict[str, int]


_content = msgspec.json.Decoder(_Content).decode
_metadata = msgspec.json.Decoder(_Metadata).decode
_looked = msgspec.json.Decoder(_Looked).decode


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the mirror, without its payload.

    Attributes:
        position: where the log has it.
        content_id: what its payload names (`contentId`, `documentId`, `id` …), else its aggregate.
        timestamp: event time.
        environment: of its metadata, if it has one.
        drift_checked: whether drift was looked for after it, in all stacks of its client.
        ttl_timestamp: when it leaves the mirror.
    """

    position: envelope.Position
    client_id: str
    provider_name: str
    event_id: str
    event_type: str
    content_id: str
    timestamp: clocks.Timestamp
    ttl_timestamp: clocks.Timestamp
    environment: str | None
    drift_checked: bool


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, and the cursor of the next page; None at the end."""

    entries: list[Entry]
    next_cursor: str | None


class EventMirror:
    """The projection; see the module."""

    name = NAME
    version = 2
    where = envelope.ALL
    tables: Sequence[str] = ("events", "looked")
    tenancy: Mapping[str, scoping.Tenancy] = {"events": scoping.OWN, "looked": scoping.OWN}
    keys: Mapping[str, Sequence[str]] = {"events": ("position",), "looked": ("tenant", "stack")}
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}events (position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, "
            "provider TEXT NOT NULL, event_id TEXT NOT NULL, event_type TEXT NOT NULL, "
            "content_id TEXT NOT NULL, occurred_at INTEGER NOT NULL, ttl_at INTEGER NOT NULL, "
            "environment TEXT)"
        ),
        (
            "CREATE TABLE {t}looked (tenant TEXT NOT NULL, stack TEXT NOT NULL, "
            "looked_at INTEGER NOT NULL, PRIMARY KEY (tenant, stack))"
        ),
    )
    indexes: Sequence[str] = (
        "CREATE INDEX {t}by_client ON {t}events (tenant, occurred_at, position)",
        "CREATE INDEX {t}by_provider ON {t}events (tenant, provider, occurred_at, position)",
        "CREATE INDEX {t}by_id ON {t}events (event_id)",
    )

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        writes: list[ports.Write] = []
        rows: list[ports.Row] = []
        for event in events:
            rows.append(_row(event))
            if event.source == OURS and event.type in (LOOKED, LEFT):
                writes.append(_looks(event))
            if event.position % _SWEEP_EVERY == 0:
                writes.append(ports.Write(_INSERT, rows))
                rows = []
                writes.append(ports.Write(_SWEEP, [(event.recorded_at,)]))
        if rows:
            writes.append(ports.Write(_INSERT, rows))
        return writes


VIEW = EventMirror()


async def by_client(
    store: ports.ViewStore,
    client_id: str,
    *,
    since: clocks.Timestamp | None = None,
    until: clocks.Timestamp | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page:
    """A client's events, newest event time first.

    Args:
        store: where the views are.
        client_id: whose.
        since: not before this event time.
        until: before this event time.
        limit: entries on the page, at most `limits.PAGE_EVENTS_MAX`.
        cursor: `next_cursor` of the page before.

    Raises:
        CursorError: not a cursor of this query.
    """
    return await _page(store, "tenant = ?", (client_id,), since, until, limit, cursor)


async def by_provider(
    store: ports.ViewStore,
    client_id: str,
    provider_name: str,
    *,
    since: clocks.Timestamp | None = None,
    until: clocks.Timestamp | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page:
    """The events that a client had from one provider, newest event time first.

    Arguments and errors as of `by_client`.
    """
    owner = (client_id, provider_name)
    return await _page(store, "tenant = ? AND provider = ?", owner, since, until, limit, cursor)


async def by_id(store: ports.ViewStore, client_id: str, event_id: str) -> list[Entry]:
    """A client's events with this id, one per source; oldest first, empty when unknown."""
    alive, now = await _alive(store)
    sql = (
        f"SELECT {_SHOWN} FROM {{t}}events "
        f"WHERE event_id = ? AND tenant = ? AND {alive} ORDER BY position"
    )
    return [_entry(row) for row in await store.query(NAME, sql, (event_id, client_id, *now))]


async def by_ids(store: ports.ViewStore, names: Sequence[tuple[str, str]]) -> list[Entry]:
    """Events by client and id, at most some hundreds at once; oldest first, unknown left out."""
    if not names:
        return []
    marks = " OR ".join(["(event_id = ? AND tenant = ?)"] * len(names))
    sql = f"SELECT {_SHOWN} FROM {{t}}events WHERE ({marks}) AND {_ALIVE} ORDER BY position"
    params = tuple(part for client_id, event_id in names for part in (event_id, client_id))
    return [_entry(row) for row in await store.query(NAME, sql, params)]


async def payloads(log: log_ports.EventLog, entries: Sequence[Entry]) -> list[bytes]:
    """The payloads of these entries, read from the log, in the order given.

    Raises:
        CorruptionError: the log has no such event: the view is not this log's.
    """
    found = {e.position: e.payload for e in await log.read_at([e.position for e in entries])}
    missing = [entry.position for entry in entries if entry.position not in found]
    if missing:
        raise errors.CorruptionError(
            f"the log has no event at position {missing[0]}, which view {NAME} names: "
            f"check it with `helios views verify {NAME}`"
        )
    return [found[entry.position] for entry in entries]


async def _alive(store: ports.ViewStore) -> tuple[str, ports.Row]:
    """The condition that a row has not expired, with its parameters.

    "Now" is nobody's data and the same for all: within a scope, where a client's own newest event
    may be old and a long walk away, it is asked for beside the query.
    """
    if tenancy.current().tenants is None:
        return _ALIVE, ()
    with tenancy.within(tenancy.EVERYTHING):
        found = await store.query(NAME, _NOW)
    return "ttl_at > ?", (found[0][0] if found else 0,)


async def _page(  # noqa: PLR0917 - private, called twice
    store: ports.ViewStore,
    owner_sql: str,
    owner: tuple[str, ...],
    since: clocks.Timestamp | None,
    until: clocks.Timestamp | None,
    limit: int,
    cursor: str | None,
) -> Page:
    alive, now = await _alive(store)
    conditions = [owner_sql, alive]
    params: list[Any] = [*owner, *now]
    if since is not None:
        conditions.append("occurred_at >= ?")
        params.append(since)
    if until is not None:
        conditions.append("occurred_at < ?")
        params.append(until)
    if cursor is not None:
        conditions.append("(occurred_at, position) < (?, ?)")
        params += _parse(cursor)
    limit = max(1, min(limit, limits.PAGE_EVENTS_MAX))
    sql = (
        f"SELECT {_SHOWN} FROM {{t}}events WHERE {' AND '.join(conditions)} "
        "ORDER BY occurred_at DESC, position DESC LIMIT ?"
    )
    rows = await store.query(NAME, sql, (*params, limit + 1))
    entries = [_entry(row) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(entries=entries, next_cursor=_cursor(entries[-1]) if more else None)


def _cursor(entry: Entry) -> str:
    return f"{entry.timestamp}.{entry.position}"


def _parse(cursor: str) -> tuple[int, int]:
    first, _, second = cursor.partition(".")
    try:
        place = (int(first), int(second))
    except ValueError:
        place = (1 << 63, 0)
    if not all(-(1 << 63) <= number < 1 << 63 for number in place):
        raise errors.CursorError(
            f"{cursor[:64]!r} is no cursor of this list: "
            "give `next_cursor` back as it came, or none to begin anew"
        )
    return place


def _row(event: envelope.Event) -> ports.Row:
    return (
        event.position,
        event.tenant,
        event.source,
        event.id,
        event.type,
        _content_id(event),
        event.occurred_at,
        event.recorded_at + _TTL_US,
        None if event.metadata == b"{}" else _environment(event.metadata),
    )


def _looks(event: envelope.Event) -> ports.Write:
    """What an event says of when stacks were looked at."""
    if event.type == LEFT:
        return ports.Write(_LEAVE, [(event.tenant, event.aggregate_id)])
    found = _looked(event.payload).stacks
    return ports.Write(_LOOK, [(event.tenant, name, at) for name, at in found.items()])


def _content_id(event: envelope.Event) -> str:
    try:
        content = _content(event.payload)
    except (msgspec.DecodeError, RecursionError):
        return event.aggregate_id
    for value in (
        content.contentId,
        content.content_id,
        content.documentId,
        content.document_id,
        content.entryId,
        content.entry_id,
        content.id,
        content._id,  # noqa: SLF001 - Sanity's name
    ):
        if value is not None:
            named = _identifier(value)
            if named is not None:
                return named
    return event.aggregate_id


def _identifier(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and 0 < len(value) <= limits.ID_CHARS_MAX:
        return value
    return None


def _environment(metadata: bytes) -> str | None:
    try:
        environment = _metadata(metadata).environment
    except (msgspec.DecodeError, RecursionError):
        return None
    return environment if isinstance(environment, str) else None


def _entry(row: ports.Row) -> Entry:
    return Entry(
        position=row[0],
        client_id=row[1],
        provider_name=row[2],
        event_id=row[3],
        event_type=row[4],
        content_id=row[5],
        timestamp=row[6],
        ttl_timestamp=row[7],
        environment=row[8],
        drift_checked=bool(row[9]),
    )
