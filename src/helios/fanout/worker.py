"""Delivers to one subscriber: what comes, and what was set aside."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.fanout import channels, events, schedule, subscriber, view
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, jsonio
from helios.projections import ports as view_ports

PAGE_EVENTS = 64
AT_ONCE = 8
CHECKPOINT_EVENTS = 500
CHECKPOINT_S = 5.0
"""At most so many deliveries, or so long, before the place is written down. What a crash makes us
forget is delivered once more."""

IDLE_S = 30.0
RETRY_S = 1.0
_DETAIL_CHARS = 500
_log = structlog.get_logger("helios.fanout")


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What deliveries need of the process they run in."""

    log: log_ports.EventLog
    store: view_ports.ViewStore
    wait_for: Callable[..., Any]
    clock: clocks.Clock
    ids: ids.Ids
    random: Callable[[], float]
    told: Callable[[str], None]
    """Is told how each try ended: `delivered`, `failed` or `abandoned`."""
    outward: channels.Outward | None = None
    """Makes the messages of topics; without it topics cannot be subscribed to here."""


class Worker:
    """Delivers to one subscriber for as long as it runs.

    Args:
        around: see `Around`.
        row: how it stands.
        declared: what it wants.
        channel: how it gets it.
    """

    def __init__(
        self,
        around: Around,
        row: view.Row,
        declared: subscriber.Subscriber,
        channel: channels.Channel,
    ) -> None:
        self._around = around
        self._declared = declared
        self._where = _where(around, declared)
        self._channel = channel
        self._cursor = row.cursor
        self._health = schedule.Health()
        self._delivered = 0
        self._written = row.cursor
        self._written_at = around.clock.monotonic()
        self._told = row.position
        self.detail = ""

    @property
    def state(self) -> str:
        """`running`, or `stalled`: the endpoint takes nothing; `detail` says what it said."""
        judged = schedule.judge(self._health, self._around.clock.now())
        return "running" if judged == "go" else "stalled"

    async def run(self) -> None:
        """Deliver until cancelled, or until the subscriber was disabled."""
        try:
            while True:
                try:
                    if not await self._step():
                        return
                except (errors.OverloadError, errors.StorageError) as error:
                    if not error.retryable:
                        raise
                    await self._around.clock.sleep(RETRY_S)
        finally:
            await self._channel.close()

    async def finish(self) -> None:
        """Write down how far it came; after `run`."""
        await self._checkpoint(force=True)

    async def _step(self) -> bool:
        around = self._around
        due = await self._retry_due()
        page = await around.log.read(self._cursor, limit=PAGE_EVENTS, where=self._where)
        wanted = [event for event in page.events if not _own(event)]
        if wanted and not await self._deliver_page(wanted):
            return False
        self._cursor = page.next_after
        await self._checkpoint(force=not page.events and page.next_after == page.head)
        if page.next_after == page.head:
            now = around.clock.now()
            wait_s = IDLE_S if due is None else min(IDLE_S, (due - now) / clocks.SECOND_US)
            if self._delivered:
                wait_s = min(wait_s, CHECKPOINT_S)
            await around.log.wait(page.head, timeout_s=max(0.0, wait_s))
        return True

    async def _deliver_page(self, wanted: Sequence[envelope.Event]) -> bool:
        """Deliver these events or set them aside; False: the subscriber was disabled."""
        left = list(wanted)
        while left:
            if schedule.judge(self._health, self._around.clock.now()) == "go":
                size = 1 if self._declared.ordered else AT_ONCE
            else:
                await self._around.clock.sleep(schedule.probe_s(self._health))
                size = 1
            part = left[:size]
            failed = await self._try(part)
            if any(error.gone for _, error in failed):
                return await self._disable("the endpoint answers 410: it wants no more")
            judged = schedule.judge(self._health, self._around.clock.now())
            if judged == "disable":
                return await self._disable(f"it took nothing for five days: {self.detail}")
            if failed and (judged == "stall" or self._declared.ordered):
                kept = {event.position for event, _ in failed}
                left = [e for e in left if e.position in kept or e not in part]
                if judged == "go":
                    await self._around.clock.sleep(schedule.probe_s(self._health))
                continue
            await self._set_aside(failed)
            left = left[len(part) :]
        return True

    async def _try(
        self, part: Sequence[envelope.Event]
    ) -> list[tuple[envelope.Event, channels.DeliveryError]]:
        outcomes = await asyncio.gather(*(self._one(event) for event in part))
        return [
            (event, error) for event, error in zip(part, outcomes, strict=True) if error is not None
        ]

    async def _one(self, event: envelope.Event) -> channels.DeliveryError | None:
        error: channels.DeliveryError | None = None
        try:
            messages = self._messages(event)
            for message in messages:
                await self._channel.deliver(message)
        except channels.DeliveryError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001 - of a channel
            # A channel may be anyone's SDK; what it cannot take must not hold up the rest.
            _log.exception("channel_failed", subscriber=self._declared.name)
            error = channels.DeliveryError(f"the channel failed: {type(caught).__name__}")
        else:
            if not messages:
                return None
        if error is not None:
            self.detail = error.detail
        self._around.told("delivered" if error is None else "failed")
        self._health = self._health.after(ok=error is None, now=self._around.clock.now())
        self._delivered += error is None
        return error

    def _messages(self, event: envelope.Event) -> list[channels.Message]:
        log_id = self._around.log.log_id.replace("-", "")[:12]
        name = f"msg_{log_id}_{event.position}"
        topics, outward = self._declared.topics, self._around.outward
        if topics is None or outward is None:
            return [channels.Message(id=name, event=event)]
        return [
            channels.Message(id=f"{name}_{number}", event=event, outgoing=outgoing)
            for number, outgoing in enumerate(outward.messages(event, topics))
        ]

    async def _set_aside(
        self, failed: Sequence[tuple[envelope.Event, channels.DeliveryError]]
    ) -> None:
        made = [self._after(event.position, 1, error) for event, error in failed]
        if made:
            appended = await self._around.log.append(made)
            self._told = appended.position

    async def _retry_due(self) -> clocks.Timestamp | None:
        """Try again what is due; returns when the next one is."""
        around, declared = self._around, self._declared
        await around.wait_for(view.NAME, self._told)
        owner = (declared.client_id, declared.name)
        if schedule.judge(self._health, around.clock.now()) == "go":
            now = around.clock.now()
            due = await view.set_aside(around.store, *owner, due_at=now, limit=AT_ONCE)
            if due:
                await self._retry(due)
                await around.wait_for(view.NAME, self._told)
        return await view.next_due(around.store, *owner)

    async def _retry(self, due: Sequence[view.Delivery]) -> None:
        attempts = {delivery.position: delivery.attempt + 1 for delivery in due}
        found = await self._around.log.read_at(list(attempts))
        failed = {event.position: error for event, error in await self._try(found)}
        made = []
        for event in found:
            error = failed.get(event.position)
            attempt = attempts[event.position]
            if error is None:
                self._delivered -= 1  # It is counted when it is told that it arrived.
                settled = events.Settled(
                    position=event.position, result="delivered", attempt=attempt
                )
                made.append(self._event(events.SETTLED, settled))
            else:
                made.append(self._after(event.position, attempt, error))
        if made:
            self._told = (await self._around.log.append(made)).position

    def _after(
        self, position: int, attempt: int, error: channels.DeliveryError
    ) -> envelope.NewEvent:
        detail = error.detail[:_DETAIL_CHARS]
        next_at = schedule.next_try(
            attempt,
            self._around.clock.now(),
            draw=self._around.random(),
            asked_s=error.retry_after_s,
        )
        if next_at is None:
            self._around.told("abandoned")
            _log.warning("delivery_abandoned", subscriber=self._declared.name, position=position)
            settled = events.Settled(
                position=position, result="abandoned", attempt=attempt, detail=detail
            )
            return self._event(events.SETTLED, settled)
        failed = events.Failed(position=position, attempt=attempt, next_at=next_at, detail=detail)
        return self._event(events.FAILED, failed)

    async def _disable(self, note: str) -> bool:
        _log.warning("subscriber_disabled", subscriber=self._declared.name, note=note)
        await self._checkpoint(force=True)
        payload = events.Noted(name=self._declared.name, note=note[:_DETAIL_CHARS])
        await self._around.log.append([self._event(events.DISABLED, payload)])
        return False

    async def _checkpoint(self, *, force: bool) -> None:
        """Write down how far we are; nothing when nothing was delivered, which ends the circle of
        events about events.
        """
        old = self._around.clock.monotonic() - self._written_at >= CHECKPOINT_S
        full = self._delivered >= CHECKPOINT_EVENTS
        if self._delivered == 0 or not (full or old or force):
            return
        if not force and self._cursor == self._written:
            return
        payload = events.Advanced(position=self._cursor, delivered=self._delivered)
        await self._around.log.append([self._event(events.ADVANCED, payload)])
        self._delivered = 0
        self._written = self._cursor
        self._written_at = self._around.clock.monotonic()

    def _event(self, kind: str, payload: msgspec.Struct) -> envelope.NewEvent:
        return envelope.NewEvent(
            id=self._around.ids.new(),
            source=events.SOURCE,
            type=kind,
            occurred_at=self._around.clock.now(),
            tenant=self._declared.client_id,
            aggregate_type=events.AGGREGATE_TYPE,
            aggregate_id=self._declared.name,
            actor=events.ACTOR,
            payload=jsonio.encode(payload),
        )


def _where(around: Around, declared: subscriber.Subscriber) -> envelope.Filter:
    if declared.topics is None:
        return declared.where
    if around.outward is None:
        raise errors.InvalidInputError("topics cannot be subscribed to here", field="events.topics")
    return around.outward.where(declared.client_id, declared.topics)


def _own(event: envelope.Event) -> bool:
    """Events about deliveries are never delivered: each would make the next one."""
    return event.source == events.SOURCE and event.aggregate_type == events.AGGREGATE_TYPE
