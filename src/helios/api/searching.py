"""Searching the log by a filter expression, newest or oldest first.

The log reads forward. To go backward, stretches of positions are read one below the other, each
forward within itself; how long they are follows from how much was found in the one before. What the
log can filter by itself it does; the rest is asked of each event here, on its decoded payload.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, TypeAlias

import msgspec

from helios.api import event_filter
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import limits

Direction: TypeAlias = Literal["newest", "oldest"]

_STRETCH_MIN = 250
_STRETCH_MAX = 2_000
_STRETCH_SPARSE_MAX = limits.SCAN_EVENTS_MAX
_FAN = 64
_PAGES_WHERE_DENSE = 2
"""Pages of one stretch above which the next one is shorter."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for.

    Attributes:
        what: the filter.
        direction: `newest` first or `oldest` first.
        low, high: positions between which it is looked, both included.
        start, end: when it was recorded; `end` is exclusive; None: no bound.
        limit: most events that are found.
    """

    what: event_filter.Compiled
    direction: Direction
    low: int
    high: int
    start: clocks.Timestamp | None = None
    end: clocks.Timestamp | None = None
    limit: int = 100

    def wants(self, event: envelope.Event, now: clocks.Timestamp) -> bool:
        """Whether an event that the log gave is wanted."""
        return (
            self.low <= event.position <= self.high
            and (self.start is None or event.recorded_at >= self.start)
            and (self.end is None or event.recorded_at < self.end)
            and self.what.passes(event, now)
        )


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How far a search has come.

    Attributes:
        found: since the last step, in the direction of the search.
        scanned: positions passed so far.
        matched: events found so far.
        place: newest first: everything above it was looked at; oldest first: everything below.
        reached: event time of recording at which it stands; None: nothing was seen yet.
        ended: there is nothing more in this direction.
    """

    found: Sequence[envelope.Event]
    scanned: int
    matched: int
    place: int
    reached: clocks.Timestamp | None
    ended: bool


async def search(
    log: log_ports.EventLog, asked: Asked, now: clocks.Timestamp
) -> AsyncIterator[Step]:
    """Look for events: a step after each stretch, until `limit` are found or all was looked at."""
    is_down = asked.direction == "newest"
    place = asked.high + 1 if is_down else asked.low - 1
    size, scanned, matched = _STRETCH_MIN, 0, 0
    reached: clocks.Timestamp | None = None
    while True:
        left = place - asked.low if is_down else asked.high - place
        if left <= 0:
            yield Step(
                found=(), scanned=scanned, matched=matched, place=place, reached=reached, ended=True
            )
            return
        first = max(asked.low, place - size) if is_down else place + 1
        last = place - 1 if is_down else min(asked.high, place + size)
        events, pages = await _stretch(log, first, last, asked.what.where)
        if is_down:
            events.reverse()
        wanted = [each for each in events if asked.wants(each, now)][: asked.limit - matched]
        matched += len(wanted)
        is_full = matched >= asked.limit
        before, place = place, _after(asked, first, last, wanted if is_full else ())
        scanned += abs(place - before)
        if events:
            reached = (wanted[-1] if is_full else events[-1]).recorded_at
        size = _next_size(size, pages, asked.what.where)
        left = place - asked.low if is_down else asked.high - place
        yield Step(
            found=wanted, scanned=scanned, matched=matched, place=place, reached=reached,
            ended=left <= 0,
        )  # fmt: skip
        if is_full or left <= 0:
            return


def _after(asked: Asked, first: int, last: int, until: Sequence[envelope.Event]) -> int:
    """Where a stretch ended; `until`: its last event is the last that was looked at."""
    if until:
        return until[-1].position
    return first if asked.direction == "newest" else last


async def _stretch(
    log: log_ports.EventLog, first: int, last: int, where: envelope.Filter
) -> tuple[list[envelope.Event], int]:
    """The events of some positions in order, and how many pages that took."""
    found: list[envelope.Event] = []
    after, pages = envelope.Position(first - 1), 0
    while after < last:
        room = min(limits.PAGE_EVENTS_MAX, last - after)
        page = await log.read(after, limit=room, where=where)
        pages += 1
        found += [each for each in page.events if each.position <= last]
        if page.next_after <= after:
            break
        after = page.next_after
    return found, pages


def _next_size(size: int, pages: int, where: envelope.Filter) -> int:
    if pages > _PAGES_WHERE_DENSE:
        return max(_STRETCH_MIN, size // 2)
    most = _STRETCH_MAX if where.types is None and where.sources is None else _STRETCH_SPARSE_MAX
    return min(most, size * 2)


async def before(log: log_ports.EventLog, time: clocks.Timestamp, head: int) -> int:
    """A position at and below which everything was recorded before a time.

    The highest such where all of the log may be seen; else one that is not far below it.
    """
    low, high = 0, head + 1
    while high - low > 1:
        step = max(1, (high - low) // _FAN)
        places = [envelope.Position(each) for each in range(low + step, high, step)][:_FAN]
        was = (low, high)
        for event in await log.read_at(places):
            if event.recorded_at >= time:
                high = event.position
                break
            low = event.position
        if (low, high) == was:
            break
    return low


async def newest(
    log: log_ports.EventLog,
    what: event_filter.Compiled,
    now: clocks.Timestamp,
    *,
    limit: int = limits.SAMPLE_EVENTS_MAX,
    scan: int = 4 * limits.SAMPLE_EVENTS_MAX,
) -> tuple[list[envelope.Event], int]:
    """The newest events of a filter, and how many positions were looked at for them."""
    head = await log.head()
    asked = Asked(what=what, direction="newest", low=1, high=head, limit=limit)
    found: list[envelope.Event] = []
    scanned = 0
    async for step in search(log, asked, now):
        found += step.found
        scanned = step.scanned
        if scanned >= scan:
            break
    return found, scanned
