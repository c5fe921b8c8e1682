"""What expressions mean: a table of values and of reasons, by both ways of evaluation."""

import datetime as dt
import decimal
from decimal import Decimal as D  # noqa: N817 - a table of many
from typing import Any

import msgspec
import pytest

from helios.reconcile.streams.cel import compile as cel
from helios.reconcile.streams.cel import interpret, values

VARIABLES = {
    "event": cel.VarKind.ONE,
    "order": cel.VarKind.ONE,
    "payment": cel.VarKind.MANY,
    "inventory": cel.VarKind.MANY,
}
OBJECTS: dict[str, Any] = {
    "event": {
        "payload": {"status": "CAPTURED", "method": "boleto", "order-id": "o1", "note": None},
        "n": 7,
        "d": D("7.0"),
        "big": 10**40,
        "flag": True,
        "tags": ["a", "b"],
        "at": "2026-03-01T10:00:00Z",
    },
    "order": {
        "amount": D("25.00"),
        "items": [{"price": D("10.00"), "qty": 2}, {"price": 5, "qty": 1}],
    },
    "payment": [{"amount": D("15.00")}, {"amount": D("9.995")}],
    "inventory": [{"items": [{"qty": 2}]}, {"items": [{"qty": 1}]}],
}


class Struct(msgspec.Struct):
    amount: Any = msgspec.UNSET
    items: Any = msgspec.UNSET


def evaluated(text: str, **changed: Any) -> Any:
    """The value, the same by the generated code and by the reference."""
    compiled = cel.compile(text, VARIABLES)
    objects = OBJECTS | changed
    named = {name: objects[name] for name in compiled.variables}
    try:
        value = compiled.evaluate(*named.values())
    except values.EvalError as error:
        value = error
    with decimal.localcontext(values.CONTEXT):
        try:
            node = cel.analyse(text, VARIABLES).node
            expected = interpret.evaluate(node, named, str)
        except values.EvalError as error:
            expected = error
    if isinstance(expected, values.EvalError):
        assert str(value) == str(expected)
        raise expected
    assert (type(value), value) == (type(expected), expected)
    return value


RULES = [
    "abs(sum(payment.map(p, p.amount)) - sum(order.items.map(i, i.price * i.qty))) <= 0.01",
    "sum(inventory.map(r, sum(r.items.map(i, i.qty)))) == sum(order.items.map(i, i.qty))",
    "event.payload.status in ['AUTHORIZED', 'CAPTURED']",
    "event.payload.method == 'boleto'",
    "event.payload['order-id'] == 'o1' && event.payload.`order-id`.startsWith('o')",
]

