"""Events of one correlation, for tests of the control bus."""

from collections.abc import Sequence
from typing import Any

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import jsonio
from helios.reconcile.bus import events
from helios.testing import log_samples

S = clocks.SECOND_US
T0 = log_samples.T0


def at(seconds: float) -> clocks.Timestamp:
    """A time after the beginning."""
    return clocks.Timestamp(T0 + round(seconds * S))


def event(
    position: int,
    event_type: str,
    seconds: float,
    *,
    aggregate: tuple[str, str] = ("helios.stack", "cms"),
    sequence: int | None = None,
    payload: Any = None,
    **given: Any,
) -> envelope.Event:
    """An event of the correlation `k`."""
    return envelope.Event(
        position=envelope.Position(position),
        sequence=position if sequence is None else sequence,
        recorded_at=at(seconds),
        occurred_at=given.pop("occurred_at", at(seconds)),
        id=given.pop("id", f"e{position}"),
        source="helios",
        type=event_type,
        tenant="acme",
        aggregate_type=aggregate[0],
        aggregate_id=aggregate[1],
        correlation_id="k",
        payload=b"{}" if payload is None else jsonio.encode(payload),
        **given,
    )


def started(
    expects: Sequence[str | events.Expectation] | None,
    *,
    commands: Sequence[str] = (),
    position: int = 1,
    seconds: float = 0,
    window: float = 5.0,
) -> envelope.Event:
    """The event that starts it, or adds to it."""
    wanted = None
    if expects is not None:
        wanted = tuple(
            each if isinstance(each, events.Expectation) else events.Expectation(type=each)
            for each in expects
        )
    said = events.Started(
        correlation_type="command",
        commands=tuple(commands),
        expects=wanted,
        consistency_window=window,
    )
    return event(
        position,
        events.CORRELATION_STARTED,
        seconds,
        aggregate=(events.CORRELATION, "k"),
        payload=said,
    )


def ended(
    position: int, command_id: str, seconds: float, event_type: str = events.COMMAND_COMPLETED
) -> envelope.Event:
    """The outcome of one of its commands."""
    said = events.Ended(command_id=command_id, attempt=1)
    return event(
        position, event_type, seconds, aggregate=(events.COMMAND, command_id), payload=said
    )
