"""Commands: what somebody wants done, checked, and as the events that say so.

A command is in the log before anything is done about it, and its correlation with it in one
transaction. Its id names it for ever: the same command sent again is the first one, and another
command under the same id is refused.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, jsonio, tracing
from helios.reconcile.bus import events
from helios.reconcile.compositions import events as stack_events

EXPIRES_S = 300.0
"""How long a command may wait until it is carried out, unless it says otherwise."""
EXPIRES_S_MAX = 24 * 3600.0
WINDOW_S = 5.0
WINDOW_S_MAX = 600.0
EXPECTS_MAX = 20
TOGETHER_MAX = 100
"""Commands under one correlation that are issued at once. Above: refused."""
ATTEMPTS_MAX = 10
NONE = "none"
_TEXT_MAX = 1_000

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")

ALIASES: Mapping[str, str] = {
    "reconciliation_started": stack_events.RECONCILIATION_REQUESTED,
    "reconciliation_completed": stack_events.RECONCILIATION_COMPLETED,
    "drift_check_started": stack_events.RECONCILIATION_REQUESTED,
    "drift_check_completed": stack_events.RECONCILIATION_COMPLETED,
    "drift_detected": stack_events.DRIFT_DETECTED,
    "healing_started": stack_events.HEAL_STARTED,
    "healing_completed": stack_events.HEAL_SUCCEEDED,
    "alert_resolved": stack_events.DRIFT_RESOLVED,
    "rollback_completed": stack_events.STACK_DECLARED,
}
"""Words that may be used for types of events."""

_RECONCILED = ("reconciliation_started", "reconciliation_completed")
_CHECKED = ("drift_check_started", "drift_check_completed")
EXPECTS: Mapping[events.CommandType, tuple[str, ...]] = {
    "reconcile_client": _RECONCILED,
    "heal_drift": ("healing_started", "healing_completed"),
    "rollback_state": ("rollback_completed",),
    "scheduled_reconciliation": _RECONCILED,
    "immediate_reconciliation": _CHECKED,
    "alert_triggered_reconciliation": ("healing_started", "healing_completed", "alert_resolved"),
}
"""What is expected of a command that does not say."""

PRIORITY: Mapping[events.CommandType, events.Priority] = {
    "reconcile_client": "medium",
    "heal_drift": "high",
    "rollback_state": "high",
    "scheduled_reconciliation": "low",
    "immediate_reconciliation": "high",
    "alert_triggered_reconciliation": "critical",
}
"""How urgent a command is that does not say."""


class Issue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command as somebody asks for it.

    Attributes:
        command_id: theirs; without it one is made.
        correlation_id: of commands that belong together; without it one is made.
        stack_id: without it every stack of the client.
        expires_in_s: seconds, 300 without it.
        expects: types of the events that it should bring about, `none` for none; without it those
            of its type.
        consistency_window: seconds in which they are waited for; without it as the installation has
            it, 5 unless somebody changed that.
    """

    command_type: events.CommandType
    client_id: str = envelope.DEFAULT_TENANT
    stack_id: str | None = None
    command_id: str | None = None
    correlation_id: str | None = None
    priority: events.Priority | None = None
    expires_in_s: float = EXPIRES_S
    payload: events.Details = events.Details()
    retry_policy: events.RetryPolicy = events.RetryPolicy()
    expects: str | tuple[str, ...] | None = None
    consistency_window: float | None = None


def made(
    asked: Sequence[Issue],
    *,
    now: clocks.Timestamp,
    id_source: ids.Ids,
    correlation_id: str | None = None,
    window_s: float = WINDOW_S,
) -> tuple[events.Command, ...]:
    """Commands that are issued together, under one correlation; `window_s` where none is named.

    Raises:
        InvalidInputError: names the field.
    """
    if not 1 <= len(asked) <= TOGETHER_MAX:
        raise errors.InvalidInputError(f"expected 1 to {TOGETHER_MAX} commands", field="commands")
    every = [correlation_id, *(issue.correlation_id for issue in asked)]
    named = {name for name in every if name is not None}
    if len(named) > 1:
        raise errors.InvalidInputError("expected one for all", field="correlation_id")
    if len({issue.client_id for issue in asked}) > 1:
        raise errors.InvalidInputError("expected one for all", field="client_id")
    together = named.pop() if named else id_source.new()
    found = tuple(_made(_windowed(issue, window_s), together, now, id_source) for issue in asked)
    if len({command.command_id for command in found}) < len(found):
        raise errors.InvalidInputError("the same one twice", field="command_id")
    return found


