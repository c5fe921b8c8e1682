"""The queue of keys: what it promises, by example."""

import collections

import pytest

from helios.reconcile.runtime import keys, queue

P = keys.Priority


def key(name: str, tenant: str = "acme") -> keys.Key:
    return keys.Key(tenant, "stacks", name)


def names(a_queue: queue.Queue, now: float) -> list[str]:
    """What is taken and done one after the other."""
    found = []
    while (taken := a_queue.take(now)) is not None:
        found.append(taken.key.name)
        a_queue.done(taken.key, now)
    return found


def test_a_key_that_waits_is_not_there_twice_and_takes_the_highest_priority() -> None:
    a_queue = queue.Queue()
    for priority in (P.RESYNC, P.EVENT, P.RETRY):
        a_queue.add(key("a"), priority, 1.0)
    taken = a_queue.take(3.0)
    assert taken == queue.Taken(key("a"), P.EVENT, wakes=3, waited_s=2.0)
    assert a_queue.take(3.0) is None
    a_queue.done(key("a"), 4.0)
    assert a_queue.take(99.0) is None
    assert len(a_queue) == 0


def test_the_most_urgent_goes_first_and_of_equals_the_first() -> None:
    a_queue = queue.Queue()
    for name, priority in [
        ("resync", P.RESYNC), ("event", P.EVENT), ("retry", P.RETRY), ("operator", P.OPERATOR),
        ("approval", P.APPROVAL), ("dependency", P.DEPENDENCY), ("event2", P.EVENT),
    ]:  # fmt: skip
        a_queue.add(key(name), priority, 0.0)
    assert names(a_queue, 0.0) == [
        "operator", "approval", "event", "event2", "dependency", "retry", "resync",
    ]  # fmt: skip


def test_what_comes_while_a_pass_runs_is_answered_by_the_next_one() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("a"), P.EVENT, 0.0)
    assert a_queue.take(0.0)
    a_queue.add(key("a"), P.RESYNC, 1.0)
    a_queue.add(key("a"), P.APPROVAL, 1.0)
    assert a_queue.take(1.0) is None
    assert a_queue.woken(key("a")) is P.APPROVAL
    a_queue.done(key("a"), 2.0)
    taken = a_queue.take(2.0)
    assert taken is not None
    assert (taken.priority, taken.wakes) == (P.APPROVAL, 2)


def test_a_requeue_keeps_its_priority_and_an_event_comes_before_its_time() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("a"), P.OPERATOR, 0.0)
    assert a_queue.take(0.0)
    a_queue.done(key("a"), 0.0, again_s=60.0)
    assert a_queue.take(59.0) is None
    assert a_queue.next_at() == 60.0
    a_queue.add(key("a"), P.RESYNC, 59.0)
    taken = a_queue.take(59.0)
    assert taken is not None
    assert taken.priority is P.RESYNC, "a resync is not as urgent as what waits for its time"
    a_queue.done(key("a"), 59.0, again_s=1.0, priority=P.OPERATOR)
    taken = a_queue.take(60.0)
    assert taken is not None
    assert taken.priority is P.OPERATOR


def test_events_do_not_defeat_the_backoff_and_an_operator_does() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("a"), P.EVENT, 0.0)
    assert a_queue.take(0.0)
    a_queue.add(key("a"), P.EVENT, 0.1)
    a_queue.failed(key("a"), 1.0, retry_s=100.0, floor_s=0.5)
    a_queue.add(key("a"), P.EVENT, 1.2)
    assert a_queue.take(1.4) is None
    assert a_queue.next_at() == 1.5
    assert a_queue.take(1.5)
    a_queue.failed(key("a"), 2.0, retry_s=100.0, floor_s=0.5)
    a_queue.add(key("a"), P.OPERATOR, 2.1)
    taken = a_queue.take(2.1)
    assert taken is not None
    assert taken.priority is P.OPERATOR
    a_queue.failed(key("a"), 3.0, retry_s=100.0, floor_s=0.5)
    assert a_queue.take(102.9) is None
    taken = a_queue.take(103.0)
    assert taken is not None
    assert taken.priority is P.RETRY


