"""A simulated node: the product's own classes on simulated ports, and a life that can end anywhere.

Nothing here is a model of Helios. Storage, log, view store and projection worker are the ones that
serve in production; only what they stand on is simulated. `Build` says which classes those are, so
that a planted bug is one overridden method.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from helios.drivers.sqlite import log_storage, view_store
from helios.eventlog import envelope, log, ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, offload
from helios.projections import ports as view_ports
from helios.projections import rebuild, verify, wait, worker
from helios.projections.views import event_mirror
from helios.reconcile.streams import view as verdict_view
from helios.testing import invariants, orders, simdisk, simloop, simports, swarm, tally

RESTART_S = (0.05, 10.0)
DYING_S = (0.0, 0.5)
"""How long a process that must stop because a flush failed still goes on."""

SMALL_QUEUE = log.Bounds(commit_events=3, queue_events=4)
TAIL_PAGE = 7
VIEW_BATCH = 5
PREWARM_PAGES = 32


class Append(msgspec.Struct, frozen=True):
    """Message: append this."""

    request: ports.AppendRequest


class Read(msgspec.Struct, frozen=True):
    """Message: the page after a position, as soon as there is one."""

    after: envelope.Position
    limit: int


class Look(msgspec.Struct, frozen=True):
    """Message: the rows of the tally view, not before it has reached a position."""

    after: envelope.Position


class Rebuild(msgspec.Struct, frozen=True):
    """Message: build a view anew beside the old copy and swap."""

    view: str


class Verify(msgspec.Struct, frozen=True):
    """Message: compare a view with a fold of the log."""

    view: str


class Judge(msgspec.Struct, frozen=True):
    """Message: the verdicts on these keys, once the view has reached a position."""

    after: envelope.Position
    keys: tuple[str, ...]


Message: TypeAlias = Append | Read | Look | Rebuild | Verify | Judge


class Build:
    """Which classes a node is made of; a planted bug overrides one method."""

    def log_storage(
        self,
        disk: simdisk.SimDisk,
        run: Callable[[], offload.Offload],
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
        prewarm_pages: int,
    ) -> ports.LogStorage:
        return log_storage.SqliteLogStorage(
            "/log.db",
            clock,
            id_source=id_source,
            writer=run(),
            vfs=disk.vfs,
            exclusive=True,
            prewarm_pages=prewarm_pages,
        )

    def view_store(
        self, disk: simdisk.SimDisk, run: Callable[[], offload.Offload]
    ) -> view_ports.ViewStore:
        return view_store.SqliteViewStore("/views.db", writer=run(), vfs=disk.vfs, exclusive=True)

    def event_log(
        self,
        storage: ports.LogStorage,
        clock: clocks.Clock,
        on_fatal: Callable[[errors.StorageFailedError], None],
        bounds: log.Bounds,
    ) -> log.Log:
        return log.Log(storage, clock, on_fatal=on_fatal, bounds=bounds)

    def views(self) -> dict[str, view_ports.View]:
        """All views there are, new ones for each life: some remember."""
        every: list[view_ports.View] = [
            tally.TallyView(),
            event_mirror.VIEW,
            verdict_view.VerdictView(),
        ]
        return {view.name: view for view in every}

    def worker(
        self,
        view: view_ports.View,
        source: ports.EventLog,
        store: view_ports.ViewStore,
        progress: wait.Progress,
        clock: clocks.Clock,
    ) -> worker.Worker:
        return worker.Worker(
            view, source, store, progress=progress, clock=clock, batch_events=VIEW_BATCH
        )


class SimNode:
    """One node: a disk, a clock, and one life after the other.

    Args:
        name: its endpoint on the transport.
        loop, transport: its world.
        rng: its own stream of randomness.
        build: what it is made of.
        views: names of those of its build's views that it keeps.
        faults: the world's swarm.
        points: where it may die.
        history, coverage: where its readers and its lives are written down.
        failed: told of what must never happen.
    """

    def __init__(
        self,
        name: str,
        *,
        loop: simloop.SimLoop,
        transport: simports.SimTransport[Message],
        rng: random.Random,
        build: Build,
        views: Sequence[str],
        faults: swarm.Swarm,
        points: simports.CrashPoints,
        history: invariants.History,
        coverage: invariants.Coverage,
        failed: Callable[[Exception], None],
    ) -> None:
        self.name = name
        self.disk = simdisk.SimDisk(loop, rng, faults=faults.disk(), points=points)
        self.clock = simports.SimClock(loop)
        self.restarts = True
        self._loop = loop
        self._transport = transport
        self._rng = rng
        self._build = build
        self._views = views
        self._faults = faults
        self._points = points
        self._history = history
        self._coverage = coverage
        self._failed = failed
        self._life = simloop.Incarnation(name, 0)
        self._dead: asyncio.Future[None] = loop.create_future()
        self._disk_generation = 0
        self._reached = envelope.Position(0)
        self._keepers: dict[str, worker.Worker] = {}
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._serving: asyncio.Task[None] | None = None

    # Life and death.

    def start(self) -> None:
        """Begin the next life."""
        self._life = simloop.Incarnation(self.name, self._life.number + 1)
        self._dead = self._loop.create_future()
        self._disk_generation = self.disk.generation
        self._loop.note(f"{self._life!r} starts")
        self._serving = self._loop.spawn(self._live(), self._life, repr(self._life))

    def die(self, why: str, *, power_cut: bool) -> None:
        """End this life without another instruction, and begin the next after a while."""
        if not self._life.alive:
            return
        self._life.alive = False
        self._dead.set_result(None)
        self._loop.note(f"{self._life!r} dies: {why}")
        self._coverage[f"crash {' '.join(why.split()[:2])}"] += 1
        if self.disk.generation == self._disk_generation:
            if power_cut:
                self.disk.crash()
            else:
                self.disk.kill()
        if self.restarts:
            self._loop.spawn(self._start_later(), None, f"restart {self.name}")

    async def _start_later(self) -> None:
        await asyncio.sleep(self._rng.uniform(*RESTART_S))
        self.start()

    def crash(self, why: str) -> None:
        """What a crash point does: the power fails, or only the process."""
        self.die(why, power_cut=self._rng.random() >= self.disk.faults.kills)

    async def stop(self) -> None:
        """End this life in order, everything finished and closed; or by a crash on the way."""
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.cancel()
            await asyncio.wait({serving, self._dead}, return_when=asyncio.FIRST_COMPLETED)
        closing = self._loop.spawn(self._close(), self._life, f"close {self._life!r}")
        await asyncio.wait({closing, self._dead}, return_when=asyncio.FIRST_COMPLETED)
        self.die("stopped", power_cut=False)

    def troubles(self) -> list[str]:
        """What the views' workers last complained of."""
        found = [keeper.health() for keeper in self._keepers.values()]
        return [f"{health.view}: {health.error}" for health in found if health.error]

    def quiet(self) -> None:
        """No more faults from here on."""
        self.disk.faults = swarm.QUIET.disk()

    async def _live(self) -> None:
        try:
            await self._serve()
        except* errors.StorageError as group:
            # As the product does: it cannot serve, so it exits, and is started again.
            await self._close()
            self.die(f"exit: {group.exceptions[0]}", power_cut=False)
        except* errors.CorruptionError as group:
            self._failed(invariants.Violation("no_corruption", repr(group.exceptions)))
        except* errors.CursorError as group:
            self._failed(invariants.Violation("cursor_monotonic", repr(group.exceptions)))
        except* Exception as group:  # noqa: BLE001 - the world is told
            self._failed(invariants.Violation("no_unexpected_error", repr(group.exceptions)))

    async def _close(self) -> None:
        while self._closers:
            with contextlib.suppress(errors.StorageError):
                await self._closers.pop()()

    # What it does while it lives.

    async def _serve(self) -> None:
        self._closers = []
        storage = self._build.log_storage(
            self.disk,
            self._offload,
            clock=self.clock,
            id_source=simports.SimIds(self.clock, self._rng),
            prewarm_pages=PREWARM_PAGES if self._faults.prewarm else 0,
        )
        bounds = SMALL_QUEUE if self._faults.small_queue else log.Bounds()
        event_log = self._build.event_log(storage, self.clock, self._fatal, bounds)
        self._closers.append(event_log.close)
        await event_log.open()
        store = self._build.view_store(self.disk, self._offload)
        self._closers.append(store.close)
        await store.open()
        progress = wait.Progress()
        every = self._build.views()
        views = {name: every[name] for name in self._views}
        self._keepers = keepers = {
            name: self._build.worker(view, event_log, store, progress, self.clock)
            for name, view in views.items()
        }
        await self._note_checkpoint(store)
        waiter = wait.Waiter(store, progress)
        serving = _Serving(
            event_log,
            store,
            waiter,
            self.clock,
            views=views,
            coverage=self._coverage,
            shown=self._shown,
        )
        async with asyncio.TaskGroup() as group:
            for name, keeper in keepers.items():
                group.create_task(keeper.run(), name=f"view {name}")
            group.create_task(self._tail(event_log), name="tail")
            self._transport.register(self.name, serving.handle)

    def _shown(self, reached: envelope.Position) -> None:
        self._reached = max(self._reached, reached)

    async def _note_checkpoint(self, store: view_ports.ViewStore) -> None:
        for slot in await store.slots("tally"):
            position = slot.checkpoint.position
            self._coverage["view restarted from checkpoint"] += position > 0
            self._coverage["view went back"] += position < self._reached
            self._reached = position

    async def _tail(self, event_log: log.Log) -> None:
        reader = f"tail of {self.name}"
        after = self._history.cursors.get(reader, envelope.Position(0))
        try:
            async for page in event_log.tail(after, limit=TAIL_PAGE):
                self._history.read(reader, after, page)
                after = page.next_after
        except invariants.Violation as violation:
            self._failed(violation)

    def _fatal(self, error: errors.StorageFailedError) -> None:
        self._coverage["flush failed"] += 1
        self._loop.call_later(
            self._rng.uniform(*DYING_S), lambda: self.die(f"fatal: {error}", power_cut=False)
        )

    def _offload(self) -> offload.Offload:
        generation = self.disk.generation

        def cut_off() -> bool:
            self.disk.call_ended()
            return self.disk.generation != generation

        return simports.SimOffload(
            self._loop,
            self._rng,
            points=self._points,
            crash=self.crash,
            cut_off=cut_off,
            slow=self._faults.slow,
        )


