"""Views in a SQLite file of their own.

Never in the log's file: next to a busy appender a projection in the same file starves. Commits are
`synchronous=NORMAL`: a power cut may take the last ones back, and the view then catches up from
its checkpoint, which went back with them. One connection writes, in a thread of its own; readers
have connections and threads of theirs and see WAL snapshots, so neither waits for the other.
"""

import asyncio
import collections
import contextlib
import functools
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TypeAlias, TypeVar

import apsw

from helios.drivers.sqlite import connection as connections
from helios.drivers.sqlite import view_tables
from helios.kernel import errors, offload, tenancy
from helios.projections import ports, scoping

T = TypeVar("T")
_Select: TypeAlias = Callable[[apsw.Connection, ports.Slot, str, ports.Row], list[ports.Row]]

READERS = 2
"""Connections that read. More readers than that wait for one another."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class SqliteViewStore:
    """`projections.ports.ViewStore` on one SQLite file.

    Args:
        path: the file; made if absent.
        writer: where the writing connection runs; None: a thread of its own.
        readers: where the reading connections run, one each; None: two threads, or with a writer
            given the writer's, on one connection for everything.
        vfs: name of a registered VFS, for the simulation.
        exclusive: one connection for everything, which a VFS without shared memory needs.
    """

    def __init__(
        self,
        path: str,
        *,
        writer: offload.Offload | None = None,
        readers: Sequence[offload.Offload] | None = None,
        vfs: str | None = None,
        exclusive: bool = False,
    ) -> None:
        self._path = path
        self._vfs = vfs
        self._exclusive = exclusive
        self._writer = _Lane(path, writer, "views-writer")
        if exclusive or (writer is not None and readers is None):
            self._readers = [self._writer]
        else:
            runs: Sequence[offload.Offload | None] = readers or [None] * READERS
            self._readers = [_Lane(path, run, f"views-reader-{n}") for n, run in enumerate(runs)]
        # Counts the idle ones. An asyncio.Queue of them would let whoever comes just as one is put
        # back overtake all who wait.
        self._turns = asyncio.Semaphore(0)
        self._idle: collections.deque[_Lane] = collections.deque()
        self._declared = scoping.Declared()

    async def open(self) -> None:
        """Open or create the file.

        Raises:
            StorageError: it cannot be opened.
            CorruptionError: it is damaged; without it the views are rebuilt from the log.
        """
        connect = functools.partial(
            connections.connect,
            self._path,
            synchronous="NORMAL",
            vfs=self._vfs,
            exclusive=self._exclusive,
        )

        def create() -> apsw.Connection:
            connection = connect()
            for sql in view_tables.SCHEMA:
                connection.execute(sql)
            return connection

        try:
            await self._writer.open("views.open", create)
            for lane in self._readers:
                if lane is not self._writer:
                    reading = functools.partial(connect, readonly=True)
                    await lane.open("views.open_reader", reading)
        except errors.CorruptionError as error:
            await self.close()
            raise errors.CorruptionError(
                f"{self._path}: damaged. Stop Helios and delete the file: "
                "the views are rebuilt from the log at the next start"
            ) from error
        except BaseException:
            await self.close()
            raise
        for lane in self._readers:
            self._put_back(lane)

    async def close(self) -> None:
        """Finish what is under way and close the file."""
        for lane in [*(r for r in self._readers if r is not self._writer), self._writer]:
            await lane.close()

    def declare(self, views: Sequence[ports.View]) -> None:
        """See `ports.ViewStore`."""
        for view in views:
            self._declared.add(view)

    async def slots(self, view: str) -> list[ports.Slot]:
        return await self._read("views.slots", lambda conn: view_tables.copies(conn, view))

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
        indexes = view.indexes if with_indexes else ()
        return await self._write(
            "views.create",
            lambda connection: view_tables.create(connection, view, indexes, live=live),
        )

    async def claim(self, slot: ports.Slot) -> ports.Slot:
        """Become the owner of a copy. Raises ConflictError when it was dropped."""

        def call(connection: apsw.Connection) -> ports.Slot:
            connection.execute(
                "UPDATE helios_slots SET epoch = epoch + 1 WHERE prefix = ?", (slot.prefix,)
            )
            return view_tables.require(connection, slot)

        return await self._write("views.claim", call)

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
        return await self._write(
            "views.commit",
            lambda connection: view_tables.commit(connection, slot, writes, checkpoint),
        )

    async def finish(self, view: ports.View, slot: ports.Slot) -> None:
        """Make the indexes, each in a transaction of its own: live copies go on in between."""
        for ddl in view.indexes:
            sql = view_tables.with_prefix(ddl, slot.prefix)

            def call(connection: apsw.Connection, sql: str = sql) -> None:
                view_tables.require_owned(connection, slot)
                connection.execute(sql)

            await self._write("views.finish", call)

    async def swap(self, slot: ports.Slot) -> None:
        """Make this copy the live one and drop the former.

        Raises:
            ConflictError: not ours any more, or behind the live copy: what readers were told is
                visible would vanish. Catch up and try again.
        """
        await self._write("views.swap", lambda connection: view_tables.swap(connection, slot))

    async def drop(self, slot: ports.Slot) -> None:
        """Drop a copy with its tables; nothing happens when it is gone."""
        await self._write(
            "views.drop", lambda connection: view_tables.drop(connection, slot.prefix)
        )

    async def query(self, view: str, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        select = self._select(view)

        def call(connection: apsw.Connection) -> list[ports.Row]:
            return select(connection, view_tables.live(connection, view), sql, params)

        return await self._read("views.query", call)

    async def query_slot(
        self, slot: ports.Slot, sql: str, params: ports.Row = ()
    ) -> list[ports.Row]:
        def call(connection: apsw.Connection) -> list[ports.Row]:
            try:
                return view_tables.select(connection, slot, sql, params)
            except apsw.SQLError:
                view_tables.require(connection, slot)
                raise

        return await self._read("views.query", call)

    @contextlib.asynccontextmanager
    async def reading(self, view: str) -> AsyncIterator[ports.Snapshot]:
        """Several reads of the live copy in one snapshot.

        Keep it short, and use no other method of the store inside: it holds one of the few
        reading connections, and the WAL cannot shrink below it.
        """
        async with self._reader() as lane:

            def begin(connection: apsw.Connection) -> ports.Slot:
                connection.execute("BEGIN")
                return view_tables.live(connection, view)

            try:
                slot = await lane.run("views.begin", begin)
                yield _Snapshot(lane, slot, lambda: self._select(view))
            finally:
                await lane.run("views.end", _roll_back)

    def _select(self, view: str) -> _Select:
        """How the live copy of a view is read within the scope that is set."""
        # Asked here: what runs in another thread does not know the scope.
        scope = tenancy.current()
        if scope.tenants is None:
            return view_tables.select
        tables = self._declared.of(view)
        return functools.partial(view_tables.select_within, tables=tables, scope=scope)

    @contextlib.asynccontextmanager
    async def _reader(self) -> AsyncIterator["_Lane"]:
        await self._turns.acquire()
        lane = self._idle.popleft()
        try:
            async with lane.lock:
                yield lane
        finally:
            self._put_back(lane)

    def _put_back(self, lane: "_Lane") -> None:
        self._idle.append(lane)
        self._turns.release()

    async def _read(self, name: str, call: Callable[[apsw.Connection], T]) -> T:
        def transaction(connection: apsw.Connection) -> T:
            with _transaction(connection, "BEGIN"):
                return call(connection)

        async with self._reader() as lane:
            return await lane.run(name, transaction)

    async def _write(self, name: str, call: Callable[[apsw.Connection], T]) -> T:
        def transaction(connection: apsw.Connection) -> T:
            with _transaction(connection, "BEGIN IMMEDIATE"):
                return call(connection)

        async with self._writer.lock:
            return await self._writer.run(name, transaction)


class _Lane:
    """A connection and the thread that alone may touch it."""

    def __init__(self, path: str, run: offload.Offload | None, name: str) -> None:
        self.lock = asyncio.Lock()
        self._path = path
        self._is_ours = run is None
        self._offload = run or offload.ThreadOffload(name)
        self._connection: apsw.Connection | None = None

    async def open(self, name: str, connect: Callable[[], apsw.Connection]) -> None:
        def call() -> apsw.Connection:
            try:
                return connect()
            except apsw.Error as error:
                raise connections.translate(error, self._path) from error

        self._connection = await self._offload.run(name, call)

    async def run(self, name: str, call: Callable[[apsw.Connection], T]) -> T:
        connection = self._connection
        if connection is None:
            raise errors.StorageError(f"{self._path}: the views are closed; open them first")

        def blocking() -> T:
            # A cancelled caller may have left a snapshot open behind it.
            if connection.in_transaction and name not in _INSIDE:
                _roll_back(connection)
            try:
                return call(connection)
            except apsw.Error as error:
                translated = connections.translate(error, self._path)
                if translated is error:
                    raise
                raise translated from error

        return await self._offload.run(name, blocking)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._offload.run("views.close", connection.close)
        if self._is_ours:
            self._offload.close()


_INSIDE = frozenset({"views.snapshot", "views.end"})


class _Snapshot:
    """Reads inside the transaction that `reading` began."""

    def __init__(self, lane: _Lane, slot: ports.Slot, select: Callable[[], _Select]) -> None:
        self._lane = lane
        self._slot = slot
        self._select = select

    @property
    def checkpoint(self) -> ports.Checkpoint:
        return self._slot.checkpoint

    async def query(self, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        select = self._select()
        return await self._lane.run(
            "views.snapshot", lambda connection: select(connection, self._slot, sql, params)
        )


@contextlib.contextmanager
def _transaction(connection: apsw.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: apsw.Connection) -> None:
    # Some errors (disk full, I/O) roll back by themselves; the first error is the one to tell.
    if connection.in_transaction:
        with contextlib.suppress(apsw.Error):
            connection.execute("ROLLBACK")
