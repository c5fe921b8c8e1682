from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.compositions import policy, windows

MINUTE = 60 * clocks.SECOND_US
HOUR = 60 * MINUTE
SUBJECT = windows.Subject(
    stack="cms-ecom-prod",
    provider="strapi@cms.test",
    severity="medium",
    action="update_webhook",
    lasts=HOUR,
)


def _at(text: str, zone: str = "UTC") -> clocks.Timestamp:
    return clocks.from_datetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def _window(kind: Any = "deny", schedule: str = "0 9 * * *", **fields: Any) -> policy.Window:
    fields.setdefault("duration", HOUR)
    return policy.Window(id=fields.pop("id", kind), kind=kind, schedule=schedule, **fields)


def _is_closed(window: policy.Window, text: str, zone: str = "UTC", **subject: Any) -> bool:
    asked = windows.Subject(**{"stack": SUBJECT.stack, **subject})
    return windows.closed([window], asked, _at(text, zone)) is not None


def test_without_windows_everything_is_allowed() -> None:
    assert windows.closed([], SUBJECT, _at("2026-05-01T12:00")) is None


def test_a_deny_window_is_closed_from_its_opening_until_before_its_end() -> None:
    window = _window()
    assert not _is_closed(window, "2026-05-01T08:59:59")
    assert _is_closed(window, "2026-05-01T09:00")
    assert _is_closed(window, "2026-05-01T09:59:59")
    assert not _is_closed(window, "2026-05-01T10:00")


def test_an_allow_window_closes_all_other_times_and_names_the_next() -> None:
    window = _window("allow")
    found = windows.closed([window], SUBJECT, _at("2026-05-01T10:00"))
    assert found is not None
    assert found.code == "window_closed"
    assert found.detail == "only allow allows it"
    assert found.until == _at("2026-05-02T09:00")
    assert windows.closed([window], SUBJECT, _at("2026-05-02T09:30")) is None


def test_deny_goes_before_allow_and_the_next_opening_heeds_both() -> None:
    both = [
        _window("allow", "0 9 * * *", duration=4 * HOUR),
        _window("deny", "0 10 * * *", duration=2 * HOUR),
    ]
    found = windows.closed(both, SUBJECT, _at("2026-05-01T10:30"))
    assert found is not None
    assert found.detail == "window deny denies it"
    assert found.until == _at("2026-05-01T12:00")


def test_deny_windows_that_follow_each_other_are_one_to_who_waits() -> None:
    both = [_window(id="a"), _window(id="b", schedule="30 9 * * *", duration=2 * HOUR)]
    found = windows.closed(both, SUBJECT, _at("2026-05-01T09:10"))
    assert found is not None
    assert found.until == _at("2026-05-01T11:30")


def test_a_window_that_is_never_left_names_no_time() -> None:
    window = _window("deny", "0 * * * *", duration=2 * HOUR)
    found = windows.closed([window], SUBJECT, _at("2026-05-01T09:10"))
    assert found is not None
    assert found.until is None


@pytest.mark.parametrize(
    ("fields", "is_for_it"),
    [
        ({"stacks": ("cms-*",)}, True),
        ({"stacks": ("shop",)}, False),
        ({"providers": ("strapi",)}, True),
        ({"providers": ("strapi@cms.test",)}, True),
        ({"providers": ("shopify",)}, False),
        ({"severities": ("low", "medium")}, True),
        ({"severities": ("low",)}, False),
        ({"actions": ("update_*",)}, True),
        ({"actions": ("rebuild_resource",)}, False),
    ],
)
def test_a_window_holds_for_what_it_is_declared_for(
    fields: dict[str, Any],
    is_for_it: bool,  # noqa: FBT001
) -> None:
    found = windows.closed([_window(**fields)], SUBJECT, _at("2026-05-01T09:30"))
    assert (found is not None) == is_for_it


def test_an_allow_window_for_others_does_not_close_anything() -> None:
    window = _window("allow", stacks=("shop",))
    assert windows.closed([window], SUBJECT, _at("2026-05-01T12:00")) is None


