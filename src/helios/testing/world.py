"""A world of one seed: a node, its clients, a bad network, a bad disk, and what must hold.

Phase 1 is safety: clients append, read and look while faults strike. Phase 2 is liveness: the
faults stop, and everything must come to rest within a bound of virtual time: every request
answered, every reader and view at the head. Then the power is cut once more, and what comes back is
compared with what the clients were told.
"""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from helios.eventlog import envelope, ports
from helios.kernel import clock, errors
from helios.reconcile.streams import view as verdict_view
from helios.testing import invariants, node, orders, simloop, simports, swarm

PHASE_1_S = 300.0
CONVERGE_S = 900.0
"""Virtual seconds from the end of the faults to rest. Above: convergence is violated."""

OPERATE_TIMEOUT_S = 60.0
JUDGE_TIMEOUT_S = 300.0
CLOCK_STEP_EVERY_S = 20.0
OPERATE_EVERY_S = 30.0


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much happens in a world.

    Attributes:
        producers, requests, events_max, aggregates: clients, what each appends, and about what.
        readers, page: clients that read everything, so many events at a time.
        operators: people who rebuild and verify views.
        timeout_s: how long clients wait for an answer; port calls take half a second on average
            and queue up, so it must grow with the number of clients.
        orders, traders: keys under contracts, and clients that tell of their events.
        views: which the node keeps.
        verified: which of them are compared with a rebuild.
    """

    producers: int = 3
    requests: int = 6
    events_max: int = 3
    aggregates: int = 3
    readers: int = 1
    operators: int = 1
    timeout_s: float = 12.0
    orders: int = 0
    traders: int = 3
    views: tuple[str, ...] = ("tally", "event_mirror")
    verified: tuple[str, ...] = ("tally", "event_mirror")

    @classmethod
    def of_orders(cls, count: int = 8) -> "Size":
        """A world in which contracts judge orders."""
        views = ("tally", verdict_view.NAME)
        return cls(producers=0, orders=count, views=views, verified=views)

    page: int = 5


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a world ended.

    Attributes:
        seed, faults: what it was.
        violation: what did not hold, or None.
        trace: the last steps (or all).
        trace_hash: of every step.
        points: places where the node could have died.
        crashed: where it did.
        events: in the log in the end.
    """

    seed: int
    faults: swarm.Swarm
    violation: str | None
    trace: list[str]
    trace_hash: str
    steps: int
    virtual_s: float
    points: int
    crashed: list[str]
    events: int
    coverage: dict[str, int]


