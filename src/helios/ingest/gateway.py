"""The one path every incoming event takes: parsed, validated, deduplicated, appended, answered.

The answer is given when the event is durable, never before. Whether an event was seen before is
decided by the log's unique index and by nothing else. An event that comes again under its id with
another body is not appended and not dropped in silence: the answer says `conflict`, and it is
counted; and what was not appended is recorded as a dead letter.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from helios.eventlog import envelope, ports
from helios.ingest import incoming, letters
from helios.kernel import clock as clocks
from helios.kernel import errors, ids

FAULT_S = 10.0
"""How long a failed append makes the log count as not writable."""


class Meter(Protocol):
    """What the gate counts."""

    def ingested(self, event: envelope.NewEvent) -> None:
        """An event was appended."""
        ...

    def duplicate(self, event: envelope.NewEvent, *, conflict: bool) -> None:
        """An event was there before; with another body if `conflict`."""
        ...

    def rejected(self, code: str) -> None:
        """An event was refused; `code` is that of its error."""
        ...

    def received(self, count: int) -> None:
        """So many events came to a door."""
        ...

    def refused(self, reason: str) -> None:
        """Of these one was refused."""
        ...

    def dead(self, reason: str) -> None:
        """Of these one became a dead letter."""
        ...

    def appended(self, seconds: float) -> None:
        """An append took this long, from handing it over to being durable."""
        ...


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """What became of one event.

    Attributes:
        event_id: its id, made here when it brought none.
        position: where it is in the log; of a duplicate, where its first copy is.
        duplicate: it was there before and was not appended again.
        conflict: it was there before with another content; the first one stands.
    """

    event_id: str
    position: int
    duplicate: bool
    conflict: bool = False


class BatchReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: counts, the position to wait for, and one result per good item."""

    accepted: int
    duplicates: int
    conflicts: int
    rejected: list[incoming.Rejected]
    position: int
    results: list[Receipt]


