"""Declared stacks as the API shows them: drifts, plans, approvals, heals, versions.

The records are those of `reconcile.compositions.model`, with times as RFC 3339 text and with the
client and the stack that they are of.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, model, reading, stack

QUIET: frozenset[str] = frozenset(("suspected", "ignored"))
"""States of open drifts that are no alarm."""


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """One witness of what was seen; `supports` is false where it speaks against it."""

    kind: model.EvidenceKind
    witness: str
    at: str
    supports: bool
    detail: str
    event_id: str | None
    position: int | None


class OriginView(msgspec.Struct, frozen=True, kw_only=True):
    """Who brought a drift about and how that came to us, as far as the log tells."""

    actor: str | None
    event_id: str | None
    position: int | None
    channel: str | None


class DriftView(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between what is declared and what is so (DriftDetail).

    Attributes:
        drift_id: the same for the same difference.
        occurrence: 2 when it was closed once and came again.
        path: JSON pointer below the component; empty: the component itself.
        attempts: heals of this occurrence that were begun.
        auto_heal_eligible: policy would let it be healed without asking.
        rule: what makes it ignored.
        origin, evidence: who brought it about, and who saw it.
    """

    drift_id: str
    client_id: str
    stack_id: str
    occurrence: int
    type: model.DriftType
    cause: model.Cause
    component: str
    path: str
    expected: Any
    observed: Any
    severity: model.Severity
    confidence: float
    state: model.DriftState
    reason: str
    detected_at: str
    confirmed_at: str | None
    last_seen: str
    closed_at: str | None
    seen_count: int
    attempts: int
    next_attempt_at: str | None
    auto_heal_eligible: bool
    healable: bool
    plan_id: str | None
    rule: str | None
    fingerprint: str
    origin: OriginView
    evidence: list[EvidenceView]


class DriftStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack differs in now.

    Attributes:
        drift_count: open drifts that are neither only suspected nor ignored.
        auto_heal_eligible: one of them at least would be healed without asking.
        drift_details: open drifts, the suspected and ignored ones too.
    """

    client_id: str
    stack_id: str
    has_drift: bool
    drift_count: int
    last_detected: str | None
    auto_heal_eligible: bool
    last_verified: str | None
    drift_details: list[DriftView]


class DriftList(msgspec.Struct, frozen=True, kw_only=True):
    """Drifts, newest first, closed ones too; read on with `cursor=next_cursor`."""

    drifts: list[DriftView]
    next_cursor: str | None


class DriftHistory(msgspec.Struct, frozen=True, kw_only=True):
    """One drift, and its earlier occurrences, newest first."""

    drift: DriftView
    history: list[DriftView]


class ActionView(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a plan; `params` hold references, never secrets."""

    id: str
    kind: model.ActionKind
    target: str
    summary: str
    params: dict[str, Any]
    drift_ids: list[str]
    risk: model.Risk
    reversible: bool
    requires_approval: bool
    approval_reason: str
    effects: list[str]
    precondition: str
    idempotency_key: str
    depends_on: list[str]
    wave: int
    expected_events: list[str]
    timeout_s: float


class BlockerView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a plan is not carried out now, until when if that is known, and what helps."""

    code: model.BlockerCode
    detail: str
    action_id: str | None
    until: str | None
    remedy: str


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done, bound to what was declared and seen.

    Attributes:
        plan_id: empty for one that was not kept.
        digest: of what is done and what it is bound to; an approval names it.
        void: why it cannot be carried out any more; empty: it can.
        runs_at: when it would run as things are: its creation, or the end of what stands in its
            way; null when that needs somebody.
        remaining: drifts that did not fit and come next time.
    """

    plan_id: str
    digest: str
    client_id: str
    stack_id: str
    generation: int
    desired_version: str
    desired_hash: str
    observed_hash: str
    observed_cursor: int
    actions: list[ActionView]
    blockers: list[BlockerView]
    remaining: int
    blast_radius: dict[str, int]
    confidence_min: float
    created_at: str
    expires_at: str
    runs_at: str | None
    requested_by: str
    void: str


