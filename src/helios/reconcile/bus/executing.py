"""Carries commands out: the most urgent first, each once, none after its time.

What a command brings about is appended in one transaction with its outcome, under the sequence of
its aggregate: of two that carry it out, one is refused. Commands of one correlation go one after
another, so that none is carried out after one of them failed.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding
from helios.reconcile.bus import acting, commands, events, following, view
from helios.reconcile.compositions import causing
from helios.reconcile.compositions import events as stack_events

AT_ONCE = 8
HANDLER_S = 30.0
"""Longest time that a handler may take. Above: the try failed."""

BASE_S = 1.0
CAP_S = 60.0
IDLE_S = 30.0
FAILED_MAX = 10_000
DETAIL_CHARS = 500

_WHERE = envelope.Filter(sources=(events.SOURCE,), aggregate_type=events.COMMAND)
_log = structlog.get_logger("helios.bus")


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A command that is not carried out yet.

    Attributes:
        attempts: tries so far; the next is not before `next_at`.
        sequence: of its aggregate.
    """

    command: events.Command
    because: stack_events.Because
    position: int
    sequence: int
    attempts: int = 0
    next_at: clocks.Timestamp = clocks.Timestamp(0)

    @property
    def key(self) -> envelope.AggregateKey:
        return (self.command.client_id, events.COMMAND, self.command.command_id)

    @property
    def together(self) -> following.Key:
        """Shared by those that complete or fail as one."""
        return (self.command.client_id, self.command.correlation_id)

    @property
    def rank(self) -> tuple[int, int]:
        return (events.PRIORITIES.index(self.command.priority), self.position)


def backoff_s(policy: events.RetryPolicy, attempts: int) -> float:
    """Seconds until the next try after so many."""
    factor = 2 ** (attempts - 1) if policy.backoff_strategy == "exponential" else attempts
    return float(min(CAP_S, BASE_S * factor))


def ready(pending: Sequence[Pending], now: clocks.Timestamp) -> list[Pending]:
    """What can be carried out now, in order: of each correlation the first alone."""
    first: dict[following.Key, Pending] = {}
    for each in sorted(pending, key=lambda p: p.position):
        first.setdefault(each.together, each)
    return sorted((p for p in first.values() if p.next_at <= now), key=lambda p: p.rank)


