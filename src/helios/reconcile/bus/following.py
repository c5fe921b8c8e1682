"""Follows the log, keeps the correlations, and hands events on in order.

The buffer is the log: nothing is held that could be lost. What is in memory is a cache of what the
log says, and what the follower says itself are transitions only. It ends at any fault and begins
anew from the log; the same events then give the same transitions.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec
import structlog

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.projections import folding
from helios.projections import ports as view_ports
from helios.reconcile.bus import commands, correlating, events, view

KNOWN_MAX = 20_000
"""Correlations that late events are still told of. Above: those that closed first are forgotten,
and what comes for them is handed on at once."""

TOLD_AT_ONCE = 64
"""Transitions that are appended together, for one commit."""

SETTLE_S = 0.25
"""How long after its end a window stays open for what was appended in time and shows later."""

IDLE_S = 30.0

Key: TypeAlias = tuple[str, str]
Released: TypeAlias = Callable[[envelope.Event], Awaitable[None]]
"""Takes an event that is handed on; at least once, each correlation in its order."""

_log = structlog.get_logger("helios.bus")


class Waiting(Protocol):
    """Waits until a view shows a position."""

    async def __call__(
        self, view: str, position: envelope.Position, *, timeout_s: float = ...
    ) -> envelope.Position: ...


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What the control bus needs of the process it runs in.

    Attributes:
        released: is handed each event in order; what it raises is logged, and holds nothing up.
        told: is told of each transition, by its status, and how each command ended.
        where: the events that may belong to a correlation.
    """

    log: log_ports.EventLog
    store: view_ports.ViewStore
    wait_for: Waiting
    clock: clocks.Clock
    ids: ids.Ids
    released: Released
    told: Callable[[str], None]
    where: envelope.Filter = envelope.Filter(sources=(events.SOURCE,))


class _Live:
    """A correlation in memory.

    Attributes:
        known: what is known of it; released: positions of what was handed on.
        sense: of what was told last; sequence: of its aggregate.
    """

    __slots__ = ("known", "released", "sense", "sequence")

    def __init__(self, key: Key) -> None:
        self.known = correlating.Correlation(client_id=key[0], correlation_id=key[1])
        self.released: set[int] = set()
        self.sense: tuple[object, ...] = ()
        self.sequence = 0


