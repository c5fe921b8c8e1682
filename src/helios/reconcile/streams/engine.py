"""Matching events by key: from events in, to verdicts out, as a function of their order alone.

The engine holds the open windows of one contract. Events of a key meet in a small list; when all
required legs are there and every rule holds the key is matched at once; what cannot be decided yet
waits in a bucket for the second at which the watermark decides it. Work is done for the events of
a batch and for the keys that fall due, never by looking through what is open.

The watermark follows the events: per source the newest event time, of these the slowest, less
`grace`; a source more than `idle_timeout` behind the fastest does not hold the others up. It moves
deadlines in whole seconds. There is no clock in here: `tick` is told the time from outside, and
who records the ticks can replay them.

What is to be said of a key is in `judge`; how it is told in `telling`.
"""

import decimal
import heapq
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from helios.reconcile.streams import (
    codegen,
    compact,
    filling,
    grouping,
    judge,
    layout,
    overdue,
    program,
    screen,
    sessions,
    telling,
    times,
    verdicts,
)
from helios.reconcile.streams.cel import values
from helios.reconcile.streams.layout import State


def group_order(state: State) -> tuple[str, int]:
    """Orders states in a way that a restart does not change."""
    return judge.key_of(state), judge.window_id(state)


class Engine:
    """The open windows of one contract.

    Args:
        compiled: the contract.
        flavour: where events come from; decides the generated loop.
        on_verdict: told each verdict, in the order of decision; None: only count them.
        chosen: with `flavour.chosen`: screen key to the event number from which its verdicts count.

    Attributes:
        teller: hands the verdicts out and counts them.
        open: states of open windows by group.
        closed: closed ones that are still known.
        screen: with `flavour.screened`: which keys come back.
        grouping: which windows an event belongs to.
        sessions: likewise, for sessions.
        qwm: the watermark, in whole seconds.
    """

    def __init__(
        self,
        compiled: program.Program,
        flavour: codegen.Flavour,
        *,
        on_verdict: Callable[[verdicts.Verdict], None] | None = None,
        chosen: dict[Any, int] | None = None,
    ) -> None:
        self.program = compiled
        self.contract = compiled.contract
        self.flavour = flavour
        self.open: dict[Any, State] = {}
        self.closed: dict[Any, State] = {}
        self.buckets: dict[int, list[State]] = {}
        self.matched: list[tuple[State, Any]] = []
        self.chosen = chosen if chosen is not None else {}
        self.screen = screen.Screen() if flavour.screened else None
        self.grouping = grouping.Grouping(compiled)
        self.retain = flavour.retains
        self.seen = 0
        self.ignored = 0
        self.duplicates = 0
        self.late_events = 0
        self.qwm = -(1 << 60)
        self._first_us: int | None = None
        self._window = self.contract.window
        self._grace = self._window.grace
        self._is_session = self._window.type == "session"
        self._per_key = self._window.type == "per_key"
        self._to_us: Callable[[Any], int] = times.as_is if flavour.live else times.datetime_us
        self._forms = codegen.kept(compiled, flavour)
        self._filler = filling.Filler(compiled, self._forms, live=flavour.live)
        self._sheds = codegen.sheds(compiled, flavour)
        self._target = self.qwm
        self._agenda: list[int] = []
        self._batch: Sequence[Any] = ()
        self.judging = self._judge = judge.Judge(compiled, self._to_us, self._forms)
        self.sessions = sessions.Sessions(
            self.open, self.closed, self._window.size, self._judge.merge
        )
        self.teller = telling.Teller(
            self._judge,
            self._to_us,
            on_verdict,
            withholds=flavour.screened,
            live=flavour.live,
        )
        low: Any = -(1 << 62) if flavour.live else datetime.min.replace(tzinfo=UTC)
        self.marks: list[Any] = [low] * codegen.marks_count(compiled)
        self._low = low
        self.tick_at: Any = low
        self._loops: dict[bool, codegen.Loop] = {}
        shrinks = codegen.shrinks(compiled, flavour)
        self._short = layout.ids(len(compiled.legs) - 1) + 1 if shrinks else 0

    # -- events in ------------------------------------------------------------------------------

    def source(self, *, flat: bool = False) -> str:
        """The generated loop, as text."""
        return codegen.generate(self.program, self.flavour, flat=flat)

    def process(self, events: Sequence[Any], *, flat: bool = False) -> None:
        """Match a batch, in the order given. Any cut into batches gives the same verdicts.

        Args:
            events: objects with `h_id`, `h_type`, `h_source`, `h_time` and the payload's fields.
            flat: the payload's fields are in the object itself, not in its `h_payload`.
        """
        loop = self._loop(flat=flat)
        self._batch = events
        before = decimal.getcontext()
        decimal.setcontext(values.CONTEXT)
        try:
            loop.process(events)
        finally:
            decimal.setcontext(before)
        self._flush()
        # Let go before the next batch is decoded: two do not fit in the cache.
        self._batch = ()

    def _loop(self, *, flat: bool) -> codegen.Loop:
        loop = self._loops.get(flat)
        if loop is None:
            bits = self.screen.bits if self.screen is not None else None
            source, name = self.source(flat=flat), self.contract.name
            loop = codegen.build(source, name, self, epoch=times.EPOCH, bits=bits)
            self._loops[flat] = loop
        return loop

    def tick(self, now_us: int, event: Any = None) -> None:
        """Let time pass without events: nothing older than `now_us - grace` is expected any more.

        The tick is part of the input: a replay must give the same ticks at the same places.

        Args:
            now_us: the time, microseconds.
            event: the recorded tick, of which verdicts tell the position.
        """
        reached = now_us - self._grace
        self._advance_seconds(reached // times.SECOND_US, event)
        passed = overdue.within(self.buckets, self.qwm + 1, reached, self._judge)
        for state in sorted(passed, key=group_order):
            self._due(state, event, reached)
        self._flush()

    def is_due(self, now_us: int) -> bool:
        """Whether a tick now would decide anything."""
        return overdue.is_due(self.buckets, now_us - self._grace, self._judge)

    def rejudge(self, state: State, event: Any) -> None:
        """Judge a closed state again; a verdict is told only if it says something new."""
        self.settle(state)
        self._decide(state, self._judge.final(state), event, late=False)

    def states_of(self, key: str) -> list[State]:
        """The open windows of a key."""
        if self._per_key:
            return [self.open[key]] if key in self.open else []
        return [state for group, state in self.open.items() if group[0] == key]

    def holds(self, group: Any) -> bool:
        """Whether a group is open, or closed and still known."""
        return group in self.open or group in self.closed

    def finish(self) -> None:
        """The input has ended: decide everything that is open."""
        while self.buckets:
            self._advance_seconds(max(*self.buckets, self.qwm + 1), None)
        self._flush()

    # -- called by the generated loop -----------------------------------------------------------

    def offset(self, leg: int) -> int:
        """From the second of the event that opens a per-key window to its first deadline's."""
        legs = self.program.legs
        missing = [b.within for b in legs if b.leg.required and b.index != leg]
        return times.second_of(min(missing) if missing else self._judge.span_us)

    def require_of(self, leg: int) -> Callable[[Any, Any], Any]:
        return self._judge.requirement(leg)

    def rule_of(self, rule: int) -> Callable[..., Any]:
        return compact.rule(self.program.rules[rule], self._forms)

    def no_key(self, event: Any) -> None:
        """An event without a key came this far: the decoder must have refused it."""
        raise AssertionError(f"event {event.h_id!r} has no key")

    def advance(self, event: Any) -> None:
        """A source has moved: see whether the slowest has."""
        marks = [self._to_us(mark) for mark in self.marks if mark != self._low]
        if self._first_us is None:
            self._first_us = min(marks)
        slowest = min(marks) if len(marks) == len(self.marks) else min(self._first_us, *marks)
        held = max(slowest, max(marks) - self._window.idle_timeout)
        self._advance_seconds((held - self._grace) // times.SECOND_US, event)

    def advance_to(self, time: Any, event: Any) -> None:
        """Events come in order of time: this one's time is the watermark."""
        self._advance_seconds((self._to_us(time) - self._grace) // times.SECOND_US, event)

    def conditions(self, state: State, leg: int, payload: Any, event: Any) -> None:
        """Conditions that change how long legs may take, on an event that has arrived."""
        if self._apply_conditions(state, leg, payload, event):
            self.reschedule(state)

    def opened(self, state: State, leg: int, payload: Any, event: Any) -> None:
        """A window whose times depend on what has arrived, on the event that opened it."""
        self.conditions(state, leg, payload, event)
        self.schedule_new(state, event)

    def schedule_new(self, state: State, event: Any) -> None:
        """A window has opened: see when it is looked at, or at once if its time is over."""
        second = times.second_of(self._judge.next_deadline(state))
        if second > self.qwm:
            self._schedule(state, second)
        else:
            self.overdue(state, event)

    def overdue(self, state: State, event: Any) -> None:
        """A window opened so late that a time of its is already over, or all of it is."""
        late = times.second_of(self._judge.close_us(state)) <= self.qwm
        self._count(state, event, late=int(late))
        self._due(state, event, self.qwm * times.SECOND_US, late=late)

    def settle(self, state: State) -> None:
        """Before something changes of which a key consists that may have been matched at once."""
        self._flush()
        self.teller.settle(state)

    def judge_event(self, state: State, event: Any) -> None:
        """Something changed for a key."""
        self._flush()
        if self._sheds and state[layout.STATUS] == layout.MATCHED:
            # Its payloads are gone: another pass judges it.
            self._reopen(state, event)
        else:
            judgement = self._judge.now(state, self.qwm * times.SECOND_US)
            if judgement is None:
                self.reschedule(state)
            self._decide(state, judgement, event, late=False)

    def more(self, state: State, leg: int, payload: Any, event: Any) -> None:
        """Another event of a leg that has one: a duplicate, a further part, or one too many."""
        self._flush()
        if len(state) == self._short:
            self._more_of_short(state, leg, event)
            return
        self.teller.settle(state)
        if self._add(state, leg, payload, event):
            if self.program.legs[leg].leg.cardinality != "many":
                layout.doubt(state)
            self.conditions(state, leg, payload, event)
            self.judge_event(state, event)

    def _more_of_short(self, state: State, leg: int, event: Any) -> None:
        """Likewise, of a matched key of which only the ids are left."""
        known = state[layout.ids(0)].split("\0")
        if len(known) == len(self.program.legs) and known[leg] == event.h_id:
            self._count(state, event, duplicates=1)
        else:
            # Another pass judges it; also where an id holds what separates them.
            self._reopen(state, event)

    def _reopen(self, state: State, event: Any) -> None:
        assert self.screen is not None
        self.screen.reopened.setdefault(self._screen(state), self._number(event))

    def late(self, state: State, leg: int, payload: Any, event: Any) -> None:
        """An event for a window that has closed: judged anew, at once."""
        if not state:
            return  # The window is another version's: see `handover`.
        self.settle(state)
        if self._add(state, leg, payload, event):
            self._count(state, event, late=1)
            self._decide(state, self._judge.final(state), event, late=True)

    def _number(self, event: Any) -> int:
        """Number of an event of this batch in the whole input."""
        return self.seen + next(i for i, other in enumerate(self._batch) if other is event)

    def suspect(self, state: State, event: Any) -> None:
        """The filter says that this key may have had a window before: leave it to another pass."""
        assert self.screen is not None
        self.screen.suspects.setdefault(self._screen(state), self._number(event))
        others = map(self.open.get, self.sessions.of(judge.key_of(state)))
        for each in filter(None, (state, *others)):
            self.teller.settle(each)
            each[layout.STATUS] = layout.MUTED

    def unmute(self, key: Any) -> None:
        """From here on this key's verdicts count."""
        for group in self.sessions.of(key) if self._is_session else [key]:
            state = self.open.get(group) or self.closed.get(group)
            if state is not None and state[layout.STATUS] == layout.MUTED:
                state[layout.STATUS] = (state[layout.LAST] or [layout.INTRICATE])[0]

    def session(self, key: str, us: int, leg: int, event: Any) -> tuple[str, int]:
        """The session of an event; it reaches to it from now on, and joins what it bridges."""
        found = self.sessions.of_event(key, us, leg, event.h_id)
        if not found:
            group = (key, us)
            self.sessions.add(group)
            return group
        # What was matched is told with the window it had, wherever the batch ends.
        self._flush()
        if self.screen is not None and self.screen.may_be_closed(key):
            # The event may belong to a session that was forgotten when it closed.
            self.suspect(self.open[found[0]], event)
        for other in found[1:]:
            self.sessions.join(found[0], other)
        state = self.sessions.reach(found[0], us)
        if state[layout.NEXT] is not None:
            self.reschedule(state)
        return found[0]

    # -- states from elsewhere ------------------------------------------------------------------

    def admit(self, state: State, *, closed: bool) -> None:
        """Take in a state that was stored: an open window, or a closed one to judge anew."""
        group = state[layout.GROUP]
        if self._is_session:
            self.sessions.add(group)
        if closed:
            state[layout.NEXT] = None
            self.closed[group] = state
        else:
            self.open[group] = state
            self.buckets.setdefault(state[layout.NEXT], []).append(state)

    def progress(self) -> times.Progress:
        """How far the watermark has come; with the open states, all there is to remember."""
        marks = [None if mark == self._low else self._to_us(mark) for mark in self.marks]
        return times.Progress(marks=marks, qwm=self.qwm, first_us=self._first_us)

    def resume(self, progress: times.Progress) -> None:
        """Go on from there; for events whose time is in microseconds."""
        self.marks = [self._low if mark is None else mark for mark in progress.marks]
        self._first_us = progress.first_us
        self._advance_seconds(progress.qwm, None)

    def follow(self, other: "Engine", event: Any) -> None:
        """Let time pass as it has for another engine."""
        self._advance_seconds(other.qwm, event)
        self._flush()

    def release(self, group: Any) -> State:
        """Give up a closed state, so that another version may judge it."""
        state = self.closed.pop(group)
        self.settle(state)
        if self._is_session:
            self.sessions.remove(group)
        return state

    def forget_closed(self) -> None:
        """Drop the closed states that were taken in for a batch."""
        if self._is_session:
            for group in self.closed:
                self.sessions.remove(group)
        self.closed.clear()

    def store(self, state: State, leg: int, payload: Any, event: Any) -> None:
        """Add an event to a state without judging, as when it was first seen."""
        if state[layout.BASE] is None:
            state[layout.BASE] = event.h_time
        if self._add(state, leg, payload, event):
            self._apply_conditions(state, leg, payload, event)

    # -- inside ---------------------------------------------------------------------------------

    def _apply_conditions(self, state: State, leg: int, payload: Any, event: Any) -> bool:
        seen = judge.view(payload, self.program.legs[leg].leg, event)
        return self._judge.has_conditions and self._judge.apply_conditions(state, seen)

    def _count(self, state: State, event: Any, *, duplicates: int = 0, late: int = 0) -> None:
        if self.grouping.is_counted(judge.window_id(state), self._to_us(event.h_time)):
            self.duplicates += duplicates
            self.late_events += late
            if self.screen is not None:
                self.screen.tally(self._screen(state), duplicates=duplicates, late=late)

    def _add(self, state: State, leg: int, payload: Any, event: Any) -> bool:
        """Put an event into its leg; False, and counted, when it was there before."""
        if self._filler.add(state, leg, payload, event):
            return True
        self._count(state, event, duplicates=1)
        return False

    def reschedule(self, state: State) -> None:
        """See anew when time alone may decide something; the anchor has come, or a condition."""
        second = max(times.second_of(self._judge.next_deadline(state)), self.qwm + 1)
        if state[layout.NEXT] not in {None, second}:
            self._schedule(state, second)

    def _schedule(self, state: State, second: int) -> None:
        state[layout.NEXT] = second
        if second <= self._target and second not in self.buckets:
            # Time is on its way past this deadline too.
            heapq.heappush(self._agenda, second)
        self.buckets.setdefault(second, []).append(state)

    def _advance_seconds(self, second: int, event: Any) -> None:
        if second > self.qwm:
            self._flush()
            self._target, self._agenda = second, self._due_seconds(second)
            while self._agenda:
                at = heapq.heappop(self._agenda)
                self.qwm = max(self.qwm, at)
                self._expire(self.buckets.pop(at, []), at, event)
            self.qwm = second
        base = max((self.qwm + 1) * times.SECOND_US + self._grace, -(1 << 61))
        if self._first_us is None and not self.flavour.ordered:
            self.tick_at = self._low  # the first event is looked at in any case
        elif self.flavour.live:
            self.tick_at = base
        else:
            self.tick_at = times.datetime_of(base) if base > 0 else self._low

    def _expire(self, states: list[State], at: int, event: Any) -> None:
        """Look at what falls due in one second; most of it is decided and only ends."""
        rest = self._loop(flat=False).end(states, at)
        # By key, not by arrival in the bucket: the same after a restart.
        rest.sort(key=group_order)
        for state in rest:
            if state[layout.NEXT] == at:
                self._due(state, event, max(self.qwm, at) * times.SECOND_US)

    def _due_seconds(self, second: int) -> list[int]:
        """Seconds up to this one at which something falls due, in order, which makes it a heap."""
        span = second - self.qwm
        if span < len(self.buckets):
            return [at for at in range(self.qwm + 1, second + 1) if at in self.buckets]
        return sorted(at for at in self.buckets if at <= second)

    def _due(self, state: State, event: Any, now: int, *, late: bool = False) -> None:
        """Time has come to a deadline of this key: `now`, in microseconds."""
        self.settle(state)
        self._decide(state, self._judge.at(state, now), event, late=late)
        if times.second_of(self._judge.close_us(state)) <= max(self.qwm, now // times.SECOND_US):
            self._close(state)
            return
        second = max(times.second_of(self._judge.deadline_after(state, now)), self.qwm + 1)
        if second != state[layout.NEXT]:  # a tick within the second has left it in its bucket
            self._schedule(state, second)

    def _close(self, state: State) -> None:
        group = state[layout.GROUP]
        state[layout.NEXT] = None
        self.open.pop(group, None)
        if self.screen is not None:
            self.screen.close(self._screen(state))
        if self.retain:
            self.closed[group] = state
        elif self._is_session:
            self.sessions.remove(group)

    # -- verdicts out ---------------------------------------------------------------------------

    def _flush(self) -> None:
        """Tell of the keys that were matched at once, as of the watermark they were matched at."""
        if not self.matched:
            return
        self.teller.matched(self.matched, max(self.qwm, 0) * times.SECOND_US)
        shrink = self._loop(flat=False).shrink
        if shrink is not None:
            shrink(self.matched)
        self.matched.clear()

    def _decide(
        self, state: State, judgement: judge.Judgement | None, event: Any, *, late: bool
    ) -> None:
        reached, key = max(self.qwm, 0) * times.SECOND_US, self._screen(state)
        self.teller.judged(state, judgement, event, reached, screen=key, late=late)

    def _screen(self, state: State) -> Any:
        return judge.key_of(state) if self._is_session else state[layout.GROUP]
