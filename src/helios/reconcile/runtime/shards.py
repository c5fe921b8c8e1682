"""Which process looks at which keys, and why none that lost its turn can still write.

The keys of a family are in 64 virtual shards. Over one database each shard has a lease, and who
holds it looks at the shard's keys. A lease alone is a promise that a process can break without
knowing: paused for a minute (a snapshot, a swapped-out machine), it wakes up in the middle of a
pass while another has long taken over. So who takes a shard appends an event to the shard's own
aggregate, and every append of a pass expects that event to be the last one there (`expected`). The
log checks this in the transaction of the append: the old owner is refused by the log itself.

Every process also holds one of some member leases, so that the others can count it: each takes
what is free up to its share, and gives away what is over, one shard at a time, passes ended. One
without shards stands by, with views up to date.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import structlog

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.reconcile.runtime import backoff, keys, ports, resync

TENANT = "helios"
AGGREGATE = "helios.lease"
TAKEN = "LeaseTaken"

MEMBERS_MAX = 16
"""Processes that share the keys of a family. Above: the others stand by."""

ROUND_S = 2.0
"""Between two looks at who is there and what is free, a quarter more or less."""

STEADY_ROUNDS = 2
"""So many looks in a row must say that a shard is over before it is given away: two processes
that count at the same moment see each other's fingers on the leases of those who are not there."""

GIVE_S = 10.0
"""How long passes over a shard that is given away may take to end. At the end: cancelled."""

STOP_S = 2.0
"""Likewise, when the process ends."""

_TRIES = 5
_log = structlog.get_logger("helios.reconcile")


class Lease(Protocol):
    """The right to something, as long as it lasts; see `ingest.runners.Lease`."""

    async def lost(self) -> None: ...

    async def release(self) -> None: ...


class Leases(Protocol):
    """Gives each right to one process at a time; see `ingest.runners.Leases`."""

    async def acquire(self, name: str) -> Lease | None: ...


class Revokes(Protocol):
    """See `runtime.Runtime.revoke`."""

    async def revoke(
        self, family: str, test: Callable[[keys.Key], bool], *, within_s: float = 0.0
    ) -> None: ...


class ShardFence(msgspec.Struct, frozen=True, kw_only=True):
    """That a shard was taken; see `ports.Fence`.

    Attributes:
        epoch: how often it was taken, by anyone; the sequence of our taking it.
    """

    family: str
    shard: int
    epoch: int

    def expected(self) -> Mapping[envelope.AggregateKey, int]:
        return {aggregate(self.family, self.shard): self.epoch}

    def refused(self, error: errors.ConflictError) -> bool:
        return error.aggregate == "/".join(aggregate(self.family, self.shard))


def aggregate(family: str, shard: int) -> envelope.AggregateKey:
    """Whose events say who took a shard."""
    return (TENANT, AGGREGATE, f"{family}/{shard}")


async def fence(
    log: log_ports.EventLog,
    family: str,
    shard: int,
    *,
    owner: str,
    event_id: str,
    now: clocks.Timestamp,
    holds: Callable[[], bool] = lambda: True,
) -> ShardFence | None:
    """Take a shard: from the append on, everyone who took it before is refused.

    Args:
        log: where it is said.
        family: of the keys.
        shard: which.
        owner: who takes it.
        event_id: of the event that says it.
        now: when.
        holds: whether the lease is still ours; asked again before each try.

    Returns:
        None: the lease was lost meanwhile, or others were always faster.
    """
    about, epoch = aggregate(family, shard), 1
    for _ in range(_TRIES):
        if not holds():
            return None
        said = {"family": family, "shard": shard, "owner": owner, "epoch": epoch}
        event = envelope.NewEvent(
            id=event_id,
            source="helios",
            type=TAKEN,
            tenant=TENANT,
            occurred_at=now,
            aggregate_type=AGGREGATE,
            aggregate_id=about[2],
            actor="service:helios",
            payload=msgspec.json.encode(said),
        )
        try:
            appended = await log.append([event], expected={about: epoch - 1})
        except errors.ConflictError as error:
            if error.actual is None:
                raise
            epoch = error.actual + 1
        else:
            return ShardFence(family=family, shard=shard, epoch=appended.sequences[0])
    return None


class _Held(msgspec.Struct, kw_only=True):
    """A shard of this process."""

    lease: Lease
    lost: "asyncio.Future[None]"
    fence: ShardFence | None = None


