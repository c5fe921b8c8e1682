"""`helios reconcile` as a person calls it: files in, files out, an exit code, and words."""

import contextlib
import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from click import testing
from pyarrow import parquet

from helios import cli

CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: orders, client_id: acme}
spec:
  key: payload.orderId
  window: {type: per_key, size: 30s, grace: 5s}
  legs:
    order:   {source: shop, type: OrderPlaced}
    payment: {source: bank, type: PaymentProcessed}
  rules:
    - {name: amount_mismatch, check: "abs(order.amount - payment.amount) <= 0.01"}
"""

FLAT = """\
  mapping:
    timezone: UTC
    payload: "."
"""


class Ran:
    """What a call left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def summary(self) -> dict[str, Any]:
        (line,) = self.out.splitlines()
        value: dict[str, Any] = json.loads(line)
        return value


def command(*args: str | Path) -> list[str]:
    """The call as a process of its own: where signals and memory are looked at."""
    return [sys.executable, "-m", "helios", "reconcile", *map(str, args)]


def helios(folder: Path, *args: str | Path, stdin: bytes = b"", contract: str = CONTRACT) -> Ran:
    """Call the command in a folder; its error output must never be a trace."""
    (folder / "contract.yaml").write_text(contract)
    call = ["reconcile", "-c", "contract.yaml", "--summary", "json", *map(str, args)]
    with contextlib.chdir(folder):
        result = testing.CliRunner().invoke(cli.main, call, input=stdin)
    ran = Ran(result.exit_code, result.stdout, result.stderr)
    assert "Traceback" not in ran.err
    assert "defect" not in ran.err
    return ran


def event(leg: str, key: str, second: float, amount: object, **fields: object) -> dict[str, Any]:
    kinds = {"order": ("shop", "OrderPlaced"), "payment": ("bank", "PaymentProcessed")}
    source, kind = kinds[leg]
    return {
        "id": f"{leg}-{key}",
        "source": source,
        "type": kind,
        "time": f"2025-01-15T10:{int(second // 60):02}:{second % 60:06.3f}Z",
        "payload": {"orderId": key, "amount": amount},
        **fields,
    }


def pair(key: str, second: float = 0, paid: float = 10) -> list[dict[str, Any]]:
    return [event("order", key, second, 10), event("payment", key, second + 1, paid)]