VALUES: list[tuple[str, Any]] = [
    *((rule, True) for rule in RULES),
    # Numbers: exact, integers and decimals mixed
    ("0.1 + 0.2", D("0.3")),
    ("0.1 + 0.2 == 0.3", True),
    ("1 + 0.5", D("1.5")),
    ("event.big * event.big", 10**80),
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 / -2", -3),
    ("7 / 2.0", D("3.5")),
    ("1 / 3.0", D("0." + "3" * 34)),
    ("event.n / 2", 3),
    ("event.d / 2", D("3.5")),
    ("double(event.n) / 2", D("3.5")),
    ("7 % 3", 1),
    ("-7 % 3", -1),
    ("7 % -3", 1),
    ("-event.n", -7),
    ("--5", 5),
    ("2 + 3 * 4", 14),
    ("event.n == event.d", True),
    ("1 == 1.0", True),
    ("1 < 1.5 && 1.5 < 2", True),
    # Equality and order across kinds
    ("event.flag == 1", False),
    ("event.n == '7'", False),
    ("event.payload.note == null", True),
    ("event.n != null", True),
    ("[1, 2.0] == [1.0, 2]", True),
    ("[true] == [1]", False),
    ("{'a': 1} == {'a': 1.0}", True),
    ("{'a': 1} == {'b': 1}", False),
    ("[1] == {'a': 1}", False),
    ("'a' < 'b'", True),
    ("'Z' < 'a'", True),
    ("false < true", True),
    ("event.tags == ['a', 'b']", True),
    # Logic absorbs errors
    ("false && event.gone", False),
    ("event.gone && false", False),
    ("true || event.gone", True),
    ("event.gone || true", True),
    ("1 / 0 == 1 || true", True),
    ("[0, 1].exists(x, 2 / x == 2)", True),
    ("[0, 1].all(x, 2 / x == 3)", False),
    ("!(event.n > 7)", True),
    ("event.n > 5 ? 'many' : 'few'", "many"),
    ("false ? event.gone : 1", 1),
    ("true ? event.n - 1 : event.n - 2", 6),
    # Lists and objects
    ("1 in [1.0]", True),
    ("true in [1]", False),
    ("'a' in event.tags", True),
    ("'n' in event", True),
    ("7 in event", False),
    ("'gone' in event", False),
    ("event.n in [1, 7]", True),
    ("event.tags[1]", "b"),
    ("{'a': [1, 2]}['a'][1]", 2),
    ("{'a' + 'b': 1}.ab", 1),
    ("event[event.tags[0] == 'a' ? 'n' : 'd']", 7),
    ("[1] + [2, 'a']", [1, 2, "a"]),
    ("[]", []),
    ("event.tags + ['c']", ["a", "b", "c"]),
    ("has(event.n)", True),
    ("has(event.gone)", False),
    ("has(event.payload.note)", True),
    ("has(event.payload.gone)", False),
    ("has(event.gone) && event.gone.deep == 1", False),
    ("has({'a': 1}.a)", True),
    # Macros
    ("[1, 2, 3].map(x, x * 2)", [2, 4, 6]),
    ("[1, 2, 3].map(x, x > 1, x * 2)", [4, 6]),
    ("[1, 2, 3].filter(x, x > 1)", [2, 3]),
    ("[1, 2, 3].all(x, x > 0)", True),
    ("[1, 2, 3].exists(x, x > 3)", False),
    ("[1, 2, 3].exists_one(x, x > 2)", True),
    ("[1, 2, 3].exists_one(x, x > 1)", False),
    ("[].all(x, x.y)", True),
    ("event.payload.all(key, key != 'gone')", True),
    ("order.items.filter(i, i.qty > 1).map(i, i.price)", [D("10.00")]),
    ("[1, 2].map(x, [3, 4].map(x, x))", [[3, 4], [3, 4]]),
    ("[1, 2].map(event, event)", [1, 2]),
    ("payment.map(p, p.amount).exists(a, a == 15)", True),
    ("payment.exists(p, p.amount == 15.000)", True),
    # Functions added
    ("sum([])", 0),
    ("sum([1, 0.5])", D("1.5")),
    ("[1, 2].sum()", 3),
    ("sum(payment.filter(p, p.amount > 10).map(p, p.amount))", D("15.00")),
    ("count(payment)", 2),
    ("count(payment.filter(p, p.amount > 10))", 1),
    ("payment.count() == size(payment)", True),
    ("size(payment.map(p, p.amount > 10, p))", 1),
    ("min([3, 1.5, 2])", D("1.5")),
    ("max(3, event.n, 2)", 7),
    ("min('b', 'a')", "a"),
    ("max(order.items.map(i, i.qty))", 2),
    ("abs(-3)", 3),
    ("abs(2.5 - 3)", D("0.5")),
    ("(1 - 2).abs()", 1),
    # Strings
    ("'a' + 'b'", "ab"),
    ("event.payload.status + '!'", "CAPTURED!"),
    ("size('héllo')", 5),
    ("size(event.payload)", 4),
    ("event.payload.status.startsWith('CAP')", True),
    ("event.payload.status.endsWith('ED')", True),
    ("event.payload.status.contains('TUR')", True),
    ("event.payload.status.matches('^[A-Z]+$')", True),
    ("matches('abc', event.tags[1])", True),
    ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('^(a+)+$')", False),
    # Conversions
    ("int(2.9)", 2),
    ("int(-2.9)", -2),
    ("int('42')", 42),
    ("int(7)", 7),
    ("int(timestamp('1970-01-01T00:01:00Z'))", 60),
    ("double('1.10')", D("1.10")),
    ("double(3)", D(3)),
    ("string(1.50)", "1.50"),
    ("string(1e2)", "100"),
    ("string(7)", "7"),
    ("string(true)", "true"),
    ("string('a')", "a"),
    ("string(duration('90s'))", "90s"),
    ("string(duration('1.5s'))", "1.5s"),
    ("string(timestamp('2026-03-01T12:00:00+02:00'))", "2026-03-01T10:00:00Z"),
    ("bool('true')", True),
    ("bool(false)", False),
    ("bool('0')", False),
    ("dyn(event.n)", 7),
    # Instants and durations
    ("timestamp(event.at) + duration('1h30m') > timestamp('2026-03-01T11:29:59.999Z')", True),
    ("timestamp(event.at) - timestamp('2026-03-01T09:59:00Z') == duration('60s')", True),
    ("abs(timestamp('2026-03-01T09:59:00Z') - timestamp(event.at)) <= duration('1m')", True),
    ("duration('1s') + duration('-500ms') == duration('0.5s')", True),
    ("timestamp(60) == timestamp('1970-01-01T00:01:00Z')", True),
    ("timestamp(timestamp(60)) == timestamp(60)", True),
    ("duration(duration('1us')) == duration('1000ns')", True),
    ("-duration('1s') == duration('-1s')", True),
    ("duration('0') < duration('1s')", True),
    ("timestamp('2026-03-01T10:20:30.5Z').getFullYear()", 2026),
    ("timestamp('2026-03-01T10:20:30.5Z').getMonth()", 2),
    ("timestamp('2026-03-01T10:20:30.5Z').getDate()", 1),
    ("timestamp('2026-03-01T10:20:30.5Z').getDayOfMonth()", 0),
    ("timestamp('2026-03-01T10:20:30.5Z').getDayOfWeek()", 0),
    ("timestamp('2026-03-01T10:20:30.5Z').getDayOfYear()", 59),
    ("timestamp('2026-03-01T10:20:30.5Z').getHours()", 10),
    ("timestamp('2026-03-01T10:20:30.5Z').getMinutes()", 20),
    ("timestamp('2026-03-01T10:20:30.5Z').getSeconds()", 30),
    ("timestamp('2026-03-01T10:20:30.5Z').getMilliseconds()", 500),
    ("duration('90m').getHours()", 1),
    ("duration('-90m').getHours()", -1),
    ("duration('90m').getMinutes()", 90),
    ("duration('1.5s').getSeconds()", 1),
    ("duration('1.5s').getMilliseconds()", 500),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_an_expression_has_its_value(text: str, value: Any) -> None:
    found = evaluated(text)
    assert (type(found), found) == (type(value), value)


REASONS = [
    ("event.gone", "event.gone is missing"),
    ("event.gone == 1", "event.gone is missing"),
    ("event.gone != null", "event.gone is missing"),
    ("event.payload.gone.deep", "event.payload.gone is missing"),
    ("event.n.deep", "event.n is a number and has no field 'deep'"),
    ("event.payload.note.deep", "event.payload.note is null and has no field 'deep'"),
    ("has(event.gone.deep)", "event.gone is missing"),
    ("event.payload['gone-too']", "event.payload['gone-too'] is missing"),
    ("sum(order.items.map(i, i.weight))", "order.items[0].weight is missing"),
    ("inventory.map(r, r.items.map(i, i.sku))", "inventory[0].items[0].sku is missing"),
    ("order.items.filter(i, i.qty > 1).map(j, j.sku)", "j.sku is missing"),
    ("order.items[1].sku", "order.items[1].sku is missing"),
    ("order.items.map(order, order.sku)", "order.items[0].sku is missing"),
    ("{'a': 1}.b", "'b' of the value at column 1 is missing"),
    ("event.n - event.at", "cannot subtract string from number at column 9"),
    ("event.n + event.at", "cannot add string to number at column 9"),
    ("event.n * event.at", "cannot multiply number by string at column 9"),
    ("event.n / event.at", "cannot divide number by string at column 9"),
    ("event.n % event.d", "% takes two integers; found number and decimal at column 9"),
    ("event.n\n  - event.flag", "cannot subtract bool from number at line 2, column 3"),
    ("-event.at", "cannot negate string at column 1"),
    ("event.n < event.at", "cannot compare number with string at column 9"),
    ("event.flag < event.n", "cannot compare bool with number at column 12"),
    ("event.tags < event.tags", "cannot compare list with list at column 12"),
    ("event.n / 0", "division by zero at column 9"),
    ("event.n % 0", "division by zero at column 9"),
    ("event.d / 0.0", "division by zero at column 9"),
    ("event.d + 1e-300", "the exact result needs more than 200 digits at column 9"),
    ("event.n && true", "expected a bool; found number at column 7"),
    ("event.n ? 1 : 2", "expected a bool; found number at column 7"),
    ("!event.n", "expected a bool; found number at column 8"),
    ("event.n in event.n", "cannot look for a value in number; expected a list or an object"),
    ("event.tags[2]", "index 2 is out of range in a list of 2 at column 11"),
    ("event.tags[-1]", "index -1 is out of range in a list of 2 at column 11"),
    ("event.tags[event.d]", "the index of a list must be an integer; found decimal"),
    ("event[event.n]", "the key of an object must be a string; found number at column 6"),
    ("event[event.at]", "there is no key '2026-03-01T10:00:00Z' at column 6"),
    ("event.n[0]", "cannot take an element of number at column 8"),
    ("{event.at: 1, event.at: 2}", "the key '2026-03-01T10:00:00Z' stands twice at column 1"),
    ("{event.n: 1}", "the key of a map must be a string; found number at column 1"),
    ("event.n.map(x, x)", "map needs a list; found number at column 9"),
    ("[1].map(x, x - event.at)", "cannot subtract string from number at column 14"),
    ("[1, 2].exists_one(x, x / 0 == 1)", "division by zero at column 24"),
    ("[1, 2].filter(x, event.n)", "expected a bool; found number at column 24"),
    ("[0, 2].exists(x, 1 / x == 1)", "division by zero at column 20"),
    ("sum(event.n)", "sum needs a list; found number at column 1"),
    ("sum(event.tags)", "sum needs numbers; found string at column 1"),
    ("sum([event.flag])", "sum needs numbers; found bool at column 1"),
    ("count(event.n)", "count needs a list; found number at column 1"),
    ("size(event.n)", "size needs a string, a list or an object; found number at column 1"),
    ("min([])", "min of an empty list at column 1"),
    ("max(event.n, event.at)", "cannot compare string with number at column 1"),
    ("min([event.payload])", "cannot compare object with object at column 1"),
    ("abs(event.at)", "abs needs a number; found string at column 1"),
    ("event.n.startsWith('a')", "startsWith needs strings; found number at column 9"),
    ("event.at.endsWith(event.n)", "endsWith needs strings; found number at column 10"),
    ("event.n.contains('a')", "contains needs strings; found number at column 9"),
    ("event.n.matches('a')", "matches needs strings; found number at column 9"),
    ("event.at.matches('(' + event.at)", "is not valid: missing ): (2026-03-01T10:00:00Z"),
    ("int(event.at)", "cannot convert '2026-03-01T10:00:00Z' to int at column 1"),
    ("int(event.flag)", "cannot convert bool to int at column 1"),
    ("double(event.at)", "cannot convert '2026-03-01T10:00:00Z' to double at column 1"),
    ("string(event.payload)", "cannot convert object to string at column 1"),
    ("bool(event.n)", "cannot convert number to bool at column 1"),
    ("timestamp(event.tags[0])", "cannot convert 'a' to timestamp at column 1"),
    ("timestamp(event.big)", "cannot convert number to timestamp at column 1"),
    ("timestamp(event.at) + duration('80000000h')", "the result is out of range at column 21"),
    ("duration(event.at)", "cannot convert '2026-03-01T10:00:00Z' to duration at column 1"),
    ("duration(event.tags[0] + '1s')", "cannot convert 'a1s' to duration at column 1"),
    ("duration('99999999999999' + 'h')", "the duration is out of range at column 1"),
    ("event.at.getHours()", "getHours needs a timestamp; found string at column 10"),
    ("duration('1s').getDate()", "getDate needs a timestamp; found duration at column 16"),
    ("string(event.d * 1e300 * 1e10)", "the number is too large or too small to be written out"),
]


@pytest.mark.parametrize(("text", "reason"), REASONS)
def test_an_expression_without_a_value_says_why(text: str, reason: str) -> None:
    with pytest.raises(values.EvalError) as caught:
        evaluated(text)
    assert reason in caught.value.reason


def test_an_absent_object_is_named() -> None:
    with pytest.raises(values.EvalError, match=r"^event is missing$"):
        evaluated("event == null", event=msgspec.UNSET)
    with pytest.raises(values.EvalError, match=r"^payment is missing$"):
        evaluated("size(payment) == 0", payment=msgspec.UNSET)


def test_an_element_that_is_not_an_object_is_named() -> None:
    payment = [{"amount": 1}, "x"]
    with pytest.raises(values.EvalError, match=r"^payment\[1\] is a string and has no field"):
        evaluated("sum(payment.map(p, p.amount)) == 1", payment=payment)


@pytest.mark.parametrize("context", [decimal.Context(prec=5), values.CONTEXT])
def test_evaluation_is_exact_in_any_decimal_context_and_leaves_it(context: Any) -> None:
    compiled = cel.compile("a.amount - b.amount", {"a": cel.VarKind.ONE, "b": cel.VarKind.ONE})
    a, b = Struct(D("123456789.123456789")), Struct(D("0.000000001"))
    with decimal.localcontext():
        decimal.setcontext(context)
        assert compiled.evaluate(a, b) == D("123456789.123456788")
        assert decimal.getcontext() is context
        with pytest.raises(values.EvalError):
            compiled.evaluate(a, Struct())
        assert decimal.getcontext() is context


@pytest.mark.parametrize(
    "text",
    [
        "size(event.l.map(a, size(event.l.filter(b, b == a)))) > 0",
        "event.l.map(a, event.l.map(b, b).map(c, c)).size() > 0",
        "event.l.all(a, !event.l.exists(b, b > 0))",
        "event.l.filter(a, a in event.l) == []",
    ],
)
def test_nested_loops_are_bounded(text: str) -> None:
    compiled = cel.compile(text, VARIABLES)
    assert isinstance(compiled.evaluate({"l": [0] * 100}), bool)
    with pytest.raises(values.EvalError, match="nested loops visit more than 250,000 elements"):
        compiled.evaluate({"l": [0] * 520})


def test_a_plain_loop_takes_any_list() -> None:
    compiled = cel.compile("sum(event.items.map(x, x).filter(x, x > 0)) == 300000", VARIABLES)
    assert compiled.source
    assert compiled.function(Struct(items=[1] * 300_000)) is True


def test_a_value_that_json_has_not_is_still_named() -> None:
    assert values.kind(1.5) == "float"
    assert values.kind(Struct()) == "object"
    assert values.article(None) == "null"
    assert values.article(msgspec.UNSET) == "an absent field"
    assert values.article(dt.timedelta()) == "a duration"


def test_what_no_one_foresaw_is_an_eval_error_too() -> None:
    compiled = cel.compile("size(string(event.n)) > 0", VARIABLES)
    assert compiled.evaluate({"n": 1}) is True

    with pytest.raises(values.EvalError, match="event is a float and has no field 'n'"):
        compiled.evaluate(1.5)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    twin: list[Any] = []
    for _ in range(5000):
        twin = [twin]
    with pytest.raises(values.EvalError, match="cannot be evaluated: maximum recursion depth"):
        cel.compile("event.a == event.b", VARIABLES).evaluate({"a": deep, "b": twin})
