"""AWS on this machine: EventBridge buses with archives, rules that bring events to SQS queues."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence

import msgspec

from helios.api import server as servers
from helios.demo.clouds import drops
from helios.kernel import errors

PROGRAM = "helios.demo.clouds.aws_moto"
REGION = "us-east-1"
KEY = "demo"
STOP_S = 5.0
START_S = 60.0
LINE_BYTES_MAX = 1 << 20


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """What was made for one topic: events put on `bus` arrive at `queue_url`."""

    topic: str
    bus: str
    bus_arn: str
    queue_url: str
    dead_letter_queue_url: str
    archive_arn: str


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A running server: `url` is the endpoint of every service, `pid` its process."""

    url: str
    pid: int
    topics: tuple[Topic, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What the SDKs need to find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
        }


@contextlib.asynccontextmanager
async def serve(
    *,
    topics: Sequence[str] = ("orders",),
    host: str = "127.0.0.1",
    port: int = 0,
    drop: drops.Share = drops.NOTHING,
    ended: "asyncio.Future[None] | None" = None,
) -> AsyncIterator[Server]:
    """Serve AWS while the block runs, from a process of its own.

    Args:
        topics: for each a bus of this name, an archive, a queue `helios-NAME` and a rule.
        host: address to listen on.
        port: TCP port; 0 takes a free one.
        drop: which events to bring to archives only; a replay brings them to the queues.
        ended: made done should the process end by itself.

    Raises:
        StorageError: it did not start; says why.
    """
    # Asked here, since here the answer is one clear line.
    servers.bind(host, port).close()
    arguments = ["--host", host, "--port", str(port), "--drop", str(drop), "--", *topics]
    # What the environment says of AWS is about another one.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        PROGRAM,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        limit=LINE_BYTES_MAX,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline()
        if not line:
            raise errors.StorageError("the AWS demo server ended at once; its reason stands above")
        server = msgspec.json.decode(line, type=Server)
        watching = asyncio.ensure_future(_watch(process, ended))
        try:
            yield server
        finally:
            watching.cancel()
    except TimeoutError:
        raise errors.StorageError(f"the AWS demo server did not start in {START_S:g} s") from None
    finally:
        await _end(process)


async def _watch(process: asyncio.subprocess.Process, ended: "asyncio.Future[None] | None") -> None:
    await process.wait()
    if ended is not None and not ended.done():
        ended.set_result(None)


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
