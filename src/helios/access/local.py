"""The token by which commands on the machine of a server speak to it.

Whoever may read the data folder may do everything there anyway; so the server leaves a token of an
administrator in it, readable by its own user alone. Only the process that made it knows it: it ends
with that process, however that ends.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from helios.access import sessions
from helios.kernel import errors

FOLDER = "access"
FILE = "local.token"
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


def path(data_dir: Path) -> Path:
    """Where the token of a data folder is."""
    return data_dir / FOLDER / FILE


def read(data_dir: Path) -> str | None:
    """The token of the server of a data folder, or None: none runs, or it is not for us."""
    try:
        return path(data_dir).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


@contextlib.contextmanager
def told(desk: sessions.Desk, data_dir: Path) -> Iterator[None]:
    """Leave a token in the data folder for the time of the block; it counts no more at its end.

    Raises:
        StorageError: it cannot be written there.
    """
    with desk.local_token() as text:
        _write(path(data_dir), text)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if read(data_dir) == text:
                    path(data_dir).unlink()


def _write(place: Path, text: str) -> None:
    beside = place.with_name(f".{FILE}.new")
    try:
        place.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        place.parent.chmod(_FOLDER_MODE)
        beside.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(beside, flags, _FILE_MODE), "w", encoding="ascii") as file:
            file.write(text)
        beside.replace(place)
    except OSError as error:
        raise errors.StorageError(
            f"{place}: cannot be written ({error.strerror}); let this user write there"
        ) from error
