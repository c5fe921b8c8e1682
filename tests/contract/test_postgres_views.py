"""The PostgreSQL store against the suites that every store of views must pass."""

import pytest

from helios.drivers.postgres import view_store
from helios.kernel import clock
from helios.testing import projection_conformance, view_conformance

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
