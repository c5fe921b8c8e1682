"""The part of the composition root that runs the control bus."""

from collections.abc import Sequence

from helios.api import metrics as meters
from helios.eventlog import envelope
from helios.ingest import runners
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.reconcile.bus import acting, bus, following, rolling_back, view
from helios.reconcile.compositions import passing, reading

VIEW = view.VIEW
_PAGE = 1_000


def made(
    process: passing.Around,
    views: catalog.Catalog,
    leases: runners.Leases,
    metrics: meters.Metrics,
) -> bus.Bus:
    """Put the bus together; nothing runs yet.

    Args:
        process: log, views' store, clock and ids of this process.
        views: for waiting until they show something.
        leases: of several processes one runs the bus.
        metrics: is told how it does.
    """

    async def stacks(client_id: str) -> Sequence[str]:
        return await _stacks(process.store, client_id)

    around = following.Around(
        log=process.log,
        store=process.store,
        wait_for=views.wait_for,
        clock=process.clock,
        ids=process.ids,
        released=_released,
        told=metrics.controlled,
    )
    rollback = rolling_back.RollingBack(process.store, clock=process.clock, id_source=process.ids)
    handlers = acting.handlers(stacks=stacks, rollback=rollback, clock=process.clock)
    made_bus = bus.Bus(around, handlers, leases)
    metrics.gauge(
        "helios_control_bus_failed",
        "1 while the control bus is begun anew after a fault.",
        lambda: float(made_bus.health.state == "failed"),
    )
    metrics.gauge(
        "helios_control_bus_restarts",
        "Faults after which the control bus was begun anew, in this process.",
        lambda: float(made_bus.health.restarts),
    )
    return made_bus


async def _stacks(store: view_ports.ViewStore, client_id: str) -> list[str]:
    found: list[str] = []
    after = ("", "")
    while True:
        page = await reading.stacks(store, client_id, after=after, limit=_PAGE)
        found += [listed.stack_id for listed in page]
        if len(page) < _PAGE:
            return found
        after = (client_id, found[-1])


async def _released(event: envelope.Event) -> None:
    """Nothing here needs more than the log: who reconciles is woken by it."""
