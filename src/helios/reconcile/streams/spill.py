"""Events put aside on disk while an offline run is under way, in bounded memory.

`SpillSort` puts a whole input in order of time. It keeps what fits in memory, writes the rest as
sorted runs, and merges them block by block: of every run all items up to the earliest end of a
loaded block are gathered and sorted together, which is one call for thousands of items where a
heap would take one per item. Runs that begin later than that end are not even loaded, so input
that is almost in order, as logs are, costs little more than a copy.

`Tape` keeps an input that gives its bytes only once, so that it can be read a second time.

Where the bytes go is passed in as a function that opens an empty file; one that has no name
leaves nothing behind, however the process ends.
"""

import bisect
import errno
import operator
import struct
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, islice
from typing import IO, Any, Generic, NamedTuple, TypeAlias, TypeVar

from helios.kernel import errors
from helios.reconcile.streams import lines

T = TypeVar("T")

BATCH_ITEMS = 1024
"""Items in a batch that comes from memory; merged batches are as long as they happen to be."""

ITEM_OVERHEAD_BYTES = 120
"""What an item costs in memory beside its own bytes: two integers, an object header, pointers."""

_BLOCK_BYTES = 128 << 10
_HEAD = struct.Struct("<QQ")

OpenFile: TypeAlias = Callable[[], IO[bytes]]
"""Opens an empty file for writing and reading; best one without a name."""


class Batch(NamedTuple, Generic[T]):
    """Items side by side: `times[i]`, `tags[i]` and `items[i]` belong together.

    Attributes:
        times: event time, microseconds.
        tags: any 64-bit signed integer of the caller, such as where the item stands in the input.
        items: what is being put in order.
    """

    times: list[int]
    tags: list[int]
    items: list[T]


class Codec(NamedTuple, Generic[T]):
    """How items are written: `load(dump(items)) == items` for every list that is not empty."""

    dump: Callable[[list[T]], bytes]
    load: Callable[[bytes], list[T]]


def _split_lines(data: bytes) -> list[bytes]:
    return data.split(b"\n")


LINES: Codec[bytes] = Codec(b"\n".join, _split_lines)
"""For items that are lines: bytes without a line feed."""


class _Store:
    """Blocks in one file."""

    def __init__(self, open_file: OpenFile) -> None:
        self._open_file = open_file
        self._file: IO[bytes] | None = None
        self._end = 0

    def write(self, batch: Batch[Any], dump: Callable[[list[Any]], bytes]) -> tuple[int, int]:
        """Append a batch and return where it is: (offset, bytes)."""
        blob = dump(batch.items)
        count = len(batch.times)
        data = b"".join((
            _HEAD.pack(count, len(blob)),
            array("q", batch.times).tobytes(),
            array("q", batch.tags).tobytes(),
            blob,
        ))  # fmt: skip
        try:
            if self._file is None:
                self._file = self._open_file()
            self._file.seek(self._end)
            self._file.write(data)
            # Now, not at some later write: a full disk is told of the block that met it.
            self._file.flush()
        except OSError as error:
            raise _unwritable(error) from error
        place = (self._end, len(data))
        self._end += len(data)
        return place

    def read(self, place: tuple[int, int], load: Callable[[bytes], list[T]]) -> Batch[T]:
        offset, size = place
        if self._file is None:
            raise errors.CorruptionError("a spilled block was asked for before any was written")
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) < size:
            raise errors.CorruptionError(f"the spill file ends early, at block {offset}")
        count, blob_bytes = _HEAD.unpack_from(data)
        at = _HEAD.size
        times, tags = array("q"), array("q")
        times.frombytes(data[at : at + 8 * count])
        tags.frombytes(data[at + 8 * count : at + 16 * count])
        return Batch(times.tolist(), tags.tolist(), load(data[size - blob_bytes :]))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _unwritable(error: OSError) -> errors.StorageError:
    what = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        what = f"no room left for what does not fit in memory ({what})"
    return errors.StorageError(f"{what}; free some space or name another folder by TMPDIR")


