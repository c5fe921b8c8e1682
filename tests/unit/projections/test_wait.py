"""Waiting for a view: woken by the worker here, at once; no wait for what is there."""

import asyncio
from typing import Any, cast

import pytest

from helios.eventlog import envelope
from helios.kernel import errors
from helios.projections import ports, wait


class Slots:
    """The one method of a store that waiting needs, over a position that a test moves."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.asked = 0

    async def slots(self, view: str) -> list[ports.Slot]:
        self.asked += 1
        checkpoint = ports.Checkpoint(position=envelope.Position(self.position))
        copies = [("old", False), ("now", True)]
        return [
            ports.Slot(view=view, version=1, prefix=prefix, live=live, checkpoint=checkpoint)
            for prefix, live in copies
        ]


def waiter(slots: Slots, progress: wait.Progress) -> wait.Waiter:
    return wait.Waiter(cast("Any", slots), progress)


def test_a_step_wakes_at_once_whoever_waits() -> None:
    async def test() -> None:
        progress = wait.Progress()
        progress.advance("v", envelope.Position(1))
        waiting = [asyncio.create_task(progress.changed("v", timeout_s=60)) for _ in range(3)]
        await asyncio.sleep(0)
        progress.advance("v", envelope.Position(2))
        async with asyncio.timeout(5):
            await asyncio.gather(*waiting)

    asyncio.run(test())


def test_what_a_worker_here_has_applied_is_not_waited_for() -> None:
    async def test() -> None:
        slots, progress = Slots(0), wait.Progress()
        progress.advance("v", envelope.Position(7))
        assert await waiter(slots, progress).wait_for("v", envelope.Position(7)) == 7
        assert slots.asked == 0

    asyncio.run(test())


def test_when_the_worker_here_stops_the_store_is_asked() -> None:
    async def test() -> None:
        slots, progress = Slots(3), wait.Progress()
        progress.advance("v", envelope.Position(3))
        waiting = asyncio.create_task(waiter(slots, progress).wait_for("v", envelope.Position(9)))
        await asyncio.sleep(0)
        assert slots.asked == 0
        slots.position = 9
        progress.forget("v")
        async with asyncio.timeout(5):
            assert await waiting == 9

    asyncio.run(test())


def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    async def test() -> None:
        progress = wait.Progress()
        waiting = asyncio.create_task(progress.changed("v", timeout_s=60))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        progress.advance("v", envelope.Position(1))

    asyncio.run(test())


def test_a_view_without_any_copy_reaches_the_deadline_at_zero() -> None:
    class Empty(Slots):
        async def slots(self, view: str) -> list[ports.Slot]:
            return []

    async def test() -> None:
        with pytest.raises(errors.DeadlineError, match="view v stands at position 0, not yet at 1"):
            await waiter(Empty(0), wait.Progress()).wait_for(
                "v", envelope.Position(1), timeout_s=0.02
            )

    asyncio.run(test())


def test_a_worker_pauses_until_somebody_waits_for_its_view() -> None:
    async def test() -> None:
        progress = wait.Progress()
        pausing = asyncio.create_task(progress.pause("v", timeout_s=60))
        await asyncio.sleep(0)
        other = asyncio.create_task(progress.changed("other", timeout_s=60))
        await asyncio.sleep(0)
        assert not pausing.done()
        waiting = asyncio.create_task(progress.changed("v", timeout_s=60))
        async with asyncio.timeout(5):
            await pausing
            await progress.pause("v", timeout_s=60)
        other.cancel()
        waiting.cancel()
        await asyncio.gather(other, waiting, return_exceptions=True)

    asyncio.run(test())


def test_a_pause_ends_by_itself() -> None:
    async def test() -> None:
        async with asyncio.timeout(5):
            await wait.Progress().pause("v", timeout_s=0.001)

    asyncio.run(test())
