"""From a Kafka record to what the gate takes. Pure.

A record that cannot be read is not an error of the source: it is handed in with the reason, its
raw value and its headers, becomes a dead letter, and the partition goes on. `restored` makes the
record again from what a dead letter keeps.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from helios.drivers.kafka import binding
from helios.drivers.kafka import options as kafka_options
from helios.ingest import sources
from helios.kernel import clock as clocks
from helios.kernel import cloudevents, errors, jsonio, limits, rfc3339
from helios.providers import cloudevents as reading
from helios.providers import ports as providers

Partition: TypeAlias = tuple[str, int]
"""Topic and number."""

DELETED = "deleted"
"""What the type of a tombstone ends with."""

KEY_HEADER = "kafka-key"
TIME_HEADER = "kafka-timestamp"
BASE64_MARK = ";base64"
"""Names of the headers a dead letter keeps what is no header in, or no text."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a topic.

    Attributes:
        value: None: a tombstone.
        timestamp_ms: as the producer or the broker set it; None: it has none.
        epoch: which assignment of its partition it was read under.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int | None = None
    epoch: int = 0

    @property
    def place(self) -> Partition:
        return (self.topic, self.partition)

    @property
    def origin(self) -> str:
        """`topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def header(self, name: str) -> bytes | None:
        """The last value of a header: a producer's interceptor that adds one means to replace."""
        return next((value for key, value in reversed(self.headers) if key == name), None)


def read(record: Record, options: kafka_options.Options) -> sources.Fetched:
    """What is handed in for a record."""
    received: tuple[providers.Received, ...] | providers.UnprocessableError
    try:
        received = _events(record, options)
    except providers.UnprocessableError as error:
        received = error
    except errors.TooLargeError as error:
        received = providers.UnprocessableError("too_large", str(error))
    except errors.InvalidInputError as error:
        received = providers.UnprocessableError(_reason(record, options), str(error))
    return sources.Fetched(
        origin=record.origin,
        body=record.value or b"",
        received=received,
        headers=kept_headers(record),
    )


def kept_headers(record: Record) -> tuple[tuple[str, str], ...]:
    """Headers, key and timestamp of a record as text, for a dead letter."""
    kept = [_shown(name, value) for name, value in record.headers]
    if record.key is not None:
        kept.append(_shown(KEY_HEADER, record.key))
    if record.timestamp_ms is not None:
        kept.append((TIME_HEADER, str(record.timestamp_ms)))
    return tuple(kept)


def restored(origin: str, headers: Sequence[tuple[str, str]], body: bytes) -> Record:
    """The record that a dead letter was made of, to be read again (with another body, maybe).

    Raises:
        InvalidInputError: not the origin and headers of a record.
    """
    (topic, partition), offset = parse_origin(origin)
    key: bytes | None = None
    timestamp_ms: int | None = None
    found: list[tuple[str, bytes]] = []
    for name, text in headers:
        if name == TIME_HEADER and text.isdecimal():
            timestamp_ms = int(text)
        elif name.removesuffix(BASE64_MARK) == KEY_HEADER:
            key = _hidden(name, text)
        else:
            found.append((name.removesuffix(BASE64_MARK), _hidden(name, text)))
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=key,
        value=body or None,
        headers=tuple(found),
        timestamp_ms=timestamp_ms,
    )


def parse_origin(text: str) -> tuple[Partition, int]:
    """Partition and offset, from `topic/partition/offset` or the id `topic-partition-offset`.

    Raises:
        InvalidInputError: neither of them.
    """
    for mark in ("/", "-"):
        parts = text.rsplit(mark, 2)
        if len(parts) == 3 and parts[0] and all(_is_whole(part) for part in parts[1:]):
            return (parts[0], int(parts[1])), int(parts[2])
    raise errors.InvalidInputError(
        f"{text[:80]!r} is not a place in a topic, such as orders/0/42", field="ids"
    )


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _events(record: Record, options: kafka_options.Options) -> tuple[providers.Received, ...]:
    size = len(record.value or b"") + sum(len(name) + len(raw) for name, raw in record.headers)
    if size > limits.EVENT_BYTES_MAX:
        raise errors.TooLargeError(
            f"value and headers have {size} bytes, at most {limits.EVENT_BYTES_MAX} are taken: "
            "keep the bulk elsewhere and send a reference"
        )
    mode = None if options.format == "json" else binding.mode(record.headers)
    if mode == "binary":
        return (_of_cloudevent(record, binding.parse_binary(record.headers, record.value)),)
    if record.value is None:
        return _of_tombstone(record, options)
    if mode == "structured" or options.format == "cloudevents":
        return (_of_cloudevent(record, binding.parse_structured(record.headers, record.value)),)
    return (_of_json(record, record.value, options),)


def _reason(record: Record, options: kafka_options.Options) -> str:
    if options.format == "cloudevents" or (
        options.format == "auto" and binding.mode(record.headers) is not None
    ):
        return "invalid_cloudevent"
    return "invalid_json"


