"""EventBridge, Event Grid and CloudEvents: what travels in them, and who may send it."""

import base64
import json
from typing import Any

import pytest

from helios.ingest import explain
from helios.providers import eventbridge_envelope, ports
from helios.testing import senders

Pairs = list[tuple[str, str]]

# EventBridge

ENVELOPE: dict[str, Any] = {
    "version": "0",
    "id": "8bf73129",
    "detail-type": "OrderPlaced",
    "source": "com.helios.shop",
    "account": "123456789012",
    "time": "2024-11-16T02:12:01Z",
    "region": "eu-central-1",
    "resources": ["arn:x"],
    "detail": {"total": 129.90},
}
TEXT = json.dumps(ENVELOPE)


def _bridge(body: object, mode: str = "sqs", **config: Any) -> explain.Explained:
    text = body if isinstance(body, str) else json.dumps(body)
    return senders.explained("aws-eventbridge", [], text, {"mode": mode, **config})


def test_an_envelope_says_type_source_and_time() -> None:
    event = _bridge(ENVELOPE, "raw").events[0]
    assert (event["id"], event["type"], event["source"], event["time"], event["region"]) == (
        "8bf73129", "OrderPlaced", "com.helios.shop", "2024-11-16T02:12:01Z", "eu-central-1",
    )  # fmt: skip
    assert event["data"] == {"total": 129.90}


@pytest.mark.parametrize(
    "record",
    [
        {"messageId": "s-1", "body": TEXT, "md5OfBody": senders.md5(TEXT)},
        {"MessageId": "s-1", "Body": TEXT, "MD5OfBody": senders.md5(TEXT)},
        {"messageId": "s-1", "body": TEXT},
    ],
)
@pytest.mark.parametrize("wrap", ["Records", "Messages", None])
def test_messages_of_a_queue_are_read_in_either_spelling(
    record: dict[str, str], wrap: str | None
) -> None:
    for mode in ("sqs", "auto"):
        event = _bridge(record if wrap is None else {wrap: [record]}, mode).events[0]
        assert _bridge([record]).events == [event]
        assert (event["id"], event["message_id"]) == ("8bf73129", "s-1")


def test_a_body_without_the_checksum_it_names_is_a_dead_letter() -> None:
    record = {"messageId": "s-1", "body": "Message Body", "md5OfBody": "f" * 32}
    found = _bridge({"Records": [record]})
    assert (found.reason, found.dead_letter, found.response.status) == ("bad_checksum", True, 200)


def test_an_event_delivered_again_under_another_message_id_is_the_same() -> None:
    ids = {
        _bridge({"Records": [{"messageId": name, "body": TEXT}]}).events[0]["dedup_id"]
        for name in ("s-1", "s-2")
    }
    assert ids == {"8bf73129"}


def test_a_notification_around_the_envelope_is_one_layer_more() -> None:
    note = {"Type": "Notification", "MessageId": "n", "TopicArn": "arn:t", "Message": TEXT}
    record = {"messageId": "s-1", "body": json.dumps(note)}
    event = _bridge({"Records": [record]}).events[0]
    assert (event["id"], event["message_id"]) == ("8bf73129", "s-1")


@pytest.mark.parametrize("missing", ["id", "detail-type", "source", "time", "detail"])
def test_an_envelope_that_lacks_a_member_is_a_dead_letter(missing: str) -> None:
    body = {name: value for name, value in ENVELOPE.items() if name != missing}
    assert _bridge(body, "raw").reason == "invalid_envelope"
    with pytest.raises(ports.UnprocessableError, match=missing):
        eventbridge_envelope.of_text(json.dumps(body).encode())


def test_a_transformed_event_is_read_by_what_the_options_say() -> None:
    config: dict[str, Any] = {"extract": {"event_type": "json:kind", "event_id": "json:n"}}
    event = _bridge({"kind": "a", "n": "1"}, "raw", **config).events[0]
    assert (event["type"], event["id"]) == ("a", "1")


def test_numbers_of_a_detail_stay_as_they_were_written() -> None:
    text = TEXT.replace("129.9", "129.900000000000000000")
    received = eventbridge_envelope.of_text(text.encode())
    assert b"129.900000000000000000" in received.payload


def test_an_api_destination_shows_its_key() -> None:
    config: dict[str, Any] = {"mode": "raw", "secret": "k"}
    for headers, reason in [
        ([("x-api-key", "k")], None),
        ([("x-api-key", "j")], "bad_token"),
        ([], "missing_token"),
    ]:
        assert senders.explained("aws-eventbridge", headers, TEXT, config).reason == reason


# Event Grid

