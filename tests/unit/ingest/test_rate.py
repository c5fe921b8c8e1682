import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.ingest import rate, sources

KEY = ("default", "shop")


@given(
    per_s=st.floats(0.5, 1000),
    burst=st.integers(1, 100),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 20)), max_size=60),
)
def test_no_more_is_taken_than_the_bucket_held_and_got_back(
    per_s: float, burst: int, steps: list[tuple[float, int]]
) -> None:
    buckets, now, taken, largest = rate.Buckets(), 0.0, 0, 0
    for pause, tokens in steps:
        now += pause
        if buckets.take(KEY, sources.Rate(per_s=per_s, burst=burst), tokens, now) == 0:
            taken += tokens
            largest = max(largest, tokens)
    # Only what is larger than the whole bucket may leave a debt.
    assert taken <= burst + now * per_s + max(0, largest - burst) + 1e-6


@given(per_s=st.floats(0.5, 1000), burst=st.integers(1, 100), tokens=st.integers(1, 500))
def test_who_waits_as_long_as_was_said_is_let_through(
    per_s: float, burst: int, tokens: int
) -> None:
    buckets, chosen = rate.Buckets(), sources.Rate(per_s=per_s, burst=burst)
    now = 100.0
    assert buckets.take(KEY, chosen, burst, now) == 0
    wait_s = buckets.take(KEY, chosen, tokens, now)
    assert wait_s > 0
    now += wait_s + 1e-6
    assert buckets.take(KEY, chosen, tokens, now) == 0


def test_a_refusal_costs_no_token() -> None:
    buckets, chosen = rate.Buckets(), sources.Rate(per_s=1, burst=1)
    assert buckets.take(KEY, chosen, 1, 0.0) == 0
    waits = [buckets.take(KEY, chosen, 1, 0.5) for _ in range(10)]
    assert max(waits) <= 0.5 + 1e-9


def test_buckets_are_bounded_and_each_source_has_its_own() -> None:
    buckets, chosen = rate.Buckets(most=3), sources.Rate(per_s=0.001, burst=1)
    for number in range(10):
        assert buckets.take(("default", f"shop-{number}"), chosen, 1, 0.0) == 0
    assert len(buckets) == 3
    assert buckets.take(("default", "shop-9"), chosen, 1, 0.0) > 0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    buckets, chosen = rate.Buckets(), sources.Rate(per_s=1, burst=1)
    assert buckets.take(KEY, chosen, 1, 10.0) == 0
    assert buckets.take(KEY, chosen, 1, 5.0) == pytest.approx(1.0)


def test_a_rate_of_nothing_lets_the_burst_through_and_no_more() -> None:
    buckets, chosen = rate.Buckets(), sources.Rate(per_s=0, burst=2)
    assert [buckets.take(KEY, chosen, 1, now) > 0 for now in (0.0, 1.0, 1e6)] == [0, 0, 1]
