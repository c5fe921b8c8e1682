"""Files that appear whole or not at all."""

import contextlib
import os
from pathlib import Path
from typing import IO

from helios.kernel import errors


def storage_error(path: Path, error: OSError) -> errors.StorageError:
    """A failed write, with the file and the remedy."""
    return errors.StorageError(
        f"{path}: cannot be written: {error.strerror or error}; "
        "free some space, mend its rights, or name another file"
    )


class AtomicFile:
    """A file written beside its place and renamed into it by `commit`.

    What is not a regular file, such as `/dev/null`, is written in place.

    Args:
        path: where it shall be; an older file stays there until `commit`.

    Raises:
        InvalidInputError: the folder does not exist, or `path` is a folder.
        StorageError: it cannot be written there.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise errors.InvalidInputError("is a folder; name a file", source=str(path))
        if not path.parent.is_dir():
            message = f"there is no folder {path.parent}; make it first"
            raise errors.InvalidInputError(message, source=str(path))
        self.path = path
        in_place = path.exists() and not path.is_file()
        self._part = path if in_place else path.parent / f".{path.name}.{os.getpid()}.part"
        try:
            self.handle: IO[bytes] = self._part.open("wb")
        except OSError as error:
            raise storage_error(path, error) from error

    def commit(self) -> None:
        """Make it durable and put it in its place.

        Raises:
            StorageError: it could not be written; nothing is left of it.
        """
        try:
            self.handle.flush()
            if self._part != self.path:
                os.fsync(self.handle.fileno())
            self.handle.close()
            if self._part != self.path:
                self._part.replace(self.path)
        except OSError as error:
            self.abort()
            raise storage_error(self.path, error) from error

    def abort(self) -> None:
        """Leave nothing of it behind; after `commit` this does nothing."""
        with contextlib.suppress(OSError):
            self.handle.close()
        if self._part != self.path:
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)
