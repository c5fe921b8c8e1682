"""What falls due within a second.

Deadlines are kept by whole seconds, because events need no more: the next event comes soon enough.
Where none comes a person waits for the clock, and a second would be felt. So when the clock is
asked, deadlines of the second under way are looked at to the microsecond. Only what nothing was
told of yet is worth that.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from helios.reconcile.streams import judge, layout, telling, times
from helios.reconcile.streams.layout import State

Buckets: TypeAlias = Mapping[int, Sequence[State]]


def within(buckets: Buckets, second: int, reached_us: int, judging: judge.Judge) -> list[State]:
    """States in the bucket of a second, untold, of which a deadline has passed."""
    if (second - 1) * times.SECOND_US > reached_us:
        return []
    before = (second - 1) * times.SECOND_US
    return [
        state
        for state in buckets.get(second, ())
        if state[layout.NEXT] == second
        and not telling.is_told(state)
        and judging.deadline_after(state, before) < reached_us
    ]


def is_due(buckets: Buckets, reached_us: int, judging: judge.Judge) -> bool:
    """Whether anything is due at a time."""
    second = min(buckets, default=None)
    if second is None:
        return False
    if second * times.SECOND_US <= reached_us:
        return True
    return bool(within(buckets, second, reached_us, judging))
