"""How sure one may be of what was seen, from who saw it.

Independent witnesses are combined by noisy-or: each leaves a doubt, and the doubts multiply. One
witness counts once, however often it speaks. Age makes a witness weaker, a fresh one that says
the opposite makes all weaker. That nothing was heard says nothing at all: absence of events is no
evidence of absence, and missed heartbeats alone never confirm anything.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import model

SUSPECTED: Final = 0.5
"""Below: recorded only. From here on a drift may be confirmed and told."""
HEAL: Final = 0.8
"""Least confidence of a heal, where policy does not say."""
DESTRUCTIVE: Final = 0.95
"""Least confidence of a destructive action, which also needs a fresh direct read and approval."""
DIRECT_READ_AGE_MAX: Final = 60 * clocks.SECOND_US
"""Age of a direct read that a destructive action may rest on, in microseconds."""
BANDS: Final = (SUSPECTED, HEAL, DESTRUCTIVE)

WEIGHTS: Final[Mapping[model.EvidenceKind, float]] = {
    "direct_read": 0.9,
    "signed_event": 0.8,
    "failed_call": 0.6,
    "missed_heartbeat": 0.1,
    "silence": 0.0,
}
HEARTBEATS_MAX: Final = 0.4
"""What missed heartbeats can come to, together."""

_MINUTE = 60 * clocks.SECOND_US
_HALF_LIFE: Final[Mapping[model.EvidenceKind, int]] = {
    "direct_read": 15 * _MINUTE,
    "signed_event": 6 * 60 * _MINUTE,
    "failed_call": 10 * _MINUTE,
}
FRESH: Final = 10 * _MINUTE
"""Evidence against is counted as long as it is no older than this, in microseconds."""

WEEK: Final = 7 * 24 * 60 * _MINUTE
STEP_PER_WEEK: Final = 0.1
"""How far a weight may move in a week."""
_NINETY_PERCENT = 1.645


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of drifts that rested on one kind of evidence.

    Attributes:
        weight: of such evidence now.
        right, wrong: drifts that were real; that were not (a person's verdict, or nothing was
            left to heal).
        moved_at: when the weight was last moved; None: never.
    """

    weight: float
    right: int = 0
    wrong: int = 0
    moved_at: clocks.Timestamp | None = None

    @property
    def precision(self) -> float:
        """Mean of the Beta(1 + right, 1 + wrong) posterior."""
        return (1 + self.right) / (2 + self.right + self.wrong)


CalibrationKey: TypeAlias = tuple[model.DriftType, str, model.EvidenceKind]
"""Type of drift, component, kind of evidence."""
Calibration: TypeAlias = Mapping[CalibrationKey, Judged]
UNCALIBRATED: Final[Calibration] = {}


def weight(
    kind: model.EvidenceKind,
    *,
    drift_type: model.DriftType | None = None,
    component: str = "",
    calibration: Calibration = UNCALIBRATED,
) -> float:
    """What one witness of a kind counts, 0 to 1. Silence is 0 whatever was learnt."""
    if not calibration or drift_type is None or not WEIGHTS[kind]:
        return WEIGHTS[kind]
    known = calibration.get((drift_type, component, kind))
    return WEIGHTS[kind] if known is None else known.weight


def decay(kind: model.EvidenceKind, age: int) -> float:
    """What is left of a witness after so many microseconds, 0 to 1."""
    half_life = _HALF_LIFE.get(kind)
    return 1.0 if half_life is None or age <= 0 else float(0.5 ** (age / half_life))


def about(evidence: Iterable[model.Evidence], field: str) -> tuple[model.Evidence, ...]:
    """The evidence that speaks of a field; of an empty one: of the component itself.

    An event that names no change says that its sender is there, and nothing of any difference.
    """
    return tuple(
        each
        for each in evidence
        if field in each.fields or not (each.fields or each.kind == "signed_event")
    )


def confidence(
    evidence: Iterable[model.Evidence],
    now: clocks.Timestamp,
    *,
    drift_type: model.DriftType | None = None,
    component: str = "",
    calibration: Calibration = UNCALIBRATED,
) -> float:
    """How sure one may be, 0 to 1; of no evidence: 0."""
    said: dict[tuple[str, bool], float] = {}
    missed: dict[tuple[str, int], float] = {}
    for each in evidence:
        age = now - each.at
        if not each.supports and age > FRESH:
            continue
        counts = weight(
            each.kind, drift_type=drift_type, component=component, calibration=calibration
        ) * decay(each.kind, age)
        if each.kind == "missed_heartbeat":
            if each.supports:
                missed[(each.witness, each.at)] = counts
            continue
        key = (each.witness, each.supports)
        said[key] = max(said.get(key, 0.0), counts)
    doubt = 1.0 - min(HEARTBEATS_MAX, sum(missed.values()))
    doubt *= math.prod(1.0 - counts for (_, supports), counts in said.items() if supports)
    against = math.prod(1.0 - counts for (_, supports), counts in said.items() if not supports)
    return round((1.0 - doubt) * against, 6)


def band(value: float) -> int:
    """How many of the thresholds a confidence reaches."""
    return sum(value >= bound for bound in BANDS)


def judged(
    calibration: Calibration,
    drift: model.Drift,
    *,
    was_real: bool,
    at: clocks.Timestamp,
) -> Calibration:
    """What is known after one more verdict; each kind of evidence of the drift is judged once.

    A weight moves only where the verdicts contradict it (it is outside the 90 % interval of their
    precision), and by at most 0.1 a week.
    """
    kinds = {each.kind for each in drift.evidence if each.supports and WEIGHTS[each.kind]}
    changed = dict(calibration)
    for kind in kinds:
        key = (drift.type, drift.component, kind)
        before = changed.get(key, Judged(weight=WEIGHTS[kind]))
        counted = msgspec.structs.replace(
            before, right=before.right + was_real, wrong=before.wrong + (not was_real)
        )
        changed[key] = _moved(counted, at)
    return changed


def _moved(known: Judged, at: clocks.Timestamp) -> Judged:
    mean, count = known.precision, known.right + known.wrong
    width = _NINETY_PERCENT * math.sqrt(mean * (1 - mean) / (3 + count))
    if abs(known.weight - mean) <= width:
        return known
    elapsed = WEEK if known.moved_at is None else at - known.moved_at
    most = STEP_PER_WEEK * min(1.0, max(0, elapsed) / WEEK)
    if not most:
        return known
    step = max(-most, min(most, mean - known.weight))
    return msgspec.structs.replace(known, weight=known.weight + step, moved_at=at)
