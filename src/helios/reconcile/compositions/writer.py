"""Appends what a pass says about one stack, and keeps the state in step with it.

Each event names the one that caused it (`causing`), and goes on with its trace. Every append names
the sequence it builds on, and the leases it is done under: what was decided on a state that is no
longer the last one is refused by the log, whoever decided it.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import ids, tracing
from helios.reconcile.compositions import causing, events, evolving, stack

Said: TypeAlias = tuple[str, events.StackPayload]
"""Type and payload of an event."""

Told: TypeAlias = Callable[[str, events.StackPayload], None]

Expected: TypeAlias = Callable[[], Mapping[envelope.AggregateKey, int]]


class Writer:
    """The one way in which a pass writes.

    Args:
        state: what the pass has read.
        log: where events go.
        expected: sequences of leases that every append names too.
        because: who says it, and what for where nothing nearer causes it.
        told: hears of each event that was appended: its type and payload.

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
        told: Told = lambda *_: None,
    ) -> None:
        self.state = state
        self.appended = 0
        self.position = envelope.Position(0)
        self._log = log
        self._clock = clock
        self._ids = id_source
        self._expected = expected
        self._because = because
        self._told = told
        self._known: dict[str, stack.Mark] = {}
        self._last: stack.Mark | None = None

    @property
    def trace(self) -> tracing.Trace | None:
        """The trace of what was said last."""
        if self._last is None or self._last.traceparent is None:
            return None
        return tracing.parse(self._last.traceparent)

    def knows(self, event: envelope.Event) -> None:
        """Remember an event of somebody else's that may be named as a cause."""
        self._known[event.id] = causing.mark(event)

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
        fresh: dict[str, stack.Mark] = {}
        made = [self._event(each, now, fresh) for each in said]
        wanted = {**expected, **self._expected(), self.state.key: self.state.sequence}
        done = await self._log.append([*made, *beside], expected=wanted)
        places = zip(made, done.positions, done.sequences, strict=False)
        for event, position, sequence in places:
            placed = envelope.placed(event, position, sequence, now)
            self.state = evolving.evolve(self.state, placed)
            self._last = causing.mark(placed)
        self.appended += len(made)
        self.position = done.position
        for each in said:
            self._told(*each)

    async def catch_up(self) -> None:
        """Take in what others have said of the stack since. Raises StorageError."""
        where = envelope.Filter(
            tenant=self.state.client_id,
            aggregate_type=events.STACK,
            aggregate_id=self.state.stack_id,
        )
        after = envelope.Position(self.state.position)
        while True:
            page = await self._log.read(after, where=where)
            self.state = evolving.evolved(self.state, page.events)
            after = page.next_after
            if after >= page.head:
                return

    def _event(
        self, said: Said, now: clocks.Timestamp, fresh: dict[str, stack.Mark]
    ) -> envelope.NewEvent:
        """An event; those of the same append that it may cause find it in `fresh`."""
        kind, payload = said
        event_id = self._ids.new()
        if isinstance(payload, events.DriftMoved | events.HealMoved):
            payload = msgspec.structs.replace(payload, event_id=event_id)
        why = causing.because(
            self.state, (kind, payload), self._because, fresh=fresh, last=self._last,
            known=self._known,
        )  # fmt: skip
        made = events.of_stack(
            kind,
            self.state.client_id,
            self.state.stack_id,
            payload,
            now=now,
            event_id=event_id,
            because=why,
        )
        own = stack.Mark(
            event_id=event_id,
            correlation_id=made.correlation_id,
            traceparent=causing.trace_of(made).traceparent,
        )
        fresh |= dict.fromkeys(causing.subjects(payload, kind), own)
        return made
