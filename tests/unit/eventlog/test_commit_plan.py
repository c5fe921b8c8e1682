"""The plan of a group commit: what goes in, and what each caller is told."""

from typing import Any

from helios.eventlog import commit, envelope, ports
from helios.kernel import errors
from helios.testing import log_samples as samples

P = envelope.Position


def request(*numbers: int, **settings: Any) -> ports.AppendRequest:
    return ports.AppendRequest(events=samples.events(numbers), **settings)


def dedup(number: int) -> commit.DedupKey:
    return ("default", "shop", samples.UUID.format(number))


def test_questions_name_each_thing_once() -> None:
    asked = commit.questions(
        [
            request(0, 1, 4, expected={("default", "order", "other"): 3}),
            request(1, idempotency=samples.key("k")),
            request(1, idempotency=samples.key("k")),
        ]
    )
    assert asked.events == [dedup(0), dedup(1), dedup(4)]
    assert asked.aggregates == [
        samples.aggregate(0),
        samples.aggregate(1),
        ("default", "order", "other"),
    ]
    assert asked.keys == [("default/me", "k")]


def test_places_go_on_from_the_facts() -> None:
    facts = commit.Facts(head=P(10), heads={samples.aggregate(0): 7})
    plan = commit.plan([request(0, 4, 1)], facts)
    assert [(p, s) for p, s, _ in plan.rows] == [(11, 8), (12, 1), (13, 9)]
    assert plan.outcomes == [
        envelope.Appended(
            positions=[P(11), P(12), P(13)], sequences=[8, 1, 9], duplicates=[False] * 3
        )
    ]


def test_the_facts_are_not_touched() -> None:
    heads: dict[envelope.AggregateKey, int] = {}
    known: dict[commit.DedupKey, commit.Place] = {}
    commit.plan([request(0)], commit.Facts(head=P(0), heads=heads, known=known))
    assert (heads, known) == ({}, {})


def test_a_refused_request_uses_no_position() -> None:
    stale = request(0, 1, expected={samples.aggregate(0): 4})
    plan = commit.plan([stale, request(2)], commit.Facts(head=P(0)))
    conflict, appended = plan.outcomes
    assert isinstance(conflict, errors.ConflictError)
    assert (conflict.expected, conflict.actual) == (4, 0)
    assert isinstance(appended, envelope.Appended)
    assert appended.positions == [1]
    assert [e.id for _, _, e in plan.rows] == [samples.UUID.format(2)]


def test_a_request_sees_what_the_ones_before_it_did() -> None:
    expected = {samples.aggregate(0): 0}
    plan = commit.plan(
        [request(0, expected=expected), request(1, expected=expected), request(0)],
        commit.Facts(head=P(0)),
    )
    first, second, third = plan.outcomes
    assert isinstance(first, envelope.Appended)
    assert isinstance(second, errors.ConflictError)
    assert isinstance(third, envelope.Appended)
    assert (third.positions, third.duplicates) == ([1], [True])


def test_a_plan_without_rows_and_answers_is_empty() -> None:
    facts = commit.Facts(head=P(3), known={dedup(0): (P(3), 1)})
    assert commit.plan([request(0)], facts).is_empty
    assert not commit.plan([request(1)], facts).is_empty
    assert not commit.plan([request(0, idempotency=samples.key("k"))], facts).is_empty


def test_a_known_answer_is_replayed_before_anything_is_checked() -> None:
    appended = envelope.Appended(positions=[P(2)], sequences=[2], duplicates=[False])
    answers = {
        ("default/me", "k"): commit.Answer(request_hash=b"a", appended=appended),
    }
    plan = commit.plan(
        [
            request(9, expected={samples.aggregate(0): 99}, idempotency=samples.key("k")),
            request(9, idempotency=samples.key("k", b"other")),
        ],
        commit.Facts(head=P(5), answers=answers),
    )
    replayed, refused = plan.outcomes
    assert isinstance(replayed, envelope.Appended)
    assert replayed.replayed
    assert replayed.positions == [2]
    assert isinstance(refused, errors.IdempotencyError)
    assert plan.is_empty


def test_expected_of_an_aggregate_without_events_in_the_request_counts_too() -> None:
    guard = ("default", "order", "guard")
    plan = commit.plan([request(0, expected={guard: 1})], commit.Facts(head=P(0), heads={guard: 2}))
    assert isinstance(plan.outcomes[0], errors.ConflictError)
