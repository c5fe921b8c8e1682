"""`helios state`: how declared stacks stand."""

import click

from helios import client as clients
from helios.api import stack_asks
from helios.api.routes import stacks as routes
from helios.cli import apply as applying
from helios.cli import naming, session
from helios.cli import output as outputs

_COLUMNS = (
    "client_id", "stack_id", "environment", "state_version", "status", "drift_count",
    "last_verified",
)  # fmt: skip


@click.group()
def state() -> None:
    """How declared stacks stand; `blackwell.state.json` out and in."""


@state.command(name="list")
@naming.OF_CLIENT
@click.option("--environment", help="Of this environment only.")
@click.option("--status", type=click.Choice(["healthy", "drift_detected", "reconciling", "error"]))
@click.option("--cursor", help="Read on after this place.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@session.options
@outputs.option
def list_(
    where: session.Where,
    output: outputs.Format,
    *,
    client_id: str | None,
    environment: str | None,
    status: str | None,
    cursor: str | None,
    limit: int,
) -> None:
    """Print the declared stacks and how they stand.

    \b
    Examples:
      helios state list
      helios state list --client-id acme-corp --status drift_detected
    """  # noqa: D301 - click reads \b as the character
    page = naming.ask(
        where,
        lambda helios: helios.stacks(
            client_id=client_id, environment=environment, status=status, cursor=cursor, limit=limit
        ),
    )
    rows = [outputs.plain(each) for each in page.stacks]
    outputs.show(page, output, rows=rows, columns=_COLUMNS, empty="no stacks are declared")
    if output == "table" and page.next_cursor is not None:
        click.echo(f"more: --cursor {page.next_cursor}")


@state.command()
@naming.stack
@session.options
@outputs.option
def get(where: session.Where, output: outputs.Format, *, stack: naming.Named) -> None:
    """Print how one STACK stands: versions, hashes, conditions, drift, policy.

    \b
    Example:
      helios state get cms-ecom-prod
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.get_state(*stack.pair))
    if output == "table":
        _print(found)
    else:
        outputs.show(found, output, rows=[], columns=[])


def _print(found: routes.StateRecord) -> None:
    shown = outputs.plain(found)
    for key, value in shown.items():
        if not isinstance(value, list | dict):
            click.echo(f"{key:22}{outputs.text(value)}")
    click.echo()
    outputs.table(shown["conditions"], ("type", "status", "reason", "message", "last_transition"))
    if shown["drift_details"]:
        click.echo("\ndrift:")
        columns = ("drift_id", "component", "path", "cause", "severity", "state")
        outputs.table(shown["drift_details"], columns)


@state.command()
@naming.stack
@click.option("--generation", type=int, help="Of this generation; the present one without it.")
@session.options
def document(where: session.Where, *, stack: naming.Named, generation: int | None) -> None:
    """Print the declaration of a STACK as it was written.

    \b
    Examples:
      helios state document cms-ecom-prod
      helios state document cms-ecom-prod --generation 3
    """  # noqa: D301 - click reads \b as the character
    text = naming.ask(
        where, lambda helios: helios.stack_document(*stack.pair, generation=generation)
    )
    click.echo(text.rstrip())


@state.command()
@naming.stack
@click.option("--file", "file", type=click.Path(dir_okay=False, writable=True), help="Or print.")
@session.options
def export(where: session.Where, *, stack: naming.Named, file: str | None) -> None:
    """Write the state of a STACK as `blackwell.state.json`; it holds no secret.

    \b
    Example:
      helios state export cms-ecom-prod --file blackwell.state.json
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.export_state(*stack.pair))
    if file is None:
        click.echo(found.decode().rstrip())
        return
    with click.open_file(file, "wb") as target:
        target.write(found)
    click.echo(f"{file}: {len(found)} bytes", err=True)


@state.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Check and declare nothing.")
@click.option("--allow-removals", is_flag=True, help="Also where many components are removed.")
@naming.actor
@session.options
@outputs.option
def import_(
    where: session.Where,
    output: outputs.Format,
    *,
    files: tuple[str, ...],
    dry_run: bool,
    allow_removals: bool,
    actor: str | None,
) -> None:
    """Declare what an exported state declares, with its policy.

    \b
    Example:
      helios state import blackwell.state.json
    """  # noqa: D301 - click reads \b as the character
    applying.run(
        where, output, files, dry_run=dry_run, allow_removals=allow_removals, actor=actor, note=None
    )


@state.command()
@naming.stack
@click.option("--reason", default="", help="Why; kept with it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@session.options
@outputs.option
def remove(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    reason: str,
    yes: bool,
) -> None:
    """Keep a STACK no more; nothing of it is deleted anywhere, and its history stays.

    \b
    Example:
      helios state remove cms-ecom-prod --reason "moved to another account"
    """  # noqa: D301 - click reads \b as the character
    if not yes:
        click.confirm(f"Keep {stack} no more?", abort=True, err=True)

    async def call(helios: clients.Client) -> stack_asks.Noted:
        return await helios.remove_stack(*stack.pair, reason=reason, actor=stack.actor)

    done = naming.ask(where, call)
    columns = ["client_id", "stack_id", "position"]
    outputs.show(done, output, rows=[outputs.plain(done)], columns=columns)
