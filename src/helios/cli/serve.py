"""`helios serve`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from helios import app
from helios.kernel import errors, logs, settings

EXIT_NOT_STARTED = 2


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="TCP port; 0 takes a free one.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the log and views.")
@click.option("--database-url", help="postgresql://… instead of the folder.")
@click.option(
    "--builds-root",
    type=click.Path(path_type=Path),
    help="Folder below which sites are built by commands; without it none are.",
)
@click.option("--outbound-allow", help="Private hosts and networks that may be called.")
@click.option("--drain-s", type=float, help="Seconds that requests get to finish at the end.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", type=click.Choice(["auto", "json", "console"]))
@click.option(
    "--config", envvar="HELIOS_CONFIG", type=click.Path(path_type=Path), help="Settings file."
)
def serve(config: Path | None, **flags: Any) -> int:
    """Serve the API, keep the views, judge the contracts.

    \b
    Examples:
      helios serve
      helios serve --port 9000 --data-dir /var/lib/helios
      HELIOS_DATABASE_URL=postgresql://helios@localhost/helios helios serve
    """  # noqa: D301 - click reads \b as the character
    found = resolve(config, flags)
    logs.configure(found.settings.log_level, found.settings.log_format)
    try:
        return app.run(found.settings, announce=_announce, origins=found.origins)
    except errors.HeliosError as error:
        click.echo(f"helios: {' '.join(str(error).splitlines())}", err=True)
        return EXIT_NOT_STARTED


def resolve(file: Path | None, flags: Mapping[str, Any]) -> settings.Resolved:
    """The settings of this process, with these flags."""
    return settings.resolve(file=file, environment=dict(os.environ), flags=flags)


def _announce(served: app.Served) -> None:
    click.echo(f"Helios serves at {served.url} (docs at {served.url}/docs). Ctrl-C stops it.")
    if served.link is not None:
        click.echo(f"Sign in as administrator (this link works once): {served.link}")
