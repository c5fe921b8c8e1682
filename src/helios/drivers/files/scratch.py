"""Scratch files of a run: without a name, so nothing is left behind even by SIGKILL."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from helios.kernel import errors


def in_folder(folder: Path | None = None) -> Callable[[], IO[bytes]]:
    """A function that opens an empty unnamed file in `folder`, or where TMPDIR says.

    Raises (the function returned):
        StorageError: the folder cannot be written to.
    """

    def open_file() -> IO[bytes]:
        try:
            return tempfile.TemporaryFile(dir=folder, prefix="helios-")
        except OSError as error:
            where = folder or tempfile.gettempdir()
            message = f"no scratch file can be made in {where}: {error.strerror}"
            raise errors.StorageError(f"{message}; name another folder by TMPDIR") from error

    return open_file
