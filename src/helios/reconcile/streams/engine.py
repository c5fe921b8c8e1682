"""Matching events by key: from events in, to verdicts out, as a function of their order alone.

The engine holds the open windows of one contract. Events of a key meet in a small list; when all
required legs are there and every rule holds the key is matched at once; what cannot be decided yet
waits in a bucket for the second at which the watermark decides it. Work is done for the events of
a batch and for the keys that fall due, never by looking through what is open.

The watermark follows the events: per source the newest event time, of these the slowest, less
`grace`; a source more than `idle_timeout` behind the fastest does not hold the others up. It moves
deadlines in whole seconds. There is no clock in here: `tick` is told the time from outside, and
who records the ticks can replay them.

Judging follows the contract page of the documentation (explanation/contracts).
"""

import array
import decimal
import operator
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from helios.kernel import clock
from helios.reconcile.streams import codegen, compact, judge, layout, program, verdicts
from helios.reconcile.streams.cel import values
from helios.reconcile.streams.layout import State

SECOND_US = codegen.SECOND_US
FILTER_BITS = 1 << 27
"""Bits of the filter that recognises keys whose window has closed: 16 MiB, touched as used."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def datetime_us(value: datetime) -> int:
    """Microseconds since the epoch of an aware time, exactly."""
    return (value - _EPOCH) // _US


def _same(value: int) -> int:
    return value


def group_order(state: State) -> tuple[str, int]:
    """Orders states in a way that a restart does not change."""
    return judge.key_of(state), judge.window_id(state)


def _second_of(deadline_us: int) -> int:
    """The second at whose beginning a deadline has passed for certain."""
    return deadline_us // SECOND_US + 1


class Withheld(msgspec.Struct, frozen=True, gc=False):
    """A verdict about to be told.

    Attributes:
        screen: by what its key is recognised when it comes back.
        judgement: what is said.
        last: what was said before, or None.
        verdict: the verdict, where somebody wants it.
    """

    screen: Any
    judgement: judge.Judgement
    last: tuple[Any, ...] | None
    verdict: verdicts.Verdict | None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an engine's watermark has come.

    Attributes:
        marks: newest event time of each source, microseconds, or None.
        qwm: the watermark, whole seconds.
        first_us: the first event time seen, or None.
    """

    marks: list[int | None]
    qwm: int
    first_us: int | None


