"""Dead letters of queues and topics: mended, read once more, taken once."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from helios.drivers.aws import fetcher as aws
from helios.drivers.azure import fetcher as azure
from helios.drivers.gcp import fetcher as gcp
from helios.drivers.gcp import options as gcp_options
from helios.drivers.kafka import fetcher as kafka
from helios.drivers.kafka import records
from helios.eventlog import envelope
from helios.ingest import retrying, sources
from helios.kernel import errors, ids
from helios.providers import ports
from helios.testing import gate_bench as kit

QUEUE = sources.Declared(name="orders", provider="aws-sqs")
ENVELOPE = {
    "version": "0",
    "id": "17b35761-b955-406c-bb92-e51ad58b564c",
    "detail-type": "order.placed",
    "source": "shop",
    "account": "1",
    "time": "2026-01-02T03:04:05Z",
    "region": "eu-central-1",
    "resources": [],
    "detail": {"number": 7},
}
GOOD = json.dumps(ENVELOPE).encode()
EVENT = b'{"specversion":"1.0","id":"e-1","source":"/shop","type":"order.placed","data":{"n":1}}'


class OneQueue:
    """Knows one source that is fetched."""

    def __init__(self, again: sources.Again | None) -> None:
        options = aws.Options(queue_url="https://sqs.eu-central-1.amazonaws.com/1/orders")
        self.found = sources.Fetching(declared=QUEUE, options=options, again=again)

    async def find_any(self, client_id: str, name: str) -> sources.Fetching | None:
        return self.found if (client_id, name) == ("default", "orders") else None


def run(
    again: sources.Again | None,
    scenario: Callable[[kit.Place, retrying.Desk, retrying.Letter], Awaitable[None]],
    received: Any = None,
    body: bytes = b'{"broken',
) -> None:
    async def main() -> None:
        async with kit.place() as place:
            desk = retrying.Desk(
                OneQueue(again),
                place.gate,
                place.gateway,
                place.log,
                clock=place.clock,
                id_source=ids.Uuid7Ids(place.clock),
            )
            dead = received or ports.UnprocessableError("invalid_json", "no")
            fetched = sources.Fetched(origin="https://q/1/orders/m-1", body=body, received=dead)
            (outcome,) = await place.gate.admit(QUEUE, [fetched])
            assert outcome.results == ("dead",)
            letter = await desk.read(envelope.Position(outcome.position), None)
            await scenario(place, desk, letter)

    asyncio.run(main())


def test_a_message_that_was_mended_is_read_once_more_and_taken_once() -> None:
    async def scenario(place: kit.Place, desk: retrying.Desk, letter: retrying.Letter) -> None:
        still = await desk.retry(letter, actor="user:a")
        assert still.outcome.result == "dead"
        at = await desk.edit("default", letter.id, GOOD, note="", actor="user:a")
        mended = await desk.read(envelope.Position(1), at)
        for result in ("stored", "duplicate"):
            done = await desk.retry(mended, actor="user:a")
            assert done.outcome.result == result
        (event,) = await place.events()
        assert (event.id, event.type, event.source) == (ENVELOPE["id"], "order.placed", "orders")

    run(aws.again, scenario)


def test_an_event_that_a_schema_refused_is_tried_again_though_there_is_no_door() -> None:
    declared = {"order.placed": {"type": "object", "required": ["total"]}}

    async def scenario(place: kit.Place, desk: retrying.Desk, letter: retrying.Letter) -> None:
        desk._known.found = sources.Fetching(  # type: ignore[attr-defined]
            declared=sources.Declared(name="orders", provider="aws-sqs"), options=None, again=None
        )
        assert (await desk.retry(letter, actor="user:a")).outcome.result == "stored"

    strict = sources.Declared(name="orders", provider="aws-sqs", schemas=declared)
    received = aws.again(
        aws.Options(queue_url="https://sqs.eu-central-1.amazonaws.com/1/orders"),
        "https://q/1/orders/m-1",
        (),
        GOOD,
    )

    async def main() -> None:
        async with kit.place() as place:
            desk = retrying.Desk(
                OneQueue(None),
                place.gate,
                place.gateway,
                place.log,
                clock=place.clock,
                id_source=ids.Uuid7Ids(place.clock),
            )
            fetched = sources.Fetched(origin="q/m-1", body=GOOD, received=received)
            (outcome,) = await place.gate.admit(strict, [fetched])
            assert outcome.results == ("dead",)
            letter = await desk.read(envelope.Position(outcome.position), None)
            await scenario(place, desk, letter)

    asyncio.run(main())


def test_what_nothing_can_read_again_says_what_to_do() -> None:
    async def scenario(_: kit.Place, desk: retrying.Desk, letter: retrying.Letter) -> None:
        with pytest.raises(errors.ConflictError, match="helios sources replay"):
            await desk.retry(letter, actor="user:a")

    run(None, scenario)


def _names(received: Sequence[ports.Received] | ports.UnprocessableError) -> list[Any]:
    assert not isinstance(received, ports.UnprocessableError), received.detail
    return [(one.id, one.type, one.payload) for one in received]


def test_every_queue_reads_again_as_it_read_first() -> None:
    pubsub = gcp_options.parse({"project": "demo", "subscription": "helios"})
    topic = kafka.Options(bootstrap="k:9092", topics=("orders",))
    record = records.Record(
        topic="orders",
        partition=3,
        offset=41,
        key=b"ORD-1",
        value=b'{"n":1}',
        headers=(
            ("ce_specversion", b"1.0"),
            ("ce_id", b"e-1"),
            ("ce_source", b"/shop"),
            ("ce_type", b"order.placed"),
            ("content-type", b"application/json"),
        ),
        timestamp_ms=1_767_323_045_000,
    )
    fetched = records.read(record, topic)

    from_kafka = kafka.again(topic, fetched.origin, fetched.headers, fetched.body)
    from_pubsub = gcp.again(pubsub, "projects/p/subscriptions/s/m-1", (), EVENT)
    from_azure = azure.again(None, "orders/helios/e-1", (), EVENT)  # type: ignore[arg-type]

    assert _names(from_kafka) == _names(fetched.received)
    assert _names(from_pubsub) == _names(from_azure) == [("e-1", "order.placed", b'{"n":1}')]
