"""What the documentation tells people to type does what it says.

In a page `<!-- run -->` stands before a console block that is run here, `<!-- run: exit 1 -->`
before one whose last command ends so, `<!-- run: in time -->` before one whose commands are given
again until they print what they should, and `<!-- file: NAME -->` before a block that is the
content of a file. All blocks of a page share a folder, which begins as a copy of examples/tutorial
or of what `<!-- folder: … -->` names. The lines under a command are what it prints; `...` stands
for anything. On a page that says `<!-- served -->` a server runs in that folder;
`<!-- served: --option value -->` gives it options. `<!-- needs: NAME -->` names real systems that
the page starts with `scripts/components.py`; `<!-- clouds: --option value -->` runs demo clouds.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helios.testing import components

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"<!-- (?:file: (?P<file>\S+)|run(?:: (?:exit (?P<exit>\d+)|(?P<later>in time)))?) -->\n+"
    r"```\w*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SERVED = re.compile(r"<!-- served(?:: (?P<options>[^>]*?))? -->")
NEEDS = re.compile(r"<!-- needs: (?P<names>[^>]*?) -->")
FOLDER = re.compile(r"<!-- folder: (\S+) -->")
CLOUDS = re.compile(r"<!-- clouds(?:: (?P<options>[^>]*?))? -->")
CLOUDS_FILE = "clouds.txt"
"""What the clouds print, as a page has it kept."""

EXPORT = re.compile(r"^ *export (\w+)=(\S+)$", re.MULTILINE)
TIMEOUT_S = 60
PAUSE_S = 1.0
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
        text = page.read_text(encoding="utf-8")
        marks = [pytest.mark.components] if NEEDS.search(text) else []
        if marks or CLOUDS.search(text):
            marks += [pytest.mark.slow, pytest.mark.timeout(300)]
        yield pytest.param(page, marks=marks, id=page.relative_to(ROOT).as_posix())


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
def _clouds(text: str, folder: Path) -> Iterator[dict[str, str]]:
    """Demo clouds on free ports; the variables that they print, which every shell has then."""
    wanted = CLOUDS.search(text)
    if wanted is None:
        yield {}
        return
    options = (wanted["options"] or "").split()
    command = [str(PROGRAMS / "helios"), "demo-clouds", "--port-base", "0", *options]
    told = folder / CLOUDS_FILE
    with told.open("w") as file, subprocess.Popen(command, cwd=folder, stdout=file) as clouds:
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while "Ctrl-C" not in told.read_text():
                assert clouds.poll() is None, "the clouds did not start"
                assert time.monotonic() < deadline, "the clouds did not say where they are"
                time.sleep(0.1)
            yield dict(EXPORT.findall(told.read_text()))
        finally:
            clouds.send_signal(signal.SIGINT)


@contextlib.contextmanager
def _served(folder: Path, options: str, settings: dict[str, str]) -> Iterator[str]:
    """A server on a free port, ready; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(PROGRAMS / "helios"), "serve", "--port", str(port), *options.split()]
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}
    )
    assert server.stdout is not None
    try:
        assert f":{port}" in server.stdout.readline(), "the server did not say where it serves"
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.communicate(timeout=TIMEOUT_S)


def _run_in_time(step: Step, folder: Path, settings: dict[str, str]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return _run(step, folder, settings)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_S)


def _run(step: Step, folder: Path, settings: dict[str, str]) -> None:
    environment = {
        **os.environ,
        **settings,
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
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
    text = page.read_text(encoding="utf-8")
    named = FOLDER.search(text)
    shutil.copytree(ROOT / (named[1] if named else "examples/tutorial"), folder)
    served = SERVED.search(text)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_with_components(text, folder))
        settings = stack.enter_context(_clouds(text, folder))
        url = "http://127.0.0.1:9"
        if served is not None:
            options = served["options"] or ""
            url = stack.enter_context(_served(folder, options, settings))
        settings = {**settings, "HELIOS_URL": url}
        for block in BLOCK.finditer(text):
            if block["file"]:
                (folder / block["file"]).parent.mkdir(parents=True, exist_ok=True)
                (folder / block["file"]).write_text(block["text"], encoding="utf-8")
                continue
            run = _run_in_time if block["later"] else _run
            for step in _steps(block["text"], int(block["exit"] or 0)):
                run(step, folder, settings)
