"""The part of the composition root that keeps settings which change at run time."""

from collections.abc import Mapping

import msgspec

from helios.configuration import desk as desks
from helios.configuration import finding, registry, view
from helios.configuration import live as lives
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import ids, logs
from helios.kernel import settings as config
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.reconcile.streams import view as verdict_view

VIEW = view.VIEW


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of this process.

    Attributes:
        live: the values in force.
        follower: keeps them as the log has them.
        desk: reads and changes them.
    """

    live: lives.Live
    follower: lives.Follower
    desk: desks.Desk


async def opened(
    settings: config.Settings,
    log: log_ports.EventLog,
    store: view_ports.ViewStore,
    views: catalog.Catalog,
    *,
    verdicts: verdict_view.VerdictView,
    clock: clocks.Clock,
    id_source: ids.Ids,
    origins: Mapping[str, str] | None,
    follows_level: bool,
) -> Kept:
    """What is in force by now; before anything else works by it.

    Args:
        settings: what the process was started with.
        log: where changes are.
        store: where the view of them is.
        views: for waiting until they show a change.
        verdicts: whose open windows tell what another window does.
        clock: whose time passes.
        id_source: of event ids.
        origins: where each of the settings came from; None: nobody knows.
        follows_level: whether the log level of this process is that of the setting.

    Raises:
        StorageError: the log cannot be read.
    """
    values = lives.Live(registry.started(settings))
    if follows_level:
        values.watch(registry.LOG_LEVEL, lambda: logs.set_level(str(values.get("log.level"))))
    follower = lives.Follower(values, log, store, clock=clock)
    await follower.fill()
    known = origins or _unknown(settings)
    started = config.Resolved(settings=settings, origins=dict(known))
    desk = desks.Desk(
        log,
        store,
        wait_for=views.wait_for,
        follower=follower,
        finder=finding.Finder(store, values, started),
        verdicts=verdicts,
        clock=clock,
        id_source=id_source,
    )
    return Kept(live=values, follower=follower, desk=desk)


def _unknown(settings: config.Settings) -> dict[str, str]:
    """Where settings came from that nobody told of: what differs was given by somebody."""
    usual = config.Settings()
    return {
        name: "default" if getattr(settings, name) == getattr(usual, name) else "given at the start"
        for name in config.documentation()
    }
