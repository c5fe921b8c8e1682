"""The copies of views as rows and tables: what the store does on a connection.

Every function here that writes runs inside a transaction that its caller began.
"""

import contextlib
from collections.abc import Collection, Sequence
from typing import Any

import asyncpg

from helios.drivers.postgres import codec, tenants, view_sql
from helios.drivers.postgres import connection as connections
from helios.eventlog import envelope
from helios.kernel import errors
from helios.projections import ports, scoping

SLOT = "SELECT view, version, prefix, live, position, epoch, state, turn, tables FROM helios_slots"
SWAPS_MAX = 10
"""Swaps that one read may meet. Beyond: the error that the last one gave."""

_NAME_BYTES_MAX = 63
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def slot_of(row: Any) -> ports.Slot:
    checkpoint = ports.Checkpoint(
        position=envelope.Position(row["position"]), epoch=row["epoch"], state=row["state"]
    )
    return ports.Slot(
        view=row["view"],
        version=row["version"],
        prefix=row["prefix"],
        live=row["live"],
        checkpoint=checkpoint,
    )


async def live(connection: connections.Connection, view: str) -> Any:
    found = await connection.fetchrow(f"{SLOT} WHERE view = $1 AND live", view)
    if found is None:
        raise errors.NotFoundError(f"view {view} has no live copy; `helios serve` builds it")
    return found


async def require(connection: connections.Connection, slot: ports.Slot) -> Any:
    """The row of a copy, locked until the transaction ends."""
    found = await connection.fetchrow(f"{SLOT} WHERE prefix = $1 FOR UPDATE", slot.prefix)
    if found is None:
        raise errors.ConflictError(f"view {slot.view}: copy {slot.prefix} was dropped")
    return found


async def require_owned(connection: connections.Connection, slot: ports.Slot) -> Any:
    found = await require(connection, slot)
    check_owned(found, slot)
    return found


def check_owned(found: Any, slot: ports.Slot) -> None:
    held = slot.checkpoint
    if found["epoch"] != held.epoch:
        raise errors.ConflictError(
            f"view {slot.view}: copy {slot.prefix} has another owner "
            f"(epoch {found['epoch']}, ours is {held.epoch})"
        )
    if found["position"] != held.position:
        raise errors.ConflictError(
            f"view {slot.view}: copy {slot.prefix} stands at {found['position']}, "
            f"not at {held.position}"
        )


async def next_number(connection: connections.Connection) -> int:
    number: int = await connection.fetchval(
        "SELECT nextval(pg_get_serial_sequence('helios_slots', 'id'))"
    )
    return number


async def create(
    connection: connections.Connection,
    number: int,
    view: ports.View,
    indexes: Sequence[str],
    *,
    live: bool,
) -> ports.Slot:
    prefix = f"{view.name}__{number}_"
    made = await connection.fetchrow(f"{SLOT} WHERE prefix = $1", prefix)
    if made is not None:
        return slot_of(made)
    for table in view.tables:
        if len(f"{prefix}{table}") > _NAME_BYTES_MAX:
            raise errors.InvalidInputError(
                f"table {prefix}{table}: PostgreSQL takes names of at most {_NAME_BYTES_MAX} "
                "characters; give the view or the table a shorter name"
            )
    try:
        row = await connection.fetchrow(
            "INSERT INTO helios_slots (id, view, version, prefix, tables, live)"
            " OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6) RETURNING *",
            number,
            view.name,
            view.version,
            prefix,
            list(view.tables),
            live,
        )
    except asyncpg.UniqueViolationError as error:
        raise errors.ConflictError(f"view {view.name} has a live copy already") from error
    for sql in (*view.schema, *indexes):
        await connection.execute(view_sql.ddl(sql, prefix))
    return slot_of(row)


async def execute(connection: connections.Connection, statement: view_sql.Statement) -> None:
    sql, rows = statement
    if len(rows) == 1:
        await connection.execute(sql, *rows[0])
    else:
        await connection.executemany(sql, rows)


