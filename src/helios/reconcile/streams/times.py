"""Times of events: datetimes from files, microseconds from the log; deadlines in whole seconds."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

SECOND_US: Final = 1_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
_LAST_US: Final = (_LAST - EPOCH) // MICROSECOND


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an engine's watermark has come.

    Attributes:
        marks: newest event time of each source, microseconds, or None.
        qwm: the watermark, whole seconds.
        first_us: the first event time seen, or None.
    """

    marks: list[int | None]
    qwm: int
    first_us: int | None


def datetime_us(value: datetime) -> int:
    """Microseconds since the epoch of an aware time, exactly."""
    since = value - EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds


def datetime_of(us: int) -> datetime:
    """The time that lies so many microseconds after the epoch, or the last that there is."""
    return EPOCH + timedelta(microseconds=us) if us < _LAST_US else _LAST


def as_is(value: int) -> int:
    """For times that are microseconds already."""
    return value


def second_of(deadline_us: int) -> int:
    """The second at whose beginning a deadline has passed for certain."""
    return deadline_us // SECOND_US + 1
