"""The newest events of the log, kept in memory for those who follow it.

Views and live streams want what was committed a moment ago, and all of them the same: to read it
back from the storage once for each costs more than the append did. What a commit of this process
gave to the log is kept here as the storage would give it back, for as long as it follows without a
gap on what is here already; a commit of another process in between begins it anew.
"""

from collections.abc import Sequence

from helios.eventlog import envelope, ports
from helios.kernel import clock, limits


class Recent:
    """The last events, without a gap.

    Args:
        events_max: at least so many are kept, at most twice as many.
        bytes_max: the same in bytes of payload and metadata.
    """

    def __init__(
        self,
        *,
        events_max: int = limits.RECENT_EVENTS_MAX,
        bytes_max: int = limits.RECENT_BYTES_MAX,
    ) -> None:
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._events: list[envelope.Event] = []
        self._bytes = 0

    def add(
        self,
        requests: Sequence[ports.AppendRequest],
        outcomes: Sequence[envelope.Appended | Exception],
        recorded_at: clock.Timestamp,
    ) -> None:
        """Take in what a commit appended; duplicates and refusals are passed over."""
        fresh: list[envelope.Event] = []
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, envelope.Appended) and not outcome.replayed:
                _collect(fresh, request.events, outcome, recorded_at)
        if not fresh:
            return
        events = self._events
        if not events or fresh[0].position != events[-1].position + 1:
            events.clear()
            self._bytes = 0
        events.extend(fresh)
        self._bytes += sum([len(event.payload) + len(event.metadata) for event in fresh])
        if len(events) > 2 * self._events_max or self._bytes > 2 * self._bytes_max:
            self._trim()

    def page(
        self,
        after: envelope.Position,
        head: envelope.Position,
        *,
        limit: int,
        where: envelope.Filter,
    ) -> envelope.Page | None:
        """The page after a position, or None when it is not all here.

        Args:
            after: read on after this.
            head: the last position of the log that is known.
            limit: events to look at, at most.
            where: which of them are wanted.
        """
        events = self._events
        if not events:
            return None
        start = after + 1 - events[0].position
        last = events[-1].position
        if start < 0 or after > last or (after == last and head > last):
            return None
        found = events[start : start + limit]
        next_after = found[-1].position if found else after
        if where != envelope.ALL:
            found = [event for event in found if where.passes(event)]
        return envelope.Page(events=found, next_after=next_after, head=max(head, last))

    def _trim(self) -> None:
        """Let go of the oldest, many at once: each trim moves all that stays."""
        events = self._events
        keep = kept_bytes = 0
        for event in reversed(events):
            size = len(event.payload) + len(event.metadata)
            if keep >= self._events_max or kept_bytes + size > self._bytes_max:
                break
            keep += 1
            kept_bytes += size
        del events[: len(events) - keep]
        self._bytes = kept_bytes


def _collect(
    into: list[envelope.Event],
    events: Sequence[envelope.NewEvent],
    appended: envelope.Appended,
    recorded_at: clock.Timestamp,
) -> None:
    """What the log made of an append's events."""
    places = zip(events, appended.positions, appended.sequences, appended.duplicates, strict=True)
    for event, position, sequence, duplicate in places:
        if not duplicate:
            into.append(envelope.placed(event, position, sequence, recorded_at))
