"""The order of events that belong together: a hybrid logical clock over what the log knows.

The sequence of an aggregate and "was caused by" are facts, so no clock may contradict them. Between
events that neither relates, the time the producer gives decides, as long as it can be believed: it
lies before the append, and not longer than a bound. A producer whose clock is further off is placed
by the time of append. Ties are settled by the position, so the order is total and the same for
everyone, whatever the order in which the events were heard of.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from helios.kernel import clock as clocks

BELIEVED_US = 5 * clocks.SECOND_US
"""How much older than its append an event may claim to be; above, the append's time is taken."""

Stamp: TypeAlias = tuple[int, int, int]
"""Microseconds, a counter within them, position."""


class Stamped(Protocol):
    """What is needed of an event."""

    @property
    def event_id(self) -> str: ...
    @property
    def position(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def aggregate(self) -> tuple[str, str, str]: ...
    @property
    def occurred_at(self) -> clocks.Timestamp: ...
    @property
    def recorded_at(self) -> clocks.Timestamp: ...
    @property
    def causation_id(self) -> str | None: ...


def believed(event: Stamped) -> int:
    """The time an event is placed by as long as nothing relates it to another."""
    claimed, recorded = event.occurred_at, event.recorded_at
    return claimed if recorded - BELIEVED_US <= claimed <= recorded else recorded


def stamps(events: Sequence[Stamped]) -> Mapping[int, Stamp]:
    """A stamp for each event, by position; the same whatever their order."""
    ordered = sorted(events, key=lambda event: event.position)
    before = _before(ordered)
    by_position = {event.position: event for event in ordered}
    done: dict[int, Stamp] = {}
    for event in ordered:
        _stamp(event.position, by_position, before, done)
    return done


def _before(ordered: Sequence[Stamped]) -> dict[int, list[int]]:
    """Positions of the events that come directly before each."""
    named: dict[str, int] = {}
    for event in ordered:
        named.setdefault(event.event_id, event.position)
    before: dict[int, list[int]] = {event.position: [] for event in ordered}
    last: dict[tuple[str, str, str], int] = {}
    for event in sorted(ordered, key=lambda e: (e.aggregate, e.sequence)):
        if event.aggregate in last:
            before[event.position].append(last[event.aggregate])
        last[event.aggregate] = event.position
    for event in ordered:
        cause = named.get(event.causation_id or "")
        if cause is not None and cause != event.position:
            before[event.position].append(cause)
    return before


def _stamp(
    start: int,
    by_position: Mapping[int, Stamped],
    before: Mapping[int, list[int]],
    done: dict[int, Stamp],
) -> None:
    """Stamp an event after all that come before it; what closes a circle is left out of account."""
    path, on_path = [start], {start}
    while path:
        at = path[-1]
        waiting = [p for p in before[at] if p not in done and p not in on_path]
        if waiting and at not in done:
            path.append(waiting[0])
            on_path.add(waiting[0])
            continue
        if at not in done:
            done[at] = _after(by_position[at], [done[p] for p in before[at] if p in done])
        on_path.discard(path.pop())


def _after(event: Stamped, earlier: Sequence[Stamp]) -> Stamp:
    own = believed(event)
    latest = max(((us, count) for us, count, _ in earlier), default=(-1, 0))
    if latest[0] >= own:
        return (latest[0], latest[1] + 1, event.position)
    return (own, 0, event.position)
