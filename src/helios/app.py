"""The composition root: settings in, running parts out; the only module that knows everything.

`opened` puts the parts together over a data folder or database, for the server and for commands
alike. `serve` runs them: start in the order of dependence, stop in reverse, everything bounded.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from helios.api import metrics as meters
from helios.api import routes, server, services, web
from helios.drivers.sqlite import lock as locks
from helios.drivers.sqlite import log_storage as sqlite_log
from helios.drivers.sqlite import view_store as sqlite_views
from helios.eventlog import log as logs
from helios.eventlog import ports as log_ports
from helios.ingest import gateway as gateways
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.kernel import settings as config
from helios.projections import binding, rebuild, verify, wait, worker
from helios.projections import ports as view_ports
from helios.projections.views import contracts, event_mirror

LOG_FILE = "log.sqlite"
VIEWS_FILE = "views.sqlite"
_VIEW_STOP_S = 5.0

_log = structlog.get_logger("helios.app")


class Parts(msgspec.Struct, kw_only=True):
    """What runs over one log: the log, the views, and who keeps them."""

    settings: config.Settings
    clock: clocks.Clock
    ids: ids.Ids
    metrics: meters.Metrics
    log: logs.Log
    storage: log_ports.LogStorage
    store: view_ports.ViewStore
    progress: wait.Progress
    waiter: wait.Waiter
    keepers: "Keepers"
    failure: "asyncio.Future[errors.StorageFailedError]"


class Keepers:
    """The workers that keep the views, and what an operator does with views."""

    def __init__(
        self,
        views: Sequence[view_ports.View],
        log: log_ports.EventLog,
        store: view_ports.ViewStore,
        progress: wait.Progress,
        clock: clocks.Clock,
    ) -> None:
        self._views = {view.name: view for view in views}
        self._log = log
        self._store = store
        self._clock = clock
        self._workers = [
            worker.Worker(view, log, store, progress=progress, clock=clock) for view in views
        ]
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def names(self) -> list[str]:
        """Names of all views."""
        return sorted(self._views)

    def start(self) -> None:
        """Begin to keep the views up to date."""
        self._tasks = [
            asyncio.create_task(keeper.run(), name=f"view-{name}")
            for name, keeper in zip(self._views, self._workers, strict=True)
        ]

    async def stop(self) -> None:
        """Stop after the commits under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_VIEW_STOP_S)
        self._tasks = []

    def health(self) -> Sequence[services.ViewHealth]:
        """How each view is doing."""
        return [keeper.health() for keeper in self._workers]

    def lags(self) -> list[tuple[str, int, float]]:
        """Name, lag in events and lag in seconds of each view."""
        return [(h.view, h.lag_events, h.lag_s) for h in self.health()]

    async def rebuild(self, view: str, report: services.Report) -> Mapping[str, Any]:
        """Build a view anew beside the old copy and swap."""

        def told(step: rebuild.Step) -> None:
            report(step.phase, step.position, step.head)

        slot = await rebuild.rebuild(
            self._view(view), self._log, self._store, clock=self._clock, report=told
        )
        return {"view": view, "version": slot.version, "position": slot.checkpoint.position}

    async def verify(self, view: str, report: services.Report) -> Mapping[str, Any]:
        """Rebuild a view into scratch and compare row for row."""

        def told(position: int, head: int) -> None:
            report("comparing", position, head)

        found = await verify.verify(
            self._view(view), self._log, self._store, clock=self._clock, report=told
        )
        differences = [msgspec.to_builtins(d) for d in found.differences]
        return {
            "view": view,
            "equal": found.is_equal,
            "rows": found.rows,
            "position": found.position,
            "differences": differences,
        }

    def _view(self, name: str) -> view_ports.View:
        if name not in self._views:
            raise errors.NotFoundError(
                f"there is no view {name[:80]!r}; there are {', '.join(self.names)}"
            )
        return self._views[name]


def views() -> list[view_ports.View]:
    """Every view of Helios."""
    return [event_mirror.VIEW, contracts.VIEW]


