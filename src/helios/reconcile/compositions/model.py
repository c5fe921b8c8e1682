"""The values that a pass works with: what was seen, where it differs, what is to be done.

All times are microseconds (`kernel.clock.Timestamp`), all values JSON values. Secrets never are in
them: what is secret is replaced by a keyed hash before it gets here.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks

Presence: TypeAlias = Literal["present", "absent", "unknown"]
"""`unknown` is what could not be looked at; it is never taken for `absent`."""

EvidenceKind: TypeAlias = Literal[
    "direct_read", "signed_event", "failed_call", "missed_heartbeat", "silence"
]
DriftType: TypeAlias = Literal["provider", "content", "resource", "integration", "configuration"]
Severity: TypeAlias = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")

Cause: TypeAlias = Literal[
    "provider_missing",
    "cms_provider_change",
    "credential_invalid",
    "webhook_broken",
    "integration_changed",
    "resource_missing",
    "resource_unhealthy",
    "configuration_changed",
    "build_broken",
    "content_missing",
    "content_stale",
    "content_differs",
]

DriftState: TypeAlias = Literal[
    "suspected",
    "confirmed",
    "acknowledged",
    "ignored",
    "planned",
    "awaiting_approval",
    "healing",
    "verifying",
    "failed",
    "escalated",
    "healed",
    "resolved_externally",
    "superseded",
    "false_positive",
]
CLOSED: frozenset[DriftState] = frozenset(
    ("healed", "resolved_externally", "superseded", "false_positive")
)
"""States that a drift does not leave; the same difference seen again is a new occurrence."""

ActionKind: TypeAlias = Literal[
    "register_provider",
    "create_webhook",
    "update_webhook",
    "update_integration",
    "create_resource",
    "update_resource",
    "rebuild_resource",
    "resync_content",
    "rollback",
    "notify_only",
]
Risk: TypeAlias = Literal["low", "medium", "high", "destructive"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One witness of what was seen.

    Attributes:
        witness: who saw it, such as `probe:strapi`, `check:http`, `event:strapi`; evidence of one
            witness counts once.
        supports: it speaks for what was seen; False: against.
        fields: what it speaks of; empty: all that was seen. Of a signed event: the fields whose
            change it names (`""`: the component itself); without, it only says that the sender
            is there.
        event_id, position: of the event in the log, if it is one.
    """

    kind: EvidenceKind
    witness: str
    at: clocks.Timestamp
    supports: bool = True
    fields: tuple[str, ...] = ()
    detail: str = ""
    event_id: str | None = None
    position: int | None = None


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of how long a component lasts; told, and never compared.

    Attributes:
        runs_out: what ends, and when it is no longer as declared for that.
        counts: what is counted, and its limit: [now, at most].
        quota_left: calls that the other side still takes in its present window.
    """

    runs_out: Mapping[str, clocks.Timestamp] = {}
    counts: Mapping[str, tuple[float, float]] = {}
    quota_left: int | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one component.

    Attributes:
        value: its fields, those that could be seen; None unless present.
        unknown: fields that could not be looked at though the component is there.
        as_of: when it was so.
        detail: for people: why it is unknown, or what is wrong.
    """

    state: Presence
    as_of: clocks.Timestamp
    value: Mapping[str, Any] | None = None
    unknown: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    detail: str = ""
    outlook: Outlook | None = None


