"""Makes the test kit `drifting` importable by the tests beside it."""

import importlib.util
import sys
from pathlib import Path

if "drifting" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "drifting", Path(__file__).with_name("drifting.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["drifting"] = module
    spec.loader.exec_module(module)
