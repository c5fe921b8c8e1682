"""What a query becomes within a scope, and that it stays as quick."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import msgspec
import pytest

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope
from helios.kernel import errors, tenancy
from helios.projections import ports, scoping, worker
from helios.projections.views import dead_letters, event_mirror
from helios.reconcile.compositions import reading
from helios.reconcile.compositions import view as stacks_view
from helios.reconcile.streams import repairs
from helios.reconcile.streams import view as verdict_view
from helios.testing import sample_views

ACME = tenancy.Scope(frozenset({"acme"}))
TABLES: scoping.Tables = {
    "own": scoping.OWN,
    "parts": scoping.Through("own", (("of", "id"),)),
    "known": scoping.Own(shared=("helios",)),
    "common": scoping.COMMON,
    "memory": scoping.HIDDEN,
}
ROWS = """
CREATE TABLE x__1_own (tenant TEXT, id INTEGER); CREATE TABLE x__1_parts (of INTEGER, n INTEGER);
CREATE TABLE x__1_known (tenant TEXT, n INTEGER); CREATE TABLE x__1_common (n INTEGER);
CREATE TABLE x__1_memory (n INTEGER); CREATE TABLE y__2_own (tenant TEXT);
INSERT INTO x__1_own VALUES ('acme', 1), ('beta', 2), ('ac''me', 3);
INSERT INTO x__1_parts VALUES (1, 10), (2, 20), (2, 21), (9, 90);
INSERT INTO x__1_known VALUES ('acme', 1), ('beta', 2), ('helios', 3);
INSERT INTO x__1_common VALUES (7);
"""


def read(sql: str, params: ports.Row = (), scope: tenancy.Scope = ACME) -> list[tuple[object, ...]]:
    connection = apsw.Connection(":memory:")
    connection.execute(ROWS)
    text, given = scoping.restrict(
        sql, params, prefix="x__1_", tables=TABLES, scope=scope, schema="main."
    )
    return connection.execute(text, given).fetchall()


@pytest.mark.parametrize(
    ("sql", "params", "expected"),
    [
        ("SELECT id FROM {t}own", (), [(1,)]),
        ("SELECT count(*) FROM {t}own", (), [(1,)]),
        ("SELECT o.id FROM {t}own AS o WHERE o.id < ?", (9,), [(1,)]),
        ("SELECT {t}own.id FROM {t}own", (), [(1,)]),
        ("SELECT id FROM x__1_own", (), [(1,)]),
        ("SELECT n FROM {t}parts ORDER BY n", (), [(10,)]),
        ("SELECT p.n FROM {t}parts p JOIN {t}own o ON o.id = p.of", (), [(10,)]),
        ("SELECT o.id, p.n FROM {t}own o LEFT JOIN {t}parts p ON p.of = o.id", (), [(1, 10)]),
        ("SELECT (SELECT max(id) FROM {t}own)", (), [(1,)]),
        (
            "SELECT id FROM {t}own WHERE NOT EXISTS (SELECT 1 FROM {t}own l WHERE l.id = 2)",
            (),
            [(1,)],
        ),
        ("SELECT id FROM {t}own UNION SELECT n FROM {t}parts ORDER BY 1", (), [(1,), (10,)]),
        ("SELECT n FROM {t}known ORDER BY n", (), [(1,), (3,)]),
        ("SELECT n FROM {t}common", (), [(7,)]),
        ("WITH mine AS (SELECT id FROM {t}own) SELECT id FROM mine", (), [(1,)]),
        ("SELECT 'sqlite_master', ? FROM {t}own -- main", ("x",), [("sqlite_master", "x")]),
    ],
)
def test_a_query_sees_rows_in_scope_only(
    sql: str, params: ports.Row, expected: list[tuple[object, ...]]
) -> None:
    assert read(sql, params) == expected


def test_a_scope_of_nobody_sees_nothing_and_one_of_several_sees_theirs() -> None:
    both = tenancy.Scope(frozenset({"acme", "beta"}))
    assert read("SELECT id FROM {t}own", scope=tenancy.NOTHING) == []
    assert read("SELECT n FROM {t}parts", scope=tenancy.NOTHING) == []
    assert read("SELECT id FROM {t}own WHERE id > ? ORDER BY id", (0,), both) == [(1,), (2,)]
    assert read("SELECT n FROM {t}parts ORDER BY n", scope=both) == [(10,), (20,), (21,)]


def test_a_tenant_is_a_value_whatever_its_name_says() -> None:
    assert read("SELECT id FROM {t}own", scope=tenancy.Scope(frozenset({"ac'me"}))) == [(3,)]
    assert read("SELECT id FROM {t}own", scope=tenancy.Scope(frozenset({"x' OR 1=1 --"}))) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT n FROM {t}memory",
        "SELECT tenant FROM y__2_own",
        "SELECT tenant FROM main.x__1_own",
        "SELECT name FROM sqlite_master",
        "SELECT view FROM helios_slots",
        "SELECT relname FROM pg_class",
        "SELECT set_config('helios.tenants', '{}', true)",
    ],
)
def test_what_is_nobodys_in_particular_cannot_be_read(sql: str) -> None:
    with pytest.raises(errors.ForbiddenError):
        read(sql)


def test_a_view_that_says_nothing_of_a_table_is_refused() -> None:
    class Half(sample_views.Counting):
        tenancy = {"counts": scoping.COMMON}  # noqa: RUF012 - never changed

    class Astray(sample_views.Counting):
        tenancy = {  # noqa: RUF012 - never changed
            "counts": scoping.COMMON,
            "seen": scoping.Through("counts", (("id", "name"),)),
        }

    with pytest.raises(errors.InvalidInputError, match="seen"):
        scoping.tables_of(Half())
    with pytest.raises(errors.InvalidInputError, match="seen"):
        scoping.tables_of(Astray())


def test_of_a_view_that_is_not_known_nothing_is_read_in_scope(tmp_path: Path) -> None:
    path = str(tmp_path / "views.sqlite")

    async def test() -> None:
        first = view_store.SqliteViewStore(path)
        await first.open()
        await first.create(sample_views.Counting(), live=True)
        await first.close()
        # As after a restart: the copy is there, and nobody has said whose its rows are.
        store = view_store.SqliteViewStore(path)
        await store.open()
        try:
            assert await store.query("counting", "SELECT id FROM {t}seen") == []
            with tenancy.within(ACME):
                with pytest.raises(errors.ForbiddenError):
                    await store.query("counting", "SELECT id FROM {t}seen")
                async with store.reading("counting") as snapshot:
                    with pytest.raises(errors.ForbiddenError):
                        await snapshot.query("SELECT id FROM {t}seen")
        finally:
            await store.close()

    asyncio.run(test())


class Watched(view_store.SqliteViewStore):
    """Keeps what is asked."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.asked: list[tuple[str, str, ports.Row]] = []

    async def query(self, view: str, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        self.asked.append((view, sql, params))
        return await super().query(view, sql, params)


async def _verdicts(store: ports.ViewStore) -> None:
    reader = verdict_view.Reader(store, verdict_view.VerdictView())
    await reader.history("acme", "c", "k")
    await reader.page("acme", contract="c")
    await reader.page("acme", contract="c", statuses=("partial",))


async def _mirror(store: ports.ViewStore) -> None:
    await event_mirror.by_client(store, "acme")
    await event_mirror.by_provider(store, "acme", "shopify")
    await event_mirror.by_id(store, "acme", "e-1")


async def _letters(store: ports.ViewStore) -> None:
    for where in (
        dead_letters.Where(client_id="acme"),
        dead_letters.Where(status="open"),
        dead_letters.Where(client_id="acme", status="open"),
    ):
        await dead_letters.page(store, where)


async def _stacks(store: ports.ViewStore) -> None:
    await reading.stacks(store, "acme")
    await reading.stacks(store)
    await reading.drifts(store, "acme", "s")
    await reading.plans(store, "acme", "s")
    await reading.approvals(store, "acme")
    await reading.known(store, "acme", "s")


async def _alerts(store: ports.ViewStore) -> None:
    reader = repairs.Reader(store)
    await reader.page("acme")
    await reader.page(None)


@pytest.mark.parametrize(
    ("view", "ask"),
    [
        (verdict_view.VerdictView(), _verdicts),
        (event_mirror.VIEW, _mirror),
        (dead_letters.VIEW, _letters),
        (stacks_view.VIEW, _stacks),
        (repairs.VIEW, _alerts),
    ],
    ids=["verdicts", "mirror", "dead letters", "stacks", "alerts"],
)
def test_a_read_that_has_an_index_has_one_in_scope_too(
    view: ports.View, ask: Callable[[ports.ViewStore], object], tmp_path: Path
) -> None:
    path = tmp_path / "views.sqlite"

    async def asked() -> list[tuple[str, str, ports.Row]]:
        store = Watched(str(path))
        await store.open()
        try:
            slot = await store.claim(await store.create(view, live=True))
            if view.name == verdict_view.NAME:
                contract = (1, 1, "acme", "c", "[]", "", 0)
                sql = "INSERT INTO {t}contracts VALUES (?, ?, ?, ?, ?, ?, ?)"
                at = ports.Checkpoint(position=slot.checkpoint.position)
                await store.commit(slot, [ports.Write(sql, [contract])], at)
            with tenancy.within(ACME):
                await ask(store)  # type: ignore[misc]
        finally:
            await store.close()
        return store.asked

    tables = scoping.tables_of(view)
    found = asyncio.run(asked())
    assert found
    connection = apsw.Connection(str(path))
    prefix = str(connection.execute("SELECT prefix FROM helios_slots").get)
    for _, sql, params in found:
        if sql == event_mirror._NOW or "{t}contracts" in sql:
            continue
        before = _plan(connection, sql.replace("{t}", prefix), params)
        text, given = scoping.restrict(
            sql, params, prefix=prefix, tables=tables, scope=ACME, schema="main."
        )
        after = _plan(connection, text, given)
        # A walk over all that the query itself does not take is what must not come in.
        assert _walks(after) <= _walks(before), (sql, before, after)
        assert "MATERIALIZE" not in " ".join(after), (sql, after)
        assert sum("TEMP B-TREE" in line for line in after) <= sum(
            "TEMP B-TREE" in line for line in before
        ), "\n".join([sql, *before, "--", *after])
    connection.close()


def _plan(connection: apsw.Connection, sql: str, params: ports.Row) -> list[str]:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()
    return [str(row[3]) for row in rows]


def _walks(plan: Sequence[str]) -> int:
    return sum(line.startswith("SCAN ") for line in plan)


def test_what_ails_a_view_is_told_to_who_may_see_everything() -> None:
    well = worker.Health(
        view="x",
        version=1,
        status="live",
        position=envelope.Position(1),
        head=envelope.Position(1),
        lag_events=0,
        lag_s=0.0,
        silent_s=0.0,
    )
    ill = msgspec.structs.replace(
        well, error="event e-1 of beta: 7 is no date", failed_event_id="e-1"
    )
    assert ill.shown() == ill
    with tenancy.within(ACME):
        assert well.shown() == well
        told = ill.shown()
        assert told.error
        assert "beta" not in repr(told)
        assert "e-1" not in repr(told)
