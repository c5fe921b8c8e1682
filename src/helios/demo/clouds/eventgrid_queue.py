"""One pull subscription of an Event Grid namespace topic: events, locks, and those given up.

A pure state machine; the time comes with every call. There is no order and no way back: what is
acknowledged is gone; what is given up becomes a dead letter, and only that can be fetched later.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from helios.demo.clouds import alarms
from helios.kernel import clock as clocks

REASONS = {
    "attempts": "Maximum delivery attempts was exceeded.",
    "lifetime": "Time to live was exceeded.",
    "rejected": "Event was rejected by the client.",
    "dropped": "Undeliverable due to client error",
}
"""Why an event was given up, in the words of its dead letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a subscription treats its events; times in microseconds.

    Attributes:
        lock_us: how long a receiver has for an event.
        attempts_max: deliveries after which it is given up.
        lifetime_us: age at which it is given up.
        dead_letters: given-up events are kept; otherwise they are gone.
    """

    lock_us: int = 60 * clocks.SECOND_US
    attempts_max: int = 10
    lifetime_us: int = 7 * 24 * 3600 * clocks.SECOND_US
    dead_letters: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One event in the hands of a receiver; `delivery_count` counts from 1."""

    token: str
    delivery_count: int
    event: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """An event given up; `reason` is a key of `REASONS`, `tried_at` None if it never was."""

    event: Any
    reason: str
    attempts: int
    published_at: clocks.Timestamp
    tried_at: clocks.Timestamp | None
    at: clocks.Timestamp


@dataclass(slots=True)
class _Entry:
    event: Any
    published_at: clocks.Timestamp
    attempts: int = 0
    tried_at: clocks.Timestamp | None = None
    token: str = ""


class Queue:
    """The state of one subscription."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._entries: dict[int, _Entry] = {}
        self._ready: list[int] = []
        self._locks: dict[str, int] = {}
        self._due: alarms.Alarms[int] = alarms.Alarms()
        self._lives: alarms.Alarms[int] = alarms.Alarms()
        self._dead: list[Dead] = []
        self._serial = 0

    def add(self, event: Any, now: clocks.Timestamp, *, dropped: bool = False) -> None:
        """An event was published; a dropped one is given up unseen."""
        self._serial += 1
        ordinal = self._serial
        self._entries[ordinal] = _Entry(event, now)
        if dropped:
            self._give_up(ordinal, "dropped", now)
            return
        self._lives.set(ordinal, clocks.Timestamp(now + self.rules.lifetime_us))
        heapq.heappush(self._ready, ordinal)

    def receive(self, now: clocks.Timestamp, *, count: int) -> list[Locked]:
        """Lock what is there, the oldest first."""
        self.advance(now)
        taken: list[Locked] = []
        while self._ready and len(taken) < count:
            ordinal = heapq.heappop(self._ready)
            entry = self._entries.get(ordinal)
            if entry is None:
                continue
            self._serial += 1
            entry.attempts += 1
            entry.tried_at = now
            entry.token = f"{ordinal}-{self._serial}"
            self._locks[entry.token] = ordinal
            self._due.set(ordinal, clocks.Timestamp(now + self.rules.lock_us))
            taken.append(
                Locked(token=entry.token, delivery_count=entry.attempts, event=entry.event)
            )
        return taken

    def acknowledge(self, tokens: Sequence[str], now: clocks.Timestamp) -> list[bool]:
        """Be done with events.

        Returns:
            Per token, whether its lock was still held; so do the other calls with tokens.
        """
        return [self._acknowledge(ordinal) for ordinal in self._held(tokens, now)]

    def release(
        self, tokens: Sequence[str], now: clocks.Timestamp, *, delay_s: int = 0
    ) -> list[bool]:
        """Give events back, to be received again after a while."""
        return [self._release(ordinal, now, delay_s) for ordinal in self._held(tokens, now)]

    def reject(self, tokens: Sequence[str], now: clocks.Timestamp) -> list[bool]:
        """Give events up."""
        return [self._reject(ordinal, now) for ordinal in self._held(tokens, now)]

    def renew(self, tokens: Sequence[str], now: clocks.Timestamp) -> list[bool]:
        """Let locks begin anew."""
        return [self._renew(ordinal, now) for ordinal in self._held(tokens, now)]

    def advance(self, now: clocks.Timestamp) -> None:
        """Let locks and pauses end, and old events go."""
        for ordinal in self._lives.due(now):
            self._unlock(ordinal)
            self._give_up(ordinal, "lifetime", now)
        for ordinal in self._due.due(now):
            self._unlock(ordinal)
            if self._entries[ordinal].attempts >= self.rules.attempts_max:
                self._give_up(ordinal, "attempts", now)
            else:
                heapq.heappush(self._ready, ordinal)

    def next_at(self) -> clocks.Timestamp | None:
        """When something becomes due by itself; None: never."""
        times = [at for at in (self._due.next_at(), self._lives.next_at()) if at is not None]
        return min(times, default=None)

    def dead(self) -> list[Dead]:
        """Take out the events given up since the last call."""
        taken, self._dead = self._dead, []
        return taken

    @property
    def owed(self) -> int:
        """Events neither acknowledged nor given up."""
        return len(self._entries)

    def _held(self, tokens: Sequence[str], now: clocks.Timestamp) -> list[int | None]:
        self.advance(now)
        # A token given twice holds once.
        return [self._locks.pop(token, None) for token in tokens]

    def _acknowledge(self, ordinal: int | None) -> bool:
        if ordinal is None:
            return False
        self._forget(ordinal)
        return True

    def _release(self, ordinal: int | None, now: clocks.Timestamp, delay_s: int) -> bool:
        if ordinal is None:
            return False
        self._unlock(ordinal)
        if self._entries[ordinal].attempts >= self.rules.attempts_max:
            self._give_up(ordinal, "attempts", now)
        elif delay_s:
            self._due.set(ordinal, clocks.Timestamp(now + delay_s * clocks.SECOND_US))
        else:
            heapq.heappush(self._ready, ordinal)
        return True

    def _reject(self, ordinal: int | None, now: clocks.Timestamp) -> bool:
        if ordinal is None:
            return False
        self._give_up(ordinal, "rejected", now)
        return True

    def _renew(self, ordinal: int | None, now: clocks.Timestamp) -> bool:
        if ordinal is None:
            return False
        self._locks[self._entries[ordinal].token] = ordinal
        self._due.set(ordinal, clocks.Timestamp(now + self.rules.lock_us))
        return True

    def _unlock(self, ordinal: int) -> None:
        self._locks.pop(self._entries[ordinal].token, None)
        self._due.cancel(ordinal)

    def _forget(self, ordinal: int) -> _Entry:
        self._unlock(ordinal)
        self._lives.cancel(ordinal)
        return self._entries.pop(ordinal)

    def _give_up(self, ordinal: int, reason: str, now: clocks.Timestamp) -> None:
        entry = self._forget(ordinal)
        # The fault takes events away; only dead letters can bring those back.
        if self.rules.dead_letters:
            self._dead.append(
                Dead(
                    event=entry.event,
                    reason=reason,
                    attempts=entry.attempts,
                    published_at=entry.published_at,
                    tried_at=entry.tried_at,
                    at=now,
                )
            )
