"""Random expressions over random objects: the generated code against the reference."""

import decimal
import functools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helios.kernel import errors
from helios.reconcile.streams.cel import compile as cel
from helios.reconcile.streams.cel import interpret, shape, values

VARIABLES = {"event": cel.VarKind.ONE, "rows": cel.VarKind.MANY, "count": cel.VarKind.ONE}
FIELDS = ("n", "m", "s", "b", "l", "o", "items", "z", "order-id")


@pytest.fixture(autouse=True)
def _exact_decimals() -> Any:
    with decimal.localcontext():
        decimal.setcontext(values.CONTEXT)
        yield


# Objects


def numbers() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.integers(-3, 3),
        st.integers(-(10**20), 10**20),
        st.sampled_from(["0.0", "1.0", "0.10", "-2.5", "1E+2", "12.34"]).map(decimal.Decimal),
        st.decimals(-1000, 1000, places=2, allow_nan=False, allow_infinity=False),
    )


def scalars() -> st.SearchStrategy[Any]:
    strings = st.sampled_from(["", "a", "ab", "b", "1", "true", "é"])
    return st.one_of(numbers(), strings, st.booleans(), st.none())


def plain() -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
        ),
        max_leaves=6,
    )


def objects(noise: st.SearchStrategy[Any], depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        unusual = {30: noise, 31: st.just(msgspec.UNSET)}
        return st.integers(0, 31).flatmap(lambda roll: unusual.get(roll, usual))

    fields: dict[str, st.SearchStrategy[Any]] = {
        "n": mostly(numbers()),
        "m": mostly(numbers()),
        "s": mostly(st.sampled_from(["", "a", "ab", "b"])),
        "b": mostly(st.booleans()),
        "l": mostly(st.lists(numbers(), max_size=3)),
        "z": noise,
        "order-id": mostly(st.sampled_from(["a", "b"])),
    }
    if depth:
        inner = objects(noise, depth - 1)
        fields["o"] = mostly(inner)
        fields["items"] = mostly(st.lists(inner, max_size=3))
    return st.fixed_dictionaries(fields).map(
        lambda made: {name: value for name, value in made.items() if value is not msgspec.UNSET}
    )


# Expressions, as text


@st.composite
def expressions(draw: Any, kind: str = "any", depth: int = 3, scope: Any = ("event",)) -> str:
    return _Grammar(draw).expression(kind, depth, tuple(scope))


class _Grammar:
    """Draws expressions that mostly fit together, and now and then do not."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._fresh = 0

    def _one(self, *choices: Any) -> Any:
        return self._draw(st.sampled_from(choices))

    def expression(self, kind: str, depth: int, scope: tuple[str, ...]) -> str:
        if kind == "any":
            kind = self._one("number", "string", "bool", "bool", "list", "value")
        if depth <= 0 or self._draw(st.integers(0, 9)) == 0:
            return self._leaf(kind, scope)
        made: str = getattr(self, f"_{kind}")(depth - 1, scope)
        return made

    def _leaf(self, kind: str, scope: tuple[str, ...]) -> str:
        owner = self._one(*scope)
        fields = {"number": "nmz", "string": "sz", "bool": "bz", "list": "lz", "value": FIELDS}
        literals = {
            "number": ("0", "1", "2", "-3", "0.5", "1.0", "100"),
            "string": ("''", "'a'", "'ab'"),
            "bool": ("true", "false"),
            "list": ("[]", "[1, 2]", "['a', 'b']", "[1, true, 'a', null]"),
            "value": ("null", "1", "'a'", "{'n': 1, 's': 'a'}"),
        }
        if self._draw(st.integers(0, 2)) == 0:
            return str(self._one(*literals[kind]))
        field = self._one(*fields[kind])
        return f"{owner}['{field}']" if "-" in field else f"{owner}.{field}"

    def _nested(self, kind: str, depth: int, scope: tuple[str, ...]) -> str:
        return f"({self.expression(kind, depth, scope)})"

    def _number(self, depth: int, scope: tuple[str, ...]) -> str:
        a = self._nested("number", depth, scope)
        shapes: list[Callable[[], str]] = [
            lambda: f"{a} {self._one(*'+-*/%')} {self._nested('number', depth, scope)}",
            lambda: f"-{a}",
            lambda: f"size({self._nested('list', depth, scope)})",
            lambda: f"int({a})",
            lambda: self._ternary("number", depth, scope),
            lambda: f"{self._nested('list', depth, scope)}[{a}]",
            lambda: f"abs({a} - {self._nested('number', depth, scope)})",
            lambda: (
                f"{self._one('sum', 'count', 'min', 'max', 'size')}({self._list(depth, scope)})"
            ),
            lambda: f"{self._one('min', 'max')}({a}, {self._nested('number', depth, scope)})",
            lambda: f"double({a})",
        ]
        return str(self._one(*shapes)())

    def _string(self, depth: int, scope: tuple[str, ...]) -> str:
        a = self._nested("string", depth, scope)
        shapes: list[Callable[[], str]] = [
            lambda: f"{a} + {self._nested('string', depth, scope)}",
            lambda: self._ternary("string", depth, scope),
            lambda: f"string({self._nested('value', depth, scope)})",
        ]
        return str(self._one(*shapes)())

    def _bool(self, depth: int, scope: tuple[str, ...]) -> str:
        kind = self._one("number", "string", "bool", "value")
        a, b = self._nested(kind, depth, scope), self._nested(kind, depth, scope)
        shapes: list[Callable[[], str]] = [
            lambda: f"{a} {self._one('==', '!=', '<', '<=', '>', '>=')} {b}",
            lambda: f"{a} {self._one('==', '<')} {self._nested('value', depth, scope)}",
            lambda: f"{a} {self._one('==', '!=', '>')} {self._leaf(kind, scope)}",
            lambda: " ".join(
                (
                    self._nested("bool", depth, scope),
                    self._one("&&", "||"),
                    self._nested("bool", depth, scope),
                )
            ),
            lambda: f"!{self._nested('bool', depth, scope)}",
            lambda: f"{a} in {self._nested('list', depth, scope)}",
            lambda: f"{a} in ['a', 'ab']",
            lambda: f"has({self._one(*scope)}.{self._one('n', 'z', 'o')})",
            lambda: f"has({self._one(*scope)}.o.{self._one('n', 'z')})",
            lambda: self._macro(self._one("all", "exists", "exists_one"), depth, scope),
            lambda: self._ternary("bool", depth, scope),
            lambda: self._text_test(depth, scope),
        ]
        return str(self._one(*shapes)())

    def _text_test(self, depth: int, scope: tuple[str, ...]) -> str:
        method = self._one("startsWith", "endsWith", "contains", "matches")
        text = self._nested("string", depth, scope)
        argument = "'^a+'" if method == "matches" else self._nested("string", depth, scope)
        return f"{text}.{method}({argument})"

    def _list(self, depth: int, scope: tuple[str, ...]) -> str:
        shapes: list[Callable[[], str]] = [
            lambda: self._macro(self._one("map", "map", "filter"), depth, scope),
            lambda: (
                f"[{self._nested('number', depth, scope)}, {self._nested('any', depth, scope)}]"
            ),
            lambda: f"{self._nested('list', depth, scope)} + {self._nested('list', depth, scope)}",
            lambda: self._leaf("list", scope),
        ]
        return str(self._one(*shapes)())

    def _value(self, depth: int, scope: tuple[str, ...]) -> str:
        shapes: list[Callable[[], str]] = [
            lambda: self.expression("any", depth, scope),
            lambda: f"{self._one(*scope)}.o.{self._one('n', 's', 'o', 'items')}",
            lambda: f"{self._one(*scope)}.items[0].{self._one('n', 's')}",
            lambda: f"{{'n': {self._nested('any', depth, scope)}}}.n",
        ]
        return str(self._one(*shapes)())

    def _ternary(self, kind: str, depth: int, scope: tuple[str, ...]) -> str:
        then = self._nested(kind, depth, scope)
        other = self._nested(self._one(kind, kind, "any"), depth, scope)
        return f"({self._nested('bool', depth, scope)} ? {then} : {other})"

    def _macro(self, macro: str, depth: int, scope: tuple[str, ...]) -> str:
        self._fresh += 1
        name = self._one("x", f"x{self._fresh}", "event")
        of_objects = (f"{self._one(*scope)}.items", "rows")
        if self._draw(st.booleans()):
            source, inner = self._one(*of_objects), (*scope, name)
        else:
            source = self._nested("list", depth, scope)
            inner = scope if name not in scope else tuple(s for s in scope if s != name)
            inner = inner or (name,)
        kind = self._one("number", "any") if macro == "map" else "bool"
        body = self._nested(kind, depth, inner)
        if macro == "map" and self._draw(st.integers(0, 3)) == 0:
            body = f"{self._nested('bool', depth, inner)}, {body}"
        return f"{source}.{macro}({name}, {body})"


# Objects as a decoder would give them


def decoded(value: Any, form: shape.Shape | None, attribute: Callable[[str], str]) -> Any:
    """What a typed decoder makes of a plain value; a value of another kind stays plain."""
    if form is not None and form.use is shape.Use.STRUCT and type(value) is dict:
        fields = {
            attribute(name): decoded(value[name], below, attribute)
            for name, below in form.fields.items()
            if name in value
        }
        return _struct(tuple(map(attribute, form.fields)))(**fields)
    if form is not None and form.use is shape.Use.LIST and type(value) is list:
        return [decoded(element, form.items, attribute) for element in value]
    return value


_STRUCTS: dict[tuple[str, ...], Any] = {}


def _struct(fields: tuple[str, ...]) -> Any:
    if fields not in _STRUCTS:
        described = [(name, Any, msgspec.UNSET) for name in fields]
        _STRUCTS[fields] = msgspec.defstruct("Decoded", described)
    return _STRUCTS[fields]


def encoded(name: str) -> str:
    return "f_" + name.replace("-", "_")


def identity(name: str) -> str:
    return name.replace("-", "_")


def same(a: Any, b: Any) -> bool:
    """Equal in value and type, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, decimal.Decimal):
        return bool(a.as_tuple() == b.as_tuple())
    return bool(a == b)


