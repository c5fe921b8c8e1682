"""Bytewax: a dataflow keyed by order with a stateful logic of our own.

Its window operators compare event time with the machine's clock and give wrong verdicts when a
replay is slower than event time; the stateful logic is the form in which its answers are right.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
import msgspec
from bytewax.connectors.files import FileSink, FileSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulLogic
from bytewax.testing import run_main

LEGS = ("OrderPlaced", "PaymentProcessed", "InventoryReserved")
PARTIAL = {"PaymentProcessed": "partial:payment", "InventoryReserved": "partial:inventory"}
WINDOW = timedelta(seconds=35)


class Payload(msgspec.Struct, gc=False):
    orderId: str  # noqa: N815 - the name on the wire
    amount: float = 0.0


class Event(msgspec.Struct, gc=False):
    event_type: str
    timestamp: str
    payload: Payload


@dataclass
class OrderLogic(StatefulLogic):
    """Waits for the three events of an order, at most a window long."""

    closes: datetime
    amounts: dict[str, float] = field(default_factory=dict)

    def on_item(self, event: Event):
        if event.event_type in self.amounts:
            return [], StatefulLogic.RETAIN
        self.amounts[event.event_type] = event.payload.amount
        if len(self.amounts) < len(LEGS):
            return [], StatefulLogic.RETAIN
        differs = abs(self.amounts["OrderPlaced"] - self.amounts["PaymentProcessed"]) > 0.01
        return ["mismatched:amount" if differs else "matched"], StatefulLogic.RETAIN

    def _close(self):
        missing = [PARTIAL[leg] for leg in LEGS if leg not in self.amounts]
        return missing[:1], StatefulLogic.DISCARD

    def on_notify(self):
        return self._close()

    def on_eof(self):
        return self._close()

    def notify_at(self):
        return self.closes

    def snapshot(self):
        return self.closes, dict(self.amounts)


def build(state: tuple | None) -> OrderLogic:
    if state is not None:
        return OrderLogic(*state)
    return OrderLogic(datetime.now(UTC) + WINDOW)


def main() -> None:
    source, answers = Path(sys.argv[1]), Path(sys.argv[2])
    decoder = msgspec.json.Decoder(Event)
    count = [0]

    def decode(line: str) -> tuple[str, Event]:
        count[0] += 1
        event = decoder.decode(line)
        return event.payload.orderId, event

    flow = Dataflow("orders")
    lines = op.input("lines", flow, FileSource(source))
    events = op.map("decode", lines, decode)
    verdicts = op.stateful("match", events, build)
    rows = op.map("row", verdicts, lambda kv: (kv[0], f"{kv[0]},{kv[1]}"))
    op.output("answers", rows, FileSink(answers))
    begin = time.perf_counter()
    run_main(flow)
    print(json.dumps({"events": count[0], "seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    main()
