import random
from collections.abc import Iterator

from helios.demo.world import faults
from helios.reconcile.compositions import budgets, fights, fuse

HOURS = 4


def _played(seed: int, hours: float = HOURS) -> Iterator[faults.Due]:
    """What happens when each question is answered ten seconds after it was asked."""
    schedule = faults.Schedule(random.Random(seed))
    asked_s: float | None = 0.0
    now_s = 0.0
    while now_s < hours * 3600:
        waiting = asked_s is not None and now_s < asked_s + 10
        for fault in schedule.due(now_s):
            yield faults.Due(now_s, fault)
        asked = schedule.asked(now_s, waiting=waiting)
        if asked is not None:
            asked_s = now_s
            yield faults.Due(now_s, asked)
        now_s += 1.0


def _windows(seed: int, seconds: float) -> Iterator[list[faults.Fault]]:
    happened = list(_played(seed))
    for end in happened:
        yield [e.fault for e in happened if end.at_s - seconds < e.at_s <= end.at_s]


def test_the_first_minute_has_each_kind_of_fault_and_something_to_agree_to_at_once() -> None:
    opening = faults.OPENING
    assert [due.at_s for due in opening] == sorted(due.at_s for due in opening)
    assert {due.fault.kind for due in opening} == set(faults.KINDS)
    at_once = {due.fault.ends for due in opening if due.at_s == 0}
    assert at_once == {"healed", "approved", "itself"}


def test_the_same_seed_brings_the_same_faults() -> None:
    assert list(_played(3)) == list(_played(3))
    assert list(_played(3)) != list(_played(4))


def test_faults_go_on_after_the_first_minute() -> None:
    late = [due for due in _played(1) if due.at_s > 3600]
    assert len(late) > 30
    assert {due.fault.kind for due in late} > {"webhook deleted", "build broken", "setting changed"}


def test_no_drift_comes_so_often_that_it_is_called_a_fight() -> None:
    for window in _windows(1, fights.WITHIN_US / 1e6):
        drifts = [fault.drift for fault in window]
        assert max(map(drifts.count, drifts)) < fights.HEALS_MAX


def test_no_budget_of_healing_is_used_up() -> None:
    for window in _windows(2, budgets.HOUR_US / 1e6):
        stacks = [fault.stack for fault in window]
        components = [(fault.stack, fault.component) for fault in window]
        assert max(map(stacks.count, stacks)) < budgets.DEFAULT.stack
        assert max(map(components.count, components)) < budgets.DEFAULT.component
        assert len(window) < budgets.DEFAULT.tenant


def test_too_few_stacks_drift_alike_for_a_fuse() -> None:
    for window in _windows(5, fuse.WITHIN_US / 1e6):
        for cause in {fault.cause for fault in window}:
            stacks = {fault.stack for fault in window if fault.cause == cause}
            assert len(stacks) < fuse.LEAST, cause
        files = {f.stack for f in window if f.component in FILES}
        assert len(files) < fuse.LEAST


FILES = ("resource/flags", "resource/robots", "resource/settings")
"""They are all at one provider: the files of this machine."""


def test_somebody_is_asked_anew_some_time_after_the_answer() -> None:
    schedule = faults.Schedule(random.Random(1))
    assert schedule.asked(100.0, waiting=True) is None
    assert schedule.asked(101.0, waiting=False) is None
    assert schedule.asked(101.0 + faults.ASK_AGAIN_S - 1, waiting=False) is None
    asked = schedule.asked(101.0 + faults.ASK_AGAIN_S, waiting=False)
    assert asked is not None
    assert asked.ends == "approved"
    assert asked != faults.ASKED[0], "that one was asked about at the beginning"


def test_nothing_is_added_where_something_has_to_be_healed_yet() -> None:
    schedule = faults.Schedule(random.Random(1))
    schedule.due(faults.OPENING[-1].at_s)
    for step in range(1, 200):
        assert schedule.due(60.0 + step * 60, open_stacks=faults.STACKS) == []