TOPIC = "/subscriptions/f8aa/resourceGroups/g/providers/Microsoft.EventGrid/topics/t"
EVENT = {
    "id": "3a30",
    "topic": TOPIC,
    "subject": "s",
    "eventType": "Helios.InventoryReserved",
    "eventTime": "2020-08-07T02:19:05.16916Z",
    "data": {"sku": "LAPTOP"},
    "dataVersion": "2.0",
    "metadataVersion": "1",
}


def _grid(
    body: object,
    *,
    path: str = "/ingest/azure?code=dev",
    method: str = "POST",
    headers: Pairs | None = None,
    **config: Any,
) -> explain.Explained:
    told = {"query_key": "code", "secret": "dev", "topics": [TOPIC], **config}
    pairs = headers if headers is not None else [("Content-Type", "application/json")]
    text = body if isinstance(body, str) else json.dumps(body)
    return senders.explained(
        "azure-eventgrid", pairs, text, told, path=path, method=method, scheme="eventgrid"
    )


def _validation(**data: str) -> list[dict[str, Any]]:
    kind = "Microsoft.EventGrid.SubscriptionValidationEvent"
    return [{**EVENT, "subject": "", "eventType": kind, "data": data}]


def test_a_batch_of_event_grid_is_read_whole() -> None:
    found = _grid([EVENT, {**EVENT, "id": "2"}])
    assert [event["id"] for event in found.events] == ["3a30", "2"]
    event = found.events[0]
    assert (event["type"], event["source"]) == ("Helios.InventoryReserved", TOPIC)
    assert (event["time"], event["subject"]) == ("2020-08-07T02:19:05.16916Z", "s")
    assert found.response.status == 200


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/x?code=other", "bad_token"),
        ("/x?code=", "missing_token"),
        ("/x", "missing_token"),
        ("/x?Code=dev", "missing_token"),
        ("/x?code=dev&code=dev", "duplicate_parameter"),
        ("/x?code=d%65v&a=1", None),
    ],
)
def test_the_secret_stands_in_the_address_once(path: str, reason: str | None) -> None:
    assert _grid([EVENT], path=path).reason == reason


def test_the_secret_may_stand_in_a_header() -> None:
    config: dict[str, Any] = {"header": "X-Secret", "query_key": None}
    assert _grid([EVENT], headers=[("X-Secret", "dev")], **config).reason is None
    assert _grid([EVENT], headers=[("X-Secret", "no")], **config).reason == "bad_token"


@pytest.mark.parametrize("topic", [None, "", TOPIC + "2", "/subscriptions/other"])
def test_events_of_other_topics_are_refused(topic: str | None) -> None:
    body = [EVENT, {**EVENT, "topic": topic}]
    assert _grid(body).reason == "topic_not_allowed"
    assert _grid([{**_validation(validationCode="c")[0], "topic": topic}]).reason


def test_names_of_topics_are_the_same_in_any_case() -> None:
    assert _grid([{**EVENT, "topic": TOPIC.upper()}]).outcome == "accept"


def test_a_validation_is_answered_at_once_and_nobody_is_called() -> None:
    address = "https://rp-eastus2.eventgrid.azure.net:553/eventsubscriptions/s/validate?id=1&t=2"
    for body in (
        _validation(validationCode="512d"),
        _validation(validationCode="512d", validationUrl=address),
    ):
        found = _grid(body)
        assert (found.outcome, found.response.status) == ("handshake", 200)
        assert found.response.json == {"validationResponse": "512d"}
        assert found.confirm is None


@pytest.mark.parametrize("port", ["", ":443", ":553"])
def test_a_validation_without_a_code_is_confirmed_at_event_grid(port: str) -> None:
    address = f"https://rp-eastus2.eventgrid.azure.net{port}/validate?id=1"
    found = _grid(_validation(validationUrl=address))
    assert found.confirm == {"method": "GET", "url": address}


@pytest.mark.parametrize(
    "address",
    [
        "http://rp.eventgrid.azure.net/validate",
        "https://rp.eventgrid.azure.net:8443/validate",
        "https://rp.eventgrid.azure.net.evil.example/validate",
        "https://evil.example/?rp.eventgrid.azure.net",
        "https://rp.eventgrid.azure.net@evil.example/validate",
        "https://evil.example#.eventgrid.azure.net/",
        "https://evil.example\\.eventgrid.azure.net/",
        "https://eventgrid.azure.net/validate",
        "https://169.254.169.254/metadata",
        "https://evileventgrid.azure.net/validate",
        "",
    ],
)
@pytest.mark.parametrize("code", [{}, {"validationCode": "512d"}])
def test_a_validation_that_points_elsewhere_is_not_of_event_grid(
    address: str, code: dict[str, str]
) -> None:
    found = _grid(_validation(validationUrl=address, **code))
    assert (found.reason, found.confirm) == ("bad_validation_url", None)


