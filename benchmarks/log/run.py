"""Durable appends beside three event stores, in short slices that take turns.

    python benchmarks/log/run.py              6 rounds of 1 s slices, 1 and 64 callers
    python benchmarks/log/run.py --quick      1 round of 0.3 s slices: do the scripts work?

Every contender writes to the same disk and answers a caller when its event is durable. The disk's
flush rate is measured in every round, because it moves by a factor of ten within minutes. Ratios
are taken within a round; the table shows their medians.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncpg

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import measure  # noqa: E402

SQLITE, POSTGRES = "Helios, SQLite", "Helios, PostgreSQL"
ES_SQLITE, ES_POSTGRES = "eventsourcing, SQLite", "eventsourcing, PostgreSQL"
UMADB, UMADB_CHECKED = "UmaDB, no condition", "UmaDB, condition"
CALLERS = (1, 64)
DATABASES = ("ours", "eventsourcing", "eventsource")
Slices = dict[tuple[str, int], list[dict[str, float]]]


class Contender:
    """A process that stays and runs slices on demand; see slices.py."""

    def __init__(self, name: str, command: list[str | Path]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready":
            raise RuntimeError(f"{name} did not start")

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended: see above")
        return line.strip()

    def slice(self, callers: int, seconds: float) -> dict[str, float]:
        """So many callers for so long."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{callers} {seconds}\n")
        self._process.stdin.flush()
        row: dict[str, float] = json.loads(self._line())
        return row

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


