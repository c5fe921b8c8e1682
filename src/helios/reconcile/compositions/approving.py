"""Asking people, and what their answers come to.

Pure. What is agreed to is a digest: this to be done, in this situation. An answer that names
another digest is refused, and so is one of somebody who may not give it; what was refused is not
in the log as an answer.
"""

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import model, policy

REASON_CHARS_MAX = 2_000

Status = Literal["pending", "granted", "denied", "revoked", "expired", "stale"]

_ENDED: frozenset[str] = frozenset(("denied", "revoked", "expired", "stale"))


def request(
    plan: model.Plan,
    rules: policy.Policy,
    *,
    approval_id: str,
    requested_by: str,
    now: clocks.Timestamp,
) -> model.Approval:
    """What people are asked about a plan, as policy wants them to be."""
    wanted = rules.approvals
    return model.Approval(
        approval_id=approval_id,
        plan_id=plan.plan_id,
        digest=plan.digest,
        shown=plan,
        reason=reason_of(plan),
        requested_by=requested_by,
        requested_at=now,
        expires_at=clocks.Timestamp(now + wanted.ttl),
        quorum=max(1, wanted.quorum),
        roles=wanted.roles,
        not_requester=wanted.not_requester,
    )


def reason_of(plan: model.Plan) -> str:
    """Why somebody has to agree: each action that needs it, with its reason."""
    asked = [each for each in plan.actions if each.requires_approval]
    return "; ".join(f"{each.summary}: {each.approval_reason}" for each in asked)


def answer(
    approval: model.Approval,
    *,
    actor: str,
    roles: Sequence[str],
    digest: str,
    granted: bool,
    reason: str,
    now: clocks.Timestamp,
) -> model.Grant:
    """One person's answer, if it may be given.

    Raises:
        ConflictError: it was asked about another digest, or the question is not open any more.
        InvalidInputError: this person may not answer it, or has done so.
    """
    if digest != approval.digest:
        raise errors.ConflictError(
            f"approval {approval.approval_id} is for the plan with digest {approval.digest[:12]}…, "
            f"the answer is for {digest[:12]}…: look at the plan again and answer for it"
        )
    standing = status(approval, now)
    if standing != "pending":
        raise errors.ConflictError(
            f"approval {approval.approval_id} is {standing}: there is nothing to answer"
        )
    refused = _refused(approval, actor, roles, granted=granted)
    if refused is not None:
        raise errors.InvalidInputError(refused, field="actor")
    return model.Grant(
        actor=actor,
        roles=tuple(roles),
        digest=digest,
        granted=granted,
        reason=reason[:REASON_CHARS_MAX],
        at=now,
    )


def status(approval: model.Approval, now: clocks.Timestamp) -> Status:
    """What the answers come to by now; of one person the last one counts."""
    if approval.status in _ENDED:
        return approval.status
    valid = [each for each in approval.grants if each.digest == approval.digest]
    if any(not each.granted for each in valid):
        return "denied"
    if len(agreed(approval)) >= approval.quorum:
        return "granted"
    return "expired" if now >= approval.expires_at else "pending"


def agreed(approval: model.Approval) -> frozenset[str]:
    """The different people who may agree and have."""
    return frozenset(
        each.actor
        for each in approval.grants
        if each.granted
        and each.digest == approval.digest
        and not _is_asker(approval, each.actor)
        and _has_role(approval, each.roles)
    )


def missing(approval: model.Approval) -> int:
    """How many more people have to agree."""
    return max(0, approval.quorum - len(agreed(approval)))


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """That a question is over without an answer."""

    status: Literal["expired", "stale"]
    reason: str


def ended(approval: model.Approval, plan: model.Plan | None, now: clocks.Timestamp) -> Ended | None:
    """Whether a question that is open is over by now; None: it is not.

    `plan` is the one that the situation asks for; another digest, or none, makes what was asked
    stale.
    """
    if approval.status not in ("pending", "granted"):
        return None
    if plan is None or plan.digest != approval.digest:
        return Ended(status="stale", reason="the plan that was shown is not what would be done now")
    if approval.status == "pending" and now >= approval.expires_at:
        left = missing(approval)
        return Ended(status="expired", reason=f"{left} of {approval.quorum} did not answer in time")
    return None


def _refused(
    approval: model.Approval, actor: str, roles: Collection[str], *, granted: bool
) -> str | None:
    if not _has_role(approval, roles):
        return f"{actor} has none of the roles {', '.join(approval.roles)}, which may answer this"
    if granted and _is_asker(approval, actor):
        return f"{actor} has asked for this; somebody else has to agree"
    if granted and actor in agreed(approval):
        return f"{actor} has agreed to this already; {missing(approval)} more are needed"
    return None


def _is_asker(approval: model.Approval, actor: str) -> bool:
    return approval.not_requester and actor == approval.requested_by


def _has_role(approval: model.Approval, roles: Collection[str]) -> bool:
    return not approval.roles or any(role in approval.roles for role in roles)
