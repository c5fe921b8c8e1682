"""What `--help` shows is pasted by people: each verb has an example, and each example is a call."""

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from helios import cli

_CUT = re.compile(r"[|<>;]|&&|\|\|")
_VARIABLE = re.compile(r"[A-Z_]+=.*")


def _leaves(
    command: click.Command, name: str, above: click.Context | None
) -> Iterator[tuple[str, click.Command]]:
    """Path and command of each verb that does something."""
    # A command keeps the help option of the first context that it is asked in.
    context = click.Context(command, info_name=name, parent=above, **command.context_settings)
    if not isinstance(command, click.Group):
        yield context.command_path, command
        return
    for each in command.list_commands(context):
        below = command.get_command(context, each)
        assert below is not None
        yield from _leaves(below, each, context)


def _lines(command: click.Command) -> list[str]:
    """The lines of its examples; one that ends in a backslash goes on."""
    _, _, shown = inspect.cleandoc(command.help or "").partition("\b\nExample")
    block = shown.partition("\n\n")[0].partition(":\n")[2]
    return [line.strip() for line in block.replace("\\\n", " ").splitlines()]


def _calls(line: str) -> Iterator[list[str]]:
    """The arguments of each `helios` of a line of a shell."""
    words: list[str] = []
    lexed = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexed.whitespace_split = True
    for word in [*lexed, ";"]:
        if not _CUT.fullmatch(word):
            words.append(word)
            continue
        while words and _VARIABLE.fullmatch(words[0]):
            del words[0]
        if words[:1] == ["helios"]:
            yield words[1:]
        words = []


LEAVES = dict(_leaves(cli.main, "helios", None))
CALLS = [
    pytest.param(path, call, id=" ".join(call))
    for path, command in LEAVES.items()
    for line in _lines(command)
    for call in _calls(line)
]


def test_they_are_all_there() -> None:
    assert len(LEAVES) > 150
    assert len(CALLS) > len(LEAVES)


@pytest.mark.parametrize("path", LEAVES)
def test_a_verb_shows_an_example_of_itself(path: str) -> None:
    shown = [call for line in _lines(LEAVES[path]) for call in _calls(line)]
    own = path.split()[1:]
    assert any(call[: len(own)] == own for call in shown), f"`{path} --help` has no example"


@pytest.mark.parametrize(("path", "call"), CALLS)
def test_an_example_is_a_call_that_there_is(
    path: str, call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for word in call:  # Files have to be there for a path that is checked when it is parsed.
        if re.fullmatch(r"[\w-]+\.[a-z.]+", word):
            Path(word).touch()
    command: click.Command = cli.main
    context, rest = click.Context(command, info_name="helios", **command.context_settings), call
    while isinstance(command, click.Group):
        name, below, rest = command.resolve_command(context, list(rest))
        assert below is not None, f"{path}: {call}"
        command, context = below, click.Context(below, info_name=name, parent=context)
    parsed = command.make_context(context.info_name, list(rest), parent=context.parent)
    assert not parsed.args, f"{path}: nobody reads {parsed.args}"
