"""`helios webhooks`."""

from typing import Any

import click

from helios.cli import output as outputs
from helios.cli import session
from helios.ingest import captured as capturing
from helios.ingest import explain as explaining
from helios.kernel import clock as clocks
from helios.kernel import errors


@click.group()
def webhooks() -> None:
    """Understand what senders post."""


@webhooks.command()
@click.argument("file", type=click.Path(allow_dash=True))
@click.option(
    "--now",
    help="The time of arrival, in seconds since 1970 or as RFC 3339; without it the one that the "
    "file names, or the time it is.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["json", "yaml", "table"]),
    default="json",
    show_default=True,
    help="How to print; `table` is a summary.",
)
def explain(output: outputs.Format, file: str, now: str | None) -> None:
    """Say what becomes of a captured delivery, and why; appends nothing, asks nobody.

    FILE holds one delivery and what its source is made of, as the reference of webhooks has it;
    `-` is standard input. The outcome is the answer, so the exit code is 0 whatever it is; 2 when
    the file cannot be read.

    \b
    Examples:
      helios webhooks explain delivery.json
      helios webhooks explain -o table --now 2026-01-02T03:04:05Z - < delivery.json
    """  # noqa: D301 - click reads \b as the character
    captured = capturing.read(session.whole_input(file), file=file)
    at = clocks.SystemClock().now() if now is None else _moment(now)
    found = explaining.explain(captured, at, file=file, exactly=now is not None)
    for note in found.notes:
        click.echo(f"helios: {file}: {note}", err=True)
    if output == "table":
        click.echo("\n".join(_lines(found)))
        return
    outputs.show(found, output, rows=[], columns=[])


def _lines(found: explaining.Explained) -> list[str]:
    lines = [f"{found.outcome}: {found.reason}: {found.detail}" if found.reason else found.outcome]
    if found.dead_letter:
        lines.append("  it is authentic, so it is kept as a dead letter")
    lines.append(f"  answered with {found.response.status}")
    lines.extend(
        f"  event {outputs.text(event['id'])} of type {outputs.text(event['type'])}"
        for event in found.events
    )
    if found.confirm is not None:
        lines.append(f"  then {found.confirm['method']} {outputs.text(found.confirm['url'])}")
    return lines


def _moment(text: str) -> clocks.Timestamp:
    value: Any = text
    if text.replace(".", "", 1).isdecimal():
        value = float(text)
    try:
        return capturing.moment(value)
    except ValueError as error:
        raise errors.InvalidInputError(str(error), field="--now") from None
