"""Makes what AWS describes comparable with what is declared. Pure.

AWS writes names in several ways (`VisibilityTimeout`, `lastModified`) and numbers, truths and JSON
as text; a declaration writes `visibility_timeout: 30`. Both name the same field.
"""

from collections.abc import Mapping
from typing import Any

from helios.kernel import errors, jsonio

_NESTED_MAX = 3


def plain(name: str) -> str:
    """A name without what ways of writing differ in."""
    return name.replace("_", "").replace("-", "").replace(".", "").lower()


def flat(*described: Mapping[str, Any]) -> dict[str, Any]:
    """Descriptions as fields by plain name; what stands deeper has its own name and that of its
    parent before it. What is outside goes before what is deeper.
    """
    found: dict[str, Any] = {}
    level: list[tuple[str, Mapping[str, Any]]] = [("", each) for each in described]
    for _ in range(_NESTED_MAX):
        deeper: list[tuple[str, Mapping[str, Any]]] = []
        for above, each in level:
            for name, value in each.items():
                for key in (plain(name), plain(above + name)):
                    found.setdefault(key, value)
                if isinstance(value, Mapping):
                    deeper.append((name, value))
        level = deeper
    return found


def picked(
    expects: Mapping[str, Any], described: Mapping[str, Any], own: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields that are declared, as they are; None where AWS has none set.

    Args:
        expects: names, and the values whose form is taken.
        described: by plain name.
        own: fields in words of ours; they go first.
    """
    return {
        name: like(expected, own[name] if name in own else described.get(plain(name)))
        for name, expected in expects.items()
        if name != "healthy"
    }


def like(expected: Any, told: Any) -> Any:
    """A value in the form that the declared one has."""
    if isinstance(told, str):
        return _read(expected, told)
    if isinstance(expected, Mapping) and isinstance(told, Mapping):
        by_name = {plain(str(name)): each for name, each in told.items()}
        return {name: like(each, by_name.get(plain(str(name)))) for name, each in expected.items()}
    return json(told)


def json(value: Any) -> Any:
    """A value of the SDK as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json(each) for each in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _read(expected: Any, told: str) -> Any:
    is_constraint = isinstance(expected, Mapping) and any(n.startswith("$") for n in expected)
    if isinstance(expected, bool) and told.lower() in ("true", "false"):
        return told.lower() == "true"
    if isinstance(expected, (int, float)) or is_constraint:
        try:
            return int(told)
        except ValueError:
            return told
    if isinstance(expected, (Mapping, list)):
        try:
            found = jsonio.parse(told.encode())
        except errors.InvalidInputError:
            return told
        return like(expected, found) if isinstance(found, Mapping) else found
    return told
