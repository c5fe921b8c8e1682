"""The input of the stream benchmarks and the check of their answers.

The generator is seeded and lies with the other shared test data; what it writes is kept under
.cache/bench/<orders>/ and made once.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"


def shared() -> Path:
    """The folder of shared test data, or an end that says what to set."""
    folder = Path(os.environ.get("HELIOS_SHARED", ROOT.parent / "shared"))
    if not (folder / "bench/stream/gen.py").is_file():
        sys.exit(f"no generator under {folder}: set HELIOS_SHARED to the shared test data")
    return folder


def prepare(orders: int) -> Path:
    """The folder with all.jsonl, truth.csv and meta.json for so many orders."""
    folder = CACHE / str(orders)
    if not (folder / "meta.json").is_file():
        generator = shared() / "bench/stream/gen.py"
        command = [sys.executable, str(generator), "--orders", str(orders), "--out", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def events(folder: Path) -> int:
    """How many events the input has."""
    return int(json.loads((folder / "meta.json").read_text())["events"])


def verdict_of(row: dict[str, Any]) -> str:
    """A verdict as Helios writes it, in the words of truth.csv."""
    if row["status"] == "mismatched":
        return "mismatched:" + "+".join(sorted(row["validation_errors"])).removesuffix("_mismatch")
    if row["status"] == "partial":
        return "partial:" + "+".join(sorted(row["missing_events"]))
    return str(row["status"])


def read_answers(path: Path) -> dict[str, str]:
    """The last verdict of each key: JSON lines as Helios writes them, or `key,verdict` lines."""
    if path.suffix == ".jsonl":
        with path.open("rb") as lines:
            rows = map(json.loads, lines)
            return {row["key"]: verdict_of(row) for row in rows if not row.get("superseded_by")}
    with path.open(newline="") as lines:
        return {key: verdict for key, verdict, *_ in csv.reader(lines)}


def wrong(answers: Path, folder: Path) -> int:
    """How many orders have no verdict or another one than the truth; strangers count too."""
    with (folder / "truth.csv").open(newline="") as lines:
        truth = dict(csv.reader(lines))
    found = read_answers(answers)
    strangers = len(found.keys() - truth.keys())
    return strangers + sum(found.get(key) != verdict for key, verdict in truth.items())


if __name__ == "__main__":  # in a process of its own, so that the runner stays small
    print(wrong(Path(sys.argv[1]), Path(sys.argv[2])))
