"""Windows: when healing is allowed, and when it is denied.

Pure. A window opens at the times of a cron expression on the clocks of its time zone and stays
open for so much elapsed time, whatever the clocks are put to meanwhile. A time that the clocks
skip opens when they have skipped it; a time that they show twice opens once. Deny goes before
allow; where an allow window speaks of a subject, all other times are closed to it.
"""

import fnmatch
import zoneinfo
from collections.abc import Iterable
from datetime import UTC, datetime

import cronsim
import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import model, policy

STEPS_MAX = 1_000
"""Windows that are stepped through to find when healing is allowed again. Above: no time is
named, and it is looked at again at the next interval."""

HORIZON_US = 366 * 24 * 3600 * clocks.SECOND_US
_SECOND_US = clocks.SECOND_US
_HALF_HOUR_US = 1_800 * _SECOND_US
_NIGHT_US = 3 * 3600 * clocks.SECOND_US
"""Longer than clocks are ever put back or forth: the last opening is looked for from so far on,
since a time that the clocks show twice is the first of both."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, as far as windows ask.

    Attributes:
        provider: `<adapter>@<host>`, or the adapter's name.
        lasts: microseconds it may take, for windows in which nothing may end outside.
        manual: an operator has ordered it.
    """

    stack: str
    provider: str = ""
    severity: model.Severity = "low"
    action: str = ""
    lasts: int = 0
    manual: bool = False


def closed(
    windows: Iterable[policy.Window], subject: Subject, now: clocks.Timestamp
) -> model.Blocker | None:
    """Why nothing may be done now; `until` is when it may next. None: it may be done."""
    asked = [window for window in windows if _is_asked(window, subject)]
    shut = _shut(asked, subject, now)
    if shut is None:
        return None
    until = _opening(asked, subject, now)
    return model.Blocker(
        code="window_closed",
        detail=shut,
        until=until,
        remedy=_remedy(asked),
    )


def _remedy(windows: Iterable[policy.Window]) -> str:
    if any(window.manual_override for window in windows):
        return "wait, or order it by hand"
    return "wait, or remove the window"


