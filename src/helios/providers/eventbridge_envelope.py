"""The envelope of AWS EventBridge, and the layers it travels in: SQS messages, SNS notifications.

The id in the envelope names the event: a queue delivers one event again under other message ids.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from helios.providers import base, ports, reading

_TEXTS = ("id", "detail-type", "source", "time")
_SNS_TYPE = "Notification"


def is_one(value: Any) -> bool:
    """Whether a JSON value is an envelope."""
    return (
        type(value) is dict
        and all(type(value.get(name)) is str and value[name] for name in _TEXTS)
        and "detail" in value
    )


def received(
    text: bytes, *, message_id: str | None = None, topic: str | None = None
) -> ports.Received:
    """The event of an envelope.

    Args:
        text: the envelope, strict JSON.
        message_id: of the message it came in.
        topic: of SNS, likewise.
    """
    body = reading.read_object(text)
    raw = reading.members(text)
    value = body.value
    told = {
        name: value[name]
        for name in ("source", "account", "region", "resources", "replay-name")
        if value.get(name)
    }
    return ports.Received(
        id=value["id"],
        type=value["detail-type"],
        occurred_at=base.moment(value["time"]),
        time=value["time"],
        payload=reading.read_json(raw["detail"]).payload,
        metadata={
            **{_named(name): each for name, each in told.items()},
            **base.present(message_id=message_id, topic=topic),
        },
        attributes={**told, **base.present(message_id=message_id)},
    )


def messages(body: bytes) -> Iterator[Mapping[str, Any]]:
    """The SQS messages in a body: a Lambda event, an answer of ReceiveMessage, a list, or one.

    Raises:
        UnprocessableError: `invalid_json`, or `invalid_body` when it is none of these.
    """
    value = reading.strict(body)
    listed = value
    if type(value) is dict:
        listed = value.get("Records", value.get("Messages", [value]))
    if type(listed) is not list or not all(type(each) is dict for each in listed):
        raise ports.UnprocessableError("invalid_body", "neither SQS messages nor a list of them")
    yield from listed


def of_message(message: Mapping[str, Any]) -> ports.Received:
    """The event in an SQS message, in the spelling of Lambda or of the API.

    Raises:
        UnprocessableError: `bad_checksum`, `invalid_json`, `invalid_envelope`, `invalid_body`.
    """
    text = message.get("body", message.get("Body"))
    identity = message.get("messageId", message.get("MessageId"))
    told = message.get("md5OfBody", message.get("MD5OfBody"))
    if type(text) is not str:
        raise ports.UnprocessableError("invalid_body", "an SQS message without a body")
    data = text.encode("utf-8", "surrogatepass")
    if told is not None and told != hashlib.md5(data, usedforsecurity=False).hexdigest():
        raise ports.UnprocessableError("bad_checksum", "the body does not have the MD5 it names")
    return of_text(data, message_id=identity if type(identity) is str else None)


def of_text(text: bytes, *, message_id: str | None = None) -> ports.Received:
    """The event in the text of a message: an envelope, or an SNS notification that holds one.

    Raises:
        UnprocessableError: `invalid_json` or `invalid_envelope`.
    """
    value = reading.read(text).value
    if is_one(value):
        return received(text, message_id=message_id)
    if type(value) is dict and value.get("Type") == _SNS_TYPE and type(value.get("Message")) is str:
        inner = value["Message"].encode("utf-8", "surrogatepass")
        if is_one(reading.read(inner).value):
            own = message_id or value.get("MessageId")
            return received(inner, message_id=own, topic=value.get("TopicArn"))
    missing = [n for n in (*_TEXTS, "detail") if type(value) is not dict or not value.get(n)]
    raise ports.UnprocessableError(
        "invalid_envelope", f"no envelope of EventBridge: without {', '.join(missing)}"
    )


def _named(name: str) -> str:
    """A member's name as metadata have it; `source` is taken by the source in the log."""
    return {"source": "event_source", "replay-name": "replay_name"}.get(name, name)
