"""From a message of Pub/Sub to what the gate takes. Pure.

A message that cannot be read is no error of the source: it is handed in with the reason, becomes a
dead letter, and is acknowledged.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.drivers.gcp import options as gcp_options
from helios.ingest import lending, sources
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.providers import cloudevents, gcp_pubsub, ports, queued, reading

_UNNAMED = f"{gcp_pubsub.PubSub.name}.message"
_REQUIRED = ("specversion", "id", "source", "type")


class _Message(msgspec.Struct, frozen=True):
    """What is kept of a message that could not be read."""

    data: bytes
    message_id: str
    ordering_key: str = ""


def again(
    options: gcp_options.Options,
    origin: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
) -> tuple[ports.Received, ...] | ports.UnprocessableError:
    """A message once more, as it was handed in; see `sources.Again`."""
    message = _Message(body, origin.rpartition("/")[2])
    return _read(message, dict(headers), None, None, options)


def read(given: Any, options: gcp_options.Options) -> lending.Message:
    """A `ReceivedMessage` of the protocol as it is handed in."""
    message = given.message
    published_at = None
    if message.HasField("publish_time"):
        published_at = clocks.Timestamp(message.publish_time.ToMicroseconds())
    attempt = given.delivery_attempt or None
    attributes = dict(message.attributes)
    received = _read(message, attributes, published_at, attempt, options)
    fetched = sources.Fetched(
        origin=f"{options.path}/{message.message_id}",
        body=message.data,
        received=received,
        attempt=attempt,
        headers=tuple(sorted(attributes.items())),
    )
    return lending.Message(handle=given.ack_id, fetched=fetched, sent_at=published_at)


def _read(
    message: Any,
    attributes: Mapping[str, str],
    published_at: clocks.Timestamp | None,
    attempt: int | None,
    options: gcp_options.Options,
) -> tuple[ports.Received, ...] | ports.UnprocessableError:
    try:
        usual = _usual(message, attributes, published_at, attempt, options)
        return (queued.placed(message.data, attributes, options.extract, usual),)
    except ports.UnprocessableError as error:
        return error
    except errors.InvalidInputError as error:
        return ports.UnprocessableError("invalid_json", str(error))


def _usual(
    message: Any,
    attributes: Mapping[str, str],
    published_at: clocks.Timestamp | None,
    attempt: int | None,
    options: gcp_options.Options,
) -> ports.Received:
    """The event as Pub/Sub and CloudEvents have it, before the options move anything."""
    time = None if published_at is None else clocks.to_rfc3339(published_at)
    found = gcp_pubsub.received(
        message.data,
        attributes,
        message_id=message.message_id,
        time=time,
        subscription=options.path,
        ordering_key=message.ordering_key or None,
        attempt=attempt,
    )
    if "ce-specversion" not in attributes and _is_event(message.data, options):
        event = cloudevents.structured(message.data)
        found = msgspec.structs.replace(event, metadata={**event.metadata, **found.metadata})
    if options.event_type is not None and found.type == _UNNAMED:
        found = msgspec.structs.replace(found, type=options.event_type)
    if options.aggregate_type is not None and message.ordering_key and not found.aggregate_id:
        found = msgspec.structs.replace(
            found, aggregate_type=options.aggregate_type, aggregate_id=message.ordering_key
        )
    return found


def _is_event(data: bytes, options: gcp_options.Options) -> bool:
    """Whether the data are a CloudEvent in the JSON format, though no attribute says it."""
    if options.format == "cloudevents":
        return True
    if b'"specversion"' not in data:
        return False
    value = reading.read(data).value
    return type(value) is dict and all(type(value.get(name)) is str for name in _REQUIRED)
