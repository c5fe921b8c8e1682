import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.demo.clouds import eventgrid_hooks as hooks
from helios.kernel import clock

SECOND = clock.SECOND_US
RULES = hooks.Rules()


def at(second: float) -> clock.Timestamp:
    return clock.Timestamp(round(second * SECOND))


def event(name: str) -> dict[str, Any]:
    return {"id": name}


def ids(attempt: hooks.Try | None) -> list[str]:
    return [found["id"] for found in attempt.events] if attempt is not None else []


def filled(*names: str, **rules: Any) -> hooks.Hook:
    hook = hooks.Hook(hooks.Rules(**rules))
    for name in names:
        hook.add(event(name), at(0))
    return hook


def test_pauses_follow_the_cloud_s_schedule() -> None:
    found = [hooks.pause_us(RULES, attempts, 500) for attempts in range(1, 12)]
    minutes = [10 / 60, 0.5, 1, 5, 10, 30, 60, 180, 360, 720, 720]
    assert found == [round(minute * 60 * SECOND) for minute in minutes]


@pytest.mark.parametrize(
    ("outcome", "pause_s"),
    [(404, 300), (403, 300), (408, 120), (503, 30), (500, 10), ("TimedOut", 10), (302, 10)],
)
def test_some_answers_make_the_first_pause_longer(outcome: hooks.Outcome, pause_s: int) -> None:
    assert hooks.pause_us(RULES, 1, outcome) == pause_s * SECOND


@pytest.mark.parametrize("outcome", [400, 401, 413])
def test_a_refusal_is_final(outcome: int) -> None:
    hook = filled("e")
    attempt = hook.take(at(0))
    assert attempt is not None
    hook.done(attempt.ordinals, outcome, at(0))
    (dead,) = hook.dead()
    assert (dead.reason, dead.outcome, dead.attempts) == ("Undeliverable", str(outcome), 1)
    assert hook.next_at() is None
    assert hook.owed == 0


@given(st.integers(1, 40), st.sampled_from([200, 204, 302, 400, 404, 500, 503, "SocketError"]),
       st.floats(0.5, 10_000))  # fmt: skip
def test_a_faster_pace_divides_every_pause(
    attempts: int, outcome: hooks.Outcome, pace: float
) -> None:
    slow = hooks.pause_us(RULES, attempts, outcome)
    fast = hooks.pause_us(dataclasses.replace(RULES, pace=pace), attempts, outcome)
    assert (slow is None) == (fast is None)
    if slow is not None and fast is not None:
        assert fast == round(slow / pace)


def test_an_event_is_given_up_after_its_last_attempt() -> None:
    hook = filled("e", attempts_max=3)
    now = at(0)
    for count in range(3):
        attempt = hook.take(now)
        assert attempt is not None
        assert attempt.count == count
        hook.done(attempt.ordinals, 500, now)
        now = hook.next_at() or now
    (dead,) = hook.dead()
    assert (dead.reason, dead.attempts) == ("MaxDeliveryAttemptsExceeded", 3)


def test_an_event_is_given_up_at_the_end_of_its_life() -> None:
    hook = filled("e", lifetime_us=15 * SECOND)
    attempt = hook.take(at(0))
    assert attempt is not None
    hook.done(attempt.ordinals, 500, at(9))
    assert hook.take(at(18)) is None
    assert hook.take(at(19)) is None
    (dead,) = hook.dead()
    assert (dead.reason, dead.outcome) == ("TimeToLiveExceeded", "500")


def test_fresh_events_share_a_request_and_failed_ones_go_alone() -> None:
    hook = filled("a", "b", "c", batch_max=2)
    first, second = hook.take(at(0)), hook.take(at(0))
    assert (ids(first), ids(second)) == (["a", "b"], ["c"])
    assert first is not None
    hook.done(first.ordinals, 500, at(0))
    hook.add(event("d"), at(1))
    assert [ids(hook.take(at(10))) for _ in range(4)] == [["d"], ["a"], ["b"], []]


def test_a_dropped_event_is_given_up_unseen() -> None:
    hook = filled()
    hook.add(event("e"), at(0), dropped=True)
    assert hook.take(at(0)) is None
    (dead,) = hook.dead()
    assert (dead.event["id"], dead.attempts) == ("e", 0)
