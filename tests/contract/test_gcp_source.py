"""Pub/Sub as a source, by the unmodified SDK against the demo server."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from google.pubsub_v1 import PublisherAsyncClient
from google.pubsub_v1.services.publisher import transports

from helios.demo.clouds import pubsub
from helios.drivers.gcp import fetcher, source
from helios.ingest import sources
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.testing import runner_bench as bench
from helios.testing import runner_conformance, steps

pytestmark = pytest.mark.timeout(180)

PROJECT = "demo"
NAME = f"projects/{PROJECT}/subscriptions/helios"


class Place:
    """A topic, a subscription, and a source that fetches from it."""

    module = "helios.drivers.gcp.fetcher"
    poison: Sequence[bytes] = (b"{not json", b'{"a": 1, "a": 2}', b"[" * 200)
    can_replay = True

    def __init__(self, server: pubsub.Server, clock: steps.Steps, publisher: Any) -> None:
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
async def opened(**rules: Any) -> AsyncIterator[Place]:
    """A place; the rules are fields of the API's `Subscription`."""
    clock = steps.Steps()
    async with pubsub.serve(clock) as server:
        server.create(PROJECT, "orders", "helios", **rules)
        channel = grpc.aio.insecure_channel(server.address)
        transport: Any = transports.PublisherGrpcAsyncIOTransport(channel=channel)
        try:
            yield Place(server, clock, PublisherAsyncClient(transport=transport))
        finally:
            await transport.close()


class TestPubSub(runner_conformance.RunnerConformance):
    @pytest.fixture
    def open_place(self) -> runner_conformance.OpenPlace:
        return opened


async def make(place: Place, a_gate: bench.Gate, **given: Any) -> source.PubSubSource:
    options = {**place.declared.options, **given}
    declared = msgspec.structs.replace(place.declared, options=options)
    return source.PubSubSource(bench.tools(declared, a_gate, clock=place.clock))


def numbers(events: Sequence[Any]) -> list[int]:
    return [event.data()["number"] for event in events]


def test_each_ordering_key_keeps_its_order_also_when_the_gate_was_full(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            opened(enable_message_ordering=True) as place,
            bench.open_gate(tmp_path) as a_gate,
        ):
            a_gate.before = bench.overloaded
            for number in range(60):
                body = json.dumps({"number": number}).encode()
                await place.send(body, ordering_key=f"o-{number % 3}")
            runner = await make(place, a_gate, aggregate_type="order", outstanding_max=7)
            async with bench.running(runner):

                def look() -> bool:
                    place.clock.forward(0.2)
                    return a_gate.calls >= 3

                await bench.until(look, "three tries")
                a_gate.before = bench.nothing

                def is_done() -> bool:
                    place.clock.forward(0.2)
                    return a_gate.stored == 60

                await bench.until(is_done, "all of them")
            events = await a_gate.events()
            assert sorted(numbers(events)) == list(range(60))
            for key in range(3):
                mine = [event for event in events if event.aggregate_id == f"o-{key}"]
                assert numbers(mine) == list(range(key, 60, 3))

    asyncio.run(main())


