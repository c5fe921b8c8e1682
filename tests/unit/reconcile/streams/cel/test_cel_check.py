"""What is refused before any event comes, and what an expression is known to read."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import errors
from helios.reconcile.streams.cel import compile as cel
from helios.reconcile.streams.cel import shape
from helios.reconcile.streams.cel.shape import Shape, Use

VARIABLES = {
    "event": cel.VarKind.ONE,
    "order": cel.VarKind.ONE,
    "payment": cel.VarKind.MANY,
}


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("ordr.x == 1", 1, 1, "unknown name 'ordr'; did you mean 'order'?"),
        ("zzz", 1, 1, "unknown name 'zzz'; known: event, order, payment"),
        ("payment.map(p, q)", 1, 16, "unknown name 'q'"),
        ("payment.map(p, p) == p", 1, 22, "unknown name 'p'"),
        ("smu(payment)", 1, 1, "unknown function 'smu'; did you mean 'sum'?"),
        ("order.x.lenght()", 1, 9, "unknown function 'lenght'"),
        ("event.x &&\n  order.x.startWith('a')", 2, 11, "did you mean 'startsWith'?"),
        ("startsWith('a', 'b')", 1, 1, "'startsWith' is written x.startsWith(...)"),
        ("order.x.int()", 1, 9, "'int' is written int(...)"),
        ("size(order, 2)", 1, 1, "size takes 1 argument; found 2"),
        ("'a'.startsWith()", 1, 5, "startsWith takes 1 argument; found 0"),
        ("payment.size(1)", 1, 9, "size takes 0 arguments; found 1"),
        ("min()", 1, 1, "min takes 1 argument or more; found 0"),
        ("payment.amount == 1", 1, 9, "take each element: payment.map(x, x.amount)"),
        ("has(payment.amount)", 1, 13, "payment is a list and has no field 'amount'"),
        ("'a'.b", 1, 5, "this value is a string and has no field 'b'"),
        ("order.map(x, x)", 1, 7, "map needs a list; order is an object"),
        ("sum(1)", 1, 5, "sum needs a list of numbers; found a number"),
        ("sum(['a'])", 1, 5, "sum needs numbers; found a string"),
        ("sum(payment)", 1, 5, "sum needs numbers; found an object"),
        ("order.x - 'a' == 1", 1, 9, "cannot subtract a string from any value"),
        ("1 + 'a'", 1, 3, "cannot add a string to a number"),
        ("true + 1", 1, 6, "cannot add a number to a bool"),
        ("'a' * 2", 1, 5, "cannot multiply a string by a number"),
        ("null / 2", 1, 6, "cannot divide null by a number"),
        ("true % 2", 1, 6, "cannot take the remainder of a bool by a number"),
        ("timestamp(1) + 1", 1, 14, "cannot add a number to a timestamp"),
        ("timestamp(1) + timestamp(1)", 1, 14, "cannot add a timestamp to a timestamp"),
        ("duration('1s') - timestamp(1)", 1, 16, "cannot subtract a timestamp from a duration"),
        ("[1] - [2]", 1, 5, "cannot subtract a list from a list"),
        ("-'a'", 1, 1, "cannot negate a string"),
        ("!1", 1, 2, "expected a bool; found a number"),
        ("1 && true", 1, 1, "expected a bool; found a number"),
        ("'a' ? 1 : 2", 1, 1, "expected a bool; found a string"),
        ("payment.filter(p, 1)", 1, 19, "expected a bool; found a number"),
        ("1 < 'a'", 1, 3, "cannot compare a number with a string"),
        ("payment < order.x", 1, 9, "cannot compare a list with any value"),
        ("1 in 2", 1, 3, "'in' needs a list or an object; found a number"),
        ("1[0]", 1, 2, "this value is a number and has no elements"),
        ("{1: 2}", 1, 2, "the key of a map must be a string"),
        ("{'a': 1, 'a': 2}", 1, 10, "the key 'a' stands twice"),
        ("event.x.matches('a(')", 1, 17, "the pattern 'a(' is not valid: missing ): a("),
        (f"event.x.matches('{'a' * 513}')", 1, 17, "the pattern is longer than 512 characters"),
        ("event.x > duration('5 s')", 1, 20, "cannot convert '5 s' to duration"),
        ("int('x')", 1, 5, "cannot convert 'x' to int"),
        ("string(null)", 1, 8, "string needs a value; found null"),
    ],
)
def test_what_fails_for_every_event_is_refused_at_its_place(
    text: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        cel.analyse(text, VARIABLES)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize("name", ["in", "for", "order-id", "1st", ""])
def test_a_variable_needs_a_name_that_can_be_written(name: str) -> None:
    with pytest.raises(errors.InvalidInputError, match="cannot name a variable"):
        cel.analyse("1 == 1", {name: cel.VarKind.ONE})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("order.x == 1", cel.Kind.BOOL),
        ("order.x", cel.Kind.DYN),
        ("order.x + 1", cel.Kind.NUMBER),
        ("order.x - order.y", cel.Kind.DYN),
        ("order.x - 1", cel.Kind.NUMBER),
        ("1 + order.x", cel.Kind.NUMBER),
        ("-order.x", cel.Kind.DYN),
        ("abs(1 - 2)", cel.Kind.NUMBER),
        ("timestamp(1) - timestamp(2)", cel.Kind.DURATION),
        ("timestamp(1) - duration('1s')", cel.Kind.TIMESTAMP),
        ("duration('1s') + timestamp(1)", cel.Kind.TIMESTAMP),
        ("duration('1s') + duration('1s')", cel.Kind.DURATION),
        ("timestamp(1) - order.x", cel.Kind.DYN),
        ("'a' + order.x", cel.Kind.STRING),
        ("order.b ? 1 : 2", cel.Kind.NUMBER),
        ("order.b ? 1 : 'a'", cel.Kind.DYN),
        ("{'a': 1}", cel.Kind.MAP),
        ("[1] + [2]", cel.Kind.LIST),
        ("payment", cel.Kind.LIST),
        ("dyn(1)", cel.Kind.NUMBER),
    ],
)
def test_the_kind_of_the_result_is_known_where_it_can_be(text: str, kind: cel.Kind) -> None:
    assert cel.analyse(text, VARIABLES).kind is kind


def struct(**fields: Shape) -> Shape:
    return Shape(Use.STRUCT, fields)


def items(element: Shape) -> Shape:
    return Shape(Use.LIST, items=element)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("order.amount <= 0.01", {"order": struct(amount=shape.NUMBER)}),
        ("order.status == 'X'", {"order": struct(status=shape.SCALAR)}),
        ("order.status in ['X']", {"order": struct(status=shape.SCALAR)}),
        ("order.n in [1]", {"order": struct(n=shape.NUMBER)}),
        ("has(order.a.b)", {"order": struct(a=struct(b=shape.PRESENCE))}),
        ("order.a == null", {"order": struct(a=shape.PRESENCE)}),
        ("order.a == order.b", {"order": struct(a=shape.VALUE, b=shape.VALUE)}),
        ("order.a < order.b", {"order": struct(a=shape.SCALAR, b=shape.SCALAR)}),
        ("order.a + 'x'", {"order": struct(a=shape.SCALAR)}),
        ("order.a + 1", {"order": struct(a=shape.NUMBER)}),
        ("order.a + [1]", {"order": struct(a=shape.ANY)}),
        ("-order.a", {"order": struct(a=shape.NUMBER)}),
        ("order.a", {"order": struct(a=shape.ANY)}),
        ("order", {"order": shape.ANY}),
        ("order == event", {"event": shape.ANY, "order": shape.ANY}),
        ("[order.a]", {"order": struct(a=shape.ANY)}),
        ("{'k': order.a}.k", {"order": struct(a=shape.ANY)}),
        ("[order.a, order.b].map(x, x + 1)", {"order": struct(a=shape.NUMBER, b=shape.NUMBER)}),
        ("size(order.items) > 0", {"order": struct(items=shape.SIZED)}),
        ("order.items[0].a == 1", {"order": struct(items=items(struct(a=shape.NUMBER)))}),
        ("order[order.k]", {"order": shape.ANY}),
        ("order.a ? 1 : 2", {"order": struct(a=shape.SCALAR)}),
        ("(order.a ? order.b : order.c).d > 1", None),
        ("payment.all(p, p.ok)", {"payment": items(struct(ok=shape.SCALAR))}),
        ("size(payment) > 1", {"payment": items(shape.STRUCT)}),
        ("sum(payment.map(p, p.amount))", {"payment": items(struct(amount=shape.NUMBER))}),
        ("sum(order.l) + max(order.m)", None),
        ("count(order.l)", {"order": struct(l=items(shape.PRESENCE))}),
        ("order.s.startsWith(order.t)", {"order": struct(s=shape.SCALAR, t=shape.SCALAR)}),
        ("payment.filter(p, p.ok).map(p, p.n * 2)", None),
        ("'k' in order.tags", {"order": struct(tags=shape.VALUE)}),
        ("(order.l + order.m).map(x, x.a == 1)", None),
        ("1 == 1", {}),
    ],
)
def test_the_shape_is_what_is_read(text: str, shapes: dict[str, Shape] | None) -> None:
    found = dict(cel.analyse(text, VARIABLES).shape)
    number = shape.NUMBER
    by_text: dict[str, dict[str, Shape]] = {
        "(order.a ? order.b : order.c).d > 1": {
            "order": struct(a=shape.SCALAR, b=struct(d=number), c=struct(d=number))
        },
        "sum(order.l) + max(order.m)": {"order": struct(l=items(number), m=items(shape.SCALAR))},
        "payment.filter(p, p.ok).map(p, p.n * 2)": {
            "payment": items(struct(n=number, ok=shape.SCALAR))
        },
        "(order.l + order.m).map(x, x.a == 1)": {
            "order": struct(l=shape.VALUE, m=shape.VALUE),
        },
    }
    assert found == (by_text[text] if shapes is None else shapes)


def shapes() -> st.SearchStrategy[Shape]:
    leaves = st.sampled_from(
        [
            shape.PRESENCE,
            shape.SIZED,
            shape.VALUE,
            shape.SCALAR,
            shape.NUMBER,
            shape.ANY,
            shape.STRUCT,
            shape.LIST,
            Shape(numeric=True),
        ]
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.dictionaries(st.sampled_from("abc"), inner).map(lambda f: struct(**f)),
            inner.map(items),
        ),
        max_leaves=5,
    )


@given(shapes(), shapes(), shapes())
def test_merging_is_a_join(a: Shape, b: Shape, c: Shape) -> None:
    assert shape.merge(a, a) == a
    assert shape.merge(a, b) == shape.merge(b, a)
    assert shape.merge(shape.merge(a, b), c) == shape.merge(a, shape.merge(b, c))


def test_weak_uses_yield_and_strong_ones_clash() -> None:
    assert shape.merge(shape.PRESENCE, shape.NUMBER) == shape.NUMBER
    assert shape.merge(shape.SIZED, shape.LIST) == shape.LIST
    assert shape.merge(shape.SIZED, shape.STRUCT) == shape.ANY
    assert shape.merge(shape.VALUE, shape.LIST) == shape.ANY
    assert shape.merge(shape.VALUE, shape.NUMBER) == shape.NUMBER
    assert shape.merge(shape.STRUCT, shape.SCALAR) == shape.ANY
    assert shape.merge(shape.NUMBER, shape.STRUCT) == Shape(numeric=True)


def test_variables_come_in_declared_order() -> None:
    analysed = cel.analyse("payment.size() > order.n || event.n > 1", VARIABLES)
    assert analysed.variables == ("event", "order", "payment")
    assert analysed.bind().variables == ("event", "order", "payment")


class Line(msgspec.Struct):
    f_qty: Any = msgspec.UNSET


class Order(msgspec.Struct):
    f_items: Any = msgspec.UNSET
    f_amount: Any = msgspec.UNSET


def _prefixed(name: str) -> str:
    return f"f_{name}"


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("order.amount == event.amount + 1", (3, 4)),
        ("event.amount != order.amount", (3, 3)),
        ("abs(order.amount - event.amount * 2) <= 0.01", (3, 6)),
        ("0.01 >= abs(order.amount - event.amount)", (3, 3)),
        ("abs(order.amount) < 5", (3, 5)),
        ("abs(order.amount - 1) == 2", (2, 2)),
    ],
)
def test_the_sides_of_a_check_can_be_evaluated(text: str, sides: tuple[int, int]) -> None:
    compiled = cel.compile(text, VARIABLES, attribute=_prefixed)
    objects = {"order": Order(f_amount=3), "event": Order(f_amount=3)}
    assert compiled.operands is not None
    found = [s.evaluate(*(objects[name] for name in s.variables)) for s in compiled.operands]
    assert found == list(sides)


@pytest.mark.parametrize("text", ["order.a && order.b", "order.a", "[1].all(x, x == 1)"])
def test_other_checks_have_no_sides(text: str) -> None:
    assert cel.compile(text, VARIABLES).operands is None


def test_code_is_bound_to_the_merged_shapes() -> None:
    lines = cel.analyse("sum(order.items.map(i, i.qty)) == 3", VARIABLES)
    whole = cel.analyse("order.items == event.items", VARIABLES)
    merged = shape.merge_all(lines.shape, whole.shape)
    assert merged["order"] == struct(items=shape.ANY)
    alone, bound = lines.bind(attribute=_prefixed), lines.bind(merged, attribute=_prefixed)
    assert alone.function(Order(f_items=[Line(3)])) is True
    assert bound.function(Order(f_items=[{"qty": 3}])) is True
    assert bound.evaluate(Order(f_items=[Line(3)])) is True
    assert lines.bind({}).evaluate({"items": [{"qty": 3}]}) is True
    assert "Compiled 'sum(order" in repr(bound)


def test_names_that_python_reserves_can_be_variables_and_fields() -> None:
    variables = dict.fromkeys(("class", "_type", "rule", "len"), cel.VarKind.ONE)
    text = "class.def + _type.`x-y` + rule.__class__ + len.real == 10"
    objects = [{"def": 1}, {"x-y": 2}, {"__class__": 3}, {"real": 4}]
    compiled = cel.compile(text, variables)
    assert compiled.evaluate(*objects) is True
    shaped = cel.analyse(text, variables).bind(dict.fromkeys(variables, shape.ANY))
    assert shaped.function(*objects) is True


def test_loops_too_deep_for_python_are_left_to_the_reference() -> None:
    depth = 24
    text = "".join(f"[1].map(x{n}, " for n in range(depth)) + "1" + ")" * depth
    compiled = cel.compile(text, VARIABLES)
    assert compiled.source == ""
    value = compiled.evaluate()
    for _ in range(depth):
        (value,) = value
    assert value == 1
