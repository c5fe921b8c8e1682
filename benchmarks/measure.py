"""What all benchmarks share: run a process and see what it costs, the disk's flush rate, a table.

Figures are ratios of things measured in turn in the same run, because machines are shared and
noisy: a table of wall times from different hours says little.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEERS_PYTHON = ROOT / ".bench-venv/bin/python"
POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process, with its children, cost."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    exit_code: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON object of its last line of output that is one."""
        for line in reversed(self.stdout.splitlines()):
            if line.startswith("{"):
                return dict(json.loads(line))
        raise RuntimeError(f"no result in the output: {self.stdout[-500:]}{self.stderr[-2000:]}")


def _resident_kb(pid: int) -> int:
    """Resident memory of a process and its children now, or its own peak if that is more."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Vm"))
        own = int(fields["VmRSS"].split()[0])
        peak = int(fields["VmHWM"].split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, KeyError):
        return 0
    return max(peak, own + sum(_resident_kb(int(child)) for child in children))


def run(command: Sequence[str | Path], *, timeout_s: float = 1800, quiet: bool = True) -> Cost:
    """Run a process to its end. Memory is sampled and includes its children.

    Raises:
        RuntimeError: it took longer than `timeout_s`.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.perf_counter()
        child = subprocess.Popen(
            [str(part) for part in command], stdout=out, stderr=err if quiet else None, cwd=ROOT
        )
        peak_kb = 0
        while True:
            peak_kb = max(peak_kb, _resident_kb(child.pid))
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - begin > timeout_s:
                child.kill()
                child.wait()
                raise RuntimeError(f"no end after {timeout_s:.0f} s: {' '.join(map(str, command))}")
            time.sleep(POLL_S)
        wall_s = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return Cost(
            wall_s=wall_s,
            cpu_s=usage.ru_utime + usage.ru_stime,
            rss_mb=peak_kb / 1024,
            exit_code=child.returncode,
            stdout=out.read().decode(errors="replace"),
            stderr=err.read().decode(errors="replace"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """What the disk does: 4 KiB appends, each followed by a flush of the data."""

    per_s: float
    p50_ms: float
    p99_ms: float


def flush_rate(folder: Path, *, seconds: float = 1.0) -> Flush:
    """Measure the disk below `folder` for so long."""
    taken: list[float] = []
    page = os.urandom(4096)
    with tempfile.TemporaryFile(dir=folder) as file:
        end = time.perf_counter() + seconds
        while (begin := time.perf_counter()) < end:
            os.write(file.fileno(), page)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begin) * 1000)
    return Flush(
        per_s=len(taken) / seconds,
        p50_ms=statistics.median(taken),
        p99_ms=sorted(taken)[int(len(taken) * 0.99)],
    )


def machine() -> str:
    """One line for the head of a table: processor, cores, load, Python."""
    model = "processor unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{model}, {os.cpu_count()} cores, load {load}; "
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )


def versions(*names: str) -> str:
    """The versions of the peers, from their environment."""
    each = "(f'{n} {m.version(n)}' for n in sys.argv[1:])"
    code = f"import sys, importlib.metadata as m; print(', '.join({each}))"
    answer = subprocess.run(
        [PEERS_PYTHON, "-c", code, *names], capture_output=True, text=True, check=True
    )
    return f"helios {metadata.version('helios')}, {answer.stdout.strip()}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table with aligned columns."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def number(value: float) -> str:
    """Three digits, or whole thousands."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def verdict(name: str, value: float, bar: float, *, at_most: bool = False) -> tuple[str, ...]:
    """One row of the list of figures: what, measured, bar, reached or not."""
    reached = value <= bar if at_most else value >= bar
    sign = "<=" if at_most else ">="
    return name, number(value), f"{sign} {number(bar)}", "reached" if reached else "MISSED"


def need_peers() -> None:
    """End with a hint when the environment of the peers is not there."""
    if not PEERS_PYTHON.exists():
        sys.exit("the peers are not installed: run `make bench-env` first")
