import collections
import io
import itertools
import random
from pathlib import Path

import msgspec
import pytest

from helios.demo import drive, score, shop
from helios.kernel import clock
from helios.reconcile.streams import contract, lines, offline, verdicts

ROOT = Path(__file__).resolve().parents[3]
START = clock.Timestamp(1_760_000_000_000_000)


def _orders(count: int, *, seed: int = 1, faults: float = 0.3) -> list[shop.Order]:
    made = shop.orders(random.Random(seed), start=START, rate=20, faults=faults)
    return list(itertools.islice(made, count))


def _delivered(orders: list[shop.Order]) -> list[shop.Delivery]:
    return [d for d in shop.deliveries(iter(orders)) if isinstance(d, shop.Delivery)]


def test_the_same_seed_gives_the_same_orders_to_the_byte() -> None:
    assert _orders(300) == _orders(300)
    assert _orders(300) != _orders(300, seed=2)


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    assert _orders(400)[:100] == _orders(100)


def test_events_are_delivered_in_order_of_arrival_and_none_is_lost() -> None:
    orders = _orders(300)
    delivered = _delivered(orders)
    assert [d.at for d in delivered] == sorted(d.at for d in delivered)
    wanted = collections.Counter(d.body for order in orders for d in order.deliveries)
    assert collections.Counter(d.body for d in delivered) == wanted


def test_an_order_is_known_before_any_of_its_events() -> None:
    known: set[str] = set()
    for found in shop.deliveries(iter(_orders(300))):
        if isinstance(found, shop.Order):
            known.add(found.key)
        else:
            assert msgspec.json.decode(found.body)["correlation_id"] in known


def test_the_share_of_faults_is_the_one_asked_for() -> None:
    orders = _orders(4000, faults=0.05)
    share = sum(order.fault is not None for order in orders) / len(orders)
    assert 0.035 < share < 0.065
    assert {order.fault for order in orders} == {None, *shop.FAULTS}
    assert {order.noise for order in orders} == {None, *shop.NOISES}


def test_without_faults_there_is_no_noise_either() -> None:
    orders = _orders(500, faults=0.0)
    assert all(o.fault is None and o.noise is None for o in orders)
    assert all(o.truth == shop.Truth() for o in orders)


def test_a_duplicate_repeats_an_event_to_the_byte() -> None:
    twice = [order for order in _orders(500) if order.noise == "duplicate"]
    assert twice
    for order in twice:
        (again,) = (d for d in order.deliveries if d.again)
        assert sum(d.body == again.body for d in order.deliveries) == 2


def _judged(orders: list[shop.Order], order: offline.Order) -> dict[str, list[verdicts.Verdict]]:
    """The verdicts of the shipped contract on all that is delivered, by key, oldest first."""
    bodies = [delivery.body for delivery in _delivered(orders)]
    told: list[verdicts.Verdict] = []
    refused: list[lines.Reject] = []
    offline.run(
        contract.parse(drive.contract_text()),
        [lines.Chunk(source="shop", numbers=range(1, len(bodies) + 1), lines=bodies)],
        order=order,
        on_verdict=told.extend,
        on_reject=refused.append,
        open_scratch=io.BytesIO,
    )
    assert refused == []
    found: dict[str, list[verdicts.Verdict]] = collections.defaultdict(list)
    for verdict in sorted(told, key=lambda verdict: verdict.revision):
        found[verdict.key].append(verdict)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_contract_says_of_every_order_what_the_shop_knows(seed: int) -> None:
    orders = _orders(500, seed=seed)
    found = _judged(orders, "arrival")
    # Files have no clock: time stands still after the last order.
    settled = [order for order in orders if order.settled_at < orders[-1].placed_at]
    assert len(settled) > 200
    wrong = {
        order.key: reason
        for order in settled
        if (reason := score.difference(order.truth, found[order.key])) is not None
    }
    assert wrong == {}


def test_put_in_order_of_time_the_last_verdicts_are_the_same() -> None:
    orders = _orders(500)
    found = _judged(orders, "event")
    for order in orders:
        truth = msgspec.structs.replace(order.truth, healed=False)
        assert score.difference(truth, found[order.key]) is None, order.key


def test_the_example_is_the_contract_that_ships() -> None:
    example = ROOT / "examples/order-fulfilment.yaml"
    assert example.read_text(encoding="utf-8") == drive.contract_text()
