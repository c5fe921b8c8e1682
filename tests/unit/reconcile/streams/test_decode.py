"""From lines of a file to events: what is understood, and what is refused with which reason."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import errors, limits
from helios.reconcile.streams import contract, decode, lines, offline, program, verdicts

YAML = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: c}
spec:
  key: payload.k
  legs: {a: {type: A}, b: {type: B}}
  rules: [{name: equal, check: "a.v - b.v == 0"}]
"""
NOON = "2024-01-01T12:00:00Z"
NOON_UTC = datetime(2024, 1, 1, 12, tzinfo=UTC)
GOOD = b'{"id":"1","type":"A","time":"2024-01-01T12:00:00Z","payload":{"k":"x","v":1.50}}'


def _decoded(*rows: bytes | str, mapping: str = "", leg: int | None = None) -> decode.Decoded:
    raw = [row.encode() if isinstance(row, str) else row for row in rows]
    parsed = contract.parse(YAML + mapping)
    compiled = program.Program(parsed)
    name = parsed.legs[leg].name if leg is not None else None
    decoder = decode.LineDecoder(compiled, parsed.mapping.of(name), leg=leg, first=raw[0])
    return decoder.decode(lines.Chunk(source="f", lines=raw, numbers=range(1, len(raw) + 1)))


def _line(**fields: Any) -> str:
    """A line of raw JSON values by name."""
    own = {"id": '"1"', "type": '"A"', "time": f'"{NOON}"', "payload": '{"k":"x","v":1}'} | fields
    return "{" + ",".join(f'"{name}":{value}' for name, value in own.items() if value) + "}"


def _judged(
    *rows: bytes | str, order: offline.Order = "event"
) -> tuple[list[verdicts.Verdict], list[lines.Reject]]:
    raw = [row.encode() if isinstance(row, str) else row for row in rows]
    found: list[verdicts.Verdict] = []
    rejects: list[lines.Reject] = []
    offline.run(
        contract.parse(YAML),
        [lines.Chunk(source="f", lines=raw, numbers=range(1, len(raw) + 1))],
        order=order,
        on_verdict=found.extend,
        on_reject=rejects.append,
        open_scratch=io.BytesIO,
    )
    return found, rejects


def _payload(event: Any) -> Any:
    return getattr(event, "h_payload", event)


@pytest.mark.parametrize(
    "line",
    [
        _line(),
        '{"event_id":"1","event_type":"A","timestamp":"2024-01-01T12:00Z","data":{"k":"x","v":1}}',
        '{"eventId":"1","eventType":"A","occurredAt":"2024-01-01T12Z","payload":{"k":"x","v":1}}',
        '{"id":"1","type":"A","created_at":"2024-01-01T12:00:00Z","k":"x","v":1}',
        '{"id":"1","type":"A","time":"2024-01-01T12:00:00Z","data":"text","k":"x","v":1}',
    ],
)
def test_the_fields_of_an_event_are_found_by_their_usual_names(line: str) -> None:
    (event,) = _decoded(line).events
    assert (event.h_id, event.h_type, event.h_time) == ("1", "A", NOON_UTC)
    assert (_payload(event).f_k, _payload(event).f_v) == ("x", 1)


def test_a_mapping_names_the_fields_and_gives_constants() -> None:
    mapping = (
        "  mapping: {id: nr, type: {value: B}, source: {value: shop}, time: at, payload: body}\n"
    )
    (event,) = _decoded(f'{{"nr":"7","at":"{NOON}","body":{{"k":"x"}}}}', mapping=mapping).events
    assert (event.h_id, event.h_type, event.h_source) == ("7", "B", "shop")


def test_a_file_bound_to_a_leg_needs_no_type_and_no_id() -> None:
    found = _decoded(*[f'{{"time":"{NOON}","k":"x","v":{n}}}' for n in (1, 2)], leg=1)
    assert [(e.h_id, e.h_type) for e in found.events] == [("f:1", "B"), ("f:2", "B")]


