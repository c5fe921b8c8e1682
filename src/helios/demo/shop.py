"""The shop: orders as they would come, some with a fault, and what must be said of each. Pure.

Three clouds each tell a part of an order: it was placed, it was paid (in parts, perhaps, or after
an attempt that was declined), its articles were reserved (in several parcels, perhaps). A fault is
something a contract must find. Noise is something it must bear: a duplicate, events in the wrong
order, a declined attempt.

The same seed, beginning and rates give the same orders, to the byte. What must be said of an order
(its `Truth`) is written down when it is made, by the one who knows: the judge is not asked.
"""

import heapq
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from helios.demo import goods
from helios.kernel import clock as clocks

CONTRACT = "order-fulfilment"
CLIENT = "acme-corp"

Fault: TypeAlias = Literal[
    "missing payment",
    "missing stock",
    "late payment",
    "wrong amount",
    "second charge",
    "short stock",
]
FAULTS: tuple[Fault, ...] = (
    "missing payment",
    "missing stock",
    "late payment",
    "wrong amount",
    "second charge",
    "short stock",
)
Noise: TypeAlias = Literal["duplicate", "disorder", "declined attempt"]
NOISES: tuple[Noise, ...] = ("duplicate", "disorder", "declined attempt")

LATE_S = (6.8, 8.0)
"""When a late payment arrives, after its order: the window of three seconds and its grace of one
are over, and the clock has had time to say so."""

SETTLED_S = 7.0
"""After its order: by then every verdict that waits for the end of a window has been given."""

