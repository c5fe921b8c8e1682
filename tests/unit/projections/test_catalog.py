"""The catalogue brings views to the version of the code and says how they do."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope
from helios.kernel import errors
from helios.projections import catalog, ports
from helios.testing import memory_log, projection_bench, sample_views, view_conformance


@contextlib.asynccontextmanager
async def benched(
    tmp_path: Path, storage: memory_log.MemoryLogStorage | None = None, *, events: int = 0
) -> AsyncIterator[projection_bench.Bench]:
    store = view_store.SqliteViewStore(str(tmp_path / "views.db"))
    async with (
        view_conformance.opened(store) as opened,
        projection_bench.benched(opened, storage, events=events) as bench,
    ):
        yield bench


def cataloged(
    bench: projection_bench.Bench, *views: ports.View, alone: bool = True
) -> catalog.Catalog:
    return catalog.Catalog(
        views or [sample_views.Counting()], bench.log, bench.store, clock=bench.clock, alone=alone
    )


def _is_live(views: catalog.Catalog) -> bool:
    return views.health()[0].status == "live"


def test_a_new_view_follows_a_short_log(tmp_path: Path) -> None:
    async def test() -> None:
        async with benched(tmp_path, events=50) as bench:
            views = cataloged(bench, *catalog.SHIPPED, sample_views.Counting())
            assert views.names == sorted(["counting", *(view.name for view in catalog.SHIPPED)])
            await views.start()
            async with projection_bench.running(views.run()):
                for name in views.names:
                    assert await views.wait_for(name, envelope.Position(50)) == 50
                assert [health.status for health in views.health()] == ["live"] * len(views.names)
                for name in views.names:
                    assert (await views.verify(name)).is_equal
            await bench.check()

    asyncio.run(test())


def test_a_new_view_of_a_long_log_is_built_with_indexes_last(tmp_path: Path) -> None:
    async def test() -> None:
        async with benched(tmp_path, events=10_001) as bench:
            views = cataloged(bench)
            await views.start()
            async with projection_bench.running(views.run()):
                await projection_bench.until(lambda: views.health()[0].status == "rebuilding")
                assert not views.health()[0].is_ready
                await views.wait_for("counting", envelope.Position(10_001))
                await projection_bench.until(lambda: views.health()[0].is_ready)
            assert [slot.live for slot in await bench.store.slots("counting")] == [True]
            await bench.check()

    asyncio.run(test())


@pytest.mark.parametrize("versions", [(1, 2), (2, 1)])
def test_another_version_of_the_code_rebuilds_beside_the_old_copy(
    tmp_path: Path, versions: tuple[int, int]
) -> None:
    async def test() -> None:
        async with benched(tmp_path, events=100) as bench:
            for version in versions:
                views = cataloged(bench, sample_views.Counting(version=version))
                await views.start()
                async with projection_bench.running(views.run()):
                    await projection_bench.until(functools.partial(_is_live, views))
                (slot,) = await bench.store.slots("counting")
                assert (slot.version, slot.live) == (version, True)
                await bench.check()

    asyncio.run(test())


def test_beside_other_processes_a_later_version_is_left_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async with benched(tmp_path, events=100) as bench:
            await bench.store.create(sample_views.Counting(version=2), live=True)
            views = cataloged(bench, sample_views.Counting(version=1), alone=False)
            async with projection_bench.running(views.run()):
                await projection_bench.until(lambda: views.health()[0].status == "other_version")
            (slot,) = await bench.store.slots("counting")
            assert slot.version == 2

    asyncio.run(test())


def test_a_build_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with benched(tmp_path, events=100) as bench:
            await bench.store.create(sample_views.Counting(version=1), live=True)
            view = sample_views.Counting(version=2, poison={"e60"})
            views = cataloged(bench, view)
            async with projection_bench.running(views.run()):
                await projection_bench.until(lambda: views.health()[0].status == "failed")
                assert "e60" in str(views.health()[0].error)
                view.poison.clear()
                await projection_bench.until(lambda: views.health()[0].status == "live")
            await bench.check()

    asyncio.run(test())


def test_views_of_another_log_are_refused_until_they_are_discarded(tmp_path: Path) -> None:
    async def test() -> None:
        async with benched(tmp_path, events=20) as bench:
            await cataloged(bench).start()
        async with benched(tmp_path, memory_log.MemoryLogStorage("other"), events=5) as bench:
            views = cataloged(bench)
            for call in (views.start(), views.rebuild("counting"), views.verify("counting")):
                with pytest.raises(
                    errors.CursorError, match="of log memory, but this is log other"
                ):
                    await call
            await views.discard_all()
            await views.start()
            async with projection_bench.running(views.run()):
                await views.wait_for("counting", envelope.Position(5))
            await bench.check()

    asyncio.run(test())


def test_a_view_ahead_of_a_restored_log_is_refused_until_it_is_rebuilt(tmp_path: Path) -> None:
    async def test() -> None:
        storage = memory_log.MemoryLogStorage()
        async with benched(tmp_path, storage) as bench:
            for _ in range(3):
                await bench.append(10)
            views = cataloged(bench)
            async with projection_bench.running(views.run()):
                await views.wait_for("counting", envelope.Position(30))
        async with benched(tmp_path, storage.copy(head=20)) as bench:
            views = cataloged(bench)
            with pytest.raises(errors.CursorError, match="helios views rebuild counting"):
                await views.start()
            await views.rebuild("counting")
            await views.start()
            await bench.check()

    asyncio.run(test())


def test_an_unknown_view_is_named_with_those_there_are(tmp_path: Path) -> None:
    async def test() -> None:
        async with benched(tmp_path) as bench:
            views = cataloged(bench)
            with pytest.raises(errors.NotFoundError, match=r"'nothing'; there are counting"):
                await views.wait_for("nothing", envelope.Position(1))

    asyncio.run(test())
