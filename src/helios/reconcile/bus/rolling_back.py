"""Carries out `rollback_state`: an earlier version of a stack is declared again."""

from collections.abc import Sequence

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.projections import ports as view_ports
from helios.reconcile.bus import events
from helios.reconcile.compositions import commanding, document, reading, stack, versions
from helios.reconcile.compositions import events as stack_events


class RollingBack:
    """An `acting.Handler`.

    Args:
        store: where the views are.
    """

    def __init__(
        self, store: view_ports.ViewStore, *, clock: clocks.Clock, id_source: ids.Ids
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = id_source

    async def __call__(
        self, command: events.Command, because: stack_events.Because
    ) -> Sequence[envelope.NewEvent]:
        """See `acting.Handler`."""
        if command.stack_id is None:
            raise errors.InvalidInputError("rollback_state needs a stack_id", field="stack_id")
        known = await reading.stack_of(self._store, command.client_id, command.stack_id)
        target = _target(known.state.versions, command.payload)
        text = await reading.text(
            self._store, command.client_id, command.stack_id, target.generation
        )
        said = commanding.rollback(
            known.state,
            target,
            document.parse(text),
            before=known.declared,
            id_source=self._ids,
            reason=command.payload.reason or f"command {command.command_id}",
        )
        now = self._clock.now()
        return [
            stack_events.of_stack(
                kind,
                command.client_id,
                command.stack_id,
                payload,
                now=now,
                event_id=f"rollback:{command.command_id}:{number}",
                because=because,
            )
            for number, (kind, payload) in enumerate(said)
        ]


def _target(known: Sequence[stack.Version], wanted: events.Details) -> stack.Version:
    if wanted.rollback_version:
        return versions.named(known, wanted.rollback_version)
    if not wanted.rollback_time:
        raise errors.InvalidInputError(
            "rollback_state needs a version or a time to go back to",
            field="payload.rollback_version",
        )
    try:
        return versions.at(known, clocks.parse_rfc3339(wanted.rollback_time))
    except ValueError as error:
        raise errors.InvalidInputError(str(error), field="payload.rollback_time") from None
