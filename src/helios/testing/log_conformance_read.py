"""The part of the conformance suite of the log that is about reading."""

import abc
import asyncio
from contextlib import AbstractAsyncContextManager

from helios.eventlog import cursor, envelope, verify
from helios.kernel import errors
from helios.testing import log_samples as samples


class ReadConformance(abc.ABC):
    """What readers are promised: order without gaps, filters, waiting, a chain that tells."""

    timeout_s = 30.0
    """Time for one test."""

    @abc.abstractmethod
    def place(self) -> AbstractAsyncContextManager[samples.Place]:
        """An empty place, cleaned up at the end."""

    # -- reading -----------------------------------------------------------------------------

    @samples.scenario
    async def test_an_empty_log_reads_as_empty(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            page = await a_log.read(samples.P(0))
            assert page == envelope.Page(events=[], next_after=samples.P(0), head=samples.P(0))
            assert await a_log.read_at([samples.P(1)]) == []
            assert await a_log.find("default", "shop", "x") is None
            assert await a_log.head() == 0

    @samples.scenario
    async def test_pages_follow_one_another(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events(range(10)))
            page = await a_log.read(samples.P(0), limit=4)
            assert [e.position for e in page.events] == [1, 2, 3, 4]
            assert (page.next_after, page.head) == (4, 10)
            page = await a_log.read(samples.P(8), limit=4)
            assert [e.position for e in page.events] == [9, 10]
            assert (page.next_after, page.head) == (10, 10)
            assert (await a_log.read(samples.P(10))).events == []
            assert len(await samples.read_all(a_log, limit=3)) == 10

    @samples.scenario
    async def test_events_are_read_by_position(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events(range(5)))
            found = await a_log.read_at(
                [samples.P(4), samples.P(2), samples.P(99), samples.P(2), samples.P(0)]
            )
            assert [e.position for e in found] == [2, 4]
            assert await a_log.read_at([]) == []

    @samples.scenario
    async def test_filters_hold_together(self, place: samples.Place) -> None:
        given = samples.mixed(240)
        wanted = [
            envelope.Filter(tenant="acme"),
            envelope.Filter(types=("OrderPlaced",)),
            envelope.Filter(types=("OrderPlaced", "Nothing", "StockReserved")),
            envelope.Filter(sources=("aws", "gcp")),
            envelope.Filter(aggregate_type="order"),
            envelope.Filter(aggregate_id="a-3"),
            envelope.Filter(aggregate_type="order", aggregate_id="a-3"),
            envelope.Filter(tenant="acme", aggregate_type="stock", aggregate_id="a-4"),
            envelope.Filter(tenant="acme", types=("OrderPlaced",), sources=("aws",)),
            envelope.Filter(aggregate_id="a-3", types=("OrderPlaced",), sources=("aws", "gcp")),
            envelope.Filter(tenant="nobody"),
            envelope.Filter(tenants=("acme", "nobody")),
            envelope.Filter(tenants=("acme", "default"), types=("OrderPlaced",)),
            envelope.Filter(tenants=("acme",), aggregate_id="a-3"),
            envelope.Filter(tenants=("acme",), tenant="default"),
            envelope.Filter(tenants=(), aggregate_id="a-3"),
            envelope.Filter(tenants=()),
            envelope.Filter(types=()),
            envelope.Filter(sources=("nowhere",), aggregate_id="a-3"),
            envelope.Filter(aggregate_id="nothing"),
        ]
        async with samples.opened(place) as a_log:
            for start in range(0, 240, 40):
                await a_log.append(given[start : start + 40])
            for where in wanted:
                for limit in (7, 1000):
                    found = await samples.read_all(a_log, where, limit=limit)
                    expected = [e for e in given if samples.matches(e, where)]
                    assert [samples.stripped(e) for e in found] == expected, where
                    assert [e.position for e in found] == sorted(e.position for e in found)

    @samples.scenario
    async def test_a_sparse_page_advances_past_what_it_scanned(self, place: samples.Place) -> None:
        rare = samples.event(9_999, type="Rare")
        async with samples.opened(place) as a_log:
            for start in range(0, 9_000, 3_000):
                await a_log.append(samples.events(range(start, start + 3_000)))
            await a_log.append([rare])
            for where in (
                envelope.Filter(types=("Rare",)),
                envelope.Filter(aggregate_id=rare.aggregate_id, types=("Rare",)),
            ):
                found = await samples.read_all(a_log, where)
                assert [samples.stripped(e) for e in found] == [rare]
            page = await a_log.read(samples.P(0), where=envelope.Filter(types=("Never",)))
            while page.next_after < page.head:
                page = await a_log.read(page.next_after, where=envelope.Filter(types=("Never",)))
            assert (page.events, page.next_after) == ([], 9_001)

    @samples.scenario
    async def test_the_next_page_begins_after_the_last_match_of_a_full_one(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events(range(8)))
            for where in (
                envelope.Filter(types=("OrderPlaced",)),
                envelope.Filter(aggregate_id="o-0"),
                envelope.Filter(aggregate_id="o-1"),
            ):
                page = await a_log.read(samples.P(0), limit=2, where=where)
                assert len(page.events) == 2
                assert page.next_after == page.events[-1].position

    @samples.scenario
    async def test_a_position_beyond_the_head_is_refused(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events([0]))
            await samples.refused(errors.CursorError, a_log.read(samples.P(2)))
            for where in (envelope.Filter(types=("Never",)), envelope.Filter(aggregate_id="no")):
                await samples.refused(errors.CursorError, a_log.read(samples.P(2), where=where))
            with_tail = a_log.tail(samples.P(2))
            await samples.refused(errors.CursorError, anext(with_tail))

    @samples.scenario
    async def test_a_cursor_is_good_for_its_log_only(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            text = cursor.encode(a_log.log_id, samples.P(7))
            assert cursor.decode(text, a_log.log_id) == 7
            await samples.refused(errors.CursorError, samples.decoded(text, "another"))

    @samples.scenario
    async def test_readers_never_see_a_gap(self, place: samples.Place) -> None:
        """Writers on two storages, a reader on a third: every page goes on without a hole."""
        async with (
            samples.opened(place) as one,
            samples.opened(place) as two,
            samples.opened(place) as reader,
        ):
            total = 400
            writers = asyncio.gather(
                *(
                    (one, two)[n % 2].append(samples.events(range(n * 4, n * 4 + 1 + n % 4)))
                    for n in range(total // 2)
                )
            )
            seen: list[int] = []
            while not (writers.done() and seen and seen[-1] == await reader.head()):
                page = await reader.read(samples.P(seen[-1] if seen else 0), limit=37)
                seen.extend(e.position for e in page.events)
                assert page.next_after == (seen[-1] if seen else 0)
                await asyncio.sleep(0)
            await writers
            assert seen == list(range(1, len(seen) + 1))
            assert len(seen) == sum(1 + n % 4 for n in range(total // 2))

    # -- waiting -----------------------------------------------------------------------------

    @samples.scenario
    async def test_wait_returns_after_a_commit_of_this_process(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            waiting = asyncio.create_task(a_log.wait(samples.P(0), timeout_s=20))
            await asyncio.sleep(0)
            await a_log.append(samples.events([0]))
            assert await waiting == 1
            assert await a_log.wait(samples.P(0), timeout_s=20) == 1

    @samples.scenario
    async def test_wait_returns_after_a_commit_of_another_process(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as one, samples.opened(place) as two:
            waiting = asyncio.create_task(one.wait(samples.P(0), timeout_s=20))
            await asyncio.sleep(0)
            await two.append(samples.events([0]))
            assert await waiting == 1

    @samples.scenario
    async def test_wait_ends_at_its_timeout(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events([0]))
            assert await a_log.wait(samples.P(1), timeout_s=0.02) == 1
            assert await a_log.wait(samples.P(1), timeout_s=0) == 1

    @samples.scenario
    async def test_tail_gives_what_is_there_and_then_what_comes(self, place: samples.Place) -> None:
        async with samples.opened(place) as one, samples.opened(place) as two:
            await one.append(samples.events(range(5)))
            seen: list[int] = []
            async for page in one.tail(samples.P(2), limit=2):
                assert page.events
                seen.extend(e.position for e in page.events)
                if seen[-1] == 5:
                    await one.append(samples.events([5]))
                if seen[-1] == 6:
                    await two.append(samples.events([6]))
                if seen[-1] == 7:
                    break
            assert seen == [3, 4, 5, 6, 7]

    # -- the chain ---------------------------------------------------------------------------

    @samples.scenario
    async def test_batches_cover_the_log(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            for n in range(5):
                await a_log.append(samples.events(range(n * 3, n * 3 + 3)))
            await a_log.append(samples.events([0]))
        async with samples.storing(place) as storage:
            batches = await storage.batches(samples.P(0), 100)
            assert [(b.first, b.last) for b in batches] == [
                (n * 3 + 1, n * 3 + 3) for n in range(5)
            ]
            assert all(b.recorded_at == samples.T0 and len(b.hash) == 32 for b in batches)
            assert len({b.hash for b in batches}) == 5
            assert await storage.batches(samples.P(3), 2) == batches[1:3]
            assert await storage.batches(samples.P(4), 100) == batches[1:]
            assert await storage.batches(samples.P(15), 100) == []

    @samples.scenario
    async def test_a_whole_log_verifies(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await asyncio.gather(
                *(a_log.append(samples.mixed(60)[n * 6 : n * 6 + 6]) for n in range(10))
            )
            await a_log.append(samples.events(range(1000, 1100)))
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events([2000]))
        async with samples.storing(place) as storage:
            seen: list[int] = []
            report = await verify.verify(storage, page=16, progress=lambda at, _: seen.append(at))
            assert report.broken is None
            assert (report.events, report.head) == (161, 161)
            assert seen
            assert seen[-1] == 161
            last = (await storage.batches(samples.P(160), 1))[0]
            assert report.hash == last.hash

    @samples.scenario
    async def test_verify_names_the_first_event_that_was_altered(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            for n in range(5):
                await a_log.append(samples.events(range(n * 3, n * 3 + 3)))
        await place.tamper(samples.P(8))
        async with samples.storing(place) as storage:
            report = await verify.verify(storage)
            assert report.broken is not None
            assert (report.broken.first, report.broken.last) == (7, 9)
            assert "7" in report.broken.what

    # -- failure -----------------------------------------------------------------------------

    @samples.scenario
    async def test_a_cancelled_append_harms_nobody(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            tasks = [asyncio.create_task(a_log.append(samples.events([n]))) for n in range(20)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(o, envelope.Appended) for o in outcomes[1::2])
            appended = await a_log.append(samples.events(range(20)))
            assert sorted(appended.positions) == list(range(1, 21))

    @samples.scenario
    async def test_close_commits_what_waits(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            tasks = [asyncio.create_task(a_log.append(samples.events([n]))) for n in range(20)]
            await asyncio.sleep(0)
        assert all(t.done() and t.exception() is None for t in tasks)
        async with samples.opened(place) as a_log:
            assert await a_log.head() == 20
