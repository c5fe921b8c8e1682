"""Values in normal form, so that what means the same is equal and has the same hash.

`normal` is for one value alone: whole numbers are integers, sets and lists of named things are
sorted, what a provider keeps for itself (below `_`) is left out. `fit` brings what was seen into
the form of what is expected: types as expected, only the fields that are expected, a constraint
that holds replaced by the constraint itself. Both are idempotent.

Constraints, in the place of a value: `{"$min": x}` and `{"$max": x}`, also together, for numbers;
`{"$set": [...]}` for a list without order and without repetitions.
"""

import math
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

from helios.reconcile.compositions import hashing

MIN: Final = "$min"
MAX: Final = "$max"
SET: Final = "$set"
SERVER_MANAGED: Final = "_"
"""Below this key is what the other side keeps for itself: never compared."""

LIST_KEYS: Final = ("name", "Name", "key", "Key", "id", "Id", "AttributeName", "IndexName")
"""A list of objects that all have one of these, each another value, is a list by that key."""

_BOUNDS = frozenset((MIN, MAX))
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_NUMBER_CHARS_MAX = 40
_EXACT = 1 << 53
_WORDS = {"true": True, "false": False}
_SIMPLE = frozenset((str, int, bool, type(None)))
"""Types of values that are in normal form whatever they are: most of what is in a tree."""


def is_constraint(value: Any) -> bool:
    """Whether a value stands for many values."""
    return type(value) is dict and (is_bounds(value) or is_set(value))


def is_bounds(value: Any) -> bool:
    """Whether it is a lower or upper bound of a number, or both."""
    return (
        type(value) is dict
        and bool(value)
        and value.keys() <= _BOUNDS
        and all(_is_number(bound) for bound in value.values())
    )


def is_set(value: Any) -> bool:
    """Whether it is a list without order."""
    return type(value) is dict and len(value) == 1 and type(value.get(SET)) is list


def normal(value: Any) -> Any:
    """A JSON value in normal form."""
    kind = type(value)
    if kind in _SIMPLE:
        return value
    if kind is float:
        return int(value) if abs(value) < _EXACT and value == int(value) else value
    if kind is dict or isinstance(value, Mapping):
        found = {
            name: each if type(each) in _SIMPLE else normal(each)
            for name, each in value.items()
            if name != SERVER_MANAGED
        }
        return {SET: as_set(found[SET])} if is_set(found) else found
    if isinstance(value, list | tuple):
        return in_order([each if type(each) in _SIMPLE else normal(each) for each in value])
    return value


def as_set(values: list[Any]) -> list[Any]:
    """The different values of a list, in canonical order."""
    known = {hashing.canonical(each): each for each in values}
    return [known[name] for name in sorted(known)]


def list_key(values: list[Any]) -> str | None:
    """The key by which the objects of a list are told apart; None: it is an ordered list."""
    if not values or any(type(each) is not dict for each in values):
        return None
    for name in LIST_KEYS:
        if all(type(each.get(name)) in (str, int) for each in values):
            if len({str(each[name]) for each in values}) == len(values):
                return name
            return None
    return None


def in_order(values: list[Any]) -> list[Any]:
    """A list of named things sorted by name; another as it is."""
    name = list_key(values)
    return values if name is None else sorted(values, key=lambda each: str(each[name]))


def fit(expected: Any, observed: Any, field: str = "") -> Any:
    """What was seen, in the form of what is expected (which is in normal form).

    Equal to `expected` when what was seen is as expected. Fields that are not expected are left
    out; one that is expected to be null may be missing.
    """
    return expected if observed == expected else fit_unequal(expected, observed, field)