def _windowed(asked: Issue, window_s: float) -> Issue:
    if asked.consistency_window is not None:
        return asked
    return msgspec.structs.replace(asked, consistency_window=window_s)


def _made(
    asked: Issue, correlation_id: str, now: clocks.Timestamp, id_source: ids.Ids
) -> events.Command:
    command_id = id_source.new() if asked.command_id is None else asked.command_id
    _check_name(command_id, "command_id")
    _check_name(correlation_id, "correlation_id")
    for value, field in ((asked.client_id, "client_id"), (asked.stack_id or "x", "stack_id")):
        if not 1 <= len(value) <= 128:
            raise errors.InvalidInputError("expected 1 to 128 characters", field=field)
    _check_span(asked.expires_in_s, EXPIRES_S_MAX, "expires_in_s")
    window_s = WINDOW_S if asked.consistency_window is None else asked.consistency_window
    _check_span(window_s, WINDOW_S_MAX, "consistency_window")
    if not 1 <= asked.retry_policy.max_attempts <= ATTEMPTS_MAX:
        raise errors.InvalidInputError(
            f"expected 1 to {ATTEMPTS_MAX}", field="retry_policy.max_attempts"
        )
    _check_details(asked)
    expires_at = clocks.Timestamp(now + round(asked.expires_in_s * clocks.SECOND_US))
    return events.Command(
        command_id=command_id,
        correlation_id=correlation_id,
        client_id=asked.client_id,
        stack_id=asked.stack_id,
        command_type=asked.command_type,
        issued_at=clocks.to_rfc3339(now),
        expires_at=clocks.to_rfc3339(expires_at),
        priority=asked.priority or PRIORITY[asked.command_type],
        payload=asked.payload,
        retry_policy=asked.retry_policy,
        expects=expected(asked.expects, asked.command_type),
        consistency_window=window_s,
    )


def expected(
    asked: str | Sequence[str] | None, command_type: events.CommandType
) -> tuple[str, ...] | None:
    """Types of the events that are expected; None: none, because it was said so.

    Raises:
        InvalidInputError: an empty list, which says neither; or no name of a type.
    """
    if asked == NONE:
        return None
    if asked is None:
        asked = EXPECTS[command_type]
    elif isinstance(asked, str):
        raise errors.InvalidInputError("expected a list of event types, or 'none'", field="expects")
    if not 1 <= len(asked) <= EXPECTS_MAX:
        raise errors.InvalidInputError(
            f"expected 1 to {EXPECTS_MAX} event types; write expects: none for a command that "
            "brings about nothing",
            field="expects",
        )
    for place, name in enumerate(asked):
        if not _TYPE.fullmatch(name):
            raise errors.InvalidInputError("no name of an event type", field=f"expects[{place}]")
    return tuple(ALIASES.get(name, name) for name in asked)


def issued(
    commands: Sequence[events.Command], *, now: clocks.Timestamp, actor: str
) -> list[envelope.NewEvent]:
    """The events that issue commands of one correlation, to be appended in one transaction.

    The ids are made of the commands', so that appending them again appends nothing.
    """
    first = commands[0]
    wanted = tuple(
        events.Expectation(type=name, stack_id=command.stack_id)
        for command in commands
        for name in command.expects or ()
    )
    started = events.Started(
        correlation_type="command",
        commands=tuple(command.command_id for command in commands),
        expects=wanted or None,
        consistency_window=max(command.consistency_window for command in commands),
    )
    about = (first.client_id, events.CORRELATION, first.correlation_id)
    said = [
        made_event(
            events.COMMAND_ISSUED,
            (command.client_id, events.COMMAND, command.command_id),
            command,
            now=now,
            event_id=issue_id(command.command_id),
            actor=actor,
            correlation_id=command.correlation_id,
        )
        for command in commands
    ]
    start = made_event(
        events.CORRELATION_STARTED,
        about,
        started,
        now=now,
        event_id=f"correlation:{first.command_id}",
        actor=actor,
        correlation_id=first.correlation_id,
        causation_id=said[0].id,
    )
    return [start, *said]


