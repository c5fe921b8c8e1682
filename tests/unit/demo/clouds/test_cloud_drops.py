import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.demo.clouds import drops
from helios.kernel import errors


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 500))
def test_a_share_is_exact_over_every_beginning(part: int, of: int, count: int) -> None:
    share = drops.Share(min(part, of), of)
    dropped = sum(share.takes(ordinal) for ordinal in range(1, count + 1))
    assert dropped == count * share.part // share.of


def test_one_in_a_hundred_is_the_hundredth() -> None:
    share = drops.parse("1/100")
    assert [n for n in range(1, 301) if share.takes(n)] == [100, 200, 300]


@pytest.mark.parametrize("text", ["", "x", "2/1", "1/0", "-1/2", "1/2/3", "0.5", "2"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidInputError, match="1/100"):
        drops.parse(text)


def test_nothing_is_dropped_unless_asked_for() -> None:
    assert not any(drops.NOTHING.takes(ordinal) for ordinal in range(1, 1000))
    assert drops.parse("0") == drops.Share(0, 1)
