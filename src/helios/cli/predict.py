"""`helios predict`."""

import click

from helios import client as clients
from helios.api import predictions as shown
from helios.cli import naming, session
from helios.cli import output as outputs

_COLUMNS = ("stack", "component", "probability", "expected_at", "horizon", "reasons")
_PAGE = 1_000


@click.command()
@click.argument("name", metavar="[[CLIENT/]STACK]", required=False)
@naming.OF_CLIENT
@session.options
@outputs.option
def predict(
    where: session.Where, output: outputs.Format, *, name: str | None, client_id: str | None
) -> None:
    """Print what is foreseen of a STACK, or of all: which components will drift, when and why.

    Nothing is done about it. Below the table: how many of the drifts so far were foreseen, and how
    many of the predictions came true.

    \b
    Examples:
      helios predict
      helios predict acme-corp/cms-ecom-prod
      helios predict cms-ecom-prod -o json
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: _foreseen(helios, name, client_id))
    if output != "table":
        outputs.show(found if name is None else found[0], output, rows=[], columns=[])
        return
    rows = [_row(stack, each) for stack in found for each in stack.predictions]
    outputs.show(found, output, rows=rows, columns=_COLUMNS, empty="nothing is foreseen")
    if name is not None:
        click.echo(_score(found[0]))


async def _foreseen(
    helios: clients.Client, name: str | None, client_id: str | None
) -> list[shown.Predictions]:
    if name is not None:
        return [await helios.predictions(*naming.named(name, client_id).pair)]
    found: list[shown.Predictions] = []
    cursor: str | None = None
    while True:
        page = await helios.stacks(client_id=client_id, cursor=cursor, limit=_PAGE)
        found += [await helios.predictions(each.client_id, each.stack_id) for each in page.stacks]
        cursor = page.next_cursor
        if cursor is None:
            return found


def _row(stack: shown.Predictions, found: shown.PredictionView) -> dict[str, object]:
    return {
        **outputs.plain(found),
        "stack": f"{stack.client_id}/{stack.stack_id}",
        "probability": f"{found.probability:.0%}",
        "reasons": "; ".join(found.reasons),
    }


def _score(found: shown.Predictions) -> str:
    recall = "" if found.recall is None else f" ({found.recall:.0%})"
    precision = "none has ended" if found.precision is None else f"{found.precision:.0%} came true"
    drifts = f"{found.foreseen} of {found.drifts} drifts were foreseen{recall}"
    return f"{drifts}; of the predictions: {precision}"
