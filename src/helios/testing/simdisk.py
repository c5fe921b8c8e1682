"""A disk that keeps only what was flushed.

kill -9 leaves the page cache alone, so a test that kills processes passes even where nothing is
ever flushed. This disk is the power cut: writes are volatile until `xSync`, and a crash keeps what
was synced and decides by the seed about every other write alone: lost, kept (before or after its
neighbours: a disk reorders), or torn after some of its bytes. Creating and deleting a file is
volatile in the same way, in the order it was done.

It is a virtual file system of SQLite, so the real storage code runs on it unchanged. There is no
shared memory: WAL mode needs `locking_mode=EXCLUSIVE` set before the first access.

Every operation that changes the disk is a place to crash. The crash does not stop SQLite in the
middle: the files it holds become ghosts, on which it works on without any effect, until the call
returns and the offload freezes the node. So no handler ever sees a simulated crash, as none sees
a real one.

Faults: a flush that fails and loses part of what it should have written for good, even when a
later flush succeeds (as Linux does); no space left, after part of a write.
"""

import random

import apsw
import msgspec

from helios.testing import simloop, simports

SECTOR_BYTES = 4096

_NAMES = iter(range(1 << 62))

_open_handles: "dict[_Handle, _Vfs]" = {}
"""Whoever holds a file needs its VFS to the end, also when the collector takes both at once."""


class DiskFaults(msgspec.Struct, frozen=True, kw_only=True):
    """How a simulated disk misbehaves.

    Attributes:
        sync_fails: share of flushes that fail.
        full: share of writes that find no space.
        torn: whether a crash may cut an unsynced write after some of its bytes.
        kills: share of crashes that end the process only and leave the page cache.
        lies: the planted fault of a disk (or a setting) that never flushes.
    """

    sync_fails: float = 0.0
    full: float = 0.0
    torn: bool = True
    kills: float = 1 / 3
    lies: bool = False


class DiskCounts(msgspec.Struct, kw_only=True):
    """What happened to the disk: the coverage counters."""

    syncs: int = 0
    syncs_failed: int = 0
    full: int = 0
    writes_lost: int = 0
    writes_torn: int = 0
    writes_kept: int = 0
    crashes: int = 0
    kills: int = 0


class _File:
    """One file: what programs read, what a power cut would leave, and what lies between."""

    __slots__ = ("closing", "data", "durable", "locks", "pending")

    def __init__(self) -> None:
        self.closing = False
        self.locks: dict[_Handle, int] = {}
        self.data = bytearray()
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes | None]] = []
        """(offset, bytes) of a write, or (size, None) of a truncation."""

    def write(self, offset: int, data: bytes) -> None:
        _apply(self.data, offset, data)
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        _apply(self.data, size, None)
        self.pending.append((size, None))

    def copy(self) -> "_File":
        other = _File()
        other.data = bytearray(self.data)
        other.durable = bytearray(self.durable)
        other.pending = list(self.pending)
        return other

    def sync(self) -> None:
        for offset, data in self.pending:
            _apply(self.durable, offset, data)
        self.pending.clear()


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class _Volume:
    """The files of one generation. After a crash it is the ghosts' own little world."""

    def __init__(self) -> None:
        self.files: dict[str, _File] = {}
        self.durable: dict[str, _File] = {}
        self.entries: list[tuple[str, _File | None]] = []
        """Directory changes not yet durable, in order: created, or None for deleted."""

    def sync_directory(self) -> None:
        self.flush_entries(len(self.entries))

    def flush_entries(self, count: int) -> None:
        for name, file in self.entries[:count]:
            if file is None:
                self.durable.pop(name, None)
            else:
                self.durable[name] = file
        del self.entries[:count]


