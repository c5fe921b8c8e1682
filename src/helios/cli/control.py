"""`helios commands` and `helios correlations`."""

import asyncio
import typing
from collections.abc import Sequence
from typing import Any

import click

from helios.api.routes import control as routes
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.reconcile.bus import commands as command_rules
from helios.reconcile.bus import events

EXIT_FAILED = 1
_POLL_S = 0.3
_SLACK_S = 5.0
_CLIENT = click.option("--client-id", help="Whose it is; `default` without it.")
_OF_CLIENT = click.option("--client-id", help="Of this client only.")
_LIMIT = click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
_CURSOR = click.option("--cursor", help="Read on after this place.")
_COMMAND_COLUMNS = (
    "command_id",
    "command_type",
    "stack_id",
    "priority",
    "status",
    "attempts",
    "issued_at",
    "detail",
)
_COLUMNS = (
    "correlation_id",
    "client_id",
    "status",
    "late",
    "initiated_at",
    "missing_events",
    "out_of_order_events",
)
_TYPES = typing.get_args(events.CommandType)


@click.group()
def commands() -> None:
    """Commands to the control bus."""


@commands.command()
@click.argument("command_type", metavar="TYPE", type=click.Choice(_TYPES))
@click.option("--stack", "stack_id", help="Which stack; every one of the client without it.")
@_CLIENT
@click.option("--command-id", help="Its name for ever; sent again it is the same command.")
@click.option("--correlation-id", help="Of commands that complete or fail as one.")
@click.option("--priority", type=click.Choice(events.PRIORITIES), help="As of its type without it.")
@click.option("--expires-in", type=float, default=300.0, show_default=True, help="Seconds.")
@click.option("--expect", multiple=True, help="Event type that should follow; may come often.")
@click.option("--expect-nothing", is_flag=True, help="No event is expected.")
@click.option("--window", type=float, help="Seconds to wait; as the installation has it without.")
@click.option("--to", "rollback_version", help="Version to go back to, such as v1.2.1.")
@click.option("--to-time", "rollback_time", help="Go back to how it was declared then (RFC 3339).")
@click.option("--resource", "target_resource", help="A component, such as integration/cms-webhook.")
@click.option("--action", "healing_action", help="Such as update_webhook.")
@click.option("--drift", "drift_id", help="The drift to heal.")
@click.option("--reason", default="", help="For those who read it later.")
@click.option("--idempotency-key", help="The same key again issues nothing more.")
@click.option("--actor", help="Who asks.")
@click.option("--wait", is_flag=True, help="Wait for its correlation to end.")
@session.options
@outputs.option
def issue(where: session.Where, output: outputs.Format, **given: Any) -> int:
    """Issue a command of a TYPE.

    Exit code 1 when `--wait` was given and it failed, or did not complete.

    \b
    Examples:
      helios commands issue reconcile_client --client-id acme --stack cms --wait
      helios commands issue rollback_state --stack cms --to v1.2.1 --reason "bad release"
    """  # noqa: D301 - click reads \b as the character
    asked = _asked(given)

    async def run() -> routes.Issued | events.Record:
        async with session.opened(where) as helios:
            done = await helios.client.issue_command(
                asked, idempotency_key=given["idempotency_key"], actor=given["actor"]
            )
            if not given["wait"]:
                return done
            with outputs.waiting(f"waiting for {done.correlation_id}"):
                return await _ended(helios, done, asked)

    done = asyncio.run(run())
    if isinstance(done, routes.Issued):
        rows = [outputs.plain(command) for command in done.commands]
        shown = ("command_id", "correlation_id", "command_type", "priority", "expires_at")
        outputs.show(done, output, rows=rows, columns=shown)
        return 0
    outputs.show(done, output, rows=[outputs.plain(done)], columns=_COLUMNS)
    return 0 if done.status == "completed" else EXIT_FAILED


def _asked(given: dict[str, Any]) -> command_rules.Issue:
    details = {
        name: given[name]
        for name in (
            "target_resource",
            "healing_action",
            "drift_id",
            "rollback_version",
            "rollback_time",
            "reason",
        )
    }
    if given["expect"] and given["expect_nothing"]:
        raise click.UsageError("--expect and --expect-nothing exclude each other")
    expects: str | tuple[str, ...] | None = given["expect"] or None
    return command_rules.Issue(
        command_type=given["command_type"],
        client_id=given["client_id"] or "default",
        stack_id=given["stack_id"],
        command_id=given["command_id"],
        correlation_id=given["correlation_id"],
        priority=given["priority"],
        expires_in_s=given["expires_in"],
        payload=events.Details(**details),
        expects=command_rules.NONE if given["expect_nothing"] else expects,
        consistency_window=given["window"],
    )


