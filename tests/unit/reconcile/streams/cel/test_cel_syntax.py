"""The lexer and parser: what is refused, where, and in which words; what is taken, and how."""

import decimal

import pytest

from helios.kernel import errors
from helios.reconcile.streams.cel import lexer, parse, syntax


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "the expression is empty"),
        ("// only a comment", 1, 18, "the expression is empty"),
        ("a +", 1, 4, "expected a value; found the end of the expression"),
        ("f(a b)", 1, 5, "expected ')' or ','; found 'b'"),
        ("f(1, 2", 1, 7, "expected ')' or ','; found the end of the expression"),
        ("(a", 1, 3, "expected ')' or an operator; found the end of the expression"),
        ("a b", 1, 3, "expected an operator or the end of the expression; found 'b'"),
        ("a 'b'", 1, 3, "expected an operator or the end of the expression; found ''b''"),
        ("a ? b", 1, 6, "expected ':' or an operator; found the end of the expression"),
        ("a ? b ? 1 : 2 : 3", 1, 7, "expected ':' or an operator; found '?'"),
        ("[1, 2", 1, 6, "expected ']' or ','; found the end of the expression"),
        ("a[1", 1, 4, "expected ']'; found the end of the expression"),
        ("{'a' 1}", 1, 6, "expected ':' after the key; found '1'"),
        ("{'a': 1 'b'}", 1, 9, "expected '}' or ','; found ''b''"),
        ("a.", 1, 3, "expected the name of a field or method; found the end of the expression"),
        ("a.in", 1, 3, "expected the name of a field or method; found 'in'"),
        ("a.1x", 1, 2, "the number .1 runs into 'x'; put an operator between"),
        ("x\n  && ]", 2, 6, "expected a value; found ']'"),
        ("for", 1, 1, "'for' is a reserved word of CEL and names nothing"),
        ("in", 1, 1, "'in' is a reserved word of CEL and names nothing"),
        ("a = b", 1, 3, "unexpected '='; write '=='"),
        ("a & b", 1, 3, "unexpected '&'; write '&&'"),
        ("a | b", 1, 3, "unexpected '|'; write '||'"),
        ("a # b", 1, 3, "unexpected '#'"),
        ("1u", 1, 1, "unsigned numbers are not supported; write 1"),
        ("0x1FU", 1, 1, "unsigned numbers are not supported; write 0x1F"),
        ("b'a'", 1, 1, "bytes are not supported; write a string without the prefix b"),
        ("rr'a'", 1, 1, "unknown string prefix 'rr'"),
        ("'abc", 1, 1, "the string is not closed; expected '"),
        ("'a\nb'", 1, 1, "the string is not closed; expected '"),
        ('"""abc"', 1, 1, 'the string is not closed; expected """'),
        (r"'a\qb'", 1, 3, r"unknown escape \q; write \\ for a backslash"),
        (r"'\uD83D'", 1, 2, r"\uD83D is not a Unicode character"),
        (r"'\U00110000'", 1, 2, r"\U00110000 is not a Unicode character"),
        ("a.map(1, 2)", 1, 7, "the first argument of map must be a name for the element"),
        ("a.map(x)", 1, 3, "map takes 2 or 3 arguments, such as map(x, ...); found 1"),
        ("a.all(x, y, z)", 1, 3, "all takes 2 arguments, such as all(x, ...); found 3"),
        ("map(a, x)", 1, 1, "map stands behind a list: list.map(x, ...)"),
        ("has(a)", 1, 1, "has takes one field, such as has(event.payload.x)"),
        ("has(a.b, a.c)", 1, 1, "has takes one field, such as has(event.payload.x)"),
        ("1e400", 1, 1, "the exponent of 1e400 is out of range (at most 300)"),
        ("1e99999999", 1, 1, "the exponent of 1e99999999 is out of range (at most 300)"),
        ("9" * 61, 1, 1, "a number of 61 digits; at most 60 are taken"),
        ("(" * 33 + "a" + ")" * 33, 1, 34, "brackets are nested more than 32 deep"),
        ("a" + ".b" * 100, 1, 201, "more than 100 operators applied one on another"),
        ("a" * 4097, 1, 1, "the expression has 4097 characters; at most 4096 are taken"),
        (f"a {'b' * 50}", 1, 3, f"end of the expression; found '{'b' * 37}...'"),
    ],
)
def test_a_wrong_expression_is_refused_at_its_place(
    text: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        parse.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b % c * d", "((a / b) % c) * d"),
        ("a || b && c", "a || (b && c)"),
        ("a && b == c", "a && (b == c)"),
        ("a == b + c", "a == (b + c)"),
        ("a in b && c", "(a in b) && c"),
        ("!a && b", "(!a) && b"),
        ("-a.b", "-(a.b)"),
        ("a ? b : c ? d : e", "a ? b : (c ? d : e)"),
        ("a || b ? c : d", "(a || b) ? c : d"),
        ("a['b']", "a.b"),
        ("a.`b`", "a.b"),
        ("has(a['b'])", "has(a.b)"),
        ("[1, 2,]", "[1, 2]"),
        ("{'a': 1,}", "{'a': 1}"),
        ("a.existsOne(x, x)", "a.exists_one(x, x)"),
        ("a // comment\n + b", "a + b"),
    ],
)
def test_precedence_and_other_spellings(text: str, same: str) -> None:
    assert parse.parse(text) == parse.parse(same)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-12", -12),
        ("0x1F", 31),
        ("0.10", decimal.Decimal("0.10")),
        (".5", decimal.Decimal("0.5")),
        ("1e3", decimal.Decimal("1E+3")),
        ("-2.5e-1", decimal.Decimal("-0.25")),
        ("true", True),
        ("false", False),
        ("null", None),
        ("'a'", "a"),
        ('"a\'b"', "a'b"),
        ("'''a\n'b'''", "a\n'b"),
        (r"'\n\t\\\'\x41\u00e9\U0001F600\101'", "\n\t\\'Aé\U0001f600A"),
        (r"r'\n'", r"\n"),
        ("R'''a'''", "a"),
        (r"'\\'", "\\"),
        (r"r'\'", "\\"),
    ],
)
def test_literals(text: str, value: object) -> None:
    node = parse.parse(text)
    assert isinstance(node, syntax.Literal)
    assert (type(node.value), node.value) == (type(value), value)


