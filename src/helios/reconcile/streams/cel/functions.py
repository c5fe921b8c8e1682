"""The functions of CEL expressions: the standard ones that JSON needs, and those for sums.

Added to the standard: `sum(list)`, `count(list)`, `abs(x)`, `min(...)` and `max(...)` of a list or
of several values. All work as functions and as methods (`xs.sum()`). Instants keep microseconds;
further digits are cut off. Parts of a timestamp are those of UTC.
"""

import datetime as dt
import decimal
import difflib
import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from helios.reconcile.streams.cel import syntax, values
from helios.reconcile.streams.cel.values import CONTEXT, EvalError

__all__ = ["CONTEXT", "FUNCTIONS", "EvalError", "Function", "Kind", "Style", "Want", "suggest"]

PATTERN_CHARS_MAX: Final = 512
"""Characters of a pattern of `matches`. Above: refused."""

EXPONENT_MAX: Final = 300
"""Decimal exponent of a number that becomes an integer or plain text. Above: an error."""


class Kind(enum.Enum):
    """What is known of a value before evaluation."""

    DYN = "any value"
    NUMBER = "number"
    STRING = "string"
    BOOL = "bool"
    NULL = "null"
    LIST = "list"
    MAP = "object"
    TIMESTAMP = "timestamp"
    DURATION = "duration"


class Want(enum.Enum):
    """What a function does with an argument; this gives the shape of what is passed."""

    NUMBER = "a number"
    NUMBERS = "a list of numbers"
    LIST = "a list"
    SCALAR = "a value"
    SCALARS = "a list or a value"
    SIZED = "a string, list or object"
    STRING = "a string"
    VALUE = "any value"


