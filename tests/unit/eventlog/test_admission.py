"""What may not enter the log is refused by field, before anything waits."""

from typing import Any

import pytest

from helios.eventlog import admission, ports
from helios.kernel import errors, limits
from helios.testing import log_samples as samples

TEXTS = ("id", "source", "type", "tenant", "aggregate_type", "aggregate_id", "actor")
OPTIONAL = ("correlation_id", "causation_id")


def check(**fields: Any) -> int:
    events = [samples.event(0), samples.event(1, **fields)]
    return admission.check(ports.AppendRequest(events=events))


@pytest.mark.parametrize("field", TEXTS + OPTIONAL)
@pytest.mark.parametrize(
    ("value", "what"),
    [("", "empty"), ("a\0b", "NUL"), ("a\ud800", "surrogate"), ("x" * 513, "at most 512")],
)
def test_a_bad_text_is_named_by_event_and_field(field: str, value: str, what: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=what) as refusal:
        check(**{field: value})
    assert refusal.value.field == f"events[1].{field}"


@pytest.mark.parametrize("field", TEXTS + OPTIONAL)
@pytest.mark.parametrize("value", ["x" * 512, "é 😀", "a\nb", " "])
def test_any_other_text_is_taken(field: str, value: str) -> None:
    check(**{field: value})


@pytest.mark.parametrize(
    ("fields", "name", "what"),
    [
        ({"version": 0}, "version", "begin at 1"),
        ({"version": 1 << 31}, "version", "versions"),
        ({"occurred_at": 1 << 62}, "occurred_at", "9999"),
        ({"occurred_at": -(1 << 62)}, "occurred_at", "9999"),
        ({"payload": b""}, "payload", "not a JSON object"),
        ({"payload": b"[]"}, "payload", "not a JSON object"),
        ({"payload": b"1"}, "payload", "not a JSON object"),
        ({"payload": b'{"a":}'}, "payload", "not a JSON object"),
        ({"payload": b'{"a":NaN}'}, "payload", "not a JSON object"),
        ({"payload": b'{"a":1} x'}, "payload", "not a JSON object"),
        ({"payload": b'{"a":"\xff"}'}, "payload", "not a JSON object"),
        ({"payload": b'{"a":' * 100_000}, "payload", "not a JSON object"),
        ({"metadata": b"null"}, "metadata", "not a JSON object"),
        ({"payload": b'{"a":"' + b"x" * (1 << 20) + b'"}'}, "payload", "at most 1048576"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], name: str, what: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=what) as refusal:
        check(**fields)
    assert refusal.value.field == f"events[1].{name}"


def test_the_number_of_events_is_bounded() -> None:
    with pytest.raises(errors.InvalidInputError, match="an append of 0 events"):
        admission.check(ports.AppendRequest(events=[]))
    many = [samples.event(0)] * (limits.BATCH_EVENTS_MAX + 1)
    with pytest.raises(errors.InvalidInputError, match="5001 events"):
        admission.check(ports.AppendRequest(events=many))


@pytest.mark.parametrize("name", ["", "x" * 256, "a\0"])
def test_an_idempotency_key_is_bounded(name: str) -> None:
    request = ports.AppendRequest(events=[samples.event(0)], idempotency=samples.key(name))
    with pytest.raises(errors.InvalidInputError, match=r"idempotency\.key"):
        admission.check(request)


def test_the_size_is_that_of_payload_and_metadata() -> None:
    events = [samples.event(0, payload=b'{"a":1}', metadata=b'{"b":22}'), samples.event(1)]
    assert admission.check(ports.AppendRequest(events=events)) == 7 + 8 + 12 + 2
