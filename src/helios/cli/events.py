"""`helios events` and `helios append`."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import click
import msgspec

from helios.api import event_filter, searching, wire
from helios.api.routes import search as search_routes
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.kernel import clock as clocks
from helios.kernel import errors

EXIT_SOME_REFUSED = 1
_BATCH_LINES = 1_000
_COLUMNS = ("position", "occurred_at", "source", "eventType", "event_id", "client_id", "payload")


@click.group()
def events() -> None:
    """Read the log."""


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, text in (
        ("--client-id", "Of this client only."),
        ("--type", "Event types, separated by commas."),
        ("--source", "Sources, separated by commas."),
        ("--aggregate-type", "Kind of what they are about."),
        ("--aggregate-id", "What they are about."),
    ):
        command = click.option(name, help=text)(command)
    return command


@events.command(name="list")
@_filters
@click.option("--cursor", help="Read on after this place.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@session.options
@outputs.option
def list_(where: session.Where, output: outputs.Format, **query: Any) -> None:
    """Print one page of events, oldest first.

    \b
    Examples:
      helios events list --type OrderPlaced --limit 5
      helios events list --source aws -o json
    """  # noqa: D301 - click reads \b as the character
    page = naming.ask(where, lambda helios: helios.events(**query))
    rows = [_row(event) for event in page.events]
    outputs.show(page, output, rows=rows, columns=_COLUMNS, empty="no events")
    if output == "table" and not page.caught_up:
        click.echo(f"more: --cursor {page.next_cursor}")


@events.command()
@click.argument("expression", required=False, default="")
@click.option("--client-id", help="Of this client only.")
@click.option("--from", "start", help="Recorded not before this time, RFC 3339.")
@click.option("--to", "end", help="Recorded before this time, RFC 3339.")
@click.option("--oldest", is_flag=True, help="Oldest first.")
@click.option("--cursor", help="Go on from this place.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@session.options
@outputs.option
def search(
    where: session.Where, output: outputs.Format, expression: str, *, oldest: bool, **query: Any
) -> None:
    """Print events that a filter EXPRESSION holds of, newest first.

    \b
    Examples:
      helios events search 'type:order.* -status:failed payload.total>100'
      helios events search 'client:acme age<1h "time out"' -o json
    """  # noqa: D301 - click reads \b as the character

    async def run() -> search_routes.SearchPage:
        async with session.opened(where) as helios:
            direction: searching.Direction = "oldest" if oldest else "newest"
            return await helios.client.search(expression, direction=direction, **query)

    page = asyncio.run(run())
    rows = [_row(event) for event in page.events]
    outputs.show(page, output, rows=rows, columns=_COLUMNS, empty="no events")
    if output == "table" and page.next_cursor is not None:
        click.echo(f"{page.scanned} looked at; more: --cursor {page.next_cursor}")


@events.command()
@_filters
@click.option(
    "--filter",
    "expression",
    default="",
    help="Only events that this holds of, such as 'type:order.* payload.total>100'.",
)
@click.option("--from-beginning", is_flag=True, help="Everything first, then what comes.")
@click.option("--cursor", help="Resume after this place.")
@click.option("--topics", help="Instead what has changed, in short: verdicts,drifts,stacks …")
@click.option("--count", type=click.IntRange(min=1), help="End after so many lines.")
@session.options
def tail(
    where: session.Where,
    *,
    count: int | None,
    from_beginning: bool,
    topics: str | None,
    expression: str,
    **query: Any,
) -> None:
    """Print events as they come, one JSON object a line, until interrupted.

    With --topics short messages instead, each with a cursor to go on from. Where no server runs
    nothing can come: what is there is printed, and that is all.

    \b
    Examples:
      helios events tail --type OrderPlaced
      helios events tail --filter 'client:acme payload.total>100'
      helios events tail --topics verdicts,drifts,approvals
    """  # noqa: D301 - click reads \b as the character
    if topics is not None and expression:
        raise click.UsageError("--filter is for events; short messages of --topics have no fields.")
    show = _Shown(expression, count)

    async def run() -> None:
        left = count
        async with session.opened(where) as helios:
            if topics is not None and helios.parts is None:
                start = "beginning" if from_beginning else None
                live = helios.client.live(topics.split(","), **{"from": start}, **query)
                async with contextlib.aclosing(live):
                    async for flush in live:
                        click.echo(msgspec.json.encode(flush))
                        left = None if left is None else left - 1
                        if left == 0:
                            return
            elif helios.parts is None:
                start = "beginning" if from_beginning else None
                stream = helios.client.stream(**{"from": start}, **query)
                async with contextlib.aclosing(stream):
                    async for _, event in stream:
                        show(event)
                        if show.is_done:
                            return
            else:
                await _print_all(helios, query, show)

    asyncio.run(run())


class _Shown:
    """Prints those events that an expression holds of."""

    def __init__(self, expression: str, count: int | None) -> None:
        self._what = event_filter.compile(expression)
        self._clock = clocks.SystemClock()
        self._left = count

    @property
    def is_done(self) -> bool:
        return self._left == 0

    def __call__(self, event: wire.EventView) -> None:
        seen = event_filter.of_view(event)
        if self._what.where.passes(seen) and self._what.passes(seen, self._clock.now()):
            click.echo(msgspec.json.encode(event))
            self._left = None if self._left is None else self._left - 1


async def _print_all(helios: session.Session, query: Mapping[str, Any], show: _Shown) -> None:
    cursor = query.get("cursor")
    while True:
        page = await helios.client.events(**{**query, "cursor": cursor, "limit": 1000})
        for event in page.events:
            show(event)
            if show.is_done:
                return
        cursor = page.next_cursor
        if page.caught_up:
            return


@click.command()
@click.argument("file", type=click.Path(allow_dash=True), required=False)
@click.option("--source", help="Who emits it.")
@click.option("--type", "event_type", help="Its type, such as OrderPlaced.")
@click.option("--payload", help="A JSON object.")
@click.option("--id", "event_id", help="Its id; the same id again is a duplicate.")
@click.option("--client-id", help="Whose it is.")
@click.option("--occurred-at", help="Event time, RFC 3339.")
@click.option("--idempotency-key", help="Name of this request: the same again is done once.")
@session.options
@outputs.option
def append(
    where: session.Where,
    output: outputs.Format,
    file: str | None,
    idempotency_key: str | None,
    **fields: str | None,
) -> int:
    """Append one event given by options, or those of an NDJSON FILE (- is standard input).

    Exit code 1 when some lines were refused.

    \b
    Examples:
      helios append --source shop --type OrderPlaced --payload '{"orderId": "ORD-7"}'
      helios append events.jsonl
    """  # noqa: D301 - click reads \b as the character
    if (file is None) == (fields["source"] is None and fields["event_type"] is None):
        raise click.UsageError("Give a FILE, or --source, --type and --payload.")
    if file is not None:
        return asyncio.run(_append_file(where, output, file))

    receipt = naming.ask(
        where, lambda helios: helios.append(_event(fields), idempotency_key=idempotency_key)
    )
    row = outputs.plain(receipt)
    outputs.show(receipt, output, rows=[row], columns=list(row))
    return 0


async def _append_file(where: session.Where, output: outputs.Format, file: str) -> int:
    lines = session.whole_input(file).splitlines(keepends=True)
    counts = {"accepted": 0, "duplicates": 0, "conflicts": 0, "refused": 0, "position": 0}
    async with session.opened(where) as helios:
        for start in range(0, len(lines), _BATCH_LINES):
            part = lines[start : start + _BATCH_LINES]
            if not b"".join(part).strip():
                continue
            try:
                done = await helios.client.append_lines(b"".join(part))
            except errors.InvalidInputError as error:
                click.echo(f"{file}:{start + 1}: {error}", err=True)
                counts["refused"] += sum(1 for line in part if line.strip())
                continue
            counts["accepted"] += done.accepted
            counts["duplicates"] += done.duplicates
            counts["conflicts"] += done.conflicts
            counts["refused"] += len(done.rejected)
            counts["position"] = max(counts["position"], done.position)
            for refused in done.rejected:
                place = f": {refused.field}" if refused.field else ""
                line = start + refused.index + 1
                click.echo(f"{file}:{line}{place}: {refused.reason}", err=True)
    outputs.show(counts, output, rows=[counts], columns=list(counts))
    return EXIT_SOME_REFUSED if counts["refused"] else 0


def _event(fields: Mapping[str, str | None]) -> dict[str, Any]:
    try:
        payload = json.loads(fields["payload"] or "{}")
    except ValueError as error:
        raise errors.InvalidInputError(f"not JSON: {error}", field="--payload") from error
    found = {
        "source": fields["source"],
        "eventType": fields["event_type"],
        "payload": payload,
        "id": fields["event_id"],
        "client_id": fields["client_id"],
        "occurred_at": fields["occurred_at"],
    }
    return {name: value for name, value in found.items() if value is not None}


def _row(event: wire.EventView) -> dict[str, Any]:
    found: dict[str, Any] = outputs.plain(event)
    found["payload"] = bytes(event.payload).decode()
    return found
