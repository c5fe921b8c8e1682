import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.eventlog import cloudevents, envelope
from helios.kernel import clock, cloudevents_wire, errors
from helios.kernel import cloudevents as rules

NOW = clock.Timestamp(1_767_323_045_000_000)
BASE = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "com.example.placed"}


def structured(**changes: Any) -> bytes:
    value = {**BASE, **changes}
    return json.dumps({k: v for k, v in value.items() if v is not ...}).encode()


def test_the_vectors_are_read_as_they_say(shared: Path) -> None:
    files = sorted((shared / "vectors" / "cloudevents").glob("*.json"))
    assert files
    for file in files:
        vector = json.loads(file.read_text())
        headers = [(k.lower().encode(), v.encode()) for k, v in vector["request"]["headers"]]
        body = vector["request"]["body_utf8"].encode()
        kind = cloudevents_wire.media_type(dict(headers)[b"content-type"].decode())
        if kind == cloudevents_wire.STRUCTURED:
            event = cloudevents_wire.parse_structured(body)
        else:
            event = cloudevents_wire.parse_binary(headers, body)
        (expected,) = vector["expect"]["events"]
        data = expected.pop("__data__")
        assert event.attributes == expected, file.name
        assert json.loads(event.data) == data, file.name
        made = cloudevents.to_new_event(event, NOW)
        assert cloudevents.from_event(made) == event, file.name


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": ...}, "specversion"),
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": 1.0}, "specversion"),
        ({"id": ...}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": None}, "id"),
        ({"id": "x" * 513}, "id"),
        ({"source": ...}, "source"),
        ({"source": ""}, "source"),
        ({"source": "not a uri"}, "source"),
        ({"source": "/a%zz"}, "source"),
        ({"type": ...}, "type"),
        ({"type": ""}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2018-04-05T03:56:24"}, "time"),
        ({"time": 1}, "time"),
        ({"subject": ""}, "subject"),
        ({"subject": True}, "subject"),
        ({"dataschema": "/relative"}, "dataschema"),
        ({"dataschema": ""}, "dataschema"),
        ({"datacontenttype": "json"}, "datacontenttype"),
        ({"UPPER": "x"}, "UPPER"),
        ({"with_underscore": "x"}, "with_underscore"),
        ({"with-dash": "x"}, "with-dash"),
        ({"": "x"}, None),
        ({"ext": 1.5}, "ext"),
        ({"ext": 2**31}, "ext"),
        ({"ext": {}}, "ext"),
        ({"ext": []}, "ext"),
        ({"ext": "\x07"}, "ext"),
        ({"ext": "\ufffe"}, "ext"),
        ({"data": 1, "data_base64": "AA=="}, "data"),
        ({"data_base64": "no base64!"}, "data_base64"),
        ({"data_base64": 7}, "data_base64"),
    ],
)
def test_what_the_specification_refuses_is_refused(change: Any, field: str | None) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        cloudevents_wire.parse_structured(structured(**change))
    assert caught.value.field == (field or "")


@pytest.mark.parametrize(
    "change",
    [
        {"clientid": ""}, {"clientid": 7}, {"eventversion": 0}, {"eventversion": "x"},
        {"eventversion": True}, {"aggregatetype": ""}, {"heliosmetadata": "[]"},
        {"heliosmetadata": '{"cloudevents":1}', "subject": "x"}, {"correlationid": ""},
    ],
)  # fmt: skip
def test_an_extension_of_ours_with_a_wrong_value_is_refused(change: Any) -> None:
    event = cloudevents_wire.parse_structured(structured(**change))
    with pytest.raises(errors.InvalidInputError):
        cloudevents.to_new_event(event, NOW)


def test_null_attributes_are_absent() -> None:
    assert cloudevents_wire.parse_structured(structured(ext=None)).attributes == BASE


