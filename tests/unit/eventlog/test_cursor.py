"""Cursors: good for one log, refused with the remedy everywhere else."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.eventlog import cursor, envelope
from helios.kernel import errors

P = envelope.Position
LOG = "0197b2c4-7d3e-7aaa-8bbb-000000000001"


@given(st.integers(0, 2**63 - 1), st.text(min_size=1, max_size=40).filter(str.isprintable))
def test_a_cursor_comes_back_as_the_position_it_was(position: int, log_id: str) -> None:
    text = cursor.encode(log_id, P(position))
    assert cursor.decode(text, log_id) == position
    assert text.isascii()
    assert not set(text) & set("=+/ \n")


def test_a_cursor_of_another_log_names_both() -> None:
    with pytest.raises(errors.CursorError, match=f"another-log.*{LOG}.*without a cursor"):
        cursor.decode(cursor.encode("another-log", P(1)), LOG)


@given(st.data())
def test_a_damaged_cursor_is_never_taken_for_another_position(data: st.DataObject) -> None:
    text = cursor.encode(LOG, P(12345))
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_=é\0"))
    damaged = text[:at] + letter + text[at + 1 :]
    with contextlib.suppress(errors.CursorError):
        assert cursor.decode(damaged, LOG) == 12345


@pytest.mark.parametrize("text", ["", "x", "12", "....", "é", "A" * 10_000, "AQ"])
def test_what_is_no_cursor_is_refused_and_shown_in_short(text: str) -> None:
    with pytest.raises(errors.CursorError, match="is not a cursor") as refusal:
        cursor.decode(text, LOG)
    assert len(str(refusal.value)) < 250


def test_a_position_beyond_the_head_names_both_and_the_remedy() -> None:
    with pytest.raises(errors.CursorError, match=r"at position 8.*ends at 7.*restored"):
        cursor.check(P(8), P(7))
    with pytest.raises(errors.CursorError, match="before the log begins"):
        cursor.check(P(-1), P(7))
    cursor.check(P(7), P(7))
