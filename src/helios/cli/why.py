"""`helios why`."""

import click

from helios import client as clients
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.reconcile.compositions import story

_CAUSED = "↳"
_ABOUT = "·"


@click.command()
@click.argument("key", metavar="KEY")
@click.option("--client-id", help="Whose it is, where the key does not say.")
@click.option(
    "--all", "is_all", is_flag=True, help="Every event of it, with what each goes back to."
)
@session.options
@outputs.option
def why(
    where: session.Where, output: outputs.Format, *, key: str, client_id: str | None, is_all: bool
) -> None:
    """Tell why something is as it is, from its first event on.

    A KEY is CLIENT/STACK, CLIENT/STACK/COMPONENT, CONTRACT/KEY of a verdict, the id of a drift,
    plan, action, approval, reconciliation, command, correlation, build or event, or a position in
    the log.

    \b
    Examples:
      helios why acme-corp/cms-ecom-prod
      helios why acme-corp/cms-ecom-prod/integration/cms-webhook
      helios why drift-2f81c0a9d4e7b365 --all
      helios why order-fulfilment/ORD-7 -o json
    """  # noqa: D301 - click reads \b as the character

    async def call(helios: clients.Client) -> story.Story:
        return await helios.why(key, client_id)

    found = naming.ask(where, call)
    if output != "table":
        outputs.show(found, output, rows=[], columns=[])
        return
    lines = graph(found) if is_all else timeline(found)
    for line in lines:
        click.echo(outputs.text(line))
    if not found.complete:
        click.echo("not all that is behind it could be found", err=True)


def timeline(found: story.Story) -> list[str]:
    """The story, a line for each step, with what it caused below it."""
    lines = [f"{found.key} ({found.kind})"]
    day = ""
    for depth, step in enumerate(found.steps):
        date, _, time = step.time.partition("T")
        if date != day:
            lines.append(date)
            day = date
        place = "" if step.position is None else f"  [{step.position}]"
        arrow = f"{_CAUSED} " if depth else "  "
        lines.append(f"  {_clock(time)}  {arrow}{step.text}{place}")
    return lines


def graph(found: story.Story) -> list[str]:
    """Every event, with the positions of those it goes back to."""
    caused: dict[int, list[str]] = {}
    for edge in found.edges:
        mark = _CAUSED if edge.kind == "caused" else _ABOUT
        caused.setdefault(edge.effect, []).append(f"{mark}{edge.cause}")
    path = set(found.path)
    lines = [f"{found.key} ({found.kind})"]
    for node in found.nodes:
        mark = "*" if node.position in path else " "
        behind = " ".join(caused.get(node.position, ["first"]))
        lines.append(f"{mark} {node.position:>8}  {node.time}  {node.type}  {behind}")
        lines.append(f"{'':12}{node.actor}: {node.summary}")
    return lines


def _clock(time: str) -> str:
    """A time of day to the second: the log has the rest."""
    return time[:8]
