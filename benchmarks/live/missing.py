"""How soon a leg that does not come is told, after the window and its grace.

    python benchmarks/live/missing.py             100 keys in a quiet log, and 100 in a noisy one
    python benchmarks/live/missing.py --quick     ten

Each key has one event of two; its time runs from that event until its verdict was read over HTTP.
The keys come at uneven moments, so that their ends lie anywhere in a second. In the noisy log
complete keys come all the time: what is open must not wait until the log is quiet.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measure

from helios.testing import missing_leg, real_processes

LATE_S_MAX = 1.0
KEYS, KEYS_QUICK = 100, 10


def measured(keys: int, *, noisy: bool) -> list[float]:
    """The delays of a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        data, port = Path(folder) / "data", real_processes.free_port()
        with real_processes.Helios(data, port=port, options=["--log-level", "warning"]) as server:
            return asyncio.run(missing_leg.delays(server.url, keys, noisy=noisy))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    keys = KEYS_QUICK if quick else KEYS
    found = {name: measured(keys, noisy=name == "noisy") for name in ("quiet", "noisy")}
    due = missing_leg.WITHIN_S + missing_leg.GRACE_S
    print(f"{measure.machine()}\n")
    head = ("log", "keys", "median s late", "longest s late")
    rows = [
        (name, len(took), f"{statistics.median(took) - due:.2f}", f"{max(took) - due:.2f}")
        for name, took in found.items()
    ]
    print(measure.table(head, rows))
    figures = [
        measure.verdict(f"{name} log: a missing leg is told late by, s", max(took) - due,
                        LATE_S_MAX, at_most=True)
        for name, took in found.items()
    ]  # fmt: skip
    print(f"\n{measure.table(('figure', 'measured', 'must', ''), figures)}")
    sys.exit(any(row[-1] == "MISSED" for row in figures) and not quick)


if __name__ == "__main__":
    main()
