"""`helios verdicts`."""

import click
import msgspec

from helios.api.routes import verdicts as routes
from helios.cli import naming, session
from helios.cli import output as outputs

EXIT_NOT_MATCHED = 1
_COLUMNS = ("key", "contract", "status", "missing_events", "errors", "created_at")


@click.group()
def verdicts() -> None:
    """How keys stand."""


@verdicts.command(name="list")
@click.argument("contract", required=False)
@click.option("--status", type=click.Choice(["matched", "mismatched", "partial"]))
@click.option("--client-id", help="Of this client only.")
@click.option("--cursor", help="Read on after this place.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@session.options
@outputs.option
def list_(
    where: session.Where,
    output: outputs.Format,
    *,
    contract: str | None,
    status: str | None,
    client_id: str | None,
    cursor: str | None,
    limit: int,
) -> None:
    """Print current verdicts of a CONTRACT, or of all the keys that do not match.

    \b
    Examples:
      helios verdicts list
      helios verdicts list order-fulfilment --status partial
    """  # noqa: D301 - click reads \b as the character
    if status is not None and contract is None:
        raise click.UsageError("--status needs a CONTRACT.")

    page = naming.ask(
        where,
        lambda helios: helios.verdicts(
            contract, status=status, client_id=client_id, cursor=cursor, limit=limit
        ),
    )
    rows = [_row(verdict) for verdict in page.verdicts]
    outputs.show(page, output, rows=rows, columns=_COLUMNS, empty="no verdicts")
    if output == "table" and page.next_cursor is not None:
        click.echo(f"more: --cursor {page.next_cursor}")


@verdicts.command()
@click.argument("contract")
@click.argument("key")
@click.option("--client-id", help="Whose contract; `default` without it.")
@click.option("--history", is_flag=True, help="Also the verdicts that were superseded.")
@session.options
@outputs.option
def show(
    where: session.Where,
    output: outputs.Format,
    contract: str,
    key: str,
    client_id: str | None,
    *,
    history: bool,
) -> int:
    """Print how one KEY of a CONTRACT stands. Exit code 1 when it does not match.

    \b
    Example:
      helios verdicts show order-fulfilment ORD-7 --history
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(
        where, lambda helios: helios.key(contract, key, client_id=client_id, history=history)
    )
    rows = [_row(verdict) for verdict in found.verdicts]
    columns = (*_COLUMNS, "events", "late", "superseded_by")
    outputs.show(found, output, rows=rows, columns=columns)
    now = [v for v in found.verdicts if v.superseded_by is None]
    return 0 if all(v.status in ("matched", "pending") for v in now) else EXIT_NOT_MATCHED


@verdicts.command()
@click.argument("contract")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--client-id", help="Whose contract; `default` without it.")
@click.option("--since", help="All keys decided at this time or later (RFC 3339).")
@click.option("--until", help="All keys decided before this time (RFC 3339).")
@session.options
@outputs.option
def replay(
    where: session.Where,
    output: outputs.Format,
    *,
    contract: str,
    keys: tuple[str, ...],
    client_id: str | None,
    since: str | None,
    until: str | None,
) -> None:
    """Judge KEYs of a CONTRACT again from the log, by the contract as it is now.

    \b
    Examples:
      helios verdicts replay order-fulfilment ORD-7
      helios verdicts replay order-fulfilment --since 2026-03-01T00:00:00Z
    """  # noqa: D301 - click reads \b as the character
    if bool(keys) == bool(since or until):
        raise click.UsageError("Give KEYs, or --since or --until.")

    done = naming.ask(
        where,
        lambda helios: helios.judge_again(
            contract, keys=keys, client_id=client_id, start=since, end=until
        ),
    )
    outputs.show(done, output, rows=[outputs.plain(done)], columns=("requested", "position"))


def _row(verdict: routes.VerdictView) -> dict[str, object]:
    row: dict[str, object] = outputs.plain(verdict)
    wrong = verdict.validation_errors
    row["errors"] = msgspec.json.encode(wrong).decode() if wrong else ""
    row["events"] = "; ".join(f"{leg}: {', '.join(ids)}" for leg, ids in verdict.events.items())
    return row
