"""Event Grid namespaces as a source, by the unmodified SDK against the demo server."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid.aio import EventGridPublisherClient

from helios.demo.clouds import drops, eventgrid
from helios.demo.clouds import eventgrid_queue as queues
from helios.drivers.azure import burials, fetcher, source
from helios.ingest import sources
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.testing import runner_bench as bench
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

    def __init__(self, server: eventgrid.Server, clock: steps.Steps, publisher: Any) -> None:
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
async def opened(drop: str = "0", **rules: Any) -> AsyncIterator[Place]:
    """A place; the rules are those of its subscription."""
    clock = steps.Steps()
    async with eventgrid.serve(clock, drop=drops.parse(drop)) as server:
        made = queues.Rules(lock_us=LOCK_S * clocks.SECOND_US, **rules)
        server.create_subscription("orders", "helios", made)
        key = AzureKeyCredential(server.key)
        async with EventGridPublisherClient(server.url, key, namespace_topic="orders") as publisher:
            yield Place(server, clock, publisher)


class TestEventGrid(runner_conformance.RunnerConformance):
    @pytest.fixture
    def open_place(self) -> runner_conformance.OpenPlace:
        return opened


async def make(
    place: Place,
    a_gate: bench.Gate,
    *,
    credentials: Mapping[str, str] | None = None,
    client: Any = None,
    **given: Any,
) -> source.EventGridSource:
    options = {**place.declared.options, **given}
    declared = msgspec.structs.replace(place.declared, options=options)
    keys = place.credentials if credentials is None else credentials
    return source.EventGridSource(bench.tools(declared, a_gate, keys, client, place.clock))


def test_locks_are_renewed_for_as_long_as_the_work_takes(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(attempts_max=2) as place, bench.open_gate(tmp_path) as a_gate:
            queue = place.server.state.queue("orders", "helios")
            released = asyncio.Event()

            async def slow() -> None:
                await released.wait()

            a_gate.before = slow
            await place.publish(range(5))
            async with bench.running(await make(place, a_gate)):
                await bench.until(lambda: a_gate.calls == 1, "in work")
                began = place.clock.monotonic()

                def is_long_past() -> bool:
                    # As fast as the renewals come, and no faster.
                    if int(queue._due.next_at() or 0) - place.clock.now() > 4 * clocks.SECOND_US:
                        place.clock.forward(1)
                    return place.clock.monotonic() - began > 6 * LOCK_S

                await bench.until(is_long_past, "six times the lock")
                released.set()
                await bench.until(lambda: a_gate.stored == 5, "all of them")
                await bench.until(lambda: queue.owed == 0, "acknowledged")
            assert a_gate.duplicates == 0
            assert place.server.state.blobs == {}

    asyncio.run(main())


def test_poison_is_rejected_so_that_event_grid_knows_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened() as place, bench.open_gate(tmp_path) as a_gate:
            await place.publish(range(1))
            await place.publish_raw(place.poison[0])
            async with bench.running(await make(place, a_gate)):
                await bench.until(lambda: a_gate.seen == 2, "both")
                await bench.until(lambda: len(place.server.state.blobs) == 1, "rejected")
            (blob,) = place.server.state.blobs.values()
            told = json.loads(blob.body)["deadletterProperties"]
            assert told["deadletterreason"] == "Event was rejected by the client."
            (letter,) = await a_gate.letters()
            assert letter["reason"] == "invalid_cloudevent"

    asyncio.run(main())


def test_a_replay_brings_what_event_grid_gave_up_since_a_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            opened(drop="1/3") as place,
            bench.open_gate(tmp_path) as a_gate,
            bench.outbound_client("127.0.0.1") as client,
        ):
            place.server.create_subscription("other", "helios")
            place.server.state.publish("other", [GOOD] * 3)
            await place.publish(range(9))
            place.clock.forward(3600)
            await place.publish(range(9, 18))
            url = place.server.dead_letters_url
            runner = await make(place, a_gate, client=client, dead_letters_url=url)
            async with bench.running(runner):
                await bench.until(lambda: a_gate.stored == 12, "what was not dropped")
            since = clocks.Timestamp(place.clock.now() - 1800 * clocks.SECOND_US)
            recent = await runner.replay(sources.Replay(since=since))
            assert recent == sources.Replayed(fetched=3, stored=3)
            everything = sources.Replay(since=clocks.Timestamp(1))
            done = await runner.replay(everything)
            assert done == sources.Replayed(fetched=6, stored=3, duplicates=3)
            events = await a_gate.events()
            assert sorted(event.data()["number"] for event in events) == list(range(18))

    asyncio.run(main())


def test_what_cannot_be_replayed_is_declined_with_what_can(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            opened() as place,
            bench.open_gate(tmp_path) as a_gate,
            bench.outbound_client("127.0.0.1") as client,
        ):
            since = sources.Replay(since=clocks.Timestamp(1))
            runner = await make(place, a_gate)
            with pytest.raises(errors.InvalidInputError, match="dead_letters_url"):
                await runner.replay(since)
            with pytest.raises(errors.InvalidInputError, match="since a time only"):
                await runner.replay(sources.Replay(ids=("1",)))
            wrong = f"{place.server.url}/nothing"
            runner = await make(place, a_gate, client=client, dead_letters_url=wrong)
            with pytest.raises(errors.InvalidInputError, match="404"):
                await runner.replay(since)
            with pytest.raises(errors.InvalidInputError, match="dead_letters_sas"):
                await make(place, a_gate, dead_letters_url=f"{wrong}?sig=secret")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "keys", "said"),
    [
        ({"subscription": "other"}, None, "404"),
        ({}, {"access_key": "d3Jvbmc="}, "401"),
    ],
)
def test_what_cannot_be_pulled_from_needs_a_person_and_no_key_is_shown(
    tmp_path: Path, given: dict[str, str], keys: dict[str, str] | None, said: str
) -> None:
    async def main() -> None:
        async with opened() as place, bench.open_gate(tmp_path) as a_gate:
            runner = await make(place, a_gate, credentials=keys, **given)

            async def is_so() -> bool:
                found = await runner.status()
                return found.state == "failed" and said in found.detail

            async with bench.running(runner):
                await bench.until(is_so, said)
                detail = (await runner.status()).detail
            for value in runner.tools.source.credentials.values():
                assert value.text not in detail

    asyncio.run(main())


def test_a_server_that_does_not_answer_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened() as place, bench.open_gate(tmp_path) as a_gate:
            runner = await make(place, a_gate, endpoint="http://127.0.0.1:9")

            async def waits() -> bool:
                return (await runner.status()).state == "waiting"

            async with bench.running(runner):
                await bench.until(waits, "nobody answers")

    asyncio.run(main())


def test_every_page_of_the_dead_letters_is_read(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            opened(drop="1/1") as place,
            bench.outbound_client("127.0.0.1") as client,
            httpx.AsyncClient(trust_env=False) as browser,
        ):
            await place.publish(range(5))
            url = f"{place.server.dead_letters_url}?maxresults=2"
            page = (await browser.get(url)).content
            found, marker = burials.listed(page)
            assert (len(found), bool(marker)) == (2, True)
            container = burials.Container(client, place.server.dead_letters_url, sas="maxresults=2")
            names = [blob.name async for blob in container.blobs()]
            assert sorted(names) == sorted(place.server.state.blobs)
            assert len(names) == 5

    asyncio.run(main())


@pytest.mark.parametrize(
    "page",
    [b"", b"<Other/", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x/>", b"<r><Blobs><Blob/></Blobs></r>"],
)
def test_a_list_in_another_form_is_our_trouble(page: bytes) -> None:
    with pytest.raises(errors.StorageError):
        burials.listed(page)


def test_half_of_entra_and_a_missing_sdk_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with bench.open_gate(tmp_path) as a_gate:
            given = {
                "endpoint": "https://shop.westeurope-1.eventgrid.azure.net",
                "topic": "orders",
                "subscription": "helios",
            }
            declared = sources.Declared(
                name="azure", provider="azure-eventgrid-pull", options=given
            )
            half = bench.tools(declared, a_gate, {"client_id": "id", "client_secret": "key"})
            with pytest.raises(errors.InvalidInputError, match="tenant_id"):
                await fetcher.make(half)
            monkeypatch.delitem(sys.modules, "helios.drivers.azure.source")
            monkeypatch.delattr("helios.drivers.azure.source")
            monkeypatch.setitem(sys.modules, "azure.eventgrid.aio", None)
            with pytest.raises(errors.StorageError, match=r"helios\[azure\]"):
                await fetcher.make(bench.tools(declared, a_gate))

    asyncio.run(main())
