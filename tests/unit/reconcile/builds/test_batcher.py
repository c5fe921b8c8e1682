"""When sites are built: rules by example, and what must hold for every history of changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.builds import batcher

S = clocks.SECOND_US
TIMING = batcher.Timing(quiet=5 * S, max_delay=60 * S, attempts=3)


def at(seconds: float) -> clocks.Timestamp:
    return clocks.Timestamp(round(seconds * S))


def changed(first: float, last: float, position: int = 1) -> batcher.Changed:
    return batcher.Changed(changes=1, position=position, first_at=at(first), last_at=at(last))


def test_nothing_changed_nothing_is_built() -> None:
    assert batcher.decide(batcher.Standing(), TIMING, at(0)) == batcher.Wait(None)


def test_a_build_begins_when_it_has_been_quiet() -> None:
    site = batcher.Standing(changed=changed(10, 12))

    assert batcher.decide(site, TIMING, at(16.9)) == batcher.Wait(at(17))
    assert batcher.decide(site, TIMING, at(17)) == batcher.Start("content")


def test_changes_that_never_pause_are_built_at_the_maximum_delay() -> None:
    site = batcher.Standing(changed=changed(10, 69))

    assert batcher.decide(site, TIMING, at(69.5)) == batcher.Wait(at(70))
    assert batcher.decide(site, TIMING, at(70)) == batcher.Start("content")


def test_one_build_runs_at_a_time_whatever_is_asked() -> None:
    site = batcher.Standing(changed=changed(0, 0), requested="manual", running=True)

    assert batcher.decide(site, TIMING, at(1000)) == batcher.Wait(None)


def test_a_person_does_not_wait_for_quiet() -> None:
    site = batcher.Standing(changed=changed(0, 0), requested="manual")

    assert batcher.decide(site, TIMING, at(0)) == batcher.Start("manual")


@pytest.mark.parametrize(("attempts", "pause"), [(1, 15), (2, 30), (3, 60), (7, 900), (40, 900)])
def test_a_failure_is_tried_again_ever_later(attempts: int, pause: int) -> None:
    timing = batcher.Timing(quiet=5 * S, max_delay=60 * S, attempts=100)
    failed = batcher.Failed(attempts=attempts, position=1, ended_at=at(100))
    site = batcher.Standing(changed=changed(0, 0), failed=failed)

    assert batcher.decide(site, timing, at(99 + pause)) == batcher.Wait(at(100 + pause))
    assert batcher.decide(site, timing, at(100 + pause)) == batcher.Start("retry")


def test_what_failed_too_often_waits_for_a_change_or_a_person() -> None:
    failed = batcher.Failed(attempts=3, position=1, ended_at=at(100))
    given_up = batcher.Standing(changed=changed(0, 0, position=1), failed=failed)
    newer = batcher.Standing(changed=changed(0, 200, position=2), failed=failed)
    asked = batcher.Standing(changed=changed(0, 0), failed=failed, requested="manual")

    assert batcher.decide(given_up, TIMING, at(10_000)) == batcher.Wait(None)
    assert batcher.decide(newer, TIMING, at(205)) == batcher.Start("content")
    assert batcher.decide(asked, TIMING, at(101)) == batcher.Start("manual")


class Simulated:
    """A site whose changes come at given times and whose builds take a given time."""

    def __init__(self, changes: list[float], build_s: float) -> None:
        self.changes = sorted(changes)
        self.build_s = build_s
        self.builds: list[tuple[float, int]] = []
        self.most_at_once = 0

    def run(self) -> None:
        now, built, running = 0.0, 0, None
        left = list(self.changes)
        seen: list[float] = []
        for _ in range(10_000):
            while left and left[0] <= now:
                seen.append(left.pop(0))
            if running is not None and now >= running[0]:
                built, running = running[1], None
            open_changes = seen[built:]
            standing = batcher.Standing(
                changed=changed(open_changes[0], open_changes[-1], len(seen))
                if open_changes and (running is None or len(seen) > built)
                else None,
                running=running is not None,
            )
            decided = batcher.decide(standing, TIMING, at(now))
            if isinstance(decided, batcher.Start):
                running = (now + self.build_s, len(seen))
                self.builds.append((now, len(seen)))
                continue
            nexts = [left[0]] if left else []
            if running is not None:
                nexts.append(running[0])
            if decided.until is not None:
                nexts.append(decided.until / S)
            if not nexts:
                return
            now = max(now, min(nexts))
        raise AssertionError("never settles")


@given(
    changes=st.lists(st.floats(0, 300, allow_nan=False), min_size=1, max_size=60),
    build_s=st.floats(0.1, 120),
)
def test_the_last_change_is_always_built_and_no_change_waits_too_long(
    changes: list[float], build_s: float
) -> None:
    site = Simulated(changes, build_s)
    site.run()

    assert site.builds[-1][1] == len(changes)
    covered = 0
    ends = 0.0
    for started, upto in site.builds:
        oldest = site.changes[covered]
        assert started <= max(oldest + 60, ends) + 1e-5
        assert started >= ends - 1e-5
        covered, ends = upto, started + build_s


@given(start=st.floats(0, 1000), gap=st.floats(0, 0.05))
def test_a_burst_of_a_hundred_changes_is_at_most_two_builds(start: float, gap: float) -> None:
    site = Simulated([start + n * gap for n in range(100)], build_s=10)
    site.run()

    assert len(site.builds) <= 2
    assert site.builds[-1][1] == 100
