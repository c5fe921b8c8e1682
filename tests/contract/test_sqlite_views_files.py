"""What can happen to the file of views: damage, an older copy, kill -9."""

import asyncio
import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helios.drivers.sqlite import log_storage, view_store
from helios.eventlog import log
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import catalog
from helios.testing import projection_bench, sample_views, view_conformance


@contextlib.asynccontextmanager
async def cataloged(folder: Path) -> AsyncIterator[tuple[catalog.Catalog, log.Log]]:
    clock = clocks.SystemClock()
    storage = log_storage.SqliteLogStorage(str(folder / "log.db"), clock, prewarm_pages=0)
    history = log.Log(storage, clock)
    await history.open()
    store = view_store.SqliteViewStore(str(folder / "views.db"))
    try:
        async with view_conformance.opened(store) as opened:
            views = [*catalog.SHIPPED, sample_views.Counting()]
            yield catalog.Catalog(views, history, opened, clock=clock), history
    finally:
        await history.close()


async def follow(folder: Path, *, append: int) -> None:
    """Append, let every view catch up, and compare each with the log."""
    async with cataloged(folder) as (views, history):
        await views.start()
        async with projection_bench.running(views.run()):
            head = await history.head()
            for number in range(head + 1, head + append + 1):
                await history.append([projection_bench.event(number)])
            for name in views.names:
                await views.wait_for(name, await history.head())
                found = await views.verify(name)
                assert found.is_equal, found
                assert found.position == await history.head()


async def serve() -> None:
    """Append and project until killed; prints a line after each append."""
    async with cataloged(Path(sys.argv[1])) as (views, history):
        await views.start()
        async with projection_bench.running(views.run()):
            while True:
                head = await history.head()
                events = [projection_bench.event(head + n) for n in range(1, 8)]
                appended = await history.append(events)
                print(appended.position, flush=True)  # noqa: T201 - for the parent


def test_kill_9_leaves_views_that_go_on_and_equal_the_log(tmp_path: Path) -> None:
    for lines in (1, 7, 40, 120):
        child = subprocess.Popen([sys.executable, __file__, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        acknowledged = 0
        for _ in range(lines):
            acknowledged = int(child.stdout.readline())
        child.kill()
        child.wait()
        child.stdout.close()
        asyncio.run(follow(tmp_path, append=3))
        assert acknowledged > 0


def test_an_older_copy_of_the_views_catches_up(tmp_path: Path) -> None:
    asyncio.run(follow(tmp_path, append=30))
    shutil.copy(tmp_path / "views.db", tmp_path / "older.db")
    asyncio.run(follow(tmp_path, append=30))
    shutil.copy(tmp_path / "older.db", tmp_path / "views.db")
    asyncio.run(follow(tmp_path, append=0))


def test_views_that_are_gone_are_built_anew(tmp_path: Path) -> None:
    asyncio.run(follow(tmp_path, append=30))
    (tmp_path / "views.db").unlink()
    asyncio.run(follow(tmp_path, append=0))


def test_views_of_another_log_file_are_refused(tmp_path: Path) -> None:
    asyncio.run(follow(tmp_path, append=30))
    for name in ("log.db", "log.db-wal", "log.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(errors.CursorError, match="helios views rebuild --all"):
        asyncio.run(follow(tmp_path, append=1))


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 4096]
)
def test_a_damaged_file_is_refused_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "views.db"
    path.write_bytes(content)
    with pytest.raises(errors.CorruptionError, match="delete the file"):
        asyncio.run(view_store.SqliteViewStore(str(path)).open())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "views.db"
    with pytest.raises(errors.StorageError, match=r"nowhere.*folder must be writable"):
        asyncio.run(view_store.SqliteViewStore(str(path)).open())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("views-")]


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        store = view_store.SqliteViewStore(str(tmp_path / "views.db"))
        await store.open()
        await store.close()
        await store.close()
        with pytest.raises(errors.StorageError, match="open"):
            await store.create(sample_views.Counting(), live=True)

    asyncio.run(test())


if __name__ == "__main__":
    asyncio.run(serve())
