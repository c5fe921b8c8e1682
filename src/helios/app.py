"""The composition root: settings in, running parts out; the only module that knows everything.

`opened` puts the parts together over a data folder or database, for the server and for commands
alike. `serve` runs them: start in the order of dependence, stop in reverse, everything bounded.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

import msgspec
import structlog

from helios import (
    app_access,
    app_address,
    app_builds,
    app_bus,
    app_compositions,
    app_configuration,
    app_fanout,
    app_gate,
    app_ground,
    app_ingest,
    app_loop,
    app_notices,
    app_storage,
)
from helios.access import parts as access_parts
from helios.api import asgi, routes, server, services
from helios.api import metrics as meters
from helios.api import pulse as pulses
from helios.eventlog import log as logs
from helios.eventlog import ports as log_ports
from helios.fanout import dispatcher
from helios.ingest import runners
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.kernel import settings as config
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.reconcile.builds import builder
from helios.reconcile.runtime import keys, waking
from helios.reconcile.runtime import runtime as runtimes
from helios.reconcile.streams import asking, rejudge, repairer, repairs, standing, ticker
from helios.reconcile.streams import view as verdict_view

LOG_FILE = app_storage.LOG_FILE
reading = app_storage.reading
served_at = app_address.served_at
on_loop = app_loop.on_loop

EXIT_STORAGE_FAILED = 3

_DRAIN_SLACK_S = 2.0
_VIEWS_START_S = 10.0
_VIEWS_STOP_S = 5.0

_log = structlog.get_logger("helios.app")


class Parts(msgspec.Struct, kw_only=True):
    """What runs over one log: the log, the views, and who keeps them."""

    settings: config.Settings
    kept: app_configuration.Kept
    clock: clocks.Clock
    ids: ids.Ids
    metrics: meters.Metrics
    log: logs.Log
    storage: log_ports.LogStorage
    store: view_ports.ViewStore
    views: catalog.Catalog
    verdicts: verdict_view.VerdictView
    access: access_parts.Access
    ingestion: app_ingest.Ingestion
    leases: runners.Leases
    fanout: dispatcher.Dispatcher
    runtime: runtimes.Runtime
    waking: waking.Waking
    stacks: app_compositions.Stacks
    where: app_address.Where
    failure: "asyncio.Future[errors.StorageFailedError]"


class Served(msgspec.Struct, frozen=True):
    """A server that answers.

    Attributes:
        url: its address.
        link: signs the person at this machine in, once; None: there are users already.
    """

    url: str
    link: str | None = None


@contextlib.asynccontextmanager
async def opened(
    settings: config.Settings, *, briefly: bool = False, origins: Mapping[str, str] | None = None
) -> AsyncIterator[Parts]:
    """Open log and views, and close them in reverse order.

    Args:
        settings: what to open.
        origins: where each of them came from; None: nobody knows.
        briefly: for one command or test: what only pays in the long run is left out.

    Raises:
        StorageError: folder not writable, served by another process, database away; says which
            and what to do.
        CursorError: the views belong to another log.
        CorruptionError: a file is damaged.
    """
    clock = clocks.SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        ground = await app_ground.opened(settings, clock, stack, briefly=briefly)
        kept_settings = await app_configuration.opened(
            settings,
            ground.log,
            ground.store,
            ground.views,
            verdicts=ground.verdicts,
            clock=clock,
            id_source=ground.ids,
            origins=origins,
            follows_level=not briefly,
        )
        yield await _put_together(settings, ground, kept_settings, stack)


async def _put_together(
    settings: config.Settings,
    ground: app_ground.Ground,
    kept_settings: app_configuration.Kept,
    stack: contextlib.AsyncExitStack,
) -> Parts:
    """What runs over the log and the views."""
    log, store, views, clock = ground.log, ground.store, ground.views, ground.clock
    access = await stack.enter_async_context(
        app_access.opened(
            settings, log, store, visible=views.wait_for, clock=clock, id_source=ground.ids
        )
    )
    leases = await stack.enter_async_context(app_ingest.leases(settings, clock))
    ingestion = await stack.enter_async_context(
        app_ingest.opened(
            settings,
            log,
            clock=clock,
            id_source=ground.ids,
            metrics=ground.metrics,
            leases=leases,
            store=store,
            values=kept_settings.live,
        )
    )
    base = app_compositions.based(
        settings,
        log,
        store,
        views=views,
        results=ground.metrics.results,
        clock=clock,
        id_source=ground.ids,
        values=kept_settings.live,
    )
    stacks = await stack.enter_async_context(
        app_compositions.opened(base, ingestion, leases, ground.metrics)
    )
    return Parts(
        settings=settings,
        kept=kept_settings,
        clock=clock,
        ids=ground.ids,
        metrics=ground.metrics,
        log=log,
        storage=ground.storage,
        store=store,
        views=views,
        verdicts=ground.verdicts,
        access=access,
        ingestion=ingestion,
        leases=leases,
        fanout=_fanout(base, ground.metrics, ingestion, leases),
        runtime=base.runtime,
        waking=base.waking,
        stacks=stacks,
        where=base.where,
        failure=ground.failure,
    )


def _fanout(
    base: app_compositions.Base,
    metrics: meters.Metrics,
    ingestion: app_ingest.Ingestion,
    leases: runners.Leases,
) -> dispatcher.Dispatcher:
    return app_fanout.made(
        base.log,
        base.store,
        base.views,
        clock=base.clock,
        id_source=base.ids,
        vault=ingestion.vault,
        client=ingestion.outbound,
        leases=leases,
        told=metrics.delivered,
    )


@contextlib.asynccontextmanager
async def kept(parts: Parts) -> AsyncIterator[None]:
    """Keep the views up to date for as long as the block runs, and caught up when it begins."""
    await parts.views.start()
    keeping = asyncio.ensure_future(parts.views.run())
    try:
        await _begun(parts, keeping)
        head = await parts.log.head()
        for name in parts.views.names:
            await parts.views.wait_for(name, head)
        async with (
            app_ingest.following(
                parts.ingestion, parts.log, parts.store, parts.views, parts.clock
            ) as following,
            app_access.followed(parts.access),
        ):
            await app_ingest.settled(following, parts.ingestion)
            yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping], timeout=_VIEWS_STOP_S)


async def _begun(parts: Parts, keeping: "asyncio.Future[None]") -> None:
    """Return when every view has a copy to read, or some take long to be built."""
    deadline = parts.clock.monotonic() + _VIEWS_START_S
    for name in parts.views.names:
        while not keeping.done() and parts.clock.monotonic() < deadline:
            if any(slot.live for slot in await parts.store.slots(name)):
                break
            await parts.clock.sleep(0.005)


def application(
    parts: Parts, pulse: pulses.Pulse | None = None, gate: asgi.Gate | None = None
) -> asgi.Application:
    """The API over the parts.

    Args:
        parts: they run.
        pulse: samples what flows, if it is run.
        gate: who may pass; without it everybody may do everything.
    """
    ingestion = parts.ingestion
    found = services.Services(
        log=parts.log,
        gateway=ingestion.gateway,
        doors=ingestion.doors,
        letters=ingestion.letters,
        keys=ingestion.keys,
        clock=parts.clock,
        ids=parts.ids,
        metrics=parts.metrics,
        access=parts.access,
        openid=app_access.openid(parts.settings, parts.access, ingestion, parts.clock),
        store=parts.store,
        views=parts.views,
        verdicts=verdict_view.Reader(parts.store, parts.verdicts),
        rejudge=rejudge.Rejudge(parts.log, parts.store, clock=parts.clock, id_source=parts.ids),
        alerts=repairs.Reader(parts.store),
        standing=standing.Standing(parts.store),
        kinds=ingestion.kinds,
        runners=ingestion.runners,
        vault=ingestion.vault,
        outbound=ingestion.outbound,
        table=ingestion.table,
        address=lambda host: app_address.address(parts.settings, host),
        deliveries=parts.fanout.state,
        build_logs=app_builds.kept_logs(parts.settings),
        live=parts.kept.live,
        configuration=parts.kept.desk,
        compositions=app_compositions.Desk(parts.stacks),
        notify=_notices(parts).trial,
        pulse=pulse,
    )
    return asgi.Application(routes.table(found), gate=gate)


async def serve(
    settings: config.Settings,
    *,
    announce: Callable[[Served], None] = lambda _: None,
    stopping: "asyncio.Future[None] | None" = None,
    origins: Mapping[str, str] | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; then drain.

    Args:
        settings: what to serve, and where.
        announce: called once requests are answered.
        stopping: when it is done the server drains; signals are then left to the caller.
        origins: where each of the settings came from; None: nobody knows.

    Returns:
        The exit code: 0 after a drain, 3 when the storage failed under us.

    Raises:
        StorageError, CursorError, CorruptionError: it could not be started; says why.
        InvalidInputError: it would be open to everybody.
    """
    app_gate.check(settings)
    listener = server.bind(settings.host, settings.port)
    with contextlib.closing(listener):
        async with opened(settings, origins=origins) as parts:
            await parts.views.start()
            failed = await _run(parts, listener, announce, stopping or app_loop.stop_signals())
    _log.info("stopped")
    return 0 if failed is None else EXIT_STORAGE_FAILED


