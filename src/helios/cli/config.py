"""`helios config`."""

import click

from helios.cli import output as outputs
from helios.cli import session
from helios.kernel import settings


@click.group()
def config() -> None:
    """What is set, and where it comes from."""


@config.command()
@session.options
@outputs.option
def show(where: session.Where, output: outputs.Format) -> None:
    """Print each setting with its value and origin.

    \b
    Examples:
      helios config show
      HELIOS_PORT=9000 helios config show -o json
    """  # noqa: D301 - click reads \b as the character
    meanings = settings.documentation()
    rows = [
        {
            "setting": name,
            "value": value if isinstance(value, int | float | str | None) else str(value),
            "origin": origin,
            "meaning": meanings[name].partition(". ")[0].rstrip("."),
        }
        for name, value, origin in where.resolve().shown()
    ]
    outputs.show(rows, output, rows=rows, columns=["setting", "value", "origin", "meaning"])
