"""`helios mirror`."""

import click

from helios.cli import naming, session
from helios.cli import output as outputs

_COLUMNS = ("timestamp", "provider_name", "event_type", "content_id", "event_id", "position")


@click.command()
@click.option("--provider", help="Of this source only.")
@click.option("--event-id", help="With this id only.")
@click.option("--since", help="Event time not before this, RFC 3339.")
@click.option("--until", help="Event time before this, RFC 3339.")
@click.option("--payload", is_flag=True, help="With their payloads.")
@click.option("--cursor", help="Read on after this place.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--client-id", help="Whose events; `default` without it.")
@session.options
@outputs.option
def mirror(
    where: session.Where,
    output: outputs.Format,
    *,
    provider: str | None,
    event_id: str | None,
    since: str | None,
    until: str | None,
    payload: bool,
    cursor: str | None,
    limit: int,
    client_id: str | None,
) -> None:
    """Print events of the last 30 days, newest event time first.

    \b
    Examples:
      helios mirror --provider strapi --since 2026-01-02T00:00:00Z
      helios mirror --event-id evt_17 --payload -o json
    """  # noqa: D301 - click reads \b as the character
    page = naming.ask(
        where,
        lambda helios: helios.mirror(
            provider=provider,
            event_id=event_id,
            start_time=since,
            end_time=until,
            payload="true" if payload else None,
            cursor=cursor,
            limit=limit,
            client_id=client_id,
        ),
    )
    rows = [outputs.plain(event) for event in page.events]
    columns = (*_COLUMNS, "payload") if payload else _COLUMNS
    outputs.show(page, output, rows=rows, columns=columns, empty="no events")
    if output == "table" and page.next_cursor is not None:
        click.echo(f"more: --cursor {page.next_cursor}")
