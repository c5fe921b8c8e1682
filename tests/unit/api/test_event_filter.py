"""Filter expressions over events."""

import msgspec
import pytest

from helios.api import event_filter
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors

NOW = clocks.Timestamp(1_800_000_000 * clocks.SECOND_US)


def event(**change: object) -> envelope.Event:
    made = envelope.Event(
        position=envelope.Position(7),
        sequence=1,
        recorded_at=clocks.Timestamp(NOW - 60 * clocks.SECOND_US),
        occurred_at=clocks.Timestamp(NOW - 90 * clocks.SECOND_US),
        id="e7",
        source="shop",
        type="OrderPlaced",
        tenant="acme",
        aggregate_type="source",
        aggregate_id="shop",
        actor="service:shop",
        payload=(
            b'{"orderId":"ORD-7","total":120.5,"items":[{"sku":"A"},{"sku":"B"}],"status":"ok"}'
        ),
        metadata=b'{"environment":"prod"}',
    )
    return msgspec.structs.replace(made, **change)


@pytest.mark.parametrize(
    "text",
    [
        "type:OrderPlaced", "type:Order*", "-type:Payment*", "source:shop,till", "client:acme",
        "key:ORD-7", "key:shop", "payload.total>100", "payload.items.sku:B",
        "payload.items.0.sku:A",
        "-status:failed", "age<5m", "age>=1m", "position:5..9", "metadata.environment:prod",
        "ord-7", '"orderplaced"', "-payload.none:1", "actor:service:*", "size>10",
    ],
)  # fmt: skip
def test_an_event_is_found_by_what_it_is_and_holds(text: str) -> None:
    found = event_filter.compile(text)
    assert found.where.passes(event())
    assert found.passes(event(), NOW)


@pytest.mark.parametrize(
    "text",
    [
        "type:Payment", "key:ORD-8", "payload.items.5.sku:A", "age>5m", "status:failed",
        "client:bolt",
    ],
)  # fmt: skip
def test_an_event_is_not_found_by_what_it_is_not(text: str) -> None:
    found = event_filter.compile(text)
    assert not (found.where.passes(event()) and found.passes(event(), NOW))


def test_what_the_log_can_filter_is_left_to_it() -> None:
    found = event_filter.compile("type:A,B source:shop client:acme about:order age<1h")
    assert found.where == envelope.Filter(
        tenant="acme", types=("A", "B"), sources=("shop",), aggregate_type="order"
    )
    assert [term.field for term in found.rest.terms] == ["age"]


def test_a_client_that_is_not_asked_for_cannot_be_asked_for_by_filter() -> None:
    found = event_filter.compile("client:bolt", client_id="acme")
    assert found.where.tenant == "acme"
    assert not found.passes(event(), NOW)


def test_a_payload_that_is_no_object_has_no_fields() -> None:
    broken = event(payload=b"[" * 10_000)
    assert not event_filter.compile("payload.total>1").passes(broken, NOW)


def test_a_field_that_events_have_not_is_refused_with_those_they_have() -> None:
    with pytest.raises(errors.InvalidInputError, match=r"payload\.total, and there are type"):
        event_filter.compile("total>1")
