"""Putting events aside and in order, whatever fits in memory."""

import errno
import io
import tempfile
from itertools import pairwise
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import errors
from helios.reconcile.streams import lines, spill

Chunks = list[list[int]]


def scratch() -> IO[bytes]:
    return tempfile.TemporaryFile()


def fed(chunks: Chunks, *, memory_bytes: int, block_bytes: int) -> spill.SpillSort[bytes]:
    """A sorter that was given these times, each item telling its own number."""
    sorter = spill.SpillSort(
        scratch, memory_bytes=memory_bytes, codec=spill.LINES, block_bytes=block_bytes
    )
    number = 0
    for times in chunks:
        tags = list(range(number, number + len(times)))
        items = [b"item %d" % tag for tag in tags]
        sorter.add(times, tags, items, nbytes=sum(map(len, items)))
        number += len(times)
    return sorter


def flat(sorter: spill.SpillSort[bytes]) -> list[tuple[int, int, bytes]]:
    return [row for batch in sorter.drain() for row in zip(*batch, strict=True)]


def expected(chunks: Chunks) -> list[tuple[int, int, bytes]]:
    times = [time for chunk in chunks for time in chunk]
    rows = [(time, tag, b"item %d" % tag) for tag, time in enumerate(times)]
    return sorted(rows, key=lambda row: row[:2])


few_times = st.lists(st.lists(st.integers(0, 5), max_size=20), max_size=20)
any_times = st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), max_size=10)


@given(few_times | any_times, st.integers(1, 8000), st.integers(1, 600))
def test_items_come_out_in_order_of_time_and_arrival(
    chunks: Chunks, memory_bytes: int, block_bytes: int
) -> None:
    sorter = fed(chunks, memory_bytes=memory_bytes, block_bytes=block_bytes)
    assert flat(sorter) == expected(chunks)


@given(st.permutations(range(400)))
def test_runs_that_all_overlap_are_folded_and_come_out_in_order(times: list[int]) -> None:
    chunks = [times[at : at + 10] for at in range(0, 400, 10)]
    sorter = fed(chunks, memory_bytes=1000, block_bytes=200)
    assert sorter.runs_spilled > 10
    assert flat(sorter) == expected(chunks)


def test_nothing_is_written_while_everything_fits() -> None:
    def refuse() -> IO[bytes]:
        raise AssertionError

    sorter = spill.SpillSort(refuse, memory_bytes=1 << 20, codec=spill.LINES)
    sorter.add([2, 1], [0, 1], [b"b", b"a"], nbytes=2)
    assert [batch.items for batch in sorter.drain()] == [[b"a", b"b"]]
    assert sorter.runs_spilled == 0


def test_a_sorter_given_nothing_gives_nothing() -> None:
    assert flat(fed([], memory_bytes=1, block_bytes=1)) == []


def test_almost_sorted_runs_are_loaded_a_few_at_a_time() -> None:
    held, most = 0, 0

    class Loads(spill._Run[bytes]):
        def load(self) -> bool:
            nonlocal held, most
            fresh = not self.batch.times
            loaded = super().load()
            held += fresh - (not loaded)
            most = max(most, held)
            return loaded

    batches = [spill.Batch([n, n + 1, n + 15], [n] * 3, [b"x"] * 3) for n in range(0, 1000, 10)]
    runs = [
        Loads(index, (batch.times[0], batch.times[-1]), [spill._known(batch)])
        for index, batch in enumerate(batches)
    ]
    times = [time for batch in spill._merge(runs) for time in batch.times]
    assert all(a <= b for a, b in pairwise(times))
    assert len(times) == 300
    assert most <= 3


class FullDisk(io.BytesIO):
    def write(self, data: object, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_with_its_remedy() -> None:
    sorter = spill.SpillSort(FullDisk, memory_bytes=1, codec=spill.LINES)
    with pytest.raises(errors.StorageError, match="TMPDIR"):
        sorter.add([1], [1], [b"x"], nbytes=1)


def test_a_spill_file_that_lost_its_end_is_corruption() -> None:
    files: list[IO[bytes]] = []

    def remembered() -> IO[bytes]:
        files.append(scratch())
        return files[-1]

    sorter = spill.SpillSort(remembered, memory_bytes=1, codec=spill.LINES)
    sorter.add([1, 2], [1, 2], [b"x", b"y"], nbytes=2)
    files[0].truncate(20)
    with pytest.raises(errors.CorruptionError, match="ends early"):
        flat(sorter)


def test_a_tape_gives_back_the_chunks_it_was_given() -> None:
    chunks = [
        lines.Chunk(source="a.csv", leg="order", lax=True, lines=[b"{}", b"[1]"], numbers=[2, 5]),
        lines.Chunk(source="-", lines=[b"x"], numbers=[1]),
    ]
    tape = spill.Tape(scratch)
    for chunk in chunks:
        tape.write(chunk)
    assert list(tape.read()) == list(tape.read()) == chunks
    tape.close()
