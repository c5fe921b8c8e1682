"""What must hold in every simulated world, whatever went wrong in it.

A `History` records what the clients did and were told; ambiguous results stay open, because a
timeout says nothing. Each invariant is a function of the history and of what is on the disk in the
end, or is checked at the moment when it could be seen broken. Its name is the name to look for in
a report.

`Coverage` is the other half: it counts that the rare states were reached at all. A run set in which
a counter stays 0 proves nothing about that state, and fails.
"""

import collections
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from helios.eventlog import envelope, ports
from helios.projections import ports as view_ports
from helios.testing import tally

EventKey = tuple[str, str, str]
"""(tenant, source, id)."""


class Violation(AssertionError):  # noqa: N818 - it is what was found, not a failure of the caller
    """An invariant does not hold.

    Attributes:
        invariant: its name.
    """

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


class Coverage(collections.Counter[str]):
    """How often each rare state was reached."""

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that were never reached."""
        return [name for name in names if not self[name]]


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was answered with success."""

    request: ports.AppendRequest
    appended: envelope.Appended


class History:
    """What clients of one log did and saw."""

    def __init__(self) -> None:
        self.sent: list[ports.AppendRequest] = []
        self.acknowledged: list[Acknowledged] = []
        self.answers: dict[tuple[str, str], envelope.Appended] = {}
        self.seen: dict[str, dict[envelope.Position, EventKey]] = {}
        self.cursors: dict[str, envelope.Position] = {}

    def send(self, request: ports.AppendRequest) -> None:
        """A request leaves a client (once, however often it is retried)."""
        self.sent.append(request)

    def acknowledge(self, request: ports.AppendRequest, appended: envelope.Appended) -> None:
        """A client was told that its request is durable.

        Raises:
            Violation: idempotent_command, contiguous_sequence, append_is_atomic.
        """
        if any(appended.duplicates) and not all(appended.duplicates):
            # No event is in two requests, so a part of this one had been appended before.
            raise Violation("append_is_atomic", f"{request.events}: {appended}")
        self._check_answer(request, appended)
        self.acknowledged.append(Acknowledged(request=request, appended=appended))
        if request.idempotency is None:
            return
        key = (request.idempotency.scope, request.idempotency.key)
        first = self.answers.setdefault(key, appended)
        if (first.positions, first.sequences) != (appended.positions, appended.sequences):
            raise Violation("idempotent_command", f"{key}: first {first}, then {appended}")

    def _check_answer(self, request: ports.AppendRequest, appended: envelope.Appended) -> None:
        if any(appended.duplicates) or appended.replayed:
            return
        first: dict[envelope.AggregateKey, int] = {}
        for event, sequence in zip(request.events, appended.sequences, strict=True):
            first.setdefault(event.aggregate, sequence)
        for aggregate, expected in request.expected.items():
            if aggregate in first and first[aggregate] != expected + 1:
                raise Violation(
                    "contiguous_sequence",
                    f"{aggregate}: expected {expected}, appended at {first[aggregate]}",
                )

    def read(self, reader: str, after: envelope.Position, page: envelope.Page) -> None:
        """A reader of everything got a page.

        Raises:
            Violation: cursor_monotonic, contiguous_sequence.
        """
        cursor = self.cursors.get(reader, envelope.Position(0))
        if after != cursor or page.next_after < after:
            raise Violation(
                "cursor_monotonic", f"{reader} at {cursor} asked {after} got {page.next_after}"
            )
        positions = [event.position for event in page.events]
        if positions != list(range(after + 1, page.next_after + 1)):
            raise Violation(
                "contiguous_sequence", f"{reader} after {after} saw {positions} ({page.next_after})"
            )
        seen = self.seen.setdefault(reader, {})
        for event in page.events:
            seen[event.position] = _key(event)
        self.cursors[reader] = page.next_after


