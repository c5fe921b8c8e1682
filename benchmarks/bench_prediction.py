"""How well drift is foreseen: precision, recall by horizon and lead time, and the NAB score.

    python benchmarks/bench_prediction.py            held-out worlds, and NAB where it is
    python benchmarks/bench_prediction.py --train    the worlds that parameters were chosen on
    python benchmarks/bench_prediction.py --quick    three held-out worlds

Worlds are those of `prediction_worlds.py`: synthetic, seeded, with a stated share of drifts that
nothing announces. The seeds of the held-out worlds were looked at after all parameters were fixed.
What runs is the code of the product from what a look brings to the fold of its events; only looking
itself is simulated.

A prediction counts as right when the component drifts within its horizon, and as wrong when it does
not, or when it is taken back; what was renewed before its date counts as neither. Recall is the
share of drifts that an open prediction named when they came.

The detector of single anomalies is scored on the Numenta Anomaly Benchmark in the same form as its
authors do; its threshold is the product's, chosen on every other series of each group and frozen.
"""

import argparse
import csv
import importlib.util
import itertools
import json
import os
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import prediction_worlds as worlds  # noqa: E402

from helios.eventlog import envelope  # noqa: E402
from helios.kernel import clock as clocks  # noqa: E402
from helios.reconcile.compositions import events, evolving, model, stack  # noqa: E402
from helios.reconcile.compositions.predicting import (  # noqa: E402
    memory,
    prediction,
    progressing,
    surprise,
)

TRAIN = range(100, 106)
HELD_OUT = range(900, 912)
DAYS = 60.0
PREDICTABLE = frozenset(worlds.CAUSES) - {"sudden", "learning"}
GOAL_RECALL, GOAL_PRECISION = 0.8, 0.7


class Scores:
    """What came of the predictions of some worlds."""

    def __init__(self) -> None:
        self.drifts: Counter[str] = Counter()
        self.foreseen: Counter[str] = Counter()
        self.by_horizon: Counter[tuple[str, str]] = Counter()
        self.leads: dict[str, list[float]] = defaultdict(list)
        self.ended: dict[str, Counter[str]] = defaultdict(Counter)
        self.kinds: dict[str, Counter[str]] = defaultdict(Counter)
        self.open_share: list[float] = []
        self.looks = 0
        self.cpu_s = 0.0

    @property
    def precision(self) -> float:
        return _precision(sum(self.ended.values(), Counter()))

    def recall(self, causes: Iterable[str]) -> float:
        named = list(causes)
        total = sum(self.drifts[each] for each in named)
        return sum(self.foreseen[each] for each in named) / total if total else 0.0


