"""Signals that climb: against what is usual here, and at peers. Pure arithmetic over time.

A signal is over its limit where it is a multiple of its own 90th percentile, or, as long as little
of it is known, ten times what is usual at its peers. Rounds over the limit are counted, and those
under it count back: a sign is what was over for some rounds and hardly ever not, until it is hardly
ever over. One outlier is none, nor is a short outage, and a pause does not end it.
"""

import math
from collections import deque
from collections.abc import Collection
from typing import Final

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions.predicting import estimators, prediction

OWN_SHARE: Final = 0.9
PEERS_FACTOR: Final = 10.0
WINDOW: Final = 600
"""Values that what is usual is of: two days of looks at five minutes."""

WARM: Final = 30
"""With fewer values little is known of a signal."""

ADOPTED: Final = 144
"""A signal that was over its limit for so many rounds has another usual value now."""

ENDS: Final = 0.34
"""Share of the rounds that make a sign at which it is none any more."""

PAUSED: Final = 0.6
"""Share of its weight that a sign has in a round under the limit: enough to keep what was told,
too little to tell something new."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """When a signal is a sign.

    Attributes:
        floor: no value below it is over any limit.
        own: so many times its own 90th percentile is its limit.
        rounds: so many rounds over it make a sign.
        relief: what a round under it counts back.
        probability: that a drift follows within `horizon`.
        unit: put behind values shown.
    """

    signal: str
    floor: float
    own: float
    rounds: float
    relief: float
    probability: float
    horizon: prediction.Horizon = "hours"
    unit: str = ""


LATENCY: Final = Rule(
    signal="latency", floor=0.05, own=2.2, rounds=4, relief=1.0, probability=0.7, unit=" s"
)
ERRORS: Final = Rule(signal="errors", floor=0.3, own=3.0, rounds=4.25, relief=0.25, probability=0.7)
DELIVERIES: Final = Rule(
    signal="refused deliveries", floor=0.3, own=3.0, rounds=3.25, relief=0.5, probability=0.7
)


class Series:
    """One signal of one component."""

    __slots__ = ("is_over", "is_sign", "limit", "over", "rounds", "usual")

    def __init__(self) -> None:
        self.usual = estimators.Quantile(OWN_SHARE, WINDOW)
        self.over = 0.0
        self.is_over = self.is_sign = False
        self.rounds = 0
        self.limit = math.inf

    @property
    def is_settled(self) -> bool:
        """Whether enough is known of it to miss a sign."""
        return self.usual.count >= WARM

    def observe(self, value: float, rule: Rule, peers: float | None = None) -> None:
        """Take a value in; `peers`: what is usual at peers, None: not known."""
        self.limit = self._limit(rule, peers)
        self.is_over = value >= self.limit
        if self.is_over:
            self.over = min(self.over + 1.0, 1.5 * rule.rounds)
            self.rounds += 1
            self.is_sign = self.is_sign or self.over >= rule.rounds
            if self.rounds > ADOPTED:
                self.usual.update(value)
            return
        self.over = max(0.0, self.over - rule.relief)
        if self.over <= ENDS * rule.rounds:
            self.is_sign = False
        if not self.over:
            self.rounds = 0
        self.usual.update(value)

    def _limit(self, rule: Rule, peers: float | None) -> float:
        if self.is_settled:
            return max(rule.floor, rule.own * self.usual.value)
        return math.inf if peers is None else max(rule.floor, PEERS_FACTOR * peers)

    def basis(self, rule: Rule) -> prediction.Basis | None:
        """The sign that it is; None: none."""
        if not self.is_sign:
            return None
        return prediction.Basis(
            kind="slope",
            signal=rule.signal,
            horizon=rule.horizon,
            probability=rule.probability * (1.0 if self.is_over else PAUSED),
            expected_in_s=prediction.HORIZONS[rule.horizon] / 3,
            reason=(
                f"{rule.signal}: {self.rounds} rounds over {self.limit:.2g}{rule.unit}, where "
                f"{self.usual.value:.2g}{rule.unit} is usual"
            ),
        )


TREND_BLOCK: Final = 3
TREND_KEPT: Final = 16
TREND_MIN: Final = 8
TREND_FIT: Final = 0.8
"""Share of its movement that a line has to explain."""

TREND_PROBABILITY: Final = 0.75
TREND_AHEAD_S: Final = prediction.HORIZONS["day"]


class Trend:
    """A number with a limit; a line through its last values says when it gets there.

    Values are taken together by threes, so that a few hours of looks fit and their noise is less.
    """

    __slots__ = ("_block", "_fit", "_kept", "_slope", "last")

    def __init__(self) -> None:
        self._kept: deque[tuple[float, float]] = deque(maxlen=TREND_KEPT)
        self._block: list[tuple[float, float]] = []
        self._slope = self._fit = 0.0
        self.last: float | None = None

    @property
    def is_settled(self) -> bool:
        """Whether enough is known of it to miss a sign."""
        return len(self._kept) >= TREND_MIN

    def observe(self, at: clocks.Timestamp, value: float) -> None:
        """Take a value in."""
        self.last = value
        self._block.append((at / clocks.SECOND_US, value))
        if len(self._block) < TREND_BLOCK:
            return
        self._kept.append(
            (
                sum(at for at, _ in self._block) / TREND_BLOCK,
                sum(value for _, value in self._block) / TREND_BLOCK,
            )
        )
        self._block.clear()
        if self.is_settled:
            self._slope, self._fit = _line(self._kept)

    def reaches_in_s(self, limit: float) -> float | None:
        """When it gets to a limit, in seconds from now, negative when it has come beyond it on its
        way; None: it is not on its way there.
        """
        if not self.is_settled or self._fit < TREND_FIT or not self._slope:
            return None
        first, last = self._kept[0][1], self._kept[-1][1]
        if (limit - first) * self._slope <= 0.0:
            return None
        return (limit - last) / self._slope

    def basis(self, signal: str, limit: float) -> prediction.Basis | None:
        """The sign that it is; None: none."""
        left = self.reaches_in_s(limit)
        if left is None or left > TREND_AHEAD_S:
            return None
        return prediction.Basis(
            kind="trend",
            signal=signal,
            horizon="day",
            probability=TREND_PROBABILITY if left > 0.0 else prediction.DUE,
            expected_in_s=max(0.0, left),
            reason=f"{signal} is {self.last:g} and reaches {limit:g} at this pace",
        )


def _line(points: Collection[tuple[float, float]]) -> tuple[float, float]:
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
