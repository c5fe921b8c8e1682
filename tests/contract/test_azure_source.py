"""Event Grid namespaces as a source, by the unmodified SDK against the demo server."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid.aio import EventGridPublisherClient

from helios.demo.clouds import eventgrid
from helios.demo.clouds import eventgrid_queue as queues
from helios.ingest import sources
from helios.kernel import clock as clocks
from helios.testing import runner_conformance, steps

pytestmark = pytest.mark.timeout(180)

LOCK_S = 10
GOOD = {"specversion": "1.0", "id": "p", "source": "/shop", "type": "order.placed"}


class Place:
    """A topic, a subscription, and a source that fetches from it."""

    module = "helios.drivers.azure.fetcher"
    poison: Sequence[bytes] = (
        json.dumps({**GOOD, "time": "yesterday"}).encode(),
        json.dumps({**GOOD, "id": "q", "Bad-Name": 1}).encode(),
    )
    can_replay = False

    def __init__(
        self, server: eventgrid.Server, clock: steps.Steps, publisher: Any, **options: Any
    ) -> None:
        self.server = server
        self.clock = clock
        self.publisher = publisher
        self.credentials = {"access_key": server.key}
        given = {
            "endpoint": server.url,
            "topic": "orders",
            "subscription": "helios",
            "wait_s": 10,
            "lease_s": LOCK_S,
            **options,
        }
        self.declared = sources.Declared(
            name="azure", provider="azure-eventgrid-pull", options=given
        )

    async def publish(self, numbers: range) -> None:
        await self.publisher.send(
            [
                CloudEvent(source="/shop", type="order.placed", id=f"e-{n}", data={"number": n})
                for n in numbers
            ]
        )

    async def publish_raw(self, body: bytes) -> None:
        self.server.state.publish("orders", [json.loads(body)])

    async def owed(self) -> int:
        return self.server.state.queue("orders", "helios").owed

    async def return_loans(self) -> None:
        self.clock.forward(LOCK_S + 1)


@contextlib.asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[Place]:
    clock = steps.Steps()
    async with eventgrid.serve(clock) as server:
        rules = queues.Rules(lock_us=LOCK_S * clocks.SECOND_US)
        server.create_subscription("orders", "helios", rules)
        key = AzureKeyCredential(server.key)
        async with EventGridPublisherClient(server.url, key, namespace_topic="orders") as publisher:
            yield Place(server, clock, publisher, **options)


class TestEventGrid(runner_conformance.RunnerConformance):
    @pytest.fixture
    def open_place(self) -> runner_conformance.OpenPlace:
        return opened
