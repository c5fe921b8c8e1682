"""Token buckets: how often a source may come. Pure but for its memory; the time is passed in."""

import collections
import math
from typing import TypeAlias

from helios.ingest import sources

BUCKETS_MAX = 10_000
"""Sources whose rate is remembered. Above: the one that was quiet for longest begins anew."""

Key: TypeAlias = tuple[str, str]
"""(client, source)."""

_FOREVER_S = 3600.0


class Buckets:
    """One bucket per client and source, each full at the start.

    Args:
        most: buckets held.
    """

    def __init__(self, most: int = BUCKETS_MAX) -> None:
        self._most = most
        self._levels: collections.OrderedDict[Key, tuple[float, float]] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: Key, rate: sources.Rate, tokens: int, now_s: float) -> float:
        """Take tokens, or say how many seconds to wait before it is worth another try.

        What is larger than a whole bucket is let through by a full one and leaves a debt, so it is
        slowed and not shut out for ever.

        Args:
            key: whose bucket.
            rate: its size and how fast it fills.
            tokens: how many, at least 1.
            now_s: the time, from a clock that does not go back.

        Returns:
            0 when they were taken.
        """
        level, seen_s = self._levels.get(key, (float(rate.burst), now_s))
        level = min(float(rate.burst), level + max(0.0, now_s - seen_s) * rate.per_s)
        needed = min(tokens, rate.burst)
        taken = level >= needed
        self._keep(key, level - tokens if taken else level, now_s)
        if taken:
            return 0.0
        if rate.per_s <= 0:
            return _FOREVER_S
        # A wait that rounding makes too short would be a wait twice.
        return min(_FOREVER_S, math.nextafter((needed - level) / rate.per_s, math.inf))

    def _keep(self, key: Key, level: float, now_s: float) -> None:
        self._levels[key] = (level, now_s)
        self._levels.move_to_end(key)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
