"""`helios contracts`."""

import asyncio
from collections.abc import Sequence
from typing import Any

import click

from helios.api.routes import contracts as routes
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.cli import suggest as suggestion
from helios.kernel import errors
from helios.reconcile.streams import check as explaining
from helios.reconcile.streams import contract as streams

_CLIENT = click.option("--client-id", help="Whose contract; `default` without it.")


@click.group()
def contracts() -> None:
    """Declare what must hold."""


contracts.add_command(suggestion.suggest)


@contracts.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@outputs.option
def check(output: outputs.Format, files: Sequence[str]) -> None:
    """Check contracts and say what they mean; needs neither server nor data folder.

    Exit code 2 when one is broken: named by file, line and column.

    \b
    Example:
      helios contracts check order-fulfilment.yaml
    """  # noqa: D301 - click reads \b as the character
    found = [
        (file, explaining.explain(streams.parse(session.whole_text(file), source=file)))
        for file in files
    ]
    if output == "table":
        for file, explained in found:
            click.echo("\n".join([f"{file}: valid", *explaining.lines(explained)]))
        return
    shown = [{"file": file, **outputs.plain(explained)} for file, explained in found]
    outputs.show(shown, output, rows=[], columns=[])


@contracts.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Check and declare nothing.")
@session.options
@outputs.option
def apply(
    where: session.Where, output: outputs.Format, files: Sequence[str], *, dry_run: bool
) -> None:
    """Declare contracts, or their next versions.

    \b
    Examples:
      helios contracts apply order-fulfilment.yaml
      helios contracts apply --dry-run *.yaml
    """  # noqa: D301 - click reads \b as the character
    documents = [(file, session.whole_text(file)) for file in files]

    async def run() -> list[routes.Declared]:
        async with session.opened(where) as helios:
            found = []
            for file, text in documents:
                try:
                    found.append(await helios.client.declare(text, dry_run=dry_run))
                except errors.InvalidInputError as error:
                    place = str(error)
                    raise errors.InvalidInputError(place, source=file) from error
            return found

    done = asyncio.run(run())
    rows = [{**outputs.plain(d), "result": outputs.declared(d)} for d in done]
    outputs.show(done, output, rows=rows, columns=["name", "client_id", "version", "result"])


@contracts.command(name="list")
@click.option("--client-id", help="Of this client only.")
@session.options
@outputs.option
def list_(where: session.Where, output: outputs.Format, client_id: str | None) -> None:
    """Print the contracts that apply now.

    \b
    Examples:
      helios contracts list
      helios contracts list --client-id acme-corp
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.contracts(client_id))
    rows = [outputs.plain(c) for c in found.contracts]
    columns = ["name", "client_id", "version", "declared_at"]
    outputs.show(
        found.contracts,
        output,
        rows=rows,
        columns=columns,
        empty="no contracts: declare one with `helios contracts apply FILE`",
    )


@contracts.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def show(where: session.Where, output: outputs.Format, name: str, client_id: str | None) -> None:
    """Print a contract as it was declared.

    \b
    Example:
      helios contracts show order-fulfilment
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.contract(name, client_id))
    if output == "table":
        click.echo(found.yaml, nl=not found.yaml.endswith("\n"))
        return
    outputs.show(found, output, rows=[], columns=[])


@contracts.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def delete(where: session.Where, output: outputs.Format, name: str, client_id: str | None) -> None:
    """Withdraw a contract; its history and verdicts stay.

    \b
    Example:
      helios contracts delete order-fulfilment
    """  # noqa: D301 - click reads \b as the character
    done = naming.ask(where, lambda helios: helios.withdraw(name, client_id))
    row: dict[str, Any] = outputs.plain(done)
    outputs.show(done, output, rows=[row], columns=list(row))
