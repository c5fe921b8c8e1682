"""Views in a SQLite file of their own.

Never in the log's file: next to a busy appender a projection in the same file starves. Commits are
`synchronous=NORMAL`: a power cut may take the last ones back, and the view then catches up from
its checkpoint, which went back with them. One connection writes, in a thread of its own; readers
have connections and threads of theirs and see WAL snapshots, so neither waits for the other.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TypeVar

import apsw

from helios.drivers.sqlite import connection as connections
from helios.eventlog import envelope
from helios.kernel import errors, offload
from helios.projections import ports

T = TypeVar("T")

READERS = 2
"""Connections that read. More readers than that wait for one another."""

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS helios_slots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        view TEXT NOT NULL,
        version INTEGER NOT NULL,
        prefix TEXT NOT NULL UNIQUE,
        tables TEXT NOT NULL,
        live INTEGER NOT NULL,
        position INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        state BLOB NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX IF NOT EXISTS helios_slots_live ON helios_slots (view) WHERE live",
)

_SLOT = "SELECT view, version, prefix, live, position, epoch, state FROM helios_slots"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PLAIN_VALUES = re.compile(r"\bVALUES\s*(\(\s*\?(?:\s*,\s*\?)*\s*\))", re.IGNORECASE)
_ROWS_PER_STATEMENT = 100
_PARAMETERS_MAX = 32_000


class SqliteViewStore:
    """`projections.ports.ViewStore` on one SQLite file.

    Args:
        path: the file; made if absent.
        writer: where the writing connection runs; None: a thread of its own.
        readers: where the reading connections run, one each; None: two threads.
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
        self._writer = _Lane(path, writer or offload.ThreadOffload("views-writer"))
        if exclusive:
            self._readers = [self._writer]
        else:
            runs = readers or [offload.ThreadOffload(f"views-reader-{n}") for n in range(READERS)]
            self._readers = [_Lane(path, run) for run in runs]
        self._idle: asyncio.Queue[_Lane] = asyncio.Queue()

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
            for sql in _SCHEMA:
                connection.execute(sql)
            return connection

        try:
            await self._writer.open("views.open", create)
            for lane in self._readers:
                if lane is not self._writer:
                    reading = functools.partial(connect, readonly=True)
                    await lane.open("views.open_reader", reading)
        except errors.CorruptionError as error:
            raise errors.CorruptionError(
                f"{self._path}: damaged. Stop Helios and delete the file: "
                "the views are rebuilt from the log at the next start"
            ) from error
        for lane in self._readers:
            self._idle.put_nowait(lane)

    async def close(self) -> None:
        """Finish what is under way and close the file."""
        for lane in [*(r for r in self._readers if r is not self._writer), self._writer]:
            await lane.close()

    async def slots(self, view: str) -> list[ports.Slot]:
        def call(connection: apsw.Connection) -> list[ports.Slot]:
            found = connection.execute(f"{_SLOT} WHERE view = ? ORDER BY id", (view,))
            return [_slot(row) for row in found]

        return await self._read("views.slots", call)

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
        indexes = view.indexes if with_indexes else ()
        return await self._write(
            "views.create", lambda connection: _create(connection, view, indexes, live=live)
        )

    async def claim(self, slot: ports.Slot) -> ports.Slot:
        """Become the owner of a copy. Raises ConflictError when it was dropped."""

        def call(connection: apsw.Connection) -> ports.Slot:
            connection.execute(
                "UPDATE helios_slots SET epoch = epoch + 1 WHERE prefix = ?", (slot.prefix,)
            )
            return _require(connection, slot)

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
            "views.commit", lambda connection: _commit(connection, slot, writes, checkpoint)
        )

    async def finish(self, view: ports.View, slot: ports.Slot) -> None:
        """Make the indexes, each in a transaction of its own: live copies go on in between."""
        for ddl in view.indexes:
            sql = _with_prefix(ddl, slot.prefix)

            def call(connection: apsw.Connection, sql: str = sql) -> None:
                _require_owned(connection, slot)
                connection.execute(sql)

            await self._write("views.finish", call)

    async def swap(self, slot: ports.Slot) -> None:
        """Make this copy the live one and drop the former.

        Raises:
            ConflictError: not ours any more, or behind the live copy: what readers were told is
                visible would vanish. Catch up and try again.
        """
        await self._write("views.swap", lambda connection: _swap(connection, slot))

    async def drop(self, slot: ports.Slot) -> None:
        """Drop a copy with its tables; nothing happens when it is gone."""
        await self._write("views.drop", lambda connection: _drop(connection, slot.prefix))

    async def query(self, view: str, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        def call(connection: apsw.Connection) -> list[ports.Row]:
            return _rows(connection, _live(connection, view), sql, params)

        return await self._read("views.query", call)

    async def query_slot(
        self, slot: ports.Slot, sql: str, params: ports.Row = ()
    ) -> list[ports.Row]:
        return await self._read(
            "views.query", lambda connection: _rows(connection, slot, sql, params)
        )

    @contextlib.asynccontextmanager
    async def reading(self, view: str) -> AsyncIterator[ports.Snapshot]:
        """Several reads of the live copy in one snapshot.

        Keep it short, and use no other method of the store inside: it holds one of the few
        reading connections, and the WAL cannot shrink below it.
        """
        async with self._reader() as lane:

            def begin(connection: apsw.Connection) -> ports.Slot:
                connection.execute("BEGIN")
                return _live(connection, view)

            try:
                yield _Snapshot(lane, await lane.run("views.begin", begin))
            finally:
                await lane.run("views.end", _roll_back)

    @contextlib.asynccontextmanager
    async def _reader(self) -> AsyncIterator["_Lane"]:
        lane = await self._idle.get()
        try:
            async with lane.lock:
                yield lane
        finally:
            self._idle.put_nowait(lane)

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

    def __init__(self, path: str, run: offload.Offload) -> None:
        self.lock = asyncio.Lock()
        self._path = path
        self._offload = run
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
            await self._offload.run("views.close", lambda: connection.close(True))  # noqa: FBT003 - apsw's
        self._offload.close()


_INSIDE = frozenset({"views.snapshot", "views.end"})


class _Snapshot:
    """Reads inside the transaction that `reading` began."""

    def __init__(self, lane: _Lane, slot: ports.Slot) -> None:
        self._lane = lane
        self._slot = slot

    @property
    def checkpoint(self) -> ports.Checkpoint:
        return self._slot.checkpoint

    async def query(self, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        return await self._lane.run(
            "views.snapshot", lambda connection: _rows(connection, self._slot, sql, params)
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


def _with_prefix(sql: str, prefix: str) -> str:
    return sql.replace("{t}", prefix)


def _slot(row: ports.Row) -> ports.Slot:
    view, version, prefix, live, position, epoch, state = row
    checkpoint = ports.Checkpoint(
        position=envelope.Position(position), epoch=epoch, state=bytes(state)
    )
    return ports.Slot(
        view=view, version=version, prefix=prefix, live=bool(live), checkpoint=checkpoint
    )


def _find(connection: apsw.Connection, where: str, value: str) -> ports.Slot | None:
    for row in connection.execute(f"{_SLOT} WHERE {where}", (value,)):
        return _slot(row)
    return None


def _live(connection: apsw.Connection, view: str) -> ports.Slot:
    slot = _find(connection, "view = ? AND live", view)
    if slot is None:
        raise errors.NotFoundError(f"view {view} has no live copy; `helios serve` builds it")
    return slot


def _require(connection: apsw.Connection, slot: ports.Slot) -> ports.Slot:
    found = _find(connection, "prefix = ?", slot.prefix)
    if found is None:
        raise errors.ConflictError(f"view {slot.view}: copy {slot.prefix} was dropped")
    return found


def _require_owned(connection: apsw.Connection, slot: ports.Slot) -> ports.Slot:
    found = _require(connection, slot)
    if found.checkpoint.epoch != slot.checkpoint.epoch:
        raise errors.ConflictError(
            f"view {slot.view}: copy {slot.prefix} has another owner "
            f"(epoch {found.checkpoint.epoch}, ours is {slot.checkpoint.epoch})"
        )
    if found.checkpoint.position != slot.checkpoint.position:
        raise errors.ConflictError(
            f"view {slot.view}: copy {slot.prefix} stands at {found.checkpoint.position}, "
            f"not at {slot.checkpoint.position}"
        )
    return found


def _create(
    connection: apsw.Connection, view: ports.View, indexes: Sequence[str], *, live: bool
) -> ports.Slot:
    if live and _find(connection, "view = ? AND live", view.name) is not None:
        raise errors.ConflictError(f"view {view.name} has a live copy already")
    connection.execute(
        "INSERT INTO helios_slots (view, version, prefix, tables, live, position, epoch, state)"
        " VALUES (?, ?, '', ?, ?, 0, 0, x'')",
        (view.name, view.version, json.dumps(list(view.tables)), live),
    )
    number = connection.last_insert_rowid()
    prefix = f"{view.name}__{number}_"
    connection.execute("UPDATE helios_slots SET prefix = ? WHERE id = ?", (prefix, number))
    for ddl in itertools.chain(view.schema, indexes):
        connection.execute(_with_prefix(ddl, prefix))
    slot = _find(connection, "prefix = ?", prefix)
    assert slot is not None
    return slot


def _commit(
    connection: apsw.Connection,
    slot: ports.Slot,
    writes: Sequence[ports.Write],
    checkpoint: ports.Checkpoint,
) -> ports.Slot:
    held = slot.checkpoint
    connection.execute(
        "UPDATE helios_slots SET position = ?, state = ?"
        " WHERE prefix = ? AND epoch = ? AND position = ?",
        (checkpoint.position, checkpoint.state, slot.prefix, held.epoch, held.position),
    )
    if connection.changes() != 1:
        _require_owned(connection, slot)
        raise errors.ConflictError(f"view {slot.view}: copy {slot.prefix} is not ours")
    for write in writes:
        _run(connection, write, slot.prefix)
    return ports.Slot(
        view=slot.view,
        version=slot.version,
        prefix=slot.prefix,
        live=slot.live,
        checkpoint=ports.Checkpoint(
            position=checkpoint.position, epoch=held.epoch, state=checkpoint.state
        ),
    )


def _run(connection: apsw.Connection, write: ports.Write, prefix: str) -> None:
    # Many rows in one statement: a third of the time of a statement per row.
    single, many, size = _statements(write.sql, prefix)
    rows = write.rows
    whole = len(rows) - len(rows) % size if many else 0
    for start in range(0, whole, size):
        chunk = rows[start : start + size]
        connection.execute(many, tuple(itertools.chain.from_iterable(chunk)))
    rest = rows[whole:]
    if len(rest) == 1:
        connection.execute(single, rest[0])
    elif rest:
        connection.executemany(single, rest)


@functools.lru_cache(maxsize=512)
def _statements(sql: str, prefix: str) -> tuple[str, str, int]:
    single = _with_prefix(sql, prefix)
    found = _PLAIN_VALUES.findall(single)
    if len(found) != 1 or single.count("?") != found[0].count("?"):
        return single, "", 1
    size = min(_ROWS_PER_STATEMENT, _PARAMETERS_MAX // found[0].count("?"))
    many = _PLAIN_VALUES.sub("VALUES " + ", ".join([found[0]] * size), single)
    return single, many, size


def _swap(connection: apsw.Connection, slot: ports.Slot) -> None:
    ours = _require_owned(connection, slot)
    former = _find(connection, "view = ? AND live", slot.view)
    if former is not None and former.prefix == ours.prefix:
        return
    if former is not None:
        if ours.checkpoint.position < former.checkpoint.position:
            raise errors.ConflictError(
                f"view {slot.view}: the new copy stands at {ours.checkpoint.position}, "
                f"behind the live one at {former.checkpoint.position}"
            )
        _drop(connection, former.prefix)
    connection.execute("UPDATE helios_slots SET live = 1 WHERE prefix = ?", (ours.prefix,))


def _drop(connection: apsw.Connection, prefix: str) -> None:
    found = connection.execute("SELECT tables FROM helios_slots WHERE prefix = ?", (prefix,))
    for row in found.fetchall():
        for table in json.loads(str(row[0])):
            connection.execute(f'DROP TABLE IF EXISTS "{prefix}{table}"')
    connection.execute("DELETE FROM helios_slots WHERE prefix = ?", (prefix,))


def _rows(
    connection: apsw.Connection, slot: ports.Slot, sql: str, params: ports.Row
) -> list[ports.Row]:
    return connection.execute(_with_prefix(sql, slot.prefix), params).fetchall()
