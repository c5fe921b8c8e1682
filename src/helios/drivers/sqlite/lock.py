"""One serving process per data folder.

SQLite lets several processes write one file, and the log stays right when they do. But two
servers over one folder would each run the reconcilers and act twice, so the server holds a lock
for as long as it lives. The kernel releases it with the process, however that ends; a lock file
left behind means nothing.
"""

import contextlib
import fcntl
import os
import pathlib
from typing import Self

from helios.kernel import errors


class FolderLock:
    """The lock of a data folder, held from `acquire` to `release` or the end of the process."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._path = folder / "log.lock"
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock, without waiting.

        Raises:
            StorageError: another process holds it (named by its pid), or the folder cannot be
                written.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise errors.StorageError(
                f"{self._path}: cannot be opened ({error.strerror}). Check that the folder "
                "exists and that this user may write there"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise errors.StorageError(
                f"{self._path.parent}: served already by process {holder}. Stop it, send your "
                "request to it, or give another data folder"
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Let go; harmless when not held. The file stays: removing it would race."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
        os.close(fd)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
