"""The part of the composition root that knows where log and views are: a folder, or a database."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from helios.drivers.sqlite import lock as locks
from helios.drivers.sqlite import log_storage as sqlite_log
from helios.drivers.sqlite import view_store as sqlite_views
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.kernel import settings as config
from helios.projections import ports as view_ports

LOG_FILE = "log.sqlite"
VIEWS_FILE = "views.sqlite"


def opened(
    settings: config.Settings,
    clock: clocks.Clock,
    stack: contextlib.AsyncExitStack,
    *,
    briefly: bool,
) -> tuple[log_ports.LogStorage, view_ports.ViewStore]:
    """The storages of log and views, not open yet; `stack` holds the lock of a data folder.

    Raises:
        StorageError: the folder cannot be made, or another process serves it; or what PostgreSQL
            needs is not installed.
    """
    if settings.database_url is not None:
        return _postgres(settings.database_url, clock)
    folder = _folder(settings.data_dir)
    stack.enter_context(locks.FolderLock(folder))
    pages = 0 if briefly else sqlite_log.PREWARM_PAGES
    return (
        sqlite_log.SqliteLogStorage(str(folder / LOG_FILE), clock, prewarm_pages=pages),
        sqlite_views.SqliteViewStore(str(folder / VIEWS_FILE)),
    )


def _postgres(url: str, clock: clocks.Clock) -> tuple[log_ports.LogStorage, view_ports.ViewStore]:
    if not url.startswith(("postgresql://", "postgres://")):
        raise errors.InvalidInputError(
            "expected postgresql://user:password@host/database", field="database_url"
        )
    try:
        # asyncpg is an extra: the embedded setting does without it.
        from helios.drivers.postgres import log_storage, view_store  # noqa: PLC0415
    except ImportError as error:
        raise errors.StorageError(
            "PostgreSQL needs one more package: pip install 'helios[postgres]'"
        ) from error
    return (
        log_storage.PostgresLogStorage(url, clock=clock, fresh=ids.Uuid7Ids(clock)),
        view_store.PostgresViewStore(url, clock=clock),
    )


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise errors.StorageError(
            f"{path}: the data folder cannot be made ({error.strerror}); choose another one with "
            "--data-dir"
        ) from error
    return path


@contextlib.asynccontextmanager
async def reading(settings: config.Settings) -> AsyncIterator[log_ports.LogStorage]:
    """Open the log alone, beside a server that may be running.

    Raises:
        NotFoundError: the data folder holds no log.
        StorageError: it cannot be opened.
    """
    clock = clocks.SystemClock()
    if settings.database_url is not None:
        storage, _ = _postgres(settings.database_url, clock)
    elif (settings.data_dir / LOG_FILE).exists():
        path = str(settings.data_dir / LOG_FILE)
        storage = sqlite_log.SqliteLogStorage(path, clock, prewarm_pages=0)
    else:
        raise errors.NotFoundError(f"{settings.data_dir} holds no log; give --data-dir")
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()
