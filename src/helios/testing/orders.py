"""Orders and payments under contracts, and what the verdicts on them must be.

Each order is of one of four kinds: paid, paid with a wrong amount, never paid, or paid without an
order. Two contracts judge them. `patient` has windows longer than any world: its verdict on a key
is final, so there is exactly one. `hasty` closes its windows after seconds, so its verdicts are
superseded by late events; the last one must be what `patient` says all the same, because a key is
judged anew with everything that came before.

The oracle knows only what was sent. It does not know in which order it arrived, how often, or how
often the node died meanwhile: none of that may matter.
"""

import collections
import hashlib
import itertools
import random
from collections.abc import Mapping, Sequence

import msgspec

from helios.eventlog import envelope, ports
from helios.kernel import clock
from helios.projections.views import contracts
from helios.reconcile.streams import verdicts
from helios.testing import invariants, simports

PATIENT, HASTY = "patient", "hasty"

_YAML = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {{name: {name}}}
spec:
  key: payload.orderId
  window: {{type: per_key, size: {size}, grace: {grace}}}
  legs:
    order: {{source: shop, type: OrderPlaced}}
    payment: {{source: bank, type: OrderPaid}}
  rules:
    - {{name: amount, check: "payment.amount == order.amount"}}
"""

_WINDOWS = {PATIENT: ("30d", "1d"), HASTY: ("2s", "1s")}


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one key, and how it must be judged once both sides are in."""

    key: str
    events: Sequence[envelope.NewEvent]
    status: verdicts.Status | None
    """None: one side never comes, so `patient` has no verdict yet."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the view of verdicts shows.

    Attributes:
        latest: verdicts that nothing supersedes.
        history: all verdicts of each (contract, key), oldest first.
        totals: how many verdicts of each status the view says there are.
    """

    latest: Sequence[verdicts.Verdict]
    history: Mapping[tuple[str, str], Sequence[verdicts.Verdict]]
    totals: Mapping[str, int]


def declarations() -> ports.AppendRequest:
    """Declare both contracts."""
    return ports.AppendRequest(events=[_declaration(name) for name in _WINDOWS])


def _declaration(name: str) -> envelope.NewEvent:
    size, grace = _WINDOWS[name]
    text = _YAML.format(name=name, size=size, grace=grace)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return envelope.NewEvent(
        id=f"declare-{name}",
        source=contracts.SOURCE,
        type=contracts.DECLARED,
        occurred_at=simports.EPOCH,
        aggregate_type=contracts.AGGREGATE_TYPE,
        aggregate_id=name,
        payload=msgspec.json.encode({"name": name, "yaml": text, "hash": digest}),
    )


def draw(count: int, rng: random.Random) -> list[Order]:
    """That many orders of all kinds."""
    return [_order(f"order-{number}", number, rng) for number in range(count)]


def _order(key: str, number: int, rng: random.Random) -> Order:
    amount = rng.randint(1, 10_000)
    ordered = _event("shop", "OrderPlaced", key, amount, number + rng.uniform(0, 3))
    kind = rng.random()
    if kind < 0.15:
        return Order(key=key, events=[ordered], status=None)
    wrong = kind > 0.75
    paid = _event("bank", "OrderPaid", key, amount + wrong, number + rng.uniform(0, 9))
    if kind < 0.25:
        return Order(key=key, events=[paid], status=None)
    return Order(key=key, events=[ordered, paid], status="mismatched" if wrong else "matched")


def _event(source: str, kind: str, key: str, cents: int, at_s: float) -> envelope.NewEvent:
    return envelope.NewEvent(
        id=f"{kind}-{key}",
        source=source,
        type=kind,
        occurred_at=clock.Timestamp(simports.EPOCH + int(at_s * clock.SECOND_US)),
        aggregate_type="order",
        aggregate_id=key,
        payload=b'{"orderId":"%s","amount":%d.%02d}' % (key.encode(), cents // 100, cents % 100),
    )


def check(orders: Sequence[Order], shown: Shown) -> None:
    """The invariants of contracts.

    Raises:
        Violation: no_lost_no_double_verdict, verdict_equals_oracle.
    """
    no_lost_no_double_verdict(shown)
    verdict_equals_oracle(orders, shown)


def verdict_equals_oracle(orders: Sequence[Order], shown: Shown) -> None:
    """What nothing supersedes is what must be said of the events that were sent."""
    said = {(v.contract, v.key): v for v in shown.latest}
    for order in orders:
        ids = sorted(event.id for event in order.events)
        for contract in _WINDOWS:
            verdict = said.get((contract, order.key))
            status = verdict.status if verdict is not None else None
            allowed = {order.status}
            if order.status is None:
                allowed = {None, "pending"} if contract == PATIENT else {None, "pending", "partial"}
            if status not in allowed:
                raise invariants.Violation(
                    "verdict_equals_oracle", f"{contract} {order.key}: {status}, not {allowed}"
                )
            if verdict is not None and sorted(itertools.chain(*verdict.events.values())) != ids:
                raise invariants.Violation(
                    "verdict_equals_oracle", f"{contract} {order.key}: {verdict.events}, not {ids}"
                )


def no_lost_no_double_verdict(shown: Shown) -> None:
    """Revisions go 1, 2, 3 …; only the last is not superseded; the totals count the last ones."""
    counted: collections.Counter[str] = collections.Counter()
    for (contract, key), history in shown.history.items():
        revisions = [verdict.revision for verdict in history]
        superseded = [verdict.superseded_by is not None for verdict in history]
        wanted = list(range(1, len(history) + 1))
        if revisions != wanted or superseded != [n < len(history) for n in wanted]:
            raise invariants.Violation(
                "no_lost_no_double_verdict", f"{contract} {key}: {revisions}, {superseded}"
            )
        if contract == PATIENT and len(history) > 1:
            raise invariants.Violation("no_lost_no_double_verdict", f"{contract} {key}: {history}")
        counted.update(verdict.status for verdict in history[-1:])
    totals = {status: count for status, count in shown.totals.items() if count}
    if totals != dict(counted):
        raise invariants.Violation(
            "no_lost_no_double_verdict", f"totals {totals}, verdicts {dict(counted)}"
        )
