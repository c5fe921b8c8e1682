"""Pub/Sub as a source, by the unmodified SDK against the demo server."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest
from google.pubsub_v1 import PublisherAsyncClient
from google.pubsub_v1.services.publisher import transports

from helios.demo.clouds import pubsub
from helios.ingest import sources
from helios.testing import runner_conformance, steps

pytestmark = pytest.mark.timeout(180)

PROJECT = "demo"
NAME = f"projects/{PROJECT}/subscriptions/helios"


class Place:
    """A topic, a subscription, and a source that fetches from it."""

    module = "helios.drivers.gcp.fetcher"
    poison: Sequence[bytes] = (b"{not json", b'{"a": 1, "a": 2}', b"[" * 200)
    can_replay = True

    def __init__(
        self, server: pubsub.Server, clock: steps.Steps, publisher: Any, **options: Any
    ) -> None:
        self.server = server
        self.clock = clock
        self.publisher = publisher
        self.topic = f"projects/{PROJECT}/topics/orders"
        self.credentials: dict[str, str] = {}
        given = {
            "project": PROJECT,
            "subscription": "helios",
            "endpoint": server.address,
            "lease_s": 10,
            **options,
        }
        self.declared = sources.Declared(name="gcp", provider="gcp-pubsub-pull", options=given)

    async def publish(self, numbers: range, **given: Any) -> list[str]:
        bodies = [json.dumps({"number": number}).encode() for number in numbers]
        return await self.send(*bodies, attributes={"type": "order.placed"}, **given)

    async def publish_raw(self, body: bytes) -> None:
        await self.send(body)

    async def send(self, *bodies: bytes, **given: Any) -> list[str]:
        """Publish messages of these bodies; returns their ids."""
        wanted = [{"data": body, **given} for body in bodies]
        request = {"topic": self.topic, "messages": wanted}
        return list((await self.publisher.publish(request=request)).message_ids)

    async def owed(self) -> int:
        owed: int = self.server.state.broker.subscription(NAME).queue.owed
        return owed

    async def return_loans(self) -> None:
        self.clock.forward(11)


@contextlib.asynccontextmanager
async def opened(rules: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[Place]:
    clock = steps.Steps()
    async with pubsub.serve(clock) as server:
        server.create(PROJECT, "orders", "helios", **(rules or {}))
        channel = grpc.aio.insecure_channel(server.address)
        transport: Any = transports.PublisherGrpcAsyncIOTransport(channel=channel)
        try:
            yield Place(server, clock, PublisherAsyncClient(transport=transport), **options)
        finally:
            await transport.close()


class TestPubSub(runner_conformance.RunnerConformance):
    @pytest.fixture
    def open_place(self) -> runner_conformance.OpenPlace:
        return opened