class _Run(Generic[T]):
    """One sorted run. `index` is its place in the order of arrival, which breaks ties of time."""

    def __init__(
        self, index: int, span: tuple[int, int], loads: Sequence[Callable[[], Batch[T]]]
    ) -> None:
        self.index = index
        self.first, self.last = span
        self._loads = iter(loads)
        self.batch: Batch[T] = Batch([], [], [])
        self.at = 0
        self.end = 0

    def load(self) -> bool:
        """Make the next block the current one; False when there is none."""
        load = next(self._loads, None)
        if load is None:
            return False
        self.batch = load()
        self.at = 0
        self.end = self.batch.times[-1]
        return True

    def take(self, bound: int, *, tied: bool) -> Batch[T] | None:
        """The items before `bound` that were not taken yet, and those at it if `tied`."""
        cut = bisect.bisect_right if tied else bisect.bisect_left
        start, stop = self.at, cut(self.batch.times, bound, self.at)
        if start == stop:
            return None
        self.at = stop
        times, tags, items = self.batch
        return Batch(times[start:stop], tags[start:stop], items[start:stop])

    @property
    def is_taken(self) -> bool:
        return self.at == len(self.batch.times)


def _merge(runs: Sequence[_Run[T]]) -> Iterator[Batch[T]]:
    """All items of all runs in order of (time, run, place in the run)."""
    waiting = deque(sorted(runs, key=lambda run: (run.first, run.index)))
    active: list[_Run[T]] = []
    while active or waiting:
        lead = min(active, key=lambda run: (run.end, run.index), default=None)
        if lead is None or (waiting and waiting[0].first <= lead.end):
            run = waiting.popleft()
            if run.load():
                bisect.insort(active, run, key=lambda each: each.index)
            continue
        # Later blocks of the leading run may hold more items at the bound, and those come before
        # the ones at the bound of runs that arrived after it.
        parts = [run.take(lead.end, tied=run.index <= lead.index) for run in active]
        yield _joined([part for part in parts if part is not None])
        active = [run for run in active if not run.is_taken or run.load()]


def _overlap(runs: Sequence[_Run[T]]) -> int:
    """How many runs a merge holds a block of at once, at most."""
    edges = sorted(edge for run in runs for edge in ((run.first, 1), (run.last + 1, -1)))
    return max(accumulate(step for _, step in edges), default=0)


def _joined(parts: list[Batch[T]]) -> Batch[T]:
    if len(parts) == 1:
        return parts[0]
    whole: Batch[T] = Batch([], [], [])
    for part in parts:
        whole.times.extend(part.times)
        whole.tags.extend(part.tags)
        whole.items.extend(part.items)
    return _ordered(whole)


def _ordered(batch: Batch[T]) -> Batch[T]:
    """The batch in order of time; items of one time stay in the order they have."""
    times, tags, items = batch
    if all(map(operator.le, times, islice(times, 1, None))):
        return batch
    order = sorted(range(len(times)), key=times.__getitem__)
    return Batch(
        list(map(times.__getitem__, order)),
        list(map(tags.__getitem__, order)),
        list(map(items.__getitem__, order)),
    )


def _cut(batch: Batch[T], count: int) -> Iterator[Batch[T]]:
    times, tags, items = batch
    for at in range(0, len(times), count):
        stop = at + count
        yield Batch(times[at:stop], tags[at:stop], items[at:stop])