class Style(enum.Flag):
    """How a function may be written."""

    PLAIN = enum.auto()
    METHOD = enum.auto()
    BOTH = PLAIN | METHOD


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `wants` has one entry per argument; `variadic` repeats the last."""

    call: Callable[..., Any]
    wants: tuple[Want, ...]
    result: Kind
    style: Style = Style.PLAIN
    variadic: bool = False


def suggest(name: str, known: list[str]) -> str:
    """A hint for a name that does not exist: the nearest one that does, or all."""
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(sorted(known))}" if known else "there are none"


def constant(call: syntax.Call) -> Any:
    """The value of a conversion of a literal, such as `duration("30s")`; UNSET for other calls.

    Raises:
        EvalError: the literal cannot be converted.
    """
    literals = [a.value for a in call.arguments if isinstance(a, syntax.Literal)]
    if call.function not in _CONVERSIONS or len(literals) != len(call.arguments):
        return values.UNSET
    return FUNCTIONS[call.function].call(*literals)


# Sums and extremes


def _list(value: Any, function: str) -> list[Any]:
    if type(value) is not list:
        raise EvalError(f"{function} needs a list; found {values.kind(value)}")
    return value


def total(numbers: Any) -> values.Number:
    """sum: exact; 0 for an empty list."""
    result: values.Number = 0
    for number in _list(numbers, "sum"):
        if not values.is_number(number):
            raise EvalError(f"sum needs numbers; found {values.kind(number)}")
        result = values.exact(lambda x, y: x + y, result, number)
    return result


def count(items: Any) -> int:
    return len(_list(items, "count"))


def absolute(value: Any) -> Any:
    """abs: of a number or a duration."""
    if values.is_number(value) or type(value) is dt.timedelta:
        return values.exact(lambda x, _: abs(x), value, None)
    raise EvalError(f"abs needs a number; found {values.kind(value)}")


def _extreme(function: str, arguments: tuple[Any, ...], better: Callable[[Any, Any], bool]) -> Any:
    candidates = _list(arguments[0], function) if len(arguments) == 1 else list(arguments)
    if not candidates:
        raise EvalError(f"{function} of an empty list")
    best = candidates[0]
    better(best, best)
    for candidate in candidates[1:]:
        if better(candidate, best):
            best = candidate
    return best


def minimum(*arguments: Any) -> Any:
    return _extreme("min", arguments, values.less)


def maximum(*arguments: Any) -> Any:
    return _extreme("max", arguments, values.greater)


def size(value: Any) -> int:
    if type(value) in (str, list, dict):
        return len(value)
    raise EvalError(f"size needs a string, a list or an object; found {values.kind(value)}")


# Strings


def _strings(function: str, *arguments: Any) -> None:
    for argument in arguments:
        if type(argument) is not str:
            raise EvalError(f"{function} needs strings; found {values.kind(argument)}")


def starts_with(text: Any, prefix: Any) -> bool:
    _strings("startsWith", text, prefix)
    return bool(text.startswith(prefix))


def ends_with(text: Any, suffix: Any) -> bool:
    _strings("endsWith", text, suffix)
    return bool(text.endswith(suffix))


def has_part(text: Any, part: Any) -> bool:
    _strings("contains", text, part)
    return part in text


def matches(text: Any, pattern: Any) -> bool:
    """Search for an RE2 pattern: time linear in the text, whatever the pattern."""
    _strings("matches", text, pattern)
    return regex(pattern).search(text) is not None


def regex(pattern: str) -> Any:
    """The compiled RE2 pattern; EvalError says what is wrong with it."""
    import re2  # noqa: PLC0415 - only rules that use patterns pay for loading it

    if len(pattern) > PATTERN_CHARS_MAX:
        raise EvalError(f"the pattern is longer than {PATTERN_CHARS_MAX} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        detail = error.args[0] if error.args else "unknown error"
        shown = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else detail
        raise EvalError(f"the pattern {pattern!r} is not valid: {shown}") from None


# Conversions

_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,200}")
_DECIMAL: Final = re.compile(
    r"[-+]?(?:[0-9]{1,200}(?:\.[0-9]{0,200})?|\.[0-9]{1,200})(?:[eE][-+]?[0-9]{1,3})?"
)
_TRUE: Final = frozenset({"1", "t", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "false", "FALSE", "False"})
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND: Final = dt.timedelta(seconds=1)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def _cannot(value: Any, target: str) -> EvalError:
    shown = f"{value[:40]!r}" if type(value) is str else values.kind(value)
    return EvalError(f"cannot convert {shown} to {target}")


def _check_exponent(value: decimal.Decimal) -> None:
    if value and abs(value.adjusted()) > EXPONENT_MAX:
        raise EvalError("the number is too large or too small to be written out")


def to_int(value: Any) -> int:
    """int: a decimal is cut toward zero, a timestamp gives seconds since 1970."""
    if type(value) is int:
        return value
    if type(value) is decimal.Decimal:
        _check_exponent(value)
        return int(value)
    if type(value) is str and _INTEGER.fullmatch(value):
        return int(value)
    if type(value) is dt.datetime:
        return (value - _EPOCH) // _SECOND
    raise _cannot(value, "int")


def to_decimal(value: Any) -> decimal.Decimal:
    """double: an exact decimal."""
    if values.is_number(value):
        return decimal.Decimal(value)
    if type(value) is str and _DECIMAL.fullmatch(value):
        return decimal.Decimal(value)
    raise _cannot(value, "double")


def to_string(value: Any) -> str:
    """string: numbers in plain digits, instants as RFC 3339, durations in seconds."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return to_string(decimal.Decimal(value))
        case decimal.Decimal():
            _check_exponent(value)
            return format(value, "f")
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        case dt.timedelta():
            return f"{_plain(decimal.Decimal(value // _MICROSECOND).scaleb(-6))}s"
        case _:
            raise _cannot(value, "string")


def _plain(value: decimal.Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".")


def to_bool(value: Any) -> bool:
    if type(value) is bool:
        return value
    if type(value) is str and value in _TRUE | _FALSE:
        return value in _TRUE
    raise _cannot(value, "bool")


_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"([Zz]|[-+][0-9]{2}:[0-9]{2})"
)


def to_timestamp(value: Any) -> dt.datetime:
    """timestamp: from RFC 3339 text, or from seconds since 1970."""
    if type(value) is dt.datetime:
        return value
    try:
        if type(value) is int:
            return _EPOCH + dt.timedelta(seconds=value)
        if type(value) is str and (match := _INSTANT.fullmatch(value)):
            day, clock, fraction, zone = match.groups()
            micros = (fraction or "")[:6].ljust(6, "0")
            zone = "+00:00" if zone in "Zz" else zone
            parsed = dt.datetime.fromisoformat(f"{day}T{clock}.{micros}{zone}")
            return parsed.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise _cannot(value, "timestamp")


