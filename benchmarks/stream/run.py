"""Contracts over event streams, beside a matcher written by hand and beside four engines.

    python benchmarks/stream/run.py              100,000 orders, 3 rounds, then the growth run
    python benchmarks/stream/run.py --quick      10,000 orders: do the scripts work?

Every contender reads the same file in the same round, in turn; every answer is compared with the
truth. Rates are of the engine at work (its own measurement, imports excluded), but for the command
`helios reconcile`, where the whole process counts; CPU seconds and memory are of whole processes.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import measure  # noqa: E402
import workload  # noqa: E402

OURS, CLI, HAND, HAND_DURABLE = "Helios engine", "helios reconcile", "by hand", "by hand, SQLite"
DURABLE = "Helios engine, SQLite"
STREAMING = ("Bytewax", "Pathway", "Faust")
RSS_MAX_MB = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run of one contender."""

    events: int
    seconds: float
    cpu_s: float
    rss_mb: float
    wrong: int

    @property
    def rate(self) -> float:
        return self.events / self.seconds


def command(name: str, source: Path, answers: Path) -> list[str | Path]:
    """How a contender is started."""
    ours: list[str | Path] = [sys.executable, HERE / "ours.py", source, answers]
    hand: list[str | Path] = [sys.executable, HERE / "handwritten.py", source, answers]
    peer = measure.PEERS_PYTHON
    contract = HERE / "order-match.yaml"
    helios = Path(sys.executable).with_name("helios")
    commands: dict[str, list[str | Path]] = {
        HAND: hand,
        HAND_DURABLE: [*hand, "--sqlite", answers.with_suffix(".db")],
        OURS: ours,
        DURABLE: [*ours, "--sqlite", answers.with_suffix(".db")],
        CLI: [helios, "reconcile", source, "-c", contract, "--order", "arrival", "-o", answers,
              "--summary", "json"],
        "Bytewax": [peer, HERE / "peers/bytewax_stateful.py", source, answers],
        "Pathway": [peer, HERE / "peers/pathway_groupby.py", source, answers],
        "Faust": [peer, HERE / "peers/faust_channel.py", source, answers],
        "DuckDB (batch)": [peer, HERE / "peers/duckdb_sql.py", source, answers],
    }  # fmt: skip
    return commands[name]


CONTENDERS = (HAND, OURS, CLI, HAND_DURABLE, DURABLE, *STREAMING, "DuckDB (batch)")


