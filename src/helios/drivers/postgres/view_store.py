"""Views in a PostgreSQL schema of their own.

Commits do not wait for the disk (`synchronous_commit=off`): a crash of the server may take the last
ones back, and the view then catches up from its checkpoint, which went back with them. What decides
who owns a copy and which one is live does wait. Each copy has a row in `helios_slots`; whoever
changes the copy locks that row first, so owners take turns and nobody overtakes.
"""

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

import asyncpg

from helios.drivers.postgres import connection as connections
from helios.drivers.postgres import migrations, tenants, view_copies, view_sql, view_statistics
from helios.kernel import clock as clocks
from helios.kernel import errors, tenancy
from helios.projections import ports, scoping

T = TypeVar("T")
_Restrict: TypeAlias = Callable[[tenancy.Scope, str, str, str, ports.Row], tuple[str, ports.Row]]

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

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DURABLE = "SET LOCAL synchronous_commit = on"

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
        self._net = tenants.Net(
            url,
            schema,
            time,
            _READING,
            plain=self._readers,
            retry_s=retry_s,
            prepare=_numbers_as_sqlite,
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
            await self._writers.run(lambda c: self._net.ready(c, granted=("helios_slots",)))
            await self._readers.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is under way and disconnect."""
        await self._writers.close()
        await self._readers.close()
        await self._net.close()

    def declare(self, views: Sequence[ports.View]) -> None:
        """See `ports.ViewStore`."""
        for view in views:
            self._declared.add(view)

    async def slots(self, view: str) -> list[ports.Slot]:
        async def call(connection: connections.Connection) -> list[ports.Slot]:
            found = await connection.fetch(f"{view_copies.SLOT} WHERE view = $1 ORDER BY id", view)
            return [view_copies.slot_of(row) for row in found]

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
        number = await self._writers.run(view_copies.next_number)
        indexes = view.indexes if with_indexes else ()

        async def call(connection: connections.Connection) -> ports.Slot:
            slot = await view_copies.create(connection, number, view, indexes, live=live)
            await self._secure(connection, slot)
            return slot

        return await self._write(call)

    async def claim(self, slot: ports.Slot) -> ports.Slot:
        """Become the owner of a copy. Raises ConflictError when it was dropped."""

        async def call(connection: connections.Connection) -> ports.Slot:
            await connection.execute(
                "UPDATE helios_slots SET epoch = epoch + 1 WHERE prefix = $1", slot.prefix
            )
            claimed = view_copies.slot_of(await view_copies.require(connection, slot))
            # One that an older Helios made, or that was restored, may lack it.
            await self._secure(connection, claimed)
            return claimed

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
                await view_copies.require_owned(connection, slot)
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
        await self._write(lambda connection: view_copies.swap(connection, slot))

    async def drop(self, slot: ports.Slot) -> None:
        """Drop a copy with its tables; nothing happens when it is gone."""
        await self._write(lambda connection: view_copies.drop(connection, slot.prefix))
        self._growth.forget(slot.prefix)

    async def query(self, view: str, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        scope = tenancy.current()
        if scope.tenants is not None:
            return await self._query_within(scope, view, sql, params)

        async def call(connection: connections.Connection) -> list[ports.Row]:
            for _ in range(view_copies.SWAPS_MAX):
                prefix = self._live.get(view) or await self._find_live(connection, view)
                try:
                    return await view_copies.rows(connection, prefix, sql, params)
                except asyncpg.PostgresError:
                    # Perhaps because another copy is live by now and this one was dropped.
                    if await self._find_live(connection, view) == prefix:
                        raise
            return await view_copies.rows(connection, self._live[view], sql, params)

        return await self._readers.run(call)

    async def _query_within(
        self, scope: tenancy.Scope, view: str, sql: str, params: ports.Row
    ) -> list[ports.Row]:
        """Read as the role that sees the scope's rows only, and ask for no others."""
        for _ in range(view_copies.SWAPS_MAX):
            prefix = self._live.get(view) or await self._look_for_live(view)
            text, given = self._restrict(scope, view, prefix, sql, params)

            async def call(
                connection: connections.Connection,
                prefix: str = prefix,
                text: str = text,
                given: ports.Row = given,
            ) -> list[ports.Row]:
                return await view_copies.rows(connection, prefix, text, given)

            try:
                return await self._net.run(scope, call)
            except (asyncpg.PostgresError, errors.StorageError):
                if await self._look_for_live(view) == prefix:
                    raise
        raise connections.LostError(f"view {view}: swapped again and again; try again")

    def _restrict(
        self, scope: tenancy.Scope, view: str, prefix: str, sql: str, params: ports.Row
    ) -> tuple[str, ports.Row]:
        return scoping.restrict(
            sql,
            params,
            prefix=prefix,
            tables=self._declared.of(view),
            scope=scope,
            schema=f'"{self._schema}".',
        )

    async def _look_for_live(self, view: str) -> str:
        return await self._readers.run(lambda connection: self._find_live(connection, view))

    async def _secure(self, connection: connections.Connection, slot: ports.Slot) -> None:
        said = self._declared.of(slot.view)
        await view_copies.secure(connection, self._schema, slot, said, self._net.role)

    async def query_slot(
        self, slot: ports.Slot, sql: str, params: ports.Row = ()
    ) -> list[ports.Row]:
        return await self._readers.run(
            lambda connection: view_copies.rows(connection, slot.prefix, sql, params)
        )

    @contextlib.asynccontextmanager
    async def reading(self, view: str) -> AsyncIterator[ports.Snapshot]:
        """Several reads of the live copy in one snapshot.

        Keep it short: a swap waits for it, and the server ends it after some idle seconds.
        """
        scope = tenancy.current()
        first, only = "", None
        if scope.tenants is not None:
            tables = self._declared.of(view)
            first, only = tenants.named(scope), scoping.readable(tables)
        pool = self._readers if scope.tenants is None else self._net
        async with pool.acquire() as connection:
            slot = await view_copies.begin_snapshot(connection, view, first=first, only=only)
            try:
                yield _Snapshot(connection, slot, self._restrict)
            finally:
                await view_copies.roll_back(connection)

    async def _find_live(self, connection: connections.Connection, view: str) -> str:
        self._live.pop(view, None)
        prefix = (await view_copies.live(connection, view))["prefix"]
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
            found = await view_copies.require(connection, self._slot)
            ours = found["epoch"] == self._slot.checkpoint.epoch
            if ours and self._sent_turn is not None and found["turn"] == self._sent_turn:
                await connection.execute("ROLLBACK")
                return
            view_copies.check_owned(found, self._slot)
            for statement in self._statements:
                await view_copies.execute(connection, statement)
            turn = found["turn"] + 1
            await connection.execute(
                "UPDATE helios_slots SET position = $2, state = $3, turn = $4 WHERE prefix = $1",
                self._slot.prefix,
                self._checkpoint.position,
                self._checkpoint.state,
                turn,
            )
        except BaseException:
            await view_copies.roll_back(connection)
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

    def __init__(
        self, connection: connections.Connection, slot: ports.Slot, restrict: _Restrict
    ) -> None:
        self._connection = connection
        self._slot = slot
        self._restrict = restrict

    @property
    def checkpoint(self) -> ports.Checkpoint:
        return self._slot.checkpoint

    async def query(self, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        scope, slot = tenancy.current(), self._slot
        if scope.tenants is not None:
            sql, params = self._restrict(scope, slot.view, slot.prefix, sql, params)
        return await view_copies.rows(self._connection, slot.prefix, sql, params)


async def _numbers_as_sqlite(connection: connections.Connection) -> None:
    """A sum of integers is an integer, as in SQLite; any other `numeric` is a float."""
    await connection.set_type_codec(
        "numeric",
        schema="pg_catalog",
        encoder=str,
        decoder=lambda text: float(text) if "." in text else int(text),
        format="text",
    )
