"""The loop that keeps one view up to date.

Read a page after the checkpoint, fold it, commit rows and checkpoint together, tell who waits;
then the next. While one page is being committed the next one is being read. Nothing is kept here
that is not in the checkpoint, so a worker may be cancelled or killed anywhere and started again.

Ownership is the copy's epoch: claiming it makes a former owner's commits fail. A worker that lost
its copy follows when the view was swapped; otherwise it stands by and takes the copy back when
its owner has stopped moving.

An event that cannot be applied stops the view, loudly: a view with a hole would lie. The batch is
tried again one event at a time, so everything before the event is in and the event is named in
`health`; then it is tried again with growing pauses, because the remedy (new code, more disk) may
come while we run.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, limits, tenancy
from helios.projections import folding, ports, wait

Status = Literal[
    "starting", "rebuilding", "catching_up", "live", "failed", "standby", "other_version"
]

_IDLE_S = 1.0
_PACE_S = 0.008
"""From one step to the next while events keep coming: one commit of the view then serves several
of the log. The first event after a quiet moment, and one that is waited for, go at once."""
_PACE_UNTOUCHED_S = 0.025
"""The same after a step that only moved the checkpoint: these events are not this view's."""

_BACKOFF_MIN_S = 0.25
_BACKOFF_MAX_S = 5.0
_STANDBY_POLL_S = 2.0
_STANDBY_S = 30.0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a view is doing.

    Attributes:
        status: `live` is caught up; `failed` retries; `standby`: another process keeps it;
            `rebuilding`: no copy of this code's version yet, one is being built;
            `other_version`: the live copy is not of this code's version.
        position, head: of the view and of the log, as last seen by the worker.
        lag_events: positions between them.
        lag_s: seconds since the oldest event known and not applied was appended; 0 when none.
        silent_s: seconds since the worker last came round; it does so every second when idle.
        error: the last error, or None when all is well.
        failed_position, failed_event_id: the event that cannot be applied, if that is the error.
        attempts: tries in a row that failed.
    """

    view: str
    version: int
    status: Status
    position: envelope.Position
    head: envelope.Position
    lag_events: int
    lag_s: float
    silent_s: float
    error: str | None = None
    failed_position: envelope.Position | None = None
    failed_event_id: str | None = None
    attempts: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether readers get answers that move with the log."""
        return self.status in ("live", "catching_up", "standby")

    def shown(self) -> "Health":
        """What of it may be told in the scope that is set: an error may quote anybody's event."""
        if self.error is None or tenancy.current().tenants is None:
            return self
        return msgspec.structs.replace(
            self, error="ask who runs Helios", failed_position=None, failed_event_id=None
        )


