"""What the demo has to show at one moment, and the numbers behind it. Pure."""

import collections
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from helios.demo import score as scores
from helios.demo.world import ledger

LATENCIES_KEPT = 400
RATE_SPAN_S = 5.0
"""Rates are over the last five seconds."""

Phase = Literal["starting", "selling", "closing"]


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """A key that does not match, in the words of people."""

    key: str
    status: str
    why: str


class Tally(msgspec.Struct):
    """Deliveries that cannot be taken, and what became of them.

    Attributes:
        refused: answered that nobody can be told from it.
        kept: dead letters.
        retried: mended and taken.
        unexpected: what was taken though it must not be, or the other way round.
    """

    refused: int = 0
    kept: int = 0
    retried: int = 0
    unexpected: int = 0


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the demo.

    Attributes:
        url: where the server answers.
        phase: `closing` is when no more orders come, but some are still open.
        elapsed_s: since the shop opened.
        planned_s: how long it is open; None: until somebody ends it.
        orders_rate: orders a second that were asked for.
        faults_share: share of them with a fault.
        events: events sent.
        duplicates: of these, those that had been sent before.
        recognised: those of them that Helios did not take again.
        repeated: events sent once more because no answer came: up to so many may be recognised too.
        counts: current verdicts by status.
        rates: per second: `events`, and verdicts by status.
        open: orders that are not settled.
        p50_ms, p95_ms: from sending an order's last event to reading its verdict; None: not known.
        mismatches: the last keys that do not match, newest first.
        score: what was found.
        behind_s: how far sending lags behind what is due.
        stacks: what was put in and found of the declared stacks; None: there are none (yet).
        letters: what cannot be taken, and what became of it.
    """

    url: str
    phase: Phase
    elapsed_s: float
    planned_s: float | None
    orders_rate: float
    faults_share: float
    events: int
    duplicates: int
    recognised: int
    counts: Mapping[str, int]
    rates: Mapping[str, float]
    open: int
    p50_ms: float | None
    p95_ms: float | None
    mismatches: Sequence[Mismatch]
    score: scores.Score
    repeated: int = 0
    behind_s: float = 0.0
    stacks: ledger.Standing | None = None
    letters: Tally = msgspec.field(default_factory=Tally)


class Meter:
    """Remembers enough of the last seconds to tell rates and latencies."""

    def __init__(self) -> None:
        self._seen: collections.deque[tuple[float, Mapping[str, int]]] = collections.deque()
        self._latencies: collections.deque[float] = collections.deque(maxlen=LATENCIES_KEPT)

    def count(self, at_s: float, totals: Mapping[str, int]) -> None:
        """Totals at a moment."""
        self._seen.append((at_s, dict(totals)))
        while at_s - self._seen[0][0] > RATE_SPAN_S:
            self._seen.popleft()

    def rates(self) -> dict[str, float]:
        """Growth of each total, per second; a total may also shrink, then it is 0."""
        if len(self._seen) < 2:
            return {}
        (then, before), (now, totals) = self._seen[0], self._seen[-1]
        span = max(now - then, 1e-3)
        return {k: max(0.0, (v - before.get(k, 0)) / span) for k, v in totals.items()}

    def latency(self, seconds: float) -> None:
        """An order's last event was sent so long before its verdict could be read."""
        self._latencies.append(seconds)

    def quantile_ms(self, share: float) -> float | None:
        """A quantile of the last latencies, in milliseconds."""
        if not self._latencies:
            return None
        ordered = sorted(self._latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def why(missing: Sequence[str], wrong: Mapping[str, Mapping[str, object]]) -> str:
    """Why a key does not match, in one line."""
    said = [f"{leg} is missing" for leg in missing]
    for rule, found in wrong.items():
        if "expected" in found:
            expected, actual = _number(found["expected"]), _number(found["actual"])
            said.append(f"{rule}: expected {expected}, actual {actual}")
        else:
            said.append(f"{rule}: {found.get('rule_error', 'fails')}")
    return "; ".join(said)


def _number(value: object) -> str:
    """Money with its cents; anything else as it is."""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
