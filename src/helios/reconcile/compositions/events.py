"""What is said in the log about declared stacks.

The events of one stack are one aggregate, so that a writer that has not seen the last one is
refused. Names and fields that others read (`DriftDetected`, `HealStarted` …) are those of the
published schemas; `drift`, `heal` and `plan` hold the whole record beside them.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import jsonio, tracing
from helios.reconcile.compositions import model, policy
from helios.reconcile.compositions.predicting import prediction as foreseen

SOURCE = "helios"
ACTOR = "service:reconciler"

STACK = "helios.stack"
"""Aggregate type of a stack; the id is the stack's, the tenant is the client."""
# Declared.
STACK_DECLARED = "StackDeclared"
STACK_REMOVED = "StackRemoved"
POLICY_DECLARED = "PolicyDeclared"
REVISION_REJECTED = "RevisionRejected"
STACK_PINNED = "StackPinned"
STACK_UNPINNED = "StackUnpinned"
RULE_DECLARED = "IgnoreRuleDeclared"
RULE_REMOVED = "IgnoreRuleRemoved"
BASELINE_TAKEN = "BaselineTaken"
STACK_SUSPENDED = "StackSuspended"
STACK_RESUMED = "StackResumed"
# Seen.
STACK_OBSERVED = "StackObserved"
CONDITIONS_CHANGED = "ConditionsChanged"
DRIFT_SUSPECTED = "DriftSuspected"
DRIFT_DETECTED = "DriftDetected"
DRIFT_CHANGED = "DriftChanged"
DRIFT_IGNORED = "DriftIgnored"
DRIFT_ACKNOWLEDGED = "DriftAcknowledged"
DRIFT_ESCALATED = "DriftEscalated"
DRIFT_RESOLVED = "DriftResolved"
# Foreseen.
DRIFT_PREDICTED = "DriftPredicted"
PREDICTION_WITHDRAWN = "PredictionWithdrawn"
PREDICTION_SCORED = "PredictionScored"
# Decided.
PLAN_MADE = "PlanMade"
PLAN_VOIDED = "PlanVoided"
APPROVAL_REQUESTED = "ApprovalRequested"
APPROVAL_GRANTED = "ApprovalGranted"
APPROVAL_DENIED = "ApprovalDenied"
APPROVAL_REVOKED = "ApprovalRevoked"
APPROVAL_EXPIRED = "ApprovalExpired"
# Done.
HEAL_STARTED = "HealStarted"
HEAL_ACTED = "HealActed"
HEAL_SUCCEEDED = "HealSucceeded"
HEAL_FAILED = "HealFailed"
HEAL_UNVERIFIED = "HealUnverified"
HEAL_AVOIDED = "HealAvoided"
RECONCILIATION_REQUESTED = "ReconciliationRequested"
RECONCILIATION_COMPLETED = "ReconciliationCompleted"

DRIFT_TYPES = (
    DRIFT_SUSPECTED,
    DRIFT_DETECTED,
    DRIFT_CHANGED,
    DRIFT_IGNORED,
    DRIFT_ACKNOWLEDGED,
    DRIFT_ESCALATED,
    DRIFT_RESOLVED,
)
PREDICTION_TYPES = (DRIFT_PREDICTED, PREDICTION_WITHDRAWN, PREDICTION_SCORED)
HEAL_TYPES = (
    HEAL_STARTED,
    HEAL_ACTED,
    HEAL_SUCCEEDED,
    HEAL_FAILED,
    HEAL_UNVERIFIED,
    HEAL_AVOIDED,
)
STACK_TYPES = (
    STACK_DECLARED,
    STACK_REMOVED,
    POLICY_DECLARED,
    REVISION_REJECTED,
    STACK_PINNED,
    STACK_UNPINNED,
    RULE_DECLARED,
    RULE_REMOVED,
    BASELINE_TAKEN,
    STACK_SUSPENDED,
    STACK_RESUMED,
    STACK_OBSERVED,
    CONDITIONS_CHANGED,
    *DRIFT_TYPES,
    *PREDICTION_TYPES,
    PLAN_MADE,
    PLAN_VOIDED,
    APPROVAL_REQUESTED,
    APPROVAL_GRANTED,
    APPROVAL_DENIED,
    APPROVAL_REVOKED,
    APPROVAL_EXPIRED,
    *HEAL_TYPES,
    RECONCILIATION_REQUESTED,
    RECONCILIATION_COMPLETED,
)


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `StackDeclared`.

    Attributes:
        uid: of this incarnation: a stack removed and declared again has another one.
        generation: raised with each change of what is declared, from 1.
        version: semantic version for people, such as `v1.2.3`.
        hash: SHA-256 of the canonical document.
        text: the declaration.
        restores: the generation whose content this is again, of a rollback.
    """

    stack_id: str
    uid: str
    generation: int
    version: str
    hash: str
    text: str
    environment: str
    note: str = ""
    restores: int | None = None


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `StackRemoved`, `StackUnpinned`, `StackResumed`; of a guard `HealingResumed`."""

    reason: str = ""


