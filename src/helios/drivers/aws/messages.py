"""From a message of SQS to what the gate takes. Pure.

A message that cannot be read is no error of the source: it is handed in with the reason, becomes a
dead letter, and leaves the queue.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.drivers.aws import options as aws_options
from helios.ingest import lending, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, limits
from helios.providers import base, ports, queued, reading, sns
from helios.providers import eventbridge_envelope as envelopes

DAMAGED_TRIES = 3
"""Deliveries after which a body that does not have its checksum is a dead letter: until then the
damage may be of the way."""

_TEST = "s3:TestEvent"
_encode = msgspec.json.encode


def read(
    message: Mapping[str, Any], options: aws_options.Options, queue: str
) -> lending.Message | None:
    """A message as it is handed in; None: it is damaged, and shall come again."""
    system = message.get("Attributes", {})
    attempt = _whole(system.get("ApproximateReceiveCount"))
    sent_ms = _whole(system.get("SentTimestamp"))
    identity = str(message["MessageId"])
    text = str(message.get("Body", ""))
    body = text.encode("utf-8", "surrogatepass")
    attributes = _attributes(message)
    received: tuple[ports.Received, ...] | ports.UnprocessableError
    if hashlib.md5(body, usedforsecurity=False).hexdigest() != message.get("MD5OfBody"):
        if (attempt or 1) < DAMAGED_TRIES:
            return None
        received = ports.UnprocessableError("bad_checksum", "the body does not have its MD5")
    else:
        received = _read(body, attributes, identity, options)
    fetched = sources.Fetched(
        origin=f"{queue}/{identity}",
        body=body,
        received=received,
        attempt=attempt,
        headers=tuple(sorted(attributes.items())),
    )
    sent_at = None if sent_ms is None else clocks.Timestamp(sent_ms * 1000)
    return lending.Message(handle=message["ReceiptHandle"], fetched=fetched, sent_at=sent_at)


def again(
    options: aws_options.Options,
    origin: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
) -> tuple[ports.Received, ...] | ports.UnprocessableError:
    """A message once more, as it was handed in; see `sources.Again`."""
    return _read(body, dict(headers), origin.rpartition("/")[2], options)


def _read(
    body: bytes, attributes: Mapping[str, str], identity: str, options: aws_options.Options
) -> tuple[ports.Received, ...] | ports.UnprocessableError:
    try:
        return _events(body, attributes, identity, options)
    except ports.UnprocessableError as error:
        return error
    except errors.InvalidInputError as error:
        return ports.UnprocessableError("invalid_json", str(error))


def _events(
    body: bytes, attributes: Mapping[str, str], identity: str, options: aws_options.Options
) -> tuple[ports.Received, ...]:
    told = _notification(body)
    inner = body if told is None else str(told["Message"]).encode("utf-8", "surrogatepass")
    if options.format == "eventbridge":
        usual = envelopes.of_text(body, message_id=identity)
        return (queued.placed(inner, attributes, options.extract, usual),)
    if options.format == "json":
        return (_json(inner, attributes, told, identity, options),)
    value = reading.read(inner).value
    if options.format == "s3" or _is_s3(value):
        return _s3(value, identity)
    if told is not None and not envelopes.is_one(value):
        return (sns.notification(told),)
    return (envelopes.of_text(body, message_id=identity),)


def _notification(body: bytes) -> Mapping[str, Any] | None:
    """What SNS wrapped a message in, if it did."""
    value = reading.read(body).value
    if type(value) is not dict or value.get("Type") != "Notification":
        return None
    is_one = type(value.get("TopicArn")) is str and type(value.get("Message")) is str
    return value if is_one else None


def _json(
    body: bytes,
    attributes: Mapping[str, str],
    told: Mapping[str, Any] | None,
    identity: str,
    options: aws_options.Options,
) -> ports.Received:
    if told is not None:
        usual = sns.notification(told)
        attributes = {**_told_attributes(told), **attributes}
    else:
        usual = ports.Received(
            id=identity, type="aws-sqs.message", payload=reading.read_json(body).payload
        )
    if options.event_type is not None:
        usual = msgspec.structs.replace(usual, type=options.event_type)
    metadata = {**usual.metadata, "message_id": identity}
    usual = msgspec.structs.replace(usual, metadata=metadata)
    return queued.placed(body, attributes, options.extract, usual)


def _is_s3(value: Any) -> bool:
    if type(value) is not dict:
        return False
    records = value.get("Records")
    if type(records) is list and records:
        return all(type(r) is dict and r.get("eventSource") == "aws:s3" for r in records)
    return value.get("Service") == "Amazon S3" and value.get("Event") == _TEST


def _s3(value: Any, identity: str) -> tuple[ports.Received, ...]:
    """One event for each record. They have no ids: what happened to which version makes one."""
    if not _is_s3(value):
        raise ports.UnprocessableError("invalid_body", "no notification of S3")
    return tuple(_s3_record(record, identity) for record in value.get("Records", ()))


def _s3_record(record: Mapping[str, Any], identity: str) -> ports.Received:
    about = record.get("s3") if type(record.get("s3")) is dict else {}
    assert about is not None
    bucket = _at(about, "bucket", "name")
    key = _at(about, "object", "key")
    event, time = record.get("eventName"), record.get("eventTime")
    if not bucket or not key or type(event) is not str or not event:
        raise ports.UnprocessableError("invalid_body", "a record of S3 without bucket, key or name")
    version = _at(about, "object", "versionId") or ""
    place = _at(about, "object", "sequencer") or str(time)
    made = f"{bucket}/{key}?{version}#{place}:{event}"
    if len(made) > limits.ID_CHARS_MAX:
        made = "sha256:" + hashlib.sha256(made.encode("utf-8", "surrogatepass")).hexdigest()
    return ports.Received(
        id=made,
        type=f"s3:{event}",
        occurred_at=base.moment(time),
        time=time if type(time) is str else None,
        aggregate_type="s3.object",
        aggregate_id=f"{bucket}/{key}"[: limits.ID_CHARS_MAX],
        payload=_encode(record),
        metadata={"bucket": bucket, "key": key, "message_id": identity},
    )


def _attributes(message: Mapping[str, Any]) -> dict[str, str]:
    given = message.get("MessageAttributes") or {}
    return {n: v["StringValue"] for n, v in given.items() if "StringValue" in v}


def _told_attributes(told: Mapping[str, Any]) -> dict[str, str]:
    given = told.get("MessageAttributes")
    if type(given) is not dict:
        return {}
    found = {n: v.get("Value") for n, v in given.items() if type(v) is dict}
    return {name: value for name, value in found.items() if type(value) is str}


def _at(value: Mapping[str, Any], *path: str) -> str | None:
    found: Any = value
    for name in path:
        found = found.get(name) if type(found) is dict else None
    return found if type(found) is str and found else None


def _whole(text: Any) -> int | None:
    given = str(text)
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 16 else None
