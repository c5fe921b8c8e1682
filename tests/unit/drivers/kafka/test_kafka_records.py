"""What Kafka records become, without a broker."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.drivers.kafka import binding, options, records
from helios.kernel import cloudevents, errors, limits
from helios.providers import ports as providers

EVENT = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "order.placed"}


def settings(**given: Any) -> options.Options:
    return options.parse({"bootstrap": "b:1", "topics": ["orders"], **given})


def record(value: bytes | None, **given: Any) -> records.Record:
    return records.Record(topic="orders", partition=3, offset=42, value=value, **given)


def received(a_record: records.Record, **given: Any) -> providers.Received:
    found = records.read(a_record, settings(**given)).received
    assert isinstance(found, tuple)
    (one,) = found
    return one


def reason(a_record: records.Record, **given: Any) -> str:
    found = records.read(a_record, settings(**given)).received
    assert isinstance(found, providers.UnprocessableError)
    return found.reason


def binary(**given: Any) -> tuple[tuple[str, bytes], ...]:
    return tuple((f"ce_{name}", str(text).encode()) for name, text in {**EVENT, **given}.items())


def test_plain_json_is_known_by_its_place_and_its_key_is_what_it_is_about() -> None:
    one = received(record(b' {"a": 1} ', key=b"o-1", timestamp_ms=1_700_000_000_000))
    assert (one.id, one.scope, one.type) == ("orders-3-42", None, "orders")
    assert (one.aggregate_type, one.aggregate_id) == ("orders", "o-1")
    assert one.occurred_at == 1_700_000_000_000_000
    assert one.payload == b'{"a": 1}'
    assert one.metadata["kafka"] == {"topic": "orders", "partition": 3, "offset": 42, "key": "o-1"}


def test_id_type_and_time_are_found_where_the_options_say() -> None:
    value = b'{"meta": {"id": 7, "at": "2026-01-02T03:04:05Z"}, "kind": "order.placed"}'
    where = {"id_field": "meta.id", "time_field": "meta.at", "type_field": "kind"}
    one = received(record(value), **where)
    assert (one.id, one.type, one.time) == ("7", "order.placed", "2026-01-02T03:04:05Z")
    headers = (("id", b"old"), ("id", b"new"), ("type", b"t"))
    one = received(record(value, headers=headers), id_header="id", type_header="type", **where)
    assert (one.id, one.type) == ("new", "t")


@pytest.mark.parametrize("value", [b"[1]", b'"text"', b"7", b"null"])
def test_json_that_is_no_object_is_wrapped(value: bytes) -> None:
    one = received(record(value))
    assert json.loads(one.payload) == {"data": json.loads(value)}


@pytest.mark.parametrize(
    ("a_record", "given", "expected"),
    [
        (record(b"{"), {}, "invalid_json"),
        (record(b""), {}, "invalid_json"),
        (record(b'{"a":NaN}'), {}, "invalid_json"),
        (record(b"[" * 100 + b"]" * 100), {}, "invalid_json"),
        (record(b"{}"), {"id_field": "id"}, "missing_id"),
        (record(b'{"id": {}}'), {"id_field": "id"}, "missing_id"),
        (record(b'{"id": "a\\u0007"}'), {"id_field": "id"}, "invalid_text"),
        (record(b'{"at": "soon"}'), {"time_field": "at"}, "invalid_time"),
        (record(b"{}", headers=(("id", b"\xff"),)), {"id_header": "id"}, "invalid_header"),
        (record(b"x" * (limits.EVENT_BYTES_MAX + 1)), {}, "too_large"),
        (record(None), {}, "tombstone_without_key"),
        (record(None, key=b"\xff"), {}, "tombstone_without_key"),
        (record(b"{}"), {"format": "cloudevents"}, "invalid_cloudevent"),
        (record(None, key=b"k"), {"format": "cloudevents"}, "tombstone_without_key"),
        (record(b"{}", headers=(("ce_id", b"1"),)), {}, "invalid_cloudevent"),
        (record(b"{}", headers=binary(id="\0")), {}, "invalid_cloudevent"),
        (record(b"{}", headers=(*binary(), ("ce_id", b"2"))), {}, "invalid_cloudevent"),
        (record(b"{}", headers=(*binary(), ("ce_x", b"\xff"))), {}, "invalid_cloudevent"),
        (
            record(b"[]", headers=(("content-type", b"application/cloudevents-batch+json"),)),
            {},
            "invalid_cloudevent",
        ),
        (
            record(b"{}", headers=(("content-type", b"application/cloudevents+avro"),)),
            {},
            "invalid_cloudevent",
        ),
    ],
)
def test_what_cannot_be_read_says_why(
    a_record: records.Record, given: dict[str, Any], expected: str
) -> None:
    if expected == "tombstone_without_key" and given:
        assert received(a_record, **given).type == "orders.deleted"
    else:
        assert reason(a_record, **given) == expected


def test_tombstones_can_be_skipped() -> None:
    assert records.read(record(None, key=b"k"), settings(tombstones="skip")).received == ()


def test_a_cloudevent_keeps_its_source_as_the_scope_of_its_id_and_percent_signs_as_they_are() -> (
    None
):
    headers = (*binary(id="%41", subject="s"), ("content-type", b"application/json"))
    one = received(record(b'{"a":1}', headers=headers, key=b"o-1"))
    assert (one.id, one.scope, one.type) == ("%41", "/shop", "order.placed")
    assert (one.aggregate_type, one.aggregate_id) == ("orders", "o-1")
    assert one.metadata["subject"] == "s"
    assert one.payload == b'{"a":1}'


def test_a_declared_cloudevents_topic_needs_no_header_for_structured_events() -> None:
    value = json.dumps({**EVENT, "data": [1]}).encode()
    assert received(record(value), format="cloudevents").id == "e-1"
    assert received(record(value)).id == "orders-3-42"
    assert received(record(value, headers=binary()), format="json").id == "orders-3-42"


def test_a_binary_event_without_a_value_has_no_data_and_is_no_tombstone() -> None:
    one = received(record(None, headers=binary(), key=b"k"))
    assert (one.type, one.payload) == ("order.placed", b"{}")


_headers = st.lists(
    st.tuples(st.sampled_from(["h", "ce_id", "trace", "content-type"]), st.binary(max_size=9))
)


@given(
    st.binary(max_size=40),
    st.none() | st.binary(max_size=9),
    _headers.map(tuple),
    st.none() | st.integers(0, 2**40),
)
def test_a_record_comes_back_from_what_a_dead_letter_keeps(
    value: bytes, key: bytes | None, headers: tuple[tuple[str, bytes], ...], at: int | None
) -> None:
    first = record(value or None, key=key, headers=headers, timestamp_ms=at)
    told = records.read(first, settings())
    assert records.restored(told.origin, told.headers, told.body) == first


@given(
    st.binary(max_size=60), _headers.map(tuple), st.sampled_from(["auto", "json", "cloudevents"])
)
def test_no_record_is_an_error_of_the_source(
    value: bytes, headers: tuple[tuple[str, bytes], ...], form: str
) -> None:
    told = records.read(record(value, headers=headers), settings(format=form))
    assert told.body == value


_texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"))
_printable = _texts.filter(lambda text: text and all(not 0x7F <= ord(c) <= 0x9F for c in text))


@given(_printable, _printable, st.none() | st.binary(min_size=1))
def test_both_modes_give_back_the_event_that_was_put_in(
    event_id: str, extension: str, data: bytes | None
) -> None:
    event = cloudevents.check(
        cloudevents.CloudEvent(
            attributes={**EVENT, "id": event_id, "ext": extension},
            kind="none" if data is None else "binary",
            data=data or b"",
        )
    )
    assert binding.parse_structured(*binding.to_structured(event)) == event
    headers, value = binding.to_binary(event)
    again = binding.parse_binary(headers, value)
    expected = dict(event.attributes)
    if data is not None:
        expected["datacontenttype"] = "application/octet-stream"
    assert (again.attributes, again.kind, again.data) == (expected, event.kind, event.data)


@pytest.mark.parametrize("text", ["orders/0/42", "my-orders-0-42", "a/b/1"])
def test_places_are_read_in_both_spellings(text: str) -> None:
    if text == "a/b/1":
        with pytest.raises(errors.InvalidInputError, match="not a place"):
            records.parse_origin(text)
    else:
        (topic, partition), offset = records.parse_origin(text)
        assert (topic in ("orders", "my-orders"), partition, offset) == (True, 0, 42)
