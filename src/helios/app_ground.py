"""The part of the composition root that everything stands on: the log, the views, the counters."""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from helios import app_access, app_bus, app_configuration, app_notices, app_storage
from helios.api import metrics as meters
from helios.eventlog import log as logs
from helios.eventlog import ports as log_ports
from helios.fanout import view as subscribers_view
from helios.ingest import normalising
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.kernel import settings as config
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.projections.views import content
from helios.reconcile.builds import view as builds_view
from helios.reconcile.compositions import audit_view
from helios.reconcile.compositions import view as stacks_view
from helios.reconcile.streams import repairs
from helios.reconcile.streams import view as verdict_view


class Ground(msgspec.Struct, kw_only=True):
    """What every other part is given.

    Attributes:
        failure: done when the storage has failed under us.
    """

    clock: clocks.Clock
    ids: ids.Ids
    storage: log_ports.LogStorage
    store: view_ports.ViewStore
    log: logs.Log
    verdicts: verdict_view.VerdictView
    views: catalog.Catalog
    metrics: meters.Metrics
    failure: "asyncio.Future[errors.StorageFailedError]"


async def opened(
    settings: config.Settings,
    clock: clocks.Clock,
    stack: contextlib.AsyncExitStack,
    *,
    briefly: bool,
) -> Ground:
    """Open log and views; `stack` closes them.

    Raises:
        StorageError, CursorError, CorruptionError: see `app.opened`.
    """
    storage, store = app_storage.opened(settings, clock, stack, briefly=briefly)
    failure = _undone()
    log = logs.Log(storage, clock, on_fatal=_once(failure))
    await log.open()
    stack.push_async_callback(log.close)
    await store.open()
    stack.push_async_callback(store.close)
    verdicts = verdict_view.VerdictView()
    alone = settings.database_url is None
    views = catalog.Catalog(served(verdicts), log, store, clock=clock, alone=alone)
    return Ground(
        clock=clock,
        ids=ids.Uuid7Ids(clock),
        storage=storage,
        store=store,
        log=log,
        verdicts=verdicts,
        views=views,
        metrics=_metrics(log, views),
        failure=failure,
    )


def _undone() -> "asyncio.Future[errors.StorageFailedError]":
    return asyncio.get_running_loop().create_future()


def _metrics(log: logs.Log, views: catalog.Catalog) -> meters.Metrics:
    metrics = meters.Metrics()
    metrics.watch_views(lambda: ((h.view, h.lag_events, h.lag_s) for h in views.health()))
    metrics.gauge(
        "helios_log_queue_events", "Events waiting for a commit.", lambda: log.queued_events
    )
    return metrics


def served(verdicts: verdict_view.VerdictView) -> list[view_ports.View]:
    """Every view that a server keeps."""
    return [
        *catalog.SHIPPED,
        content.ContentView(normalising.changes),
        verdicts,
        repairs.VIEW,
        stacks_view.VIEW,
        audit_view.VIEW,
        app_access.VIEW,
        app_bus.VIEW,
        app_notices.VIEW,
        app_configuration.VIEW,
        builds_view.VIEW,
        subscribers_view.VIEW,
    ]


def _once(
    future: "asyncio.Future[errors.StorageFailedError]",
) -> Callable[[errors.StorageFailedError], None]:
    def tell(error: errors.StorageFailedError) -> None:
        if not future.done():
            future.set_result(error)

    return tell
