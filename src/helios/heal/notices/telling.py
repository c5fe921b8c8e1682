"""What an event of the log gives to tell. Pure.

Not every event is worth a message. A heal that succeeds is told by the drift that it closes; a plan
only when something stands in its way that nobody else tells of; a condition when it turns.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.heal.notices import guard_telling, notice
from helios.kernel import clock as clocks
from helios.projections import folding
from helios.reconcile.compositions import events, fuse, guard_events, model

FAILED_PASSES_TOLD: Final = 3
"""A stack whose pass fails so often in a row is told of: once or twice is the weather."""

_QUIET_BLOCKERS: Final = frozenset(("approval_missing", "fuse_blown", "kill_switch"))
"""Blockers that a notice of their own tells of."""
_TOLD_CONDITIONS: Final[Mapping[str, model.Severity]] = {
    "Stalled": "high",
    "Contested": "high",
    "Stale": "high",
}
_JUST_TURNED: Final = 60 * clocks.SECOND_US
"""A condition that turned longer ago was told with an event before."""
_HEALED: Final = "healed"
_STEPS_MAX: Final = 10


def notices(event: envelope.Event) -> list[notice.Notice]:
    """What to tell of an event, in order; empty: nothing."""
    if event.aggregate_type == guard_events.AGGREGATE_TYPE:
        return guard_telling.notices(event)
    make = _MAKERS.get(event.type) if event.aggregate_type == events.STACK else None
    return [] if make is None else list(make(event))


# -- drift ------------------------------------------------------------------------------------


def _detected(event: envelope.Event) -> Sequence[notice.Notice]:
    return [_of_drift(event, "drift_detected", "open", level="info")]


def _escalated(event: envelope.Event) -> Sequence[notice.Notice]:
    return [_of_drift(event, "drift_escalated", "open")]


def _changed(event: envelope.Event) -> Sequence[notice.Notice]:
    said = folding.payload(event, events.DriftMoved)
    if said.drift.state not in ("confirmed", "escalated"):
        return []
    again = said.previous in ("acknowledged", "escalated")
    return [_of_drift(event, "drift_changed", "open" if again else "once")]


def _closed(event: envelope.Event) -> Sequence[notice.Notice]:
    said = folding.payload(event, events.DriftMoved)
    healed = said.drift.state == _HEALED
    kind: notice.Kind = "auto_heal_success" if healed else "drift_resolved"
    return [_of_drift(event, kind, "close", level="info")]


def _of_drift(
    event: envelope.Event,
    kind: notice.Kind,
    does: notice.Does,
    *,
    level: notice.Level = "warning",
) -> notice.Notice:
    said = folding.payload(event, events.DriftMoved)
    drift = said.drift
    place = f"{drift.component}{drift.path}"
    look = notice.Link(
        text="look at it", command=f"helios drift show {_name(event)} {drift.drift_id}"
    )
    return notice.Notice(
        **_about(event, drift.drift_id),
        kind=kind,
        does=does,
        severity=drift.severity,
        level="critical" if does != "close" and drift.severity == "critical" else level,
        headline=notice.line(f"{_SAYS[kind]}: {drift.cause} at {place}"),
        detail=_detail(drift),
        drift=_drifted(drift),
        reconciliation_id=said.reconciliation_id,
        links=(look,),
        words=fuse.row_of(event.tenant, event.aggregate_id, drift).words,
    )


_SAYS: Final[Mapping[str, str]] = {
    "drift_detected": "drift",
    "drift_changed": "drift, changed",
    "drift_escalated": "drift, left to people",
    "drift_resolved": "over",
    "auto_heal_success": "healed",
}


def _drifted(drift: model.Drift) -> notice.Drifted:
    return notice.Drifted(
        drift_id=drift.drift_id,
        drift_type=drift.type,
        cause=drift.cause,
        component=drift.component,
        path=drift.path,
        expected=notice.bounded(drift.expected),
        observed=notice.bounded(drift.observed),
        severity=drift.severity,
        detected_at=clocks.to_rfc3339(drift.detected_at),
        auto_heal_eligible=drift.auto_heal_eligible,
        auto_heal_attempted=drift.attempts > 0 or drift.state == _HEALED,
    )


def _detail(drift: model.Drift) -> str:
    if not drift.is_open:
        return notice.line(drift.reason)
    lines = [f"declared: {notice.shown(drift.expected)}", f"seen: {notice.shown(drift.observed)}"]
    if drift.reason:
        lines.append(notice.line(drift.reason))
    return "\n".join(lines)


# -- heals, plans, approvals ------------------------------------------------------------------


def _heal_succeeded(event: envelope.Event) -> Sequence[notice.Notice]:
    """Says what was done; that it helped is told by the drifts it closes."""
    return [
        _of_heal(event, drift_id, "auto_heal_success", "close")
        for drift_id in folding.payload(event, events.HealMoved).heal.action.drift_ids
    ]


def _heal_failed(event: envelope.Event) -> Sequence[notice.Notice]:
    drift_ids = folding.payload(event, events.HealMoved).heal.action.drift_ids
    return [_of_heal(event, each, "auto_heal_failed", "tell") for each in drift_ids[:1]]


def _of_heal(
    event: envelope.Event, drift_id: str, kind: notice.Kind, does: notice.Does
) -> notice.Notice:
    said = folding.payload(event, events.HealMoved)
    heal, about = said.heal, said.drift_detail
    what = heal.action.summary or f"{heal.action.kind} {heal.action.target}"
    by = f", agreed to by {', '.join(heal.approved_by[:5])}" if heal.approved_by else ""
    failed = kind == "auto_heal_failed"
    outcome = (
        f"attempt {heal.attempt} did not help" if failed else f"healed by attempt {heal.attempt}"
    )
    look = notice.Link(text="look at it", command=f"helios drift show {_name(event)} {drift_id}")
    drift = None if about is None or about.drift_id != drift_id else about
    return notice.Notice(
        **_about(event, drift_id),
        kind=kind,
        does=does,
        severity="medium" if about is None else about.severity,
        level="warning" if failed else "info",
        headline=notice.line(f"{outcome}: {what}{by}"),
        detail=notice.line(heal.detail) if failed else "",
        drift=None
        if drift is None
        else msgspec.structs.replace(_drifted(drift), auto_heal_attempted=True),
        reconciliation_id=said.reconciliation_id,
        links=(look,),
    )


def _planned(event: envelope.Event) -> Sequence[notice.Notice]:
    """A plan is told of when something stands in its way; what ends by itself is still told."""
    plan = folding.payload(event, events.PlanMade).plan
    found = {each.code: each for each in plan.blockers if each.code not in _QUIET_BLOCKERS}
    if not found:
        return []
    said = [
        f"{code}: {notice.line(each.detail)}"
        + (f" ({notice.line(each.remedy)})" if each.remedy else "")
        for code, each in sorted(found.items())
    ]
    about = _about(event, f"plan/{plan.plan_id}")
    look = notice.Link(text="look at the plan", command=f"helios plan {_name(event)} --dry-run")
    return [
        notice.Notice(
            **about,
            kind="heal_blocked",
            does="tell",
            severity="medium",
            headline=f"healing is held up: {', '.join(sorted(found))}",
            detail="\n".join(said),
            links=(look,),
        )
    ]


def _asked(event: envelope.Event) -> Sequence[notice.Notice]:
    approval = folding.payload(event, events.ApprovalRequested).approval
    plan = approval.shown
    risky = any(action.risk == "destructive" for action in plan.actions)
    steps = [notice.line(a.summary or f"{a.kind} {a.target}") for a in plan.actions[:_STEPS_MAX]]
    if len(plan.actions) > _STEPS_MAX:
        steps.append(f"and {len(plan.actions) - _STEPS_MAX} more")
    needed = f"{approval.quorum} of " if approval.quorum > 1 else ""
    whom = " or ".join(approval.roles) or "anybody"
    tail = f"{approval.approval_id} --client-id {event.tenant}"
    return [
        notice.Notice(
            **_about(event, f"plan/{approval.plan_id}"),
            kind="approval_requested",
            does="once",
            severity="critical" if risky else "high",
            headline=notice.line(f"waits for {needed}{whom} to agree: {approval.reason}"),
            detail="\n".join(
                [*steps, f"until {clocks.to_rfc3339(approval.expires_at)}", f"digest {plan.digest}"]
            ),
            links=(
                notice.Link(text="look at it", command=f"helios approvals show {tail}"),
                notice.Link(text="agree", command=f"helios approve {tail} --reason WHY"),
            ),
        )
    ]


def _expired(event: envelope.Event) -> Sequence[notice.Notice]:
    said = folding.payload(event, events.ApprovalEnded)
    if said.status != "expired":
        return []
    command = f"helios approvals show {said.approval_id} --client-id {event.tenant}"
    return [
        notice.Notice(
            **_about(event, f"approval/{said.approval_id}"),
            kind="approval_expired",
            does="tell",
            severity="high",
            headline="nobody answered in time: what was asked for is not done",
            detail=notice.line(said.reason),
            links=(notice.Link(text="look at it", command=command),),
        )
    ]


def _voided(event: envelope.Event) -> Sequence[notice.Notice]:
    """Nobody has to answer any more."""
    said = folding.payload(event, events.PlanVoided)
    return [
        notice.Notice(
            **_about(event, f"plan/{said.plan_id}"),
            kind="plan_ended",
            does="close",
            severity="low",
            level="info",
            headline=notice.line(f"the plan is over: {said.detail or said.code}"),
        )
    ]


# -- the stack itself -------------------------------------------------------------------------


def _judged(event: envelope.Event) -> Sequence[notice.Notice]:
    said = folding.payload(event, events.Conditions)
    found = [
        _turned(event, each.type, each.message or each.reason, holds=each.status == "True")
        for each in said.conditions
        if each.type in _TOLD_CONDITIONS
        and each.status != "Unknown"
        and event.occurred_at - each.last_transition <= _JUST_TURNED
    ]
    if not said.failures or said.failures >= FAILED_PASSES_TOLD:
        text = f"{said.failures} passes in a row failed: {said.error}"
        found.append(_turned(event, "Failing", text, holds=bool(said.failures)))
    return found


def _turned(event: envelope.Event, name: str, text: str, *, holds: bool) -> notice.Notice:
    return notice.Notice(
        **_about(event, f"condition/{name}"),
        kind="condition_set" if holds else "condition_cleared",
        does="once" if holds else "close",
        severity=_TOLD_CONDITIONS.get(name, "high"),
        level="warning" if holds else "info",
        headline=notice.line(f"{name}: {text}" if holds else f"no longer {name}"),
        links=(notice.Link(text="look at it", command=f"helios state get {_name(event)}"),),
    )


def _removed(event: envelope.Event) -> Sequence[notice.Notice]:
    return [
        notice.Notice(
            **_about(event, "all"),
            kind="stack_removed",
            does="end",
            severity="low",
            level="info",
            headline="the stack is not declared any more",
        )
    ]


def _about(event: envelope.Event, name: str) -> dict[str, Any]:
    return {
        "client_id": event.tenant,
        "stack_id": event.aggregate_id,
        "subject": f"stack:{event.aggregate_id}",
        "item": f"{_name(event)}/{name}",
        "at": clocks.to_rfc3339(event.occurred_at),
    }


def _name(event: envelope.Event) -> str:
    return f"{event.tenant}/{event.aggregate_id}"


_Maker: TypeAlias = Callable[[envelope.Event], Sequence[notice.Notice]]
_MAKERS: Final[Mapping[str, _Maker]] = {
    events.DRIFT_DETECTED: _detected,
    events.DRIFT_CHANGED: _changed,
    events.DRIFT_ESCALATED: _escalated,
    events.DRIFT_IGNORED: _closed,
    events.DRIFT_RESOLVED: _closed,
    events.HEAL_SUCCEEDED: _heal_succeeded,
    events.HEAL_FAILED: _heal_failed,
    events.HEAL_UNVERIFIED: _heal_failed,
    events.PLAN_MADE: _planned,
    events.PLAN_VOIDED: _voided,
    events.APPROVAL_REQUESTED: _asked,
    events.APPROVAL_EXPIRED: _expired,
    events.CONDITIONS_CHANGED: _judged,
    events.STACK_REMOVED: _removed,
}
TYPES: Final = (*_MAKERS, *guard_telling.TYPES)
"""Types of events that give something to tell."""