def once(name: str, folder: Path) -> Result:
    """Run a contender once and check what it answered."""
    suffix = ".jsonl" if name in (OURS, CLI, DURABLE) else ".csv"
    with tempfile.TemporaryDirectory(dir=workload.CACHE) as scratch:
        answers = Path(scratch) / f"answers{suffix}"
        cost = measure.run(command(name, folder / "all.jsonl", answers))
        if cost.exit_code not in (0, 1):  # 1: some keys do not match, which is so by design
            raise RuntimeError(f"{name} ended with {cost.exit_code}:\n{cost.stderr[-3000:]}")
        check = subprocess.run(
            [sys.executable, HERE / "workload.py", answers, folder],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    return Result(
        events=workload.events(folder),
        seconds=cost.wall_s if name == CLI else float(cost.answer["seconds"]),
        cpu_s=cost.cpu_s,
        rss_mb=cost.rss_mb,
        wrong=int(check.stdout),
    )


def median(results: list[Result], field: str) -> float:
    return float(statistics.median(getattr(result, field) for result in results))


def ratio(results: dict[str, list[Result]], one: str, other: str) -> float:
    """Median over the rounds of the ratio of rates within the round."""
    return statistics.median(
        a.rate / b.rate for a, b in zip(results[one], results[other], strict=True)
    )


def compare(folder: Path, names: list[str], rounds: int) -> dict[str, list[Result]]:
    """All contenders in turn, so many times."""
    results: dict[str, list[Result]] = defaultdict(list)
    for number in range(rounds):
        for name in names:
            result = once(name, folder)
            results[name].append(result)
            print(
                f"round {number + 1}: {name}: {result.rate:,.0f} events/s, {result.wrong} wrong",
                file=sys.stderr,
            )
    return results


def show(results: dict[str, list[Result]]) -> None:
    """The table, each rate beside that of the matcher by hand in the same rounds."""
    rows = [
        (
            name,
            f"{median(runs, 'rate'):,.0f}",
            f"{ratio(results, name, HAND):.2f}" if HAND in results else "",
            f"{median(runs, 'cpu_s'):.2f}",
            f"{median(runs, 'rss_mb'):.0f}",
            "all right"
            if not any(r.wrong for r in runs)
            else f"{max(r.wrong for r in runs)} wrong",
        )
        for name, runs in results.items()
    ]
    print(measure.table(("", "events/s", "x by hand", "CPU s", "peak MB", "verdicts"), rows))


def figures(results: dict[str, list[Result]]) -> list[tuple[str, ...]]:
    """The bars of the comparison."""
    rows = []
    if OURS in results and HAND in results:
        rows.append(measure.verdict("engine / by hand", ratio(results, OURS, HAND), 0.8))
    peers = [name for name in STREAMING if name in results]
    if OURS in results and peers:
        best = max(peers, key=lambda name: median(results[name], "rate"))
        rows.append(
            measure.verdict(f"engine / fastest peer ({best})", ratio(results, OURS, best), 8)
        )
    if DURABLE in results and HAND in results:
        rows.append(measure.verdict("durable / by hand", ratio(results, DURABLE, HAND), 0.35))
    for name in (OURS, DURABLE, CLI):
        if name in results:
            wrong = max(r.wrong for r in results[name])
            rows.append(measure.verdict(f"{name}: wrong verdicts", wrong, 0, at_most=True))
    return rows


def growth(sizes: tuple[int, int, int], rounds: int) -> list[tuple[str, ...]]:
    """CPU per event and memory as the work grows. Sizes are orders: small, middle, large."""
    runs: dict[int, list[Result]] = defaultdict(list)
    for _ in range(rounds):
        for orders in sizes:
            runs[orders].append(once(CLI, workload.prepare(orders)))
    rows = []
    for results in runs.values():
        per_event = median(results, "cpu_s") / results[0].events * 1e6
        wrong = max(r.wrong for r in results)
        rows.append((f"{results[0].events:,}", f"{median(results, 'rate'):,.0f}",
                     f"{per_event:.2f}", f"{median(results, 'rss_mb'):.0f}",
                     "all right" if not wrong else f"{wrong} wrong"))  # fmt: skip
    print(measure.table(("events", "events/s", "CPU us/event", "peak MB", "verdicts"), rows))
    small, middle, large = (runs[orders] for orders in sizes)
    cpu = [(b.cpu_s / b.events) / (a.cpu_s / a.events) for a, b in zip(small, large, strict=True)]
    memory = [b.rss_mb / a.rss_mb for a, b in zip(middle, large, strict=True)]
    peak = max(r.rss_mb for r in large)
    return [
        measure.verdict("CPU per event, large / small", statistics.median(cpu), 1.15, at_most=True),
        measure.verdict(
            "peak memory, large / middle", statistics.median(memory), 1.2, at_most=True
        ),
        measure.verdict("peak memory, MB", peak, RSS_MAX_MB, at_most=True),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small inputs, one round")
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, help="some contenders")
    parser.add_argument("--no-growth", action="store_true", help="leave the growth run out")
    options = parser.parse_args()
    measure.need_peers()
    workload.CACHE.mkdir(parents=True, exist_ok=True)
    orders, rounds = (10_000, 1) if options.quick else (options.orders, options.rounds)
    print(measure.machine())
    print(measure.versions("bytewax", "pathway", "faust-streaming", "duckdb") + "\n")
    results = compare(workload.prepare(orders), list(options.only or CONTENDERS), rounds)
    show(results)
    rows = figures(results)
    if not options.no_growth:
        print()
        sizes = (10_000, 17_000, 50_000) if options.quick else (100_000, 167_500, 1_675_000)
        rows += growth(sizes, 1 if options.quick else rounds)
    print("\n" + measure.table(("figure", "measured", "must", ""), rows))
    sys.exit(any(row[-1] == "MISSED" for row in rows) and not options.quick)


if __name__ == "__main__":
    main()
