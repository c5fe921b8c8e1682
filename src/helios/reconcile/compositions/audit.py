"""Who did what, when, why, and who agreed to it: one entry for each action and each command.

Pure, and made of the events alone, so there is no second truth that could part from the first: an
entry can be thrown away and made again from the log. An action of healing has one entry, from its
beginning to its end; everything a person ordered or answered has one; so has what a guard did.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import folding
from helios.reconcile.compositions import events, guard_events, model, story_words

COMMAND_ISSUED: Final = "CommandIssued"
"""Of the control bus, which is not known here."""

Kind: TypeAlias = Literal["heal", "declaration", "approval", "plan", "drift", "switch", "command"]
Outcome: TypeAlias = Literal[
    "done", "started", "acted", "succeeded", "failed", "unverified", "avoided"
]
KINDS: tuple[Kind, ...] = (
    "heal",
    "declaration",
    "approval",
    "plan",
    "drift",
    "switch",
    "command",
)
OPEN: frozenset[str] = frozenset(("started", "acted"))

TYPES: Mapping[str, Kind] = {
    **dict.fromkeys(events.HEAL_TYPES, "heal"),
    events.STACK_DECLARED: "declaration",
    events.STACK_REMOVED: "declaration",
    events.POLICY_DECLARED: "declaration",
    events.REVISION_REJECTED: "declaration",
    events.STACK_PINNED: "declaration",
    events.STACK_UNPINNED: "declaration",
    events.RULE_DECLARED: "declaration",
    events.RULE_REMOVED: "declaration",
    events.BASELINE_TAKEN: "declaration",
    events.STACK_SUSPENDED: "switch",
    events.STACK_RESUMED: "switch",
    events.APPROVAL_REQUESTED: "approval",
    events.APPROVAL_GRANTED: "approval",
    events.APPROVAL_DENIED: "approval",
    events.APPROVAL_REVOKED: "approval",
    events.APPROVAL_EXPIRED: "approval",
    events.PLAN_MADE: "plan",
    events.PLAN_VOIDED: "plan",
    events.DRIFT_ACKNOWLEDGED: "drift",
    events.DRIFT_RESOLVED: "drift",
    events.RECONCILIATION_REQUESTED: "command",
    COMMAND_ISSUED: "command",
    **dict.fromkeys(guard_events.TYPES, "switch"),
}
"""Types of events that have an entry; of those in `_ORDERED` only what somebody else did."""

_ORDERED = frozenset(
    (events.PLAN_MADE, events.PLAN_VOIDED, events.DRIFT_ACKNOWLEDGED, events.DRIFT_RESOLVED)
)
"""Said by passes by themselves too; then they are no command."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the audit.

    Attributes:
        entry_id: of the action, else of the event.
        position: of its first event in the log; last: of the newest.
        timestamp: when it began; ended_at: when it ended. RFC 3339.
        action: kind of action (`create_webhook`), else the type of the event.
        stack_id: empty: of all stacks of the client.
        target: what it was done to.
        triggered_by: `auto`: by policy; `manual`: somebody asked for it. `actor`: who did it.
        success: null: it has not ended.
        changes_made: field to [before, after]; masked where secret.
        approver: who agreed, of those that had to.
        plan_id, plan_digest: of the plan that was shown and agreed to.
        reason: why; detail: what came of it, or what was said, for people.
    """

    entry_id: str
    position: int
    last: int
    timestamp: str
    ended_at: str | None
    kind: Kind
    action: str
    outcome: Outcome
    client_id: str
    stack_id: str
    target: str
    triggered_by: str
    actor: str
    success: bool | None
    changes_made: Mapping[str, Any]
    approval_required: bool
    approver: tuple[str, ...]
    plan_id: str | None
    plan_digest: str | None
    reason: str
    detail: str
    correlation_id: str | None
    causation_id: str | None


def entry(event: envelope.Event) -> Entry | None:
    """The entry that an event makes, or brings up to date; None: it makes none.

    Raises:
        InvalidInputError: the payload is not what its type says.
    """
    kind = TYPES.get(event.type)
    if kind is None or event.source != events.SOURCE:
        return None
    if event.type in _ORDERED and event.actor == events.ACTOR:
        return None
    return _heal(event) if kind == "heal" else _order(event, kind)


def _heal(event: envelope.Event) -> Entry:
    heal = folding.payload(event, events.HealMoved).heal
    action = heal.action
    return Entry(
        entry_id=action.id,
        position=event.position,
        last=event.position,
        timestamp=clocks.to_rfc3339(heal.started_at),
        ended_at=None if heal.ended_at is None else clocks.to_rfc3339(heal.ended_at),
        kind="heal",
        action=action.kind,
        outcome=heal.status,
        client_id=event.tenant,
        stack_id=event.aggregate_id,
        target=action.target,
        triggered_by="manual" if heal.manual else "auto",
        actor=heal.actor,
        success=None if heal.is_open else heal.status in ("succeeded", "avoided"),
        changes_made=heal.changes,
        approval_required=action.requires_approval,
        approver=heal.approved_by,
        plan_id=heal.plan_id,
        plan_digest=heal.digest,
        reason=action.summary or action.approval_reason,
        detail=f"{heal.error_code} {heal.detail}".strip(),
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
    )


def _order(event: envelope.Event, kind: Kind) -> Entry:
    shown = _SHOWN.get(event.type, _nothing)(event)
    is_guard = event.aggregate_type == guard_events.AGGREGATE_TYPE
    is_stack = event.aggregate_type == events.STACK
    at = clocks.to_rfc3339(event.occurred_at)
    return Entry(
        entry_id=event.id,
        position=event.position,
        last=event.position,
        timestamp=at,
        ended_at=at,
        kind=kind,
        action=event.type,
        outcome="done",
        client_id=event.tenant,
        stack_id=event.aggregate_id if is_stack else shown.stack_id,
        target=shown.target or (event.aggregate_id if is_guard else ""),
        triggered_by="auto" if event.actor.startswith("service:") else "manual",
        actor=event.actor,
        success=True,
        changes_made={},
        approval_required=shown.required,
        approver=shown.approver,
        plan_id=shown.plan_id,
        plan_digest=shown.digest,
        reason=shown.reason,
        detail=story_words.sentence(event),
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
    )


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the payload of an event has of an entry."""

    target: str = ""
    stack_id: str = ""
    plan_id: str | None = None
    digest: str | None = None
    approver: tuple[str, ...] = ()
    required: bool = False
    reason: str = ""


