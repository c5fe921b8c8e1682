"""What every foreign delivery goes through once it is known to be authentic.

Webhooks, queues, topics, polls and dead letters that are tried again all come to `settle`: schema,
dedup by trust class, one append, and for each event one result. What cannot be taken is recorded
as a dead letter in the same append, so that nothing is lost between the two. On return everything
is durable; on an error nothing was taken and the sender comes again.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from helios.eventlog import admission, envelope, ports
from helios.ingest import gateway as gateways
from helios.ingest import letters, rate, receiving, schemas, sources
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.providers import ports as providers

APPEND_EVENTS = 1_000
"""Most events of one append; what was fetched in one go may be more."""

PACE_S_MAX = 10.0
"""Longest time that what was fetched waits for its rate. Above: `OverloadError`."""

_ROUNDS_MAX = 4


class Meter(Protocol):
    """What the gate counts: received = ingested + duplicate + dead + refused + ignored."""

    def received(self, count: int) -> None:
        """So many events, or deliveries of which none could be made, came to the gate."""
        ...

    def ingested(self, event: envelope.NewEvent) -> None:
        """An event was appended."""
        ...

    def duplicate(self, event: envelope.NewEvent, *, conflict: bool) -> None:
        """An event, or a dead letter, was there before."""
        ...

    def dead(self, reason: str) -> None:
        """An event became a dead letter."""
        ...

    def refused(self, reason: str) -> None:
        """A delivery was refused; nothing of it is kept."""
        ...

    def ignored(self) -> None:
        """A delivery held no event, as a ping or a handshake does."""
        ...

    def suspected(self) -> None:
        """A body came again under another id."""
        ...

    def source_event(self, source: str, result: str, count: int = 1) -> None:
        """Events of a declared source came to this end."""
        ...

    def source_refused(self, source: str, reason: str) -> None:
        """A delivery for a declared source was refused; it is counted as an end elsewhere."""
        ...


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """An authentic delivery and the events in it, or why there are none.

    Attributes:
        source: as it is declared.
        only: the one event of it that is meant; None: all.
    """

    source: sources.Declared
    arrival: receiving.Arrival
    received: Sequence[providers.Received] | providers.UnprocessableError
    only: int | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event.

    Attributes:
        position: where it is in the log, or its dead letter; 0: nowhere.
        reason, detail: why it is dead.
    """

    result: sources.Result
    position: int = 0
    reason: str = ""
    detail: str = ""


class _Slot:
    """One event on its way: a candidate, or the dead letter it has become."""

    __slots__ = ("candidate", "detail", "duplicate", "index", "letter", "of", "position", "reason")

    def __init__(
        self, of: Arrived, index: int | None, candidate: receiving.Candidate | None
    ) -> None:
        self.of = of
        self.index = index
        self.candidate = candidate
        self.letter: envelope.NewEvent | None = None
        self.reason = self.detail = ""
        self.position = 0
        self.duplicate = False

    @property
    def is_dead(self) -> bool:
        return bool(self.reason)

    def to_write(self) -> envelope.NewEvent | None:
        if self.is_dead:
            return self.letter
        assert self.candidate is not None
        return self.candidate.event

    def die(self, reason: str, detail: str) -> None:
        """Become a dead letter. One that is tried again stays the letter it is."""
        self.reason, self.detail = reason, detail
        if self.of.arrival.letter is None:
            event = None if self.candidate is None else self.candidate.event
            self.letter = letters.record(
                self.of.arrival,
                reason=reason,
                detail=detail,
                index=self.index,
                event=event,
                received=self.received,
                options=self.of.source.options,
            )

    @property
    def received(self) -> providers.Received | None:
        """The event in the provider's words, if it could be read."""
        found = self.of.received
        if self.candidate is None or isinstance(found, providers.UnprocessableError):
            return None
        return found[self.index or 0]


