"""The newest events in memory are what the storage would give back."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.eventlog import envelope, log, ports, recent, upcast
from helios.kernel import clock
from helios.testing import log_samples as samples
from helios.testing import memory_log

FILTERS = (envelope.ALL, envelope.Filter(types=("Never",)), envelope.Filter(tenant="default"))


def committed(
    kept: recent.Recent, storage: memory_log.MemoryLogStorage, numbers: Sequence[int], *, seen: bool
) -> None:
    """One group commit of an append for each number, by this process or by another one."""
    requests = [ports.AppendRequest(events=samples.events([number])) for number in numbers]
    at = clock.Timestamp(1_000 + len(numbers))
    outcomes = asyncio.run(storage.commit(requests, at))
    if seen:
        kept.add(requests, outcomes, at)


def head_of(storage: memory_log.MemoryLogStorage) -> envelope.Position:
    return asyncio.run(storage.head())


@given(
    commits=st.lists(
        st.tuples(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.booleans()), max_size=8
    ),
    after=st.integers(0, 40),
    limit=st.integers(1, 10),
    where=st.sampled_from(FILTERS),
)
def test_a_page_from_memory_is_one_the_storage_could_have_given(
    commits: list[tuple[list[int], bool]], after: int, limit: int, where: envelope.Filter
) -> None:
    storage = memory_log.MemoryLogStorage()
    kept = recent.Recent(events_max=5)
    for numbers, seen in commits:
        committed(kept, storage, numbers, seen=seen)
    head = head_of(storage)
    start = envelope.Position(after)
    page = kept.page(start, head, limit=limit, where=where)
    if page is None:
        return
    assert start <= page.next_after <= page.head == head
    assert len(page.events) <= limit
    assert page.next_after > start or start == head
    expected = asyncio.run(storage.read(start, 1_000, where)).events
    assert page.events == [e for e in expected if e.position <= page.next_after]


def test_what_this_process_appended_is_in_memory_up_to_the_bound() -> None:
    storage = memory_log.MemoryLogStorage()
    kept = recent.Recent(events_max=10)
    for number in range(50):
        committed(kept, storage, [number], seen=True)
    head = envelope.Position(50)
    page = kept.page(envelope.Position(40), head, limit=1_000, where=envelope.ALL)
    assert page is not None
    assert [event.position for event in page.events] == list(range(41, 51))
    assert kept.page(envelope.Position(25), head, limit=1_000, where=envelope.ALL) is None


def test_large_events_are_let_go_by_their_bytes() -> None:
    storage = memory_log.MemoryLogStorage()
    kept = recent.Recent(bytes_max=60)
    for number in range(20):
        committed(kept, storage, [number], seen=True)
    head = envelope.Position(20)
    assert kept.page(envelope.Position(10), head, limit=5, where=envelope.ALL) is None
    assert kept.page(envelope.Position(18), head, limit=5, where=envelope.ALL) is not None


def test_a_commit_of_another_process_is_read_from_the_storage() -> None:
    storage = memory_log.MemoryLogStorage()
    kept = recent.Recent()
    committed(kept, storage, [1, 2], seen=True)
    committed(kept, storage, [3], seen=False)
    two, three = envelope.Position(2), envelope.Position(3)
    assert kept.page(two, three, limit=5, where=envelope.ALL) is None
    committed(kept, storage, [4], seen=True)
    assert kept.page(two, three, limit=5, where=envelope.ALL) is None
    assert kept.page(three, three, limit=5, where=envelope.ALL) is not None


def test_at_the_head_memory_says_that_nothing_is_new() -> None:
    storage = memory_log.MemoryLogStorage()
    kept = recent.Recent()
    assert (
        kept.page(envelope.Position(0), envelope.Position(0), limit=5, where=envelope.ALL) is None
    )
    committed(kept, storage, [1], seen=True)
    one = envelope.Position(1)
    page = kept.page(one, one, limit=5, where=envelope.ALL)
    assert page == envelope.Page(events=[], next_after=one, head=one)


class Unread(memory_log.MemoryLogStorage):
    """A storage that counts how often it is read."""

    reads = 0

    async def read(
        self, after: envelope.Position, limit: int, where: envelope.Filter
    ) -> envelope.Page:
        self.reads += 1
        return await super().read(after, limit, where)


def test_who_follows_the_log_reads_its_new_events_without_the_storage() -> None:
    async def main() -> None:
        storage = Unread()
        a_log = log.Log(storage, samples.SteppedClock())
        await a_log.open()
        await a_log.append(samples.events([0]))
        pages = a_log.tail(envelope.Position(1))
        following = asyncio.ensure_future(anext(pages))
        await asyncio.sleep(0)
        await a_log.append(samples.events([1, 2]))
        async with asyncio.timeout(10):
            page = await following
        assert ([event.position for event in page.events], storage.reads) == ([2, 3], 0)
        await pages.aclose()  # type: ignore[attr-defined]
        await a_log.close()

    asyncio.run(main())


@pytest.mark.parametrize("version", [1, 2])
def test_events_from_memory_are_lifted_like_those_that_are_read(version: int) -> None:
    async def main() -> None:
        upcasters = upcast.Upcasters()
        (event,) = samples.events([0])
        if version == 2:
            upcasters.add(event.type, 1, lambda payload: {**payload, "lifted": True})
        a_log = log.Log(memory_log.MemoryLogStorage(), samples.SteppedClock(), upcasters=upcasters)
        await a_log.open()
        await a_log.append([event])
        start = envelope.Position(0)
        page = a_log.recent(start)
        assert page == await a_log.read(start)
        assert page is not None
        assert page.events[0].version == version
        await a_log.close()

    asyncio.run(main())
