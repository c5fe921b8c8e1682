"""What the tests with a real process share."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _beside(name: str) -> ModuleType:
    """A module beside this file."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"helios_tests_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def serving() -> ModuleType:
    """The module `serving.py`."""
    return _beside("serving")


@pytest.fixture(scope="session")
def driving() -> ModuleType:
    """The module `driving.py`."""
    return _beside("driving")


@pytest.fixture(scope="session")
def clouds() -> ModuleType:
    """The module `clouds.py`."""
    return _beside("clouds")


@pytest.fixture(scope="session")
def gatekit() -> ModuleType:
    """The module `gatekit.py`."""
    return _beside("gatekit")


@pytest.fixture(scope="session")
def everyone() -> ModuleType:
    """The module `everyone.py`."""
    return _beside("everyone")


@pytest.fixture(scope="session")
def writer() -> ModuleType:
    """The module `writer.py`, which is also a program."""
    return _beside("writer")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """Where log and views are: None for SQLite files, or an empty database."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres_url")
    return url