def test_binary_headers_are_decoded_and_refused_when_broken() -> None:
    base = [(f"ce-{k}".encode(), v.encode()) for k, v in BASE.items()]
    good = [*base, (b"ce-ext", b'"Euro%20%E2%82%AC %F0%9F%98%80 \\"q\\""')]
    event = cloudevents_wire.parse_binary(good, b"")
    assert event.attributes["ext"] == 'Euro \u20ac \U0001f600 "q"'
    for bad in (
        [*base, (b"ce-id", b"2")],
        [*base, (b"ce-ext", b"100%")],
        [*base, (b"ce-ext", b"%ff")],
        [*base, (b"ce-ext", b"%00")],
        [*base, (b"ce-datacontenttype", b"text/plain")],
        [*base, (b"ce-data", b"x")],
        base[1:],
    ):
        with pytest.raises(errors.InvalidInputError):
            cloudevents_wire.parse_binary(bad, b"")
    headers = [*base, (b"content-type", b"application/vnd.x+json")]
    with pytest.raises(errors.InvalidInputError, match="twice"):
        cloudevents_wire.parse_binary(headers, b'{"a":1,"a":2}')


def test_fields_land_where_helios_has_them() -> None:
    event = cloudevents.to_new_event(
        cloudevents_wire.parse_structured(
            structured(
                clientid="acme",
                eventversion=3,
                aggregatetype="order",
                aggregateid="ORD-7",
                actor="user:eve",
                correlationid="c",
                causationid="d",
                traceparent="00-1-2-01",
                time="2026-01-02T03:04:05Z",
                data={"a": 1},
            )
        ),
        NOW,
    )
    assert event == envelope.NewEvent(
        id="1",
        source="/shop",
        type="com.example.placed",
        version=3,
        tenant="acme",
        aggregate_type="order",
        aggregate_id="ORD-7",
        occurred_at=NOW,
        actor="user:eve",
        correlation_id="c",
        causation_id="d",
        payload=b'{"a": 1}',
        metadata=b'{"traceparent":"00-1-2-01"}',
    )


text = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="\0\ufffe\uffff"),
    min_size=1,
    max_size=8,
)
uri = st.from_regex(r"\A[a-z/:.?#a-zA-Z0-9%20]{1,12}\Z").filter(
    lambda t: rules._URI_REFERENCE.fullmatch(t) is not None
)
times = st.sampled_from(
    ["2018-04-05T03:56:24Z", "2018-04-05t03:56:24.123456789z", "2016-12-31T23:59:60+14:00",
     "0001-01-01T00:00:00Z", "2026-01-02T03:04:05.120Z"]
)  # fmt: skip
known = st.fixed_dictionaries(
    {},
    optional={
        "time": times,
        "subject": text,
        "dataschema": st.just("urn:schema:1"),
        "clientid": text | st.just("default"),
        "eventversion": st.integers(1, 9) | st.sampled_from(["1", "7"]),
        "aggregatetype": text | st.just("source"),
        "aggregateid": text,
        "actor": text,
        "correlationid": text,
        "causationid": text,
        "traceparent": text,
        "tracestate": text,
        "heliosmetadata": st.sampled_from(
            ["{}", ' {"a": 1} ', '{"traceparent":"x"}', '{"a":{"b":[1,2]},"traceparent":"y"}']
        ),
    },
)
unknown = st.dictionaries(
    st.from_regex(r"\A[a-z0-9]{1,20}\Z").filter(
        lambda n: (
            n not in rules.CORE | {"data", "sequence"}
            and not n.startswith("helios")
            and n not in ("clientid", "eventversion", "actor")
        )
    ),
    text | st.integers(-(2**31), 2**31 - 1) | st.booleans() | st.just(""),
    max_size=3,
)
json_data = st.sampled_from([b"{}", b'{"a": [1, {"b": 1.50}]}', b"null", b"[1,2]", b'"text"', b"7"])


