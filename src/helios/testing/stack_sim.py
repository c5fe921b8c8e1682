"""A simulated world of stacks: the real passes, runtime, log and views, and a scripted outside.

A world is one seed, a story (what people and accidents do) and faults. While the story runs,
faults strike; then they stop, an operator does what operators do (agrees, resets fuses, orders what
was given up), and everything must come to rest as declared. Then all that happened is judged, see
`stack_sim_oracles`.
"""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import structlog.testing

from helios.drivers.sqlite import view_store
from helios.eventlog import log
from helios.kernel import ids
from helios.reconcile.compositions import (
    composition,
    document,
    events,
    policy_document,
    stack,
)
from helios.reconcile.runtime import keys
from helios.testing import (
    invariants,
    memory_log,
    simdisk,
    simloop,
    simports,
    stack_sim_noise,
    stack_sim_oracles,
    stack_sim_outside,
    stack_sim_people,
    stack_sim_ports,
    stack_sim_process,
)

REST_S = 6 * 3600.0
"""Virtual seconds from the end of the faults to rest. Above: something is stuck."""

POLL_S = 7.0
WAY_S, SLOW_WAY_S = 1.0, 45.0
"""Time from a look to the write that follows it, at most."""

PATIENCE_S = 120.0
"""How long an operator waits before an order is repeated."""

