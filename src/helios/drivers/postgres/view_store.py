"""Views in a PostgreSQL schema of their own.

Commits do not wait for the disk (`synchronous_commit=off`): a crash of the server may take the last
ones back, and the view then catches up from its checkpoint, which went back with them. What decides
who owns a copy and which one is live does wait. Each copy has a row in `helios_slots`; whoever
changes the copy locks that row first, so owners take turns and nobody overtakes.
"""

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg

from helios.drivers.postgres import codec, migrations, view_sql, view_statistics
from helios.drivers.postgres import connection as connections
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import ports, scoping

T = TypeVar("T")

INDEX_S = 3600.0
"""How long making one index may take. At the end: `StorageError`, and the rebuild is not live."""

_TABLES = """
CREATE TABLE helios_slots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    prefix text COLLATE "C" NOT NULL UNIQUE,
    tables text[] NOT NULL,
    live boolean NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,
    turn bigint NOT NULL DEFAULT 0,
    state bytea NOT NULL DEFAULT '') WITH (fillfactor = 20);
CREATE UNIQUE INDEX helios_slots_live ON helios_slots (view) WHERE live;
"""

MIGRATIONS: tuple[str, ...] = (_TABLES,)
"""Number n brings the tables from version n to n + 1. Released ones are never edited."""

_SLOT = "SELECT view, version, prefix, live, position, epoch, state, turn, tables FROM helios_slots"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NAME_BYTES_MAX = 63
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_DURABLE = "SET LOCAL synchronous_commit = on"
_SWAPS_MAX = 10
"""Swaps that one read may meet. Beyond: the error that the last one gave."""

_WRITING = {"synchronous_commit": "off"}
_READING = {"default_transaction_read_only": "on"}


