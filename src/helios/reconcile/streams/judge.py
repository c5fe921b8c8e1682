"""What is to be said of a key: pure functions of its state.

- All required legs there and every rule holds: matched.
- A rule fails, and it reads only legs of which no more may come: mismatched, at once. If it reads a
  leg of cardinality many, more may come: it waits for the window's end, unless the key has been
  decided before, when the change is told at once.
- A required leg is missing past its time: partial, with what the rules that can be evaluated say.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from helios.kernel import clock
from helios.reconcile.streams import compact, expressions, layout, program, verdicts
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams.cel import compile as cel
from helios.reconcile.streams.layout import State

NAMES: dict[int, verdicts.Status] = {
    layout.MATCHED: "matched",
    layout.MISMATCHED: "mismatched",
    layout.PARTIAL: "partial",
}


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """A status, and why.

    Attributes:
        code: of `layout`.
        reasons: rules that fail, or `missing_<leg>`; for counting.
        missing: names of legs past their time.
        errors: what the failing rules say.
    """

    code: int
    reasons: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    errors: dict[str, dict[str, Any]] = {}


MATCHED = Judgement(layout.MATCHED)


def view(payload: Any, leg: contracts.Leg, event: Any) -> Any:
    """An event as conditions see it."""
    return expressions.EventView(payload, leg.type, event.h_source, event.h_id)


class Judge:
    """Judges the states of one contract.

    Attributes:
        span_us: how long a per-key window is open at most, without grace or conditions.
        to_us: event times to microseconds.
        has_conditions: whether some leg's time depends on what has arrived.
    """

    def __init__(
        self,
        compiled: program.Program,
        to_us: Callable[[Any], int],
        kept: list[compact.Form],
    ) -> None:
        self.to_us = to_us
        self._wraps = [form.wrap for form in kept]
        self._program = compiled
        self._contract = compiled.contract
        self._legs = compiled.legs
        self._window = compiled.contract.window
        self._required = [b.index for b in compiled.legs if b.leg.required]
        self.span_us = max([self._window.size, *(b.within for b in compiled.legs)])
        self.has_conditions = any(b.within_when for b in compiled.legs)
        self._waits = {
            n
            for n, rule in enumerate(compiled.rules)
            if any(compiled.legs[leg].leg.cardinality == "many" for leg in rule.legs)
        }

    # -- time -----------------------------------------------------------------------------------

    def window(self, state: State) -> tuple[int, int]:
        """Start and end of a state's window, in microseconds."""
        start = state[layout.START]
        if start is None:
            base = self.to_us(state[layout.BASE])
            return base, base + self._window.size
        if self._window.type == "session":
            return start, state[layout.END]
        return start, start + self._window.size

    def _leg_deadline(self, state: State, leg: int) -> int:
        bound = self._legs[leg]
        changed = state[layout.WITHIN]
        if changed is not None and leg in changed:
            within: int = changed[leg][1]
        elif bound.leg.within is None and state[layout.START] is not None:
            return self._window_end(state)
        else:
            within = bound.within
        return self.to_us(state[layout.BASE]) + within

    def _window_end(self, state: State) -> int:
        _, end = self.window(state)
        return end + self._window.size if self._window.type == "session" else end

    def close_us(self, state: State) -> int:
        """When nothing more is waited for."""
        ends = [self._leg_deadline(state, b.index) for b in self._legs]
        return max(self._window_end(state), *ends)

    def next_deadline(self, state: State) -> int:
        """The first moment at which time alone may decide something."""
        ends = [self._leg_deadline(state, i) for i in self._absent(state)]
        return min(ends) if ends else self.close_us(state)

    def deadline_after(self, state: State, now: int) -> int:
        """Likewise, after `now`."""
        ends = [self._leg_deadline(state, i) for i in self._absent(state)]
        return min([end for end in ends if end >= now] + [self.close_us(state)])

    def apply_conditions(self, state: State, event: Any) -> bool:
        """See whether an event that has come changes how long a leg may take."""
        changed = False
        for bound in self._legs:
            for number, (condition, duration) in enumerate(bound.within_when):
                known = (state[layout.WITHIN] or {}).get(bound.index)
                if known is not None and known[0] <= number:
                    break
                if _holds(condition, event):
                    within = dict(state[layout.WITHIN] or {})
                    within[bound.index] = (number, duration)
                    state[layout.WITHIN] = within
                    changed = True
                    break
        return changed

    # -- judging --------------------------------------------------------------------------------

    def now(self, state: State, watermark_us: int) -> Judgement | None:
        """On an event: None when nothing can be said yet."""
        if state[layout.LEFT] > 0:
            return self._partial(state, watermark_us) if state[layout.LAST] is not None else None
        failed, errors = self._failures(state)
        if not errors:
            return MATCHED
        if state[layout.LAST] is None and failed and failed <= self._waits:
            return None
        return Judgement(layout.MISMATCHED, tuple(sorted(errors)), (), errors)

    def at(self, state: State, now_us: int) -> Judgement | None:
        """At a deadline."""
        if state[layout.LEFT] > 0:
            return self._partial(state, now_us)
        if state[layout.LAST] is not None or self.close_us(state) >= now_us:
            return None
        return self.final(state)

    def final(self, state: State) -> Judgement:
        """After the window has closed: nothing is waited for."""
        if state[layout.LEFT] > 0:
            judgement = self._partial(state, None)
            assert judgement is not None
            return judgement
        _, errors = self._failures(state)
        if not errors:
            return MATCHED
        return Judgement(layout.MISMATCHED, tuple(sorted(errors)), (), errors)

    def _surplus(self, state: State) -> list[int]:
        """Legs with one event too many."""
        return [
            bound.index
            for bound in self._legs
            if bound.leg.cardinality != "many" and isinstance(state[layout.ids(bound.index)], list)
        ]

    def _absent(self, state: State) -> list[int]:
        return [i for i in self._required if state[layout.ids(i)] is None]

    def _partial(self, state: State, now_us: int | None) -> Judgement | None:
        missing = tuple(
            self._legs[i].leg.name
            for i in self._absent(state)
            if now_us is None or self._leg_deadline(state, i) < now_us
        )
        if not missing:
            return None
        _, errors = self._failures(state)
        return Judgement(
            layout.PARTIAL, tuple(f"missing_{name}" for name in missing), missing, errors
        )

    def _failures(self, state: State) -> tuple[set[int], dict[str, dict[str, Any]]]:
        """Rules that fail, and what they and the cardinalities say."""
        errors: dict[str, dict[str, Any]] = {}
        surplus = self._surplus(state)
        for leg in surplus:
            count = len(state[layout.ids(leg)])
            errors[f"{self._legs[leg].leg.name}_cardinality"] = {"expected": 1, "actual": count}
        failed = set()
        for number, rule in enumerate(self._program.rules):
            if any(state[layout.ids(leg)] is None or leg in surplus for leg in rule.legs):
                # Absent, or one too many: which of them the rule should read, nobody can say.
                continue
            objects = [self._object(state, leg) for leg in rule.legs]
            try:
                if rule.compiled.evaluate(*objects) is True:
                    continue
                errors[rule.name] = self._sides(rule, objects)
            except cel.EvalError as error:
                errors[rule.name] = {"rule_error": error.reason}
            failed.add(number)
        if surplus:
            failed.add(-1)
        return failed, errors

    def _object(self, state: State, leg: int) -> Any:
        value = state[layout.payloads(leg)]
        wrap = self._wraps[leg]
        return value if wrap is None else wrap(value)

    def _sides(self, rule: program.BoundRule, objects: list[Any]) -> dict[str, Any]:
        """Both sides of a failed comparison; the side that reads the anchor is the expected one."""
        if rule.compiled.operands is None:
            return {"expected": True, "actual": False}
        by_name = dict(zip(rule.compiled.variables, objects, strict=True))
        left, right = rule.compiled.operands
        anchor = self._legs[self._contract.anchor].leg.name
        if anchor in left.variables and anchor not in right.variables:
            left, right = right, left
        sides = {}
        for name, side in (("expected", right), ("actual", left)):
            try:
                sides[name] = _plain(side.evaluate(*(by_name[v] for v in side.variables)))
            except cel.EvalError as error:
                sides[name] = error.reason
        return sides

    # -- telling --------------------------------------------------------------------------------

    def events_count(self, state: State) -> int:
        """How many events a state holds; each is counted once."""
        count = 0
        for bound in self._legs:
            known = state[layout.ids(bound.index)]
            count += len(known) if isinstance(known, list) else known is not None
        return count

    def verdict(
        self,
        state: State,
        judgement: Judgement,
        *,
        decided_us: clock.Timestamp,
        completed_us: clock.Timestamp,
        position: int,
        late: bool,
    ) -> verdicts.Verdict:
        """The verdict of a judgement."""
        start, end = self.window(state)
        events = {}
        for bound in self._legs:
            known = state[layout.ids(bound.index)]
            if known is not None:
                events[bound.leg.name] = list(known) if isinstance(known, list) else [known]
        done = judgement.code in {layout.MATCHED, layout.MISMATCHED}
        return verdicts.Verdict(
            tenant=self._contract.tenant,
            contract=self._contract.name,
            contract_version=self._program.version,
            key=key_of(state),
            window_id=window_id(state),
            window_start=clock.Timestamp(start),
            window_end=clock.Timestamp(end),
            revision=state[layout.REVISION],
            status=NAMES[judgement.code],
            events=events,
            missing_events=list(judgement.missing),
            validation_errors=judgement.errors,
            events_count=sum(map(len, events.values())),
            late=late,
            position=position,
            created_at=decided_us,
            reconciled_at=completed_us if done else None,
        )

    def pending(self, state: State) -> verdicts.Verdict:
        """What can be told of a window that is open and undecided."""
        moment = clock.Timestamp(self.to_us(state[layout.BASE]))
        made = self.verdict(
            state,
            Judgement(
                layout.PARTIAL, (), tuple(self._legs[i].leg.name for i in self._absent(state))
            ),
            decided_us=moment,
            completed_us=moment,
            position=0,
            late=False,
        )
        return msgspec.structs.replace(made, status="pending")

    def merge(self, into: State, other: State) -> None:
        """Join the events of two sessions of a key."""
        into[layout.BASE] = self._joint_base(into, other)
        into[layout.WITHIN] = _joint_within(into[layout.WITHIN], other[layout.WITHIN])
        for bound in self._legs:
            at = layout.ids(bound.index)
            if other[at] is None:
                continue
            if into[at] is None:
                for slot in self._slots(into, bound.index):
                    into[slot] = other[slot]
                into[layout.LEFT] -= bound.leg.required
                continue
            for slot in self._slots(into, bound.index):
                if slot != at + 1 or bound.leg.cardinality == "many":
                    into[slot] = layout.listed(into[slot]) + layout.listed(other[slot])
        into[layout.START] = min(into[layout.START], other[layout.START])
        into[layout.END] = max(into[layout.END], other[layout.END])
        layout.doubt(into)

    def _joint_base(self, into: State, other: State) -> Any:
        """The anchor's time where it has come to one of them, else that of the earlier one."""
        anchor = layout.ids(self._contract.anchor)
        for state in (into, other):
            if state[anchor] is not None:
                return state[layout.BASE]
        return min(into[layout.BASE], other[layout.BASE])

    def _slots(self, state: State, leg: int) -> list[int]:
        at = layout.ids(leg)
        if not layout.has_positions(state, len(self._legs)):
            return [at, at + 1]
        return [at, at + 1, layout.positions(leg, len(self._legs))]

    def requirement(self, leg: int) -> Callable[[Any, Any], Any]:
        """The `require` of a leg, as a function of payload and event."""
        bound = self._legs[leg]
        condition = bound.require
        assert condition is not None

        def required(payload: Any, event: Any) -> bool:
            return _holds(condition, view(payload, bound.leg, event))

        return required


def key_of(state: State) -> str:
    """The key of a state: an order id."""
    group = state[layout.GROUP]
    key: str = group if isinstance(group, str) else group[0]
    return key


def window_id(state: State) -> int:
    """What tells the windows of a key apart; 0 where there is one per key."""
    group = state[layout.GROUP]
    return 0 if isinstance(group, str) else int(group[1])


def _joint_within(
    first: dict[int, tuple[int, int]] | None, second: dict[int, tuple[int, int]] | None
) -> dict[int, tuple[int, int]] | None:
    """The times of legs by the conditions that held in either; the first case wins."""
    if first is None or second is None:
        return first or second
    return {leg: min(w[leg] for w in (first, second) if leg in w) for leg in first | second}


def _plain(value: Any) -> Any:
    """A value as JSON can say it: a text that Decimal reads as a number need not be one."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if not isinstance(value, Decimal) or value.is_finite() else str(value)


def _holds(condition: cel.Compiled, event: Any) -> bool:
    """A condition that cannot be evaluated does not hold."""
    try:
        return condition.evaluate(*([event] if condition.variables else [])) is True
    except cel.EvalError:
        return False
