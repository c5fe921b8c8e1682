"""`helios log`."""

import asyncio
import sys

import click

from helios import app
from helios.cli import output as outputs
from helios.cli import session
from helios.eventlog import verify as checks

EXIT_BROKEN = 1


@click.group()
def log() -> None:
    """Look after the log."""


@log.command()
@session.options
@outputs.option
def verify(where: session.Where, output: outputs.Format) -> int:
    """Check positions, sequences and the hash chain of the whole log.

    Reads the data folder or the database itself; a server may go on serving it meanwhile. Exit
    code 1 at the first break, which is named.

    \b
    Examples:
      helios log verify
      helios log verify --data-dir /var/lib/helios -o json
    """  # noqa: D301 - click reads \b as the character
    found = where.resolve().settings

    async def run() -> checks.Report:
        async with app.reading(found) as storage:
            with click.progressbar(
                length=max(1, await storage.head()),
                label="verify log",
                file=sys.stderr,
                hidden=not sys.stderr.isatty(),
            ) as bar:
                return await checks.verify(
                    storage, progress=lambda position, _: bar.update(position - bar.pos)
                )

    report = asyncio.run(run())
    broken = report.broken
    row = {
        "result": "unbroken" if broken is None else "broken",
        "events": report.events,
        "commits": report.batches,
        "aggregates": report.aggregates,
        "hash": report.hash.hex(),
    }
    outputs.show(row, output, rows=[row], columns=list(row))
    if broken is not None:
        click.echo(f"broken at positions {broken.first} to {broken.last}: {broken.what}", err=True)
        return EXIT_BROKEN
    return 0
