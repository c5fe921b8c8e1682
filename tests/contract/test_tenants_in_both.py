"""A client's canary: what is another's shows in nothing that is read within a scope, in SQLite and
in PostgreSQL.

All tables of all views are filled with rows of one client only. Whoever reads within the scope of
another must then get what an empty store gives, down to the counts. Readers are found by looking
for them, so a new one is tested here without being named.
"""

import asyncio
import contextlib
import importlib
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pytest

import helios
from helios import app_ground
from helios.drivers.postgres import view_store as postgres
from helios.drivers.sqlite import view_store as sqlite
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, filtering, tenancy
from helios.projections import ports, scoping
from helios.projections.views import content_believed, content_read, dead_letters
from helios.reconcile.compositions import audit_view
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import repairs, rows, standing
from helios.reconcile.streams import view as verdict_view
from helios.testing import console_samples, view_conformance

ACME = tenancy.Scope(frozenset({"acme"}))
CANARY = "CANARY"
ID = f"{CANARY}-1"
LATE = clocks.Timestamp(2**50)
WORDS = {
    "status": ("open", "pending", "queued", "waiting"),
    "stage": ("published", "draft", "published", "published"),
    "locale": ("", "de", "", ""),
    "state": ("suspected", "confirmed", CANARY, CANARY),
}
"""Words that readers look for, one for each row; any other text is the canary."""

_TABLE = re.compile(r"CREATE TABLE \{t\}(\w+) \((.*)\)", re.DOTALL)
_COLUMN = re.compile(r"^(\w+) (TEXT|INTEGER|BLOB|REAL)\b")
_PACKAGE = Path(helios.__file__).parent
_NOT_READERS = ("testing", "drivers", "access")
"""Folders whose SQL is not that of readers of views; who may sign in has a test below."""

Opener: TypeAlias = Callable[[], contextlib.AbstractAsyncContextManager[ports.ViewStore]]


def views() -> list[ports.View]:
    return app_ground.served(verdict_view.VerdictView())


def columns(view: ports.View) -> dict[str, list[tuple[str, str]]]:
    """Names and types of the columns of each table, as the schema says."""
    found = {}
    for sql in view.schema:
        match = _TABLE.match(sql)
        if match:
            parts = re.sub(r"\([^()]*\)", "", match.group(2)).split(",")
            named = (_COLUMN.match(part.strip()) for part in parts)
            found[match.group(1)] = [(one.group(1), one.group(2)) for one in named if one]
    return found


def row(table: Sequence[tuple[str, str]], tenant: str, n: int) -> ports.Row:
    """A row whose numbers are all `n`, so that rows of two tables belong together."""

    def value(name: str, kind: str) -> Any:
        if name == scoping.TENANT:
            return tenant
        if kind == "TEXT":
            words = WORDS.get(name)
            return words[n % len(words)] if words else f"{CANARY}-{n}"
        return n if kind == "INTEGER" else float(n) if kind == "REAL" else CANARY.encode()

    return tuple(value(*column) for column in table)


