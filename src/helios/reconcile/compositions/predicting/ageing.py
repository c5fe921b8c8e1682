"""Things that happen again and again: how long until the next one, by the gaps before. Pure.

Gaps are taken to be exponential, but that now and then events stop for long. That nothing happened
is never proof of anything: a shop may be quiet.
"""

import math
from typing import Final

from helios.reconcile.compositions.predicting import prediction

GAPS_MIN: Final = 3
"""Of fewer gaps nothing is said."""

GAPS_KEPT: Final = 50.0
"""Gaps that what is known is of; older ones fade."""

OVERDUE: Final = 20.0
"""An event that was waited for so many usual gaps is overdue."""

SILENCE_PROBABILITY: Final = 0.25
STOPPED: Final = 0.05
"""Share of events after which the next one does not come for long: holidays, a broken chain."""

AGE_AHEAD: Final = 0.2
"""Share of its limit before which an age is no sign."""


class Gaps:
    """The gaps between events."""

    __slots__ = ("count", "last", "total")

    def __init__(self) -> None:
        self.count = 0.0
        self.total = 0.0
        self.last: float | None = None

    @property
    def is_settled(self) -> bool:
        """Whether enough is known to miss a sign."""
        return self.count >= GAPS_MIN

    def happened(self, at: float) -> None:
        """An event was at this time, in seconds; one told of again, or late, is passed over."""
        if self.last is None or at <= self.last:
            self.last = at if self.last is None else self.last
            return
        self.add(at - self.last)
        self.last = at

    def add(self, gap: float) -> None:
        """Take a gap in, in seconds."""
        if self.count >= GAPS_KEPT:
            self.total *= 1.0 - 1.0 / self.count
            self.count -= 1.0
        self.count += 1.0
        self.total += gap

    @property
    def usual(self) -> float:
        """The mean gap, in seconds."""
        return self.total / self.count if self.count else math.inf

    def lasts(self, age: float, more: float) -> float:
        """Probability that nothing happens for `more` after nothing has for `age`, in seconds.

        Either the next event is only late, or events have stopped; the longer, the rather that.
        """
        late = (1.0 - STOPPED) * math.exp(-age / self.usual)
        stopped = STOPPED / (STOPPED + late)
        return stopped + (1.0 - stopped) * math.exp(-more / self.usual)


def silence(gaps: Gaps, now_s: float) -> prediction.Basis | None:
    """The sign that events stay away; a weak one, which nothing is raised for by itself."""
    if gaps.last is None or gaps.count < 2 * GAPS_MIN:
        return None
    age = now_s - gaps.last
    if age <= OVERDUE * gaps.usual:
        return None
    return prediction.Basis(
        kind="silence",
        signal="age of the last event",
        horizon="hours",
        probability=SILENCE_PROBABILITY,
        expected_in_s=prediction.HORIZONS["hours"] / 3,
        reason=f"no event for {age:.0f} s; one comes every {gaps.usual:.0f} s",
    )


def ages(gaps: Gaps, age: float, limit: float) -> prediction.Basis | None:
    """The sign that an age gets to its limit before it begins anew."""
    left, ahead = limit - age, limit * AGE_AHEAD
    if not gaps.is_settled or left > min(ahead, prediction.HORIZONS["week"]):
        return None
    horizon: prediction.Horizon = "day" if ahead <= prediction.HORIZONS["day"] else "week"
    return prediction.Basis(
        kind="age",
        signal="age",
        horizon=horizon,
        probability=gaps.lasts(age, left) if left > 0.0 else prediction.DUE,
        expected_in_s=max(0.0, left),
        reason=f"its age is {age:.0f} s of at most {limit:.0f} s",
    )