class Engine:
    """The open windows of one contract.

    Args:
        compiled: the contract.
        flavour: where events come from; decides the generated loop.
        on_verdict: told each verdict, in the order of decision; None: only count them.
        chosen: with `flavour.chosen`: screen key to the event number from which its verdicts count.

    Attributes:
        counts: final verdicts by status: a superseded one is taken out again.
        reasons: of the final verdicts that are not matched, how many say what.
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
        self.on_verdict = on_verdict
        self.open: dict[Any, State] = {}
        self.closed: dict[Any, State] = {}
        self.sessions: dict[str, list[Any]] = {}
        self.buckets: dict[int, list[State]] = {}
        self.matched: list[tuple[State, Any]] = []
        self.chosen = chosen if chosen is not None else {}
        self.suspects: dict[Any, int] = {}
        self.reopened: dict[Any, int] = {}
        """Screen keys that had been matched and let go of, to the event that came after all."""
        self.withheld: list[Withheld] = []
        self.closed_hashes = array.array("q")
        self.tallies: dict[int, list[int]] = {}
        """Where keys may come back: duplicates and late events by hash of the screen key."""
        self.retain = flavour.chosen or flavour.live
        self.on_matched: Callable[[list[tuple[State, Any]]], None] | None = None
        """Told the keys matched at once, in batches, instead of `on_verdict`."""
        self.counts: dict[verdicts.Status, int] = dict.fromkeys(judge.NAMES.values(), 0)
        self.reasons: dict[str, int] = {}
        self.seen = 0
        self.ignored = 0
        self.duplicates = 0
        self.late_events = 0
        self.qwm = -(1 << 60)
        """The watermark, in whole seconds."""
        self._first_us: int | None = None
        self._window = self.contract.window
        self._grace = self._window.grace
        self._per_key = self._window.type == "per_key"
        self._uniform = codegen.uniform(compiled)
        self._to_us: Callable[[Any], int] = _same if flavour.live else datetime_us
        self._forms = codegen.kept(compiled, flavour)
        self._sheds = codegen.sheds(compiled, flavour)
        self._batch: Sequence[Any] = ()
        self.judging = self._judge = judge.Judge(compiled, self._to_us, self._forms)
        self.told: State = []
        """The state behind the verdict that is being told."""
        low: Any = -(1 << 62) if flavour.live else datetime.min.replace(tzinfo=UTC)
        self.marks: list[Any] = [low] * codegen.marks_count(compiled)
        self._low = low
        self.tick_at: Any = low
        self.bits = bytearray(FILTER_BITS // 8) if flavour.screened else None
        self._key_getters: dict[str, Callable[[Any], str]] = {}
        self._loops: dict[bool, Callable[[Sequence[Any]], None]] = {}

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
        loop = self._loops.get(flat)
        if loop is None:
            loop = self._loops[flat] = codegen.build(
                self.source(flat=flat),
                self.contract.name,
                self,
                epoch=_EPOCH,
                bits=self.bits,
                mask=FILTER_BITS - 1,
            )
        self._batch = events
        before = decimal.getcontext()
        decimal.setcontext(values.CONTEXT)
        try:
            loop(events)
        finally:
            decimal.setcontext(before)
        if self.matched:
            self._flush()

    def tick(self, now_us: int, event: Any = None) -> None:
        """Let time pass without events: nothing older than `now_us - grace` is expected any more.

        The tick is part of the input: a replay must give the same ticks at the same places.

        Args:
            now_us: the time, microseconds.
            event: the recorded tick, of which verdicts tell the position.
        """
        self._advance_seconds((now_us - self._grace) // SECOND_US, event)
        if self.matched:
            self._flush()

    def rejudge(self, state: State, event: Any) -> None:
        """Judge a closed state again; a verdict is told only if it says something new."""
        self._decide(state, self._judge.final(state), event, late=False)

    def key_of(self, event: Any) -> str:
        """The key of an event that some leg wants."""
        getter = self._key_getters.get(event.h_type)
        if getter is None:
            bound = self.program.leg_of(event.h_source, event.h_type)
            assert bound is not None
            getter = operator.attrgetter(".".join(("h_payload", *bound.key)))
            shared = sum(leg.leg.type == event.h_type for leg in self.program.legs) == 1
            if shared:
                self._key_getters[event.h_type] = getter
        key: str = getter(event)
        return key

    def groups_of(self, key: str, us: int) -> list[Any]:
        """The groups that an event of this key and time belongs to, but for sessions."""
        match self._window.type:
            case "per_key":
                return [key]
            case "tumbling":
                return [(key, us - us % self._window.size)]
            case "sliding":
                every = self._window.every
                starts = range(us - us % every, us - self._window.size, -every)
                return [(key, start) for start in starts]
            case "session":
                return list(self.sessions.get(key, ()))

    def states_of(self, key: str) -> list[State]:
        """The open windows of a key."""
        if self._per_key:
            state = self.open.get(key)
            return [state] if state is not None else []
        return [state for group, state in self.open.items() if group[0] == key]

    def holds(self, group: Any) -> bool:
        """Whether a group is open, or closed and still known."""
        return group in self.open or group in self.closed

    def finish(self) -> None:
        """The input has ended: decide everything that is open."""
        while self.buckets:
            last = max(self.buckets)
            self._advance_seconds(max(last, self.qwm), None)
        if self.matched:
            self._flush()

    def next_due(self) -> int | None:
        """The second at which something falls due if no more event comes; None: nothing open."""
        return min(self.buckets, default=None)

    # -- called by the generated loop -----------------------------------------------------------

    def template(self, leg: int) -> State:
        """State of a key that a leg has just opened."""
        required = sum(bound.leg.required for bound in self.program.legs)
        state = layout.empty(len(self.program.legs), required, live=self.flavour.live)
        if self.program.legs[leg].leg.required:
            state[layout.LEFT] -= 1
        return state

    def offset(self, leg: int) -> int:
        """From the second of the event that opens a per-key window to its first deadline's."""
        legs = self.program.legs
        missing = [b.within for b in legs if b.leg.required and b.index != leg]
        return _second_of(min(missing) if missing else self._judge.span_us)

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
        self._advance_seconds((held - self._grace) // SECOND_US, event)

    def advance_to(self, time: Any, event: Any) -> None:
        """Events come in order of time: this one's time is the watermark."""
        self._advance_seconds((self._to_us(time) - self._grace) // SECOND_US, event)

    def rebased(self, state: State) -> None:
        """The anchor has come second, and legs are missing: time counts from it."""
        self._reschedule(state)

    def conditions(self, state: State, leg: int, payload: Any, event: Any) -> None:
        """Conditions that change how long legs may take, on an event that has arrived."""
        if self._judge.apply_conditions(state, self._view(leg, payload, event)):
            self._reschedule(state)

    def schedule_new(self, state: State, event: Any) -> None:
        self._reschedule(state)
        if state[layout.NEXT] <= self.qwm:
            self.overdue(state, event)

    def overdue(self, state: State, event: Any) -> None:
        """A window opened so late that its time is already over."""
        self.late_events += 1
        self._tally(state, 1)
        self._due(state, event, late=True)

    def judge_event(self, state: State, event: Any) -> None:
        """Something changed for a key."""
        if self.matched:
            self._flush()
        self._settle(state)
        if self._sheds and state[layout.STATUS] == layout.MATCHED:
            self._reopen(state, event)
        else:
            self._decide(state, self._judge.now(state, self._watermark()), event, late=False)

    def more(self, state: State, leg: int, payload: Any, event: Any) -> None:
        """Another event of a leg that has one: a duplicate, a further part, or one too many."""
        if self.matched:
            self._flush()
        self._settle(state)
        if self._add(state, leg, payload, event) and (
            state[layout.LEFT] == 0 or state[layout.STATUS] > 0
        ):
            if self._sheds and state[layout.STATUS] == layout.MATCHED:
                self._reopen(state, event)
                return
            self._decide(state, self._judge.now(state, self._watermark()), event, late=False)

    def late(self, state: State, leg: int, payload: Any, event: Any) -> None:
        """An event for a window that has closed: judged anew, at once."""
        if self.matched:
            self._flush()
        self._settle(state)
        if self._add(state, leg, payload, event):
            self.late_events += 1
            self._tally(state, 1)
            self._decide(state, self._judge.final(state), event, late=True)

    def _reopen(self, state: State, event: Any) -> None:
        """An event for a key that was matched and let go of: leave it to another pass."""
        self.reopened.setdefault(self._screen(state), self._number(event))

    def _number(self, event: Any) -> int:
        """Number of an event of this batch in the whole input."""
        return self.seen + next(i for i, other in enumerate(self._batch) if other is event)

    def suspect(self, state: State, event: Any) -> None:
        """The filter says that this key may have had a window before: leave it to another pass."""
        group = state[layout.GROUP]
        screen = self._key(state) if self._window.type == "session" else group
        state[layout.STATUS] = layout.MUTED
        if screen not in self.suspects:
            self.suspects[screen] = self._number(event)
        for other in self.sessions.get(self._key(state), ()):
            if other in self.open:
                self._mute(self.open[other])

    def unmute(self, screen: Any) -> None:
        """From here on this key's verdicts count."""
        groups = self.sessions.get(screen, ()) if self._window.type == "session" else (screen,)
        for group in groups:
            state = self.open.get(group) or self.closed.get(group)
            if state is not None and state[layout.STATUS] == layout.MUTED:
                last = state[layout.LAST]
                state[layout.STATUS] = last[0] if last else layout.UNDECIDED

    def session(self, key: str, us: int) -> tuple[str, int]:
        """The group of the session that an event at this time belongs to; joins what it bridges."""
        gap = self._window.size
        groups = self.sessions.setdefault(key, [])
        found = []
        for group in groups:
            state = self.open.get(group) or self.closed.get(group)
            if state is not None and state[layout.START] - gap < us < state[layout.END] + gap:
                found.append(group)
        if not found:
            group = (key, us)
            groups.append(group)
            return group
        for other in found[1:]:
            self._merge(found[0], other)
        return found[0]  # type: ignore[no-any-return]

    def extend(self, group: Any, us: int) -> None:
        """A session reaches to its newest event."""
        state = self.open.get(group) or self.closed.get(group)
        if state is not None:
            state[layout.START] = min(state[layout.START], us)
            state[layout.END] = max(state[layout.END], us)
            if state[layout.NEXT] is not None:
                self._reschedule(state)

    # -- states from elsewhere ------------------------------------------------------------------

    def admit(self, state: State, *, closed: bool) -> None:
        """Take in a state that was stored: an open window, or a closed one to judge anew."""
        group = state[layout.GROUP]
        if self._window.type == "session":
            groups = self.sessions.setdefault(self._key(state), [])
            if group not in groups:
                groups.append(group)
        if closed:
            state[layout.NEXT] = None
            self.closed[group] = state
        else:
            self.open[group] = state
            self.buckets.setdefault(state[layout.NEXT], []).append(state)

    def progress(self) -> "Progress":
        """How far the watermark has come; with the open states, all there is to remember."""
        marks = [None if mark == self._low else self._to_us(mark) for mark in self.marks]
        return Progress(marks=marks, qwm=self.qwm, first_us=self._first_us)

    def resume(self, progress: "Progress") -> None:
        """Go on from there; for events whose time is in microseconds."""
        self.marks = [self._low if mark is None else mark for mark in progress.marks]
        self._first_us = progress.first_us
        self.qwm = progress.qwm
        self._advance_seconds(self.qwm, None)

    def resume_clock(self, other: "Engine") -> None:
        """Begin at the time that another engine, of another version, has reached."""
        self._first_us = other._first_us  # noqa: SLF001 - of the same class
        self._advance_seconds(other.qwm, None)

    def follow(self, other: "Engine", event: Any) -> None:
        """Let time pass as it has for another engine."""
        self._advance_seconds(other.qwm, event)
        if self.matched:
            self._flush()

    def forget_closed(self) -> None:
        """Drop the closed states that were taken in for a batch."""
        for group, state in self.closed.items():
            if self._window.type == "session":
                self._forget_session(group, state)
        self.closed.clear()

    def store(self, state: State, leg: int, payload: Any, event: Any) -> None:
        """Add an event to a state without judging, as when it was first seen."""
        if state[layout.BASE] is None:
            state[layout.BASE] = event.h_time
        if self._add(state, leg, payload, event) and self._judge.has_conditions:
            self._judge.apply_conditions(state, self._view(leg, payload, event))

    # -- inside ---------------------------------------------------------------------------------

    def _view(self, leg: int, payload: Any, event: Any) -> Any:
        bound = self.program.legs[leg].leg
        return judge.view(payload, bound, event)

    def _tally(self, state: State, what: int) -> None:
        if self.flavour.screened:
            self.tallies.setdefault(hash(self._screen(state)), [0, 0])[what] += 1

    def _watermark(self) -> int:
        return self.qwm * SECOND_US

    def _mute(self, state: State) -> None:
        state[layout.STATUS] = layout.MUTED

    def _add(self, state: State, leg: int, payload: Any, event: Any) -> bool:
        """Put an event into its leg; False when it was there before."""
        at = layout.ids(leg)
        place = layout.positions(leg, len(self.program.legs))
        identity = event.h_id
        known = state[at]
        if known is None:
            many = self.program.legs[leg].leg.cardinality == "many"
            state[at] = [identity] if many else identity
            form = self._forms[leg].attribute
            if form:
                payload = getattr(payload, form)
            if form is not None:
                state[at + 1] = [payload] if many else payload
            if self.flavour.live:
                state[place] = [event.position] if many else event.position
            if self.program.legs[leg].leg.required:
                state[layout.LEFT] -= 1
            if leg == self.contract.anchor:
                state[layout.BASE] = event.h_time
            return True
        if identity == known or (isinstance(known, list) and identity in known):
            self.duplicates += 1
            self._tally(state, 0)
            return False
        if isinstance(known, list):
            known.append(identity)
            if self.program.legs[leg].leg.cardinality == "many":
                state[at + 1].append(payload)
            if self.flavour.live:
                state[place].append(event.position)
        else:
            state[at] = [known, identity]
            if self.flavour.live:
                state[place] = [state[place], event.position]
        return True

    def _reschedule(self, state: State) -> None:
        second = _second_of(self._judge.next_deadline(state))
        if state[layout.NEXT] != second:
            state[layout.NEXT] = second
            self.buckets.setdefault(second, []).append(state)

    def _advance_seconds(self, second: int, event: Any) -> None:
        if second > self.qwm:
            due = self._due_seconds(second)
            for at in due:
                self.qwm = max(self.qwm, at)
                self._expire(self.buckets.pop(at), at, event)
            self.qwm = second
        base = max((self.qwm + 1) * SECOND_US + self._grace, -(1 << 61))
        if not self.flavour.live:
            self.tick_at = _EPOCH + timedelta(microseconds=base) if base > 0 else self._low
        else:
            self.tick_at = base

    def _expire(self, states: list[State], at: int, event: Any) -> None:
        """Look at what falls due in one second; most of it is decided and only ends."""
        plain, open_, bits, closed = self._uniform, self.open, self.bits, self.closed
        retain, note = self.retain, self.closed_hashes.append
        rest = []
        for state in states:
            if state[layout.NEXT] != at:
                continue
            if plain and state[layout.STATUS] > 0 and state[layout.LEFT] == 0:
                group = state[layout.GROUP]
                state[layout.NEXT] = None
                del open_[group]
                if bits is not None:
                    h = hash(group)
                    note(h)
                    h &= FILTER_BITS - 1
                    bits[h >> 3] |= 1 << (h & 7)
                if retain:
                    closed[group] = state
            else:
                rest.append(state)
        # By key, not by arrival in the bucket: the same after a restart.
        rest.sort(key=group_order)
        for state in rest:
            if state[layout.NEXT] == at:
                self._due(state, event, late=False)

    def _due_seconds(self, second: int) -> Iterable[int]:
        span = second - self.qwm
        if span < len(self.buckets):
            return [at for at in range(self.qwm + 1, second + 1) if at in self.buckets]
        return sorted(at for at in self.buckets if at <= second)

    def _due(self, state: State, event: Any, *, late: bool) -> None:
        """The watermark has reached a deadline of this key."""
        if self.matched:
            self._flush()
        self._settle(state)
        now = max(self.qwm, state[layout.NEXT] if not late else self.qwm) * SECOND_US
        self._decide(state, self._judge.at(state, now), event, late=late)
        if _second_of(self._judge.close_us(state)) <= max(self.qwm, now // SECOND_US):
            self._close(state)
            return
        second = _second_of(self._judge.deadline_after(state, now))
        state[layout.NEXT] = max(second, self.qwm + 1)
        self.buckets.setdefault(state[layout.NEXT], []).append(state)

    def _close(self, state: State) -> None:
        group = state[layout.GROUP]
        state[layout.NEXT] = None
        self.open.pop(group, None)
        if self.bits is not None:
            screen = self._key(state) if self._window.type == "session" else group
            h = hash(screen)
            self.closed_hashes.append(h)
            h &= FILTER_BITS - 1
            self.bits[h >> 3] |= 1 << (h & 7)
        if self.retain:
            self.closed[group] = state
        elif self._window.type == "session":
            self._forget_session(group, state)

    def _forget_session(self, group: Any, state: State) -> None:
        groups = self.sessions.get(self._key(state))
        if groups is not None and group in groups:
            groups.remove(group)
            if not groups:
                del self.sessions[self._key(state)]

    def _merge(self, into: Any, other: Any) -> None:
        """An event has bridged two sessions: the second's events join the first."""
        first = self.open.get(into) or self.closed[into]
        second = self.open.pop(other, None) or self.closed.pop(other)
        self._forget_session(other, second)
        second[layout.NEXT] = None
        self._judge.merge(first, second)
        if into in self.open:
            self._reschedule(first)

    # -- verdicts out ---------------------------------------------------------------------------

    def _flush(self) -> None:
        """Tell the verdicts of the keys that were matched at once."""
        matched = self.matched
        self.counts["matched"] += len(matched)
        if self.on_matched is not None:
            self.on_matched(matched)
        elif self.on_verdict is not None:
            for state, event in matched:
                self.told = state
                state[layout.REVISION] = 1
                self.on_verdict(self._verdict(state, judge.MATCHED, event, late=False))
        matched.clear()

    def _settle(self, state: State) -> None:
        """Write down what the loop left out when it matched a key at once."""
        if state[layout.STATUS] == layout.MATCHED and state[layout.LAST] is None:
            state[layout.REVISION] = 1
            state[layout.LAST] = (layout.MATCHED, (), -1)

    def _key(self, state: State) -> str:
        group = state[layout.GROUP]
        key: str = group if self._per_key else group[0]
        return key

    def _decide(
        self, state: State, judgement: judge.Judgement | None, event: Any, *, late: bool
    ) -> None:
        if judgement is None:
            return
        last = state[layout.LAST]
        said = (judgement.code, judgement.reasons, self._judge.events_count(state))
        if last is not None and last[2] == said[2] and last[:2] == said[:2]:
            return
        state[layout.LAST] = said
        state[layout.REVISION] += 1
        verdict = None
        muted = state[layout.STATUS] == layout.MUTED
        if self.on_verdict is not None and not (muted and self.flavour.chosen):
            verdict = self._verdict(state, judgement, event, late=late)
        self.told = state
        told = Withheld(self._screen(state), judgement, last, verdict)
        if not muted:
            state[layout.STATUS] = judgement.code
            self.tell(told)
        elif self.flavour.screened:
            self.withheld.append(told)

    def tell(self, told: "Withheld") -> None:
        """Count a verdict and hand it out."""
        if told.last is not None:
            self._count(told.last[0], told.last[1], -1)
        self._count(told.judgement.code, told.judgement.reasons, 1)
        if told.verdict is not None and self.on_verdict is not None:
            self.on_verdict(told.verdict)

    def _screen(self, state: State) -> Any:
        return self._key(state) if self._window.type == "session" else state[layout.GROUP]

    def _count(self, code: int, reasons: tuple[str, ...], step: int) -> None:
        self.counts[judge.NAMES[code]] += step
        for reason in reasons:
            left = self.reasons.get(reason, 0) + step
            self.reasons[reason] = left
            if left == 0:
                del self.reasons[reason]

    def _verdict(
        self, state: State, judgement: judge.Judgement, event: Any, *, late: bool
    ) -> verdicts.Verdict:
        reached = max(self.qwm, 0) * SECOND_US
        time_us = self._to_us(event.h_time) if event is not None else reached
        return self._judge.verdict(
            state,
            judgement,
            decided_us=clock.Timestamp(max(reached, time_us)),
            completed_us=clock.Timestamp(time_us),
            position=event.position if self.flavour.live and event is not None else 0,
            late=late,
        )