class Life:
    """One world, lived through with the product's code."""

    def __init__(self, seed: int, scores: Scores) -> None:
        self.declared, self.parts = worlds.world(seed)
        self.scores = scores
        self.counts: dict[str, tuple[int, int]] = {}
        self.memory = memory.Memory(lambda _client, source: self.counts.get(source))
        self.state = stack.Stack(
            client_id=self.declared.client_id, stack_id=self.declared.stack_id, uid="u"
        )
        self.name = (self.declared.client_id, self.declared.stack_id)
        self.ids = (f"p{number}" for number in itertools.count())
        self.kinds: dict[str, frozenset[str]] = {}
        self.healing: dict[str, model.Drift] = {}

    def run(self, days: float) -> None:
        open_rounds = 0
        for now in worlds.rounds(days):
            self._round(now)
            open_rounds += len({each.component for each in self.state.predictions.values()})
        total = len(self.parts) * days * worlds.DAY_S / worlds.ROUND_S
        self.scores.open_share.append(open_rounds / total)

    def _round(self, now: float) -> None:
        at, seen = worlds.stamp(now), {}
        drifted: list[tuple[str, str]] = []
        began = time.process_time()
        looks = {address: part.look(now) for address, part in self.parts.items()}
        spent = time.process_time() - began
        for address, look in looks.items():
            self.counts["strapi"] = self._counted(address, look)
            seen[address] = look.seen
            self.memory.looked(
                self.declared, self.parts[address].declared, look.seen, took_s=look.took_s, now=at
            )
            if look.drift is not None:
                drifted.append((address, look.drift))
        for address, cause in drifted:
            self._drifts(address, cause, at)
        for address, drift in list(self.healing.items()):
            if now >= self.parts[address].down_until:
                self._moves(events.DRIFT_RESOLVED, drift, at, state="healed")
                del self.healing[address]
        self._predicts(seen, at)
        self.scores.looks += len(looks)
        self.scores.cpu_s += time.process_time() - began - spent

    def _counted(self, address: str, look: worlds.Look) -> tuple[int, int]:
        """Each webhook has a source of its own here, whatever it is called."""
        taken, refused = self.counts.get(address, (0, 0))
        self.counts[address] = taken + look.delivered, refused + look.refused
        return self.counts[address]

    def _predicts(self, seen: Mapping[str, model.Seen], at: clocks.Timestamp) -> None:
        if not progressing.is_due(self.state, self.memory, at):
            return
        sights = self.memory.sights(self.name, at)
        said = progressing.progress(
            self.state, self.declared, seen, sights, now=at, new_id=lambda: next(self.ids)
        )
        for kind, payload in said:
            self._say(kind, payload, at)
            if isinstance(payload, events.Predicted):
                made = payload.prediction
                self.kinds[made.prediction_id] = frozenset(
                    f"{each.kind} of {each.signal}" for each in made.basis
                )
            if isinstance(payload, events.PredictionEnded):
                ended = payload.ended
                self.scores.ended[ended.horizon][ended.outcome] += 1
                kinds = "+".join(sorted(self.kinds[ended.prediction_id]))
                self.scores.kinds[kinds][ended.outcome] += 1

    def _drifts(self, address: str, cause: str, at: clocks.Timestamp) -> None:
        found = [each for each in self.state.predictions.values() if each.component == address]
        self.scores.drifts[cause] += 1
        self.scores.foreseen[cause] += bool(found)
        for each in found:
            self.scores.by_horizon[cause, each.horizon] += 1
        if found:
            first = min(each.raised_at for each in found)
            self.scores.leads[cause].append((at - first) / clocks.SECOND_US)
        drift = model.Drift(
            drift_id=f"d-{address}",
            fingerprint=address,
            type="resource",
            cause="resource_unhealthy",
            component=address,
            path="/healthy",
            expected=True,
            observed=False,
            severity="high",
            confidence=1.0,
            state="confirmed",
            detected_at=at,
            last_seen=at,
        )
        self._moves(events.DRIFT_DETECTED, drift, at)
        self.healing[address] = drift

    def _moves(
        self,
        kind: str,
        drift: model.Drift,
        at: clocks.Timestamp,
        state: model.DriftState = "confirmed",
    ) -> None:
        payload = events.DriftMoved(
            event_id="",
            reconciliation_id=None,
            client_id=self.declared.client_id,
            stack_id=self.declared.stack_id,
            drift_type=drift.type,
            component=drift.component,
            expected=True,
            observed=False,
            severity=drift.severity,
            detected_at=clocks.to_rfc3339(drift.detected_at),
            auto_heal_eligible=False,
            drift=msgspec.structs.replace(drift, state=state),
        )
        self._say(kind, payload, at)

    def _say(self, kind: str, payload: events.StackPayload, at: clocks.Timestamp) -> None:
        number = self.state.sequence + 1
        made = events.of_stack(kind, *self.name, payload, now=at, event_id=f"e{number}")
        placed = envelope.placed(made, envelope.Position(number), number, at)
        self.state = evolving.evolve(self.state, placed)


def _precision(ended: Counter[str]) -> float:
    total = ended["hit"] + ended["miss"] + ended["withdrawn"]
    return ended["hit"] / total if total else 0.0


def lived(seeds: Iterable[int], days: float) -> Scores:
    """The scores over these worlds."""
    scores = Scores()
    for seed in seeds:
        Life(seed, scores).run(days)
    return scores


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.0f} min"


