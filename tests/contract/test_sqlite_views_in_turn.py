"""Whoever reads the views is served in turn."""

import asyncio
from pathlib import Path

from helios.drivers.sqlite import view_store

READS = 500


def test_who_waits_for_a_connection_is_not_overtaken_by_who_just_had_it(tmp_path: Path) -> None:
    async def main() -> list[int]:
        store = view_store.SqliteViewStore(str(tmp_path / "views.sqlite"))
        await store.open()
        reads = [0] * 16

        async def again_and_again(number: int) -> None:
            while sum(reads) < READS:
                await store.slots("stacks")
                reads[number] += 1

        await asyncio.gather(*(again_and_again(number) for number in range(len(reads))))
        await store.close()
        return reads

    reads = asyncio.run(main())
    assert max(reads) <= 2 * min(reads), reads
