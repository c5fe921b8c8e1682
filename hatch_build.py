"""Builds the console into the wheel; run by hatchling.

A wheel never lacks the page silently: without a Node to build it with, there is no wheel.
"""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_EDITABLE = "editable"


class ConsoleHook(BuildHookInterface[Any]):
    """See the module."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Have the console built, and take it in though it is not committed."""
        if self.target_name != "wheel" or version == _EDITABLE:
            return  # In a checkout `make ui` does it.
        ui = _script(Path(self.root))
        if not ui.is_current():
            try:
                ui.build()
            except ui.UiError as error:
                message = f"the wheel needs the console: {error}"
                raise SystemExit(message) from error
        build_data["artifacts"].append("src/helios/api/web_dist/**")


def _script(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ui", root / "scripts" / "ui.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
