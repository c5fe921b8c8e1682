"""The tables of a log.

Rows are compact, because the log is most of what is stored: an event holds integers for its
type, origin, actor and aggregate, whose names stand once in dictionaries. Columns go from wide to
narrow, so that no padding is stored, and none is NULL, so that no row needs a bitmap. Dictionaries
are found by MD5, not for secrecy: two long names together are more than an index entry can hold.

Appends take turns by a lock on the one row of `turn`. The row is locked and never rewritten: an
updated counter would leave a dead version for each commit, and a long transaction anywhere in the
database (a dump, a forgotten session) would keep them all and make each append walk over them.
The counter itself is the last row of `batches`, which only grows.
"""

from helios.drivers.postgres import connection as connections
from helios.drivers.postgres import tenants
from helios.kernel import clock as clocks
from helios.kernel import ids

_TABLES = """
CREATE TABLE log (log_id text NOT NULL, created_at bigint NOT NULL);
CREATE TABLE turn (one boolean PRIMARY KEY CHECK (one));
INSERT INTO turn VALUES (true);

CREATE TABLE types (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type text COLLATE "C" NOT NULL, version integer NOT NULL);
CREATE TABLE origins (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL, source text COLLATE "C" NOT NULL);
CREATE TABLE families (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL, aggregate_type text COLLATE "C" NOT NULL);
CREATE TABLE actors (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor text COLLATE "C" NOT NULL);
CREATE UNIQUE INDEX types_name ON types (md5(type), version);
CREATE UNIQUE INDEX origins_name ON origins (md5(tenant), md5(source));
CREATE UNIQUE INDEX families_name ON families (md5(tenant), md5(aggregate_type));
CREATE UNIQUE INDEX actors_name ON actors (md5(actor));

CREATE TABLE aggregates (
    id bigint PRIMARY KEY, family integer NOT NULL, name bytea NOT NULL, UNIQUE (family, name));

CREATE TABLE events (
    position bigint PRIMARY KEY,
    aggregate bigint NOT NULL,
    occurred_at bigint NOT NULL,
    recorded_at bigint NOT NULL,
    sequence integer NOT NULL,
    type integer NOT NULL,
    origin integer NOT NULL,
    actor integer NOT NULL,
    id bytea NOT NULL,
    correlation bytea NOT NULL,
    causation bytea NOT NULL,
    metadata bytea NOT NULL,
    payload bytea NOT NULL);
CREATE UNIQUE INDEX events_sequence ON events (aggregate, sequence);
CREATE UNIQUE INDEX events_id ON events (origin, id);

CREATE TABLE batches (
    last bigint PRIMARY KEY, first bigint NOT NULL, recorded_at bigint NOT NULL,
    hash bytea NOT NULL);

CREATE TABLE idempotency (
    key bytea PRIMARY KEY, recorded_at bigint NOT NULL, answer bytea NOT NULL);
CREATE INDEX idempotency_recorded_at ON idempotency (recorded_at);
"""

_EXPIRY = """
ALTER TABLE idempotency RENAME COLUMN recorded_at TO expires_at;
ALTER INDEX idempotency_recorded_at RENAME TO idempotency_expires_at;
UPDATE idempotency SET expires_at = expires_at + 86400000000;
"""
"""Keys were all kept for a day; now each has its own time."""

MIGRATIONS: tuple[str, ...] = (_TABLES, _EXPIRY)
"""Number n brings the tables from version n to n + 1. Released ones are never edited."""

_SECURED = {
    "origins": tenants.OWN,
    "families": tenants.OWN,
    # Of those tables, too, only the rows in scope are seen.
    "events": "origin = ANY (ARRAY(SELECT id FROM origins))",
    "aggregates": "family = ANY (ARRAY(SELECT id FROM families))",
}
GRANTED = ("types", "batches")
"""What a reader within a scope reads besides: no tenant's data."""


async def secure(connection: connections.Connection, schema: str, role: str | None) -> None:
    """Put events under row-level security, or see that they are; see `tenants.secure`."""
    async with connection.transaction():
        await tenants.alone(connection, schema)
        await tenants.secure(connection, schema, _SECURED, role=role)


async def log_id(connection: connections.Connection, clock: clocks.Clock, fresh: ids.Ids) -> str:
    """Identity of the log, given at its first opening."""
    async with connection.transaction():
        await connection.execute("SELECT FROM turn FOR UPDATE")
        known: str | None = await connection.fetchval("SELECT log_id FROM log")
        if known is not None:
            return known
        made = fresh.new()
        await connection.execute("INSERT INTO log VALUES ($1, $2)", made, clock.now())
        return made
