"""`helios health`."""

import asyncio

import click

from helios.api.routes import system
from helios.cli import output as outputs
from helios.cli import session

EXIT_NOT_READY = 1


@click.command()
@session.options
@outputs.option
def health(where: session.Where, output: outputs.Format) -> int:
    """Print each check. Exit code 1 when one fails.

    \b
    Example:
      helios health --url http://127.0.0.1:8420
    """  # noqa: D301 - click reads \b as the character

    async def run() -> system.Readiness:
        async with session.opened(where) as helios:
            return await helios.client.ready()

    found = asyncio.run(run())
    rows = [outputs.plain(check) for check in found.checks]
    outputs.show(found, output, rows=rows, columns=["name", "ok", "detail", "lag_events"])
    return 0 if all(check.ok for check in found.checks) else EXIT_NOT_READY
