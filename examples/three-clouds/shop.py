"""A shop that sells so many lamps at once, and tells three clouds: python shop.py 300"""

import random
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from clouds import Clouds, Event

PRICE = 2400


def sold(number: int, rng: random.Random) -> list[Event]:
    """What happens to one order: it is placed, reserved, paid and shipped."""
    pieces = rng.randint(1, 3)
    order = {"id": str(number), "code": f"ORDER-{number}"}
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"quantity": pieces, "linePriceWithTax": pieces * PRICE}
    placed = {**order, "totalWithTax": pieces * PRICE, "lines": [line]}
    payment = {"id": str(number), "amount": pieces * PRICE, "state": "Settled"}

    def event(kind: str, **data: Any) -> Event:
        return {"id": f"{kind}:{number}", "event": kind, "time": time, "data": data}

    return [
        event("order.placed", order=placed),
        event("stock.allocation", order=order, movement={"quantity": pieces}),
        event("payment.state", order=order, payment=payment, toState="Settled"),
        event("stock.sale", order=order, movement={"quantity": -pieces}),
    ]


def main(count: int) -> None:
    """Sell; the clouds are told at the same time, and each in an order of its own."""
    rng = random.Random(1)
    events = [event for number in range(1, count + 1) for event in sold(number, rng)]
    clouds = Clouds()

    def tell(kind: str) -> int:
        chosen = [event for event in events if event["event"].startswith(kind)]
        random.Random(kind).shuffle(chosen)
        return publish(clouds, chosen)

    with ThreadPoolExecutor(3) as threads:
        told = sum(threads.map(tell, ("order", "payment", "stock")))
    clouds.close()
    print(f"{count} orders, {told} events published")


def publish(clouds: Clouds, events: Sequence[Event]) -> int:
    """Publish one after the other; how many they were."""
    for event in events:
        clouds.publish(event)
    return len(events)


if __name__ == "__main__":
    main(int(sys.argv[1]))
