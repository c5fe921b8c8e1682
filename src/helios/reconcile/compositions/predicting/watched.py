"""What is kept in memory of one component, and the signs in it. Pure: time is passed in."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, model, normalising
from helios.reconcile.compositions.predicting import (
    ageing,
    dates,
    ports,
    prediction,
    slopes,
    surprise,
)

ANOMALY_S: Final = 1_800.0
"""So long an anomaly is a sign."""

ANOMALY_PROBABILITY: Final = 0.25
TRENDS_MAX: Final = 8
"""Numbers of one component that are followed. Above: the others are not."""

_AGE: Final = "age_s"
_SECOND = clocks.SECOND_US

Peers = Callable[[str], float | None]
"""What is usual of a signal at components of the same kind; None: not known."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What one look brought, in numbers.

    Attributes:
        delivered, refused: of the deliveries since the look before; None: not counted.
    """

    took_s: float
    delivered: int | None = None
    refused: int | None = None


class Watched:
    """The signals of one component."""

    __slots__ = (
        "_age",
        "_anomaly",
        "_deliveries",
        "_detector",
        "_errors",
        "_gaps",
        "_latency",
        "_outlook",
        "_quota",
        "_trends",
        "at",
    )

    def __init__(self) -> None:
        self.at = clocks.Timestamp(0)
        self._errors = slopes.Series()
        self._latency: slopes.Series | None = None
        self._detector: surprise.Detector | None = None
        self._deliveries: slopes.Series | None = None
        self._anomaly: tuple[clocks.Timestamp, str] | None = None
        self._gaps: ageing.Gaps | None = None
        self._age: tuple[ageing.Gaps, float, float] | None = None
        self._outlook: model.Outlook | None = None
        self._quota: slopes.Trend | None = None
        self._trends: dict[str, tuple[slopes.Trend, float]] = {}

    def look(
        self,
        declared: composition.Component,
        seen: model.Seen,
        taken: Taken,
        now: clocks.Timestamp,
        peers: Peers,
    ) -> None:
        """Take a look in."""
        self.at = now
        failed = seen.state == "unknown"
        self._errors.observe(float(failed), slopes.ERRORS, peers(slopes.ERRORS.signal))
        self._delivery(taken)
        if failed:
            return
        self._time(taken.took_s, now, peers)
        self._events(seen)
        if seen.outlook is not None or self._outlook is not None:
            self._runs_out(seen.outlook, now)
        if isinstance(declared, composition.Resource | composition.Content) and seen.value:
            self._numbers(declared, seen.value, now)

    def sight(self, now: clocks.Timestamp) -> ports.Sight:
        """The signs there are."""
        bases = tuple(self._bases(now))
        return ports.Sight(bases=bases, settled=self._errors.is_settled)

    def _delivery(self, taken: Taken) -> None:
        if taken.refused is None or not taken.refused + (taken.delivered or 0):
            return
        if self._deliveries is None:
            self._deliveries = slopes.Series()
        share = taken.refused / (taken.refused + (taken.delivered or 0))
        self._deliveries.observe(share, slopes.DELIVERIES)

    def _time(self, took_s: float, now: clocks.Timestamp, peers: Peers) -> None:
        if self._latency is None or self._detector is None:
            self._latency, self._detector = slopes.Series(), surprise.Detector()
        self._latency.observe(took_s, slopes.LATENCY, peers(slopes.LATENCY.signal))
        score = self._detector.update(now, took_s)
        is_slow = took_s > max(slopes.LATENCY.floor, self._latency.usual.value)
        if score >= surprise.THRESHOLD and is_slow:
            self._anomaly = now, f"latency {took_s:.2g} s is unlike what it was (score {score:.2f})"

    def _events(self, seen: model.Seen) -> None:
        """When the newest event was that speaks for the component."""
        told = [each.at for each in seen.evidence if each.kind == "signed_event"]
        if told:
            self._gaps = self._gaps or ageing.Gaps()
            self._gaps.happened(max(told) / _SECOND)

    def _runs_out(self, outlook: model.Outlook | None, now: clocks.Timestamp) -> None:
        self._outlook = outlook
        left = None if outlook is None else outlook.quota_left
        if left is None:
            self._quota = None
            return
        # A quota that was filled up again begins anew.
        if self._quota is None or (self._quota.last or 0.0) < left:
            self._quota = slopes.Trend()
        self._quota.observe(now, float(left))

    def _numbers(
        self,
        declared: composition.Resource | composition.Content,
        value: Mapping[str, Any],
        now: clocks.Timestamp,
    ) -> None:
        if isinstance(declared, composition.Content):
            self._ages(declared, value.get(_AGE))
            return
        for name, expected in declared.expects.items():
            limit, found = _limit(expected), value.get(name)
            if limit is None or isinstance(found, bool) or not isinstance(found, int | float):
                continue
            trend, _ = self._trends.get(name, (None, 0.0))
            if trend is None and len(self._trends) >= TRENDS_MAX:
                continue
            trend = trend or slopes.Trend()
            trend.observe(now, float(found))
            self._trends[name] = trend, limit

    def _ages(self, declared: composition.Content, age: Any) -> None:
        if declared.max_age is None or not isinstance(age, int | float):
            return
        limit = declared.max_age / _SECOND
        gaps, before, _ = self._age or (ageing.Gaps(), 0.0, 0.0)
        if age < before:
            gaps.add(before)
        self._age = gaps, float(age), limit

    def _bases(self, now: clocks.Timestamp) -> Iterator[prediction.Basis]:
        for series, rule in (
            (self._latency, slopes.LATENCY),
            (self._errors, slopes.ERRORS),
            (self._deliveries, slopes.DELIVERIES),
        ):
            basis = None if series is None else series.basis(rule)
            if basis is not None:
                yield basis
        if self._anomaly is not None and now - self._anomaly[0] <= ANOMALY_S * _SECOND:
            yield _anomaly(self._anomaly[1])
        if self._gaps is not None:
            yield from _one(ageing.silence(self._gaps, now / _SECOND))
        if self._age is not None:
            yield from _one(ageing.ages(*self._age))
        for name, (trend, limit) in self._trends.items():
            yield from _one(trend.basis(name, limit))
        if self._outlook is not None:
            yield from dates.bases(self._outlook, now)
        if self._quota is not None:
            yield from _one(dates.quota(self._quota))


def _anomaly(reason: str) -> prediction.Basis:
    return prediction.Basis(
        kind="anomaly",
        signal=slopes.LATENCY.signal,
        horizon="hours",
        probability=ANOMALY_PROBABILITY,
        expected_in_s=prediction.HORIZONS["hours"] / 3,
        reason=reason,
    )


def _one(basis: prediction.Basis | None) -> Iterator[prediction.Basis]:
    if basis is not None:
        yield basis


def _limit(expected: Any) -> float | None:
    """The limit that a declaration sets a number; None: none, or several."""
    if not isinstance(expected, Mapping) or len(expected) != 1:
        return None
    found = expected.get(normalising.MAX, expected.get(normalising.MIN))
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