async def fill(store: ports.ViewStore, given: dict[str, range]) -> None:
    """Put rows of these numbers and tenants into every table."""
    for view in views():
        slot = await store.claim(await store.create(view, live=True))
        writes = []
        for table, names in columns(view).items():
            marks = ", ".join("?" * len(names))
            of = ", ".join(name for name, _ in names)
            sql = f"INSERT INTO {{t}}{table} ({of}) VALUES ({marks}) ON CONFLICT DO NOTHING"
            made = [row(names, tenant, n) for tenant, numbers in given.items() for n in numbers]
            writes.append(ports.Write(sql, made))
        await store.commit(slot, writes, ports.Checkpoint(position=envelope.Position(1)))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens a store that is empty at first."""
    if request.param == "sqlite":
        path = str(tmp_path / "views.sqlite")
        return lambda: view_conformance.opened(sqlite.SqliteViewStore(path))
    url = request.getfixturevalue("postgres_url")
    return lambda: view_conformance.opened(postgres.PostgresViewStore(url))


def test_of_every_table_the_rows_in_scope_are_read_and_no_others(opened: Opener) -> None:
    async def test() -> None:
        async with opened() as store:
            await fill(store, {"acme": range(2), "beta": range(2, 5)})
            for view in views():
                for table, one in scoping.tables_of(view).items():
                    sql = f"SELECT * FROM {{t}}{table}"
                    whole = await store.query(view.name, sql)
                    # The guards of a client are one row.
                    assert len(whole) in (2, 5), table
                    if isinstance(one, scoping.Hidden):
                        with tenancy.within(ACME), pytest.raises(errors.ForbiddenError):
                            await store.query(view.name, sql)
                        continue
                    await _check(store, view.name, sql, whole)

    asyncio.run(test())


async def _check(store: ports.ViewStore, view: str, sql: str, whole: list[ports.Row]) -> None:
    expected = sorted(repr(one) for one in whole if "acme" in one or {0, 1} & set(one))
    assert 0 < len(expected) < len(whole), (sql, whole)
    with tenancy.within(ACME):
        assert sorted(map(repr, await store.query(view, sql))) == expected, sql
        async with store.reading(view) as snapshot:
            assert sorted(map(repr, await snapshot.query(sql))) == expected, sql
    with tenancy.within(tenancy.NOTHING):
        assert await store.query(view, sql) == []
    with tenancy.within(tenancy.Scope(frozenset({"acme", "beta", "gamma"}))):
        assert len(await store.query(view, sql)) == len(whole)


# -- readers ---------------------------------------------------------------------------------


def modules() -> Iterator[ModuleType]:
    """Modules whose text names tables of views."""
    for path in sorted(_PACKAGE.rglob("*.py")):
        parts = path.relative_to(_PACKAGE).with_suffix("").parts
        if parts[0] not in _NOT_READERS and "{t}" in path.read_text():
            yield importlib.import_module(".".join(("helios", *parts)))


def readers(store: ports.ViewStore) -> dict[str, Callable[..., Any]]:
    """Every function that is given a store and reads it, and those of the classes that hold one."""
    found: dict[str, Callable[..., Any]] = {}
    for module in modules():
        short = module.__name__.removeprefix("helios.")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            first = next(iter(inspect.signature(function).parameters.values()), None)
            if function.__module__ != module.__name__ or name.startswith("_") or first is None:
                continue
            if first.name == "store" and inspect.iscoroutinefunction(function):
                found[f"{short}.{name}"] = _bound(function, store)
    for held in (
        verdict_view.Reader(store, verdict_view.VerdictView()),
        standing.Standing(store),
        repairs.Reader(store),
        content_believed.Believed(store),
    ):
        for name, method in inspect.getmembers(held, inspect.ismethod):
            reads = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
            if reads and not name.startswith("_"):
                found[f"{type(held).__module__.removeprefix('helios.')}.{name}()"] = method
    return found


def _bound(function: Callable[..., Any], store: ports.ViewStore) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        return function(store, *given, **named)

    call.__wrapped__ = function  # type: ignore[attr-defined]
    return call


CONTRACT = rows.Contract(
    id=1,
    version=1,
    tenant="beta",
    name=console_samples.NAME,
    legs=["order", "payment"],
    yaml=console_samples.CONTRACT,
    withdrawn=False,
)
DECLARED = standing.Declared(
    row=CONTRACT, parsed=contracts.parse(console_samples.CONTRACT), newest=True, withdrawn=False
)
OF_BETA = {"client_id": "beta", "tenant": "beta", "tenants": ("beta",), "clients": ("beta",)}
GIVEN: dict[str, Any] = {
    **OF_BETA,
    "asked": audit_view.Asked(),
    "which": content_read.Which(client_id="beta"),
    "where": dead_letters.Where(),
    "declared": DECLARED,
    "contract": CONTRACT,
    "table": "drifts",
    "status": "pending",
    "names": [("beta", ID)],
    "wanted": [("beta", ID, ID, 1, 1)],
    "since": clocks.Timestamp(0),
    "start": clocks.Timestamp(0),
    "fresh_after": clocks.Timestamp(0),
}
"""Arguments by the name of the parameter, where its type does not say enough."""

OF_TYPE: dict[str, Any] = {
    "str": ID,
    "int": 10,
    "helios.kernel.clock.Timestamp": LATE,
    "helios.eventlog.envelope.Position": envelope.Position(2**40),
    "tuple[int, int]": (0, 0),
    "tuple[str, str]": ("", ""),
    "collections.abc.Sequence[str]": [ID],
    "collections.abc.Collection[str]": [ID],
    "collections.abc.Sequence[helios.reconcile.streams.standing.Declared]": [DECLARED],
    "helios.reconcile.streams.standing.Declared": DECLARED,
    "helios.kernel.filtering.Expression": filtering.parse(""),
}


def argument(reader: str, parameter: inspect.Parameter, store: ports.ViewStore) -> Any:
    """What a reader is asked with."""
    kind = inspect.formatannotation(parameter.annotation)
    if kind == "helios.reconcile.streams.standing.Standing":
        return standing.Standing(store)
    if parameter.name == "contract" and kind in ("str", "str | None"):
        return console_samples.NAME
    found = GIVEN.get(parameter.name, OF_TYPE.get(kind, OF_TYPE))
    if found is OF_TYPE and kind.endswith("| None"):
        return None
    assert found is not OF_TYPE, f"say in this test what {reader} is asked with: {parameter}"
    return found


async def answers(store: ports.ViewStore) -> dict[str, str]:
    """What each reader says, asked for everybody's and for the other client's."""
    found = {}
    for name, read in readers(store).items():
        parameters = inspect.signature(getattr(read, "__wrapped__", read)).parameters.values()
        asked = {
            each.name: argument(name, each, store)
            for each in parameters
            if each.name != "store" and each.default is each.empty
        }
        theirs = {each.name: OF_BETA[each.name] for each in parameters if each.name in OF_BETA}
        whole = {key: None for key in theirs if "None" in _kind(parameters, key)}
        for which, given in (("all", {**asked, **whole}), ("theirs", {**asked, **theirs})):
            found[f"{name} {which}"] = await _said(read, given)
    return found


def _kind(parameters: Collection[inspect.Parameter], name: str) -> str:
    return next(
        inspect.formatannotation(each.annotation) for each in parameters if each.name == name
    )


async def _said(read: Callable[..., Any], given: dict[str, Any]) -> str:
    positional = dict(given)
    try:
        said = read(**positional)
        if inspect.isasyncgen(said):
            return repr([each async for each in said])
        return repr(await said)
    except (errors.NotFoundError, errors.ForbiddenError) as error:
        return repr(error)
    except Exception as error:  # noqa: BLE001 - rows of canaries are not what readers expect
        return f"cannot read this: {error!r}"


def test_no_reader_says_anything_of_another_client(opened: Opener) -> None:
    async def test() -> None:
        async with opened() as store:
            await fill(store, {})
            empty = await answers(store)
            for view in views():
                for slot in await store.slots(view.name):
                    await store.drop(slot)
            await fill(store, {"beta": range(4)})
            with tenancy.within(ACME):
                within = await answers(store)
            whole = await answers(store)
        differing = [name for name, said in empty.items() if within[name] != said]
        assert not differing, {name: (empty[name], within[name]) for name in differing}
        broken = {name: said for name, said in within.items() if said.startswith("cannot")}
        assert not broken
        assert CANARY not in "".join(within[name].replace(ID, "") for name in within)
        # The canary sings where nobody keeps it away, or this test would prove nothing.
        silent = sorted(name for name, said in empty.items() if whole[name] == said)
        assert len(silent) < len(empty) / 4, silent

    asyncio.run(test())
