"""`helios secrets`: values that declarations refer to as `secret:NAME`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from helios.cli import output as outputs
from helios.cli import session
from helios.drivers.vault import store
from helios.kernel import errors


@click.group()
def secrets() -> None:
    """Keep secrets in the data folder; none is ever printed."""


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--data-dir", type=click.Path(path_type=Path), help="Folder of the log and views."
        ),
        click.option(
            "--config",
            envvar="HELIOS_CONFIG",
            type=click.Path(path_type=Path),
            help="Settings file; helios.toml in this folder without it.",
        ),
    ):
        command = option(command)
    return command


@secrets.command(name="set")
@click.argument("name")
@click.option("--from-stdin", is_flag=True, help="Read the value from standard input.")
@_options
def set_(name: str, data_dir: Path | None, config: Path | None, *, from_stdin: bool) -> None:
    """Keep a value under a name; a server that runs uses it a second later.

    \b
    Examples:
      helios secrets set shopify
      pass show shopify | helios secrets set shopify --from-stdin
    """  # noqa: D301 - click reads \b as the character
    _vault(data_dir, config).put(name, _value(from_stdin=from_stdin))
    click.echo(f"kept as secret:{name}")


@secrets.command(name="list")
@_options
@outputs.option
def list_(output: outputs.Format, data_dir: Path | None, config: Path | None) -> None:
    """Print the names of the secrets that are kept.

    \b
    Example:
      helios secrets list
    """  # noqa: D301 - click reads \b as the character
    names = _vault(data_dir, config).names()
    rows = [{"name": name, "reference": f"secret:{name}"} for name in names]
    empty = "no secrets: keep one with `helios secrets set NAME`"
    outputs.show(rows, output, rows=rows, columns=["name", "reference"], empty=empty)


@secrets.command()
@click.argument("name")
@_options
def remove(name: str, data_dir: Path | None, config: Path | None) -> None:
    """Forget a secret.

    \b
    Example:
      helios secrets remove shopify
    """  # noqa: D301 - click reads \b as the character
    _vault(data_dir, config).remove(name)
    click.echo(f"forgot secret:{name}")


def _vault(data_dir: Path | None, config: Path | None) -> store.FolderVault:
    found = session.Where(url=None, data_dir=data_dir, config=config).resolve()
    return store.FolderVault(found.settings.data_dir, os.environ)


def _value(*, from_stdin: bool) -> bytes:
    if from_stdin:
        # One byte more than is taken, so that what is too long is told and not cut.
        given = sys.stdin.buffer.read(store.SECRET_BYTES_MAX + 3)
        return given.removesuffix(b"\n").removesuffix(b"\r")
    if not sys.stdin.isatty():
        raise errors.InvalidInputError(
            "there is no terminal to type the value at; give it with --from-stdin"
        )
    typed: str = click.prompt("Value", hide_input=True, confirmation_prompt=True, err=True)
    return typed.encode()
