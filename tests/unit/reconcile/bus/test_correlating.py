"""One correlation: what is known of it is a set, and what is told of it follows from that."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.bus import correlating, events
from helios.testing import bus_samples as samples

LONG_AFTER = samples.at(3600)


def known(*found: envelope.Event) -> correlating.Correlation:
    return correlating.folded("acme", "k", found)


def judged(
    found: Sequence[envelope.Event], now: clocks.Timestamp = LONG_AFTER
) -> correlating.Judged:
    return correlating.judge(known(*found), now)


def shown(found: Sequence[envelope.Event], now: clocks.Timestamp = LONG_AFTER) -> events.Record:
    k = known(*found)
    j = correlating.judge(k, now)
    released = [] if j.closed_at is None else [fact.position for fact in k.facts]
    return correlating.record(k, j, released)


def test_d40_a_record_has_every_field() -> None:
    record = shown([samples.started(["A"], commands=["c"]), samples.event(2, "A", 1)])
    assert record.__struct_fields__ == (
        "correlation_id",
        "client_id",
        "correlation_type",
        "command_id",
        "command_ids",
        "event_ids",
        "expected_events",
        "received_events",
        "initiated_at",
        "consistency_window",
        "expires_at",
        "completed_at",
        "status",
        "late",
        "missing_events",
        "out_of_order_events",
        "event_buffer",
        "ttl_timestamp",
    )
    assert (record.initiated_at, record.expires_at, record.ttl_timestamp) == (
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:05Z",
        "2026-01-08T00:00:00Z",
    )
    assert record.consistency_window == 5.0


def test_d49_it_is_pending_then_partial_then_complete() -> None:
    start, a, b = samples.started(["A", "B"]), samples.event(2, "A", 1), samples.event(3, "B", 2)
    now = samples.at(3)
    assert judged([start], now).status == "pending"
    assert judged([start, a], now).status == "partial"
    assert [m.type for m in judged([start, a], now).missing] == ["B"]
    done = judged([start, a, b], now)
    assert (done.status, done.late, done.completed_at) == ("completed", False, samples.at(2))


def test_a_window_that_ends_with_something_missing_expires() -> None:
    start = samples.started(["A", "B"])
    found = [start, samples.event(2, "A", 1)]
    assert judged(found, samples.at(4.999)).closed_at is None
    ended = judged(found, samples.at(5))
    assert (ended.status, ended.closed_at) == ("expired", samples.at(5))
    assert shown(found).missing_events == ("B",)


def test_what_comes_late_is_told_processed_and_completes_it_late() -> None:
    found = [samples.started(["A"]), samples.event(2, "A", 9)]
    record = shown(found)
    assert (record.status, record.late) == ("completed", True)
    assert record.out_of_order_events == ("e2",)
    assert record.event_buffer[0].processed_at == "2026-01-01T00:00:09Z"


def test_g07_nothing_expected_completes_only_when_that_was_said() -> None:
    none = judged([samples.started(None)], samples.at(0))
    assert (none.status, none.completed_at) == ("completed", samples.at(0))
    assert judged([samples.started(["A"])], samples.at(0)).status == "pending"


def test_p07_commands_of_one_correlation_complete_as_one() -> None:
    start = samples.started(None, commands=["c1", "c2"])
    one = [start, samples.ended(2, "c1", 1)]
    assert judged(one, samples.at(2)).status == "partial"
    assert judged([*one, samples.ended(3, "c2", 2)], samples.at(2)).status == "completed"


@pytest.mark.parametrize("kind", [events.COMMAND_FAILED, events.COMMAND_EXPIRED])
def test_p07_commands_of_one_correlation_fail_as_one(kind: str) -> None:
    start = samples.started(["A"], commands=["c1", "c2"])
    failed = samples.ended(3, "c2", 2, kind)
    found = [start, samples.ended(2, "c1", 1), failed, samples.event(4, "A", 3)]
    told = judged(found, samples.at(3))
    assert (told.status, told.completed_at) == ("failed", samples.at(2))
    assert told.failure is not None
    assert told.failure.command_id == "c2"


def test_one_event_does_not_stand_for_two_that_are_expected() -> None:
    start = samples.started(["A", "A"])
    one = [start, samples.event(2, "A", 1)]
    assert shown(one).missing_events == ("A",)
    assert judged([*one, samples.event(3, "A", 2)]).status == "completed"


def test_an_event_about_another_stack_is_not_the_one_expected() -> None:
    start = samples.started([events.Expectation(type="A", stack_id="shop")])
    other = samples.event(2, "A", 1)
    assert shown([start, other]).missing_events == ("A",)
    right = samples.event(3, "A", 1, aggregate=("helios.stack", "shop"))
    assert judged([start, other, right]).status == "completed"


def test_nothing_is_handed_on_before_the_window_closes_and_then_in_order() -> None:
    start = samples.started(["A", "B"])
    b = samples.event(2, "B", 2, aggregate=("x", "b"), occurred_at=samples.at(1.5))
    a = samples.event(3, "A", 3, aggregate=("x", "a"), occurred_at=samples.at(1))
    waiting = known(start, b)
    assert correlating.due(waiting, correlating.judge(waiting, samples.at(2)), ()) == []
    done = known(start, b, a)
    due = correlating.due(done, correlating.judge(done, samples.at(3)), ())
    assert [fact.event_id for fact in due] == ["e3", "e2"]
    assert shown([start, b, a]).out_of_order_events == ("e3",)


def test_after_the_close_events_are_handed_on_as_they_come() -> None:
    found = [samples.started(["A"]), samples.event(2, "A", 1), samples.event(3, "B", 2)]
    k = known(*found)
    due = correlating.due(k, correlating.judge(k, samples.at(2)), {2})
    assert [fact.event_id for fact in due] == ["e3"]


def test_commands_that_join_later_lengthen_the_window_and_the_list() -> None:
    first = samples.started(["A"], commands=["c1"])
    second = samples.started(["B"], commands=["c2"], position=2, seconds=3)
    record = shown([first, second])
    assert record.expires_at == "2026-01-01T00:00:08Z"
    assert (record.expected_events, record.command_ids) == (("A", "B"), ("c1", "c2"))


def test_what_is_beyond_the_bound_is_left_to_the_log() -> None:
    start = samples.started(["A"])
    many = [samples.event(n, "X", 1) for n in range(2, correlating.EVENTS_MAX + 20)]
    k = known(start, *many)
    assert len(k.facts) == correlating.EVENTS_MAX
    assert judged([start, *many, samples.event(1000, "A", 2)]).status == "completed"


def test_bookkeeping_does_not_belong_to_the_correlation() -> None:
    start = samples.started(["CorrelationProgressed", "CommandIssued"])
    own = [
        samples.event(2, "CorrelationProgressed", 1, aggregate=(events.CORRELATION, "k")),
        samples.event(3, "CommandIssued", 1, aggregate=(events.COMMAND, "c")),
    ]
    assert known(start, *own).facts == ()


STORY = [
    samples.started(["A", "B", "C"], commands=["c1"]),
    samples.event(2, "B", 1, aggregate=("x", "b"), occurred_at=samples.at(0.9), causation_id="e5"),
    samples.ended(3, "c1", 2),
    samples.event(4, "C", 3, aggregate=("x", "c"), occurred_at=samples.at(-600)),
    samples.event(5, "A", 6, aggregate=("x", "a"), occurred_at=samples.at(0.5)),
]
"""One event is late, one is the effect of a later one, one has a clock that is ten minutes off."""


def test_scenario_14_all_permutations_of_delivery_end_in_the_same_record() -> None:
    expected = shown(STORY)
    assert (expected.status, expected.late) == ("completed", True)
    for order in itertools.permutations(STORY):
        paired = [event for event in order for _ in range(2)]
        for delivered in (order, (*order, *order), paired):
            assert shown(delivered) == expected


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ABCX"), st.floats(0, 10), st.floats(-20, 20)),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_comes_in_whatever_order_each_event_is_processed_once(
    drawn: list[tuple[str, float, float]], rng: object
) -> None:
    found = [samples.started(["A", "B", "C"], commands=["c1"])]
    for position, (kind, came, said) in enumerate(drawn, 2):
        aggregate = ("x", kind)
        found.append(
            samples.event(position, kind, came, aggregate=aggregate, occurred_at=samples.at(said))
        )
    found.append(samples.ended(len(found) + 1, "c1", 1))
    expected = shown(found)
    delivered = [*found, *found]
    rng.shuffle(delivered)  # type: ignore[attr-defined]
    k = correlating.Correlation(client_id="acme", correlation_id="k")
    processed: list[str] = []
    released: set[int] = set()
    for event in [*delivered]:
        k = correlating.take(k, event)
        if k.starts:
            now = LONG_AFTER if event is delivered[-1] else event.recorded_at
            due = correlating.due(k, correlating.judge(k, now), released)
            processed += [fact.event_id for fact in due]
            released |= {fact.position for fact in due}
    assert sorted(processed) == sorted(event.id for event in found[1:-1])
    assert correlating.record(k, correlating.judge(k, LONG_AFTER), released) == expected
