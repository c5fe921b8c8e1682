"""A process that dies at any await of a pass, and one that takes turns with others by shards.

What is reconciled is as small as it can be: orders (events) name a thing and a number; a pass reads
the newest number of its thing and appends that it was applied. Everything else is the real code:
log, wake-ups, resync, queue, workers, shards, fences.
"""

import asyncio
import collections
import random
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from helios.eventlog import envelope, log
from helios.kernel import errors, ids
from helios.reconcile.runtime import keys, lane, ports, resync, runtime, shards, waking
from helios.testing import memory_log, simloop, simports

P = keys.Priority
THINGS = [keys.Key(f"t{n % 5}", "things", f"n{n}") for n in range(40)]
INTERVAL_S = 600.0


class Body(msgspec.Struct):
    number: int
    node: str = ""


def event(clock: simports.SimClock, event_id: str, kind: str, key: keys.Key, body: Body) -> (
    envelope.NewEvent
):  # fmt: skip
    return envelope.NewEvent(
        id=event_id,
        source="test",
        type=kind,
        tenant=key.tenant,
        occurred_at=clock.now(),
        aggregate_type="order" if kind == "ordered" else "thing",
        aggregate_id=key.name,
        payload=msgspec.json.encode(body),
    )


def woken(events: Sequence[envelope.Event]) -> list[tuple[keys.Key, P]]:
    return [
        (keys.Key(each.tenant, "things", each.aggregate_id), P.EVENT)
        for each in events
        if each.type == "ordered"
    ]


async def listed() -> AsyncIterator[tuple[keys.Key, float]]:
    for key in THINGS:
        yield key, INTERVAL_S


class Leases:
    """Leases of a world; each process sees them through a session that may end."""

    def __init__(self) -> None:
        self.holders: dict[str, Lease] = {}

    def steal(self, session: "Session") -> None:
        """The server takes all leases of a session back, which hears of it later or never."""
        for name in [name for name, held in self.holders.items() if held.session is session]:
            del self.holders[name]


class Session:
    def __init__(self, leases: Leases, rng: random.Random, going: asyncio.Event) -> None:
        self.leases = leases
        self.rng = rng
        self.going = going
        self.held: list[Lease] = []

    async def acquire(self, name: str) -> "Lease | None":
        await asyncio.sleep(self.rng.uniform(0.0, 0.01))
        await self.going.wait()
        if name in self.leases.holders:
            return None
        lease = self.leases.holders[name] = Lease(self, name)
        self.held.append(lease)
        return lease

    def end(self) -> None:
        """The process hears that its session ended."""
        for lease in self.held:
            lease.ended.set()
        self.held.clear()


class Lease:
    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name
        self.ended = asyncio.Event()

    async def lost(self) -> None:
        await self.ended.wait()

    async def release(self) -> None:
        if self.session.leases.holders.get(self.name) is self:
            del self.session.leases.holders[self.name]


class Clock(simports.SimClock):
    """The clock of a process that may stand still."""

    def __init__(self, loop: simloop.SimLoop, going: asyncio.Event) -> None:
        super().__init__(loop)
        self.going = going

    async def sleep(self, seconds: float, /) -> None:
        await super().sleep(seconds)
        await self.going.wait()


class World:
    def __init__(self, loop: simloop.SimLoop) -> None:
        self.loop = loop
        self.clock = simports.SimClock(loop)
        self.storage = memory_log.MemoryLogStorage()
        self.log = log.Log(self.storage, self.clock)
        self.leases = Leases()
        self.ids = ids.Uuid7Ids(self.clock, loop.rng("ids"))
        self.points = 0
        self.ordered: collections.Counter[keys.Key] = collections.Counter()
        self.refused = 0

    async def order(self, key: keys.Key) -> None:
        self.ordered[key] += 1
        body = Body(self.ordered[key])
        await self.log.append([event(self.clock, self.ids.new(), "ordered", key, body)])

    async def applied(self) -> dict[keys.Key, int]:
        found = {}
        for each in await self.events("applied"):
            key = keys.Key(each.tenant, "things", each.aggregate_id)
            found[key] = msgspec.json.decode(each.payload, type=Body).number
        return found

    async def events(self, *types: str) -> list[envelope.Event]:
        found: list[envelope.Event] = []
        after = envelope.Position(0)
        where = envelope.Filter(types=types)
        while True:
            page = await self.log.read(after, limit=1000, where=where)
            found += page.events
            after = page.next_after
            if after >= page.head:
                return found

    async def settled(self, within_s: float) -> None:
        """Return when all that was ordered is applied."""
        deadline = self.clock.monotonic() + within_s
        while await self.applied() != dict(self.ordered):
            assert self.clock.monotonic() < deadline, "an order was lost"
            await asyncio.sleep(0.5)