async def swap(connection: connections.Connection, slot: ports.Slot) -> None:
    ours = await require_owned(connection, slot)
    former = await connection.fetchrow(f"{SLOT} WHERE view = $1 AND live FOR UPDATE", slot.view)
    if former is not None and former["prefix"] == ours["prefix"]:
        return
    if former is not None:
        if ours["position"] < former["position"]:
            raise errors.ConflictError(
                f"view {slot.view}: the new copy stands at {ours['position']}, "
                f"behind the live one at {former['position']}"
            )
        await drop(connection, former["prefix"])
    await connection.execute("UPDATE helios_slots SET live = true WHERE prefix = $1", slot.prefix)


async def drop(connection: connections.Connection, prefix: str) -> None:
    tables = await connection.fetchval(
        "DELETE FROM helios_slots WHERE prefix = $1 RETURNING tables", prefix
    )
    if tables:
        # Together: a policy of one may name another.
        names = ", ".join(f'"{prefix}{table}"' for table in tables)
        await connection.execute(f"DROP TABLE IF EXISTS {names}")


async def rows(
    connection: connections.Connection, prefix: str, sql: str, params: ports.Row
) -> list[ports.Row]:
    translated, rows = view_sql.statement(sql, prefix, [params])
    found = await connection.fetch(translated, *rows[0])
    return [tuple(map(codec.from_value, row)) for row in found]


async def roll_back(connection: connections.Connection) -> None:
    # The first error is the one to tell; a broken connection is replaced by the pool.
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")


async def begin_snapshot(
    connection: connections.Connection,
    view: str,
    *,
    first: str = "",
    only: Collection[str] | None = None,
) -> ports.Slot:
    """Begin a snapshot in which the live copy's tables stay, and return that copy.

    Args:
        connection: outside a transaction.
        view: whose copy.
        first: what the transaction says first; takes no snapshot.
        only: the tables that will be read; None: all.
    """
    for _ in range(SWAPS_MAX):
        found = await live(connection, view)
        tables = ", ".join(
            f'"{found["prefix"]}{table}"'
            for table in found["tables"]
            if only is None or table in only
        )
        await connection.execute(f"{_SNAPSHOT}; {first}")
        # Locked before the snapshot is taken: from here on no swap can drop them.
        with contextlib.suppress(asyncpg.UndefinedTableError):
            if tables:
                await connection.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE")
            now = await connection.fetchrow(f"{SLOT} WHERE view = $1 AND live", view)
            if now is not None and now["prefix"] == found["prefix"]:
                return slot_of(now)
        await roll_back(connection)
    raise connections.LostError(f"view {view}: swapped again and again; try again")


async def secure(
    connection: connections.Connection,
    schema: str,
    slot: ports.Slot,
    said: scoping.Tables,
    role: str | None,
) -> None:
    """Put a copy's tables under row-level security, or see that they are."""
    names: list[str] | None = await connection.fetchval(
        "SELECT tables FROM helios_slots WHERE prefix = $1", slot.prefix
    )
    conditions: dict[str, str | None] = {}
    for table in names or ():
        one = said.get(table, scoping.HIDDEN)
        conditions[f"{slot.prefix}{table}"] = _condition(one, f"{slot.prefix}{table}", slot.prefix)
    await tenants.secure(connection, schema, conditions, role=role)


def _condition(one: scoping.Tenancy, name: str, prefix: str) -> str | None:
    match one:
        case scoping.Own(shared=shared):
            more = f" OR ({tenants.shared_with_all(shared)})" if shared else ""
            return tenants.OWN + more
        case scoping.Through(table=table, columns=columns):
            same = " AND ".join(f'of.{theirs} = "{name}".{ours}' for ours, theirs in columns)
            # Of that table, too, only the rows in scope are seen.
            return f'EXISTS (SELECT 1 FROM "{prefix}{table}" AS of WHERE {same})'
        case scoping.Common():
            return "true"
        case _:
            return None
