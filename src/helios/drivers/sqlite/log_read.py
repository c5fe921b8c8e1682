"""The reading side of the SQLite log: pages from one snapshot.

A filter is turned into numbers of `kinds` first, in memory; a page then walks the rows in order
of position and looks at no more than `SCAN_EVENTS_MAX` of them, so a rare type cannot hold the
reader up. Events of one aggregate are read by its index instead.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import apsw
import msgspec

from helios.drivers.sqlite import connection as connections
from helios.drivers.sqlite import log_numbers, texts
from helios.eventlog import envelope, ports
from helios.kernel import errors, limits

_SELECT = """
SELECT position, kind, sequence, events.id, lag_us, correlation_id, causation_id, payload, metadata,
  (SELECT id FROM aggregates WHERE number = aggregate),
  (SELECT name FROM actors WHERE number = actor),
  (SELECT recorded_at FROM batches WHERE last >= position ORDER BY last LIMIT 1)
FROM events """
_KINDS = " AND +kind IN (SELECT value FROM json_each(?))"
_SCAN = _SELECT + "WHERE position > ? AND position <= ?"
_ORDER = " ORDER BY position LIMIT ?"
_AGGREGATE = _SELECT + "WHERE aggregate = ? AND sequence >= ? AND sequence < ?"
_IN_AGGREGATE = "SELECT position FROM events WHERE aggregate = ? AND sequence = ?"
_LAST_SEQUENCE = "SELECT sequence FROM events WHERE aggregate = ? ORDER BY sequence DESC LIMIT 1"
_NAMED = "SELECT number, family FROM aggregates WHERE id = ?"
_HEAD = "SELECT max(position) FROM events"
_BATCHES = "SELECT last, recorded_at, hash FROM batches WHERE last > ? ORDER BY last LIMIT ?"
_BATCH_BEFORE = "SELECT last FROM batches WHERE last <= ? ORDER BY last DESC LIMIT 1"

_Row: TypeAlias = tuple[Any, ...]
_KindFields: TypeAlias = tuple[str, str, int, str, str]
_EMPTY = b"{}"


class Reader:
    """Reads pages; blocking, for one thread at a time."""

    def __init__(self, connection: apsw.Connection, path: str) -> None:
        self._db = connection
        self._path = path
        self._origins = log_numbers.origins()
        self._families = log_numbers.families()
        self._kinds = log_numbers.kinds()
        self._fields: dict[int, _KindFields] = {}
        self._origin_of: dict[int, log_numbers.Origin] = {}
        self._family_of: dict[int, log_numbers.Family] = {}

    def read(self, after: envelope.Position, limit: int, where: envelope.Filter) -> envelope.Page:
        """See `ports.LogStorage.read`."""
        with self._snapshot():
            head = self._head()
            if after >= head:
                return envelope.Page(events=[], next_after=after, head=head)
            if where.aggregate_id is not None:
                rows, last = self._of_aggregate(after, limit, where, head)
            else:
                rows, last = self._scan(after, limit, self._wanted(where), head)
            return envelope.Page(events=self._events(rows), next_after=last, head=head)

    def read_at(self, positions: Sequence[envelope.Position]) -> list[envelope.Event]:
        """See `ports.LogStorage.read_at`."""
        asked = [(position,) for position in sorted(set(positions))]
        with self._snapshot():
            found = self._db.executemany(_SELECT + "WHERE position = ?", asked) if asked else ()
            return self._events(list(found))

    def find(self, tenant: str, source: str, event_id: str) -> envelope.Event | None:
        """See `ports.LogStorage.find`."""
        with self._snapshot():
            origin = self._origins.get((tenant, source))
            if origin is None:
                return None
            select = _SELECT + "WHERE origin = ? AND events.id = ?"
            rows = list(self._db.execute(select, (origin, texts.pack(event_id))))
            return self._events(rows)[0] if rows else None

    def head(self) -> envelope.Position:
        """See `ports.LogStorage.head`."""
        try:
            return self._head()
        except apsw.Error as error:
            raise connections.translate(error, self._path) from error

    def batches(self, after: envelope.Position, limit: int) -> list[ports.Batch]:
        """See `ports.LogStorage.batches`."""
        with self._snapshot():
            before = self._db.execute(_BATCH_BEFORE, (after,)).get or 0
            found: list[ports.Batch] = []
            for last, recorded_at, link in self._db.execute(_BATCHES, (after, limit)):
                first = envelope.Position(before + 1)
                found.append(
                    ports.Batch(first=first, last=last, recorded_at=recorded_at, hash=link)
                )
                before = last
            return found

    def data_version(self) -> int:
        """A number that changes when another connection commits."""
        try:
            version: int = self._db.execute("PRAGMA data_version").get
        except apsw.Error as error:
            raise connections.translate(error, self._path) from error
        return version

    def _snapshot(self) -> "_Snapshot":
        return _Snapshot(self._db, self._path, self._refresh)

    def _refresh(self) -> None:
        """Learn the numbers that this snapshot's events use."""
        for origin, number in self._origins.refresh(self._db).items():
            self._origin_of[number] = origin
        for family, number in self._families.refresh(self._db).items():
            self._family_of[number] = family
        for (of, family_of, name, version), number in self._kinds.refresh(self._db).items():
            tenant, source = self._origin_of[of]
            aggregate_type = self._family_of[family_of][1]
            self._fields[number] = (source, name, version, tenant, aggregate_type)

    def _head(self) -> envelope.Position:
        return envelope.Position(self._db.execute(_HEAD).get or 0)

    def _wanted(self, where: envelope.Filter) -> list[int] | None:
        """The kinds a filter lets through; None: all there are."""
        wanted = [number for number, fields in self._fields.items() if _passes(fields, where)]
        return None if len(wanted) == len(self._fields) else wanted

    def _scan(
        self, after: int, limit: int, wanted: list[int] | None, head: envelope.Position
    ) -> tuple[list[_Row], envelope.Position]:
        if wanted is None:
            rows, cut = _bounded(self._db.execute(_SCAN + _ORDER, (after, after + limit, limit)))
            return rows, rows[-1][0] if cut else envelope.Position(min(after + limit, head))
        if not wanted:
            return [], head
        end = min(after + limits.SCAN_EVENTS_MAX, head)
        kinds = _numbers(wanted)
        found = self._db.execute(_SCAN + _KINDS + _ORDER, (after, end, kinds, limit))
        rows, cut = _bounded(found)
        return rows, envelope.Position(rows[-1][0] if cut or len(rows) == limit else end)

    def _of_aggregate(
        self, after: int, limit: int, where: envelope.Filter, head: envelope.Position
    ) -> tuple[list[_Row], envelope.Position]:
        """Merge the aggregates of that id, of whatever tenant and type the filter lets through."""
        wanted = self._wanted(where)
        kinds = None if wanted is None else _numbers(wanted)
        last = head
        rows: list[_Row] = []
        for number in self._numbers_of(where):
            found, end = self._of_number(number, after, limit, kinds, head)
            rows.extend(found)
            last = min(last, end)
        rows = sorted([row for row in rows if row[0] <= last], key=_position)[:limit]
        if len(rows) == limit:
            last = rows[-1][0]
        return rows, last

    def _numbers_of(self, where: envelope.Filter) -> Iterator[int]:
        assert where.aggregate_id is not None
        for number, family in self._db.execute(_NAMED, (texts.pack(where.aggregate_id),)):
            tenant, aggregate_type = self._family_of[family]
            if where.passes_tenant(tenant) and where.aggregate_type in (None, aggregate_type):
                yield number

    def _of_number(
        self, number: int, after: int, limit: int, kinds: str | None, head: envelope.Position
    ) -> tuple[list[_Row], envelope.Position]:
        """Its events after a position, and up to which position all of them are given."""
        total: int = self._db.execute(_LAST_SEQUENCE, (number,)).get or 0
        first = self._first_after(number, after, total)
        end = min(first + limits.SCAN_EVENTS_MAX, total + 1)
        sql = _AGGREGATE if kinds is None else _AGGREGATE + _KINDS
        numbers = (number, first, end)
        values = (*numbers, limit) if kinds is None else (*numbers, kinds, limit)
        rows = list(self._db.execute(sql + " ORDER BY sequence LIMIT ?", values))
        if len(rows) == limit:
            return rows, rows[-1][0]
        if end <= total:
            return rows, self._position_in(number, end - 1)
        return rows, head

    def _first_after(self, number: int, after: int, total: int) -> int:
        """The first sequence beyond a position: positions grow with sequences, so halve."""
        low, high = 1, total + 1
        while low < high:
            middle = (low + high) // 2
            if self._position_in(number, middle) <= after:
                low = middle + 1
            else:
                high = middle
        return low

    def _position_in(self, number: int, sequence: int) -> envelope.Position:
        position: int | None = self._db.execute(_IN_AGGREGATE, (number, sequence)).get
        if position is None:
            raise errors.CorruptionError(
                f"{self._path}: an aggregate (number {number}) has no event of sequence "
                f"{sequence}. Run `helios log verify` and restore a backup"
            )
        return envelope.Position(position)

    def _events(self, rows: Sequence[_Row]) -> list[envelope.Event]:
        try:
            return _decode(rows, self._fields)
        except (KeyError, TypeError, AttributeError) as error:
            span = f"{rows[0][0]} to {rows[-1][0]}"
            raise errors.CorruptionError(
                f"{self._path}: an event of positions {span} refers to a name, an aggregate or a "
                "commit that is not stored. Restore a backup"
            ) from error


