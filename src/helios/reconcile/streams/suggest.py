"""How long legs really take, and windows that would fit.

Per key the last event of each leg is compared with the anchor's: for a leg of cardinality many the
last part counts, for it is what a window must wait for. The quantiles are exact up to
`KEYS_MAX` keys. Above, keys are sampled by a hash of the key, halving the share as often as needed:
the sample holds whole keys, and at least about half of `KEYS_MAX` of them, so a quantile of the
sample lies within about one percentage point of the true one, 99 times in a hundred
(Dvoretzky-Kiefer-Wolfowitz inequality).
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from helios.kernel import durations
from helios.reconcile.streams import program

KEYS_MAX = 100_000
"""Keys kept. Above: a sample of them."""

_SECOND = 1_000_000
_STEPS = [
    *(n * _SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * 60 * _SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * 3_600 * _SECOND for n in (1, 2, 3, 6, 12)),
    *(n * 86_400 * _SECOND for n in (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90)),
]
"""Durations that people choose."""


class LegDelays(msgspec.Struct, frozen=True, kw_only=True):
    """How one leg comes after the anchor; times in microseconds.

    Attributes:
        leg: its name.
        keys: keys with an anchor that have the leg.
        missing: keys with an anchor that do not.
        p50, p90, p95, p99, max: quantiles of the delay; before the anchor counts as 0; None: no
            key has the leg.
        within: what the contract waits now, without conditions.
        too_late: share of the keys that come later than `within`.
        proposed: p99 rounded up to a duration that people choose; None: too few keys to say.
    """

    leg: str
    keys: int
    missing: int
    p50: int | None
    p90: int | None
    p95: int | None
    p99: int | None
    max: int | None
    within: int
    too_late: float
    proposed: int | None


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """What was observed, and what would fit.

    Attributes:
        contract: its name.
        anchor: the leg from which time counts.
        keys: keys looked at.
        share: of all keys, how many were looked at: 1, 1/2, 1/4 …
        legs: each leg but the anchor.
    """

    contract: str
    anchor: str
    keys: int
    share: float
    legs: list[LegDelays]

    @property
    def patch(self) -> str:
        """The change to the contract, as YAML; empty when nothing is proposed."""
        proposed = {leg.leg: leg.proposed for leg in self.legs if leg.proposed is not None}
        if not proposed:
            return ""
        size = durations.to_text(max(proposed.values()))
        lines = ["spec:", f"  window: {{size: {size}}}", "  legs:"]
        lines += [f"    {leg}: {{within: {durations.to_text(us)}}}" for leg, us in proposed.items()]
        return "\n".join(lines) + "\n"


class Observer:
    """Collects the delays of one contract, in bounded memory.

    Args:
        compiled: the contract.
        keys_max: keys kept before sampling begins.
    """

    def __init__(self, compiled: program.Program, *, keys_max: int = KEYS_MAX) -> None:
        self._program = compiled
        self._keys_max = keys_max
        self._halvings = 0
        self._times: dict[str, list[int | None]] = {}

    def add(self, key: str, leg: int, time_us: int) -> None:
        """An event of a leg."""
        times = self._times.get(key)
        if times is None:
            if not self._is_kept(key):
                return
            times = self._times[key] = [None] * len(self._program.legs)
            if len(self._times) > self._keys_max:
                self._halve()
        known = times[leg]
        earliest = leg == self._program.contract.anchor
        if known is None or (time_us < known if earliest else time_us > known):
            times[leg] = time_us

    def suggestion(self) -> Suggestion:
        """What was observed so far."""
        contract = self._program.contract
        anchor = contract.anchor
        anchored = [times for times in self._times.values() if times[anchor] is not None]
        return Suggestion(
            contract=contract.name,
            anchor=contract.legs[anchor].name,
            keys=len(self._times),
            share=0.5**self._halvings,
            legs=[
                self._delays(bound, anchored)
                for bound in self._program.legs
                if bound.index != anchor
            ],
        )

    def _delays(self, bound: program.BoundLeg, anchored: Sequence[list[Any]]) -> LegDelays:
        anchor = self._program.contract.anchor
        delays = sorted(
            max(0, times[bound.index] - times[anchor])
            for times in anchored
            if times[bound.index] is not None
        )
        late = sum(delay > bound.within for delay in delays)
        p99 = _quantile(delays, 0.99)
        return LegDelays(
            leg=bound.leg.name,
            keys=len(delays),
            missing=len(anchored) - len(delays),
            p50=_quantile(delays, 0.5),
            p90=_quantile(delays, 0.9),
            p95=_quantile(delays, 0.95),
            p99=p99,
            max=delays[-1] if delays else None,
            within=bound.within,
            too_late=late / len(delays) if delays else 0.0,
            proposed=round_up(p99) if p99 is not None and len(delays) >= 20 else None,
        )

    def _is_kept(self, key: str) -> bool:
        if not self._halvings:
            return True
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return int.from_bytes(digest) >> (64 - self._halvings) == 0

    def _halve(self) -> None:
        self._halvings += 1
        self._times = {key: times for key, times in self._times.items() if self._is_kept(key)}


def round_up(delay_us: int) -> int:
    """The shortest duration that people choose and that is not shorter; whole days above those."""
    for step in _STEPS:
        if step >= delay_us:
            return step
    day = 86_400 * _SECOND
    return -(-delay_us // day) * day


def _quantile(ordered: Sequence[int], share: float) -> int | None:
    """The smallest value that at least `share` of the values do not exceed."""
    if not ordered:
        return None
    return ordered[max(0, -(-int(len(ordered) * share * 1_000_000) // 1_000_000) - 1)]
