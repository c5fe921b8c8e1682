"""The real log, views and worker in simulated worlds: seeds, every crash point, repeatability."""

import collections
import os
import re
import subprocess
import sys

import pytest

from helios.eventlog import envelope
from helios.testing import invariants, simulate, swarm, world

SEEDS = 200

REACHED = (
    "answer replayed",
    "append refused: conflict",
    "append refused: overloaded",
    "append refused: storage_unavailable",
    "clock went back",
    "crash after log.commit",
    "crash before log.commit",
    "crash inside log.commit",
    "crash inside log.open",
    "crash inside views.commit",
    "disk full",
    "duplicate dropped",
    "flush failed",
    "message dropped",
    "message duplicated",
    "message lost on a dead node",
    "process killed",
    "sent again after the answer",
    "unanswered",
    "view rebuilt and swapped",
    "view restarted from checkpoint",
    "view verified",
    "view went back",
    "write lost",
    "write torn",
)
"""Rare states that a run of all seeds must have met, or it proves nothing about them."""


def _told(result: world.Result) -> str:
    return simulate.report(result, simulate.shrink(result), steps=result.trace)


def test_all_invariants_hold_in_every_seed_and_the_rare_states_were_reached() -> None:
    coverage = invariants.Coverage()
    for seed in range(SEEDS):
        result = world.run(seed)
        assert result.violation is None, _told(result)
        coverage.update(result.coverage)
    assert coverage.missing(REACHED) == []


def test_a_larger_world_holds_too() -> None:
    size = world.Size(
        producers=8,
        requests=20,
        events_max=5,
        aggregates=12,
        readers=3,
        page=11,
        timeout_s=60.0,
    )
    for seed in range(3):
        result = world.run(10_000 + seed, size=size)
        assert result.violation is None, _told(result)
        assert result.events > 200


_TINY = world.Size(
    producers=2,
    requests=2,
    events_max=2,
    aggregates=2,
    operators=0,
    views=("tally",),
    verified=(),
)
_POWER = swarm.Swarm(torn=True)
_PROCESS = swarm.Swarm(kills=1.0)


@pytest.mark.parametrize(
    ("seed", "faults", "size"),
    [
        pytest.param(1, _POWER, _TINY, id="power cut"),
        pytest.param(2, _PROCESS, _TINY, id="process killed"),
        pytest.param(3, swarm.Swarm(torn=True, prewarm=True), _TINY, id="WAL grown at opening"),
        pytest.param(
            4,
            swarm.Swarm(slow=True, torn=True, duplicate=0.5, reorder=True),
            world.Size(
                producers=1,
                requests=3,
                aggregates=1,
                operators=0,
                views=("tally",),
                verified=(),
            ),
            id="every message may come twice",
        ),
    ],
)
def test_a_crash_at_any_point_breaks_nothing(
    seed: int, faults: swarm.Swarm, size: world.Size
) -> None:
    points = world.run(seed, faults=faults, size=size).points
    assert points > 100
    crashed = collections.Counter[str]()
    for point in range(1, points + 1):
        result = world.run(seed, faults=faults, size=size, crash_at=frozenset({point}))
        assert result.violation is None, f"--crash-at {point}\n{_told(result)}"
        assert len(result.crashed) == 1
        crashed[result.crashed[0].partition(":")[2]] += 1
    assert {"disk write", "disk sync", "before log.commit", "after log.commit"} <= set(crashed)


def test_two_crashes_close_together_break_nothing() -> None:
    """Recovery from recovery: a second crash soon after the first."""
    for point in range(1, 200, 7):
        for gap in (3, 11, 23):
            both = frozenset({point, point + gap})
            result = world.run(5, faults=_POWER, size=_TINY, crash_at=both)
            assert result.violation is None, f"--crash-at {sorted(both)}\n{_told(result)}"


def test_the_same_seed_gives_the_same_trace() -> None:
    first = [world.run(seed) for seed in range(10)]
    again = [world.run(seed) for seed in range(10)]
    assert [r.trace_hash for r in first] == [r.trace_hash for r in again]
    assert len({r.trace_hash for r in first}) == 10


def test_the_same_seed_gives_the_same_trace_in_another_process_with_other_hashes() -> None:
    traces = set()
    for hash_seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-m", "helios.testing.simulate", "--seeds", "0:12"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        traces.update(re.findall(r"^trace (\w+)$", ran.stdout, re.MULTILINE))
    assert len(traces) == 1


def test_a_failure_is_reported_with_what_is_needed_to_see_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise invariants.Violation("no_lost_event", "planted")

    monkeypatch.setattr(invariants, "no_lost_event", broken)
    assert simulate.main(["--seed", "3", "--crash-at", "20"]) == simulate.EXIT_VIOLATION
    told = capsys.readouterr().out
    assert "FAILED     Violation: no_lost_event: planted" in told
    assert re.search(r"^commit     [0-9a-f]{40}$|^commit     unknown", told, re.MULTILINE)
    assert "--seed 3 --trace --crash-at 20" in told
    assert "needed     none" in told


def test_shrinking_drops_faults_that_are_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = swarm.Swarm(slow=True, drop=0.1, duplicate=0.9, reorder=True, torn=True)

    def refuse(_: object, request: object, appended: envelope.Appended) -> None:
        if any(appended.duplicates):
            raise invariants.Violation("planted", "a duplicate was seen")

    monkeypatch.setattr(invariants.History, "acknowledge", refuse)
    results = (world.run(seed, faults=faults) for seed in range(50))
    failed = next(result for result in results if result.violation is not None)
    assert len(simulate.shrink(failed).faults.on()) < len(faults.on())


@pytest.mark.parametrize("text", ["7", "5:5", "9:2", "a:b"])
def test_a_bad_range_of_seeds_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        simulate.main(["--seeds", text])
    assert exited.value.code == simulate.EXIT_USAGE
    assert "expected A:B" in capsys.readouterr().err