def test_texts_of_a_file_without_types_are_read_as_numbers() -> None:
    (event,) = _decoded(f'{{"id":"1","type":"A","time":"{NOON}","k":"x","v":"12.50"}}').events
    assert event.f_v == Decimal("12.50")


@pytest.mark.parametrize(
    ("written", "mapping"),
    [
        (f'"{NOON}"', ""),
        ('"2024-01-01T13:00:00+01:00"', ""),
        ('"2024-01-01 12:00:00+00:00"', ""),
        ("1704110400", ""),
        ("1704110400000", ""),
        ("1704110400.0", ""),
        ('"1704110400"', ""),
        ('"1704110400000"', ""),
        ('"2024-01-01T12:00:00"', "{timezone: UTC}"),
        ('"2024-01-01T09:00:00"', "{timezone: America/Sao_Paulo}"),
        ('"01/01/2024 09:00"', "{timezone: America/Sao_Paulo, time_format: '%d/%m/%Y %H:%M'}"),
        ('"20240101120000"', "{timezone: UTC, time_format: '%Y%m%d%H%M%S'}"),
        ('"01.01.2024 12:00 +0000"', "{time_format: '%d.%m.%Y %H:%M %z'}"),
    ],
)
def test_times_are_understood_in_the_forms_that_exports_have(written: str, mapping: str) -> None:
    text = f"  mapping: {mapping}\n" if mapping else ""
    found = _decoded(_line(time=written), mapping=text)
    assert found.rejects == []
    assert found.events[0].h_time == NOON_UTC


def test_microseconds_are_kept() -> None:
    (event,) = _decoded(_line(time='"2024-01-01T12:00:00.123456Z"')).events
    assert event.h_time.microsecond == 123_456


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (_line(time='"2024-01-01T12:00:00"'), "no_zone"),
        (_line(time='"yesterday"'), "bad_time"),
        (_line(time="true"), "bad_time"),
        (_line(time="1e300"), "bad_time"),
        (_line(time=None), "no_time"),
        (_line(time="null"), "no_time"),
        (_line(type=None), "no_type"),
        (_line(type="7"), "no_type"),
        (_line(payload='{"v":1}'), "no_key"),
        (_line(payload='{"k":null}'), "no_key"),
        (_line(payload='{"k":""}'), "no_key"),
        (_line(payload='{"k":1.5}'), "bad_key"),
        (_line(payload='{"k":true}'), "bad_key"),
        (_line(payload='{"k":["x"]}'), "bad_key"),
        (_line(payload='{"k":"%s"}' % ("x" * (limits.ID_CHARS_MAX + 1))), "bad_key"),
        (_line(id="1.5"), "bad_key"),
        (_line(payload='{"k":"x","v":true}'), "wrong_type"),
        (_line(payload='{"k":"x","v":"many"}'), "wrong_type"),
        (_line(payload='{"k":"x","v":[1]}'), "wrong_type"),
        (_line(payload="[1]"), "wrong_type"),
        (_line(payload='{"k":"x","v":NaN}'), "not_json"),
        (_line(payload='{"k":"x","v":Infinity}'), "not_json"),
        (_line(payload='{"k":"x","v":%s}' % ("9" * 400)), "number_too_long"),
        (_line(payload='{"k":"x","v":0.%s}' % ("9" * 400)), "number_too_long"),
        (_line(payload='{"k":"x","w":%s}' % ("9" * 400)), "number_too_long"),
        ('{"id": "1", ', "not_json"),
        ("[1, 2]", "not_object"),
        ('"text"', "not_object"),
        ("null", "not_object"),
        (_line() + _line(), "not_json"),
        ('{"a":' * 5_000, "not_json"),
        (_line().encode().replace(b'"x"', b'"\xff"'), "not_utf8"),
        (_line(note='"?"').encode().replace(b"?", b"\xff\xfe"), "not_utf8"),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_with_its_number_and_reason(
    line: bytes | str, code: str
) -> None:
    found = _decoded(GOOD, line, GOOD)
    assert [(r.source, r.line, r.code) for r in found.rejects] == [("f", 2, code)]
    assert found.rejects[0].reason
    assert len(found.events) == 2
    assert found.ignored == 0


