"""`helios reconcile`: judge the events of files by a contract."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Literal, TypeAlias

import click

from helios import cli
from helios.cli import summary as summaries
from helios.drivers.files import dead_letters, readers, scratch, verdict_files
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import lines as feeds
from helios.reconcile.streams import offline

Parts: TypeAlias = Iterator[feeds.Chunk | feeds.Reject]

EXIT_MATCHED = 0
EXIT_MISMATCHED = 1
EXIT_TERMINATED = 143

EPILOG = """\b
Examples:
  helios reconcile events.jsonl -c contract.yaml
  helios reconcile orders.jsonl.zst payments.csv.gz stock.parquet -c contract.yaml -o out.parquet
  helios reconcile -c contract.yaml --leg order=shop.csv --leg payment=bank.csv --summary json
  zcat *.gz | helios reconcile - -c contract.yaml --strict

\b
Exit codes:
  0    every key matched
  1    keys are mismatched or partial
  2    the input or the contract is wrong: file, line and reason are named
  3    it could not be done: disk full, no rights
  130  interrupted; nothing is left behind
"""


@click.command(epilog=EPILOG)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "-c", "--contract", "contract_path", required=True, metavar="YAML", help="The contract."
)
@click.option(
    "--leg",
    "bindings",
    multiple=True,
    metavar="NAME=FILE",
    help="A file all of whose rows are events of this leg; may be given several times.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the verdicts; the suffix says how: .jsonl, .csv or .parquet.",
)
@click.option(
    "--summary",
    type=click.Choice(["table", "json", "none"]),
    default="table",
    show_default=True,
    help="What to print at the end; json is one object on one line.",
)
@click.option(
    "--order",
    type=click.Choice(["event", "arrival"]),
    default="event",
    show_default=True,
    help="Judge in order of event time, or of the lines as they come.",
)
@click.option("--strict", is_flag=True, help="Stop at the first line that cannot be used.")
@click.option(
    "--dead-letters",
    "dead_letters_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where lines that cannot be used go. "
    f"[default: {dead_letters.DEFAULT_NAME} beside the output]",
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N lines only."
)
@cli.debug_option
@click.pass_context
def reconcile(
    ctx: click.Context,
    *,
    files: tuple[str, ...],
    contract_path: str,
    bindings: tuple[str, ...],
    output: Path | None,
    summary: Literal["table", "json", "none"],
    order: Literal["event", "arrival"],
    strict: bool,
    dead_letters_path: Path | None,
    limit: int | None,
) -> None:
    """Judge the events of FILEs by a contract.

    FILEs are JSON Lines, a JSON array, CSV with a header, or Parquet; each plain or packed with
    gzip or zstd; "-" is standard input. The events of a key may be spread over all of them.

    \b
    Examples:
      helios reconcile -c contract.yaml orders.jsonl.zst payments.csv stock.parquet
      helios reconcile -c contract.yaml --leg order=shop.csv --leg payment=bank.csv -o verdicts.csv
    """  # noqa: D301 - click reads \b as the character
    if not files and not bindings:
        raise click.UsageError("name the files to read, or bind them with --leg")
    contract = read_contract(contract_path)
    legs = read_bindings(bindings, [leg.name for leg in contract.legs])
    letters_path = dead_letters_path or dead_letters.default_path(output)
    _refuse_overwriting(
        [*files, *(f for each in legs.values() for f in each)], output, letters_path
    )
    clock = clocks.SystemClock()
    begin = clock.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_stopped_by_sigterm())
        inputs = readers.open_inputs(files, legs, stdin=sys.stdin.buffer)
        letters = stack.enter_context(dead_letters.DeadLetters(letters_path))
        out = stack.enter_context(verdict_files.VerdictFile(output)) if output else None
        read = stack.enter_context(_watched(inputs, limit))
        result = offline.run(
            contract,
            read(),
            order=order,
            on_verdict=out.write if out else None,
            on_reject=_raise if strict else letters.add,
            open_scratch=scratch.in_folder(),
            again=read if inputs.can_be_read_again else None,
        )
        letters.close()
        if out:
            out.commit()
    report = summaries.Report(
        contract=contract.name,
        result=result,
        dead_letters=letters.count,
        by_code=dict(letters.by_code),
        seconds=clock.monotonic() - begin,
    )
    summaries.show(report, form=summary)
    ctx.exit(_ended(report, letters))


def _ended(report: summaries.Report, letters: dead_letters.DeadLetters) -> int:
    """The exit code, after a word on what was left out."""
    first = letters.first
    if first is not None:
        rest = f" and {letters.count - 1} more" if letters.count > 1 else ""
        click.echo(
            f"helios: {first.source}:{first.line}: {first.reason}{rest}: see {letters.path}",
            err=True,
        )
        if not report.result.events:
            raise errors.InvalidInputError("no line of the input could be used")
    elif not report.result.events:
        click.echo("helios: the input holds no event that the contract wants", err=True)
    return EXIT_MATCHED if report.all_matched else EXIT_MISMATCHED


def read_contract(path: str) -> contracts.Contract:
    """The contract of a file; what is wrong is named with the file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise errors.InvalidInputError("no such file", source=path) from error
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 at byte {error.start + 1}"
        raise errors.InvalidInputError(message, source=path) from error
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise errors.InvalidInputError(f"cannot be read: {what}", source=path) from error
    return contracts.parse(text, source=path)


