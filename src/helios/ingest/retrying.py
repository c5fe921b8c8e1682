"""What a person or a plan does with dead letters: edit, try again, discard.

A retry runs the way every delivery goes, apart from verification: it was authentic when it came.
Its dedup id is that of the delivery as it was sent first, whatever was edited since, so the event
is there once however often it is tried, also when the sender comes again meanwhile.
"""

import base64
from collections.abc import Sequence

import msgspec

from helios.eventlog import envelope, ports
from helios.ingest import (
    dead_letters,
    doors,
    gate,
    gateway,
    incoming,
    letters,
    sources,
)
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.providers import ports as providers

_recorded = msgspec.json.Decoder(dead_letters.Recorded).decode
_edited = msgspec.json.Decoder(dead_letters.Edited).decode


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter with its body.

    Attributes:
        client_id, id: whose, and which.
        recorded: as it was set aside.
        body: to try with: the newest edit, or as it came.
        edited: whether it was edited.
        recorded_at: when it came.
    """

    client_id: str
    id: str
    recorded_at: clocks.Timestamp
    recorded: dead_letters.Recorded
    body: bytes
    edited: bool


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a retry, and the position of the event that says so."""

    outcome: dead_letters.Retried
    position: int


class Desk:
    """Where dead letters are worked on.

    Args:
        known: finds the sources they came for.
        settling: takes what is tried again.
        gateway: takes what came by the API, and what is recorded about letters.
        log: where letters and edits are read.
        clock: for times of events.
        id_source: for their ids.
    """

    def __init__(
        self,
        known: sources.AnySource,
        settling: gate.Gate,
        gateway: gateway.Gateway,
        log: ports.EventLog,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
    ) -> None:
        self._known = known
        self._gate = settling
        self._gateway = gateway
        self._log = log
        self._clock = clock
        self._ids = id_source

    async def read(
        self, position: envelope.Position, edited_position: envelope.Position | None
    ) -> Letter:
        """A letter, given where it was recorded and where it was edited last.

        Raises:
            NotFoundError: no letter is there.
        """
        wanted = [position] if edited_position is None else [position, edited_position]
        found = {event.position: event for event in await self._log.read_at(wanted)}
        event = found.get(position)
        if event is None or event.type != dead_letters.RECORDED:
            raise errors.NotFoundError(f"no dead letter is recorded at position {position}")
        recorded = _recorded(event.payload)
        text = recorded.body
        edit = None if edited_position is None else found.get(edited_position)
        if edit is not None:
            text = _edited(edit.payload).body
        return Letter(
            client_id=event.tenant,
            id=event.aggregate_id,
            recorded_at=event.occurred_at,
            recorded=recorded,
            body=base64.b64decode(text),
            edited=edit is not None,
        )

    async def edit(
        self, client_id: str, letter: str, body: bytes, *, note: str, actor: str
    ) -> envelope.Position:
        """Record another body to try with; returns the position to wait for.

        Raises:
            TooLargeError: larger than a dead letter's body may be.
        """
        if len(body) > dead_letters.BODY_BYTES_MAX:
            raise errors.TooLargeError(
                f"{len(body)} bytes, at most {dead_letters.BODY_BYTES_MAX} are taken"
            )
        told = dead_letters.Edited(body=base64.b64encode(body).decode(), note=note)
        return await self._tell(dead_letters.EDITED, told, client_id, letter, actor)

    async def discard(
        self, client_id: str, letter: str, *, note: str, actor: str
    ) -> envelope.Position:
        """Record that nothing more is to be done with it; returns the position to wait for."""
        told = dead_letters.Discarded(note=note)
        return await self._tell(dead_letters.DISCARDED, told, client_id, letter, actor)

    async def retry(self, letter: Letter, *, actor: str) -> Done:
        """Try a letter again, and record what came of it.

        Raises:
            ConflictError: it cannot be tried as things are; says what is missing.
            OverloadError, StorageError: it could not be tried now.
        """
        if letter.recorded.cut and not letter.edited:
            raise errors.ConflictError(
                f"only {dead_letters.BODY_BYTES_MAX} of its {letter.recorded.bytes} bytes were "
                "kept: give it a whole body first, or have the sender send it again"
            )
        if letter.recorded.via == "api":
            outcome = await self._by_api(letter)
        else:
            outcome = await self._by_source(letter)
        position = await self._tell(
            dead_letters.RETRIED, outcome, letter.client_id, letter.id, actor
        )
        return Done(outcome=outcome, position=position)

    async def _by_api(self, letter: Letter) -> dead_letters.Retried:
        try:
            event = incoming.parse_event(letter.body, self._gateway.arrival())
        except errors.InvalidInputError as error:
            return dead_letters.Retried(result="dead", reason=error.code, detail=str(error))
        event = msgspec.structs.replace(event, tenant=letter.client_id)
        receipt, _ = await self._gateway.take(event, letter=letter.id)
        if receipt.conflict:
            return dead_letters.Retried(
                result="dead",
                reason=letters.CONFLICT,
                detail=f"the event at position {receipt.position} has the id and another content",
            )
        return dead_letters.Retried(
            result="duplicate" if receipt.duplicate else "stored", positions=[receipt.position]
        )

    async def _by_source(self, letter: Letter) -> dead_letters.Retried:
        found = await self._known.find_any(letter.client_id, letter.recorded.source)
        if found is None or isinstance(found, sources.Removed):
            raise errors.ConflictError(
                f"client {letter.client_id} has no source {letter.recorded.source} any more that "
                "could read it: declare it again, or discard the letter"
            )
        if isinstance(found, sources.Fetching):
            arrived = self._fetched(letter, found)
        else:
            arrived = self._delivered(letter, found)
        (settled,) = await self._gate.settle([arrived])
        return _outcome(settled)

    def _fetched(self, letter: Letter, found: sources.Fetching) -> gate.Arrived:
        recorded = letter.recorded
        received: tuple[providers.Received, ...] | providers.UnprocessableError
        beside = tuple((name, value) for name, value in recorded.headers)
        if recorded.event is not None:
            received = (_received(recorded.event, letter.body),)
        elif found.again is not None:
            received = found.again(found.options, recorded.origin, beside, letter.body)
        else:
            raise _unreadable()
        fetched = sources.Fetched(
            origin=recorded.origin, body=letter.body, received=received, headers=beside
        )
        arrived = gate.of_fetched(found.declared, fetched, letter.recorded_at)
        arrival = msgspec.structs.replace(
            arrived.arrival,
            digest=recorded.digest,
            letter=letter.id,
            kept_id=recorded.event_id,
        )
        return msgspec.structs.replace(arrived, arrival=arrival)

    def _delivered(self, letter: Letter, found: sources.Found) -> gate.Arrived:
        recorded = letter.recorded
        delivery = providers.Delivery(
            method=recorded.method,
            path=recorded.path,
            headers=tuple((name, value) for name, value in recorded.headers),
            body=letter.body,
        )
        arrival = doors.arrival_of(found, delivery, None, letter.recorded_at)
        arrival = msgspec.structs.replace(
            arrival,
            via=recorded.via,
            origin=recorded.origin,
            digest=recorded.digest,
            letter=letter.id,
            kept_id=recorded.event_id,
        )
        if recorded.event is not None:
            return gate.Arrived(
                source=found.declared,
                arrival=msgspec.structs.replace(arrival, trust=providers.Trust.SIGNED_ID),
                received=[_received(recorded.event, letter.body)],
            )
        if recorded.via != "webhook":
            raise _unreadable()
        parsed = doors.parse(found, delivery, {})
        if isinstance(parsed, providers.Handshake):
            parsed = ()
        return gate.Arrived(
            source=found.declared, arrival=arrival, received=parsed, only=recorded.index
        )

    async def _tell(
        self, event_type: str, payload: msgspec.Struct, client_id: str, letter: str, actor: str
    ) -> envelope.Position:
        event = letters.control(
            event_type,
            payload,
            client_id=client_id,
            letter=letter,
            event_id=self._ids.new(),
            actor=actor,
            now=self._clock.now(),
        )
        return (await self._gateway.append([event])).position


def _unreadable() -> errors.ConflictError:
    return errors.ConflictError(
        "nothing can read what was fetched a second time: have the source fetch it again with "
        "`helios sources replay`, or discard the letter"
    )


def _received(event: dead_letters.Event, payload: bytes) -> providers.Received:
    when = event.occurred_at
    return providers.Received(
        id=event.id,
        scope=event.scope,
        type=event.type,
        occurred_at=None if when is None else clocks.Timestamp(when),
        time=event.time,
        aggregate_type=event.aggregate_type,
        aggregate_id=event.aggregate_id,
        payload=payload,
        metadata=event.metadata,
    )


def _outcome(settled: Sequence[gate.Settled]) -> dead_letters.Retried:
    """One outcome of all events of a letter: it is dead as long as one of them is."""
    dead = next((one for one in settled if one.result == "dead"), None)
    positions = [one.position for one in settled if one.position]
    if dead is not None:
        return dead_letters.Retried(
            result="dead", positions=positions, reason=dead.reason, detail=dead.detail
        )
    if all(one.result == "duplicate" for one in settled):
        return dead_letters.Retried(result="duplicate", positions=positions)
    return dead_letters.Retried(result="stored", positions=positions)
