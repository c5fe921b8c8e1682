"""A control bus over a log in memory, with a clock put forward by hand; for tests."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope, log
from helios.ingest import runners
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.projections import catalog, verify
from helios.reconcile.bus import acting, bus, commands, events, following, view
from helios.reconcile.compositions import events as stack_events
from helios.testing import memory_log, steps

TENANT = "acme"


class World:
    """What outlives a process: the log, the views' file, the time.

    Attributes:
        handed: ids of the events that were handed on, in order, in all lives.
    """

    def __init__(self, folder: Path) -> None:
        self.clock = steps.Steps()
        self.storage = memory_log.MemoryLogStorage()
        self.views_file = str(folder / "views.db")
        self.ids = ids.Uuid7Ids(self.clock, random.Random(7))  # noqa: S311 - a test's
        self.handed: list[str] = []
        self.told: list[str] = []

    @contextlib.asynccontextmanager
    async def life(
        self,
        handlers: Mapping[events.CommandType, acting.Handler] | None = None,
        *,
        runs: bool = True,
        wrap: Callable[[log.Log], Any] = lambda a_log: a_log,
        released: following.Released | None = None,
    ) -> "AsyncIterator[Place]":
        """One process, ended without ceremony."""
        a_log = log.Log(self.storage, self.clock)
        store = view_store.SqliteViewStore(self.views_file)
        await a_log.open()
        await store.open()
        views = catalog.Catalog([view.VIEW], a_log, store, clock=self.clock)
        await views.start()
        tasks = [asyncio.ensure_future(views.run())]
        place = Place(self, a_log, store, views)
        around = following.Around(
            log=wrap(a_log),
            store=store,
            wait_for=views.wait_for,
            clock=self.clock,
            ids=self.ids,
            released=released or place.released,
            told=self.told.append,
        )
        place.bus = bus.Bus(around, handlers or place.handlers(), runners.Alone())
        try:
            await place.built()
            await views.wait_for(view.NAME, await a_log.head())
            if runs:
                tasks.append(asyncio.ensure_future(place.bus.run()))
                await place.running()
            yield place
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await store.close()
            await a_log.close()


class Place:
    """One process of a world."""

    bus: bus.Bus

    def __init__(
        self, world: World, a_log: log.Log, store: view_store.SqliteViewStore, views: Any
    ) -> None:
        self.world = world
        self.log = a_log
        self.store = store
        self.views = views

    async def built(self) -> None:
        """Return when the view can be read."""
        while not any(slot.live for slot in await self.store.slots(view.NAME)):
            await self._moment()

    async def running(self) -> None:
        """Return when the bus has caught up."""
        while self.bus.health.state != "running":
            await self._moment()

    async def _moment(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.002):
                await asyncio.get_running_loop().create_future()

    async def released(self, event: envelope.Event) -> None:
        """Take an event that is handed on."""
        self.world.handed.append(event.id)

    def handlers(self) -> dict[events.CommandType, acting.Handler]:
        """Those of the product, for a client with the stacks `cms` and `shop`."""

        async def stacks(client_id: str) -> Sequence[str]:
            return ("cms", "shop") if client_id == TENANT else ()

        async def rollback(
            command: events.Command, because: stack_events.Because
        ) -> Sequence[envelope.NewEvent]:
            declared = stack_events.Noted(reason=command.payload.rollback_version or "")
            return [
                stack_events.of_stack(
                    stack_events.STACK_DECLARED,
                    command.client_id,
                    command.stack_id or "",
                    declared,
                    now=self.world.clock.now(),
                    event_id=f"rolled:{command.command_id}",
                    because=because,
                )
            ]

        return acting.handlers(stacks=stacks, rollback=rollback, clock=self.world.clock)

    async def issue(self, *asked: commands.Issue) -> tuple[events.Command, ...]:
        """Issue commands together."""
        now = self.world.clock.now()
        made = commands.made(asked, now=now, id_source=self.world.ids)
        await self.log.append(commands.issued(made, now=now, actor="user:ada"))
        return made

    async def say(
        self,
        event_type: str,
        correlation_id: str | None,
        *,
        event_id: str | None = None,
        about: tuple[str, str] = (stack_events.STACK, "cms"),
        occurred_at: clocks.Timestamp | None = None,
        causation_id: str | None = None,
    ) -> envelope.Appended:
        """Append an event of ours."""
        now = self.world.clock.now()
        event = envelope.NewEvent(
            id=event_id or self.world.ids.new(),
            source="helios",
            type=event_type,
            occurred_at=occurred_at or now,
            tenant=TENANT,
            aggregate_type=about[0],
            aggregate_id=about[1],
            correlation_id=correlation_id,
            causation_id=causation_id,
        )
        return await self.log.append([event])

    async def until(self, holds: Callable[[], Awaitable[Any]], *, timeout_s: float = 20.0) -> Any:
        """What this gives as soon as it is true of a view that has caught up."""
        async with asyncio.timeout(timeout_s):
            while True:
                head = await self.log.head()
                await self.views.wait_for(view.NAME, head)
                found = await holds()
                if found:
                    return found
                await self.log.wait(head, timeout_s=0.02)

    async def record(self, correlation_id: str, *statuses: events.Status) -> events.Record:
        """The record of a correlation, once it is in one of these statuses."""

        async def holds() -> events.Record | None:
            rows = await view.correlations(self.store, TENANT)
            found = [r.record for r in rows if r.correlation_id == correlation_id]
            return next((r for r in found if r.status in statuses), None)

        record: events.Record = await self.until(holds)
        return record

    async def command(self, command_id: str, *statuses: view.CommandStatus) -> view.CommandRow:
        """A command, once it is in one of these statuses."""

        async def holds() -> view.CommandRow | None:
            found = await view.command(self.store, TENANT, command_id)
            return found if found.status in statuses else None

        row: view.CommandRow = await self.until(holds)
        return row

    async def types(self, *wanted: str) -> list[str]:
        """Types of the events of the log, in order; of all, or of these."""
        page = await self.log.read(envelope.Position(0))
        return [e.type for e in page.events if not wanted or e.type in wanted]

    async def verified(self) -> bool:
        """Whether the view is what a rebuild of it gives."""
        await self.views.wait_for(view.NAME, await self.log.head())
        done = await verify.verify(view.VIEW, self.log, self.store, clock=self.world.clock)
        return done.is_equal
