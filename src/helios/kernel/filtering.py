"""The filter expression: one grammar for the console, the command line and the API.

Terms stand side by side and must all hold. A term is a field, an operator and values, such as
`type:order.*`, `client:acme,bolt`, `age<1h`, `payload.total>100`, `position:100..200`; or a text to
be found anywhere, such as `timeout` or `"free text"`. A minus before a term negates it. Within
values `*` stands for anything and a comma for *or*; in quotes every character stands for itself.

Pure: `parse` reads, `show` writes what `parse` reads back, `holds` evaluates over whatever gives
the values of fields.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final, Literal, TypeAlias

import msgspec

from helios.kernel import durations, errors, limits, rfc3339

Operator: TypeAlias = Literal[":", "<", "<=", ">", ">="]

_FIELD: Final = re.compile(r"[A-Za-z_@$][\w.@$-]*")
_OPERATOR: Final = re.compile(r"<=|>=|[:<>]")
_BARE: Final = re.compile(r'[^\s,"]+')
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_RANGE: Final = ".."


class FilterError(errors.InvalidInputError):
    """The expression cannot be read; `at` is the place of the character that is wrong, from 0."""

    code: ClassVar[str] = errors.InvalidInputError.code

    def __init__(self, message: str, at: int) -> None:
        super().__init__(f"character {at + 1}: {message}", field="filter")
        self.at = at


class Value(msgspec.Struct, frozen=True):
    """One value; `*` in it stands for anything unless it was quoted."""

    text: str
    quoted: bool = False


class Range(msgspec.Struct, frozen=True):
    """From `low` to `high`, both included; None: without bound."""

    low: str | None
    high: str | None


Given: TypeAlias = Value | Range


class Term(msgspec.Struct, frozen=True):
    """One term.

    Attributes:
        field: such as `type` or `payload.total`; empty: a text to be found anywhere.
        values: one of which must hold; of a comparison there is one.
    """

    field: str
    operator: Operator
    values: tuple[Given, ...]
    negated: bool = False


class Expression(msgspec.Struct, frozen=True):
    """Terms that must all hold; none: everything does."""

    terms: tuple[Term, ...] = ()

    def fields(self) -> set[str]:
        """The fields that it asks for; empty text: it asks for a text anywhere."""
        return {term.field for term in self.terms}


EVERYTHING: Final = Expression()

Look: TypeAlias = Callable[[str], Any]
"""The value of a field: a JSON value, a list of those that it may have, or None; of the empty field
all text there is."""


def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        FilterError: it cannot be read; says where and why.
    """
    if len(text) > limits.FILTER_CHARS_MAX:
        raise FilterError(f"at most {limits.FILTER_CHARS_MAX} characters", limits.FILTER_CHARS_MAX)
    terms: list[Term] = []
    at = _skip(text, 0)
    while at < len(text):
        if len(terms) >= limits.FILTER_TERMS_MAX:
            raise FilterError(f"at most {limits.FILTER_TERMS_MAX} terms", at)
        term, at = _term(text, at)
        terms.append(term)
        after = _skip(text, at)
        if after == at < len(text):
            raise FilterError(f"{text[at]!r} is not expected here; begin a term after a space", at)
        at = after
    return Expression(tuple(terms))


def show(expression: Expression) -> str:
    """The text of an expression, which `parse` reads back as the same."""
    return " ".join(_shown(term) for term in expression.terms)


def holds(expression: Expression, look: Look) -> bool:
    """Whether all terms hold of something."""
    return all(_holds(term, look) != term.negated for term in expression.terms)


# -- reading ------------------------------------------------------------------------------------


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _term(text: str, start: int) -> tuple[Term, int]:
    at, negated = start, text[start] == "-"
    if negated:
        at += 1
        if at >= len(text) or text[at].isspace():
            raise FilterError("a minus needs the term that it negates", start)
    field = _FIELD.match(text, at)
    operator = _OPERATOR.match(text, field.end()) if field else None
    if field is None or operator is None:
        value, at = _value(text, at)
        if isinstance(value, Range):
            value = Value(_shown_range(value))
        return Term("", ":", (value,), negated), at
    sign: Operator = operator.group()  # type: ignore[assignment]
    values, at = _values(text, operator.end())
    if sign != ":":
        _check_comparison(values, sign, operator.end())
    return Term(field.group(), sign, values, negated), at


def _values(text: str, at: int) -> tuple[tuple[Given, ...], int]:
    values: list[Given] = []
    while True:
        if len(values) >= limits.FILTER_VALUES_MAX:
            raise FilterError(f"at most {limits.FILTER_VALUES_MAX} values of a term", at)
        value, at = _value(text, at)
        values.append(value)
        if at >= len(text) or text[at] != ",":
            return tuple(values), at
        at += 1


