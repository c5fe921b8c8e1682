"""What each event makes of a stack: the fold behind `stack.Stack`.

Pure and total over the events of one stack in order of sequence. An event that no longer fits (an
answer to an approval that has gone) changes nothing but the place in the log: what was decided
when it was appended was decided on the state before it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.projections import folding
from helios.reconcile.compositions import approving, causing, events, model, stack
from helios.reconcile.compositions.predicting import keeping

_replace = msgspec.structs.replace

HEALED_KEPT = 20
_PLANNABLE: frozenset[model.DriftState] = frozenset(("confirmed", "failed", "escalated"))
_ALL_PLANNABLE: frozenset[model.DriftState] = _PLANNABLE | {"acknowledged"}
_WAITING: frozenset[model.DriftState] = frozenset(("planned", "awaiting_approval"))


def evolve(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    """The state after an event.

    Raises:
        InvalidInputError: the payload is not what its type says.
    """
    after = causing.marked(_APPLY[event.type](before, event), event)
    return _replace(
        after,
        sequence=event.sequence,
        position=event.position,
        updated_at=event.occurred_at,
        created_at=after.created_at or event.occurred_at,
    )


def empty(client_id: str, stack_id: str) -> stack.Stack:
    """A stack of which nothing is known."""
    return stack.Stack(client_id=client_id, stack_id=stack_id)


def evolved(before: stack.Stack, found: Iterable[envelope.Event]) -> stack.Stack:
    """The state after several events."""
    for event in found:
        before = evolve(before, event)
    return before


# -- declared -----------------------------------------------------------------------------------


def _declared(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.Declared)
    if before.uid != said.uid:
        # Another incarnation: nothing that was seen or tried of the former holds for it.
        versions = before.versions
        before = empty(before.client_id, before.stack_id)
        before = _replace(before, created_at=event.occurred_at, versions=versions)
    version = stack.Version(
        generation=said.generation,
        version=said.version,
        hash=said.hash,
        declared_at=event.occurred_at,
        actor=event.actor,
        environment=said.environment,
        position=event.position,
        note=said.note,
        restores=said.restores,
    )
    return _replace(
        _unplanned(before),
        uid=said.uid,
        generation=said.generation,
        version=said.version,
        hash=said.hash,
        environment=said.environment,
        declared_at=event.occurred_at,
        declared_position=event.position,
        declared_event=event.id,
        declared_by=event.actor,
        # What was not looked at yet is not well, however well the version before it was.
        status="reconciling" if before.status == "healthy" else before.status,
        removed=False,
        versions=(*before.versions, version)[-stack.VERSIONS_KEPT :],
    )


def _removed(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    del event
    return _replace(
        _unplanned(before), removed=True, drifts={}, requested=(), suspended=None, pinned=None
    )


def _policy(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.PolicyDeclared)
    return _replace(before, policy_hash=said.hash, policy_position=event.position)


def _rejected(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.Rejected)
    kept = tuple(each for each in before.rejected if each != said.hash)
    return _replace(before, rejected=(*kept, said.hash))


def _pinned(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    return _replace(before, pinned=folding.payload(event, events.Pinned).generation)


def _unpinned(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    del event
    return _replace(before, pinned=None, rejected=())


def _rule(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    rule = folding.payload(event, events.Rule).rule
    return _replace(before, rules=(*_without(before.rules, rule.id), rule))


def _rule_removed(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.RuleId)
    return _replace(before, rules=_without(before.rules, said.rule_id))


def _without(rules: tuple[Any, ...], rule_id: str) -> tuple[Any, ...]:
    return tuple(rule for rule in rules if rule.id != rule_id)


def _baseline(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.Baseline)
    return _replace(before, baseline=said.fingerprints, baseline_until=said.expires_at)


def _suspended(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.Suspended)
    suspension = stack.Suspension(
        mode=said.mode,
        reason=said.reason,
        actor=event.actor,
        since=event.occurred_at,
        until=said.until,
    )
    return _replace(before, suspended=suspension)


def _resumed(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    del event
    return _replace(before, suspended=None)


# -- seen ---------------------------------------------------------------------------------------


def _observed(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.Observed)
    after = _replace(
        before,
        expected_hash=said.expected_hash,
        observed_hash=said.observed_hash,
        observed_cursor=said.cursor,
        presence=dict(said.presence),
        unknown=said.unknown,
        detail=dict(said.detail),
    )
    is_applied = said.expected_hash == said.observed_hash and not said.unknown
    if is_applied and said.generation == before.generation != before.applied_generation:
        after = _replace(
            after,
            applied_hash=before.hash,
            applied_generation=before.generation,
            last_applied=event.occurred_at,
        )
    return after


def _conditions(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.Conditions)
    return _replace(
        before,
        status=said.status,
        conditions=said.conditions,
        observed_generation=said.observed_generation,
        failures=said.failures,
        error=said.error,
    )


def _drift(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    drift = folding.payload(event, events.DriftMoved).drift
    left = {name: each for name, each in before.drifts.items() if name != drift.drift_id}
    if drift.is_open:
        after = _replace(before, drifts={**left, drift.drift_id: drift})
        return keeping.drifted(before, after, drift, event.type)
    known = before.past.get(drift.drift_id)
    healed = () if known is None else known.healed
    if drift.state == "healed":
        healed = (*healed, event.occurred_at)[-HEALED_KEPT:]
    past = {name: each for name, each in before.past.items() if name != drift.drift_id}
    past[drift.drift_id] = stack.Past(
        occurrence=drift.occurrence,
        closed=drift.state,
        closed_at=event.occurred_at,
        healed=healed,
    )
    while len(past) > stack.CLOSED_KEPT:
        del past[next(iter(past))]
    return _replace(before, drifts=left, past=past)


# -- decided ------------------------------------------------------------------------------------


def _plan_made(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    plan = folding.payload(event, events.PlanMade).plan
    # What somebody looks after himself is in a plan of ours only when people asked for that.
    is_ours = plan.requested_by == events.ACTOR
    drifts = _planned(before.drifts, plan, _ALL_PLANNABLE if is_ours else _PLANNABLE)
    # The same plan told again, with something else in its way: what was agreed still holds.
    agreed = before.approval
    if agreed is not None and agreed.digest != plan.digest:
        agreed = None
    return _replace(before, plan=plan, approval=agreed, drifts=drifts)


def _planned(
    drifts: Mapping[str, model.Drift], plan: model.Plan, states: frozenset[model.DriftState]
) -> dict[str, model.Drift]:
    """With those that a plan is for as planned, as far as they are in one of these states."""
    meant = set(_meant(plan))
    return {
        name: _replace(drift, state="planned", plan_id=plan.plan_id)
        if name in meant and drift.state in states
        else drift
        for name, drift in drifts.items()
    }


def _plan_voided(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.PlanVoided)
    if before.plan is None or before.plan.plan_id != said.plan_id:
        return before
    return _unplanned(before)


def _unplanned(before: stack.Stack) -> stack.Stack:
    """Without its plan; what was planned is as before."""
    drifts = {
        name: _replace(drift, state="confirmed", plan_id=None) if drift.state in _WAITING else drift
        for name, drift in before.drifts.items()
    }
    return _replace(before, plan=None, approval=None, ordered="", drifts=drifts)


def _approval_requested(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    approval = folding.payload(event, events.ApprovalRequested).approval
    meant = set(_meant(approval.shown))
    drifts = {
        name: _replace(drift, state="awaiting_approval")
        if name in meant and drift.state == "planned"
        else drift
        for name, drift in before.drifts.items()
    }
    return _replace(before, approval=approval, drifts=drifts)


def _approval_answered(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.ApprovalAnswered)
    approval = before.approval
    if approval is None or approval.approval_id != said.approval_id:
        return before
    grants = (*approval.grants, said.grant)
    if not said.grant.granted:
        reason = f"denied by {said.grant.actor}: {said.grant.reason}".rstrip(": ")
        return _set_aside(before, _replace(approval, grants=grants, status="denied"), reason)
    after = _replace(approval, grants=grants)
    is_enough = approval.status == "pending" and not approving.missing(after)
    return _replace(before, approval=_replace(after, status="granted") if is_enough else after)


def _approval_ended(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.ApprovalEnded)
    approval = before.approval
    if approval is None or approval.approval_id != said.approval_id:
        return before
    if said.status == "stale":
        return _unplanned(before)
    reason = f"approval {said.status}: {said.reason}".rstrip(": ")
    return _set_aside(before, _replace(approval, status=said.status), reason)


def _set_aside(before: stack.Stack, approval: model.Approval, reason: str) -> stack.Stack:
    """Nobody agreed: these drifts are left to people until they change."""
    meant = set(_meant(approval.shown))
    state: model.DriftState = "escalated" if approval.status == "expired" else "acknowledged"
    drifts = {
        name: _replace(drift, state=state, reason=reason, plan_id=None)
        if name in meant and drift.state in _WAITING
        else drift
        for name, drift in before.drifts.items()
    }
    return _replace(before, plan=None, approval=approval, ordered="", drifts=drifts)


def _meant(plan: model.Plan) -> list[str]:
    return [
        drift_id
        for action in plan.actions
        if action.kind != "notify_only"
        for drift_id in action.drift_ids
    ]


# -- done ---------------------------------------------------------------------------------------


def _heal(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    heal = folding.payload(event, events.HealMoved).heal
    others = tuple(each for each in before.heals if each.action.id != heal.action.id)
    heals = (*others, heal)
    if len(heals) > stack.HEALS_KEPT:
        ended = [each.action.id for each in heals if not each.is_open]
        dropped = set(ended[: len(heals) - stack.HEALS_KEPT])
        heals = tuple(each for each in heals if each.action.id not in dropped)
    return _replace(before, heals=heals, drifts=_under_way(before.drifts, heal))


def _under_way(drifts: Mapping[str, model.Drift], heal: model.Heal) -> Mapping[str, model.Drift]:
    if not heal.is_open:
        return drifts
    state: model.DriftState = "healing" if heal.status == "started" else "verifying"
    return {
        name: _replace(drift, state=state, attempts=heal.attempt, plan_id=heal.plan_id)
        if name in heal.action.drift_ids
        else drift
        for name, drift in drifts.items()
    }


def _requested(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.Requested)
    plan, drifts = before.plan, before.drifts
    if plan is not None and said.plan_digest == plan.digest:
        drifts = _planned(drifts, plan, _ALL_PLANNABLE)
    return _replace(
        before,
        drifts=drifts,
        requested=(*before.requested, said)[-stack.HEALS_KEPT :],
        ordered=said.plan_digest or before.ordered,
        ordered_by=event.actor if said.heal and said.trigger == "manual" else before.ordered_by,
    )


def _completed(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    said = folding.payload(event, events.Completed)
    left = tuple(
        each for each in before.requested if each.reconciliation_id != said.reconciliation_id
    )
    return _replace(before, requested=left, last_reconciliation=said.reconciliation_id)


_APPLY: Mapping[str, Callable[[stack.Stack, envelope.Event], stack.Stack]] = {
    events.STACK_DECLARED: _declared,
    events.STACK_REMOVED: _removed,
    events.POLICY_DECLARED: _policy,
    events.REVISION_REJECTED: _rejected,
    events.STACK_PINNED: _pinned,
    events.STACK_UNPINNED: _unpinned,
    events.RULE_DECLARED: _rule,
    events.RULE_REMOVED: _rule_removed,
    events.BASELINE_TAKEN: _baseline,
    events.STACK_SUSPENDED: _suspended,
    events.STACK_RESUMED: _resumed,
    events.STACK_OBSERVED: _observed,
    events.CONDITIONS_CHANGED: _conditions,
    **dict.fromkeys(events.DRIFT_TYPES, _drift),
    events.DRIFT_PREDICTED: keeping.raised,
    events.PREDICTION_WITHDRAWN: keeping.ended,
    events.PREDICTION_SCORED: keeping.ended,
    events.PLAN_MADE: _plan_made,
    events.PLAN_VOIDED: _plan_voided,
    events.APPROVAL_REQUESTED: _approval_requested,
    events.APPROVAL_GRANTED: _approval_answered,
    events.APPROVAL_DENIED: _approval_answered,
    events.APPROVAL_REVOKED: _approval_ended,
    events.APPROVAL_EXPIRED: _approval_ended,
    **dict.fromkeys(events.HEAL_TYPES, _heal),
    events.RECONCILIATION_REQUESTED: _requested,
    events.RECONCILIATION_COMPLETED: _completed,
}
