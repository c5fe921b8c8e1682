"""Ticks decide to the microsecond; sessions do not depend on how the events are cut."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.eventlog import envelope
from helios.kernel import clock
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import engine, live, program, verdicts

SECOND = 1_000_000
YAML = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {{name: c}}
spec:
  key: payload.k
  window: {window}
  legs:
    a: {{source: a, type: A}}
    b: {{source: b, type: B{within}}}
"""


class Rig:
    """An engine, fed from a pretended log."""

    def __init__(self, window: str, within: str = "") -> None:
        compiled = program.Program(contracts.parse(YAML.format(window=window, within=within)))
        self.told: list[verdicts.Verdict] = []
        self.engine = engine.Engine(compiled, live.FLAVOUR, on_verdict=self.told.append)
        self._program = compiled
        self._decoder = live.PayloadDecoder(compiled)
        self._position = 0

    def seen(self, kind: str, key: str, at: int) -> Any:
        self._position += 1
        event = envelope.Event(
            position=envelope.Position(self._position),
            sequence=self._position,
            recorded_at=clock.Timestamp(at),
            id=f"e{self._position}",
            source=kind.lower(),
            type=kind,
            occurred_at=clock.Timestamp(at),
            aggregate_type="t",
            aggregate_id="i",
            payload=msgspec.json.encode({"k": key}),
        )
        bound = self._program.leg_of(event.source, event.type)
        assert bound is not None
        return self._decoder.seen(event, bound)


@pytest.mark.parametrize("at", [0, 1, 300_000, 999_999])
def test_a_tick_tells_of_a_missing_leg_at_its_deadline_and_not_before(at: int) -> None:
    rig = Rig("{type: per_key, size: 1s, grace: 1s}")
    start = 1_000 * SECOND + at
    rig.engine.process([rig.seen("A", "k", start)])
    due = start + 2 * SECOND + 1
    assert not rig.engine.is_due(due - 1)
    rig.engine.tick(due - 1, rig.seen("A", "tick", due - 1))
    assert rig.told == []
    assert rig.engine.is_due(due)
    rig.engine.tick(due, rig.seen("A", "tick", due))
    assert [(v.key, v.status, v.missing_events) for v in rig.told] == [("k", "partial", ["b"])]


def test_a_tick_says_nothing_twice_and_closes_the_window_in_its_second() -> None:
    rig = Rig("{type: per_key, size: 1s, grace: 0s}")
    rig.engine.process([rig.seen("A", "k", 1_000 * SECOND + 300_000)])
    for now in (1_001_300_000, 1_001_600_000, 1_002_000_000, 1_003_000_000):
        rig.engine.tick(now, rig.seen("A", "tick", now))
    assert len(rig.told) == 1
    assert not rig.engine.open


@pytest.mark.parametrize("within", ["", ", within: 1s"])
def test_a_leg_that_comes_in_the_second_in_which_it_was_told_missing_closes_its_key(
    within: str,
) -> None:
    rig = Rig("{type: per_key, size: 1s, grace: 0s}", within=within)
    rig.engine.process([rig.seen("A", "k", 1_000 * SECOND + 300_000)])
    rig.engine.tick(1_001_400_000, rig.seen("A", "tick", 1_001_400_000))
    rig.engine.process([rig.seen("B", "k", 1_001_200_000)])
    rig.engine.tick(1_003_000_000, rig.seen("A", "tick", 1_003_000_000))
    assert [v.status for v in rig.told] == ["partial", "matched"]
    assert not rig.engine.open
    assert not rig.engine.buckets


def test_a_leg_with_a_longer_time_is_not_told_missing_with_the_first() -> None:
    rig = Rig("{type: per_key, size: 1s, grace: 0s}", within=", within: 1500ms")
    rig.engine.process([rig.seen("A", "k", 1_000 * SECOND)])
    rig.engine.tick(1_001_400_000, rig.seen("A", "tick", 1_001_400_000))
    assert rig.told == []
    rig.engine.tick(1_001_500_000, rig.seen("A", "tick", 1_001_500_000))
    assert rig.told == [], "an event at the deadline itself is in time"
    rig.engine.tick(1_001_500_001, rig.seen("A", "tick", 1_001_500_001))
    assert [v.missing_events for v in rig.told] == [["b"]]


_events = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 8)), min_size=1, max_size=12
)  # fmt: skip


@given(_events, st.sets(st.integers(1, 11)))
def test_sessions_are_the_same_however_the_events_are_cut(
    events: list[tuple[str, int]], cuts: set[int]
) -> None:
    def run(ends: list[int]) -> list[verdicts.Verdict]:
        rig = Rig("{type: session, gap: 2s, grace: 1s}")
        made = [rig.seen(kind, "k", (1_000 + at) * SECOND) for kind, at in events]
        begin = 0
        for end in [*ends, len(made)]:
            rig.engine.process(made[begin:end])
            begin = end
        rig.engine.finish()
        return rig.told

    whole = run([])
    assert run(sorted(cut for cut in cuts if cut < len(events))) == whole
    # No event stands in two verdicts that nothing supersedes.
    current = {(v.key, v.window_id): v for v in whole}
    ids = [each for v in current.values() for leg in v.events.values() for each in leg]
    assert len(ids) == len(set(ids))
