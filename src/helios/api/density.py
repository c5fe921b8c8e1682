"""How many events there are over time: reckoned from some of them, spread evenly over the log.

Where the log is short all are counted; where it is long, each of the events that are looked at
stands for those up to the next one. That costs the same for a thousand events and for a billion.
"""

from collections.abc import Sequence

from helios.api import event_filter
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import limits


async def sample(log: log_ports.EventLog, low: int, high: int) -> tuple[list[envelope.Event], int]:
    """Some events of a range of positions, and how many positions each stands for."""
    step = max(1, -(-(high - low) // limits.SAMPLE_EVENTS_MAX))
    found: list[envelope.Event] = []
    places = [envelope.Position(each) for each in range(low + 1, high + 1, step)]
    for start in range(0, len(places), limits.PAGE_EVENTS_MAX // 4):
        found += await log.read_at(places[start : start + limits.PAGE_EVENTS_MAX // 4])
    return found, step


def counts(
    found: Sequence[envelope.Event],
    step: int,
    what: event_filter.Compiled,
    now: clocks.Timestamp,
    *,
    start: clocks.Timestamp,
    width: int,
    buckets: int,
) -> list[float]:
    """About how many events of a filter were recorded in each bucket.

    Args:
        found: events spread evenly, in order.
        step: positions that each stands for.
        what: the filter.
        now: of which the age of events is counted.
        start: of the first bucket, microseconds.
        width: of each bucket, microseconds.
        buckets: how many there are.
    """
    made = [0.0] * buckets
    for number, event in enumerate(found):
        if not (what.where.passes(event) and what.passes(event, now)):
            continue
        # What an event stands for lies between it and the next one.
        until = found[number + 1].recorded_at if number + 1 < len(found) else event.recorded_at
        _spread(made, step, event.recorded_at - start, until - start, width)
    return made


def _spread(made: list[float], count: float, first: int, last: int, width: int) -> None:
    """Spread a count evenly over the buckets between two times."""
    low, high = first // width, last // width
    if count <= 1 or high <= low:
        if 0 <= low < len(made):
            made[low] += count
        return
    span = last - first
    for bucket in range(max(0, low), min(len(made) - 1, high) + 1):
        begin, end = max(first, bucket * width), min(last, (bucket + 1) * width)
        made[bucket] += count * (end - begin) / span
