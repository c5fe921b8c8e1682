"""Commands and correlations as the log tells of them, for seven days.

What is older goes when the next correlation begins, by the time of that event: a rebuild leaves the
same rows as following did.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, limits
from helios.projections import folding, ports, scoping
from helios.reconcile.bus import correlating, events

NAME = "correlations"
QUEUE_MAX = limits.PAGE_EVENTS_MAX
_UNTOLD = -1
"""`upto` of a correlation that the bus has not told of yet. It may have dealt with nothing: 0."""

CommandStatus: TypeAlias = Literal["queued", "completed", "failed", "expired"]

_CORRELATION = (
    "tenant, correlation_id, status, late, expires_at, began, position, ttl_at, positions, "
    "released, upto, record"
)
_COMMAND = (
    "tenant, command_id, correlation_id, stack_id, status, urgency, attempts, next_at, code, "
    "detail, position, updated_at, ended_at, ttl_at, command"
)
_BEGIN = (
    f"INSERT INTO {{t}}correlations ({_CORRELATION}) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, '', ?, ?) "
    "ON CONFLICT (tenant, correlation_id) DO UPDATE SET "
    "positions = {t}correlations.positions || ' ' || excluded.positions, "
    "position = excluded.position"
)
_MOVE = (
    "UPDATE {t}correlations SET status = ?, late = ?, expires_at = ?, position = ?, "
    "positions = ?, released = ?, upto = ?, record = ? WHERE tenant = ? AND correlation_id = ?"
)
_ISSUE = (
    f"INSERT INTO {{t}}commands ({_COMMAND}) "
    "VALUES (?, ?, ?, ?, 'queued', ?, 0, 0, '', '', ?, ?, 0, ?, ?) "
    "ON CONFLICT (tenant, command_id) DO NOTHING"
)
_OF = "WHERE tenant = ? AND command_id = ?"
_RETRY = (
    "UPDATE {t}commands SET attempts = ?, next_at = ?, code = ?, detail = ?, updated_at = ? "
    f"{_OF} AND status = 'queued'"
)
_END = (
    "UPDATE {t}commands SET status = ?, attempts = ?, code = ?, detail = ?, updated_at = ?, "
    f"ended_at = ? {_OF} AND status = 'queued'"
)
_PRUNE = (
    "DELETE FROM {t}correlations WHERE ttl_at <= ?",
    "DELETE FROM {t}commands WHERE ttl_at <= ?",
)
_ENDED: Mapping[str, CommandStatus] = {
    events.COMMAND_COMPLETED: "completed",
    events.COMMAND_FAILED: "failed",
    events.COMMAND_EXPIRED: "expired",
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A correlation.

    Attributes:
        began: position of its start.
        position: of the last that was told of it.
        positions: of everything that it is made of, as far as it was told.
        released: positions of the events that were handed on.
        upto: what the bus had dealt with of the log; -1: it has not said.
    """

    client_id: str
    correlation_id: str
    began: int
    position: int
    positions: tuple[int, ...]
    released: tuple[int, ...]
    upto: int
    record: events.Record


class CommandRow(msgspec.Struct, frozen=True, kw_only=True):
    """A command and what became of it.

    Attributes:
        attempts: tries so far; next_at: of the next one.
        code, detail: of the last error; empty when there was none.
    """

    command: events.Command
    status: CommandStatus
    attempts: int
    next_at: clocks.Timestamp | None
    code: str
    detail: str
    position: int
    updated_at: clocks.Timestamp
    ended_at: clocks.Timestamp | None


class Correlations:
    """The projection; see the module."""

    name = NAME
    version = 1
    where = envelope.Filter(
        sources=(events.SOURCE,),
        types=(*events.COMMAND_TYPES, events.CORRELATION_STARTED, *events.MOVED_TYPES),
    )
    tables: Sequence[str] = ("correlations", "commands")
    tenancy: Mapping[str, scoping.Tenancy] = {"correlations": scoping.OWN, "commands": scoping.OWN}
    keys: Mapping[str, Sequence[str]] = {
        "correlations": ("tenant", "correlation_id"),
        "commands": ("tenant", "command_id"),
    }
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}correlations (tenant TEXT NOT NULL, correlation_id TEXT NOT NULL, "
            "status TEXT NOT NULL, late INTEGER NOT NULL, expires_at INTEGER NOT NULL, "
            "began INTEGER NOT NULL, position INTEGER NOT NULL, ttl_at INTEGER NOT NULL, "
            "positions TEXT NOT NULL, released TEXT NOT NULL, upto INTEGER NOT NULL, "
            "record TEXT NOT NULL, PRIMARY KEY (tenant, correlation_id))"
        ),
        (
            "CREATE TABLE {t}commands (tenant TEXT NOT NULL, command_id TEXT NOT NULL, "
            "correlation_id TEXT NOT NULL, stack_id TEXT NOT NULL, status TEXT NOT NULL, "
            "urgency INTEGER NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER NOT NULL, "
            "code TEXT NOT NULL, detail TEXT NOT NULL, position INTEGER NOT NULL, "
            "updated_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, ttl_at INTEGER NOT NULL, "
            "command TEXT NOT NULL, PRIMARY KEY (tenant, command_id))"
        ),
        # What begins makes room for itself.
        "CREATE INDEX {t}gone ON {t}correlations (ttl_at)",
        "CREATE INDEX {t}gone_commands ON {t}commands (ttl_at)",
    )
    indexes: Sequence[str] = (
        "CREATE INDEX {t}by_client ON {t}correlations (tenant, status, began)",
        "CREATE INDEX {t}by_expiry ON {t}correlations (status, expires_at)",
        "CREATE INDEX {t}by_place ON {t}correlations (began)",
        "CREATE INDEX {t}together ON {t}commands (tenant, correlation_id)",
        "CREATE INDEX {t}issued ON {t}commands (tenant, position)",
        "CREATE INDEX {t}queue ON {t}commands (status, urgency, position)",
    )

    def apply(self, found: Sequence[envelope.Event]) -> list[ports.Write]:
        return [write for event in found for write in _writes(event)]


