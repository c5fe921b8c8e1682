"""The contract of the log as a few dictionaries, to compare a real storage with.

Written without a look at how the log decides: an append is applied to a copy, event by event, and
the copy is taken over only when nothing refused it. Slow, obvious, and right.
"""

import copy
from collections.abc import Sequence
from typing import TypeAlias

from helios.eventlog import envelope, ports
from helios.testing import log_samples as samples

Outcome: TypeAlias = tuple[str, list[int], list[int], list[bool]] | tuple[str]
"""("appended" or "replayed", positions, sequences, duplicates), ("conflict",) or ("key",)."""


class LogModel:
    """What a log must hold and answer."""

    def __init__(self) -> None:
        self.events: list[envelope.NewEvent] = []
        self.sequences: list[int] = []
        self.recorded: list[int] = []
        self._keys: dict[tuple[str, str], tuple[int, bytes, Outcome]] = {}

    def append(self, request: ports.AppendRequest, now: int) -> Outcome:
        """Apply one request; the outcome, in a form to compare."""
        idempotency = request.idempotency
        if idempotency is not None:
            kept = self._keys.get((idempotency.scope, idempotency.key))
            if kept is not None and now < kept[0]:
                if kept[1] != idempotency.request_hash:
                    return ("key",)
                return ("replayed", *kept[2][1:])
        new = [e for e in request.events if self.find(e.tenant, e.source, e.id) is None]
        if new and any(self.last(a) != s for a, s in request.expected.items()):
            return ("conflict",)
        outcome = self._apply(request.events, now)
        if idempotency is not None:
            until = now + idempotency.ttl_s * 1_000_000
            kept = (until, idempotency.request_hash, outcome)
            self._keys[idempotency.scope, idempotency.key] = kept
        return outcome

    def last(self, aggregate: envelope.AggregateKey) -> int:
        """How many events an aggregate has."""
        return sum(e.aggregate == aggregate for e in self.events)

    def find(self, tenant: str, source: str, event_id: str) -> int | None:
        """Position of the event with this dedup key."""
        for position, e in enumerate(self.events, start=1):
            if (e.tenant, e.source, e.id) == (tenant, source, event_id):
                return position
        return None

    def matching(self, after: int, where: envelope.Filter) -> list[int]:
        """Positions after one that a filter lets through."""
        numbered = enumerate(self.events, start=1)
        return [p for p, e in numbered if p > after and samples.matches(e, where)]

    def copy(self) -> "LogModel":
        """Another one that holds the same."""
        return copy.deepcopy(self)

    def _apply(self, events: Sequence[envelope.NewEvent], now: int) -> Outcome:
        positions, sequences, duplicates = [], [], []
        for e in events:
            position = self.find(e.tenant, e.source, e.id)
            duplicates.append(position is not None)
            if position is None:
                self.events.append(e)
                self.sequences.append(self.last(e.aggregate))
                self.recorded.append(now)
                position = len(self.events)
            positions.append(position)
            sequences.append(self.sequences[position - 1])
        return ("appended", positions, sequences, duplicates)
