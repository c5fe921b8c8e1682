"""From the bytes of a request to events that may be appended. Pure.

The strict reader sees every byte first; only then a typed decoder picks the envelope's fields and
leaves payload and metadata the bytes they are. Unknown fields are refused: a misspelt
`occured_at` that is silently dropped would be found out months later.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, NoReturn, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.ingest import dead_letters
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, jsonio, limits, rfc3339

_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ID_CHARS_MAX)]
_Json: TypeAlias = msgspec.Raw

SOURCE_AGGREGATE = "source"
"""Aggregate type of an event that names none: it is then about its source."""

OWN_AGGREGATES = "helios."
"""How the types begin of what we keep by sequence: another's event among ours would move it on."""

_SKEW_US = limits.CLOCK_SKEW_S_MAX * clocks.SECOND_US


class Aggregate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an event is about."""

    type: _Name
    id: _Name


class IncomingEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """One event as `POST /api/v1/events/ingest` takes it.

    Attributes:
        source: who emitted it.
        event_type: its type, in the past tense (`eventType`).
        payload: a JSON object.
        metadata: a JSON object, such as trace context, schema id, environment.
        event_id: the producer's id (`event_id` or `id`); without one a UUIDv7 is made, and the
            same event sent twice is two events.
        version: version of the type's schema.
        occurred_at: event time as RFC 3339 with a zone (`occurred_at` or `timestamp`); without
            one it is the time of arrival.
        client_id: the tenant.
        aggregate: what it is about; without one: its source.
        actor: who caused it; without one `service:` and the source.
    """

    source: _Name
    event_type: _Name | None = msgspec.field(default=None, name="eventType")
    event_type_alias: _Name | None = msgspec.field(default=None, name="event_type")
    payload: _Json
    metadata: _Json | msgspec.UnsetType = msgspec.UNSET
    event_id: _Name | None = None
    id: _Name | None = None
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] = 1
    occurred_at: str | None = None
    timestamp: str | None = None
    client_id: _Name = envelope.DEFAULT_TENANT
    aggregate: Aggregate | None = None
    correlation_id: _Name | None = None
    causation_id: _Name | None = None
    actor: _Name | None = None


def to_bytes(event: envelope.NewEvent) -> bytes:
    """An event in the single form, which gives the same event when it is parsed."""
    value: dict[str, object] = {
        "source": event.source,
        "eventType": event.type,
        "event_id": event.id,
        "version": event.version,
        "occurred_at": clocks.to_rfc3339(event.occurred_at),
        "client_id": event.tenant,
        "aggregate": {"type": event.aggregate_type, "id": event.aggregate_id},
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "actor": event.actor,
        "payload": msgspec.Raw(event.payload),
        "metadata": msgspec.Raw(event.metadata),
    }
    return msgspec.json.encode(value)


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """An item of a batch that was refused; the others are not touched by it."""

    index: int
    reason: str
    code: str
    field: str | None = None


Item: TypeAlias = envelope.NewEvent | Rejected

_decoder = msgspec.json.Decoder(IncomingEvent)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_COMMAS_SURE = 600_000
"""With so few, splitting an array costs little whatever it holds: 56 bytes an item, made at once.
Most bodies of the largest size have fewer."""

_COMMA = ord(",")
_TOKEN = re.compile(rb'[][{},]|"(?:[^"\\]|\\.)*+\\?(?:"|\Z)', re.DOTALL)
"""What an array's items are told by; a string that does not end goes to the end of the data."""


class Arrival(msgspec.Struct, frozen=True):
    """What an event gets that does not bring it along: time and id."""

    now: clocks.Timestamp
    ids: ids.Ids


def parse_event(data: bytes, arrival: Arrival) -> envelope.NewEvent:
    """One event in the single form.

    Raises:
        TooLargeError: payload and metadata together are over the limit.
        InvalidInputError: not strict JSON, a field missing, unknown or of a wrong type.
    """
    jsonio.parse(data)
    try:
        seen = _decoder.decode(data)
    except msgspec.ValidationError as error:
        refuse_shape(error)
    event_type = seen.event_type or seen.event_type_alias
    if event_type is None:
        raise errors.InvalidInputError("required, the event's type", field="eventType")
    if seen.event_type is not None and seen.event_type_alias is not None:
        raise errors.InvalidInputError("eventType and event_type are one field", field="event_type")
    check_source(seen.source)
    if seen.aggregate is None:
        aggregate_type, aggregate_id = SOURCE_AGGREGATE, seen.source
    else:
        aggregate_type, aggregate_id = seen.aggregate.type, seen.aggregate.id
    check_aggregate(aggregate_type)
    payload, metadata = _objects(seen)
    occurred_at, claimed = _occurred_at(seen, arrival.now)
    return envelope.NewEvent(
        id=_one_of(seen.event_id, seen.id, "event_id", "id") or arrival.ids.new(),
        source=seen.source,
        type=event_type,
        version=seen.version,
        tenant=seen.client_id,
        aggregate_type=aggregate_type,
        aggregate_id=aggregate_id,
        occurred_at=occurred_at,
        actor=seen.actor or f"service:{seen.source}",
        correlation_id=seen.correlation_id,
        causation_id=seen.causation_id,
        payload=payload,
        metadata=metadata if claimed is None else with_claim(metadata, claimed),
    )


def check_source(source: str) -> None:
    """Refuse an event that claims to be ours: views and reconcilers believe what we say.

    Raises:
        InvalidInputError: it does.
    """
    if source == dead_letters.SOURCE:
        raise errors.InvalidInputError(
            f"{source!r} is what Helios calls itself; say who emitted the event", field="source"
        )


