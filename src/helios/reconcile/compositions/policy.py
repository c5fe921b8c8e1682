"""What may be done about drift: the values of a `ReconciliationPolicy`; `policy_document` reads it.

A drift is matched by its cause (`webhook_broken`) or its type (`integration`); the cause wins.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import model

API_VERSION = "blackwell.io/v1"
KIND = "ReconciliationPolicy"

Mode: TypeAlias = Literal["off", "observe", "warn", "approve", "heal"]
"""`off`: not looked for; `observe`: recorded; `warn`: told of; `approve`: healed once somebody
agrees; `heal`: healed."""

Backoff: TypeAlias = Literal["linear", "exponential"]
Ownership: TypeAlias = Literal["own", "share", "yield"]
Ignored: TypeAlias = Literal["alarm", "heal", "own"]
"""What a rule leaves out: `alarm`: it is not told of; `heal`: it is told of and not healed; `own`:
the field is somebody else's, and is neither compared nor written."""

SECOND = clocks.SECOND_US
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


class Approvals(msgspec.Struct, frozen=True, kw_only=True):
    """Who has to agree.

    Attributes:
        quorum: how many different people.
        roles: one of these each has to have; empty: any.
        not_requester: who asked may not agree.
        ttl: microseconds a request waits before it expires and is escalated.
    """

    quorum: int = 1
    roles: tuple[str, ...] = ()
    not_requester: bool = False
    ttl: int = 24 * HOUR


class AutoHeal(msgspec.Struct, frozen=True, kw_only=True):
    """What heals by itself.

    Attributes:
        allowed_drift_types: causes or types that may be healed.
        require_approval: causes or effects (`data_deletion`, `resource_replacement`) that wait.
        modes: a mode by cause or type, which goes before the three above.
        confidence: least confidence of a drift that is healed.
        confirmations: observations that have to agree before a drift is confirmed.
        persistence: microseconds between the first and the confirming observation.
        backoff_base, backoff_max: microseconds between attempts.
    """

    enabled: bool = False
    max_attempts: int = 3
    backoff_strategy: Backoff = "exponential"
    allowed_drift_types: tuple[str, ...] = (
        "provider_missing",
        "webhook_broken",
        "resource_unhealthy",
    )
    require_approval: tuple[str, ...] = (
        "cms_provider_change",
        "data_deletion",
        "resource_replacement",
    )
    modes: Mapping[str, Mode] = {}
    confidence: float = 0.8
    confirmations: int = 2
    persistence: int = 5 * SECOND
    backoff_base: int = 10 * SECOND
    backoff_max: int = 300 * SECOND


class IgnoreRule(msgspec.Struct, frozen=True, kw_only=True):
    """A difference that somebody knows of.

    Attributes:
        id: its name within the policy or the stack.
        component: address, in which `*` stands for any characters.
        path: JSON pointer or JSONPath of the field; `*` one step, `**` any number,
            `[name=x]` the list element with that key. Empty: the whole component.
        effect: what is left out.
        expires_at: from then on the rule is void; None: never.
    """

    id: str
    component: str = "*"
    path: str = ""
    effect: Ignored = "alarm"
    owner: str = ""
    reason: str = ""
    expires_at: clocks.Timestamp | None = None


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """Who manages a field: `own` we do, `share` we tell and do not write, `yield` others do."""

    component: str
    path: str
    manager: str
    mode: Ownership


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """When healing is allowed or denied; deny goes before allow.

    Attributes:
        schedule: five cron fields: when it opens.
        duration: microseconds it stays open.
        timezone: IANA name.
        stacks, providers, severities, actions: what it is for; empty: everything.
        manual_override: whether an operator's own order goes through.
        overrun: whether what began inside may end outside.
    """

    id: str
    kind: Literal["allow", "deny"]
    schedule: str
    duration: int
    timezone: str = "UTC"
    stacks: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    severities: tuple[model.Severity, ...] = ()
    actions: tuple[str, ...] = ()
    manual_override: bool = False
    overrun: bool = True


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """Where people are told.

    Attributes:
        type: `slack`, `pagerduty`, `email`, `webhook`.
        url: of a Slack or plain webhook; a literal or a reference.
        routing_key: reference, of PagerDuty.
        secret: reference, of a plain webhook: what is posted is signed with it.
        addresses: of e-mail.
        severity_threshold: drifts below are not told.
    """

    type: Literal["slack", "pagerduty", "email", "webhook"]
    name: str
    url: str | None = None
    routing_key: str | None = None
    secret: str | None = None
    addresses: tuple[str, ...] = ()
    severity_threshold: model.Severity = "low"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One policy, of one stack.

    Attributes:
        interval: microseconds between scheduled passes.
        severities: severity by cause or type, before the defaults.
        metrics_endpoint: where others read the metrics of this stack; None: at Helios itself.
        require_environment: a promotion needs this environment to have had the version first.
    """

    client_id: str = envelope.DEFAULT_TENANT
    stack_id: str = ""
    interval: int = 5 * MINUTE
    timezone: str = "UTC"
    auto_heal: AutoHeal = AutoHeal()
    approvals: Approvals = Approvals()
    severities: Mapping[str, model.Severity] = {}
    ignore: tuple[IgnoreRule, ...] = ()
    ownership: tuple[Owned, ...] = ()
    windows: tuple[Window, ...] = ()
    channels: tuple[Channel, ...] = ()
    require_environment: str | None = None
    rollback_on_failure: bool = False
    metrics_retention: int = 30 * 24 * HOUR
    detailed_logging: bool = False
    performance_tracking: bool = False
    metrics_endpoint: str | None = None
    text: str = ""
    hash: str = ""


DEFAULT = Policy()
