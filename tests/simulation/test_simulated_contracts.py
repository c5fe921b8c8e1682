"""Contracts in simulated worlds: whatever fails meanwhile, the verdicts are those of the oracle."""

import random

import msgspec
import pytest

from helios.testing import invariants, orders, simulate, swarm, world

SEEDS = 60
ORDERS = 8


def _told(result: world.Result, size: world.Size) -> str:
    smallest = simulate.shrink(result, size=size)
    return simulate.report(result, smallest, steps=result.trace, size=size)


def test_verdicts_equal_the_oracle_in_every_seed() -> None:
    coverage = invariants.Coverage()
    size = world.Size.of_orders(ORDERS)
    for seed in range(SEEDS):
        result = world.run(seed, size=size)
        assert result.violation is None, _told(result, size)
        coverage.update(result.coverage)
    wanted = ("verdict superseded", "view rebuilt and swapped", "view restarted from checkpoint")
    assert coverage.missing(wanted) == []


@pytest.mark.parametrize(
    ("kills", "first"),
    [pytest.param(0.0, 1, id="power cut"), pytest.param(1.0, 2, id="process killed")],
)
def test_a_crash_at_every_third_point_neither_loses_nor_doubles_a_verdict(
    kills: float, first: int
) -> None:
    size = msgspec.structs.replace(world.Size.of_orders(2), operators=0, traders=1, verified=())
    faults = swarm.Swarm(torn=True, kills=kills)
    points = world.run(3, faults=faults, size=size).points
    assert points > 100
    for point in range(first, points + 1, 3):
        result = world.run(3, faults=faults, size=size, crash_at=frozenset({point}))
        assert result.violation is None, f"--crash-at {point}\n{_told(result, size)}"


def test_verdicts_folded_again_in_other_pages_are_the_same_rows() -> None:
    size = world.Size.of_orders(ORDERS)
    for seed in range(SEEDS // 2):
        result = world.run(seed, faults=swarm.QUIET, size=size)
        assert result.violation is None, _told(result, size)


def test_the_oracle_refuses_a_lost_a_doubled_and_a_wrong_verdict() -> None:
    drawn = orders.draw(30, random.Random(1))
    judged = [order for order in drawn if order.status is not None]
    assert {order.status for order in drawn} == {"matched", "mismatched", None}
    nothing = orders.Shown(latest=[], history={}, totals={})
    with pytest.raises(invariants.Violation, match="verdict_equals_oracle"):
        orders.check(judged, nothing)
    with pytest.raises(invariants.Violation, match="no_lost_no_double_verdict"):
        orders.check([], msgspec.structs.replace(nothing, totals={"matched": 1}))