class Node:
    """One life of one process."""

    def __init__(self, world: World, name: str, *, sharded: bool, crash_at: int = 0) -> None:
        self.world = world
        self.incarnation = simloop.Incarnation(name)
        self.crash_at = crash_at
        self.points = 0
        self.going = asyncio.Event()
        self.going.set()
        self.died = asyncio.Event()
        self.rng = world.loop.rng(f"node:{name}")
        self.clock = Clock(world.loop, self.going)
        self.log = log.Log(world.storage, self.clock)
        self.session = Session(world.leases, self.rng, self.going)
        self.running: set[keys.Key] = set()
        self.runtime = runtime.Runtime(clock=self.clock, random=self.rng.random)
        self.resync = resync.Resync(self.runtime.wake, listed, clock=self.clock)
        self.waking = waking.Waking(self.log, self.runtime.wake, clock=self.clock)
        self.waking.follow(woken, missed=self.resync.all_soon)
        self.shards: shards.Shards | None = None
        if sharded:
            self.shards = shards.Shards(
                "things", self.session, self.log, owner=name, clock=self.clock,
                id_source=ids.Uuid7Ids(self.clock, self.rng), random=self.rng.random,
            )  # fmt: skip
        owner = self.shards or ports.Everything()
        self.runtime.register("things", self, options=lane.Options(workers=4, owner=owner))
        self.parts: dict[str, asyncio.Future[None]] = {}
        self.life = world.loop.spawn(self._live(), self.incarnation, name)

    async def _live(self) -> None:
        await self.log.open()
        parts = {
            "runtime": self.runtime.run(),
            "waking": self.waking.run(),
            "resync": self.resync.run(),
        }
        if self.shards is not None:
            parts["shards"] = self.shards.run(self.runtime, self.resync.all_soon)
        self.parts = {name: asyncio.ensure_future(part) for name, part in parts.items()}
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            for part in self.parts.values():
                part.cancel()
            await asyncio.gather(*self.parts.values(), return_exceptions=True)
            await self.log.close()

    async def point(self) -> None:
        """An await of a pass: takes time; here the process may die, or stand still."""
        self.points += 1
        if self.points == self.crash_at:
            self.kill()
        await asyncio.sleep(self.rng.uniform(0.0, 0.05))
        await self.going.wait()

    def kill(self) -> None:
        self.incarnation.alive = False
        self.world.leases.steal(self.session)
        self.died.set()

    async def stop(self) -> None:
        self.life.cancel()
        await asyncio.gather(self.life, return_exceptions=True)

    async def reconcile(self, key: keys.Key, why: ports.Reason) -> ports.Result:
        assert key not in self.running, "two passes over one key at the same time"
        self.running.add(key)
        try:
            await self._apply(key, why)
        finally:
            self.running.discard(key)
        return ports.NOTHING

    async def _apply(self, key: keys.Key, why: ports.Reason) -> None:
        world = self.world
        await self.point()
        where = envelope.Filter(tenant=key.tenant, aggregate_id=key.name)
        page = await self.log.read(envelope.Position(0), limit=1000, where=where)
        await self.point()
        newest = {each.type: each for each in page.events}
        wanted = newest.get("ordered")
        applied = newest.get("applied")
        if wanted is None:
            return
        number = msgspec.json.decode(wanted.payload, type=Body).number
        if applied and msgspec.json.decode(applied.payload, type=Body).number == number:
            return
        await self.point()
        body = Body(number, self.incarnation.name)
        made = event(world.clock, world.ids.new(), "applied", key, body)
        try:
            await self.log.append([made], expected=why.fence.expected())
        except errors.ConflictError:
            world.refused += 1
            raise
        await self.point()


def world(seed: int) -> World:
    return World(simloop.SimLoop(seed, time_max_s=1e6))


@pytest.mark.parametrize("crash_at", range(1, 33))
def test_a_process_that_dies_at_any_await_leaves_no_order_unseen(crash_at: int) -> None:
    here = world(crash_at)

    async def main() -> None:
        await here.log.open()
        first = Node(here, "first", sharded=False, crash_at=crash_at)
        rng = here.loop.rng("orders")
        for _ in range(12):
            await here.order(rng.choice(THINGS[:6]))
            await asyncio.sleep(rng.uniform(0.0, 0.1))
        await first.died.wait()
        await here.order(THINGS[7])  # nobody is there to hear of it
        second = Node(here, "second", sharded=False)
        await here.settled(within_s=10.0)
        await second.stop()
        await here.log.close()

    simloop.run(here.loop, main())


def test_a_wake_up_that_nobody_sent_is_made_good_by_the_resync() -> None:
    here = world(1)

    async def main() -> None:
        await here.log.open()
        node = Node(here, "only", sharded=False)
        await asyncio.sleep(5)
        node.parts["waking"].cancel()
        await asyncio.sleep(1)
        for key in THINGS:
            await here.order(key)
        await here.settled(within_s=1.2 * INTERVAL_S)
        await node.stop()
        await here.log.close()

    simloop.run(here.loop, main())


