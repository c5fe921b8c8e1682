from typing import Any

import drifting
import msgspec
import situations
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.compositions import detecting, model, policy, verifying

NOW = situations.NOW
DRIFT = situations.drift(state="verifying")
STATE = situations.state(DRIFT)
ACTED = situations.heal(
    situations.action(drift_ids=(DRIFT.drift_id,)), status="acted", acted_at=NOW, settles_s=10.0
)
STARTED = msgspec.structs.replace(ACTED, status="started", acted_at=None)


def _at(seconds: float) -> clocks.Timestamp:
    return clocks.Timestamp(NOW + int(seconds * situations.SECOND))


def _finding(drift: model.Drift = DRIFT, **fields: Any) -> model.Finding:
    found = model.Finding(
        fingerprint=drift.fingerprint,
        type=drift.type,
        cause=drift.cause,
        component=drift.component,
        path=drift.path,
        expected=1,
        observed=2,
        severity="medium",
        confidence=0.9,
    )
    return msgspec.structs.replace(found, **fields)


def _look(*findings: model.Finding, when: clocks.Timestamp | None = None, **fields: Any) -> Any:
    found = detecting.Detection(
        findings=findings,
        expected_hash="e",
        observed_hash="o",
        presence={DRIFT.component: "present"},
        as_of={DRIFT.component: when or _at(1)},
    )
    return msgspec.structs.replace(found, **fields)


def _verify(
    heal: model.Heal, look: detecting.Detection, seconds: float, rules: policy.Policy | None = None
) -> verifying.Verified:
    return verifying.verify(STATE, heal, look, rules or policy.DEFAULT, _at(seconds))


def test_it_has_helped_when_the_difference_is_not_seen_any_more() -> None:
    assert _verify(ACTED, _look(), 2).outcome == "succeeded"


def test_another_drift_of_the_component_does_not_matter() -> None:
    other = _finding(fingerprint="f2", path="/locale")
    assert _verify(ACTED, _look(other), 2).outcome == "succeeded"


def test_the_same_field_wrong_in_another_way_has_not_helped() -> None:
    other = _finding(fingerprint="f2")
    assert _verify(ACTED, _look(other), 20).outcome == "unverified"
    gone = _finding(fingerprint="f3", path="")
    assert _verify(ACTED, _look(gone), 20).outcome == "unverified"


def test_what_was_made_is_there_though_it_still_differs_elsewhere() -> None:
    missing = situations.drift(path="", state="verifying")
    heal = msgspec.structs.replace(ACTED, action=situations.action(drift_ids=(missing.drift_id,)))
    state = situations.state(missing)
    found = verifying.verify(state, heal, _look(_finding()), policy.DEFAULT, _at(2))
    assert found.outcome == "succeeded"


def test_it_is_given_time_to_show() -> None:
    early = _verify(ACTED, _look(_finding()), 9)
    assert early.outcome == "wait"
    assert early.look_again_at == _at(10)
    late = _verify(ACTED, _look(_finding()), 10)
    assert (late.outcome, late.code) == ("unverified", "still_drifted")
    assert late.next_attempt_at is not None
    assert late.next_attempt_at >= _at(20)


def test_what_cannot_be_seen_is_waited_for_but_not_for_ever() -> None:
    blind = _look(presence={DRIFT.component: "unknown"})
    waiting = _verify(ACTED, blind, 300)
    assert waiting.outcome == "wait"
    assert waiting.look_again_at == _at(330)
    ended = _verify(ACTED, blind, 600)
    assert (ended.outcome, ended.code) == ("unverified", "not_observable")


def test_a_field_that_cannot_be_seen_is_not_taken_for_mended() -> None:
    blind = _look(unknown=(f"{DRIFT.component}#url",))
    assert _verify(ACTED, blind, 20).outcome == "wait"
    other = _look(unknown=(f"{DRIFT.component}#locale",))
    assert _verify(ACTED, other, 20).outcome == "succeeded"


def test_a_look_from_before_the_action_proves_nothing() -> None:
    assert _verify(ACTED, _look(when=_at(-1)), 2).outcome == "wait"
    assert _verify(ACTED, _look(when=_at(0)), 2).outcome == "succeeded"


