"""Tells people what waits to be told, channel by channel.

Each channel has a task of its own while something is due on it, so that one that hangs or refuses
holds up nobody. What was told is said in the log before the next message goes out there: after a
crash at most the message that was under way is sent once more, under the same key. Of several
processes the one that holds the lease tells.
"""

import asyncio
import collections
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec
import structlog

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.heal.notices import events, guard_telling, message, schedule, sending, view
from helios.ingest import runners
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, jsonio
from helios.projections import ports as view_ports
from helios.reconcile.compositions import fuse, guards, reading

LEASE: Final = "notices"
STANDBY_S: Final = 5.0
RETRY_S: Final = 1.0
IDLE_S: Final = 30.0
PACE_S: Final = 0.25
"""Least pause between two looks at what is due, however busy the log is."""
AT_ONCE: Final = 16
"""Channels told side by side. Above: they wait for one another."""
DETAIL_CHARS_MAX: Final = 500

_Key = tuple[str, str]
_log = structlog.get_logger("helios.notices")


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What it needs of the process it runs in.

    Attributes:
        wait_for: returns when a view has reached a position; raises DeadlineError.
        random: uniform in [0, 1), for jitter.
        told: is told the type of a channel and how a message ended: `delivered`, `failed`,
            `abandoned`.
        window_s: how long notices of one stack are gathered.
    """

    log: log_ports.EventLog
    store: view_ports.ViewStore
    wait_for: Callable[..., Any]
    clock: clocks.Clock
    ids: ids.Ids
    random: Callable[[], float]
    leases: runners.Leases
    told: Callable[[str, str], None] = lambda *_: None
    window_s: float = schedule.WINDOW_S


class Notices:
    """Tells people; see the module."""

    def __init__(self, around: Around, senders: sending.Senders) -> None:
        self._around = around
        self._senders = senders
        self._places: dict[_Key, _Place] = {}
        self._running: dict[_Key, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Tell until cancelled.

        Raises:
            StorageFailedError: a flush failed; the process must stop.
        """
        around = self._around
        while True:
            try:
                lease = await around.leases.acquire(LEASE)
                if lease is None:
                    await around.clock.sleep(STANDBY_S)
                else:
                    await self._lead(lease)
            except errors.StorageFailedError:
                raise
            except errors.HeliosError as error:
                _log.warning("notices_paused", error=str(error))
                await around.clock.sleep(RETRY_S)

    async def round(self) -> clocks.Timestamp | None:
        """Begin to tell what is due; returns when the next thing is, None: nothing waits."""
        self._collect()
        now = self._around.clock.now()
        found: list[int] = []
        for due in await view.due(self._around.store):
            key = (due.client_id, due.target)
            at = self._due_at(due)
            if key in self._running:
                continue
            if at <= now:
                self._running[key] = asyncio.create_task(self._tell(key))
            else:
                found.append(at)
        return clocks.Timestamp(min(found)) if found else None

    @property
    def is_busy(self) -> bool:
        """Whether a channel is being told just now."""
        return any(not task.done() for task in self._running.values())

    async def settled(self) -> None:
        """Return when all that was begun has ended."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._collect()

    async def caught_up(self) -> None:
        """Wait until all is known that was told before, maybe by another process."""
        head = await self._around.log.head()
        await self._around.wait_for(view.NAME, head)

    def _due_at(self, due: view.Due) -> int:
        window_s = self._around.window_s
        gathered = min(
            at + schedule.delay(subject, window_s) for subject, at in due.subjects.items()
        )
        place = self._places.get((due.client_id, due.target))
        free_at = 0 if place is None else place.wait_until
        return max(gathered, due.next_at, free_at)

    def _collect(self) -> None:
        """See how tasks have ended."""
        for key in [key for key, task in self._running.items() if task.done()]:
            task = self._running.pop(key)
            error = None if task.cancelled() else task.exception()
            if isinstance(error, errors.StorageFailedError):
                raise error
            if error is not None:
                self._place(key).wait_until = self._in(RETRY_S)
                known = isinstance(error, errors.HeliosError)
                _log.warning(
                    "telling_paused",
                    target=key[1],
                    error=str(error) if known else type(error).__name__,
                    exc_info=None if known else error,
                )

    async def _lead(self, lease: runners.Lease) -> None:
        lost = asyncio.ensure_future(lease.lost())
        leading = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait([lost, leading], return_when=asyncio.FIRST_COMPLETED)
            if leading.done():
                leading.result()
        finally:
            tasks = [lost, leading, *self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._running.clear()
            await lease.release()

    async def _keep(self) -> None:
        around = self._around
        await self.caught_up()
        while True:
            head = await around.log.head()
            # What was recorded by now belongs to the groups that are due now.
            with contextlib.suppress(errors.DeadlineError):
                await around.wait_for(view.NAME, head, timeout_s=RETRY_S)
            due = await self.round()
            wait_s = IDLE_S
            if due is not None:
                wait_s = min(IDLE_S, (due - around.clock.now()) / clocks.SECOND_US)
            if self._running:
                wait_s = min(wait_s, RETRY_S)
            await around.log.wait(head, timeout_s=max(PACE_S, wait_s))
            await around.clock.sleep(PACE_S)

    def _place(self, key: _Key) -> "_Place":
        return self._places.setdefault(key, _Place())

    def _in(self, seconds: float) -> clocks.Timestamp:
        return clocks.Timestamp(self._around.clock.now() + round(seconds * clocks.SECOND_US))

    # -- one channel ------------------------------------------------------------------------------

    async def _tell(self, key: _Key) -> None:
        """Tell a channel all that is due, as fast as it may be told."""
        place = self._place(key)
        async with self._slots:
            await self._around.wait_for(view.NAME, place.said)
            waiting = await view.waiting(self._around.store, *key)
            if waiting is None:
                return
            told = {subject: set(items) for subject, items in waiting.told.items()}
            replaced = await self._replaced(key[0], waiting)
            job = _Job(
                key=key,
                waiting=waiting,
                told=told,
                replaced=replaced,
                place=place,
                attempt=waiting.attempt,
            )
            groups = schedule.groups(waiting.rows, window_s=self._around.window_s)
            while groups:
                if not await self._step(job, groups):
                    return
                groups = [pair for pair in groups if pair[1][-1].position > job.through(pair[1])]

    async def _step(self, job: "_Job", groups: Sequence[schedule.Group]) -> bool:
        """Tell the oldest group, or all in one where they are too many; whether to go on."""
        now = self._around.clock.now()
        due = [rows for at, rows in groups if at <= now]
        if not due:
            return False
        channel = job.waiting.channel
        free_at = schedule.free_at(channel.type, job.place.sent)
        limited = free_at is not None and free_at > now
        late = now - due[0][0].at > schedule.LATE_S * clocks.SECOND_US
        many = len(due) > 1 and channel.type != "pagerduty"
        if limited and (not many or now < job.place.summary_at):
            assert free_at is not None
            job.place.wait_until = free_at
            return False
        if many and (limited or late):
            return await self._summarise(job, [rows for _, rows in groups])
        rows = due[0]
        subject = rows[0].notice.subject
        told = job.told.get(subject, set())
        composed = message.compose(rows, told, job.replaced, name=job.key[1])
        if channel.type == "pagerduty" and not composed.pages:
            composed = msgspec.structs.replace(composed, message=None)
        return await self._deliver(job, composed, rows, subject)

    async def _summarise(self, job: "_Job", groups: Sequence[Sequence[message.Row]]) -> bool:
        """Tell all that waits in one message, also what is still gathered."""
        job.place.summary_at = self._in(schedule.RATE_S)
        composed = message.summarise(groups, job.told, job.replaced, name=job.key[1])
        return await self._deliver(job, composed, [row for rows in groups for row in rows], "")

    async def _deliver(
        self,
        job: "_Job",
        composed: message.Composed,
        rows: Sequence[message.Row],
        subject: str,
    ) -> bool:
        """Send a message and say what became of it; whether to go on."""
        said = composed.message
        channel = job.waiting.channel
        told = events.Told(
            channel=channel.name,
            channel_type=channel.type,
            key=message.key(job.key[1], rows) if said is None else said.key,
            subject=subject,
            through=max(row.position for row in rows),
            count=len(rows),
            attempt=job.attempt + 1,
            opened=composed.opened,
            closed=composed.closed,
            forgot=composed.forgot,
        )
        if said is None:
            reason: Literal["replaced", "nothing"] = "replaced" if composed.forgot else "nothing"
            told = msgspec.structs.replace(told, reason=reason, attempt=0)
            await self._say(job, events.DROPPED, told)
            return True
        try:
            await self._senders.send(channel, said)
        except sending.NotToldError as error:
            await self._failed(job, told, error)
            return False
        job.place.sent.append(self._around.clock.now())
        self._around.told(channel.type, "delivered")
        await self._say(job, events.DELIVERED, told)
        return True

    async def _failed(self, job: "_Job", told: events.Told, error: sending.NotToldError) -> None:
        now = self._around.clock.now()
        next_at = None
        if not error.permanent:
            next_at = schedule.next_try(
                told.attempt, now, draw=self._around.random(), asked_s=error.retry_after_s
            )
        detail = error.detail[:DETAIL_CHARS_MAX]
        opened = tuple(item for items in told.opened.values() for item in items)
        told = msgspec.structs.replace(told, next_at=next_at, detail=detail, opened={})
        if next_at is None:
            # It is never told of, so that nobody is told later that it is over.
            told = msgspec.structs.replace(told, forgot=(*told.forgot, *opened))
        else:
            told = msgspec.structs.replace(told, closed=(), forgot=())
        outcome = "failed" if next_at is not None else "abandoned"
        job.place.wait_until = clocks.Timestamp(0) if next_at is None else next_at
        self._around.told(told.channel_type, outcome)
        _log.warning(f"notice_{outcome}", channel=told.channel, attempt=told.attempt, detail=detail)
        await self._say(job, events.FAILED, told)

    async def _say(self, job: "_Job", kind: str, told: events.Told) -> None:
        client_id, target = job.key
        event = envelope.NewEvent(
            id=self._around.ids.new(),
            source=events.SOURCE,
            type=kind,
            occurred_at=self._around.clock.now(),
            tenant=client_id,
            aggregate_type=events.AGGREGATE_TYPE,
            aggregate_id=target,
            actor=events.ACTOR,
            payload=jsonio.encode(told),
        )
        job.place.said = (await self._append(event)).position
        job.after(told)

    async def _append(self, event: envelope.NewEvent) -> envelope.Appended:
        """Append, and wait for as long as the log cannot take it: the message is out already."""
        while True:
            try:
                return await self._around.log.append([event])
            except (errors.OverloadError, errors.StorageError) as error:
                if not error.retryable:
                    raise
                await self._around.clock.sleep(RETRY_S)

    async def _replaced(self, client_id: str, waiting: view.Waiting) -> message.Replaces:
        """The incidents that this channel is told of instead of their drifts."""
        known = {item for items in waiting.told.values() for item in items}
        known |= {row.notice.item for row in waiting.rows}
        try:
            found = await reading.guards_of(self._around.store, client_id)
        except errors.NotFoundError:
            return message.Replaces()
        fuses = {**(found.shared.fuses if found.shared is not None else {}), **found.fuses}
        return message.Replaces(
            tuple(
                _incident(each)
                for name, each in sorted(fuses.items())
                if guard_telling.fuse_item(name) in known
            )
        )


class _Place(msgspec.Struct, kw_only=True):
    """What this process knows of a channel.

    Attributes:
        sent: times of its last messages.
        said: position of the last event about it.
        wait_until: nothing is sent before.
        summary_at: no other summary before.
    """

    sent: collections.deque[clocks.Timestamp] = msgspec.field(
        default_factory=lambda: collections.deque(maxlen=max(schedule.RATE_MESSAGES.values()))
    )
    said: envelope.Position = envelope.Position(0)
    wait_until: clocks.Timestamp = clocks.Timestamp(0)
    summary_at: clocks.Timestamp = clocks.Timestamp(0)


class _Job(msgspec.Struct, kw_only=True):
    """What is to be told on a channel, and how far it is."""

    key: _Key
    waiting: view.Waiting
    told: dict[str, set[str]]
    replaced: message.Replaces
    place: _Place
    attempt: int
    done: dict[str, int] = {}

    def through(self, rows: Sequence[message.Row]) -> int:
        """Up to which position the subject of these rows is settled."""
        return max(self.done.get(rows[0].notice.subject, 0), self.done.get("", 0))

    def after(self, said: events.Told) -> None:
        """Take into account what was said."""
        self.done[said.subject] = max(self.done.get(said.subject, 0), said.through)
        self.attempt = 0
        for subject, items in said.opened.items():
            self.told.setdefault(subject, set()).update(items)
        for items_ in self.told.values():
            items_.difference_update(said.closed)


def _incident(found: guards.Fuse) -> message.Fuse:
    return message.Fuse(
        by=found.by,
        stacks=found.stacks,
        since=found.blown_at - fuse.WITHIN_US,
        until=found.reset_at,
    )