class Gateway:
    """The only writer of foreign events.

    Args:
        log: where events go.
        clock: for times of arrival.
        ids: for events that bring no id.
        meter: what counts.
    """

    def __init__(
        self, log: ports.EventLog, *, clock: clocks.Clock, ids: ids.Ids, meter: Meter
    ) -> None:
        self._log = log
        self._clock = clock
        self._ids = ids
        self._meter = meter
        self._fault: tuple[float, str] | None = None

    def arrival(self) -> incoming.Arrival:
        """Time and ids for what arrives now."""
        return incoming.Arrival(self._clock.now(), self._ids)

    def fault(self) -> str | None:
        """What the storage said at the last append, or None when that went well.

        Forgotten after `FAULT_S`, because whoever is told to stay away will not try again.
        """
        if self._fault is None or self._clock.monotonic() - self._fault[0] > FAULT_S:
            return None
        return self._fault[1]

    def refused(self, error: errors.HeliosError) -> None:
        """Count a request that never became an event."""
        self._rejected(error.code)

    def _rejected(self, code: str) -> None:
        self._meter.rejected(code)
        self._meter.received(1)
        self._meter.refused(code)

    async def take(
        self,
        event: envelope.NewEvent,
        *,
        idempotency: ports.Idempotency | None = None,
        letter: str | None = None,
    ) -> tuple[Receipt, bool]:
        """Append one event; one that conflicts with an earlier one is set aside as a dead letter.

        Args:
            event: to append.
            idempotency: the client's name for the request.
            letter: the dead letter that is tried again, if it is one; no other is made of it.

        Returns:
            The receipt, and whether it is the replay of an earlier answer.

        Raises:
            IdempotencyError, OverloadError, StorageError: as `EventLog.append`.
        """
        appended = await self.append((event,), idempotency)
        position = appended.positions[0]
        if appended.replayed:
            (kept,) = await self._log.read_at(appended.positions)
            first = Receipt(event_id=kept.id, position=position, duplicate=appended.duplicates[0])
            return first, True
        self._meter.received(1)
        if not appended.duplicates[0]:
            self._meter.ingested(event)
            return Receipt(event_id=event.id, position=position, duplicate=False), False
        (kept,) = await self._log.read_at(appended.positions)
        receipt = self._duplicate(event, kept)
        if receipt.conflict and letter is None:
            await self._set_aside([(event, kept.position)])
        return receipt, False

    async def take_all(
        self,
        items: Sequence[incoming.Item],
        *,
        idempotency: ports.Idempotency | None = None,
    ) -> tuple[BatchReceipt, bool]:
        """Append the good items of a batch together: all of them or, on an error, none.

        Returns:
            The receipt, and whether it is the replay of an earlier answer.

        Raises:
            IdempotencyError, OverloadError, StorageError: as `EventLog.append`.
        """
        refused = [item for item in items if isinstance(item, incoming.Rejected)]
        for item in refused:
            self._rejected(item.code)
        events = [item for item in items if isinstance(item, envelope.NewEvent)]
        if not events:
            return _summary([], refused), False
        unique = {(e.tenant, e.source, e.id): e for e in reversed(events)}
        firsts = list(reversed(unique.values()))
        appended = await self.append(firsts, idempotency)
        receipts = await self._receipts(events, firsts, appended)
        if not appended.replayed:
            self._meter.received(len(receipts))
        await self._set_aside(
            [
                (event, receipt.position)
                for event, receipt in zip(events, receipts, strict=True)
                if receipt.conflict
            ]
        )
        return _summary(receipts, refused), appended.replayed

    async def append(
        self,
        events: Sequence[envelope.NewEvent],
        idempotency: ports.Idempotency | None = None,
    ) -> envelope.Appended:
        """`EventLog.append`, measured; what the storage says is remembered for `fault`.

        Raises:
            IdempotencyError, InvalidInputError, OverloadError, StorageError: as `EventLog.append`.
        """
        started = self._clock.monotonic()
        try:
            appended = await self._log.append(events, idempotency=idempotency)
        except errors.StorageError as error:
            self._fault = (self._clock.monotonic(), str(error))
            raise
        self._fault = None
        self._meter.appended(self._clock.monotonic() - started)
        return appended

    async def _receipts(
        self,
        events: Sequence[envelope.NewEvent],
        firsts: Sequence[envelope.NewEvent],
        appended: envelope.Appended,
    ) -> list[Receipt]:
        place = {id(e): n for n, e in enumerate(firsts)}
        index = {(e.tenant, e.source, e.id): n for n, e in enumerate(firsts)}
        kept = await self._kept(appended)
        receipts = []
        for event in events:
            n = index[event.tenant, event.source, event.id]
            position = appended.positions[n]
            before = kept.get(position)
            if appended.replayed and before is not None:
                again = appended.duplicates[n] or place.get(id(event)) != n
                receipts.append(Receipt(event_id=before.id, position=position, duplicate=again))
            elif appended.duplicates[n] and before is not None:
                receipts.append(self._duplicate(event, before))
            elif place.get(id(event)) != n:
                receipts.append(self._repeated(event, firsts[n], position))
            else:
                self._meter.ingested(event)
                receipts.append(Receipt(event_id=event.id, position=position, duplicate=False))
        return receipts

    async def _kept(self, appended: envelope.Appended) -> dict[int, envelope.Event]:
        """The events as they are in the log, where the answer needs them."""
        if appended.replayed:
            wanted = appended.positions
        else:
            pairs = zip(appended.positions, appended.duplicates, strict=True)
            wanted = [position for position, duplicate in pairs if duplicate]
        if not wanted:
            return {}
        return {event.position: event for event in await self._log.read_at(wanted)}

    async def _set_aside(self, conflicts: Sequence[tuple[envelope.NewEvent, int]]) -> None:
        """Record what came under an id that is taken as dead letters, before it is answered."""
        if conflicts:
            now = self._clock.now()
            await self.append([letters.of_event(event, at, now) for event, at in conflicts])

    def _duplicate(self, event: envelope.NewEvent, kept: envelope.Event) -> Receipt:
        conflict = self._again(event, kept)
        return Receipt(event_id=kept.id, position=kept.position, duplicate=True, conflict=conflict)

    def _repeated(
        self, event: envelope.NewEvent, first: envelope.NewEvent, position: int
    ) -> Receipt:
        conflict = self._again(event, first)
        return Receipt(event_id=event.id, position=position, duplicate=True, conflict=conflict)

    def _again(self, event: envelope.NewEvent, first: envelope.NewEvent | envelope.Event) -> bool:
        """Count an event that comes again; whether it conflicts with its first copy."""
        conflict = not is_same(event, first)
        self._meter.duplicate(event, conflict=conflict)
        if conflict:
            self._meter.dead(letters.CONFLICT)
        return conflict


def is_same(event: envelope.NewEvent, kept: envelope.NewEvent | envelope.Event) -> bool:
    """Whether an event that comes again says what its first copy said.

    Times are left out: a sender that repeats itself may stamp the second copy anew.
    """
    if event.type != kept.type or event.version != kept.version:
        return False
    if event.payload == kept.payload:
        return True
    return bool(msgspec.json.decode(event.payload) == msgspec.json.decode(kept.payload))


def _summary(receipts: list[Receipt], refused: list[incoming.Rejected]) -> BatchReceipt:
    duplicates = sum(receipt.duplicate for receipt in receipts)
    return BatchReceipt(
        accepted=len(receipts) - duplicates,
        duplicates=duplicates,
        conflicts=sum(receipt.conflict for receipt in receipts),
        rejected=refused,
        position=max((receipt.position for receipt in receipts), default=0),
        results=receipts,
    )
