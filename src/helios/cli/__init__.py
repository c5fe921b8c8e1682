"""The command line: one verb per thing an operator does.

A verb is a module of its own and is loaded when it is called, so that each starts as fast as what
it needs. Errors end here: one line for the person, an exit code for the script, and the trace only
where somebody asked for it.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import click
from click import shell_completion

from helios.cli import verbs
from helios.kernel import errors

COMMANDS = {name: f"helios.cli.{verb.target}" for name, verb in verbs.ALL.items()}
"""Verb -> `module:attribute` of its click command."""

EXIT_BAD_INPUT = 2
EXIT_FAILED = 3
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class _ReaderGoneError(Exception):
    """Whoever read our output has gone; click would take the plain error for its own and exit 1."""


class Verbs(click.Group):
    """A group that loads a verb when it is called, and turns errors into one line and a code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return sorted({*COMMANDS, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        known = ctx.resilient_parsing or word.startswith("-") or self.get_command(ctx, word)
        if not known:
            close = " or ".join(map(repr, verbs.meant(word)))
            ctx.fail(f"No such command {word!r}." + (f" Did you mean {close}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's interface
        formatter: click.HelpFormatter,
    ) -> None:
        groups = {
            title: [(name, verb.line) for name, verb in group.items()]
            for title, group in verbs.GROUPS.items()
        }
        own = [(name, verb.get_short_help_str()) for name, verb in self.commands.items()]
        for title, rows in {**groups, "Others": own}.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(verbs.WIDEST), line) for name, line in rows])

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[shell_completion.CompletionItem]:
        found = [
            shell_completion.CompletionItem(name, help=verb.line)
            for name, verb in sorted(verbs.ALL.items())
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGoneError from error

    def main(  # type: ignore[override]  # click's overloads tell two modes apart, ours is one
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(given, prog_name, standalone_mode=False, **extra)
        code = _guarded(lambda: super(Verbs, self).main(
            given, prog_name or "helios", standalone_mode=False, **extra
        ), debug=_wants_debug(given))  # fmt: skip
        sys.exit(code)


def _wants_debug(args: Sequence[str]) -> bool:
    own = args[: args.index("--")] if "--" in args else args
    return "--debug" in own or bool(os.environ.get("HELIOS_DEBUG"))


def _guarded(call: Callable[[], Any], *, debug: bool) -> int:
    """Run a verb and say how it ended: its exit code, after one line about what went wrong."""
    try:
        result = call()
        sys.stdout.flush()
    except (BrokenPipeError, _ReaderGoneError):
        # Python must not complain of it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place to tell it
        message, code = _told(error)
        _say(message, error=error, debug=debug and code != EXIT_INTERRUPTED)
        return code
    return result if isinstance(result, int) else 0


def _told(error: BaseException) -> tuple[str, int]:
    """What to say of an error, and the exit code."""
    match error:
        case click.Abort() | KeyboardInterrupt():
            return "interrupted", EXIT_INTERRUPTED
        case errors.InvalidInputError():
            return str(error), EXIT_BAD_INPUT
        case errors.HeliosError():
            return str(error), EXIT_FAILED
    return f"a defect of helios: {type(error).__name__}: {error} (run with --debug)", EXIT_BUG


def _say(message: str, *, error: BaseException, debug: bool) -> None:
    if debug:
        import traceback  # noqa: PLC0415 - only here

        traceback.print_exception(error)
    line = " ".join(message.splitlines())
    click.echo(f"helios: {line}", err=True)


def debug_option(command: Any) -> Any:
    """Accept `--debug` behind a verb too; `Verbs.main` acts on it wherever it stands."""
    return click.option(
        "--debug", is_flag=True, expose_value=False, help="Show the trace of an error."
    )(command)


def _version() -> str:
    try:
        return metadata.version("helios")
    except metadata.PackageNotFoundError:
        return "unknown"


_COMPLETION = """\b
Tab completes verbs and options once your shell has run its line of these:
  bash  eval "$(_HELIOS_COMPLETE=bash_source helios)"
  zsh   eval "$(_HELIOS_COMPLETE=zsh_source helios)"
  fish  _HELIOS_COMPLETE=fish_source helios | source
"""


@click.group(
    cls=Verbs, epilog=_COMPLETION, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(_version(), prog_name="helios")
@debug_option
def main() -> None:
    """Helios keeps declared facts true across systems that you do not control."""