def test_an_action_that_was_cut_off_has_succeeded_if_the_difference_is_gone() -> None:
    assert _verify(STARTED, _look(), 2).outcome == "succeeded"


def test_an_action_that_was_cut_off_is_looked_at_before_it_is_tried_again() -> None:
    blind = _look(presence={DRIFT.component: "unknown"})
    assert _verify(STARTED, blind, 300).outcome == "wait"
    assert _verify(STARTED, _look(_finding()), 59).outcome == "wait"
    ended = _verify(STARTED, _look(_finding()), 60)
    assert (ended.outcome, ended.code) == ("failed", "interrupted")
    assert ended.next_attempt_at is not None
    assert ended.next_attempt_at > _at(60)


def test_a_heal_whose_drift_has_gone_from_the_books_is_over() -> None:
    found = verifying.verify(situations.state(), ACTED, _look(), policy.DEFAULT, _at(2))
    assert found.outcome == "succeeded"


def test_looks_are_frequent_at_first_and_rarer_later() -> None:
    slow = msgspec.structs.replace(ACTED, settles_s=500.0)
    look = _look(_finding())
    pauses = []
    for seconds in (0, 2, 10, 40, 100, 490):
        again = _verify(slow, look, seconds).look_again_at
        assert again is not None
        pauses.append((again - _at(seconds)) / situations.SECOND)
    assert pauses == [2, 2, 5, 20, 30, 10]


def _pauses(strategy: Any, **fields: Any) -> list[float]:
    rules = drifting.with_healing(backoff_strategy=strategy, **fields)
    times = [verifying.next_attempt(rules, n, NOW) for n in (1, 2, 3, 4, 9)]
    return [(when - NOW) / situations.SECOND for when in times]


def test_pauses_between_attempts_grow_as_policy_says() -> None:
    assert _pauses("linear") == [10, 20, 30, 40, 90]
    assert _pauses("exponential") == [10, 20, 40, 80, 300]


def test_attempts_that_failed_together_are_spread_the_same_way_each_time() -> None:
    times = {verifying.next_attempt(policy.DEFAULT, 1, NOW, f"key-{n}") for n in range(20)}
    assert len(times) > 10
    assert all(_at(10) <= when <= _at(11) for when in times)
    assert verifying.next_attempt(policy.DEFAULT, 1, NOW, "key-1") in times


@given(
    strategy=st.sampled_from(("linear", "exponential")),
    base=st.integers(1, 10**9),
    most=st.integers(1, 10**9),
    key=st.text(max_size=8),
)
def test_pauses_never_shrink_nor_exceed_their_bound(
    strategy: Any, base: int, most: int, key: str
) -> None:
    rules = drifting.with_healing(backoff_strategy=strategy, backoff_base=base, backoff_max=most)
    times = [verifying.next_attempt(rules, n, NOW, key) - NOW for n in range(1, 80)]
    assert times == sorted(times)
    assert all(0 < pause <= most * 1.1 + 1 for pause in times)


@given(
    seconds=st.integers(0, 2000),
    is_seen=st.booleans(),
    is_there=st.booleans(),
    is_acted=st.booleans(),
    settles=st.floats(0, 5000),
)
def test_every_action_ends_within_ten_minutes_and_never_unseen_as_a_success(
    seconds: int,
    is_seen: bool,  # noqa: FBT001
    is_there: bool,  # noqa: FBT001
    is_acted: bool,  # noqa: FBT001
    settles: float,
) -> None:
    heal = msgspec.structs.replace(ACTED if is_acted else STARTED, settles_s=settles)
    presence: dict[str, model.Presence] = {DRIFT.component: "present" if is_seen else "unknown"}
    findings = (_finding(),) if is_seen and is_there else ()
    found = _verify(heal, _look(*findings, presence=presence, when=_at(seconds)), seconds)
    if found.outcome == "succeeded":
        assert is_seen
        assert not is_there
    if seconds >= 600:
        assert found.outcome != "wait"
    if found.outcome == "wait":
        assert found.look_again_at is not None
        assert _at(seconds) < found.look_again_at <= _at(600)
    if found.outcome in ("failed", "unverified"):
        assert found.next_attempt_at is not None
        assert found.next_attempt_at > _at(seconds)
        assert (found.outcome == "failed") == (not is_acted)
