"""Stacks that are as declared: what a pass over one costs, and one over all of them.

Run by `run.py`, in a process of its own over a folder in which the stacks are declared.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import fleet

from helios.reconcile.compositions import passing
from helios.reconcile.runtime import keys, ports

PASS_US_MAX = 300.0
ROUND_S_MAX = 5.0
MEMORY_MB_MAX = 250.0
ALONE = 2_000
REST_S = 0.8
"""Longer than a stack is left alone between two passes that nobody ordered."""


async def prepared(folder: Path, count: int, rounds: int) -> list[fleet.Row]:
    """Declare stacks, and look at each for the first time, once."""
    del rounds
    world = fleet.World()
    async with fleet.opened(folder, world) as found:
        begin = time.perf_counter()
        await fleet.declare(found, fleet.names(count))
        declared = time.perf_counter() - begin
        begin = time.perf_counter()
        async with found.reconciling():
            await found.looked_at(count)
            first = time.perf_counter() - begin
            said = sum((await found.said_since(found.began)).values())
        return [
            fleet.shown(f"{count:,} stacks declared, in the view, s", declared),
            fleet.shown(f"{count:,} stacks looked at for the first time, s", first),
            fleet.shown("events that this took", said),
            fleet.shown("peak memory of that process, MiB", fleet.memory_mb()),
        ]


async def measured(folder: Path, count: int, rounds: int) -> list[fleet.Row]:
    """All stacks at once, as the server does it after an outage; then passes one by one."""
    world = fleet.World()
    async with fleet.opened(folder, world) as found:
        wall, cpu, said = [], [], 0
        async with found.reconciling():
            begin = time.perf_counter()
            await found.looked_at(count)
            after_start = time.perf_counter() - begin
            for _ in range(rounds):
                one = await _round(found, count)
                wall.append(one[0])
                cpu.append(one[1])
                said += one[2]
        # Last: what a process does once when it starts must not be counted to a pass.
        world.looked.clear()
        alone, said_alone = await _alone(found, fleet.names(count)[:ALONE], rounds)
        if found.wrong():
            raise RuntimeError(f"{found.wrong()} passes did not succeed")
        at_most = {"at_most": True}
        return [
            fleet.figure("pass with nothing to do, CPU us", alone, PASS_US_MAX, **at_most),
            fleet.figure("events that such passes append", said_alone + said, 0, **at_most),
            fleet.figure(f"all {count:,} stacks, s", wall, ROUND_S_MAX, **at_most),
            fleet.figure("peak memory meanwhile, MiB", fleet.memory_mb(), MEMORY_MB_MAX, **at_most),
            fleet.shown("the same, with views and wake-ups from nothing, s", after_start),
            fleet.shown("CPU of each of these passes, queue and log included, us", cpu),
        ]


async def _alone(
    found: fleet.Fleet, names: Sequence[fleet.Name], rounds: int
) -> tuple[list[float], int]:
    """CPU of a pass, one after the other; how many events they appended."""
    wanted = [keys.Key(client, passing.FAMILY, name) for client, name in names]
    why = ports.Reason(priority=keys.Priority.RESYNC)
    head, costs = await found.log.head(), []
    for number in range(rounds + 1):
        begin = time.process_time()
        for key in wanted:
            await found.parts.stacks.passes.reconcile(key, why)
        if number:  # the first one reads the files
            costs.append((time.process_time() - begin) / len(names) * 1e6)
    if len(found.world.looked) != len(names):
        raise RuntimeError("not every stack was looked at")
    return costs, sum((await found.said_since(head)).values())


async def _round(found: fleet.Fleet, count: int) -> tuple[float, float, int]:
    """All stacks once: seconds, CPU of a pass in microseconds, events appended."""
    await asyncio.sleep(REST_S)
    head, passes = await found.log.head(), found.passes()
    found.world.looked.clear()
    begin, cpu = time.perf_counter(), time.process_time()
    found.parts.stacks.resync.all_soon()
    await found.looked_at(count)
    taken, spent = time.perf_counter() - begin, time.process_time() - cpu
    said = await found.said_since(head)
    return taken, spent / (found.passes() - passes) * 1e6, sum(said.values())
