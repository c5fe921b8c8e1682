"""Sees to verdicts that are not matched: has sources asked for what is missing, and tells.

Level-based: every pass looks at what the views say now, verdicts that are wrong and what was done
about them, and takes the next step of each. What it does is an event, from which the view of
repairs is made; so a restart goes on where the views are, and nothing is remembered here but how
far was looked, which can be looked at again.

Everything is bounded. In a minute a contract's alerts are some one by one and then one for all the
rest, so that a thousand wrong keys of one import do not make a thousand calls at night; each of
them is still in the view of verdicts. Sources are asked for some keys at once; others wait.

A pass begins when both views have reached the head of the log: nobody is told of what an event
that is already there has closed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeAlias

import msgspec
import structlog

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.projections import ports as view_ports
from helios.reconcile.runtime import backoff, keys, lane, ports
from helios.reconcile.streams import (
    asking,
    fold,
    missing,
    repair_events,
    repairs,
    standing,
    verdicts,
    view,
)

FAMILY = "streams"
KEY = keys.Key("helios", FAMILY, "repairs")
"""The one key of the family: a pass is over all contracts, as what it may do is bounded for all."""

INTERVAL_S = 1.0
"""Between two passes. So often it is also looked whether a time has come, as clocks may be set."""

LOOK_S = 5.0
"""Longest time between two looks, should the verdicts be another copy's by then."""

OPTIONS = lane.Options(
    workers=1,
    pace_s=INTERVAL_S,
    pass_s_max=600.0,
    retries=backoff.Linear(base_s=INTERVAL_S, cap_s=INTERVAL_S),
)
"""How it runs. A pass asks sources, each within bounds of its own, and walks many verdicts."""

ALERTS_PER_MINUTE = 20
"""One by one, of one contract. Above: one alert for all the rest, once a minute."""

OPEN_MAX = 500
"""Keys that sources are being asked for. Above: keys wait for their first attempt."""

ASKS_PER_PASS = 20
"""Questions to sources in one pass, at the same time. Above: the next pass."""

WALK_ROWS_MAX = 20_000
"""Verdicts of a contract looked at in one pass. Above: the next pass goes on, after the last one
of the same position."""

_PAGE = 300
_MINUTE = 60 * clocks.SECOND_US
_NEVER = clocks.Timestamp(1 << 62)
_LAST = 1 << 62

WaitFor: TypeAlias = Callable[[str, envelope.Position], Awaitable[object]]
_Lane: TypeAlias = tuple[int, int, Literal["tell", "ask"]]
_Visit: TypeAlias = Callable[[verdicts.Verdict, missing.Step], Awaitable[bool]]

_log = structlog.get_logger("helios.alerts")


class _Room(msgspec.Struct):
    """How many alerts a contract has left in this minute.

    Attributes:
        left: one by one.
        many: whether one may tell of all the rest.
        renewed: when there is more.
    """

    left: int
    many: bool
    renewed: clocks.Timestamp


class _Ask(msgspec.Struct, frozen=True):
    declared: standing.Declared
    verdict: verdicts.Verdict
    ask: missing.Ask


class _Turn:
    """One pass: what is to be done in it, and when the next is due."""

    def __init__(self, now: clocks.Timestamp, head: envelope.Position) -> None:
        self.now = now
        self.head = head
        self.wake = _NEVER
        self.asks: list[_Ask] = []
        self.open = 0
        self.rooms: dict[int, _Room] = {}

    def wake_at(self, when: clocks.Timestamp) -> None:
        self.wake = min(self.wake, when)