def test_critical_drift_may_be_exempted_by_naming_the_others() -> None:
    window = _window(severities=("low", "medium", "high"))
    assert _is_closed(window, "2026-05-01T09:30", severity="high")
    assert not _is_closed(window, "2026-05-01T09:30", severity="critical")


def test_an_operator_goes_through_where_the_window_lets_him() -> None:
    assert _is_closed(_window(), "2026-05-01T09:30", manual=True)
    assert not _is_closed(_window(manual_override=True), "2026-05-01T09:30", manual=True)
    assert _is_closed(_window(manual_override=True), "2026-05-01T09:30")


def test_without_overrun_nothing_begins_that_may_end_outside() -> None:
    allow = _window("allow", duration=2 * HOUR, overrun=False)
    assert not _is_closed(allow, "2026-05-01T10:00", lasts=HOUR)
    assert _is_closed(allow, "2026-05-01T10:00:01", lasts=HOUR)
    deny = _window("deny", overrun=False)
    assert not _is_closed(deny, "2026-05-01T08:00", lasts=HOUR)
    assert _is_closed(deny, "2026-05-01T08:00:01", lasts=HOUR)
    assert not _is_closed(_window("deny"), "2026-05-01T08:59", lasts=HOUR)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"timezone": "Mars/Olympus"}, "no time zone"),
        ({"schedule": "0 9 * *"}, "five fields"),
        ({"schedule": "0 25 * * *"}, "Bad hour"),
        ({"schedule": "0 0 30 2 *"}, "day-of-month"),
        ({"duration": 0}, "open for some time"),
    ],
)
def test_what_is_wrong_with_a_window_is_told(fields: dict[str, Any], word: str) -> None:
    fault = windows.fault(_window(**fields))
    assert fault is not None
    assert word in fault
    assert windows.fault(_window()) is None


# -- clocks that are put forth and back ---------------------------------------------------------


def test_a_night_window_is_right_on_the_day_the_clocks_skip_an_hour() -> None:
    """Berlin, 2026-03-29: 02:00 is followed by 03:00."""
    window = _window("allow", "0 1 * * *", duration=2 * HOUR, timezone="Europe/Berlin")
    assert not _is_closed(window, "2026-03-29T01:30", "Europe/Berlin")
    # Two hours have gone by at 04:00 on the clocks of that night.
    assert not _is_closed(window, "2026-03-29T03:59", "Europe/Berlin")
    assert _is_closed(window, "2026-03-29T04:00", "Europe/Berlin")


def test_a_time_that_the_clocks_skip_opens_when_they_have_skipped_it() -> None:
    window = _window("deny", "30 2 * * *", timezone="Europe/Berlin")
    assert not _is_closed(window, "2026-03-29T01:59", "Europe/Berlin")
    assert _is_closed(window, "2026-03-29T03:00", "Europe/Berlin")
    assert _is_closed(window, "2026-03-29T03:59", "Europe/Berlin")
    assert not _is_closed(window, "2026-03-29T04:00", "Europe/Berlin")


def test_a_time_that_the_clocks_show_twice_opens_once() -> None:
    """New York, 2026-11-01: after 01:59 EDT comes 01:00 EST."""
    window = _window("deny", "30 1 * * *", duration=20 * MINUTE, timezone="America/New_York")
    first, second = _at("2026-11-01T05:30"), _at("2026-11-01T06:30")
    assert windows.closed([window], SUBJECT, first) is not None
    assert windows.closed([window], SUBJECT, second) is None
    between = _at("2026-11-01T06:10")
    assert windows.started(window, between) == first
    assert windows.opens(window, between) == _at("2026-11-02T06:30")


def test_a_deny_window_over_the_change_back_lasts_as_long_as_ever() -> None:
    """Berlin, 2026-10-25: 01:00 to 03:00 on the clocks would be three hours."""
    window = _window("deny", "0 1 * * *", duration=2 * HOUR, timezone="Europe/Berlin")
    found = windows.closed([window], SUBJECT, _at("2026-10-24T23:30"))
    assert found is not None
    assert found.until == _at("2026-10-25T01:00")
    assert windows.closed([window], SUBJECT, _at("2026-10-25T01:00")) is None