def test_a_validation_needs_the_secret_and_stands_alone() -> None:
    body = _validation(validationCode="512d")
    assert _grid(body, path="/x?code=no").reason == "bad_token"
    assert _grid([*body, EVENT]).reason == "invalid_body"
    assert _grid(_validation()).reason == "invalid_body"


ASK: Pairs = [("WebHook-Request-Origin", "eventgrid.azure.net"), ("WebHook-Request-Rate", "120")]


def test_event_grid_may_ask_by_options() -> None:
    found = _grid("", method="OPTIONS", headers=ASK)
    assert (found.outcome, found.response.status, found.confirm) == ("handshake", 200, None)
    assert found.response.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert found.response.headers["WebHook-Allowed-Rate"] == "120"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([("WebHook-Request-Origin", "evil.example")], "origin_not_allowed"),
        ([], "origin_not_allowed"),
        ([*ASK, ("WebHook-Request-Callback", "https://evil.example/cb")], "bad_callback_url"),
        ([*ASK, ("WebHook-Request-Callback", "http://169.254.169.254/")], "bad_callback_url"),
        ([*ASK, ("WebHook-Request-Callback", "https://rp.eventgrid.azure.net/cb?id=1")], None),
        ([*ASK, ASK[0]], "duplicate_header"),
    ],
)
def test_whoever_asks_by_options_must_be_event_grid(headers: Pairs, reason: str | None) -> None:
    found = _grid("", method="OPTIONS", headers=headers)
    assert (found.reason, found.confirm) == (reason, None)
    assert _grid("", method="OPTIONS", headers=headers, path="/x").outcome == "reject"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "invalid_json"),
        ({}, "invalid_body"),
        (EVENT, "invalid_body"),
        ([1], "invalid_body"),
        ([{**EVENT, "id": ""}], "invalid_body"),
        ([{**EVENT, "eventTime": 1}], "invalid_body"),
        ([{}] * 5001, "too_many_events"),
    ],
)
def test_what_is_no_batch_of_event_grid_is_a_dead_letter(body: object, reason: str) -> None:
    found = _grid(body)
    assert (found.reason, found.dead_letter, found.response.status) == (reason, True, 200)


def test_event_grid_in_the_schema_of_cloudevents_is_read_too() -> None:
    one = {"specversion": "1.0", "id": "c", "source": "/s", "type": "t.e", "data": {"n": 1}}
    batch = [("Content-Type", "application/cloudevents-batch+json; charset=utf-8")]
    single = [("Content-Type", "application/cloudevents+json")]
    assert [e["id"] for e in _grid([one, {**one, "id": "d"}], headers=batch).events] == ["c", "d"]
    assert _grid(one, headers=single).events[0]["type"] == "t.e"
    other = {**one, "source": TOPIC + "2"}
    assert _grid(other, headers=single).reason == "topic_not_allowed"


# CloudEvents

STRUCTURED: Pairs = [("Content-Type", "application/cloudevents+json")]
CE: dict[str, Any] = {
    "specversion": "1.0", "id": "1", "source": "/s", "type": "t.e", "time": "2018-04-05T03:56:24Z",
}  # fmt: skip
BINARY: Pairs = [(f"ce-{name}", value) for name, value in CE.items()]
JSON: Pairs = [("Content-Type", "application/json; charset=utf-8")]


def _ce(headers: Pairs, body: object = "", **config: Any) -> explain.Explained:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return senders.explained("cloudevents", headers, text, config)


def test_a_structured_event_keeps_attributes_and_data() -> None:
    event = _ce(STRUCTURED, {**CE, "subject": "x", "ext": "1", "flag": True, "data": [1]}).events[0]
    assert {n: event[n] for n in CE} == CE
    assert (event["subject"], event["flag"], event["data"]) == ("x", True, [1])
    assert event["extensions"] == {"ext": "1", "flag": True}


def test_a_binary_event_has_its_attributes_in_headers() -> None:
    headers = [*BINARY, *JSON, ("ce-ext", '"caf%C3%a9 \\"x\\""'), ("ce-other", "%E2%82%AC%2541")]
    event = _ce(headers, '{"n":1}').events[0]
    assert {n: event[n] for n in CE} == CE
    assert (event["ext"], event["other"]) == ('café "x"', "€%41")
    assert (event["datacontenttype"], event["data"]) == (JSON[0][1], {"n": 1})


def test_binary_data_that_are_no_json_are_kept_as_bytes() -> None:
    event = _ce([*BINARY, ("Content-Type", "text/xml")], "<a/>").events[0]
    assert (event["data"], event["data_base64"]) == ("<a/>", base64.b64encode(b"<a/>").decode())
    data = base64.b64encode(b"\xff\x00").decode()
    event = _ce(STRUCTURED, {**CE, "data_base64": data}).events[0]
    assert event["data_base64"] == data