def fit_unequal(expected: Any, observed: Any, field: str = "") -> Any:
    """The same of what is known to be unequal as it is."""
    if type(expected) is dict:
        if is_bounds(expected):
            return expected if _holds(expected, observed) else normal(observed)
        fitted = _fit_set if is_set(expected) else _fit_object
        return fitted(expected, observed)
    if type(expected) is list and isinstance(observed, list | tuple):
        return _fit_list(expected, list(observed))
    if field == "url" and type(expected) is str and type(observed) is str:
        return expected if same_url(expected, observed) else observed
    return _coerced(expected, observed)


def plain(expected: Any) -> Any:
    """What is expected as people and providers write it: a set is a list."""
    if type(expected) is dict:
        if is_set(expected):
            return expected[SET]
        return {name: plain(each) for name, each in expected.items()}
    return [plain(each) for each in expected] if type(expected) is list else expected


def settled(expected: Any, observed: Any) -> Any:
    """What was seen, as coarse as it matters: the same as long as a drift is the same.

    An age grows with every look; how far a bound is missed counts in doublings.
    """
    if not is_bounds(expected) or not _is_number(observed):
        return observed
    if observed < expected.get(MIN, -math.inf):
        return {"$below": "nothing" if observed <= 0 else math.frexp(observed)[1]}
    if observed <= expected.get(MAX, math.inf):
        return expected
    return {"$above": math.frexp(observed / (abs(expected[MAX]) or 1))[1]}


def same_url(left: str, right: str) -> bool:
    """Whether two addresses are the same by RFC 3986: case of scheme and host, an empty path."""
    try:
        return _url(left) == _url(right)
    except ValueError:
        return left == right


def _url(text: str) -> tuple[str, ...]:
    parts = urllib.parse.urlsplit(text)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else str(parts.port)
    user = parts.netloc.rpartition("@")[0]
    host = (parts.hostname or "").lower()
    return (parts.scheme, user, host, port, parts.path or "/", parts.query, parts.fragment)


def _fit_object(expected: dict[str, Any], observed: Any) -> Any:
    if not isinstance(observed, Mapping):
        return normal(observed)
    found = {}
    for name, want in expected.items():
        if name in observed:
            got = observed[name]
            found[name] = want if got == want else fit_unequal(want, got, name)
        elif want is None:
            found[name] = None
    return found


def _fit_list(expected: list[Any], observed: list[Any]) -> list[Any]:
    name = list_key(expected)
    if name is not None and list_key(observed) == name:
        wanted = {str(each[name]): each for each in expected}
        fitted = [
            fit(wanted[str(each[name])], each) if str(each[name]) in wanted else normal(each)
            for each in observed
        ]
        return in_order(fitted)
    if len(expected) == len(observed):
        return [fit(want, got) for want, got in zip(expected, observed, strict=True)]
    return in_order([normal(each) for each in observed])


def _fit_set(expected: dict[str, Any], observed: Any) -> Any:
    if not isinstance(observed, list | tuple):
        return normal(observed)
    found = as_set([normal(each) for each in observed])
    return expected if found == expected[SET] else found


def _holds(expected: dict[str, Any], observed: Any) -> bool:
    """Whether a number is within its bounds. Nothing at all is never too much."""
    if observed is None:
        return MIN not in expected
    if not _is_number(observed):
        return False
    low, high = expected.get(MIN, -math.inf), expected.get(MAX, math.inf)
    return bool(low <= observed <= high)


def _coerced(expected: Any, observed: Any) -> Any:
    """The same scalar in the expected type, if it can be read so; else as it is."""
    kind, seen = type(expected), type(observed)
    if kind is bool and seen is str:
        return _WORDS.get(observed.lower(), observed)
    if kind in (int, float) and seen is str:
        is_number = len(observed) <= _NUMBER_CHARS_MAX and _NUMBER.fullmatch(observed)
        return normal(_number(observed)) if is_number else observed
    if kind is str and seen is bool:
        return "true" if observed else "false"
    if kind is str and seen in (int, float):
        return str(normal(observed))
    return normal(observed)


def _number(text: str) -> int | float:
    return float(text) if any(sign in text for sign in ".eE") else int(text)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