class SpillSort(Generic[T]):
    """Puts items in order of (time, arrival), however many there are.

    Args:
        open_file: opens an empty file; called only when not everything fits in memory.
        memory_bytes: about how much is held; above, a sorted run goes to the file.
        codec: how items are written.
    """

    def __init__(
        self, open_file: OpenFile, *, memory_bytes: int, codec: Codec[T], block_bytes: int = 0
    ) -> None:
        self._open_file = open_file
        self._memory_bytes = memory_bytes
        self._block_bytes = block_bytes or _BLOCK_BYTES
        self._codec = codec
        self._store = _Store(open_file)
        self._runs: list[_Run[T]] = []
        self._held: Batch[T] = Batch([], [], [])
        self._held_bytes = 0

    @property
    def runs_spilled(self) -> int:
        """How many sorted runs went to disk; 0 when everything fitted."""
        return len(self._runs)

    def add(self, times: list[int], tags: list[int], items: list[T], *, nbytes: int) -> None:
        """Take items in; `nbytes` is what they hold in memory beside `ITEM_OVERHEAD_BYTES` each.

        Raises:
            StorageError: what does not fit in memory cannot be written.
        """
        self._held.times.extend(times)
        self._held.tags.extend(tags)
        self._held.items.extend(items)
        self._held_bytes += nbytes + ITEM_OVERHEAD_BYTES * len(times)
        if self._held_bytes > self._memory_bytes:
            batch = _ordered(self._held)
            # What is in memory is about twice what is written.
            count = max(1, len(batch.times) * self._block_bytes // max(self._held_bytes, 1))
            self._held, self._held_bytes = Batch([], [], []), 0
            self._runs.append(self._spill(self._store, len(self._runs), _cut(batch, count)))

    def drain(self) -> Iterator[Batch[T]]:
        """Give everything out in order, once; then the file is gone."""
        try:
            held, self._held = _ordered(self._held), Batch([], [], [])
            if not self._runs:
                yield from _cut(held, BATCH_ITEMS)
                return
            fan_in = max(2, self._memory_bytes // (4 * self._block_bytes))
            while _overlap(self._runs) > fan_in:
                self._fold(fan_in)
            runs, self._runs = self._runs, []
            if held.times:
                batches = [_known(each) for each in _cut(held, BATCH_ITEMS)]
                runs.append(_Run(len(runs), (held.times[0], held.times[-1]), batches))
            yield from _merge(runs)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file and of everything held."""
        self._store.close()
        self._runs = []
        self._held = Batch([], [], [])

    def _fold(self, fan_in: int) -> None:
        """Merge neighbouring runs to fewer and longer ones, so that few blocks are held at once."""
        store = _Store(self._open_file)
        folded: list[_Run[T]] = []
        for at in range(0, len(self._runs), fan_in):
            merged = _merge(self._runs[at : at + fan_in])
            folded.append(self._spill(store, len(folded), merged))
        self._store.close()
        self._store, self._runs = store, folded

    def _spill(self, store: _Store, index: int, batches: Iterator[Batch[T]]) -> _Run[T]:
        span = (0, 0)
        loads: list[Callable[[], Batch[T]]] = []
        for batch in batches:
            span = (span[0] if loads else batch.times[0], batch.times[-1])
            loads.append(_stored(store, store.write(batch, self._codec.dump), self._codec.load))
        return _Run(index, span, loads)


def _known(batch: Batch[T]) -> Callable[[], Batch[T]]:
    return lambda: batch


def _stored(
    store: _Store, place: tuple[int, int], load: Callable[[bytes], list[T]]
) -> Callable[[], Batch[T]]:
    return lambda: store.read(place, load)


class Tape:
    """Chunks written one after another, to be read again from the start.

    Args:
        open_file: opens an empty file; called at the first write.
    """

    def __init__(self, open_file: OpenFile) -> None:
        self._store = _Store(open_file)
        self._places: list[tuple[str, str | None, bool, tuple[int, int]]] = []

    def write(self, chunk: lines.Chunk) -> None:
        """Keep a chunk.

        Raises:
            StorageError: it cannot be written.
        """
        batch = Batch([0] * len(chunk.lines), list(chunk.numbers), chunk.lines)
        place = self._store.write(batch, LINES.dump)
        self._places.append((chunk.source, chunk.leg, chunk.lax, place))

    def read(self) -> Iterator[lines.Chunk]:
        """The chunks, in the order in which they were written."""
        for source, leg, lax, place in self._places:
            batch = self._store.read(place, LINES.load)
            yield lines.Chunk(
                source=source, leg=leg, lax=lax, lines=batch.items, numbers=batch.tags
            )

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()
