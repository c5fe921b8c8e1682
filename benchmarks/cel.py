"""What one evaluation of a rule costs, and what the packages for CEL take for the same.

Run `python benchmarks/cel.py`. Each rule is evaluated over the same objects by the compiled
function through `Compiled.evaluate`, by the reference evaluation, and by cel-python (extension
functions added to it, objects converted beforehand, the program prepared once). Printed is the
best of five repeats in nanoseconds; the answers are compared first.
"""

import decimal
import functools
import timeit
from collections.abc import Callable
from typing import Any

import celpy
import msgspec
from celpy import adapter, celtypes

from helios.reconcile.streams.cel import compile as cel
from helios.reconcile.streams.cel import interpret, shape, values

VARIABLES = {
    "a": cel.VarKind.ONE,
    "b": cel.VarKind.ONE,
    "event": cel.VarKind.ONE,
    "order": cel.VarKind.ONE,
    "payment": cel.VarKind.MANY,
    "inventory": cel.VarKind.MANY,
}
OBJECTS = b"""{
  "a": {"amount": 24.25}, "b": {"amount": 24.25},
  "event": {"payload": {"status": "CAPTURED", "method": "boleto"}},
  "order": {"items": [{"price": 10.50, "qty": 2}, {"price": 3.25, "qty": 1}]},
  "payment": [{"amount": 20.00}, {"amount": 4.25}],
  "inventory": [{"items": [{"qty": 2}]}, {"items": [{"qty": 1}]}]
}"""
RULES = (
    "abs(a.amount - b.amount) <= 0.01",
    "abs(sum(payment.map(p, p.amount)) - sum(order.items.map(i, i.price * i.qty))) <= 0.01",
    "sum(inventory.map(r, sum(r.items.map(i, i.qty)))) == sum(order.items.map(i, i.qty))",
    "event.payload.status in ['AUTHORIZED', 'CAPTURED']",
    "event.payload.method == 'boleto'",
    "payment.all(p, p.amount > 0.0) && size(payment) <= 12",
    "event.payload.status.matches('^(AUTHORIZED|CAPTURED)$')",
)


def prefixed(name: str) -> str:
    return f"f_{name}"


def decoded(value: Any, form: shape.Shape) -> Any:
    """The value as a typed decoder gives it."""
    if form.use is shape.Use.STRUCT:
        fields = {
            prefixed(n): decoded(value[n], below) for n, below in form.fields.items() if n in value
        }
        described = [(prefixed(name), Any, msgspec.UNSET) for name in form.fields]
        return msgspec.defstruct("Decoded", described)(**fields)
    if form.use is shape.Use.LIST:
        return [decoded(element, form.items or shape.ANY) for element in value]
    return value


def nanoseconds(call: Callable[[], Any]) -> float:
    timer = timeit.Timer(call)
    number, _ = timer.autorange(lambda *_: None)
    return min(timer.repeat(5, max(1, number // 4))) / max(1, number // 4) * 1e9


def total(numbers: Any) -> Any:
    return functools.reduce(lambda x, y: x + y, numbers) if numbers else celtypes.IntType(0)


def absolute(number: Any) -> Any:
    return -number if number < type(number)(0) else number


def main() -> None:
    decimal.setcontext(values.CONTEXT)
    plain = msgspec.json.decode(OBJECTS)
    exact = msgspec.json.Decoder(float_hook=decimal.Decimal).decode(OBJECTS)
    environment = celpy.Environment()
    theirs = {name: adapter.json_to_cel(value) for name, value in plain.items()}
    print(f"{'compiled':>9} {'reference':>10} {'cel-python':>11}  ns per evaluation of")
    for rule in RULES:
        compiled = cel.compile(rule, VARIABLES, attribute=prefixed)
        objects = [decoded(exact[n], compiled.shape[n]) for n in compiled.variables]
        node = cel.analyse(rule, VARIABLES).node
        named = dict(zip(compiled.variables, objects, strict=True))
        program = environment.program(
            environment.compile(rule), functions={"sum": total, "abs": absolute}
        )
        assert compiled.function(*objects) is True
        assert bool(program.evaluate(theirs)) is True
        figures = (
            nanoseconds(functools.partial(compiled.evaluate, *objects)),
            nanoseconds(functools.partial(interpret.evaluate, node, named, prefixed)),
            nanoseconds(functools.partial(program.evaluate, theirs)),
        )
        print(f"{figures[0]:9.0f} {figures[1]:10.0f} {figures[2]:11.0f}  {rule}")


if __name__ == "__main__":
    main()
