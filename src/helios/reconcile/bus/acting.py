"""How each type of command acts: by an event that asks for what it wants.

A handler does nothing at other systems. It returns events, which are appended in one transaction
with the command's completion: both are there, or neither. What reads the log does the rest.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.bus import events
from helios.reconcile.compositions import events as stack_events

Trigger: TypeAlias = Literal["schedule", "webhook", "alert", "manual"]

Stacks: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""Ids of the declared stacks of a client."""


class Handler(Protocol):
    """Carries out one type of command."""

    async def __call__(
        self, command: events.Command, because: stack_events.Because
    ) -> Sequence[envelope.NewEvent]:
        """The events that do it; their ids are made of the command's, so that a second try gives
        the same ones. Empty: it was done already, by a handler that appends by itself.

        Raises:
            HeliosError: it cannot be done; a retryable one is tried again as its policy says.
        """
        ...


_TRIGGERS: Mapping[events.CommandType, Trigger] = {
    "reconcile_client": "manual",
    "heal_drift": "manual",
    "scheduled_reconciliation": "schedule",
    "immediate_reconciliation": "webhook",
    "alert_triggered_reconciliation": "alert",
}


def handlers(
    *, stacks: Stacks, rollback: Handler, clock: clocks.Clock
) -> dict[events.CommandType, Handler]:
    """The handlers of all types of commands.

    Args:
        stacks: which stacks a client has.
        rollback: declares a former version again; carries out `rollback_state`.
        clock: for the time of what is asked.
    """
    asking = Asking(stacks, clock)
    return {**dict.fromkeys(_TRIGGERS, asking), "rollback_state": rollback}


class Asking:
    """Asks for a pass over a stack, or over every stack of a client."""

    def __init__(self, stacks: Stacks, clock: clocks.Clock) -> None:
        self._stacks = stacks
        self._clock = clock

    async def __call__(
        self, command: events.Command, because: stack_events.Because
    ) -> Sequence[envelope.NewEvent]:
        declared = await self._stacks(command.client_id)
        wanted = declared if command.stack_id is None else [command.stack_id]
        unknown = [name for name in wanted if name not in declared]
        if unknown or not wanted:
            named = f"stack {unknown[0]}" if unknown else "stack"
            raise errors.NotFoundError(f"client {command.client_id} has no {named}")
        return [self._asked(command, name, because) for name in wanted]

    def _asked(
        self, command: events.Command, stack_id: str, because: stack_events.Because
    ) -> envelope.NewEvent:
        name = command.command_id
        if command.stack_id is None:
            name = f"{name}:{stack_id}"
        asked = stack_events.Requested(
            reconciliation_id=name,
            trigger=_TRIGGERS[command.command_type],
            reason=command.payload.reason or command.command_type,
            command_id=command.command_id,
            correlation_id=command.correlation_id,
        )
        return stack_events.of_stack(
            stack_events.RECONCILIATION_REQUESTED,
            command.client_id,
            stack_id,
            asked,
            now=self._clock.now(),
            event_id=f"requested:{name}",
            because=because,
        )