def check_log(history: History, events: Sequence[envelope.Event]) -> None:
    """All invariants of a log, against what is in it in the end.

    Raises:
        Violation: the first one broken.
    """
    contiguous_sequence(events)
    no_duplicate_event(events)
    no_lost_event(history, events)
    append_is_atomic(history, events)
    readers_saw_the_log(history, events)


def contiguous_sequence(events: Sequence[envelope.Event]) -> None:
    """Positions are 1, 2, 3 …, and so are the sequences of each aggregate."""
    sequences: dict[envelope.AggregateKey, int] = {}
    for place, event in enumerate(events, start=1):
        wanted = sequences[event.aggregate] = sequences.get(event.aggregate, 0) + 1
        if (event.position, event.sequence) != (place, wanted):
            raise Violation(
                "contiguous_sequence",
                f"{_key(event)} is at {event.position}, sequence {event.sequence}; "
                f"wanted {place}, {wanted}",
            )


def no_duplicate_event(events: Sequence[envelope.Event]) -> None:
    """However often it was sent, an event is in the log once."""
    first: dict[EventKey, envelope.Position] = {}
    for event in events:
        before = first.setdefault(_key(event), event.position)
        if before != event.position:
            raise Violation("no_duplicate_event", f"{_key(event)}: {before}, {event.position}")


def no_lost_event(history: History, events: Sequence[envelope.Event]) -> None:
    """What was acknowledged is there, where the answer said, as it was sent."""
    by_key = {_key(event): event for event in events}
    for said in history.acknowledged:
        appended = said.appended
        places = zip(appended.positions, appended.sequences, strict=True)
        for event, (position, sequence) in zip(said.request.events, places, strict=True):
            found = by_key.get(_key(event))
            if found is None:
                raise Violation("no_lost_event", f"{_key(event)} acknowledged at {position}: gone")
            if (found.position, found.sequence) != (position, sequence):
                raise Violation(
                    "no_lost_event",
                    f"{_key(event)} acknowledged at {position}/{sequence}, "
                    f"is at {found.position}/{found.sequence}",
                )
            if (found.payload, found.type, found.aggregate) != (
                event.payload,
                event.type,
                event.aggregate,
            ):
                raise Violation("no_lost_event", f"{_key(event)} is not what was sent")


def append_is_atomic(history: History, events: Sequence[envelope.Event]) -> None:
    """Of no request only a part is in the log."""
    there = {_key(event) for event in events}
    for request in history.sent:
        parts = [_key(event) in there for event in request.events]
        if any(parts) and not all(parts):
            raise Violation("append_is_atomic", f"{[_key(e) for e in request.events]}: {parts}")


def readers_saw_the_log(history: History, events: Sequence[envelope.Event]) -> None:
    """What a reader saw at a position is there for good: nobody reads what a crash takes back."""
    log = {event.position: _key(event) for event in events}
    for reader, seen in history.seen.items():
        for position, key in seen.items():
            if log.get(position) != key:
                raise Violation(
                    "cursor_monotonic",
                    f"{reader} saw {key} at {position}, where {log.get(position)} is now",
                )


def view_equals_replay(
    rows: Sequence[view_ports.Row], events: Sequence[envelope.Event], place: str
) -> None:
    """The rows of the tally view are those of a fold of the log from 0."""
    wanted = tally.fold(events)
    if list(rows) != wanted:
        raise Violation("view_equals_replay", f"{place}: view {list(rows)}, log {wanted}")


def read_your_writes(
    said: Acknowledged, rows: Mapping[envelope.AggregateKey, int], reached: int
) -> None:
    """A view that says it has reached a write shows it."""
    for event, sequence in zip(said.request.events, said.appended.sequences, strict=True):
        if rows.get(event.aggregate, 0) < sequence:
            raise Violation(
                "read_your_writes",
                f"{event.aggregate} at {rows.get(event.aggregate)} but {sequence} was written; "
                f"the view says {reached}",
            )


def _key(event: envelope.Event | envelope.NewEvent) -> EventKey:
    return (event.tenant, event.source, event.id)