def test_a_sign_of_a_sign_is_an_operator() -> None:
    at = syntax.Place(1, 1)
    assert parse.parse("--5") == syntax.Negate(at, syntax.Literal(at, -5))
    assert parse.parse("-(5)") == syntax.Negate(at, syntax.Literal(at, 5))


def test_each_node_knows_its_place() -> None:
    node = parse.parse("a &&\n  (b.c == 1)")
    assert isinstance(node, syntax.Logic)
    assert isinstance(node.right, syntax.Comparison)
    assert node.at == syntax.Place(1, 3)
    assert node.right.left.at == syntax.Place(2, 6)
    assert (str(node.at), str(node.right.left.at)) == ("column 3", "line 2, column 6")


def test_long_chains_are_taken_as_the_specification_asks() -> None:
    for text in (
        " || ".join("a" * 32),
        "[" + ", ".join("1" * 32) + "]",
        "".join("a ? 1 : " for _ in range(24)) + "2",
        " + ".join("a" * 25),
        "[" * 12 + "]" * 12,
        "f(" * 12 + "a" + ")" * 12,
    ):
        parse.parse(text)


def test_names_leave_out_loop_variables() -> None:
    node = parse.parse("a.map(x, x == b, x + c).exists(a, a == d) && x")
    assert syntax.names(node) == {"a", "b", "c", "d", "x"}
    assert syntax.names(parse.parse("a.map(x, x)")) == {"a"}


def test_tokens_end_with_an_end() -> None:
    assert [t.kind for t in lexer.tokens("a.b")] == [
        lexer.Kind.IDENTIFIER,
        lexer.Kind.OPERATOR,
        lexer.Kind.IDENTIFIER,
        lexer.Kind.END,
    ]
