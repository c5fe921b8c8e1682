"""`helios subscribers`."""

from collections.abc import Sequence

import click

from helios import client as clients
from helios.api.routes import subscribers as routes
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.fanout import subscriber as declarations

_CLIENT = click.option("--client-id", help="Whose subscriber; `default` without it.")


@click.group()
def subscribers() -> None:
    """Who gets events out of the log."""


@subscribers.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Check and declare nothing.")
@session.options
@outputs.option
def apply(
    where: session.Where, output: outputs.Format, files: Sequence[str], *, dry_run: bool
) -> None:
    """Declare subscribers, or declare them anew; one that was disabled is enabled.

    \b
    Examples:
      helios subscribers apply search-index.yaml
      helios subscribers apply --dry-run *.yaml
    """  # noqa: D301 - click reads \b as the character
    documents = [(file, session.whole_text(file)) for file in files]
    for file, text in documents:
        declarations.parse(text, source=file)

    async def call(helios: clients.Client) -> list[routes.DeclaredSubscriber]:
        return [await helios.declare_subscriber(text, dry_run=dry_run) for _, text in documents]

    done = naming.ask(where, call)
    rows = [{**outputs.plain(d), "result": outputs.declared(d)} for d in done]
    outputs.show(done, output, rows=rows, columns=["name", "client_id", "version", "result"])


@subscribers.command(name="list")
@click.option("--client-id", help="Of this client only.")
@session.options
@outputs.option
def list_(where: session.Where, output: outputs.Format, client_id: str | None) -> None:
    """Print the subscribers and how their deliveries go.

    \b
    Example:
      helios subscribers list
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.subscribers(client_id))
    rows = [outputs.plain(one) for one in found.subscribers]
    columns = ("name", "client_id", "channel", "state", "behind", "delivered", "waiting")
    outputs.show(found, output, rows=rows, columns=columns, empty="no subscribers")


@subscribers.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def show(where: session.Where, output: outputs.Format, name: str, *, client_id: str | None) -> None:
    """Print one subscriber: how its deliveries go, and its declaration.

    \b
    Example:
      helios subscribers show search-index
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.subscriber(name, client_id))
    if output != "table":
        outputs.show(found, output, rows=[], columns=[])
        return
    shown = outputs.plain(found)
    text = str(shown.pop("yaml"))
    for key, value in shown.items():
        click.echo(f"{key:16}{outputs.text(value)}")
    click.echo(f"\n{text.strip()}")


@subscribers.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def remove(
    where: session.Where, output: outputs.Format, name: str, *, client_id: str | None
) -> None:
    """Remove a subscriber; what was set aside for it is forgotten.

    \b
    Example:
      helios subscribers remove search-index
    """  # noqa: D301 - click reads \b as the character
    _noted(naming.ask(where, lambda helios: helios.remove_subscriber(name, client_id)), output)


@subscribers.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def disable(
    where: session.Where, output: outputs.Format, name: str, *, client_id: str | None
) -> None:
    """Deliver nothing more to a subscriber; its place is kept.

    \b
    Example:
      helios subscribers disable search-index
    """  # noqa: D301 - click reads \b as the character
    _noted(naming.ask(where, lambda helios: helios.disable_subscriber(name, client_id)), output)


@subscribers.command()
@click.argument("name")
@click.option("--skip", is_flag=True, help="Leave out what happened while it was disabled.")
@_CLIENT
@session.options
@outputs.option
def enable(
    where: session.Where,
    output: outputs.Format,
    name: str,
    *,
    skip: bool,
    client_id: str | None,
) -> None:
    """Go on delivering to a subscriber, from where it was.

    \b
    Examples:
      helios subscribers enable search-index
      helios subscribers enable search-index --skip
    """  # noqa: D301 - click reads \b as the character
    _noted(
        naming.ask(where, lambda helios: helios.enable_subscriber(name, client_id, skip=skip)),
        output,
    )


@subscribers.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@_CLIENT
@session.options
@outputs.option
def deliveries(
    where: session.Where,
    output: outputs.Format,
    name: str,
    *,
    limit: int,
    client_id: str | None,
) -> None:
    """Print the events that were set aside: to be tried again, or given up.

    \b
    Example:
      helios subscribers deliveries search-index --limit 20
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.deliveries(name, client_id, limit=limit))
    rows = [outputs.plain(one) for one in found.deliveries]
    columns = ("position", "status", "attempt", "next_at", "detail")
    outputs.show(found, output, rows=rows, columns=columns, empty="nothing was set aside")


@subscribers.command()
@click.argument("name")
@click.argument("positions", nargs=-1, required=True, type=int)
@_CLIENT
@session.options
@outputs.option
def redeliver(
    where: session.Where,
    output: outputs.Format,
    name: str,
    positions: Sequence[int],
    *,
    client_id: str | None,
) -> None:
    """Try events that were set aside at once.

    \b
    Example:
      helios subscribers redeliver search-index 4711 4712
    """  # noqa: D301 - click reads \b as the character
    _noted(naming.ask(where, lambda helios: helios.redeliver(name, positions, client_id)), output)


def _noted(done: routes.Noted, output: outputs.Format) -> None:
    outputs.show(done, output, rows=[outputs.plain(done)], columns=["name", "position"])