class SimDisk:
    """The disk of one node: opens as SQLite's VFS named `vfs`.

    Args:
        loop: gets a note of each operation.
        rng: decides what a crash keeps, and which operations fail.
        faults: see DiskFaults; may be exchanged while it runs.
        points: each changing operation is counted there as `disk <operation>`.

    Attributes:
        generation: raised by each crash.
        counts: what happened.
    """

    def __init__(
        self,
        loop: simloop.SimLoop,
        rng: random.Random,
        *,
        faults: DiskFaults | None = None,
        points: simports.CrashPoints | None = None,
    ) -> None:
        self.faults = faults or DiskFaults()
        self.generation = 1
        self.counts = DiskCounts()
        self._loop = loop
        self._rng = rng
        self._points = points
        self._flush_failed = False
        self._struck = False
        self._volume = _Volume()
        self._vfs = _Vfs(self, self._volume)

    @property
    def vfs(self) -> str:
        """Name of the VFS of this generation."""
        return self._vfs.name

    def close(self) -> None:
        """Take the VFS out of the process; what still closes files does so without faults."""
        self.faults = DiskFaults()
        self._points = None
        self._vfs.unregister()

    def files(self) -> dict[str, bytes]:
        """What programs see now."""
        return {name: bytes(file.data) for name, file in sorted(self._volume.files.items())}

    def crash(self) -> None:
        """Cut the power: decide about everything unsynced, and make the open handles ghosts."""
        self.counts.crashes += 1
        self.generation += 1
        self._flush_failed = False
        before = self._volume
        before.flush_entries(self._rng.randint(0, len(before.entries)))
        self._volume = _Volume()
        self._volume.files = {
            name: self._survivor(file) for name, file in sorted(before.durable.items())
        }
        self._volume.durable = dict(self._volume.files)
        self._vfs.unregister()
        self._vfs = _Vfs(self, self._volume)
        self._loop.note("disk crash")

    def kill(self) -> None:
        """The process dies, the machine goes on: what was written stays, flushed or not.

        Not after a failed flush: then the machine is started anew. A process that goes on from
        pages which the kernel calls clean and never wrote is beyond what SQLite can recover from
        when the power fails once more before they are written again.
        """
        if self._flush_failed:
            self.crash()
            return
        self.counts.kills += 1
        self.generation += 1
        before = self._volume
        created = [file for _, file in before.entries if file is not None]
        every = (*before.files.values(), *before.durable.values(), *created)
        copies = {id(file): file.copy() for file in every}
        self._volume = _Volume()
        self._volume.files = {name: copies[id(file)] for name, file in before.files.items()}
        self._volume.durable = {name: copies[id(file)] for name, file in before.durable.items()}
        self._volume.entries = [
            (name, None if file is None else copies[id(file)]) for name, file in before.entries
        ]
        self._vfs.unregister()
        self._vfs = _Vfs(self, self._volume)
        self._loop.note("disk kill")

    def _survivor(self, file: _File) -> _File:
        content = bytearray(file.durable)
        for offset, data in file.pending:
            fate = self._rng.random()
            if fate < 1 / 3:
                self.counts.writes_lost += 1
            elif data and self.faults.torn and fate < 1 / 2:
                self.counts.writes_torn += 1
                _apply(content, offset, data[: self._rng.randrange(len(data))])
            else:
                self.counts.writes_kept += 1
                _apply(content, offset, data)
        after = _File()
        after.data = content
        after.durable = bytearray(content)
        return after

    def strike(self) -> None:
        """The node dies while it writes: the power fails, or only the process dies."""
        if self._rng.random() < self.faults.kills:
            self.kill()
        else:
            self.crash()

    # What the VFS asks. A ghost's volume is not ours any more: nothing is counted, nothing fails.

    def changing(self, volume: _Volume, what: str) -> bool:
        """A changing operation begins: crash here if it is time. False: of a ghost."""
        if volume is not self._volume:
            return False
        self._loop.note(f"disk {what}")
        if self._points is not None and self._points.hit(f"disk {what}"):
            self.strike()
        return volume is self._volume

    def delete(self, volume: _Volume, name: str, *, sync_directory: bool) -> None:
        self.changing(volume, "delete")
        if volume.files.pop(name, None) is None:
            raise apsw.IOError(f"{name}: no such file on the simulated disk")
        volume.entries.append((name, None))
        if sync_directory and not self.faults.lies:
            volume.sync_directory()

    def write(self, volume: _Volume, file: _File, offset: int, data: bytes) -> None:
        if self.changing(volume, "write") and self._strikes(file, self.faults.full):
            self.counts.full += 1
            file.write(offset, data[: self._rng.randrange(len(data) + 1)])
            raise apsw.FullError("no space left on the simulated disk")
        file.write(offset, data)

    def truncate(self, volume: _Volume, file: _File, size: int) -> None:
        self.changing(volume, "truncate")
        file.truncate(size)

    def sync(self, volume: _Volume, file: _File) -> None:
        if not self.changing(volume, "sync") or self.faults.lies:
            return
        if self._strikes(file, self.faults.sync_fails):
            self.counts.syncs_failed += 1
            self._flush_failed = True
            # The kernel marks the pages clean all the same: a later flush will not write them.
            file.pending = [change for change in file.pending if self._rng.random() < 1 / 2]
            raise apsw.IOError("the flush failed on the simulated disk")
        self.counts.syncs += 1
        file.sync()
        volume.sync_directory()

    def _strikes(self, file: _File, rate: float) -> bool:
        if rate <= 0 or file.closing or self._struck or self._rng.random() >= rate:
            return False
        self._struck = True
        return True

    def call_ended(self) -> None:
        """The next fault may strike: at most one does in one call of the storage.

        SQLite ignores what fails in the roll-back or the close after a failure; its Python binding
        raises that instead of the failure.
        """
        self._struck = False

    def now_s(self) -> float:
        return simports.EPOCH / 1e6 + self._loop.time()


