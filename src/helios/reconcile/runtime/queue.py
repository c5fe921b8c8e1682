"""The queue of keys to look at: each at most once, the most urgent first, no tenant before all.

It is the whole concurrency model of reconcilers. A key in it is

    ready      waits for a worker
    waiting    until its time comes
    running    a pass is made over it
    dirty      running, and woken meanwhile: it is ready again when the pass ends
    stalled    a pass said that trying again will not help; only what comes from outside wakes it

and what is not in it is idle. For every add there is a pass that *starts* after it (but see
stalled); a key never has two passes at the same time. So no change is lost and no lock is needed.

Adds never block and are O(log n) at worst. The order of what is ready: by band of priority; in
a band the tenants in turn, as far as each has fewer passes under way than it may have; of a tenant
the longest waiting. A turn costs a unit, and a long pass more (deficit round robin, paid
afterwards): a tenant in debt lets turns go by. What waits for long moves up a band at a time,
which is what ageing by steps comes to.

A data structure only: the time is an argument, nothing waits here. Times are monotonic seconds.
"""

import heapq
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from helios.reconcile.runtime import keys

TENANT_MAX = 4
"""Passes of one tenant at the same time. Above: its keys wait, others' go on."""

AGE_STEP_S = 30.0
"""Waiting so long is worth one step of priority, up to `Priority.EVENT`."""

DEBT_MAX = 8.0
"""Turns a tenant lets go by at most for its long passes."""

_BANDS = tuple(sorted(keys.Priority))
_BAND_OF = {int(priority): band for band, priority in enumerate(_BANDS)}
_TOP = _BAND_OF[int(keys.Priority.EVENT)]
"""Nothing ages beyond this band."""

_STAYS_S = [(_BANDS[b + 1] - _BANDS[b]) * AGE_STEP_S for b in range(_TOP)]
_OUTSIDE = keys.Priority.DEPENDENCY
"""From here on a wake-up comes from outside, and wakes what is stalled."""

_NEVER = math.inf
_ALWAYS = -math.inf
_SLACK = 1024


