"""Every table of every view says whose its rows are, and says the truth."""

import re
from pathlib import Path

import pytest

import helios
from helios import app_ground
from helios.projections import ports, scoping
from helios.reconcile.streams import view as verdict_view

_PACKAGE = Path(helios.__file__).parent
_CREATE = re.compile(r"CREATE TABLE \{+t\}+(\{?\w+\}?)")
_COMPUTED = {"{table}"}
"""Names in the source that stand for several tables."""

VIEWS = app_ground.served(verdict_view.VerdictView())


def _columns(view: ports.View, table: str) -> str:
    for sql in view.schema:
        if sql.startswith(f"CREATE TABLE {{t}}{table} ("):
            return sql
    raise AssertionError(f"view {view.name} has no table {table}")


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_says_of_each_of_its_tables_whose_the_rows_are(view: ports.View) -> None:
    assert isinstance(view, scoping.ScopedView), (
        f"view {view.name} has no `tenancy`: say there of each table whose its rows are, "
        "see helios.projections.scoping"
    )
    for table, one in scoping.tables_of(view).items():
        columns = _columns(view, table)
        if isinstance(one, scoping.Own):
            assert f"{scoping.TENANT} TEXT NOT NULL" in columns, (view.name, table)
        elif isinstance(one, scoping.Through):
            other = _columns(view, one.table)
            for ours, theirs in one.columns:
                assert re.search(rf"\b{ours} (INTEGER|TEXT) NOT NULL", columns), (table, ours)
                assert re.search(rf"\b{theirs} (INTEGER|TEXT) NOT NULL", other), (table, theirs)


def test_a_table_with_a_tenant_is_not_declared_common() -> None:
    for view in VIEWS:
        for table, one in scoping.tables_of(view).items():
            if isinstance(one, scoping.Common):
                assert scoping.TENANT not in _columns(view, table), (view.name, table)


def test_every_table_that_is_made_belongs_to_a_view_that_is_served() -> None:
    served = {table for view in VIEWS for table in view.tables} | _COMPUTED
    made = {
        (name, path.relative_to(_PACKAGE).as_posix())
        for path in _PACKAGE.rglob("*.py")
        if "testing" not in path.parts
        for name in _CREATE.findall(path.read_text())
    }
    assert made
    assert not [(name, path) for name, path in made if name not in served]
