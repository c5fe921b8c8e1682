"""Dead letters: which there are, why, and what became of each.

The body stays in the log, at `position` and, once edited, at `edited_position`: a row is small
however large a letter is. A letter that was tried again and failed stays open, with its newest
reason; one that was stored or turned out to be there already is `retried`, and never open again.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding, ports, scoping

NAME = "dead_letters"
SOURCE = "helios"
AGGREGATE_TYPE = "dead_letter"
RECORDED = "DeadLetterRecorded"
EDITED = "DeadLetterEdited"
RETRIED = "DeadLetterRetried"
DISCARDED = "DeadLetterDiscarded"

GROUPS_MAX = 500
"""Groups of one answer; those with most letters come first."""

TREND_BUCKETS = 24
_TEMPLATE_CHARS_MAX = 200
_VARYING = re.compile(r"[\w.+@/-]*\d[\w.+@/-]*(?:[:.][\w.+@/-]*\d[\w.+@/-]*)*")

Status: TypeAlias = Literal["open", "retried", "discarded"]

_COLUMNS = (
    "tenant, id, position, source, via, reason, detail, origin, event_type, event_id, bytes, cut, "
    "nth, status, recorded_at, updated_at, attempts, edited_position, sequence, template"
)
_INSERT = (
    f"INSERT INTO {{t}}letters ({_COLUMNS}) VALUES ({', '.join('?' * 20)}) "
    "ON CONFLICT (tenant, id) DO NOTHING"
)
_EDIT = (
    "UPDATE {t}letters SET edited_position = ?, updated_at = ?, sequence = ? "
    "WHERE tenant = ? AND id = ?"
)
_DONE = (
    "UPDATE {t}letters SET status = 'retried', attempts = attempts + 1, updated_at = ?, "
    "sequence = ? WHERE tenant = ? AND id = ?"
)
_FAILED = (
    "UPDATE {t}letters SET reason = ?, detail = ?, template = ?, attempts = attempts + 1, "
    "updated_at = ?, sequence = ? WHERE tenant = ? AND id = ?"
)
_DISCARD = (
    "UPDATE {t}letters SET status = CASE status WHEN 'open' THEN 'discarded' ELSE status END, "
    "updated_at = ?, sequence = ? WHERE tenant = ? AND id = ?"
)


class _Recorded(msgspec.Struct):
    source: str
    via: str
    reason: str
    detail: str
    origin: str = ""
    event_type: str | None = None
    event_id: str | None = None
    bytes: int = 0
    cut: bool = False
    index: int | None = None


class _Retried(msgspec.Struct):
    result: str
    reason: str = ""
    detail: str = ""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter, without its body.

    Attributes:
        id: made of what it is; the same delivery makes the same letter.
        position: of the event that records it.
        source, via, reason, detail, origin, event_type, event_id, bytes, cut: as recorded; reason
            and detail those of the last try.
        index: which event of its delivery, or None.
        recorded_at, updated_at: first and last that was heard of it.
        attempts: how often it was tried again.
        edited_position: of the newest edit, or None.
        sequence: of the last event about it.
        template: the detail without what differs from letter to letter; see `template`.
    """

    client_id: str
    id: str
    position: envelope.Position
    source: str
    via: str
    reason: str
    detail: str
    origin: str
    event_type: str | None
    event_id: str | None
    bytes: int
    cut: bool
    index: int | None
    status: Status
    recorded_at: clocks.Timestamp
    updated_at: clocks.Timestamp
    attempts: int
    edited_position: envelope.Position | None
    sequence: int
    template: str


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters; None is all. `start` and `end` (exclusive) bound when they were recorded."""

    client_id: str | None = None
    source: str | None = None
    reason: str | None = None
    event_type: str | None = None
    template: str | None = None
    status: Status | None = None
    start: clocks.Timestamp | None = None
    end: clocks.Timestamp | None = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Letters of one cause, with the newest of them as a sample.

    Attributes:
        template: the detail that they share.
        trend: how many were recorded in each of the windows of the answer, oldest first.
    """

    client_id: str
    source: str
    reason: str
    event_type: str | None
    template: str
    count: int
    first_at: clocks.Timestamp
    last_at: clocks.Timestamp
    sample: Letter
    trend: Sequence[int] = ()


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """Groups, and the windows of their trends: where the first begins, and how long each is."""

    groups: list[Group]
    start: clocks.Timestamp
    width: int


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Letters, newest first, and the cursor of the next page; None at the end."""

    letters: list[Letter]
    next_cursor: str | None


class DeadLetters:
    """The projection; see the module."""

    name = NAME
    version = 2
    where = envelope.Filter(
        sources=(SOURCE,),
        types=(RECORDED, EDITED, RETRIED, DISCARDED),
        aggregate_type=AGGREGATE_TYPE,
    )
    tables: Sequence[str] = ("letters",)
    tenancy: Mapping[str, scoping.Tenancy] = {"letters": scoping.OWN}
    keys: Mapping[str, Sequence[str]] = {"letters": ("tenant", "id")}
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}letters (tenant TEXT NOT NULL, id TEXT NOT NULL, "
            "position INTEGER NOT NULL, source TEXT NOT NULL, via TEXT NOT NULL, "
            "reason TEXT NOT NULL, detail TEXT NOT NULL, origin TEXT NOT NULL, event_type TEXT, "
            "event_id TEXT, bytes INTEGER NOT NULL, cut INTEGER NOT NULL, nth INTEGER, "
            "status TEXT NOT NULL, recorded_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, "
            "attempts INTEGER NOT NULL, edited_position INTEGER NOT NULL, "
            "sequence INTEGER NOT NULL, template TEXT NOT NULL, PRIMARY KEY (tenant, id))"
        ),
    )
    indexes: Sequence[str] = (
        "CREATE INDEX {t}by_status ON {t}letters (status, position)",
        "CREATE INDEX {t}by_client ON {t}letters (tenant, status, position)",
        "CREATE INDEX {t}by_position ON {t}letters (position)",
    )

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        return [_write(event) for event in events]


VIEW = DeadLetters()


async def page(
    store: ports.ViewStore, where: Where, *, after: str | None = None, limit: int = 100
) -> Page:
    """Letters, newest first.

    Raises:
        CursorError: `after` is no cursor of this list.
    """
    found = await _select(
        store, where, "position < ?", (_parse(after),), f"position DESC LIMIT {limit + 1:d}"
    )
    more = len(found) > limit
    letters = found[:limit]
    return Page(letters=letters, next_cursor=str(letters[-1].position) if more else None)


async def oldest(
    store: ports.ViewStore,
    where: Where,
    *,
    after: envelope.Position,
    upto: envelope.Position,
    limit: int = 200,
) -> list[Letter]:
    """Letters in the order in which they were recorded, after a position and up to another."""
    return await _select(
        store,
        where,
        "position > ? AND position <= ?",
        (after, upto),
        f"position LIMIT {limit:d}",
    )


async def one(store: ports.ViewStore, client_id: str | None, letter_id: str) -> Letter:
    """A letter, of any client for None.

    Raises:
        NotFoundError: there is none.
    """
    found = await _select(
        store, Where(client_id=client_id), "id = ?", (letter_id,), "position LIMIT 1"
    )
    if not found:
        raise errors.NotFoundError.of(client_id, "a dead letter", letter_id)
    return found[0]


async def count(store: ports.ViewStore, where: Where) -> int:
    """How many there are."""
    clause, params = _clause(where)
    ((found,),) = await store.query(
        NAME, f"SELECT count(*) FROM {{t}}letters WHERE {clause}", params
    )
    return int(found)


_CAUSE = "tenant, source, reason, event_type, template"


async def groups(store: ports.ViewStore, where: Where) -> Groups:
    """How many there are of each cause, the most frequent first, then the newest."""
    clause, params = _clause(where)
    async with store.reading(NAME) as snapshot:
        rows = await snapshot.query(
            f"SELECT {_CAUSE}, count(*) AS n, min(recorded_at), "
            f"max(recorded_at), max(position) FROM {{t}}letters WHERE {clause} "
            f"GROUP BY {_CAUSE} ORDER BY n DESC, max(position) DESC LIMIT {GROUPS_MAX}",
            params,
        )
        if not rows:
            return Groups(groups=[], start=clocks.Timestamp(0), width=0)
        marks = ", ".join("?" * len(rows))
        samples = await snapshot.query(
            f"SELECT {_COLUMNS} FROM {{t}}letters WHERE position IN ({marks})",
            tuple(row[8] for row in rows),
        )
        start = where.start or min(row[6] for row in rows)
        last = max(row[7] for row in rows)
        width = max(1, -(-(last + 1 - start) // TREND_BUCKETS))
        counts = await snapshot.query(
            f"SELECT {_CAUSE}, bucket, count(*) FROM (SELECT {_CAUSE}, "
            f"(recorded_at - ?) / ? AS bucket FROM {{t}}letters WHERE {clause}) AS placed "
            f"GROUP BY {_CAUSE}, bucket",
            (int(start), width, *params),
        )
    trends: dict[ports.Row, list[int]] = {}
    for row in counts:
        if 0 <= row[5] < TREND_BUCKETS:
            trends.setdefault(tuple(row[:5]), [0] * TREND_BUCKETS)[row[5]] = int(row[6])
    by_position = {letter.position: letter for letter in map(_letter, samples)}
    made = [_group(row, by_position[row[8]], trends[tuple(row[:5])]) for row in rows]
    return Groups(groups=made, start=clocks.Timestamp(start), width=width)


def _group(row: ports.Row, sample: Letter, trend: Sequence[int]) -> Group:
    return Group(
        client_id=row[0],
        source=row[1],
        reason=row[2],
        event_type=row[3],
        template=row[4],
        count=int(row[5]),
        first_at=row[6],
        last_at=row[7],
        sample=sample,
        trend=trend,
    )


def template(detail: str) -> str:
    """A detail without what differs from letter to letter: numbers, ids, times, places."""
    return _VARYING.sub("…", detail)[:_TEMPLATE_CHARS_MAX]


def grouped(letters: Sequence[Letter]) -> list[Group]:
    """The same of letters at hand, in the order in which they were recorded."""
    found: dict[tuple[str, str, str, str | None, str], list[Letter]] = {}
    for each in letters:
        cause = (each.client_id, each.source, each.reason, each.event_type, each.template)
        found.setdefault(cause, []).append(each)
    made = [
        Group(
            client_id=cause[0],
            source=cause[1],
            reason=cause[2],
            event_type=cause[3],
            template=cause[4],
            count=len(of),
            first_at=min(each.recorded_at for each in of),
            last_at=max(each.recorded_at for each in of),
            sample=of[-1],
        )
        for cause, of in found.items()
    ]
    made.sort(key=lambda group: (group.count, group.sample.position), reverse=True)
    return made[:GROUPS_MAX]


async def _select(
    store: ports.ViewStore, where: Where, more: str, given: ports.Row, order: str
) -> list[Letter]:
    clause, params = _clause(where)
    sql = f"SELECT {_COLUMNS} FROM {{t}}letters WHERE {clause} AND {more} ORDER BY {order}"
    return [_letter(row) for row in await store.query(NAME, sql, (*params, *given))]


def _clause(where: Where) -> tuple[str, tuple[Any, ...]]:
    wanted = (
        ("tenant = ?", where.client_id),
        ("source = ?", where.source),
        ("reason = ?", where.reason),
        ("event_type = ?", where.event_type),
        ("template = ?", where.template),
        ("status = ?", where.status),
        ("recorded_at >= ?", where.start),
        ("recorded_at < ?", where.end),
    )
    given = [(sql, value) for sql, value in wanted if value is not None]
    return " AND ".join(["1 = 1", *(sql for sql, _ in given)]), tuple(v for _, v in given)


def _parse(cursor: str | None) -> int:
    if cursor is None:
        return (1 << 63) - 1
    if cursor.isascii() and cursor.isdecimal() and len(cursor) <= 18:
        return int(cursor)
    raise errors.CursorError(
        f"{cursor[:64]!r} is no cursor of this list: "
        "give `next_cursor` back as it came, or none to begin anew"
    )


def _write(event: envelope.Event) -> ports.Write:
    key = (event.tenant, event.aggregate_id)
    if event.type == RECORDED:
        return _record(event)
    if event.type == EDITED:
        row: ports.Row = (event.position, event.recorded_at, event.sequence, *key)
        return ports.Write(_EDIT, [row])
    if event.type == DISCARDED:
        return ports.Write(_DISCARD, [(event.recorded_at, event.sequence, *key)])
    said = folding.payload(event, _Retried)
    if said.result == "dead":
        what = (said.reason, said.detail, template(said.detail))
        row = (*what, event.recorded_at, event.sequence, *key)
        return ports.Write(_FAILED, [row])
    return ports.Write(_DONE, [(event.recorded_at, event.sequence, *key)])


def _record(event: envelope.Event) -> ports.Write:
    said = folding.payload(event, _Recorded)
    row = (
        event.tenant,
        event.aggregate_id,
        event.position,
        said.source,
        said.via,
        said.reason,
        said.detail,
        said.origin,
        said.event_type,
        said.event_id,
        said.bytes,
        int(said.cut),
        said.index,
        "open",
        event.recorded_at,
        event.recorded_at,
        0,
        0,
        event.sequence,
        template(said.detail),
    )
    return ports.Write(_INSERT, [row])


def _letter(row: ports.Row) -> Letter:
    return Letter(
        client_id=row[0],
        id=row[1],
        position=row[2],
        source=row[3],
        via=row[4],
        reason=row[5],
        detail=row[6],
        origin=row[7],
        event_type=row[8],
        event_id=row[9],
        bytes=row[10],
        cut=bool(row[11]),
        index=row[12],
        status=row[13],
        recorded_at=row[14],
        updated_at=row[15],
        attempts=row[16],
        edited_position=row[17] or None,
        sequence=row[18],
        template=row[19],
    )
