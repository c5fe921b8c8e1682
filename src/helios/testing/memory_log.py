"""A log in memory: a real `LogStorage` for tests, yours included.

It decides with the same pure functions as the durable backends and differs from them in one thing:
it is gone with the process. `copy` gives a test what a crash leaves of a durable log: all of it.
"""

import asyncio
import bisect
from collections.abc import Sequence

from helios.eventlog import chain, envelope, ports
from helios.eventlog import commit as commits
from helios.kernel import clock as clocks


class MemoryLogStorage:
    """`eventlog.ports.LogStorage` in lists and dictionaries.

    Args:
        log_id: identity of its history.
    """

    def __init__(self, log_id: str = "memory") -> None:
        self._log_id = log_id
        self._events: list[envelope.Event] = []
        self._places: dict[commits.DedupKey, commits.Place] = {}
        self._heads: dict[envelope.AggregateKey, int] = {}
        self._answers: dict[commits.IdempotencyKey, tuple[clocks.Timestamp, commits.Answer]] = {}
        self._batches: list[ports.Batch] = []
        self._changed = asyncio.Event()

    @property
    def log_id(self) -> str:
        return self._log_id

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close; the events stay, as on a disk."""

    async def commit(
        self, requests: Sequence[ports.AppendRequest], recorded_at: clocks.Timestamp
    ) -> list[envelope.Appended | Exception]:
        plan = commits.plan(requests, self._facts(commits.questions(requests), recorded_at))
        if plan.rows:
            self._insert(plan.rows, recorded_at)
        for idempotency, appended in plan.answers:
            answer = commits.Answer(request_hash=idempotency.request_hash, appended=appended)
            expires_at = idempotency.expires_at(recorded_at)
            self._answers[idempotency.scope, idempotency.key] = (expires_at, answer)
        return plan.outcomes

    async def read(
        self, after: envelope.Position, limit: int, where: envelope.Filter
    ) -> envelope.Page:
        head = len(self._events)
        if where == envelope.ALL:
            events = self._events[after : after + limit]
            last = min(head, after + limit)
            return _page(events, last, head)
        events = []
        for event in self._events[after:]:
            if where.passes(event):
                events.append(event)
                if len(events) == limit:
                    return _page(events, event.position, head)
        return _page(events, max(head, after), head)

    async def read_at(self, positions: Sequence[envelope.Position]) -> list[envelope.Event]:
        head = len(self._events)
        return [self._events[p - 1] for p in sorted(set(positions)) if 0 < p <= head]

    async def find(self, tenant: str, source: str, event_id: str) -> envelope.Event | None:
        place = self._places.get((tenant, source, event_id))
        return None if place is None else self._events[place[0] - 1]

    async def head(self) -> envelope.Position:
        return envelope.Position(len(self._events))

    async def batches(self, after: envelope.Position, limit: int) -> list[ports.Batch]:
        start = bisect.bisect_right(self._batches, after, key=lambda batch: batch.last)
        return self._batches[start : start + limit]

    async def wait_commit(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    def copy(self, *, log_id: str | None = None, head: int | None = None) -> "MemoryLogStorage":
        """What a restart finds; with `head`, a log restored to an earlier point."""
        other = MemoryLogStorage(log_id or self._log_id)
        for batch in self._batches:
            if head is None or batch.last <= head:
                events = self._events[batch.first - 1 : batch.last]
                other._insert([(e.position, e.sequence, e) for e in events], batch.recorded_at)
        return other

    def _facts(self, asked: commits.Questions, recorded_at: clocks.Timestamp) -> commits.Facts:
        kept = ((key, self._answers.get(key)) for key in asked.keys)
        return commits.Facts(
            head=envelope.Position(len(self._events)),
            heads={a: self._heads[a] for a in asked.aggregates if a in self._heads},
            known={k: self._places[k] for k in asked.events if k in self._places},
            answers={key: found[1] for key, found in kept if found and found[0] > recorded_at},
        )

    def _insert(
        self,
        rows: Sequence[tuple[envelope.Position, int, envelope.NewEvent | envelope.Event]],
        recorded_at: clocks.Timestamp,
    ) -> None:
        events = [envelope.placed(event, p, s, recorded_at) for p, s, event in rows]
        previous = self._batches[-1].hash if self._batches else chain.GENESIS
        for event in events:
            self._places[event.tenant, event.source, event.id] = (event.position, event.sequence)
            self._heads[event.aggregate] = event.sequence
        self._events.extend(events)
        self._batches.append(
            ports.Batch(
                first=events[0].position,
                last=events[-1].position,
                recorded_at=recorded_at,
                hash=chain.relink(previous, events),
            )
        )
        self._changed.set()
        self._changed = asyncio.Event()


def _page(events: list[envelope.Event], next_after: int, head: int) -> envelope.Page:
    return envelope.Page(
        events=events, next_after=envelope.Position(next_after), head=envelope.Position(head)
    )
