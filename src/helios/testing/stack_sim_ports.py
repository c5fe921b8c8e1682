"""The ports of a simulated process that keeps stacks: each call may be slow, fail, or be its last.

Storage of the log, store of the views and the outside outlive processes; what is here belongs to
one life of one process. Crashes strike before a call, or after it: done, and never answered.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import msgspec

from helios.eventlog import envelope, log
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import ports as view_ports
from helios.reconcile.compositions import composition, model, ports
from helios.testing import simloop, simports, stack_reality, stack_sim_noise, stack_sim_outside

T = TypeVar("T")

HANG_S = 100_000.0
STALE_S = 120.0
"""Age of what a cache may still give to those who do not ask for a fresh look."""


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong in a world; 0 or False is off.

    Attributes:
        slow: port calls take their time, one in five up to five seconds.
        crash: chance to die at each port call.
        processes: how many share the stacks, by leases.
        pause: chance for a process to stand still, each half minute.
        steal: chance that the leases of a process are taken back, each half minute.
        unknown: share of looks at a component that see nothing.
        stale: share of looks that are not asked to be fresh and come out of a cache.
        refuse: share of writes that are refused.
        late: share of writes whose answer gets lost after the effect.
        hang: share of writes that never answer after the effect.
        broken: share of writes in which our own code breaks.
        deaf: share of writes that are answered as done and change nothing.
        limited: share of writes that are to come later (429).
        full: share of appends that the log refuses.
        lost, doubled: shares of wake-ups.
        skew_s: by how much clocks of processes are off.
        settles_s: how long writes take until they show.
    """

    slow: bool = False
    crash: float = 0.0
    processes: int = 1
    pause: float = 0.0
    steal: float = 0.0
    unknown: float = 0.0
    stale: float = 0.0
    refuse: float = 0.0
    late: float = 0.0
    hang: float = 0.0
    broken: float = 0.0
    deaf: float = 0.0
    limited: float = 0.0
    full: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    skew_s: float = 0.0
    settles_s: float = 0.0

    @classmethod
    def draw(cls, rng: random.Random) -> "Faults":
        """The faults of a seed: each is on or off, and its rate is drawn."""

        def rate(low: float, high: float) -> float:
            return rng.uniform(low, high) if rng.random() < 1 / 2 else 0.0

        processes = rng.choice((1, 1, 2))
        return cls(
            slow=rng.random() < 0.6,
            crash=rng.choice((0.0, 0.002, 0.005, 0.015)),
            processes=processes,
            pause=rate(0.05, 0.4) if processes > 1 else 0.0,
            steal=rate(0.1, 0.4) if processes > 1 else 0.0,
            unknown=rate(0.01, 0.2),
            stale=rate(0.05, 0.5),
            refuse=rate(0.05, 0.4),
            late=rate(0.05, 0.4),
            hang=rate(0.05, 0.2),
            broken=rate(0.05, 0.2),
            deaf=rate(0.05, 0.3),
            limited=rate(0.05, 0.3),
            full=rate(0.01, 0.1),
            lost=rate(0.05, 0.5),
            doubled=rate(0.05, 0.5),
            skew_s=rate(0.1, 2.0),
            settles_s=rate(0.5, 5.0),
        )

    def calm(self) -> "Faults":
        """The same world once nothing goes wrong any more."""
        return Faults(processes=self.processes, skew_s=self.skew_s, settles_s=self.settles_s)


