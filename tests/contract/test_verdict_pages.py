"""Listings of verdicts, page by page, on both backends."""

import asyncio
import collections
import itertools
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.sqlite import view_store as sqlite_views
from helios.projections import ports
from helios.reconcile.streams import newest, rows, verdicts, view

CONTRACTS = {1: ("north", "orders"), 2: ("south", "orders"), 3: ("south", "returns")}
MOMENTS = 4
"""Few, so that many verdicts share one."""

_INSERT_CONTRACT = "INSERT INTO {t}contracts VALUES (?, 1, ?, ?, '[\"a\"]', 'yaml', 0)"

Check = Callable[[ports.ViewStore], Awaitable[None]]


@pytest.fixture(params=["sqlite", "postgres"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Check], None]:
    """Runs a check over a store."""
    if request.param == "postgres":
        postgres_views = pytest.importorskip("helios.drivers.postgres.view_store")
        url = request.getfixturevalue("postgres_url")

        def make() -> ports.ViewStore:
            made: ports.ViewStore = postgres_views.PostgresViewStore(url)
            return made
    else:

        def make() -> ports.ViewStore:
            return sqlite_views.SqliteViewStore(str(tmp_path / "views.sqlite"))

    def run_(check: Check) -> None:
        async def main() -> None:
            store = make()
            await store.open()
            try:
                await check(store)
            finally:
                await store.close()

        asyncio.run(main())

    return run_


def _rows(rng: random.Random, keys: int) -> list[ports.Row]:
    made = []
    number = dict.fromkeys(CONTRACTS, 0)
    for contract, key in itertools.product(CONTRACTS, range(keys)):
        for revision in range(1, rng.randint(2, 4)):
            number[contract] += 1
            moment = 1 + rng.randrange(MOMENTS)
            made.append(
                (contract, number[contract], f"k{key}", 0, revision, 1, rng.randint(1, 3),
                 number[contract], 0, 1, 0, moment, None, 1, b'[[["e"]],[[1]],[],{}]')
            )  # fmt: skip
    return made


async def _filled(store: ports.ViewStore, made: list[ports.Row]) -> view.Reader:
    slot = await store.create(view.VerdictView(), live=True)
    slot = await store.claim(slot)
    contracts = [(number, *names) for number, names in CONTRACTS.items()]
    writes = [ports.Write(_INSERT_CONTRACT, contracts), ports.Write(rows.INSERT, made)]
    await store.commit(slot, writes, ports.Checkpoint(position=slot.checkpoint.position))
    return view.Reader(store, view.VerdictView())


def _expected(made: list[ports.Row], contracts: set[int], codes: set[int]) -> list[tuple[Any, ...]]:
    newest: dict[tuple[int, str], ports.Row] = {}
    for row in made:
        newest[row[0], row[2]] = row
    wanted = [row for row in newest.values() if row[0] in contracts and row[6] in codes]
    wanted.sort(key=lambda row: (row[11], row[0], row[1]), reverse=True)
    return [(*CONTRACTS[row[0]], row[2], row[4]) for row in wanted]


async def _listed(
    reader: view.Reader,
    tenant: str | None,
    contract: str | None,
    statuses: tuple[verdicts.Status, ...] | None,
    limit: int,
) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    after = None
    while True:
        page = await reader.page(
            tenant, contract=contract, statuses=statuses, after=after, limit=limit
        )
        assert len(page.verdicts) <= limit
        found += [(v.tenant, v.contract, v.key, v.revision) for v in page.verdicts]
        after = page.next
        if after is None:
            return found


@pytest.mark.parametrize(
    ("tenant", "contract", "ids"),
    [
        (None, None, {1, 2, 3}),
        (None, "orders", {1, 2}),
        ("south", None, {2, 3}),
        ("south", "orders", {2}),
        ("north", "returns", set()),
    ],
)
@pytest.mark.parametrize(
    ("statuses", "codes"),
    [(None, {1, 2, 3}), (("matched",), {1}), (("mismatched", "partial"), {2, 3})],
)
def test_pages_of_any_size_give_each_current_verdict_once_newest_first(
    run: Callable[[Check], None],
    tenant: str | None,
    contract: str | None,
    ids: set[int],
    statuses: tuple[verdicts.Status, ...] | None,
    codes: set[int],
) -> None:
    made = _rows(random.Random(5), 30)

    async def check(store: ports.ViewStore) -> None:
        reader = await _filled(store, made)
        expected = _expected(made, ids, codes)
        for limit in (1, 7, 1_000):
            assert await _listed(reader, tenant, contract, statuses, limit) == expected

    run(check)


