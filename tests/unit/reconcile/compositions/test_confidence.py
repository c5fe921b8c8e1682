"""How sure one may be."""

from typing import Any

import drifting as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.reconcile.compositions import confidence, model

NOW = kit.at(0)
_MINUTE = 60 * kit.SECOND


def sure(*evidence: model.Evidence) -> float:
    return confidence.confidence(evidence, NOW)


evidences = st.lists(
    st.builds(
        model.Evidence,
        kind=st.sampled_from(list(confidence.WEIGHTS)),
        witness=st.sampled_from(["a", "b", "c"]),
        at=st.integers(-40, 5).map(lambda minutes: NOW + minutes * _MINUTE),
        supports=st.booleans(),
    ),
    max_size=8,
)


def test_nothing_seen_and_silence_say_nothing() -> None:
    assert sure() == 0
    assert sure(*[kit.said(NOW, "silence", witness=str(n)) for n in range(100)]) == 0


def test_independent_witnesses_leave_less_doubt() -> None:
    assert sure(kit.read(NOW)) == pytest.approx(0.9)
    assert sure(kit.read(NOW), kit.said(NOW, "signed_event")) == pytest.approx(0.98)


def test_evidence_is_about_the_fields_it_names_and_an_event_about_no_others() -> None:
    read, event = kit.read(NOW), kit.said(NOW, "signed_event")
    named = kit.said(NOW, "signed_event", fields=("url",))
    call = kit.said(NOW, "failed_call", fields=("authorised",))
    every = (read, event, named, call)
    assert confidence.about(every, "url") == (read, named)
    assert confidence.about(every, "authorised") == (read, call)
    assert confidence.about(every, "") == (read,)


def test_a_witness_counts_once() -> None:
    assert sure(kit.read(NOW), kit.read(NOW), kit.read(kit.at(-1))) == sure(kit.read(NOW))


def test_missed_heartbeats_come_to_a_tenth_each_and_four_at_most() -> None:
    missed = [kit.said(kit.at(-n), "missed_heartbeat", witness=f"w{n % 3}") for n in range(50)]
    assert sure(*missed[:2]) == pytest.approx(0.2)
    assert sure(*missed) == pytest.approx(confidence.HEARTBEATS_MAX)
    assert confidence.HEARTBEATS_MAX < confidence.SUSPECTED


def test_whoever_says_the_opposite_makes_all_weaker_while_it_is_fresh() -> None:
    against = kit.said(NOW, "direct_read", witness="other", supports=False)
    assert sure(kit.read(NOW), against) == pytest.approx(0.09)
    old = kit.said(kit.at(-601), "direct_read", witness="other", supports=False)
    assert sure(kit.read(NOW), old) == pytest.approx(0.9)


def test_a_read_grows_too_old_to_heal_by() -> None:
    assert sure(kit.read(kit.at(-60))) >= confidence.HEAL
    assert sure(kit.read(kit.at(-900))) == pytest.approx(0.45)


@given(evidences, st.randoms())
def test_it_is_a_share_and_does_not_depend_on_the_order(
    evidence: list[model.Evidence], random: Any
) -> None:
    shuffled = list(evidence)
    random.shuffle(shuffled)
    assert 0 <= sure(*evidence) <= 1
    assert sure(*shuffled) == pytest.approx(sure(*evidence), abs=1e-5)


@given(evidences)
def test_one_more_witness_for_it_never_makes_less_sure(evidence: list[model.Evidence]) -> None:
    more = kit.said(NOW, "failed_call", witness="d")
    assert sure(*evidence, more) >= sure(*evidence) - 1e-6


def drift() -> model.Drift:
    world = kit.World()
    world.look(kit.at(1), resource_orders=kit.seen(kit.QUEUE, kit.at(1), VisibilityTimeout=1))
    return world.drift()


def test_verdicts_move_a_weight_only_where_they_contradict_it() -> None:
    """H-15: calibration by Beta(1, 1)."""
    known: confidence.Calibration = confidence.UNCALIBRATED
    for n in range(3):
        known = confidence.judged(known, drift(), was_real=True, at=kit.at(n))
    key: confidence.CalibrationKey = ("configuration", "resource/orders", "direct_read")
    judged = known[key]
    assert judged.weight == 0.9
    assert judged.precision == pytest.approx(0.8)
    assert confidence.confidence(
        [kit.read(NOW)],
        NOW,
        drift_type="configuration",
        component="resource/orders",
        calibration=known,
    ) == pytest.approx(0.9)


def test_a_weight_moves_at_most_a_tenth_a_week() -> None:
    known: confidence.Calibration = confidence.UNCALIBRATED
    day = 24 * 3600
    weights = []
    for n in range(28):
        known = confidence.judged(known, drift(), was_real=False, at=kit.at(n * day))
        (judged,) = known.values()
        weights.append(judged.weight)
    assert weights[-1] < 0.9
    for n in range(7, 28):
        assert weights[n - 7] - weights[n] <= 0.1 + 1e-9
    assert 0.9 - weights[0] <= 0.1 + 1e-9
    assert weights[-1] >= 0.9 - 0.1 * 5