class Gate:
    """`sources.Gate`, and what doors and retries settle their deliveries with.

    Args:
        gateway: appends.
        log: where first copies are read again.
        clock: for times of arrival and rates.
        meter: what counts.
        buckets: rates, shared with the doors.
    """

    def __init__(
        self,
        gateway: gateways.Gateway,
        log: ports.EventLog,
        *,
        clock: clocks.Clock,
        meter: Meter,
        buckets: rate.Buckets | None = None,
    ) -> None:
        self._gateway = gateway
        self._log = log
        self._clock = clock
        self._meter = meter
        self._schemas = schemas.Schemas()
        self._buckets = buckets or rate.Buckets()

    async def admit(
        self, source: sources.Declared, fetched: list[sources.Fetched]
    ) -> list[sources.Outcome]:
        """See `sources.Gate.admit`; waits where the source comes faster than its rate."""
        now = self._clock.now()
        batch = [of_fetched(source, one, now) for one in fetched]
        if not batch:
            return []
        await self._pace(source, sum(_weight(one) for one in batch))
        return [
            sources.Outcome(
                position=max((one.position for one in settled), default=0),
                results=tuple(one.result for one in settled),
            )
            for settled in await self.settle(batch)
        ]

    async def settle(self, batch: Sequence[Arrived]) -> list[list[Settled]]:
        """Take authentic deliveries; durable on return.

        Returns:
            For each delivery the result of each of its events; one `ignored` where it held none.

        Raises:
            OverloadError, StorageError: it must come again; what was taken of it nevertheless is
                then a duplicate.
        """
        examined = [list(self._examine(one)) for one in batch]
        slots = [slot for found in examined for slot in found]
        await self._write(slots, _key(batch, slots))
        return [
            self._counted(one.source, [self._told(slot) for slot in found] or [self._empty()])
            for one, found in zip(batch, examined, strict=True)
        ]

    def limited(self, source: sources.Declared, tokens: int) -> float:
        """Take tokens of a source, or say how many seconds to wait for them."""
        key = (source.client_id, source.name)
        return self._buckets.take(key, source.rate, tokens, self._clock.monotonic())

    async def _pace(self, source: sources.Declared, tokens: int) -> None:
        while (wait_s := self.limited(source, tokens)) > 0:
            if wait_s > PACE_S_MAX:
                raise errors.OverloadError(
                    f"{source.name} comes faster than its rate of {source.rate.per_s:g}/s",
                    retry_after_s=wait_s,
                )
            await self._clock.sleep(wait_s)

    def _examine(self, arrived: Arrived) -> Iterator[_Slot]:
        received = arrived.received
        if isinstance(received, providers.UnprocessableError):
            slot = _Slot(arrived, arrived.only, None)
            slot.die(received.reason, received.detail)
            yield slot
            return
        try:
            candidates = receiving.candidates(received, arrived.arrival)
        except Exception as error:  # noqa: BLE001 - what an adapter made may be anything
            slot = _Slot(arrived, arrived.only, None)
            slot.die(letters.ADAPTER_ERROR, f"the adapter made no event: {type(error).__name__}")
            yield slot
            return
        several = len(received) > 1
        for index, candidate in enumerate(candidates):
            if arrived.only is not None and index != arrived.only:
                continue
            slot = _Slot(arrived, index if several else None, candidate)
            fault = self._fault(arrived.source, candidate.event)
            if fault is not None:
                slot.die(letters.SCHEMA, fault)
            yield slot

    def _fault(self, source: sources.Declared, event: envelope.NewEvent) -> str | None:
        if not source.schemas:
            return None
        try:
            return self._schemas.fault(source, event.type, event.payload)
        except errors.InvalidInputError as error:
            return str(error)
        except msgspec.DecodeError:
            return None  # the log refuses it in a moment, and says why

    async def _write(self, slots: list[_Slot], key: ports.Idempotency | None) -> None:
        """Append what is to be appended, until every slot has its place."""
        pending = slots
        for _ in range(_ROUNDS_MAX):
            pending = [slot for slot in pending if slot.to_write() is not None]
            if not pending:
                return
            if all(slot.is_dead for slot in pending):
                key = None
            try:
                pending = await self._append(pending, key)
            except errors.InvalidInputError as error:
                if not _weed(pending):
                    raise errors.StorageError(f"the log refuses what passed: {error}") from error
            except errors.IdempotencyError:
                self._meter.suspected()
                for slot in pending:
                    slot.duplicate = True
                return
            else:
                key = None
        assert not pending, "a conflict within a conflict"

    async def _append(self, slots: list[_Slot], key: ports.Idempotency | None) -> list[_Slot]:
        """Append; returns those that must be written again, as something else."""
        again: list[_Slot] = []
        for start in range(0, len(slots), APPEND_EVENTS):
            part = slots[start : start + APPEND_EVENTS]
            events = [event for slot in part if (event := slot.to_write()) is not None]
            # The key is for the first part alone: the answer to it is not that to the others.
            appended = await self._gateway.append(events, key if start == 0 else None)
            compared = []
            for slot, position, before in zip(
                part, appended.positions, appended.duplicates, strict=True
            ):
                slot.position = position
                slot.duplicate = before or appended.replayed
                if before and not slot.is_dead and _is_compared(slot):
                    compared.append(slot)
            if compared:
                again += await self._compare(compared)
        return again

    async def _compare(self, slots: list[_Slot]) -> list[_Slot]:
        """Look at what was there before under the same ids; returns those it was not."""
        kept = await self._log.read_at([envelope.Position(slot.position) for slot in slots])
        by_position = {event.position: event for event in kept}
        again = []
        for slot in slots:
            assert slot.candidate is not None
            before = by_position[envelope.Position(slot.position)]
            verdict = receiving.judge(slot.candidate, before)
            if verdict == "other_scope":
                slot.candidate = receiving.scoped(slot.candidate)
                again.append(slot)
            elif verdict == "conflict":
                slot.die(
                    letters.CONFLICT,
                    f"the id {slot.candidate.event.id[:80]} came before with another body, "
                    f"at position {before.position}",
                )
                again.append(slot)
        return again

    def _counted(self, source: sources.Declared, settled: list[Settled]) -> list[Settled]:
        for one in settled:
            self._meter.source_event(source.name, one.result)
        return settled

    def _told(self, slot: _Slot) -> Settled:
        """Count what became of a slot, and say it."""
        self._meter.received(1)
        if slot.is_dead:
            if slot.duplicate and slot.letter is not None:
                self._meter.duplicate(slot.letter, conflict=False)
            else:
                self._meter.dead(slot.reason)
            return Settled(
                result="dead", position=slot.position, reason=slot.reason, detail=slot.detail
            )
        assert slot.candidate is not None
        if slot.duplicate:
            self._meter.duplicate(slot.candidate.event, conflict=False)
            return Settled(result="duplicate", position=slot.position)
        self._meter.ingested(slot.candidate.event)
        return Settled(result="stored", position=slot.position)

    def _empty(self) -> Settled:
        self._meter.received(1)
        self._meter.ignored()
        return Settled(result="ignored")