async def create_databases(url: str) -> None:
    """One database per contender: they name their tables alike."""
    connection = await asyncpg.connect(url)
    for name in DATABASES:
        await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A durable server with its data on the measured disk; its address without a database."""
    script: list[str | Path] = [sys.executable, measure.ROOT / "scripts/postgres.py"]
    place: list[str | Path] = ["--folder", folder / "postgres"]
    started = subprocess.run(
        [*script, "start", *place], check=True, stdout=subprocess.PIPE, text=True
    )
    try:
        url = started.stdout.split()[-1]
        asyncio.run(create_databases(url))
        yield url.rsplit("/", 1)[0]
    finally:
        subprocess.run([*script, "stop", *place], check=True, stdout=subprocess.DEVNULL)


def commands(folder: Path, url: str) -> dict[str, list[str | Path]]:
    """How the contenders are started, in the order of their turns."""
    ours: list[str | Path] = [sys.executable, HERE / "ours.py"]
    peer, peers = measure.PEERS_PYTHON, HERE / "peers"
    for name in ("uma", "uma-checked"):
        (folder / name).mkdir()
    return {
        SQLITE: [*ours, "sqlite", folder / "helios.db"],
        UMADB: [peer, peers / "umadb_store.py", folder / "uma"],
        UMADB_CHECKED: [peer, peers / "umadb_store.py", folder / "uma-checked", "--conditional"],
        ES_SQLITE: [peer, peers / "eventsourcing_store.py", "sqlite", folder / "es.db"],
        "eventsource-py, SQLite": [
            peer, peers / "eventsource_store.py", "sqlite", folder / "esp.db"],
        POSTGRES: [*ours, "postgres", f"{url}/ours"],
        ES_POSTGRES: [peer, peers / "eventsourcing_store.py", "postgres", f"{url}/eventsourcing"],
        "eventsource-py, PostgreSQL": [
            peer, peers / "eventsource_store.py", "postgres", f"{url}/eventsource"],
    }  # fmt: skip


def take_turns(
    contenders: list[Contender], folder: Path, rounds: int, seconds: float
) -> tuple[Slices, list[measure.Flush]]:
    """All slices of all rounds; a first one, not counted, warms every contender up."""
    slices: Slices = defaultdict(list)
    flushes = []
    for contender in contenders:
        contender.slice(max(CALLERS), min(seconds, 0.5))
    for number in range(rounds):
        flushes.append(measure.flush_rate(folder, seconds=seconds))
        for callers in CALLERS:
            for contender in contenders:
                row = contender.slice(callers, seconds)
                row["rate"] = row["appends"] / row["seconds"]
                slices[contender.name, callers].append(row)
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return slices, flushes


def median(rows: list[dict[str, float]], field: str) -> float:
    return statistics.median(row[field] for row in rows)


def show(slices: Slices, flushes: list[measure.Flush]) -> None:
    per_s = statistics.median(f.per_s for f in flushes)
    p50 = statistics.median(f.p50_ms for f in flushes)
    p99 = statistics.median(f.p99_ms for f in flushes)
    rows = [("(disk: 4 KiB append, fdatasync)", 1, f"{per_s:,.0f}", "", f"{p50:.2f}", f"{p99:.1f}")]
    for (name, callers), runs in sorted(slices.items(), key=lambda item: item[0][1]):
        best = max(row["rate"] for row in runs)
        rows.append((name, callers, f"{median(runs, 'rate'):,.0f}", f"{best:,.0f}",
                     f"{median(runs, 'p50_ms'):.2f}", f"{median(runs, 'p99_ms'):.1f}"))  # fmt: skip
    print(measure.table(("", "callers", "appends/s", "best", "p50 ms", "p99 ms"), rows))


def ratio(slices: Slices, one: str, *others: str) -> float:
    """How many times faster, within each round, than the fastest of the others; the median."""
    rounds = zip(*(slices[name, max(CALLERS)] for name in (one, *others)), strict=True)
    return float(
        statistics.median(
            mine["rate"] / max(row["rate"] for row in theirs) for mine, *theirs in rounds
        )
    )


def figures(slices: Slices, flushes: list[measure.Flush]) -> list[tuple[str, ...]]:
    alone = statistics.median(
        row["p50_ms"] / flush.p50_ms for row, flush in zip(slices[SQLITE, 1], flushes, strict=True)
    )
    umadb = ratio(slices, SQLITE, UMADB, UMADB_CHECKED)
    sqlite = ratio(slices, SQLITE, ES_SQLITE)
    postgresql = ratio(slices, POSTGRES, ES_POSTGRES)
    return [
        measure.verdict("1 caller: p50 / flush p50", alone, 2, at_most=True),
        measure.verdict("64 callers: Helios / UmaDB", umadb, 1.5),
        measure.verdict("64 callers: Helios / eventsourcing, SQLite", sqlite, 4),
        measure.verdict("64 callers: Helios / eventsourcing, PostgreSQL", postgresql, 10),
    ]


def batches(folder: Path, seconds: float, rounds: int) -> tuple[str, ...]:
    """64 callers with ten events each; the bar holds for a disk with 400 flushes a second."""
    cost = measure.run(
        [sys.executable, HERE.parent / "log_append.py", "--callers", "64", "--events-per-append",
         "10", "--seconds", str(seconds), "--rounds", str(rounds), "--folder", folder],
    )  # fmt: skip
    answer: dict[str, Any] = cost.answer
    name = f"64 callers x 10 events, events/s (at {answer['flushes_per_s']} flushes/s)"
    return measure.verdict(name, answer["events_per_s"], 15_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of short slices")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each slice")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    options = parser.parse_args()
    measure.need_peers()
    rounds, seconds = (1, 0.3) if options.quick else (options.rounds, options.seconds)
    print(measure.machine())
    print(measure.versions("eventsourcing", "eventsource-py", "umadb", "psycopg") + "\n")
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch, ExitStack() as stack:
        folder = Path(scratch)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own
        url = stack.enter_context(postgres(folder))
        contenders = []
        for name, command in commands(folder, url).items():
            contenders.append(Contender(name, command))
            stack.callback(contenders[-1].close)
        slices, flushes = take_turns(contenders, folder, rounds, seconds)
        show(slices, flushes)
        rows = [*figures(slices, flushes), batches(folder, seconds, max(rounds, 2))]
    print("\n" + measure.table(("figure", "measured", "must", ""), rows))
    sys.exit(any(row[-1] == "MISSED" for row in rows) and not options.quick)


if __name__ == "__main__":
    main()
