"""The token by which commands on the machine of a server speak to it.

Whoever may read the data folder may do everything there anyway; so the server leaves a token of an
administrator in it, readable by its own user alone, for as long as it runs.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from helios.access import model, people, tokens
from helios.kernel import errors

FOLDER = "access"
FILE = "local.token"
NAME = "local"
LIFE_S = 30 * 86_400.0
"""A server that is killed leaves a token that nobody revokes; it ends by itself."""

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_log = structlog.get_logger("helios.access")


def path(data_dir: Path) -> Path:
    """Where the token of a data folder is."""
    return data_dir / FOLDER / FILE


def read(data_dir: Path) -> str | None:
    """The token of the server of a data folder, or None: none runs, or it is not for us."""
    try:
        return path(data_dir).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


@contextlib.asynccontextmanager
async def told(desk: people.Desk, data_dir: Path) -> AsyncIterator[None]:
    """Leave a token in the data folder for the time of the block; it is revoked at its end.

    Raises:
        StorageError: it cannot be written there.
    """
    await _revoke(desk, read(data_dir))
    issued = await desk.issue(
        model.LOCAL, name=NAME, grants=[model.Grant(role="admin")], expires_in_s=LIFE_S
    )
    place = path(data_dir)
    _write(place, issued.text)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if read(data_dir) == issued.text:
                place.unlink()
        await _revoke(desk, issued.text)


async def _revoke(desk: people.Desk, text: str | None) -> None:
    """Revoke a token that was left by us, or by a server that was killed; it need not be there."""
    if text is None:
        return
    try:
        await desk.revoke(model.LOCAL, tokens.service(text)[0])
    except (errors.NotFoundError, errors.UnauthenticatedError):
        return
    except errors.HeliosError as error:
        # It ends by itself.
        _log.warning("local_token_not_revoked", error=str(error))


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
