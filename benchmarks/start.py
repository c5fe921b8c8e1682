"""How long a start takes, and what an idle server weighs.

    python benchmarks/start.py             serve on an empty folder, five times
    python benchmarks/start.py --clone     also clone, set up and start the demo as a newcomer does

The demo counts as started when verdicts have been given, by its own metrics.
"""

import argparse
import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import measure

START_S_MAX = 3.0
IDLE_MB_MAX = 120
CLONE_S_MAX = 180
DEADLINE_S = 300
IDLE_S = 3.0
VERDICTS = re.compile(r"^helios_events_reconciled_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(url: str) -> str | None:
    """The body of a 2xx answer, None for any other and while nothing listens."""
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return str(reply.read().decode())
    except (urllib.error.URLError, OSError):
        return None


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


@contextlib.contextmanager
def running(command: list[str | Path], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process group that is ended with SIGTERM."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def wait(process: subprocess.Popen[bytes], url: str, pattern: re.Pattern[str] | None) -> None:
    """Return when `url` answers, with a number above zero where a pattern asks for one."""
    end = time.perf_counter() + DEADLINE_S
    while time.perf_counter() < end:
        body = answer(url)
        if body is not None and (pattern is None or any(map(float, pattern.findall(body)))):
            return
        if process.poll() is not None:
            raise RuntimeError(f"ended with {process.returncode} before {url} answered")
        time.sleep(0.02)
    raise RuntimeError(f"{url} did not answer within {DEADLINE_S} s")


def serve_once() -> tuple[float, float]:
    """Seconds to ready, and megabytes when idle."""
    helios = Path(sys.executable).with_name("helios")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command: list[str | Path] = [
            helios, "serve", "--port", str(port), "--data-dir", Path(folder) / "data"]  # fmt: skip
        begin = time.perf_counter()
        with running(command, Path(folder)) as process:
            wait(process, f"http://127.0.0.1:{port}/ready", None)
            ready = time.perf_counter() - begin
            time.sleep(IDLE_S)
            return ready, resident_mb(process.pid)


def clone_once() -> float:
    """Seconds from `git clone` to the demo's first verdict, in an environment made anew."""
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "helios"
        begin = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", measure.ROOT, folder], check=True)
        with running(["make", "demo", f"ARGS=--port {port}"], folder) as process:
            wait(process, f"http://127.0.0.1:{port}/metrics", VERDICTS)
            return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--clone", action="store_true", help="measure `make demo` in a fresh clone")
    options = parser.parse_args()
    print(measure.machine() + "\n")
    runs = [serve_once() for _ in range(1 if options.quick else options.rounds)]
    ready = statistics.median(seconds for seconds, _ in runs)
    idle = max(mb for _, mb in runs)
    rows = [
        measure.verdict("helios serve: seconds to ready", ready, START_S_MAX, at_most=True),
        measure.verdict("helios serve: idle, MB", idle, IDLE_MB_MAX, at_most=True),
    ]
    if options.clone:
        seconds = clone_once()
        rows.append(
            measure.verdict("clone to first verdict, s", seconds, CLONE_S_MAX, at_most=True)
        )
    print(measure.table(("figure", "measured", "must", ""), rows))
    sys.exit(any(row[-1] == "MISSED" for row in rows) and not options.quick)


if __name__ == "__main__":
    main()
