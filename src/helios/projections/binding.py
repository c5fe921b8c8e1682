"""Whose history the views hold.

Views are good for one log only. The store remembers which, in the state of a copy of a view that
has no tables: so every backend can, and nothing but the port is needed.
"""

from collections.abc import Sequence

from helios.eventlog import envelope
from helios.kernel import errors
from helios.projections import ports

_ATTEMPTS = 100


class _Binding:
    """A view without tables: its live copy's state is the log's identity."""

    name = "helios_log"
    version = 1
    tables: Sequence[str] = ()
    schema: Sequence[str] = ()
    indexes: Sequence[str] = ()
    where = envelope.ALL

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:  # noqa: ARG002 - port
        return []


async def bound_to(store: ports.ViewStore) -> str | None:
    """The log whose history these views hold, or None when they are new."""
    for slot in await store.slots(_Binding.name):
        if slot.live and slot.checkpoint.state:
            return slot.checkpoint.state.decode()
    return None


async def bind(store: ports.ViewStore, log_id: str) -> None:
    """Bind new views to a log, or check that they belong to it.

    Raises:
        CursorError: they hold the history of another log.
    """
    held = await bound_to(store)
    if held is None:
        held = await _write(store, log_id, unless_bound=True)
    if held != log_id:
        raise errors.CursorError(
            f"the views hold the history of log {held}, but this is log {log_id}: "
            "point to the right file or database, "
            "or build them anew with `helios views rebuild --all`"
        )


async def rebind(store: ports.ViewStore, log_id: str) -> None:
    """Bind to another log. The caller has dropped every copy of every view."""
    await _write(store, log_id, unless_bound=False)


async def _write(store: ports.ViewStore, log_id: str, *, unless_bound: bool) -> str:
    # Two processes may start at once. Each binding moves the position by one, and a commit names
    # the position it goes on from, so one of them wins and the others look again.
    for _ in range(_ATTEMPTS):
        try:
            live = [slot for slot in await store.slots(_Binding.name) if slot.live]
            slot = live[0] if live else await store.create(_Binding(), live=True)
            if slot.checkpoint.state and unless_bound:
                return slot.checkpoint.state.decode()
            number = envelope.Position(slot.checkpoint.position + 1)
            checkpoint = ports.Checkpoint(position=number, state=log_id.encode())
            await store.commit(slot, [], checkpoint)
        except errors.ConflictError:
            continue
        return log_id
    raise errors.StorageError("other processes keep binding the views; stop them and try again")