class Point(Protocol):
    """A place in a process where time passes, and where it may end."""

    def __call__(self, name: str, /) -> Awaitable[None]: ...


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What the ports of a process have in common."""

    point: Point
    faults: Callable[[], Faults]
    rng: random.Random
    clock: clocks.Clock
    count: Callable[[str], None]

    def strikes(self, rate: float, what: str) -> bool:
        """Whether a fault of this rate happens now."""
        if rate <= 0 or self.rng.random() >= rate:
            return False
        self.count(what)
        return True


class Eyes:
    """A `ports.Observer` over the outside."""

    def __init__(
        self,
        context: Context,
        outside: stack_sim_outside.Outside,
        noise: Callable[[], stack_sim_noise.Noise | None],
    ) -> None:
        self._context = context
        self._outside = outside
        self._noise = noise
        self._cache: dict[stack_sim_outside.Place, model.Seen] = {}

    async def observe(self, look: ports.Look) -> model.Observation:
        """See `ports.Observer`."""
        await self._context.point("observe")
        found = {
            each.address: self._seen(look, each)
            for each in look.stack.components()
            if look.only is None or each.address in look.only
        }
        await self._context.point("observed")
        return found

    def _seen(self, look: ports.Look, each: composition.Component) -> model.Seen:
        context, faults = self._context, self._context.faults()
        place = (look.stack.client_id, look.stack.stack_id, each.address)
        now = context.clock.now()
        cached = self._cache.get(place)
        is_kept = cached is not None and now - cached.as_of < STALE_S * clocks.SECOND_US
        if is_kept and not look.fresh and context.strikes(faults.stale, "look out of a cache"):
            assert cached is not None
            return cached
        if context.strikes(faults.unknown, "look that sees nothing"):
            return model.Seen(state="unknown", as_of=now, detail="connection refused")
        value, _ = self._outside.seen(place)
        witness = model.Evidence(kind="direct_read", witness=f"probe:{each.address}", at=now)
        seen = model.Seen(
            state="absent" if value is None else "present",
            as_of=now,
            value=value,
            evidence=(witness,),
        )
        noise = self._noise()
        if noise is not None:
            seen = noise.blurred(place, seen)
        self._cache[place] = seen
        return seen


class Hands:
    """A `ports.Executor` over the outside."""

    def __init__(self, context: Context, outside: stack_sim_outside.Outside) -> None:
        self._context = context
        self._outside = outside

    def kinds(self) -> Collection[model.ActionKind]:
        """See `ports.Executor`."""
        return stack_reality.KINDS

    async def act(self, job: ports.Job) -> ports.Acted:
        """See `ports.Executor`."""
        context, faults = self._context, self._context.faults()
        await context.point("act")
        if context.strikes(faults.refuse, "write refused"):
            raise ports.HealError("refused", "it does not want to")
        if context.strikes(faults.limited, "write to come later"):
            raise ports.HealError("unreachable", "too many requests", retry_after_s=30.0)
        if context.strikes(faults.deaf, "write without an effect"):
            return ports.Acted(detail="accepted")
        acted = self._outside.act(job)
        await context.point("acted")
        if context.strikes(faults.late, "answer to a write lost"):
            raise ports.HealError("timeout", "no answer in time", happened=True)
        if context.strikes(faults.hang, "write that never answers"):
            await context.clock.sleep(HANG_S)
        if context.strikes(faults.broken, "our own code broke"):
            raise RuntimeError("planted")
        return acted


class LogStorage:
    """A `LogStorage` of a process over the one of the world."""

    def __init__(self, context: Context, inner: log_ports.LogStorage) -> None:
        self._context = context
        self._inner = inner

    @property
    def log_id(self) -> str:
        return self._inner.log_id

    async def open(self) -> None:
        """Others have it open."""

    async def close(self) -> None:
        """Others have it open."""

    async def commit(
        self, requests: Sequence[log_ports.AppendRequest], recorded_at: clocks.Timestamp
    ) -> list[envelope.Appended | Exception]:
        await self._context.point("log.commit")
        done = await self._inner.commit(requests, recorded_at)
        await self._context.point("log.committed")
        return done

    async def read(
        self, after: envelope.Position, limit: int, where: envelope.Filter
    ) -> envelope.Page:
        return await self._inner.read(after, limit, where)

    async def read_at(self, positions: Sequence[envelope.Position]) -> list[envelope.Event]:
        return await self._inner.read_at(positions)

    async def find(self, tenant: str, source: str, event_id: str) -> envelope.Event | None:
        return await self._inner.find(tenant, source, event_id)

    async def head(self) -> envelope.Position:
        return await self._inner.head()

    async def batches(self, after: envelope.Position, limit: int) -> list[log_ports.Batch]:
        return await self._inner.batches(after, limit)

    async def wait_commit(self, timeout_s: float) -> None:
        await self._inner.wait_commit(timeout_s)


class Log(log.Log):
    """The log of a process, which is full now and then."""

    def __init__(
        self, context: Context, storage: log_ports.LogStorage, clock: clocks.Clock
    ) -> None:
        super().__init__(storage, clock)
        self._context = context

    async def append(
        self,
        events: Sequence[envelope.NewEvent],
        *,
        expected: Mapping[envelope.AggregateKey, int] | None = None,
        idempotency: log_ports.Idempotency | None = None,
    ) -> envelope.Appended:
        if self._context.strikes(self._context.faults().full, "append refused"):
            raise errors.OverloadError("too much is waiting", retry_after_s=1.0)
        return await super().append(events, expected=expected, idempotency=idempotency)


class Store:
    """A `ViewStore` of a process over the one of the world."""

    def __init__(self, context: Context, inner: view_ports.ViewStore) -> None:
        self._context = context
        self._inner = inner

    async def open(self) -> None:
        """Others have it open."""

    async def close(self) -> None:
        """Others have it open."""

    def declare(self, views: Sequence[view_ports.View]) -> None:
        self._inner.declare(views)

    async def slots(self, view: str) -> list[view_ports.Slot]:
        await self._context.point("views.read")
        return await self._inner.slots(view)

    async def create(
        self, view: view_ports.View, *, live: bool, with_indexes: bool = True
    ) -> view_ports.Slot:
        return await self._call(self._inner.create(view, live=live, with_indexes=with_indexes))

    async def claim(self, slot: view_ports.Slot) -> view_ports.Slot:
        return await self._call(self._inner.claim(slot))

    async def commit(
        self,
        slot: view_ports.Slot,
        writes: Sequence[view_ports.Write],
        checkpoint: view_ports.Checkpoint,
    ) -> view_ports.Slot:
        return await self._call(self._inner.commit(slot, writes, checkpoint))

    async def finish(self, view: view_ports.View, slot: view_ports.Slot) -> None:
        await self._call(self._inner.finish(view, slot))

    async def swap(self, slot: view_ports.Slot) -> None:
        await self._call(self._inner.swap(slot))

    async def drop(self, slot: view_ports.Slot) -> None:
        await self._call(self._inner.drop(slot))

    async def query(self, view: str, sql: str, params: view_ports.Row = ()) -> list[view_ports.Row]:
        await self._context.point("views.read")
        return await self._inner.query(view, sql, params)

    async def query_slot(
        self, slot: view_ports.Slot, sql: str, params: view_ports.Row = ()
    ) -> list[view_ports.Row]:
        await self._context.point("views.read")
        return await self._inner.query_slot(slot, sql, params)

    def reading(self, view: str) -> AbstractAsyncContextManager[view_ports.Snapshot]:
        return self._inner.reading(view)

    async def _call(self, work: Awaitable[T]) -> T:
        try:
            await self._context.point("views.commit")
        except BaseException:
            _never(work)
            raise
        done = await work
        await self._context.point("views.committed")
        return done


def _never(work: Awaitable[Any]) -> None:
    close = getattr(work, "close", None)
    if close is not None:
        close()


class Clock(simports.SimClock):
    """The clock of a process that may stand still."""

    def __init__(self, loop: simloop.SimLoop, going: asyncio.Event, *, skew_us: int) -> None:
        super().__init__(loop, skew_us=skew_us)
        self._going = going

    async def sleep(self, seconds: float, /) -> None:
        await super().sleep(seconds)
        await self._going.wait()


class Inline:
    """A `kernel.offload.Offload` that calls at once."""

    async def run(self, name: str, call: Callable[[], T], /) -> T:
        del name
        return call()

    def close(self) -> None:
        """Nothing to close."""


class Leases:
    """Leases of a world; each process sees them through a session that may end."""

    def __init__(self) -> None:
        self.holders: dict[str, Lease] = {}

    def steal(self, session: "Session") -> None:
        """The server takes all leases of a session back, which hears of it later or never."""
        for name in [name for name, held in self.holders.items() if held.session is session]:
            del self.holders[name]


class Session:
    """What one life of a process holds."""

    def __init__(self, leases: Leases, context: Context) -> None:
        self._leases = leases
        self._context = context
        self._held: list[Lease] = []

    async def acquire(self, name: str) -> "Lease | None":
        """See `shards.Leases`."""
        if name in self._leases.holders:
            return None
        await self._context.clock.sleep(self._context.rng.uniform(0.0, 0.01))
        if name in self._leases.holders:
            return None
        lease = self._leases.holders[name] = Lease(self._leases, self, name)
        self._held.append(lease)
        return lease

    def end(self) -> None:
        """The process hears that its session ended."""
        for lease in self._held:
            lease.ended.set()
        self._held.clear()


class Lease:
    """See `shards.Lease`."""

    def __init__(self, leases: Leases, session: Session, name: str) -> None:
        self.session = session
        self.ended = asyncio.Event()
        self._leases = leases
        self._name = name

    async def lost(self) -> None:
        await self.ended.wait()

    async def release(self) -> None:
        if self._leases.holders.get(self._name) is self:
            del self._leases.holders[self._name]