def test_a_bad_line_of_no_legs_concern_is_ignored_not_refused() -> None:
    found = _decoded(GOOD, _line(type='"Z"', payload="{}"), _line(type='"Z"', time='"?"'))
    assert (len(found.events), found.rejects, found.ignored) == (1, [], 2)


def test_white_space_is_no_line() -> None:
    found = _decoded(GOOD, "", "  \t", GOOD)
    assert (len(found.events), found.rejects, found.ignored) == (2, [], 0)


def test_a_rejects_raw_line_is_bounded() -> None:
    found = _decoded(GOOD, "x" * 100_000)
    assert len(found.rejects[0].raw) == lines.RAW_BYTES_MAX


@pytest.mark.parametrize("key", ["7", "-7", "12345678901234567890123", '"7"'])
def test_a_key_may_be_a_whole_number(key: str) -> None:
    (event,) = _decoded(_line(payload=f'{{"k":{key},"v":1}}')).events
    assert event.h_payload.f_k == key.strip('"')


def test_numbers_and_texts_as_keys_meet() -> None:
    found, _ = _judged(
        _line(payload='{"k":7,"v":1}'), _line(id='"2"', type='"B"', payload='{"k":"7","v":1.0}')
    )
    assert [(v.key, v.status) for v in found] == [("7", "matched")]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_numbers_are_exact(value: Decimal) -> None:
    (event,) = _decoded(_line(payload=f'{{"k":"x","v":{value:f}}}')).events
    assert event.h_payload.f_v == value
    assert not isinstance(event.h_payload.f_v, float)


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-inf"])
def test_a_text_that_is_no_number_makes_a_mismatch_that_json_can_say(value: str) -> None:
    found, rejects = _judged(
        _line(payload=f'{{"k":"x","v":"{value}"}}'),
        _line(id='"2"', type='"B"', payload='{"k":"x","v":1}'),
    )
    assert rejects == []
    assert [v.status for v in found] == ["mismatched"]
    for said in found[0].validation_errors["equal"].values():
        assert not isinstance(said, Decimal) or said.is_finite()


def test_a_number_of_many_digits_in_its_exponent_is_judged() -> None:
    found, rejects = _judged(
        _line(payload='{"k":"x","v":1e9999999999}'),
        _line(id='"2"', type='"B"', payload='{"k":"x","v":1}'),
    )
    assert (rejects, [v.status for v in found]) == ([], ["mismatched"])


def test_a_field_mapped_as_the_time_cannot_be_read_by_rules() -> None:
    with pytest.raises(errors.InvalidInputError, match="rules cannot read it"):
        _decoded(
            f'{{"id":"1","type":"A","v":"{NOON}","k":"x"}}',
            mapping="  mapping: {time: v, payload: .}\n",
        )


def test_blocks_and_lines_give_the_same() -> None:
    rows: Sequence[bytes] = [GOOD, _line(type='"B"', id='"2"').encode(), b"", b"{}", GOOD]
    parsed = contract.parse(YAML)
    made = decode.LineDecoder(
        program.Program(parsed), parsed.mapping.of(None), leg=None, first=GOOD
    )
    apart = made.decode(lines.Chunk(source="f", lines=list(rows), numbers=range(1, 6)))
    joined = made.decode(lines.Chunk(source="f", block=b"\n".join(rows), numbers=range(1, 6)))
    assert apart == joined
    assert (len(apart.events), [r.code for r in apart.rejects]) == (3, ["no_type"])


@pytest.mark.parametrize(
    "time",
    [
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+12:00",
    ],
)
@pytest.mark.parametrize("order", ["event", "arrival"])
def test_times_at_the_ends_of_the_calendar_break_nothing(time: str, order: Any) -> None:
    found, rejects = _judged(_line(time=f'"{time}"'), _line(id='"2"', type='"B"'), order=order)
    assert len(found) + len(rejects) >= 1
