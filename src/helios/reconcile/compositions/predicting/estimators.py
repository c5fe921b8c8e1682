"""Online estimates in constant memory: a level and its spread, a quantile. Pure arithmetic.

Written here rather than taken from a library for streaming statistics: what is needed of one is
forty lines, and the usual ones bring numpy, scipy and a compiled core along for them. Estimates
forget: they are of how things have been lately, which P² and other exact sketches are not.
"""

import math


class Level:
    """Mean and variance that forget; a plain mean until `window` values were seen."""

    __slots__ = ("count", "mean", "variance", "window")

    def __init__(self, window: float) -> None:
        self.window = window
        self.count = 0
        self.mean = 0.0
        self.variance = 0.0

    def update(self, value: float) -> float:
        """Take a value in; how many standard deviations off it was, before."""
        self.count += 1
        spread = math.sqrt(self.variance)
        off = value - self.mean
        share = max(1.0 / self.count, 1.0 / self.window)
        self.mean += share * off
        self.variance = (1.0 - share) * (self.variance + share * off * off)
        return abs(off) / spread if spread > 0.0 else 0.0


class Quantile:
    """A quantile that forgets: each value moves it by a step of the values' own spread.

    The step falls to `1 / window` of the spread, so that it follows a new level within a few
    windows and wobbles by a few hundredths of the spread at rest.
    """

    __slots__ = ("count", "share", "spread", "value", "window")

    def __init__(self, share: float, window: float) -> None:
        self.share = share
        self.window = window
        self.count = 0
        self.value = 0.0
        self.spread = 0.0

    def update(self, value: float) -> None:
        """Take a value in."""
        self.count += 1
        if self.count == 1:
            self.value = value
            return
        off = value - self.value
        self.spread += max(1.0 / self.count, 1.0 / self.window) * (abs(off) - self.spread)
        step = self.spread * max(4.0 / self.count, 4.0 / self.window)
        self.value += step * (self.share if off > 0 else self.share - 1.0) if off else 0.0