async def _run(
    parts: Parts,
    listener: socket.socket,
    announce: Callable[[Served], None],
    stopping: "asyncio.Future[None]",
) -> BaseException | None:
    """Run until told to stop, or until something fails; returns what failed."""
    pulse = pulses.Pulse(parts.log, parts.views, parts.ingestion.runners, parts.clock)
    app = application(parts, pulse, _gate(parts))
    proxies = app_gate.proxies(parts.settings)
    http = server.make(app, drain_s=parts.settings.drain_s, proxies=proxies)
    keeping: asyncio.Future[None] = asyncio.ensure_future(parts.views.run())
    clocked = ticker.Ticker(parts.log, parts.verdicts, clock=parts.clock, id_source=parts.ids)
    _reconciled(parts)
    beside: list[asyncio.Future[None]] = [
        asyncio.ensure_future(parts.access.follower.run()),
        asyncio.ensure_future(clocked.run()),
        asyncio.ensure_future(parts.runtime.run()),
        asyncio.ensure_future(parts.waking.run()),
        asyncio.ensure_future(parts.kept.follower.run()),
        asyncio.ensure_future(pulse.run()),
    ]
    serving: asyncio.Future[None] = asyncio.ensure_future(server.serve(http, listener))
    await _begun(parts, keeping)
    if parts.settings.public_url is None:
        parts.where.bound = app_address.url(listener)
    beside.append(asyncio.ensure_future(app_compositions.run(parts.stacks)))
    beside.append(asyncio.ensure_future(_builder(parts, listener).run()))
    beside.append(asyncio.ensure_future(parts.fanout.run()))
    control = app_bus.made(parts.stacks.around, parts.views, parts.leases, parts.metrics)
    beside.append(asyncio.ensure_future(control.run()))
    beside.append(asyncio.ensure_future(_notices(parts).worker.run()))
    parts.ingestion.runners.open()
    url = app_address.url(listener)
    async with app_ingest.following(
        parts.ingestion, parts.log, parts.store, parts.views, parts.clock
    ) as following:
        await app_ingest.declared(following, parts.ingestion)
        with (
            app_gate.told(parts.settings, parts.access),
            app_address.told(parts.settings, url),
        ):
            announce(Served(url=url, link=await _link(parts, url)))
            _log.info("started", url=url, log_id=parts.log.log_id)
            failed = await app_loop.ended(
                stopping, parts.failure, keeping, following, serving, *beside
            )
            _log.info("draining", seconds_max=parts.settings.drain_s)
            await server.stop(http, app)
            await asyncio.wait([serving], timeout=parts.settings.drain_s + _DRAIN_SLACK_S)
    # What writes to the log stops before the views do.
    for tasks in (beside, [keeping]):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_VIEWS_STOP_S)
    return failed


