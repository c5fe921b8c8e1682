"""`helios demo`."""

import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import click
from rich import console

from helios import app
from helios.api import server
from helios.cli import serve
from helios.demo import board as boards
from helios.demo import drive, run, screens, shop
from helios.kernel import clock, durations, errors, logs
from helios.kernel import settings as config

EXIT_NOT_FOUND = 1
RATE_MAX = 1_000.0
LOOPBACK = "127.0.0.0/8"
"""What the server of the demo may call: the CMS, the shop and the site that the demo serves."""


def _seconds(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    """A duration such as `60s` or `5m`, in seconds."""
    if value is None:
        return None
    try:
        seconds = durations.parse(value) / clock.SECOND_US
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds <= 0:
        raise click.BadParameter("must be longer than nothing")
    return seconds


@click.command()
@click.option(
    "--rate",
    type=click.FloatRange(0.1, RATE_MAX),
    default=20.0,
    show_default=True,
    help="Orders a second.",
)
@click.option(
    "--faults",
    type=click.FloatRange(0.0, 0.5),
    default=0.05,
    show_default=True,
    help="Share of orders with a fault; as many again come doubled or in disorder.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of all that varies.")
@click.option(
    "--stacks/--no-stacks",
    default=True,
    show_default=True,
    help="Declared stacks too, and a CMS, a shop and sites that they are about.",
)
@click.option(
    "--open/--no-open",
    "opens",
    default=None,
    help="Open the page in a browser; without either, on a terminal with a display.",
)
@click.option(
    "--for",
    "lasting_s",
    metavar="DURATION",
    callback=_seconds,
    help="Take orders for this long, such as 60s or 5m; without it until Ctrl-C.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Keep the data in this folder; without it they are dropped at the end.",
)
@click.option("--port", type=int, help="TCP port; without it 8420, or a free one if it is taken.")
def demo(
    *,
    rate: float,
    faults: float,
    seed: int,
    stacks: bool,
    opens: bool | None,
    lasting_s: float | None,
    data_dir: Path | None,
    port: int | None,
) -> int:
    """Watch contracts judge a live load that has faults.

    Serves as `helios serve` does. A shop over three clouds has orders that a contract judges; a
    CMS, a shop and sites on this machine belong to stacks that drift and are healed, or wait for
    your approval. Everything that is told is checked against what was put in. Exit code 0 when
    every fault was found and nothing else, 1 otherwise.

    \b
    Examples:
      helios demo
      helios demo --rate 200 --faults 0.1
      helios demo --no-stacks --no-open
      helios demo --for 20s --data-dir helios-demo-data
    """  # noqa: D301 - click reads \b as the character
    plan = drive.Plan(rate=rate, faults=faults, seed=seed, lasting_s=lasting_s, stacks=stacks)
    # What is wrong with its keys is on the screen: alerts about them would be written across it.
    logs.configure("error", "auto")
    with _folder(data_dir) as folder:
        found = serve.resolve(None, {"data_dir": folder, "port": _port(port), "log_level": "error"})
        # Made-up orders belong in no database that is used for something else.
        own = dataclasses.replace(
            found.settings,
            database_url=None,
            builds_root=(folder / run.FOLDER).resolve(),
            outbound_allow=LOOPBACK,
        )
        screen = console.Console(highlight=False)
        try:
            board = _watched(
                own, plan, screen, kept=data_dir is not None, opens=_opens(opens, screen)
            )
        except errors.StorageError as error:
            click.echo(f"helios: {' '.join(str(error).splitlines())}", err=True)
            return serve.EXIT_NOT_STARTED
    screen.print(screens.summary(board))
    if data_dir is not None:
        click.echo(f"The data stay in {data_dir}: helios serve --data-dir {data_dir}")
    return 0 if screens.passed(board) else EXIT_NOT_FOUND


def _watched(
    settings: config.Settings,
    plan: drive.Plan,
    screen: console.Console,
    *,
    kept: bool,
    opens: bool,
) -> boards.Board:
    """Run it on this terminal, or into this log."""

    def started(served: app.Served) -> None:
        url, page = served.url, run.page(served)
        where = "kept" if kept else "dropped at the end"
        click.echo(f"Helios serves at {url}; data in {settings.data_dir}, {where}.")
        if not screen.is_terminal:
            click.echo(f"Contract {shop.CONTRACT}, seed {plan.seed}. API: {url}/docs")
        if served.link is not None:
            click.echo(f"Sign in (this link works once): {page}")
        if opens and not webbrowser.open(page):
            click.echo(f"No browser could be opened: go to {page}")

    with contextlib.ExitStack() as stack:
        shown: drive.Screen = screens.Lines(click.echo)
        if screen.is_terminal:
            shown = stack.enter_context(screens.Picture(screen, _command(), settings.data_dir))
        main = run.run(settings, plan, clock=clock.SystemClock(), screen=shown, started=started)
        return app.on_loop(main)


def _opens(wanted: bool | None, screen: console.Console) -> bool:  # noqa: FBT001 - of the option
    """Whether to open a browser: where nobody said, only for people who would see it."""
    if wanted is not None:
        return wanted
    has_display = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return screen.is_terminal and has_display


@contextlib.contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """The folder that was asked for, or one that is gone afterwards."""
    if wanted is not None:
        yield wanted
        return
    with tempfile.TemporaryDirectory(prefix="helios-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _port(wanted: int | None) -> int | None:
    """The port to take: a free one when nobody asked for one and the usual is taken."""
    if wanted is not None:
        return wanted
    usual = serve.resolve(None, {}).settings
    try:
        server.bind(usual.host, usual.port).close()
    except errors.StorageError:
        return 0
    return None


def _command() -> str:
    """How people call `helios` where they stand: by name if it is on the path."""
    called = Path(sys.argv[0])
    found = shutil.which(called.name)
    if found is not None and os.path.realpath(found) == os.path.realpath(called):
        return called.name
    relative = os.path.relpath(called)
    return relative if not relative.startswith("..") else str(called)