@st.composite
def cloud_events(draw: st.DrawFn) -> cloudevents.CloudEvent:
    attributes: dict[str, Any] = {
        **draw(unknown), **draw(known),
        "specversion": "1.0", "id": draw(text), "source": draw(uri), "type": draw(text),
    }  # fmt: skip
    kinds: list[rules.Kind] = ["none", "json", "binary"]
    kind = draw(st.sampled_from(kinds))
    if kind == "none":
        return rules.check(cloudevents.CloudEvent(attributes=attributes))
    if kind == "json":
        attributes["datacontenttype"] = draw(st.sampled_from(["application/json", "a/b+json"]))
        data = draw(json_data)
    else:
        attributes["datacontenttype"] = draw(st.sampled_from(["text/xml", "image/png"]))
        data = draw(st.binary(min_size=1, max_size=20))
    event = cloudevents.CloudEvent(attributes=attributes, kind=kind, data=data)
    return rules.check(event)


def appended(event: envelope.NewEvent) -> envelope.Event:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return envelope.Event(position=envelope.Position(7), sequence=2, recorded_at=NOW, **fields)


@given(event=cloud_events())
def test_every_cloudevent_comes_back_as_it_was(event: cloudevents.CloudEvent) -> None:
    made = cloudevents.to_new_event(event, NOW)
    assert type(msgspec.json.decode(made.payload)) is dict
    assert type(msgspec.json.decode(made.metadata)) is dict
    assert cloudevents.from_event(made) == event
    out = cloudevents.from_event(appended(made))
    assert out.attributes["heliosposition"] == "7"
    assert cloudevents.without_place(out) == event


@given(event=cloud_events())
def test_every_mode_gives_the_same_event(event: cloudevents.CloudEvent) -> None:
    one = cloudevents_wire.to_structured(event)
    assert cloudevents_wire.parse_structured(one) == event
    (again,) = msgspec.json.decode(cloudevents_wire.to_batch([event]), type=list[msgspec.Raw])
    assert cloudevents_wire.parse_structured(bytes(again)) == event
    headers, body = cloudevents_wire.to_binary(event)
    names = [(name.lower(), value) for name, value in headers]
    parsed = cloudevents_wire.parse_binary(names, body)
    shown = {
        n: {True: "true", False: "false"}[v] if isinstance(v, bool) else str(v)
        for n, v in event.attributes.items()
    }
    assert parsed.attributes == shown
    assert (parsed.kind, parsed.data) == (event.kind, event.data)


new_events = st.builds(
    envelope.NewEvent,
    id=text,
    source=st.sampled_from(["aws", "/a/b", "urn:x:1"]),
    type=text,
    version=st.integers(1, 5),
    tenant=text | st.just("default"),
    aggregate_type=text,
    aggregate_id=text,
    occurred_at=st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
    actor=text,
    correlation_id=st.none() | text,
    causation_id=st.none() | text,
    payload=st.sampled_from([b"{}", b'{ "a" : 1.0 }', b'{"data":1}']),
    metadata=st.sampled_from(
        [b"{}", b'{"a":1}', b'{ "traceparent" : "x" }', b'{"traceparent":"x","tracestate":"y"}']
    ),
)


@given(event=new_events)
def test_every_event_survives_the_way_through_a_cloudevent(event: envelope.NewEvent) -> None:
    text_form = cloudevents_wire.to_structured(cloudevents.from_event(event))
    back = cloudevents.to_new_event(cloudevents_wire.parse_structured(text_form), NOW)
    assert back == event


def test_binary_data_are_kept_as_base64_in_the_payload() -> None:
    headers = [(f"ce-{k}".encode(), v.encode()) for k, v in BASE.items()]
    event = cloudevents_wire.parse_binary([*headers, (b"content-type", b"image/png")], b"\x89PNG")
    made = cloudevents.to_new_event(event, NOW)
    assert json.loads(made.payload) == {"data_base64": base64.b64encode(b"\x89PNG").decode()}


def test_a_time_too_far_ahead_is_cut_and_comes_back_as_claimed() -> None:
    event = cloudevents_wire.parse_structured(structured(time="2099-01-01T00:00:00Z"))
    made = cloudevents.to_new_event(event, NOW, latest=NOW)
    assert made.occurred_at == NOW
    assert cloudevents.from_event(made) == event