def as_lines(events: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


def flat(each: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in each.items() if name != "payload"}
    return {**own, **each["payload"]}


def as_csv(events: Sequence[dict[str, Any]]) -> bytes:
    rows = [",".join(map(str, flat(each).values())) for each in events]
    return "\n".join([",".join(flat(events[0])), *rows]).encode()


def good_events() -> list[dict[str, Any]]:
    return [
        *pair("A"),
        *pair("B", 10, paid=12),
        event("order", "C", 20, 10),
        *pair("D", 100),
    ]


def check_good(ran: Ran) -> None:
    assert ran.code == 1
    told = ran.summary
    counted = {name: told[name] for name in ("keys", "matched", "mismatched", "partial", "events")}
    assert counted == {"keys": 4, "matched": 2, "mismatched": 1, "partial": 1, "events": 7}
    assert told["dead_letters"] == 0
    assert told["seconds"] >= 0


# --- what it does


@pytest.mark.parametrize("order", ["event", "arrival"])
def test_verdicts_are_counted_and_written(tmp_path: Path, order: str) -> None:
    (tmp_path / "in.jsonl").write_bytes(as_lines(good_events()))
    ran = helios(tmp_path, "in.jsonl", "-o", "out.jsonl", "--order", order)
    check_good(ran)
    written = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert {v["key"]: v["status"] for v in written} == {
        "A": "matched",
        "B": "mismatched",
        "C": "partial",
        "D": "matched",
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "contract.yaml",
        "in.jsonl",
        "out.jsonl",
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_output_has_one_row_for_each_verdict(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "in.jsonl").write_bytes(as_lines(good_events()))
    check_good(helios(tmp_path, "in.jsonl", "-o", f"out.{suffix}"))
    out = tmp_path / f"out.{suffix}"
    if suffix == "parquet":
        assert parquet.read_table(out).num_rows == 4
    else:
        assert len(out.read_text().splitlines()) == 4 + (suffix == "csv")


def test_the_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    events = good_events()
    random.Random(7).shuffle(events)
    (tmp_path / "in.jsonl").write_bytes(as_lines(events))
    check_good(helios(tmp_path, "in.jsonl"))


def test_events_may_be_spread_over_files_of_all_kinds(tmp_path: Path) -> None:
    events = good_events()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(as_lines(events[:3])))
    (tmp_path / "b.json").write_bytes(json.dumps(events[3:5], indent=1).encode())
    table = pa.Table.from_pylist(events[5:])
    parquet.write_table(table, tmp_path / "c.parquet")
    check_good(helios(tmp_path, "a.jsonl.gz", "b.json", "c.parquet"))


def test_csv_is_read_with_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(as_csv(good_events()))
    check_good(helios(tmp_path, "in.csv", contract=CONTRACT + FLAT))


def test_files_are_bound_to_legs(tmp_path: Path) -> None:
    for leg in ("order", "payment"):
        rows = [e for e in good_events() if e["id"].startswith(leg)]
        for row in rows:
            del row["type"], row["source"]
        (tmp_path / f"{leg}.csv").write_bytes(as_csv(rows))
    legs = [f"--leg={leg}={leg}.csv" for leg in ("order", "payment")]
    check_good(helios(tmp_path, *legs, contract=CONTRACT + FLAT))


def test_standard_input_is_read(tmp_path: Path) -> None:
    data = zstandard.ZstdCompressor().compress(as_lines(good_events()))
    check_good(helios(tmp_path, "-", stdin=data))


def test_all_matched_is_exit_code_zero(tmp_path: Path) -> None:
    ran = helios(tmp_path, "-", stdin=as_lines(pair("A")))
    assert (ran.code, ran.err) == (0, "")
    assert ran.summary["matched"] == 1


def test_the_table_is_for_people(tmp_path: Path) -> None:
    ran = helios(tmp_path, "-", "--summary", "table", stdin=as_lines(good_events()))
    assert "orders: 4 keys from 7 events" in ran.out
    assert "50.0 %" in ran.out
    assert "amount_mismatch" in ran.out
    assert helios(tmp_path, "-", "--summary", "none", stdin=b"").out == ""


def test_a_limit_reads_the_first_lines_only(tmp_path: Path) -> None:
    ran = helios(tmp_path, "-", "--limit", "2", stdin=as_lines(good_events()))
    assert (ran.code, ran.summary["events"]) == (0, 2)


def test_help_shows_examples_and_exit_codes() -> None:
    done = subprocess.run(command("--help"), capture_output=True, text=True, check=True)
    assert "Examples:\n" in done.stdout
    assert "  helios reconcile events.jsonl -c contract.yaml\n" in done.stdout
    assert "130  interrupted" in done.stdout


def test_no_events_are_told_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    ran = helios(tmp_path, "empty.jsonl")
    assert (ran.code, ran.summary["keys"]) == (0, 0)
    assert "no event" in ran.err


# --- lines that cannot be used


GOOD = json.dumps(event("order", "A", 0, 10)).encode()
BAD_LINES = {
    "not json": b"{oops",
    "cut off": GOOD[:-5],
    "not an object": b"[1,2]",
    "two on a line": GOOD + GOOD,
    "nan": GOOD.replace(b"10}", b"NaN}"),
    "infinity": GOOD.replace(b"10}", b"Infinity}"),
    "400 digits": GOOD.replace(b"10}", b"1" * 400 + b"}"),
    "not utf-8": GOOD.replace(b'"A"', b'"caf\xe9"'),
    "no key": GOOD.replace(b'"orderId"', b'"other"'),
    "key of wrong type": GOOD.replace(b'"A"', b'{"x":1}'),
    "empty key": GOOD.replace(b'"A"', b'""'),
    "amount of wrong type": GOOD.replace(b"10}", b'{"x":1}}'),
    "no time": GOOD.replace(b'"time"', b'"when"'),
    "time without zone": GOOD.replace(b"000Z", b"000"),
    "not a time": GOOD.replace(b"2025-01-15", b"2025-13-45"),
    "10,000 deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "lone surrogate": GOOD.replace(b'"A"', rb'"\ud800"'),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_is_named_kept_and_the_others_are_used(kind: str, tmp_path: Path) -> None:
    events = pair("X")
    first, second = (as_lines([each]) for each in events)
    (tmp_path / "in.jsonl").write_bytes(first + BAD_LINES[kind] + b"\n" + second)
    ran = helios(tmp_path, "in.jsonl")
    assert ran.summary["dead_letters"] == 1, ran.summary
    assert (ran.summary["matched"], ran.summary["keys"]) == (1, 1)
    assert ran.code == 0
    assert "in.jsonl:2: " in ran.err
    (letter,) = map(json.loads, (tmp_path / "helios-dead-letters.jsonl").read_text().splitlines())
    assert (letter["file"], letter["line"]) == ("in.jsonl", 2)
    assert letter["reason"]
    assert letter["code"] in ran.summary["dead_letters_by_code"]


def test_a_bad_first_line_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"\n{oops\n" + as_lines(pair("X")))
    ran = helios(tmp_path, "in.jsonl")
    assert (ran.code, ran.summary["dead_letters"], ran.summary["matched"]) == (0, 1, 1)


@pytest.mark.parametrize("kind", BAD_LINES)
def test_strict_stops_at_the_bad_line(kind: str, tmp_path: Path) -> None:
    good = as_lines(pair("X"))
    (tmp_path / "in.jsonl").write_bytes(good + BAD_LINES[kind] + b"\n" + good)
    ran = helios(tmp_path, "in.jsonl", "--strict", "-o", "out.jsonl")
    assert ran.code == 2
    assert ran.err.startswith("helios: in.jsonl:3: ")
    assert len(ran.err.splitlines()) == 1
    assert (ran.out, (tmp_path / "out.jsonl").exists()) == ("", False)


def test_an_input_of_bad_lines_only_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"a\nb\nc\n")
    ran = helios(tmp_path, "in.jsonl")
    assert ran.code == 2
    assert "no line of the input could be used" in ran.err


