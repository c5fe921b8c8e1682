"""`helios alerts`."""

import click

from helios.cli import naming, session
from helios.cli import output as outputs

_COLUMNS = ("created_at", "contract", "key", "status", "reason", "count")


@click.command()
@click.argument("contract", required=False)
@click.option("--client-id", help="Of this client only.")
@click.option("--since", help="Not older than this time (RFC 3339).")
@click.option("--cursor", help="Read on after this place.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@session.options
@outputs.option
def alerts(
    where: session.Where,
    output: outputs.Format,
    *,
    contract: str | None,
    client_id: str | None,
    since: str | None,
    cursor: str | None,
    limit: int,
) -> None:
    """Print what was told of keys that do not match, of a CONTRACT or of all, newest first.

    \b
    Examples:
      helios alerts
      helios alerts order-fulfilment --since 2026-01-01T00:00:00Z
    """  # noqa: D301 - click reads \b as the character
    page = naming.ask(
        where,
        lambda helios: helios.alerts(
            contract=contract, client_id=client_id, since=since, cursor=cursor, limit=limit
        ),
    )
    rows = [outputs.plain(alert) for alert in page.alerts]
    outputs.show(page, output, rows=rows, columns=_COLUMNS, empty="no alerts")
    if output == "table" and page.next_cursor is not None:
        click.echo(f"more: --cursor {page.next_cursor}")
