"""How surprising a value of a series is: an anomaly detector in a few hundred bytes.

Four deviations are looked at together: from the level, from the value before, from what is usual
at this hour of the day, and of the short mean from its own level. What comes of them is measured
against how surprising this very series usually is, since a series with heavy tails surprises all
day. A surprise is told once: until it has faded, only a greater one is told.

Scored on the Numenta Anomaly Benchmark by `benchmarks/bench_prediction.py`.
"""

import math
from array import array

from helios.kernel import clock as clocks
from helios.reconcile.compositions.predicting import estimators

WINDOW = 400
"""Values that a level remembers."""

TAIL_WINDOW = 3_000
"""Values that the usual surprise is of."""

WARM = 50
"""Nothing surprises before so many values."""

SEASON_WARM = 300
SEASON_SHARE = 0.02
SHORT_SHARE = 0.1
FADES = 0.0007
"""Share of a surprise that is forgotten with each value."""

THRESHOLD = 0.47
"""From this score on a value is an anomaly; see the benchmark for how it was chosen."""

_HOUR_US = 3600 * clocks.SECOND_US
_SOFT = 0.1
_HALF = 3.0


class Detector:
    """Takes the values of one series in, in order of time."""

    __slots__ = ("_before", "_count", "_held", "_hours", "_levels", "_short", "_tail")

    def __init__(self) -> None:
        self._levels = tuple(estimators.Level(WINDOW) for _ in range(4))
        self._tail = estimators.Level(TAIL_WINDOW)
        self._hours = array("f", [math.nan] * 24)
        self._before: float | None = None
        self._short = 0.0
        self._held = 0.0
        self._count = 0

    def update(self, at: clocks.Timestamp, value: float) -> float:
        """Take a value in; how surprising it is, from 0 to 1."""
        raw = math.log1p(self._deviation(at, value))
        spread = math.sqrt(self._tail.variance)
        over = (raw - self._tail.mean) / (spread + _SOFT) if self._count > WARM else 0.0
        self._tail.update(raw)
        score = over / (over + _HALF) if over > 0.0 else 0.0
        self._held *= 1.0 - FADES
        if score <= self._held:
            return 0.0
        self._held = score
        return score

    def _deviation(self, at: clocks.Timestamp, value: float) -> float:
        """Root mean square of the four deviations, in standard deviations."""
        level, change, season, short = self._levels
        self._count += 1
        if self._before is None:
            self._before = self._short = value
        off = _known(level, value) ** 2 + _known(change, value - self._before) ** 2
        self._before = value
        hour = at // _HOUR_US % 24
        if math.isnan(self._hours[hour]):
            self._hours[hour] = value
        unusual = _known(season, value - self._hours[hour])
        if self._count > SEASON_WARM:
            off += unusual**2
        self._hours[hour] += SEASON_SHARE * (value - self._hours[hour])
        self._short += SHORT_SHARE * (value - self._short)
        off += _known(short, self._short) ** 2
        return math.sqrt(off / 4.0)


def _known(level: estimators.Level, value: float) -> float:
    """The deviation from a level; none from one that is not known yet."""
    is_known = level.count > 20
    off = level.update(value)
    return off if is_known else 0.0
