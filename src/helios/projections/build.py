"""Filling a copy of a view that nobody reads yet.

Rebuild and verify share it. Commits are larger than a worker's, because nobody waits for a single
event, and the next pages are read and folded while the last ones are written.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding, ports

_PAGES_PER_COMMIT = 8
_PAGE_EVENTS = 1_000
STALE_S = 120
"""A copy in the making whose builder gave no sign of life for so long was left by a crash."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What the state of a copy in the making says: who makes it, and when it last moved."""

    purpose: str
    beat: clocks.Timestamp


_decode = msgspec.json.Decoder(Mark).decode
_encode = msgspec.json.Encoder().encode


class Builder:
    """Makes one copy of a view beside the live one.

    Args:
        view: what to build.
        log, store: from where, and into where.
        clock: for signs of life.
        purpose: `rebuild` or `verify`.
        report: called after each commit with position and head.
    """

    def __init__(
        self,
        view: ports.View,
        log: log_ports.EventLog,
        store: ports.ViewStore,
        *,
        clock: clocks.Clock,
        purpose: str,
        report: Callable[[envelope.Position, envelope.Position], None],
    ) -> None:
        self._view = view
        self._log = log
        self._store = store
        self._clock = clock
        self._purpose = purpose
        self._report = report

    async def start(self) -> ports.Slot:
        """An empty copy without the readers' indexes, owned and marked."""
        slot = await self._store.create(self._view, live=False, with_indexes=False)
        slot = await self._store.claim(slot)
        return await self._store.commit(slot, [], self._marked(slot.checkpoint.position))

    async def fill(self, slot: ports.Slot, target: envelope.Position) -> ports.Slot:
        """Bring the copy to exactly `target`, which the log has reached.

        Raises:
            ApplyError: an event cannot be applied.
            ConflictError: somebody else dropped the copy or took it over.
        """
        position = slot.checkpoint.position
        fold = await folding.begin(self._view, slot, self._log, self._store)
        remembers = isinstance(self._view, ports.RememberingView)
        commit: asyncio.Task[ports.Slot] | None = None
        try:
            while position < target:
                if commit is not None and remembers:
                    await commit
                    fold.committed()
                writes, position = await self._gather(fold, position, target)
                if commit is not None:
                    slot = await commit
                    self._report(slot.checkpoint.position, target)
                checkpoint = self._marked(position)
                commit = asyncio.create_task(self._store.commit(slot, writes, checkpoint))
            if commit is not None:
                slot = await commit
                self._report(slot.checkpoint.position, target)
        finally:
            if commit is not None:
                await folding.settle(commit)
        return slot

    async def unmark(self, slot: ports.Slot) -> ports.Slot:
        """Leave no trace of the making in the copy's state."""
        checkpoint = ports.Checkpoint(position=slot.checkpoint.position)
        return await self._store.commit(slot, [], checkpoint)

    async def _gather(
        self, fold: ports.Fold, after: envelope.Position, target: envelope.Position
    ) -> tuple[list[ports.Write], envelope.Position]:
        writes: list[ports.Write] = []
        for _ in range(_PAGES_PER_COMMIT):
            page = await self._log.read(after, limit=_PAGE_EVENTS, where=self._view.where)
            events = page.events
            if page.next_after > target:
                events = [event for event in events if event.position <= target]
            after = min(page.next_after, target)
            writes += await self._folded(fold, events, after)
            if after == target:
                break
        return writes, after

    async def _folded(
        self, fold: ports.Fold, events: list[envelope.Event], upto: envelope.Position
    ) -> Sequence[ports.Write]:
        if isinstance(fold, folding.Stateless):
            return folding.fold_or_name(self._view, events)
        return await fold.apply(events, upto)

    def _marked(self, position: envelope.Position) -> ports.Checkpoint:
        mark = Mark(purpose=self._purpose, beat=self._clock.now())
        return ports.Checkpoint(position=position, state=_encode(mark))


def mark_of(slot: ports.Slot) -> Mark | None:
    """Who makes this copy; None for one that is live, finished or not yet marked."""
    try:
        return _decode(slot.checkpoint.state) if slot.checkpoint.state else None
    except msgspec.DecodeError:
        return None


async def drop_stale(
    view: str, store: ports.ViewStore, clock: clocks.Clock, *, all_of_them: bool
) -> list[ports.Slot]:
    """Drop the copies that crashes left behind; return those that are still being made.

    With `all_of_them` these are dropped too: the caller knows that no other process builds.
    """
    alive = []
    for slot in await store.slots(view):
        if slot.live:
            continue
        mark = mark_of(slot)
        fresh = mark is not None and clock.now() - mark.beat < STALE_S * clocks.SECOND_US
        if fresh and not all_of_them:
            alive.append(slot)
        else:
            await store.drop(slot)
    return alive


def refuse_second(view: str, alive: list[ports.Slot], *, ours: ports.Slot | None = None) -> None:
    """Raise ConflictError when a rebuild that is not ours is under way."""
    for slot in alive:
        mark = mark_of(slot)
        is_ours = ours is not None and slot.prefix == ours.prefix
        if mark is not None and mark.purpose == "rebuild" and not is_ours:
            raise errors.ConflictError(
                f"view {view} is being rebuilt already and stands at position "
                f"{slot.checkpoint.position}: wait for it. If its process died, "
                f"try again {STALE_S} s after its last step"
            )
