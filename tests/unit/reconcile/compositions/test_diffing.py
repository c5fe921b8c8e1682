"""Where two trees differ, and that the differences make one out of the other."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from helios.reconcile.compositions import diffing, normalising

_scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/~[]=", max_size=3)
_names = st.text("abc/~", min_size=1, max_size=2)


@st.composite
def _keyed(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> list[dict[str, Any]]:
    names = draw(st.lists(st.sampled_from(["x", "y", "z", "a/b", "~"]), unique=True, max_size=4))
    return [{"name": name, "value": draw(inner)} for name in names]


trees = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_names, inner, max_size=4)
        | _keyed(inner)
        | _keyed(inner)
    ),
    max_leaves=12,
).map(normalising.normal)


@given(trees)
def test_a_tree_does_not_differ_from_itself(tree: Any) -> None:
    assert diffing.diff(tree, tree) == []


@given(trees, trees)
def test_trees_differ_somewhere_exactly_when_they_are_not_equal(left: Any, right: Any) -> None:
    assert bool(diffing.diff(left, right)) == (left != right)


@given(trees, trees)
def test_what_was_seen_with_its_differences_set_is_what_is_expected(left: Any, right: Any) -> None:
    changes = diffing.diff(left, right)
    assert diffing.apply(right, diffing.patch(changes)) == left


@given(trees, trees)
def test_each_difference_is_at_its_path_on_both_sides(left: Any, right: Any) -> None:
    for change in diffing.diff(left, right):
        assert diffing.steps(diffing.pointer(change.path)) == change.path
        if change.expected is not diffing.ABSENT:
            assert diffing.at(left, change.path) == change.expected
        if change.observed is not diffing.ABSENT:
            assert diffing.at(right, change.path) == change.observed


@given(_keyed(_scalars), st.randoms())
def test_the_order_of_named_things_is_no_difference(values: list[Any], random: Any) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert normalising.normal(shuffled) == normalising.normal(values)
    assert diffing.diff(normalising.normal(values), normalising.normal(shuffled)) == []


def test_a_path_is_a_json_pointer_with_names_for_places() -> None:
    expected = {"tags": [{"Key": "env", "Value": "prod"}], "a/b": {"~": [1, 2]}, "gone": {"x": 1}}
    observed = {
        "tags": [{"Key": "x", "Value": "1"}, {"Key": "env", "Value": "dev"}],
        "a/b": {"~": [1, 3]},
    }
    assert {diffing.pointer(each.path) for each in diffing.diff(expected, observed)} == {
        "/tags/[Key=env]/Value",
        "/tags/[Key=x]",
        "/a~1b/~0/1",
        "/gone/x",
    }


def test_lists_of_another_length_differ_as_a_whole() -> None:
    (change,) = diffing.diff({"a": [1, 2]}, {"a": [1, 2, 3]})
    assert change == diffing.Change(("a",), [1, 2], [1, 2, 3])


def test_null_is_not_the_same_as_nothing() -> None:
    (change,) = diffing.diff({"a": None}, {})
    assert change.observed is diffing.ABSENT
