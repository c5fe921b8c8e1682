"""Kafka does what everything that fetches has to do, against a real broker."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence

import confluent_kafka
import pytest

from helios.ingest import sources
from helios.testing import kafka_bench, runner_conformance

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


class Place:
    """A topic, a group, and a source that fetches from it."""

    module = "helios.drivers.kafka.fetcher"
    poison: Sequence[bytes] = (b"{not json", b'{"a": 1, "a": 2}', b"[" * 200)
    can_replay = True

    def __init__(self, server: str) -> None:
        self.server = server
        self.topic = kafka_bench.make_topic(server)
        self.group = kafka_bench.fresh("group")
        self.credentials: dict[str, str] = {}
        given = {
            "bootstrap": server,
            "topics": [self.topic],
            "group": self.group,
            "session_s": 6.0,
        }
        self.declared = sources.Declared(name="kafka", provider="kafka", options=given)

    async def publish(self, numbers: range) -> None:
        await self._produce(*(json.dumps({"number": number}).encode() for number in numbers))

    async def publish_raw(self, body: bytes) -> None:
        await self._produce(body)

    async def owed(self) -> int:
        return await asyncio.to_thread(self._owed)

    async def return_loans(self) -> None:
        """The group turns to the next member after `session_s`."""

    async def _produce(self, *bodies: bytes) -> None:
        rows = [{"value": body} for body in bodies]
        await asyncio.to_thread(kafka_bench.produce, self.server, self.topic, rows)

    def _owed(self) -> int:
        place = confluent_kafka.TopicPartition(self.topic, 0)
        reader = confluent_kafka.Consumer(
            {"bootstrap.servers": self.server, "group.id": kafka_bench.fresh("looking")}
        )
        try:
            marks = reader.get_watermark_offsets(place, timeout=kafka_bench.WAIT_S, cached=False)
        finally:
            reader.close()
        assert marks is not None
        done = kafka_bench.committed(self.server, self.group, self.topic).get(0, 0)
        return int(marks[1]) - done


class TestKafka(runner_conformance.RunnerConformance):
    @pytest.fixture
    def open_place(self, kafka_server: str) -> runner_conformance.OpenPlace:
        @contextlib.asynccontextmanager
        async def opened() -> AsyncIterator[Place]:
            yield await asyncio.to_thread(Place, kafka_server)

        return opened
