"""The semantics of contracts over streams, slow and obvious, to compare the engine with.

Written from the documentation, without a look at how the engine decides: what is said of a key
after each step is computed anew from everything that came before the step. Conditions and rules
are Python functions beside their texts.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

SECOND_US = 1_000_000

Group: TypeAlias = tuple[str, int]
"""Key, and what tells the windows of a key apart; 0 for windows per key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, its time in microseconds; `fields` is the payload without the key."""

    id: str
    source: str
    type: str
    key: str
    time: int
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tick:
    """A clock tick: the time, in microseconds."""

    time: int


Step: TypeAlias = Event | Tick
Condition: TypeAlias = tuple[str, Callable[[Event], bool]]
"""A text in CEL, and what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A leg; times in seconds; `cases` are conditions and the times they give."""

    name: str
    type: str
    source: str | None = None
    cardinality: Literal["one", "many", "optional"] = "one"
    require: Condition | None = None
    within: int | None = None
    cases: tuple[tuple[Condition, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule: the legs it reads, and what it means; a KeyError is a rule_error."""

    name: str
    text: str
    legs: tuple[str, ...]
    holds: Callable[..., bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A contract; times in seconds."""

    name: str = "model"
    tenant: str = "default"
    window: Literal["per_key", "tumbling", "sliding", "session"] = "per_key"
    size: int = 30
    every: int = 10
    grace: int = 5
    idle: int = 30
    legs: tuple[Leg, ...]
    anchor: str | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def anchor_name(self) -> str:
        return self.anchor or self.legs[0].name

    def leg_of(self, event: Event) -> Leg | None:
        """The leg that wants an event, whether it meets the leg's requirement or not."""
        for leg in self.legs:
            if leg.type == event.type and leg.source in (None, event.source):
                return leg
        return None

    def yaml(self) -> str:
        """The contract as a document."""
        lines = [
            "apiVersion: helios.io/v1",
            "kind: StreamContract",
            f"metadata: {{name: {self.name}, client_id: {self.tenant}}}",
            "spec:",
            "  key: payload.k",
            *([f"  anchor: {self.anchor}"] if self.anchor else []),
            f"  window: {{type: {self.window}, {self._lengths()}}}",
            "  legs:",
        ]
        for leg in self.legs:
            lines += _leg_lines(leg)
        if self.rules:
            lines.append("  rules:")
            lines += [f'    - {{name: {r.name}, check: "{r.text}"}}' for r in self.rules]
        return "\n".join(lines) + "\n"

    def _lengths(self) -> str:
        common = f", grace: {self.grace}s, idle_timeout: {self.idle}s"
        if self.window == "session":
            return f"gap: {self.size}s{common}"
        every = f", every: {self.every}s" if self.window == "sliding" else ""
        return f"size: {self.size}s{every}{common}"


def _leg_lines(leg: Leg) -> list[str]:
    lines = [f"    {leg.name}:", f"      type: {leg.type}", f"      cardinality: {leg.cardinality}"]
    if leg.source is not None:
        lines.append(f"      source: {leg.source}")
    if leg.require is not None:
        lines.append(f'      require: "{leg.require[0]}"')
    if leg.cases:
        lines += ["      within:", f"        default: {leg.within}s", "        when:"]
        lines += [f'          - {{if: "{c[0]}", then: {then}s}}' for c, then in leg.cases]
    elif leg.within is not None:
        lines.append(f"      within: {leg.within}s")
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A verdict, as far as the model says it. `step` is the number of what caused it."""

    status: str
    missing: tuple[str, ...]
    errors: tuple[str, ...]
    events: Mapping[str, tuple[str, ...]]
    step: int

    def says(self, other: "Said") -> bool:
        """Whether both say the same, whenever they say it."""
        return (self.status, self.missing, self.errors, self.events) == (
            other.status,
            other.missing,
            other.errors,
            other.events,
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """The number of a step, and how far the watermark has come then, in microseconds."""

    step: int
    now: int

    def is_past(self, deadline: int) -> bool:
        return deadline < self.now


@dataclass(slots=True)
class Outcome:
    """What a history gives.

    Attributes:
        said: per group, its verdicts in order.
        duplicates: events that had been seen before.
        ignored: events that no leg wants, or that do not meet their leg's requirement.
    """

    said: dict[Group, list[Said]] = field(default_factory=dict)
    duplicates: int = 0
    ignored: int = 0

    @property
    def final(self) -> dict[Group, Said]:
        """The verdicts that nothing supersedes."""
        return {group: said[-1] for group, said in self.said.items() if said}


class _Windows:
    """The windows of one key, and the events in each in the order in which they came."""

    def __init__(self, key: str, spec: Spec) -> None:
        self._key = key
        self._spec = spec
        self._seen: list[Event] = []
        self.members: dict[Group, list[Event]] = {}
        self.closed: set[Group] = set()

    def is_new(self, event: Event) -> bool:
        return all((e.source, e.id) != (event.source, event.id) for e in self._seen)

    def put(self, event: Event, told: Collection[Group]) -> list[Group]:
        """Add an event to all windows that it belongs to."""
        self._seen.append(event)
        groups = self._groups(event, told)
        for group in groups:
            self.members.setdefault(group, []).append(event)
        return groups

    def _groups(self, event: Event, told: Collection[Group]) -> list[Group]:
        size, every = self._spec.size * SECOND_US, self._spec.every * SECOND_US
        match self._spec.window:
            case "per_key":
                return [(self._key, 0)]
            case "tumbling":
                return [(self._key, event.time // size * size)]
            case "sliding":
                newest = event.time // every * every
                return [(self._key, start) for start in range(newest, event.time - size, -every)]
            case "session":
                return [self._session(event, told)]

    def _session(self, event: Event, told: Collection[Group]) -> Group:
        """The first session less than the gap away; it takes in the others it can.

        One of which a verdict was told stays what it was. The first event of those that join
        is the one by which they are known from then on: that of the first session.
        """
        near = sorted(
            group
            for group, members in self.members.items()
            if any(abs(event.time - m.time) < self._spec.size * SECOND_US for m in members)
        )
        if not near:
            return (self._key, event.time)
        for other in near[1:]:
            if other not in told:
                self.members[near[0]] += self.members.pop(other)
        return near[0]


class Model:
    """Judges histories by one contract.

    Args:
        spec: the contract.
        ordered: events come in order of time, and the time of each is the watermark.
    """

    def __init__(self, spec: Spec, *, ordered: bool) -> None:
        self._spec = spec
        self._ordered = ordered

    def run(self, history: Sequence[Step], *, ends: bool = True) -> Outcome:
        """The verdicts of a history; if it ends, everything open is decided."""
        outcome = Outcome()
        usable = [(n, step) for n, step in enumerate(history) if self._is_used(step, outcome)]
        grace = self._spec.grace * SECOND_US
        ticks = {n: t.time - grace for n, t in enumerate(history) if isinstance(t, Tick)}
        keys = dict.fromkeys(step.key for _, step in usable if isinstance(step, Event))
        reached = self._watermarks(history)
        for key in keys:
            own = [(n, e) for n, e in usable if isinstance(e, Event) and e.key == key]
            self._run_key(key, own, reached, ticks, outcome, ends=ends)
        return outcome

    def _is_used(self, step: Step, outcome: Outcome) -> bool:
        if isinstance(step, Tick):
            return True
        leg = self._spec.leg_of(step)
        if leg is None or (leg.require is not None and not _true(leg.require, step)):
            outcome.ignored += 1
            return False
        return True

    # -- time -----------------------------------------------------------------------------------

    def _watermarks(self, history: Sequence[Step]) -> list[tuple[int, int]]:
        """Per step the watermark before and after it, in whole seconds; it never goes back."""
        found = []
        now = -(1 << 60)
        for n, step in enumerate(history):
            before = now
            now = max(now, self._watermark(history[: n + 1], step))
            found.append((before, now))
        return found

    def _watermark(self, seen: Sequence[Step], last: Step) -> int:
        grace = self._spec.grace * SECOND_US
        if isinstance(last, Tick) or self._ordered:
            return (last.time - grace) // SECOND_US
        marks: dict[str, int] = {}
        for step in seen:
            leg = self._spec.leg_of(step) if isinstance(step, Event) else None
            if leg is not None:
                source = leg.source or f"any:{leg.name}"
                marks[source] = max(marks.get(source, step.time), step.time)
        if not marks:
            return -(1 << 60)
        sources = {leg.source or f"any:{leg.name}" for leg in self._spec.legs}
        slowest = min(marks.values())
        if set(marks) != sources:
            wanted = [s for s in seen if isinstance(s, Event) and self._spec.leg_of(s) is not None]
            slowest = min(slowest, wanted[0].time)
        held = max(slowest, max(marks.values()) - self._spec.idle * SECOND_US)
        return (held - grace) // SECOND_US

    # -- one key --------------------------------------------------------------------------------

    def _run_key(
        self,
        key: str,
        events: Sequence[tuple[int, Event]],
        reached: Sequence[tuple[int, int]],
        ticks: Mapping[int, int],
        outcome: Outcome,
        *,
        ends: bool,
    ) -> None:
        """Every window of the key, step by step: its events so far, and the seconds that pass."""
        windows = _Windows(key, self._spec)
        arrivals = dict(events)
        for n, (before, after) in enumerate(reached):
            event = arrivals.get(n)
            if event is not None and not self._ordered:
                self._arrive(windows, event, Moment(n, before * SECOND_US), outcome)
            self._pass(windows, before, Moment(n, after * SECOND_US), outcome)
            if n in ticks:
                self._tick(windows, Moment(n, max(after * SECOND_US, ticks[n])), outcome)
            if event is not None and self._ordered:
                self._arrive(windows, event, Moment(n, after * SECOND_US), outcome)
        if ends:
            last = reached[-1][1] if reached else 0
            self._pass(windows, last, Moment(len(reached), 1 << 80), outcome)

    def _arrive(self, windows: "_Windows", event: Event, moment: Moment, outcome: Outcome) -> None:
        if not windows.is_new(event):
            outcome.duplicates += 1
            return
        told = {group for group, said in outcome.said.items() if said}
        for group in windows.put(event, told):
            if group in told or group in windows.closed or len(windows.members[group]) == 1:
                self._say(windows, group, moment, outcome)
            else:
                # Whether time is up is looked at when time moves.
                self._say(windows, group, Moment(moment.step, -(1 << 80)), outcome)

    def _pass(self, windows: "_Windows", before: int, moment: Moment, outcome: Outcome) -> None:
        """Let the watermark move: whatever falls due on the way is said."""
        for group, members in windows.members.items():
            ends = [self._deadline(group, members, leg) for leg in self._spec.legs]
            ends.append(self._close(group, members))
            for second in sorted({before + 1, *(_second(end) for end in ends)}):
                if before < second <= moment.now // SECOND_US and group not in windows.closed:
                    self._say(windows, group, Moment(moment.step, second * SECOND_US), outcome)

    def _tick(self, windows: "_Windows", moment: Moment, outcome: Outcome) -> None:
        """A clock is read to the microsecond; what was told of a window already can wait."""
        second = moment.now // SECOND_US * SECOND_US
        for group, members in windows.members.items():
            if group in windows.closed or outcome.said.get(group):
                continue
            absent = [leg for leg in self._spec.legs if self._is_absent(leg, members)]
            ends = [self._deadline(group, members, leg) for leg in absent]
            ends.append(self._close(group, members))
            if any(second <= end < moment.now for end in ends):
                self._say(windows, group, moment, outcome)

    def _is_absent(self, leg: Leg, members: Sequence[Event]) -> bool:
        return leg.cardinality != "optional" and all(self._name(e) != leg.name for e in members)

    def _say(self, windows: "_Windows", group: Group, moment: Moment, outcome: Outcome) -> None:
        said = outcome.said.setdefault(group, [])
        members = windows.members[group]
        judged = self._judge(
            group, members, moment, told=bool(said), is_closed=group in windows.closed
        )
        if _second(self._close(group, members)) <= moment.now // SECOND_US:
            windows.closed.add(group)
        if judged is not None and not (said and judged.says(said[-1])):
            said.append(judged)

    # -- judging --------------------------------------------------------------------------------

    def _base(self, members: Sequence[Event]) -> int:
        anchors = [e for e in members if self._name(e) == self._spec.anchor_name]
        return (anchors or members)[0].time

    def _name(self, event: Event) -> str:
        leg = self._spec.leg_of(event)
        assert leg is not None
        return leg.name

    def _end(self, group: Group, members: Sequence[Event]) -> int:
        size = self._spec.size * SECOND_US
        match self._spec.window:
            case "per_key":
                return self._base(members) + size
            case "session":
                return max(e.time for e in members) + size
            case _:
                return group[1] + size

    def _deadline(self, group: Group, members: Sequence[Event], leg: Leg) -> int:
        for condition, then in leg.cases:
            if any(_true(condition, event) for event in members):
                return self._base(members) + then * SECOND_US
        if leg.within is None:
            return self._end(group, members)
        return self._base(members) + leg.within * SECOND_US

    def _close(self, group: Group, members: Sequence[Event]) -> int:
        ends = [self._deadline(group, members, leg) for leg in self._spec.legs]
        return max(self._end(group, members), *ends)

    def _judge(
        self,
        group: Group,
        members: Sequence[Event],
        moment: Moment,
        *,
        told: bool,
        is_closed: bool,
    ) -> Said | None:
        by_leg = {
            leg.name: [e for e in members if self._name(e) == leg.name] for leg in self._spec.legs
        }
        events = {name: tuple(e.id for e in own) for name, own in by_leg.items() if own}
        absent = [
            leg for leg in self._spec.legs if leg.cardinality != "optional" and not by_leg[leg.name]
        ]
        errors, can_mend = self._errors(by_leg)

        def said(status: str, missing: Sequence[Leg] = ()) -> Said:
            return Said(
                status=status,
                missing=tuple(leg.name for leg in missing),
                errors=tuple(sorted(errors)),
                events=events,
                step=moment.step,
            )

        if absent:
            due = [
                leg
                for leg in absent
                if is_closed or moment.is_past(self._deadline(group, members, leg))
            ]
            return said("partial", due) if due else None
        if not errors:
            return said("matched")
        is_over = is_closed or moment.is_past(self._close(group, members))
        return None if can_mend and not told and not is_over else said("mismatched")

    def _errors(self, by_leg: Mapping[str, list[Event]]) -> tuple[list[str], bool]:
        """What is wrong with the legs that are there; whether further events may mend it all."""
        legs = {leg.name: leg for leg in self._spec.legs}
        surplus = [
            name
            for name, own in by_leg.items()
            if legs[name].cardinality != "many" and len(own) > 1
        ]
        errors = [f"{name}_cardinality" for name in surplus]
        can_mend = not errors
        for rule in self._spec.rules:
            if any(not by_leg[name] or name in surplus for name in rule.legs):
                continue
            given = [
                [e.fields for e in by_leg[name]]
                if legs[name].cardinality == "many"
                else by_leg[name][0].fields
                for name in rule.legs
            ]
            try:
                holds = rule.holds(*given)
            except (KeyError, TypeError):
                holds = False
            if not holds:
                errors.append(rule.name)
                can_mend &= any(legs[name].cardinality == "many" for name in rule.legs)
        return errors, can_mend


def _true(condition: Condition, event: Event) -> bool:
    try:
        return condition[1](event) is True
    except (KeyError, TypeError):
        return False


def _second(deadline: int) -> int:
    """The first whole second at which a deadline has passed."""
    return deadline // SECOND_US + 1