class PlanMade(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan was made of; `plan` is null when there is nothing to do.

    Attributes:
        stored: it is in the log and can be approved and carried out by its id.
    """

    client_id: str
    stack_id: str
    stored: bool
    plan: PlanView | None


class PlanList(msgspec.Struct, frozen=True, kw_only=True):
    """Plans, newest first."""

    plans: list[PlanView]
    next_cursor: str | None


class GrantView(msgspec.Struct, frozen=True, kw_only=True):
    """One person's yes or no."""

    actor: str
    roles: list[str]
    digest: str
    granted: bool
    reason: str
    at: str


class ApprovalView(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has to agree to.

    Attributes:
        shown: the plan as it is put before them.
        quorum: how many different people have to agree; `roles`: one of these each has to have.
    """

    approval_id: str
    client_id: str
    stack_id: str
    plan_id: str
    digest: str
    status: str
    reason: str
    requested_by: str
    requested_at: str
    expires_at: str
    quorum: int
    roles: list[str]
    not_requester: bool
    grants: list[GrantView]
    shown: PlanView


class ApprovalList(msgspec.Struct, frozen=True, kw_only=True):
    """Approvals, newest first."""

    approvals: list[ApprovalView]
    next_cursor: str | None


class HealView(msgspec.Struct, frozen=True, kw_only=True):
    """One action that was begun.

    Attributes:
        status: `started`: it may have happened or not; `acted`: done and not verified;
            `succeeded`: seen to have helped; `failed`; `unverified`: done, and did not help;
            `avoided`: the drift was gone before anything was written.
    """

    action_id: str
    client_id: str
    stack_id: str
    kind: model.ActionKind
    target: str
    summary: str
    status: str
    plan_id: str
    digest: str
    attempt: int
    actor: str
    approved_by: list[str]
    manual: bool
    started_at: str
    acted_at: str | None
    ended_at: str | None
    detail: str
    error_code: str
    drift_ids: list[str]


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """One version that was declared; `restores` is the generation whose content it has again."""

    generation: int
    version: str
    hash: str
    declared_at: str
    actor: str
    environment: str
    position: int
    note: str
    restores: int | None
    rejected: bool


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What was declared of a stack and what was done to it, newest first."""

    client_id: str
    stack_id: str
    versions: list[VersionView]
    heals: list[HealView]
    next_cursor: str | None


class ReconciliationResult(events.Completed, frozen=True, kw_only=True):
    """What became of one reconciliation.

    Attributes:
        status: `partial`: something could not be looked at, named in `unknown`.
    """


class ReconciliationList(msgspec.Struct, frozen=True, kw_only=True):
    """Reconciliations that were asked for or changed something, newest first."""

    reconciliations: list[ReconciliationResult]
    next_cursor: str | None


class StackSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A stack in a list; `drift_count` as in DriftStatus."""

    client_id: str
    stack_id: str
    environment: str
    state_version: str
    generation: int
    status: model.StackStatus
    drift_count: int
    last_verified: str | None
    updated_at: str


class StackList(msgspec.Struct, frozen=True, kw_only=True):
    """Declared stacks by client and name."""

    stacks: list[StackSummary]
    next_cursor: str | None


def at(time: clocks.Timestamp | None) -> str | None:
    """A time as it is shown."""
    return None if time is None else clocks.to_rfc3339(time)


def drift(client_id: str, stack_id: str, found: model.Drift) -> DriftView:
    """A drift as it is shown."""
    return DriftView(
        drift_id=found.drift_id,
        client_id=client_id,
        stack_id=stack_id,
        occurrence=found.occurrence,
        type=found.type,
        cause=found.cause,
        component=found.component,
        path=found.path,
        expected=found.expected,
        observed=found.observed,
        severity=found.severity,
        confidence=found.confidence,
        state=found.state,
        reason=found.reason,
        detected_at=clocks.to_rfc3339(found.detected_at),
        confirmed_at=at(found.confirmed_at),
        last_seen=clocks.to_rfc3339(found.last_seen),
        closed_at=at(found.closed_at),
        seen_count=found.seen_count,
        attempts=found.attempts,
        next_attempt_at=at(found.next_attempt_at),
        auto_heal_eligible=found.auto_heal_eligible,
        healable=found.healable,
        plan_id=found.plan_id,
        rule=found.rule,
        fingerprint=found.fingerprint,
        origin=OriginView(**msgspec.structs.asdict(found.origin)),
        evidence=[evidence(each) for each in found.evidence],
    )


def evidence(found: model.Evidence) -> EvidenceView:
    """A witness as it is shown."""
    fields = msgspec.structs.asdict(found)
    return EvidenceView(**{**fields, "at": clocks.to_rfc3339(found.at)})


def drift_status(known: reading.Known) -> DriftStatus:
    """What a stack differs in, as it is known."""
    state = known.state
    found = sorted(state.drifts.values(), key=_worst_first)
    counted = [each for each in found if each.state not in QUIET]
    return DriftStatus(
        client_id=state.client_id,
        stack_id=state.stack_id,
        has_drift=bool(counted),
        drift_count=len(counted),
        last_detected=at(max((each.detected_at for each in counted), default=None)),
        auto_heal_eligible=any(each.auto_heal_eligible for each in counted),
        last_verified=at(known.last_verified),
        drift_details=[drift(state.client_id, state.stack_id, each) for each in found],
    )


def _worst_first(found: model.Drift) -> tuple[bool, int, str, str]:
    return (
        found.state in QUIET,
        -model.SEVERITIES.index(found.severity),
        found.component,
        found.path,
    )


def plan(found: model.Plan, void: str = "") -> PlanView:
    """A plan as it is shown; `void` is why it cannot be carried out any more."""
    return PlanView(
        plan_id=found.plan_id,
        digest=found.digest,
        client_id=found.client_id,
        stack_id=found.stack_id,
        generation=found.generation,
        desired_version=found.desired_version,
        desired_hash=found.desired_hash,
        observed_hash=found.observed_hash,
        observed_cursor=found.observed_cursor,
        actions=[_action(each) for each in found.actions],
        blockers=[_blocker(each) for each in found.blockers],
        remaining=found.remaining,
        blast_radius=dict(found.blast_radius),
        confidence_min=found.confidence_min,
        created_at=clocks.to_rfc3339(found.created_at),
        expires_at=clocks.to_rfc3339(found.expires_at),
        runs_at=at(_runs_at(found)),
        requested_by=found.requested_by,
        void=void,
    )


def _runs_at(found: model.Plan) -> clocks.Timestamp | None:
    times = [found.created_at]
    for each in found.blockers:
        if each.until is None:
            return None
        times.append(each.until)
    return max(times)


def _action(found: model.Action) -> ActionView:
    return ActionView(
        id=found.id,
        kind=found.kind,
        target=found.target,
        summary=found.summary,
        params=dict(found.params),
        drift_ids=list(found.drift_ids),
        risk=found.risk,
        reversible=found.reversible,
        requires_approval=found.requires_approval,
        approval_reason=found.approval_reason,
        effects=list(found.effects),
        precondition=found.precondition,
        idempotency_key=found.idempotency_key,
        depends_on=list(found.depends_on),
        wave=found.wave,
        expected_events=list(found.expected_events),
        timeout_s=found.timeout_s,
    )


def _blocker(found: model.Blocker) -> BlockerView:
    fields = msgspec.structs.asdict(found)
    return BlockerView(**{**fields, "until": at(found.until)})


def approval(found: model.Approval, stack_id: str) -> ApprovalView:
    """An approval as it is shown."""
    return ApprovalView(
        approval_id=found.approval_id,
        client_id=found.shown.client_id,
        stack_id=stack_id,
        plan_id=found.plan_id,
        digest=found.digest,
        status=found.status,
        reason=found.reason,
        requested_by=found.requested_by,
        requested_at=clocks.to_rfc3339(found.requested_at),
        expires_at=clocks.to_rfc3339(found.expires_at),
        quorum=found.quorum,
        roles=list(found.roles),
        not_requester=found.not_requester,
        grants=[
            GrantView(
                actor=each.actor,
                roles=list(each.roles),
                digest=each.digest,
                granted=each.granted,
                reason=each.reason,
                at=clocks.to_rfc3339(each.at),
            )
            for each in found.grants
        ],
        shown=plan(found.shown),
    )


def heal(client_id: str, stack_id: str, found: model.Heal) -> HealView:
    """A heal as it is shown."""
    return HealView(
        action_id=found.action.id,
        client_id=client_id,
        stack_id=stack_id,
        kind=found.action.kind,
        target=found.action.target,
        summary=found.action.summary,
        status=found.status,
        plan_id=found.plan_id,
        digest=found.digest,
        attempt=found.attempt,
        actor=found.actor,
        approved_by=list(found.approved_by),
        manual=found.manual,
        started_at=clocks.to_rfc3339(found.started_at),
        acted_at=at(found.acted_at),
        ended_at=at(found.ended_at),
        detail=found.detail,
        error_code=found.error_code,
        drift_ids=list(found.action.drift_ids),
    )


def version(state: stack.Stack, found: stack.Version) -> VersionView:
    """A version as it is shown."""
    return VersionView(
        generation=found.generation,
        version=found.version,
        hash=found.hash,
        declared_at=clocks.to_rfc3339(found.declared_at),
        actor=found.actor,
        environment=found.environment,
        position=found.position,
        note=found.note,
        restores=found.restores,
        rejected=found.hash in state.rejected,
    )


def result(found: events.Completed) -> ReconciliationResult:
    """The result of a reconciliation as it is shown."""
    return ReconciliationResult(**msgspec.structs.asdict(found))


def summary(found: reading.Listed) -> StackSummary:
    """A stack of a list."""
    return StackSummary(
        client_id=found.client_id,
        stack_id=found.stack_id,
        environment=found.environment,
        state_version=found.version,
        generation=found.generation,
        status=found.status,
        drift_count=found.drifts,
        last_verified=at(found.last_verified),
        updated_at=clocks.to_rfc3339(found.updated_at),
    )


def next_cursor(found: Sequence[reading.Entry], limit: int) -> str | None:
    """Where the next page begins; None: this is the last."""
    return str(found[-1].position) if len(found) == limit else None


def plain(value: Any) -> Mapping[str, Any]:
    """The fields of a struct as JSON values."""
    made: Mapping[str, Any] = msgspec.to_builtins(value)
    return made
