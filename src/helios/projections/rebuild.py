"""A view built anew beside the old one, which serves until the swap.

The copy has no readers' indexes while it is filled; they are made at the end, over sorted data.
Then it catches up with what came meanwhile, and one transaction makes it live and drops the old.
Where the live copy stays ahead in that race, its owner is stopped for the moment of the swap.
A copy that a crash left half built is dropped, and the next rebuild starts clean: its rows might
come from other code than the one that runs now.
"""

import contextlib
from collections.abc import Callable
from typing import Literal

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import build, ports

Phase = Literal["building", "indexing", "catching_up", "done"]

_RACES = 20
"""Swaps tried while the live copy moves on freely; after them its owner is stopped first."""
_SWAP_ATTEMPTS = 40


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How far a rebuild is: `position` of `head`, after `seconds`."""

    view: str
    phase: Phase
    position: envelope.Position
    head: envelope.Position
    seconds: float


def _silent(_: Step) -> None:
    return None


async def rebuild(
    view: ports.View,
    log: log_ports.EventLog,
    store: ports.ViewStore,
    *,
    clock: clocks.Clock,
    report: Callable[[Step], None] = _silent,
    alone: bool = False,
) -> ports.Slot:
    """Build the view from position 0 beside the live copy, then swap.

    Args:
        view: the projection.
        log: where the events come from.
        store: where its tables are.
        clock: for signs of life and times.
        report: called after each step.
        alone: no other process builds views here, so every unfinished copy is a crash's.

    Returns:
        The copy that is live now.

    Raises:
        ConflictError: another rebuild of this view is under way.
        ApplyError: an event cannot be applied; the old copy goes on.
    """
    run = _Rebuild(view, log, store, clock, report)
    return await run.run(alone=alone)


class _Rebuild:
    def __init__(
        self,
        view: ports.View,
        log: log_ports.EventLog,
        store: ports.ViewStore,
        clock: clocks.Clock,
        report: Callable[[Step], None],
    ) -> None:
        self._view = view
        self._log = log
        self._store = store
        self._clock = clock
        self._report = report
        self._started = clock.monotonic()
        self._phase: Phase = "building"
        self._builder = build.Builder(
            view, log, store, clock=clock, purpose="rebuild", report=self._tell
        )

    async def run(self, *, alone: bool) -> ports.Slot:
        name = self._view.name
        alive = await build.drop_stale(name, self._store, self._clock, all_of_them=alone)
        build.refuse_second(name, alive)
        await self._drop_ahead()
        slot = await self._builder.start()
        try:
            # Another rebuild may have started in the same moment and not have seen ours.
            alive = await build.drop_stale(name, self._store, self._clock, all_of_them=False)
            build.refuse_second(name, alive, ours=slot)
            return await self._build(slot)
        except BaseException:
            # The first error is the one to tell; a copy left behind is dropped as stale.
            with contextlib.suppress(errors.HeliosError):
                await self._store.drop(slot)
            raise

    async def _drop_ahead(self) -> None:
        """Drop a live copy that shows events which the log has lost in a restore."""
        slots = await self._store.slots(self._view.name)
        head = await self._log.head()
        for slot in slots:
            if slot.live and slot.checkpoint.position > head:
                await self._store.drop(slot)

    async def _build(self, slot: ports.Slot) -> ports.Slot:
        slot = await self._builder.fill(slot, await self._log.head())
        self._phase = "indexing"
        self._tell(slot.checkpoint.position, await self._log.head())
        await self._store.finish(self._view, slot)
        self._phase = "catching_up"
        slot = await self._swap(slot)
        self._phase = "done"
        self._tell(slot.checkpoint.position, await self._log.head())
        return slot

    async def _swap(self, slot: ports.Slot) -> ports.Slot:
        """Swap as soon as the copy is not behind the live one, which moves on meanwhile."""
        for attempt in range(_SWAP_ATTEMPTS):
            if attempt >= _RACES:
                await self._hold_live()
            slot = await self._builder.fill(slot, await self._log.head())
            slot = await self._builder.unmark(slot)
            if await self._is_behind(slot):
                continue
            try:
                await self._store.swap(slot)
            except errors.ConflictError:
                if not await self._is_behind(slot):
                    raise
                continue
            return msgspec.structs.replace(slot, live=True)
        raise errors.DeadlineError(
            f"view {self._view.name}: the live copy stayed ahead of the new one "
            f"{_SWAP_ATTEMPTS} times; try again when fewer events come in"
        )

    async def _hold_live(self) -> None:
        """Take the live copy from its owner, who stands by until it sees the swap."""
        for other in await self._store.slots(self._view.name):
            if other.live:
                await self._store.claim(other)

    async def _is_behind(self, slot: ports.Slot) -> bool:
        for other in await self._store.slots(slot.view):
            if other.live:
                return other.checkpoint.position > slot.checkpoint.position
        return False

    def _tell(self, position: envelope.Position, head: envelope.Position) -> None:
        self._report(
            Step(
                view=self._view.name,
                phase=self._phase,
                position=position,
                head=head,
                seconds=self._clock.monotonic() - self._started,
            )
        )