def check_fences(taken: list[envelope.Event], applied: list[envelope.Event]) -> None:
    """Whoever wrote for a key was, at that place of the log, the last to take its shard."""
    owners: dict[int, tuple[int, str]] = {}
    changes = sorted([*taken, *applied], key=lambda each: each.position)
    for each in changes:
        if each.type == shards.TAKEN:
            body = each.data()
            assert body["epoch"] == each.sequence == owners.get(body["shard"], (0, ""))[0] + 1
            owners[body["shard"]] = (body["epoch"], body["owner"])
        else:
            key = keys.Key(each.tenant, "things", each.aggregate_id)
            node = msgspec.json.decode(each.payload, type=Body).node
            assert owners[keys.shard(key)][1] == node, "somebody wrote after he was replaced"


@pytest.mark.parametrize("seed", range(12))
def test_of_processes_that_die_and_stand_still_only_the_last_owner_writes(seed: int) -> None:
    here = world(seed)

    async def main() -> None:
        await here.log.open()
        rng = here.loop.rng("orders")
        nodes = [Node(here, f"node{n}", sharded=True) for n in range(3)]
        for round_number in range(40):
            await here.order(rng.choice(THINGS))
            await asyncio.sleep(rng.uniform(0.0, 3.0))
            if round_number % 8 != 7:
                continue
            victim = rng.choice([node for node in nodes if node.incarnation.alive])
            if rng.random() < 0.4:
                victim.kill()
                nodes.append(Node(here, f"node{len(nodes)}", sharded=True))
            else:
                # In the middle of passes it stands still; others take over; it wakes up, goes on
                # where it was, and hears only then that it has nothing any more.
                for key in THINGS:
                    await here.order(key)
                await asyncio.sleep(rng.uniform(0.02, 0.2))
                victim.going.clear()
                await asyncio.sleep(0.2)
                here.leases.steal(victim.session)
                await asyncio.sleep(rng.uniform(5.0, 20.0))
                victim.going.set()
                await asyncio.sleep(rng.uniform(0.0, 1.0))
                victim.session.end()
        await here.settled(within_s=60.0)
        alive = [node for node in nodes if node.incarnation.alive]
        await asyncio.sleep(300)
        assert check_shares([node.shards for node in alive if node.shards]) == keys.SHARDS
        for node in alive:
            await node.stop()
        check_fences(await here.events(shards.TAKEN), await here.events("applied"))
        assert not here.leases.holders
        await here.log.close()

    simloop.run(here.loop, main())


def check_shares(found: list[shards.Shards]) -> int:
    """Every shard has one owner, and nobody has more than his share; how many shards there are."""
    share = -(-keys.SHARDS // len(found))
    everyone = [shard for each in found for shard in each.mine]
    assert len(everyone) == len(set(everyone))
    assert all(len(each.mine) <= share for each in found), [len(each.mine) for each in found]
    return len(everyone)


def test_a_paused_owner_is_refused_by_the_log() -> None:
    refused = 0
    for seed in range(6):
        here = world(seed)

        async def main(here: World = here) -> None:
            await here.log.open()
            first = Node(here, "first", sharded=True)
            await asyncio.sleep(10)
            for key in THINGS:
                await here.order(key)
            await asyncio.sleep(here.loop.rng("pause").uniform(0.05, 0.3))
            first.going.clear()
            await asyncio.sleep(0.2)
            here.leases.steal(first.session)
            second = Node(here, "second", sharded=True)
            await asyncio.sleep(20)
            first.going.set()
            await asyncio.sleep(2)
            await here.settled(within_s=20.0)
            check_fences(await here.events(shards.TAKEN), await here.events("applied"))
            await first.stop()
            await second.stop()
            await here.log.close()

        simloop.run(here.loop, main())
        refused += here.refused
    assert refused > 0, "nobody woke up in the middle of a pass: this showed nothing"


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16])
def test_shards_are_shared_fairly_and_moved_one_at_a_time(count: int) -> None:
    here = world(count)

    async def main() -> None:
        await here.log.open()
        nodes = [Node(here, "node0", sharded=True)]
        await asyncio.sleep(10)
        assert nodes[0].shards is not None
        assert len(nodes[0].shards.mine) == keys.SHARDS
        nodes += [Node(here, f"node{number}", sharded=True) for number in range(1, count)]
        before = nodes[0].shards.mine
        for _ in range(400):
            await asyncio.sleep(1)
            now = nodes[0].shards.mine
            assert len(before - now) <= 1
            before = now
        assert check_shares([node.shards for node in nodes if node.shards]) == keys.SHARDS
        await nodes.pop().stop()
        if nodes:
            await asyncio.sleep(60)
            assert check_shares([node.shards for node in nodes if node.shards]) == keys.SHARDS
        for node in nodes:
            await node.stop()
        assert not here.leases.holders
        await here.log.close()

    simloop.run(here.loop, main())