class _Vfs(apsw.VFS):
    """SQLite's view of one generation of a disk."""

    def __init__(self, disk: SimDisk, volume: _Volume) -> None:
        self.name = f"simdisk{next(_NAMES)}"
        self._disk = disk
        self._volume = volume
        super().__init__(self.name, base="", maxpathname=512)

    def xOpen(  # type: ignore[override] # noqa: N802
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> "_Handle":
        flags[1] = flags[0]
        if name is None:
            return _Handle(self, self._disk, self._volume, _File(), "")
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        file = self._volume.files.get(path)
        if file is None:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError(f"{path}: no such file on the simulated disk")
            file = self._volume.files[path] = _File()
            self._volume.entries.append((path, file))
        file.closing = False
        return _Handle(self, self._disk, self._volume, file, path)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: ARG002, N802
        return pathname in self._volume.files

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802, FBT001
        self._disk.delete(self._volume, filename, sync_directory=syncdir)

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name if name.startswith("/") else f"/{name}"

    def excepthook(  # type: ignore[override]
        self, kind: type[BaseException], error: BaseException, trace: object
    ) -> None:
        """As in _Handle."""

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        return bytes(numbytes)

    def xSleep(self, microseconds: int) -> int:  # noqa: N802
        return microseconds

    def xCurrentTime(self) -> float:  # noqa: N802
        return self._disk.now_s() / 86400 + 2440587.5

    def xCurrentTimeInt64(self) -> int:  # noqa: N802
        return int(self.xCurrentTime() * 86_400_000)


class _Handle:
    """One open file, with the five locks that SQLite knows."""

    def __init__(self, vfs: _Vfs, disk: SimDisk, volume: _Volume, file: _File, path: str) -> None:
        self._path = path
        _open_handles[self] = vfs
        self._disk = disk
        self._volume = volume
        self._file = file

    def xClose(self) -> None:  # noqa: N802
        _open_handles.pop(self, None)
        self.xUnlock(apsw.SQLITE_LOCK_NONE)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return bytes(self._file.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.write(self._volume, self._file, offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.truncate(self._volume, self._file, newsize)

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        self._disk.sync(self._volume, self._file)

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._file.data)

    def xLock(self, level: int) -> None:  # noqa: N802
        others = [held for holder, held in self._file.locks.items() if holder is not self]
        if level == apsw.SQLITE_LOCK_SHARED:
            refused = any(held >= apsw.SQLITE_LOCK_PENDING for held in others)
        elif level == apsw.SQLITE_LOCK_RESERVED:
            refused = any(held >= apsw.SQLITE_LOCK_RESERVED for held in others)
        else:
            refused = bool(others)
        if level == self._file.locks.get(self) == apsw.SQLITE_LOCK_EXCLUSIVE:
            self._begin_close()
        if refused:
            raise apsw.BusyError("locked by another connection of the simulation")
        self._file.locks[self] = max(level, self._file.locks.get(self, 0))

    def _begin_close(self) -> None:
        """No faults in the checkpoint of a close: SQLite ignores them, its Python binding raises.

        Only a close asks for the exclusive lock a second time.
        """
        self._file.closing = True
        wal = self._volume.files.get(f"{self._path}-wal")
        if wal is not None:
            wal.closing = True

    def xUnlock(self, level: int) -> None:  # noqa: N802
        if level == apsw.SQLITE_LOCK_NONE:
            self._file.locks.pop(self, None)
        else:
            self._file.locks[self] = level

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return any(held >= apsw.SQLITE_LOCK_RESERVED for held in self._file.locks.values())

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: ARG002, N802
        return False

    def excepthook(self, kind: type[BaseException], error: BaseException, trace: object) -> None:
        """A fault that struck where nobody listens, such as in the close of a connection."""

    def xSectorSize(self) -> int:  # noqa: N802
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        # As SQLite's own file systems say of the disks of today; what it costs to be wrong about
        # it is not what is simulated here.
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE
