"""Where two trees in normal form differ, and how one becomes the other.

A path is a tuple of steps; written down it is a JSON pointer. The step to an object of a list by
key is `[name=x]`, so that its place in the list does not matter; other lists go by index, and as a
whole when their lengths differ. The walker is for trees that are known to be unequal: whether
they are is cheaper to ask with `==`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from helios.reconcile.compositions import normalising

Path: TypeAlias = tuple[str, ...]


class _Absent:
    """Nothing is there: neither a value nor null."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


class Change(NamedTuple):
    """One difference; `ABSENT` on the side that has nothing there."""

    path: Path
    expected: Any
    observed: Any


def diff(expected: Any, observed: Any) -> list[Change]:
    """Where they differ, nothing where they are equal."""
    found: list[Change] = []
    if expected != observed:
        _walk(expected, observed, (), found)
    return found


def walk(expected: Any, observed: Any, path: Path) -> list[Change]:
    """The same of two values that are known to be unequal, below a path."""
    found: list[Change] = []
    _walk(expected, observed, path, found)
    return found


def patch(changes: Iterable[Change]) -> list[tuple[Path, Any]]:
    """What has to be set where, for the observed to become the expected; `ABSENT`: taken away."""
    return [(change.path, change.expected) for change in changes]


def apply(observed: Any, steps: Iterable[tuple[Path, Any]]) -> Any:
    """A tree with these places set, in normal form; what was given stays as it is."""
    root = [_copied(observed)]
    # From the end, so that the indexes of what is taken away stay right.
    for path, value in reversed(list(steps)):
        _set(root, ("0", *path), value)
    return normalising.normal(root[0])


def at(tree: Any, path: Path) -> Any:
    """The value at a path; `ABSENT`: nothing is there."""
    for step in path:
        tree = _child(tree, step)
        if tree is ABSENT:
            return ABSENT
    return tree


def pointer(path: Path) -> str:
    """A path as a JSON pointer (RFC 6901); empty: the whole."""
    if not path:
        return ""
    return "/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in path)


def steps(text: str) -> Path:
    """The path of a JSON pointer."""
    if not text:
        return ()
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))


def _walk(expected: Any, observed: Any, path: Path, found: list[Change]) -> None:
    if type(expected) is dict and not normalising.is_constraint(expected):
        if type(observed) is dict:
            _walk_objects(expected, observed, path, found)
            return
        if observed is ABSENT and expected:
            _walk_objects(expected, {}, path, found)
            return
    elif type(expected) is list and type(observed) is list:
        both_walked = _walk_lists(expected, observed, path, found)
        if both_walked:
            return
    found.append(Change(path, expected, observed))


def _walk_objects(
    expected: dict[str, Any], observed: dict[str, Any], path: Path, found: list[Change]
) -> None:
    for name, want in expected.items():
        got = observed.get(name, ABSENT)
        # What was made to fit is the same object wherever it is equal.
        if got is not want and (got is ABSENT or got != want):
            _walk(want, got, (*path, name), found)
    if observed.keys() - expected.keys():
        found += [
            Change((*path, name), ABSENT, got)
            for name, got in observed.items()
            if name not in expected
        ]


def _walk_lists(expected: list[Any], observed: list[Any], path: Path, found: list[Change]) -> bool:
    """False: they differ as a whole."""
    name = _common_key(expected, observed)
    if name is not None:
        left = {f"[{name}={each[name]}]": each for each in expected}
        right = {f"[{name}={each[name]}]": each for each in observed}
        _walk_keyed(left, right, path, found)
        return True
    if len(expected) != len(observed):
        return False
    for index, (want, got) in enumerate(zip(expected, observed, strict=True)):
        if want != got:
            _walk(want, got, (*path, str(index)), found)
    return True


def _walk_keyed(
    expected: dict[str, Any], observed: dict[str, Any], path: Path, found: list[Change]
) -> None:
    for step, want in expected.items():
        got = observed.get(step, ABSENT)
        if got is ABSENT:
            found.append(Change((*path, step), want, ABSENT))
        elif got != want:
            _walk(want, got, (*path, step), found)
    for step, got in observed.items():
        if step not in expected:
            found.append(Change((*path, step), ABSENT, got))


def _common_key(expected: list[Any], observed: list[Any]) -> str | None:
    left, right = normalising.list_key(expected), normalising.list_key(observed)
    if left == right or not observed:
        return left
    return right if not expected else None


def _child(tree: Any, step: str) -> Any:
    if isinstance(tree, Mapping):
        return tree.get(step, ABSENT)
    if type(tree) is not list:
        return ABSENT
    index = _index(tree, step)
    return ABSENT if index is None else tree[index]


def _index(values: list[Any], step: str) -> int | None:
    if step.startswith("["):
        name, _, wanted = step[1:-1].partition("=")
        for index, each in enumerate(values):
            if type(each) is dict and name in each and str(each[name]) == wanted:
                return index
        return None
    return int(step) if step.isdecimal() and int(step) < len(values) else None


def _set(tree: Any, path: Path, value: Any) -> None:
    for step in path[:-1]:
        below = _child(tree, step)
        if below is ABSENT:
            below = tree[step] = {}
        tree = below
    last = path[-1]
    if type(tree) is not list:
        if value is ABSENT:
            tree.pop(last, None)
        else:
            tree[last] = _copied(value)
        return
    index = _index(tree, last)
    if index is None:
        if value is not ABSENT:
            tree.append(_copied(value))
    elif value is ABSENT:
        del tree[index]
    else:
        tree[index] = _copied(value)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copied(each) for name, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list | tuple) else value