class PostgresViewStore:
    """`projections.ports.ViewStore` on one schema of a PostgreSQL database.

    Args:
        url: `postgresql://user:password@host:port/database`.
        schema: where the tables live; made when it is not there.
        clock: for waits; None: the machine's.
        retry_s: how long calls go on while the server is away.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = "helios_views",
        clock: clocks.Clock | None = None,
        retry_s: float = connections.RETRY_S,
    ) -> None:
        self._url = url
        self._schema = connections.check_schema(schema)
        time = clock or clocks.SystemClock()
        self._writers = connections.Connections(
            url, schema, time, _WRITING, retry_s=retry_s, prepare=_numbers_as_sqlite
        )
        self._readers = connections.Connections(
            url, schema, time, _READING, retry_s=retry_s, prepare=_numbers_as_sqlite
        )
        self._live: dict[str, str] = {}
        self._growth = view_statistics.Growth()
        self._declared = scoping.Declared()

    async def open(self) -> None:
        """Connect, and make or update the tables.

        Raises:
            StorageError: the server stays away or refuses, or a newer Helios wrote the tables.
        """

        async def migrate(connection: connections.Connection) -> None:
            await migrations.migrate(connection, self._schema, kind="views", migrations=MIGRATIONS)

        try:
            await self._writers.open()
            await self._writers.run(migrate)
            await self._readers.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is under way and disconnect."""
        await self._writers.close()
        await self._readers.close()

    def declare(self, views: Sequence[ports.View]) -> None:
        """See `ports.ViewStore`."""
        for view in views:
            self._declared.add(view)

    async def slots(self, view: str) -> list[ports.Slot]:
        async def call(connection: connections.Connection) -> list[ports.Slot]:
            found = await connection.fetch(f"{_SLOT} WHERE view = $1 ORDER BY id", view)
            return [_slot(row) for row in found]

        return await self._readers.run(call)

    async def create(
        self, view: ports.View, *, live: bool, with_indexes: bool = True
    ) -> ports.Slot:
        """Make empty tables under a fresh prefix at position 0.

        Raises:
            ConflictError: `live`, but the view has a live copy.
            InvalidInputError: the view's name is not lower case letters, digits, underscores.
        """
        if not _NAME.fullmatch(view.name):
            raise errors.InvalidInputError(
                f"{view.name!r} is no name for a view: lower case letters, digits, underscores"
            )
        self._declared.add(view)
        number = await self._writers.run(_next_number)
        indexes = view.indexes if with_indexes else ()
        return await self._write(
            lambda connection: _create(connection, number, view, indexes, live=live)
        )

    async def claim(self, slot: ports.Slot) -> ports.Slot:
        """Become the owner of a copy. Raises ConflictError when it was dropped."""

        async def call(connection: connections.Connection) -> ports.Slot:
            await connection.execute(
                "UPDATE helios_slots SET epoch = epoch + 1 WHERE prefix = $1", slot.prefix
            )
            return _slot(await _require(connection, slot))

        return await self._write(call)

    async def commit(
        self, slot: ports.Slot, writes: Sequence[ports.Write], checkpoint: ports.Checkpoint
    ) -> ports.Slot:
        """Run the writes and store the checkpoint in one transaction.

        The checkpoint's epoch is ignored: it stays that of the claim.

        Raises:
            ConflictError: another owner claimed the copy, its position moved, or it was dropped.
        """
        if checkpoint.position < slot.checkpoint.position:
            raise errors.ConflictError(
                f"view {slot.view}: a checkpoint cannot go back "
                f"from {slot.checkpoint.position} to {checkpoint.position}"
            )
        attempt = _Commit(slot, writes, checkpoint)
        await self._writers.run(attempt.run)
        if self._growth.wrote(slot.prefix, sum(len(write.rows) for write in writes)):
            # What was committed stays so, whatever becomes of this.
            with contextlib.suppress(errors.StorageError, asyncpg.PostgresError):
                await self._writers.run(lambda c: view_statistics.analyse(c, slot.prefix))
        return attempt.result()

    async def finish(self, view: ports.View, slot: ports.Slot) -> None:
        """Make the indexes, each in a transaction of its own: live copies go on in between."""
        for ddl in view.indexes:
            sql = view_sql.ddl(ddl, slot.prefix)

            async def call(connection: connections.Connection, sql: str = sql) -> None:
                await _require_owned(connection, slot)
                await connection.execute(f"SET LOCAL statement_timeout = '{INDEX_S:.0f}s'")
                await connection.execute(sql, timeout=INDEX_S)

            # One that is there was made by an attempt whose answer got lost.
            with contextlib.suppress(asyncpg.DuplicateTableError):
                await self._write(call)

    async def swap(self, slot: ports.Slot) -> None:
        """Make this copy the live one and drop the former.

        Raises:
            ConflictError: not ours any more, or behind the live copy: what readers were told is
                visible would vanish. Catch up and try again.
        """
        await self._write(lambda connection: _swap(connection, slot))

    async def drop(self, slot: ports.Slot) -> None:
        """Drop a copy with its tables; nothing happens when it is gone."""
        await self._write(lambda connection: _drop(connection, slot.prefix))
        self._growth.forget(slot.prefix)

    async def query(self, view: str, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        async def call(connection: connections.Connection) -> list[ports.Row]:
            for _ in range(_SWAPS_MAX):
                prefix = self._live.get(view) or await self._find_live(connection, view)
                try:
                    return await _rows(connection, prefix, sql, params)
                except asyncpg.PostgresError:
                    # Perhaps because another copy is live by now and this one was dropped.
                    if await self._find_live(connection, view) == prefix:
                        raise
            return await _rows(connection, self._live[view], sql, params)

        return await self._readers.run(call)

    async def query_slot(
        self, slot: ports.Slot, sql: str, params: ports.Row = ()
    ) -> list[ports.Row]:
        return await self._readers.run(
            lambda connection: _rows(connection, slot.prefix, sql, params)
        )

    @contextlib.asynccontextmanager
    async def reading(self, view: str) -> AsyncIterator[ports.Snapshot]:
        """Several reads of the live copy in one snapshot.

        Keep it short: a swap waits for it, and the server ends it after some idle seconds.
        """
        async with self._readers.acquire() as connection:
            slot = await _begin_snapshot(connection, view)
            try:
                yield _Snapshot(connection, slot)
            finally:
                await _roll_back(connection)

    async def _find_live(self, connection: connections.Connection, view: str) -> str:
        self._live.pop(view, None)
        prefix = (await _live(connection, view))["prefix"]
        self._live[view] = prefix
        return str(prefix)

    async def _write(self, call: Callable[[connections.Connection], Awaitable[T]]) -> T:
        """A durable change of the slots. It may be done twice, when its answer got lost."""

        async def transaction(connection: connections.Connection) -> T:
            async with connection.transaction():
                await connection.execute(_DURABLE)
                return await call(connection)

        return await self._writers.run(transaction)


class _Commit:
    """One commit of a copy, which may need several connections.

    `turn` counts the commits of a copy. When a connection breaks at COMMIT, the next one sees by it
    whether the commit took place: only the owner commits, and the owner is waiting here.
    """

    def __init__(
        self, slot: ports.Slot, writes: Sequence[ports.Write], checkpoint: ports.Checkpoint
    ) -> None:
        self._slot = slot
        self._checkpoint = checkpoint
        self._statements = [
            view_sql.statement(write.sql, slot.prefix, write.rows) for write in writes if write.rows
        ]
        self._sent_turn: int | None = None

    async def run(self, connection: connections.Connection) -> None:
        await connection.execute("BEGIN")
        try:
            found = await _require(connection, self._slot)
            ours = found["epoch"] == self._slot.checkpoint.epoch
            if ours and self._sent_turn is not None and found["turn"] == self._sent_turn:
                await connection.execute("ROLLBACK")
                return
            _check_owned(found, self._slot)
            for statement in self._statements:
                await _execute(connection, statement)
            turn = found["turn"] + 1
            await connection.execute(
                "UPDATE helios_slots SET position = $2, state = $3, turn = $4 WHERE prefix = $1",
                self._slot.prefix,
                self._checkpoint.position,
                self._checkpoint.state,
                turn,
            )
        except BaseException:
            await _roll_back(connection)
            raise
        self._sent_turn = turn
        await connection.execute("COMMIT")

    def result(self) -> ports.Slot:
        slot = self._slot
        return ports.Slot(
            view=slot.view,
            version=slot.version,
            prefix=slot.prefix,
            live=slot.live,
            checkpoint=ports.Checkpoint(
                position=self._checkpoint.position,
                epoch=slot.checkpoint.epoch,
                state=self._checkpoint.state,
            ),
        )


class _Snapshot:
    """Reads inside the transaction that `reading` began."""

    def __init__(self, connection: connections.Connection, slot: ports.Slot) -> None:
        self._connection = connection
        self._slot = slot

    @property
    def checkpoint(self) -> ports.Checkpoint:
        return self._slot.checkpoint

    async def query(self, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        return await _rows(self._connection, self._slot.prefix, sql, params)


async def _numbers_as_sqlite(connection: connections.Connection) -> None:
    """A sum of integers is an integer, as in SQLite; any other `numeric` is a float."""
    await connection.set_type_codec(
        "numeric",
        schema="pg_catalog",
        encoder=str,
        decoder=lambda text: float(text) if "." in text else int(text),
        format="text",
    )


async def _roll_back(connection: connections.Connection) -> None:
    # The first error is the one to tell; a broken connection is replaced by the pool.
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")


async def _begin_snapshot(connection: connections.Connection, view: str) -> ports.Slot:
    """Begin a snapshot in which the live copy's tables stay, and return that copy."""
    for _ in range(_SWAPS_MAX):
        found = await _live(connection, view)
        tables = ", ".join(f'"{found["prefix"]}{table}"' for table in found["tables"])
        await connection.execute(_SNAPSHOT)
        # Locked before the snapshot is taken: from here on no swap can drop them.
        with contextlib.suppress(asyncpg.UndefinedTableError):
            if tables:
                await connection.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE")
            now = await connection.fetchrow(f"{_SLOT} WHERE view = $1 AND live", view)
            if now is not None and now["prefix"] == found["prefix"]:
                return _slot(now)
        await _roll_back(connection)
    raise connections.LostError(f"view {view}: swapped again and again; try again")


def _slot(row: Any) -> ports.Slot:
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


async def _live(connection: connections.Connection, view: str) -> Any:
    found = await connection.fetchrow(f"{_SLOT} WHERE view = $1 AND live", view)
    if found is None:
        raise errors.NotFoundError(f"view {view} has no live copy; `helios serve` builds it")
    return found


async def _require(connection: connections.Connection, slot: ports.Slot) -> Any:
    """The row of a copy, locked until the transaction ends."""
    found = await connection.fetchrow(f"{_SLOT} WHERE prefix = $1 FOR UPDATE", slot.prefix)
    if found is None:
        raise errors.ConflictError(f"view {slot.view}: copy {slot.prefix} was dropped")
    return found


async def _require_owned(connection: connections.Connection, slot: ports.Slot) -> Any:
    found = await _require(connection, slot)
    _check_owned(found, slot)
    return found


def _check_owned(found: Any, slot: ports.Slot) -> None:
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


async def _next_number(connection: connections.Connection) -> int:
    number: int = await connection.fetchval(
        "SELECT nextval(pg_get_serial_sequence('helios_slots', 'id'))"
    )
    return number


async def _create(
    connection: connections.Connection,
    number: int,
    view: ports.View,
    indexes: Sequence[str],
    *,
    live: bool,
) -> ports.Slot:
    prefix = f"{view.name}__{number}_"
    made = await connection.fetchrow(f"{_SLOT} WHERE prefix = $1", prefix)
    if made is not None:
        return _slot(made)
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
    return _slot(row)


async def _execute(connection: connections.Connection, statement: view_sql.Statement) -> None:
    sql, rows = statement
    if len(rows) == 1:
        await connection.execute(sql, *rows[0])
    else:
        await connection.executemany(sql, rows)


async def _swap(connection: connections.Connection, slot: ports.Slot) -> None:
    ours = await _require_owned(connection, slot)
    former = await connection.fetchrow(f"{_SLOT} WHERE view = $1 AND live FOR UPDATE", slot.view)
    if former is not None and former["prefix"] == ours["prefix"]:
        return
    if former is not None:
        if ours["position"] < former["position"]:
            raise errors.ConflictError(
                f"view {slot.view}: the new copy stands at {ours['position']}, "
                f"behind the live one at {former['position']}"
            )
        await _drop(connection, former["prefix"])
    await connection.execute("UPDATE helios_slots SET live = true WHERE prefix = $1", slot.prefix)


async def _drop(connection: connections.Connection, prefix: str) -> None:
    tables = await connection.fetchval(
        "DELETE FROM helios_slots WHERE prefix = $1 RETURNING tables", prefix
    )
    for table in tables or ():
        await connection.execute(f'DROP TABLE IF EXISTS "{prefix}{table}"')


async def _rows(
    connection: connections.Connection, prefix: str, sql: str, params: ports.Row
) -> list[ports.Row]:
    translated, rows = view_sql.statement(sql, prefix, [params])
    found = await connection.fetch(translated, *rows[0])
    return [tuple(map(codec.from_value, row)) for row in found]
