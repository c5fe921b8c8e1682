"""`helios views`."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import click

from helios.cli import naming, session
from helios.cli import output as outputs

EXIT_DIFFERENT = 1


@click.group()
def views() -> None:
    """What is folded from the log."""


@views.command(name="list")
@session.options
@outputs.option
def list_(where: session.Where, output: outputs.Format) -> None:
    """Print how each view is doing.

    \b
    Example:
      helios views list
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.views())
    rows = [outputs.plain(view) for view in found.views]
    columns = ["view", "version", "status", "position", "head", "lag_events", "error"]
    outputs.show(found.views, output, rows=rows, columns=columns)


@views.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="All views.")
@session.options
@outputs.option
def rebuild(where: session.Where, output: outputs.Format, name: str | None, *, every: bool) -> None:
    """Build a view anew beside the one that serves, then swap.

    \b
    Examples:
      helios views rebuild event_mirror
      helios views rebuild --all
    """  # noqa: D301 - click reads \b as the character
    if (name is None) != every:
        raise click.UsageError("Give a NAME or --all.")
    done = asyncio.run(_each(where, "rebuild", name))
    outputs.show(done, output, rows=done, columns=["view", "version", "position"])


@views.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="All views.")
@session.options
@outputs.option
def verify(where: session.Where, output: outputs.Format, name: str | None, *, every: bool) -> int:
    """Compare a view with the log, row for row. Exit code 1 when they differ.

    \b
    Examples:
      helios views verify event_mirror
      helios views verify --all
    """  # noqa: D301 - click reads \b as the character
    if (name is None) != every:
        raise click.UsageError("Give a NAME or --all.")
    done = asyncio.run(_each(where, "verify", name))
    outputs.show(done, output, rows=done, columns=["view", "equal", "rows", "differences"])
    return 0 if all(found["equal"] for found in done) else EXIT_DIFFERENT


async def _each(where: session.Where, operation: str, name: str | None) -> list[Mapping[str, Any]]:
    async with session.opened(where) as helios:
        if name is None:
            names = [view.view for view in (await helios.client.views()).views]
        else:
            names = [name]
        return [await _run(helios, operation, each) for each in names]


async def _run(helios: session.Session, operation: str, name: str) -> Mapping[str, Any]:
    with click.progressbar(
        length=1000, label=f"{operation} {name}", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        result: Mapping[str, Any] = {}
        async for step in helios.client.on_view(name, operation):
            share = 1000 * step.position // max(1, step.head)
            bar.update(max(0, share - bar.pos))
            if step.result is not None:
                result = step.result
        bar.update(1000 - bar.pos)
    return result