def correlated(
    client_id: str,
    correlation_id: str,
    started: events.Started,
    *,
    now: clocks.Timestamp,
    event_id: str,
    actor: str = events.ACTOR,
    causation_id: str | None = None,
) -> envelope.NewEvent:
    """The event that starts a correlation without a command, such as that of a healing action.

    To be appended with the event that brings it about.

    Raises:
        InvalidInputError: an empty list of what is expected; None says that nothing is.
    """
    if started.expects is not None and not started.expects:
        raise errors.InvalidInputError("empty; None says that nothing is expected", field="expects")
    return made_event(
        events.CORRELATION_STARTED,
        (client_id, events.CORRELATION, correlation_id),
        started,
        now=now,
        event_id=event_id,
        actor=actor,
        correlation_id=correlation_id,
        causation_id=causation_id,
    )


def issue_id(command_id: str) -> str:
    """Id of the event that issues a command."""
    return f"command:{command_id}"


def is_same(first: events.Command, again: events.Command) -> bool:
    """Whether a command under a known id is that command, sent again."""
    return _sense(first) == _sense(again)


def made_event(
    event_type: str,
    about: envelope.AggregateKey,
    payload: events.Payload,
    *,
    now: clocks.Timestamp,
    event_id: str,
    actor: str = events.ACTOR,
    correlation_id: str | None = None,
    causation_id: str | None = None,
) -> envelope.NewEvent:
    """An event about a command or a correlation."""
    tenant, kind, name = about
    trace = tracing.current()
    metadata = {} if trace is None else {"traceparent": trace.traceparent}
    return envelope.NewEvent(
        id=event_id,
        source=events.SOURCE,
        type=event_type,
        occurred_at=now,
        tenant=tenant,
        aggregate_type=kind,
        aggregate_id=name,
        actor=actor,
        correlation_id=correlation_id,
        causation_id=causation_id,
        payload=jsonio.encode(payload),
        metadata=jsonio.encode(metadata),
    )


def _sense(command: events.Command) -> events.Command:
    """A command without what differs from one sending to the next."""
    return msgspec.structs.replace(command, issued_at="", expires_at="", correlation_id="")


def _check_name(value: str, field: str) -> None:
    if not _ID.fullmatch(value):
        raise errors.InvalidInputError(
            "expected 1 to 128 letters, digits, and . _ : - after the first", field=field
        )


def _check_span(value: float, most: float, field: str) -> None:
    if not 0 < value <= most:
        raise errors.InvalidInputError(
            f"expected more than 0 s and at most {most:g} s", field=field
        )


def _check_details(asked: Issue) -> None:
    given = msgspec.to_builtins(asked.payload)
    for name, value in given.items():
        if len(value) > _TEXT_MAX:
            raise errors.InvalidInputError(
                f"more than {_TEXT_MAX} characters", field=f"payload.{name}"
            )
    if asked.payload.rollback_time is not None:
        try:
            clocks.parse_rfc3339(asked.payload.rollback_time)
        except ValueError as error:
            raise errors.InvalidInputError(str(error), field="payload.rollback_time") from None
    if asked.command_type != "rollback_state":
        return
    if asked.stack_id is None:
        raise errors.InvalidInputError("rollback_state needs one", field="stack_id")
    if (asked.payload.rollback_version is None) == (asked.payload.rollback_time is None):
        raise errors.InvalidInputError(
            "rollback_state needs either rollback_version or rollback_time", field="payload"
        )
