"""How long a start takes, what an idle server weighs, and how soon one is back after a kill.

    python benchmarks/start.py             serve on an empty folder, five times; then with 300,000
                                           events and a contract, killed and started again;
                                           the demo, until its page has something to show
    python benchmarks/start.py --clone     also clone, set up and start the demo as a newcomer does

The demo counts as started when verdicts have been given, by its own metrics; so are told when the
first drift was confirmed and the first approval asked for.
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

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "stream")]

import measure  # noqa: E402
import workload  # noqa: E402

START_S_MAX = 3.0
IDLE_MB_MAX = 120
CLONE_S_MAX = 180
ACCEPTED_S_MAX = 2.0
ORDERS, ORDERS_QUICK = 100_000, 5_000
BATCH = 1_000
DEADLINE_S = 300
IDLE_S = 3.0
TOKEN = Path("access/local.token")
VERDICTS = re.compile(r"^helios_events_reconciled_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)
DRIFTS = re.compile(r"^drift_detected_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)
APPROVALS = re.compile(r"^helios_approvals_pending ([0-9.e+]+)$", re.MULTILINE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(url: str, data_dir: Path | None = None) -> str | None:
    """The body of a 2xx answer, None for any other and while nothing listens.

    Asks with the token that the server of a data folder leaves there, where a folder is named.
    """
    request = urllib.request.Request(url)
    try:
        if data_dir is not None and (data_dir / TOKEN).exists():
            token = (data_dir / TOKEN).read_text().strip()
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=1) as reply:
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


def wait(
    process: subprocess.Popen[bytes],
    url: str,
    pattern: re.Pattern[str] | None,
    data_dir: Path | None = None,
) -> None:
    """Return when `url` answers, with a number above zero where a pattern asks for one."""
    end = time.perf_counter() + DEADLINE_S
    while time.perf_counter() < end:
        body = answer(url, data_dir)
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


def post(url: str, body: bytes, content_type: str) -> int:
    """The position that the answer names."""
    request = urllib.request.Request(url, data=body, headers={"content-type": content_type})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return int(reply.headers["helios-position"] or 0)


def accepted(url: str) -> int:
    """Try until an event is accepted; its position."""
    end = time.perf_counter() + DEADLINE_S
    body = b'{"source":"probe","eventType":"Probed","payload":{}}'
    while time.perf_counter() < end:
        try:
            return post(f"{url}/api/v1/events/ingest", body, "application/json")
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
    raise RuntimeError(f"{url} accepted nothing within {DEADLINE_S} s")


def visible(url: str, position: int) -> None:
    """Return when the verdicts show a position."""
    listing = f"{url}/api/v1/reconciliation/mismatches?limit=1"
    end = time.perf_counter() + DEADLINE_S
    while time.perf_counter() < end:
        request = urllib.request.Request(listing, headers={"helios-after": str(position)})
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(request, timeout=60).close()
            return
    raise RuntimeError(f"the verdicts did not reach {position} within {DEADLINE_S} s")


def recover(orders: int, rounds: int) -> tuple[int, list[tuple[float, float, float]]]:
    """Events in the log; of each kill: seconds until one is accepted and until all is caught up,
    and megabytes then."""
    helios = Path(sys.executable).with_name("helios")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    lines = (workload.prepare(orders) / "all.jsonl").read_bytes().splitlines(keepends=True)
    contract = (HERE / "stream/order-match.yaml").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        command: list[str | Path] = [
            helios, "serve", "--port", str(port), "--data-dir", Path(folder) / "data"]  # fmt: skip
        with running(command, Path(folder)) as process:
            wait(process, f"{url}/ready", None)
            post(f"{url}/api/v1/contracts", contract, "application/yaml")
            for at in range(0, len(lines), BATCH):
                body = b"".join(lines[at : at + BATCH])
                position = post(f"{url}/api/v1/events/ingest/batch", body, "application/x-ndjson")
            visible(url, position)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=60)
        found = []
        for _ in range(rounds):
            begin = time.perf_counter()
            with running(command, Path(folder)) as process:
                position = accepted(url)
                first = time.perf_counter() - begin
                visible(url, position)
                found.append((first, time.perf_counter() - begin, resident_mb(process.pid)))
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=60)
    return len(lines), found


def demo_once() -> tuple[float, float, float, float]:
    """Seconds from the start of the demo to its answer, first verdict, drift and approval."""
    helios = Path(sys.executable).with_name("helios")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        command: list[str | Path] = [helios, "demo", "--port", str(port), "--data-dir", data]
        begin = time.perf_counter()
        with running(command, Path(folder)) as process:
            wait(process, f"{url}/ready", None)
            found = [time.perf_counter() - begin]
            for pattern in (VERDICTS, DRIFTS, APPROVALS):
                wait(process, f"{url}/metrics", pattern, data)
                found.append(time.perf_counter() - begin)
            with contextlib.suppress(ProcessLookupError):
                # The first signal closes the shop and follows its orders; the second leaves.
                os.killpg(process.pid, signal.SIGTERM)
                time.sleep(0.3)
        ready, verdict, drift, approval = found
        return ready, verdict, drift, approval


def clone_once() -> float:
    """Seconds from `git clone` to the demo's first verdict, in an environment made anew."""
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "helios"
        begin = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", measure.ROOT, folder], check=True)
        data = Path(scratch) / "data"
        arguments = f"ARGS=--port {port} --data-dir {data}"
        with running(["make", "demo", arguments], folder) as process:
            wait(process, f"http://127.0.0.1:{port}/metrics", VERDICTS, data)
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
    demos = [demo_once() for _ in range(1 if options.quick else options.rounds)]
    answers, verdict, drift, approval = (
        statistics.median(column) for column in zip(*demos, strict=True)
    )
    print(
        f"demo: answers after {answers:.1f} s, first drift after {drift:.1f} s, "
        f"first approval after {approval:.1f} s"
    )
    rows.append(
        measure.verdict("demo: seconds to the first verdict", verdict, START_S_MAX, at_most=True)
    )
    orders = ORDERS_QUICK if options.quick else ORDERS
    events, kills = recover(orders, 1 if options.quick else 3)
    first, caught_up, weight = (statistics.median(column) for column in zip(*kills, strict=True))
    print(f"after kill -9 with {events:,} events: all caught up in {caught_up:.1f} s")
    rows += [
        measure.verdict("after kill -9: seconds to the first event", first, ACCEPTED_S_MAX,
                        at_most=True),
        measure.verdict("after kill -9, caught up: MB", weight, IDLE_MB_MAX, at_most=True),
    ]  # fmt: skip
    if options.clone:
        seconds = clone_once()
        rows.append(
            measure.verdict("clone to first verdict, s", seconds, CLONE_S_MAX, at_most=True)
        )
    print(measure.table(("figure", "measured", "must", ""), rows))
    sys.exit(any(row[-1] == "MISSED" for row in rows) and not options.quick)


if __name__ == "__main__":
    main()
