"""Every figure of the state reconciler, in one table.

    python benchmarks/stacks/run.py             10,000 stacks, 5 rounds; about seven minutes
    python benchmarks/stacks/run.py --quick     500 stacks, one round: do the scripts work?
    python benchmarks/stacks/run.py --only changes --json found.json

Each part runs in a process of its own, over a folder of its own: what one part tells the log is not
there for the next, and memory is that of one part. What is counted (events appended) holds on any
machine; of the rest a quick run proves nothing.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import changes  # noqa: E402
import fleet  # noqa: E402
import measure  # noqa: E402
import probes  # noqa: E402
import quiet  # noqa: E402
import scan  # noqa: E402

from helios import app  # noqa: E402

Part = Callable[[Path, int, int], Awaitable[list[fleet.Row]]]

PARTS: dict[str, tuple[Part, str]] = {
    "prepared": (quiet.prepared, "nothing"),
    "quiet": (quiet.measured, "declared"),
    "probes": (probes.scripted, "declared"),
    "changes": (changes.measured, "declared"),
    "scan": (scan.measured, "changes"),
    "http": (probes.real, "nothing"),
}
"""What is measured, and in whose folder: one in which nothing is, the stacks are declared, or that
another part has left."""

CORE = "bench_drift_core.py"
ROUNDS = 5


def one(name: str, folder: Path, count: int, rounds: int) -> None:
    """A part, in this process."""
    part, _ = PARTS[name]

    async def main() -> list[fleet.Row]:
        return list(await part(folder, count, rounds))

    print(json.dumps({"rows": app.on_loop(main())}))


def every(parts: Sequence[str], root: Path, count: int, rounds: int) -> list[fleet.Row]:
    """These parts, one after the other, each in a process of its own."""
    rows: list[fleet.Row] = []
    for name in parts:
        folder = root / name
        before = PARTS[name][1]
        if before != "nothing":
            shutil.copytree(root / ("prepared" if before == "declared" else before), folder)
        given = ["--part", name, "--folder", folder, "--stacks", count, "--rounds", rounds]
        cost = measure.run([sys.executable, __file__, *map(str, given)])
        if cost.exit_code:
            sys.exit(f"{name} failed: {cost.stderr[-3000:]}")
        found = [tuple(row) for row in cost.answer["rows"]]
        print(f"{name}: {cost.wall_s:.0f} s of {cost.cpu_s:.0f} CPU s", flush=True)
        print(measure.table(("", "measured", "must", ""), found) + "\n", flush=True)
        rows += found
    return rows


def core(*, quick: bool) -> list[fleet.Row]:
    """What finding a difference costs, beside other libraries."""
    command = [sys.executable, HERE.parent / CORE, "--json", *(["--quick"] if quick else [])]
    cost = measure.run(command)
    if cost.exit_code:
        sys.exit(f"{CORE} failed: {cost.stderr[-3000:]}")
    print(cost.stdout.rpartition('{"rows"')[0], flush=True)
    return [tuple(row) for row in cost.answer["rows"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="500 stacks, one round")
    parser.add_argument("--stacks", type=int, help="how many; 10,000")
    parser.add_argument("--rounds", type=int, help="how many; 5")
    parser.add_argument("--only", choices=["core", *PARTS], action="append", help="of the parts")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    count = given.stacks or (fleet.STACKS_QUICK if given.quick else fleet.STACKS)
    rounds = given.rounds or (1 if given.quick else ROUNDS)
    if given.part is not None:
        one(given.part, given.folder, count, rounds)
        return
    parts = _needed(given.only or ["core", *PARTS])
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        flush = measure.flush_rate(Path(name))
        head = f"{measure.machine()}; {flush.per_s:,.0f} flushes/s"
        print(f"{head}\n{count:,} stacks, {rounds} rounds\n", flush=True)
        rows = core(quick=given.quick) if "core" in parts else []
        rows += every([each for each in parts if each != "core"], Path(name), count, rounds)
    print(measure.table(("figure", "measured", "must", ""), rows))
    if given.json is not None:
        said = {"machine": head, "stacks": count, "rounds": rounds, "figures": rows}
        given.json.write_text(json.dumps(said, indent=1))
    missed = [row for row in rows if row[-1] == "MISSED"]
    # What is counted holds however short the run.
    sys.exit(any(not given.quick or row[2] == "<= 0" for row in missed))


def _needed(parts: Sequence[str]) -> list[str]:
    """These parts, and those whose folders they go on from, in order."""
    wanted = set(parts)
    if "scan" in wanted:
        wanted.add("changes")
    if any(PARTS[each][1] == "declared" for each in wanted - {"core"}):
        wanted.add("prepared")
    return [each for each in ("core", *PARTS) if each in wanted]


if __name__ == "__main__":
    main()
