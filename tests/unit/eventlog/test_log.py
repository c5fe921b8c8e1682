"""The log over a storage held by hand: grouping, back-pressure, failing, closing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from helios.eventlog import envelope, log, ports
from helios.kernel import clock, errors
from helios.testing import log_samples as samples
from helios.testing import memory_log


class HeldStorage(memory_log.MemoryLogStorage):
    """A storage whose commits wait until they are let go, and may then fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.sizes: list[int] = []
        self.failure: BaseException | None = None
        self.closed = False

    async def commit(
        self, requests: Sequence[ports.AppendRequest], recorded_at: clock.Timestamp
    ) -> list[envelope.Appended | Exception]:
        self.sizes.append(len(requests))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return await super().commit(requests, recorded_at)

    async def close(self) -> None:
        self.closed = True


def run(
    test: Callable[[log.Log, HeldStorage], Awaitable[None]], *, close: bool = True, **settings: Any
) -> None:
    async def main() -> None:
        storage = HeldStorage()
        a_log = log.Log(storage, samples.SteppedClock(), **settings)
        await a_log.open()
        async with asyncio.timeout(10):
            await test(a_log, storage)
            storage.gate.set()
            if close:
                await a_log.close()

    asyncio.run(main())


async def begin(a_log: log.Log, *numbers: int) -> list[asyncio.Task[envelope.Appended]]:
    tasks = [asyncio.create_task(a_log.append(samples.events([n]))) for n in numbers]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def test_what_comes_during_a_commit_goes_into_the_next_one_together() -> None:
    async def test(a_log: log.Log, storage: HeldStorage) -> None:
        tasks = await begin(a_log, 0)
        tasks += await begin(a_log, *range(1, 20))
        assert (storage.sizes, a_log.queued_events) == ([1], 19)
        storage.gate.set()
        await asyncio.gather(*tasks)
        assert (storage.sizes, a_log.queued_events) == ([1, 19], 0)

    run(test)


def test_a_commit_is_bounded_by_events_and_bytes() -> None:
    async def by_events(a_log: log.Log, storage: HeldStorage) -> None:
        tasks = await begin(a_log, *range(8))
        storage.gate.set()
        await asyncio.gather(*tasks)
        assert storage.sizes == [3, 3, 2]

    async def by_bytes(a_log: log.Log, storage: HeldStorage) -> None:
        tasks = await begin(a_log, *range(4))
        storage.gate.set()
        await asyncio.gather(*tasks)
        assert storage.sizes == [2, 2]

    run(by_events, bounds=log.Bounds(commit_events=3))
    run(by_bytes, bounds=log.Bounds(commit_bytes=30))


def test_an_append_larger_than_a_commit_goes_alone() -> None:
    async def test(a_log: log.Log, storage: HeldStorage) -> None:
        storage.gate.set()
        appended = await a_log.append(samples.events(range(10)))
        assert len(appended.positions) == 10

    run(test, bounds=log.Bounds(commit_events=3))


@pytest.mark.parametrize(
    "bounds", [log.Bounds(queue_events=3), log.Bounds(queue_bytes=3 * len(b'{"number":1}{}'))]
)
def test_a_full_queue_refuses_and_takes_nothing(bounds: log.Bounds) -> None:
    async def test(a_log: log.Log, storage: HeldStorage) -> None:
        tasks = await begin(a_log, 0)
        tasks += await begin(a_log, 1, 2, 3)
        with pytest.raises(errors.OverloadError, match="3 events") as refusal:
            await a_log.append(samples.events([4]))
        assert refusal.value.retryable
        storage.gate.set()
        await asyncio.gather(*tasks)
        assert (await a_log.append(samples.events([4]))).positions == [5]

    run(test, bounds=bounds)


def test_a_failed_flush_refuses_everything_from_then_on() -> None:
    fatal: list[errors.StorageFailedError] = []

    async def test(a_log: log.Log, storage: HeldStorage) -> None:
        tasks = await begin(a_log, 0)
        tasks += await begin(a_log, 1, 2)
        storage.failure = errors.StorageFailedError("the flush failed")
        storage.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(o) for o in outcomes] == [errors.StorageFailedError] * 3
        assert len({id(o) for o in outcomes}) == 3
        storage.failure = None
        with pytest.raises(errors.StorageFailedError):
            await a_log.append(samples.events([3]))
        assert storage.sizes == [1]
        assert len(fatal) == 1

    run(test, on_fatal=fatal.append)


