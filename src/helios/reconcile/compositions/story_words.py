"""What an event says, in one sentence for people. Pure.

A sentence names who, what and why, and no more: the record beside it has the rest. What cannot be
read is named by its type; a story does not break off over one event.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from helios.eventlog import envelope
from helios.kernel import jsonio
from helios.reconcile.compositions import events, guard_events, model

T = TypeVar("T")

VALUE_CHARS = 60
SENTENCE_CHARS = 300
ID_CHARS = 8
"""Enough of an id to tell it from others in one story."""

_KINDS = {
    "provider": "provider",
    "integration": "webhook",
    "resource": "resource",
    "content": "content",
}


def sentence(event: envelope.Event) -> str:
    """What an event says."""
    tell = _TELLERS.get(event.type) if event.source == events.SOURCE else None
    try:
        text = _other(event) if tell is None else tell(event)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        text = _other(event)
    return text if len(text) <= SENTENCE_CHARS else f"{text[: SENTENCE_CHARS - 1]}…"


def who(actor: str) -> str:
    """A person, service or provider without what kind it is, where that is plain."""
    kind, _, name = actor.partition(":")
    return name if name and kind in ("user", "provider") else actor


def short(name: str) -> str:
    """The end of an id, which is what differs."""
    return name if len(name) <= 2 * ID_CHARS else f"…{name[-ID_CHARS:]}"


def _of(event: envelope.Event, kind: type[T]) -> T:
    return msgspec.json.decode(event.payload, type=kind)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _number(count: int, of: str) -> str:
    return f"{count} {of}{'s' if count != 1 else ''}"


def _value(value: Any) -> str:
    text = jsonio.encode(value).decode()
    return text if len(text) <= VALUE_CHARS else f"{text[: VALUE_CHARS - 1]}…"


def _thing(drift: model.Drift) -> str:
    kind, _, name = drift.component.partition("/")
    at = f" at {drift.provider}" if drift.provider else ""
    return f"{_KINDS.get(kind, kind)} {name}{at}"


# -- declared -----------------------------------------------------------------------------------


def _declared(event: envelope.Event) -> str:
    said = _of(event, events.Declared)
    again = "" if said.restores is None else f" (generation {said.restores} again)"
    return f"{who(event.actor)} declared {said.version}{again}{_because(said.note)}"


def _policy(event: envelope.Event) -> str:
    said = _of(event, events.PolicyDeclared)
    return f"{who(event.actor)} {'declared a policy' if said.text else 'took the policy away'}"


def _rejected(event: envelope.Event) -> str:
    said = _of(event, events.Rejected)
    return f"{said.version} must not come again{_because(said.reason)}"


def _pinned(event: envelope.Event) -> str:
    said = _of(event, events.Pinned)
    return f"{who(event.actor)} pinned it to {said.version}{_because(said.reason)}"


def _rule(event: envelope.Event) -> str:
    rule = _of(event, events.Rule).rule
    place = f"{rule.component}{rule.path}"
    return f"{who(event.actor)} declared {place} known (rule {rule.id}){_because(rule.reason)}"


def _rule_removed(event: envelope.Event) -> str:
    said = _of(event, events.RuleId)
    return f"{who(event.actor)} removed rule {said.rule_id}{_because(said.reason)}"


def _baseline(event: envelope.Event) -> str:
    said = _of(event, events.Baseline)
    known = _number(len(said.fingerprints), "drift")
    return f"{who(event.actor)} took {known} as known{_because(said.reason)}"


def _suspended(event: envelope.Event) -> str:
    said = _of(event, events.Suspended)
    what = "all of it" if said.mode == "all" else "healing"
    return f"{who(event.actor)} suspended {what}{_because(said.reason)}"


def _noted(verb: str) -> Callable[[envelope.Event], str]:
    def tell(event: envelope.Event) -> str:
        return f"{who(event.actor)} {verb}{_because(_of(event, events.Noted).reason)}"

    return tell


# -- seen ---------------------------------------------------------------------------------------


def _observed(event: envelope.Event) -> str:
    said = _of(event, events.Observed)
    absent = [name for name, each in said.presence.items() if each == "absent"]
    if said.expected_hash == said.observed_hash and not said.unknown:
        return "seen to be as declared"
    parts = []
    if absent:
        parts.append(f"{', '.join(sorted(absent))} absent")
    if said.unknown:
        parts.append(f"{', '.join(said.unknown)} unknown")
    if said.expected_hash != said.observed_hash and not absent:
        parts.append("not as declared")
    return f"seen: {'; '.join(parts)}"


def _conditions(event: envelope.Event) -> str:
    said = _of(event, events.Conditions)
    return f"it counts as {said.status}{_because(said.error)}"


def difference(drift: model.Drift) -> str:
    """What a drift consists in, who saw it, and who brought it about."""
    seen_by = sorted({each.witness for each in drift.evidence if each.supports})
    by = f" (seen by {', '.join(seen_by)})" if seen_by else ""
    if not drift.path and drift.observed is None:
        what = f"{_thing(drift)} was gone"
    else:
        place = f"{_thing(drift)}{f', {drift.path}' if drift.path else ''}"
        what = f"{place} was {_value(drift.observed)} instead of {_value(drift.expected)}"
    origin = drift.origin
    told = f", brought about by {origin.actor}" if origin.actor is not None else ""
    return f"{what}{by}{told}"


def _suspected(event: envelope.Event) -> str:
    return difference(_of(event, events.DriftMoved).drift)


def _detected(event: envelope.Event) -> str:
    said = _of(event, events.DriftMoved)
    drift = said.drift
    sure = f"confirmed after {_number(drift.seen_count, 'look')}"
    return sure if said.previous is not None else f"{difference(drift)}, {sure}"


def _changed(event: envelope.Event) -> str:
    drift = _of(event, events.DriftMoved).drift
    return f"{drift.component}{drift.path} is {drift.state}{_because(drift.reason)}"


_CLOSED: Mapping[str, str] = {
    "healed": "healed",
    "resolved_externally": "gone by itself",
    "superseded": "another version was declared",
    "false_positive": "it was none",
}


def _resolved(event: envelope.Event) -> str:
    drift = _of(event, events.DriftMoved).drift
    how = _CLOSED.get(drift.state, drift.state)
    return f"{drift.component}{drift.path}: {how}{_because(drift.reason)}"


def _predicted(event: envelope.Event) -> str:
    said = _of(event, events.Predicted)
    return (
        f"{said.component} is likely to drift ({said.probability:.0%}){_because(said.reasons[0])}"
    )


def _prediction_ended(event: envelope.Event) -> str:
    ended = _of(event, events.PredictionEnded).ended
    return f"prediction of {ended.component}: {ended.outcome}{_because(ended.reason)}"


# -- decided ------------------------------------------------------------------------------------


def _planned(event: envelope.Event) -> str:
    plan = _of(event, events.PlanMade).plan
    what = ", ".join(f"{each.kind} {each.target}" for each in plan.actions)
    held = sorted({each.code for each in plan.blockers})
    wait = f"; waits for: {', '.join(held)}" if held else ""
    made = f"plan {short(plan.plan_id)} ({_number(len(plan.actions), 'action')}: {what})"
    if plan.requested_by != events.ACTOR:
        made = f"{who(plan.requested_by)} asked for {made}"
    return f"{made}{wait}"


def _voided(event: envelope.Event) -> str:
    said = _of(event, events.PlanVoided)
    return f"plan {short(said.plan_id)} ended ({said.code}){_because(said.detail)}"


def _asked(event: envelope.Event) -> str:
    approval = _of(event, events.ApprovalRequested).approval
    wanted = f"{approval.quorum} to agree" if approval.quorum > 1 else "somebody to agree"
    return f"asked for {wanted} to plan {approval.digest[:ID_CHARS]}{_because(approval.reason)}"


def _answered(event: envelope.Event) -> str:
    grant = _of(event, events.ApprovalAnswered).grant
    verb = "agreed by" if grant.granted else "refused by"
    return f"{verb} {who(grant.actor)} (plan {grant.digest[:ID_CHARS]}){_because(grant.reason)}"


def _answer_ended(event: envelope.Event) -> str:
    said = _of(event, events.ApprovalEnded)
    return f"agreement {said.status} by {who(event.actor)}{_because(said.reason)}"


# -- done ---------------------------------------------------------------------------------------


def _heal(event: envelope.Event) -> str:
    heal = _of(event, events.HealMoved).heal
    action = heal.action
    what = f"{action.kind} {action.target}"
    match heal.status:
        case "started":
            return f"began {what} (attempt {heal.attempt})"
        case "acted":
            return f"did {what}{_because(heal.detail)}"
        case "succeeded":
            return "verified: it is as declared"
        case "avoided":
            return f"nothing was done{_because(heal.detail)}"
        case "unverified":
            return f"{what} did not help{_because(heal.detail)}"
    return f"{what} failed{_because(f'{heal.error_code} {heal.detail}'.strip())}"


def _requested(event: envelope.Event) -> str:
    said = _of(event, events.Requested)
    what = "to carry out a plan" if said.plan_digest else "for a reconciliation"
    if not said.heal:
        what = "for a look"
    return f"{who(event.actor)} asked {what}{_because(said.reason)}"


def _completed(event: envelope.Event) -> str:
    said = _of(event, events.Completed)
    found = _number(said.drift_count, "drift") if said.drift_detected else "no drift"
    return f"reconciled: {said.status}, {found}"


# -- guards, builds, commands ----------------------------------------------------------------------


def _breaker(event: envelope.Event) -> str:
    said = _of(event, guard_events.BreakerMoved)
    why = ", ".join(filter(None, (said.reason, said.detail)))
    return f"breaker {said.scope} is {said.state}{_because(why)}"


def _fuse(event: envelope.Event) -> str:
    said = _of(event, guard_events.FuseMoved)
    if event.type == guard_events.FUSE_RESET:
        return f"{who(event.actor)} reset fuse {said.fuse_id}{_because(said.reason)}"
    return f"fuse {said.fuse_id}: {said.count} stacks drifted at once by {said.by}"


def _switch(event: envelope.Event) -> str:
    said = _of(event, guard_events.KillSwitch)
    state = "on" if said.on else "off"
    return f"{who(event.actor)} turned the kill switch {state}{_because(said.reason)}"


def _window(event: envelope.Event) -> str:
    window = _of(event, guard_events.WindowDeclared).window
    return f"{who(event.actor)} declared window {window.id} ({window.kind})"


def _window_removed(event: envelope.Event) -> str:
    said = _of(event, guard_events.WindowRemoved)
    return f"{who(event.actor)} removed window {said.window_id}"


def _command(event: envelope.Event) -> str:
    said = event.data()
    where = f" for {said['stack_id']}" if said.get("stack_id") else ""
    reason = said.get("payload", {}).get("reason", "")
    return f"{who(event.actor)} issued {said['command_type']}{where}{_because(reason)}"


def _build(verb: str) -> Callable[[envelope.Event], str]:
    def tell(event: envelope.Event) -> str:
        said = event.data()
        why = said.get("cause") or said.get("note") or said.get("reason") or ""
        return f"build of site {event.aggregate_id} {verb}{_because(str(why))}"

    return tell


def _other(event: envelope.Event) -> str:
    return f"{event.source} told {event.type} of {event.aggregate_type} {event.aggregate_id}"


_TELLERS: Mapping[str, Callable[[envelope.Event], str]] = {
    events.STACK_DECLARED: _declared,
    events.STACK_REMOVED: _noted("removed the stack"),
    events.POLICY_DECLARED: _policy,
    events.REVISION_REJECTED: _rejected,
    events.STACK_PINNED: _pinned,
    events.STACK_UNPINNED: _noted("unpinned it"),
    events.RULE_DECLARED: _rule,
    events.RULE_REMOVED: _rule_removed,
    events.BASELINE_TAKEN: _baseline,
    events.STACK_SUSPENDED: _suspended,
    events.STACK_RESUMED: _noted("resumed it"),
    events.STACK_OBSERVED: _observed,
    events.CONDITIONS_CHANGED: _conditions,
    events.DRIFT_SUSPECTED: _suspected,
    events.DRIFT_DETECTED: _detected,
    events.DRIFT_CHANGED: _changed,
    events.DRIFT_IGNORED: _changed,
    events.DRIFT_ACKNOWLEDGED: _changed,
    events.DRIFT_ESCALATED: _changed,
    events.DRIFT_RESOLVED: _resolved,
    events.DRIFT_PREDICTED: _predicted,
    events.PREDICTION_SCORED: _prediction_ended,
    events.PREDICTION_WITHDRAWN: _prediction_ended,
    events.PLAN_MADE: _planned,
    events.PLAN_VOIDED: _voided,
    events.APPROVAL_REQUESTED: _asked,
    events.APPROVAL_GRANTED: _answered,
    events.APPROVAL_DENIED: _answered,
    events.APPROVAL_REVOKED: _answer_ended,
    events.APPROVAL_EXPIRED: _answer_ended,
    **dict.fromkeys(events.HEAL_TYPES, _heal),
    events.RECONCILIATION_REQUESTED: _requested,
    events.RECONCILIATION_COMPLETED: _completed,
    guard_events.BREAKER_OPENED: _breaker,
    guard_events.BREAKER_HALF_OPENED: _breaker,
    guard_events.BREAKER_CLOSED: _breaker,
    guard_events.BREAKER_FORCED: _breaker,
    guard_events.FUSE_BLOWN: _fuse,
    guard_events.FUSE_RESET: _fuse,
    guard_events.KILL_SWITCH_SET: _switch,
    guard_events.HEALING_SUSPENDED: _suspended,
    guard_events.HEALING_RESUMED: _noted("let healing go on"),
    guard_events.WINDOW_DECLARED: _window,
    guard_events.WINDOW_REMOVED: _window_removed,
    "CommandIssued": _command,
    "BuildRequested": _build("asked for"),
    "BuildStarted": _build("began"),
    "BuildSucceeded": _build("succeeded"),
    "BuildFailed": _build("failed"),
}