def test_a_page_can_be_read_on_after_each_verdict(run: Callable[[Check], None]) -> None:
    made = _rows(random.Random(6), 4)

    async def check(store: ports.ViewStore) -> None:
        reader = await _filled(store, made)
        whole = await reader.page(None, limit=1_000)
        for place, rest in zip(whole.places, itertools.count(1), strict=False):
            page = await reader.page(None, after=place, limit=1_000)
            assert page.verdicts == whole.verdicts[rest:]

    run(check)


def test_the_places_of_events_are_read_for_many_verdicts(run: Callable[[Check], None]) -> None:
    made = _rows(random.Random(7), 5)

    async def check(store: ports.ViewStore) -> None:
        reader = await _filled(store, made)
        found = (await reader.page(None, limit=1_000)).verdicts
        unknown = ("south", "orders", "nothing", 0, 1)
        places = await reader.positions([*(each.place for each in found), unknown])
        assert places == {each.place: {"a": [1]} for each in found}
        assert await reader.positions([]) == {}

    run(check)


def test_a_look_finds_what_is_new_since_the_last(run: Callable[[Check], None]) -> None:
    made = _rows(random.Random(8), 3)

    async def check(store: ports.ViewStore) -> None:
        await _filled(store, made)
        looking = newest.Newest(store)
        await _count(store, made)
        assert await looking.look() == newest.Look(verdicts=[], more=False)
        assert await looking.look() == newest.Look(verdicts=[], more=False)
        last = max(row[1] for row in made if row[0] == 2)
        more = [
            (2, last + n, f"new{n}", 0, 1, 1, 1, 9, 0, 1, 0, 99, None, 1, b'[[["e"]],[[1]],[],{}]')
            for n in (1, 2, 3)
        ]
        (slot,) = await store.slots(view.NAME)
        writes = [ports.Write(rows.INSERT, more)]
        await store.commit(slot, writes, ports.Checkpoint(position=slot.checkpoint.position))
        await _count(store, [*made, *more])
        look = await looking.look()
        assert [each.key for each in look.verdicts] == ["new1", "new2", "new3"]
        assert {each.contract for each in look.verdicts} == {"orders"}
        assert not look.more

    run(check)


async def _count(store: ports.ViewStore, made: list[ports.Row]) -> None:
    """Write the totals as the fold does."""
    (slot,) = await store.slots(view.NAME)
    totals = collections.Counter((row[0], row[6]) for row in made)
    write = ports.Write(
        "INSERT INTO {t}totals VALUES (?, ?, ?) ON CONFLICT (contract, status) "
        "DO UPDATE SET verdicts = excluded.verdicts",
        [(*key, count) for key, count in sorted(totals.items())],
    )
    await store.commit(slot, [write], ports.Checkpoint(position=slot.checkpoint.position))


def test_a_listing_reads_an_index_in_order_and_sorts_nothing(tmp_path: Path) -> None:
    asked: list[tuple[str, ports.Row]] = []

    class Watched(sqlite_views.SqliteViewStore):
        async def query(self, view: str, sql: str, params: ports.Row = ()) -> list[ports.Row]:
            asked.append((sql, params))
            return await super().query(view, sql, params)

    async def main() -> None:
        store = Watched(str(tmp_path / "views.sqlite"))
        await store.open()
        reader = await _filled(store, _rows(random.Random(5), 300))
        for statuses in (None, ("matched",), ("mismatched", "partial")):
            await _listed(reader, "south", None, statuses, 100)
        for sql, params in [each for each in asked if "verdicts AS v" in each[0]]:
            plan = await store.query(view.NAME, f"EXPLAIN QUERY PLAN {sql}", params)
            text = " | ".join(row[3] for row in plan)
            assert "verdicts_time" in text or "verdicts_wrong" in text, text
            assert "TEMP B-TREE" not in text, text
        await store.close()

    asyncio.run(main())
