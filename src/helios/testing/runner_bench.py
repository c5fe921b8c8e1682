"""A bench for tests of runners: the product's gate on a log of its own, and processes to kill.

Run as a program it is such a process: it fetches from a source, says on standard output how many
events it has made durable, and does so before the source is told.
"""

import asyncio
import contextlib
import importlib
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from helios.drivers.outbound import client, policy
from helios.drivers.sqlite import log_storage
from helios.eventlog import envelope, log
from helios.ingest import gate, gateway, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, outbound, secret
from helios.providers import ports as providers
from helios.testing import gate_bench

WAIT_S = 40.0


class Gate:
    """The product's gate, which can be made to refuse, and to be slow where it hurts.

    Attributes:
        calls, seen: how often it was asked, and with how many messages.
        before, after: awaited before and after the append; what they raise is what it raises.
    """

    def __init__(self, a_log: log.Log, clock: clocks.Clock) -> None:
        self.log = a_log
        self.counts = gate_bench.Counts()
        made = ids.Uuid7Ids(clock)
        front = gateway.Gateway(a_log, clock=clock, ids=made, meter=self.counts)
        self._gate = gate.Gate(front, a_log, clock=clock, meter=self.counts)
        self.calls = self.seen = 0
        self.before: Callable[[], Awaitable[None]] = nothing
        self.after: Callable[[], Awaitable[None]] = nothing

    async def admit(
        self, source: sources.Declared, fetched: list[sources.Fetched]
    ) -> list[sources.Outcome]:
        self.calls += 1
        await self.before()
        outcomes = await self._gate.admit(source, fetched)
        self.seen += len(fetched)
        await self.after()
        return outcomes

    @property
    def stored(self) -> int:
        return self.counts.of["stored"]

    @property
    def duplicates(self) -> int:
        return self.counts.of["duplicate"]

    @property
    def dead(self) -> int:
        return self.counts.of["dead"]

    async def events(self) -> list[envelope.Event]:
        """What is in the log, dead letters left out."""
        return [event for event in await self._all() if event.source != "helios"]

    async def letters(self) -> list[Mapping[str, Any]]:
        """The dead letters in the log."""
        return [event.data() for event in await self._all() if event.source == "helios"]

    async def _all(self) -> list[envelope.Event]:
        found: list[envelope.Event] = []
        while True:
            page = await self.log.read(found[-1].position if found else envelope.Position(0))
            if not page.events:
                return found
            found += page.events


async def nothing() -> None:
    """A hook that does nothing."""


async def overloaded() -> None:
    """A hook of a gate that takes nothing."""
    raise errors.OverloadError("full", retry_after_s=0.1)


async def forever() -> None:
    """A hook that does not come back."""
    await asyncio.get_running_loop().create_future()


class Runs(Protocol):
    """What can be at work; a runner is."""

    async def run(self) -> None: ...


class Guard:
    """`outbound.Outbound` that lets everything be called, and calls nothing itself."""

    async def send(self, call: outbound.Call) -> outbound.Answer:
        raise outbound.OutboundError(f"{call.url} is not called here", reason="forbidden_host")

    async def permit(self, url: str) -> None:
        del url


@contextlib.asynccontextmanager
async def outbound_client(allow: str) -> AsyncIterator[outbound.Outbound]:
    """The product's own client for calls out; `allow` is as in the settings."""
    allowed = policy.parse_allowed(allow)
    rng = random.Random(7)  # noqa: S311 - jitter only
    async with client.Client(clock=clocks.SystemClock(), allowed=allowed, rng=rng) as made:
        yield made


@contextlib.asynccontextmanager
async def open_gate(folder: Path) -> AsyncIterator[Gate]:
    """A gate on the log in a folder."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    clock = clocks.SystemClock()
    a_log = log.Log(
        log_storage.SqliteLogStorage(str(folder / "log.db"), clock, prewarm_pages=0), clock
    )
    await a_log.open()
    try:
        yield Gate(a_log, clock)
    finally:
        await a_log.close()


def tools(
    declared: sources.Declared,
    a_gate: sources.Gate,
    credentials: Mapping[str, str] | None = None,
    guard: outbound.Outbound | None = None,
    clock: clocks.Clock | None = None,
) -> sources.Tools:
    """What a runner is given; the credentials are the values themselves."""
    clock = clock or clocks.SystemClock()
    source = providers.Source(
        name=declared.name,
        tenant=declared.client_id,
        provider=declared.provider,
        credentials={name: secret.Secret(v) for name, v in (credentials or {}).items()},
    )
    return sources.Tools(
        declared=declared,
        source=source,
        gate=a_gate,
        clock=clock,
        random=lambda: 0.5,
        api=providers.Api(source=source, client=guard or Guard(), clock=clock),
    )


@contextlib.asynccontextmanager
async def running(runner: Runs) -> "AsyncIterator[asyncio.Task[None]]":
    """A runner at work within the block."""
    task = asyncio.create_task(runner.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Any], what: str) -> None:
    """Look again and again; a condition may be a coroutine function."""
    deadline = asyncio.get_running_loop().time() + WAIT_S
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert asyncio.get_running_loop().time() < deadline, f"not within {WAIT_S:g} s: {what}"
        await asyncio.sleep(0.02)


async def _child(module: str, folder: str, declared: str, credentials: str) -> None:
    async with open_gate(Path(folder)) as a_gate:

        async def tell() -> None:
            sys.stdout.write(f"{a_gate.stored + a_gate.duplicates}\n")
            sys.stdout.flush()

        a_gate.after = tell
        made = msgspec.json.decode(declared, type=sources.Declared)
        given = msgspec.json.decode(credentials, type=dict[str, str])
        runner = await importlib.import_module(module).make(tools(made, a_gate, given))
        await runner.run()


if __name__ == "__main__":
    asyncio.run(_child(*sys.argv[1:]))
