"""The SQLite store against the suites that every store of views must pass."""

from pathlib import Path

import pytest

from helios.drivers.sqlite import view_store
from helios.testing import projection_conformance, view_conformance


class TestSqliteViewStore(
    view_conformance.ViewStoreConformance, projection_conformance.ProjectionConformance
):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> view_conformance.OpenStore:
        path = str(tmp_path / "views.db")
        return lambda: view_conformance.opened(view_store.SqliteViewStore(path))


class TestExclusiveSqliteViewStore(
    view_conformance.ViewStoreConformance, projection_conformance.ProjectionConformance
):
    """One connection for everything, as the simulation's disk needs it."""

    snapshots_beside_writes = False
    several_stores = False

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> view_conformance.OpenStore:
        path = str(tmp_path / "views.db")
        return lambda: view_conformance.opened(view_store.SqliteViewStore(path, exclusive=True))
