"""When messages go out: how long notices are gathered, how often, and when one is tried again.

Pure. A stack that breaks tells of many things within seconds; they make one message. What concerns
everybody at once (a fuse, the kill switch) does not wait.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from helios.heal.notices import message
from helios.kernel import clock as clocks

WINDOW_S: Final = 30.0
"""Notices of one stack within so long make one message."""
ROWS_MAX: Final = 200
"""Notices in one message. Above: the next message takes the rest."""

RATE_S: Final = 60.0
RATE_MESSAGES: Final[Mapping[str, int]] = {"slack": 10, "email": 5, "webhook": 30, "pagerduty": 60}
"""Messages to one place within `RATE_S`. Above: what waits becomes one summary; PagerDuty, where
each stack is an incident of its own, gets the rest later."""

LATE_S: Final = 3_600.0
"""What could not be told for so long is told as a summary: nobody reads it message by message."""

PAUSES_S: Final = (5, 30, 120, 600, 1_800, 3_600, 7_200)
"""Pause before the second, third … try of a message. After the last it is given up."""
PAUSE_MAX_S: Final = 7_200.0
JITTER: Final = 0.2

Group: TypeAlias = tuple[clocks.Timestamp, list[message.Row]]
"""When rows that make one message are due, and the rows."""


def groups(rows: Sequence[message.Row], *, window_s: float = WINDOW_S) -> list[Group]:
    """The rows of one channel as messages will have them, and when each is due.

    A group begins with its first row and does not grow with time, so that a message that is made
    again after a crash is the same.
    """
    open_: dict[str, tuple[int, list[message.Row]]] = {}
    done: list[Group] = []
    for row in rows:
        subject = row.notice.subject
        gathered = open_.get(subject)
        if gathered is not None:
            due, found = gathered
            is_full = len(found) >= ROWS_MAX and found[-1].position != row.position
            if row.at < due and not is_full:
                found.append(row)
                continue
            done.append((clocks.Timestamp(due), found))
        open_[subject] = (row.at + delay(subject, window_s), [row])
    done += [(clocks.Timestamp(due), found) for due, found in open_.values()]
    return sorted(done, key=lambda pair: pair[1][0].position)


def delay(subject: str, window_s: float = WINDOW_S) -> int:
    """How long notices of a subject are gathered, in microseconds."""
    return round(window_s * clocks.SECOND_US) if subject.startswith("stack:") else 0


def free_at(kind: str, sent: Sequence[clocks.Timestamp]) -> clocks.Timestamp | None:
    """When another message may go to a place of this kind; None: at any time.

    `sent` are the times of messages that went there, oldest first.
    """
    most = RATE_MESSAGES[kind]
    if len(sent) < most:
        return None
    return clocks.Timestamp(sent[-most] + round(RATE_S * clocks.SECOND_US))


def next_try(
    attempt: int, now: clocks.Timestamp, *, draw: float, asked_s: float | None = None
) -> clocks.Timestamp | None:
    """When a message is tried again after `attempt` tries; None: it is given up.

    Args:
        attempt: tries so far, from 1.
        now: the time of the last one.
        draw: uniform in [0, 1), spreads the pause by a fifth either way.
        asked_s: what the other side asks to wait at least, or None.
    """
    if attempt > len(PAUSES_S):
        return None
    pause = PAUSES_S[attempt - 1] * (1 - JITTER + 2 * JITTER * draw)
    if asked_s is not None:
        pause = max(pause, min(asked_s, PAUSE_MAX_S))
    return clocks.Timestamp(now + round(pause * clocks.SECOND_US))
