"""What the house rules speak of: the files that git knows, or would take at the next commit."""

import ast
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

Committed = Callable[..., list[Path]]
Refuse = Callable[[list[str], str], None]


@cache
def _listed() -> tuple[Path, ...]:
    if not (ROOT / ".git").exists():
        pytest.skip("the house rules need a git checkout: they read what is committed")
    answer = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    names = {name for name in answer.stdout.split("\0") if name}
    return tuple(sorted(ROOT / name for name in names if (ROOT / name).is_file()))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def committed() -> Committed:
    """Committed files by suffix (all without one), below a folder of the project."""

    def select(*suffixes: str, below: str = "") -> list[Path]:
        return [
            path
            for path in _listed()
            if path.is_relative_to(ROOT / below) and (not suffixes or path.suffix in suffixes)
        ]

    return select


@pytest.fixture(scope="session")
def parsed() -> Callable[[Path], ast.Module]:
    """The syntax tree of a Python file, parsed once for all rules."""

    @cache
    def parse(path: Path) -> ast.Module:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))

    return parse


@pytest.fixture(scope="session")
def refuse() -> Refuse:
    """Fail with every offender on a line of its own, and why it is one."""

    def check(offenders: list[str], why: str) -> None:
        if offenders:
            pytest.fail("\n  ".join([f"{why}:", *offenders]), pytrace=False)

    return check
