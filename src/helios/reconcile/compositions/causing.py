"""Which event causes which: what a pass says names what made it say so. Pure.

A stack remembers the last event of each thing that is open (`stack.Stack.marks`): of a drift, of
the plan, of its approval, of an action, of a request. What is said next of it, or because of it,
names that event. So from any state the way back to its first event is a walk from one event to
the one before, whatever process and whatever day each was appended in.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from helios.eventlog import envelope
from helios.kernel import tracing
from helios.reconcile.compositions import events, model, stack

Marks = Mapping[str, stack.Mark]

DECLARED = "declared"
OBSERVED = "observed"
PLAN = "plan"
APPROVAL = "approval"
SUSPENDED = "suspended"


class _Metadata(msgspec.Struct):
    traceparent: str = ""


class _Drift(msgspec.Struct):
    drift_id: str


class _OfDrift(msgspec.Struct):
    drift: _Drift


class _Action(msgspec.Struct):
    id: str


class _Heal(msgspec.Struct):
    action: _Action


class _OfHeal(msgspec.Struct):
    heal: _Heal


class _OfRun(msgspec.Struct):
    reconciliation_id: str


_NAMED: Mapping[str, str] = {
    events.STACK_DECLARED: DECLARED,
    events.STACK_OBSERVED: OBSERVED,
    events.STACK_SUSPENDED: SUSPENDED,
    events.PLAN_MADE: PLAN,
    events.APPROVAL_REQUESTED: APPROVAL,
    events.APPROVAL_GRANTED: APPROVAL,
    events.APPROVAL_DENIED: APPROVAL,
    events.APPROVAL_REVOKED: APPROVAL,
    events.APPROVAL_EXPIRED: APPROVAL,
}
_DRIFTS = frozenset(events.DRIFT_TYPES)
_HEALS = frozenset(events.HEAL_TYPES)
_metadata = msgspec.json.Decoder(_Metadata).decode


def trace_of(event: envelope.Event | envelope.NewEvent) -> tracing.Trace:
    """The trace that an event is part of: the one it came with, or else the one it begins."""
    try:
        found = tracing.parse(_metadata(event.metadata).traceparent)
    except msgspec.DecodeError:
        found = None
    return found or tracing.named(f"{event.tenant}|{event.source}|{event.id}")


def mark(event: envelope.Event) -> stack.Mark:
    """An event as a cause of others."""
    return stack.Mark(
        event_id=event.id,
        position=event.position,
        correlation_id=event.correlation_id,
        traceparent=trace_of(event).traceparent,
    )


def marked(after: stack.Stack, event: envelope.Event) -> stack.Stack:
    """A stack after an event, with that event remembered for as long as it may cause others."""
    subject = _subject_of(event)
    marks = dict(after.marks)
    if subject is not None:
        marks[subject] = _inherited(mark(event), marks.get(subject), event)
    is_open = _open(after)
    kept = {name: each for name, each in marks.items() if is_open(name)}
    if kept == after.marks:
        return after
    return msgspec.structs.replace(after, marks=kept)


def of_pass(state: stack.Stack, woke: stack.Mark | None) -> events.Because:
    """What a pass is there for: what was asked for first, else the event that woke it."""
    if not state.requested:
        found, correlation = woke, None
    else:
        asked = state.requested[0]
        found = state.marks.get(f"run:{asked.reconciliation_id}")
        correlation = asked.correlation_id or asked.reconciliation_id
    if found is None:
        return events.Because(correlation_id=correlation)
    return events.Because(
        correlation_id=correlation,
        causation_id=found.event_id,
        position=found.position,
        traceparent=found.traceparent,
    )


def because(
    state: stack.Stack,
    said: tuple[str, events.StackPayload],
    given: events.Because,
    *,
    fresh: Marks,
    last: stack.Mark | None = None,
    known: Marks,
) -> events.Because:
    """What an event is there for.

    Args:
        state: of the stack before it.
        said: its type and payload.
        given: who says it, and what it is there for where nothing nearer is.
        fresh: what is appended with it and before it, by subject; see `subjects`.
        last: what the same pass has said last.
        known: events of others, by id.
    """
    kind, payload = said
    case = _Case(state, kind, payload, {**state.marks, **fresh}, fresh, known)
    find = _CAUSES.get(type(payload))
    cause = None if find is None else find(case)
    if cause is None and (given.causation_id is None or isinstance(payload, _SUMS_UP)):
        cause = last
    if cause is None:
        return given
    belongs = cause.correlation_id if _goes_on(payload, cause) else None
    return msgspec.structs.replace(
        given,
        causation_id=cause.event_id,
        position=cause.position,
        correlation_id=given.correlation_id or belongs,
        traceparent=cause.traceparent or given.traceparent,
    )


def ordered(
    state: stack.Stack | None, said: tuple[str, events.StackPayload], actor: str
) -> events.Because:
    """What an event is there for that somebody ordered: what it answers to, if it is an answer."""
    given = events.Because(actor=actor)
    return given if state is None else because(state, said, given, fresh={}, known={})


def subjects(payload: events.StackPayload, kind: str) -> list[str]:
    """What an event is the newest about, for those that are appended with it."""
    match payload:
        case events.DriftMoved():
            return [f"drift:{payload.drift.drift_id}"]
        case events.HealMoved():
            healed = payload.heal.action
            return [f"heal:{healed.id}", *(f"mends:{each}" for each in healed.drift_ids)]
        case events.Requested():
            return [f"run:{payload.reconciliation_id}"]
    name = _NAMED.get(kind)
    return [] if name is None else [name]


class _Case(NamedTuple):
    """An event about to be said; `marks` are all that may cause it, with `fresh`."""

    state: stack.Stack
    kind: str
    payload: Any
    marks: Marks
    fresh: Marks
    known: Marks


def _of_drift(case: _Case) -> stack.Mark | None:
    drift: model.Drift = case.payload.drift
    marks, fresh = case.marks, case.fresh
    mended = fresh.get(f"mends:{drift.drift_id}")
    before = marks.get(f"drift:{drift.drift_id}")
    if mended is not None:
        return mended
    if drift.state == "superseded":
        return marks.get(DECLARED, before)
    if case.kind == events.DRIFT_RESOLVED:
        return fresh.get(OBSERVED, before)
    return before or _of_origin(drift.origin, case) or fresh.get(OBSERVED)


def _of_origin(origin: model.Origin, case: _Case) -> stack.Mark | None:
    if origin.event_id is None:
        return None
    found = case.known.get(origin.event_id)
    return found or stack.Mark(event_id=origin.event_id, position=origin.position)


def _of_plan(case: _Case) -> stack.Mark | None:
    plan: model.Plan = case.payload.plan
    if case.state.plan is not None and case.state.plan.plan_id == plan.plan_id:
        return case.marks.get(PLAN)
    meant = [drift_id for action in plan.actions for drift_id in action.drift_ids]
    return _newest(case.marks, (f"drift:{each}" for each in meant))


def _of_void(case: _Case) -> stack.Mark | None:
    said: events.PlanVoided = case.payload
    done: list[str] = []
    if said.code in ("done", "failed"):
        done = [each.action.id for each in case.state.heals if each.plan_id == said.plan_id]
    return _newest(case.marks, (f"heal:{each}" for each in done)) or case.marks.get(PLAN)


def _of_heal(case: _Case) -> stack.Mark | None:
    heal: model.Heal = case.payload.heal
    marks = case.marks
    before = marks.get(f"heal:{heal.action.id}")
    if before is not None:
        return before
    if heal.action.requires_approval and APPROVAL in marks:
        return marks[APPROVAL]
    ordered = [
        f"run:{each.reconciliation_id}"
        for each in case.state.requested
        if each.plan_digest == heal.digest
    ]
    needed = [f"heal:{each}" for each in heal.action.depends_on]
    return _newest(marks, ordered) or _newest(marks, needed) or marks.get(PLAN)


def _of_request(case: _Case) -> stack.Mark | None:
    return case.marks.get(PLAN) if case.payload.plan_digest is not None else None


def _of_look(case: _Case) -> stack.Mark | None:
    is_first = case.payload.generation != case.state.observed_generation
    return case.marks.get(DECLARED) if is_first else None


def _of_note(case: _Case) -> stack.Mark | None:
    return case.marks.get(SUSPENDED) if case.kind == events.STACK_RESUMED else None


def _of_asked(case: _Case) -> stack.Mark | None:
    return case.marks.get(PLAN)


def _of_answer(case: _Case) -> stack.Mark | None:
    return case.marks.get(APPROVAL)


_CAUSES: Mapping[type[msgspec.Struct], Callable[[_Case], stack.Mark | None]] = {
    events.DriftMoved: _of_drift,
    events.PlanMade: _of_plan,
    events.PlanVoided: _of_void,
    events.ApprovalRequested: _of_asked,
    events.ApprovalAnswered: _of_answer,
    events.ApprovalEnded: _of_answer,
    events.HealMoved: _of_heal,
    events.Requested: _of_request,
    events.Observed: _of_look,
    events.Noted: _of_note,
}


def _newest(marks: Marks, names: Iterable[str]) -> stack.Mark | None:
    """The one said last; what is being appended just now is."""
    found = [marks[name] for name in names if name in marks]
    return max(found, key=_place, default=None)


def _place(found: stack.Mark) -> float:
    return float("inf") if found.position is None else found.position


def _goes_on(payload: events.StackPayload, cause: stack.Mark) -> bool:
    """Whether it belongs to the operation of its cause, also in a pass made for something else.

    A drift that was suspected because somebody asked is detected, planned and healed for the same
    reason; what a provider or a person did by themselves is no operation of ours.
    """
    if isinstance(payload, events.DriftMoved):
        return cause.event_id != payload.drift.origin.event_id
    return isinstance(payload, _GO_ON)


def _inherited(found: stack.Mark, before: stack.Mark | None, event: envelope.Event) -> stack.Mark:
    """An answer that somebody gave belongs to the operation of what was asked."""
    if before is None or event.type not in _ANSWERS:
        return found
    return msgspec.structs.replace(
        found,
        correlation_id=found.correlation_id or before.correlation_id,
        traceparent=before.traceparent or found.traceparent,
    )


_SUMS_UP = (events.Conditions, events.Completed, events.Declared, events.Rejected, events.Pinned)
"""What a pass says of what it has just done, whatever it was begun for."""

_GO_ON = (
    events.PlanMade,
    events.PlanVoided,
    events.ApprovalRequested,
    events.ApprovalEnded,
    events.HealMoved,
)

_ANSWERS = frozenset((events.APPROVAL_GRANTED, events.APPROVAL_DENIED, events.APPROVAL_REVOKED))


def _subject_of(event: envelope.Event) -> str | None:
    kind = event.type
    if kind in _NAMED:
        return _NAMED[kind]
    if kind in _DRIFTS:
        return f"drift:{_read(event, _OfDrift).drift.drift_id}"
    if kind in _HEALS:
        return f"heal:{_read(event, _OfHeal).heal.action.id}"
    if kind == events.RECONCILIATION_REQUESTED:
        return f"run:{_read(event, _OfRun).reconciliation_id}"
    return None


def _read(event: envelope.Event, kind: type[Any]) -> Any:
    return msgspec.json.decode(event.payload, type=kind)


def _open(after: stack.Stack) -> Callable[[str], bool]:
    """Tells whether something may still cause what is said of the stack."""
    things = {
        DECLARED: True,
        OBSERVED: True,
        PLAN: after.plan is not None,
        APPROVAL: after.approval is not None,
        SUSPENDED: after.suspended is not None,
    }
    ids = {
        "drift": after.drifts,
        "heal": {heal.action.id for heal in after.heals},
        "run": {each.reconciliation_id for each in after.requested},
    }

    def is_open(name: str) -> bool:
        what, colon, which = name.partition(":")
        return which in ids[what] if colon else things[what]

    return is_open
