"""What a message of SQS may hold: envelopes, notifications of SNS and S3, JSON, damage."""

import hashlib
import json
from typing import Any

import pytest

from helios.drivers.aws import messages, options
from helios.kernel import errors
from helios.providers import ports

PLACE = {"queue_url": "https://sqs.eu-central-1.amazonaws.com/1/orders"}
ENVELOPE = {
    "version": "0",
    "id": "17b35761-b955-406c-bb92-e51ad58b564c",
    "detail-type": "order.placed",
    "source": "shop",
    "account": "123456789012",
    "time": "2026-01-02T03:04:05Z",
    "region": "eu-central-1",
    "resources": [],
    "detail": {"number": 7},
}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:orders"
RECORD = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "awsRegion": "eu-central-1",
    "eventTime": "2026-01-02T03:04:05.123Z",
    "eventName": "ObjectCreated:Put",
    "s3": {
        "bucket": {"name": "shop"},
        "object": {"key": "orders/1.json", "size": 3, "sequencer": "0A1B2C"},
    },
}


def message(body: Any, **given: Any) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return {
        "MessageId": "m-1",
        "ReceiptHandle": "r-1",
        "MD5OfBody": digest,
        "Body": text,
        "Attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1767323045000"},
        **given,
    }


def told_by_sns(inner: Any) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "n-1",
        "TopicArn": TOPIC,
        "Message": inner if isinstance(inner, str) else json.dumps(inner),
        "Timestamp": "2026-01-02T03:04:05.678Z",
        "MessageAttributes": {"kind": {"Type": "String", "Value": "order.placed"}},
    }


def read(body: Any, **given: Any) -> Any:
    found = messages.read(message(body), options.parse({**PLACE, **given}), "orders")
    assert found is not None
    return found


def events(body: Any, **given: Any) -> list[ports.Received]:
    received = read(body, **given).fetched.received
    assert not isinstance(received, ports.UnprocessableError), received.detail
    return list(received)


def reason(body: Any, **given: Any) -> str:
    received = read(body, **given).fetched.received
    assert isinstance(received, ports.UnprocessableError)
    return received.reason


def test_a_message_tells_where_it_is_from_its_try_and_its_time() -> None:
    found = read(ENVELOPE)
    assert (found.handle, found.sent_at) == ("r-1", 1_767_323_045_000_000)
    assert (found.fetched.origin, found.fetched.attempt) == ("orders/m-1", 2)
    assert json.loads(found.fetched.body) == ENVELOPE


@pytest.mark.parametrize("wrap", [lambda e: e, told_by_sns])
@pytest.mark.parametrize("given", ["auto", "eventbridge"])
def test_an_envelope_of_eventbridge_is_read_raw_and_from_sns(wrap: Any, given: str) -> None:
    (event,) = events(wrap(ENVELOPE), format=given)
    assert (event.id, event.type) == (ENVELOPE["id"], "order.placed")
    assert json.loads(event.payload) == {"number": 7}
    assert event.time == ENVELOPE["time"]


def test_what_sns_was_told_is_an_event_with_the_id_of_sns() -> None:
    (event,) = events(told_by_sns({"number": 7}))
    assert (event.id, event.metadata["topic"]) == ("n-1", TOPIC)
    assert json.loads(event.payload) == {"number": 7}


@pytest.mark.parametrize("wrap", [lambda e: e, told_by_sns])
@pytest.mark.parametrize("given", ["auto", "s3"])
def test_each_record_of_s3_is_an_event_whose_id_is_the_same_each_time(
    wrap: Any, given: str
) -> None:
    other = {**RECORD, "eventName": "ObjectRemoved:Delete"}
    found = events(wrap({"Records": [RECORD, other]}), format=given)
    assert [event.type for event in found] == ["s3:ObjectCreated:Put", "s3:ObjectRemoved:Delete"]
    assert found[0].aggregate_id == "shop/orders/1.json"
    again = events(wrap({"Records": [RECORD]}), format=given)
    assert again[0].id == found[0].id != found[1].id


