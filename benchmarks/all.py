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

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "log"))

import run as log_run  # noqa: E402

SCRIPTS = (
    ("stream/run.py",),
    ("stream/rule.py",),
    ("stream/latency.py",),
    ("log/run.py",),
    ("log/growth.py", "sqlite"),
    ("log/growth.py", "postgres"),
    ("live/run.py",),
    ("start.py",),
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


def views(*, quick: bool) -> list[str]:
    """Views on both backends; the names of those that failed."""
    few = VIEWS_QUICK if quick else ()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        url = stack.enter_context(log_run.postgres(Path(folder)))
        backends = (("sqlite",), ("postgres", "--database-url", f"{url}/ours"))
        return [
            f"views.py --backend {backend[0]}"
            for backend in backends
            if not run_one("views.py", "--backend", *backend, *few)
        ]


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
