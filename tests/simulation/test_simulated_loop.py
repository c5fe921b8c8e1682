"""The loop itself: order, time, what it forbids, what it reports."""
# ruff: noqa: PLW0108 - a lambda looks the name up inside the simulation, where it is forbidden

import asyncio
import functools
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable

import pytest

from helios.testing import simloop, simports


async def _race(loop: simloop.SimLoop) -> list[str]:
    order: list[str] = []
    rng = loop.rng("race")

    async def worker(name: str) -> None:
        for _ in range(3):
            await asyncio.sleep(simports.latency(rng))
            order.append(name)

    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(worker(name))
    return order


def _raced(seed: int) -> tuple[list[str], str]:
    loop = simloop.SimLoop(seed)
    return simloop.run(loop, _race(loop)), loop.trace_hash()


def test_equal_seeds_give_equal_runs() -> None:
    assert [_raced(seed) for seed in range(20)] == [_raced(seed) for seed in range(20)]


def test_different_seeds_give_different_orders() -> None:
    assert len({tuple(_raced(seed)[0]) for seed in range(20)}) > 10


def test_the_order_of_ready_tasks_is_drawn() -> None:
    async def main() -> str:
        order = []

        async def put(name: str) -> None:
            order.append(name)

        await asyncio.gather(*(put(name) for name in "abc"))
        return "".join(order)

    seen = {simloop.run(simloop.SimLoop(seed), main()) for seed in range(60)}
    assert seen == {"abc", "acb", "bac", "bca", "cab", "cba"}


def test_a_year_passes_at_once() -> None:
    loop = simloop.SimLoop(1, time_max_s=1e9)
    simloop.run(loop, asyncio.sleep(365 * 86400))
    assert loop.time() >= 365 * 86400
    assert loop.steps < 10


def test_nobody_ready_and_no_timer_is_a_deadlock_that_names_who_waits() -> None:
    async def main() -> None:
        await asyncio.create_task(asyncio.Event().wait(), name="waiter")

    with pytest.raises(simloop.DeadlockError, match="waiter"):
        simloop.run(simloop.SimLoop(1), main())


def test_a_task_that_never_waits_ends_at_the_limit() -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110 - the point
            await asyncio.sleep(0)

    with pytest.raises(simloop.LivelockError):
        simloop.run(simloop.SimLoop(1, time_max_s=0.01), main())
    with pytest.raises(simloop.LivelockError):
        simloop.run(simloop.SimLoop(1, steps_max=1000), main())


@pytest.mark.parametrize(
    "reach",
    [
        lambda: time.time(),
        lambda: time.time_ns(),
        lambda: time.monotonic(),
        lambda: time.sleep(0),
        lambda: uuid.uuid4(),
        lambda: uuid.uuid1(),
        lambda: os.urandom(4),
        lambda: secrets.token_hex(4),
        lambda: random.SystemRandom().random(),
        lambda: random.random(),
        lambda: random.choice([1]),
        lambda: random.shuffle([1]),
        lambda: random.randint(1, 2),
        lambda: socket.socket(),
        lambda: threading.Thread(target=print).start(),
        lambda: subprocess.Popen([sys.executable]),
        lambda: asyncio.get_running_loop().run_in_executor(None, print),
    ],
)
def test_reaching_for_the_machine_raises(reach: Callable[[], object]) -> None:
    async def main() -> None:
        reach()

    with pytest.raises(simloop.SimulationError):
        simloop.run(simloop.SimLoop(1), main())


def test_a_thread_that_calls_the_loop_raises() -> None:
    loop = simloop.SimLoop(1)
    raised: list[BaseException] = []

    def other() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except simloop.SimulationError as error:
            raised.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    loop.close()
    assert raised


def test_the_machine_is_back_afterwards() -> None:
    with pytest.raises(ZeroDivisionError):
        simloop.run(simloop.SimLoop(1), _divide())
    assert time.time() > 0
    assert uuid.uuid4().version == 4


async def _divide() -> float:
    return 1 / 0


def test_a_killed_node_does_not_run_another_instruction() -> None:
    loop = simloop.SimLoop(1)
    ran: list[str] = []

    async def node() -> None:
        try:
            while True:
                await asyncio.sleep(1)
                ran.append("tick")
        except BaseException:
            ran.append("handler")
            raise
        finally:
            ran.append("finally")

    async def main() -> list[str]:
        life = simloop.Incarnation("node")
        loop.spawn(node(), life, "node")
        await asyncio.sleep(2.5)
        life.alive = False
        await asyncio.sleep(10)
        return list(ran)

    assert simloop.run(loop, main()) == ["tick", "tick"]


def test_an_error_nobody_awaited_is_kept() -> None:
    loop = simloop.SimLoop(1)

    async def main() -> None:
        task = asyncio.create_task(_divide())
        await asyncio.sleep(1)
        del task
        await asyncio.sleep(1)

    simloop.run(loop, main())
    assert any("ZeroDivisionError" in text for text in loop.unhandled)


def test_a_check_then_write_race_is_found_by_most_seeds() -> None:
    """Why port calls take time: the planted race needs the delays of the simulated offload."""

    async def main(loop: simloop.SimLoop) -> int:
        rng = loop.rng("offload")
        points = simports.CrashPoints(rng=rng)
        seen: set[int] = set()
        effects: list[int] = []

        def write(key: int) -> None:
            seen.add(key)
            effects.append(key)

        async def worker() -> None:
            port = simports.SimOffload(loop, rng, points=points, crash=lambda _: None)
            for key in range(5):
                if not await port.run("check", functools.partial(seen.__contains__, key)):
                    await port.run("write", functools.partial(write, key))

        await asyncio.gather(*(worker() for _ in range(3)))
        return len(effects)

    found = 0
    for seed in range(50):
        loop = simloop.SimLoop(seed)
        found += simloop.run(loop, main(loop)) > 5
    assert found >= 45
