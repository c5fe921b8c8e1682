"""`scripts/ui.py` builds the console in the middle of `make demo`: it prints what is its own."""

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def ui(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ui", root / "scripts/ui.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_npm_says_nothing_of_newer_versions_of_itself(ui: ModuleType, tmp_path: Path) -> None:
    try:
        command = ui._npm(ui.node())
    except ui.UiError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    asked = [*command, "config", "get", "update-notifier"]
    # Whoever has told npm so for himself must not hide that others are told.
    env = {k: v for k, v in os.environ.items() if not k.lower().startswith("npm_config_")}
    env |= {f"npm_config_{each}config": str(tmp_path / each) for each in ("user", "global")}
    told = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=tmp_path, env=env)
    assert told.stdout == "false\n"