class _Snapshot:
    """A read transaction: everything in it sees the log at one moment."""

    def __init__(self, db: apsw.Connection, path: str, refresh: Any) -> None:
        self._db = db
        self._path = path
        self._refresh = refresh

    def __enter__(self) -> None:
        try:
            self._db.execute("BEGIN")
            self._refresh()
        except apsw.Error as error:
            self._end()
            raise connections.translate(error, self._path) from error

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._end()
        if isinstance(error, apsw.Error):
            raise connections.translate(error, self._path) from error

    def _end(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _bounded(cursor: apsw.Cursor) -> tuple[list[_Row], bool]:
    """The rows up to the bound of a page in bytes, and whether it ended there.

    A thousand events of the greatest size would be a gigabyte, for each view that reads them.
    """
    rows: list[_Row] = []
    left = limits.PAGE_BYTES_MAX
    for row in cursor:
        rows.append(row)
        left -= len(row[7] or b"") + len(row[8] or b"")
        if left <= 0:
            cursor.close(True)  # noqa: FBT003 - apsw's signature
            return rows, True
    return rows, False


def _decode(rows: Sequence[_Row], fields: dict[int, _KindFields]) -> list[envelope.Event]:
    # The hot loop of every reader. Ids of aggregates and correlations repeat within a page, and
    # making the text of one costs a third of making the event.
    unpack, names, make = texts.unpack, texts.Unpacked(), envelope.Event
    events: list[envelope.Event] = []
    add = events.append
    for row in rows:
        (
            position, kind, sequence, event_id, lag_us, correlation, causation, payload, metadata,
            aggregate_id, actor, recorded_at,
        ) = row  # fmt: skip
        source, type_, version, tenant, aggregate_type = fields[kind]
        add(
            make(
                position=position,
                sequence=sequence,
                recorded_at=recorded_at,
                id=unpack(event_id),
                source=source,
                type=type_,
                occurred_at=recorded_at - lag_us,
                aggregate_type=aggregate_type,
                aggregate_id=names[aggregate_id],
                version=version,
                tenant=tenant,
                actor=actor,
                correlation_id=None if correlation is None else names[correlation],
                causation_id=None if causation is None else names[causation],
                payload=payload,
                metadata=metadata or _EMPTY,
            )
        )
    return events


def _passes(fields: _KindFields, where: envelope.Filter) -> bool:
    source, type_, _, tenant, aggregate_type = fields
    return (
        where.passes_tenant(tenant)
        and (where.types is None or type_ in where.types)
        and (where.sources is None or source in where.sources)
        and (where.aggregate_type is None or aggregate_type == where.aggregate_type)
    )


def _numbers(values: Sequence[int]) -> str:
    return msgspec.json.encode(values).decode()


def _position(row: _Row) -> int:
    position: int = row[0]
    return position