def test_a_line_of_100_megabytes_is_named_in_bounded_memory(tmp_path: Path) -> None:
    first, second = (as_lines([each]) for each in pair("X"))
    with (tmp_path / "in.jsonl").open("wb") as file:
        file.write(first + b'{"id":"')
        for _ in range(100):
            file.write(b"y" * (1 << 20))
        file.write(b'"}\n' + second)
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    # Not `ru_maxrss`: that of a new process begins with what its parent held.
    script = (
        "import pathlib, runpy, sys\n"
        "try: runpy.run_module('helios', run_name='__main__', alter_sys=True)\n"
        "finally: print(pathlib.Path('/proc/self/status').read_text(), file=sys.stderr)\n"
    )
    args = ["reconcile", "in.jsonl", "-c", "contract.yaml", "--summary", "json"]
    done = subprocess.run(
        [sys.executable, "-c", script, *args], cwd=tmp_path, capture_output=True, check=False
    )
    ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert (ran.code, ran.summary["matched"]) == (0, 1), ran.err
    assert ran.summary["dead_letters_by_code"] == {"line_too_long": 1}
    assert "in.jsonl:2: the line is longer than" in ran.err
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", ran.err)
    assert int(peak) < 120 << 10


# --- files that cannot be used


def damaged_parquet() -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"id": ["x" * 50] * 5000}), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data[: len(data) // 2]


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "cut.jsonl.gz": (gzip.compress(as_lines(pair("A")))[:-10], "cut off"),
    "cut.jsonl.zst": (zstandard.ZstdCompressor().compress(as_lines(pair("A")))[:-4], "cut off"),
    "half.parquet": (damaged_parquet(), "Parquet data is damaged"),
    "fake.parquet": (b"id,amount\n", "is not Parquet"),
    "headless.csv": (b"A,1,2025-01-15T10:00:00Z\n", "names its columns"),
    "empty.csv": (b"", "names its columns"),
    "sheet.xlsx": (b"PK\x03\x04" + bytes(50), "save the sheet as CSV"),
    "wide.jsonl": ("{}\n".encode("utf-16"), "UTF-16"),
    "open.json": (b'[{"a":1},', "the array is not closed"),
    "what": (b"hello\n", "neither JSON Lines, CSV nor Parquet"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_used_is_named(name: str, tmp_path: Path) -> None:
    data, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(data)
    ran = helios(tmp_path, name, "-o", "out.csv")
    assert ran.code == 2
    assert ran.err.startswith(f"helios: {name}:")
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["contract.yaml", name])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nope.jsonl", "no such file"),
        (".", "is a folder"),
        ("/proc/self/mem", "cannot be read"),
        ("*.jsonl", "no file has a name of this pattern"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_before_anything_is_done(
    path: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "good").write_bytes(as_lines(pair("A")))
    ran = helios(tmp_path, "good", path, "-o", "out.jsonl")
    assert ran.code == 2
    assert ran.err.startswith(f"helios: {path}: ")
    assert message in ran.err
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-", "--leg", "payment"], "expected NAME=FILE"),
        (["-", "--leg", "nope=a.csv"], "it has order, payment"),
        (["-", "-o", "out.xlsx"], "must end in one of .jsonl"),
        (["-", "-o", "nope/out.csv"], "there is no folder nope"),
        (["in.jsonl", "-o", "in.jsonl"], "is read as input"),
        (["in.jsonl", "--dead-letters", "in.jsonl"], "is read as input"),
        ([], "name the files to read"),
    ],
)
def test_a_wrong_call_is_refused_with_what_was_expected(
    args: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_bytes(as_lines(pair("A")))
    ran = helios(tmp_path, *args)
    assert ran.code == 2
    assert message in ran.err
    assert (tmp_path / "in.jsonl").read_bytes() == as_lines(pair("A"))


def test_a_broken_contract_is_refused_by_line_and_column(tmp_path: Path) -> None:
    broken = CONTRACT.replace("cardinality", "x").replace("size: 30s", "size: soon")
    ran = helios(tmp_path, "-", contract=broken)
    assert ran.code == 2
    assert ran.err.startswith("helios: contract.yaml:6:")
    assert helios(tmp_path, "-", "-c", "nope.yaml").err == "helios: nope.yaml: no such file\n"


# --- being stopped


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_leaves_nothing(
    sent: signal.Signals, code: int, tmp_path: Path
) -> None:
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    call = command("-c", "contract.yaml", "-", "-o", "out.jsonl")
    with subprocess.Popen(
        call,
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(scratch)},
    ) as process:
        assert process.stdin is not None
        # More than a pipe holds: once all is written the command is reading.
        process.stdin.write(as_lines(pair("A")) * 2000)
        process.stdin.flush()
        process.send_signal(sent)
        process.stdin.close()
        assert process.stderr is not None
        told = process.stderr.read().decode()
        assert process.wait() == code
    assert "Traceback" not in told
    assert sorted(p.name for p in tmp_path.iterdir()) == ["contract.yaml", "scratch"]
    assert list(scratch.iterdir()) == []


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    ran = helios(
        tmp_path, "-", "-o", "out.jsonl", "--dead-letters", "/dev/full", stdin=GOOD + b"\nx\n"
    )
    assert ran.code == 3
    assert "/dev/full: cannot be written: No space left" in ran.err
    assert not (tmp_path / "out.jsonl").exists()
