"""How every verb ends: one line for a person, a code for a script."""

import importlib
import os
import subprocess
import sys
import types
from collections.abc import Callable, Mapping

import click
import pytest
from click import testing

from helios import cli
from helios.cli import verbs
from helios.kernel import errors


def raises(error: BaseException) -> Callable[[], None]:
    def verb() -> None:
        raise error

    return verb


def run(verb: Callable[[], object], *args: str) -> int:
    """Run a group that has this verb only, as the command line does."""
    command = click.Command("verb", callback=verb)
    group = cli.Verbs("helios", commands={"verb": cli.debug_option(command)})
    with pytest.raises(SystemExit) as ended:
        group.main(["verb", *args])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.InvalidInputError("bad", source="a.csv", line=3), 2, "helios: a.csv:3: bad\n"),
        (errors.StorageError("disk\nfull"), 3, "helios: disk full\n"),
        (KeyboardInterrupt(), 130, "helios: interrupted\n"),
        (click.Abort(), 130, "helios: interrupted\n"),
        (ValueError("x"), 70, "helios: a defect of helios: ValueError: x (run with --debug)\n"),
    ],
)
def test_an_error_is_one_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(raises(error)) == code
    assert capsys.readouterr().err.lstrip() == line


def test_debug_shows_the_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raises(errors.StorageError("away")), "--debug") == 3
    assert "Traceback" in capsys.readouterr().err


def test_a_verb_that_ends_well_gives_zero_and_one_that_exits_gives_its_code() -> None:
    assert run(lambda: None) == 0
    assert run(lambda: click.get_current_context().exit(1)) == 1


def test_a_wrong_call_is_told_as_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: None, "--nope") == 2
    assert "No such option" in capsys.readouterr().err


def test_every_verb_of_the_table_exists() -> None:
    for name, target in cli.COMMANDS.items():
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), name
        assert command.name == name


def shown(
    *arguments: str,
    expected: int = 0,
    completing: str | None = None,
    words: Mapping[str, str] = types.MappingProxyType({}),
) -> testing.Result:
    """What `helios` prints on a terminal that is 80 columns wide, or to a shell that completes."""
    around = {"COLUMNS": "80", "_HELIOS_COMPLETE": completing, **words}
    done = testing.CliRunner(env=around).invoke(cli.main, arguments, prog_name="helios")
    assert done.exit_code == expected
    return done


def test_help_shows_each_verb_once_with_its_whole_line_in_a_group_of_what_people_do() -> None:
    lines = shown("--help").output.splitlines()
    for title, group in verbs.GROUPS.items():
        begin = lines.index(f"{title}:") + 1
        below = lines[begin : begin + len(group)]
        assert below == [f"  {name:{verbs.WIDEST}}  {verb.line}" for name, verb in group.items()]
    assert sum(map(len, verbs.GROUPS.values())) == len(cli.COMMANDS)


def test_help_loads_no_verb() -> None:
    script = (
        "import sys, helios.cli as cli\n"
        "try: cli.main.main(['--help'])\n"
        "except SystemExit: pass\n"
        "loaded = {each for each in sys.modules if each.startswith('helios.cli.')}\n"
        "assert loaded == {'helios.cli.verbs'}, loaded\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_help_of_a_group_that_has_verbs_of_its_own_lists_them() -> None:
    command = click.Command("verb", help="Do something.")
    done = testing.CliRunner().invoke(cli.Verbs("helios", commands={"verb": command}), ["--help"])
    assert f"  {'verb':{verbs.WIDEST}}  Do something." in done.output


@pytest.mark.parametrize(
    ("word", "tip"),
    [
        ("evnts", " Did you mean 'events'?"),
        ("status", " Did you mean 'overview' or 'state' or 'health'?"),
        ("Tail", " Did you mean 'events'?"),
        ("xyzzy", ""),
    ],
)
def test_a_word_that_is_no_verb_is_told_with_those_that_may_be_meant(word: str, tip: str) -> None:
    done = shown(word, expected=2)
    assert done.stderr.endswith(f"Error: No such command {word!r}.{tip}\n")


def test_words_of_other_programs_lead_to_verbs_that_there_are() -> None:
    meant = {each for word in verbs.MEANT for each in verbs.meant(word)}
    assert meant <= set(verbs.ALL)
    assert not verbs.MEANT.keys() & verbs.ALL


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_completes(shell: str) -> None:
    script = shown(completing=f"{shell}_source").stdout
    assert "_HELIOS_COMPLETE=" in script
    assert f"{shell}_complete" in script
    assert f"_HELIOS_COMPLETE={shell}_source helios" in shown("--help").output


def test_the_script_for_bash_is_one_and_is_given_what_completes() -> None:
    script = shown(completing="bash_source").stdout
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    words = {"COMP_WORDS": "helios ev", "COMP_CWORD": "1"}
    assert shown(completing="bash_complete", words=words).stdout == "plain,events\n"
    words = {"COMP_WORDS": "helios events t", "COMP_CWORD": "2"}
    assert shown(completing="bash_complete", words=words).stdout == "plain,tail\n"
    words = {"COMP_WORDS": "helios evnts t", "COMP_CWORD": "2"}
    assert shown(completing="bash_complete", words=words).stderr == ""


def test_what_completes_is_told_with_the_line_of_its_verb() -> None:
    words = {"COMP_WORDS": "helios dead", "COMP_CWORD": "1"}
    told = shown(completing="zsh_complete", words=words).stdout
    assert told.splitlines() == ["plain", "dead-letters", verbs.ALL["dead-letters"].line]


def test_a_reader_that_goes_away_is_no_error() -> None:
    script = (
        "import click, helios.cli as cli\n"
        "def verb():\n"
        "    for _ in range(100_000): click.echo('x' * 80)\n"
        "cli.Verbs('helios', commands={'verb': click.Command('verb', callback=verb)}).main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "verb"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        told = process.stderr.read()
        assert (process.wait(), told) == (141, b"")
