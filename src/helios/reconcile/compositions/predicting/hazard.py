"""Drift that comes back: how probable the next one is, by the pauses between those before. Pure.

Pauses are taken to be of a gamma distribution: of shape 1 where drift comes at any time, of a great
shape where it comes by the clock (a job that writes the old value back every Monday). Both are
pulled towards what is known before: the mean towards that of the provider's other components, the
shape towards 1. Of few pauses nothing is said.
"""

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from helios.kernel import clock as clocks
from helios.reconcile.compositions.predicting import prediction

PAUSES_MIN: Final = 3
"""Pauses of a component from which on something is said of the next one."""

SHAPE_MAX: Final = 60.0
"""No clock of another is taken to be truer than by an eighth of its pauses."""
SHAPE_WEIGHT: Final = 1.0
"""So many pauses the belief is worth that drift comes at any time."""

PEERS_WEIGHT: Final = 1.0
"""So many pauses the mean of the peers is worth."""

LATE: Final = 0.001
"""A pause that is longer with less than this probability is of another kind."""

_MAD: Final = 1.4826
"""Median deviations in a standard deviation."""

LEAST: Final = 0.5
"""A lesser probability is no sign."""

Onsets = Sequence[clocks.Timestamp]


def pauses(onsets: Onsets) -> list[float]:
    """Seconds between onsets, the oldest first."""
    return [(b - a) / clocks.SECOND_US for a, b in itertools.pairwise(onsets) if b > a]


def basis(
    onsets: Onsets, peers: Iterable[Onsets], now: clocks.Timestamp
) -> prediction.Basis | None:
    """The sign that drift comes back; None: there is none.

    Args:
        onsets: of drift of the component, in order.
        peers: of the other components of its provider.
        now: what is asked for is the probability within a day from now.
    """
    own = pauses(onsets)
    if len(own) < PAUSES_MIN:
        return None
    shape, mean = fitted(own, [each for theirs in peers for each in pauses(theirs)])
    ahead = prediction.HORIZONS["day"]
    since = max(0.0, (now - onsets[-1]) / clocks.SECOND_US)
    found = within(shape, mean, since, ahead)
    if found < LEAST:
        return None
    return prediction.Basis(
        kind="hazard",
        signal="drift before",
        horizon="day",
        probability=found,
        expected_in_s=min(ahead, max(mean - since, ahead / 8)),
        reason=(
            f"it drifted {len(onsets)} times, mostly every {_span(mean)}, and {_span(since)} ago"
        ),
    )


def within(shape: float, mean: float, since: float, ahead: float) -> float:
    """Probability of an end within `ahead`, of what has lasted `since` (all in one unit)."""
    left = _above(shape, since * shape / mean)
    if left <= LATE:
        return 0.0  # It is so late that what was known of its pace does not hold any more.
    return 1.0 - _above(shape, (since + ahead) * shape / mean) / left


def fitted(own: Sequence[float], peers: Sequence[float]) -> tuple[float, float]:
    """Shape and mean of the pauses, by median and median deviation: some may be broken in two."""
    middle = statistics.median(own)
    spread = _MAD * statistics.median(abs(each - middle) for each in own)
    plain = SHAPE_MAX if spread <= 0.0 else min(SHAPE_MAX, max(0.3, (middle / spread) ** 2))
    share = len(own) / (len(own) + SHAPE_WEIGHT)
    shape = math.exp(share * math.log(plain))
    mean = middle / (1.0 - 1.0 / (9.0 * shape)) ** 3
    if peers and shape < 2.0:
        # Where drift comes at any time, it is the provider's pace that counts beside its own.
        weight = PEERS_WEIGHT / (PEERS_WEIGHT + len(own))
        mean += weight * (sum(peers) / len(peers) - mean)
    return shape, mean


def _above(shape: float, x: float) -> float:
    """Share of a gamma distribution of scale 1 above `x`: the regularised upper function."""
    if x <= 0.0:
        return 1.0
    factor = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1.0:
        return max(0.0, 1.0 - factor * _series(shape, x))
    return factor * _fraction(shape, x)


def _series(shape: float, x: float) -> float:
    term = total = 1.0 / shape
    for step in range(1, 1_000):
        term *= x / (shape + step)
        total += term
        if term < total * 1e-12:
            break
    return total


def _fraction(shape: float, x: float) -> float:
    """Lentz's continued fraction."""
    tiny = 1e-300
    b = x + 1.0 - shape
    c, d = 1.0 / tiny, 1.0 / b
    found = d
    for step in range(1, 1_000):
        a = -step * (step - shape)
        b += 2.0
        d = 1.0 / (a * d + b or tiny)
        c = b + a / c or tiny
        found *= d * c
        if abs(d * c - 1.0) < 1e-12:
            break
    return found


def _span(seconds: float) -> str:
    if seconds >= 2 * 86_400:
        return f"{seconds / 86_400:.1f} d"
    return f"{seconds / 3600:.1f} h" if seconds >= 7_200 else f"{seconds / 60:.0f} min"
