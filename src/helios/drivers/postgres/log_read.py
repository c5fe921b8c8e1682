"""Reading a log on PostgreSQL: the statements, and rows back into events.

Each read is one statement, so one snapshot: a page and the head it names belong together, and no
reader sees a position before the one in front of it.
"""

from collections.abc import Sequence
from typing import Any

from helios.drivers.postgres import codec, dictionaries
from helios.drivers.postgres import connection as connections
from helios.eventlog import envelope, ports
from helios.kernel import clock as clocks

SCAN_POSITIONS = 50_000
"""Positions that one filtered page looks at. Beyond: an empty page, and the reader comes again."""

_EVENT = """e.position, e.sequence, e.recorded_at, e.id, e.type, e.origin, e.occurred_at,
    a.family, a.name, e.actor, e.correlation, e.causation, e.payload, e.metadata"""

_HEAD = "SELECT coalesce(max(last), 0) FROM batches"

_PAGE = f"""
SELECT h.head, p.* FROM ({_HEAD}) AS h (head) LEFT JOIN LATERAL (
    SELECT {_EVENT} FROM events AS e JOIN aggregates AS a ON a.id = e.aggregate
    WHERE e.position > $1 ORDER BY e.position LIMIT $2
) AS p ON true ORDER BY p.position
"""

_MATCHES = """
    ($4::text[] IS NULL OR e.type = ANY(ARRAY(SELECT id FROM types WHERE type = ANY($4))))
    AND ($5::text[] IS NULL AND $6::text[] IS NULL OR e.origin = ANY(ARRAY(
        SELECT id FROM origins
        WHERE ($5 IS NULL OR tenant = ANY($5)) AND ($6 IS NULL OR source = ANY($6)))))
    AND ($7::text IS NULL OR a.family = ANY(ARRAY(
        SELECT id FROM families WHERE aggregate_type = $7)))
    AND ($8::bytea IS NULL OR a.name = $8)
"""

_FILTERED = f"""
SELECT h.head, p.* FROM ({_HEAD}) AS h (head) LEFT JOIN LATERAL (
    SELECT {_EVENT} FROM events AS e JOIN aggregates AS a ON a.id = e.aggregate
    WHERE e.position > $1 AND e.position <= $1 + $3::bigint AND {_MATCHES}
    ORDER BY e.position LIMIT $2
) AS p ON true ORDER BY p.position
"""

# OFFSET 0 keeps the order of the joins: the family first, or all aggregates would be looked at.
_OF_AGGREGATE = f"""
SELECT h.head, p.* FROM ({_HEAD}) AS h (head) LEFT JOIN LATERAL (
    SELECT q.* FROM (
        SELECT id FROM families
        WHERE ($5::text[] IS NULL OR tenant = ANY($5)) AND ($7::text IS NULL OR aggregate_type = $7)
        OFFSET 0
    ) AS f CROSS JOIN LATERAL (
        SELECT id, family, name FROM aggregates WHERE family = f.id AND name = $8::bytea OFFSET 0
    ) AS a CROSS JOIN LATERAL (
        SELECT {_EVENT} FROM events AS e
        WHERE e.aggregate = a.id AND e.position > $1 AND $3::bigint IS NOT NULL AND {_MATCHES}
            AND e.sequence > coalesce(
                (SELECT sequence FROM events WHERE position = $1 AND aggregate = a.id), 0)
        ORDER BY e.sequence LIMIT $2
    ) AS q
    ORDER BY q.position LIMIT $2
) AS p ON true ORDER BY p.position
"""

_AT = f"""
SELECT 0, {_EVENT} FROM events AS e JOIN aggregates AS a ON a.id = e.aggregate
WHERE e.position = ANY($1::bigint[]) ORDER BY e.position
"""

_FIND = f"""
SELECT 0, {_EVENT} FROM origins AS o JOIN events AS e ON e.origin = o.id AND e.id = $3
JOIN aggregates AS a ON a.id = e.aggregate
WHERE md5(o.tenant) = md5($1) AND md5(o.source) = md5($2) AND o.tenant = $1 AND o.source = $2
"""

_BATCHES = """
SELECT first, last, recorded_at, hash FROM batches WHERE last > $1 ORDER BY last LIMIT $2
"""


