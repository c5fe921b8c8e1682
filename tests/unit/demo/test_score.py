import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from helios.demo import board, score, shop
from helios.kernel import clock

START = clock.Timestamp(1_760_000_000_000_000)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict with what is compared of it."""

    status: str = "matched"
    missing_events: list[str] = []
    validation_errors: dict[str, dict[str, Any]] = {}


OVERPAID = shop.Truth(
    status="mismatched", errors={"amount_mismatch": (Decimal("10.10"), Decimal("20.20"))}
)
UNPAID = shop.Truth(status="partial", missing=("payment",))


def _amount(expected: Any, actual: Any) -> dict[str, dict[str, Any]]:
    return {"amount_mismatch": {"expected": expected, "actual": actual}}


@pytest.mark.parametrize(
    ("truth", "history"),
    [
        (shop.Truth(), [Seen()]),
        (UNPAID, [Seen(status="partial", missing_events=["payment"])]),
        (OVERPAID, [Seen(status="mismatched", validation_errors=_amount(10.1, 20.2))]),
        (shop.Truth(healed=True), [Seen(status="partial"), Seen()]),
        (shop.Truth(), [Seen(status="partial"), Seen()]),
    ],
)
def test_a_right_verdict_differs_in_nothing(truth: shop.Truth, history: list[Seen]) -> None:
    assert score.difference(truth, history) is None


@pytest.mark.parametrize(
    ("truth", "history"),
    [
        (shop.Truth(), []),
        (shop.Truth(), [Seen(status="partial", missing_events=["payment"])]),
        (shop.Truth(), [Seen(), Seen(status="mismatched")]),
        (UNPAID, [Seen()]),
        (UNPAID, [Seen(status="partial", missing_events=["inventory"])]),
        (UNPAID, [Seen(status="partial", missing_events=["payment", "inventory"])]),
        (OVERPAID, [Seen(status="mismatched")]),
        (OVERPAID, [Seen(status="mismatched", validation_errors=_amount(10.1, 20.3))]),
        (OVERPAID, [Seen(status="mismatched", validation_errors=_amount(20.2, 10.1))]),
        (OVERPAID, [Seen(status="mismatched", validation_errors=_amount("no", 20.2))]),
        (shop.Truth(healed=True), [Seen()]),
    ],
)
def test_a_wrong_verdict_is_named(truth: shop.Truth, history: list[Seen]) -> None:
    assert score.difference(truth, history)


def _order(fault: shop.Fault | None) -> shop.Order:
    orders = shop.orders(random.Random(3), start=START, rate=20, faults=0.4)
    return next(order for order in orders if order.fault == fault)


def _right(order: shop.Order) -> list[Seen]:
    errors = {
        r: {"expected": float(e), "actual": float(a)} for r, (e, a) in order.truth.errors.items()
    }
    last = Seen(
        status=order.truth.status,
        missing_events=list(order.truth.missing),
        validation_errors=errors,
    )
    return [Seen(status="partial"), last] if order.truth.healed else [last]


@pytest.mark.parametrize("fault", [None, *shop.FAULTS])
def test_what_is_judged_rightly_is_counted_and_forgotten(fault: shop.Fault | None) -> None:
    order, tally = _order(fault), score.Score()
    tally.placed(order)
    assert tally.judged(order, _right(order), order.settled_at)
    assert (tally.found, tally.injected, tally.checked) == (int(fault is not None),) * 2 + (1,)
    assert tally.is_perfect
    assert not tally.open


def test_an_order_is_due_when_its_verdict_must_have_been_given() -> None:
    order, tally = _order(None), score.Score()
    tally.placed(order)
    assert tally.due(clock.Timestamp(order.settled_at - 1)) == []
    assert tally.due(order.settled_at) == [order]


def test_a_verdict_that_is_not_right_yet_is_waited_for_but_not_for_ever() -> None:
    order, tally = _order("missing payment"), score.Score()
    tally.placed(order)
    assert not tally.judged(order, [], order.settled_at)
    assert tally.open
    late = clock.Timestamp(order.settled_at + score.PATIENCE_US)
    assert tally.judged(order, [], late)
    assert (tally.found, tally.injected, tally.unjudged) == (0, 1, 1)
    assert not tally.is_perfect
    assert order.key in tally.wrong[0]


def test_a_false_alarm_spoils_the_result() -> None:
    order, tally = _order(None), score.Score()
    tally.placed(order)
    late = clock.Timestamp(order.settled_at + score.PATIENCE_US)
    assert tally.judged(order, [Seen(status="mismatched")], late)
    assert tally.false_alarms == 1
    assert not tally.is_perfect


def test_rates_are_those_of_the_last_seconds() -> None:
    meter = board.Meter()
    assert meter.rates() == {}
    for second in range(20):
        meter.count(float(second), {"events": 1000 if second < 10 else 1000 + 30 * (second - 10)})
    assert meter.rates() == {"events": pytest.approx(30.0)}


def test_latencies_are_told_by_quantile() -> None:
    meter = board.Meter()
    assert meter.quantile_ms(0.5) is None
    for n in range(100):
        meter.latency(n / 1000)
    assert meter.quantile_ms(0.5) == pytest.approx(50)
    assert meter.quantile_ms(0.95) == pytest.approx(95)


def test_money_is_shown_with_its_cents_and_counts_without() -> None:
    wrong = {**_amount(101.5, 98.0), "quantity_mismatch": {"expected": 4, "actual": 3}}
    assert board.why(["payment"], wrong) == (
        "payment is missing; amount_mismatch: expected 101.50, actual 98.00; "
        "quantity_mismatch: expected 4, actual 3"
    )