def _of_cloudevent(record: Record, event: cloudevents.CloudEvent) -> providers.Received:
    one = reading.received(event)
    aggregate = _aggregate(record, None)
    if one.aggregate_type is not None and one.aggregate_id is not None:
        aggregate = (one.aggregate_type, one.aggregate_id)
    return msgspec.structs.replace(
        one,
        occurred_at=_arrival(record) if one.occurred_at is None else one.occurred_at,
        aggregate_type=aggregate[0] if aggregate else None,
        aggregate_id=aggregate[1] if aggregate else None,
        metadata={**one.metadata, "kafka": _place(record)},
    )


def _of_tombstone(record: Record, options: kafka_options.Options) -> tuple[providers.Received, ...]:
    if options.tombstones == "skip":
        return ()
    aggregate = _aggregate(record, options.aggregate_type)
    if aggregate is None:
        raise providers.UnprocessableError(
            "tombstone_without_key",
            "a record without a value says that its key is gone, and this one has no key that is "
            "a short text",
        )
    name = _header_text(record, options.type_header) or options.event_type or record.topic
    return (
        providers.Received(
            id=_header_text(record, options.id_header) or _offset_id(record),
            type=_checked(f"{name}.{DELETED}", "event type"),
            occurred_at=_arrival(record),
            aggregate_type=aggregate[0],
            aggregate_id=aggregate[1],
            payload=jsonio.encode({"key": aggregate[1]}),
            metadata={"kafka": _place(record)},
        ),
    )


def _of_json(record: Record, value: bytes, options: kafka_options.Options) -> providers.Received:
    data = jsonio.parse(value)
    payload = value.strip(b" \t\r\n")
    aggregate = _aggregate(record, options.aggregate_type)
    occurred_at, time = _time(record, data, options)
    return providers.Received(
        id=_id(record, data, options),
        type=_type(record, data, options),
        occurred_at=occurred_at,
        time=time,
        aggregate_type=aggregate[0] if aggregate else None,
        aggregate_id=aggregate[1] if aggregate else None,
        payload=payload if type(data) is dict else b'{"data":%s}' % payload,
        metadata={"kafka": _place(record)},
    )


def _id(record: Record, data: Any, options: kafka_options.Options) -> str:
    found = _header_text(record, options.id_header) or _field_text(data, options.id_field)
    if found is not None:
        return found
    wanted = [name for name in (options.id_header, options.id_field) if name is not None]
    if wanted:
        # The place would do as an id, and hide that the sender's own copies are not told apart.
        raise providers.UnprocessableError(
            "missing_id", f"the source's id is {' or '.join(wanted)}, and the record has none"
        )
    return _offset_id(record)


def _offset_id(record: Record) -> str:
    return f"{record.topic}-{record.partition}-{record.offset}"


def _type(record: Record, data: Any, options: kafka_options.Options) -> str:
    return (
        _header_text(record, options.type_header)
        or _field_text(data, options.type_field)
        or options.event_type
        or record.topic
    )


def _time(
    record: Record, data: Any, options: kafka_options.Options
) -> tuple[clocks.Timestamp | None, str | None]:
    text = _field_text(data, options.time_field)
    if text is None:
        return _arrival(record), None
    try:
        return rfc3339.parse(text), text
    except ValueError as error:
        raise providers.UnprocessableError(
            "invalid_time", f"{options.time_field}: {error}"
        ) from None


def _arrival(record: Record) -> clocks.Timestamp | None:
    if record.timestamp_ms is None or not 0 <= record.timestamp_ms < 1 << 47:
        return None
    return clocks.Timestamp(record.timestamp_ms * 1000)


def _aggregate(record: Record, aggregate_type: str | None) -> tuple[str, str] | None:
    """What the key identifies; None when it is no short text that an id may be."""
    if not record.key or len(record.key) > limits.ID_CHARS_MAX:
        return None
    try:
        key = record.key.decode()
    except UnicodeDecodeError:
        return None
    return (aggregate_type or record.topic, key) if key.isprintable() else None


def _place(record: Record) -> dict[str, Any]:
    place: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
    }
    if record.key is not None:
        name, text = _shown("key", record.key)
        place[name.replace(BASE64_MARK, "_base64")] = text
    return place


def _field_text(data: Any, path: str | None) -> str | None:
    """What stands at a path of names, as text; None: nothing, or nothing that can be an id."""
    if path is None:
        return None
    for name in path.split("."):
        data = data.get(name) if type(data) is dict else None
    if type(data) is int:
        data = str(data)
    return _checked(data, path) if type(data) is str and data else None


def _header_text(record: Record, name: str | None) -> str | None:
    raw = record.header(name) if name is not None else None
    if not raw:
        return None
    try:
        return _checked(raw.decode(), str(name))
    except UnicodeDecodeError:
        raise providers.UnprocessableError(
            "invalid_header", f"the header {name} is not UTF-8"
        ) from None


def _checked(text: str, what: str) -> str:
    if len(text) > limits.ID_CHARS_MAX or not text.isprintable():
        raise providers.UnprocessableError(
            "invalid_text",
            f"{what}: longer than {limits.ID_CHARS_MAX} characters, or one that cannot be printed",
        )
    return text


def _shown(name: str, value: bytes) -> tuple[str, str]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return f"{name}{BASE64_MARK}", base64.b64encode(value).decode()
    return name, text


def _hidden(name: str, text: str) -> bytes:
    if not name.endswith(BASE64_MARK):
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise errors.InvalidInputError("not base64", field=name[:80]) from None
