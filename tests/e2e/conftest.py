"""What the tests with a real process share."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def serving() -> ModuleType:
    """The module `serving.py` beside this file."""
    path = Path(__file__).with_name("serving.py")
    spec = importlib.util.spec_from_file_location("helios_tests_serving", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
