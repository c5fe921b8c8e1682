"""Builds of declared sites, asked for anew."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import ClassVar

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.heal import ports as heal_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.projections import ports as view_ports
from helios.reconcile.builds import events as build_events
from helios.reconcile.builds import view as builds
from helios.reconcile.compositions import ports

SETTLES_S = 1.0
LATER_S = 60.0
"""When a build is looked at again that did not end in time."""

BEGIN_S = 30.0
"""Longest wait for a build to begin."""


class SiteWriter:
    """`ports.ResourceWriter` for kind `site`: requests a build, and waits for what becomes of it.

    A build that does not begin for long (no server builds here, or the site rests) or goes on for
    longer than there is time was requested all the same: then the next look tells.

    The site is the one in the setting `site` or `name`, else the one called as the resource.

    Args:
        log: where builds are requested.
        store: where the view of builds is.
    """

    kinds: ClassVar[tuple[str, ...]] = ("site",)

    def __init__(
        self,
        log: log_ports.EventLog,
        store: view_ports.ViewStore,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
    ) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._ids = id_source

    def plan(self, task: heal_ports.Task) -> str:
        """See `ports.ResourceWriter.plan`."""
        _only_rebuild(task)
        return f"append {build_events.REQUESTED} for site {site_of(task)}"

    async def carry_out(self, task: heal_ports.Task) -> ports.Acted:
        """See `ports.ResourceWriter.carry_out`."""
        _only_rebuild(task)
        name = site_of(task)
        try:
            await builds.site(self._store, task.client_id, name)
        except errors.NotFoundError:
            raise ports.HealError(
                "not_found", f"client {task.client_id} has declared no site {name}"
            ) from None
        payload = build_events.Named(name=name, note=f"heal {task.stack_id}")
        event = build_events.make(
            build_events.REQUESTED,
            task.client_id,
            name,
            payload,
            now=self._clock.now(),
            id_source=_One(f"heal/{task.key}") if task.key else self._ids,
            actor=task.actor or build_events.ACTOR,
            causation_id=task.causation_id,
        )
        appended = await self._log.append([event])
        ended = await self._ended(task, name, appended.position)
        if ended is None:
            return ports.Acted(
                detail=f"requested a build of site {name}, which has not ended yet",
                settles_s=LATER_S,
            )
        if ended.type == build_events.FAILED:
            said = msgspec.json.decode(ended.payload, type=build_events.Failed)
            raise ports.HealError(
                "refused",
                f"build {said.build_id} of site {name} failed: {said.cause}",
                happened=True,
            )
        done = msgspec.json.decode(ended.payload, type=build_events.Succeeded)
        return ports.Acted(
            detail=f"build {done.build_id} of site {name} succeeded", settles_s=SETTLES_S
        )

    async def _ended(
        self, task: heal_ports.Task, name: str, after: envelope.Position
    ) -> envelope.Event | None:
        """The end of the first build that began after a position; None: it takes longer."""
        where = envelope.Filter(
            tenant=task.client_id,
            types=(build_events.STARTED, build_events.SUCCEEDED, build_events.FAILED),
            aggregate_type=build_events.AGGREGATE_TYPE,
            aggregate_id=name,
        )
        started = ""
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(min(BEGIN_S, task.timeout_s)) as patience,
                contextlib.aclosing(_each(self._log, after, where)) as events,
            ):
                async for event in events:
                    build_id = event.data().get("build_id", "")
                    if event.type != build_events.STARTED and build_id == started:
                        return event
                    if event.type == build_events.STARTED and not started:
                        started = build_id
                        loop = asyncio.get_running_loop()
                        patience.reschedule(loop.time() + task.timeout_s)
        return None


async def _each(
    log: log_ports.EventLog, after: envelope.Position, where: envelope.Filter
) -> AsyncGenerator[envelope.Event, None]:
    async for page in log.tail(after, where=where):
        for event in page.events:
            yield event


class _One:
    """`ids.Ids` with one id, so that the same attempt is the same event."""

    def __init__(self, value: str) -> None:
        self._value = value

    def new(self) -> str:
        return self._value


def site_of(task: heal_ports.Task) -> str:
    """The site that a resource stands for."""
    settings = task.resource.settings
    return str(settings.get("site") or settings.get("name") or task.resource.name)


def _only_rebuild(task: heal_ports.Task) -> None:
    if task.verb != "rebuild":
        raise ports.HealError(
            "unsupported", f"{task.resource.kind} can be built again, not {task.verb}d from here"
        )
