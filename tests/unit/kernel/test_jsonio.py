import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helios.kernel import errors, jsonio, jsonplace, limits

MOST = limits.NUMBER_DIGITS_MAX


@pytest.mark.parametrize(
    ("data", "reason", "line", "column", "path"),
    [
        (b"", "empty", 1, 1, None),
        (b"  \n ", "empty", 2, 2, None),
        (b"\xef\xbb\xbf{}", "byte order mark", 1, 1, None),
        (b'{"a":"\xff"}', "invalid UTF-8", 1, 7, None),
        (b'{"a":"\xed\xa0\x80"}', "invalid UTF-8", 1, 7, None),
        (b'{"a":"\\ud800"}', "lone surrogate", 1, 7, "a"),
        (b'{"a":["\\udc00x"]}', "lone surrogate", 1, 8, "a[0]"),
        (b'{"a":"x\\u0000"}', "NUL", 1, 8, "a"),
        (b'{"\\u0000":1}', "NUL", 1, 3, None),
        (b'{"a":"\x00"}', "control character", 1, 7, "a"),
        (b'{"a":1,"a":2}', "comes twice", 1, 8, "a"),
        (b'{"a":{"b":1,"c":"x:y","b" :1}}', "comes twice", 1, 23, "a.b"),
        (b'{"a":1,"\\u0061":2}', "comes twice", 1, 8, "a"),
        (b'{"x":"\\":","a":1,"a":"\\u0022:"}', "comes twice", 1, 18, "a"),
        (b'{"a":NaN}', "NaN", 1, 6, "a"),
        (b'{"a":[-Infinity]}', "not a number", 1, 7, "a[0]"),
        (b'{"a":Infinity}', "Infinity", 1, 6, "a"),
        (b'{"a":1e400}', "out of range", 1, 6, "a"),
        (b'{"a":' + b"9" * 4 * MOST + b"}", f"more than {MOST} digits", 1, 6, "a"),
        (b'{"a":' + b"9" * 5000 + b"}", f"more than {MOST} digits", 1, 6, "a"),
        (b'{"a":0.' + b"1" * MOST + b"}", f"more than {MOST} digits", 1, 6, "a"),
        (b'{\n"a":01}', "not a number", 2, 5, "a"),
        (b'{"a":1,}', "key in double quotes", 1, 8, None),
        (b"{'a':1}", "key in double quotes", 1, 2, None),
        (b"[1,]", "expected a value", 1, 4, "[1]"),
        (b'{"a":1}x', "follows", 1, 8, None),
        (b'{"a":1', "cut off", 1, 7, None),
        (b'{"a":"x', "does not end", 1, 6, "a"),
        (b'{"a":"\\x"}', "escape", 1, 7, "a"),
        (b"[" * 65 + b"]" * 65, "deeper than 64", 1, 65, "[0]" * 64),
        (b"[" * 100_000, "deeper than 64", 1, 65, "[0]" * 64),
    ],
)
def test_what_strict_json_forbids_is_refused_with_its_place(
    data: bytes, reason: str, line: int, column: int, path: str | None
) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        jsonio.parse(data)
    assert reason in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.field == path


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":"\\ud83d\\ude00","b":"\\\\u0000"}',
        b'{"a":-0,"b":9007199254740993,"c":9223372036854775808,"d":1e-500}',
        b'{"a":' + b"9" * MOST + b',"b":"' + b"9" * 4 * MOST + b'"}',
        b"[" * 64 + b"]" * 64,
        b'{"a":{},"b":[{"a":1},{"a":1}],"c":"{[{[","d" : "x:y"}',
        '{"\u00c5":1,"A\u030a":2,"\u202e":3}'.encode(),
        b' \t\r\n{"a":"\\"a\\":1"} ',
    ],
)
def test_what_strict_json_allows_is_read_as_python_reads_it(data: bytes) -> None:
    assert jsonio.parse(data) == json.loads(data)


def test_a_number_keeps_all_its_digits() -> None:
    assert jsonio.parse(b"123456789012345678901234567890") == 123456789012345678901234567890


