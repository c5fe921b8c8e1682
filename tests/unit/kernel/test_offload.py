"""Calls on a thread of their own: in order, with their outcomes, and none after the end."""

import asyncio
import functools
import threading

import pytest

from helios.kernel import offload


def test_calls_run_in_order_on_one_thread_that_is_not_the_callers() -> None:
    async def main() -> None:
        lane = offload.ThreadOffload("lane")
        seen: list[tuple[int, str]] = []

        def call(number: int) -> int:
            seen.append((number, threading.current_thread().name))
            return number * number

        found = await asyncio.gather(
            *(lane.run("call", functools.partial(call, n)) for n in range(20))
        )
        assert found == [n * n for n in range(20)]
        assert seen == [(n, "lane") for n in range(20)]
        lane.close()

    asyncio.run(main())


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_of_the_call_is_raised_at_the_caller_and_the_thread_lives_on(
    error: BaseException,
) -> None:
    async def main() -> None:
        lane = offload.ThreadOffload("lane")

        def fail() -> None:
            raise error

        task = lane.run("fail", fail)
        with pytest.raises(type(error)):
            await task
        assert await lane.run("call", lambda: 7) == 7
        lane.close()

    asyncio.run(main())


def test_a_call_cancelled_before_it_began_never_runs() -> None:
    async def main() -> None:
        lane = offload.ThreadOffload("lane")
        gate, ran = threading.Event(), []
        first = asyncio.ensure_future(lane.run("first", gate.wait))
        second = asyncio.ensure_future(lane.run("second", lambda: ran.append(2)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        gate.set()
        assert await first
        await lane.run("third", lambda: ran.append(3))
        assert ran == [3]
        lane.close()

    asyncio.run(main())


def test_a_call_cancelled_under_way_ends_and_harms_nobody() -> None:
    async def main() -> None:
        lane = offload.ThreadOffload("lane")
        began, gate = threading.Event(), threading.Event()

        def call() -> None:
            began.set()
            gate.wait()

        task = asyncio.ensure_future(lane.run("call", call))
        await asyncio.to_thread(began.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        assert await lane.run("next", lambda: 1) == 1
        lane.close()

    asyncio.run(main())


def test_close_waits_for_what_was_asked_and_refuses_what_comes_later() -> None:
    async def main() -> None:
        lane = offload.ThreadOffload("lane")
        ran: list[int] = []
        tasks = [
            asyncio.ensure_future(lane.run("call", functools.partial(ran.append, n)))
            for n in range(5)
        ]
        await asyncio.sleep(0)
        lane.close()
        assert ran == [0, 1, 2, 3, 4]
        await asyncio.gather(*tasks)
        with pytest.raises(RuntimeError, match="lane is closed"):
            await lane.run("late", lambda: None)
        lane.close()

    asyncio.run(main())