class Executor:
    """Carries commands out for as long as it runs.

    Args:
        around: see `following.Around`.
        handlers: by type of command.
        begun: called whenever everything that was there is done.
    """

    def __init__(
        self,
        around: following.Around,
        handlers: Mapping[events.CommandType, acting.Handler],
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        self._around = around
        self._handlers = handlers
        self._begun = begun
        self._pending: dict[envelope.AggregateKey, Pending] = {}
        self._failed: dict[following.Key, None] = {}
        self._cursor = envelope.Position(0)
        self._more = False

    async def run(self) -> None:
        """Carry out until cancelled, or until something fails: a command, too, that somebody else
        saw to meanwhile (ConflictError), since the queue is then not as it was believed.
        """
        await self._begin()
        while True:
            page = await self._around.log.read(self._cursor, where=_WHERE)
            for event in page.events:
                self._take(event)
            self._cursor = page.next_after
            if page.next_after < page.head:
                continue
            if await self._step():
                continue
            if self._more and not self._pending:
                await self._begin()
                continue
            self._begun()
            await self._around.log.wait(page.head, timeout_s=self._pause())

    async def _begin(self) -> None:
        store = self._around.store
        self._cursor = await view.reached(store)
        rows = await view.queue(store)
        self._more = len(rows) >= view.QUEUE_MAX
        self._failed = dict.fromkeys(await view.broken(store))
        issued = await self._around.log.read_at([envelope.Position(r.position) for r in rows])
        by_position = {event.position: event for event in issued}
        self._pending = {}
        for row in rows:
            made = _pending(by_position[envelope.Position(row.position)])
            self._pending[made.key] = msgspec.structs.replace(
                made,
                attempts=row.attempts,
                next_at=row.next_at or clocks.Timestamp(0),
                sequence=1 + row.attempts,
            )

    def _take(self, event: envelope.Event) -> None:
        if event.type == events.COMMAND_ISSUED:
            made = _pending(event)
            self._pending.setdefault(made.key, made)
        elif event.type == events.COMMAND_RETRIED:
            self._retry(event)
        else:
            self._pending.pop(event.aggregate, None)
            if event.type != events.COMMAND_COMPLETED and event.correlation_id is not None:
                self._fail((event.tenant, event.correlation_id))

    def _retry(self, event: envelope.Event) -> None:
        known = self._pending.get(event.aggregate)
        if known is not None and event.sequence > known.sequence:
            said = folding.payload(event, events.Retried)
            self._pending[event.aggregate] = msgspec.structs.replace(
                known,
                attempts=said.attempt,
                next_at=clocks.parse_rfc3339(said.next_at),
                sequence=event.sequence,
            )

    def _fail(self, together: following.Key) -> None:
        self._failed[together] = None
        while len(self._failed) > FAILED_MAX:
            del self._failed[next(iter(self._failed))]

    async def _step(self) -> bool:
        """Carry out what can be now; False: there was nothing."""
        now = self._around.clock.now()
        waiting = list(self._pending.values())
        over = [p for p in waiting if p.together in self._failed or p.command.expiry <= now]
        part = over[:AT_ONCE] or ready(waiting, now)[:AT_ONCE]
        outcomes = await asyncio.gather(
            *(self._end(p) if over else self._execute(p) for p in part), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return bool(part)

    def _pause(self) -> float:
        now = self._around.clock.now()
        times = [t for p in self._pending.values() for t in (p.next_at, p.command.expiry)]
        left = min((t - now for t in times if t > now), default=IDLE_S * clocks.SECOND_US)
        return max(0.0, min(IDLE_S, left / clocks.SECOND_US))

    async def _end(self, pending: Pending) -> None:
        """Say that a command is not carried out any more."""
        if pending.together in self._failed:
            detail = "another command of its correlation was not carried out"
            code = events.CAUSE_CORRELATION_FAILED
            await self._say(pending, events.COMMAND_FAILED, code=code, detail=detail)
            return
        detail = f"not carried out by {pending.command.expires_at}"
        await self._say(pending, events.COMMAND_EXPIRED, code="expired", detail=detail)

    async def _execute(self, pending: Pending) -> None:
        handler = self._handlers.get(pending.command.command_type)
        if handler is None:
            await self._say(
                pending,
                events.COMMAND_FAILED,
                code="unsupported",
                detail=f"nothing here carries out {pending.command.command_type}",
            )
            return
        try:
            async with asyncio.timeout(HANDLER_S):
                made = await handler(pending.command, pending.because)
        except errors.StorageFailedError:
            raise
        except TimeoutError:
            await self._not_now(pending, "timeout", f"not done within {HANDLER_S:g} s")
        except errors.HeliosError as error:
            if error.retryable:
                await self._not_now(pending, error.code, str(error))
            else:
                await self._say(pending, events.COMMAND_FAILED, code=error.code, detail=str(error))
        except Exception as error:  # noqa: BLE001 - one command must not hold up the others
            _log.exception("command_broke", command=pending.command.command_id)
            name = type(error).__name__
            await self._say(pending, events.COMMAND_FAILED, code="internal", detail=name)
        else:
            await self._say(pending, events.COMMAND_COMPLETED, made=made)

    async def _not_now(self, pending: Pending, code: str, detail: str) -> None:
        attempt = pending.attempts + 1
        policy = pending.command.retry_policy
        if attempt >= policy.max_attempts:
            await self._say(pending, events.COMMAND_FAILED, code=code, detail=detail)
            return
        pause = round(backoff_s(policy, attempt) * clocks.SECOND_US)
        next_at = clocks.Timestamp(self._around.clock.now() + pause)
        said = events.Retried(
            command_id=pending.command.command_id,
            attempt=attempt,
            next_at=clocks.to_rfc3339(next_at),
            code=code,
            detail=detail[:DETAIL_CHARS],
        )
        event = self._event(pending, events.COMMAND_RETRIED, said)
        await self._around.log.append([event], expected={pending.key: pending.sequence})
        self._pending[pending.key] = msgspec.structs.replace(
            pending, attempts=attempt, next_at=next_at, sequence=pending.sequence + 1
        )

    async def _say(
        self,
        pending: Pending,
        kind: str,
        *,
        code: str = "",
        detail: str = "",
        made: Sequence[envelope.NewEvent] = (),
    ) -> None:
        said = events.Ended(
            command_id=pending.command.command_id,
            attempt=pending.attempts + (kind != events.COMMAND_EXPIRED),
            code=code,
            detail=detail[:DETAIL_CHARS],
            made=tuple(event.id for event in made),
        )
        event = self._event(pending, kind, said)
        await self._around.log.append([*made, event], expected={pending.key: pending.sequence})
        self._pending.pop(pending.key, None)
        if kind != events.COMMAND_COMPLETED:
            self._fail(pending.together)
        self._around.told(kind)

    def _event(
        self, pending: Pending, kind: str, payload: events.Retried | events.Ended
    ) -> envelope.NewEvent:
        command = pending.command
        return commands.made_event(
            kind,
            pending.key,
            payload,
            now=self._around.clock.now(),
            event_id=f"{commands.issue_id(command.command_id)}:{pending.sequence + 1}",
            correlation_id=command.correlation_id,
            causation_id=pending.because.causation_id,
        )


def _pending(event: envelope.Event) -> Pending:
    command = folding.payload(event, events.Command)
    because = stack_events.Because(
        actor=event.actor,
        correlation_id=command.correlation_id,
        causation_id=event.id,
        position=event.position,
        traceparent=causing.trace_of(event).traceparent,
    )
    return Pending(
        command=command, because=because, position=event.position, sequence=event.sequence
    )
