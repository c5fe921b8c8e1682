"""Run simulated worlds from the command line.

    python -m helios.testing.simulate --seed 7
    python -m helios.testing.simulate --seeds 0:200
    python -m helios.testing.simulate --seed 7 --crash-at 113 --trace

On a failure it prints what is needed to see it again (seed and commit), the last 200 steps, and
the smallest set of faults with which the same invariant still breaks.
"""

import argparse
import collections
import hashlib
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence

from helios.testing import node, swarm, world

EXIT_OK, EXIT_VIOLATION, EXIT_USAGE = 0, 1, 2


def shrink(
    failed: world.Result,
    *,
    build: node.Build | None = None,
    size: world.Size | None = None,
    crash_at: frozenset[int] = frozenset(),
) -> world.Result:
    """The same seed with as few faults as still break the same invariant."""
    while True:
        for fewer in failed.faults.shrunk():
            result = world.run(failed.seed, faults=fewer, build=build, size=size, crash_at=crash_at)
            if invariant(result) == invariant(failed):
                failed = result
                break
        else:
            return failed


def invariant(result: world.Result) -> str | None:
    """Name of what did not hold, or None."""
    if result.violation is None:
        return None
    kind, _, detail = result.violation.partition(": ")
    return detail.partition(":")[0] if kind == "Violation" else kind


def commit() -> str:
    """The commit of this checkout, or why it is not known."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git the developer uses
            cwd=pathlib.Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except OSError:
        return "unknown (no git here)"
    return found.stdout.strip() or "unknown (not a checkout)"


def report(
    failed: world.Result,
    smallest: world.Result,
    *,
    steps: Sequence[str],
    crash_at: frozenset[int] = frozenset(),
    size: world.Size | None = None,
) -> str:
    """What a person needs to see a failure again and to understand it."""
    again = f"--seed {failed.seed} --trace"
    if crash_at:
        again += f" --crash-at {' '.join(map(str, sorted(crash_at)))}"
    if size is not None and size.orders:
        again += f" --orders {size.orders}"
    return "\n".join(
        [
            *steps,
            "",
            f"FAILED     {failed.violation}",
            f"seed       {failed.seed}",
            f"commit     {commit()}",
            f"crashed    {', '.join(failed.crashed) or 'never'}",
            f"faults     {_faults(failed.faults)}",
            f"needed     {_faults(smallest.faults)}",
            f"again      python -m helios.testing.simulate {again}",
        ]
    )


def _faults(faults: swarm.Swarm) -> str:
    return ", ".join(f"{name}={getattr(faults, name)!r}" for name in faults.on()) or "none"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worlds that were asked for; 0 when all invariants held, 1 when not, 2 on bad use."""
    options = _parser().parse_args(arguments)
    crash_at = frozenset(options.crash_at)
    size = world.Size.of_orders(options.orders) if options.orders else None
    coverage: collections.Counter[str] = collections.Counter()
    traces = hashlib.blake2b(digest_size=16)
    started, count, steps, points = time.perf_counter(), 0, 0, 0
    for seed in options.seeds or [options.seed]:
        result = world.run(seed, size=size, crash_at=crash_at, keep_trace=options.trace)
        if options.trace:
            _say("\n".join(result.trace))
        if result.violation is not None:
            smallest = shrink(result, size=size, crash_at=crash_at)
            told = () if options.trace else result.trace
            _say(report(result, smallest, steps=told, crash_at=crash_at, size=size))
            return EXIT_VIOLATION
        coverage.update(result.coverage)
        traces.update(result.trace_hash.encode())
        count, steps, points = count + 1, steps + result.steps, points + result.points
    took_s = time.perf_counter() - started
    for name, times in sorted(coverage.items()):
        _say(f"{times:8} {name}")
    _say(f"trace {traces.hexdigest()}")
    _say(f"{count} worlds, {steps} steps, {points} crash points, 0 violations in {took_s:.1f} s")
    _say(f"commit {commit()}")
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helios.testing.simulate")
    parser.add_argument("--seed", type=int, default=0, help="run this one world")
    parser.add_argument("--seeds", type=_range, metavar="A:B", help="run worlds A to B-1")
    parser.add_argument(
        "--orders", type=int, default=0, metavar="N", help="contracts judge N orders in the world"
    )
    parser.add_argument("--trace", action="store_true", help="print every step")
    parser.add_argument(
        "--crash-at", type=int, nargs="+", default=[], metavar="N", help="crash at these points"
    )
    return parser


def _range(text: str) -> range:
    first, colon, last = text.partition(":")
    try:
        found = range(int(first), int(last))
    except ValueError:
        found = range(0)
    if not colon or not found:
        raise argparse.ArgumentTypeError(f"{text!r}: expected A:B with A < B, such as 0:200")
    return found


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
