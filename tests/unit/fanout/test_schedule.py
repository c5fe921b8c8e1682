"""When deliveries are tried again, and when an endpoint is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.fanout import schedule
from helios.kernel import clock as clocks

S = clocks.SECOND_US
NOW = clocks.Timestamp(1_000_000 * S)


def failing(times: int, since_s: float = 0) -> schedule.Health:
    since = clocks.Timestamp(NOW - round(since_s * S))
    return schedule.Health(failures=times, failing_since=since)


def test_ten_tries_over_three_days_then_it_is_given_up() -> None:
    tries, now = 1, NOW
    while (then := schedule.next_try(tries, now, draw=0.5)) is not None:
        tries, now = tries + 1, then

    assert tries == 10
    assert 70 < (now - NOW) / S / 3600 < 80


@given(attempt=st.integers(1, 9), draw=st.floats(0, 1, exclude_max=True))
def test_jitter_spreads_a_pause_by_a_fifth(attempt: int, draw: float) -> None:
    then = schedule.next_try(attempt, NOW, draw=draw)

    assert then is not None
    pause = (then - NOW) / S
    assert 0.8 * schedule.PAUSES_S[attempt - 1] - 1 <= pause
    assert pause <= 1.2 * schedule.PAUSES_S[attempt - 1] + 1


def test_what_an_endpoint_asks_for_is_honoured_within_reason() -> None:
    asked = schedule.next_try(1, NOW, draw=0.5, asked_s=120)
    too_much = schedule.next_try(1, NOW, draw=0.5, asked_s=10**9)

    assert asked == NOW + 120 * S
    assert too_much == NOW + schedule.PAUSES_S[-1] * S


@pytest.mark.parametrize(
    ("health", "verdict"),
    [
        (schedule.Health(), "go"),
        (failing(4), "go"),
        (failing(5), "stall"),
        (failing(50, since_s=4 * 86400), "stall"),
        (failing(50, since_s=5 * 86400), "disable"),
    ],
)
def test_an_endpoint_stalls_and_is_disabled_at_last(
    health: schedule.Health, verdict: schedule.Verdict
) -> None:
    assert schedule.judge(health, NOW) == verdict


def test_one_success_forgives_everything() -> None:
    assert failing(50, since_s=4 * 86400).after(ok=True, now=NOW) == schedule.Health()


def test_a_stalled_endpoint_is_probed_ever_less_often_but_never_never() -> None:
    pauses = [schedule.probe_s(failing(n)) for n in range(5, 40)]

    assert pauses == sorted(pauses)
    assert pauses[0] == schedule.PROBE_MIN_S
    assert pauses[-1] == schedule.PROBE_MAX_S