def show(scores: Scores) -> None:
    """Print them."""
    total = sum(scores.drifts.values())
    known = sum(scores.drifts[each] for each in PREDICTABLE)
    print(f"{total} drifts, {1 - known / total:.0%} of them without any sign\n")
    print(f"{'cause':10} {'drifts':>6} {'foreseen':>8} {'recall':>6}  median lead")
    for cause in worlds.CAUSES:
        count, leads = scores.drifts[cause], scores.leads[cause]
        lead = _span(statistics.median(leads)) if leads else "-"
        share = scores.recall([cause])
        print(f"{cause:10} {count:6} {scores.foreseen[cause]:8} {share:6.0%}  {lead}")
    print(f"\n{'horizon':8} {'raised':>6} {'hit':>5} {'miss':>5} {'withdrawn':>9} {'averted':>7}"
          f" {'precision':>9} {'recall':>6}")  # fmt: skip
    for horizon in prediction.HORIZONS:
        ended = scores.ended[horizon]
        named = sum(n for (_, each), n in scores.by_horizon.items() if each == horizon)
        print(f"{horizon:8} {sum(ended.values()):6} {ended['hit']:5} {ended['miss']:5}"
              f" {ended['withdrawn']:9} {ended['averted']:7} {_precision(ended):9.0%}"
              f" {named / total:6.0%}")  # fmt: skip
    leads = [each for found in scores.leads.values() for each in found]
    print("\nby sign:")
    for kinds, ended in sorted(scores.kinds.items(), key=lambda each: -sum(each[1].values())):
        print(f"  {kinds:44} {_precision(ended):4.0%}  {dict(ended)}")
    print(f"\nrecall of what has signs   {scores.recall(PREDICTABLE):6.1%}  (goal 80 %)")
    print(f"recall of all              {scores.recall(worlds.CAUSES):6.1%}")
    print(f"precision                  {scores.precision:6.1%}  (goal 70 %)")
    print(f"median lead                {_span(statistics.median(leads)) if leads else '-'}")
    chance = statistics.mean(scores.open_share)
    print(f"without a sign, foreseen   {scores.recall(['sudden']):6.1%}  (by chance {chance:.1%})")
    print(f"CPU per look               {scores.cpu_s / scores.looks * 1e6:.1f} us")


# -- NAB ------------------------------------------------------------------------------------------


def _shared() -> Path:
    return Path(os.environ.get("HELIOS_SHARED", HERE.parent.parent / "shared"))


def nab() -> dict[str, float] | None:
    """The NAB scores of the detector by half, threshold frozen; None: the data is not here."""
    base = _shared() / "data" / "nab"
    if not (base / "windows.json").is_file():
        return None
    spec = importlib.util.spec_from_file_location("nab_score", base / "nab_score.py")
    assert spec is not None
    assert spec.loader is not None
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    windows = json.loads((base / "windows.json").read_text())
    halves: dict[str, list[str]] = {"chosen on": [], "held out": []}
    groups = defaultdict(list)
    for path in sorted((base / "data").glob("*/*.csv")):
        groups[path.parent.name].append(f"{path.parent.name}/{path.name}")
    for names in groups.values():
        halves["chosen on"] += names[0::2]
        halves["held out"] += names[1::2]
    return {half: _nab_of(scorer, windows, base, names) for half, names in halves.items()}


def _nab_of(scorer: Any, windows: dict[str, Any], base: Path, names: list[str]) -> float:
    raw, count = 0.0, 0
    for name in names:
        scored = _nab_scores(base / "data" / name)
        found, hits, _, missed = scorer.score(scored, windows[name], surprise.THRESHOLD)
        raw, count = raw + found, count + hits + missed
    return float(scorer.normalise(raw, count))


def _nab_scores(path: Path) -> list[tuple[str, float]]:
    detector = surprise.Detector()
    scored = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
            score = detector.update(clocks.from_datetime(at), float(row["value"]))
            scored.append((row["timestamp"], score))
    return scored


def main() -> int:
    """Run, print, and say whether the goals were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    seeds = list(TRAIN) if asked.train else list(HELD_OUT)
    seeds = seeds[:3] if asked.quick else seeds
    which = "training" if asked.train else "held-out"
    print(f"{len(seeds)} {which} worlds of {DAYS:.0f} days, a look every 5 minutes; synthetic")
    scores = lived(seeds, DAYS)
    show(scores)
    for half, score in (nab() or {}).items():
        print(f"NAB, standard profile, {half:9} {score:6.1f}")
    met = scores.recall(PREDICTABLE) >= GOAL_RECALL and scores.precision >= GOAL_PRECISION
    print("goals met" if met else "goals missed")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