class _Serving:
    """Answers messages, as the API does."""

    def __init__(
        self,
        event_log: log.Log,
        store: view_ports.ViewStore,
        waiter: wait.Waiter,
        clock: clocks.Clock,
        *,
        views: dict[str, view_ports.View],
        coverage: invariants.Coverage,
        shown: Callable[[envelope.Position], None],
    ) -> None:
        self._shown = shown
        self._log = event_log
        self._store = store
        self._waiter = waiter
        self._views = views
        self._clock = clock
        self._coverage = coverage

    async def handle(self, message: Message) -> Any:
        if isinstance(message, Append):
            return await self._append(message.request)
        if isinstance(message, Read):
            await self._log.wait(message.after, timeout_s=5.0)
            return await self._log.read(message.after, limit=message.limit)
        if isinstance(message, Look):
            return await self._look(message.after)
        if isinstance(message, Judge):
            return await self._judge(message)
        if isinstance(message, Rebuild):
            return await self._rebuild(self._views[message.view])
        return await self._verify(self._views[message.view])

    async def _judge(self, message: Judge) -> orders.Shown:
        view = self._views[verdict_view.NAME]
        assert isinstance(view, verdict_view.VerdictView)
        await self._waiter.wait_for(view.name, message.after, timeout_s=20.0)
        reader = verdict_view.Reader(self._store, view)
        tenant = envelope.DEFAULT_TENANT
        page = await reader.page(tenant, limit=1000)
        history = {
            (contract, key): await reader.history(tenant, contract, key)
            for contract in (orders.PATIENT, orders.HASTY)
            for key in message.keys
        }
        totals = await reader.counts(tenant)
        return orders.Shown(latest=page.verdicts, history=history, totals=totals)

    async def _rebuild(self, view: view_ports.View) -> None:
        await rebuild.rebuild(view, self._log, self._store, clock=self._clock)
        self._coverage["view rebuilt and swapped"] += 1

    async def _verify(self, view: view_ports.View) -> verify.Verified:
        verified = await verify.verify(view, self._log, self._store, clock=self._clock)
        self._coverage["view verified"] += 1
        return verified

    async def _append(self, request: ports.AppendRequest) -> envelope.Appended:
        try:
            appended = await self._log.append(
                request.events, expected=request.expected, idempotency=request.idempotency
            )
        except errors.HeliosError as error:
            self._coverage[f"append refused: {error.code}"] += 1
            raise
        self._coverage["duplicate dropped"] += any(appended.duplicates)
        self._coverage["answer replayed"] += appended.replayed
        return appended

    async def _look(
        self, after: envelope.Position
    ) -> tuple[envelope.Position, Sequence[view_ports.Row]]:
        reached = await self._waiter.wait_for("tally", after, timeout_s=20.0)
        self._shown(reached)
        return reached, await self._store.query("tally", tally.ROWS)