class World:
    """One simulation; use `run`."""

    def __init__(
        self,
        loop: simloop.SimLoop,
        *,
        faults: swarm.Swarm,
        size: Size,
        build: node.Build,
        crash_at: frozenset[int],
    ) -> None:
        self.history = invariants.History()
        self.coverage = invariants.Coverage()
        self.events: list[envelope.Event] = []
        rng = loop.rng
        self.points = simports.CrashPoints(
            crash_at=crash_at, rate=faults.crash, rng=rng("crash"), crashes_max=CRASHES_MAX
        )
        self.transport = simports.SimTransport[node.Message](loop, rng("net"), faults.net())
        self.rng = rng
        self.size = size
        self._loop = loop
        self._faults = faults
        self._orders = orders.draw(self.size.orders, rng("orders"))
        self._declared = asyncio.Event()
        self._failure: asyncio.Future[None] = loop.create_future()
        self.node = node.SimNode(
            "node",
            loop=loop,
            transport=self.transport,
            rng=rng("node"),
            build=build,
            views=self.size.views,
            faults=faults,
            points=self.points,
            history=self.history,
            coverage=self.coverage,
            failed=self._fail,
        )

    def _fail(self, error: Exception) -> None:
        if not self._failure.done():
            self._loop.note(f"FAILED {error}")
            self._failure.set_exception(error)

    async def live(self) -> None:
        """Both phases and the last look.

        Raises:
            Violation: an invariant does not hold.
        """
        story = asyncio.create_task(self._story(), name="story")
        await asyncio.wait({story, self._failure}, return_when=asyncio.FIRST_COMPLETED)
        if self._failure.done():
            story.cancel()
            self._failure.result()
        self._failure.cancel()
        await story
        if self._loop.unhandled:
            raise invariants.Violation("no_unexpected_error", "; ".join(self._loop.unhandled))

    async def _story(self) -> None:
        self.node.start()
        producers = [
            self._guard(f"producer {number}", _Producer(self, number).run())
            for number in range(self.size.producers)
        ]
        producers += [
            self._guard(f"trader {number}", self._trade(number))
            for number in range(self.size.traders if self._orders else 0)
        ]
        readers = [
            self._guard(f"reader {number}", self._reader(f"reader {number}"))
            for number in range(self.size.readers)
        ]
        others = [
            self._guard(f"operator {number}", self._operator(self.rng(f"operator {number}")))
            for number in range(self.size.operators)
        ]
        stepping = self._guard("clock", self._step_clock(self._loop.rng("clock")))
        await asyncio.wait(producers, timeout=PHASE_1_S)
        for task in (*others, stepping):
            task.cancel()
        self._quiet()
        await self._within_bound(self._come_to_rest(producers))
        for task in readers:
            task.cancel()
        await self._within_bound(self._last_look())

    async def _within_bound(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(CONVERGE_S):
                await work
        except TimeoutError:
            detail = f"not within {CONVERGE_S:g} s; {self.node.troubles()}"
            raise invariants.Violation("convergence", detail) from None

    async def _come_to_rest(self, clients: Sequence[asyncio.Task[None]]) -> None:
        await asyncio.gather(*clients)
        await self._rest()

    def _guard(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except errors.CursorError as error:
                self._fail(invariants.Violation("cursor_monotonic", str(error)))
            except errors.CorruptionError as error:
                self._fail(invariants.Violation("no_corruption", str(error)))
            except Exception as error:  # noqa: BLE001 - whatever it is, the world has failed
                self._fail(error)

        return asyncio.create_task(guarded(), name=name)

    def _quiet(self) -> None:
        self._loop.note("faults off")
        self.points.rate = 0.0
        self.transport.faults = swarm.QUIET.net()
        self.node.quiet()

    async def _step_clock(self, rng: random.Random) -> None:
        while self._faults.clock_steps:
            await asyncio.sleep(rng.expovariate(1 / CLOCK_STEP_EVERY_S))
            by_s = rng.uniform(-self._faults.clock_steps, self._faults.clock_steps)
            self.coverage["clock went back"] += by_s < 0
            self.node.clock.step(int(by_s * clock.SECOND_US))

    async def _reader(self, name: str) -> None:
        while True:
            after = self.history.cursors.get(name, envelope.Position(0))
            page = await self.ask(node.Read(after, self.size.page))
            self.history.read(name, after, page)

    async def _trade(self, number: int) -> None:
        """A trader tells of its share of the events, in an order of its own, some twice."""
        rng = self.rng(f"trader {number}")
        if number == 0:
            await self._tell(orders.declarations())
            self._declared.set()
        await self._declared.wait()
        every = [event for order in self._orders for event in order.events]
        share = every[number :: self.size.traders]
        rng.shuffle(share)
        while share:
            events = [share.pop() for _ in range(min(len(share), rng.randint(1, 2)))]
            request = ports.AppendRequest(events=events)
            for _ in range(1 + (rng.random() < 0.2)):
                await self._tell(request)
            await asyncio.sleep(rng.expovariate(2.0))

    async def _tell(self, request: ports.AppendRequest) -> None:
        self.history.send(request)
        self.history.acknowledge(request, await self.ask(node.Append(request)))

    async def _operator(self, rng: random.Random) -> None:
        """A person who rebuilds and verifies views while all this goes on."""
        while True:
            await asyncio.sleep(rng.expovariate(1 / OPERATE_EVERY_S))
            try:
                if rng.random() < 1 / 2:
                    message = node.Rebuild(rng.choice(self.size.views))
                    await self.ask(message, timeout_s=OPERATE_TIMEOUT_S)
                else:
                    await self._verify(rng.choice(self.size.verified))
            except (errors.ConflictError, errors.NotFoundError):
                self.coverage["rebuild or verify refused"] += 1

    async def _verify(self, name: str) -> None:
        verified = await self.ask(node.Verify(name), timeout_s=OPERATE_TIMEOUT_S)
        if not verified.is_equal:
            raise invariants.Violation("view_equals_replay", f"{name}: {verified}")

    async def _verify_at_rest(self, name: str) -> None:
        while True:
            try:
                return await self._verify(name)
            except (errors.ConflictError, errors.NotFoundError):
                # A rebuild asked for before is still under way, or its copy was being dropped.
                await asyncio.sleep(1.0)

    async def ask(self, message: node.Message, *, timeout_s: float | None = None) -> Any:
        """Send a message until it is answered.

        Raises:
            HeliosError: the answer is an error that trying again does not help.
        """
        while True:
            try:
                return await self.transport.call(
                    "node", message, timeout_s=timeout_s or self.size.timeout_s
                )
            except simports.Unanswered:
                self.coverage["unanswered"] += 1
            except errors.StorageFailedError:
                self.coverage["answered by a dying node"] += 1
            except errors.HeliosError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(0.5)

    async def _rest(self) -> None:
        """Wait until readers and view are at the head."""
        said = self.history.acknowledged
        head = max((entry.appended.position for entry in said), default=envelope.Position(0))
        await self.ask(node.Look(head))
        while any(  # noqa: ASYNC110 - many ways to get there
            cursor < head for cursor in self.history.cursors.values()
        ):
            await asyncio.sleep(0.5)

    async def _last_look(self) -> None:
        """End the node, in order or not, cut the power, and compare what comes back."""
        self.events = await self._read_all()
        await self._compare_view("before the end")
        self.node.restarts = False
        if self.rng("end").random() < 1 / 2:
            await self.node.stop()
        else:
            self.node.die("at the end", power_cut=False)
        self.node.disk.crash()
        self.node.restarts = True
        self.node.start()
        self.events = await self._read_all()
        invariants.check_log(self.history, self.events)
        await self._compare_view("after the end")
        self.node.restarts = False
        self.node.die("done", power_cut=False)

    async def _compare_view(self, when: str) -> None:
        _, rows = await self.ask(node.Look(envelope.Position(len(self.events))))
        invariants.view_equals_replay(rows, self.events, when)
        if self._orders:
            keys = tuple(order.key for order in self._orders)
            message = node.Judge(envelope.Position(len(self.events)), keys)
            shown = await self.ask(message, timeout_s=JUDGE_TIMEOUT_S)
            orders.check(self._orders, shown)
            superseded = sum(len(history) > 1 for history in shown.history.values())
            self.coverage["verdict superseded"] += superseded
        for name in self.size.verified:
            if name != "tally":
                await self._verify_at_rest(name)

    async def _read_all(self) -> list[envelope.Event]:
        events: list[envelope.Event] = []
        while True:
            after = events[-1].position if events else envelope.Position(0)
            page = await self.ask(node.Read(after, 1000))
            events += page.events
            if page.next_after == page.head:
                return events


class _Producer:
    """A client that appends: at least once, with the same ids until it is answered."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._number = number
        self._rng = world.rng(f"producer {number}")
        self._known: dict[envelope.AggregateKey, int] = {}
        self._made = 0

    async def run(self) -> None:
        world, rng = self._world, self._rng
        for _ in range(world.size.requests):
            said = await self._append(self._request())
            if rng.random() < 0.2:
                world.coverage["sent again after the answer"] += 1
                await self._append(said.request)
            if rng.random() < 0.4:
                await self._look(said)
            await asyncio.sleep(rng.expovariate(2.0))

    def _request(self) -> ports.AppendRequest:
        rng, size = self._rng, self._world.size
        events = [self._event() for _ in range(rng.randint(1, size.events_max))]
        expected: dict[envelope.AggregateKey, int] = {}
        if rng.random() < 0.4:
            aggregate = events[0].aggregate
            expected[aggregate] = self._known.get(aggregate, 0)
        idempotency = None
        if rng.random() < 0.4:
            key = f"key-{self._number}-{self._made}"
            digest = events[0].id.encode()
            idempotency = ports.Idempotency(scope="sim", key=key, request_hash=digest)
        request = ports.AppendRequest(events=events, expected=expected, idempotency=idempotency)
        self._world.history.send(request)
        return request

    def _event(self) -> envelope.NewEvent:
        self._made += 1
        name = f"{self._number}-{self._made}"
        return envelope.NewEvent(
            id=f"event-{name}",
            source=f"source-{self._number % 2}",
            type="Happened",
            occurred_at=simports.EPOCH,
            aggregate_type="thing",
            aggregate_id=str(self._rng.randrange(self._world.size.aggregates)),
            payload=b'{"name":"%s","pad":"%s"}' % (name.encode(), b"x" * self._rng.randrange(900)),
        )

    async def _append(self, request: ports.AppendRequest) -> invariants.Acknowledged:
        while True:
            try:
                appended: envelope.Appended = await self._world.ask(node.Append(request))
            except errors.ConflictError as error:
                request = self._decide_again(request, error)
                continue
            self._world.history.acknowledge(request, appended)
            for event, sequence in zip(request.events, appended.sequences, strict=True):
                self._known[event.aggregate] = sequence
            return invariants.Acknowledged(request=request, appended=appended)

    def _decide_again(
        self, request: ports.AppendRequest, error: errors.ConflictError
    ) -> ports.AppendRequest:
        assert error.actual is not None
        aggregate = next(iter(request.expected))
        return msgspec.structs.replace(request, expected={aggregate: error.actual})

    async def _look(self, said: invariants.Acknowledged) -> None:
        reached, rows = await self._world.ask(node.Look(said.appended.position))
        shown = {(row[0], row[1], row[2]): row[4] for row in rows}
        invariants.read_your_writes(said, shown, reached)


CRASHES_MAX = 10
"""Random crashes in one world: enough to meet recovery from recovery, few enough to get on."""


def run(
    seed: int,
    *,
    faults: swarm.Swarm | None = None,
    size: Size | None = None,
    build: node.Build | None = None,
    crash_at: frozenset[int] = frozenset(),
    keep_trace: bool = False,
) -> Result:
    """Run one world to its end.

    Args:
        seed: decides everything that is not given.
        faults: None draws them.
        size: None is small.
        build: what the node is made of; None is the product.
        crash_at: crash points at which the node dies, besides those the faults draw.
        keep_trace: return all steps, not the last 200.
    """
    loop = simloop.SimLoop(seed, keep_trace=keep_trace, time_max_s=100_000, steps_max=500_000)
    drawn = faults if faults is not None else swarm.Swarm.draw(loop.rng("swarm"))
    world = World(
        loop,
        faults=drawn,
        size=size or Size(),
        build=build or node.Build(),
        crash_at=crash_at,
    )
    violation: str | None = None
    try:
        simloop.run(loop, world.live())
    except (invariants.Violation, simloop.SimulationError) as error:
        violation = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - a result with its seed, whatever happened
        violation = f"no_unexpected_error: {type(error).__name__}: {error}"
    finally:
        world.node.disk.close()
    return Result(
        seed=seed,
        faults=drawn,
        violation=violation,
        trace=list(loop.trace),
        trace_hash=loop.trace_hash(),
        steps=loop.steps,
        virtual_s=loop.time(),
        points=world.points.seen,
        crashed=world.points.crashed,
        events=len(world.events),
        coverage=dict(_coverage(world)),
    )


def _coverage(world: World) -> invariants.Coverage:
    coverage = invariants.Coverage(world.coverage)
    counts = world.node.disk.counts
    coverage.update(
        {
            "write lost": counts.writes_lost,
            "write torn": counts.writes_torn,
            "disk full": counts.full,
            "process killed": counts.kills,
            "message dropped": world.transport.dropped,
            "message duplicated": world.transport.duplicated,
            "message lost on a dead node": world.transport.lost_on_dead,
        }
    )
    return coverage
