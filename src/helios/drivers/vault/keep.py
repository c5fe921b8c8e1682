"""The secrets of access in a folder of the data folder, readable by this user alone.

A file for each, written beside and moved into place. To keep one only if there is none, the file is
linked into place, which the file system does for one caller only.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from helios.kernel import errors, offload

T = TypeVar("T")

FOLDER = "access"
VALUE_BYTES_MAX = 64 << 10
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class FolderKeep:
    """`access.ports.Keep` on this machine.

    Args:
        data_dir: the data folder.
        thread: where files are read and written.
        fresh: a new name for each call, for files that are being written.
    """

    def __init__(self, data_dir: Path, thread: offload.Offload, fresh: Callable[[], str]) -> None:
        self._folder = data_dir / FOLDER
        self._thread = thread
        self._fresh = fresh

    async def get(self, kind: str, name: str) -> bytes | None:
        path = self._path(kind, name)
        return await self._run("keep.get", path, lambda: _read(path))

    async def put(self, kind: str, name: str, value: bytes) -> None:
        path = self._path(kind, name)
        _check(value)

        def write() -> None:
            self._beside(path, value).replace(path)
            _flush(path.parent)

        await self._run("keep.put", path, write)

    async def put_if_absent(self, kind: str, name: str, value: bytes) -> bytes:
        path = self._path(kind, name)
        _check(value)

        def write() -> bytes:
            # Whoever links first has made the value; between a failed link and a read it may be
            # deleted, and then there is room again.
            while True:
                if (there := _read(path)) is not None:
                    return there
                beside = self._beside(path, value)
                try:
                    os.link(beside, path)
                except FileExistsError:
                    continue
                finally:
                    beside.unlink(missing_ok=True)
                _flush(path.parent)
                return value

        return await self._run("keep.put_if_absent", path, write)

    async def delete(self, kind: str, name: str) -> bool:
        path = self._path(kind, name)

        def remove() -> bool:
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            _flush(path.parent)
            return True

        return await self._run("keep.delete", path, remove)

    async def names(self, kind: str) -> list[str]:
        folder = self._folder / _checked(kind)
        return await self._run("keep.names", folder, lambda: _names(folder))

    async def _run(self, what: str, path: Path, call: Callable[[], T]) -> T:
        try:
            return await self._thread.run(what, call)
        except OSError as error:
            raise errors.StorageError(
                f"{path.parent}: a secret of access cannot be read or written "
                f"({error.strerror or error}); let this user do both there"
            ) from error

    def _path(self, kind: str, name: str) -> Path:
        return self._folder / _checked(kind) / _checked(name)

    def _beside(self, path: Path, value: bytes) -> Path:
        for folder in (self._folder, path.parent):
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            folder.chmod(_FOLDER_MODE)
        beside = path.parent / f".{self._fresh()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(beside, flags, _FILE_MODE), "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        return beside


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise errors.InvalidInputError("not a name for a secret of access")
    return name


def _check(value: bytes) -> None:
    if len(value) > VALUE_BYTES_MAX:
        raise errors.InvalidInputError(f"a secret of access has at most {VALUE_BYTES_MAX} bytes")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _names(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir() if _NAME.fullmatch(each.name))
    except FileNotFoundError:
        return []


def _flush(folder: Path) -> None:
    """Make the names in a folder durable, where the system lets a folder be opened."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
