"""The shop's events as three clouds would deliver them: EventBridge, Pub/Sub, Event Grid. Pure.

Each cloud has its envelope, its way to prove who sends, and its own idea of a batch: Pub/Sub pushes
one message at a time, the others may put several events into one delivery. The doors that take
them are those that the real clouds would use.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from helios.demo import shop

Cloud: TypeAlias = Literal["aws", "gcp", "azure"]
CLOUDS: tuple[Cloud, ...] = ("aws", "gcp", "azure")

KEY_HEADER = "x-api-key"
PROJECT = "acme-payments"
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/helios"
SERVICE_ACCOUNT = f"helios-push@{PROJECT}.iam.gserviceaccount.com"
AUDIENCE = "helios-demo"
TOPIC = (
    "/subscriptions/5f2c1b7e-0000-4000-8000-00000000acme/resourceGroups/warehouse"
    "/providers/Microsoft.EventGrid/topics/stock"
)
ACCOUNT = "123456789012"
REGION = "eu-central-1"
EVENTS_MAX = 100
"""Events of one delivery, where a cloud puts several into one."""

_RECORD_AROUND = {
    "awsRegion": REGION,
    "eventSource": "aws:sqs",
    "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders",
}


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery of a cloud.

    Attributes:
        source: whose door it goes to.
        headers: beside the one that proves who sends.
        events: how many are in it.
    """

    source: str
    body: bytes
    headers: Mapping[str, str]
    events: int = 1


class Told(msgspec.Struct, frozen=True):
    """What an event of the shop says, apart from who delivers it; see `shop.Delivery.body`."""

    id: str
    eventType: str  # noqa: N815 - as it is on the wire
    occurred_at: str
    payload: msgspec.Raw


_told = msgspec.json.Decoder(Told).decode
_raw = msgspec.json.Encoder().encode


def posts(batch: Sequence[shop.Delivery]) -> Iterator[Post]:
    """The deliveries that bring these events, in their order within each cloud."""
    for cloud in CLOUDS:
        told = [_told(each.body) for each in batch if each.source == cloud]
        for at in range(0, len(told), EVENTS_MAX):
            yield from _POSTS[cloud](told[at : at + EVENTS_MAX])


def eventbridge(event: Told) -> bytes:
    """The envelope of a rule of EventBridge."""
    return _raw(
        {
            "version": "0",
            "id": event.id,
            "detail-type": event.eventType,
            "source": "acme.shop",
            "account": ACCOUNT,
            "time": event.occurred_at,
            "region": REGION,
            "resources": [],
            "detail": event.payload,
        }
    )


def pubsub(event: Told) -> bytes:
    """What Pub/Sub pushes: a message with its data in base64."""
    message = {
        "messageId": event.id,
        "publishTime": event.occurred_at,
        "attributes": {"eventType": event.eventType},
        "data": base64.b64encode(bytes(event.payload)).decode(),
    }
    return _raw({"message": message, "subscription": SUBSCRIPTION})


def eventgrid(event: Told) -> dict[str, Any]:
    """One event in the schema of Event Grid."""
    return {
        "id": event.id,
        "eventType": event.eventType,
        "subject": "warehouse/reservations",
        "eventTime": event.occurred_at,
        "topic": TOPIC,
        "data": event.payload,
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }


def declarations(secret_dir: str, jwks: Mapping[str, Any]) -> str:
    """The three sources, as `helios sources apply` takes them.

    Args:
        secret_dir: where the files `aws` and `azure` hold the keys.
        jwks: public keys of who signs the tokens of pushes.
    """
    documents = [
        _source("aws", "aws-eventbridge", {"header": KEY_HEADER, "mode": "auto"}, secret_dir),
        _source(
            "gcp",
            "gcp-pubsub",
            {
                "audience": AUDIENCE,
                "service_account": SERVICE_ACCOUNT,
                "subscriptions": [SUBSCRIPTION],
                "jwks": jwks,
            },
        ),
        _source("azure", "azure-eventgrid", {"query_key": "code", "topics": [TOPIC]}, secret_dir),
    ]
    # JSON is YAML too.
    return "\n---\n".join(json.dumps(each) for each in documents)


_DESCRIPTIONS = {
    "aws": "Orders, from EventBridge",
    "gcp": "Payments, from Pub/Sub",
    "azure": "Stock, from Event Grid",
}
_SCHEMA = {
    "type": "object",
    "required": ["orderId"],
    "properties": {"orderId": {"type": "string", "pattern": "^ORD-[0-9]+$"}},
}
COUNTED = "StockCounted"
"""An event beside those of orders, which no contract is about."""

_COUNT = {
    "type": "object",
    "required": ["sku", "qty"],
    "properties": {"sku": {"type": "string"}, "qty": {"type": "integer", "minimum": 0}},
}
_SCHEMAS = {
    "aws": {"OrderPlaced": _SCHEMA},
    "gcp": {"PaymentProcessed": _SCHEMA},
    "azure": {"InventoryReserved": _SCHEMA, COUNTED: _COUNT},
}


def _source(
    cloud: Cloud, provider: str, options: Mapping[str, Any], secret_dir: str | None = None
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "provider": provider,
        "options": options,
        "environment": "production",
        "schemas": _SCHEMAS[cloud],
    }
    if secret_dir is not None:
        spec["secrets"] = [f"file:{secret_dir}/{cloud}"]
    return {
        "apiVersion": "helios.io/v1",
        "kind": "Source",
        "metadata": {
            "name": cloud,
            "client_id": shop.CLIENT,
            "description": _DESCRIPTIONS[cloud],
        },
        "spec": spec,
    }


def _by_aws(told: Sequence[Told]) -> Iterator[Post]:
    bodies = [eventbridge(each) for each in told]
    body = bodies[0] if len(bodies) == 1 else records(bodies)
    headers = {"content-type": "application/json; charset=utf-8"}
    yield Post(source="aws", body=body, headers=headers, events=len(told))


def records(bodies: Sequence[bytes]) -> bytes:
    """Envelopes as a queue hands them on, several in one."""
    made = [
        {
            **_RECORD_AROUND,
            "messageId": hashlib.sha256(body).hexdigest()[:32],
            "body": body.decode(),
            "md5OfBody": hashlib.md5(body, usedforsecurity=False).hexdigest(),
        }
        for body in bodies
    ]
    return _raw({"Records": made})


def _by_gcp(told: Sequence[Told]) -> Iterator[Post]:
    headers = {"content-type": "application/json"}
    for each in told:
        yield Post(source="gcp", body=pubsub(each), headers=headers)


def _by_azure(told: Sequence[Told]) -> Iterator[Post]:
    headers = {
        "content-type": "application/json; charset=utf-8",
        "aeg-event-type": "Notification",
        "aeg-subscription-name": "HELIOS",
    }
    body = _raw([eventgrid(each) for each in told])
    yield Post(source="azure", body=body, headers=headers, events=len(told))


_POSTS = {"aws": _by_aws, "gcp": _by_gcp, "azure": _by_azure}