def test_a_long_key_of_s3_still_makes_an_id() -> None:
    record = json.loads(json.dumps(RECORD))
    record["s3"]["object"]["key"] = "k" * 1000
    (event,) = events({"Records": [record]})
    assert event.id is not None
    assert event.id.startswith("sha256:")


def test_the_test_message_of_s3_holds_no_event() -> None:
    assert events({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "shop"}) == []


def test_plain_json_is_read_as_the_options_say() -> None:
    body = {"order": {"id": 17}, "at": "2026-01-02T03:04:05Z"}
    extract = {"event_id": "json:order.id", "time": "json:at", "event_type": "header:kind"}
    given = message(body, MessageAttributes={"kind": {"StringValue": "order.paid"}})
    wanted = options.parse({**PLACE, "format": "json", "extract": extract})
    found = messages.read(given, wanted, "orders")
    assert found is not None
    assert isinstance(found.fetched.received, tuple)
    (event,) = found.fetched.received
    assert (event.id, event.type, event.time) == ("17", "order.paid", "2026-01-02T03:04:05Z")
    assert found.fetched.headers == (("kind", "order.paid"),)
    (told,) = events(told_by_sns(body), format="json", extract=extract)
    assert (told.id, told.type) == ("17", "order.placed")
    (plain,) = events([1, 2], format="json", event_type="list")
    assert (plain.id, plain.type, plain.payload) == ("m-1", "list", b'{"data":[1, 2]}')


@pytest.mark.parametrize(
    ("body", "given", "expected"),
    [
        ("{not json", {}, "invalid_json"),
        ('{"a": 1, "a": 2}', {}, "invalid_json"),
        ("[" * 200, {}, "invalid_json"),
        ("plain words", {}, "invalid_envelope"),
        ({"number": 7}, {}, "invalid_envelope"),
        ({**ENVELOPE, "id": 7}, {}, "invalid_envelope"),
        ("plain words", {"format": "json"}, "invalid_json"),
        ({}, {"format": "s3"}, "invalid_body"),
        ({"Records": [{**RECORD, "s3": {}}]}, {}, "invalid_body"),
        ({"Records": [{**RECORD, "s3": 5}]}, {}, "invalid_body"),
        ({}, {"format": "json", "extract": {"event_id": "json:id"}}, "missing_id"),
    ],
)
def test_what_no_event_can_be_made_of_says_why(body: Any, given: Any, expected: str) -> None:
    assert reason(body, **given) == expected


def test_a_damaged_body_is_left_to_come_again_a_few_times() -> None:
    damaged = message(ENVELOPE, MD5OfBody="0" * 32)
    wanted = options.parse(PLACE)
    assert messages.read(damaged, wanted, "orders") is None
    damaged["Attributes"]["ApproximateReceiveCount"] = "3"
    found = messages.read(damaged, wanted, "orders")
    assert found is not None
    assert isinstance(found.fetched.received, ports.UnprocessableError)
    assert found.fetched.received.reason == "bad_checksum"


@pytest.mark.parametrize(
    ("given", "region"),
    [
        ({}, "eu-central-1"),
        ({"queue_url": "https://sqs.cn-north-1.amazonaws.com.cn/1/q"}, "cn-north-1"),
        ({"queue_url": "http://127.0.0.1:9/1/q", "region": "us-east-1"}, "us-east-1"),
        ({"region": "eu-west-1"}, "eu-west-1"),
    ],
)
def test_the_region_is_the_one_in_the_address_unless_it_is_said(given: Any, region: str) -> None:
    assert options.parse({**PLACE, **given}).where == region


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"queue_url": "orders"}, "queue_url"),
        ({"queue_url": "http://127.0.0.1:9/1/q"}, "name the region"),
        ({"wait_s": 30}, "wait_s"),
        ({"format": "json", "extract": {"id": "json:id"}}, "nothing is extracted"),
        ({"queue": "x"}, "queue"),
    ],
)
def test_wrong_options_are_refused_by_name(given: Any, said: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=said):
        options.parse({**PLACE, **given})
