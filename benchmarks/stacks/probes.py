"""A thousand stacks whose looks take a tenth of a second each: within half a minute?

Run by `run.py`, in a process of its own. Once with the scripted world, once with what really looks:
each stack has two resources of the kind `http`, at servers of this machine that take that long.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import fleet

from helios.reconcile.compositions import reading
from helios.reconcile.compositions.observing import cache

PASS_S_MAX = 30.0
LATENCY_S = 0.1
HOSTS = 100
"""Addresses of this machine that the stacks are spread over: a host is not asked for everything
at once."""

REST_S = 0.8
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


async def scripted(folder: Path, count: int, rounds: int) -> list[fleet.Row]:
    """Some of the stacks, with nothing but the time that looking takes."""
    world = fleet.World()
    async with fleet.opened(folder, world) as found, found.reconciling():
        await found.looked_at(count)
        wanted = fleet.names(count)[:1_000]
        world.latency_s = LATENCY_S
        taken = [await _round(found, wanted) for _ in range(rounds)]
    text = f"{len(wanted):,} stacks, looks of {LATENCY_S * 1e3:.0f} ms, s"
    return [fleet.figure(text, taken, PASS_S_MAX, at_most=True)]


async def real(folder: Path, count: int, rounds: int) -> list[fleet.Row]:
    """Stacks of their own, with real checks over HTTP, every look a new one."""
    wanted = fleet.names(min(1_000, count))
    cache.TTL_S = 0.0
    async with (
        serving() as port,
        fleet.opened(folder, fleet.World(), real=True) as found,
    ):
        await fleet.declare(found, wanted, lambda name: declaration(name, port))
        async with found.reconciling():
            await found.looked_at(len(wanted))
            taken = [await _round(found, wanted) for _ in range(rounds)]
        well = await reading.stacks(found.parts.store, status="healthy", limit=len(wanted))
    if len(well) != len(wanted):
        raise RuntimeError(f"{len(well)} of {len(wanted)} stacks were seen to be as declared")
    text = f"{len(wanted):,} stacks, two HTTP checks of {LATENCY_S * 1e3:.0f} ms each, s"
    return [fleet.figure(text, taken, PASS_S_MAX, at_most=True)]


def declaration(name: fleet.Name, port: int) -> str:
    """Two pages, each asked for by this stack alone."""
    host = f"127.0.1.{int(name[1][-5:]) % HOSTS + 1}:{port}"
    pages = {
        each: {"kind": "http", "url": f"http://{host}/{name[1]}/{each}"}
        for each in ("front", "search")
    }
    meta = {"client_id": name[0], "stack_id": name[1], "environment": "prod"}
    return fleet.written("Composition", meta, {"resources": pages})


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """A server that takes its time, at every address of this machine."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(LATENCY_S)
            writer.write(ANSWER)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "0.0.0.0", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def _round(found: fleet.Fleet, wanted: Sequence[fleet.Name]) -> float:
    """Seconds until each of these was looked at."""
    await asyncio.sleep(REST_S)
    found.world.looked.clear()
    begin = time.perf_counter()
    found.wake(wanted)
    await found.looked_at(len(wanted))
    return time.perf_counter() - begin
