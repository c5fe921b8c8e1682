"""Is the log what was appended?

Reads all of it once, in order, and checks three things that must hold together: positions go
1, 2, 3 … without a hole; so do the sequences of each aggregate; and the hash of every commit is
the one computed again from what is stored. The first place where one of them breaks is reported,
and nothing after it is trusted.

Keeps the last sequence of each aggregate in memory (about 200 bytes each), one page of events and
one page of commits, whatever the length of the log.
"""

import collections
import itertools
from collections.abc import Callable

import msgspec

from helios.eventlog import chain, envelope, ports
from helios.kernel import errors


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where the log contradicts itself.

    Attributes:
        first, last: positions of the commit it lies in.
        what: what is wrong there, for a person.
    """

    first: envelope.Position
    last: envelope.Position
    what: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked.

    Attributes:
        head: the last position when the check began; nothing beyond it was looked at.
        events, batches, aggregates: how many were found right.
        hash: of the last commit that was right; keep it to notice a later rewrite of history.
        broken: the first break, None when all is right.
    """

    head: envelope.Position
    events: int
    batches: int
    aggregates: int
    hash: bytes
    broken: Break | None


Progress = Callable[[envelope.Position, envelope.Position], None]
"""Called after each commit with the position reached and the head."""


async def verify(
    storage: ports.LogStorage, *, progress: Progress | None = None, page: int = 1000
) -> Report:
    """Check the whole log, as far as it goes now.

    Args:
        storage: open; appends may go on meanwhile.
        progress: see `Progress`.
        page: events and commits read at once.
    """
    head = await storage.head()
    check = _Check()
    reader = _Reader(storage, head, page)
    after = envelope.Position(0)
    broken: Break | None = None
    while broken is None and after < head:
        batches = [b for b in await storage.batches(after, page) if b.first <= head]
        if not batches:
            broken = Break(
                first=envelope.Position(after + 1),
                last=head,
                what=f"no commit is recorded for positions {after + 1} to {head}",
            )
        for batch in batches:
            try:
                broken = check.batch(batch, await reader.upto(batch.last))
            except errors.CorruptionError as error:
                broken = Break(first=batch.first, last=batch.last, what=str(error))
            if broken is not None:
                break
            after = batch.last
            if progress is not None:
                progress(after, head)
    if broken is None:
        broken = await _lost_end(storage, head)
    return Report(
        head=head,
        events=check.position,
        batches=check.batches,
        aggregates=check.aggregates,
        hash=check.hash,
        broken=broken,
    )


async def _lost_end(storage: ports.LogStorage, head: envelope.Position) -> Break | None:
    """A commit beyond the head: a new one moves the head too, so else its events were removed."""
    beyond = await storage.batches(head, 1)
    if not beyond or await storage.head() >= beyond[0].last:
        return None
    first, last = beyond[0].first, beyond[0].last
    what = f"the events of the last commits, from position {first}, were removed"
    return Break(first=first, last=last, what=what)


class _Reader:
    """The events of the log in order, page by page, cut where commits end."""

    def __init__(self, storage: ports.LogStorage, head: envelope.Position, page: int) -> None:
        self._storage = storage
        self._page = page
        self._after = envelope.Position(0)
        self._head = head
        self._ahead: collections.deque[envelope.Event] = collections.deque()

    async def upto(self, last: envelope.Position) -> list[envelope.Event]:
        """Those not given yet, up to and with `last`."""
        found: list[envelope.Event] = []
        while True:
            while self._ahead and self._ahead[0].position <= last:
                found.append(self._ahead.popleft())
            if self._ahead or self._after >= min(last, self._head):
                return found
            page = await self._next(last)
            self._ahead.extend(page.events)
            if page.next_after <= self._after:
                return found
            self._after = page.next_after

    async def _next(self, last: envelope.Position) -> envelope.Page:
        try:
            return await self._storage.read(self._after, self._page, envelope.ALL)
        except errors.CorruptionError:
            # Not beyond the commit in question: what is broken may lie in a later one.
            return await self._storage.read(self._after, last - self._after, envelope.ALL)


class _Check:
    """What was right so far."""

    def __init__(self) -> None:
        self.position = envelope.Position(0)
        self.batches = 0
        self.hash = chain.GENESIS
        self._sequences: dict[tuple[str, str], dict[str, int]] = {}

    @property
    def aggregates(self) -> int:
        return sum(len(family) for family in self._sequences.values())

    def batch(self, batch: ports.Batch, events: list[envelope.Event]) -> Break | None:
        """Check one commit; takes it over when it is right."""
        what = self._fault(batch, events)
        if what is not None:
            return Break(first=batch.first, last=batch.last, what=what)
        self.position = batch.last
        self.batches += 1
        self.hash = batch.hash
        return None

    def _fault(self, batch: ports.Batch, events: list[envelope.Event]) -> str | None:
        place = f"the commit of positions {batch.first} to {batch.last}"
        if batch.first != self.position + 1:
            return f"{place} follows the one that ends at {self.position}"
        wanted = itertools.count(batch.first)
        for event, position in zip(events, wanted, strict=False):
            if event.position != position:
                return f"position {position} is missing: {event.position} follows it"
            if (fault := self._sequence_fault(event)) is not None:
                return fault
        if len(events) != batch.last - batch.first + 1:
            return f"{place} holds {len(events)} events"
        if chain.relink(self.hash, events) != batch.hash:
            return f"{place} does not have the hash it was stored with: an event of it was altered"
        return None

    def _sequence_fault(self, event: envelope.Event) -> str | None:
        family = self._sequences.setdefault((event.tenant, event.aggregate_type), {})
        wanted = family.get(event.aggregate_id, 0) + 1
        if event.sequence != wanted:
            return (
                f"position {event.position} has sequence {event.sequence} of "
                f"{event.aggregate_type} {event.aggregate_id}, expected {wanted}"
            )
        family[event.aggregate_id] = wanted
        return None
