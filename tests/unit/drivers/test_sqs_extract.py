"""What EventBridge carries may have a name of its own, which the sender keeps when it repeats."""

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
    "detail": {"id": "order.placed:7", "total": 5},
}


def _read(body: dict[str, Any], **given: Any) -> ports.Received | ports.UnprocessableError:
    text = json.dumps(body)
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    message = {"MessageId": "m-1", "ReceiptHandle": "r-1", "Body": text, "MD5OfBody": digest}
    found = messages.read(message, options.parse({**PLACE, **given}), "orders")
    assert found is not None
    received = found.fetched.received
    if isinstance(received, ports.UnprocessableError):
        return received
    (one,) = received
    return one


EVENTBRIDGE = {"format": "eventbridge", "extract": {"event_id": "json:detail.id"}}


def test_the_id_in_the_detail_is_the_events_where_the_options_say_so() -> None:
    found = _read(ENVELOPE, **EVENTBRIDGE)
    assert isinstance(found, ports.Received)
    assert (found.id, found.type, found.time) == (
        "order.placed:7",
        "order.placed",
        "2026-01-02T03:04:05Z",
    )
    assert json.loads(found.payload) == ENVELOPE["detail"]


def test_the_id_in_the_detail_is_found_through_sns_too() -> None:
    told = {"Type": "Notification", "MessageId": "n-1", "TopicArn": "arn:aws:sns:eu-central-1:1:t"}
    found = _read({**told, "Message": json.dumps(ENVELOPE)}, **EVENTBRIDGE)
    assert isinstance(found, ports.Received)
    assert found.id == "order.placed:7"


def test_without_such_options_it_is_the_id_that_eventbridge_gave() -> None:
    for given in ({}, {"format": "eventbridge"}):
        found = _read(ENVELOPE, **given)
        assert isinstance(found, ports.Received)
        assert found.id == ENVELOPE["id"]


def test_an_envelope_without_the_id_that_was_promised_is_a_dead_letter() -> None:
    found = _read({**ENVELOPE, "detail": {}}, **EVENTBRIDGE)
    assert isinstance(found, ports.UnprocessableError)
    assert found.reason == "missing_id"


@pytest.mark.parametrize("format_", ["auto", "s3"])
def test_places_are_refused_where_it_is_open_what_a_message_is(format_: str) -> None:
    with pytest.raises(errors.InvalidInputError, match="name the one it is"):
        options.parse({**PLACE, "format": format_, "extract": {"event_id": "json:detail.id"}})
