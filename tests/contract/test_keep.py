"""Where the secrets of access are kept: in a folder, in PostgreSQL, and in memory for tests."""

import asyncio
import stat
from pathlib import Path

import pytest

from helios.access import ports
from helios.drivers.vault import keep as folder_keep
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, offload
from helios.testing import keep_conformance, memory_keep

CHECKS = pytest.mark.parametrize("check", keep_conformance.CHECKS)
CLOCK = clocks.SystemClock()


async def checked(check: str, keep: ports.Keep, other: ports.Keep) -> None:
    async with asyncio.timeout(60):
        await keep_conformance.CHECKS[check](keep, other)


@CHECKS
def test_memory_keeps(check: str) -> None:
    keep = memory_keep.MemoryKeep()
    asyncio.run(checked(check, keep, keep))


@CHECKS
def test_a_folder_keeps(check: str, tmp_path: Path) -> None:
    threads = [offload.ThreadOffload("one"), offload.ThreadOffload("two")]
    fresh = ids.Uuid7Ids(CLOCK).new
    one, two = (folder_keep.FolderKeep(tmp_path, thread, fresh) for thread in threads)
    try:
        asyncio.run(checked(check, one, two))
    finally:
        for thread in threads:
            thread.close()


@pytest.mark.postgres
@CHECKS
def test_postgres_keeps(check: str, postgres_url: str) -> None:
    from helios.drivers.postgres import keep as postgres_keep  # noqa: PLC0415 - an extra

    async def main() -> None:
        one = postgres_keep.PostgresKeep(postgres_url, clock=CLOCK)
        two = postgres_keep.PostgresKeep(postgres_url, clock=CLOCK)
        # Two processes may start at once.
        await asyncio.gather(one.open(), two.open())
        try:
            await checked(check, one, two)
        finally:
            await one.close()
            await two.close()

    asyncio.run(main())


def test_files_are_for_their_owner_alone_and_nothing_is_left_beside(tmp_path: Path) -> None:
    thread = offload.ThreadOffload("keep")
    keep = folder_keep.FolderKeep(tmp_path, thread, ids.Uuid7Ids(CLOCK).new)

    async def main() -> None:
        await keep.put("password", "a", b"1")
        await keep.put("password", "a", b"2")
        await keep.put_if_absent("password", "a", b"3")
        await keep.put_if_absent("password", "b", b"4")

    try:
        asyncio.run(main())
    finally:
        thread.close()
    folder = tmp_path / folder_keep.FOLDER
    assert [each.name for each in sorted((folder / "password").iterdir())] == ["a", "b"]
    for path in (folder, folder / "password"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (folder / "password").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / folder_keep.FOLDER).write_bytes(b"not a folder")
    thread = offload.ThreadOffload("keep")
    keep = folder_keep.FolderKeep(tmp_path, thread, ids.Uuid7Ids(CLOCK).new)
    try:
        with pytest.raises(errors.StorageError, match="let this user do both there"):
            asyncio.run(keep.put("password", "a", b"1"))
    finally:
        thread.close()