def test_a_batch_holds_any_number_and_none() -> None:
    batch = [("Content-Type", "application/cloudevents-batch+json")]
    assert [e["id"] for e in _ce(batch, [CE, {**CE, "id": "2"}]).events] == ["1", "2"]
    empty = _ce(batch, [])
    assert (empty.outcome, empty.events) == ("accept", [])
    assert _ce(batch, CE).reason == "invalid_body"
    assert _ce(batch, [CE, {}]).reason == "invalid_cloudevent"


def _less(name: str) -> Pairs:
    return [(n, v) for n, v in BINARY if n != f"ce-{name}"]


@pytest.mark.parametrize(
    "headers",
    [
        *[_less(name) for name in ("specversion", "id", "source", "type")],
        [*_less("specversion"), ("ce-specversion", "0.3")],
        [*_less("id"), ("ce-id", "")],
        [*_less("source"), ("ce-source", "")],
        [*_less("source"), ("ce-source", "not a uri")],
        [*_less("time"), ("ce-time", "2018-04-05 03:56")],
        [*_less("time"), ("ce-time", "yesterday")],
        [*BINARY, ("ce-ext", "%C0%A0")],
        [*BINARY, ("ce-ext", "%ZZ")],
        [*BINARY, ("ce-datacontenttype", "application/json")],
        [*BINARY, ("ce-data", "x")],
        [*BINARY, ("ce-id", "2")],
        [*BINARY, ("CE-ID", "2")],
        [*BINARY, ("ce-under_score", "2")],
        [(n.replace("-", "_"), v) for n, v in BINARY],
    ],
)
def test_a_binary_event_against_the_specification_is_a_dead_letter(headers: Pairs) -> None:
    found = _ce([*headers, *JSON], "{}")
    assert (found.reason, found.dead_letter) == ("invalid_cloudevent", True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": ""}, "invalid_cloudevent"),
        ({"id": None}, "invalid_cloudevent"),
        ({"id": 5}, "invalid_cloudevent"),
        ({"specversion": "0.3"}, "invalid_cloudevent"),
        ({"time": "soon"}, "invalid_cloudevent"),
        ({"data": 1, "data_base64": "AA=="}, "invalid_cloudevent"),
        ({"data_base64": "*"}, "invalid_cloudevent"),
        ({"UPPER": "x"}, "invalid_cloudevent"),
        ({"ext": {"n": 1}}, "invalid_cloudevent"),
        ({"ext": 2**31}, "invalid_cloudevent"),
        ({"ext": "a\nb"}, "invalid_cloudevent"),
    ],
)
def test_a_structured_event_against_the_specification_is_a_dead_letter(
    change: dict[str, Any], reason: str
) -> None:
    assert _ce(STRUCTURED, {**CE, **change}).reason == reason


def test_bodies_that_cannot_be_read_are_dead_letters() -> None:
    assert _ce(STRUCTURED, '{"id":"1","id":"2"}').reason == "invalid_json"
    assert _ce([*BINARY, *JSON], "{").reason == "invalid_json"
    assert _ce([*BINARY, *JSON], b"\xef\xbb\xbf{}").reason == "invalid_json"
    xml = [("Content-Type", "application/cloudevents+xml")]
    assert _ce(xml, "<event/>").reason == "unsupported_format"


def test_events_are_the_same_by_source_and_id() -> None:
    assert _ce(STRUCTURED, CE).events[0]["scope"] == "/s"


def test_records_of_kafka_have_headers_of_their_own_spelling() -> None:
    headers = [*[(f"ce_{n}", v) for n, v in CE.items()], ("ce_ext", "100% é"), *JSON]
    assert _ce(headers, "{}").reason == "invalid_cloudevent"
    event = _ce(headers, '{"n":1}', binding="kafka").events[0]
    assert (event["id"], event["ext"], event["data"]) == ("1", "100% é", {"n": 1})


def test_cloudevents_may_come_with_any_authentication() -> None:
    signed = senders.standard_webhooks("whsec_" + "QUJD" * 8, json.dumps(CE).encode())
    config: dict[str, Any] = {"secret": "whsec_" + "QUJD" * 8}
    assert _ce([*STRUCTURED, *signed], CE, **config).outcome == "accept"
    assert _ce(STRUCTURED, CE, **config).reason == "missing_signature"
    assert _ce([*STRUCTURED, ("Authorization", "Bearer t")], CE, secret="t").outcome == "accept"
    assert _ce(STRUCTURED, CE, secret="t").reason == "missing_token"


def test_only_named_origins_are_told_that_they_may_send() -> None:
    ask = [("WebHook-Request-Origin", "sender.example")]
    for origins, reason in (["sender.example"], None), ([], "origin_not_allowed"):
        found = senders.explained(
            "cloudevents", ask, "", {"origins": origins, "secret": "t"}, method="OPTIONS"
        )
        assert found.reason == reason