def outcome(call: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return True, call()
    except values.EvalError as error:
        return False, error.reason


RULES = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@RULES
@given(
    text=expressions(),
    other=expressions(),
    event=objects(plain()),
    rows=st.lists(objects(plain(), 1), max_size=3),
    attribute=st.sampled_from([encoded, identity]),
    merged=st.sampled_from(["own", "both", "plain"]),
)
@example("event.items", "true", {"items": "x"}, [], identity, "own")
def test_generated_code_gives_the_value_of_the_reference_or_gives_up(
    text: str,
    other: str,
    event: dict[str, Any],
    rows: list[Any],
    attribute: Callable[[str], str],
    merged: str,
) -> None:
    try:
        analysed = cel.analyse(text, VARIABLES)
        beside = cel.analyse(other, VARIABLES)
    except errors.InvalidInputError:
        return
    shapes = dict(analysed.shape)
    if merged == "both":
        shapes = shape.merge_all(analysed.shape, beside.shape)
    elif merged == "plain":
        shapes = dict.fromkeys(analysed.shape, shape.ANY)
    given_objects = {"event": event, "rows": rows, "count": {}}
    named = {
        name: decoded(given_objects[name], shapes[name], attribute) for name in analysed.variables
    }
    compiled = analysed.bind(shapes, attribute=attribute)
    sure, expected = outcome(lambda: interpret.evaluate(analysed.node, named, attribute))
    try:
        quick = compiled.function(*named.values())
    except Exception:  # noqa: BLE001 - it may give up in any way
        assert (sure, expected) == outcome(lambda: compiled.evaluate(*named.values()))
    else:
        assert sure, f"the reference says: {expected}"
        assert same(quick, expected)
    for side in compiled.operands or ():
        outcome(functools.partial(side.evaluate, *(named[name] for name in side.variables)))