def check_aggregate(aggregate_type: str) -> None:
    """Refuse an event about what only we tell of.

    Raises:
        InvalidInputError: it is.
    """
    if aggregate_type.startswith(OWN_AGGREGATES):
        raise errors.InvalidInputError(
            f"types that begin with {OWN_AGGREGATES!r} are for what Helios itself tells of",
            field="aggregate.type",
        )


def parse_array(data: bytes, arrival: Arrival) -> list[Item]:
    """A JSON array of events.

    Raises:
        TooLargeError: more items than a batch may have.
        InvalidInputError: not a JSON array at all.
    """
    return list(_each(split_array(data), arrival))


def split_array(data: bytes) -> list[bytes]:
    """The raw items of a JSON array; their inside is checked item by item later.

    Raises:
        TooLargeError: more items than a batch may have.
        InvalidInputError: not a JSON array.
    """
    if data.count(b",") > _COMMAS_SURE:
        _refuse_many(data)
    try:
        items = _array.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = jsonio.parse(data)
        raise errors.InvalidInputError(
            f"expected a JSON array of events, found {jsonio.type_name(value)}"
        ) from None
    check_count(len(items))
    return [bytes(item) for item in items]


def _refuse_many(data: bytes) -> None:
    """Count the items of an array without making any, and no further than may be."""
    depth, count = 0, 1
    for token in _TOKEN.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
        elif first in b"]}":
            depth -= 1
        elif first == _COMMA and depth == 1:
            count += 1
            if count > limits.BATCH_EVENTS_MAX:
                raise errors.TooLargeError(
                    f"a batch of more than {limits.BATCH_EVENTS_MAX} events: split it"
                )


def parse_lines(data: bytes, arrival: Arrival) -> list[Item]:
    """NDJSON: one event a line; empty lines are skipped, but counted by the index.

    Raises:
        TooLargeError: more lines than a batch may have items.
    """
    check_count(data.count(b"\n"))
    return list(_each(data.split(b"\n"), arrival))


def check_count(count: int) -> None:
    """Refuse a batch of too many items.

    Raises:
        TooLargeError: more than a batch may have.
    """
    if count > limits.BATCH_EVENTS_MAX:
        raise errors.TooLargeError(
            f"a batch of {count} events, at most {limits.BATCH_EVENTS_MAX} are taken: split it"
        )


def _each(items: Sequence[bytes], arrival: Arrival) -> Iterator[Item]:
    for index, item in enumerate(items):
        if not item or item.isspace():
            continue
        try:
            yield parse_event(item, arrival)
        except errors.InvalidInputError as error:
            yield rejected(index, error)


def rejected(index: int, error: errors.InvalidInputError) -> Rejected:
    """What the answer says of an item that was refused."""
    place = f"column {error.column}: " if error.column is not None else ""
    return Rejected(
        index=index, reason=f"{place}{error.message}", code=error.code, field=error.field
    )


def refuse_shape(error: msgspec.ValidationError) -> NoReturn:
    """Turn the typed decoder's complaint into one that names the field."""
    message, _, place = str(error).partition(" - at `$")
    field = place.rstrip("`").lstrip(".") or None
    raise errors.InvalidInputError(message, field=field) from None


def cap_future(
    occurred_at: clocks.Timestamp, now: clocks.Timestamp
) -> tuple[clocks.Timestamp, clocks.Timestamp | None]:
    """The event time to keep, and the one claimed where that lies too far in the future."""
    if occurred_at <= now + _SKEW_US:
        return occurred_at, None
    return clocks.Timestamp(now + _SKEW_US), occurred_at


def with_claim(metadata: bytes, claimed: clocks.Timestamp) -> bytes:
    """Metadata that keep the event time a producer with a wrong clock claimed."""
    value = msgspec.json.decode(metadata)
    return msgspec.json.encode({**value, "claimed_occurred_at": clocks.to_rfc3339(claimed)})


def check_size(payload: bytes, metadata: bytes) -> None:
    """Refuse an event that is larger than one may be.

    Raises:
        TooLargeError: payload and metadata together are over the limit.
    """
    if len(payload) + len(metadata) > limits.EVENT_BYTES_MAX:
        raise errors.TooLargeError(
            f"payload and metadata have {len(payload) + len(metadata)} bytes, at most "
            f"{limits.EVENT_BYTES_MAX} are taken: keep the bulk elsewhere and send a reference",
            field="payload",
        )


def _objects(seen: IncomingEvent) -> tuple[bytes, bytes]:
    payload = bytes(seen.payload)
    if payload[:1] != b"{":
        raise _no_object(payload, "payload")
    metadata = b"{}" if seen.metadata is msgspec.UNSET else bytes(seen.metadata)
    if metadata == b"null":
        metadata = b"{}"
    if metadata[:1] != b"{":
        raise _no_object(metadata, "metadata")
    check_size(payload, metadata)
    return payload, metadata


def _no_object(found: bytes, field: str) -> errors.InvalidInputError:
    kind = jsonio.type_name(msgspec.json.decode(found))
    return errors.InvalidInputError(f"expected an object, found {kind}", field=field)


def _occurred_at(
    seen: IncomingEvent, now: clocks.Timestamp
) -> tuple[clocks.Timestamp, clocks.Timestamp | None]:
    text = _one_of(seen.occurred_at, seen.timestamp, "occurred_at", "timestamp")
    if text is None:
        return now, None
    try:
        return cap_future(rfc3339.parse(text), now)
    except ValueError as error:
        field = "timestamp" if seen.occurred_at is None else "occurred_at"
        raise errors.InvalidInputError(str(error), field=field) from None


def _one_of(first: str | None, second: str | None, name: str, alias: str) -> str | None:
    if first is not None and second is not None and first != second:
        raise errors.InvalidInputError(f"{name} and {alias} differ; send one of them", field=alias)
    return first if first is not None else second
