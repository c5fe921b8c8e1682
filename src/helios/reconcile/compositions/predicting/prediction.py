"""What is foreseen of a stack, and what became of what was foreseen. Values, and their arithmetic.

A prediction is of one component within one horizon. It ends in one of four ways: the drift came
(`hit`), it did not come in time (`miss`), its signs went away (`withdrawn`), or what was to run out
was renewed (`averted`). A withdrawn one counts as a false alarm: whoever was told cannot tell.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks

Horizon: TypeAlias = Literal["hours", "day", "week"]
HORIZONS: Final[Mapping[Horizon, float]] = {"hours": 3 * 3600.0, "day": 86_400.0, "week": 604_800.0}
"""How far ahead, in seconds. What is known by its date may be up to a week ahead."""

Kind: TypeAlias = Literal[
    "date", "counter", "slope", "anomaly", "trend", "age", "silence", "quota", "hazard"
]
DATED: Final[frozenset[Kind]] = frozenset(("date", "counter"))
"""Signs that go away only because somebody did something about them."""

DUE: Final = 0.5
"""Probability by a sign whose time has come: what was told stays told until the drift is confirmed
or it is too late, and nothing new is told of it."""

Outcome: TypeAlias = Literal["hit", "miss", "withdrawn", "averted", "unscored"]

ENDED_KEPT: Final = 20
"""Ended predictions that a stack remembers. Above: the oldest go; the tally keeps their number."""

ONSETS_KEPT: Final = 12
"""Onsets of drift remembered of a component."""

COMPONENTS_KEPT: Final = 200
"""Components of a stack of which onsets are remembered. Above: the longest quiet go."""


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """One sign of a drift to come.

    Attributes:
        signal: what shows it: `latency`, `errors`, `certificate`, …
        probability: that it drifts within the horizon, by this sign alone.
        expected_in_s: when it is expected to, in seconds from when this was seen.
        reason: for people.
    """

    kind: Kind
    signal: str
    horizon: Horizon
    probability: float
    expected_in_s: float
    reason: str


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """That a component is expected to part from what is declared.

    Attributes:
        probability: that it does within the horizon.
        horizon_s: after which it is scored as a miss.
        lead_time_s: when it is expected, in seconds from `raised_at`.
        expects: `drift`; or `unseen`: that it can no longer be looked at.
    """

    prediction_id: str
    component: str
    horizon: Horizon
    probability: float
    horizon_s: float
    lead_time_s: float
    raised_at: clocks.Timestamp
    basis: tuple[Basis, ...]
    expects: Literal["drift", "unseen"] = "drift"

    @property
    def key(self) -> str:
        """Under which a stack has it: one of a component and horizon at a time."""
        return f"{self.component}@{self.horizon}"

    @property
    def due_at(self) -> clocks.Timestamp:
        """When it has to have come true."""
        return clocks.Timestamp(self.raised_at + round(self.horizon_s * clocks.SECOND_US))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, for people, the strongest sign first."""
        return tuple(each.reason for each in self.basis)

    @property
    def is_dated(self) -> bool:
        """Whether it is known by its date rather than guessed from how things go."""
        return all(each.kind in DATED for each in self.basis)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a prediction.

    Attributes:
        lead_s: of a hit: how long before the drift it was told.
        drift_id: of a hit, where a drift came of it.
    """

    prediction_id: str
    component: str
    horizon: Horizon
    outcome: Outcome
    raised_at: clocks.Timestamp
    ended_at: clocks.Timestamp
    probability: float
    lead_s: float | None = None
    drift_id: str | None = None
    reason: str = ""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many predictions of one horizon ended how; `lead_s` is the sum over the hits."""

    hit: int = 0
    miss: int = 0
    withdrawn: int = 0
    averted: int = 0
    unscored: int = 0
    lead_s: float = 0.0

    @property
    def precision(self) -> float | None:
        """Share that came true; None: none has ended."""
        ended = self.hit + self.miss + self.withdrawn
        return self.hit / ended if ended else None

    @property
    def mean_lead_s(self) -> float | None:
        """None: there was no hit."""
        return self.lead_s / self.hit if self.hit else None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """How well a stack was foreseen so far.

    Attributes:
        drifts: onsets of drift; `foreseen`: those that a prediction was open for.
        by_horizon: predictions that have ended.
    """

    drifts: int = 0
    foreseen: int = 0
    by_horizon: Mapping[Horizon, Tally] = {}

    @property
    def recall(self) -> float | None:
        """Share of the drifts that was foreseen; None: there was none."""
        return self.foreseen / self.drifts if self.drifts else None

    @property
    def precision(self) -> float | None:
        """Share of the predictions that came true; None: none has ended."""
        return total(self.by_horizon.values()).precision

    def with_onset(self, *, foreseen: bool) -> "Record":
        """After a drift came."""
        return msgspec.structs.replace(
            self, drifts=self.drifts + 1, foreseen=self.foreseen + foreseen
        )

    def with_ended(self, ended: Ended) -> "Record":
        """After a prediction has ended."""
        before = self.by_horizon.get(ended.horizon, Tally())
        counted = getattr(before, ended.outcome) + 1
        after = msgspec.structs.replace(
            before, **{ended.outcome: counted}, lead_s=before.lead_s + (ended.lead_s or 0.0)
        )
        return msgspec.structs.replace(self, by_horizon={**self.by_horizon, ended.horizon: after})


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    names = Tally.__struct_fields__
    found = list(tallies)
    return Tally(**{name: sum(getattr(each, name) for each in found) for name in names})


def together(found: Iterable[Basis]) -> float:
    """The probability that one of several independent signs comes true."""
    return 1.0 - math.prod(1.0 - each.probability for each in found)


def with_onset(
    onsets: Mapping[str, tuple[clocks.Timestamp, ...]], component: str, at: clocks.Timestamp
) -> dict[str, tuple[clocks.Timestamp, ...]]:
    """Onsets of drift by component, with one more; bounded."""
    others = {name: each for name, each in onsets.items() if name != component}
    mine = (*onsets.get(component, ()), at)[-ONSETS_KEPT:]
    while len(others) >= COMPONENTS_KEPT:
        del others[next(iter(others))]
    return {**others, component: mine}
