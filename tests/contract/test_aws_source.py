"""SQS as a source, against moto by the unmodified SDK: EventBridge, SNS, S3, JSON, replays."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aioboto3
import pytest

from helios.demo.clouds import aws
from helios.ingest import sources
from helios.testing import runner_conformance

pytestmark = pytest.mark.timeout(180)

KEYS = {"access_key_id": "demo", "secret_access_key": "demo"}


class Place:
    """A bus, its queue, and a source that fetches from it."""

    module = "helios.drivers.aws.fetcher"
    credentials = KEYS
    poison: Sequence[bytes] = (b"{not json", b'{"a": 1, "a": 2}', b"plain words", b"[" * 200)
    can_replay = True

    def __init__(self, server: aws.Server, events: Any, sqs: Any, **options: Any) -> None:
        self.made = server.topics[0]
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
            **options,
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
async def opened(**options: Any) -> AsyncIterator[Place]:
    session = aioboto3.Session(
        aws_access_key_id="demo", aws_secret_access_key="demo", region_name="us-east-1"
    )
    async with (
        aws.serve() as server,
        session.client("events", endpoint_url=server.url) as events,
        session.client("sqs", endpoint_url=server.url) as sqs,
    ):
        yield Place(server, events, sqs, **options)


class TestSqs(runner_conformance.RunnerConformance):
    @pytest.fixture
    def open_place(self) -> runner_conformance.OpenPlace:
        return opened