TROUBLE_EVERY_S = 30.0
PAUSE_S = (1.0, 150.0)
CRASHES_MAX = 12


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a world ended.

    Attributes:
        violation: what did not hold, or None.
        trace: the last steps (or all); trace_hash: of every step.
        points: places where a process could have died; crashed: where one did.
        ending: how each stack stands, and how the outside is.
        passes: by outcome.
    """

    seed: int
    faults: stack_sim_ports.Faults
    violation: str | None
    trace: Sequence[str]
    trace_hash: str
    steps: int
    virtual_s: float
    points: int
    crashed: Sequence[str]
    ending: Mapping[str, Any]
    events: int
    writes: int
    passes: Mapping[str, int]
    coverage: Mapping[str, int]


class World(stack_sim_people.People):
    """One simulation; a story gets it, `run` makes it."""

    def __init__(
        self,
        loop: simloop.SimLoop,
        faults: stack_sim_ports.Faults,
        points: simports.CrashPoints,
    ) -> None:
        self.loop = loop
        self.faults = faults
        self.points = points
        self.clock = simports.SimClock(loop)
        self.storage = memory_log.MemoryLogStorage()
        # A disk without faults of its own: what crashes do to files is simulated elsewhere.
        self.disk = simdisk.SimDisk(
            loop,
            loop.rng("disk"),
            faults=simdisk.DiskFaults(),
            points=simports.CrashPoints(rng=loop.rng("disk points")),
        )
        self.store = view_store.SqliteViewStore(
            "/views.db", writer=stack_sim_ports.Inline(), vfs=self.disk.vfs, exclusive=True
        )
        self.leases = stack_sim_ports.Leases()
        self.outside = stack_sim_outside.Outside(
            self.clock, wrong=self._wrong, is_started=self._is_started
        )
        self.noise: stack_sim_noise.Noise | None = None
        self.outside.settles_s = faults.settles_s
        self.outside.on_its_way_s = SLOW_WAY_S if faults.slow else WAY_S
        self.rng = loop.rng("story")
        super().__init__(
            log.Log(self.storage, self.clock),
            self.store,
            self.outside,
            clock=self.clock,
            id_source=ids.Uuid7Ids(self.clock, loop.rng("people")),
        )
        self.coverage = invariants.Coverage()
        self.passes: dict[str, int] = {}
        self.makers: dict[str, str] = {}
        self.processes = [
            stack_sim_process.Process(self, f"p{number}") for number in range(faults.processes)
        ]
        self.told: stack_sim_oracles.Told | None = None
        self._begun: set[str] = set()
        self._scanned = 0
        self._owed: dict[keys.Key, float] = {}
        self._ordered: dict[str, float] = {}
        self._failure: asyncio.Future[None] = loop.create_future()

    # -- what processes tell --------------------------------------------------------------------

    def count(self, what: str) -> None:
        self.coverage[what] += 1

    def fail(self, error: Exception) -> None:
        if not self._failure.done():
            self.loop.note(f"FAILED {error}")
            self._failure.set_exception(error)

    def began(self, key: keys.Key) -> None:
        self._owed.pop(key, None)

    def woke(self, key: keys.Key) -> None:
        self._owed[key] = self.loop.time()

    def passed(self, client: str, name: str, seconds: float, outcome: str) -> None:
        del client, name, seconds
        self.passes[outcome] = self.passes.get(outcome, 0) + 1

    def made(self, event_id: str, owner: str) -> None:
        self.makers[event_id] = owner

    def _wrong(self, what: str) -> None:
        name, _, detail = what.partition(": ")
        self.fail(invariants.Violation(name, detail))

    def _is_started(self, key: str) -> bool:
        known = self.storage._events  # noqa: SLF001 - what is durable at this moment
        for event in known[self._scanned :]:
            if event.type == events.HEAL_STARTED:
                said = msgspec.json.decode(event.payload, type=events.HealMoved)
                self._begun.add(said.heal.action.idempotency_key)
        self._scanned = len(known)
        return key in self._begun

    # -- what stories ask -----------------------------------------------------------------------

    async def until(
        self, name: str, test: Callable[[stack.Stack], bool], within_s: float = REST_S
    ) -> None:
        """Return when a stack stands so."""
        await self.when(name, test, within_s=within_s)

    async def when(
        self, name: str, test: Callable[[stack.Stack], bool], *, within_s: float
    ) -> None:
        """See `until`."""
        deadline = self.loop.time() + within_s
        while True:
            state = await self.state(name)
            if state is not None and test(state):
                return
            if self.loop.time() > deadline:
                raise invariants.Violation("convergence", f"{name}: {_short(state)}")
            await asyncio.sleep(1.0)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    # -- the life of a world --------------------------------------------------------------------

    async def live(self, story: "Story") -> dict[str, Any]:
        """The story, the calm after it, and the judgement; how everything stands in the end.

        Raises:
            Violation: something does not hold.
        """
        await self.log.open()
        await self.store.open()
        for process in self.processes:
            process.start()
        telling = asyncio.create_task(self._tell(story), name="story")
        await asyncio.wait({telling, self._failure}, return_when=asyncio.FIRST_COMPLETED)
        if self._failure.done():
            telling.cancel()
            self._failure.result()
        await telling
        if self.loop.unhandled:
            raise invariants.Violation("no_unexpected_error", "; ".join(self.loop.unhandled))
        return await self._judged()

    async def _tell(self, story: "Story") -> None:
        trouble = asyncio.create_task(self._trouble(), name="trouble")
        await story(self)
        trouble.cancel()
        await asyncio.wait({trouble})
        self.points.rate = 0.0
        self.faults = self.faults.calm()
        self.loop.note("faults off")
        await self._rest()

    async def _trouble(self) -> None:
        rng = self.loop.rng("trouble")
        while True:
            await asyncio.sleep(rng.expovariate(1 / TROUBLE_EVERY_S))
            lives = [each.life for each in self.processes if each.life is not None]
            if not lives:
                continue
            life = rng.choice(lives)
            if rng.random() < self.faults.pause:
                await life.pause(rng.uniform(*PAUSE_S))
            elif rng.random() < self.faults.steal:
                life.lose_leases()

    async def _rest(self) -> None:
        """Wait until every stack is as declared, doing what is left to people."""
        deadline = self.loop.time() + REST_S
        calm = 0
        while calm < 2:
            if self.loop.time() > deadline:
                raise invariants.Violation("convergence", await self._troubles())
            await asyncio.sleep(POLL_S)
            await self.operate()
            states = [await self.state(name) for name in self.names]
            is_calm = all(map(is_at_rest, states)) and not self._owed and not self.drifted()
            calm = calm + 1 if is_calm else 0

    def drifted(self) -> list[str]:
        """Components that are not as declared, whoever knows of it."""
        newest = {name: each for (_, name, _), each in sorted(self.declared.items(), key=_order)}
        return [
            f"{name}/{each.address}"
            for name, declared in newest.items()
            for each in declared.components()
            if self.outside.is_drifted(declared, each)
        ]

    async def operate(self) -> None:
        """Do what operators do: agree, reset fuses, order what was given up."""
        for _ in range(await self.reset_fuses()):
            self.count("fuse reset")
        for name in self.names:
            state = await self.state(name)
            if state is None:
                continue
            approval = state.approval
            if approval is not None and approval.status == "pending":
                await self.approve(name, approval)
            given_up = any(
                drift.state in ("escalated", "acknowledged") for drift in state.drifts.values()
            )
            ordered_at = self._ordered.get(name, -PATIENCE_S)
            if given_up and self.loop.time() - ordered_at >= PATIENCE_S:
                self._ordered[name] = self.loop.time()
                self.count("operator ordered a heal")
                await self.request(name)

    async def _troubles(self) -> str:
        told = [f"owed: {sorted(self._owed)}", f"drifted: {self.drifted()}"]
        for name in self.names:
            state = await self.state(name)
            if not is_at_rest(state):
                told.append(f"{name}: {_short(state)}")
        return "\n".join(told)

    async def _judged(self) -> dict[str, Any]:
        for process in self.processes:
            process.restarts = False
            if process.life is not None:
                await process.life.stop()
        told = self.told = stack_sim_oracles.Told(
            events=self.storage._events,  # noqa: SLF001 - all of it, at once
            outside=self.outside,
            declared=self.declared,
            makers=self.makers,
            skew_s=self.faults.skew_s,
            is_noisy=self.noise is not None,
        )
        stack_sim_oracles.check(told)
        await stack_sim_oracles.views_are_the_log(told, self.log, self.store, self.clock)
        found: dict[str, Any] = {"outside": self._outside()}
        for name in self.names:
            state = await self.state(name)
            assert state is not None
            found[name] = stack_sim_oracles.ending(state)
        await self.log.close()
        await self.store.close()
        return found

    def _outside(self) -> dict[str, Any]:
        return {"/".join(place): self.outside.value(place) for place in self.outside.places()}


@contextlib.contextmanager
def _parsing_once() -> Iterator[None]:
    """Parse the same text once: it is pure, and takes most of the time of a short world."""
    saved = [(module, module.parse) for module in _PARSERS]
    try:
        for module, _ in saved:
            module.parse = _PARSED[module.__name__]
        yield
    finally:
        for module, real in saved:
            module.parse = real


_PARSERS: tuple[Any, ...] = (document, policy_document)
_PARSED = {each.__name__: functools.lru_cache(maxsize=256)(each.parse) for each in _PARSERS}


def _order(item: tuple[tuple[str, str, int], composition.Composition]) -> tuple[str, int]:
    return (item[0][1], item[0][2])


Story: TypeAlias = Callable[[World], Awaitable[None]]


def is_at_rest(state: stack.Stack | None) -> bool:
    """Whether a stack is as declared and nothing is under way."""
    return (
        state is not None
        and state.status == "healthy"
        and state.observed_generation == state.generation
        and not [each for each in state.drifts.values() if each.state != "ignored"]
        and not state.open_heals()
        and state.plan is None
        and not state.requested
    )


def _short(state: stack.Stack | None) -> str:
    if state is None:
        return "unknown"
    drifts = [
        (d.component, d.path, d.state, d.attempts, d.score, d.reason) for d in state.drifts.values()
    ]
    plan = state.plan
    blockers = () if plan is None else [(b.code, b.detail, b.until) for b in plan.blockers]
    return (
        f"{state.status} {drifts} heals={[h.status for h in state.heals][-3:]} "
        f"plan={plan is not None} {blockers} approval={state.approval and state.approval.status} "
        f"asked={len(state.requested)} unknown={state.unknown} error={state.error}"
    )


def run(
    seed: int,
    story: Story,
    *,
    faults: stack_sim_ports.Faults | None = None,
    crash_at: frozenset[int] = frozenset(),
    names: tuple[str, ...] = (),
    keep_trace: bool = False,
) -> Result:
    """Run one world.

    Args:
        seed: decides everything.
        story: what happens in it.
        faults: what goes wrong; None: drawn from the seed.
        crash_at: points at which to crash, from 1.
        names: only points of these names are counted; empty: all.
        keep_trace: keep every step.
    """
    loop = simloop.SimLoop(seed, keep_trace=keep_trace)
    drawn = stack_sim_ports.Faults.draw(loop.rng("faults")) if faults is None else faults
    points = simports.CrashPoints(
        crash_at=crash_at,
        rate=drawn.crash,
        rng=loop.rng("crash"),
        crashes_max=CRASHES_MAX,
        names=names,
    )
    worlds: list[World] = []
    ending: dict[str, Any] = {}
    violation = None

    async def main() -> dict[str, Any]:
        worlds.append(World(loop, drawn, points))
        return await worlds[0].live(story)

    try:
        # Nobody reads the logs of so many lives, and to render them takes longer than the lives.
        with structlog.testing.capture_logs(), _parsing_once():
            ending = simloop.run(loop, main())
    except invariants.Violation as error:
        violation = str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the world has failed
        violation = f"no_unexpected_error: {type(error).__name__}: {error}"
    finally:
        for each in worlds:
            each.disk.close()
    world = worlds[0]
    return Result(
        seed=seed,
        faults=drawn,
        violation=violation,
        trace=list(loop.trace),
        trace_hash=loop.trace_hash(),
        steps=loop.steps,
        virtual_s=loop.time(),
        points=points.seen,
        crashed=points.crashed,
        ending=ending,
        events=len(world.storage._events),  # noqa: SLF001
        writes=len(world.outside.writes),
        passes=world.passes,
        coverage=dict(world.coverage),
    )
