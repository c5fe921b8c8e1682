"""What tests of messages to people share: receivers, channels, a bench over them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from helios.testing import answering, notices_bench

OK = answering.Response(value={"ok": True})


def slack(url: str, *, name: str = "ops", threshold: str = "low") -> str:
    """Channels of a policy: one of Slack."""
    return f"[{{type: slack, name: {name}, webhook_url: '{url}', severity_threshold: {threshold}}}]"


def pagerduty(key: Path, url: str) -> str:
    """Channels of a policy: one of PagerDuty, whose key is in a file."""
    return f"{{pagerduty: {{routing_key: 'file:{key}', url: '{url}'}}}}"


async def until(done: Callable[[], object]) -> None:
    """Return when something that happens in a thread has happened."""
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def telling(
    folder: Path, *servers: answering.Server
) -> AsyncIterator[tuple[notices_bench.World, notices_bench.Bench]]:
    """A life of a process that may call these servers."""
    world = notices_bench.World(folder)
    async with answering.calling() as client:
        with contextlib.ExitStack() as stack:
            for server in servers:
                stack.enter_context(server)
            async with world.life(world.senders(client)) as bench:
                yield world, bench


def always(response: answering.Response = OK) -> Callable[[answering.Request], answering.Response]:
    """Answers so, whatever is asked."""
    return lambda _: response


def texts(server: answering.Server) -> list[str]:
    """What Slack was told."""
    return [request.json()["text"] for request in server.asked]
