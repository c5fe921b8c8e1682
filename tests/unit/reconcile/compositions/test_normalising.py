"""Normal form: what means the same is equal, and nothing else is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.reconcile.compositions import diffing, hashing, normalising

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-3, 3)
    | st.sampled_from(["", "a", "true", "False", "1", "2.0", "https://A.test", "https://a.test/"])
)
_names = st.sampled_from(["a", "b", "url", "_", "name", "Key", "$min", "$max", "$set"])
values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_normal_form_is_its_own_normal_form(value: Any) -> None:
    once = normalising.normal(value)
    assert normalising.normal(once) == once
    assert hashing.canonical(normalising.normal(once)) == hashing.canonical(once)


@given(values, values)
def test_what_was_made_to_fit_fits_as_it_is(expected: Any, observed: Any) -> None:
    expected = normalising.normal(expected)
    once = normalising.fit(expected, observed)
    assert normalising.fit(expected, once) == once


@given(values)
def test_what_is_expected_fits_itself(value: Any) -> None:
    expected = normalising.normal(value)
    assert normalising.fit(expected, expected) is expected


@given(values, values)
def test_what_fits_and_is_equal_has_no_difference(expected: Any, observed: Any) -> None:
    expected = normalising.normal(expected)
    fitted = normalising.fit(expected, observed)
    assert bool(diffing.diff(expected, fitted)) == (fitted != expected)


@pytest.mark.parametrize(
    ("expected", "observed"),
    [
        (30, "30"),
        (30, 30.0),
        (1.5, "1.5"),
        (True, "True"),
        (False, "false"),
        (True, 1),
        ("30", 30),
        ("true", True),
        (None, None),
        ({"$min": 1}, 1),
        ({"$min": 1, "$max": 3}, 3.0),
        ({"$max": 3}, None),
        ({"$set": ["b", "a"]}, ["a", "b", "a"]),
        ({"a": 1}, {"a": 1, "more": 2, "_": {"id": 7}}),
        ({"a": {"b": None}}, {"a": {}}),
        ([{"name": "x"}, {"name": "y", "v": 2}], [{"name": "y", "v": "2"}, {"name": "x", "w": 0}]),
        ({"url": "https://a.test"}, {"url": "HTTPS://A.test:443/"}),
    ],
)  # fmt: skip
def test_what_means_the_same_fits(expected: Any, observed: Any) -> None:
    expected = normalising.normal(expected)
    assert normalising.fit(expected, observed) == expected


@pytest.mark.parametrize(
    ("expected", "observed"),
    [
        (30, "30s"),
        (30, "0x1e"),
        (30, "31"),
        (True, "yes"),
        ("a", "A"),
        (None, ""),
        ({"$min": 1}, 0),
        ({"$min": 1}, None),
        ({"$min": 1}, "many"),
        ({"$max": 3}, 3.1),
        ({"$max": 3}, True),
        ({"$set": ["a"]}, ["a", "b"]),
        ({"$set": ["a"]}, None),
        ({"a": 1}, {}),
        ({"a": 1}, [1]),
        ([1, 2], [2, 1]),
        ([1, 2], "1,2"),
        ({"url": "https://a.test/x"}, {"url": "https://a.test/X"}),
        ({"url": "https://a.test/x"}, {"url": "https://a.test/x/"}),
        ({"url": "https://a.test"}, {"url": "https://b@a.test"}),
        ({"url": "https://a.test"}, {"url": "http://[broken"}),
    ],
)
def test_what_means_something_else_does_not_fit(expected: Any, observed: Any) -> None:
    expected = normalising.normal(expected)
    assert normalising.fit(expected, observed) != expected


def test_a_bound_that_is_missed_by_as_much_is_missed_in_the_same_way() -> None:
    bound = {"$max": 100}
    assert normalising.settled(bound, 130) == normalising.settled(bound, 150)
    assert normalising.settled(bound, 130) != normalising.settled(bound, 900)
    assert normalising.settled({"$min": 5}, 0) != normalising.settled({"$min": 5}, 1)
    assert normalising.settled({"$min": 5}, 7) == {"$min": 5}
    assert normalising.settled("a", "b") == "b"


def test_a_set_is_shown_as_a_list() -> None:
    tree = normalising.normal({"events": {"$set": ["b", "a"]}, "deep": [{"x": {"$set": [2, 1]}}]})
    assert normalising.plain(tree) == {"events": ["a", "b"], "deep": [{"x": [1, 2]}]}
