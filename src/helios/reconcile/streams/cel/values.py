"""Values of CEL and the operators on them, exact and strict about kinds.

At run time a value is a str, an int or Decimal (never a float), a bool, None for null, a list, a
dict for an opaque object, a msgspec Struct for an object with a known shape, a datetime or a
timedelta. `msgspec.UNSET` stands for an absent field and is not a value.

Python is laxer than CEL: True + 1, "a" * 3, [1] < [2], 1 == True, xs[-1]. Whoever evaluates must
come through these functions, or have excluded such operands before using Python's operators.

Departures from the CEL specification, because rules speak of money in JSON: int and decimal mix
in arithmetic; integers have no 64-bit bound; decimals are exact (`+ - *` that need more than 200
digits are errors, `/` rounds half-even to 34 digits); keys of maps are strings.
"""

import datetime as dt
import decimal
import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec

from helios.kernel import errors

DIGITS_MAX: Final = 200
"""Digits of an exact result of + - *. Above: an error, never a rounded value."""

DIVISION_DIGITS: Final = 34
"""Digits of a quotient of decimals, rounded half to even."""

NESTED_ELEMENTS_MAX: Final = 250_000
"""Elements that loops within loops visit in one evaluation. Above: an error.

A loop that is not in another is bounded by the size of the event already.
"""

_TRAPS = [
    decimal.InvalidOperation,
    decimal.DivisionByZero,
    decimal.Overflow,
    decimal.FloatOperation,
]

CONTEXT: Final = decimal.Context(
    prec=DIGITS_MAX, rounding=decimal.ROUND_HALF_EVEN, traps=[*_TRAPS, decimal.Inexact]
)
"""The decimal context of every evaluation: exact, or an error.

`decimal.setcontext(CONTEXT)` once in a thread spares each evaluation there the switch.
"""

_DIVISION: Final = threading.local()

Number = int | decimal.Decimal
UNSET: Final = msgspec.UNSET


class EvalError(errors.HeliosError):
    """An expression has no value for these objects; `reason` says why, for people."""

    code = "rule_error"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_number(value: object) -> bool:
    """Whether the value is an int or Decimal; a bool is not a number."""
    return type(value) is int or type(value) is decimal.Decimal


_KINDS: Final[dict[type, str]] = {
    int: "number",
    decimal.Decimal: "number",
    str: "string",
    bool: "bool",
    type(None): "null",
    list: "list",
    dict: "object",
    dt.datetime: "timestamp",
    dt.timedelta: "duration",
    msgspec.UnsetType: "an absent field",
}


def kind(value: object) -> str:
    """The kind of a value in the words of CEL and JSON."""
    known = _KINDS.get(type(value))
    if known is not None:
        return known
    return "object" if isinstance(value, msgspec.Struct) else type(value).__name__


def article(value: object) -> str:
    """The kind of a value with its article, as it stands in a sentence."""
    name = kind(value)
    if name == "null" or name.startswith("an "):
        return name
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


# Equality and order


def equals(a: Any, b: Any) -> bool:
    """Equality; values of different kinds are not equal, int and decimal are one kind."""
    if is_number(a) or is_number(b):
        return is_number(a) and is_number(b) and bool(a == b)
    if type(a) is not type(b):
        return False
    if type(a) is list:
        return len(a) == len(b) and all(map(equals, a, b))
    if type(a) is dict:
        return a.keys() == b.keys() and all(equals(a[key], b[key]) for key in a)
    return bool(a == b)


def not_equals(a: Any, b: Any) -> bool:
    return not equals(a, b)


_ORDERED: Final = (str, bool, dt.datetime, dt.timedelta)


def _check_order(a: Any, b: Any) -> None:
    if is_number(a) and is_number(b):
        return
    if type(a) is not type(b) or type(a) not in _ORDERED:
        raise EvalError(f"cannot compare {kind(a)} with {kind(b)}")


def less(a: Any, b: Any) -> bool:
    _check_order(a, b)
    return bool(a < b)


def less_equal(a: Any, b: Any) -> bool:
    _check_order(a, b)
    return bool(a <= b)


def greater(a: Any, b: Any) -> bool:
    _check_order(a, b)
    return bool(a > b)


def greater_equal(a: Any, b: Any) -> bool:
    _check_order(a, b)
    return bool(a >= b)


def contains(item: Any, container: Any) -> bool:
    """The operator `in`: an element of a list, or a key of an object."""
    if type(container) is list:
        return any(equals(item, element) for element in container)
    if type(container) is dict:
        return type(item) is str and item in container
    raise EvalError(f"cannot look for a value in {kind(container)}; expected a list or an object")


# Arithmetic. All of it runs under CONTEXT.


