"""What keeping, building and verifying a view have in common."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import errors
from helios.projections import ports

T = TypeVar("T")


class ApplyError(errors.HeliosError):
    """A view cannot apply an event; names view, position and event id."""

    code = "view_apply_failed"

    def __init__(self, view: str, event: envelope.Event, cause: Exception) -> None:
        super().__init__(
            f"view {view} cannot apply event {event.id} ({event.source} {event.type}) at position "
            f"{event.position}: {type(cause).__name__}: {cause}"
        )
        self.event = event


def payload(event: envelope.Event, kind: type[T]) -> T:
    """The payload of an event that Helios itself wrote.

    Raises:
        InvalidInputError: it is not of that kind.
    """
    try:
        return msgspec.json.decode(event.payload, type=kind)
    except msgspec.DecodeError as error:
        raise errors.InvalidInputError(f"payload of {event.type}: {error}") from error


def fold(view: ports.View, events: Sequence[envelope.Event]) -> list[ports.Write]:
    """The writes of a view for these events; none for none."""
    return list(view.apply(events)) if events else []


def fold_or_name(view: ports.View, events: Sequence[envelope.Event]) -> list[ports.Write]:
    """The same, but the error of an event that cannot be applied names it.

    Raises:
        ApplyError: the first event that the view cannot apply by itself.
    """
    try:
        return fold(view, events)
    except Exception:
        for event in events:
            try:
                fold(view, [event])
            except Exception as error:
                raise ApplyError(view.name, event, error) from error
        raise


class Stateless:
    """The fold of a view that remembers nothing."""

    def __init__(self, view: ports.View) -> None:
        self._view = view

    async def apply(
        self,
        events: Sequence[envelope.Event],
        upto: envelope.Position,  # noqa: ARG002 - port
    ) -> Sequence[ports.Write]:
        return fold(self._view, events)

    def committed(self) -> None:
        """Nothing is remembered."""


async def begin(
    view: ports.View, slot: ports.Slot, log: log_ports.EventLog, store: ports.ViewStore
) -> ports.Fold:
    """The fold of a view, going on from a copy's checkpoint."""
    if isinstance(view, ports.RememberingView):
        return await view.begin(slot, log, store)
    return Stateless(view)


def refuse_ahead(slot: ports.Slot, head: envelope.Position) -> None:
    """Raise CursorError when a copy knows events that the log does not have."""
    if slot.checkpoint.position > head:
        raise errors.CursorError(
            f"view {slot.view} stands at position {slot.checkpoint.position}, but the log ends at "
            f"{head}: the log was restored to an earlier point. "
            f"Rebuild the view: `helios views rebuild {slot.view}`"
        )


async def settle(task: asyncio.Task[Any]) -> None:
    """Stop a task whose outcome nobody wants any more, and see it end."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
