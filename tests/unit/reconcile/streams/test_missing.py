"""What is done next about a verdict that is not matched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.streams import contract, missing

S = clocks.SECOND_US
RECORDED = clocks.Timestamp(1_000 * S)
REPLAY = contract.OnMissing(after=60 * S, action="replay_from_source", max_attempts=3)
PARTIAL = missing.Wrong(status="partial", missing=["payment"], recorded_at=RECORDED)
MISMATCHED = missing.Wrong(status="mismatched", missing=[], recorded_at=RECORDED)


def at(seconds: float) -> clocks.Timestamp:
    """So many seconds after the verdict was recorded."""
    return clocks.Timestamp(RECORDED + int(seconds * S))


def tried(
    number: int, seconds: float, outcome: missing.Outcome = "nothing", leg: str = "payment"
) -> missing.Attempt:
    return missing.Attempt(leg=leg, number=number, outcome=outcome, at=at(seconds))


def alone(action: contract.MissingAction, then: contract.Finally = "alert") -> contract.OnMissing:
    return contract.OnMissing(after=60 * S, action=action, then=then)


@pytest.mark.parametrize(
    ("wrong", "policy", "attempts", "seconds", "expected"),
    [
        (PARTIAL, REPLAY, [], 59, missing.Wait(at(60))),
        (PARTIAL, REPLAY, [], 60, missing.Ask("payment", 1)),
        (PARTIAL, REPLAY, [tried(1, 61)], 120, missing.Wait(at(121))),
        (PARTIAL, REPLAY, [tried(1, 61)], 121, missing.Ask("payment", 2)),
        (PARTIAL, REPLAY, [tried(1, 61), tried(2, 121)], 240, missing.Wait(at(241))),
        (PARTIAL, REPLAY, [tried(2, 121), tried(1, 61)], 241, missing.Ask("payment", 3)),
        (PARTIAL, alone("alert"), [], 59, missing.Wait(at(60))),
        (PARTIAL, alone("none"), [], 1e6, missing.Done("the contract asks for nothing")),
        (PARTIAL, None, [], 1e6, missing.Done("the contract asks for nothing")),
        (MISMATCHED, REPLAY, [], 59, missing.Wait(at(60))),
    ],
)
def test_the_next_step_is(
    wrong: missing.Wrong,
    policy: contract.OnMissing | None,
    attempts: list[missing.Attempt],
    seconds: float,
    expected: missing.Step,
) -> None:
    found = missing.next_step(wrong, policy, attempts, at(seconds), askable={"payment"})
    assert found == expected


@pytest.mark.parametrize(
    ("wrong", "attempts", "askable", "why"),
    [
        (PARTIAL, [tried(n, 60 * n) for n in (1, 2, 3)], {"payment"}, "asked 3 times in vain"),
        (PARTIAL, [], set(), "no source can be asked"),
        (PARTIAL, [tried(1, 60, "no_source")], {"payment"}, "no source can be asked"),
        (PARTIAL, [], {"order"}, "payment missing; no source can be asked"),
        (MISMATCHED, [], {"payment"}, "nothing to ask for"),
    ],
)
@pytest.mark.parametrize("then", ["alert", "none"])
def test_what_cannot_be_mended_goes_to_then(
    wrong: missing.Wrong,
    attempts: list[missing.Attempt],
    askable: set[str],
    why: str,
    then: contract.Finally,
) -> None:
    policy = contract.OnMissing(after=60 * S, action="replay_from_source", then=then)
    found = missing.next_step(wrong, policy, attempts, at(1e6), askable=askable)
    assert isinstance(found, missing.Alert if then == "alert" else missing.Done)
    assert why in found.reason


def test_an_alert_waits_for_nothing_but_its_time() -> None:
    found = missing.next_step(PARTIAL, alone("alert"), [], at(60), askable={"payment"})
    assert found == missing.Alert("payment missing")


def test_the_leg_that_was_asked_for_least_comes_first() -> None:
    wrong = missing.Wrong(status="partial", missing=["order", "payment"], recorded_at=RECORDED)
    made = [tried(1, 60, leg="order")]
    both = {"order", "payment"}
    step = missing.next_step(wrong, REPLAY, made, at(1e6), askable=both)
    assert step == missing.Ask("payment", 1)


LEGS = ["order", "payment", "stock"]
POLICIES = st.builds(
    contract.OnMissing,
    after=st.integers(0, 40 * 86_400 * S),
    action=st.sampled_from(["replay_from_source", "alert", "none"]),
    max_attempts=st.integers(1, 100),
    then=st.sampled_from(["alert", "none"]),
)


@given(
    policy=POLICIES,
    legs=st.lists(st.sampled_from(LEGS), unique=True),
    askable=st.sets(st.sampled_from(LEGS)),
    late=st.integers(0, 10 * S),
)
def test_every_way_ends_and_asks_no_leg_more_often_than_agreed(
    policy: contract.OnMissing, legs: list[str], askable: set[str], late: int
) -> None:
    wrong = missing.Wrong(
        status="partial" if legs else "mismatched", missing=legs, recorded_at=RECORDED
    )
    attempts: list[missing.Attempt] = []
    now = RECORDED
    while True:
        step = missing.next_step(wrong, policy, attempts, now, askable=askable)
        if isinstance(step, missing.Wait):
            assert step.until > now
            now = clocks.Timestamp(step.until + late)
        elif isinstance(step, missing.Ask):
            assert step.leg in legs
            assert step.leg in askable
            assert now >= RECORDED + policy.after
            before = [each for each in attempts if each.leg == step.leg]
            assert step.number == len(before) + 1 <= policy.max_attempts
            if before:
                gap = now - before[-1].at
                assert gap >= missing.pause(policy, len(before)) >= missing.PAUSE_MIN
            attempts.append(
                missing.Attempt(leg=step.leg, number=step.number, outcome="nothing", at=now)
            )
        else:
            break
    wanted = set(legs) & askable if policy.action == "replay_from_source" else set()
    assert len(attempts) == len(wanted) * policy.max_attempts
    told = policy.action == "alert" or (policy.action != "none" and policy.then == "alert")
    assert isinstance(step, missing.Alert if told else missing.Done)


@given(policy=POLICIES, made=st.integers(1, 10_000))
def test_pauses_grow_up_to_an_hour(policy: contract.OnMissing, made: int) -> None:
    assert missing.PAUSE_MIN <= missing.pause(policy, made) <= missing.PAUSE_MAX
    assert missing.pause(policy, made) <= missing.pause(policy, made + 1)
