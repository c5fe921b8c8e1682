"""What the documentation tells people to type does what it says.

In a page `<!-- run -->` stands before a console block that is run here, `<!-- run: exit 1 -->`
before one whose last command ends so, and `<!-- file: NAME -->` before a block that is the content
of a file. All blocks of a page share a folder, which begins as a copy of examples/tutorial. The
lines under a command are what it prints; `...` stands for anything. On a page that says
`<!-- served -->` a server runs in that folder; `<!-- served: --option value -->` gives it options.
`<!-- needs: NAME -->` names real systems that the page starts with `scripts/components.py`.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helios.testing import components

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"<!-- (?:file: (?P<file>\S+)|run(?:: exit (?P<exit>\d+))?) -->\n+"
    r"```\w*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SERVED = re.compile(r"<!-- served(?:: (?P<options>[^>]*?))? -->")
NEEDS = re.compile(r"<!-- needs: (?P<names>[^>]*?) -->")
TIMEOUT_S = 60
PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Step:
    """One command, what it prints and how it ends."""

    command: str
    output: str
    exit_code: int


def _pages() -> list[Path]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in pages if BLOCK.search(page.read_text(encoding="utf-8"))]


def _params() -> Iterator[Any]:
    for page in _pages():
        needed = NEEDS.search(page.read_text(encoding="utf-8"))
        marks = [pytest.mark.components, pytest.mark.slow, pytest.mark.timeout(300)]
        yield pytest.param(
            page, marks=marks if needed else (), id=page.relative_to(ROOT).as_posix()
        )


@contextlib.contextmanager
def _with_components(text: str, folder: Path) -> Iterator[None]:
    """The script lies in the folder, and what the page leaves running ends."""
    needed = NEEDS.search(text)
    if needed is None:
        yield
        return
    reason = components.missing(*needed["names"].split())
    if reason:
        pytest.skip(reason)
    (folder / "scripts").symlink_to(ROOT / "scripts")
    try:
        yield
    finally:
        for running in folder.glob("*/component.json"):
            stop = ["scripts/components.py", "stop", "--folder", str(running.parent)]
            subprocess.run(stop, cwd=folder, check=False, timeout=TIMEOUT_S)


def _steps(text: str, exit_code: int) -> list[Step]:
    joined = text.replace("\\\n", " ")
    told = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", joined, re.MULTILINE)
    last = len(told) - 1
    return [
        Step(command, output, exit_code if i == last else 0)
        for i, (command, output) in enumerate(told)
    ]


def _pattern(output: str) -> str:
    """A regular expression for the expected output."""
    lines = ["(?s:.*)" if line.strip() == "..." else _line(line) for line in output.splitlines()]
    return r"\n?".join(lines)


def _line(line: str) -> str:
    return r"[^\n]*".join(r"\s+".join(map(re.escape, part.split())) for part in line.split("..."))


@contextlib.contextmanager
def _served(folder: Path, options: str) -> Iterator[str]:
    """A server on a free port, ready; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(PROGRAMS / "helios"), "serve", "--port", str(port), *options.split()]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        assert f":{port}" in server.stdout.readline(), "the server did not say where it serves"
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.communicate(timeout=TIMEOUT_S)


def _run(step: Step, folder: Path, url: str) -> None:
    environment = {
        **os.environ,
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "HELIOS_URL": url,
    }
    done = subprocess.run(
        ["bash", "-c", step.command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    shown = "\n".join(" ".join(line.split()) for line in done.stdout.splitlines())
    assert done.returncode == step.exit_code, f"$ {step.command}\n{done.stdout}"
    if step.output.strip():
        wanted = _pattern(step.output)
        assert re.fullmatch(r"\s*" + wanted + r"\s*", shown), (
            f"$ {step.command}\nprints\n{done.stdout}\nbut the page says\n{step.output}"
        )


@pytest.mark.parametrize("page", list(_params()))
def test_the_commands_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tutorial"
    shutil.copytree(ROOT / "examples/tutorial", folder)
    text = page.read_text(encoding="utf-8")
    served = SERVED.search(text)
    nowhere = contextlib.nullcontext("http://127.0.0.1:9")
    server = nowhere if served is None else _served(folder, served["options"] or "")
    with _with_components(text, folder), server as url:
        for block in BLOCK.finditer(text):
            if block["file"]:
                (folder / block["file"]).parent.mkdir(parents=True, exist_ok=True)
                (folder / block["file"]).write_text(block["text"], encoding="utf-8")
                continue
            for step in _steps(block["text"], int(block["exit"] or 0)):
                _run(step, folder, url)
