"""What is refused of declared stacks, and why; each kind has a code of its own.

RefusedError
├── PlanStaleError         something has changed since the plan was made
├── PlanExpiredError       the plan was not carried out in time
├── PlanBlockedError       something stands in the way of the plan
├── ApprovalMissingError   somebody has to agree first
├── NothingToDoError       there is nothing that can be done
├── ApprovalClosedError    the question is not open any more
├── DigestMismatchError    the answer is for another plan than the one that is asked about
├── ApproverRefusedError   this person may not answer
├── DriftClosedError       the drift is over
├── StackPinnedError       the stack stays at its version until it is unpinned
├── RevisionRejectedError  this content was rolled back and must not come again
├── RemovalsRefusedError   too much would be removed at once
└── PromotionRefusedError  the stack is not fit to be promoted
"""

from typing import ClassVar

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import model, stack


class RefusedError(errors.HeliosError):
    """It was understood, and must not be done as things are; the message says what to do."""

    code: ClassVar[str] = "refused"


class PlanStaleError(RefusedError):
    """Something has changed since the plan was made, so it would do something else than shown."""

    code = "plan_stale"


class PlanExpiredError(RefusedError):
    """The plan was not carried out in time; make another one."""

    code = "plan_expired"


class PlanBlockedError(RefusedError):
    """Something stands in the way of the plan: a window, a breaker, a switch, a budget."""

    code = "plan_blocked"


class ApprovalMissingError(RefusedError):
    """Somebody has to agree to the plan before it is carried out."""

    code = "approval_missing"


class NothingToDoError(RefusedError):
    """There is nothing that can be done now."""

    code = "nothing_to_do"


class ApprovalClosedError(RefusedError):
    """The question was answered, taken back, or has expired."""

    code = "approval_closed"


class DigestMismatchError(RefusedError):
    """The answer is for another plan than the one that is asked about."""

    code = "digest_mismatch"


class ApproverRefusedError(RefusedError):
    """Somebody may not answer: has not the role, has asked for it, or has agreed already."""

    code = "approver_refused"


class DriftClosedError(RefusedError):
    """The drift is over; nothing can be said of it any more."""

    code = "drift_closed"


class StackPinnedError(RefusedError):
    """The stack stays at its version until it is unpinned."""

    code = "stack_pinned"


class RevisionRejectedError(RefusedError):
    """The content was rolled back and must not be declared again."""

    code = "revision_rejected"


class RemovalsRefusedError(RefusedError):
    """Too much of what is declared would be removed at once."""

    code = "removals_refused"


class PromotionRefusedError(RefusedError):
    """The stack is not fit to be promoted: it drifts, or was not where it has to have been."""

    code = "promotion_refused"


def of_drift(state: stack.Stack, drift_id: str) -> model.Drift:
    """The open drift of an id.

    Raises:
        DriftClosedError: it is over.
        NotFoundError: the stack has none of that id.
    """
    drift = state.drifts.get(drift_id)
    if drift is not None:
        return drift
    past = state.past.get(drift_id)
    if past is None:
        raise errors.NotFoundError(
            f"stack {state.stack_id[:80]} has no drift {drift_id[:80]}: `helios drift list "
            f"{state.client_id}/{state.stack_id}` lists them"
        )
    raise DriftClosedError(
        f"drift {drift_id} is over since {clocks.to_rfc3339(past.closed_at)}: {past.closed}"
    )


REFUSED: tuple[type[RefusedError], ...] = (
    RefusedError,
    PlanStaleError,
    PlanExpiredError,
    PlanBlockedError,
    ApprovalMissingError,
    NothingToDoError,
    ApprovalClosedError,
    DigestMismatchError,
    ApproverRefusedError,
    DriftClosedError,
    StackPinnedError,
    RevisionRejectedError,
    RemovalsRefusedError,
    PromotionRefusedError,
)
"""All of them; their codes are answered over HTTP and come back as these in the client."""