class Reader:
    """The reads of a log over any connection to it.

    A connection that may not read all names is given `owner`, who looks them up.
    """

    def __init__(self, names: dictionaries.Dictionaries) -> None:
        self._names = names
        self._columns = (
            (5, names.types),
            (6, names.origins),
            (8, names.families),
            (10, names.actors),
        )

    async def page(
        self,
        connection: connections.Connection,
        after: envelope.Position,
        limit: int,
        where: envelope.Filter,
        owner: connections.Connections | None = None,
    ) -> envelope.Page:
        if where == envelope.ALL:
            rows = await connection.fetch(_PAGE, after, limit)
            reach = None
        elif where.aggregate_id is not None:
            rows = await connection.fetch(_OF_AGGREGATE, after, limit, 0, *_arguments(where))
            reach = None
        else:
            arguments = (after, limit, SCAN_POSITIONS, *_arguments(where))
            rows = await connection.fetch(_FILTERED, *arguments)
            reach = after + SCAN_POSITIONS
        head: int = rows[0][0]
        events = [] if rows[0][1] is None else await self._events(connection, rows, owner)
        if len(events) == limit:
            scanned: int = events[-1].position
        else:
            scanned = head if reach is None else min(reach, head)
        return envelope.Page(
            events=events,
            next_after=envelope.Position(max(scanned, after)),
            head=envelope.Position(head),
        )

    async def at(
        self,
        connection: connections.Connection,
        positions: Sequence[envelope.Position],
        owner: connections.Connections | None = None,
    ) -> list[envelope.Event]:
        rows = await connection.fetch(_AT, list(positions))
        return await self._events(connection, rows, owner)

    async def find(
        self,
        connection: connections.Connection,
        key: tuple[str, str, str],
        owner: connections.Connections | None = None,
    ) -> envelope.Event | None:
        tenant, source, event_id = key
        arguments = (codec.to_text(tenant), codec.to_text(source), codec.pack(event_id))
        rows = await connection.fetch(_FIND, *arguments)
        events = await self._events(connection, rows, owner)
        return events[0] if events else None

    async def head(self, connection: connections.Connection) -> envelope.Position:
        head: int = await connection.fetchval(_HEAD)
        return envelope.Position(head)

    async def batches(
        self, connection: connections.Connection, after: envelope.Position, limit: int
    ) -> list[ports.Batch]:
        return [
            ports.Batch(
                first=envelope.Position(first),
                last=envelope.Position(last),
                recorded_at=clocks.Timestamp(recorded_at),
                hash=found,
            )
            for first, last, recorded_at, found in await connection.fetch(_BATCHES, after, limit)
        ]

    async def _events(
        self,
        connection: connections.Connection,
        rows: Sequence[Any],
        owner: connections.Connections | None,
    ) -> list[envelope.Event]:
        if not rows:
            return []
        if owner is None:
            await self._learn(connection, rows)
        elif not self._knows(rows):
            await owner.run(lambda other: self._learn(other, rows))
        return _decode(rows, self._names)

    async def _learn(self, connection: connections.Connection, rows: Sequence[Any]) -> None:
        for at, names in self._columns:
            await names.load(connection, (row[at] for row in rows))

    def _knows(self, rows: Sequence[Any]) -> bool:
        return all(row[at] in names.entries for at, names in self._columns for row in rows)


def _decode(rows: Sequence[Any], names: dictionaries.Dictionaries) -> list[envelope.Event]:
    types, origins = names.types.entries, names.origins.entries
    families, actors = names.families.entries, names.actors.entries
    unpack = codec.unpack
    events = []
    for (
        _,
        position,
        sequence,
        recorded_at,
        packed_id,
        type_id,
        origin_id,
        occurred_at,
        family_id,
        name,
        actor_id,
        correlation,
        causation,
        payload,
        metadata,
    ) in rows:
        kind, version = types[type_id]
        tenant, source = origins[origin_id]
        events.append(
            envelope.Event(
                position=position,
                sequence=sequence,
                recorded_at=recorded_at,
                id=unpack(packed_id) or "",
                source=source,
                type=kind,
                occurred_at=occurred_at,
                aggregate_type=families[family_id][1],
                aggregate_id=unpack(name) or "",
                version=version,
                tenant=tenant,
                actor=actors[actor_id][0],
                correlation_id=unpack(correlation),
                causation_id=unpack(causation),
                payload=payload,
                metadata=metadata or b"{}",
            )
        )
    return events


def _arguments(where: envelope.Filter) -> tuple[Any, ...]:
    """Values of $4 to $8."""
    return (
        _texts(where.types),
        _texts(where.all_of),
        _texts(where.sources),
        None if where.aggregate_type is None else codec.to_text(where.aggregate_type),
        None if where.aggregate_id is None else codec.pack(where.aggregate_id),
    )


def _texts(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else [codec.to_text(value) for value in values]