_SPANS: Final = re.compile(r"([-+]?)((?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|ms|s|m|h))+|0)")
_PART: Final = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_UNIT_NS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def to_duration(value: Any) -> dt.timedelta:
    """duration: from text such as "1h30m", "1.5s", "-250ms"."""
    if type(value) is dt.timedelta:
        return value
    match = _SPANS.fullmatch(value) if type(value) is str and len(value) <= 100 else None
    if match is None:
        raise _cannot(value, "duration")
    sign, body = match.groups()
    nanos = sum(
        int(decimal.Decimal(amount) * _UNIT_NS[unit]) for amount, unit in _PART.findall(body)
    )
    try:
        span = dt.timedelta(microseconds=nanos // 1000)
    except OverflowError:
        raise EvalError("the duration is out of range") from None
    return -span if sign == "-" else span


def identity(value: Any) -> Any:
    return value


# Parts of instants and durations


def _part(
    name: str,
    of_instant: Callable[[dt.datetime], int],
    of_span: Callable[[dt.timedelta], int] | None = None,
) -> Function:
    def part(value: Any) -> int:
        if type(value) is dt.datetime:
            return of_instant(value)
        if type(value) is dt.timedelta and of_span is not None:
            return of_span(value)
        raise EvalError(f"{name} needs a timestamp; found {values.kind(value)}")

    return Function(part, (Want.VALUE,), Kind.NUMBER, Style.METHOD)


def _whole(unit: dt.timedelta) -> Callable[[dt.timedelta], int]:
    return lambda span: int(values.divide(span // _MICROSECOND, unit // _MICROSECOND))


_PartRule = tuple[Callable[[dt.datetime], int], Callable[[dt.timedelta], int] | None]
_PART_RULES: Final[dict[str, _PartRule]] = {
    "getFullYear": (lambda t: t.year, None),
    "getMonth": (lambda t: t.month - 1, None),
    "getDate": (lambda t: t.day, None),
    "getDayOfMonth": (lambda t: t.day - 1, None),
    "getDayOfWeek": (lambda t: t.isoweekday() % 7, None),
    "getDayOfYear": (lambda t: t.timetuple().tm_yday - 1, None),
    "getHours": (lambda t: t.hour, _whole(dt.timedelta(hours=1))),
    "getMinutes": (lambda t: t.minute, _whole(dt.timedelta(minutes=1))),
    "getSeconds": (lambda t: t.second, _whole(_SECOND)),
    "getMilliseconds": (
        lambda t: t.microsecond // 1000,
        lambda d: int(values.remainder(d // dt.timedelta(milliseconds=1), 1000)),
    ),
}
_PARTS: Final[dict[str, Function]] = {
    name: _part(name, of_instant, of_span) for name, (of_instant, of_span) in _PART_RULES.items()
}

FUNCTIONS: Final[dict[str, Function]] = {
    "sum": Function(total, (Want.NUMBERS,), Kind.NUMBER, Style.BOTH),
    "count": Function(count, (Want.LIST,), Kind.NUMBER, Style.BOTH),
    "abs": Function(absolute, (Want.NUMBER,), Kind.DYN, Style.BOTH),
    "min": Function(minimum, (Want.SCALARS,), Kind.DYN, Style.BOTH, variadic=True),
    "max": Function(maximum, (Want.SCALARS,), Kind.DYN, Style.BOTH, variadic=True),
    "size": Function(size, (Want.SIZED,), Kind.NUMBER, Style.BOTH),
    "startsWith": Function(starts_with, (Want.STRING, Want.STRING), Kind.BOOL, Style.METHOD),
    "endsWith": Function(ends_with, (Want.STRING, Want.STRING), Kind.BOOL, Style.METHOD),
    "contains": Function(has_part, (Want.STRING, Want.STRING), Kind.BOOL, Style.METHOD),
    "matches": Function(matches, (Want.STRING, Want.STRING), Kind.BOOL, Style.BOTH),
    "int": Function(to_int, (Want.SCALAR,), Kind.NUMBER),
    "double": Function(to_decimal, (Want.SCALAR,), Kind.NUMBER),
    "string": Function(to_string, (Want.SCALAR,), Kind.STRING),
    "bool": Function(to_bool, (Want.SCALAR,), Kind.BOOL),
    "timestamp": Function(to_timestamp, (Want.SCALAR,), Kind.TIMESTAMP),
    "duration": Function(to_duration, (Want.SCALAR,), Kind.DURATION),
    "dyn": Function(identity, (Want.VALUE,), Kind.DYN),
    **_PARTS,
}

_CONVERSIONS: Final = frozenset({"int", "double", "string", "bool", "timestamp", "duration"})
