"""Row-level security in PostgreSQL: what the database itself keeps from a reader of one client.

Here the filters that Helios puts into its statements are left out: the SQL names every row.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog

from helios.drivers.postgres import log_storage, tenants, view_store
from helios.eventlog import envelope, log
from helios.kernel import clock as clocks
from helios.kernel import errors, tenancy
from helios.projections import ports
from helios.projections.views import dead_letters
from helios.reconcile.compositions import view as stacks_view
from helios.reconcile.streams import view as verdict_view
from helios.testing import log_samples

pytestmark = pytest.mark.postgres

ACME = tenancy.Scope(frozenset({"acme"}))
ODD = """a'c"m\\e{},NULL"""
LOGIN = "helios_test_login"
PLAIN = "helios_test_plain"


@pytest.fixture(params=["superuser", "may make roles", "may not make roles"])
def url(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[str]:
    """The database as seen by logins of three kinds."""
    if request.param == "superuser":
        yield postgres_url
        return
    name = LOGIN if request.param == "may make roles" else PLAIN
    with _login(postgres_url, name, makes_roles=name == LOGIN) as given:
        yield given


@pytest.fixture
def owner_url(postgres_url: str) -> Iterator[str]:
    """The database as seen by a login that is no superuser, which no policy would hold back."""
    with _login(postgres_url, LOGIN, makes_roles=True) as given:
        yield given


@contextlib.contextmanager
def _login(url: str, name: str, *, makes_roles: bool) -> Iterator[str]:
    database = urlsplit(url).path[1:]

    async def make() -> None:
        async with connected(url) as admin:
            await admin.execute(
                f'CREATE ROLE "{name}" LOGIN {"CREATEROLE" if makes_roles else ""};'
                f'GRANT CREATE ON DATABASE "{database}" TO "{name}"'
            )

    async def drop() -> None:
        async with connected(url) as admin:
            for schema in ("helios", "helios_views"):
                role = tenants.role_name(database, schema)
                if await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                    await admin.execute(f'DROP OWNED BY "{role}" CASCADE; DROP ROLE "{role}"')
            await admin.execute(f'DROP OWNED BY "{name}" CASCADE; DROP ROLE "{name}"')

    parts = urlsplit(url)
    asyncio.run(make())
    try:
        yield parts._replace(netloc=f"{name}@{parts.netloc.rpartition('@')[2]}").geturl()
    finally:
        asyncio.run(drop())


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def filled(url: str) -> AsyncIterator[tuple[view_store.PostgresViewStore, log.Log]]:
    """Letters, verdicts and events of three clients."""
    time = clocks.SystemClock()
    store = view_store.PostgresViewStore(url, clock=time)
    history = log.Log(log_storage.PostgresLogStorage(url, time), time)
    await store.open()
    await history.open()
    try:
        await history.append(
            [log_samples.event(n, tenant=name) for n, name in enumerate(("acme", "beta", ODD))]
        )
        await _letters(store)
        await _verdicts(store)
        yield store, history
    finally:
        await history.close()
        await store.close()


async def _letters(store: ports.ViewStore) -> None:
    slot = await store.claim(await store.create(dead_letters.VIEW, live=True))
    marks = ", ".join("?" * 20)
    rows: list[ports.Row] = [
        (name, "x", n, "s", "v", "r", "d", "o", "t", "e", 1, 0, 1, "open", n, n, 0, 0, 1, "m")
        for n, name in enumerate(("acme", "beta", ODD))
    ]
    write = ports.Write(f"INSERT INTO {{t}}letters VALUES ({marks})", rows)
    await store.commit(slot, [write], ports.Checkpoint(position=envelope.Position(1)))


async def _verdicts(store: ports.ViewStore) -> None:
    slot = await store.claim(await store.create(verdict_view.VerdictView(), live=True))
    writes = [
        ports.Write(
            "INSERT INTO {t}contracts VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(n, 1, name, "c", "[]", "", 0) for n, name in enumerate(("acme", "beta", ODD))],
        ),
        ports.Write("INSERT INTO {t}totals VALUES (?, ?, ?)", [(n, 1, 10 + n) for n in range(4)]),
        ports.Write("INSERT INTO {t}memory VALUES (?, ?)", [(0, b"of all")]),
    ]
    await store.commit(slot, writes, ports.Checkpoint(position=envelope.Position(1)))


async def seen(connection: Any, schema: str, sql: str, scope: tenancy.Scope | None) -> list[Any]:
    """What the role of a schema reads by this SQL."""
    database = await connection.fetchval("SELECT current_database()")
    async with connection.transaction():
        await connection.execute(f'SET LOCAL search_path = "{schema}"')
        await connection.execute(f'SET LOCAL ROLE "{tenants.role_name(database, schema)}"')
        if scope is not None:
            await connection.execute(tenants.named(scope))
        return [tuple(row) for row in await connection.fetch(sql)]


READS = [
    ("helios_views", "SELECT tenant FROM dead_letters__1_letters ORDER BY 1", [("acme",)]),
    ("helios_views", "SELECT tenant FROM verdicts__2_contracts ORDER BY 1", [("acme",)]),
    ("helios_views", "SELECT verdicts FROM verdicts__2_totals ORDER BY 1", [(10,)]),
    ("helios_views", "SELECT count(*) FROM verdicts__2_totals", [(1,)]),
    ("helios", "SELECT position FROM events ORDER BY 1", [(1,)]),
    ("helios", "SELECT tenant FROM origins ORDER BY 1", [("acme",)]),
    ("helios", "SELECT tenant FROM families ORDER BY 1", [("acme",)]),
    ("helios", "SELECT count(*) FROM aggregates", [(1,)]),
]


def test_the_role_sees_the_rows_of_the_tenants_named_and_without_any_none(
    postgres_url: str, owner_url: str
) -> None:
    async def test() -> None:
        async with filled(owner_url), connected(owner_url) as connection:
            for schema, sql, expected in READS:
                assert await seen(connection, schema, sql, ACME) == expected, sql
                for scope in (None, tenancy.NOTHING, tenancy.Scope(frozenset({"nobody"}))):
                    found = await seen(connection, schema, sql, scope)
                    assert found in ([], [(0,)]), (sql, scope)
        # Nor does a superuser see more once it has become the role.
        async with connected(postgres_url) as connection:
            sql = "SELECT tenant FROM helios.origins"
            assert await seen(connection, "helios", sql, ACME) == [("acme",)]

    asyncio.run(test())


@pytest.mark.parametrize(
    ("schema", "sql"),
    [
        ("helios_views", "SELECT data FROM verdicts__2_memory"),
        ("helios_views", "DELETE FROM dead_letters__1_letters"),
        ("helios", "SELECT actor FROM actors"),
        ("helios", "SELECT answer FROM idempotency"),
        ("helios", "DELETE FROM events"),
        ("helios", "UPDATE origins SET tenant = 'acme'"),
    ],
)
def test_the_role_may_read_what_a_scope_shows_and_nothing_else(
    owner_url: str, schema: str, sql: str
) -> None:
    async def test() -> None:
        async with filled(owner_url), connected(owner_url) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await seen(connection, schema, sql, ACME)

    asyncio.run(test())


def test_every_table_of_views_and_the_events_are_forced_under_policies(owner_url: str) -> None:
    async def test() -> None:
        async with filled(owner_url), connected(owner_url) as connection:
            lacking = await connection.fetch(
                "SELECT relname FROM pg_class WHERE relkind = 'r'"
                " AND NOT (relrowsecurity AND relforcerowsecurity)"
                " AND relnamespace IN ('helios'::regnamespace, 'helios_views'::regnamespace)"
            )
            assert {row[0] for row in lacking} == {
                *("helios_schema", "helios_slots"),
                *("log", "turn", "types", "actors", "batches", "idempotency"),
            }

    asyncio.run(test())


def test_a_scope_is_kept_whatever_may_be_made_of_the_login(url: str) -> None:
    async def test() -> None:
        letters = "SELECT tenant FROM {t}letters ORDER BY tenant"
        async with filled(url) as (store, history):
            for names in (("acme",), (ODD,), ("acme", ODD), ()):
                scope = tenancy.Scope(frozenset(names))
                with tenancy.within(scope):
                    rows = await store.query(dead_letters.NAME, letters)
                    assert [row[0] for row in rows] == sorted(names)
                    async with store.reading(verdict_view.NAME) as snapshot:
                        found = await snapshot.query("SELECT sum(verdicts) FROM {t}totals")
                        assert found[0][0] == (sum(map(_total, names)) or None)
                    page = await history.read(envelope.Position(0))
                    assert sorted(event.tenant for event in page.events) == sorted(names)
                    with pytest.raises(errors.ForbiddenError):
                        await store.query(verdict_view.NAME, "SELECT data FROM {t}memory")
            assert len(await store.query(dead_letters.NAME, letters)) == 3
            assert len((await history.read(envelope.Position(0))).events) == 3

    asyncio.run(test())


def _total(name: str) -> int:
    return 10 + ("acme", "beta", ODD).index(name)


def test_a_login_that_may_not_make_roles_is_told_the_remedy(postgres_url: str) -> None:
    async def test(url: str) -> None:
        with structlog.testing.capture_logs() as told:
            async with filled(url):
                pass
        warnings = [each for each in told if "row-level security" in each["event"]]
        assert {each["schema"] for each in warnings} == {"helios", "helios_views"}
        for each in warnings:
            async with connected(postgres_url) as admin:
                await admin.execute(each["remedy"])
        with structlog.testing.capture_logs() as told:
            async with filled_again(url) as connection:
                sql = "SELECT tenant FROM dead_letters__1_letters"
                assert await seen(connection, "helios_views", sql, ACME) == [("acme",)]
        assert not [each for each in told if "row-level security" in each["event"]]

    with _login(postgres_url, PLAIN, makes_roles=False) as url:
        asyncio.run(test(url))


@contextlib.asynccontextmanager
async def filled_again(url: str) -> AsyncIterator[Any]:
    """A restart over what `filled` left, as far as a worker that takes its copy over."""
    time = clocks.SystemClock()
    store = view_store.PostgresViewStore(url, clock=time)
    await store.open()
    try:
        store.declare([dead_letters.VIEW, verdict_view.VerdictView()])
        for view in (dead_letters.NAME, verdict_view.NAME):
            for slot in await store.slots(view):
                await store.claim(slot)
        async with connected(url) as connection:
            yield connection
    finally:
        await store.close()


def test_what_was_made_without_policies_has_them_once_it_is_taken_over(owner_url: str) -> None:
    async def test() -> None:
        async with filled(owner_url), connected(owner_url) as connection:
            rows = await connection.fetch(
                "SELECT polname, relname FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid"
                " WHERE relname LIKE 'dead_letters%'"
            )
            assert rows
            for policy, table in rows:
                await connection.execute(f'DROP POLICY "{policy}" ON helios_views."{table}"')
            await connection.execute(
                "ALTER TABLE helios_views.dead_letters__1_letters DISABLE ROW LEVEL SECURITY"
            )
        async with filled_again(owner_url) as connection:
            sql = "SELECT tenant FROM dead_letters__1_letters"
            assert await seen(connection, "helios_views", sql, ACME) == [("acme",)]

    asyncio.run(test())


@pytest.mark.parametrize(
    "tampered", ["DELETE FROM helios_slots", "INSERT INTO verdicts__2_totals VALUES (1, 2, 3)"]
)
def test_the_connections_of_a_scope_cannot_write(owner_url: str, tampered: str) -> None:
    async def test() -> None:
        async with filled(owner_url) as (store, _), store._net.acquire() as connection:
            await connection.execute("SET default_transaction_read_only = off")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(tampered)

    asyncio.run(test())


def test_who_reads_without_a_scope_has_no_policy_in_the_plan(owner_url: str) -> None:
    async def test() -> None:
        async with filled(owner_url), connected(owner_url) as connection:
            for sql in (
                "SELECT * FROM helios_views.dead_letters__1_letters WHERE tenant = 'acme'",
                "SELECT * FROM helios_views.verdicts__2_verdicts WHERE contract = 1",
                "SELECT * FROM helios.events WHERE position > 1 ORDER BY position LIMIT 10",
                (
                    "INSERT INTO helios_views.verdicts__2_totals VALUES (7, 7, 7)"
                    " ON CONFLICT (contract, status) DO UPDATE SET verdicts = excluded.verdicts"
                ),
            ):
                plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}"))
                assert tenants.SETTING not in plan, plan
                assert "SubPlan" not in plan, plan
                assert "InitPlan" not in plan, plan

    asyncio.run(test())