class Shards:
    """Takes shards of one family, and says which keys are in them; see `ports.Owner`.

    Args:
        family: of the keys.
        leases: give a shard to one process at a time.
        log: where it is said who took one.
        owner: this process, in words for people: host and process id.
        clock: whose time passes.
        id_source: of event ids.
        random: for the jitter between looks.
    """

    def __init__(
        self,
        family: str,
        leases: Leases,
        log: log_ports.EventLog,
        *,
        owner: str,
        clock: clocks.Clock,
        id_source: ids.Ids,
        random: backoff.Random,
    ) -> None:
        self._family = family
        self._leases = leases
        self._log = log
        self._owner = owner
        self._clock = clock
        self._ids = id_source
        self._random = random
        self._fences: dict[int, ShardFence] = {}
        self._held: dict[int, _Held] = {}
        self._member: tuple[int, _Held] | None = None
        self._over = 0
        self._dropping: dict[asyncio.Task[None], None] = {}
        # In an order of its own, so that two that begin together do not want the same ones.
        self._order = sorted(
            range(keys.SHARDS), key=lambda shard: keys.digest(owner, family, str(shard))
        )
        self._runtime: Revokes
        self._taken: Callable[[resync.Test], None]

    @property
    def mine(self) -> frozenset[int]:
        """The shards whose keys this process looks at."""
        return frozenset(self._fences)

    def fence(self, key: keys.Key) -> ShardFence | None:
        """See `ports.Owner`."""
        return self._fences.get(keys.shard(key))

    def refused(self, key: keys.Key, fence: ports.Fence) -> None:
        """See `ports.Owner`."""
        shard = keys.shard(key)
        if self._fences.get(shard) is fence:
            self._drop_soon(shard)

    async def run(self, runtime: Revokes, taken: Callable[[resync.Test], None]) -> None:
        """Hold a fair share of the shards until cancelled.

        Args:
            runtime: whose passes end when a shard is lost.
            taken: hears of keys that are ours from now on, of which wake-ups may have been missed
                (`Resync.all_soon`).

        Raises:
            StorageFailedError: the process must stop.
        """
        self._runtime, self._taken = runtime, taken
        try:
            while True:
                try:
                    await self._look()
                except errors.StorageFailedError:
                    raise
                except errors.HeliosError as error:
                    _log.warning("shards_wait", family=self._family, error=error)
                await self._clock.sleep(ROUND_S * (0.75 + self._random() / 2))
        finally:
            await self._end()

    # -- a look ---------------------------------------------------------------------------------

    async def _look(self) -> None:
        members = await self._members()
        share = math.ceil(keys.SHARDS / members) if self._member is not None else 0
        self._over = self._over + 1 if len(self._held) > share else 0
        if self._over >= STEADY_ROUNDS:
            self._over = 0
            await self._give(next(reversed(self._held)))
        for shard in self._order:
            if len(self._held) >= share:
                return
            if shard not in self._held:
                await self._take(shard)

    async def _members(self) -> int:
        """How many processes there are, this one included."""
        if self._member is not None and self._member[1].lost.done():
            self._member = None
        count = 0
        for slot in range(MEMBERS_MAX):
            if self._member is not None and self._member[0] == slot:
                continue
            lease = await self._leases.acquire(f"reconcile/{self._family}/member/{slot}")
            if lease is None:
                count += 1
            elif self._member is None:
                self._member = (slot, _held(lease))
            else:
                await lease.release()
        return count + 1

    async def _take(self, shard: int) -> None:
        lease = await self._leases.acquire(f"reconcile/{self._family}/{shard}")
        if lease is None:
            return
        held = _held(lease)
        try:
            found = await fence(
                self._log,
                self._family,
                shard,
                owner=self._owner,
                event_id=self._ids.new(),
                now=self._clock.now(),
                holds=lambda: not held.lost.done(),
            )
        except BaseException:
            await _let_go(held)
            raise
        if found is None or held.lost.done():
            await _let_go(held)
            return
        held.fence = found
        self._held[shard] = held
        self._fences[shard] = found
        held.lost.add_done_callback(lambda _: self._lost(shard, held))
        self._taken(_in(shard))

    # -- how shards go --------------------------------------------------------------------------

    async def _give(self, shard: int) -> None:
        """Give a shard away: its passes end first."""
        held = self._held[shard]
        self._fences.pop(shard, None)
        await self._runtime.revoke(self._family, _in(shard), within_s=GIVE_S)
        if self._held.get(shard) is held:
            del self._held[shard]
        await _let_go(held)

    def _lost(self, shard: int, held: _Held) -> None:
        if self._held.get(shard) is held and not held.lost.cancelled():
            _log.warning("shard_lost", family=self._family, shard=shard)
            self._drop_soon(shard)

    def _drop_soon(self, shard: int) -> None:
        """Let go of what another process has, or may have: its passes are cancelled."""
        self._fences.pop(shard, None)
        held = self._held.pop(shard, None)
        if held is not None:
            task = asyncio.ensure_future(self._drop(shard, held))
            self._dropping[task] = None
            task.add_done_callback(lambda done: self._dropping.pop(done, None))

    async def _drop(self, shard: int, held: _Held) -> None:
        await self._runtime.revoke(self._family, _in(shard))
        await _let_go(held)

    async def _end(self) -> None:
        """Leave everything to others, as soon as passes have ended."""
        self._fences.clear()
        held, self._held = [*self._held.values()], {}
        try:
            await self._runtime.revoke(self._family, lambda _: True, within_s=STOP_S)
        finally:
            if self._member is not None:
                held.append(self._member[1])
                self._member = None
            for each in held:
                await _let_go(each)
            await asyncio.gather(*self._dropping, return_exceptions=True)


def _held(lease: Lease) -> _Held:
    return _Held(lease=lease, lost=asyncio.ensure_future(lease.lost()))


async def _let_go(held: _Held) -> None:
    held.lost.cancel()
    await held.lease.release()


def _in(shard: int) -> resync.Test:
    return lambda key: keys.shard(key) == shard
