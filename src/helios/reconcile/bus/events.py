"""What is said in the log about commands and correlations; the source is `helios`.

None of these belongs to a correlation itself, though all carry its id: each would make the next.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks

SOURCE = "helios"
ACTOR = "service:control-bus"

COMMAND = "helios.command"
"""Aggregate type of a command; the id is the command's, the tenant is the client."""
COMMAND_ISSUED = "CommandIssued"
COMMAND_RETRIED = "CommandRetried"
COMMAND_COMPLETED = "CommandCompleted"
COMMAND_FAILED = "CommandFailed"
COMMAND_EXPIRED = "CommandExpired"
COMMAND_TYPES = (
    COMMAND_ISSUED,
    COMMAND_RETRIED,
    COMMAND_COMPLETED,
    COMMAND_FAILED,
    COMMAND_EXPIRED,
)
OUTCOMES = (COMMAND_COMPLETED, COMMAND_FAILED, COMMAND_EXPIRED)

CORRELATION = "helios.correlation"
"""Aggregate type of a correlation; the id is the correlation's."""
CORRELATION_STARTED = "CorrelationStarted"
CORRELATION_PROGRESSED = "CorrelationProgressed"
CORRELATION_COMPLETED = "CorrelationCompleted"
CORRELATION_EXPIRED = "CorrelationExpired"
CORRELATION_FAILED = "CorrelationFailed"
MOVED_TYPES = (
    CORRELATION_PROGRESSED,
    CORRELATION_COMPLETED,
    CORRELATION_EXPIRED,
    CORRELATION_FAILED,
)
OWN_AGGREGATES = (COMMAND, CORRELATION)

CommandType: TypeAlias = Literal[
    "reconcile_client",
    "heal_drift",
    "rollback_state",
    "scheduled_reconciliation",
    "immediate_reconciliation",
    "alert_triggered_reconciliation",
]
Priority: TypeAlias = Literal["critical", "high", "medium", "low"]
PRIORITIES: tuple[Priority, ...] = ("critical", "high", "medium", "low")
"""Most urgent first."""

CorrelationType: TypeAlias = Literal["command", "event", "healing_action"]
Status: TypeAlias = Literal["pending", "partial", "completed", "expired", "failed"]
STATUSES: tuple[Status, ...] = ("pending", "partial", "completed", "expired", "failed")

CAUSE_CORRELATION_FAILED = "correlation_failed"
"""Code of a command that is not carried out because another of its correlation failed."""


class Details(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a command is about, beyond its stack.

    Attributes:
        target_resource: address of a component, such as `integration/cms-webhook`.
        healing_action: such as `update_webhook`.
        drift_id: the drift to heal.
        rollback_version: version to go back to; or `rollback_time`, RFC 3339: as it was then.
        provider: whose event or alert led to it.
        reason: for people.
    """

    target_resource: str | None = None
    healing_action: str | None = None
    drift_id: str | None = None
    rollback_version: str | None = None
    rollback_time: str | None = None
    provider: str | None = None
    reason: str = ""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often a command is tried that could not be carried out for now."""

    max_attempts: int = 3
    backoff_strategy: Literal["exponential", "linear"] = "exponential"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `CommandIssued`.

    Attributes:
        stack_id: None: every stack of the client.
        issued_at, expires_at: RFC 3339; after the second it is not carried out any more.
        expects: types of the events that it should bring about; None: none is expected.
        consistency_window: seconds in which they are waited for.
    """

    command_id: str
    correlation_id: str
    client_id: str
    stack_id: str | None
    command_type: CommandType
    issued_at: str
    expires_at: str
    priority: Priority
    payload: Details = Details()
    retry_policy: RetryPolicy = RetryPolicy()
    expects: tuple[str, ...] | None = None
    consistency_window: float = 5.0

    @property
    def expiry(self) -> clocks.Timestamp:
        """`expires_at` as a timestamp."""
        return clocks.parse_rfc3339(self.expires_at)


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `CommandRetried`: it could not be carried out for now.

    Attributes:
        attempt: tries so far.
        next_at: when it is tried again, RFC 3339.
        code: of the error.
    """

    command_id: str
    attempt: int
    next_at: str
    code: str
    detail: str


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `CommandCompleted`, `CommandFailed` and `CommandExpired`.

    Attributes:
        attempt: tries it took.
        code: why it failed, a word for programs; `expired` of one that expired.
        made: ids of the events that it appended.
    """

    command_id: str
    attempt: int
    code: str = ""
    detail: str = ""
    made: tuple[str, ...] = ()


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """One event that should come.

    Attributes:
        stack_id: about this stack; None: about anything.
    """

    type: str
    stack_id: str | None = None


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `CorrelationStarted`; another one under the same id adds to it.

    Attributes:
        commands: that belong to it; it completes when all have, and fails when one does.
        expects: what should come, each once; None: nothing, said on purpose.
        consistency_window: seconds, from when this is in the log.
    """

    correlation_type: CorrelationType
    commands: tuple[str, ...] = ()
    expects: tuple[Expectation, ...] | None = None
    consistency_window: float = 5.0


class Buffered(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a correlation.

    Attributes:
        received_at: when it was in the log.
        processed_at: when it was handed on; None: it waits for those before it.
        sequence_number: of its aggregate, given by the log.
    """

    event_id: str
    received_at: str
    sequence_number: int
    processed_at: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """How a correlation stands. All times are RFC 3339.

    Attributes:
        command_id: the first of `command_ids`.
        event_ids, event_buffer: in the order in which they are handed on.
        expected_events: types that should come; empty: none, on purpose.
        received_events: types that came, of those expected.
        consistency_window: seconds.
        late: completed after `expires_at`.
        out_of_order_events: ids of those that came after `expires_at`, or after one that follows
            them.
        ttl_timestamp: until when this is kept.
    """

    correlation_id: str
    client_id: str
    correlation_type: CorrelationType
    command_id: str | None
    command_ids: tuple[str, ...]
    event_ids: tuple[str, ...]
    expected_events: tuple[str, ...]
    received_events: tuple[str, ...]
    initiated_at: str
    consistency_window: float
    expires_at: str
    completed_at: str | None
    status: Status
    late: bool
    missing_events: tuple[str, ...]
    out_of_order_events: tuple[str, ...]
    event_buffer: tuple[Buffered, ...]
    ttl_timestamp: str


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `CorrelationProgressed`, `…Completed`, `…Expired` and `…Failed`.

    Attributes:
        record: the whole of it as it is now.
        positions: in the log, of everything that it is made of.
        released: in the log, of the events that were handed on.
        upto: the bus had dealt with the log up to here.
        code, detail: why it failed.
    """

    record: Record
    positions: tuple[int, ...]
    released: tuple[int, ...]
    upto: int
    code: str = ""
    detail: str = ""


Payload: TypeAlias = Command | Retried | Ended | Started | Moved

MOVED_BY_STATUS: Mapping[Status, str] = {
    "pending": CORRELATION_PROGRESSED,
    "partial": CORRELATION_PROGRESSED,
    "completed": CORRELATION_COMPLETED,
    "expired": CORRELATION_EXPIRED,
    "failed": CORRELATION_FAILED,
}
