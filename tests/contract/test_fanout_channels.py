"""The channels to SNS and to Kafka, with the real SDKs."""

import asyncio
import json
import random
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest

from helios.drivers.aws import sessions, sns_channel
from helios.drivers.outbound import client as outbound_client
from helios.drivers.outbound import policy
from helios.eventlog import envelope
from helios.fanout import channels, subscriber
from helios.kernel import clock as clocks
from helios.kernel import errors, secret

KEYS = {
    "access_key_id": secret.Secret("testing"),
    "secret_access_key": secret.Secret("testing"),
}


def message(payload: bytes = b'{"n":1}') -> channels.Message:
    event = envelope.Event(
        position=envelope.Position(7),
        sequence=1,
        recorded_at=clocks.Timestamp(2_000_000),
        id="e7",
        source="shop",
        type="OrderPlaced",
        occurred_at=clocks.Timestamp(1_000_000),
        aggregate_type="order",
        aggregate_id="ORD-7",
        payload=payload,
    )
    return channels.Message(id="msg_x_7", event=event)


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    pytest.importorskip("moto", reason="moto is not installed: pip install 'helios[clouds]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(transport=httpx.HTTPTransport(retries=20), timeout=30) as http:
        http.get(f"{url}/moto-api/")
    yield url
    process.terminate()
    process.wait(10)


def guard() -> outbound_client.Client:
    return outbound_client.Client(
        clock=clocks.SystemClock(),
        allowed=policy.parse_allowed("127.0.0.1"),
        rng=random.Random(1),
    )


def test_an_event_reaches_a_queue_behind_a_topic_of_sns(moto_url: str) -> None:
    def client(service: str, guarding: Any) -> Any:
        return sessions.client(
            service, region="eu-west-1", credentials=KEYS, guard=guarding, endpoint_url=moto_url
        )

    async def run() -> dict[str, Any]:
        async with (
            guard() as guarding,
            client("sns", guarding) as sns,
            client("sqs", guarding) as sqs,
        ):
            topic = (await sns.create_topic(Name="orders"))["TopicArn"]
            queue = (await sqs.create_queue(QueueName="orders"))["QueueUrl"]
            attributes = await sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
            arn = attributes["Attributes"]["QueueArn"]
            await sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
            declared = subscriber.Sns(topic_arn=topic, region="eu-west-1", endpoint_url=moto_url)
            channel = await sns_channel.SnsChannel.opened(declared, KEYS, guarding)
            await channel.deliver(message())
            with pytest.raises(channels.DeliveryError, match="at most"):
                await channel.deliver(message(b'{"x":"%s"}' % (b"x" * (256 << 10))))
            await channel.close()
            got = await sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2)
            found: dict[str, Any] = json.loads(got["Messages"][0]["Body"])
            return found

    envelope_seen = asyncio.run(run())
    said = json.loads(envelope_seen["Message"])

    assert said["type"] == "OrderPlaced"
    assert said["data"]["payload"] == {"n": 1}
    assert envelope_seen["MessageAttributes"]["id"]["Value"] == "msg_x_7"


def test_a_topic_that_is_not_there_is_a_failed_delivery(moto_url: str) -> None:
    async def run() -> None:
        async with guard() as guarding:
            declared = subscriber.Sns(
                topic_arn="arn:aws:sns:eu-west-1:123456789012:none",
                region="eu-west-1",
                endpoint_url=moto_url,
            )
            channel = await sns_channel.SnsChannel.opened(declared, KEYS, guarding)
            with pytest.raises(channels.DeliveryError, match="NotFound"):
                await channel.deliver(message())
            await channel.close()

    asyncio.run(run())


@pytest.mark.kafka
def test_an_event_is_a_cloudevent_in_a_topic_of_kafka(kafka_server: str) -> None:
    import confluent_kafka  # noqa: PLC0415 - an extra
    from confluent_kafka import admin  # noqa: PLC0415

    from helios.drivers.kafka import channel as kafka_channel  # noqa: PLC0415

    topic = f"out-{uuid.uuid4().hex}"
    administration = admin.AdminClient({"bootstrap.servers": kafka_server})
    wanted = admin.NewTopic(topic, num_partitions=1)  # type: ignore[attr-defined]
    administration.create_topics([wanted])[topic].result(30)

    async def run() -> None:
        channel = kafka_channel.KafkaChannel(
            subscriber.Kafka(topic=topic, connection={"bootstrap": kafka_server}), {}
        )
        await channel.deliver(message())
        with pytest.raises(errors.InvalidInputError):
            kafka_channel.KafkaChannel(
                subscriber.Kafka(topic=topic, connection={"bootstrab": kafka_server}), {}
            )
        await channel.close()

    asyncio.run(run())
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": kafka_server, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    record = consumer.poll(30)
    consumer.close()

    assert record is not None
    found = cast(list[tuple[str, bytes]], record.headers())
    headers = {name: value.decode() for name, value in found}
    assert headers["ce_type"] == "OrderPlaced"
    assert headers["ce_id"] == "e7"
    assert headers["content-type"] == "application/json"
    assert record.key() == b"order/ORD-7"
    assert record.value() == b'{"n":1}'
