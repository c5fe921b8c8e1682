"""What all tests share: where test data lies, and what a skip means.

On a laptop a test whose service or data is absent is skipped and says what it wants. Where
everything must run (`--no-skips`, or CI=true) such a test fails instead: a suite that skips is
green for the wrong reason.
"""

import asyncio
import importlib.util
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import hypothesis
import pytest

from helios.testing import components

ROOT = Path(__file__).resolve().parent.parent
_EMPTY_DATABASE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT nspname FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP;
END $$;
CREATE SCHEMA public;
"""


# How long one example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("helios", deadline=None)
hypothesis.settings.load_profile("helios")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips",
        action="store_true",
        default=os.environ.get("CI", "").lower() == "true",
        help="fail a test that would be skipped (default when CI=true)",
    )


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}\nskipped, but here nothing may be skipped. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.config.getoption("--no-skips"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.config.getoption("--no-skips"):
        _refuse_skip(report)
    return report


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets; HELIOS_SHARED overrides the place beside the checkout."""
    folder = Path(os.environ.get("HELIOS_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}: set HELIOS_SHARED to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def shared(shared_data: Path) -> Path:
    """The same folder under its short name."""
    return shared_data


@pytest.fixture(scope="session")
def postgres_script() -> ModuleType:
    """The module `scripts/postgres.py`; a test with a server of its own starts it with this."""
    return _script("postgres")


@pytest.fixture(scope="session")
def postgres_server(postgres_script: ModuleType) -> Iterator[str]:
    """URL of a server for the whole session: the one given, or one of our own."""
    given = os.environ.get("HELIOS_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    if not postgres_script.find_binaries():
        pytest.skip(
            "no PostgreSQL here: run `scripts/postgres.py start` (as root it installs the package) "
            "or set HELIOS_TEST_POSTGRES_URL"
        )
    folder = Path(tempfile.mkdtemp(prefix="helios-test-postgres-"))
    try:
        yield postgres_script.start(folder)
    finally:
        postgres_script.stop(folder)


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str) -> Iterator[str]:
    """URL of a database of this session; one for all tests, because making one costs a flush."""
    name = f"helios_test_{os.getpid()}"
    asyncio.run(_execute(postgres_server, f'CREATE DATABASE "{name}"'))
    yield urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
    asyncio.run(_execute(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def postgres_url(postgres_database: str) -> Iterator[str]:
    """URL of an empty database that only this test uses."""
    yield postgres_database
    asyncio.run(_execute(postgres_database, _EMPTY_DATABASE))


@pytest.fixture(scope="session")
def kafka_script() -> ModuleType:
    """The module `scripts/kafka.py`; a test with a broker of its own starts it with this."""
    return _script("kafka")


@pytest.fixture(scope="session")
def kafka_server(kafka_script: ModuleType) -> Iterator[str]:
    """Bootstrap address of a broker for the whole session: the one given, or one of our own."""
    given = os.environ.get("HELIOS_TEST_KAFKA")
    if given:
        yield given
        return
    if not kafka_script.find_jars():
        pytest.skip(
            "no Kafka here: run `scripts/kafka.py install` (it needs Java 17, Maven and a Maven "
            "repository) or set HELIOS_TEST_KAFKA to the host:port of a broker for tests"
        )
    folder = Path(tempfile.mkdtemp(prefix="helios-test-kafka-"))
    try:
        yield kafka_script.start(folder)
    finally:
        kafka_script.stop(folder)


def _need_components(*names: str) -> None:
    reason = components.missing(*names)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def strapi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a Strapi that was started once and is empty: tests run copies of it."""
    _need_components("strapi")
    folder = tmp_path_factory.mktemp("strapi") / "prepared"
    with components.Strapi(folder) as made:
        made.stop()
    return folder


@pytest.fixture
def strapi(strapi_folder: Path, tmp_path: Path) -> Iterator[components.Strapi]:
    """A Strapi that only this test uses, without any article."""
    with components.Strapi(components.copy(strapi_folder, tmp_path / "strapi")) as running:
        yield running


@pytest.fixture(scope="session")
def vendure_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a Vendure with one product in stock: tests run copies of it."""
    _need_components("vendure")
    folder = tmp_path_factory.mktemp("vendure") / "prepared"
    with components.Vendure(folder) as made:
        made.api.set_up()
        made.stop()
    return folder


@pytest.fixture
def shop_folder(vendure_folder: Path, tmp_path: Path) -> Path:
    """Folder of a shop that only this test uses, for `components.Vendure` to run."""
    return components.copy(vendure_folder, tmp_path / "vendure")


def _script(name: str) -> ModuleType:
    path = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"helios_scripts_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def _execute(url: str, sql: str) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
