"""A log in PostgreSQL: `eventlog.ports.LogStorage` for several processes at once.

Appends take turns (see `log_schema`), so positions have no gaps and follow the order of commits:
a reader that remembers the last position it saw misses nothing. Each process commits its own
callers as a group, so the turn changes hands some hundred times a second with many events each.

When the connection breaks, two cases must not be confused. Before COMMIT was sent, nothing was
stored, and the whole transaction is simply done again. After it, only the database knows; so the
next connection takes the turn, which waits until the lost transaction has ended either way, and
looks whether its batch is there. The callers get the true answer or wait for it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg

from helios.drivers.postgres import connection as connections
from helios.drivers.postgres import (
    dictionaries,
    listener,
    log_commit,
    log_read,
    log_schema,
    migrations,
    tenants,
)
from helios.eventlog import envelope, ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, tenancy

T = TypeVar("T")

SETTLE_S = 60.0
"""How long a commit of unknown outcome is inquired after. At the end: `StorageFailedError`."""

# Plans are made once, while the tables may still be empty; an index is right at every size.
_BY_INDEX = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
}
_WRITING = {**_BY_INDEX, "synchronous_commit": "on"}
_READING = {**_BY_INDEX, "default_transaction_read_only": "on"}


class PostgresLogStorage:
    """`LogStorage` in one schema of a PostgreSQL database.

    Args:
        url: `postgresql://user:password@host:port/database`.
        clock: for waits.
        schema: where its tables live; made when it is not there.
        fresh: gives a new log its identity; None: UUIDv7.
        retry_s: how long calls go on while the server is away.
    """

    def __init__(
        self,
        url: str,
        clock: clocks.Clock,
        *,
        schema: str = "helios",
        fresh: ids.Ids | None = None,
        retry_s: float = connections.RETRY_S,
    ) -> None:
        self._url = url
        self._schema = connections.check_schema(schema)
        self._clock = clock
        self._fresh = fresh or ids.Uuid7Ids(clock)
        self._retry_s = retry_s
        self._where = f"{connections.place(url)} schema {schema}"
        self._log_id: str | None = None
        self._names = dictionaries.Dictionaries()
        channel = f"helios_{schema}"
        self._committer = log_commit.Committer(self._names, channel)
        self._reader = log_read.Reader(self._names)
        self._readers = connections.Connections(url, schema, clock, _READING, retry_s=retry_s)
        self._net = tenants.Net(url, schema, clock, _READING, plain=self._readers, retry_s=retry_s)
        self._listener = listener.Listener(url, schema, channel, clock)
        self._turn = asyncio.Lock()
        self._writer: connections.Connection | None = None
        self._heard = 0
        self._is_open = False

    @property
    def log_id(self) -> str:
        assert self._log_id is not None, "open the log first"
        return self._log_id

    async def open(self) -> None:
        """Connect, and make or update the tables.

        Raises:
            StorageError: the server stays away or refuses, or a newer Helios wrote the tables.
        """
        self._is_open = True
        try:
            self._log_id = await connections.patiently(
                self._clock, self._prepare, retry_s=self._retry_s
            )
            await self._readers.open()
        except BaseException:
            await self.close()
            raise
        self._listener.start()

    async def close(self) -> None:
        """Finish the commit and the reads under way and disconnect."""
        async with self._turn:
            self._is_open = False
            writer, self._writer = self._writer, None
            if writer is not None:
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await writer.close(timeout=1.0)
        await self._listener.close()
        await self._readers.close()
        await self._net.close()

    async def commit(
        self, requests: Sequence[ports.AppendRequest], recorded_at: clocks.Timestamp
    ) -> list[envelope.Appended | Exception]:
        # A caller who gives up must not leave a transaction half way.
        task = asyncio.ensure_future(self._commit_in_turn(requests, recorded_at))
        return await asyncio.shield(task)

    async def read(
        self, after: envelope.Position, limit: int, where: envelope.Filter
    ) -> envelope.Page:
        self._heard = self._listener.count
        return await self._run(lambda c, owner: self._reader.page(c, after, limit, where, owner))

    async def read_at(self, positions: Sequence[envelope.Position]) -> list[envelope.Event]:
        return await self._run(lambda c, owner: self._reader.at(c, positions, owner))

    async def find(self, tenant: str, source: str, event_id: str) -> envelope.Event | None:
        key = (tenant, source, event_id)
        return await self._run(lambda c, owner: self._reader.find(c, key, owner))

    async def head(self) -> envelope.Position:
        self._heard = self._listener.count
        return await self._readers.run(self._reader.head)

    async def batches(self, after: envelope.Position, limit: int) -> list[ports.Batch]:
        return await self._readers.run(lambda c: self._reader.batches(c, after, limit))

    async def wait_commit(self, timeout_s: float) -> None:
        await self._listener.wait(self._heard, timeout_s)

    async def _run(
        self,
        call: Callable[[connections.Connection, connections.Connections | None], Awaitable[T]],
    ) -> T:
        """Read; within a scope as the role that sees the scope's events only."""
        scope = tenancy.current()
        if scope.tenants is None:
            return await self._readers.run(lambda c: call(c, None))
        return await self._net.run(scope, lambda c: call(c, self._readers))

    async def _commit_in_turn(
        self, requests: Sequence[ports.AppendRequest], recorded_at: clocks.Timestamp
    ) -> list[envelope.Appended | Exception]:
        async with self._turn:
            prepared = await connections.patiently(
                self._clock, lambda: self._attempt(requests, recorded_at), retry_s=self._retry_s
            )
        if prepared.plan.rows:
            self._listener.tell()
        return prepared.plan.outcomes

    async def _attempt(
        self, requests: Sequence[ports.AppendRequest], recorded_at: clocks.Timestamp
    ) -> log_commit.Prepared:
        connection = await self._connected()
        try:
            prepared = await self._committer.prepare(connection, requests, recorded_at)
            if prepared.plan.is_empty:
                await connection.execute("ROLLBACK")
                return prepared
        except BaseException as error:
            self._disconnect()
            translated = self._translate(error)
            if translated is error:
                raise
            raise translated from error
        try:
            await connection.execute("COMMIT")
        except Exception as error:
            self._disconnect()
            if not await self._took_place(prepared, error):
                lost = f"{self._where}: the connection broke at COMMIT, and nothing was stored"
                raise connections.LostError(lost) from error
        prepared.keep()
        return prepared

    async def _took_place(self, prepared: log_commit.Prepared, error: Exception) -> bool:
        """Whether a transaction whose COMMIT got no answer has committed.

        Without events it may be done again in any case: only keys and their answers were in it.
        """
        if prepared.hash is None:
            return False

        async def look() -> bool:
            connection = await self._connected()
            try:
                await connection.execute(log_commit.BEGIN)
                sql = "SELECT hash FROM batches WHERE last = $1"
                found: bytes | None = await connection.fetchval(sql, prepared.last)
                await connection.execute("ROLLBACK")
            except BaseException as inner:
                self._disconnect()
                translated = self._translate(inner)
                if translated is inner:
                    raise
                raise translated from inner
            return found == prepared.hash

        try:
            return await connections.patiently(self._clock, look, retry_s=SETTLE_S)
        except errors.StorageError as away:
            raise errors.StorageFailedError(
                f"{self._where}: the connection broke at COMMIT ({error}), and for {SETTLE_S:.0f} s"
                f" nobody could be asked whether it took place ({away}): restart Helios"
            ) from error

    async def _connected(self) -> connections.Connection:
        if not self._is_open:
            raise errors.StorageError(f"{self._where}: closed; open it first")
        if self._writer is None or self._writer.is_closed():
            self._writer = await connections.connect(self._url, self._schema, _WRITING)
        return self._writer

    def _disconnect(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.terminate()

    def _translate(self, error: BaseException) -> BaseException:
        if isinstance(error, Exception):
            return connections.translate(error, self._where)
        return error

    async def _prepare(self) -> str:
        connection = await self._connected()
        try:
            await migrations.migrate(
                connection, self._schema, kind="log", migrations=log_schema.MIGRATIONS
            )
            await self._net.ready(connection, granted=log_schema.GRANTED)
            await log_schema.secure(connection, self._schema, self._net.role)
            return await log_schema.log_id(connection, self._clock, self._fresh)
        except Exception as error:
            self._disconnect()
            translated = connections.translate(error, self._where)
            if translated is error:
                raise
            raise translated from error