def fault(window: policy.Window) -> str | None:
    """What is wrong with a window; None: nothing is."""
    try:
        zone = zoneinfo.ZoneInfo(window.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return f"no time zone is named {window.timezone[:80]!r}"
    if len(window.schedule.split()) != 5:
        return "a schedule has five fields: minute, hour, day of month, month, day of week"
    try:
        next(cronsim.CronSim(window.schedule, datetime(2026, 1, 1, tzinfo=zone)))
    except cronsim.CronSimError as error:
        return f"schedule {window.schedule[:80]!r}: {error}"
    except StopIteration:
        return f"schedule {window.schedule[:80]!r} never comes"
    return None if window.duration > 0 else "a window has to stay open for some time"


def started(window: policy.Window, now: clocks.Timestamp) -> clocks.Timestamp | None:
    """When a window last opened, at or before `now`; None: never within a year."""
    late = clocks.Timestamp(now + _NIGHT_US)
    when = _last(window, late, now)
    changed = _changed(window, when or clocks.Timestamp(now - HORIZON_US), late)
    if changed is not None:
        other = _last(window, clocks.Timestamp(changed + _SECOND_US), now)
        when = max((each for each in (when, other) if each is not None), default=None)
    return when if when is not None and when > now - HORIZON_US else None


def opens(window: policy.Window, after: clocks.Timestamp) -> clocks.Timestamp | None:
    """When a window opens next, after `after`; None: never within a year."""
    when = _next(window, after, after)
    changed = _changed(window, after, when or clocks.Timestamp(after + HORIZON_US))
    if changed is not None:
        starts = (clocks.Timestamp(changed + n * _HALF_HOUR_US - _SECOND_US) for n in range(3))
        others = (_next(window, start, after) for start in starts)
        when = min((each for each in (when, *others) if each is not None), default=None)
    return when if when is not None and when <= after + HORIZON_US else None


def _last(
    window: policy.Window, since: clocks.Timestamp, now: clocks.Timestamp
) -> clocks.Timestamp | None:
    """The last opening at or before `now`, looked for backwards from `since`."""
    start = _local(since, zoneinfo.ZoneInfo(window.timezone))
    for at in cronsim.CronSim(window.schedule, start, reverse=True):
        when = clocks.from_datetime(at.astimezone(UTC))
        if when <= now:
            return when
    return None


def _next(
    window: policy.Window, since: clocks.Timestamp, after: clocks.Timestamp
) -> clocks.Timestamp | None:
    """The next opening after `after`, looked for from `since`."""
    start = _local(since, zoneinfo.ZoneInfo(window.timezone))
    for at in cronsim.CronSim(window.schedule, start):
        when = clocks.from_datetime(at.astimezone(UTC))
        if when > after:
            return when
    return None


def _changed(
    window: policy.Window, early: clocks.Timestamp, late: clocks.Timestamp
) -> clocks.Timestamp | None:
    """When the clocks were changed between two times, where that has to be looked at.

    Schedules with a star in minute or hour are walked hour by hour, and where clocks are changed
    by half an hour that walk goes past openings of the day; so it is walked from there on too.
    """
    if not any(field.startswith("*") for field in window.schedule.split()[:2]):
        return None
    zone = zoneinfo.ZoneInfo(window.timezone)
    before = _local(early, zone).utcoffset()
    if before == _local(late, zone).utcoffset():
        return None
    while late - early > _SECOND_US:
        middle = clocks.Timestamp((early + late) // 2)
        if _local(middle, zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return clocks.Timestamp(late - late % _SECOND_US)


def _local(when: int, zone: zoneinfo.ZoneInfo) -> datetime:
    return clocks.to_datetime(clocks.Timestamp(when)).astimezone(zone)


def _is_asked(window: policy.Window, subject: Subject) -> bool:
    """Whether a window speaks of a subject."""
    if subject.manual and window.manual_override:
        return False
    adapter = subject.provider.partition("@")[0]
    return (
        _named(window.stacks, subject.stack)
        and (_named(window.providers, adapter) or _named(window.providers, subject.provider))
        and (not window.severities or subject.severity in window.severities)
        and _named(window.actions, subject.action)
    )


def _named(patterns: Iterable[str], name: str) -> bool:
    listed = tuple(patterns)
    return not listed or any(fnmatch.fnmatchcase(name, pattern) for pattern in listed)


def _shut(windows: Iterable[policy.Window], subject: Subject, at: clocks.Timestamp) -> str | None:
    """Why nothing may be begun at a time; None: it may."""
    allowing = []
    for window in windows:
        if window.kind == "allow":
            allowing.append(window)
        elif _denied_until(window, subject, at) is not None:
            return f"window {window.id} denies it"
    if not allowing or any(_allows(window, subject, at) for window in allowing):
        return None
    return f"only {', '.join(sorted(window.id for window in allowing))} allows it"


def _denied_until(
    window: policy.Window, subject: Subject, at: clocks.Timestamp
) -> clocks.Timestamp | None:
    """When a deny window that stands in the way ends; None: it does not stand in the way."""
    reach = at if window.overrun else clocks.Timestamp(at + max(0, subject.lasts - 1))
    since = started(window, reach)
    if since is None or since + window.duration <= at:
        return None
    return clocks.Timestamp(since + window.duration)


def _allows(window: policy.Window, subject: Subject, at: clocks.Timestamp) -> bool:
    since = started(window, at)
    needed = 0 if window.overrun else subject.lasts
    return (
        since is not None
        and at < since + window.duration
        and (at + needed <= since + window.duration)
    )


def _opening(
    windows: list[policy.Window], subject: Subject, now: clocks.Timestamp
) -> clocks.Timestamp | None:
    """The first time after `now` at which something may be begun; None: none is found."""
    denying = [window for window in windows if window.kind == "deny"]
    allowing = [window for window in windows if window.kind == "allow"]
    at = now
    for _ in range(STEPS_MAX):
        ends = [end for window in denying if (end := _denied_until(window, subject, at))]
        if ends:
            at = max(ends)
        elif not allowing or any(_allows(window, subject, at) for window in allowing):
            return at
        else:
            nexts = [when for window in allowing if (when := opens(window, at)) is not None]
            if not nexts:
                return None
            at = min(nexts)
        if at > now + HORIZON_US:
            return None
    return None
