"""Simulated worlds of stacks: random faults, a crash at each port call, and the same end."""

import collections
import os

import pytest

from helios.testing import stack_sim, stack_sim_ports, stack_sim_stories

SEEDS = int(os.environ.get("HELIOS_STACK_SEEDS", "14"))
"""Worlds of the random run. A long run takes thousands, see `helios.testing.stack_simulate`."""

STRIDE = int(os.environ.get("HELIOS_STACK_STRIDE", "1"))
NO_FAULTS = stack_sim_ports.Faults()
STATEFUL = ("observe", "act", "log.", "views.commit")
"""Points after which something is otherwise than before. A crash at a read is a crash after the
last of these."""

REACHED = (
    "crash log.commit",
    "crash log.committed",
    "crash views.commit",
    "crash views.committed",
    "crash observe",
    "look out of a cache",
    "look that sees nothing",
    "append refused",
    "write refused",
    "answer to a write lost",
    "write without an effect",
    "process stood still",
    "wake-up lost",
    "wake-up doubled",
    "fuse reset",
)


def told(result: stack_sim.Result) -> str:
    return (
        f"python -m helios.testing.stack_simulate --seed {result.seed}\n{result.violation}\n"
        f"crashed: {result.crashed}\n{result.faults}"
    )


def test_worlds_with_faults_end_as_those_without() -> None:
    coverage: collections.Counter[str] = collections.Counter()
    for seed in range(SEEDS):
        result = stack_sim.run(seed, stack_sim_stories.days)
        assert result.violation is None, told(result)
        calm = stack_sim.run(seed, stack_sim_stories.days, faults=NO_FAULTS)
        assert calm.violation is None, told(calm)
        assert result.ending == calm.ending, told(result)
        coverage.update(result.coverage)
    missing = [name for name in REACHED if not coverage[name]]
    assert not missing, f"never reached: {missing}"


@pytest.mark.parametrize("name", ["one drift", "two waves", "an approval"])
def test_a_crash_at_any_port_call_changes_nothing_in_the_end(name: str) -> None:
    story = stack_sim_stories.STORIES[name]
    calm = stack_sim.run(1, story, faults=NO_FAULTS, names=STATEFUL)
    assert calm.violation is None, told(calm)
    assert calm.points > 60
    for point in range(1, calm.points + 1, STRIDE):
        result = stack_sim.run(
            1, story, faults=NO_FAULTS, names=STATEFUL, crash_at=frozenset({point})
        )
        assert result.crashed, point
        assert result.violation is None, f"--story '{name}' --crash-at {point}\n{told(result)}"
        assert result.ending == calm.ending, f"--story '{name}' --crash-at {point}"


def test_a_bad_version_between_leaves_no_trace_once_the_good_one_is_back() -> None:
    calm = stack_sim.run(3, stack_sim_stories.bad_version, faults=NO_FAULTS)
    assert calm.violation is None, told(calm)
    good = stack_sim.run(3, stack_sim_stories.only_good, faults=NO_FAULTS)
    assert good.violation is None, told(good)
    assert versionless(calm.ending) == versionless(good.ending)
    for seed in range(4):
        result = stack_sim.run(seed, stack_sim_stories.bad_version)
        assert result.violation is None, told(result)
        assert result.ending == calm.ending, told(result)


def versionless(ending: object) -> object:
    """An ending without how often it was declared."""
    assert isinstance(ending, dict)
    left = {name: each for name, each in ending["shop"].items() if name not in NUMBERED}
    return {"outside": ending["outside"], "shop": left}


NUMBERED = ("generation", "version", "applied")


def test_the_same_seed_gives_the_same_world() -> None:
    first = [stack_sim.run(seed, stack_sim_stories.days).trace_hash for seed in range(2)]
    again = [stack_sim.run(seed, stack_sim_stories.days).trace_hash for seed in range(2)]
    assert first == again
    assert len(set(first)) == len(first)
