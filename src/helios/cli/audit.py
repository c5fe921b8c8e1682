"""`helios audit`."""

import asyncio
import csv
import io
from typing import Any, Literal, TypeAlias

import click

from helios import app
from helios import client as clients
from helios.api.routes import audit as routes
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.eventlog import verify as checks
from helios.kernel import errors
from helios.reconcile.compositions import audit as entries
from helios.reconcile.compositions import audit_report

EXIT_INCOMPLETE = 1
_COLUMNS = (
    "position",
    "timestamp",
    "client_id",
    "stack_id",
    "action",
    "target",
    "actor",
    "success",
    "approval_required",
    "approver",
    "reason",
)
_SINCE = click.option("--since", help="Begun not before this time (RFC 3339).")
_UNTIL = click.option("--until", help="Begun before this time (RFC 3339).")
ReportFormat: TypeAlias = Literal["text", "json", "csv"]


@click.group()
def audit() -> None:
    """Who did what, when, why and with whose agreement."""


@audit.command(name="list")
@naming.OF_CLIENT
@click.option("--stack", "stack_id", help="Of this stack only.")
@_SINCE
@_UNTIL
@click.option("--actor", help="Done by, such as user:ada.")
@click.option("--kind", type=click.Choice(entries.KINDS), help="Of this kind only.")
@click.option("--action", help="Kind of action, or type of event.")
@click.option("--cursor", help="Read on after this place.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@session.options
@outputs.option
def list_entries(where: session.Where, output: outputs.Format, **query: Any) -> None:
    """Print actions of healing and what people ordered, newest first.

    \b
    Examples:
      helios audit list --client-id acme-corp --stack cms-ecom-prod
      helios audit list --kind heal --since 2026-01-01T00:00:00Z -o json
    """  # noqa: D301 - click reads \b as the character

    async def call(helios: clients.Client) -> routes.AuditList:
        return await helios.audit(**query)

    page = naming.ask(where, call)
    rows = [outputs.plain(each) for each in page.entries]
    outputs.show(page, output, rows=rows, columns=_COLUMNS, empty="nothing was done")
    if output == "table" and page.next_cursor is not None:
        click.echo(f"more with --cursor {page.next_cursor}", err=True)


@audit.command()
@click.argument("entry_id", metavar="ID")
@naming.OF_CLIENT
@session.options
@outputs.option
def show(
    where: session.Where, output: outputs.Format, *, entry_id: str, client_id: str | None
) -> None:
    """Print one entry, with the plan that was shown to those who agreed.

    \b
    Example:
      helios audit show 01939c2e-1b2c-7def-8000-0123456789ab
    """  # noqa: D301 - click reads \b as the character

    async def call(helios: clients.Client) -> routes.AuditDetail:
        return await helios.audit_entry(entry_id, client_id)

    found = naming.ask(where, call)
    if output != "table":
        outputs.show(found, output, rows=[], columns=[])
        return
    for name, value in outputs.plain(found.entry).items():
        click.echo(f"{name:20}{outputs.text(value)}")
    if found.plan is not None:
        click.echo(f"{'plan shown':20}{found.plan.digest}")
        for action in found.plan.actions:
            click.echo(f"{'':20}{outputs.text(f'{action.kind} {action.target}: {action.summary}')}")


@audit.command()
@naming.OF_CLIENT
@_SINCE
@_UNTIL
@click.option(
    "--verify-log/--no-verify-log",
    default=True,
    show_default=True,
    help="Check the hash chain of the log, where its folder or database can be read from here.",
)
@session.options
@click.option(
    "-o",
    "--output",
    type=click.Choice(("text", "json", "csv")),
    default="text",
    show_default=True,
    help="How to print.",
)
def report(
    where: session.Where,
    *,
    output: ReportFormat,
    client_id: str | None,
    since: str | None,
    until: str | None,
    verify_log: bool,
) -> int:
    """Report on what was done in a time, and whether it was as it has to be.

    Exit code 1 when the record is not complete: an action has no end, one that needed somebody's
    agreement was done without it or for another plan, or the log is broken.

    \b
    Examples:
      helios audit report --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z
      helios audit report --client-id acme-corp -o csv > report.csv
    """  # noqa: D301 - click reads \b as the character

    async def run() -> audit_report.Report:
        async with session.opened(where) as helios:
            found = await helios.client.audit_report(client_id, since=since, until=until)
        return audit_report.checked(found, await _chain(where)) if verify_log else found

    found = asyncio.run(run())
    _print(found, output)
    for each in found.breaches:
        click.echo(outputs.text(f"{each.code}: {each.detail}"), err=True)
    return 0 if found.complete else EXIT_INCOMPLETE


async def _chain(where: session.Where) -> audit_report.Chain:
    """The log's hash chain, computed again; where only a server can be reached it is not."""
    if where.url is not None:
        return audit_report.Chain(head=0, detail="only a server was asked")
    try:
        async with app.reading(where.resolve().settings) as storage:
            found = await checks.verify(storage)
    except errors.StorageError as error:
        return audit_report.Chain(head=0, detail=str(error))
    return audit_report.Chain(
        head=found.head,
        checked=True,
        unbroken=found.broken is None,
        hash=found.hash.hex(),
        detail="" if found.broken is None else found.broken.what,
    )


def _print(found: audit_report.Report, output: ReportFormat) -> None:
    if output == "json":
        outputs.show(found, "json", rows=[], columns=[])
        return
    rows = audit_report.rows(found)
    if output == "text":
        outputs.show(found, "table", rows=rows, columns=audit_report.COLUMNS)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, audit_report.COLUMNS)
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    click.echo(text.getvalue(), nl=False)


def _cell(value: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@") else value
