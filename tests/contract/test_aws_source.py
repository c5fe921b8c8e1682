"""SQS as a source, against moto by the unmodified SDK: EventBridge, SNS, S3, JSON, replays."""

import asyncio
import contextlib
import functools
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aioboto3
import msgspec
import pytest
from anyio import from_thread

from helios.demo.clouds import aws
from helios.drivers.aws import fetcher, options, source
from helios.ingest import lending, sources
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.testing import runner_bench as bench
from helios.testing import runner_conformance

pytestmark = pytest.mark.timeout(180)

KEYS = {"access_key_id": "demo", "secret_access_key": "demo"}


class Place:
    """A bus, its queue, and a source that fetches from it."""

    module = "helios.drivers.aws.fetcher"
    credentials = KEYS
    poison: Sequence[bytes] = (b"{not json", b'{"a": 1, "a": 2}', b"plain words", b"[" * 200)
    can_replay = True

    def __init__(self, server: aws.Server, made: aws.Topic, events: Any, sqs: Any) -> None:
        self.made = made
        self.url = server.url
        self.events = events
        self.sqs = sqs
        given = {
            "queue_url": self.made.queue_url,
            "region": "us-east-1",
            "endpoint_url": server.url,
            "archive_arn": self.made.archive_arn,
            "wait_s": 1,
            "lease_s": 4,
        }
        self.declared = sources.Declared(name="aws", provider="aws-sqs", options=given)

    async def publish(self, numbers: range) -> None:
        entry = {"Source": "shop", "DetailType": "order.placed", "EventBusName": self.made.topic}
        entries = [{**entry, "Detail": json.dumps({"number": number})} for number in numbers]
        for begin in range(0, len(entries), 10):
            await self.events.put_events(Entries=entries[begin : begin + 10])

    async def publish_raw(self, body: bytes) -> None:
        await self.sqs.send_message(QueueUrl=self.made.queue_url, MessageBody=body.decode())

    async def owed(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = await self.sqs.get_queue_attributes(
            QueueUrl=self.made.queue_url, AttributeNames=names
        )
        return sum(int(told["Attributes"][name]) for name in names)

    async def return_loans(self) -> None:
        """Loans end by themselves after `lease_s`."""


@contextlib.asynccontextmanager
async def clients(url: str, *services: str) -> AsyncIterator[list[Any]]:
    """Clients of the SDK."""
    session = aioboto3.Session(
        aws_access_key_id="demo", aws_secret_access_key="demo", region_name="us-east-1"
    )
    async with contextlib.AsyncExitStack() as stack:
        made = (session.client(name, endpoint_url=url) for name in services)
        yield [await stack.enter_async_context(each) for each in made]


@contextlib.asynccontextmanager
async def opened(server: aws.Server, made: aws.Topic) -> AsyncIterator[Place]:
    async with clients(server.url, "events", "sqs") as (events, sqs):
        yield Place(server, made, events, sqs)


Fresh = Callable[[], contextlib.AbstractAsyncContextManager[Place]]


@pytest.fixture(scope="module")
def topics() -> Iterator[Iterator[tuple[aws.Server, aws.Topic]]]:
    """Topics of one server, which takes its time to start."""
    names = [f"orders-{number}" for number in range(30)]
    with (
        from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(aws.serve(topics=names)) as server,
    ):
        yield ((server, made) for made in server.topics)


@pytest.fixture
def fresh(topics: Iterator[tuple[aws.Server, aws.Topic]]) -> Fresh:
    """Opens a place with nothing in it."""
    return functools.partial(opened, *next(topics))


class TestSqs(runner_conformance.RunnerConformance):
    @pytest.fixture
    def open_place(self, fresh: Fresh) -> runner_conformance.OpenPlace:
        return fresh


async def make(place: Place, a_gate: bench.Gate, **given: Any) -> source.SqsSource:
    declared = msgspec.structs.replace(place.declared, options={**place.declared.options, **given})
    return source.SqsSource(bench.tools(declared, a_gate, KEYS))


def test_what_sns_and_s3_put_into_a_queue_arrives(fresh: Fresh, tmp_path: Path) -> None:
    async def main() -> None:
        async with fresh() as place, bench.open_gate(tmp_path) as a_gate:
            arn = f"arn:aws:sqs:us-east-1:123456789012:helios-{place.made.topic}"
            async with clients(place.url, "sns", "s3") as (sns, s3):
                topic = (await sns.create_topic(Name="orders"))["TopicArn"]
                await sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
                await sns.publish(TopicArn=topic, Message='{"number": 1}')
                await s3.create_bucket(Bucket="shop")
                to_queue = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
                await s3.put_bucket_notification_configuration(
                    Bucket="shop", NotificationConfiguration={"QueueConfigurations": [to_queue]}
                )
                await s3.put_object(Bucket="shop", Key="orders/1.json", Body=b"{}")
            async with bench.running(await make(place, a_gate)):
                await bench.until(lambda: a_gate.stored == 2, "both")
            kinds = {event.type for event in await a_gate.events()}
            assert kinds == {"Notification", "s3:ObjectCreated:Put"}

    asyncio.run(main())


def test_an_event_that_comes_twice_under_other_message_ids_is_one_event(
    fresh: Fresh, tmp_path: Path
) -> None:
    envelope = {
        "version": "0", "id": "e-1", "detail-type": "order.placed", "source": "shop",
        "time": "2026-01-02T03:04:05Z", "detail": {"number": 1},
    }  # fmt: skip

    async def main() -> None:
        async with fresh() as place, bench.open_gate(tmp_path) as a_gate:
            for _ in range(3):
                await place.publish_raw(json.dumps(envelope).encode())
            async with bench.running(await make(place, a_gate)):
                await bench.until(lambda: a_gate.stored + a_gate.duplicates == 3, "all three")
            assert (a_gate.stored, a_gate.duplicates) == (1, 2)

    asyncio.run(main())


def test_the_lag_is_told_also_while_it_is_paused(fresh: Fresh, tmp_path: Path) -> None:
    async def main() -> None:
        async with fresh() as place, bench.open_gate(tmp_path) as a_gate:
            await place.publish(range(12))
            runner = await make(place, a_gate)
            runner.pause()

            async def lag_is(expected: int) -> bool:
                return (await runner.status()).lag == expected

            async with bench.running(runner):
                await bench.until(lambda: lag_is(12), "twelve wait")
                assert (await runner.status()).state == "paused"
                runner.resume()
                await bench.until(lambda: a_gate.stored == 12, "all of them")
                await bench.until(lambda: lag_is(0), "none waits")
                assert (await runner.status()).lag_s == 0.0

    asyncio.run(main())


def test_a_replay_empties_the_queue_of_dead_letters(fresh: Fresh, tmp_path: Path) -> None:
    async def main() -> None:
        async with fresh() as place, bench.open_gate(tmp_path) as a_gate:
            dead = place.made.dead_letter_queue_url
            for number in range(13):
                envelope = {
                    "id": f"e-{number}", "detail-type": "order.placed", "source": "shop",
                    "time": "2026-01-02T03:04:05Z", "detail": {"number": number},
                }  # fmt: skip
                await place.sqs.send_message(QueueUrl=dead, MessageBody=json.dumps(envelope))
            runner = await make(place, a_gate, archive_arn=None, dead_letter_queue_url=dead)
            since = sources.Replay(since=clocks.Timestamp(1))
            assert await runner.replay(since) == sources.Replayed(fetched=13, stored=13)
            assert await runner.replay(since) == sources.Replayed()

    asyncio.run(main())


def test_what_cannot_be_replayed_is_declined_with_what_can(fresh: Fresh, tmp_path: Path) -> None:
    async def main() -> None:
        async with fresh() as place, bench.open_gate(tmp_path) as a_gate:
            runner = await make(place, a_gate)
            with pytest.raises(errors.InvalidInputError, match="since a time only"):
                await runner.replay(sources.Replay(ids=("e-1",)))
            later = clocks.Timestamp(clocks.SystemClock().now() + 3600 * clocks.SECOND_US)
            with pytest.raises(errors.InvalidInputError, match="future"):
                await runner.replay(sources.Replay(since=later))
            runner = await make(place, a_gate, archive_arn=None)
            with pytest.raises(errors.InvalidInputError, match="archive_arn"):
                await runner.replay(sources.Replay(since=clocks.Timestamp(1)))
            other = f"{place.made.archive_arn}-other"
            runner = await make(place, a_gate, archive_arn=other)
            with pytest.raises(errors.InvalidInputError, match="ResourceNotFound"):
                await runner.replay(sources.Replay(since=clocks.Timestamp(1)))

    asyncio.run(main())


def test_a_queue_that_is_not_there_needs_a_person_and_an_address_without_answer_time(
    fresh: Fresh, tmp_path: Path
) -> None:
    async def main() -> None:
        async with fresh() as place, bench.open_gate(tmp_path) as a_gate:
            wrong = {
                "failed": {"queue_url": f"{place.made.queue_url}-other"},
                "waiting": {"endpoint_url": "http://127.0.0.1:9"},
            }
            for state, given in wrong.items():
                runner = await make(place, a_gate, **given)

                async def is_so(runner: source.SqsSource = runner, state: str = state) -> bool:
                    return (await runner.status()).state == state

                async with bench.running(runner):
                    await bench.until(is_so, state)
                    assert (await runner.status()).detail.startswith("AWS: ")

    asyncio.run(main())


def test_no_address_is_called_that_the_policy_does_not_allow(tmp_path: Path) -> None:
    async def main() -> None:
        async with bench.open_gate(tmp_path) as a_gate, bench.outbound_client("") as client:
            given = {
                "queue_url": "http://127.0.0.1:9/1/q",
                "region": "us-east-1",
                "endpoint_url": "http://169.254.169.254",
            }
            declared = sources.Declared(name="aws", provider="aws-sqs", options=given)
            runner = source.SqsSource(bench.tools(declared, a_gate, KEYS, client))

            async def is_refused() -> bool:
                found = await runner.status()
                return found.state == "waiting" and "169.254" in found.detail

            async with bench.running(runner):
                await bench.until(is_refused, "it is refused")

    asyncio.run(main())


def test_half_a_credential_and_a_missing_sdk_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with bench.open_gate(tmp_path) as a_gate:
            given = {"queue_url": "https://sqs.eu-central-1.amazonaws.com/1/orders"}
            declared = sources.Declared(name="aws", provider="aws-sqs", options=given)
            half = bench.tools(declared, a_gate, {"access_key_id": "demo"})
            with pytest.raises(errors.InvalidInputError, match="belong together"):
                await fetcher.make(half)
            monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
            with pytest.raises(errors.StorageError, match=r"helios\[aws\]"):
                await fetcher.make(bench.tools(declared, a_gate))

    asyncio.run(main())


def test_a_message_that_is_lent_no_more_does_not_keep_others_from_being_deleted(
    fresh: Fresh,
) -> None:
    async def main() -> None:
        async with fresh() as place:
            await place.publish(range(3))
            wanted = options.parse(place.declared.options)
            queue = source.SqsQueue(place.sqs, place.made.queue_url, wanted)
            found = list(await queue.receive())
            assert len(found) == 3
            found[1] = msgspec.structs.replace(found[1], handle="no such loan")
            await queue.acknowledge(found)
            assert await place.owed() == 1

    asyncio.run(main())


class Stubborn:
    """A client of SQS that deletes one message for each call, as a service in trouble might."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    async def delete_message_batch(self, **given: Any) -> dict[str, Any]:
        first, *others = given["Entries"]
        self.deleted.append(first["ReceiptHandle"])
        return {"Failed": [{"Id": each["Id"], "SenderFault": False} for each in others]}


def test_what_sqs_fails_to_delete_is_deleted_again_and_then_told() -> None:
    async def main() -> None:
        wanted = options.parse({"queue_url": "https://sqs.eu-central-1.amazonaws.com/1/orders"})
        client = Stubborn()
        queue = source.SqsQueue(client, wanted.queue_url, wanted)
        fetched = sources.Fetched(origin="", body=b"", received=())
        lent = [lending.Message(handle=name, fetched=fetched) for name in "abcd"]
        await queue.acknowledge(lent[:3])
        assert client.deleted == ["a", "b", "c"]
        with pytest.raises(errors.StorageError, match="does not delete 1 messages"):
            await queue.acknowledge(lent)

    asyncio.run(main())