def exact(operation: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Apply Python's operator; what would round or leave the range is an error."""
    try:
        return operation(a, b)
    except decimal.Inexact:
        raise EvalError(f"the exact result needs more than {DIGITS_MAX} digits") from None
    except (decimal.DecimalException, OverflowError):
        raise EvalError("the result is out of range") from None


_TIME: Final = (dt.datetime, dt.timedelta)


def add(a: Any, b: Any) -> Any:
    if is_number(a) and is_number(b):
        return exact(lambda x, y: x + y, a, b)
    if type(a) is type(b) and type(a) in (str, list, dt.timedelta):
        return exact(lambda x, y: x + y, a, b)
    if {type(a), type(b)} == set(_TIME):
        return exact(lambda x, y: x + y, a, b)
    raise EvalError(f"cannot add {kind(b)} to {kind(a)}")


def subtract(a: Any, b: Any) -> Any:
    if is_number(a) and is_number(b):
        return exact(lambda x, y: x - y, a, b)
    if type(a) in _TIME and (type(b) is dt.timedelta or type(a) is type(b)):
        return exact(lambda x, y: x - y, a, b)
    raise EvalError(f"cannot subtract {kind(b)} from {kind(a)}")


def multiply(a: Any, b: Any) -> Number:
    if is_number(a) and is_number(b):
        product: Number = exact(lambda x, y: x * y, a, b)
        return product
    raise EvalError(f"cannot multiply {kind(a)} by {kind(b)}")


def divide(a: Any, b: Any) -> Number:
    """Integers are divided toward zero; with a decimal the quotient has up to 34 digits."""
    if not (is_number(a) and is_number(b)):
        raise EvalError(f"cannot divide {kind(a)} by {kind(b)}")
    if b == 0:
        raise EvalError("division by zero")
    quotient: Number
    if type(a) is int and type(b) is int:
        quotient = abs(a) // abs(b)
        return quotient if (a < 0) == (b < 0) else -quotient
    quotient = exact(_quotient, decimal.Decimal(a), decimal.Decimal(b))
    return quotient


def _quotient(a: decimal.Decimal, b: decimal.Decimal) -> decimal.Decimal:
    context: decimal.Context | None = getattr(_DIVISION, "context", None)
    if context is None:
        context = decimal.Context(prec=DIVISION_DIGITS, traps=_TRAPS)
        _DIVISION.context = context
    return context.divide(a, b)


def remainder(a: Any, b: Any) -> int:
    """The remainder of integers; its sign is the sign of the dividend."""
    if not (type(a) is int and type(b) is int):
        raise EvalError(f"% takes two integers; found {_exactly(a)} and {_exactly(b)}")
    if b == 0:
        raise EvalError("division by zero")
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


def _exactly(value: object) -> str:
    return "decimal" if type(value) is decimal.Decimal else kind(value)


def negate(a: Any) -> Any:
    if is_number(a) or type(a) is dt.timedelta:
        return exact(lambda x, _: -x, a, None)
    raise EvalError(f"cannot negate {kind(a)}")


# Parts of values


def read(owner: Any, attribute: str, name: str) -> Any:
    """A field of an object: the attribute of a Struct or the key of a dict; UNSET when absent."""
    if type(owner) is dict:
        return owner.get(name, UNSET)
    if isinstance(owner, msgspec.Struct):
        fields = type(owner).__struct_fields__
        return getattr(owner, attribute) if attribute in fields else UNSET
    raise EvalError(f"{kind(owner)} has no field '{name}'")


def item(container: Any, index: Any) -> Any:
    """The operator `[]`: by position in a list, by key in an object."""
    if type(container) is list:
        if type(index) is not int:
            raise EvalError(f"the index of a list must be an integer; found {_exactly(index)}")
        if not 0 <= index < len(container):
            raise EvalError(f"index {index} is out of range in a list of {len(container)}")
        return container[index]
    if type(container) is dict:
        if type(index) is not str:
            raise EvalError(f"the key of an object must be a string; found {kind(index)}")
        if index not in container:
            raise EvalError(f"there is no key {index!r}")
        return container[index]
    raise EvalError(f"cannot take an element of {kind(container)}")


def mapping(*pairs: tuple[Any, Any]) -> dict[str, Any]:
    """A map literal."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        if type(key) is not str:
            raise EvalError(f"the key of a map must be a string; found {kind(key)}")
        if key in made:
            raise EvalError(f"the key {key!r} stands twice")
        made[key] = value
    return made


def elements(value: Any, macro: str) -> list[Any]:
    """What a macro loops over: the elements of a list, the keys of an object."""
    if type(value) is list:
        return value
    if type(value) is dict:
        return list(value)
    raise EvalError(f"{macro} needs a list; found {kind(value)}")