def _gate(parts: Parts) -> asgi.Gate:
    return app_gate.made(parts.settings, parts.store, parts.ingestion, parts.access)


async def _link(parts: Parts, url: str) -> str | None:
    if parts.settings.auth == "off":
        return None
    token = await app_access.link(parts.access)
    return None if token is None else f"{url}/link#token={token}"


def _builder(parts: Parts, listener: socket.socket) -> builder.Builder:
    """Builds sites; their builds read content from this very server."""
    return app_builds.made(
        parts.settings,
        parts.log,
        parts.store,
        parts.views,
        clock=parts.clock,
        id_source=parts.ids,
        vault=parts.ingestion.vault,
        client=parts.ingestion.outbound,
        leases=parts.leases,
        address=lambda: app_address.url(listener),
        told=parts.metrics.built,
        values=parts.kept.live,
        token=partial(app_gate.lent, parts.settings, parts.access),
    )


def _notices(parts: Parts) -> app_notices.Desk:
    """Tells people of drift and of healing."""
    return app_notices.made(
        parts.settings,
        parts.stacks.around,
        parts.ingestion,
        views=parts.views,
        leases=parts.leases,
        metrics=parts.metrics,
        address=parts.where.address,
    )


def _reconciled(parts: Parts) -> None:
    """Say what is looked at again and again, and which events wake it."""
    parts.runtime.register(repairer.FAMILY, _repairer(parts), options=repairer.OPTIONS)
    parts.waking.follow(
        repairer.woken,
        missed=lambda: parts.runtime.wake(repairer.KEY, keys.Priority.RESYNC),
    )


def _repairer(parts: Parts) -> repairer.Repairer:
    """Sees to verdicts that are not matched, and asks the sources that can be asked."""
    return repairer.Repairer(
        parts.log,
        parts.store,
        parts.verdicts,
        asker=asking.Asker(parts.ingestion.askable, parts.ingestion.gateway),
        wait_for=parts.views.wait_for,
        clock=parts.clock,
        told_max=parts.kept.live.whole("alerts.per_minute_max"),
        open_max=parts.kept.live.whole("alerts.asked_max"),
    )


def run(
    settings: config.Settings,
    *,
    announce: Callable[[Served], None],
    origins: Mapping[str, str] | None = None,
) -> int:
    """`serve` on a loop of its own."""
    return on_loop(serve(settings, announce=announce, origins=origins))
