"""`helios dead-letters`."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

import click
import msgspec

from helios.api import dead_letters as shown
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.kernel import errors

EXIT_STILL_DEAD = 1

_LETTERS = ("id", "recorded_at", "source", "event_type", "reason", "status", "attempts", "detail")
_GROUPS = (
    "count",
    "source",
    "event_type",
    "reason",
    "template",
    "first_at",
    "last_at",
    "sample_id",
)
_SUMS = ("total", "stored", "duplicates", "dead", "discarded", "skipped")

_CLIENT = click.option("--client-id", help="Whose letter; `default` without it.")
_IDS = click.argument("ids", nargs=-1, metavar="[ID]...")
_NOTE = click.option("--note", default="", help="Why; kept with it.")


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which letters."""
    for option in (
        click.option("--until", help="Recorded before this time (RFC 3339)."),
        click.option("--since", help="Recorded at this time or later (RFC 3339)."),
        click.option("--type", "event_type", help="Of this event type only."),
        click.option("--template", help="Whose detail is this, as `groups` prints it."),
        click.option("--reason", help="Of this reason only."),
        click.option("--source", help="For this source only."),
        click.option("--client-id", help="Of this client only."),
    ):
        command = option(command)
    return command


def _bulk(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of work on many letters."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask before working on many."),
        click.option(
            "--stop-after", type=click.IntRange(min=1), help="Stop when so many have failed."
        ),
        click.option("--dry-run", is_flag=True, help="Say how many there are, and do nothing."),
        click.option("--all", "every", is_flag=True, help="All open letters that the options say."),
        click.option(
            "--per-s",
            type=click.FloatRange(min=0, min_open=True, max=10_000),
            default=shown.PER_S,
            show_default=True,
            help="Letters a second.",
        ),
    ):
        command = option(command)
    return _filters(command)


@click.group(name="dead-letters")
def dead_letters() -> None:
    """What could not be taken: look at it, mend it, try it again."""


