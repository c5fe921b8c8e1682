"""Things that happen again and again: how long until the next one, by the gaps before. Pure.

Gaps are taken to be exponential with a rate that is not known but for the gaps seen, so that the
probability of waiting on falls slowly where few were seen. That nothing happened is never proof of
anything: a shop may be quiet.
"""

import math
from typing import Final

from helios.reconcile.compositions.predicting import prediction

GAPS_MIN: Final = 3
"""Of fewer gaps nothing is said."""

GAPS_KEPT: Final = 50.0
"""Gaps that what is known is of; older ones fade."""

OVERDUE: Final = 0.002
"""An event that comes later with less than this probability is overdue."""

SILENCE_PROBABILITY: Final = 0.25
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

    def lasts(self, age: float, more: float) -> float:
        """Probability that nothing happens for `more` after nothing has for `age`."""
        before = self.total + age
        return math.exp((self.count + 1.0) * -math.log1p(more / before)) if before > 0 else 0.0


def silence(gaps: Gaps, now_s: float) -> prediction.Basis | None:
    """The sign that events stay away; a weak one, which nothing is raised for by itself."""
    if gaps.last is None or gaps.count < 2 * GAPS_MIN:
        return None
    age = now_s - gaps.last
    if age <= 0.0 or gaps.lasts(0.0, age) > OVERDUE:
        return None
    return prediction.Basis(
        kind="silence",
        signal="age of the last event",
        horizon="hours",
        probability=SILENCE_PROBABILITY,
        expected_in_s=prediction.HORIZONS["hours"] / 3,
        reason=f"no event for {age:.0f} s; one comes every {gaps.total / gaps.count:.0f} s",
    )


def ages(gaps: Gaps, age: float, limit: float) -> prediction.Basis | None:
    """The sign that an age gets to its limit before it begins anew."""
    left = limit - age
    if not gaps.is_settled or not 0.0 < left <= limit * AGE_AHEAD:
        return None
    if left > prediction.HORIZONS["week"]:
        return None
    horizon: prediction.Horizon = "day" if left <= prediction.HORIZONS["day"] else "week"
    return prediction.Basis(
        kind="age",
        signal="age",
        horizon=horizon,
        probability=gaps.lasts(age, left),
        expected_in_s=left,
        reason=f"its age is {age:.0f} s of at most {limit:.0f} s",
    )
