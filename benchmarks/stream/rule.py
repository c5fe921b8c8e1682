"""What one evaluation of a rule costs on decoded legs.

    python benchmarks/stream/rule.py [--quick]

The payloads are decoded into the contract's own types, with exact decimals; `evaluate` is what the
engine calls. The figure is that of the first rule, in CPU time of this thread; the others are for
orientation.
"""

import argparse
import decimal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import measure  # noqa: E402

from helios.reconcile.streams import contract, program  # noqa: E402
from helios.reconcile.streams.cel import values  # noqa: E402

RULES = (
    "abs(order.amount - payment.amount) <= 0.01",
    "order.amount == payment.amount",
    "order.currency == payment.currency && payment.status in ['AUTHORIZED', 'CAPTURED']",
    "sum(order.items.map(i, i.price * i.qty)) == payment.amount",
)
FIGURE_US = 2.0
ORDER = b'{"orderId":"ORD-1","amount":1250.50,"currency":"USD","items":[{"price":250.10,"qty":5}]}'
PAYMENT = b'{"orderId":"ORD-1","amount":1250.50,"currency":"USD","status":"AUTHORIZED"}'
CONTRACT = """
apiVersion: helios.io/v1
kind: StreamContract
metadata: {{name: rule}}
spec:
  key: payload.orderId
  legs: {{order: {{type: OrderPlaced}}, payment: {{type: PaymentProcessed}}}}
  rules: [{{name: rule, check: "{check}"}}]
"""


def prepared(check: str) -> tuple[Any, list[Any]]:
    """The rule's `evaluate` and the decoded payloads it reads."""
    declared = contract.parse(CONTRACT.format(check=check))
    compiled = program.Program(declared)
    decoder = msgspec.json.Decoder(compiled.payload, float_hook=decimal.Decimal)
    payloads = [decoder.decode(text) for text in (ORDER, PAYMENT)]
    rule = compiled.rules[0]
    return rule.compiled.evaluate, [payloads[leg] for leg in rule.legs]


def cost_us(check: str, count: int) -> float:
    """Microseconds of CPU of one evaluation, the loop's own cost taken off."""
    evaluate, objects = prepared(check)
    assert evaluate(*objects) is True, check
    begin = time.thread_time()
    for _ in range(count):
        evaluate(*objects)
    middle = time.thread_time()
    for _ in range(count):
        pass
    return (middle - begin - (time.thread_time() - middle)) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer evaluations")
    options = parser.parse_args()
    decimal.setcontext(values.CONTEXT)
    count = 20_000 if options.quick else 300_000
    print(measure.machine() + "\n")
    costs = {rule: statistics.median(cost_us(rule, count) for _ in range(5)) for rule in RULES}
    rows = [(f"`{rule}`", f"{cost:.2f}") for rule, cost in costs.items()]
    print(measure.table(("rule", "CPU us"), rows))
    figure = measure.verdict("one evaluation, us", costs[RULES[0]], FIGURE_US, at_most=True)
    print("\n" + measure.table(("figure", "measured", "must", ""), [figure]))
    sys.exit(figure[-1] == "MISSED" and not options.quick)


if __name__ == "__main__":
    main()
