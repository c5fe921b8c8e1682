"""When a key's turn comes, and how long who failed waits."""

import collections
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.reconcile.runtime import backoff, keys, resync

KEYS = [keys.Key(f"t{n % 7}", "stacks", f"n{n}") for n in range(2_000)]
START = 1_767_225_600.0


@given(
    st.text(min_size=1), st.floats(1.0, 1e6), st.floats(0, 2e9), st.floats(0.1, 5), st.floats(0, 1)
)
def test_turns_do_not_depend_on_the_window_they_are_asked_in(
    name: str, interval_s: float, after: float, length: float, cut: float
) -> None:
    key = keys.Key("acme", "stacks", name)
    until = after + length * interval_s
    middle = after + cut * (until - after)
    whole = resync.turns(key, interval_s, after, until)
    parts = [
        *resync.turns(key, interval_s, after, middle),
        *resync.turns(key, interval_s, middle, until),
    ]
    assert whole == parts == sorted(set(whole))


@given(st.text(), st.floats(1.0, 1e5), st.floats(0, 2e9))
def test_from_one_turn_to_the_next_is_the_interval_a_tenth_more_or_less(
    name: str, interval_s: float, after: float
) -> None:
    key = keys.Key("acme", "stacks", name)
    found = resync.turns(key, interval_s, after, after + 10 * interval_s)
    assert 9 <= len(found) <= 11
    assert found[0] - after <= 1.11 * interval_s
    for one, two in itertools.pairwise(found):
        assert 0.899 * interval_s <= two - one <= 1.101 * interval_s


def test_turns_are_spread_over_the_interval() -> None:
    slots = collections.Counter(
        int((at - START) // 30) for key in KEYS for at in resync.turns(key, 300, START, START + 300)
    )
    assert set(slots) == set(range(10))
    assert all(140 <= count <= 260 for count in slots.values()), slots


def test_shards_are_even_and_stay_what_they_are() -> None:
    count = collections.Counter(keys.shard(key) for key in KEYS)
    assert len(count) == keys.SHARDS
    assert max(count.values()) < 3 * min(count.values())
    assert keys.shard(keys.Key("acme", "stacks", "shop")) == SHARD_OF_SHOP
    assert keys.shard(keys.Key("acme", "other", "shop")) == SHARD_OF_SHOP


SHARD_OF_SHOP = 59
"""Frozen: processes of two releases that share a database must agree."""


@pytest.mark.parametrize(
    ("made", "bounds"),
    [
        (backoff.Exponential(base_s=0.5, cap_s=300.0), [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256]),
        (backoff.Linear(base_s=10.0, cap_s=45.0), [10, 20, 30, 40, 45, 45]),
    ],
)
def test_jitter_is_over_the_whole_bound(made: backoff.Backoff, bounds: list[float]) -> None:
    rng = random.Random(1)
    for failures, bound in enumerate(bounds):
        found = [made.delay_s(failures, rng.random) for _ in range(500)]
        assert min(found) < 0.1 * bound
        assert 0.9 * bound < max(found) <= bound
    assert made.delay_s(10_000, lambda: 0.999) <= 300.0


def test_who_is_told_when_to_come_back_comes_a_little_later_never_before() -> None:
    rng = random.Random(1)
    found = [backoff.asked_s(60.0, rng.random) for _ in range(100)]
    assert 60.0 <= min(found) < max(found) <= 66.0
    assert backoff.asked_s(-5.0, rng.random) == 0.0
