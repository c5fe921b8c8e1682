"""Opening SQLite files, and what its errors mean to Helios.

One copy of the SQLite library per process: only apsw, never the standard library's `sqlite3`
beside it, because two copies do not see each other's POSIX locks.
"""

from typing import Literal

import apsw

from helios.kernel import errors

BUSY_TIMEOUT_MS = 10_000
"""How long a statement waits for another process's lock. At the end: `StorageError`."""

_CACHE_KIB = 16_384

Synchronous = Literal["OFF", "NORMAL", "FULL", "EXTRA"]


def connect(
    path: str,
    *,
    synchronous: Synchronous,
    vfs: str | None = None,
    exclusive: bool = False,
    readonly: bool = False,
    wal_pages: int = 4_000,
) -> apsw.Connection:
    """Open a file in WAL mode, creating it unless `readonly`.

    Args:
        path: the file. Its folder must exist.
        synchronous: FULL makes every commit durable, NORMAL may lose the last ones in a power cut.
        vfs: name of a registered VFS; None is the system's.
        exclusive: one connection only, no shared memory: for a VFS without `xShmMap`.
        readonly: for readers beside a writer.
        wal_pages: pages in the WAL at which a commit moves them into the file.

    Raises:
        StorageError: the file cannot be opened; says why and what to do.
        CorruptionError: it is not a SQLite file, or a damaged one.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | (0 if readonly else apsw.SQLITE_OPEN_CREATE)
    try:
        connection = apsw.Connection(path, flags=flags, vfs=vfs)
    except apsw.Error as error:
        raise translate(error, path) from error
    try:
        connection.set_busy_timeout(0 if exclusive else BUSY_TIMEOUT_MS)
        if exclusive:
            connection.pragma("locking_mode", "exclusive")
        _use_wal(connection, path)
        connection.pragma("synchronous", synchronous)
        connection.pragma("cache_size", -_CACHE_KIB)
        connection.pragma("temp_store", "memory")
        connection.pragma("foreign_keys", 0)
        connection.wal_autocheckpoint(wal_pages)
        if readonly:
            connection.pragma("query_only", 1)
    except apsw.Error as error:
        connection.close(True)  # noqa: FBT003 - positional only
        raise translate(error, path) from error
    except errors.StorageError:
        connection.close(True)  # noqa: FBT003 - positional only
        raise
    return connection


def _use_wal(connection: apsw.Connection, path: str) -> None:
    # The switch to WAL does not wait for another process's lock; an empty write does.
    for last in (False,) * 9 + (True,):
        try:
            mode = connection.pragma("journal_mode", "wal")
            break
        except apsw.BusyError:
            if last:
                raise
            connection.execute("BEGIN IMMEDIATE; COMMIT")
    if mode != "wal":
        raise errors.StorageError(
            f"{path}: this file system has no shared memory for SQLite's WAL; "
            "put the file on a local disk"
        )


_MEANINGS: tuple[tuple[type[apsw.Error], type[errors.HeliosError], str], ...] = (
    (apsw.FullError, errors.StorageError, "the disk is full; free space and try again"),
    (apsw.BusyError, errors.StorageError, "locked by another process; stop it or wait for it"),
    (apsw.LockedError, errors.StorageError, "locked by another process; stop it or wait for it"),
    (apsw.CantOpenError, errors.StorageError, "cannot be opened; its folder must be writable"),
    (apsw.ReadOnlyError, errors.StorageError, "not writable; check owner and mode"),
    (apsw.PermissionsError, errors.StorageError, "not accessible; check owner and mode"),
    (apsw.CorruptError, errors.CorruptionError, "damaged; put back a copy of it"),
    (apsw.NotADBError, errors.CorruptionError, "not a SQLite file; put back a copy of it"),
    (apsw.IOError, errors.StorageError, "the disk failed"),
)


def translate(error: apsw.Error, path: str) -> Exception:
    """Helios' error for one of SQLite's; a mistake in the SQL itself is returned unchanged."""
    for vendor, ours, meaning in _MEANINGS:
        if isinstance(error, vendor):
            return ours(f"{path}: {meaning} ({error})")
    return error
