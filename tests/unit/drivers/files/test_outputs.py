"""Verdicts and dead letters: whole files or none, safe to open in a spreadsheet."""

import contextlib
import csv
import errno
import json
import resource
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from helios.drivers.files import atomic, dead_letters, verdict_files
from helios.kernel import clock, errors
from helios.reconcile.streams import lines as feeds
from helios.reconcile.streams import verdicts

T0 = clock.parse_rfc3339("2025-01-15T10:00:00Z")


def verdict(**changes: Any) -> verdicts.Verdict:
    fields: dict[str, Any] = {
        "tenant": "acme",
        "contract": "order-fulfilment",
        "contract_version": 1,
        "key": "ORD-1",
        "window_start": T0,
        "window_end": T0 + 30_000_000,
        "revision": 1,
        "status": "mismatched",
        "events": {"order": ["o-1"], "payment": ["p-1", "p-2"]},
        "missing_events": ["inventory"],
        "validation_errors": {"amount": {"expected": Decimal("1.10"), "actual": Decimal(1)}},
        "events_count": 3,
        "late": False,
        "position": 7,
        "created_at": T0 + 1,
    }
    return verdicts.Verdict(**{**fields, **changes})


def written(path: Path, *batches: list[verdicts.Verdict]) -> Path:
    with verdict_files.VerdictFile(path) as out:
        for batch in batches:
            out.write(batch)
        out.commit()
    return path


def test_json_lines_hold_every_field(tmp_path: Path) -> None:
    path = written(tmp_path / "out.jsonl", [verdict()], [verdict(reconciled_at=T0, revision=2)])
    first, second = map(json.loads, path.read_text().splitlines())
    assert tuple(first) == verdict_files.COLUMNS
    assert first["window_end"] == "2025-01-15T10:00:30Z"
    assert first["created_at"] == "2025-01-15T10:00:00.000001Z"
    assert first["events"] == {"order": ["o-1"], "payment": ["p-1", "p-2"]}
    assert first["reconciled_at"] is first["supersedes"] is None
    assert (second["revision"], second["supersedes"]) == (2, first["id"])
    assert second["reconciled_at"] == "2025-01-15T10:00:00Z"
    assert '"expected":1.10' in path.read_text()


def test_csv_has_the_same_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "out.csv", [verdict()])
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert tuple(row) == verdict_files.COLUMNS
    assert row["window_end"] == "2025-01-15T10:00:30Z"
    assert json.loads(row["events"])["payment"] == ["p-1", "p-2"]
    assert (row["late"], row["superseded_by"]) == ("false", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d"])
def test_csv_cells_are_never_formulas(start: str, tmp_path: Path) -> None:
    path = written(tmp_path / "out.csv", [verdict(key=f"{start}cmd|'/c calc'!A1")])
    with path.open(newline="", encoding="utf-8") as text:
        (row,) = csv.DictReader(text)
    assert row["key"] == f"'{start}cmd|'/c calc'!A1"


def test_parquet_has_the_same_columns(tmp_path: Path) -> None:
    batches = [[verdict(key=str(at + i)) for i in range(1000)] for at in range(0, 25_000, 1000)]
    table = parquet.read_table(written(tmp_path / "out.parquet", *batches))
    assert tuple(table.column_names) == verdict_files.COLUMNS
    assert table["key"].to_pylist() == [str(i) for i in range(25_000)]
    row = table.slice(0, 1).to_pylist()[0]
    assert row["events"] == [("order", ["o-1"]), ("payment", ["p-1", "p-2"])]
    assert clock.from_datetime(row["window_end"]) == T0 + 30_000_000
    assert json.loads(row["validation_errors"]) == {"amount": {"expected": 1.1, "actual": 1}}


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_window_that_ends_after_the_year_9999_is_written(suffix: str, tmp_path: Path) -> None:
    far = clock.parse_rfc3339("9999-12-31T23:59:59Z") + 30_000_000
    path = written(tmp_path / f"out.{suffix}", [verdict(window_end=far)])
    assert path.stat().st_size > 0


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_no_verdicts_make_a_valid_empty_file(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"out.{suffix}")
    if suffix == "parquet":
        assert parquet.read_table(path).num_rows == 0
    else:
        assert len(path.read_text().splitlines()) == (suffix == "csv")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_run_that_breaks_off_leaves_the_old_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{suffix}"
    path.write_text("old")
    with verdict_files.VerdictFile(path) as out:
        out.write([verdict()])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


def test_what_is_not_a_regular_file_is_written_in_place() -> None:
    file = atomic.AtomicFile(Path("/dev/null"))
    file.handle.write(b"x")
    file.commit()
    assert Path("/dev/null").is_char_device()


def test_wrong_places_are_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInputError, match=r"\.jsonl, \.ndjson, \.csv, \.parquet"):
        verdict_files.VerdictFile(tmp_path / "out.xlsx")
    with pytest.raises(errors.InvalidInputError, match="there is no folder"):
        verdict_files.VerdictFile(tmp_path / "nope" / "out.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(errors.InvalidInputError, match="is a folder"):
        verdict_files.VerdictFile(tmp_path / "folder.csv")


@contextlib.contextmanager
def files_of_two_kilobytes() -> Iterator[None]:
    """No file of this process may grow beyond 2 KiB: what a full disk looks like to a writer.

    Only around the writing: the report of the tests may go to a file too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_disk_that_takes_no_more_is_told_and_nothing_is_left(suffix: str, tmp_path: Path) -> None:
    batch = [verdict(key=str(i * 7919)) for i in range(2000)]
    refused = pytest.raises(
        errors.StorageError, match=r"out\.\w+: cannot be written: File too large"
    )
    with refused, files_of_two_kilobytes():
        written(tmp_path / f"out.{suffix}", batch)
    assert list(tmp_path.iterdir()) == []


def reject(line: int, raw: bytes) -> feeds.Reject:
    return feeds.reject("a.jsonl", line, "not_json", "expected a value", raw)


def test_dead_letters_say_where_why_and_what(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    with dead_letters.DeadLetters(path) as letters:
        letters.add(reject(3, b'{"a":'))
        letters.add(reject(4, b"\xff\xfe"))
        letters.add(reject(5, "é".encode() * 600))
    first, second, third = map(json.loads, path.read_text().splitlines())
    assert first == {
        "file": "a.jsonl",
        "line": 3,
        "code": "not_json",
        "reason": "expected a value",
        "raw": '{"a":',
    }
    assert second["raw_base64"] == "//4="
    assert third["raw"] == "é" * 512
    assert (letters.count, letters.by_code) == (3, {"not_json": 3})


def test_a_clean_run_makes_no_dead_letter_file(tmp_path: Path) -> None:
    with dead_letters.DeadLetters(tmp_path / "dead.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_dead_letters_on_a_full_disk_are_told() -> None:
    with (
        pytest.raises(errors.StorageError, match="/dev/full: cannot be written: No space"),
        dead_letters.DeadLetters(Path("/dev/full")) as letters,
    ):
        letters.add(reject(1, b"x"))


def test_the_dead_letter_file_stands_beside_the_output() -> None:
    assert dead_letters.default_path(Path("a/out.csv")) == Path("a/helios-dead-letters.jsonl")
    assert dead_letters.default_path(None) == Path("helios-dead-letters.jsonl")


def test_a_disk_error_keeps_the_words_of_the_system(tmp_path: Path) -> None:
    error = OSError(errno.EROFS, "Read-only file system")
    assert "Read-only file system" in str(atomic.storage_error(tmp_path / "x", error))
