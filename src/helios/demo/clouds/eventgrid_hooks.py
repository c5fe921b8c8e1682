"""One webhook subscription of a custom topic: when to try, when to try again, when to give up.

A pure state machine; the time comes with every call, and what came of a try is told to it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from helios.demo.clouds import alarms
from helios.demo.clouds import eventgrid_events as events
from helios.kernel import clock as clocks

PAUSES_S = (10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200)
"""Pauses after the first, second … failure; the last one again and again."""

LEAST_PAUSES_S = {403: 300, 404: 300, 408: 120, 503: 30}
"""Answers after which the pause is at least as long."""

NEVER_AGAIN = frozenset((400, 401, 413))
"""Answers after which an event is given up at once."""

TAKEN = frozenset((200, 201, 202, 203, 204))

Outcome: TypeAlias = "int | Literal['TimedOut', 'SocketError']"
"""What came of a try: a status code, or why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a subscription delivers.

    Attributes:
        schema: form of the deliveries.
        attempts_max: tries after which an event is given up, 1 to 30.
        lifetime_us: age at which it is given up, in microseconds.
        batch_max: most events in one request.
        pace: all pauses and lifetimes are divided by this; for tests that cannot wait an hour.
    """

    schema: events.Schema = "EventGridSchema"
    attempts_max: int = 30
    lifetime_us: int = 24 * 3600 * clocks.SECOND_US
    batch_max: int = 1
    pace: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One request to make: these events; `count` is what the header says of earlier tries."""

    ordinals: tuple[int, ...]
    events: tuple[dict[str, Any], ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """An event given up."""

    event: dict[str, Any]
    reason: str
    attempts: int
    outcome: str
    published_at: clocks.Timestamp
    tried_at: clocks.Timestamp | None


@dataclass(slots=True)
class _Entry:
    event: dict[str, Any]
    published_at: clocks.Timestamp
    attempts: int = 0
    tried_at: clocks.Timestamp | None = None
    outcome: str = ""


def pause_us(rules: Rules, attempts: int, outcome: Outcome) -> int | None:
    """How long to wait after a failure.

    Args:
        rules: of the subscription.
        attempts: tries so far, this one included.
        outcome: what came of it.

    Returns:
        Microseconds, or None when the event is to be given up.
    """
    if outcome in NEVER_AGAIN or attempts >= rules.attempts_max:
        return None
    pause_s = PAUSES_S[min(attempts, len(PAUSES_S)) - 1]
    least_s = LEAST_PAUSES_S.get(outcome, 0) if isinstance(outcome, int) else 0
    return round(max(pause_s, least_s) * clocks.SECOND_US / rules.pace)


class Hook:
    """The state of one webhook subscription."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._entries: dict[int, _Entry] = {}
        self._fresh: deque[int] = deque()
        self._again: alarms.Alarms[int] = alarms.Alarms()
        self._dead: list[Dead] = []
        self._serial = 0

    def add(self, event: dict[str, Any], now: clocks.Timestamp, *, dropped: bool = False) -> None:
        """An event was published; a dropped one is given up unseen."""
        self._serial += 1
        self._entries[self._serial] = _Entry(event, now)
        if dropped:
            self._give_up(self._serial, "Undeliverable")
        else:
            self._fresh.append(self._serial)

    def take(self, now: clocks.Timestamp) -> Try | None:
        """The next request to make; None: nothing is due. Events that failed go alone."""
        for ordinal in self._again.due(now):
            self._fresh.append(ordinal)
        ordinals: list[int] = []
        while self._fresh and len(ordinals) < self.rules.batch_max:
            ordinal = self._fresh[0]
            entry = self._entries[ordinal]
            age_us = (now - entry.published_at) * self.rules.pace
            if age_us >= self.rules.lifetime_us:
                self._fresh.popleft()
                self._give_up(ordinal, "TimeToLiveExceeded")
                continue
            if ordinals and entry.attempts:
                break
            ordinals.append(self._fresh.popleft())
            entry.tried_at = now
            if entry.attempts:
                break
        if not ordinals:
            return None
        entries = [self._entries[ordinal] for ordinal in ordinals]
        return Try(
            ordinals=tuple(ordinals),
            events=tuple(entry.event for entry in entries),
            count=entries[0].attempts,
        )

    def done(self, ordinals: Sequence[int], outcome: Outcome, now: clocks.Timestamp) -> None:
        """Take in what came of a request; all of its events share it."""
        for ordinal in ordinals:
            entry = self._entries[ordinal]
            entry.attempts += 1
            entry.outcome = str(outcome)
            if outcome in TAKEN:
                del self._entries[ordinal]
                continue
            pause = pause_us(self.rules, entry.attempts, outcome)
            if pause is None:
                spent = entry.attempts >= self.rules.attempts_max
                self._give_up(ordinal, "MaxDeliveryAttemptsExceeded" if spent else "Undeliverable")
            else:
                self._again.set(ordinal, clocks.Timestamp(now + pause))

    def next_at(self) -> clocks.Timestamp | None:
        """When the next try is due by itself; None: never."""
        return self._again.next_at()

    def dead(self) -> list[Dead]:
        """Take out the events given up since the last call."""
        taken, self._dead = self._dead, []
        return taken

    @property
    def owed(self) -> int:
        """Events neither delivered nor given up."""
        return len(self._entries)

    def _give_up(self, ordinal: int, reason: str) -> None:
        entry = self._entries.pop(ordinal)
        self._dead.append(
            Dead(
                event=entry.event,
                reason=reason,
                attempts=entry.attempts,
                outcome=entry.outcome or "Undeliverable",
                published_at=entry.published_at,
                tried_at=entry.tried_at,
            )
        )
