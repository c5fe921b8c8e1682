"""The demo in a terminal: a live picture for people, a line now and then for logs."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from rich import console, live, table, text

from helios.demo import board as boards
from helios.demo import score as scores
from helios.demo.world import ledger

_STYLES = {"matched": "green", "mismatched": "red", "partial": "yellow"}
_BAR_CHARS = 24
_MISMATCHES = 4


class Lines:
    """One line every few seconds, for logs.

    Args:
        echo: prints a line.
    """

    every_s = 3.0

    def __init__(self, echo: Callable[[str], None]) -> None:
        self._echo = echo

    def show(self, board: boards.Board, /) -> None:
        """Print this moment as one line."""
        counts = ", ".join(f"{name} {board.counts.get(name, 0):,}" for name in _STYLES)
        self._echo(
            f"{_clock(board.elapsed_s)} {board.phase}: {board.events:,} events "
            f"({board.rates.get('events', 0):.0f}/s); {counts}; "
            f"faults found {board.score.found} of {board.score.injected}; {_latency(board)}"
            f"{_stacks_line(board)}"
        )


class Picture:
    """A picture that is drawn anew twice a second; it fits 80 x 24.

    Args:
        screen: where to draw.
        command: how people call `helios` here.
        folder: of the data, where commands find the server and what lets them in.
    """

    every_s = 0.5

    def __init__(self, screen: console.Console, command: str, folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._live = live.Live(console=screen, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, board: boards.Board, /) -> None:
        """Draw this moment."""
        self._live.update(picture(board, self._command, self._folder), refresh=True)


def picture(board: boards.Board, command: str, folder: Path) -> console.Group:
    """One moment, as rich draws it."""
    blank = text.Text("")
    return console.Group(
        _title(board),
        blank,
        _verdicts(board),
        _pulse(board),
        blank,
        text.Text("Last orders that do not match", style="bold"),
        _mismatches(board),
        blank,
        text.Text("Faults put in and found", style="bold"),
        _faults(board.score),
        *_stacks(board),
        blank,
        *_where(board, command, folder),
    )


def summary(board: boards.Board) -> console.Group:
    """How it ended."""
    score = board.score
    rows = table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="bold")
    rows.add_column("fault")
    rows.add_column("put in", justify="right")
    rows.add_column("found", justify="right")
    for fault, count in score.faults.items():
        style = "" if count.right == count.total else "red"
        rows.add_row(fault, f"{count.total:,}", f"{count.right:,}", style=style)
    lines = [text.Text(line) for line in summary_lines(board)]
    lines[-1].stylize("bold green" if passed(board) else "bold red")
    of_stacks: list[console.RenderableType] = []
    if board.stacks is not None:
        of_stacks = [_of_stacks(board.stacks), text.Text("")]
    return console.Group(text.Text(""), rows, text.Text(""), *of_stacks, *lines)


def summary_lines(board: boards.Board) -> list[str]:
    """How it ended, in words; the last line is the result."""
    score, stacks = board.score, board.stacks
    injected, found_all = score.injected, score.found
    if stacks is not None:
        injected += stacks.total("put_in")
        found_all += stacks.total("found")
    found = f"{found_all} of {injected} faults found"
    load = f"{score.checked:,} orders, {board.events:,} events in {board.elapsed_s:.0f} s"
    doubled = f"{board.recognised} of {board.duplicates} duplicates recognised"
    alarms = f"{score.false_alarms} false alarms among {score.sound.total:,} sound orders"
    said = [f"{load}; {_latency(board)}", f"{doubled}; {alarms}"]
    if stacks is not None:
        said += _stacks_lines(board, stacks)
    if score.open:
        said.append(f"{len(score.open)} orders were still open and are left out")
    said += [f"wrong: {line}" for line in (*score.wrong, *(stacks.wrong if stacks else ()))]
    said.append(f"{found}, and nothing else" if passed(board) else f"FAILED: {found}")
    return said


def passed(board: boards.Board) -> bool:
    """Every fault was found and nothing else, and no duplicate was taken twice."""
    is_well = board.stacks is None or board.stacks.is_perfect
    is_right = is_well and not board.letters.unexpected
    beside = board.recognised - board.duplicates
    return is_right and board.score.is_perfect and 0 <= beside <= board.repeated


def _of_stacks(stacks: ledger.Standing) -> table.Table:
    rows = table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="bold")
    rows.add_column("fault in a stack")
    for name in ("put in", "found", "healed", "verified", "waiting"):
        rows.add_column(name, justify="right")
    for row in stacks.rows:
        style = "" if row.found == row.put_in else "red"
        counts = (row.put_in, row.found, row.healed, row.verified, row.waiting)
        rows.add_row(row.kind, *(f"{count or ''}" for count in counts), style=style)
    return rows


def _stacks_lines(board: boards.Board, stacks: ledger.Standing) -> list[str]:
    """What to say of the stacks at the end."""
    healed, verified = stacks.total("healed"), stacks.total("verified")
    told = f"{stacks.total('found')} of {stacks.total('put_in')} faults told"
    quiet = f"{stacks.alarms} false alarms, {stacks.noise} changes left out by rule"
    mended = f"{healed} healed, {verified} of them seen to have helped"
    asked = f"{stacks.total('waiting')} waiting for approval"
    said = [f"{stacks.stacks} stacks: {told}, {quiet}", f"{mended}; {asked}"]
    sent = board.letters
    said.append(
        f"{sent.refused} deliveries refused, {sent.kept} dead letters, {sent.retried} mended"
    )
    if stacks.open:
        said.append(f"{stacks.open} faults of stacks were still open and are left out")
    return said


def _stacks_line(board: boards.Board) -> str:
    found = board.stacks
    if found is None:
        return ""
    return (
        f"; stacks: {found.total('found')} of {found.total('put_in')} faults told, "
        f"{found.total('verified')} healed, {found.total('waiting')} waiting"
    )


def _stacks(board: boards.Board) -> list[text.Text]:
    found = board.stacks
    if found is None:
        return []
    put_in, told = found.total("put_in"), found.total("found")
    style = "red" if found.missed or found.alarms else "green"
    said = text.Text.assemble(
        (" stacks ", "default"),
        (f"{told}/{put_in}", style),
        " drifts told   ",
        (f"{found.total('verified')}", "green"),
        " healed   ",
        (f"{found.total('waiting')}", "yellow"),
        " waiting for approval   ",
        (f"{board.letters.kept}", "bold"),
        " dead letters",
    )
    return [said]


def _title(board: boards.Board) -> table.Table:
    row = table.Table.grid(expand=True)
    row.add_column()
    row.add_column(justify="right")
    left = text.Text.assemble(
        ("Helios demo", "bold"), "  ", (board.url, "underline cyan"), style="default"
    )
    phase = {"starting": "", "selling": "", "closing": f"closing, {board.open} orders open  "}
    is_planned = board.planned_s is not None and board.phase == "selling"
    planned = f" of {_clock(board.planned_s or 0.0)}" if is_planned else ""
    right = text.Text.assemble((phase[board.phase], "yellow"), _clock(board.elapsed_s), planned)
    row.add_row(left, right)
    load = f"{board.orders_rate:g} orders/s from three clouds; {board.faults_share:.1%} faulty"
    row.add_row(text.Text(load, style="dim"), "")
    return row


def _verdicts(board: boards.Board) -> table.Table:
    rows = table.Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 1))
    for justify in ("left", "right", "right", "left", "right"):
        rows.add_column(justify=justify, no_wrap=True)
    total = sum(board.counts.values())
    for name, style in _STYLES.items():
        count = board.counts.get(name, 0)
        share = count / total if total else 0.0
        filled = round(share * _BAR_CHARS) or (1 if count else 0)
        bar = text.Text("━" * filled, style=style)
        bar.append("┈" * (_BAR_CHARS - filled), style="bright_black")
        rows.add_row(
            text.Text(name, style=f"bold {style}"),
            f"{count:>9,}",
            f"{share:6.1%}",
            bar,
            f"{board.rates.get(name, 0.0):7.1f}/s",
        )
    return rows


def _pulse(board: boards.Board) -> text.Text:
    said = text.Text.assemble(
        " ",
        (f"{board.events:,}", "bold"),
        f" events, {board.rates.get('events', 0.0):.0f}/s   ",
        (f"{board.open:,}", "bold"),
        " orders open   ",
        _latency(board),
    )
    if board.behind_s > 1:
        said.append(f"   {board.behind_s:.0f} s behind: lower --rate", style="red")
    return said


def _mismatches(board: boards.Board) -> table.Table:
    rows = table.Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 1))
    rows.add_column(no_wrap=True)
    rows.add_column(no_wrap=True)
    rows.add_column(no_wrap=True, overflow="ellipsis")
    shown = board.mismatches[:_MISMATCHES]
    for found in shown:
        status = text.Text(found.status, style=_STYLES.get(found.status, ""))
        rows.add_row(text.Text(found.key), status, text.Text(found.why))
    for missing in range(_MISMATCHES - len(shown)):
        rows.add_row(text.Text("none yet" if not shown and missing == 0 else "", "dim"), "", "")
    return rows


def _faults(score: scores.Score) -> table.Table:
    rows = table.Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 1))
    cells = []
    for fault, count in score.faults.items():
        style = "green" if count.right == count.total else "red"
        shown = text.Text.assemble(f"{fault} ", (f"{count.right}/{count.total}", style))
        cells.append(shown)
    for at in range(0, len(cells), 3):
        rows.add_row(*cells[at : at + 3])
    style = "green" if not score.false_alarms else "red"
    said = text.Text.assemble(
        "false alarms ", (f"{score.false_alarms}", style), f" in {score.sound.total:,} sound orders"
    )
    rows.add_row(said)
    return rows


def _where(board: boards.Board, command: str, folder: Path) -> list[text.Text]:
    mismatched = f"{command} verdicts list order-fulfilment --status mismatched"
    return [
        text.Text.assemble(
            ("Look  ", "bold"), (board.url, "cyan"), "   API  ", (f"{board.url}/docs", "cyan")
        ),
        text.Text.assemble(("Try   ", "bold"), f"export HELIOS_DATA_DIR={folder}"),
        text.Text(f"      {mismatched}"),
        text.Text("Ctrl-C closes the shop and checks every order.", style="dim"),
    ]


def _latency(board: boards.Board) -> str:
    if board.p50_ms is None or board.p95_ms is None:
        return "event to verdict not measured yet"
    return f"event to verdict {board.p50_ms:.0f} ms, p95 {board.p95_ms:.0f} ms"


def _clock(seconds: float) -> str:
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
