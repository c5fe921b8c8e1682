"""The log in one SQLite file.

One connection writes, in a thread of its own; another reads, in its own, and sees the snapshots
that SQLite's WAL gives it: neither waits for the other. A commit is flushed (`synchronous=FULL`)
before it can be seen. Other processes may write the same file; views never live in it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import apsw

from helios.drivers.sqlite import connection as connections
from helios.drivers.sqlite import log_read, log_schema, log_write
from helios.eventlog import envelope, ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, offload

T = TypeVar("T")

PREWARM_PAGES = 4_000
POLL_S = 0.05
_PREWARM_AFTER_S = 1.0
"""How long after opening the WAL begins to grow."""


class SqliteLogStorage:
    """`eventlog.ports.LogStorage` on one SQLite file.

    Args:
        path: the file; made if absent, its folder must exist.
        clock: for waiting, and for the identity of a new log.
        ids: gives a new log its identity; None: a fresh UUIDv7.
        writer: where the writing connection runs; None: a thread of its own.
        reader: where the reading connection runs; None: a thread of its own, or with a writer
            given the writer's, on one connection for both.
        vfs: name of a registered VFS, for the simulation.
        exclusive: no shared memory and no other process; implies one connection.
        prewarm_pages: how far the WAL is grown soon after opening; 0 for short-lived uses.
        poll_s: how often commits of other processes are looked for while somebody waits.
    """

    def __init__(
        self,
        path: str,
        clock: clocks.Clock,
        *,
        id_source: ids.Ids | None = None,
        writer: offload.Offload | None = None,
        reader: offload.Offload | None = None,
        vfs: str | None = None,
        exclusive: bool = False,
        prewarm_pages: int = PREWARM_PAGES,
        poll_s: float = POLL_S,
    ) -> None:
        self._path = path
        self._clock = clock
        self._ids = id_source or ids.Uuid7Ids(clock)
        self._given = (writer, reader)
        self._one = exclusive or (writer is not None and reader is None)
        self._vfs = vfs
        self._exclusive = exclusive
        self._prewarm_pages = prewarm_pages
        self._poll_s = poll_s
        self._log_id: str | None = None
        self._version = -1
        self._look_at = 0.0
        self._broken: errors.StorageFailedError | None = None
        self._sides: _Sides | None = None

    @property
    def log_id(self) -> str:
        if self._log_id is None:
            raise errors.StorageError(f"{self._path}: not open yet")
        return self._log_id

    async def open(self) -> None:
        """Create or open the file.

        Raises:
            StorageError: it cannot be opened, is no log, or of a later Helios.
            CorruptionError: it is no SQLite file, or damaged.
        """
        writer = self._given[0] or offload.ThreadOffload("log-writer")
        reader = writer if self._one else self._given[1] or offload.ThreadOffload("log-reader")
        self._sides = sides = _Sides(writer, reader, owned=self._given)
        try:
            sides.writing = await writer.run("log.open", self._open_writer)
            sides.write = log_write.Writer(sides.writing, self._path)
            sides.reading = (
                sides.writing if self._one else await reader.run("log.open", self._connect)
            )
            sides.read = log_read.Reader(sides.reading, self._path)
            if self._prewarm_pages > 0:
                sides.growing = asyncio.create_task(self._prewarm(sides), name="log-prewarm")
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of the file and of the threads that are ours."""
        sides, self._sides = self._sides, None
        if sides is not None:
            await sides.close()

    async def commit(
        self, requests: Sequence[ports.AppendRequest], recorded_at: clocks.Timestamp
    ) -> list[envelope.Appended | Exception]:
        """See `ports.LogStorage.commit`."""
        sides = self._opened()
        if self._broken is not None:
            raise self._broken
        return await sides.writer.run(
            "log.commit", lambda: sides.write.commit(requests, recorded_at)
        )

    async def read(
        self, after: envelope.Position, limit: int, where: envelope.Filter
    ) -> envelope.Page:
        """See `ports.LogStorage.read`."""
        return await self._read("log.read", lambda r: r.read(after, limit, where))

    async def read_at(self, positions: Sequence[envelope.Position]) -> list[envelope.Event]:
        """See `ports.LogStorage.read_at`."""
        return await self._read("log.read_at", lambda r: r.read_at(positions))

    async def find(self, tenant: str, source: str, event_id: str) -> envelope.Event | None:
        """See `ports.LogStorage.find`."""
        return await self._read("log.find", lambda r: r.find(tenant, source, event_id))

    async def head(self) -> envelope.Position:
        """See `ports.LogStorage.head`."""
        return await self._read("log.head", lambda r: r.head())

    async def batches(self, after: envelope.Position, limit: int) -> list[ports.Batch]:
        """See `ports.LogStorage.batches`."""
        return await self._read("log.batches", lambda r: r.batches(after, limit))

    async def wait_commit(self, timeout_s: float) -> None:
        """Return after a commit by another connection, found by polling, or at the timeout.

        Two looks are never nearer than `poll_s`: our own commits count as another connection's,
        and whoever waits in a loop beside a busy writer would look all the time.
        """
        deadline = self._clock.monotonic() + timeout_s
        if self._exclusive:
            await self._clock.sleep(timeout_s)
            return
        while True:
            left = min(self._look_at, deadline) - self._clock.monotonic()
            if left > 0:
                await self._clock.sleep(left)
            self._look_at = self._clock.monotonic() + self._poll_s
            version = await self._read("log.data_version", lambda r: r.data_version())
            if version != self._version:
                self._version = version
                return
            if self._clock.monotonic() >= deadline:
                return

    async def _prewarm(self, sides: "_Sides") -> None:
        """Grow the WAL between the first commits: a start does not wait for it."""
        connection = sides.writing
        assert connection is not None
        await self._clock.sleep(_PREWARM_AFTER_S)

        try:
            for _ in range(0, self._prewarm_pages, log_schema.PREWARM_STEP_PAGES):
                if not await sides.writer.run(
                    "log.prewarm", lambda: log_schema.prewarm(connection)
                ):
                    break
            await sides.writer.run("log.prewarmed", lambda: log_schema.prewarmed(connection))
        except apsw.Error as error:
            # What the disk lost here a later commit's flush would call safe.
            self._broken = log_write.failed(error, self._path)

    async def _read(self, name: str, call: "Callable[[log_read.Reader], T]") -> T:
        sides = self._opened()
        return await sides.reader.run(name, lambda: call(sides.read))

    def _opened(self) -> "_Sides":
        if self._sides is None:
            raise errors.StorageError(f"{self._path}: the log is not open")
        return self._sides

    def _connect(self) -> apsw.Connection:
        return connections.connect(
            self._path,
            synchronous="FULL",
            vfs=self._vfs,
            exclusive=self._exclusive,
            wal_pages=log_schema.CHECKPOINT_PAGES,
        )

    def _open_writer(self) -> apsw.Connection:
        connection = self._connect()
        try:
            self._log_id = log_schema.prepare(connection, self._path, self._ids.new())
            log_schema.settle(connection)
        except apsw.Error as error:
            connection.close(True)  # noqa: FBT003 - positional only
            raise connections.translate(error, self._path) from error
        except BaseException:
            connection.close(True)  # noqa: FBT003 - positional only
            raise
        return connection


class _Sides:
    """What an open storage holds: two places to run, one or two connections."""

    write: log_write.Writer
    read: log_read.Reader

    def __init__(
        self,
        writer: offload.Offload,
        reader: offload.Offload,
        *,
        owned: tuple[offload.Offload | None, offload.Offload | None],
    ) -> None:
        self.writer = writer
        self.reader = reader
        self.writing: apsw.Connection | None = None
        self.reading: apsw.Connection | None = None
        self.growing: asyncio.Task[None] | None = None
        self._ours = [run for run in {writer: None, reader: None} if run not in owned]

    async def close(self) -> None:
        if self.growing is not None:
            self.growing.cancel()
            await asyncio.gather(self.growing, return_exceptions=True)
        if self.reading is not None and self.reading is not self.writing:
            await self.reader.run("log.close", self.reading.close)
        if self.writing is not None:
            await self.writer.run("log.close", self.writing.close)
        for run in self._ours:
            run.close()
