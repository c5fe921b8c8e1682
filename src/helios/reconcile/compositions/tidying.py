"""What has run out by itself: suspensions, approvals, plans. Pure."""

from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, planning, stack, writer


def due(state: stack.Stack, now: clocks.Timestamp) -> list[writer.Said]:
    """The events that say so."""
    said: list[writer.Said] = []
    suspended = state.suspended
    if suspended is not None and not suspended.holds(now):
        said.append((events.STACK_RESUMED, events.Noted(reason="its time was up")))
    approval, plan = state.approval, state.plan
    if approval is not None and approval.status == "pending" and now >= approval.expires_at:
        ended = events.ApprovalEnded(
            approval_id=approval.approval_id, status="expired", reason="nobody answered in time"
        )
        said.append((events.APPROVAL_EXPIRED, ended))
    elif plan is not None and now >= planning.deadline(plan, approval) and not is_held(state):
        void = events.PlanVoided(
            plan_id=plan.plan_id, code="plan_expired", detail="it was not carried out in time"
        )
        said.append((events.PLAN_VOIDED, void))
    return said


def is_held(state: stack.Stack) -> bool:
    """Whether the plan is kept beyond its time, because it is being carried out."""
    if state.plan is None:
        return False
    return any(heal.plan_id == state.plan.plan_id for heal in state.open_heals())
