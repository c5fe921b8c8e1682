"""The reference of webhooks names what adapters are and say."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from helios.providers import registry

Refuse = Callable[[list[str], str], None]
PAGE = "docs/reference/webhooks.md"
ERRORS = ("RefusedError", "UnprocessableError")


def _reasons(tree: ast.Module) -> Iterator[str]:
    """The first argument of each refusal, and what is said of what is missing."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        told = [*(node.args[:1] if name in ERRORS else []), *(
            word.value for word in node.keywords if word.arg == "missing"
        )]  # fmt: skip
        for place in told:
            for part in ast.walk(place):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def test_every_reason_of_a_refusal_is_in_the_reference(
    refuse: Refuse, root: Path, parsed: Callable[[Path], ast.Module]
) -> None:
    files = [*(root / "src/helios/providers").glob("*.py"), root / "src/helios/ingest/explain.py"]
    said = {reason for file in files for reason in _reasons(parsed(file))}
    told = set(re.findall(r"`(\w+)`", (root / PAGE).read_text()))
    refuse(sorted(said - told), f"{PAGE} does not name these reasons")


def test_every_sender_is_in_the_reference_as_it_is(refuse: Refuse, root: Path) -> None:
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]]
        for line in (root / PAGE).read_text().splitlines()
        if line.startswith("| `")
    ]
    told = {row[0]: row[3:] for row in rows if len(row) == 6}
    wrong = []
    for name in registry.BUILT_IN:
        provider = registry.get(name)
        limited = str(provider.answers.limited or "taken")
        is_so = [provider.trust.value, str(provider.answers.stored), limited]
        if told.get(name) != is_so:
            wrong.append(f"{name}: {is_so}, not {told.get(name)}")
    refuse(wrong, f"{PAGE} tells these senders otherwise")
