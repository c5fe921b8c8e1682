"""What every `ViewStore` must do, as tests to inherit.

A backend's test file subclasses `ViewStoreConformance` (here) and `ProjectionConformance` (in
`projection_conformance`) and gives them the fixture `open_store`: a function that opens one more
store over the same place, as another process or a restart would.

    class TestMyStore(view_conformance.ViewStoreConformance):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: view_conformance.opened(MyStore(tmp_path / "views"))
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import msgspec
import pytest

from helios.eventlog import envelope
from helios.kernel import errors
from helios.projections import ports
from helios.testing import sample_views

OpenStore: TypeAlias = Callable[[], AbstractAsyncContextManager[ports.ViewStore]]

INSERT = "INSERT INTO {t}seen (position, id, payload) VALUES (?, ?, ?)"


@contextlib.asynccontextmanager
async def opened(store: ports.ViewStore) -> AsyncIterator[ports.ViewStore]:
    """A store, open within the block."""
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's coroutine on a loop of its own."""
    asyncio.run(test())


def at(position: int, state: bytes = b"") -> ports.Checkpoint:
    """A checkpoint at a position."""
    return ports.Checkpoint(position=envelope.Position(position), state=state)


async def insert(
    store: ports.ViewStore, slot: ports.Slot, positions: range, *, to: int | None = None
) -> ports.Slot:
    """Commit one row per position and the checkpoint at the last of them."""
    rows: list[ports.Row] = [(p, f"e{p}", b"{}") for p in positions]
    return await store.commit(slot, [ports.Write(INSERT, rows)], at(to or positions[-1]))


async def seen(store: ports.ViewStore, view: str = "counting") -> list[int]:
    """The positions in the live copy of `Counting`."""
    rows = await store.query(view, "SELECT position FROM {t}seen ORDER BY position")
    return [row[0] for row in rows]


