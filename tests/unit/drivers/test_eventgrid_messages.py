"""What an answer of Event Grid, and a dead letter of it, may hold."""

import json
from typing import Any

import pytest

from helios.drivers.azure import messages, options
from helios.ingest import lending
from helios.kernel import errors
from helios.providers import ports

PLACE = options.parse(
    {
        "endpoint": "https://shop.westeurope-1.eventgrid.azure.net",
        "topic": "orders",
        "subscription": "helios",
    }
)
EVENT = {
    "specversion": "1.0", "id": "e-1", "source": "/shop", "type": "order.placed",
    "time": "2026-01-02T03:04:05Z", "data": {"number": 7},
}  # fmt: skip


def read(*given: str) -> list[lending.Message]:
    items = ",".join(
        f'{{"brokerProperties": {{"lockToken": "t-{n}", "deliveryCount": 2}}, "event": {text}}}'
        for n, text in enumerate(given)
    )
    return messages.read(f'{{"value": [{items}]}}'.encode(), PLACE)


def test_events_keep_their_bytes_and_tell_their_lock_and_try() -> None:
    text = json.dumps(EVENT)
    (found,) = read(text)
    assert (found.handle, found.fetched.attempt) == ("t-0", 2)
    assert found.fetched.body == text.encode()
    assert found.fetched.origin == "orders/helios/e-1"
    assert found.sent_at == 1_767_323_045_000_000
    assert isinstance(found.fetched.received, tuple)
    (event,) = found.fetched.received
    assert (event.id, event.scope, event.type) == ("e-1", "/shop", "order.placed")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "invalid_json"),
        (json.dumps({**EVENT, "time": "yesterday"}), "invalid_cloudevent"),
        (json.dumps({**EVENT, "id": 7}), "invalid_cloudevent"),
        ('"words"', "invalid_cloudevent"),
    ],
)
def test_one_bad_event_does_not_spoil_the_others(text: str, reason: str) -> None:
    bad, good = read(text, json.dumps(EVENT))
    assert isinstance(bad.fetched.received, ports.UnprocessableError)
    assert bad.fetched.received.reason == reason
    assert isinstance(good.fetched.received, tuple)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"{}", b'{"value": [{"event": {}}]}'])
def test_an_answer_that_is_none_is_not_taken_for_no_events(answer: bytes) -> None:
    with pytest.raises(errors.StorageError):
        messages.read(answer, PLACE)


def test_a_dead_letter_has_the_event_as_it_was() -> None:
    blob = {"deadletterProperties": {"deliveryattempts": 10}, "event": EVENT}
    found = messages.buried("orders/helios/1.json", json.dumps(blob).encode())
    assert found.origin == "deadletters/orders/helios/1.json"
    assert isinstance(found.received, tuple)
    assert found.received[0].id == "e-1"


@pytest.mark.parametrize("blob", [b"", b"[]", b"{}", b'{"event": {"id": 1}}'])
def test_a_blob_that_is_no_dead_letter_says_why(blob: bytes) -> None:
    assert isinstance(messages.buried("x", blob).received, ports.UnprocessableError)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"endpoint": "shop.westeurope-1.eventgrid.azure.net"}, "endpoint"),
        ({"topic": "a/b"}, "topic"),
        ({"wait_s": 5}, "wait_s"),
        ({"dead_letters_url": "https://shop.blob.core.windows.net/d?sig=x"}, "dead_letters_sas"),
        ({"key": "x"}, "key"),
    ],
)
def test_wrong_options_are_refused_by_name(given: dict[str, Any], said: str) -> None:
    fine = {"endpoint": PLACE.endpoint, "topic": "orders", "subscription": "helios"}
    with pytest.raises(errors.InvalidInputError, match=said):
        options.parse({**fine, **given})