def _key(batch: Sequence[Arrived], slots: Sequence[_Slot]) -> ports.Idempotency | None:
    """The key of a delivery by its body, where its ids are worth no more.

    Not where nothing of it is appended: it must stay possible to take it once a schema is mended.
    """
    if len(batch) != 1 or all(slot.is_dead for slot in slots):
        return None
    (one,) = batch
    if one.only is not None or isinstance(one.received, providers.UnprocessableError):
        return None
    return receiving.digest_key(one.received, one.arrival)


def _is_compared(slot: _Slot) -> bool:
    assert slot.candidate is not None
    return slot.candidate.compared or slot.candidate.scope is not None


def _weed(slots: Sequence[_Slot]) -> bool:
    """Turn those that the log would refuse into dead letters; whether there were any."""
    found = False
    for slot in slots:
        event = slot.to_write()
        if slot.is_dead or event is None:
            continue
        try:
            admission.check(ports.AppendRequest(events=(event,)))
        except errors.InvalidInputError as error:
            detail = str(error).replace("events[0].", "")
            slot.die(letters.INVALID_EVENT, detail)
            found = True
    return found


def _weight(arrived: Arrived) -> int:
    received = arrived.received
    return 1 if isinstance(received, providers.UnprocessableError) else max(1, len(received))


def of_fetched(
    source: sources.Declared, fetched: sources.Fetched, now: clocks.Timestamp
) -> Arrived:
    """What we fetched ourselves: whoever gave it to us vouches for its ids."""
    arrival = receiving.Arrival(
        client_id=source.client_id,
        source=source.name,
        provider=source.provider,
        environment=source.environment,
        trust=providers.Trust.SIGNED_ID,
        now=now,
        via="fetched",
        origin=fetched.origin,
        body=fetched.body,
        digest=receiving.digest(fetched.body),
        attempt=fetched.attempt,
        beside=fetched.headers,
    )
    return Arrived(source=source, arrival=arrival, received=fetched.received)
