"""The order inside a window: facts first, believed clocks next, position last."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.bus import hlc
from helios.testing import log_samples

S = clocks.SECOND_US
T0 = log_samples.T0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    event_id: str
    position: int
    sequence: int = 1
    aggregate: tuple[str, str, str] = ("t", "a", "")
    occurred_at: clocks.Timestamp = T0
    recorded_at: clocks.Timestamp = T0
    causation_id: str | None = None


def seen(name: str, position: int, *, said: float = 0, came: float = 0, **given: object) -> Seen:
    facts: dict[str, object] = {"aggregate": ("t", "a", name), **given}
    return msgspec.convert(
        {
            "event_id": name,
            "position": position,
            "occurred_at": T0 + round(said * S),
            "recorded_at": T0 + round(came * S),
            **facts,
        },
        Seen,
    )


def order(*events: Seen) -> list[str]:
    stamps = hlc.stamps(events)
    return [event.event_id for event in sorted(events, key=lambda e: stamps[e.position])]


def test_a_believed_producer_time_puts_what_came_later_first() -> None:
    assert order(seen("b", 1, said=2, came=2), seen("a", 2, said=1, came=3)) == ["a", "b"]


def test_g09_a_clock_that_is_far_off_is_not_believed() -> None:
    hour_behind = seen("a", 2, said=-3600, came=3)
    hour_ahead = seen("c", 1, said=3600, came=1)
    assert order(seen("b", 3, said=2, came=3.5), hour_behind, hour_ahead) == ["c", "b", "a"]


def test_the_sequence_of_an_aggregate_beats_every_clock() -> None:
    one = ("t", "a", "same")
    events = (
        seen("1", 1, said=3, came=3, sequence=1, aggregate=one),
        seen("2", 2, said=1, came=4, sequence=2, aggregate=one),
    )
    assert order(*events) == ["1", "2"]


def test_a_cause_comes_before_its_effect_though_it_was_heard_of_later() -> None:
    assert order(seen("effect", 1, causation_id="cause"), seen("cause", 2, came=2, said=2)) == [
        "cause",
        "effect",
    ]


def test_ties_are_settled_by_position() -> None:
    assert order(seen("b", 2), seen("a", 1)) == ["a", "b"]


def test_a_circle_of_causes_still_has_one_order() -> None:
    events = [seen("a", 1, causation_id="b"), seen("b", 2, causation_id="a")]
    assert order(*events) == order(*reversed(events))


@st.composite
def histories(draw: st.DrawFn) -> list[Seen]:
    sequences: dict[str, int] = {}
    found = []
    for position in range(1, draw(st.integers(2, 12))):
        aggregate = draw(st.sampled_from("xyz"))
        sequences[aggregate] = sequences.get(aggregate, 0) + 1
        found.append(
            seen(
                f"e{position}",
                position,
                said=draw(st.integers(-20, 20)),
                came=position,
                sequence=sequences[aggregate],
                aggregate=("t", "a", aggregate),
                causation_id=draw(st.sampled_from([None, *(f"e{n}" for n in range(1, position))])),
            )
        )
    return found


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_keeps_every_fact_whatever_the_order_of_hearing(
    events: list[Seen], rng: object
) -> None:
    expected = order(*events)
    rng.shuffle(events)  # type: ignore[attr-defined]
    assert order(*events) == expected
    place = {name: index for index, name in enumerate(expected)}
    for event in events:
        if event.causation_id is not None:
            assert place[event.causation_id] < place[event.event_id]
        for other in events:
            if other.aggregate == event.aggregate and other.sequence < event.sequence:
                assert place[other.event_id] < place[event.event_id]
