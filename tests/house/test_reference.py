"""The reference says what the code says."""

import ast
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from helios.ingest import declaring

Refuse = Callable[[list[str], str], None]


@pytest.fixture(scope="module")
def reference(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", root / "scripts/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_pages_are_current(refuse: Refuse, reference: ModuleType) -> None:
    differing = [page.name for page in reference.outdated()]
    refuse(differing, "run `make reference` and commit what it writes")


def test_help_pages_are_laid_out(refuse: Refuse, reference: ModuleType) -> None:
    raw = [line.strip() for line in reference.cli_page().splitlines() if "\\b" in line]
    refuse(raw, "click's \\b mark is shown as text: its docstring must not be a raw string")


def _accepted_fields(tree: ast.Module) -> set[str]:
    """Every name that the contract's parser takes: the strings in its `….fields((…))` calls."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    asked = (
        call.args[0]
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "fields" and call.args
    )
    constants = (node for names in asked for node in ast.walk(names))
    return {
        node.value
        for node in constants
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_field_of_a_source_is_in_the_reference(
    refuse: Refuse, root: Path, parsed: Callable[[Path], ast.Module]
) -> None:
    tree = parsed(root / "src/helios/ingest/declaring.py")
    fields = _accepted_fields(tree) | set(declaring.FIELDS)
    told = set(re.findall(r"\w+", (root / "docs/reference/source.md").read_text()))
    refuse(sorted(fields - told), "docs/reference/source.md does not name these fields")


def test_every_field_of_a_contract_is_in_the_reference(
    refuse: Refuse, root: Path, parsed: Callable[[Path], ast.Module]
) -> None:
    fields = _accepted_fields(parsed(root / "src/helios/reconcile/streams/contract.py"))
    page = (root / "docs/reference/contract.md").read_text()
    told = set(re.findall(r"\w+", page))
    refuse(sorted(fields - told), "docs/reference/contract.md does not name these fields")
    assert len(fields) > 20, "the parser asks for its fields in another way: mend this test"