class Repairer:
    """Takes the steps while the verdicts of this process are up to date.

    Args:
        log: where steps are appended.
        store: where the views are.
        view: the view of verdicts.
        asker: asks sources.
        wait_for: returns when a view has reached a position.
        clock: whose time passes.
        told_max: gives how many alerts of a contract are told one by one in a minute.
        open_max: gives how many keys sources are asked for at once.
    """

    def __init__(
        self,
        log: log_ports.EventLog,
        store: view_ports.ViewStore,
        view: view.VerdictView,
        *,
        asker: asking.Asker,
        wait_for: WaitFor,
        clock: clocks.Clock,
        told_max: Callable[[], int] = lambda: ALERTS_PER_MINUTE,
        open_max: Callable[[], int] = lambda: OPEN_MAX,
    ) -> None:
        self._log = log
        self._view = view
        self._asker = asker
        self._wait_for = wait_for
        self._clock = clock
        self._told_max = told_max
        self._open_max = open_max
        self._standing = standing.Standing(store)
        self._repairs = repairs.Reader(store)
        self._places: dict[_Lane, standing.Place] = {}
        self._fold: fold.Fold | None = None
        self._seen = envelope.Position(-1)
        self._wake = _NEVER

    async def reconcile(self, key: keys.Key, why: ports.Reason) -> ports.Result:
        """Take the steps that are due; see `runtime.ports.Reconciler`."""
        del why
        assert key == KEY, key
        await self.step_if_due()
        rests = self._wake == _NEVER and self._seen == await self._log.head()
        return ports.Result(requeue_after_s=LOOK_S if rests else INTERVAL_S)

    async def step_if_due(self) -> bool:
        """Make one pass if something was appended or a time has come; whether it did."""
        live = self._view.live
        now, head = self._clock.now(), await self._log.head()
        if live is None or (live is self._fold and head == self._seen and now < self._wake):
            return False
        await self._wait_for(view.NAME, head)
        await self._wait_for(repairs.NAME, head)
        if self._view.live is not live or live.position < head:
            return False
        if live is not self._fold:
            self._forget()
            self._fold = live
        try:
            await self._pass(_Turn(now, head))
        except BaseException:
            # What was looked at may not have been done.
            self._forget()
            raise
        return True

    def _forget(self) -> None:
        self._places.clear()
        self._seen = envelope.Position(-1)

    async def _pass(self, turn: _Turn) -> None:
        declared = await self._standing.declared()
        await self._go_on(turn, declared)
        for each in standing.policies(declared):
            await self._tell(turn, each)
            if self._asker.askable(each.parsed):
                await self._begin(turn, each)
        await self._ask_all(turn)
        self._seen, self._wake = turn.head, turn.wake

    # -- what was begun -------------------------------------------------------------------------

    async def _go_on(self, turn: _Turn, declared: Sequence[standing.Declared]) -> None:
        """Take the next step for every verdict that sources were asked for."""
        begun = await self._repairs.open(self._open_max())
        turn.open = len(begun)
        versions = {(d.row.tenant, d.row.name, d.row.version): d for d in declared}
        groups: dict[tuple[str, str, int], list[repairs.Open]] = {}
        for each in begun:
            groups.setdefault((each.tenant, each.contract, each.version), []).append(each)
        for name, members in groups.items():
            await self._go_on_with(turn, versions.get(name), members)

    async def _go_on_with(
        self,
        turn: _Turn,
        declared: standing.Declared | None,
        begun: Sequence[repairs.Open],
    ) -> None:
        if declared is None or declared.withdrawn:
            reason = "the contract was withdrawn"
            await self._append([_closed(each, reason, turn.now) for each in begun])
            return
        room = await self._room(turn, declared)
        current = await self._standing.current(declared.row, {each.key for each in begun})
        recorded = await self._recorded([each.place for each in begun])
        events: list[envelope.NewEvent] = []
        for each in begun:
            verdict = current.get((each.key, each.window_id))
            if verdict is None or verdict.id != each.verdict:
                reason = f"superseded by {verdict.id}: {verdict.status}" if verdict else "gone"
                events.append(_closed(each, reason, turn.now))
                continue
            step = self._step(turn, declared, verdict, recorded, each.attempts)
            if isinstance(step, missing.Done):
                events.append(_closed(each, step.reason, turn.now))
            elif isinstance(step, missing.Alert) and room.left > 0:
                room.left -= 1
                events.append(repair_events.alerted(verdict, step.reason, turn.now))
            elif isinstance(step, missing.Ask) and len(turn.asks) < ASKS_PER_PASS:
                turn.asks.append(_Ask(declared, verdict, step))
            else:
                turn.wake_at(_due(step, room, turn))
        await self._append(events)

    # -- what is new ----------------------------------------------------------------------------

    async def _tell(self, turn: _Turn, declared: standing.Declared) -> None:
        """Tell of verdicts that nothing can be asked for: some by themselves, then the rest."""
        alone: list[tuple[verdicts.Verdict, str]] = []
        rest: list[verdicts.Verdict] = []
        count = 0

        async def visit(verdict: verdicts.Verdict, step: missing.Step) -> bool:
            nonlocal count
            if not isinstance(step, missing.Alert):
                return True
            room = await self._room(turn, declared)
            if room.left > 0:
                room.left -= 1
                alone.append((verdict, step.reason))
            elif room.many:
                count += 1
                rest[1:] = [verdict]  # the first and the last are enough
            else:
                turn.wake_at(room.renewed)
                return False
            return True

        await self._walk(turn, declared, "tell", visit)
        events = [event for each in alone for event in self._alerts(declared, each, turn.now)]
        if rest:
            said = self._summary(declared, rest, count)
            events.append(repair_events.summarised(declared.row.tenant, said, turn.now))
            (await self._room(turn, declared)).many = False
        await self._append(events)

    def _alerts(
        self,
        declared: standing.Declared,
        told: tuple[verdicts.Verdict, str],
        now: clocks.Timestamp,
    ) -> list[envelope.NewEvent]:
        """What says that a verdict was told, and before that what could not be tried."""
        verdict, reason = told
        policy = declared.parsed.on_missing
        events = []
        if policy is not None and policy.action == "replay_from_source":
            detail = "no source can be asked"
            for leg in verdict.missing_events:
                ask = missing.Ask(leg, 1)
                events.append(repair_events.attempted(verdict, ask, "no_source", detail, now))
        return [*events, repair_events.alerted(verdict, reason, now)]

    def _summary(
        self, declared: standing.Declared, rest: Sequence[verdicts.Verdict], count: int
    ) -> repair_events.Alerted:
        name = declared.row.name
        return repair_events.Alerted(
            contract=name,
            version=declared.row.version,
            count=count,
            reason=f"and {count:,} more of contract {name}",
            after=rest[0].position - 1,
            upto=rest[-1].position,
            asking=self._asks(declared),
        )

    def _asks(self, declared: standing.Declared) -> list[str]:
        policy = declared.parsed.on_missing
        replays = policy is not None and policy.action == "replay_from_source"
        return self._asker.askable(declared.parsed) if replays else []

    async def _begin(self, turn: _Turn, declared: standing.Declared) -> None:
        """Ask for the first time, as far as there is room."""

        async def visit(verdict: verdicts.Verdict, step: missing.Step) -> bool:
            if not isinstance(step, missing.Ask):
                return True
            if turn.open >= self._open_max():
                return False  # those that are open wake us
            if len(turn.asks) >= ASKS_PER_PASS:
                turn.wake_at(turn.now)
                return False
            turn.open += 1
            turn.asks.append(_Ask(declared, verdict, step))
            return True

        await self._walk(turn, declared, "ask", visit)

    async def _walk(
        self, turn: _Turn, declared: standing.Declared, kind: Literal["tell", "ask"], visit: _Visit
    ) -> None:
        """Show due verdicts that nothing was done about, in order, until one must wait."""
        lane = (declared.row.id, declared.row.version, kind)
        place = self._places.get(lane, standing.BEGIN)
        looked = 0
        while True:
            page = await self._standing.wrong(declared, place, _PAGE)
            fresh = await self._fresh(declared, [verdict for _, verdict in page])
            recorded = await self._recorded([verdict.position for verdict in fresh.values()])
            for next_place, verdict in page:
                if looked >= WALK_ROWS_MAX and next_place[0] > place[0]:
                    turn.wake_at(turn.now)
                    return
                if verdict.id in fresh:
                    step = self._step(turn, declared, verdict, recorded, ())
                    if isinstance(step, missing.Wait):
                        turn.wake_at(step.until)
                        return
                    if not await visit(verdict, step):
                        return
                place = self._places[lane] = next_place
                looked += 1
            if len(page) < _PAGE:
                self._places[lane] = (turn.head, _LAST)
                return

    async def _fresh(
        self, declared: standing.Declared, found: Sequence[verdicts.Verdict]
    ) -> dict[str, verdicts.Verdict]:
        """Those of these verdicts, in order of the log, that nothing was done about, by id."""
        if not found:
            return {}
        contract = declared.row
        many = await self._repairs.many(contract.tenant, contract.name, found[0].position - 1)
        left = [v for v in found if not any(each.holds(v) for each in many)]
        known = await self._repairs.known(contract.tenant, [v.id for v in left])
        return {v.id: v for v in left if v.id not in known}

    # -- helpers --------------------------------------------------------------------------------

    def _step(
        self,
        turn: _Turn,
        declared: standing.Declared,
        verdict: verdicts.Verdict,
        recorded: dict[int, clocks.Timestamp],
        attempts: Sequence[missing.Attempt],
    ) -> missing.Step:
        wrong = missing.Wrong(
            status=verdict.status,
            missing=verdict.missing_events,
            recorded_at=recorded[verdict.position],
        )
        return missing.next_step(
            wrong, declared.parsed.on_missing, attempts, turn.now, askable=self._asks(declared)
        )

    async def _recorded(self, positions: Sequence[int]) -> dict[int, clocks.Timestamp]:
        """When the events at these positions were appended."""
        wanted = [envelope.Position(each) for each in sorted(set(positions))]
        found = await self._log.read_at(wanted) if wanted else []
        return {event.position: event.recorded_at for event in found}

    async def _room(self, turn: _Turn, declared: standing.Declared) -> _Room:
        contract = declared.row
        if contract.id not in turn.rooms:
            start = clocks.Timestamp(turn.now - _MINUTE)
            found = await self._repairs.since(
                contract.tenant, contract.name, start, self._told_max() + 1
            )
            alone = sum(not many for _, many in found)
            oldest = min((at for at, _ in found), default=turn.now)
            turn.rooms[contract.id] = _Room(
                left=max(0, self._told_max() - alone),
                many=not any(many for _, many in found),
                renewed=clocks.Timestamp(oldest + _MINUTE),
            )
        return turn.rooms[contract.id]

    async def _ask_all(self, turn: _Turn) -> None:
        """Ask all sources of this pass at the same time."""
        answers = await asyncio.gather(
            *(self._ask(each) for each in turn.asks), return_exceptions=True
        )
        await self._append([each for each in answers if isinstance(each, envelope.NewEvent)])
        for each in answers:
            if isinstance(each, BaseException):
                raise each

    async def _ask(self, wanted: _Ask) -> envelope.NewEvent:
        parsed = wanted.declared.parsed
        leg = parsed.legs[parsed.leg_index(wanted.ask.leg)]
        outcome, detail = await self._asker.ask(wanted.verdict, leg)
        return repair_events.attempted(
            wanted.verdict, wanted.ask, outcome, detail, self._clock.now()
        )

    async def _append(self, events: Sequence[envelope.NewEvent]) -> None:
        if not events:
            return
        appended = await self._log.append(events)
        for event, duplicate in zip(events, appended.duplicates, strict=True):
            if event.type == repair_events.ALERTED and not duplicate:
                said = repair_events.decode_alerted(event.payload)
                _log.warning(
                    "keys_do_not_match",
                    client_id=event.tenant,
                    contract=said.contract,
                    key=said.key,
                    verdict=said.verdict,
                    status=said.status,
                    count=said.count,
                    reason=said.reason,
                )


def woken(events: Sequence[envelope.Event]) -> list[tuple[keys.Key, keys.Priority]]:
    """Whatever is appended may close a key or open one."""
    return [(KEY, keys.Priority.EVENT)] if events else []


def _closed(each: repairs.Open, reason: str, now: clocks.Timestamp) -> envelope.NewEvent:
    said = repair_events.Closed(
        contract=each.contract, key=each.key, verdict=each.verdict, reason=reason
    )
    return repair_events.closed(each.tenant, said, now)


def _due(step: missing.Step, room: _Room, turn: _Turn) -> clocks.Timestamp:
    if isinstance(step, missing.Wait):
        return step.until
    return room.renewed if isinstance(step, missing.Alert) else turn.now