class Taken(NamedTuple):
    """A key whose pass begins now.

    Attributes:
        wakes: adds it answers.
        waited_s: how long it has been ready.
    """

    key: keys.Key
    priority: keys.Priority
    wakes: int
    waited_s: float


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How a queue stands.

    Attributes:
        ready, waiting, running, stalled: keys in each state.
        oldest_s: how long the longest waiting ready key has been ready.
        adds: since the start.
        folded: of these, how many joined one that was there already.
        ignored: of these, how many were not enough to wake a stalled key.
    """

    ready: int
    waiting: int
    running: int
    stalled: int
    oldest_s: float
    adds: int
    folded: int
    ignored: int


class _Tenant:
    """Ready keys of one tenant, by band; how many of it run, or are not idle; what it owes."""

    __slots__ = ("debt", "entries", "name", "ready", "running")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: list[OrderedDict[keys.Key, _Entry] | None] = [None] * len(_BANDS)
        self.running = 0
        self.entries = 0
        self.debt = 0.0


class _Entry:
    """A key that is not idle.

    `priority` is of what is ready, or of what came while it runs (dirty). `due` is a look at
    a later time, which may be set beside a ready one of lower priority. Before `floor` only an
    operator's command makes it ready.
    """

    __slots__ = (
        "band", "due", "due_priority", "floor", "key", "priority", "ran", "running", "since",
        "stalled", "tenant", "turn", "wakes",
    )  # fmt: skip

    def __init__(self, key: keys.Key, tenant: _Tenant) -> None:
        self.key = key
        self.tenant = tenant
        self.band = -1
        self.priority: keys.Priority | None = None
        self.since = 0.0
        self.due = _NEVER
        self.due_priority: keys.Priority | None = None
        self.turn = 0
        self.floor = _ALWAYS
        self.running = False
        self.ran = keys.Priority.RESYNC
        self.stalled = False
        self.wakes = 0


class Queue:
    """See the module's docstring.

    Args:
        tenant_max: passes of one tenant at the same time.
    """

    def __init__(self, *, tenant_max: int = TENANT_MAX) -> None:
        assert tenant_max > 0, tenant_max
        self._tenant_max = tenant_max
        self._entries: dict[keys.Key, _Entry] = {}
        self._tenants: dict[str, _Tenant] = {}
        self._rings: list[OrderedDict[str, _Tenant]] = [OrderedDict() for _ in _BANDS]
        self._ages: list[OrderedDict[keys.Key, tuple[float, _Entry]]] = [
            OrderedDict() for _ in range(_TOP)
        ]
        self._due: list[tuple[float, int, _Entry]] = []
        self._turns = itertools.count(1)
        self._ready = self._waiting = self._running = self._stalled = 0
        self._adds = self._folded = self._ignored = 0

    def __len__(self) -> int:
        return len(self._entries)

    # -- what comes in --------------------------------------------------------------------------

    def add(
        self, key: keys.Key, priority: keys.Priority, now: float, *, after_s: float = 0.0
    ) -> None:
        """Have a pass made that starts after now, and not before `after_s` have passed.

        A pass that starts earlier for another reason answers it, too.
        """
        self._adds += 1
        entry = self._entries.get(key)
        if entry is None:
            entry = self._made(key)
        elif entry.stalled:
            if priority < _OUTSIDE:
                self._ignored += 1
                return
            entry.stalled = False
            self._stalled -= 1
        else:
            self._folded += 1
        entry.wakes += 1
        self._want(entry, priority, now + after_s if after_s > 0.0 else now, now)

    def _made(self, key: keys.Key) -> _Entry:
        tenant = self._tenants.get(key.tenant)
        if tenant is None:
            tenant = self._tenants[key.tenant] = _Tenant(key.tenant)
        tenant.entries += 1
        entry = self._entries[key] = _Entry(key, tenant)
        return entry

    def _want(self, entry: _Entry, priority: keys.Priority, at: float, now: float) -> None:
        if at < entry.floor and priority < keys.Priority.OPERATOR:
            at = entry.floor
        if at > now:
            self._wait(entry, priority, at)
        elif entry.running:
            if entry.priority is None or entry.priority < priority:
                entry.priority = priority
        else:
            self._make_ready(entry, priority, now)

    def _wait(self, entry: _Entry, priority: keys.Priority, at: float) -> None:
        if entry.due_priority is None:
            self._unwait(entry)  # what only kept the floor
            entry.due_priority = priority
        elif entry.due_priority < priority:
            entry.due_priority = priority
        if at < entry.due:
            self._set_due(entry, at)

    def _set_due(self, entry: _Entry, at: float) -> None:
        if entry.due == _NEVER:
            self._waiting += 1
        entry.due = at
        entry.turn = next(self._turns)
        heapq.heappush(self._due, (at, entry.turn, entry))
        if len(self._due) > 2 * self._waiting + _SLACK:
            self._due = [item for item in self._due if item[2].turn == item[1]]
            heapq.heapify(self._due)

    def _make_ready(self, entry: _Entry, priority: keys.Priority, now: float) -> None:
        if entry.priority is None:
            entry.since = now
            entry.priority = priority
            self._ready += 1
            self._enter(entry, _BAND_OF[int(priority)], now)
        elif entry.priority < priority:
            entry.priority = priority
            band = _BAND_OF[int(priority)]
            if band > entry.band:
                self._leave(entry)
                self._enter(entry, band, now)

    def _enter(self, entry: _Entry, band: int, now: float) -> None:
        entry.band = band
        tenant = entry.tenant
        ready = tenant.ready[band]
        if ready is None:
            ready = tenant.ready[band] = OrderedDict()
        ready[entry.key] = entry
        if tenant.running < self._tenant_max:
            self._rings[band].setdefault(tenant.name, tenant)
        if band < _TOP:
            self._ages[band][entry.key] = (now + _STAYS_S[band], entry)

    def _leave(self, entry: _Entry) -> None:
        band = entry.band
        ready = entry.tenant.ready[band]
        assert ready is not None
        del ready[entry.key]
        if not ready:
            self._rings[band].pop(entry.tenant.name, None)
        if band < _TOP:
            del self._ages[band][entry.key]
        entry.band = -1

    # -- what goes out --------------------------------------------------------------------------

    def take(self, now: float) -> Taken | None:
        """The next key, whose pass begins now; None: none may begin."""
        self._advance(now)
        for band in range(len(_BANDS) - 1, -1, -1):
            if self._rings[band]:
                return self._taken(self._next(band), now)
        return None

    def _next(self, band: int) -> _Entry:
        """Of a band, the first key of the tenant whose turn it is."""
        ring = self._rings[band]
        while True:
            name, tenant = next(iter(ring.items()))
            ring.move_to_end(name)
            if tenant.debt < 1.0:
                ready = tenant.ready[band]
                assert ready, name
                return next(iter(ready.values()))
            tenant.debt -= 1.0

    def _taken(self, entry: _Entry, now: float) -> Taken:
        assert entry.priority is not None and not entry.running, entry.key  # noqa: PT018
        taken = Taken(entry.key, entry.priority, entry.wakes, now - entry.since)
        self._unready(entry)
        self._unwait(entry)
        entry.ran, entry.wakes, entry.floor = taken.priority, 0, _ALWAYS
        entry.running = True
        self._running += 1
        tenant = entry.tenant
        tenant.running += 1
        if tenant.running == self._tenant_max:
            for ring in self._rings:
                ring.pop(tenant.name, None)
        return taken

    def _unready(self, entry: _Entry) -> None:
        if entry.band >= 0:
            self._leave(entry)
            self._ready -= 1
        entry.priority = None

    def _unwait(self, entry: _Entry) -> None:
        if entry.due != _NEVER:
            self._waiting -= 1
            entry.due = _NEVER
            entry.turn = 0
        entry.due_priority = None

    def _advance(self, now: float) -> None:
        """Let time pass: what is due gets ready, what has waited for long moves up."""
        due = self._due
        while due and due[0][0] <= now:
            _, turn, entry = heapq.heappop(due)
            if entry.turn == turn:
                self._fall_due(entry, now)
        for band in range(_TOP):
            ages = self._ages[band]
            while ages:
                until, entry = next(iter(ages.values()))
                if until > now:
                    break
                self._leave(entry)
                self._enter(entry, band + 1, until)

    def _fall_due(self, entry: _Entry, now: float) -> None:
        priority = entry.due_priority
        self._unwait(entry)
        if priority is None:
            self._settle(entry)
        else:
            self._want(entry, priority, now, now)

    def woken(self, key: keys.Key) -> keys.Priority | None:
        """Priority of what was added to a running key since its pass began, if anything was."""
        entry = self._entries.get(key)
        return entry.priority if entry is not None and entry.running else None

    def next_at(self) -> float | None:
        """When the next waiting key may get ready; None: there is none."""
        due = self._due
        while due and due[0][2].turn != due[0][1]:
            heapq.heappop(due)
        return due[0][0] if due else None

    # -- how passes end -------------------------------------------------------------------------

    def done(
        self,
        key: keys.Key,
        now: float,
        *,
        again_s: float | None = None,
        priority: keys.Priority | None = None,
        rest_s: float = 0.0,
        cost: float = 1.0,
    ) -> None:
        """End a pass that did not fail.

        Args:
            key: that runs.
            now: the time.
            again_s: when the key is to be looked at again anyhow.
            priority: of that; None: that of the pass.
            rest_s: adds wait so long from now, an operator's command does not.
            cost: of the pass, in turns.
        """
        entry = self._ended(key, cost)
        if rest_s > 0.0:
            entry.floor = now + rest_s
        self._dirty(entry, now)
        if again_s is not None:
            self._want(entry, entry.ran if priority is None else priority, now + again_s, now)
        if rest_s > 0.0 and entry.priority is None and entry.due == _NEVER:
            self._set_due(entry, entry.floor)
        self._settle(entry)

    def failed(
        self, key: keys.Key, now: float, *, retry_s: float, floor_s: float = 0.0, cost: float = 1.0
    ) -> None:
        """End a pass that failed: the key is ready again after `retry_s`, or sooner if woken.

        Args:
            key: that runs.
            now: the time.
            retry_s: the backoff.
            floor_s: no sooner than that all the same, or a stream of events would defeat the
                backoff; an operator's command runs at once.
            cost: of the pass, in turns.
        """
        entry = self._ended(key, cost)
        entry.floor = now + floor_s
        self._dirty(entry, now)
        # What was not urgent does not get so by failing.
        self._want(entry, min(entry.ran, keys.Priority.RETRY), now + retry_s, now)

    def stalled(
        self, key: keys.Key, now: float, *, floor_s: float = 0.0, cost: float = 1.0
    ) -> None:
        """End a pass that says that trying again will not help. See `failed` for the arguments."""
        entry = self._ended(key, cost)
        entry.floor = now + floor_s
        woken = max(
            (p for p in (entry.priority, entry.due_priority) if p is not None),
            default=keys.Priority.RESYNC,
        )
        if woken >= _OUTSIDE:
            self._dirty(entry, now)
            return
        entry.priority = None
        self._unwait(entry)
        entry.stalled = True
        self._stalled += 1

    def forget(self, test: Callable[[keys.Key], bool]) -> list[keys.Key]:
        """Drop the keys of which `test` holds; those that run are dropped when their pass ends.

        Returns:
            The latter.
        """
        running = []
        for entry in [e for e in self._entries.values() if test(e.key)]:
            if entry.running:
                running.append(entry.key)
                entry.priority = None
            else:
                self._unready(entry)
            self._unwait(entry)
            self._stalled -= entry.stalled
            entry.stalled = False
            self._settle(entry)
        return running

    def dropped(self, key: keys.Key, *, cost: float = 1.0) -> None:
        """End a pass of a key that is looked at by another process from now on."""
        entry = self._ended(key, cost)
        entry.priority = None
        self._unwait(entry)
        self._settle(entry)

    def _ended(self, key: keys.Key, cost: float) -> _Entry:
        entry = self._entries[key]
        assert entry.running, key
        entry.running = False
        self._running -= 1
        tenant = entry.tenant
        tenant.running -= 1
        tenant.debt = min(DEBT_MAX, tenant.debt + max(0.0, cost - 1.0))
        if tenant.running == self._tenant_max - 1:
            for band, ready in enumerate(tenant.ready):
                if ready:
                    self._rings[band][tenant.name] = tenant
        return entry

    def _dirty(self, entry: _Entry, now: float) -> None:
        """See to what was added while the pass was made."""
        priority, entry.priority = entry.priority, None
        if priority is not None:
            self._want(entry, priority, now, now)
        if entry.due < entry.floor and entry.due_priority is not None:
            at, due_priority = entry.due, entry.due_priority
            self._unwait(entry)
            self._want(entry, due_priority, at, now)

    def _settle(self, entry: _Entry) -> None:
        """Let go of what is idle."""
        busy = entry.running or entry.stalled or entry.priority is not None
        if busy or entry.due != _NEVER:
            return
        del self._entries[entry.key]
        tenant = entry.tenant
        tenant.entries -= 1
        if not tenant.entries:
            # What it owes is forgiven: it competes with nobody.
            del self._tenants[tenant.name]

    # -- how it stands --------------------------------------------------------------------------

    def counts(self, now: float) -> Counts:
        """How it stands; looks at every ready key."""
        since = [e.since for e in self._entries.values() if e.band >= 0]
        return Counts(
            ready=self._ready,
            waiting=self._waiting,
            running=self._running,
            stalled=self._stalled,
            oldest_s=now - min(since, default=now),
            adds=self._adds,
            folded=self._folded,
            ignored=self._ignored,
        )
