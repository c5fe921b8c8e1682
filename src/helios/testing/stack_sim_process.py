"""One process of a simulated world: the product's own runtime and passes, and lives that end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.reconcile.compositions import (
    breakers,
    guard_events,
    passing,
    reading,
    view,
    wakes,
)
from helios.reconcile.runtime import keys, lane, ports, resync, runtime, shards, waking
from helios.testing import (
    memory_log,
    simloop,
    simports,
    stack_sim_noise,
    stack_sim_outside,
    stack_sim_ports,
)

RESTART_S = (0.05, 10.0)
CHORES_S = 15.0
PACE_S = 0.5


class Surroundings(Protocol):
    """What outlives a process."""

    @property
    def loop(self) -> simloop.SimLoop: ...

    @property
    def storage(self) -> memory_log.MemoryLogStorage: ...

    @property
    def store(self) -> view_ports.ViewStore: ...

    @property
    def leases(self) -> stack_sim_ports.Leases: ...

    @property
    def outside(self) -> stack_sim_outside.Outside: ...

    @property
    def points(self) -> simports.CrashPoints: ...

    @property
    def faults(self) -> stack_sim_ports.Faults: ...

    @property
    def noise(self) -> stack_sim_noise.Noise | None: ...

    def count(self, what: str) -> None: ...

    def fail(self, error: Exception) -> None: ...

    def began(self, key: keys.Key) -> None:
        """A pass begins."""
        ...

    def woke(self, key: keys.Key) -> None:
        """Somebody is owed a pass."""
        ...

    def passed(self, client: str, stack: str, seconds: float, outcome: str) -> None: ...

    def made(self, event_id: str, owner: str) -> None:
        """A process has made an id."""
        ...


class Process:
    """A name in the world, and one life after the other."""

    def __init__(self, world: Surroundings, name: str) -> None:
        self.name = name
        self.restarts = True
        self._world = world
        self._number = 0
        self.life: Life | None = None

    def start(self) -> None:
        """Begin the next life."""
        self._number += 1
        self.life = Life(self._world, self.name, self._number, self._died)

    def _died(self) -> None:
        self.life = None
        if self.restarts:
            self._world.loop.spawn(self._again(), None, f"restart {self.name}")

    async def _again(self) -> None:
        rng = self._world.loop.rng(f"restart {self.name} {self._number}")
        await asyncio.sleep(rng.uniform(*RESTART_S))
        self.start()


class _Ids(simports.SimIds):
    def __init__(self, world: Surroundings, clock: simports.SimClock, owner: str) -> None:
        super().__init__(clock, world.loop.rng(f"ids {owner}"))
        self._world = world
        self._owner = owner

    def new(self) -> str:
        found = super().new()
        self._world.made(found, self._owner)
        return found


class Life:
    """One life of a process."""

    def __init__(
        self, world: Surroundings, name: str, number: int, died: Callable[[], None]
    ) -> None:
        loop = world.loop
        self.owner = f"{name}:{number}"
        self._world = world
        self._died = died
        self._incarnation = simloop.Incarnation(name, number)
        self._going = asyncio.Event()
        self._going.set()
        self._rng = loop.rng(f"life {self.owner}")
        skew_us = int(self._rng.uniform(-1, 1) * world.faults.skew_s * clocks.SECOND_US)
        self._clock = stack_sim_ports.Clock(loop, self._going, skew_us=skew_us)
        self._context = stack_sim_ports.Context(
            point=self._point,
            faults=lambda: world.faults,
            rng=self._rng,
            clock=self._clock,
            count=world.count,
        )
        self._session = stack_sim_ports.Session(world.leases, self._context)
        self._running: set[keys.Key] = set()
        loop.note(f"{self.owner} starts")
        self._task = loop.spawn(self._live(), self._incarnation, self.owner)

    # -- life and death -------------------------------------------------------------------------

    def die(self, why: str) -> None:
        """End without another instruction."""
        if not self._incarnation.alive:
            return
        self._world.loop.note(f"{self.owner} dies: {why}")
        self._world.count(f"crash {why}")
        self._incarnation.alive = False
        self._world.leases.steal(self._session)
        self._died()

    async def pause(self, seconds: float) -> None:
        """Stand still while others take over, and hear of it late."""
        self._world.count("process stood still")
        self._world.loop.note(f"{self.owner} stands still for {seconds:.1f} s")
        self._going.clear()
        try:
            await asyncio.sleep(0.2)
            self._world.leases.steal(self._session)
            await asyncio.sleep(seconds)
            self._going.set()
            await asyncio.sleep(self._rng.uniform(0.0, 1.0))
        finally:
            self._going.set()
            self._session.end()

    def lose_leases(self) -> None:
        """The server takes the leases back, and says so."""
        self._world.count("leases taken back")
        self._world.leases.steal(self._session)
        self._session.end()

    @property
    def alive(self) -> bool:
        return self._incarnation.alive

    async def stop(self) -> None:
        """End in order."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _point(self, name: str) -> None:
        if self._world.points.hit(name):
            self.die(name)
            await asyncio.get_running_loop().create_future()
        if self._world.faults.slow:
            await asyncio.sleep(simports.latency(self._rng))
        else:
            await asyncio.sleep(0.001)
        # What is on its way to others is not held up by our standing still.
        if name != "act":
            await self._going.wait()

    # -- what it does ---------------------------------------------------------------------------

    async def _live(self) -> None:
        try:
            await self._serve()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the world is told
            self._world.fail(error)

    async def _serve(self) -> None:
        world, clock = self._world, self._clock
        storage = stack_sim_ports.LogStorage(self._context, world.storage)
        shared = stack_sim_ports.Log(self._context, storage, clock)
        await shared.open()
        store = stack_sim_ports.Store(self._context, world.store)
        views = catalog.Catalog([view.VIEW], shared, store, clock=clock, alone=False)
        around = passing.Around(
            log=shared,
            store=store,
            wait_for=lambda name, at, seconds: views.wait_for(name, at, timeout_s=seconds),
            observer=stack_sim_ports.Eyes(self._context, world.outside, lambda: world.noise),
            executor=stack_sim_ports.Hands(self._context, world.outside),
            clock=clock,
            ids=_Ids(world, clock, self.owner),
            meter=passing.Meter(passed=world.passed),
        )
        await views.start()
        parts = [views.run(), *self._parts(around)]
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await shared.close()

    def _parts(self, around: passing.Around) -> list[Coroutine[Any, Any, None]]:
        clock = self._clock
        known = wakes.Wakes()
        self._passes = passing.Passes(around, known)
        made = runtime.Runtime(clock=clock, random=self._rng.random)
        resyncing = resync.Resync(made.wake, lambda: _scheduled(around.store), clock=clock)
        followed = waking.Waking(around.log, self._wake(made), clock=clock)
        followed.follow(known.woken, missed=resyncing.all_soon)
        parts = [followed.run(), resyncing.run(), _chores(around)]
        owner: ports.Owner = ports.Everything()
        if self._world.faults.processes > 1:
            sharded = shards.Shards(
                passing.FAMILY,
                self._session,
                around.log,
                owner=self.owner,
                clock=clock,
                id_source=around.ids,
                random=self._rng.random,
            )
            parts.append(sharded.run(made, resyncing.all_soon))
            owner = sharded
        options = lane.Options(
            pass_s_max=600.0, pace_s=PACE_S, failures=self._passes.failures, owner=owner
        )
        made.register(passing.FAMILY, self, options=options)
        return [*parts, made.run()]

    def _wake(self, made: runtime.Runtime) -> resync.Wake:
        def wake(key: keys.Key, priority: keys.Priority, /) -> None:
            if self._context.strikes(self._world.faults.lost, "wake-up lost"):
                return
            self._world.woke(key)
            made.wake(key, priority)
            if self._context.strikes(self._world.faults.doubled, "wake-up doubled"):
                made.wake(key, priority)

        return wake

    async def reconcile(self, key: keys.Key, why: ports.Reason) -> ports.Result:
        """See `ports.Reconciler`: the passes, and that there are never two over one stack."""
        assert key not in self._running, "two passes over one stack at the same time"
        self._running.add(key)
        self._world.began(key)
        try:
            return await self._passes.reconcile(key, why)
        finally:
            self._running.discard(key)


async def _scheduled(store: view_ports.ViewStore) -> AsyncIterator[tuple[keys.Key, float]]:
    for client, name, interval in await reading.schedule(store):
        yield keys.Key(client, passing.FAMILY, name), interval / clocks.SECOND_US


async def _chores(around: passing.Around) -> None:
    """Tell of breakers that time has moved, as the product's process does."""
    while True:
        await around.clock.sleep(CHORES_S)
        try:
            for tenant, found in (await reading.all_guards(around.store)).items():
                said = [
                    guard_events.of_guard(
                        kind, tenant, scope, payload, now=around.clock.now(), id_source=around.ids
                    )
                    for kind, scope, payload in breakers.due(found, around.clock.now())
                ]
                if said:
                    await around.log.append(said)
        except errors.HeliosError:
            continue