def test_what_holds_for_all_clients_is_shown_to_each_and_to_nobody_without_one(
    owner_url: str,
) -> None:
    async def test() -> None:
        async with filled(owner_url) as (store, _), connected(owner_url) as connection:
            slot = await store.claim(await store.create(stacks_view.VIEW, live=True))
            rows: list[ports.Row] = [("acme", "1"), ("beta", "2"), ("helios", "3")]
            write = ports.Write("INSERT INTO {t}guards VALUES (?, ?)", rows)
            await store.commit(slot, [write], ports.Checkpoint(position=envelope.Position(1)))
            sql = f"SELECT state FROM {slot.prefix}guards ORDER BY 1"
            assert await seen(connection, "helios_views", sql, ACME) == [("1",), ("3",)]
            assert await seen(connection, "helios_views", sql, None) == []
            with tenancy.within(ACME):
                found = await store.query(stacks_view.NAME, "SELECT state FROM {t}guards")
            assert sorted(found) == [("1",), ("3",)]

    asyncio.run(test())


def test_the_role_is_another_for_each_schema_and_database() -> None:
    names = {
        tenants.role_name(database, schema) for database in ("a", "b") for schema in ("x", "y")
    }
    assert len(names) == 4
    assert all(len(name) <= 63 and name.isidentifier() for name in names)
