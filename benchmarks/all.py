"""Every benchmark, one after the other.

    python benchmarks/all.py             about an hour; a quiet machine
    python benchmarks/all.py --quick     a few minutes: do the scripts work?

Ends with the scripts that missed a figure or failed; exit code 1 if there are any.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "log"))

import measure  # noqa: E402
import run as log_run  # noqa: E402

SCRIPTS = (
    ("stream/run.py",),
    ("stream/rule.py",),
    ("stream/latency.py",),
    ("log/run.py",),
    ("log/growth.py", "sqlite"),
    ("log/growth.py", "postgres"),
    ("live/run.py",),
    ("live/missing.py",),
    ("webhooks.py",),
    ("dedup.py",),
    ("ingest_kill.py", "sqlite"),
    ("ingest_kill.py", "postgres"),
    ("ingest_bombs.py",),
    ("builds.py",),
    ("poll_backfill.py",),
    ("stacks/run.py",),
    ("start.py",),
    ("following.py",),
    ("page.py",),
)
VIEWS_QUICK = ("--events", "20000", "--appends", "50")


def run_one(*arguments: str) -> bool:
    """Run a script; True when it reached its figures."""
    shown = " ".join(arguments)
    print(f"\n== {shown}\n", flush=True)
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, HERE / arguments[0], *arguments[1:]], check=False)
    print(f"\n({shown}: {time.perf_counter() - begin:.0f} s)", flush=True)
    return done.returncode == 0


def view_figures(backend: str, found: dict[str, Any]) -> list[tuple[str, ...]]:
    """The bars of the views, from what views.py prints."""
    rate, seen = found["catch_up"]["events_per_s"], found["append_to_visible"]["from_call"]
    if backend == "postgres":
        return [measure.verdict("postgres: catching up, events/s", rate, 15_000)]
    rebuilt = found["rebuild"]["events_per_s"]
    return [
        measure.verdict("sqlite: catching up, events/s", rate, 50_000),
        measure.verdict("sqlite: rebuild, events/s", rebuilt, 80_000),
        measure.verdict("sqlite: append to visible, p50 ms", seen["p50_ms"], 15, at_most=True),
        measure.verdict("sqlite: append to visible, p99 ms", seen["p99_ms"], 100, at_most=True),
    ]


def views(*, quick: bool) -> list[str]:
    """Views on both backends; the names of those that missed a figure."""
    few = VIEWS_QUICK if quick else ()
    missed = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        url = stack.enter_context(log_run.postgres(Path(folder)))
        for backend, where in (("sqlite", ()), ("postgres", ("--database-url", f"{url}/ours"))):
            print(f"\n== views.py --backend {backend}\n", flush=True)
            command = [sys.executable, HERE / "views.py", "--backend", backend, *where, *few]
            found = measure.run(command).answer
            rows = view_figures(backend, found)
            print(f"{measure.machine()}; {found['flush']['per_s']:,.0f} flushes/s\n")
            print(measure.table(("figure", "measured", "must", ""), rows), flush=True)
            if any(row[-1] == "MISSED" for row in rows) and not quick:
                missed.append(f"views.py --backend {backend}")
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    quick = ("--quick",) if options.quick else ()
    missed = [" ".join(script) for script in SCRIPTS if not run_one(*script, *quick)]
    missed += views(quick=options.quick)
    sys.exit("missed or failed:\n  " + "\n  ".join(missed) if missed else 0)


if __name__ == "__main__":
    main()
