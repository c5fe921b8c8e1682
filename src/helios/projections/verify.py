"""Is a view what the log says?

A scratch copy is built to exactly the live copy's position and both are compared row for row, in
order, a page at a time. A view that names its tables' unique keys (`keys`) is paged by key; one
that does not is paged by offset, which takes long for large tables.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import build, folding, ports

Query: TypeAlias = Callable[[str, ports.Row], Awaitable[list[ports.Row]]]

_PAGE_ROWS = 2_000
_CHASES = 50


@runtime_checkable
class Keyed(Protocol):
    """A view that says which columns, never null, are unique in each of its tables."""

    @property
    def keys(self) -> Mapping[str, Sequence[str]]: ...


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first row of a table in which the copies differ; None where one has no such row."""

    table: str
    row: int
    live: tuple[Any, ...] | None
    rebuilt: tuple[Any, ...] | None


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison found: up to which position, rows compared, first differences."""

    view: str
    position: envelope.Position
    rows: int
    differences: list[Difference]

    @property
    def is_equal(self) -> bool:
        return not self.differences


def _silent(_position: envelope.Position, _head: envelope.Position) -> None:
    return None


async def verify(
    view: ports.View,
    log: log_ports.EventLog,
    store: ports.ViewStore,
    *,
    clock: clocks.Clock,
    report: Callable[[envelope.Position, envelope.Position], None] = _silent,
) -> Verified:
    """Rebuild into scratch up to the live copy's position and compare.

    Args:
        view: the projection.
        log: where the events come from.
        store: where its tables are.
        clock: for signs of life.
        report: called after each step with position and target.

    Raises:
        NotFoundError: the view has no live copy.
        ConflictError: the live copy is of another version of the code, or another verification
            or rebuild took the scratch for one left by a crash.
        CursorError: the live copy is ahead of the log.
        ApplyError: an event cannot be applied.
    """
    live = await _live(view, store)
    folding.refuse_ahead(live, await log.head())
    await build.drop_stale(view.name, store, clock, all_of_them=False)
    builder = build.Builder(view, log, store, clock=clock, purpose="verify", report=report)
    scratch = await builder.start()
    try:
        return await _Verification(view, store, builder).run(scratch, live)
    except errors.HeliosError:
        raise
    except Exception as error:
        if scratch.prefix in [slot.prefix for slot in await store.slots(view.name)]:
            raise
        # A wall clock that jumped makes a copy in the making look like one left by a crash.
        raise errors.ConflictError(
            f"view {view.name}: what this verification had built was dropped meanwhile: try again"
        ) from error
    finally:
        with contextlib.suppress(errors.HeliosError):
            await store.drop(scratch)


async def _live(view: ports.View, store: ports.ViewStore) -> ports.Slot:
    for slot in await store.slots(view.name):
        if slot.live and slot.version != view.version:
            raise errors.ConflictError(
                f"the live copy of view {view.name} is of version {slot.version}, the code of "
                f"{view.version}: let it be rebuilt first (`helios views rebuild {view.name}`)"
            )
        if slot.live:
            return slot
    raise errors.NotFoundError(f"view {view.name} has no live copy; `helios serve` builds it")


class _Verification:
    def __init__(self, view: ports.View, store: ports.ViewStore, builder: build.Builder) -> None:
        self._view = view
        self._store = store
        self._builder = builder

    async def run(self, scratch: ports.Slot, live: ports.Slot) -> Verified:
        target = live.checkpoint.position
        for _ in range(_CHASES):
            scratch = await self._builder.fill(scratch, target)
            async with self._store.reading(self._view.name) as snapshot:
                target = snapshot.checkpoint.position
                if target == scratch.checkpoint.position:
                    # The scratch was finished before the snapshot began, so it is in it too.
                    return await self._compare(target, snapshot.query, _of(snapshot.query, scratch))
        # A view that never rests is held still by a snapshot while the scratch comes up to it.
        async with self._store.reading(self._view.name) as snapshot:
            target = snapshot.checkpoint.position
            scratch = await self._builder.fill(scratch, target)

            async def rebuilt(sql: str, params: ports.Row) -> list[ports.Row]:
                return await self._store.query_slot(scratch, sql, params)

            return await self._compare(target, snapshot.query, rebuilt)

    async def _compare(self, position: envelope.Position, live: Query, rebuilt: Query) -> Verified:
        rows = 0
        differences = []
        volatile = self._view.volatile if isinstance(self._view, ports.RememberingView) else ()
        for table in self._view.tables:
            if table in volatile:
                continue
            count, difference = await _compare_table(table, self._keys(table), live, rebuilt)
            rows += count
            if difference is not None:
                differences.append(difference)
        return Verified(view=self._view.name, position=position, rows=rows, differences=differences)

    def _keys(self, table: str) -> Sequence[str]:
        if isinstance(self._view, Keyed):
            return self._view.keys.get(table, ())
        return ()


def _of(query: Query, slot: ports.Slot) -> Query:
    async def other(sql: str, params: ports.Row) -> list[ports.Row]:
        return await query(sql.replace("{t}", slot.prefix), params)

    return other


async def _compare_table(
    table: str, keys: Sequence[str], live: Query, rebuilt: Query
) -> tuple[int, Difference | None]:
    ours = _Pages(table, keys, live)
    theirs = _Pages(table, keys, rebuilt)
    rows = 0
    while True:
        left, right = await ours.next(), await theirs.next()
        for number in range(max(len(left), len(right))):
            a = left[number] if number < len(left) else None
            b = right[number] if number < len(right) else None
            if a != b:
                return rows, Difference(table=table, row=rows + 1, live=a, rebuilt=b)
            rows += 1
        if len(left) < _PAGE_ROWS:
            return rows, None


class _Pages:
    """All rows of a table in order, a page at a time."""

    def __init__(self, table: str, keys: Sequence[str], query: Query) -> None:
        self._table = table
        self._keys = keys
        self._query = query
        self._last: ports.Row | None = None
        self._offset = 0
        self._width: int | None = None

    async def next(self) -> list[ports.Row]:
        return await (self._by_key() if self._keys else self._by_offset())

    async def _by_key(self) -> list[ports.Row]:
        columns = ", ".join(self._keys)
        after = ""
        if self._last is not None:
            after = f"WHERE ({columns}) > ({', '.join('?' * len(self._keys))}) "
        sql = (
            f"SELECT {columns}, {{t}}{self._table}.* FROM {{t}}{self._table} "
            f"{after}ORDER BY {columns} LIMIT {_PAGE_ROWS}"
        )
        rows = [tuple(row) for row in await self._query(sql, self._last or ())]
        if rows:
            self._last = rows[-1][: len(self._keys)]
        return [row[len(self._keys) :] for row in rows]

    async def _by_offset(self) -> list[ports.Row]:
        table = f"{{t}}{self._table}"
        if self._width is None:
            first = await self._query(f"SELECT * FROM {table} LIMIT 1", ())
            self._width = len(first[0]) if first else 0
        if self._width == 0:
            return []
        order = ", ".join(str(number + 1) for number in range(self._width))
        sql = f"SELECT * FROM {table} ORDER BY {order} LIMIT {_PAGE_ROWS} OFFSET {self._offset}"
        rows = [tuple(row) for row in await self._query(sql, ())]
        self._offset += len(rows)
        return rows
