"""Events in the two forms that Event Grid takes, and from one into the other.

Namespace topics take CloudEvents 1.0 only; a custom topic takes the form it was made for, and
delivers to each webhook in that form, or in CloudEvents.
"""

from typing import Any, Literal, TypeAlias

import msgspec

from helios.demo.clouds import eventgrid_queue as queues
from helios.kernel import clock as clocks
from helios.kernel import errors

Schema: TypeAlias = Literal["EventGridSchema", "CloudEventSchemaV1_0"]

EVENT_BYTES_MAX = 1 << 20
"""One event, and one request. Above: 413."""

CLOUD_EVENT_TYPES = ("application/cloudevents+json", "application/cloudevents-batch+json")
_NEEDED = {
    "EventGridSchema": ("id", "subject", "eventType", "eventTime", "dataVersion"),
    "CloudEventSchemaV1_0": ("id", "source", "specversion", "type"),
}


def parse(body: bytes, content_type: str, schema: Schema) -> list[dict[str, Any]]:
    """The events of a published body: all or none.

    Raises:
        TooLargeError: more than the cloud takes.
        InvalidInputError: not events of this schema; says which one and why.
    """
    if len(body) > EVENT_BYTES_MAX:
        raise errors.TooLargeError(f"the body is over {EVENT_BYTES_MAX} bytes")
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.InvalidInputError(f"not JSON: {error}") from None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == CLOUD_EVENT_TYPES[0] and not isinstance(found, dict):
        raise errors.InvalidInputError(f"{kind} holds one event, not several")
    if (schema == "EventGridSchema" or kind == CLOUD_EVENT_TYPES[1]) and isinstance(found, dict):
        raise errors.InvalidInputError("expected an array of events")
    events = found if isinstance(found, list) else [found]
    for index, event in enumerate(events):
        _check(event, index, schema)
    return events


def _check(event: Any, index: int, schema: Schema) -> None:
    field = f"[{index}]"
    if not isinstance(event, dict):
        raise errors.InvalidInputError("an event is a JSON object", field=field)
    for name in _NEEDED[schema]:
        # An event of the cloud's own schema may leave its version empty, and nothing else.
        value = event.get(name)
        if not isinstance(value, str) or (not value and name != "dataVersion"):
            raise errors.InvalidInputError(f"{name}: expected text", field=field)
    if schema == "CloudEventSchemaV1_0":
        if event["specversion"] != "1.0":
            raise errors.InvalidInputError("specversion: only 1.0 is known", field=field)
        if "data" in event and "data_base64" in event:
            raise errors.InvalidInputError("data and data_base64 exclude each other", field=field)


def accepted(event: dict[str, Any], schema: Schema, topic: str) -> dict[str, Any]:
    """An event as the cloud keeps it: with the names that it gives itself."""
    if schema == "CloudEventSchemaV1_0":
        return event
    return {**event, "topic": topic, "metadataVersion": "1"}


def to_cloud_event(event: dict[str, Any]) -> dict[str, Any]:
    """An event of Event Grid's own schema as a CloudEvent, as the cloud maps it."""
    made = {
        "id": event["id"],
        "source": event["topic"],
        "specversion": "1.0",
        "type": event["eventType"],
        "subject": event["subject"],
        "time": event["eventTime"],
    }
    if "data" in event:
        made |= {"datacontenttype": "application/json", "data": event["data"]}
    return made


def dead_pull(dead: queues.Dead) -> bytes:
    """A dead letter of a pull subscription, as it lies in the storage."""
    properties = {
        "deadletterreason": queues.REASONS[dead.reason],
        "deliveryattempts": dead.attempts,
        "deliveryresult": "Event was not acknowledged nor rejected.",
        "publishutc": clocks.to_rfc3339(dead.published_at),
        "deliveryattemptutc": clocks.to_rfc3339(dead.tried_at or dead.at),
    }
    return msgspec.json.encode({"deadletterProperties": properties, "event": dead.event})


def dead_push(  # the words are the cloud's
    event: dict[str, Any],
    schema: Schema,
    *,
    reason: str,
    attempts: int,
    outcome: str,
    published_at: clocks.Timestamp,
    tried_at: clocks.Timestamp | None,
) -> bytes:
    """A dead letter of a webhook subscription, as it lies in the storage."""
    about = {
        "deadLetterReason": reason,
        "deliveryAttempts": attempts,
        "lastDeliveryOutcome": outcome,
        "publishTime": clocks.to_rfc3339(published_at),
    }
    if tried_at is not None:
        about["lastDeliveryAttemptTime"] = clocks.to_rfc3339(tried_at)
    if schema == "CloudEventSchemaV1_0":
        about = {name.lower(): value for name, value in about.items()}
    return msgspec.json.encode([event | about])
