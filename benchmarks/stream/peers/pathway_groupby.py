"""Pathway: read the file, group by order, reduce. Its batch mode, the fastest of its forms."""

import json
import sys
import time
from pathlib import Path

import pathway as pw


class Event(pw.Schema):
    event_type: str
    order_id: str
    amount: float = pw.column_definition(default_value=0.0)


def verdict(kinds: tuple, ordered: float, paid: float) -> str:
    if "PaymentProcessed" not in kinds:
        return "partial:payment"
    if "InventoryReserved" not in kinds:
        return "partial:inventory"
    return "mismatched:amount" if abs(ordered - paid) > 0.01 else "matched"


def main() -> None:
    source, answers = sys.argv[1], Path(sys.argv[2])
    begin = time.perf_counter()
    events = pw.io.jsonlines.read(
        source,
        schema=Event,
        mode="static",
        json_field_paths={"order_id": "/payload/orderId", "amount": "/payload/amount"},
    )
    events = events.select(
        *pw.this.without("amount"),
        ordered=pw.if_else(pw.this.event_type == "OrderPlaced", pw.this.amount, 0.0),
        paid=pw.if_else(pw.this.event_type == "PaymentProcessed", pw.this.amount, 0.0),
    )
    orders = events.groupby(pw.this.order_id).reduce(
        pw.this.order_id,
        kinds=pw.reducers.sorted_tuple(pw.this.event_type),
        ordered=pw.reducers.max(pw.this.ordered),
        paid=pw.reducers.max(pw.this.paid),
    )
    result = orders.select(
        pw.this.order_id,
        verdict=pw.apply(verdict, pw.this.kinds, pw.this.ordered, pw.this.paid),
    )
    raw = answers.with_suffix(".raw")
    pw.io.csv.write(result, str(raw))
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    seconds = time.perf_counter() - begin
    with raw.open() as rows, answers.open("w") as sink:
        next(rows)
        for row in rows:
            key, answer, *_ = row.replace('"', "").rstrip("\n").split(",")
            sink.write(f"{key},{answer}\n")
    with Path(source).open("rb") as lines:
        count = sum(1 for _ in lines)
    print(json.dumps({"events": count, "seconds": seconds}))


if __name__ == "__main__":
    main()