@contextlib.asynccontextmanager
async def opened(
    settings: config.Settings, *, clock: clocks.Clock | None = None
) -> AsyncIterator[Parts]:
    """Open log and views, and close them in reverse order.

    Raises:
        StorageError: folder not writable, served by another process, database away; says which
            and what to do.
        CursorError: the views belong to another log.
        CorruptionError: a file is damaged.
    """
    clock = clock or clocks.SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        storage, store = _storages(settings, clock, stack)
        failure: asyncio.Future[errors.StorageFailedError]
        failure = asyncio.get_running_loop().create_future()
        log = logs.Log(storage, clock, on_fatal=_once(failure))
        await log.open()
        stack.push_async_callback(log.close)
        await store.open()
        stack.push_async_callback(store.close)
        await binding.bind(store, log.log_id)
        progress = wait.Progress()
        metrics = meters.Metrics()
        keepers = Keepers(views(), log, store, progress, clock)
        metrics.watch_views(lambda: iter(keepers.lags()))
        metrics.gauge(
            "helios_log_queue_events", "Events waiting for a commit.", lambda: log.queued_events
        )
        yield Parts(
            settings=settings,
            clock=clock,
            ids=ids.Uuid7Ids(clock),
            metrics=metrics,
            log=log,
            storage=storage,
            store=store,
            progress=progress,
            waiter=wait.Waiter(store, progress),
            keepers=keepers,
            failure=failure,
        )


def application(parts: Parts) -> web.Application:
    """The API over the parts."""
    gateway = gateways.Gateway(parts.log, clock=parts.clock, ids=parts.ids, meter=parts.metrics)
    found = services.Services(
        log=parts.log,
        gateway=gateway,
        clock=parts.clock,
        ids=parts.ids,
        metrics=parts.metrics,
        store=parts.store,
        waiter=parts.waiter,
        verdicts=None,
        views=parts.keepers,
    )
    return web.Application(routes.table(found))


async def serve(
    settings: config.Settings, *, announce: Callable[[str], None] = lambda _: None
) -> int:
    """Serve until SIGINT or SIGTERM; then drain.

    Args:
        settings: what to serve, and where.
        announce: called with the URL once requests are answered.

    Returns:
        The exit code: 0 after a drain, 3 when the storage failed under us.

    Raises:
        StorageError, CursorError, CorruptionError: it could not be started; says why.
    """
    listener = server.bind(settings.host, settings.port)
    with contextlib.closing(listener):
        async with opened(settings) as parts:
            stopping = _stop_signals()
            app = application(parts)
            http = server.make(app, drain_s=settings.drain_s)
            parts.keepers.start()
            serving = asyncio.create_task(server.serve(http, listener), name="http")
            host, port = listener.getsockname()[:2]
            announce(f"http://{f'[{host}]' if ':' in host else host}:{port}")
            _log.info("started", host=host, port=port, log_id=parts.log.log_id)
            await asyncio.wait(
                [stopping, parts.failure, serving], return_when=asyncio.FIRST_COMPLETED
            )
            failed = parts.failure.result() if parts.failure.done() else None
            if failed is not None:
                _log.error("storage_failed", error=str(failed))
            await server.stop(http, app)
            await asyncio.wait([serving], timeout=settings.drain_s + 2.0)
            await parts.keepers.stop()
    _log.info("stopped")
    return 0 if failed is None else 3


def _storages(
    settings: config.Settings, clock: clocks.Clock, stack: contextlib.AsyncExitStack
) -> tuple[log_ports.LogStorage, view_ports.ViewStore]:
    if settings.database_url is not None:
        raise errors.InvalidInputError("not yet")
    folder = _folder(settings.data_dir)
    stack.enter_context(locks.FolderLock(folder))
    return (
        sqlite_log.SqliteLogStorage(str(folder / LOG_FILE), clock),
        sqlite_views.SqliteViewStore(str(folder / VIEWS_FILE)),
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


def _once(
    future: "asyncio.Future[errors.StorageFailedError]",
) -> Callable[[errors.StorageFailedError], None]:
    def tell(error: errors.StorageFailedError) -> None:
        if not future.done():
            future.set_result(error)

    return tell


def _stop_signals() -> "asyncio.Future[None]":
    """Done at the first SIGINT or SIGTERM; the second ends the process as if we were not here."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[None] = loop.create_future()

    def stop(number: signal.Signals) -> None:
        if not stopping.done():
            stopping.set_result(None)
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    return stopping


def run(settings: config.Settings, *, announce: Callable[[str], None]) -> int:
    """`serve` on a loop of its own, the fast one where there is one."""
    if sys.platform == "win32":
        return asyncio.run(serve(settings, announce=announce))
    import uvloop  # noqa: PLC0415 - there is none on Windows

    return uvloop.run(serve(settings, announce=announce))