def test_what_is_not_an_object_at_the_top_is_named() -> None:
    for data, name in ((b"[]", "array"), (b"1", "number"), (b"null", "null"), (b'""', "string")):
        with pytest.raises(errors.InvalidInputError, match=name):
            jsonio.parse_object(data)


def test_too_many_bytes_are_refused_before_they_are_parsed() -> None:
    with pytest.raises(errors.TooLargeError):
        jsonio.parse(b"[" * 1000, bytes_max=999)


def test_a_fault_beyond_the_scanned_part_is_refused_all_the_same() -> None:
    long = b'{"pad":"' + b"x" * jsonplace.SCANNED_BYTES_MAX + b'","a":1,"a":2}'
    with pytest.raises(errors.InvalidInputError, match="twice"):
        jsonio.parse(long)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**59), 10**59)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner
        )
    ),
    max_leaves=20,
)


@given(value=json_values, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_every_json_value_is_read_back_equal(
    *, value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert jsonio.parse(text.encode()) == json.loads(text)


class _TwiceError(Exception):
    pass


def _strict_reference(data: bytes) -> Any:
    """Python's own parser plus the rules, written the slow and plain way."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) != len(items):
            raise _TwiceError
        return dict(items)

    def number(text: str) -> float:
        value = float(text)
        mantissa = text.lower().split("e")[0]
        if abs(value) == float("inf") or sum(c.isdigit() for c in mantissa) > MOST:
            raise _TwiceError
        return value

    def integer(text: str) -> int:
        if sum(c.isdigit() for c in text) > limits.NUMBER_DIGITS_MAX:
            raise _TwiceError
        return int(text)

    def constant(_: str) -> Any:
        raise _TwiceError

    value = json.loads(
        data.decode(),
        object_pairs_hook=pairs,
        parse_float=number,
        parse_int=integer,
        parse_constant=constant,
    )
    again = json.dumps(value, ensure_ascii=False)
    again.encode()  # lone surrogates
    if "\\u0000" in again.replace("\\\\", ""):
        raise _TwiceError
    return value


fragments = st.sampled_from(
    ['"a"', '"b":', '"a":', "{", "}", "[", "]", ",", ":", "1", "-0", "1.5", "1e5", "1e999", "NaN",
     "9" * (MOST + 1), "9" * MOST, "0." + "3" * MOST, "true", "null", '"\\u0061":', '"\\ud800"',
     '"\\u0000"', '"\\\\u0000"', '":"', '"x:y"', '"\\":"', " ", "\n", '"é"', "01", ".5", "\x00"]
)  # fmt: skip


@settings(max_examples=400)
@given(text=st.lists(fragments, max_size=12).map("".join))
@example('{"a":1,"a":2}')
@example('{"b":":","a":1,"a":2}')
def test_it_takes_exactly_what_the_rules_take(text: str) -> None:
    data = text.encode()
    try:
        expected = _strict_reference(data)
    except (ValueError, _TwiceError):
        with pytest.raises(errors.InvalidInputError):
            jsonio.parse(data)
        assert jsonplace.first_fault(data) is not None
    else:
        assert jsonio.parse(data) == expected
        assert jsonplace.first_fault(data) is None


@settings(max_examples=400)
@given(data=st.binary(max_size=40))
def test_random_bytes_are_read_or_refused_and_never_crash(data: bytes) -> None:
    with contextlib.suppress(errors.InvalidInputError):
        jsonio.parse(data)


@pytest.mark.parametrize("body", [b"[" + b"[]," * 60_000 + b"[]]", b"[" + b"{}," * 60_000 + b"1]"])
def test_a_document_of_next_to_nothing_but_containers_is_refused(body: bytes) -> None:
    with pytest.raises(errors.InvalidInputError, match="next to nothing is in them"):
        jsonio.parse(body)


def test_many_containers_with_something_in_them_are_taken() -> None:
    body = b"[" + b",".join(b'{"n":%d}' % n for n in range(60_000)) + b"]"

    assert len(jsonio.parse(body)) == 60_000
