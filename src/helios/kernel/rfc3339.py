"""Times as the outside world writes them, read strictly.

`datetime.fromisoformat` also takes week dates, missing separators and times without a zone: each
is a different instant to another reader. Only RFC 3339 with a zone is taken. A leap second (`:60`)
is the last microsecond before the next minute; what has more digits than microseconds is cut.
"""

import re
from datetime import UTC, datetime

from helios.kernel import clock as clocks

_FORM = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)

_FIRST = clocks.from_datetime(datetime(1, 1, 1, tzinfo=UTC))
_LAST = clocks.from_datetime(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))


def parse(text: str) -> clocks.Timestamp:
    """Read one time.

    Raises:
        ValueError: not an RFC 3339 time with a zone; the message says what was expected.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        msg = f"{shown!r} is not a time as RFC 3339 has it, such as 2026-01-02T03:04:05.678Z"
        raise ValueError(msg)
    date, hour_minute, second, fraction, zone = match.groups()
    leap = second == "60"
    if leap:
        second, fraction = "59", ".999999"
    zone = "+00:00" if zone in "Zz" else zone
    try:
        value = datetime.fromisoformat(f"{date}T{hour_minute}{second}{(fraction or '')[:7]}{zone}")
    except ValueError as error:
        msg = f"{text!r} is not a time: {error}"
        raise ValueError(msg) from error
    instant = clocks.from_datetime(value)
    if not _FIRST <= instant <= _LAST:
        msg = f"{text!r} is not a time between the years 1 and 9999 in UTC"
        raise ValueError(msg)
    return instant
