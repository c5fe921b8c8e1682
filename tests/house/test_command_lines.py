"""Command lines that the pages show are pasted by people: each must be one that there is."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from helios import cli

WEB = Path(__file__).resolve().parents[2] / "web" / "src"
_LINE = re.compile(r"""["'`]helios (?!on the )(?P<rest>[a-z-]+ [^"`\n]*)""")
_WORD = re.compile(r"[a-z][a-z-]*")
_OPTION = re.compile(r"(?<!\S)(--[a-z][a-z-]*)")


def _lines() -> Iterator[tuple[str, str]]:
    """Place and text of each, up to where its quotes end."""
    for file in sorted(WEB.rglob("*.ts*")):
        if ".test." in file.name:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            for found in _LINE.finditer(line):
                yield f"{file.relative_to(WEB)}:{number}", found["rest"]


LINES = list(_lines())


def test_there_are_some() -> None:
    assert len(LINES) > 30


@pytest.mark.parametrize(("place", "line"), LINES)
def test_a_command_line_of_the_pages_is_one_that_there_is(place: str, line: str) -> None:
    words = line.split()
    assert words[0] in cli.COMMANDS, f"{place}: there is no `helios {words[0]}`"
    module, _, name = cli.COMMANDS[words[0]].partition(":")
    command: click.Command = getattr(importlib.import_module(module), name)
    for word in words[1:]:
        if not isinstance(command, click.Group) or not _WORD.fullmatch(word):
            break
        below = command.get_command(click.Context(command), word)
        assert below is not None, f"{place}: there is no `{word}` in `helios {line}`"
        command = below
    if isinstance(command, click.Group):
        return  # Which of its verbs is only known when it is shown.
    known = {"--help", *(each for one in command.params for each in one.opts + one.secondary_opts)}
    assert set(_OPTION.findall(line)) <= known, f"{place}: `helios {line}`"
