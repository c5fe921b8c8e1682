"""How ids and texts become columns, and come back."""

import uuid

from hypothesis import example, given
from hypothesis import strategies as st

from helios.drivers.postgres import codec

PLAIN = "0197b2c4-7d3e-7aaa-8bbb-0123456789ab"
_texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.none() | _texts | st.uuids().map(str) | st.uuids().map(lambda u: str(u).upper()))
@example("")
@example(PLAIN.upper())
@example(PLAIN.replace("-", " "))
@example(PLAIN[:24] + PLAIN[24:].replace("0", " "))
@example(f"{PLAIN[:-2]}- ")
@example("-" * 36)
@example("\0")
def test_an_id_comes_back_as_it_was(text: str | None) -> None:
    assert codec.unpack(codec.pack(text)) == text


@given(st.uuids())
def test_a_uuid_takes_seventeen_bytes_and_sorts_as_its_text(value: uuid.UUID) -> None:
    packed = codec.pack(str(value))
    assert len(packed) == 17
    assert (packed < codec.pack(PLAIN)) == (str(value) < PLAIN)


@given(st.lists(st.none() | _texts | st.uuids().map(str), unique=True))
def test_different_ids_have_different_bytes(values: list[str | None]) -> None:
    assert len({codec.pack(value) for value in values}) == len(values)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\0\ue00001")))
def test_a_text_comes_back_as_it_was_and_holds_no_nul_on_the_way(text: str) -> None:
    stored = codec.to_text(text)
    assert "\0" not in stored
    assert codec.from_text(stored) == text
    assert codec.from_value(stored) == text


def test_other_values_than_text_are_left_alone() -> None:
    assert [codec.from_value(v) for v in (None, 1, 1.5, b"\xee\x80\x800")] == [
        None,
        1,
        1.5,
        b"\xee\x80\x800",
    ]