class ViewStoreConformance:
    """Tables, checkpoints, owners, swaps and snapshots."""

    snapshots_beside_writes = True
    """Whether a commit goes on while a snapshot is open; False for a store of one connection."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError

    def test_a_new_copy_stands_at_zero_and_is_listed(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                assert await store.slots("counting") == []
                slot = await store.create(sample_views.Counting(version=3), live=True)
                assert (slot.view, slot.version, slot.live) == ("counting", 3, True)
                assert slot.checkpoint.position == 0
                assert await store.slots("counting") == [slot]
                assert await sample_views.contents(store) == ([], [])

        run(test)

    def test_a_view_has_one_live_copy(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                await store.create(sample_views.Counting(), live=True)
                with pytest.raises(errors.ConflictError):
                    await store.create(sample_views.Counting(), live=True)
                assert len(await store.slots("counting")) == 1

        run(test)

    def test_rows_checkpoint_and_state_survive_a_restart(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                slot = await store.claim(await store.create(sample_views.Counting(), live=True))
                rows: list[ports.Row] = [(1, "ä", b"\x00\xff"), (2**62, "", None)]
                checkpoint = at(2**62, b"\x00state")
                slot = await store.commit(slot, [ports.Write(INSERT, rows)], checkpoint)
                assert slot.checkpoint.position == 2**62
            async with open_store() as store:
                assert await store.slots("counting") == [slot]
                assert slot.checkpoint.state == b"\x00state"
                assert (await sample_views.contents(store))[1] == rows

        run(test)

    def test_rows_of_one_write_run_in_order_whatever_their_number(
        self, open_store: OpenStore
    ) -> None:
        async def test() -> None:
            async with open_store() as store:
                slot = await store.claim(await store.create(sample_views.Counting(), live=True))
                upsert = (
                    "INSERT INTO {t}counts (name, n, last) VALUES (?, ?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET n = {t}counts.n + 1, last = excluded.last"
                )
                for number, size in enumerate((1, 2, 99, 100, 101, 257, 1000)):
                    start = slot.checkpoint.position
                    rows: list[ports.Row] = [(f"k{number}", 1, start + i) for i in range(size)]
                    writes = [ports.Write(upsert, rows), ports.Write(upsert, [])]
                    slot = await store.commit(slot, writes, at(start + size))
                    found = await store.query(
                        "counting", "SELECT n, last FROM {t}counts WHERE name = ?", (f"k{number}",)
                    )
                    assert [tuple(row) for row in found] == [(size, start + size - 1)]
                slot = await insert(store, slot, range(10_000, 11_053))
                assert await seen(store) == list(range(10_000, 11_053))

        run(test)

    def test_a_commit_that_fails_leaves_neither_rows_nor_checkpoint(
        self, open_store: OpenStore
    ) -> None:
        async def test() -> None:
            async with open_store() as store:
                slot = await store.claim(await store.create(sample_views.Counting(), live=True))
                slot = await insert(store, slot, range(1, 4))
                for bad in ("INSERT INTO {t}nothing (a) VALUES (?)", INSERT):
                    writes = [
                        ports.Write(INSERT, [(5, "e5", None)]),
                        ports.Write(bad, [(1,) if bad != INSERT else (5, "again", None)]),
                    ]
                    with pytest.raises(Exception):  # noqa: B017, PT011 - the driver's own
                        await store.commit(slot, writes, at(5))
                assert await seen(store) == [1, 2, 3]
                assert await store.slots("counting") == [slot]
                await insert(store, slot, range(4, 6))

        run(test)

    def test_the_same_commit_twice_is_refused_the_second_time(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                slot = await store.claim(await store.create(sample_views.Counting(), live=True))
                await insert(store, slot, range(1, 3))
                with pytest.raises(errors.ConflictError):
                    await insert(store, slot, range(1, 3))
                with pytest.raises(errors.ConflictError):
                    await insert(store, slot, range(7, 9))
                assert await seen(store) == [1, 2]

        run(test)

    def test_a_checkpoint_cannot_go_back(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                slot = await store.claim(await store.create(sample_views.Counting(), live=True))
                slot = await store.commit(slot, [], at(9))
                with pytest.raises(errors.ConflictError):
                    await store.commit(slot, [], at(8))

        run(test)

    def test_a_former_owner_cannot_commit_after_a_claim(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                former = await store.claim(await store.create(sample_views.Counting(), live=True))
                former = await insert(store, former, range(1, 3))
                owner = await store.claim(former)
                assert owner.checkpoint.epoch > former.checkpoint.epoch
                with pytest.raises(errors.ConflictError):
                    await insert(store, former, range(3, 5))
                with pytest.raises(errors.ConflictError):
                    await store.commit(former, [], former.checkpoint)
                await insert(store, owner, range(3, 4))
                assert await seen(store) == [1, 2, 3]

        run(test)

    def test_a_claim_sees_what_the_former_owner_did_last(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                first = await store.create(sample_views.Counting(), live=True)
                owner = await insert(store, await store.claim(first), range(1, 8))
                assert (await store.claim(first)).checkpoint.position == owner.checkpoint.position

        run(test)

    def test_a_swap_shows_the_new_copy_and_drops_the_former(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                view = sample_views.Counting(version=2)
                old = await store.claim(await store.create(sample_views.Counting(), live=True))
                old = await insert(store, old, range(1, 3))
                new = await store.create(view, live=False, with_indexes=False)
                new = await insert(store, await store.claim(new), range(10, 15), to=20)
                await store.finish(view, new)
                assert await seen(store) == [1, 2]
                await store.swap(new)
                assert await seen(store) == [10, 11, 12, 13, 14]
                (live,) = await store.slots("counting")
                assert live == msgspec.structs.replace(new, live=True)
                await store.swap(live)
                with pytest.raises(errors.ConflictError):
                    await insert(store, old, range(3, 5))
                with pytest.raises(errors.ConflictError):
                    await store.claim(old)
                await insert(store, live, range(21, 22))

        run(test)

    def test_a_swap_that_would_go_back_is_refused(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                old = await store.claim(await store.create(sample_views.Counting(), live=True))
                await insert(store, old, range(1, 9))
                new = await store.create(sample_views.Counting(), live=False)
                new = await insert(store, await store.claim(new), range(1, 8))
                with pytest.raises(errors.ConflictError):
                    await store.swap(new)
                assert await seen(store) == list(range(1, 9))
                new = await insert(store, new, range(8, 9))
                await store.swap(new)

        run(test)

    def test_only_the_owner_finishes_and_swaps(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                view = sample_views.Counting()
                new = await store.create(view, live=False, with_indexes=False)
                former = await store.claim(new)
                owner = await store.claim(new)
                with pytest.raises(errors.ConflictError):
                    await store.finish(view, former)
                with pytest.raises(errors.ConflictError):
                    await store.swap(former)
                await store.finish(view, owner)
                await store.swap(owner)
                assert await seen(store) == []

        run(test)

    def test_a_dropped_copy_is_gone_with_its_tables(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                slot = await store.claim(await store.create(sample_views.Counting(), live=False))
                await store.drop(slot)
                await store.drop(slot)
                assert await store.slots("counting") == []
                with pytest.raises(Exception):  # noqa: B017, PT011 - the driver's own
                    await store.query_slot(slot, "SELECT * FROM {t}seen")
                with pytest.raises(errors.ConflictError):
                    await store.commit(slot, [], at(1))

        run(test)

    def test_a_view_without_a_live_copy_is_not_found(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                slot = await store.create(sample_views.Counting(), live=False)
                with pytest.raises(errors.NotFoundError):
                    await seen(store)
                with pytest.raises(errors.NotFoundError):
                    async with store.reading("counting"):
                        pass
                assert await store.query_slot(slot, "SELECT * FROM {t}seen") == []

        run(test)

    def test_views_do_not_see_each_other(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                names = ("a", "a_1", "a__1_b")
                for name in names:
                    slot = await store.create(sample_views.Counting(name), live=True)
                    await insert(store, await store.claim(slot), range(1, 1 + len(name)))
                for name in names:
                    assert len(await seen(store, name)) == len(name)
                await store.drop((await store.slots("a"))[0])
                assert len(await seen(store, "a__1_b")) == len("a__1_b")

        run(test)

    def test_a_snapshot_does_not_move_while_the_view_does(self, open_store: OpenStore) -> None:
        if not self.snapshots_beside_writes:
            return

        async def test() -> None:
            async with open_store() as store, open_store() as other:
                slot = await store.claim(await store.create(sample_views.Counting(), live=True))
                slot = await insert(store, slot, range(1, 4))
                async with other.reading("counting") as snapshot:
                    assert snapshot.checkpoint == slot.checkpoint
                    slot = await insert(store, slot, range(4, 9))
                    rows = await snapshot.query("SELECT count(*) FROM {t}seen")
                    assert rows[0][0] == 3
                    assert await seen(store) == list(range(1, 9))
                async with other.reading("counting") as snapshot:
                    assert snapshot.checkpoint.position == 8
                    rows = await snapshot.query(
                        "SELECT count(*) FROM {t}seen WHERE id = ?", ("e8",)
                    )
                    assert rows[0][0] == 1

        run(test)

    def test_readers_see_the_old_copy_or_the_new_one_during_swaps(
        self, open_store: OpenStore
    ) -> None:
        async def test() -> None:
            async with contextlib.AsyncExitStack() as stack:
                store = reader = await stack.enter_async_context(open_store())
                if self.snapshots_beside_writes:
                    reader = await stack.enter_async_context(open_store())
                slot = await store.claim(await store.create(sample_views.Counting(), live=True))
                slot = await insert(store, slot, range(1, 11))
                done = asyncio.Event()

                async def swap() -> None:
                    for number in range(1, 11):
                        new = await store.create(sample_views.Counting(), live=False)
                        rows = range(100 * number, 100 * number + 10)
                        new = await insert(store, await store.claim(new), rows)
                        await store.swap(new)
                    done.set()

                async def read() -> int:
                    reads = 0
                    while not done.is_set():
                        found = await seen(reader)
                        assert found in [
                            list(range(max(1, n), n + 10 + (n == 0))) for n in range(0, 1001, 100)
                        ]
                        reads += 1
                    return reads

                _, *reads = await asyncio.gather(swap(), read(), read())
                assert min(reads) > 0

        run(test)

    def test_a_cancelled_commit_is_all_or_nothing(self, open_store: OpenStore) -> None:
        async def test() -> None:
            async with open_store() as store:
                slot = await store.claim(await store.create(sample_views.Counting(), live=True))
                for yields in range(4):
                    start = slot.checkpoint.position
                    task = asyncio.create_task(insert(store, slot, range(start + 1, start + 500)))
                    for _ in range(yields):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    (slot,) = await store.slots("counting")
                    slot = await store.claim(slot)
                    assert await seen(store) == list(range(1, slot.checkpoint.position + 1))
                    slot = await store.commit(slot, [], slot.checkpoint)

        run(test)
