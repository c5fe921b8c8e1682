"""`helios health`."""

import click

from helios.cli import naming, session
from helios.cli import output as outputs

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
    found = naming.ask(where, lambda helios: helios.ready())
    rows = [outputs.plain(check) for check in found.checks]
    outputs.show(found, output, rows=rows, columns=["name", "ok", "detail", "lag_events"])
    return 0 if all(check.ok for check in found.checks) else EXIT_NOT_READY
