"""Plans, approvals and heals as the API shows them."""

from typing import Any

import msgspec

from helios.api import showing
from helios.kernel import clock as clocks
from helios.reconcile.compositions import model


class ActionView(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a plan; `params` hold references, never secrets.

    Attributes:
        provider: what is written at, `<adapter>@<host>`.
        needs: addresses of components that it relies on; it is not done while one is unhealthy.
        undo: params that undo it; null: it cannot be undone, or that is known once it is done.
    """

    id: str
    kind: model.ActionKind
    target: str
    provider: str
    summary: str
    params: dict[str, Any]
    drift_ids: list[str]
    risk: model.Risk
    reversible: bool
    undo: dict[str, Any] | None
    requires_approval: bool
    approval_reason: str
    effects: list[str]
    precondition: str
    idempotency_key: str
    depends_on: list[str]
    needs: list[str]
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
        changes: field to [before, after]; masked where secret.
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
    changes: dict[str, Any]
    drift_ids: list[str]


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
        actions=[action(each) for each in found.actions],
        blockers=[_blocker(each) for each in found.blockers],
        remaining=found.remaining,
        blast_radius=dict(found.blast_radius),
        confidence_min=found.confidence_min,
        created_at=clocks.to_rfc3339(found.created_at),
        expires_at=clocks.to_rfc3339(found.expires_at),
        runs_at=showing.at(_runs_at(found)),
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


def action(found: model.Action) -> ActionView:
    """An action as it is shown."""
    return ActionView(
        id=found.id,
        kind=found.kind,
        target=found.target,
        provider=found.provider,
        summary=found.summary,
        params=dict(found.params),
        drift_ids=list(found.drift_ids),
        risk=found.risk,
        reversible=found.reversible,
        undo=None if found.inverse is None else dict(found.inverse),
        requires_approval=found.requires_approval,
        approval_reason=found.approval_reason,
        effects=list(found.effects),
        precondition=found.precondition,
        idempotency_key=found.idempotency_key,
        depends_on=list(found.depends_on),
        needs=list(found.needs),
        wave=found.wave,
        expected_events=list(found.expected_events),
        timeout_s=found.timeout_s,
    )


def _blocker(found: model.Blocker) -> BlockerView:
    fields = showing.fields(found, BlockerView)
    return BlockerView(**{**fields, "until": showing.at(found.until)})


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
        acted_at=showing.at(found.acted_at),
        ended_at=showing.at(found.ended_at),
        detail=found.detail,
        error_code=found.error_code,
        changes=dict(found.changes),
        drift_ids=list(found.action.drift_ids),
    )