@dead_letters.command(name="list")
@_filters
@click.option(
    "--status",
    type=click.Choice(["open", "retried", "discarded", "all"]),
    default="open",
    show_default=True,
)
@click.option("--cursor", help="Read on after this place.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@session.options
@outputs.option
def list_(where: session.Where, output: outputs.Format, **query: Any) -> None:
    """Print dead letters, newest first.

    \b
    Examples:
      helios dead-letters list
      helios dead-letters list --source shop --reason schema
    """  # noqa: D301 - click reads \b as the character
    query["type"] = query.pop("event_type")

    page = naming.ask(where, lambda helios: helios.dead_letters(**query))
    rows = [outputs.plain(letter) for letter in page.letters]
    outputs.show(page, output, rows=rows, columns=_LETTERS, empty="no dead letters")
    if output == "table" and page.next_cursor is not None:
        click.echo(f"more: --cursor {page.next_cursor}")


@dead_letters.command()
@_filters
@session.options
@outputs.option
def groups(where: session.Where, output: outputs.Format, **query: Any) -> None:
    """Print how many open letters there are of each cause, with the newest as a sample.

    \b
    Examples:
      helios dead-letters groups
      helios dead-letters groups --source shop --since 2026-03-01T00:00:00Z
    """  # noqa: D301 - click reads \b as the character
    query["type"] = query.pop("event_type")

    async def run() -> shown.GroupList:
        async with session.opened(where) as helios:
            return await helios.client.dead_letter_groups(**query)

    _show_groups(asyncio.run(run()).groups, output)


@dead_letters.command()
@click.argument("letter", metavar="ID")
@_CLIENT
@session.options
@outputs.option
def show(where: session.Where, output: outputs.Format, letter: str, client_id: str | None) -> None:
    """Print a dead letter: why it is one, and its body.

    \b
    Example:
      helios dead-letters show 3f1c9a
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.dead_letter(letter, client_id))
    if output != "table":
        outputs.show(found, output, rows=[], columns=[])
        return
    for name, value in outputs.plain(found.letter).items():
        click.echo(f"{name}: {outputs.text(value)}")
    for header in found.headers:
        click.echo(f"header {outputs.text(header.name)}: {outputs.text(header.value)}")
    click.echo("")
    if found.text is None:
        click.echo(f"base64: {found.body}")
    else:
        click.echo("\n".join(outputs.text(line) for line in found.text.splitlines()))


@dead_letters.command()
@click.argument("letter", metavar="ID")
@click.argument("file", type=click.Path(allow_dash=True), required=False)
@_CLIENT
@_NOTE
@session.options
@outputs.option
def edit(
    where: session.Where,
    output: outputs.Format,
    *,
    letter: str,
    file: str | None,
    client_id: str | None,
    note: str,
) -> None:
    """Give a dead letter another body to try with: that of FILE, or one written in your editor.

    \b
    Examples:
      helios dead-letters edit 3f1c9a mended.json
      helios dead-letters edit 3f1c9a
    """  # noqa: D301 - click reads \b as the character

    async def run() -> shown.Changed | None:
        async with session.opened(where) as helios:
            if file is not None:
                body: bytes | None = session.whole_input(file)
            else:
                body = _edited(await helios.client.dead_letter(letter, client_id))
            if body is None:
                return None
            return await helios.client.edit_dead_letter(
                letter, body, client_id=client_id, note=note
            )

    done = asyncio.run(run())
    if done is None:
        click.echo("nothing changed")
        return
    row: dict[str, Any] = outputs.plain(done)
    outputs.show(done, output, rows=[row], columns=list(row))


@dead_letters.command()
@_IDS
@_bulk
@session.options
@outputs.option
def retry(where: session.Where, output: outputs.Format, **given: Any) -> int:
    """Try dead letters again: those with these IDs, or with --all those that the options say.

    Exit code 1 when one is dead still.

    \b
    Examples:
      helios dead-letters retry 3f1c9a
      helios dead-letters retry --all --source shop --reason schema --dry-run
      helios dead-letters retry --all --source shop --reason schema --per-s 20
    """  # noqa: D301 - click reads \b as the character
    return _work(where, output, "retry", note="", **given)


@dead_letters.command()
@_IDS
@_bulk
@_NOTE
@session.options
@outputs.option
def discard(where: session.Where, output: outputs.Format, **given: Any) -> int:
    """Close dead letters: those with these IDs, or with --all those that the options say.

    They stay in the log, and can be listed with --status discarded.

    \b
    Examples:
      helios dead-letters discard 3f1c9a --note "a test of the sender"
      helios dead-letters discard --all --source shop --reason schema --dry-run
    """  # noqa: D301 - click reads \b as the character
    return _work(where, output, "discard", **given)


def _work(
    where: session.Where,
    output: outputs.Format,
    operation: Literal["retry", "discard"],
    *,
    ids: Sequence[str],
    every: bool,
    dry_run: bool,
    yes: bool,
    **given: Any,
) -> int:
    if bool(ids) == every:
        raise click.UsageError("Give IDs or --all.")
    if dry_run and not every:
        raise click.UsageError("--dry-run goes with --all.")
    if ids:
        return _each(where, output, operation, ids, given)
    wanted = shown.Wanted(
        client_id=given["client_id"],
        source=given["source"],
        reason=given["reason"],
        type=given["event_type"],
        template=given["template"],
        stop_after=given["stop_after"],
        since=given["since"],
        until=given["until"],
        per_s=given["per_s"],
        note=given["note"],
        dry_run=True,
    )
    return asyncio.run(_all(where, output, operation, wanted, dry_run=dry_run, yes=yes))


def _each(
    where: session.Where,
    output: outputs.Format,
    operation: str,
    ids: Sequence[str],
    given: dict[str, Any],
) -> int:
    async def run() -> list[Any]:
        async with session.opened(where) as helios:
            client, client_id = helios.client, given["client_id"]
            if operation == "retry":
                return [await client.retry_dead_letter(each, client_id=client_id) for each in ids]
            return [
                await client.discard_dead_letter(each, client_id=client_id, note=given["note"])
                for each in ids
            ]

    done = asyncio.run(run())
    rows = [outputs.plain(each) for each in done]
    columns = ["id", "result", "positions", "reason", "detail"]
    if operation == "discard":
        columns = ["id", "position"]
    outputs.show(done, output, rows=rows, columns=columns)
    return EXIT_STILL_DEAD if any(row.get("result") == "dead" for row in rows) else 0


async def _all(
    where: session.Where,
    output: outputs.Format,
    operation: Literal["retry", "discard"],
    wanted: shown.Wanted,
    *,
    dry_run: bool,
    yes: bool,
) -> int:
    """Preview, ask, work."""
    async with session.opened(where) as helios:
        steps = helios.client.on_dead_letters(operation, wanted)
        preview = await anext(steps)
        if dry_run:
            _show_groups(preview.groups, output, preview)
            return 0
        if preview.total == 0:
            outputs.show(preview, output, rows=[], columns=[], empty="no dead letters")
            return 0
        if not yes:
            _ask(operation, preview)
        last = await _progress(helios, operation, wanted, preview.total)
    row = outputs.plain(last)
    outputs.show(last, output, rows=[row], columns=_SUMS)
    return EXIT_STILL_DEAD if last.dead or last.skipped else 0


def _ask(operation: str, preview: shown.LettersProgress) -> None:
    if not sys.stdin.isatty():
        raise errors.InvalidInputError(
            f"this would {operation} {preview.total} letters: look with --dry-run, then give --yes"
        )
    _show_groups(preview.groups, "table")
    click.confirm(f"{operation} {preview.total} letters?", abort=True)


async def _progress(
    helios: session.Session,
    operation: Literal["retry", "discard"],
    wanted: shown.Wanted,
    total: int,
) -> shown.LettersProgress:
    wanted = msgspec.structs.replace(wanted, dry_run=False)
    last = shown.LettersProgress(phase="done")
    with click.progressbar(
        length=total, label=operation, file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        async for step in helios.client.on_dead_letters(operation, wanted):
            bar.update(max(0, step.done - bar.pos))
            last = step
    return last


def _show_groups(
    found: Sequence[shown.GroupView], output: outputs.Format, value: Any = None
) -> None:
    rows = [{**outputs.plain(group), "sample_id": group.sample.id} for group in found]
    outputs.show(
        found if value is None else value,
        output,
        rows=rows,
        columns=_GROUPS,
        empty="no dead letters",
    )


def _edited(letter: shown.WholeLetter) -> bytes | None:
    if letter.text is None:
        raise errors.InvalidInputError("its body is not text: give a file with the new one")
    text = click.edit(letter.text, extension=".json")
    return None if text is None or text == letter.text else text.encode()
