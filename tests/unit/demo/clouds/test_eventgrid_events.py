from typing import Any

import msgspec
import pytest

from helios.demo.clouds import eventgrid_events as events
from helios.kernel import errors

JSON, ONE, SEVERAL = (
    "application/json",
    "application/cloudevents+json; charset=utf-8",
    "application/cloudevents-batch+json; charset=utf-8",
)
OWN = {
    "id": "1",
    "subject": "orders/1",
    "eventType": "order.placed",
    "eventTime": "2026-01-02T03:04:05Z",
    "dataVersion": "",
    "data": {"n": 1},
}
CLOUD = {"id": "1", "source": "/shop", "specversion": "1.0", "type": "order.placed"}


def parse(value: Any, content_type: str, schema: events.Schema) -> list[dict[str, Any]]:
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return events.parse(body, content_type, schema)


@pytest.mark.parametrize(
    ("value", "content_type", "schema"),
    [
        ([OWN, OWN], JSON, "EventGridSchema"),
        (CLOUD, ONE, "CloudEventSchemaV1_0"),
        ([CLOUD, CLOUD], SEVERAL, "CloudEventSchemaV1_0"),
        ([], SEVERAL, "CloudEventSchemaV1_0"),
    ],
)
def test_events_in_the_form_of_their_topic_are_taken(
    value: Any, content_type: str, schema: events.Schema
) -> None:
    assert parse(value, content_type, schema) == (value if isinstance(value, list) else [value])


@pytest.mark.parametrize(
    ("value", "content_type", "schema"),
    [
        (OWN, JSON, "EventGridSchema"),
        ([{**OWN, "id": ""}], JSON, "EventGridSchema"),
        ([{**OWN, "subject": 1}], JSON, "EventGridSchema"),
        ([CLOUD], JSON, "EventGridSchema"),
        (["x"], JSON, "EventGridSchema"),
        ([CLOUD], ONE, "CloudEventSchemaV1_0"),
        (CLOUD, SEVERAL, "CloudEventSchemaV1_0"),
        ({**CLOUD, "specversion": "0.3"}, ONE, "CloudEventSchemaV1_0"),
        ({**CLOUD, "source": None}, ONE, "CloudEventSchemaV1_0"),
        ({**CLOUD, "data": 1, "data_base64": "eA=="}, ONE, "CloudEventSchemaV1_0"),
        (b"{", ONE, "CloudEventSchemaV1_0"),
        (b'"\xff"', ONE, "CloudEventSchemaV1_0"),
        (b" " * (events.EVENT_BYTES_MAX + 1), ONE, "CloudEventSchemaV1_0"),
    ],
)
def test_all_else_is_refused(value: Any, content_type: str, schema: events.Schema) -> None:
    with pytest.raises(errors.InvalidInputError):
        parse(value, content_type, schema)


def test_an_own_event_becomes_a_cloud_event_as_the_cloud_maps_it() -> None:
    kept = events.accepted(OWN, "EventGridSchema", "/topics/shop")
    assert kept["metadataVersion"] == "1"
    assert events.to_cloud_event(kept) == {
        "id": "1",
        "source": "/topics/shop",
        "specversion": "1.0",
        "type": "order.placed",
        "subject": "orders/1",
        "time": "2026-01-02T03:04:05Z",
        "datacontenttype": "application/json",
        "data": {"n": 1},
    }
