"""Signals that climb: against what is usual here, and at peers. Pure arithmetic over time.

A signal is over its limit where it is three times its own 90th percentile, or, as long as little of
it is known, ten times what is usual at its peers. It is a sign once it was so for some rounds, and
no more once it was not for as many: a single outlier is none, and a pause does not end it.
"""

import math
from collections import deque
from typing import Final

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions.predicting import estimators, prediction

OWN_FACTOR: Final = 3.0
OWN_SHARE: Final = 0.9
PEERS_FACTOR: Final = 10.0
WINDOW: Final = 600
"""Values that what is usual is of: two days of looks at five minutes."""

WARM: Final = 30
"""With fewer values little is known of a signal."""

ADOPTED: Final = 144
"""A signal that was over its limit for so many rounds has another usual value now."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """When a signal is a sign.

    Attributes:
        floor: no value below it is over any limit.
        smooth: share of a new value in the value that is looked at.
        rounds: how often in a row it has to be over.
        probability: that a drift follows within `horizon`.
        unit: put behind values shown.
    """

    signal: str
    floor: float
    smooth: float
    rounds: int
    probability: float
    horizon: prediction.Horizon = "hours"
    unit: str = ""


LATENCY: Final = Rule(
    signal="latency", floor=0.2, smooth=0.4, rounds=4, probability=0.45, unit=" s"
)
ERRORS: Final = Rule(signal="errors", floor=0.3, smooth=0.3, rounds=3, probability=0.62)
DELIVERIES: Final = Rule(
    signal="refused deliveries", floor=0.3, smooth=0.3, rounds=3, probability=0.65
)


class Series:
    """One signal of one component."""

    __slots__ = ("limit", "over", "rounds", "usual", "value")

    def __init__(self) -> None:
        self.usual = estimators.Quantile(OWN_SHARE, WINDOW)
        self.value = math.nan
        self.over = 0
        self.rounds = 0
        self.limit = math.inf

    @property
    def is_settled(self) -> bool:
        """Whether enough is known of it to miss a sign."""
        return self.usual.count >= WARM

    def observe(self, value: float, rule: Rule, peers: float | None = None) -> None:
        """Take a value in; `peers`: what is usual at peers, None: not known."""
        before = value if math.isnan(self.value) else self.value
        self.value = before + rule.smooth * (value - before)
        self.limit = self._limit(rule, peers)
        if self.value >= self.limit:
            self.over = min(self.over + 1, 2 * rule.rounds)
            self.rounds += 1
            if self.rounds > ADOPTED:
                self.usual.update(value)
            return
        self.over = max(0, self.over - 1)
        if not self.over:
            self.rounds = 0
        self.usual.update(value)

    def _limit(self, rule: Rule, peers: float | None) -> float:
        if self.is_settled:
            return max(rule.floor, OWN_FACTOR * self.usual.value)
        return math.inf if peers is None else max(rule.floor, PEERS_FACTOR * peers)

    def basis(self, rule: Rule) -> prediction.Basis | None:
        """The sign that it is; None: none."""
        if self.over < rule.rounds:
            return None
        return prediction.Basis(
            kind="slope",
            signal=rule.signal,
            horizon=rule.horizon,
            probability=rule.probability,
            expected_in_s=prediction.HORIZONS[rule.horizon] / 3,
            reason=(
                f"{rule.signal} {self.value:.2g}{rule.unit} is over {self.limit:.2g}{rule.unit} "
                f"for {self.rounds} rounds; {self.usual.value:.2g}{rule.unit} is usual"
            ),
        )


TREND_KEPT: Final = 24
TREND_MIN: Final = 8
TREND_FIT: Final = 0.8
"""Share of its movement that a line has to explain."""

TREND_PROBABILITY: Final = 0.75
TREND_AHEAD_S: Final = prediction.HORIZONS["day"]


class Trend:
    """A number with a limit; a line through its last values says when it gets there."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: deque[tuple[float, float]] = deque(maxlen=TREND_KEPT)

    def observe(self, at: clocks.Timestamp, value: float) -> None:
        """Take a value in."""
        self._kept.append((at / clocks.SECOND_US, value))

    @property
    def last(self) -> float | None:
        """Its last value; None: it has none."""
        return self._kept[-1][1] if self._kept else None

    def reaches_in_s(self, limit: float) -> float | None:
        """When it gets to a limit, in seconds from its last value; None: it is not on its way."""
        if len(self._kept) < TREND_MIN:
            return None
        last_at, last = self._kept[-1]
        slope, fit = _line([(at - last_at, value) for at, value in self._kept])
        if fit < TREND_FIT or not slope:
            return None
        left = (limit - last) / slope
        return left if left > 0.0 else None

    def basis(self, signal: str, limit: float) -> prediction.Basis | None:
        """The sign that it is; None: none."""
        left = self.reaches_in_s(limit)
        if left is None or left > TREND_AHEAD_S:
            return None
        is_soon = left <= prediction.HORIZONS["hours"]
        return prediction.Basis(
            kind="trend",
            signal=signal,
            horizon="hours" if is_soon else "day",
            probability=TREND_PROBABILITY,
            expected_in_s=left,
            reason=f"{signal} is {self._kept[-1][1]:g} and reaches {limit:g} at this pace",
        )


def _line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Slope of the least squares line, and the share of the variance that it explains."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    xx = sum((x - mean_x) ** 2 for x, _ in points)
    yy = sum((y - mean_y) ** 2 for _, y in points)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in points)
    if xx <= 0.0 or yy <= 0.0:
        return 0.0, 0.0
    return xy / xx, xy * xy / (xx * yy)