VIEW = Correlations()


async def correlations(
    store: ports.ViewStore,
    client_id: str | None = None,
    *,
    status: events.Status | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Row]:
    """Correlations, newest first: of a client or of all, in one status or in any.

    `before`: those that began before this position.
    """
    asked = {"tenant = ?": client_id, "status = ?": status, "began < ?": before}
    return await _rows(store, asked, "began DESC", limit)


async def correlation(store: ports.ViewStore, client_id: str, correlation_id: str) -> Row:
    """One correlation. Raises NotFoundError when it is not kept."""
    asked = {"tenant = ?": client_id, "correlation_id = ?": correlation_id}
    found = await _rows(store, asked, "began", 1)
    if not found:
        raise errors.NotFoundError(
            f"client {client_id[:80]} has no correlation {correlation_id[:80]}; they are kept for "
            "seven days"
        )
    return found[0]


async def expiring(
    store: ports.ViewStore, status: events.Status, before: clocks.Timestamp, limit: int = 100
) -> list[Row]:
    """Correlations in a status whose window ends before a time, the first to end first."""
    asked = {"status = ?": status, "expires_at < ?": before}
    return await _rows(store, asked, "expires_at", limit)


async def ids(store: ports.ViewStore, limit: int) -> list[tuple[str, str]]:
    """Client and id of the newest correlations."""
    sql = "SELECT tenant, correlation_id FROM {t}correlations ORDER BY began DESC LIMIT ?"
    return [(row[0], row[1]) for row in await store.query(NAME, sql, (limit,))]


async def resume(store: ports.ViewStore) -> envelope.Position:
    """The position after which the bus has to read the log again.

    Everything that an open correlation is made of comes after its start, and what the bus had dealt
    with when it last said something needs it no more.
    """
    opened = "SELECT min(began) FROM {t}correlations WHERE status IN ('pending', 'partial')"
    async with store.reading(NAME) as snapshot:
        ((began,),) = await snapshot.query(opened)
        ((upto,),) = await snapshot.query("SELECT max(upto) FROM {t}correlations")
        places = [began - 1] if began is not None else []
        if upto is not None and upto != _UNTOLD:
            places.append(upto)
        return envelope.Position(min(places, default=snapshot.checkpoint.position))


async def reached(store: ports.ViewStore) -> envelope.Position:
    """How far the view has come."""
    async with store.reading(NAME) as snapshot:
        return snapshot.checkpoint.position


async def queue(store: ports.ViewStore) -> list[CommandRow]:
    """Commands that are not carried out yet, the most urgent first, then the oldest; at most
    `QUEUE_MAX`.
    """
    sql = (
        f"SELECT {_COMMAND} FROM {{t}}commands WHERE status = 'queued' "
        "ORDER BY urgency, position LIMIT ?"
    )
    return [_command_row(row) for row in await store.query(NAME, sql, (QUEUE_MAX,))]


async def broken(store: ports.ViewStore) -> list[tuple[str, str]]:
    """Client and id of correlations of which one command failed and another still waits."""
    sql = (
        "SELECT DISTINCT q.tenant, q.correlation_id FROM {t}commands q JOIN {t}commands f "
        "ON f.tenant = q.tenant AND f.correlation_id = q.correlation_id "
        "WHERE q.status = 'queued' AND f.status IN ('failed', 'expired')"
    )
    return [(row[0], row[1]) for row in await store.query(NAME, sql)]


