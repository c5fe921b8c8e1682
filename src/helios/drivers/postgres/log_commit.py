"""One group commit as a PostgreSQL transaction, up to but not including its COMMIT.

Four round trips, however many callers wait: take the turn, look everything up, write everything,
commit. The turn comes first and in a statement of its own, because the snapshot of the lookup must
be younger than the commit of whoever had the turn before.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from helios.drivers.postgres import codec, dictionaries
from helios.drivers.postgres import connection as connections
from helios.eventlog import chain, envelope, ports
from helios.eventlog import commit as commits
from helios.kernel import clock as clocks

COPY_ROWS = 200
"""From so many events on, COPY is faster than arrays."""

_PRUNE_EVERY = 64
"""Commits with idempotency keys between two removals of expired ones."""

_PRUNE_ROWS = 2_000

BEGIN = "BEGIN; SELECT FROM turn FOR UPDATE"
"""Take the turn: the next to take it sees all that this transaction did."""

_FACTS = """
SELECT 0 AS what, 0 AS nth, last AS a, 0 AS b, hash AS c
    FROM (SELECT last, hash FROM batches ORDER BY last DESC LIMIT 1) AS head
UNION ALL
SELECT 1, 0, id, 0, NULL FROM (SELECT id FROM aggregates ORDER BY id DESC LIMIT 1) AS newest
UNION ALL
SELECT 2, asked.nth, found.id, coalesce(final.sequence, 0), NULL
    FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY AS asked (family, name, nth)
    JOIN aggregates AS found ON found.family = asked.family AND found.name = asked.name
    LEFT JOIN LATERAL (
        SELECT sequence FROM events WHERE aggregate = found.id ORDER BY sequence DESC LIMIT 1
    ) AS final ON true
UNION ALL
SELECT 3, asked.nth, found.position, found.sequence, NULL
    FROM unnest($3::integer[], $4::bytea[]) WITH ORDINALITY AS asked (origin, id, nth)
    JOIN events AS found ON found.origin = asked.origin AND found.id = asked.id
UNION ALL
SELECT 4, asked.nth, found.expires_at, 0, found.answer
    FROM unnest($5::bytea[]) WITH ORDINALITY AS asked (key, nth)
    JOIN idempotency AS found ON found.key = asked.key
"""

_COLUMNS = (
    "position",
    "aggregate",
    "occurred_at",
    "recorded_at",
    "sequence",
    "type",
    "origin",
    "actor",
    "id",
    "correlation",
    "causation",
    "metadata",
    "payload",
)

_WRITE = f"""
WITH new_aggregates AS (
    INSERT INTO aggregates SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bytea[])
), new_answers AS (
    INSERT INTO idempotency (key, expires_at, answer)
    SELECT key, expires_at, answer
    FROM unnest($5::bytea[], $24::bigint[], $6::bytea[]) AS given (key, expires_at, answer)
    ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at, answer = excluded.answer
), new_batch AS (
    INSERT INTO batches (last, first, recorded_at, hash)
    SELECT $7::bigint, $8::bigint, $4::bigint, $9::bytea WHERE $8 <= $7
), new_events AS (
    INSERT INTO events ({", ".join(_COLUMNS)})
    SELECT * FROM unnest(
        $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::integer[],
        $15::integer[], $16::integer[], $17::integer[], $18::bytea[], $19::bytea[], $20::bytea[],
        $21::bytea[], $22::bytea[])
)
SELECT pg_notify($23, '') WHERE $8 <= $7
"""

_PRUNE = """
DELETE FROM idempotency WHERE key = ANY(ARRAY(
    SELECT key FROM idempotency WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2))