class PolicyDeclared(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `PolicyDeclared`; an empty text: the defaults again."""

    text: str
    hash: str


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `RevisionRejected`: this content must not be declared again."""

    hash: str
    version: str
    reason: str


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `StackPinned`: the stack stays at this generation's content."""

    generation: int
    version: str
    reason: str


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `IgnoreRuleDeclared`."""

    rule: policy.IgnoreRule


class RuleId(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `IgnoreRuleRemoved`."""

    rule_id: str
    reason: str = ""


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `BaselineTaken`: these drifts are known; fingerprints replace those before."""

    fingerprints: tuple[str, ...]
    reason: str
    expires_at: clocks.Timestamp | None = None


class Suspended(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `StackSuspended`, and of `HealingSuspended` of a guard.

    Attributes:
        mode: `heal_only`: drift is still looked for; `all`: nothing is done.
        until: when it ends by itself; None: when somebody ends it.
    """

    mode: Literal["heal_only", "all"]
    reason: str
    until: clocks.Timestamp | None = None


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `StackObserved`, told when something in it is not as it was.

    Attributes:
        expected_hash, observed_hash: of what can be compared; equal: no drift.
        cursor: up to where in the log it is known.
        presence: state of each component; `detail`: why, where there is a reason.
        unknown: addresses, or `address#field`, of what could not be looked at.
    """

    generation: int
    expected_hash: str
    observed_hash: str
    cursor: int
    presence: Mapping[str, model.Presence]
    unknown: tuple[str, ...] = ()
    detail: Mapping[str, str] = {}


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `ConditionsChanged`.

    Attributes:
        failures: passes in a row that failed.
        error: of the last one that failed; empty when it did not.
    """

    status: model.StackStatus
    conditions: tuple[model.Condition, ...]
    observed_generation: int
    failures: int = 0
    error: str = ""


class DriftMoved(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of the `Drift…` events; the first ten fields are those of DriftDetectionEvent.

    Attributes:
        drift: the whole record as it is now; previous: the state it was in, None: it is new.
    """

    event_id: str
    reconciliation_id: str | None
    client_id: str
    stack_id: str
    drift_type: model.DriftType
    component: str
    expected: Any
    observed: Any
    severity: model.Severity
    detected_at: str
    auto_heal_eligible: bool
    drift: model.Drift
    previous: model.DriftState | None = None


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `DriftPredicted`.

    Attributes:
        probability: that the component drifts within `horizon_s` seconds.
        lead_time_s: when it is expected to, in seconds from now.
        reasons: for people, the strongest sign first.
        prediction: the whole record.
    """

    client_id: str
    stack_id: str
    component: str
    probability: float
    horizon_s: float
    lead_time_s: float
    reasons: tuple[str, ...]
    prediction: foreseen.Prediction


class PredictionEnded(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `PredictionScored` (hit or miss) and `PredictionWithdrawn` (all other ends)."""

    ended: foreseen.Ended


class PlanMade(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `PlanMade`."""

    plan: model.Plan
    reconciliation_id: str | None = None


class PlanVoided(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `PlanVoided`; `code` says why: `plan_stale`, `plan_expired`, `superseded`,
    `done`, `cancelled`.
    """

    plan_id: str
    code: str
    detail: str


class ApprovalRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `ApprovalRequested`."""

    approval: model.Approval


class ApprovalAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `ApprovalGranted` and `ApprovalDenied`: one person's answer."""

    approval_id: str
    grant: model.Grant


class ApprovalEnded(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `ApprovalRevoked` and `ApprovalExpired`."""

    approval_id: str
    status: Literal["revoked", "expired", "stale"]
    reason: str


class HealMoved(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of the `Heal…` events; the first fields are those of AutoHealEvent.

    Attributes:
        heal: the whole record as it is now.
    """

    event_id: str
    reconciliation_id: str | None
    client_id: str
    stack_id: str
    drift_detail: model.Drift | None
    heal_action: model.ActionKind
    status: Literal["started", "success", "failed"]
    started_at: str
    completed_at: str | None
    error_message: str | None
    heal: model.Heal


class Requested(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `ReconciliationRequested`.

    Attributes:
        trigger: what asked; a manual one does not wait for intervals or backoffs.
        heal: whether healing is asked for too, as policy allows; False: only look.
        command_id: of the command, if one asked.
        correlation_id: of the operation that all that follows belongs to; None: its own.
        plan_digest: of the plan that somebody wants carried out now.
    """

    reconciliation_id: str
    trigger: Literal["schedule", "webhook", "alert", "manual"]
    reason: str = ""
    heal: bool = True
    command_id: str | None = None
    correlation_id: str | None = None
    plan_digest: str | None = None


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `ReconciliationCompleted`: the published ReconciliationResult."""

    reconciliation_id: str
    client_id: str
    stack_id: str
    started_at: str
    completed_at: str
    status: Literal["success", "failed", "partial"]
    drift_detected: bool
    drift_count: int
    auto_heal_attempted: bool
    auto_heal_success_count: int
    errors: tuple[str, ...] = ()
    trigger: str = "schedule"
    unknown: tuple[str, ...] = ()


StackPayload: TypeAlias = (
    Declared
    | Noted
    | PolicyDeclared
    | Rejected
    | Pinned
    | Rule
    | RuleId
    | Baseline
    | Suspended
    | Observed
    | Conditions
    | DriftMoved
    | Predicted
    | PredictionEnded
    | PlanMade
    | PlanVoided
    | ApprovalRequested
    | ApprovalAnswered
    | ApprovalEnded
    | HealMoved
    | Requested
    | Completed
)


class Because(msgspec.Struct, frozen=True, kw_only=True):
    """What an event is there for.

    Attributes:
        actor: who.
        correlation_id: the operation it belongs to.
        causation_id: id of the event or command that caused it; `position` of that event.
        traceparent: W3C trace context of that event; None: that of what is being done, if any.
    """

    actor: str = ACTOR
    correlation_id: str | None = None
    causation_id: str | None = None
    position: int | None = None
    traceparent: str | None = None


US = Because()


def of_stack(
    event_type: str,
    client_id: str,
    stack_id: str,
    payload: StackPayload,
    *,
    now: clocks.Timestamp,
    event_id: str,
    because: Because = US,
) -> envelope.NewEvent:
    """An event about a stack."""
    about = (client_id, STACK, stack_id)
    return made(event_type, about, payload, now=now, event_id=event_id, because=because)


def made(
    event_type: str,
    about: envelope.AggregateKey,
    payload: msgspec.Struct,
    *,
    now: clocks.Timestamp,
    event_id: str,
    because: Because = US,
) -> envelope.NewEvent:
    """An event of ours about an aggregate."""
    tenant, kind, name = about
    metadata: dict[str, Any] = {}
    if because.position is not None:
        metadata["causation_position"] = because.position
    trace = tracing.current()
    if because.traceparent is not None:
        trace = tracing.parse(because.traceparent)
    if trace is not None:
        metadata["traceparent"] = tracing.following(trace, event_id).traceparent
    return envelope.NewEvent(
        id=event_id,
        source=SOURCE,
        type=event_type,
        occurred_at=now,
        tenant=tenant,
        aggregate_type=kind,
        aggregate_id=name,
        actor=because.actor,
        correlation_id=because.correlation_id,
        causation_id=because.causation_id,
        payload=jsonio.encode(payload),
        metadata=jsonio.encode(metadata),
    )
