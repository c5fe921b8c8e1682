"""YAML as it is written and read back, and what its own reader stumbles over."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import errors, yamldoc

_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**17), 10**17),
        st.floats(-1e17, 1e17, allow_nan=False).filter(lambda each: len(repr(each)) < 19),
        st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12),
        st.sampled_from(
            ["1e-05", "1e5", "true", "null", "~", "1_000", "0x1f", "12:30:00", "=", "-"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abc-:é ", max_size=4), inner)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from("abc"), _VALUES))
def test_what_is_dumped_is_read_back_as_it_was(value: dict[str, Any]) -> None:
    found = yamldoc.parse(yamldoc.dump(value)).plain()
    assert found == value
    assert json.dumps(found, sort_keys=True) == json.dumps(value, sort_keys=True)


@given(st.dictionaries(st.sampled_from("abc"), _VALUES))
def test_json_is_read_as_json_has_it(value: dict[str, Any]) -> None:
    for is_ascii in (True, False):
        text = json.dumps(value, ensure_ascii=is_ascii)
        assert yamldoc.parse(text).plain() == value


def test_a_value_that_stands_twice_is_written_twice() -> None:
    shared = {"a": 1}
    text = yamldoc.dump({"one": shared, "two": shared})
    assert yamldoc.parse(text).plain() == {"one": shared, "two": shared}


@pytest.mark.parametrize(
    "text", ['a: "\\UFFFFFFFF"', 'a: "\\U00110000"', f"%YAML 1.{'9' * 5_000}\n---\na: b"]
)
def test_what_the_reader_of_yaml_stumbles_over_is_not_valid(text: str) -> None:
    with pytest.raises(errors.InvalidInputError, match="not valid YAML"):
        yamldoc.parse(text)