def test_what_was_to_come_soon_waits_for_the_first_step_too() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("a"), P.EVENT, 0.0)
    assert a_queue.take(0.0)
    a_queue.add(key("a"), P.EVENT, 0.0, after_s=1.25)
    a_queue.failed(key("a"), 1.0, retry_s=100.0, floor_s=0.5)
    assert a_queue.take(1.4) is None
    assert a_queue.take(1.5)


def test_an_operator_that_comes_during_a_failing_pass_is_answered_at_once() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("a"), P.EVENT, 0.0)
    assert a_queue.take(0.0)
    a_queue.add(key("a"), P.OPERATOR, 0.1)
    a_queue.failed(key("a"), 1.0, retry_s=100.0, floor_s=0.5)
    assert a_queue.take(1.0)


def test_a_resync_that_fails_does_not_become_urgent() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("a"), P.RESYNC, 0.0)
    assert a_queue.take(0.0)
    a_queue.failed(key("a"), 0.0, retry_s=1.0)
    taken = a_queue.take(1.0)
    assert taken is not None
    assert taken.priority is P.RESYNC


@pytest.mark.parametrize("priority", [P.DEPENDENCY, P.EVENT, P.APPROVAL, P.OPERATOR])
def test_only_what_comes_from_outside_wakes_a_stalled_key(priority: P) -> None:
    a_queue = queue.Queue()
    a_queue.add(key("a"), P.EVENT, 0.0)
    assert a_queue.take(0.0)
    a_queue.add(key("a"), P.RESYNC, 0.0)
    a_queue.stalled(key("a"), 0.0)
    a_queue.add(key("a"), P.RESYNC, 1.0)
    a_queue.add(key("a"), P.RETRY, 1.0)
    assert a_queue.take(1e9) is None
    assert a_queue.counts(0.0).stalled == 1
    assert a_queue.counts(0.0).ignored == 2
    a_queue.add(key("a"), priority, 2e9)
    assert a_queue.take(2e9)
    assert a_queue.counts(0.0).stalled == 0


def test_a_key_does_not_stall_over_an_event_that_came_meanwhile() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("a"), P.EVENT, 0.0)
    assert a_queue.take(0.0)
    a_queue.add(key("a"), P.EVENT, 0.1)
    a_queue.stalled(key("a"), 1.0, floor_s=0.5)
    assert a_queue.take(1.4) is None
    assert a_queue.take(1.5)


def test_a_key_rests_between_passes_as_long_as_it_was_told_to() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("a"), P.EVENT, 0.0)
    assert a_queue.take(0.0)
    a_queue.add(key("a"), P.EVENT, 0.0)
    a_queue.done(key("a"), 0.0, rest_s=1.0)
    assert a_queue.take(0.9) is None
    assert a_queue.take(1.0)
    a_queue.done(key("a"), 1.0, rest_s=1.0)
    a_queue.add(key("a"), P.EVENT, 1.1, after_s=5.0)
    assert a_queue.take(6.0) is None
    a_queue.add(key("a"), P.OPERATOR, 6.0)
    assert a_queue.take(6.0)
    a_queue.done(key("a"), 6.0, rest_s=1.0)
    assert a_queue.take(7.0) is None
    assert len(a_queue) == 0, "what rests is let go of in the end"


def test_a_tenant_has_no_more_passes_than_it_may_and_others_go_on() -> None:
    a_queue = queue.Queue(tenant_max=2)
    for number in range(5):
        a_queue.add(key(f"a{number}"), P.OPERATOR, 0.0)
    a_queue.add(key("b", "other"), P.RESYNC, 0.0)
    taken = [a_queue.take(0.0) for _ in range(4)]
    assert [each.key.name for each in taken if each is not None] == ["a0", "a1", "b"]
    a_queue.done(key("a0"), 0.0)
    again = a_queue.take(0.0)
    assert again is not None
    assert again.key.name == "a2"


def test_tenants_take_turns_however_many_keys_one_has() -> None:
    a_queue = queue.Queue()
    for number in range(1_000):
        a_queue.add(key(f"a{number}", "big"), P.EVENT, 0.0)
    for number in range(5):
        a_queue.add(key(f"b{number}", "small"), P.EVENT, 0.0)
    assert sum(name.startswith("b") for name in names(a_queue, 0.0)[:10]) == 5


