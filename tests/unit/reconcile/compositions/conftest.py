"""Makes the test kits of this folder importable by the tests beside them."""

import importlib.util
import sys
from pathlib import Path

for name in ("drifting", "ordering", "situations"):
    if name in sys.modules:
        continue
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
