"""Appends what a pass says about one stack, and keeps the state in step with it.

Every append names the sequence it builds on, and the leases it is done under: what was decided on
a state that is no longer the last one is refused by the log, whoever decided it.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.reconcile.compositions import events, evolving, stack

Said: TypeAlias = tuple[str, events.StackPayload]
"""Type and payload of an event."""

Expected: TypeAlias = Callable[[], Mapping[envelope.AggregateKey, int]]


class Writer:
    """The one way in which a pass writes.

    Args:
        state: what the pass has read.
        log: where events go.
        expected: sequences of leases that every append names too.

    Attributes:
        state: what is known after the appends so far.
        appended: events appended so far.
        position: of the last append; 0: none.
    """

    def __init__(
        self,
        state: stack.Stack,
        log: log_ports.EventLog,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
        expected: Expected,
        because: events.Because = events.US,
    ) -> None:
        self.state = state
        self.appended = 0
        self.position = envelope.Position(0)
        self._log = log
        self._clock = clock
        self._ids = id_source
        self._expected = expected
        self._because = because

    async def say(
        self,
        said: Sequence[Said],
        *,
        beside: Sequence[envelope.NewEvent] = (),
        expected: Mapping[envelope.AggregateKey, int] = MappingProxyType({}),
    ) -> None:
        """Append these events, all or none; nothing for none.

        Args:
            said: about the stack.
            beside: about others, in the same transaction.
            expected: sequences of those that must not have moved.

        Raises:
            ConflictError: somebody else has written about the stack, or a lease is lost.
            OverloadError, StorageError: the log cannot take it now.
        """
        if not said:
            return
        now = self._clock.now()
        made = [self._event(kind, payload, now) for kind, payload in said]
        wanted = {**expected, **self._expected(), self.state.key: self.state.sequence}
        done = await self._log.append([*made, *beside], expected=wanted)
        places = zip(made, done.positions, done.sequences, strict=False)
        for event, position, sequence in places:
            placed = envelope.placed(event, position, sequence, now)
            self.state = evolving.evolve(self.state, placed)
        self.appended += len(made)
        self.position = done.position

    def _event(
        self, kind: str, payload: events.StackPayload, now: clocks.Timestamp
    ) -> envelope.NewEvent:
        event_id = self._ids.new()
        if isinstance(payload, events.DriftMoved | events.HealMoved):
            payload = msgspec.structs.replace(payload, event_id=event_id)
        return events.of_stack(
            kind,
            self.state.client_id,
            self.state.stack_id,
            payload,
            now=now,
            event_id=event_id,
            because=self._because,
        )