def test_a_storage_error_refuses_one_commit_only() -> None:
    async def test(a_log: log.Log, storage: HeldStorage) -> None:
        tasks = await begin(a_log, 0, 1)
        storage.failure = errors.StorageError("disk full")
        storage.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(o) for o in outcomes] == [errors.StorageError] * 2
        storage.failure = None
        assert (await a_log.append(samples.events([0]))).positions == [1]

    run(test)


def test_a_bug_in_a_storage_reaches_the_callers_and_the_log_goes_on() -> None:
    async def test(a_log: log.Log, storage: HeldStorage) -> None:
        tasks = await begin(a_log, 0)
        storage.failure = ZeroDivisionError("bug")
        storage.gate.set()
        with pytest.raises(ZeroDivisionError):
            await tasks[0]
        storage.failure = None
        assert (await a_log.append(samples.events([0]))).positions == [1]

    run(test)


def test_an_append_cancelled_while_it_waits_is_left_out() -> None:
    async def test(a_log: log.Log, storage: HeldStorage) -> None:
        tasks = await begin(a_log, 0)
        tasks += await begin(a_log, 1, 2)
        tasks[1].cancel()
        await asyncio.sleep(0)
        storage.gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (storage.sizes, a_log.queued_events) == ([1, 1], 0)

    run(test)


def test_close_drains_then_refuses() -> None:
    async def test(a_log: log.Log, storage: HeldStorage) -> None:
        tasks = await begin(a_log, 0)
        tasks += await begin(a_log, 1)
        closing = asyncio.create_task(a_log.close())
        await asyncio.sleep(0)
        with pytest.raises(errors.StorageError, match="closed"):
            await a_log.append(samples.events([2]))
        storage.gate.set()
        await closing
        assert [t.result().positions for t in tasks] == [[1], [2]]
        assert storage.closed

    run(test, close=False)


def test_an_append_before_open_says_so() -> None:
    async def main() -> None:
        a_log = log.Log(memory_log.MemoryLogStorage(), samples.SteppedClock())
        with pytest.raises(errors.StorageError, match="not open"):
            await a_log.append(samples.events([0]))

    asyncio.run(main())


def test_an_invalid_event_is_refused_before_it_waits() -> None:
    async def test(a_log: log.Log, storage: HeldStorage) -> None:
        with pytest.raises(errors.InvalidInputError, match=r"events\[0\]\.id: empty"):
            await a_log.append([samples.event(0, id="")])
        assert storage.sizes == []

    run(test)


def test_an_own_commit_wakes_who_waits_without_asking_the_storage() -> None:
    class Deaf(memory_log.MemoryLogStorage):
        async def wait_commit(self, timeout_s: float) -> None:
            await asyncio.Event().wait()

    async def main() -> None:
        a_log = log.Log(Deaf(), samples.SteppedClock())
        await a_log.open()
        async with asyncio.timeout(10):
            waiting = asyncio.create_task(a_log.wait(envelope.Position(0), timeout_s=60))
            await asyncio.sleep(0)
            await a_log.append(samples.events([0]))
            assert await waiting == 1
            await a_log.close()

    asyncio.run(main())


def test_who_waits_learns_that_the_storage_is_away() -> None:
    class Away(memory_log.MemoryLogStorage):
        async def wait_commit(self, timeout_s: float) -> None:
            raise errors.StorageError("database away")

    async def main() -> None:
        a_log = log.Log(Away(), samples.SteppedClock())
        await a_log.open()
        with pytest.raises(errors.StorageError, match="database away"):
            await a_log.wait(envelope.Position(0), timeout_s=5)
        await a_log.close()

    asyncio.run(main())


def test_closing_ends_every_wait() -> None:
    async def test(a_log: log.Log, storage: HeldStorage) -> None:
        waiting = asyncio.create_task(a_log.wait(envelope.Position(0), timeout_s=60))
        await asyncio.sleep(0)
        await a_log.close()
        with pytest.raises(errors.StorageError, match="closed"):
            await waiting

    run(test, close=False)
