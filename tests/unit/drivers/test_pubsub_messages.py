"""What a message of Pub/Sub may hold: CloudEvents in either mode, JSON, anything."""

import json
from typing import Any

import pytest
from google.protobuf import timestamp_pb2
from google.pubsub_v1.types import pubsub as types

from helios.drivers.gcp import messages, options
from helios.kernel import errors
from helios.providers import ports

PLACE = {"project": "demo", "subscription": "helios"}
EVENT = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "order.placed"}
AT = 1_767_323_045


def received(
    data: bytes, attributes: dict[str, str] | None = None, *, key: str = "", attempt: int = 0
) -> Any:
    return types.ReceivedMessage.pb()(
        ack_id="a-1",
        delivery_attempt=attempt,
        message=types.PubsubMessage.pb()(
            data=data,
            attributes=attributes or {},
            message_id="m-1",
            publish_time=timestamp_pb2.Timestamp(seconds=AT),
            ordering_key=key,
        ),
    )


def event(given: Any, **settings: Any) -> ports.Received:
    found = messages.read(given, options.parse({**PLACE, **settings})).fetched.received
    assert not isinstance(found, ports.UnprocessableError), found.detail
    (one,) = found
    return one


def reason(given: Any, **settings: Any) -> str:
    found = messages.read(given, options.parse({**PLACE, **settings})).fetched.received
    assert isinstance(found, ports.UnprocessableError)
    return found.reason


def test_a_message_is_an_event_with_its_own_id_within_the_project() -> None:
    given = received(b'{"number": 7}', {"type": "order.placed", "region": "eu"}, attempt=3)
    found = messages.read(given, options.parse(PLACE))
    assert (found.handle, found.sent_at) == ("a-1", AT * 1_000_000)
    assert found.fetched.origin == "projects/demo/subscriptions/helios/m-1"
    assert (found.fetched.attempt, found.fetched.body) == (3, b'{"number": 7}')
    assert found.fetched.headers == (("region", "eu"), ("type", "order.placed"))
    one = event(given)
    assert (one.id, one.scope, one.type) == ("m-1", "projects/demo", "order.placed")
    assert one.occurred_at == AT * 1_000_000
    assert one.metadata["attributes"]["region"] == "eu"


def test_a_publisher_that_tries_again_is_found_out_by_an_id_of_its_own() -> None:
    given = received(b'{"order": {"id": "o-1"}}', {"nr": "n-1", "kind": "order.paid"})
    for place, expected in (("json:order.id", "o-1"), ("header:nr", "n-1")):
        one = event(given, extract={"event_id": place, "event_type": "header:kind"})
        assert (one.id, one.scope, one.type) == (expected, None, "order.paid")
    assert reason(given, extract={"event_id": "header:other"}) == "missing_id"


def test_cloudevents_are_read_in_either_mode_and_deduplicated_by_their_source() -> None:
    binary = {f"ce-{name}": value for name, value in EVENT.items()}
    whole = json.dumps({**EVENT, "data": {"number": 7}}).encode()
    for given in (
        received(b'{"number": 7}', binary),
        received(whole, {"content-type": "application/cloudevents+json"}),
        received(whole),
    ):
        one = event(given)
        assert (one.id, one.scope, one.type) == ("e-1", "/shop", "order.placed")
        assert json.loads(one.payload) == {"number": 7}
        assert one.metadata["message_id"] == "m-1"


def test_an_ordering_key_is_what_the_event_is_about_when_the_options_say_so() -> None:
    given = received(b"{}", key="o-1")
    assert event(given).aggregate_id is None
    one = event(given, aggregate_type="order", event_type="order.changed")
    assert (one.aggregate_type, one.aggregate_id) == ("order", "o-1")
    assert one.type == "order.changed"
    assert one.metadata["ordering_key"] == "o-1"


def test_what_is_not_json_is_kept_as_it_is() -> None:
    assert json.loads(event(received(b"\xff\xfe")).payload) == {"data_base64": "//4="}


@pytest.mark.parametrize(
    ("given", "settings", "expected"),
    [
        (received(b"{not json"), {}, "invalid_json"),
        (received(b'{"a": 1, "a": 2}'), {}, "invalid_json"),
        (received(b"{}", {"ce-specversion": "1.0"}), {}, "invalid_cloudevent"),
        (received(b"{}"), {"format": "cloudevents"}, "invalid_cloudevent"),
        (received(json.dumps({**EVENT, "time": "x"}).encode()), {}, "invalid_cloudevent"),
    ],
)
def test_what_no_event_can_be_made_of_says_why(given: Any, settings: Any, expected: str) -> None:
    assert reason(given, **settings) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("pubsub.googleapis.com:443", True),
        ("europe-west1-pubsub.googleapis.com", True),
        ("127.0.0.1:8085", False),
        ("pubsub.googleapis.com.evil.example:443", False),
        ("[::1]:8085", False),
    ],
)
def test_credentials_go_to_google_only(address: str, *, expected: bool) -> None:
    assert options.is_google(address) is expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"subscription": "projects/p/subscriptions/s"}, "subscription"),
        ({"endpoint": "http://127.0.0.1:1"}, "endpoint"),
        ({"lease_s": 5}, "lease_s"),
        ({"extract": {"event_id": "nr"}}, "header:NAME"),
    ],
)
def test_wrong_options_are_refused_by_name(given: Any, said: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=said):
        options.parse({**PLACE, **given})