# Not Lord Howe, whose clocks go by half an hour: cronsim leaves an opening out on that day.
_ZONES = ("UTC", "Europe/Berlin", "America/New_York")
_CHANGES = ("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01")
_SCHEDULES = (
    "0 2 * * *",
    "30 2 * * *",
    "30 1 * * *",
    "0 */6 * * *",
    "*/20 * * * *",
    "15 1,2,3 * * 0",
    "0 3 * * 1-5",
)


def _brute(window: policy.Window, since: datetime, until: datetime) -> list[clocks.Timestamp]:
    """The openings by stepping through the minutes and reading the clocks."""
    zone = ZoneInfo(window.timezone)
    minute, hour, _, _, weekday = window.schedule.split()
    found = []
    at, shown = since, set[str]()
    skipped = False
    while at < until:
        here = at.astimezone(zone)
        before = (at - timedelta(minutes=1)).astimezone(zone)
        wall = here.strftime("%Y-%m-%dT%H:%M")
        times = [here.replace(tzinfo=None)]
        gap = (here.replace(tzinfo=None) - before.replace(tzinfo=None)) // timedelta(minutes=1)
        skipped = gap > 1
        is_fixed = not minute.startswith("*") and not hour.startswith("*")
        if is_fixed and skipped:
            times += [before.replace(tzinfo=None) + timedelta(minutes=n) for n in range(1, gap)]
        matches = any(_matches(each, minute, hour, weekday) for each in times)
        if matches and not (is_fixed and wall in shown):
            found.append(clocks.from_datetime(at))
        shown.add(wall)
        at += timedelta(minutes=1)
    return found


def _matches(when: datetime, minute: str, hour: str, weekday: str) -> bool:
    return (
        _has(minute, when.minute, 60)
        and _has(hour, when.hour, 24)
        and _has(weekday, when.isoweekday() % 7, 7)
    )


def _has(field: str, value: int, size: int) -> bool:
    if field.startswith("*/"):
        return value in range(0, size, int(field[2:]))
    if field == "*":
        return True
    if "-" in field:
        low, high = map(int, field.split("-"))
        return low <= value <= high
    return value in map(int, field.split(","))


def test_where_clocks_change_by_half_an_hour_no_opening_is_gone_past() -> None:
    # Lord Howe puts its clocks from 02:00 back to 01:30.
    window = _window("allow", "0 */6 * * *", duration=5 * MINUTE, timezone="Australia/Lord_Howe")
    midnight = clocks.parse_rfc3339("2026-04-05T00:00:00+11:00")
    six = clocks.parse_rfc3339("2026-04-05T06:00:00+10:30")
    noon = clocks.parse_rfc3339("2026-04-05T12:00:00+10:30")
    assert windows.opens(window, midnight) == six
    assert windows.opens(window, six) == noon
    assert windows.started(window, clocks.Timestamp(noon - 1)) == six
    assert windows.started(window, clocks.Timestamp(six - 1)) == midnight
    often = _window("allow", "*/20 */2 * * *", timezone="Australia/Lord_Howe")
    one = clocks.parse_rfc3339("2026-04-05T01:00:00+11:00")
    assert windows.opens(often, one) == clocks.parse_rfc3339("2026-04-05T02:00:00+10:30")


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(_ZONES),
    day=st.sampled_from(_CHANGES),
    schedule=st.sampled_from(_SCHEDULES),
    minutes=st.integers(5, 300),
    offset=st.integers(0, 36 * 60),
    kind=st.sampled_from(("allow", "deny")),
)
def test_windows_agree_with_stepping_through_the_minutes(
    zone: str, day: str, schedule: str, minutes: int, offset: int, kind: str
) -> None:
    window = _window(kind, schedule, duration=minutes * MINUTE, timezone=zone)
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=12)
    now = clocks.from_datetime(start + timedelta(minutes=offset))
    openings = _brute(window, start - timedelta(hours=10), start + timedelta(hours=60))
    inside = any(at <= now < at + minutes * MINUTE for at in openings)
    found = windows.closed([window], SUBJECT, now)
    assert (found is not None) == (inside if kind == "deny" else not inside)
    nexts = [at for at in openings if at > now]
    if nexts:
        assert windows.opens(window, now) == min(nexts)
    if kind == "allow" and found is not None and nexts:
        assert found.until == min(nexts)
