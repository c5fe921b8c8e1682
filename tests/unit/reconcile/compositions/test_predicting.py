"""Predictions: raised once, given up late, scored by what came, and never acted upon."""

import asyncio
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import drifting as kit
import msgspec
import pytest

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, events, lifecycle, model, passing
from helios.reconcile.compositions import ports as pass_ports
from helios.reconcile.compositions.observing import ports as check_ports
from helios.reconcile.compositions.predicting import (
    ports,
    prediction,
    progressing,
)
from helios.reconcile.compositions.predicting import progressing as foresight
from helios.testing import observing_bench, stack_bench

HOOK, QUEUE = kit.HOOK.address, kit.QUEUE.address
HOUR, DAY = 3_600.0, 86_400.0
LATER = 2 * HOUR
"""So long after the declaration that what drifts is drift."""


def basis(probability: float = 0.7, **fields: Any) -> prediction.Basis:
    given = {
        "kind": "slope",
        "signal": "errors",
        "horizon": "hours",
        "probability": probability,
        "expected_in_s": HOUR,
        "reason": "errors climb",
    }
    return msgspec.convert({**given, **fields}, prediction.Basis)


class World(kit.World):
    """A stack that is looked at, and whose signs a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = (f"p{number}" for number in itertools.count(1))

    def foresee(
        self,
        when: float,
        *found: prediction.Basis,
        of: str = QUEUE,
        settled: bool = True,
        unseen: tuple[str, ...] = (),
        known: bool = True,
    ) -> list[str]:
        """What is told with these signs of a component, and is folded."""
        now = kit.at(when)
        seen = dict(kit.all_seen(self.declared, now))
        seen |= {address: kit.not_seen(now) for address in unseen}
        sights: Mapping[str, ports.Sight] = {of: ports.Sight(bases=found, settled=settled)}
        said = foresight.progress(
            self.state,
            self.declared,
            seen,
            sights if known else {},
            now=now,
            new_id=lambda: next(self.ids),
        )
        for kind, payload in said:
            self.append(kind, payload, now)
        return [_word(kind, payload) for kind, payload in said]

    def drift_at(self, when: float, component: str = QUEUE, path: str = "/healthy") -> None:
        """A drift is confirmed."""
        now = kit.at(when)
        self.tell([_moved(events.DRIFT_DETECTED, _drift(component, path, now))], now)

    def mended(self, when: float, component: str = QUEUE, path: str = "/healthy") -> None:
        found = self.state.drifts[f"d:{component}{path}"]
        closed = msgspec.structs.replace(found, state="healed")
        self.tell([_moved(events.DRIFT_RESOLVED, closed)], kit.at(when))


def _moved(kind: str, drift: model.Drift) -> Any:
    return lifecycle.Moved(event_type=kind, drift=drift)


def _drift(component: str, path: str, now: clocks.Timestamp) -> model.Drift:
    return model.Drift(
        drift_id=f"d:{component}{path}",
        fingerprint=component,
        type="resource",
        cause="resource_unhealthy",
        component=component,
        path=path,
        expected=True,
        observed=False,
        severity="high",
        confidence=1.0,
        state="confirmed",
        detected_at=now,
        last_seen=now,
    )


def _word(kind: str, payload: events.StackPayload) -> str:
    if isinstance(payload, events.PredictionEnded):
        return f"{kind}:{payload.ended.outcome}"
    return kind


def test_a_strong_sign_is_told_once_and_not_again() -> None:
    world = World()
    assert world.foresee(LATER, basis()) == [events.DRIFT_PREDICTED]
    assert world.foresee(LATER + 300, basis()) == []
    (found,) = world.state.predictions.values()
    assert (found.component, found.horizon, found.probability) == (QUEUE, "hours", 0.7)
    assert found.reasons == ("errors climb",)
    assert found.due_at == kit.at(LATER + 3 * HOUR)


def test_weak_signs_are_told_of_only_together() -> None:
    weak = basis(0.45)
    assert World().foresee(LATER, weak) == []
    found = World().foresee(LATER, weak, basis(0.4, kind="anomaly", signal="latency"))
    assert found == [events.DRIFT_PREDICTED]


def test_what_wavers_between_the_thresholds_says_nothing() -> None:
    world = World()
    world.foresee(LATER, basis())
    for step, probability in enumerate((0.5, 0.6, 0.4, 0.7, 0.45)):
        assert world.foresee(LATER + 300 * (step + 1), basis(probability)) == []


def test_a_prediction_whose_signs_went_away_is_taken_back() -> None:
    world = World()
    world.foresee(LATER, basis())
    assert world.foresee(LATER + 300) == [f"{events.PREDICTION_WITHDRAWN}:withdrawn"]
    assert world.state.predictions == {}
    assert world.state.foresight.precision == 0.0


def test_that_a_process_knows_nothing_takes_nothing_back() -> None:
    """After a restart, or in another process."""
    world = World()
    world.foresee(LATER, basis())
    assert world.foresee(LATER + 300, settled=False) == []
    assert world.foresee(LATER + 600, known=False) == []


def test_what_is_renewed_before_its_date_is_averted_and_no_false_alarm() -> None:
    world = World()
    world.foresee(LATER, basis(0.9, kind="date", horizon="week", expected_in_s=6 * DAY))
    found = world.foresee(LATER + HOUR, settled=False)
    assert found == [f"{events.PREDICTION_WITHDRAWN}:averted"]
    assert world.state.foresight.precision is None


def test_a_drift_within_the_horizon_is_a_hit_with_its_lead() -> None:
    world = World()
    world.foresee(LATER, basis())
    world.drift_at(LATER + HOUR)
    assert world.foresee(LATER + HOUR) == [f"{events.PREDICTION_SCORED}:hit"]
    (ended,) = world.state.foretold
    assert (ended.lead_s, ended.drift_id) == (HOUR, f"d:{QUEUE}/healthy")
    record = world.state.foresight
    assert (record.drifts, record.foreseen, record.recall, record.precision) == (1, 1, 1.0, 1.0)
    assert record.by_horizon["hours"].mean_lead_s == HOUR


def test_a_drift_that_is_mended_in_the_same_pass_is_a_hit_all_the_same() -> None:
    world = World()
    world.foresee(LATER, basis())
    world.drift_at(LATER + HOUR)
    world.mended(LATER + HOUR)
    assert world.foresee(LATER + HOUR) == [f"{events.PREDICTION_SCORED}:hit"]


def test_a_horizon_that_passes_without_a_drift_is_a_miss() -> None:
    world = World()
    world.foresee(LATER, basis())
    assert world.foresee(LATER + 3 * HOUR, basis()) == []
    assert world.foresee(LATER + 3 * HOUR + 300, basis()) == [f"{events.PREDICTION_SCORED}:miss"]


def test_a_miss_is_not_told_again_at_once_and_later_each_time() -> None:
    world = World()
    raised, when = [], LATER
    while when < LATER + 3 * DAY:
        if events.DRIFT_PREDICTED in world.foresee(when, basis()):
            raised.append(when)
        when += 300
    pauses = [b - a for a, b in itertools.pairwise(raised)]
    assert pauses == sorted(pauses)
    assert pauses[0] > 2 * 3 * HOUR
    assert len(raised) <= 5


def test_what_could_not_be_looked_at_when_it_was_due_is_not_scored() -> None:
    world = World()
    world.foresee(LATER, basis())
    found = world.foresee(LATER + 4 * HOUR, basis(), unseen=(QUEUE,))
    assert found == [f"{events.PREDICTION_WITHDRAWN}:unscored"]
    world.foresee(LATER + 5 * HOUR, basis())
    # As long a suspension: nobody has looked.
    found = world.foresee(LATER + 30 * HOUR, basis())
    assert found == [f"{events.PREDICTION_WITHDRAWN}:unscored"]


def test_that_a_provider_answers_no_more_comes_true_when_it_cannot_be_seen() -> None:
    world = World()
    world.foresee(LATER, basis(kind="quota", signal="quota"))
    (found,) = world.state.predictions.values()
    assert found.expects == "unseen"
    assert world.foresee(LATER + 600, basis(), unseen=(QUEUE,)) == [
        f"{events.PREDICTION_SCORED}:hit"
    ]


def test_what_drifts_already_or_has_just_done_is_not_foreseen() -> None:
    world = World()
    world.drift_at(LATER)
    assert world.foresee(LATER + 60, basis()) == []
    world.mended(LATER + 120)
    assert world.foresee(LATER + 180, basis()) == []
    assert world.foresee(LATER + 2 * HOUR, basis()) == [events.DRIFT_PREDICTED]


def test_a_drift_that_nobody_foresaw_counts_against_recall() -> None:
    world = World()
    world.drift_at(LATER)
    assert world.state.foresight.recall == 0.0
    assert world.state.onsets == {QUEUE: (kit.at(LATER),)}


def test_one_onset_counts_once_however_many_fields_differ() -> None:
    world = World()
    world.drift_at(LATER)
    world.drift_at(LATER + 5, path="/VisibilityTimeout")
    assert world.state.foresight.drifts == 1


def test_what_a_declaration_asks_for_is_no_drift() -> None:
    world = World()
    world.drift_at(120)
    assert world.state.foresight.drifts == 0
    assert world.state.onsets == {}


def test_a_component_that_is_not_declared_any_more_is_not_scored() -> None:
    world = World()
    world.foresee(LATER, basis())
    world.declare(kit.declared(resources=(kit.SITE,)), kit.at(LATER + 60))
    found = world.foresee(LATER + 300, basis())
    assert found == [f"{events.PREDICTION_WITHDRAWN}:unscored"]


def test_horizons_are_foreseen_apart() -> None:
    world = World()
    date = basis(0.9, kind="date", signal="certificate", horizon="week", expected_in_s=DAY)
    assert len(world.foresee(LATER, basis(), date)) == 2
    assert set(world.state.predictions) == {f"{QUEUE}@hours", f"{QUEUE}@week"}


def test_drift_that_comes_back_by_the_clock_is_foreseen_from_the_log_alone() -> None:
    world = World()
    for number in range(6):
        world.drift_at(LATER + 3 * DAY * number)
        world.mended(LATER + 3 * DAY * number + 600)
    last = LATER + 3 * DAY * 5
    assert foresight.is_due(world.state, ports.NOTHING, kit.at(last))
    assert world.foresee(last + 1 * DAY, known=False) == []
    assert world.foresee(last + 2.7 * DAY, known=False) == [events.DRIFT_PREDICTED]
    (found,) = world.state.predictions.values()
    assert [each.kind for each in found.basis] == ["hazard"]


def test_a_stack_has_a_bounded_number_of_predictions() -> None:
    parts = tuple(composition.Resource(name=f"r{n}", kind="http") for n in range(80))
    world = World()
    world.declare(kit.declared(resources=parts), kit.at(60))
    sights = {each.address: ports.Sight(bases=(basis(),), settled=True) for each in parts}
    said = foresight.progress(
        world.state, world.declared, {}, sights, now=kit.at(LATER), new_id=lambda: next(world.ids)
    )
    assert len(said) == progressing.OPEN_MAX


def test_what_ended_is_remembered_bounded_and_counted_for_good() -> None:
    record = prediction.Record()
    world = World()
    when = LATER
    for _ in range(30):
        when += 2 * DAY
        world.foresee(when, basis())
        world.drift_at(when + 600)
        world.foresee(when + 600)
        world.mended(when + 900)
    assert len(world.state.foretold) == prediction.ENDED_KEPT
    assert len(world.state.onsets[QUEUE]) == prediction.ONSETS_KEPT
    record = world.state.foresight
    assert (record.drifts, record.foreseen, record.by_horizon["hours"].hit) == (30, 30, 30)


# -- looking and passes ---------------------------------------------------------------------------


class _Check:
    async def check(self, asked: check_ports.Asked) -> check_ports.Told:
        del asked
        outlook = model.Outlook(runs_out={"certificate": clocks.Timestamp(1)})
        return check_ports.Told(state="present", value={"healthy": True}, outlook=outlook)


class _Recorder(ports.Nothing):
    def __init__(self) -> None:
        self.heard: list[tuple[str, model.Seen, float]] = []

    def looked(
        self,
        stack: composition.Composition,
        declared: composition.Component,
        seen: model.Seen,
        *,
        took_s: float,
        now: clocks.Timestamp,
    ) -> None:
        del stack, now
        self.heard.append((declared.address, seen, took_s))


def test_each_look_is_recorded_but_for_one_that_a_cache_answers(tmp_path: Path) -> None:
    recorder = _Recorder()

    async def main() -> None:
        async with observing_bench.place(tmp_path) as place:
            observer = place.observer({"test": _Check()}, recorder=recorder)
            stack = observing_bench.stack(composition.Resource(name="it", kind="test"))
            look = pass_ports.Look(stack=stack)
            await observer.observe(look)
            await observer.observe(look)
            await observer.observe(msgspec.structs.replace(look, fresh=True))

    asyncio.run(main())
    assert [address for address, _, _ in recorder.heard] == ["resource/it"] * 2
    _, seen, took_s = recorder.heard[0]
    assert seen.outlook is not None
    assert took_s >= 0.0


class _Signals(ports.Nothing):
    """Signs that a test says."""

    def __init__(self) -> None:
        self.found: dict[str, ports.Sight] = {}
        self.asked = 0

    def is_due(self, name: ports.Name, now: clocks.Timestamp) -> bool:
        del name, now
        return bool(self.found)

    def sights(self, name: ports.Name, now: clocks.Timestamp) -> Mapping[str, ports.Sight]:
        del name, now
        self.asked += 1
        return self.found


@pytest.mark.parametrize("comes", [True, False])
def test_a_pass_tells_what_is_foreseen_does_nothing_about_it_and_scores_it(
    tmp_path: Path, *, comes: bool
) -> None:
    signals, queue = _Signals(), "resource/orders"

    async def main() -> None:
        async with stack_bench.World(tmp_path).life() as bench:
            await bench.declare()
            await bench.set_policy()
            around = bench.around(bench.reality)
            bench.passes = passing.Passes(msgspec.structs.replace(around, signals=signals))
            await bench.run(HOUR)
            before = len(await bench.said())
            assert signals.asked == 0
            signals.found = {queue: ports.Sight(bases=(basis(),), settled=True)}
            await bench.run(HOUR)
            kinds = [event.type for event in await bench.said()][before:]
            assert kinds == [events.DRIFT_PREDICTED, events.CONDITIONS_CHANGED]
            condition = (await bench.known()).condition("Predicted")
            assert condition is not None
            assert (condition.status, condition.message) == ("True", queue)
            assert (await bench.known()).status == "healthy"
            assert bench.reality.calls == []
            if comes:
                bench.reality.vanish(stack_bench.CLIENT, stack_bench.STACK, queue)
                await bench.run(HOUR)
            else:
                await bench.run(4 * HOUR)
            state = await bench.known()
            outcome = [each.outcome for each in state.foretold]
            assert outcome == (["hit"] if comes else ["miss"])
            condition = state.condition("Predicted")
            assert condition is not None
            assert condition.status == "False"

    asyncio.run(main())
