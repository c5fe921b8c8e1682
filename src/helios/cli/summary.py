"""How the end of an offline run is told: a table for people, one object for programs."""

from typing import Any, Literal, Protocol

import click
import msgspec


class Counts(Protocol):
    """What a run counted; `offline.Summary` is one."""

    @property
    def keys(self) -> int: ...
    @property
    def matched(self) -> int: ...
    @property
    def mismatched(self) -> int: ...
    @property
    def partial(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def late(self) -> int: ...
    @property
    def ignored(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def by_reason(self) -> dict[str, int]: ...


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a run.

    Attributes:
        contract: name of the contract.
        result: what the engine counted.
        dead_letters: lines that could not be used.
        by_code: how many of them for each reason.
        seconds: from the first byte read to the last one written.
    """

    contract: str
    result: Any
    dead_letters: int
    by_code: dict[str, int]
    seconds: float

    @property
    def all_matched(self) -> bool:
        return not (self.result.mismatched or self.result.partial)


def show(report: Report, *, form: Literal["table", "json", "none"]) -> None:
    """Print the end of a run on standard output."""
    if form == "json":
        click.echo(as_json(report))
    elif form == "table":
        click.echo(as_table(report))


def as_json(report: Report) -> bytes:
    """One JSON object on one line."""
    result: Counts = report.result
    return msgspec.json.encode(
        {
            "contract": report.contract,
            "keys": result.keys,
            "matched": result.matched,
            "mismatched": result.mismatched,
            "partial": result.partial,
            "duplicates": result.duplicates,
            "late": result.late,
            "ignored": result.ignored,
            "dead_letters": report.dead_letters,
            "dead_letters_by_code": report.by_code,
            "by_reason": result.by_reason,
            "events": result.events,
            "seconds": round(report.seconds, 3),
        }
    )


def as_table(report: Report) -> str:
    """Counts under one another, the reasons beneath what they explain."""
    result: Counts = report.result
    rows: list[tuple[str, int, str]] = [
        (name, count, _share(count, result.keys))
        for name, count in (
            ("matched", result.matched),
            ("mismatched", result.mismatched),
            ("partial", result.partial),
        )
    ]
    reasons = sorted(result.by_reason.items(), key=lambda item: (-item[1], item[0]))
    rows += [(f"  {reason}", count, _share(count, result.keys)) for reason, count in reasons]
    rows += [
        (name, count, "")
        for name, count in (
            ("duplicates", result.duplicates),
            ("late", result.late),
            ("ignored", result.ignored),
            ("dead letters", report.dead_letters),
        )
        if count
    ]
    rows += [(f"  {code}", count, "") for code, count in sorted(report.by_code.items())]
    wide = max(len(name) for name, _, _ in rows)
    head = f"{report.contract}: {result.keys:,} keys from {result.events:,} events"
    lines = [f"{head} in {report.seconds:.1f} s", ""]
    lines += [f"  {name:<{wide}}  {count:>11,}  {share:>7}".rstrip() for name, count, share in rows]
    return "\n".join(lines)


def _share(count: int, whole: int) -> str:
    return f"{100 * count / whole:.1f} %" if whole else ""