def test_messages_in_work_and_behind_them_are_lent_for_as_long_as_it_takes(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with opened() as place, bench.open_gate(tmp_path) as a_gate:
            queue = place.server.state.broker.subscription(NAME).queue
            released = asyncio.Event()

            async def slow() -> None:
                await released.wait()

            a_gate.before = slow
            await place.publish(range(5))
            async with bench.running(await make(place, a_gate)):
                await bench.until(lambda: a_gate.calls == 1, "in work")
                await place.publish(range(5, 9))
                await bench.until(lambda: _leased(queue) == 9, "lent")
                began = place.clock.monotonic()

                def is_long_past() -> bool:
                    # As fast as the extensions come, and no faster.
                    if int(queue.next_at() or 0) - place.clock.now() > 4 * clocks.SECOND_US:
                        place.clock.forward(1)
                    return place.clock.monotonic() - began > 60

                await bench.until(is_long_past, "six loans")
                released.set()
                await bench.until(lambda: a_gate.stored == 9, "all of them")
            assert a_gate.duplicates == 0
            assert await place.owed() == 0

    asyncio.run(main())


def _leased(queue: Any) -> int:
    return sum(1 for entry in queue._entries.values() if entry.state == "leased")


def test_the_emulator_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with opened() as place, bench.open_gate(tmp_path) as a_gate:
            monkeypatch.setenv("PUBSUB_EMULATOR_HOST", place.server.address)
            await place.publish(range(1))
            async with bench.running(await make(place, a_gate, endpoint=None)):
                await bench.until(lambda: a_gate.stored == 1, "it is found")

    asyncio.run(main())


def test_the_try_is_kept_where_pubsub_counts_them(tmp_path: Path) -> None:
    async def main() -> None:
        policy = {
            "dead_letter_topic": f"projects/{PROJECT}/topics/dead",
            "max_delivery_attempts": 5,
        }
        async with (
            opened(dead_letter_policy=policy) as place,
            bench.open_gate(tmp_path) as a_gate,
        ):
            await place.publish(range(1))
            a_gate.before = bench.forever
            async with bench.running(await make(place, a_gate)):
                await bench.until(lambda: a_gate.calls == 1, "in work")
            a_gate.before = bench.nothing
            async with bench.running(await make(place, a_gate)):
                await bench.until(lambda: a_gate.stored == 1, "again")
            (event,) = await a_gate.events()
            assert json.loads(event.metadata)["attempt"] == 2

    asyncio.run(main())


def test_a_server_that_goes_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        clock = clocks.SystemClock()
        async with bench.open_gate(tmp_path) as a_gate, contextlib.AsyncExitStack() as stack:
            async with opened() as place:
                port = int(place.server.address.rpartition(":")[2])
                runner = await make(place, a_gate)
                await stack.enter_async_context(bench.running(runner))
                await place.publish(range(1))
                await bench.until(lambda: a_gate.stored == 1, "the first")

            async def waits() -> bool:
                place.clock.forward(1)
                return (await runner.status()).state == "waiting"

            await bench.until(waits, "it says that nobody answers")
            async with pubsub.serve(clock, port=port) as server:
                server.create(PROJECT, "orders", "helios")

                async def runs() -> bool:
                    place.clock.forward(1)
                    return (await runner.status()).state == "running"

                await bench.until(runs, "it is back")
                await stack.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("rules", "given", "said"),
    [
        ({}, {"subscription": "other"}, "NotFound"),
        ({"push_config": {"push_endpoint": "https://x.example"}}, {}, "FailedPrecondition"),
    ],
)
def test_what_cannot_be_pulled_from_needs_a_person(
    tmp_path: Path, rules: dict[str, Any], given: dict[str, str], said: str
) -> None:
    async def main() -> None:
        async with opened(**rules) as place, bench.open_gate(tmp_path) as a_gate:
            runner = await make(place, a_gate, **given)

            async def is_so() -> bool:
                found = await runner.status()
                return found.state == "failed" and said in found.detail

            async with bench.running(runner):
                await bench.until(is_so, said)

    asyncio.run(main())


def test_what_cannot_be_replayed_is_declined_with_what_can(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened() as place, bench.open_gate(tmp_path) as a_gate:
            since = sources.Replay(since=clocks.Timestamp(1))
            runner = await make(place, a_gate)
            with pytest.raises(errors.InvalidInputError, match="since a time only"):
                await runner.replay(sources.Replay(ids=("1",)))
            runner = await make(place, a_gate, snapshot="before")
            with pytest.raises(errors.InvalidInputError, match="snapshots are not kept"):
                await runner.replay(since)
            forgetful = "projects/demo/topics/forgetful"
            await place.publisher.create_topic(request={"name": forgetful})
            place.server.create(PROJECT, "forgetful", "forgets")
            runner = await make(place, a_gate, subscription="forgets")
            with pytest.raises(errors.InvalidInputError, match="retain_acked_messages"):
                await runner.replay(since)

    asyncio.run(main())


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"type": "external_account"}'])
def test_a_credential_of_another_kind_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    async def main() -> None:
        async with bench.open_gate(tmp_path) as a_gate:
            given = {"project": PROJECT, "subscription": "helios"}
            declared = sources.Declared(name="gcp", provider="gcp-pubsub-pull", options=given)
            with pytest.raises(errors.InvalidInputError, match="service_account") as caught:
                await fetcher.make(bench.tools(declared, a_gate, {"service_account": text}))
            assert text not in str(caught.value)

    asyncio.run(main())


def test_a_missing_sdk_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with bench.open_gate(tmp_path) as a_gate:
            given = {"project": PROJECT, "subscription": "helios"}
            declared = sources.Declared(name="gcp", provider="gcp-pubsub-pull", options=given)
            monkeypatch.delitem(sys.modules, "helios.drivers.gcp.source")
            monkeypatch.delattr("helios.drivers.gcp.source")
            monkeypatch.setitem(sys.modules, "google.pubsub_v1", None)
            with pytest.raises(errors.StorageError, match=r"helios\[gcp\]"):
                await fetcher.make(bench.tools(declared, a_gate))

    asyncio.run(main())