def _value(text: str, at: int) -> tuple[Given, int]:
    if at >= len(text) or text[at].isspace() or text[at] == ",":
        raise FilterError('a value is expected here; an empty one is ""', at)
    if text[at] == '"':
        found = _QUOTED.match(text, at)
        if found is None:
            raise FilterError("the quote is not closed", at)
        return Value(_ESCAPED.sub(r"\1", found.group(1)), quoted=True), found.end()
    bare = _BARE.match(text, at)
    assert bare is not None, text[at]
    word = bare.group()
    if _RANGE not in word:
        return Value(word), bare.end()
    low, _, high = word.partition(_RANGE)
    if not low and not high:
        raise FilterError("a range needs a bound, such as 1..5, 1.. or ..5", at)
    if _RANGE in high or high.startswith("."):
        raise FilterError("a range has two bounds; put a value with dots in quotes", at)
    return Range(low or None, high or None), bare.end()


def _check_comparison(values: Sequence[Given], sign: Operator, at: int) -> None:
    if len(values) > 1:
        raise FilterError(f"{sign} takes one value; only `:` takes several", at)
    if isinstance(values[0], Range):
        raise FilterError(f"{sign} takes no range; write it with `:`", at)


# -- writing ------------------------------------------------------------------------------------


def _shown(term: Term) -> str:
    sign = "-" if term.negated else ""
    values = ",".join(_shown_value(value) for value in term.values)
    return f"{sign}{term.field}{term.operator}{values}" if term.field else f"{sign}{values}"


def _shown_value(value: Given) -> str:
    if isinstance(value, Range):
        return _shown_range(value)
    if not value.quoted:
        return value.text
    escaped = value.text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _shown_range(value: Range) -> str:
    return f"{value.low or ''}{_RANGE}{value.high or ''}"


# -- evaluating ---------------------------------------------------------------------------------


def _holds(term: Term, look: Look) -> bool:
    found = look(term.field)
    if not term.field:
        return any(_contains(str(found or ""), value) for value in term.values)
    actual = found if isinstance(found, list) else [found]
    if term.operator == ":":
        return any(_equals(each, value) for value in term.values for each in actual)
    (value,) = term.values
    assert isinstance(value, Value), term
    return any(_compares(each, term.operator, value.text) for each in actual)


def _contains(text: str, value: Given) -> bool:
    if isinstance(value, Range):
        return False
    if value.quoted or "*" not in value.text:
        return value.text.casefold() in text.casefold()
    return matches(value.text.casefold(), text.casefold(), anywhere=True)


def _equals(actual: Any, value: Given) -> bool:
    if isinstance(value, Range):
        return (value.low is None or _compares(actual, ">=", value.low)) and (
            value.high is None or _compares(actual, "<=", value.high)
        )
    if actual is None:
        return value.text == "null" and not value.quoted
    text = _text(actual)
    if text == value.text:
        return True
    if not value.quoted and "*" in value.text:
        return matches(value.text, text)
    return is_number(actual) and number(value.text) == number(text)


def _compares(actual: Any, sign: Operator, text: str) -> bool:
    if actual is None or isinstance(actual, bool | dict | list):
        return False
    order = _order(actual, text)
    if order is None:
        return False
    return {
        "<": order < 0,
        "<=": order <= 0,
        ">": order > 0,
        ">=": order >= 0,
        ":": order == 0,
    }[sign]


def _order(actual: Any, text: str) -> int | None:
    """Below, at or above 0 as the value is; None: they cannot be compared."""
    mine, given = number(_text(actual)), number(text)
    if mine is not None:
        if given is None:
            given = span(text)
        return None if given is None else (mine > given) - (mine < given)
    said = _text(actual)
    times = _time(said), _time(text)
    if times[0] is not None and times[1] is not None:
        return (times[0] > times[1]) - (times[0] < times[1])
    return None if given is not None else (said > text) - (said < text)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def number(text: str) -> Decimal | None:
    """The number that a text is; None: it is none."""
    if len(text) > limits.NUMBER_DIGITS_MAX or not text or text[0].isspace():
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def span(text: str) -> Decimal | None:
    """A duration such as `1h30m` in seconds; None: it is none."""
    try:
        return Decimal(durations.parse(text)) / 1_000_000
    except ValueError:
        return None


def _time(text: str) -> int | None:
    """A time, or a day; None: it is neither."""
    try:
        return rfc3339.parse(f"{text}T00:00:00Z" if len(text) == len("2026-01-02") else text)
    except ValueError:
        return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def matches(pattern: str, text: str, *, anywhere: bool = False) -> bool:
    """Whether a text is of a pattern in which `*` stands for anything; in linear time.

    Args:
        pattern: with its stars.
        text: all of which has to be of it.
        anywhere: a part of the text suffices.
    """
    first, *middle = pattern.split("*")
    if anywhere:
        first, middle = "", [first, *middle, ""]
    if not middle:
        return text == first
    last = middle.pop()
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        # The first place is as good as any: what follows has the most room behind it.
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def literals(term: Term) -> tuple[str, ...] | None:
    """The values of a term that asks for equality alone; None: it asks for something else."""
    if term.negated or term.operator != ":" or not term.field:
        return None
    found = []
    for value in term.values:
        if isinstance(value, Range) or ("*" in value.text and not value.quoted):
            return None
        found.append(value.text)
    return tuple(sorted(set(found)))


def without(expression: Expression, dropped: Iterable[Term]) -> Expression:
    """An expression without some of its terms."""
    gone = set(dropped)
    return Expression(tuple(term for term in expression.terms if term not in gone))