_AFTER_LAST_S = 1.0
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way.

    Attributes:
        at: when it arrives.
        source: the cloud it comes from.
        body: the event, in the form of `POST /api/v1/events/ingest`.
        again: it has been delivered before.
    """

    at: clocks.Timestamp
    source: str
    body: bytes
    again: bool = False


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What must be said of an order once all its events are in.

    Attributes:
        status: of the final verdict.
        missing: legs that never come.
        errors: rules that fail, with what they expect and what they find.
        healed: a verdict of `partial` must have come first.
    """

    status: Literal["matched", "mismatched", "partial"] = "matched"
    missing: tuple[str, ...] = ()
    errors: dict[str, tuple[Decimal, Decimal]] = {}
    healed: bool = False


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order, all that will be told of it, and the truth.

    Attributes:
        settled_at: when the final verdict must have been given.
    """

    key: str
    placed_at: clocks.Timestamp
    fault: Fault | None
    noise: Noise | None
    deliveries: Sequence[Delivery]
    truth: Truth
    settled_at: clocks.Timestamp


def orders(
    rng: random.Random,
    *,
    start: clocks.Timestamp,
    rate: float,
    faults: float,
    first: int = 1001,
) -> Iterator[Order]:
    """Orders without end, in the order in which they are placed.

    Args:
        rng: decides everything that varies.
        start: when the shop opens.
        rate: orders a second, on average.
        faults: share of orders with a fault, and again as many with noise; 0 to 0.5.
        first: number of the first order.
    """
    at = float(start)
    number = first
    while True:
        at += rng.expovariate(rate) * clocks.SECOND_US
        kind = rng.random()
        fault = rng.choice(FAULTS) if kind < faults else None
        noise = rng.choice(NOISES) if faults <= kind < 2 * faults else None
        yield _Writer(rng, f"ORD-{number}", clocks.Timestamp(int(at)), fault, noise).order()
        number += 1


def deliveries(placed: Iterator[Order]) -> Iterator[Delivery | Order]:
    """What arrives, in order of arrival; an order itself comes before its first event."""
    waiting: list[tuple[clocks.Timestamp, int, Delivery]] = []
    count = 0
    for order in placed:
        while waiting and waiting[0][0] <= order.placed_at:
            yield heapq.heappop(waiting)[2]
        yield order
        for delivery in order.deliveries:
            count += 1
            heapq.heappush(waiting, (delivery.at, count, delivery))
    while waiting:
        yield heapq.heappop(waiting)[2]


class _Writer:
    """Writes one order."""

    def __init__(
        self,
        rng: random.Random,
        key: str,
        placed_at: clocks.Timestamp,
        fault: Fault | None,
        noise: Noise | None,
    ) -> None:
        self._rng = rng
        self._key = key
        self._placed = placed_at
        self._fault = fault
        self._noise = noise
        self._sent: list[Delivery] = []
        picked = rng.sample(goods.PRODUCTS, rng.choice((1, 1, 2, 2, 3, 4)))
        self._items = [(product, rng.choice((1, 1, 1, 2, 3))) for product in picked]
        self._total = sum((p.price * qty for p, qty in self._items), Decimal(0))
        # A fault is told at the same moment for all, so none is paid by the slow way.
        self._method = rng.choice(goods.METHODS) if fault is None else "card"

    def order(self) -> Order:
        self._place()
        truth = self._pay(self._reserve(Truth()))
        self._disturb()
        last = max(delivery.at for delivery in self._sent)
        settled = max(self._after(SETTLED_S), last + int(_AFTER_LAST_S * clocks.SECOND_US))
        return Order(
            key=self._key,
            placed_at=self._placed,
            fault=self._fault,
            noise=self._noise,
            deliveries=tuple(self._sent),
            truth=truth,
            settled_at=clocks.Timestamp(settled),
        )

    def _place(self) -> None:
        customer = self._rng.choice(goods.CUSTOMERS)
        items = [{"sku": p.sku, "name": p.name, "price": p.price, "qty": q} for p, q in self._items]
        self._tell(
            "aws",
            "OrderPlaced",
            "order",
            0.0,
            {"customer": customer, "currency": "EUR", "method": self._method, "items": items},
        )

    def _reserve(self, truth: Truth) -> Truth:
        """The reservation, in one parcel or two."""
        if self._fault == "missing stock":
            return msgspec.structs.replace(truth, status="partial", missing=("inventory",))
        reserved = [(product.sku, qty) for product, qty in self._items]
        count = sum(qty for _, qty in reserved)
        if self._fault == "short stock":
            sku, qty = reserved[0]
            reserved[0] = (sku, qty - 1)
            sides = {"quantity_mismatch": (Decimal(count), Decimal(count - 1))}
            truth = msgspec.structs.replace(truth, status="mismatched", errors=sides)
        cut = self._rng.randrange(1, len(reserved)) if len(reserved) > 1 else 1
        parcels = [reserved[:cut], reserved[cut:]]
        if self._rng.random() < 0.6:
            parcels = [reserved, []]
        for number, parcel in enumerate(filter(None, parcels), 1):
            self._tell(
                "azure",
                "InventoryReserved",
                f"stock-{number}",
                self._rng.uniform(0.2, 1.2),
                {
                    "reservationId": f"RES-{self._key[4:]}-{number}",
                    "warehouse": self._rng.choice(goods.WAREHOUSES),
                    "items": [{"sku": sku, "qty": qty} for sku, qty in parcel],
                },
            )
        return truth

    def _pay(self, truth: Truth) -> Truth:
        """The payment, in one part or two."""
        at = (
            self._rng.uniform(3.2, 4.8) if self._method == "boleto" else self._rng.uniform(0.3, 1.4)
        )
        if self._fault == "missing payment":
            return msgspec.structs.replace(truth, status="partial", missing=("payment",))
        if self._fault == "late payment":
            self._charge(1, at, self._total, arrives_s=self._rng.uniform(*LATE_S))
            return msgspec.structs.replace(truth, healed=True)
        if self._fault == "wrong amount":
            off = Decimal(self._rng.choice(("-10.00", "-1.00", "0.90", "5.00", "-0.02")))
            paid = self._total + off if self._total + off > 0 else self._total + 1
            self._charge(1, at, paid)
            return _mispaid(truth, self._total, paid)
        if self._fault == "second charge":
            self._charge(1, at, self._total)
            self._charge(2, at + self._rng.uniform(0.3, 0.8), self._total)
            return _mispaid(truth, self._total, self._total * 2)
        if self._noise == "declined attempt":
            self._charge(0, at - 0.2, self._total, status="DECLINED")
        if self._rng.random() < 0.2:
            part = (self._total * self._rng.choice((Decimal("0.5"), Decimal("0.3")))).quantize(
                Decimal("0.01")
            )
            self._charge(1, at, part)
            self._charge(2, at + self._rng.uniform(0.1, 0.5), self._total - part)
        else:
            self._charge(1, at, self._total)
        return truth

    def _charge(
        self,
        number: int,
        occurs_s: float,
        amount: Decimal,
        *,
        status: str = "CAPTURED",
        arrives_s: float | None = None,
    ) -> None:
        payload = {
            "paymentId": f"PAY-{self._key[4:]}-{number}",
            "amount": amount,
            "method": self._method,
            "status": status,
        }
        name = f"payment-{number}"
        self._tell("gcp", "PaymentProcessed", name, occurs_s, payload, arrives_s=arrives_s)

    def _disturb(self) -> None:
        """The noise that is a matter of delivery."""
        if self._noise == "duplicate":
            twice = self._rng.choice(self._sent)
            later = clocks.Timestamp(twice.at + self._micros(self._rng.uniform(0.1, 1.0)))
            self._sent.append(msgspec.structs.replace(twice, at=later, again=True))
        elif self._noise == "disorder":
            placed, *others = self._sent
            last = max((d.at for d in others if d.at < self._after(2.5)), default=placed.at)
            after = clocks.Timestamp(last + self._micros(0.1))
            self._sent[0] = msgspec.structs.replace(placed, at=after)

    def _tell(
        self,
        source: str,
        event_type: str,
        name: str,
        occurs_s: float,
        payload: dict[str, object],
        *,
        arrives_s: float | None = None,
    ) -> None:
        if arrives_s is None:
            arrives_s = occurs_s + self._rng.uniform(0.02, 0.25)
        event = {
            "id": f"{self._key}-{name}",
            "source": source,
            "eventType": event_type,
            "occurred_at": clocks.to_rfc3339(self._after(occurs_s)),
            "client_id": CLIENT,
            "aggregate": {"type": "order", "id": self._key},
            "correlation_id": self._key,
            "payload": {"orderId": self._key, **payload},
        }
        self._sent.append(Delivery(at=self._after(arrives_s), source=source, body=_encode(event)))

    def _after(self, seconds: float) -> clocks.Timestamp:
        return clocks.Timestamp(self._placed + self._micros(seconds))

    def _micros(self, seconds: float) -> int:
        return int(seconds * clocks.SECOND_US)


def _mispaid(truth: Truth, expected: Decimal, actual: Decimal) -> Truth:
    errors = {**truth.errors, "amount_mismatch": (expected, actual)}
    return msgspec.structs.replace(truth, status="mismatched", errors=errors)
