"""Random contracts and histories of events for them; needs `hypothesis`.

The values are few and near each other, so that what matters happens often: second events of a
leg, sums that agree, events on the edge of a window, ties.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from helios.testing import stream_model as model

START_US = 1_700_000_000 * model.SECOND_US
AMOUNTS = tuple(map(Decimal, ("1", "1.00", "2", "0.1", "0.2", "0.3", "-1", "3.0")))
NAMES = ("order", "payment", "stock", "parcel")
SOURCES = ("aws", "gcp")


def _sum(events: Sequence[Mapping[str, Any]]) -> Decimal:
    return sum((e["v"] for e in events), Decimal(0))


def rule(name: str, first: model.Leg, second: model.Leg) -> model.Rule:
    """Both legs must have the same amount: each its own, or the sum of many."""
    sides = []
    for leg in (first, second):
        many = leg.cardinality == "many"
        sides.append(f"sum({leg.name}.map(x, x.v))" if many else f"{leg.name}.v")

    def amount(given: Any) -> Decimal:
        value: Decimal = _sum(given) if isinstance(given, list) else given["v"]
        return value

    return model.Rule(
        name=name,
        text=f"abs({sides[0]} - {sides[1]}) < 0.05",
        legs=(first.name, second.name),
        holds=lambda a, b: abs(amount(a) - amount(b)) < Decimal("0.05"),
    )


def alone(name: str, leg: model.Leg) -> model.Rule:
    """The amounts of a leg are above zero."""
    if leg.cardinality == "many":
        return model.Rule(
            name=name,
            text=f"{leg.name}.all(x, x.v > 0)",
            legs=(leg.name,),
            holds=lambda events: all([e["v"] > 0 for e in events]),  # noqa: C419 - no short cut
        )
    return model.Rule(
        name=name, text=f"{leg.name}.v > 0", legs=(leg.name,), holds=lambda event: event["v"] > 0
    )


def _mode(word: str) -> model.Condition:
    return f"event.payload.m == '{word}'", lambda event: bool(event.fields["m"] == word)


@st.composite
def legs(draw: st.DrawFn, number: int) -> model.Leg:
    """A leg with times, conditions and a requirement; the first is never optional."""
    name = NAMES[number]
    within = draw(st.none() | st.sampled_from([3, 10, 25, 40]))
    cases: tuple[tuple[model.Condition, int], ...] = ()
    if within is not None and draw(st.booleans()):
        cases = ((_mode("slow"), 45), (_mode("fast"), 2))[: draw(st.integers(1, 2))]
    cardinality: Any = draw(
        st.sampled_from(["one", "many", "optional"] if number else ["one", "many"])
    )
    return model.Leg(
        name=name,
        type=name.title(),
        source=draw(st.sampled_from(SOURCES)),
        cardinality=cardinality,
        require=("event.payload.m != 'bad'", lambda e: bool(e.fields["m"] != "bad"))
        if draw(st.integers(0, 4)) == 0
        else None,
        within=within,
        cases=cases,
    )


@st.composite
def specs(draw: st.DrawFn, *, window: str | None = None, name: str = "model") -> model.Spec:
    """A contract of 1 to 4 legs."""
    made = tuple(draw(legs(n)) for n in range(draw(st.integers(1, 4))))
    anchors = [None, *(leg.name for leg in made)]
    rules = []
    for n in range(draw(st.integers(0, 3))):
        first, second = draw(st.sampled_from(made)), draw(st.sampled_from(made))
        made_rule = alone(f"r{n}", first) if first is second else rule(f"r{n}", first, second)
        rules.append(made_rule)
    kind: Any = window or draw(st.sampled_from(["per_key", "tumbling", "sliding", "session"]))
    return model.Spec(
        name=name,
        window=kind,
        size=draw(st.sampled_from([10, 30])),
        every=draw(st.sampled_from([5, 10])),
        grace=draw(st.sampled_from([0, 2, 5])),
        idle=draw(st.sampled_from([4, 30])),
        legs=made,
        anchor=draw(st.sampled_from(anchors)),
        rules=tuple(rules),
    )


@st.composite
def histories(
    draw: st.DrawFn, spec: model.Spec, *, ticks: bool = False, max_size: int = 25
) -> list[model.Step]:
    """Deliveries in their order: late and doubled ones among them."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, len(spec.legs)),
                st.sampled_from(["k1", "k1", "k2"]),
                st.integers(0, 4 * 80),
                st.sampled_from([0, 0, 0, 1, 4, 8, 40, 400]),
                st.none() | st.sampled_from(AMOUNTS),
                st.sampled_from([None, "slow", "fast", "bad"]),
                st.sampled_from([None, None, None, None, 0, 20]),
            ),
            min_size=1,
            max_size=max_size,
        )
    )
    deliveries: list[tuple[int, int, model.Step]] = []
    for n, (leg, key, quarter, delay, amount, mode, again) in enumerate(drawn):
        time = START_US + quarter * model.SECOND_US // 4
        if leg == len(spec.legs) and ticks:
            deliveries.append((quarter, n, model.Tick(time)))
            continue
        fields: dict[str, Any] = {}
        if amount is not None:
            fields["v"] = amount
        if mode is not None:
            fields["m"] = mode
        foreign = leg == len(spec.legs)
        event = model.Event(
            id=f"e{n}",
            source=SOURCES[0] if foreign else spec.legs[leg].source or SOURCES[n % 2],
            type="Unrelated" if foreign else spec.legs[leg].type,
            key=key,
            time=time,
            fields=fields,
        )
        deliveries.append((quarter + delay, n, event))
        if again is not None and not foreign:
            deliveries.append((quarter + delay + again, n, event))
    deliveries.sort(key=lambda each: each[:2])
    return [step for _, _, step in deliveries]


def payload(event: model.Event) -> str:
    """The payload as JSON, amounts with the digits they have."""
    parts = [f'"k": {json.dumps(event.key)}']
    for name, value in event.fields.items():
        text = str(value) if isinstance(value, Decimal) else json.dumps(value)
        parts.append(f"{json.dumps(name)}: {text}")
    return "{" + ", ".join(parts) + "}"
