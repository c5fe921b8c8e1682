"""Verdicts as a file: JSON Lines, CSV or Parquet, told by the name.

All three have the same columns in the same order. The file appears under its name only when it is
complete.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from helios.drivers.files import atomic
from helios.kernel import clock, errors
from helios.reconcile.streams import verdicts

COLUMNS = (
    "id",
    "contract",
    "contract_version",
    "key",
    "window_start",
    "window_end",
    "status",
    "events",
    "missing_events",
    "validation_errors",
    "events_count",
    "late",
    "revision",
    "supersedes",
    "superseded_by",
    "created_at",
    "reconciled_at",
)

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - as Excel reads
_LAST = datetime.max.replace(tzinfo=UTC)
_FIRST = datetime.min.replace(tzinfo=UTC)


class Form(Protocol):
    """How rows of `COLUMNS` become bytes of one file."""

    def write(self, rows: Sequence[dict[str, Any]], /) -> None:
        """Write rows after those before."""
        ...

    def finish(self) -> None:
        """Write what must stand at the end."""
        ...

    def abandon(self) -> None:
        """Let go without writing; after `finish` this does nothing."""
        ...


class VerdictFile:
    """A file of verdicts under way. Use it in a `with`: left without `commit`, nothing remains.

    Args:
        path: its suffix says the form: .jsonl or .ndjson, .csv, .parquet.

    Raises:
        InvalidInputError: another suffix, or no such folder.
        StorageError: it cannot be written there.
    """

    def __init__(self, path: Path) -> None:
        form = _FORMS.get(path.suffix.lower())
        if form is None:
            message = f"the name must end in one of {', '.join(_FORMS)}: it says the form"
            raise errors.InvalidInputError(message, source=str(path))
        self.count = 0
        self._file = atomic.AtomicFile(path)
        self._form = form(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._form.abandon()
        self._file.abort()

    def write(self, batch: Sequence[verdicts.Verdict]) -> None:
        """Write verdicts after those before.

        Raises:
            StorageError: the disk is full or away.
        """
        self.count += len(batch)
        try:
            self._form.write([_row(verdict) for verdict in batch])
        except OSError as error:
            raise atomic.storage_error(self._file.path, error) from error

    def commit(self) -> None:
        """Put the complete file in its place.

        Raises:
            StorageError: the disk is full or away; nothing is left of it.
        """
        try:
            self._form.finish()
        except OSError as error:
            raise atomic.storage_error(self._file.path, error) from error
        self._file.commit()


def _row(verdict: verdicts.Verdict) -> dict[str, Any]:
    """The columns of a verdict, written out: a loop over their names costs three times as much."""
    return {
        "id": verdict.id,
        "contract": verdict.contract,
        "contract_version": verdict.contract_version,
        "key": verdict.key,
        "window_start": _time(verdict.window_start),
        "window_end": _time(verdict.window_end),
        "status": verdict.status,
        "events": verdict.events,
        "missing_events": verdict.missing_events,
        "validation_errors": verdict.validation_errors,
        "events_count": verdict.events_count,
        "late": verdict.late,
        "revision": verdict.revision,
        "supersedes": verdict.supersedes,
        "superseded_by": verdict.superseded_by,
        "created_at": _time(verdict.created_at),
        "reconciled_at": _time(verdict.reconciled_at),
    }


def _time(value: clock.Timestamp | None) -> datetime | None:
    if value is None:
        return None
    try:
        return clock.to_datetime(value)
    except OverflowError:
        # A window that begins in the year 9999 may end after it.
        return _LAST if value > 0 else _FIRST


class _Jsonl:
    def __init__(self, file: atomic.AtomicFile) -> None:
        self._handle = file.handle

    def write(self, rows: Sequence[dict[str, Any]], /) -> None:
        self._handle.write(_ENCODER.encode_lines(rows))

    def finish(self) -> None:
        """Nothing stands at the end of JSON Lines."""

    def abandon(self) -> None:
        """There is nothing to let go of."""


class _Csv:
    def __init__(self, file: atomic.AtomicFile) -> None:
        self._handle = file.handle
        self._put([COLUMNS])

    def write(self, rows: Sequence[dict[str, Any]], /) -> None:
        self._put([_cell(row[name]) for name in COLUMNS] for row in rows)

    def _put(self, rows: Iterable[Iterable[object]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._handle.write(text.getvalue().encode())

    def finish(self) -> None:
        """Nothing stands at the end of CSV."""

    def abandon(self) -> None:
        """There is nothing to let go of."""


def _cell(value: object) -> object:
    """A value as CSV text that no spreadsheet takes for a formula."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case dict() | list():
            return _ENCODER.encode(value).decode()
        case str() if value.startswith(_FORMULA):
            return "'" + value
    return value


def _parquet(file: atomic.AtomicFile) -> Form:
    from helios.drivers.files import verdict_parquet  # noqa: PLC0415 - slow to load, rarely needed

    return verdict_parquet.ParquetForm(file.handle)


_FORMS: dict[str, Callable[[atomic.AtomicFile], Form]] = {
    ".jsonl": _Jsonl,
    ".ndjson": _Jsonl,
    ".csv": _Csv,
    ".parquet": _parquet,
}