async def commands(
    store: ports.ViewStore,
    client_id: str | None = None,
    *,
    status: CommandStatus | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[CommandRow]:
    """Commands, newest first: of a client or of all, in one status or in any.

    `before`: those that were issued before this position.
    """
    asked = {"tenant = ?": client_id, "status = ?": status, "position < ?": before}
    where, params = _asked(asked)
    bound = max(1, min(limit, limits.PAGE_EVENTS_MAX))
    sql = f"SELECT {_COMMAND} FROM {{t}}commands {where}ORDER BY position DESC LIMIT ?"
    return [_command_row(row) for row in await store.query(NAME, sql, (*params, bound))]


async def command(store: ports.ViewStore, client_id: str, command_id: str) -> CommandRow:
    """One command. Raises NotFoundError when it is not kept."""
    sql = f"SELECT {_COMMAND} FROM {{t}}commands {_OF}"
    rows = await store.query(NAME, sql, (client_id, command_id))
    if not rows:
        raise errors.NotFoundError(
            f"client {client_id[:80]} has no command {command_id[:80]}; they are kept for seven "
            "days"
        )
    return _command_row(rows[0])


def ttl_at(at: clocks.Timestamp) -> int:
    """Until when something that began then is kept."""
    return at + correlating.KEPT_S * clocks.SECOND_US


async def _rows(
    store: ports.ViewStore, asked: Mapping[str, str | int | None], order: str, limit: int
) -> list[Row]:
    where, params = _asked(asked)
    bound = max(1, min(limit, limits.PAGE_EVENTS_MAX))
    sql = f"SELECT {_CORRELATION} FROM {{t}}correlations {where}ORDER BY {order} LIMIT ?"
    return [_row(row) for row in await store.query(NAME, sql, (*params, bound))]


def _asked(asked: Mapping[str, str | int | None]) -> tuple[str, ports.Row]:
    given = {clause: value for clause, value in asked.items() if value is not None}
    where = f"WHERE {' AND '.join(given)} " if given else ""
    return where, tuple(given.values())


def _writes(event: envelope.Event) -> list[ports.Write]:
    if event.type == events.CORRELATION_STARTED:
        return _started(event)
    if event.type in events.MOVED_TYPES:
        return _moved(event)
    return _COMMANDS[event.type](event)


def _started(event: envelope.Event) -> list[ports.Write]:
    known = correlating.folded(event.tenant, event.aggregate_id, [event])
    judged = correlating.judge(known, known.initiated_at)
    # It is told that it completed, also when it expects nothing.
    judged = msgspec.structs.replace(judged, status="pending", completed_at=None)
    row = (
        event.tenant,
        event.aggregate_id,
        "pending",
        known.expires_at,
        event.position,
        event.position,
        ttl_at(event.recorded_at),
        str(event.position),
        _UNTOLD,
        jsonio.encode(correlating.record(known, judged, ())).decode(),
    )
    prune = [ports.Write(sql, [(event.recorded_at,)]) for sql in _PRUNE]
    return [*prune, ports.Write(_BEGIN, [row])]


def _moved(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Moved)
    row = (
        said.record.status,
        int(said.record.late),
        clocks.parse_rfc3339(said.record.expires_at),
        event.position,
        _joined(said.positions),
        _joined(said.released),
        said.upto,
        jsonio.encode(said.record).decode(),
        event.tenant,
        event.aggregate_id,
    )
    return [ports.Write(_MOVE, [row])]


def _issued(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Command)
    row = (
        event.tenant,
        said.command_id,
        said.correlation_id,
        said.stack_id or "",
        events.PRIORITIES.index(said.priority),
        event.position,
        event.recorded_at,
        ttl_at(event.recorded_at),
        event.payload.decode(),
    )
    return [ports.Write(_ISSUE, [row])]


def _retried(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Retried)
    next_at = clocks.parse_rfc3339(said.next_at)
    row = (said.attempt, next_at, said.code, said.detail, event.recorded_at)
    return [ports.Write(_RETRY, [(*row, event.tenant, event.aggregate_id)])]


def _ended(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Ended)
    row = (_ENDED[event.type], said.attempt, said.code, said.detail)
    times = (event.recorded_at, event.recorded_at)
    return [ports.Write(_END, [(*row, *times, event.tenant, event.aggregate_id)])]


_COMMANDS: Mapping[str, Callable[[envelope.Event], list[ports.Write]]] = {
    events.COMMAND_ISSUED: _issued,
    events.COMMAND_RETRIED: _retried,
    **dict.fromkeys(events.OUTCOMES, _ended),
}


def _joined(positions: Sequence[int]) -> str:
    return " ".join(map(str, positions))


def _split(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def _row(row: ports.Row) -> Row:
    return Row(
        client_id=row[0],
        correlation_id=row[1],
        began=row[5],
        position=row[6],
        positions=_split(row[8]),
        released=_split(row[9]),
        upto=row[10],
        record=msgspec.json.decode(row[11], type=events.Record),
    )


def _command_row(row: ports.Row) -> CommandRow:
    return CommandRow(
        command=msgspec.json.decode(row[14], type=events.Command),
        status=row[4],
        attempts=row[6],
        next_at=clocks.Timestamp(row[7]) if row[7] else None,
        code=row[8],
        detail=row[9],
        position=row[10],
        updated_at=clocks.Timestamp(row[11]),
        ended_at=clocks.Timestamp(row[12]) if row[12] else None,
    )