async def _ended(
    helios: session.Session, done: routes.Issued, asked: command_rules.Issue
) -> events.Record:
    """The record of a correlation at its end, or as it stands some time after its window."""
    after: int | None = done.position or None
    loop = asyncio.get_running_loop()
    window_s = max(command.consistency_window for command in done.commands)
    deadline = loop.time() + window_s + _SLACK_S
    while True:
        record = await helios.client.correlation(done.correlation_id, asked.client_id, after=after)
        ended = record.status in ("completed", "expired", "failed")
        if ended or loop.time() > deadline:
            return record
        await asyncio.sleep(_POLL_S)


@commands.command(name="list")
@_OF_CLIENT
@click.option("--status", type=click.Choice(("queued", "completed", "failed", "expired")))
@_CURSOR
@_LIMIT
@session.options
@outputs.option
def list_commands(where: session.Where, output: outputs.Format, **query: Any) -> None:
    """Print commands, newest first; the queue with `--status queued`.

    \b
    Examples:
      helios commands list
      helios commands list --status queued
    """  # noqa: D301 - click reads \b as the character
    page = naming.ask(where, lambda helios: helios.commands(**query))
    rows = [outputs.plain(command) for command in page.commands]
    outputs.show(page, output, rows=rows, columns=_COMMAND_COLUMNS, empty="no commands")
    _more(output, page.next_cursor)


@commands.command(name="show")
@click.argument("command_id", metavar="ID")
@_CLIENT
@session.options
@outputs.option
def show_command(
    where: session.Where, output: outputs.Format, command_id: str, *, client_id: str | None
) -> int:
    """Print a command and what became of it. Exit code 1 when it failed or expired.

    \b
    Example:
      helios commands show 01939c2e-1b2c-7def-8000-0123456789ab
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.command(command_id, client_id))
    _fields(found, output)
    return EXIT_FAILED if found.status in ("failed", "expired") else 0


@click.group()
def correlations() -> None:
    """Commands and events that belong together."""


@correlations.command(name="list")
@_OF_CLIENT
@click.option("--status", type=click.Choice(events.STATUSES))
@_CURSOR
@_LIMIT
@session.options
@outputs.option
def list_correlations(where: session.Where, output: outputs.Format, **query: Any) -> None:
    """Print correlations, newest first.

    \b
    Examples:
      helios correlations list
      helios correlations list --status partial
    """  # noqa: D301 - click reads \b as the character
    page = naming.ask(where, lambda helios: helios.correlations(**query))
    rows = [outputs.plain(record) for record in page.correlations]
    outputs.show(page, output, rows=rows, columns=_COLUMNS, empty="no correlations")
    _more(output, page.next_cursor)


@correlations.command(name="show")
@click.argument("correlation_id", metavar="ID")
@_CLIENT
@session.options
@outputs.option
def show_correlation(
    where: session.Where, output: outputs.Format, correlation_id: str, *, client_id: str | None
) -> None:
    """Print a correlation: what was expected, what came, and in what order it was handed on.

    \b
    Example:
      helios correlations show 01939c2e-1b2c-7def-8000-0123456789ab
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.correlation(correlation_id, client_id))
    _fields(found, output, leave_out=("event_buffer",))
    if output == "table" and found.event_buffer:
        rows = [outputs.plain(each) for each in found.event_buffer]
        shown = ("event_id", "sequence_number", "received_at", "processed_at")
        click.echo()
        outputs.table(rows, shown)


def _fields(value: Any, output: outputs.Format, *, leave_out: Sequence[str] = ()) -> None:
    if output != "table":
        outputs.show(value, output, rows=[], columns=[])
        return
    for name, field in outputs.plain(value).items():
        if name not in leave_out:
            click.echo(f"{name:22}{outputs.text(field)}")


def _more(output: outputs.Format, cursor: str | None) -> None:
    if output == "table" and cursor is not None:
        click.echo(f"more: --cursor {cursor}")
