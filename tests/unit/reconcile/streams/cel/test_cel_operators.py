"""Every construct over every pair of kinds of values: the generated code and the reference."""

import decimal
from typing import Any

import msgspec
import pytest

from helios.reconcile.streams.cel import compile as cel
from helios.reconcile.streams.cel import interpret, shape, values

D = decimal.Decimal


class Box(msgspec.Struct):
    x: Any = msgspec.UNSET


VALUES: list[Any] = [
    msgspec.UNSET,
    None,
    True,
    False,
    0,
    1,
    -7,
    10**30,
    D("0.0"),
    D("1.0"),
    D("2.50"),
    "",
    "a",
    "1",
    [],
    [1],
    [True],
    [D("1.0"), 2],
    ["a", None],
    {},
    {"x": 1},
    {"a": "a", "1": [1]},
]

BINARY = [
    *(f"a.x {op} b.x" for op in ("+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=")),
    *(f"(a.x + 0) {op} b.x" for op in ("+", "-", "*", "/", "==", "!=", "<", ">=")),
    *(f"(a.x - b.x) {op} 1" for op in ("+", "-", "*", "==", "!=", "<", ">=")),
    *(f"(a.x * b.x) {op} b.x" for op in ("+", "-", "*", "==", "<")),
    *(f"(a.x + b.x) {op} b.x" for op in ("+", "-", "*", "==", "<")),
    "(a.x > 0) == b.x",
    "(a.x > 0) != b.x",
    "(a.x > 0) < b.x",
    "a.x in b.x",
    "a.x in [b.x, 1, 'a', true]",
    "a.x && b.x",
    "a.x || b.x",
    "a.x && b.x > 0",
    "a.x > 0 || b.x == 1",
    "a.x > 0 && b.x - a.x > 0",
    "a.x ? b.x : 1",
    "a.x == 1 ? b.x - 1 : b.x * 2",
    "(a.x == 1 ? a.x : b.x) * 2",
    "(a.x == 1 ? true : b.x) == 1",
    "(a.x == 1 ? 1 : b.x == 1) == 1",
    "a.x[b.x]",
    "[a.x, b.x]",
    "[a.x, b.x] == [1, 1]",
    "{'k': a.x, b.x: 1}",
    "{'k': a.x}.k == b.x",
    "min(a.x, b.x)",
    "max([a.x, b.x])",
    "sum([a.x, b.x])",
    "abs(a.x - b.x) <= 1.5",
    "a.x.startsWith(b.x)",
    "a.x.endsWith(b.x)",
    "a.x.contains(b.x)",
    "a.x.matches(b.x)",
    "[a.x, b.x].map(v, v)",
    "[a.x, b.x].map(v, v == 1, v)",
    "[a.x, b.x].filter(v, v)",
    "[a.x, b.x].all(v, v > 0)",
    "[a.x, b.x].exists(v, v == 1)",
    "[a.x, b.x].exists(v, v)",
    "[a.x, b.x].all(v, v)",
    "[a.x, b.x].exists_one(v, v)",
    "sum([a.x, b.x].map(v, v))",
    "size([a.x, b.x].filter(v, v == 1))",
    "dyn(a.x) == dyn(b.x)",
]
UNARY = [
    "a.x",
    "-a.x",
    "!a.x",
    "abs(a.x)",
    "sum(a.x)",
    "count(a.x)",
    "size(a.x)",
    "min(a.x)",
    "max(a.x)",
    "int(a.x)",
    "double(a.x)",
    "string(a.x)",
    "bool(a.x)",
    "timestamp(a.x)",
    "duration(a.x)",
    "has(a.x)",
    "has(a.x.x)",
    "a.x.x",
    "a.x.count",
    "a.x.real == 1",
    "has(a.x.items)",
    "a.x['a'] == 'a'",
    "a.x[0]",
    *(f"a.x {op} {c}" for op in ("==", "!=") for c in ("1", "0", "2.5", "'a'", "true", "null")),
    *(f"{c} == a.x" for c in ("1", "1.0", "'a'", "false", "null", "[1]", "{'x': 1.0}")),
    *(f"a.x {op} {c}" for op in ("<", ">=") for c in ("1", "0.5", "'a'", "true")),
    *(f"{c} < a.x" for c in ("1", "0.5", "'a'", "true")),
    *(f"{c} {op} a.x" for op in ("+", "-", "*", "/", "%") for c in ("2", "2.5")),
    "'a' + a.x",
    "[1] + a.x",
    "a.x in ['a', 'b']",
    "a.x in ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', '1']",
    "a.x in [1, 2]",
    "a.x in []",
    "1 in a.x",
    "'a' in a.x",
    "a.x.contains('a')",
    "a.x.startsWith('a')",
    "a.x.matches('^a')",
    "a.x.map(v, v)",
    "a.x.map(v, v.x)",
    "a.x.filter(v, v == 1)",
    "a.x.all(v, v == 1)",
    "a.x.exists(v, v > 1)",
    "a.x.exists_one(v, v == 1)",
    "sum(a.x.map(v, v * 2))",
    "count(a.x.filter(v, v > 0))",
    "size(a.x.map(v, v == 1, v))",
    "a.x ? 1 : 2",
    "(a.x == 1) == 1",
    "(a.x == 1) == null",
    "1 == null",
    "'a' != null",
    "a.x.getHours() == 1",
]


@pytest.fixture(autouse=True)
def _exact_decimals() -> Any:
    with decimal.localcontext():
        decimal.setcontext(values.CONTEXT)
        yield


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _check(compiled: cel.Compiled, reference: Any, objects: tuple[Any, ...]) -> None:
    """Without a value of the generated function the reference's is taken: nothing to compare."""
    try:
        quick = compiled.function(*objects)
    except Exception:  # noqa: BLE001 - it may give up in any way
        return
    try:
        expected = reference(*objects)
    except values.EvalError as error:
        pytest.fail(f"{compiled.text} {objects}: {quick!r}, the reference says: {error}")
    assert _same(quick, expected), f"{compiled.text} {objects}: {quick!r}, not {expected!r}"


@pytest.mark.parametrize("opaque", [False, True], ids=["structs", "dicts"])
@pytest.mark.parametrize("text", [*BINARY, *UNARY])
def test_generated_code_never_gives_another_value_than_the_reference(
    text: str, *, opaque: bool
) -> None:
    analysed = cel.analyse(text, {"a": cel.VarKind.ONE, "b": cel.VarKind.ONE})
    shapes = dict.fromkeys(analysed.shape, shape.ANY) if opaque else analysed.shape
    compiled = analysed.bind(shapes)
    assert compiled.source

    def reference(*objects: Any) -> Any:
        named = dict(zip(analysed.variables, objects, strict=True))
        return interpret.evaluate(analysed.node, named, str)

    boxes = [Box(value) for value in VALUES]
    if opaque:
        boxes = [{"x": v} if v is not msgspec.UNSET else {} for v in VALUES]  # type: ignore[misc]
    match analysed.variables:
        case ():
            _check(compiled, reference, ())
        case (_,):
            for box in (*boxes, *VALUES):
                _check(compiled, reference, (box,))
        case _:
            for a in boxes:
                for b in boxes:
                    _check(compiled, reference, (a, b))
