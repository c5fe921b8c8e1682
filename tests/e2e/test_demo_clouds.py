"""`helios demo-clouds`, and AWS as its unmodified SDK sees it."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import aioboto3
import httpx
import msgspec
import pytest

from helios.demo.clouds import aws, drops
from helios.kernel import errors

START_S = 60


def _entries(count: int) -> list[dict[str, str]]:
    entry = {"Source": "shop", "DetailType": "order.placed", "EventBusName": "orders"}
    return [{**entry, "Detail": f'{{"n": {number}}}'} for number in range(count)]


class Amazon:
    """The clients that the tests need, on one server."""

    def __init__(self, server: aws.Server, events: Any, sqs: Any) -> None:
        self.made = server.topics[0]
        self.events = events
        self.sqs = sqs

    async def received(self) -> list[Any]:
        """Bodies of all that is in the queue, which is empty afterwards."""
        bodies: list[Any] = []
        queue = self.made.queue_url
        while True:
            got = await self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
            if not got.get("Messages"):
                return bodies
            for message in got["Messages"]:
                bodies.append(msgspec.json.decode(message["Body"]))
                handle = message["ReceiptHandle"]
                await self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)


async def _on_aws(work: Any, *, drop: str = "0") -> None:
    session = aioboto3.Session(
        aws_access_key_id="demo", aws_secret_access_key="demo", region_name="us-east-1"
    )
    async with (
        aws.serve(drop=drops.parse(drop)) as server,
        session.client("events", endpoint_url=server.url) as events,
        session.client("sqs", endpoint_url=server.url) as sqs,
    ):
        await work(Amazon(server, events, sqs), server)


def test_eventbridge_brings_events_whole_to_the_queue() -> None:
    async def work(amazon: Amazon, _server: aws.Server) -> None:
        put = await amazon.events.put_events(Entries=_entries(3))
        got = await amazon.received()
        assert [event["id"] for event in got] == [entry["EventId"] for entry in put["Entries"]]
        assert [event["detail"] for event in got] == [{"n": 0}, {"n": 1}, {"n": 2}]
        needed = {"version", "id", "detail-type", "source", "account", "time", "region"}
        assert needed | {"resources", "detail"} == set(got[0])

    asyncio.run(_on_aws(work))


def test_a_replay_brings_dropped_events_and_keeps_the_ids_of_all() -> None:
    async def work(amazon: Amazon, server: aws.Server) -> None:
        put = await amazon.events.put_events(Entries=_entries(9))
        ids = [entry["EventId"] for entry in put["Entries"]]
        assert [event["id"] for event in await amazon.received()] == [
            event_id for place, event_id in enumerate(ids, 1) if place % 3
        ]
        async with httpx.AsyncClient(trust_env=False) as client:
            told = (await client.get(server.url + drops.PATH)).json()
        assert [dropped["id"] for dropped in told] == ids[2::3]
        now = datetime.now(UTC)
        ranges = {"now": (now - timedelta(hours=1), now), "before": (now - timedelta(hours=2),) * 2}
        for name, (begin, end) in ranges.items():
            await amazon.events.start_replay(
                ReplayName=name,
                EventSourceArn=amazon.made.archive_arn,
                EventStartTime=begin,
                EventEndTime=end,
                Destination={"Arn": amazon.made.bus_arn},
            )
        again = await amazon.received()
        assert [event["id"] for event in again] == ids
        assert {event["replay-name"] for event in again} == {"now"}

    asyncio.run(_on_aws(work, drop="1/3"))


def test_a_port_in_use_is_named(serving: ModuleType, tmp_path: Path) -> None:
    async def main() -> None:
        async with aws.serve() as server:
            port = int(server.url.rsplit(":", 1)[1])
            with pytest.raises(errors.StorageError, match=str(port)):
                async with aws.serve(port=port):
                    pass
            arguments = ["demo-clouds", "--only", "aws", "--port-base", str(port)]
            ended = await asyncio.to_thread(serving.command, *arguments, cwd=tmp_path)
            assert ended.returncode == 2
            assert str(port) in ended.stderr

    asyncio.run(main())


def test_it_is_told_when_the_process_behind_it_ends() -> None:
    async def main() -> None:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        async with aws.serve(ended=ended) as server:
            os.kill(server.pid, signal.SIGKILL)
            async with asyncio.timeout(START_S):
                await ended

    asyncio.run(main())


@pytest.fixture
def running(serving: ModuleType, tmp_path: Path) -> "Iterator[subprocess.Popen[str]]":
    """The command with all three clouds on free ports."""
    arguments = ["demo-clouds", "--port-base", "0", "--drop", "1/2", "-o", "json"]
    process = subprocess.Popen(
        [*serving.COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=serving.environment(),
        cwd=tmp_path,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _told(process: "subprocess.Popen[str]") -> list[Any]:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "]\n":
            break
    found: list[Any] = msgspec.json.decode(text)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_lines_that_are_printed_publish_events_and_a_signal_ends_it(
    running: "subprocess.Popen[str]", number: signal.Signals, serving: ModuleType, tmp_path: Path
) -> None:
    found = _told(running)
    assert [cloud["name"] for cloud in found] == ["aws", "gcp", "azure"]
    python = Path(serving.COMMAND[0])
    environment = {**serving.environment(), "PATH": f"{python.parent}:/usr/bin:/bin"}
    for cloud in found:
        assert httpx.get(cloud["health"], trust_env=False).json() == []
        line = cloud["publish"]["orders"]
        assert "'\"'\"'" not in line, "quoting that nobody can read"
        for _ in range(2):
            subprocess.run(
                ["/bin/sh", "-c", line],
                env=environment, cwd=tmp_path, check=True, capture_output=True, timeout=START_S,
            )  # fmt: skip
        dropped = httpx.get(cloud["dropped"], trust_env=False).json()
        assert [one["ordinal"] for one in dropped] == [2]
    running.send_signal(number)
    assert running.wait(START_S) == 0
    assert running.stderr is not None
    assert running.stderr.read() == ""


def test_a_cloud_whose_sdk_is_missing_is_named_with_the_extra(
    serving: ModuleType, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['grpc'] = None; from helios.cli import main;"
        " sys.argv[1:] = ['demo-clouds', '--port-base', '0', '--only', 'gcp']; main()"
    )
    ended = subprocess.run(
        [serving.COMMAND[0], "-c", code],
        capture_output=True, text=True, env=serving.environment(), cwd=tmp_path, timeout=START_S,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "helios[clouds]" in ended.stderr