class Worker:
    """Keeps one view up to date.

    Args:
        view: the projection.
        log: where the events come from.
        store: where the view's tables and checkpoint are.
        progress: who wants to know of every step.
        clock: for pauses and lag.
        batch_events: events in one transaction.
    """

    def __init__(
        self,
        view: ports.View,
        log: log_ports.EventLog,
        store: ports.ViewStore,
        *,
        progress: wait.Progress,
        clock: clocks.Clock,
        batch_events: int = limits.VIEW_BATCH_EVENTS,
    ) -> None:
        self._view = view
        self._log = log
        self._store = store
        self._progress = progress
        self._clock = clock
        self._batch_events = batch_events
        self._careful_until = 0
        self._status: Status = "starting"
        self._position = envelope.Position(0)
        self._head = envelope.Position(0)
        self._oldest: clocks.Timestamp | None = None
        self._beat = clock.monotonic()
        self._next_step = self._beat
        self._error: str | None = None
        self._failed: envelope.Event | None = None
        self._attempts = 0

    def health(self) -> Health:
        """How the view is doing, without asking anyone."""
        behind_us = self._clock.now() - self._oldest if self._oldest is not None else 0
        return Health(
            view=self._view.name,
            version=self._view.version,
            status=self._status,
            position=self._position,
            head=self._head,
            lag_events=max(0, self._head - self._position),
            lag_s=max(0, behind_us) / clocks.SECOND_US,
            silent_s=self._clock.monotonic() - self._beat,
            error=self._error,
            failed_position=self._failed.position if self._failed else None,
            failed_event_id=self._failed.id if self._failed else None,
            attempts=self._attempts,
        )

    async def run(self) -> None:
        """Keep the view up to date until cancelled.

        Raises:
            CursorError: the view is ahead of the log; it must be rebuilt.
            StorageFailedError: a flush failed; the process must stop.
        """
        try:
            while True:
                try:
                    await self._keep()
                except (errors.StorageFailedError, errors.CursorError) as error:
                    self._fail(error)
                    raise
                except Exception as error:  # noqa: BLE001 - a view's code may raise anything
                    self._fail(error)
                    await self._clock.sleep(self._backoff_s())
        finally:
            self._progress.forget(self._view.name)

    async def _keep(self) -> None:
        slot = await self._store.claim(await self._live())
        while True:
            try:
                await self._follow(slot)
            except errors.ConflictError:
                self._progress.forget(self._view.name)
                found = await self._live()
                if found.prefix == slot.prefix:
                    found = await self._stand_by(found)
                slot = await self._store.claim(found)

    async def _live(self) -> ports.Slot:
        """The live copy of our version; made if there is none, waited for if it is another's."""
        while True:
            self._beat = self._clock.monotonic()
            slots = await self._store.slots(self._view.name)
            slot = next((slot for slot in slots if slot.live), None)
            if slot is None:
                slot = await self._store.create(self._view, live=True)
            if slot.version == self._view.version:
                await self._see(slot)
                return slot
            self._status = "other_version"
            await self._clock.sleep(_IDLE_S)

    async def _see(self, slot: ports.Slot) -> None:
        self._position = slot.checkpoint.position
        self._head = await self._log.head()
        folding.refuse_ahead(slot, self._head)

    async def _stand_by(self, slot: ports.Slot) -> ports.Slot:
        """Watch the owner; return the copy when it was swapped or its owner stopped moving."""
        self._status = "standby"
        self._oldest = None
        since = self._clock.monotonic()
        while True:
            await self._clock.sleep(_STANDBY_POLL_S)
            found = await self._live()
            if found.prefix != slot.prefix:
                return found
            if found.checkpoint != slot.checkpoint or found.checkpoint.position >= self._head:
                slot, since = found, self._clock.monotonic()
            elif self._clock.monotonic() - since >= _STANDBY_S:
                return found

    async def _follow(self, slot: ports.Slot) -> None:
        self._position = slot.checkpoint.position
        self._progress.advance(slot.view, self._position)
        fold = await folding.begin(self._view, slot, self._log, self._store)
        page = await self._next(self._position)
        while True:
            ahead = self._read_ahead(page)
            try:
                slot = await self._step(slot, fold, page)
                page = await (ahead or self._next(self._position))
            finally:
                if ahead is not None:
                    await folding.settle(ahead)

    def _read_ahead(self, page: envelope.Page) -> asyncio.Task[envelope.Page] | None:
        if page.next_after >= page.head or self._careful_until > page.next_after:
            return None
        return asyncio.create_task(self._read(page.next_after))

    async def _next(self, after: envelope.Position) -> envelope.Page:
        """The next page that moves us on, waiting for it at the head."""
        while True:
            self._beat = self._clock.monotonic()
            page = await self._read(after)
            if page.next_after > after:
                return page
            self._head = page.head
            self._succeed(caught_up=True)
            await self._log.wait(after, timeout_s=_IDLE_S)
            await self._pace()

    async def _pace(self) -> None:
        """Let more events come, if the last ones came only just now and nobody waits for these."""
        left = self._next_step - self._clock.monotonic()
        if left > 0:
            await self._progress.pause(self._view.name, timeout_s=left)

    async def _read(self, after: envelope.Position) -> envelope.Page:
        limit = 1 if after < self._careful_until else self._batch_events
        page = self._log.recent(after, limit=limit, where=self._view.where)
        if page is None:
            page = await self._log.read(after, limit=limit, where=self._view.where)
        return page

    async def _step(self, slot: ports.Slot, fold: ports.Fold, page: envelope.Page) -> ports.Slot:
        self._beat = self._clock.monotonic()
        self._head = page.head
        if page.events:
            self._oldest = page.events[0].recorded_at
        checkpoint = ports.Checkpoint(position=page.next_after, state=slot.checkpoint.state)
        try:
            writes = await fold.apply(page.events, page.next_after)
            slot = await self._store.commit(slot, writes, checkpoint)
            fold.committed()
        except (errors.ConflictError, errors.StorageError):
            raise
        except Exception as error:
            self._narrow(page.events, error)
            raise
        self._position = page.next_after
        pace_s = _PACE_S if writes else _PACE_UNTOUCHED_S
        self._next_step = self._clock.monotonic() + pace_s
        self._succeed(caught_up=page.next_after >= page.head)
        self._progress.advance(slot.view, page.next_after)
        return slot

    def _narrow(self, events: Sequence[envelope.Event], error: Exception) -> None:
        """Blame the event when it was alone; else have the batch tried again one by one."""
        if len(events) == 1:
            self._failed = events[0]
            raise folding.ApplyError(self._view.name, events[0], error) from error
        if events:
            self._careful_until = events[-1].position

    def _succeed(self, *, caught_up: bool) -> None:
        self._status = "live" if caught_up else "catching_up"
        if caught_up:
            self._oldest = None
        self._error = None
        self._failed = None
        self._attempts = 0

    def _fail(self, error: Exception) -> None:
        self._status = "failed"
        self._error = str(error) or type(error).__name__
        self._attempts += 1

    def _backoff_s(self) -> float:
        if self._careful_until > self._position and self._failed is None:
            return 0.0
        return float(min(_BACKOFF_MAX_S, _BACKOFF_MIN_S * 2 ** min(self._attempts - 1, 16)))
