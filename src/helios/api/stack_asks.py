"""What the routes of stacks are asked with, and what they answer to a command."""

from typing import Any, Literal

import msgspec

from helios.api import stacks as shown


class Because(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why something is done."""

    reason: str = ""


class Until(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reason, and when it ends by itself (RFC 3339); null: when somebody ends it."""

    reason: str
    until: str | None = None


class Pause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to suspend.

    Attributes:
        mode: `heal_only`: drift is still looked for; `all`: nothing is done.
    """

    reason: str
    until: str | None = None
    mode: Literal["heal_only", "all"] = "heal_only"


class Reconcile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reconciliation may do; with `heal` false it only looks."""

    reason: str = ""
    heal: bool = True


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to plan for.

    Attributes:
        only: addresses of components or ids of drifts; empty: all.
        without: the same, left out.
        dry_run: do not keep the plan.
    """

    only: list[str] = []
    without: list[str] = msgspec.field(name="except", default_factory=list)
    dry_run: bool = False


class Heal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which drifts to heal now, by id; none: all that can be."""

    drifts: list[str] = []
    reason: str = ""


class Rollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version to declare again: by name (`v1.2.1`), or the one at a time (RFC 3339)."""

    to: str | None = None
    to_time: str | None = None
    reason: str = ""


class Pin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version to stay at; null: the present one."""

    version: str | None = None
    reason: str = ""


class Baseline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take all present drifts as known, until a time."""

    reason: str
    expires_at: str | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A difference that somebody knows of.

    Attributes:
        component: address, in which `*` stands for any characters.
        path: JSON pointer or JSONPath of the field; empty: the whole component.
        effect: `alarm`: it is not told of; `heal`: it is told of and not healed; `own`: it is
            somebody else's, and neither compared nor written.
    """

    reason: str
    id: str = ""
    component: str = "*"
    path: str = ""
    effect: Literal["alarm", "heal", "own"] = "alarm"
    owner: str = ""
    expires_at: str | None = None


class Promote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which stack takes over what this one declares; of the same client."""

    to: str
    reason: str = ""
    dry_run: bool = False


class PolicyFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of a StateRecord's reconciliation_policy; null: as it is."""

    auto_heal: bool | None = None
    max_heal_attempts: int | None = None
    heal_backoff: Literal["linear", "exponential"] | None = None
    require_approval: list[str] | None = None


class ObservabilityFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of a StateRecord's observability; null: as it is."""

    metrics_endpoint: str | None = None
    alert_channels: list[dict[str, Any]] | None = None


class Patch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A partial StateRecord: what is to be changed of a stack."""

    environment: str | None = None
    reconciliation_policy: PolicyFields | None = None
    observability: ObservabilityFields | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's answer to what is put before them.

    Attributes:
        digest: of the plan they saw; without it the answer would be for anything.
        actor: who answers; without it the one of the header `Helios-Actor`.
        roles: what they are.
    """

    digest: str
    reason: str = ""
    actor: str | None = None
    roles: list[str] = []


class Revoke(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Taking back what is asked, or was agreed to."""

    reason: str = ""
    actor: str | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A breaker by its scope, such as `provider:strapi@cms.example.com`."""

    scope: str
    reason: str = ""


class Force(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A breaker to be held open or closed, whatever happens, until a time."""

    scope: str
    state: Literal["open", "closed"]
    reason: str
    until: str | None = None


class Switch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kill switch: on, nothing is healed."""

    on: bool
    reason: str


class Reset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A blown fuse by its id; null: the one that is blown."""

    reason: str
    fuse_id: str | None = None


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When healing is allowed or denied; as in a policy's maintenance_windows.

    Attributes:
        schedule: five cron fields: when it opens.
        duration: how long it stays open, such as `2h`.
        timezone: IANA name.
    """

    id: str
    kind: Literal["allow", "deny"]
    schedule: str
    duration: str
    timezone: str = "UTC"
    stacks: list[str] = []
    providers: list[str] = []
    severities: list[str] = []
    actions: list[str] = []
    manual_override: bool = False
    overrun: bool = True


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for is in the log at this position; `unchanged`: it was so already."""

    client_id: str
    stack_id: str
    position: int
    unchanged: bool = False


class GuardNoted(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for is in the log at this position."""

    client_id: str
    scope: str
    position: int
    unchanged: bool = False


class DeclaredStack(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a declaration.

    Attributes:
        generation, state_version: the new ones, or the present ones where nothing changed.
        added, changed, removed: addresses of components.
        unchanged: it was declared so already.
    """

    client_id: str
    stack_id: str
    generation: int
    state_version: str
    position: int
    hash: str
    added: list[str]
    changed: list[str]
    removed: list[str]
    unchanged: bool
    dry_run: bool


class DeclaredPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a policy."""

    client_id: str
    stack_id: str
    position: int
    hash: str
    unchanged: bool
    dry_run: bool


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A reconciliation that was asked for and has not ended."""

    reconciliation_id: str
    client_id: str
    stack_id: str
    position: int


class AskedList(msgspec.Struct, frozen=True, kw_only=True):
    """Reconciliations that were asked for, one for each stack of a client."""

    client_id: str
    position: int
    reconciliations: list[Asked]


class Applying(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that is being carried out by a reconciliation."""

    client_id: str
    stack_id: str
    plan_id: str
    reconciliation_id: str


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """An ignore rule; `origin` says where it stands: `stack` or `policy`."""

    id: str
    component: str
    path: str
    effect: str
    owner: str
    reason: str
    expires_at: str | None
    origin: Literal["stack", "policy"]
    active: bool


class RuleList(msgspec.Struct, frozen=True, kw_only=True):
    """The ignore rules of a stack, and its baseline: how many drifts are known, until when."""

    rules: list[RuleView]
    baseline: int
    baseline_until: str | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field in which two declarations differ; null: it is not declared there.

    Attributes:
        expected: it says where something is, and environments differ in that.
    """

    component: str
    path: str
    left: Any
    right: Any
    expected: bool


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What two environments of a composition differ in.

    Attributes:
        left, right: the stacks.
        same: nothing but places differs.
    """

    left: shown.StackSummary
    right: shown.StackSummary
    same: bool
    differences: list[Difference]


class CheckedStack(msgspec.Struct, frozen=True, kw_only=True):
    """How a stack was found.

    Attributes:
        outcome: `clean`, `drift` or `unknown`: something could not be looked at, or was not
            lately.
        unknown: what that is.
    """

    client_id: str
    stack_id: str
    environment: str
    outcome: Literal["clean", "drift", "unknown"]
    last_verified: str | None
    drifts: list["CheckedDrift"]
    ignored: int
    unknown: list[str]


class CheckedDrift(msgspec.Struct, frozen=True, kw_only=True):
    """A difference that a check found; `drift_id` is null when nobody has recorded it."""

    component: str
    path: str
    type: str
    cause: str
    severity: str
    confidence: float
    expected: Any
    observed: Any
    drift_id: str | None
    state: str | None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found; `outcome` is the worst of all: drift, then unknown, then clean."""

    outcome: Literal["clean", "drift", "unknown"]
    fresh: bool
    stacks: list[CheckedStack]
