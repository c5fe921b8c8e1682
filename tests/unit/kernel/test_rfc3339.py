from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock, rfc3339


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_we_write_is_read_back_equal(moment: datetime) -> None:
    value = clock.from_datetime(moment)
    assert rfc3339.parse(clock.to_rfc3339(value)) == value


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("2026-01-02t03:04:05z", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T17:04:05+14:00", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.100000Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.999999Z"),
    ],
)
def test_other_ways_to_write_a_time_mean_the_same(text: str, same_as: str) -> None:
    assert rfc3339.parse(text) == rfc3339.parse(same_as)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-01-02", "2026-01-02T03:04:05", "2026-W01-1T00:00:00Z", "20260102T030405Z",
     "2026-02-30T00:00:00Z", "2026-01-02T24:00:00Z", "2026-01-02T03:61:00Z", "0000-01-01T00:00:00Z",
     "2026-01-02T03:04:05+0100", "2026-01-02T03:04:05+25:00", "1700000000", "٢٠٢٦-01-02T03:04:05Z",
     " 2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z\n", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-14:00", "x" * 1000],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        rfc3339.parse(text)
