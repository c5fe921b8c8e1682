"""The rules of the code that no linter knows, each with its reason in its failure."""

import ast
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 10
LINE_CHARS_MAX = 100

BANNED = {
    "print": "click.echo or the console in the CLI, structlog elsewhere",
    "breakpoint": "nothing: it was left over",
    "time.time": "a kernel.clock.Clock that is passed in",
    "time.time_ns": "a kernel.clock.Clock that is passed in",
    "time.sleep": "a kernel.clock.Clock that is passed in",
    "datetime.now": "a kernel.clock.Clock that is passed in",
    "datetime.utcnow": "a kernel.clock.Clock that is passed in",
    "datetime.today": "a kernel.clock.Clock that is passed in",
    "datetime.datetime.now": "a kernel.clock.Clock that is passed in",
    "datetime.datetime.utcnow": "a kernel.clock.Clock that is passed in",
    "date.today": "a kernel.clock.Clock that is passed in",
    "uuid.uuid1": "a kernel.ids.Ids that is passed in",
    "uuid.uuid4": "a kernel.ids.Ids that is passed in",
    "uuid4": "a kernel.ids.Ids that is passed in",
}
INNER = ("drivers", "reconcile/streams/cel")
"""What nobody else calls by name: a driver's contract is its port, that of CEL its `compile`."""

RANDOM = "a random.Random that is passed in"

Committed = Callable[..., list[Path]]
Refuse = Callable[[list[str], str], None]
Parsed = Callable[[Path], ast.Module]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="session")
def product(committed: Committed) -> list[Path]:
    return committed(".py", below="src/helios")


def _functions(tree: ast.Module) -> Iterator[tuple[Function, int]]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node, (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_file_holds_two_ideas(refuse: Refuse, root: Path, committed: Committed) -> None:
    sizes = {p: len(p.read_bytes().splitlines()) for p in committed(".py", ".sql", ".sh")}
    long = [f"{p.relative_to(root)}: {n} lines" for p, n in sizes.items() if n > FILE_LINES_MAX]
    refuse(long, f"over {FILE_LINES_MAX} lines a file is two ideas: split it")


def test_no_function_is_longer_than_a_page(
    refuse: Refuse, root: Path, committed: Committed, parsed: Parsed
) -> None:
    long = [
        f"{path.relative_to(root)}:{node.lineno} {node.name}: {lines} lines"
        for path in committed(".py")
        for node, lines in _functions(parsed(path))
        if lines > FUNCTION_LINES_MAX
    ]
    refuse(long, f"over {FUNCTION_LINES_MAX} lines a function does several things")


def test_most_functions_of_the_product_are_short(product: list[Path], parsed: Parsed) -> None:
    lines = [n for path in product for _, n in _functions(parsed(path))]
    assert statistics.median(lines) <= FUNCTION_LINES_MEDIAN_MAX


def test_no_line_is_wider_than_the_page(refuse: Refuse, root: Path, committed: Committed) -> None:
    wide = [
        f"{path.relative_to(root)}:{number}: {len(line)} characters"
        for path in committed(".py", ".sql", ".sh")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LINE_CHARS_MAX
    ]
    refuse(wide, f"over {LINE_CHARS_MAX} characters")


def _remedy(call: ast.Call) -> str | None:
    name = ast.unparse(call.func)
    if name == "random.Random":
        return None if call.args else f"{RANDOM}: without a seed no run can be repeated"
    if name.startswith("random."):
        return RANDOM
    return BANNED.get(name)


def test_time_ids_randomness_and_output_are_passed_in(
    refuse: Refuse, root: Path, product: list[Path], parsed: Parsed
) -> None:
    kernel = root / "src/helios/kernel"
    found = [
        f"{path.relative_to(root)}:{node.lineno}: {ast.unparse(node.func)}: use {remedy}"
        for path in product
        if not path.is_relative_to(kernel)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and (remedy := _remedy(node))
    ]
    refuse(found, "the simulation cannot control these")


def test_nothing_is_left_for_later(refuse: Refuse, root: Path, committed: Committed) -> None:
    marks = ("FIX" + "ME", "TO" + "DO", "XX" + "X ")
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in committed(".py", ".sql", ".md", ".yaml", ".yml", ".toml", ".sh")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(mark in line for mark in marks)
    ]
    refuse(found, "do it now, or write it down where people look: an issue")


def test_every_module_says_what_it_is_for(
    refuse: Refuse, root: Path, committed: Committed, parsed: Parsed
) -> None:
    silent = [
        str(path.relative_to(root))
        for folder in ("src", "scripts", "benchmarks")
        for path in committed(".py", below=folder)
        if not ast.get_docstring(parsed(path))
    ]
    refuse(silent, "begin the file with why it exists")


def test_every_public_name_of_the_product_is_documented(
    refuse: Refuse, root: Path, product: list[Path], parsed: Parsed
) -> None:
    silent = [
        f"{path.relative_to(root)}:{node.lineno}: {node.name}"
        for path in product
        if not any(path.is_relative_to(root / "src/helios" / folder) for folder in INNER)
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef | Function)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    refuse(silent, "say what it means: units, types, errors")
