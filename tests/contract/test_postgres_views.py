"""The PostgreSQL store against the suites that every store of views must pass."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from helios.drivers.postgres import view_store
from helios.drivers.sqlite import view_store as sqlite
from helios.kernel import clock
from helios.projections import ports
from helios.testing import projection_conformance, sample_views, view_conformance

pytestmark = pytest.mark.postgres


def opener(url: str) -> view_conformance.OpenStore:
    time = clock.SystemClock()
    return lambda: view_conformance.opened(view_store.PostgresViewStore(url, clock=time))


class TestPostgresViewStore(view_conformance.ViewStoreConformance):
    @pytest.fixture
    def open_store(self, postgres_url: str) -> view_conformance.OpenStore:
        return opener(postgres_url)


class TestPostgresProjections(projection_conformance.ProjectionConformance):
    @pytest.fixture
    def open_store(self, postgres_url: str) -> view_conformance.OpenStore:
        return opener(postgres_url)


class Kinds(sample_views.Counting):
    """A view with a column of each type."""

    tables: Sequence[str] = ("kinds",)
    schema: Sequence[str] = (
        "CREATE TABLE {t}kinds (n INTEGER PRIMARY KEY, flag INTEGER, word TEXT, raw BLOB, p REAL)",
    )
    indexes: Sequence[str] = ()


ROWS: list[ports.Row] = [
    (1, True, "z", b"\0\xff", 1.5),
    (2, False, "a\0b", None, None),
    (3, None, "\ue0000", b"", 2),
    (4, 7, "Zebra", b"x", -0.25),
    (5, None, "ä", None, None),
    (-(2**63), 2**63 - 1, "", b"x", 1e300),
]
QUERIES: list[tuple[str, ports.Row]] = [
    ("SELECT * FROM {t}kinds ORDER BY n", ()),
    ("SELECT word FROM {t}kinds ORDER BY word", ()),
    ("SELECT sum(flag), count(*), avg(n), max(p), min(word) FROM {t}kinds WHERE n > ?", (0,)),
    ("SELECT n FROM {t}kinds WHERE (? IS NULL OR word = ?) ORDER BY n", (None, None)),
    ("SELECT n FROM {t}kinds WHERE (? IS NULL OR word = ?) ORDER BY n", ("a\0b", "a\0b")),
    ("SELECT n FROM {t}kinds WHERE flag = ? AND word <> '?' LIMIT ?", (True, 5)),
    ("SELECT n FROM {t}kinds WHERE raw = ? ORDER BY n DESC", (b"x",)),
    ("SELECT coalesce(p, ?) FROM {t}kinds ORDER BY n", (9.5,)),
    ("SELECT n / 2, -n FROM {t}kinds WHERE n BETWEEN ? AND ? ORDER BY n", (1, 5)),
    ("SELECT ?, ?", ("x", 3)),
]


async def answers(store: ports.ViewStore) -> list[list[ports.Row]]:
    async with view_conformance.opened(store):
        slot = await store.claim(await store.create(Kinds("kinds"), live=True))
        insert = "INSERT INTO {t}kinds (n, flag, word, raw, p) VALUES (?, ?, ?, ?, ?)"
        writes = [ports.Write(insert, ROWS[:1]), ports.Write(insert, ROWS[1:])]
        await store.commit(slot, writes, view_conformance.at(1))
        return [
            [tuple(row) for row in await store.query("kinds", sql, params)]
            for sql, params in QUERIES
        ]


def test_values_come_back_as_sqlite_gives_them(postgres_url: str, tmp_path: Path) -> None:
    ours = asyncio.run(answers(view_store.PostgresViewStore(postgres_url)))
    theirs = asyncio.run(answers(sqlite.SqliteViewStore(str(tmp_path / "views.db"))))
    assert ours == theirs
    assert ours[0][1:] == ROWS[:-1]
    kinds = [[type(value) for row in rows for value in row] for rows in ours]
    # In PostgreSQL as in SQLite: a sum of integers is an integer, an average is a float.
    assert kinds[2] == [int, int, float, float, str]