def test_a_tenant_pays_for_long_passes_with_turns() -> None:
    a_queue = queue.Queue(tenant_max=1)
    for number in range(300):
        a_queue.add(key(f"k{number}", "slow"), P.EVENT, 0.0)
        a_queue.add(key(f"k{number}", "fast"), P.EVENT, 0.0)
    count: collections.Counter[str] = collections.Counter()
    for _ in range(100):
        taken = a_queue.take(0.0)
        assert taken is not None
        count[taken.key.tenant] += 1
        a_queue.done(taken.key, 0.0, cost=5.0 if taken.key.tenant == "slow" else 0.1)
    assert 4 <= count["fast"] / count["slow"] <= 6


def test_resync_is_served_in_the_end_under_events_without_end() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("resync"), P.RESYNC, 0.0)
    now = 0.0
    for number in range(100_000):
        a_queue.add(key(f"e{number}"), P.EVENT, now)
        a_queue.add(key(f"f{number}"), P.EVENT, now)
        taken = a_queue.take(now)
        assert taken is not None
        a_queue.done(taken.key, now)
        now += 1.0
        if taken.key.name == "resync":
            break
    # 150 steps of 30 s up to the band of events, and then its turn among those there before it.
    assert 4_500 <= now <= 10_000


def test_what_waits_long_moves_up_band_by_band() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("old"), P.RESYNC, 0.0)
    a_queue.add(key("retry"), P.RETRY, 3_590.0)
    a_queue.add(key("retry2"), P.RETRY, 3_601.0)
    assert names(a_queue, 3_601.0) == ["retry", "retry2", "old"]
    a_queue.add(key("old"), P.RESYNC, 10_000.0)
    assert a_queue.take(13_600.0)
    a_queue.done(key("old"), 13_600.0)
    a_queue.add(key("old"), P.RESYNC, 20_000.0)
    for now in (23_601.0, 24_201.0):
        a_queue.add(key("other"), P.OPERATOR, now)
        assert a_queue.take(now)
        a_queue.done(key("other"), now)
    a_queue.add(key("dependency"), P.DEPENDENCY, 24_300.0)
    a_queue.add(key("event"), P.EVENT, 24_300.0)
    assert names(a_queue, 24_501.0) == ["event", "old", "dependency"]


def test_what_is_forgotten_is_gone_and_what_runs_is_told() -> None:
    a_queue = queue.Queue()
    for name in ("ready", "running", "waiting", "other"):
        a_queue.add(key(name), P.EVENT, 0.0, after_s=5.0 if name == "waiting" else 0.0)
    taken = [a_queue.take(0.0), a_queue.take(0.0)]
    assert [each.key.name for each in taken if each] == ["ready", "running"]
    a_queue.done(key("ready"), 0.0, again_s=0.0)
    a_queue.add(key("running"), P.EVENT, 1.0)
    assert a_queue.forget(lambda k: k.name != "other") == [key("running")]
    assert names(a_queue, 99.0) == ["other"]
    a_queue.dropped(key("running"))
    assert len(a_queue) == 0


def test_it_says_how_it_stands() -> None:
    a_queue = queue.Queue()
    a_queue.add(key("a"), P.EVENT, 1.0)
    a_queue.add(key("a"), P.EVENT, 2.0)
    a_queue.add(key("b"), P.EVENT, 3.0)
    a_queue.add(key("c"), P.EVENT, 3.0, after_s=9.0)
    counts = a_queue.counts(4.0)
    assert (counts.ready, counts.waiting, counts.running) == (2, 1, 0)
    assert (counts.adds, counts.folded, counts.oldest_s) == (4, 1, 3.0)
    assert a_queue.take(4.0)
    assert a_queue.counts(4.0).oldest_s == 1.0


def test_times_that_passed_by_are_not_kept() -> None:
    a_queue = queue.Queue()
    for number in range(20_000):
        a_queue.add(key("a"), P.EVENT, float(number))
        assert a_queue.take(float(number))
        a_queue.done(key("a"), float(number), again_s=1e6)
    assert len(a_queue._due) < 3_000