def read_bindings(bindings: Sequence[str], known: Sequence[str]) -> dict[str, list[str]]:
    """Files by leg, from `NAME=FILE` options."""
    legs: dict[str, list[str]] = {}
    for binding in bindings:
        name, equals, path = binding.partition("=")
        if not equals or not path:
            message = f"--leg {binding}: expected NAME=FILE, such as --leg {known[0]}=orders.csv"
            raise errors.InvalidInputError(message)
        if name not in known:
            message = (
                f"--leg {binding}: the contract has no leg {name!r}; it has {', '.join(known)}"
            )
            raise errors.InvalidInputError(message)
        legs.setdefault(name, []).append(path)
    return legs


def _refuse_overwriting(inputs: Iterable[str], output: Path | None, letters: Path) -> None:
    read = {Path(path).resolve() for path in inputs if path != readers.STDIN}
    for option, path in (("--output", output), ("--dead-letters", letters)):
        if path is not None and path.resolve() in read:
            message = f"is read as input; name another file with {option}"
            raise errors.InvalidInputError(message, source=str(path))


def _raise(reject: feeds.Reject) -> None:
    raise errors.InvalidInputError(reject.reason, source=reject.source, line=reject.line)


@contextlib.contextmanager
def _watched(inputs: readers.Inputs, limit: int | None) -> Iterator[Callable[[], Parts]]:
    """What reads the inputs; a bar on the terminal, if there is one, follows it by bytes."""

    def read() -> Parts:
        return iter(inputs) if limit is None else _first(iter(inputs), limit)

    if not sys.stderr.isatty():
        yield read
        return
    from rich import console, progress  # noqa: PLC0415 - slow to load, and only for terminals

    with progress.Progress(
        progress.TextColumn("reading"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TimeRemainingColumn(),
        console=console.Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("reading", total=inputs.bytes_total or None)

        def followed() -> Parts:
            for part in read():
                bar.update(task, completed=inputs.bytes_done)
                yield part

        yield followed


def _first(parts: Parts, limit: int) -> Parts:
    left = limit
    for part in parts:
        if isinstance(part, feeds.Reject):
            left -= 1
            yield part
        elif len(part.numbers) <= left:
            left -= len(part.numbers)
            yield part
        else:
            yield feeds.Chunk(
                source=part.source,
                lines=part.lines[:left],
                numbers=part.numbers[:left],
                leg=part.leg,
                lax=part.lax,
                bytes_read=part.bytes_read,
            )
            left = 0
        if not left:
            return


@contextlib.contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that half-written files go."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(EXIT_TERMINATED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
