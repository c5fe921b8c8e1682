"""Run simulated worlds of stacks from the command line.

    python -m helios.testing.stack_simulate --seed 7 --trace
    python -m helios.testing.stack_simulate --seeds 0:2000
    python -m helios.testing.stack_simulate --story 'two waves' --calm --crash-at 113

On a failure it prints what is needed to see it again.
"""

import argparse
import collections
import sys
import time
from collections.abc import Sequence

from helios.testing import simulate, stack_sim, stack_sim_ports, stack_sim_stories

NAME = "helios.testing.stack_simulate"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worlds that were asked for; 0 when all held, 1 when not."""
    options = _parser().parse_args(arguments)
    story = stack_sim_stories.STORIES[options.story]
    faults = stack_sim_ports.Faults() if options.calm else None
    coverage: collections.Counter[str] = collections.Counter()
    started, count, passes = time.perf_counter(), 0, 0
    for seed in options.seeds or [options.seed]:
        result = stack_sim.run(
            seed,
            story,
            faults=faults,
            crash_at=frozenset(options.crash_at),
            keep_trace=options.trace,
        )
        if options.trace:
            _say("\n".join(result.trace))
        if result.violation is not None:
            _say(_report(result, options.story))
            return simulate.EXIT_VIOLATION
        coverage.update(result.coverage)
        count, passes = count + 1, passes + sum(result.passes.values())
    for name, times in sorted(coverage.items()):
        _say(f"{times:8} {name}")
    took_s = time.perf_counter() - started
    _say(f"{count} worlds, {passes} passes, 0 violations in {took_s:.1f} s")
    _say(f"commit {simulate.commit()}")
    return simulate.EXIT_OK


def _report(failed: stack_sim.Result, story: str) -> str:
    on = [name for name in failed.faults.__struct_fields__ if getattr(failed.faults, name)]
    return "\n".join(
        [
            *failed.trace,
            "",
            f"FAILED     {failed.violation}",
            f"seed       {failed.seed}",
            f"commit     {simulate.commit()}",
            f"crashed    {', '.join(failed.crashed) or 'never'}",
            f"faults     {', '.join(f'{name}={getattr(failed.faults, name)!r}' for name in on)}",
            f"again      python -m {NAME} --story '{story}' --seed {failed.seed} --trace",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}")
    parser.add_argument("--seed", type=int, default=0, help="run this one world")
    parser.add_argument("--seeds", type=_range, metavar="A:B", help="run worlds A to B-1")
    parser.add_argument("--story", choices=sorted(stack_sim_stories.STORIES), default="days")
    parser.add_argument("--calm", action="store_true", help="no faults but --crash-at")
    parser.add_argument("--trace", action="store_true", help="print every step")
    parser.add_argument(
        "--crash-at", type=int, nargs="+", default=[], metavar="N", help="crash at these points"
    )
    return parser


def _range(text: str) -> range:
    first, colon, last = text.partition(":")
    found = range(int(first), int(last)) if colon and (first + last).isdigit() else range(0)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: expected A:B with A < B, such as 0:200")
    return found


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