class Follower:
    """Keeps all correlations for as long as it runs.

    Args:
        around: see `Around`.
        begun: called whenever everything that was there is dealt with.
    """

    def __init__(self, around: Around, begun: Callable[[], None] = lambda: None) -> None:
        self._around = around
        self._begun = begun
        self._known: dict[Key, _Live | None] = {}
        self._dirty: dict[Key, None] = {}
        self._windows: list[tuple[int, Key]] = []
        self._conflicts: dict[Key, int] = {}
        self._cursor = envelope.Position(0)
        self._dealt = envelope.Position(0)
        self._passed = envelope.Position(0)
        self._appended = envelope.Position(0)

    async def run(self) -> None:
        """Follow until cancelled, or until something fails."""
        await self._begin()
        while True:
            now = self._around.clock.now()
            page = await self._page()
            for event in page.events:
                await self._take(event)
            self._cursor = page.next_after
            at_head = page.next_after >= page.head
            await self._tell(self._seen_until(now), at_head=at_head)
            if not self._dirty:
                self._dealt = self._cursor
            if at_head and not self._dirty:
                self._begun()
                await self._around.log.wait(page.head, timeout_s=self._pause())

    async def _begin(self) -> None:
        """Where the log has to be read again, and which correlations there are."""
        self._cursor = self._dealt = await view.resume(self._around.store)
        # What belongs to no correlation was handed on by then; or it is not waited for any more.
        self._passed = await view.reached(self._around.store)
        found = await view.ids(self._around.store, KNOWN_MAX)
        self._known = dict.fromkeys(reversed(found))

    async def _page(self) -> envelope.Page:
        log, where = self._around.log, self._around.where
        page = log.recent(self._cursor, where=where)
        return await log.read(self._cursor, where=where) if page is None else page

    def _seen_until(self, now: clocks.Timestamp) -> clocks.Timestamp:
        return clocks.Timestamp(now - round(SETTLE_S * clocks.SECOND_US))

    def _pause(self) -> float:
        """Seconds until the next window ends."""
        if not self._windows:
            return IDLE_S
        left = (self._windows[0][0] - self._around.clock.now()) / clocks.SECOND_US
        return max(0.0, min(IDLE_S, left + SETTLE_S))

    # Hearing.

    async def _take(self, event: envelope.Event) -> None:
        key = (event.tenant, event.correlation_id or "")
        begins = event.type == events.CORRELATION_STARTED and _is_own(event)
        if begins:
            key = (event.tenant, event.aggregate_id)
            if key not in self._known:
                self._known[key] = _Live(key)
                self._forget()
        if key not in self._known:
            if not _is_own(event) and event.position > self._passed:
                await self._release(event)
            return
        live = await self._live(key)
        if event.aggregate_type == events.CORRELATION:
            live.sequence = max(live.sequence, event.sequence)
        if event.type in events.MOVED_TYPES and _is_own(event):
            _hear(live, folding.payload(event, events.Moved))
            return
        before = live.known
        live.known = correlating.take(before, event)
        if live.known is not before:
            self._dirty[key] = None
        elif not _is_own(event) and not _holds(live.known, event):
            await self._release(event)
        if begins:
            heapq.heappush(self._windows, (live.known.expires_at, key))

    async def _live(self, key: Key) -> _Live:
        live = self._known[key]
        if live is None:
            live = self._known[key] = await self._loaded(key)
        return live

    async def _loaded(self, key: Key) -> _Live:
        """A correlation as it was told last, or a new one."""
        around, live = self._around, _Live(key)
        if self._appended:
            await around.wait_for(view.NAME, self._appended)
        try:
            row = await view.correlation(around.store, *key)
        except errors.NotFoundError:
            return live
        found = await around.log.read_at([envelope.Position(p) for p in row.positions])
        live.known = correlating.folded(*key, found)
        live.released = set(row.released)
        live.sense = _sense(row.record, live.released)
        for event in await around.log.read_at([envelope.Position(row.position)]):
            live.sequence = event.sequence
        if live.known.starts:
            heapq.heappush(self._windows, (live.known.expires_at, key))
        return live

    def _forget(self) -> None:
        """Keep to the bound: the oldest go that have nothing open."""
        if len(self._known) <= KNOWN_MAX:
            return
        waiting = {key for _, key in self._windows}
        old = [k for k in self._known if k not in self._dirty and k not in waiting]
        for key in old[: max(1, KNOWN_MAX // 10)]:
            del self._known[key]

    # Handing on and telling.

    async def _tell(self, until: clocks.Timestamp, *, at_head: bool) -> None:
        """Hand on what is due, and say what changed; what lost against another stays dirty."""
        while self._windows and self._windows[0][0] <= until:
            _, key = heapq.heappop(self._windows)
            if key in self._known:
                self._dirty[key] = None
        # A window is judged only when everything is read that was appended before its end.
        keys = list(self._dirty) if at_head else []
        for start in range(0, len(keys), TOLD_AT_ONCE):
            part = keys[start : start + TOLD_AT_ONCE]
            moved = [(key, await self._moved(key, until)) for key in part]
            await self._append([(key, said) for key, said in moved if said is not None])

    async def _moved(self, key: Key, until: clocks.Timestamp) -> events.Moved | None:
        """What is to be said of a correlation now, its due events handed on; None: nothing."""
        live = await self._live(key)
        self._dirty.pop(key, None)
        if not live.known.starts:
            return None
        judged = correlating.judge(live.known, until)
        await self._hand_on(live, correlating.due(live.known, judged, live.released))
        record = correlating.record(live.known, judged, live.released)
        if _sense(record, live.released) == (live.sense or _first(live.known)):
            return None
        failure = judged.failure
        return events.Moved(
            record=record,
            positions=live.known.positions,
            released=tuple(sorted(live.released)),
            upto=self._dealt,
            code=failure.code if failure else "",
            detail=failure.detail if failure else "",
        )

    async def _hand_on(self, live: _Live, due: Sequence[correlating.Fact]) -> None:
        places = [envelope.Position(fact.position) for fact in due]
        if not places:
            return
        found = {event.position: event for event in await self._around.log.read_at(places)}
        for place in places:
            if place in found:
                await self._release(found[place])
            live.released.add(place)

    async def _release(self, event: envelope.Event) -> None:
        try:
            await self._around.released(event)
        except errors.StorageFailedError:
            raise
        except Exception:  # noqa: BLE001 - whoever takes it must not hold up the others
            _log.exception("event_not_taken", event_id=event.id, type=event.type)

    async def _append(self, said: Sequence[tuple[Key, events.Moved]]) -> None:
        outcomes = await asyncio.gather(
            *(self._say(key, moved) for key, moved in said), return_exceptions=True
        )
        for (key, moved), outcome in zip(said, outcomes, strict=True):
            if isinstance(outcome, errors.ConflictError):
                self._lost(key, outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                self._around.told(moved.record.status)

    async def _say(self, key: Key, moved: events.Moved) -> None:
        live = await self._live(key)
        about = (key[0], events.CORRELATION, key[1])
        event = commands.made_event(
            events.MOVED_BY_STATUS[moved.record.status],
            about,
            moved,
            now=self._around.clock.now(),
            event_id=self._around.ids.new(),
            correlation_id=key[1],
        )
        appended = await self._around.log.append([event], expected={about: live.sequence})
        self._appended = max(self._appended, appended.position)
        live.sequence = appended.sequences[0]
        live.sense = _sense(moved.record, set(moved.released))

    def _lost(self, key: Key, error: errors.ConflictError) -> None:
        """Somebody else wrote about it: read that first; when it was read, go on from there."""
        self._dirty[key] = None
        live = self._known.get(key)
        if live is not None and error.actual is not None:
            if self._conflicts.get(key) == error.actual:
                live.sequence = error.actual
            self._conflicts[key] = error.actual


def _hear(live: _Live, moved: events.Moved) -> None:
    """Take over what was told of it, by us or by another before us."""
    live.released |= set(moved.released)
    live.sense = _sense(moved.record, set(moved.released))


def _sense(record: events.Record, released: set[int]) -> tuple[object, ...]:
    """What makes a difference worth telling."""
    return (
        record.status,
        record.late,
        record.missing_events,
        record.expected_events,
        record.command_ids,
        record.expires_at,
        len(released),
    )


def _first(known: correlating.Correlation) -> tuple[object, ...]:
    """The sense of what its start alone says."""
    alone = msgspec.structs.replace(known, facts=(), outcomes=(), starts=known.starts[:1])
    judged = correlating.judge(alone, alone.initiated_at)
    pending = msgspec.structs.replace(judged, status="pending", completed_at=None)
    return _sense(correlating.record(alone, pending, ()), set())


def _is_own(event: envelope.Event) -> bool:
    return event.source == events.SOURCE and event.aggregate_type in events.OWN_AGGREGATES


def _holds(known: correlating.Correlation, event: envelope.Event) -> bool:
    return any(fact.position == event.position for fact in known.facts)