Observation: TypeAlias = Mapping[str, Seen]
"""What is known of each component, by address."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between declared and seen.

    Attributes:
        fingerprint: 32 hex digits, the same for the same difference of the same incarnation.
        path: JSON pointer below the component; empty: the component itself.
        expected, observed: JSON values; masked where they are secret.
        confidence: 0 to 1, from the witnesses alone.
        rule: id of the rule that makes it ignored; `effect` says in what respect.
        healable: whether an action is known that mends it.
    """

    fingerprint: str
    type: DriftType
    cause: Cause
    component: str
    path: str
    expected: Any
    observed: Any
    severity: Severity
    confidence: float
    evidence: tuple[Evidence, ...] = ()
    rule: str | None = None
    effect: str | None = None
    healable: bool = True


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Who brought a drift about, as far as the log tells.

    Attributes:
        actor: such as `provider:strapi` or `user:ada`.
        event_id, position: of the event that told of it.
        channel: how it came: `webhook`, `probe`, `declaration`, `heal`.
    """

    actor: str | None = None
    event_id: str | None = None
    position: int | None = None
    channel: str | None = None


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """A difference over time.

    Attributes:
        drift_id: made of the fingerprint: stable for the same drift.
        occurrence: 1 for the first time this difference came, 2 after it was closed and came again.
        score: observations that confirm minus those that clear, never below 0.
        seen_count: passes that saw it.
        attempts: heals of this occurrence that were begun.
        next_attempt_at: none before that.
        auto_heal_eligible: policy would let it be healed without asking.
        reason: why it is in its state, a word or a sentence.
        rule: that makes it ignored.
        provider: what would be written at, `<adapter or kind>@<host>`.
    """

    drift_id: str
    fingerprint: str
    occurrence: int = 1
    type: DriftType
    cause: Cause
    component: str
    path: str
    expected: Any
    observed: Any
    severity: Severity
    confidence: float
    state: DriftState
    detected_at: clocks.Timestamp
    last_seen: clocks.Timestamp
    confirmed_at: clocks.Timestamp | None = None
    closed_at: clocks.Timestamp | None = None
    score: int = 1
    seen_count: int = 1
    attempts: int = 0
    next_attempt_at: clocks.Timestamp | None = None
    auto_heal_eligible: bool = False
    healable: bool = True
    plan_id: str | None = None
    rule: str | None = None
    reason: str = ""
    origin: Origin = Origin()
    provider: str = ""
    evidence: tuple[Evidence, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.state not in CLOSED


Verdict: TypeAlias = Literal["ignore", "watch", "warn", "approve", "heal", "escalate", "wait"]
"""What policy says of one drift. `watch`: recorded, not yet sure; `wait`: an attempt is under way
or its time has not come."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What policy says of one drift, and why."""

    drift_id: str
    verdict: Verdict
    reason: str


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a plan.

    Attributes:
        id: unique within the log.
        target: address of the component.
        provider: what is written at, `<adapter>@<host>`, of breakers and budgets; empty: nothing.
        needs: addresses of components that this one relies on; not done while one is unhealthy.
        params: what it is done with; holds references, never secrets.
        drift_ids: what it mends.
        inverse: params that undo it; None: it cannot be undone.
        effects: words policy may ask about: `data_deletion`, `resource_replacement`,
            `cms_provider_change`, `webhook_recreated` …
        precondition: hash of the component as it was seen when this was planned; the write is
            refused when it has changed since.
        idempotency_key: the same for the same attempt at the same drift.
        depends_on: ids of actions that have to be verified first.
        wave: 0 first.
        expected_events: types of events that it should cause.
        summary: one sentence for people.
    """

    id: str
    kind: ActionKind
    target: str
    provider: str = ""
    needs: tuple[str, ...] = ()
    params: Mapping[str, Any] = {}
    drift_ids: tuple[str, ...] = ()
    risk: Risk = "low"
    reversible: bool = False
    inverse: Mapping[str, Any] | None = None
    requires_approval: bool = False
    approval_reason: str = ""
    effects: tuple[str, ...] = ()
    precondition: str = ""
    idempotency_key: str = ""
    depends_on: tuple[str, ...] = ()
    wave: int = 0
    expected_events: tuple[str, ...] = ()
    timeout_s: float = 60.0
    summary: str = ""


BlockerCode: TypeAlias = Literal[
    "window_closed",
    "breaker_open",
    "fuse_blown",
    "budget_spent",
    "suspended",
    "kill_switch",
    "dependency_unhealthy",
    "contested",
    "approval_missing",
    "pinned",
]


class Blocker(msgspec.Struct, frozen=True, kw_only=True):
    """Why a plan is not carried out now.

    Attributes:
        action_id: that it stands in the way of; None: of all.
        until: when it ends by itself, if that is known.
        remedy: what a person can do about it.
    """

    code: BlockerCode
    detail: str
    action_id: str | None = None
    until: clocks.Timestamp | None = None
    remedy: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done, bound to what was declared and what was seen.

    Attributes:
        digest: SHA-256 of what is done and of what it is bound to; approvals name it.
        generation, desired_version, desired_hash: what was declared.
        observed_hash, observed_cursor: what was seen, and up to where in the log.
        remaining: drifts that did not fit and come next time.
        blast_radius: numbers by `components`, `providers`, `tenants`.
        requested_by: who asked for it; `service:reconciler` when nobody did.
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
    actions: tuple[Action, ...]
    blockers: tuple[Blocker, ...] = ()
    remaining: int = 0
    blast_radius: Mapping[str, int] = {}
    confidence_min: float = 0.0
    created_at: clocks.Timestamp
    expires_at: clocks.Timestamp
    requested_by: str = "service:reconciler"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One person's yes or no to a plan's digest."""

    actor: str
    roles: tuple[str, ...]
    digest: str
    granted: bool
    reason: str
    at: clocks.Timestamp


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has to agree to.

    Attributes:
        approval_id: what `helios approve` names.
        shown: the plan as it is shown to them.
        status: `expired` was not answered in time, `stale` is for a plan that is void now.
    """

    approval_id: str
    plan_id: str
    digest: str
    shown: Plan
    reason: str
    requested_by: str
    requested_at: clocks.Timestamp
    expires_at: clocks.Timestamp
    quorum: int = 1
    roles: tuple[str, ...] = ()
    not_requester: bool = False
    grants: tuple[Grant, ...] = ()
    status: Literal["pending", "granted", "denied", "revoked", "expired", "stale"] = "pending"


class Heal(msgspec.Struct, frozen=True, kw_only=True):
    """One action that was begun.

    Attributes:
        status: `started`: it may have happened or not; `acted`: it was done, and is not verified;
            `succeeded`: seen to have helped; `failed`; `unverified`: done, and did not help;
            `avoided`: the drift was gone before anything was written.
        undo: params that reverse it, as the executor told.
        changes: field to [before, after], as the executor told; masked where secret.
        settles_s: how long it may take until it shows.
    """

    action: Action
    plan_id: str
    digest: str
    attempt: int
    actor: str
    approved_by: tuple[str, ...] = ()
    status: Literal["started", "acted", "succeeded", "failed", "unverified", "avoided"] = "started"
    started_at: clocks.Timestamp
    acted_at: clocks.Timestamp | None = None
    ended_at: clocks.Timestamp | None = None
    detail: str = ""
    error_code: str = ""
    undo: Mapping[str, Any] | None = None
    changes: Mapping[str, Any] = {}
    settles_s: float = 0.0
    manual: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in ("started", "acted")


ConditionType: TypeAlias = Literal[
    "Ready",
    "InSync",
    "DriftDetected",
    "Healing",
    "AwaitingApproval",
    "Blocked",
    "Stalled",
    "Contested",
    "Stale",
    "Predicted",
]


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One aspect of how a stack stands.

    Attributes:
        reason: a word for programs; message: a sentence for people.
        last_transition: when `status` last changed.
        observed_generation: the generation it speaks of.
    """

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: str = ""
    message: str = ""
    last_transition: clocks.Timestamp = clocks.Timestamp(0)
    observed_generation: int = 0


StackStatus: TypeAlias = Literal["healthy", "drift_detected", "reconciling", "error"]
