"""Sending to a Kafka topic, against a real broker."""

import asyncio
import json
from pathlib import Path
from types import ModuleType

import confluent_kafka
import pytest

from helios.drivers.kafka import binding, sink
from helios.kernel import cloudevents, errors
from helios.testing import kafka_bench as bench

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


def read(server: str, topic: str, count: int) -> list[confluent_kafka.Message]:
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": server, "group.id": bench.fresh("reader")}
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    found: list[confluent_kafka.Message] = []
    while len(found) < count:
        found += consumer.consume(count - len(found), bench.WAIT_S)
    consumer.close()
    return found


def test_what_was_sent_is_there_when_send_returns(kafka_server: str) -> None:
    async def scenario() -> list[sink.Sent]:
        topic = bench.make_topic(kafka_server)
        to_kafka = bench.a_sink(kafka_server)
        headers = [("h", b"1"), ("h", b"2")]
        first = await to_kafka.send(topic, key=b"k", value=b"v", headers=headers)
        second = await to_kafka.send(topic, key=b"k")
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": kafka_server, "group.id": bench.fresh("reader")}
        )
        marks = consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, 0))
        consumer.close()
        assert marks == (0, 2)
        await to_kafka.close()
        one, two = await asyncio.to_thread(read, kafka_server, topic, 2)
        assert (one.key(), one.value(), one.headers()) == (b"k", b"v", headers)
        assert (two.key(), two.value()) == (b"k", None)
        return [first, second]

    sent = asyncio.run(scenario())
    assert [(one.partition, one.offset) for one in sent] == [(0, 0), (0, 1)]


def test_many_at_once_share_requests_and_keep_their_order(kafka_server: str) -> None:
    async def scenario() -> None:
        topic = bench.make_topic(kafka_server)
        to_kafka = bench.a_sink(kafka_server)
        wanted = [str(number).encode() for number in range(2_000)]
        sent = await asyncio.gather(*(to_kafka.send(topic, key=b"k", value=one) for one in wanted))
        assert [one.offset for one in sent] == list(range(2_000))
        await to_kafka.close()
        found = await asyncio.to_thread(read, kafka_server, topic, 2_000)
        assert [message.value() for message in found] == wanted

    asyncio.run(scenario())


def test_a_topic_that_is_not_there_and_a_record_that_is_too_large_are_told_apart(
    kafka_server: str,
) -> None:
    async def scenario() -> None:
        topic = bench.make_topic(kafka_server)
        to_kafka = bench.a_sink(kafka_server)
        with pytest.raises(errors.NotFoundError, match="Kafka has no topic 'missing"):
            await to_kafka.send(bench.fresh("missing"), value=b"v")
        with pytest.raises(errors.TooLargeError, match="larger than the brokers take"):
            await to_kafka.send(topic, value=bytes(2 << 20))
        assert (await to_kafka.send(topic, value=b"v")).offset == 0
        await to_kafka.close()
        with pytest.raises(errors.StorageError, match="closed"):
            await to_kafka.send(topic, value=b"v")

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_broker_that_is_away_is_an_error_in_time_and_no_loss_when_it_comes_back(
    kafka_script: ModuleType, tmp_path: Path
) -> None:
    if not kafka_script.find_jars():
        pytest.skip("no Kafka here: run `scripts/kafka.py install`")
    folder = tmp_path / "broker"

    async def scenario() -> None:
        server = await asyncio.to_thread(kafka_script.start, folder)
        topic = bench.make_topic(server)
        impatient = bench.a_sink(server, delivery_s=2.0)
        patient = bench.a_sink(server, delivery_s=bench.WAIT_S)
        await impatient.send(topic, value=b"0")
        await patient.send(topic, value=b"1")
        kafka_script.halt(folder)
        with pytest.raises(errors.StorageError, match="did not confirm"):
            await impatient.send(topic, value=b"lost")
        waiting = asyncio.gather(*(patient.send(topic, value=b"%d" % n) for n in range(2, 50)))
        await asyncio.to_thread(kafka_script.restart, folder)
        await waiting
        await impatient.close()
        await patient.close()
        found = await asyncio.to_thread(read, server, topic, 50)
        assert [message.value() for message in found] == [b"%d" % n for n in range(50)]

    try:
        asyncio.run(scenario())
    finally:
        kafka_script.stop(folder)


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_a_cloudevent_that_is_sent_is_read_back_as_it_was(
    kafka_server: str, tmp_path: Path, mode: str
) -> None:
    attributes: dict[str, cloudevents.Value] = {
        "specversion": "1.0",
        "id": "ü %41",
        "source": "/shop",
        "type": "order.placed",
        "datacontenttype": "application/json",
    }
    event = cloudevents.CloudEvent(attributes=attributes, kind="json", data=b'{"number":1}')

    async def scenario() -> None:
        topic = bench.make_topic(kafka_server)
        to_kafka = bench.a_sink(kafka_server)
        headers, value = getattr(binding, f"to_{mode}")(event)
        await to_kafka.send(topic, key=b"o-1", value=value, headers=headers)
        await to_kafka.close()
        async with bench.open_gate(tmp_path) as gate:
            source = bench.make_source(kafka_server, gate, topics=[topic])
            async with bench.running(source):
                await bench.until(lambda: gate.seen == 1, "handed in")
            (found,) = await bench.events_of(gate.log)
        assert (found.id, found.type, found.aggregate_id) == ("ü %41", "order.placed", "o-1")
        assert json.loads(found.payload) == {"number": 1}

    asyncio.run(scenario())