def _nothing(event: envelope.Event) -> _Shown:
    return _Shown(reason=_reason(event))


def _reason(event: envelope.Event) -> str:
    said = event.data()
    found = said.get("reason") or said.get("note") or ""
    return str(found)


def _drift(event: envelope.Event) -> _Shown:
    drift = folding.payload(event, events.DriftMoved).drift
    return _Shown(target=f"{drift.component}{drift.path}", reason=drift.reason)


def _plan(event: envelope.Event) -> _Shown:
    plan = folding.payload(event, events.PlanMade).plan
    return _shown_plan(plan)


def _shown_plan(plan: model.Plan, **fields: Any) -> _Shown:
    return _Shown(
        target=", ".join(dict.fromkeys(each.target for each in plan.actions)),
        plan_id=plan.plan_id,
        digest=plan.digest,
        required=any(each.requires_approval for each in plan.actions),
        **fields,
    )


def _voided(event: envelope.Event) -> _Shown:
    said = folding.payload(event, events.PlanVoided)
    return _Shown(plan_id=said.plan_id, reason=said.detail)


def _asked(event: envelope.Event) -> _Shown:
    approval = folding.payload(event, events.ApprovalRequested).approval
    return _shown_plan(approval.shown, reason=approval.reason)


def _answered(event: envelope.Event) -> _Shown:
    said = folding.payload(event, events.ApprovalAnswered)
    grant = said.grant
    return _Shown(
        target=said.approval_id,
        digest=grant.digest,
        approver=(grant.actor,) if grant.granted else (),
        reason=grant.reason,
    )


def _ended(event: envelope.Event) -> _Shown:
    said = folding.payload(event, events.ApprovalEnded)
    return _Shown(target=said.approval_id, reason=said.reason)


def _requested(event: envelope.Event) -> _Shown:
    said = folding.payload(event, events.Requested)
    return _Shown(digest=said.plan_digest, reason=said.reason)


def _command(event: envelope.Event) -> _Shown:
    said = event.data()
    return _Shown(
        target=str(said.get("command_type", "")),
        stack_id=str(said.get("stack_id") or ""),
        reason=str((said.get("payload") or {}).get("reason", "")),
    )


def _rule(event: envelope.Event) -> _Shown:
    rule = folding.payload(event, events.Rule).rule
    return _Shown(target=f"{rule.component}{rule.path}", reason=rule.reason)


_SHOWN: Mapping[str, Callable[[envelope.Event], _Shown]] = {
    events.DRIFT_ACKNOWLEDGED: _drift,
    events.DRIFT_RESOLVED: _drift,
    events.PLAN_MADE: _plan,
    events.PLAN_VOIDED: _voided,
    events.APPROVAL_REQUESTED: _asked,
    events.APPROVAL_GRANTED: _answered,
    events.APPROVAL_DENIED: _answered,
    events.APPROVAL_REVOKED: _ended,
    events.APPROVAL_EXPIRED: _ended,
    events.RECONCILIATION_REQUESTED: _requested,
    events.RULE_DECLARED: _rule,
    COMMAND_ISSUED: _command,
}
