"""The filter expression: what it reads it writes, what it cannot read it says where."""

import re
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from helios.kernel import errors, filtering, limits

_FIELDS = st.from_regex(r"[A-Za-z_@$][A-Za-z0-9_.@$-]{0,12}", fullmatch=True)
_WORDS = st.from_regex(r"[A-Za-z0-9*][A-Za-z0-9*_:/-]{0,8}", fullmatch=True)
_QUOTED = st.text(max_size=12).map(lambda text: filtering.Value(text, quoted=True))
_BOUNDS = st.from_regex(r"[0-9]{1,4}", fullmatch=True)
_RANGES = st.builds(filtering.Range, st.one_of(st.none(), _BOUNDS), _BOUNDS)
_VALUES = st.one_of(_WORDS.map(filtering.Value), _QUOTED, _RANGES)
_TEXTS = st.one_of(
    st.from_regex(r"[0-9*][A-Za-z0-9*]{0,8}", fullmatch=True).map(filtering.Value), _QUOTED
)
_TERMS = st.one_of(
    st.builds(
        filtering.Term,
        _FIELDS,
        st.just(":"),
        st.lists(_VALUES, min_size=1, max_size=3).map(tuple),
        st.booleans(),
    ),
    st.builds(
        filtering.Term,
        _FIELDS,
        st.sampled_from(("<", "<=", ">", ">=")),
        st.one_of(_WORDS.map(filtering.Value), _QUOTED).map(lambda value: (value,)),
        st.booleans(),
    ),
    st.builds(filtering.Term, st.just(""), st.just(":"), _TEXTS.map(lambda v: (v,)), st.booleans()),
)
_EXPRESSIONS = st.lists(_TERMS, max_size=5).map(lambda terms: filtering.Expression(tuple(terms)))


@hypothesis.given(_EXPRESSIONS)
def test_what_is_written_is_read_back_as_the_same(expression: filtering.Expression) -> None:
    assert filtering.parse(filtering.show(expression)) == expression


@hypothesis.given(st.text(alphabet='ab:,-"<>=.* \\1é\n', max_size=30))
def test_any_text_is_read_or_refused_at_a_place_within_it(text: str) -> None:
    try:
        found = filtering.parse(text)
    except filtering.FilterError as error:
        assert 0 <= error.at <= len(text)  # noqa: PT017 - most texts are read
        return
    assert filtering.parse(filtering.show(found)) == found


@hypothesis.given(
    _EXPRESSIONS, st.dictionaries(_FIELDS, st.one_of(st.none(), st.text(), st.floats()))
)
def test_a_negated_term_holds_exactly_where_the_term_does_not(
    expression: filtering.Expression, thing: dict[str, Any]
) -> None:
    for term in expression.terms:
        other = filtering.Term(term.field, term.operator, term.values, not term.negated)
        one, two = filtering.Expression((term,)), filtering.Expression((other,))
        assert filtering.holds(one, thing.get) != filtering.holds(two, thing.get)


THING = {
    "type": "order.placed", "client": "acme", "age": 1800.0, "payload.total": 150.5,
    "payload.tags": ["new", "vip"], "payload.paid": True, "position": 120, "sku": None,
    "time": "2026-01-02T03:00:00Z", "": "Order ORD-7 timed out\nin payment",
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "", "type:order.*", "type:*.placed", "client:acme,bolt", "-client:bolt", "age<1h",
        "age>=30m", "payload.total>100", "payload.total:150.50", "payload.total:100..200",
        "position:..120", "position:120..", "payload.tags:vip", "payload.paid:true", "sku:null",
        '"timed out"', "ord-7", "-refund", "time>2026-01-01", "time<2026-01-02T04:00:00+00:00",
        'type:"order.placed"', "o*out", "type:order.* -status:failed client:acme age<1h ORD-7",
    ],
)  # fmt: skip
def test_what_holds(text: str) -> None:
    assert filtering.holds(filtering.parse(text), THING.get)


@pytest.mark.parametrize(
    "text",
    [
        "type:order", "-type:order.*", "client:bolt,coil", "age>1h", "payload.total<100",
        "payload.total:151..200", "payload.tags:old", "nothing:x", "nothing>1", "sku:x",
        'type:"order.*"', "payload.total>many", "refund", "time>2026-01-03", "payload.tags>1",
    ],
)  # fmt: skip
def test_what_does_not_hold(text: str) -> None:
    assert not filtering.holds(filtering.parse(text), THING.get)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ('type:"open', 5), ("type:", 5), ("type:a,", 7), ("a:1 - b:2", 4), ("age<1,2", 4),
        ("age<1..2", 4), ("a:..", 2), ("a:1..2..3", 2), ('"a"b', 3), (",a", 0),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_where_it_is_wrong(text: str, at: int) -> None:
    with pytest.raises(filtering.FilterError, match=f"character {at + 1}") as caught:
        filtering.parse(text)
    assert caught.value.at == at
    assert isinstance(caught.value, errors.InvalidInputError)


def test_an_expression_has_bounds() -> None:
    for text in (
        "a" * (limits.FILTER_CHARS_MAX + 1),
        "a:1 " * (limits.FILTER_TERMS_MAX + 1),
        "a:" + "1," * limits.FILTER_VALUES_MAX + "1",
    ):
        with pytest.raises(filtering.FilterError):
            filtering.parse(text)


@hypothesis.given(st.text("ab*", max_size=8), st.text("ab", max_size=8), st.booleans())
def test_stars_stand_for_anything(pattern: str, text: str, anywhere: bool) -> None:  # noqa: FBT001
    expected = re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
    found = expected.search(text) if anywhere else expected.fullmatch(text)
    assert filtering.matches(pattern, text, anywhere=anywhere) == (found is not None)


def test_many_stars_take_no_longer_than_one() -> None:
    found = filtering.parse("a:" + "a*" * 900 + "b")
    assert not filtering.holds(found, {"a": "a" * 100_000}.get)
