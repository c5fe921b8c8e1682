"""How verbs show what they found: tables for people, JSON or YAML for programs."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import click
import msgspec

Format = Literal["table", "json", "yaml"]


def option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option `-o`; passed on as `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="How to print.",
    )(command)


def show(
    value: Any,
    output: Format,
    *,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    empty: str = "nothing",
) -> None:
    """Print a value.

    Args:
        value: all of it, for programs.
        output: how to print.
        rows: what people see of it, one mapping per line.
        columns: which fields, in order.
        empty: what to say to people when there are no rows.
    """
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    elif output == "yaml":
        click.echo(msgspec.yaml.encode(plain(value)).decode(), nl=False)
    elif not rows:
        click.echo(empty)
    else:
        table(rows, columns)


class Outcome(Protocol):
    """What became of a declaration."""

    @property
    def dry_run(self) -> bool: ...

    @property
    def unchanged(self) -> bool: ...


def declared(done: Outcome) -> str:
    """The same in a word, for the column `result`."""
    if done.dry_run:
        return "valid"
    return "unchanged" if done.unchanged else "declared"


def plain(value: Any) -> Any:
    """A value as JSON would have it, raw parts included."""
    return msgspec.json.decode(msgspec.json.encode(value))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print a table; on a terminal as wide as it is, elsewhere as wide as it needs."""
    from rich import box, console  # noqa: PLC0415 - slow to import, and not always needed
    from rich import table as tables  # noqa: PLC0415

    made = tables.Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(text(row.get(column)) for column in columns))
    screen = console.Console(highlight=False, markup=False, soft_wrap=False)
    if not screen.is_terminal:
        screen.width = 10_000
        made.box = None
    screen.print(made)


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say on a terminal what is being waited for; elsewhere nothing."""
    from rich import console  # noqa: PLC0415 - slow to import, and not always needed

    screen = console.Console(stderr=True, highlight=False, markup=False)
    with screen.status(what) if screen.is_terminal else contextlib.nullcontext():
        yield


@functools.singledispatch
def text(value: Any) -> str:
    """A cell's text; control characters made harmless, since they come from outside."""
    shown = "" if value is None else str(value)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown)


@text.register
def _(value: list) -> str:  # type: ignore[type-arg]
    return ", ".join(text(item) for item in value)


@text.register
def _(value: bool) -> str:  # noqa: FBT001 - singledispatch calls it so
    return "yes" if value else "no"