"""

_encode = msgspec.msgpack.Encoder().encode
_decode_answer = msgspec.msgpack.Decoder(commits.Answer).decode


class Prepared(msgspec.Struct, kw_only=True):
    """A transaction that only needs its COMMIT.

    Attributes:
        plan: what it does and what to answer.
        last: position of its last event; the former head where it has none.
        hash: of its batch, by which it is found again; None where it has no events.
        staged: dictionary entries that hold once it has committed.
    """

    plan: commits.Plan
    last: int
    hash: bytes | None
    staged: list[tuple[dictionaries.Dictionary, dict[dictionaries.Key, int]]]

    def keep(self) -> None:
        """Remember what is true now that it has committed."""
        for dictionary, entries in self.staged:
            dictionary.keep(entries)


class _Lookup(msgspec.Struct, kw_only=True):
    """What the transaction found, beyond what the plan needs."""

    facts: commits.Facts
    previous: bytes
    newest_aggregate: int
    aggregates: dict[envelope.AggregateKey, int]


class Committer:
    """Prepares group commits on a connection.

    Args:
        names: dictionaries of the log.
        channel: where listeners are told.
    """

    def __init__(self, names: dictionaries.Dictionaries, channel: str) -> None:
        self._names = names
        self._channel = channel
        self._keyed_commits = 0

    async def prepare(
        self,
        connection: connections.Connection,
        requests: Sequence[ports.AppendRequest],
        recorded_at: clocks.Timestamp,
    ) -> Prepared:
        """Do all of a group commit but its COMMIT. On an error the caller ends the connection."""
        asked = commits.questions(requests)
        await connection.execute(BEGIN)
        ids = await self._stage(connection, requests, asked)
        lookup = await _look_up(connection, ids, asked, recorded_at)
        plan = commits.plan(requests, lookup.facts)
        prepared = Prepared(
            plan=plan,
            last=plan.rows[-1][0] if plan.rows else lookup.facts.head,
            hash=chain.link(lookup.previous, plan.rows, recorded_at) if plan.rows else None,
            staged=ids.staged,
        )
        if not plan.is_empty:
            await self._write(connection, prepared, lookup, ids, recorded_at)
        return prepared

    async def _stage(
        self,
        connection: connections.Connection,
        requests: Sequence[ports.AppendRequest],
        asked: commits.Questions,
    ) -> "_Ids":
        names = self._names
        events = [event for request in requests for event in request.events]
        wanted: list[tuple[dictionaries.Dictionary, set[dictionaries.Key]]] = [
            (names.types, {(event.type, event.version) for event in events}),
            (names.origins, {(tenant, source) for tenant, source, _ in asked.events}),
            (names.families, {(tenant, kind) for tenant, kind, _ in asked.aggregates}),
            (names.actors, {(event.actor,) for event in events}),
        ]
        staged = []
        found = []
        for dictionary, keys in wanted:
            fresh = await dictionary.stage(connection, keys)
            if fresh:
                staged.append((dictionary, fresh))
            found.append({**dictionary.ids, **fresh} if fresh else dictionary.ids)
        types, origins, families, actors = found
        return _Ids(types, origins, families, actors, staged)

    async def _write(
        self,
        connection: connections.Connection,
        prepared: Prepared,
        lookup: _Lookup,
        ids: "_Ids",
        recorded_at: clocks.Timestamp,
    ) -> None:
        rows = prepared.plan.rows
        fresh = _new_aggregates(rows, lookup, ids)
        events = _event_rows(rows, lookup.aggregates, ids, recorded_at)
        if len(events) >= COPY_ROWS:
            await connection.copy_records_to_table("events", records=events, columns=_COLUMNS)
            events = []
        keys, answers, expiries = _answers(prepared.plan, recorded_at)
        await connection.execute(
            _WRITE,
            *_transposed(fresh, 3),
            recorded_at,
            keys,
            answers,
            prepared.last,
            rows[0][0] if rows else prepared.last + 1,
            prepared.hash or b"",
            *_transposed(events, len(_COLUMNS)),
            self._channel,
            expiries,
        )
        if keys:
            await self._prune(connection, recorded_at)

    async def _prune(
        self, connection: connections.Connection, recorded_at: clocks.Timestamp
    ) -> None:
        self._keyed_commits += 1
        if self._keyed_commits % _PRUNE_EVERY == 0:
            await connection.execute(_PRUNE, recorded_at, _PRUNE_ROWS)


class _Ids:
    """Ids of all dictionary entries that a commit needs."""

    __slots__ = ("actors", "families", "origins", "staged", "types")

    def __init__(
        self,
        types: dict[dictionaries.Key, int],
        origins: dict[dictionaries.Key, int],
        families: dict[dictionaries.Key, int],
        actors: dict[dictionaries.Key, int],
        staged: list[tuple[dictionaries.Dictionary, dict[dictionaries.Key, int]]],
    ) -> None:
        self.types = types
        self.origins = origins
        self.families = families
        self.actors = actors
        self.staged = staged


async def _look_up(
    connection: connections.Connection,
    ids: _Ids,
    asked: commits.Questions,
    recorded_at: clocks.Timestamp,
) -> _Lookup:
    families, origins = ids.families, ids.origins
    found = await connection.fetch(
        _FACTS,
        [families[tenant, kind] for tenant, kind, _ in asked.aggregates],
        [codec.pack(name) for _, _, name in asked.aggregates],
        [origins[tenant, source] for tenant, source, _ in asked.events],
        [codec.pack(event_id) for _, _, event_id in asked.events],
        [_digest(scope, key) for scope, key in asked.keys],
    )
    head, previous, newest = 0, chain.GENESIS, 0
    aggregates: dict[envelope.AggregateKey, int] = {}
    heads: dict[envelope.AggregateKey, int] = {}
    known: dict[commits.DedupKey, commits.Place] = {}
    answers: dict[commits.IdempotencyKey, commits.Answer] = {}
    for what, nth, a, b, c in found:
        if what == 2:
            aggregate = asked.aggregates[nth - 1]
            aggregates[aggregate] = a
            heads[aggregate] = b
        elif what == 3:
            known[asked.events[nth - 1]] = (envelope.Position(a), b)
        elif what == 4:
            if a > recorded_at:
                answers[asked.keys[nth - 1]] = _decode_answer(c)
        elif what == 1:
            newest = a
        else:
            head, previous = a, c
    facts = commits.Facts(head=envelope.Position(head), heads=heads, known=known, answers=answers)
    return _Lookup(facts=facts, previous=previous, newest_aggregate=newest, aggregates=aggregates)


def _new_aggregates(
    rows: Sequence[commits.Row], lookup: _Lookup, ids: _Ids
) -> list[tuple[int, int, bytes]]:
    """Rows for aggregates that had no event yet; they are added to the lookup."""
    fresh = []
    number = lookup.newest_aggregate
    known = lookup.aggregates
    for _, _, event in rows:
        aggregate = (event.tenant, event.aggregate_type, event.aggregate_id)
        if aggregate not in known:
            number += 1
            known[aggregate] = number
            family = ids.families[event.tenant, event.aggregate_type]
            fresh.append((number, family, codec.pack(event.aggregate_id)))
    return fresh


def _event_rows(
    rows: Sequence[commits.Row],
    aggregates: dict[envelope.AggregateKey, int],
    ids: _Ids,
    recorded_at: clocks.Timestamp,
) -> list[tuple[Any, ...]]:
    pack = codec.pack
    types, origins, actors = ids.types, ids.origins, ids.actors
    return [
        (
            position,
            aggregates[event.tenant, event.aggregate_type, event.aggregate_id],
            event.occurred_at,
            recorded_at,
            sequence,
            types[event.type, event.version],
            origins[event.tenant, event.source],
            actors[event.actor,],
            pack(event.id),
            pack(event.correlation_id),
            pack(event.causation_id),
            b"" if event.metadata == b"{}" else event.metadata,
            event.payload,
        )
        for position, sequence, event in rows
    ]


def _answers(
    plan: commits.Plan, recorded_at: clocks.Timestamp
) -> tuple[list[bytes], list[bytes], list[int]]:
    keys = [_digest(idempotency.scope, idempotency.key) for idempotency, _ in plan.answers]
    answers = [
        _encode(commits.Answer(request_hash=idempotency.request_hash, appended=appended))
        for idempotency, appended in plan.answers
    ]
    return keys, answers, [key.expires_at(recorded_at) for key, _ in plan.answers]


def _digest(scope: str, key: str) -> bytes:
    """One fixed-size key of an idempotency key, however long its scope is."""
    return hashlib.sha256(_encode((scope, key))).digest()


def _transposed(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width
