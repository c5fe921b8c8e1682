"""CSV: what a spreadsheet or a database writes comes back value for value."""

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helios.drivers.files import csv_rows, unpack
from helios.kernel import errors
from helios.reconcile.streams import lines as feeds

if TYPE_CHECKING:
    from collections.abc import Iterator

Rows = list[tuple[int, dict[str, Any]]]


def read(data: bytes, *, cut: int = 0, bytes_max: int = 1 << 16) -> tuple[Rows, list[feeds.Reject]]:
    rows: Rows = []
    rejects: list[feeds.Reject] = []
    step = cut or max(len(data), 1)
    blocks: Iterator[bytes] = (data[at : at + step] for at in range(0, len(data), step))
    source = unpack.Source("in.csv", io.BytesIO())
    for part in csv_rows.read(source, blocks, leg=None, bytes_max=bytes_max):
        if isinstance(part, feeds.Reject):
            rejects.append(part)
        else:
            assert part.lax
            rows += zip(part.numbers, map(json.loads, part.lines), strict=True)
    return rows, rejects


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    table=st.lists(st.tuples(values, values, values), max_size=12),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    cut=st.integers(1, 40),
)
@example(table=[("a\nb", '"', ","), ("", "", "\r\n")], separator=",", end="\n", cut=3)
def test_every_row_comes_back_with_the_line_it_begins_on(
    table: list[tuple[str, str, str]], separator: str, end: str, cut: int
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b", "c"])
    expected: Rows = []
    for row in table:
        number = text.getvalue().count("\n") + 1
        writer.writerow(row)
        document = dict(zip("abc", [value or None for value in row], strict=True))
        expected.append((number, document))
    rows, rejects = read(text.getvalue().encode(), cut=cut)
    assert rows == expected
    assert rejects == []


def test_blank_lines_are_passed_over_and_counted() -> None:
    rows, rejects = read(b"\n\xef\xbb\xbf\na,b\n\n1,2\n\r\n3,4")
    assert rejects == []
    assert rows == [(5, {"a": "1", "b": "2"}), (7, {"a": "3", "b": "4"})]


@pytest.mark.parametrize("separator", list(",;\t|"))
def test_the_separator_is_told_from_the_header(separator: str) -> None:
    header = f'id{separator}"a,b;c"{separator}amount'
    assert csv_rows.separator_of(header) == separator


def test_rows_that_do_not_fit_are_named_and_the_others_used() -> None:
    data = b'a,b\n1,2\n3\n4,5,6\n"7"x,8\n9,10\n'
    rows, rejects = read(data)
    assert [number for number, _ in rows] == [2, 6]
    assert [(r.line, r.code, r.raw) for r in rejects] == [
        (3, "csv_columns", b"3"),
        (4, "csv_columns", b"4,5,6"),
        (5, "csv_row", b'"7"x,8'),
    ]
    assert "1 values, the header names 2" in rejects[0].reason


def test_a_quote_that_is_never_closed_costs_its_own_row_only() -> None:
    rows, rejects = read(b'a,b\n1,2\n3,"4\n5,6\n7,8\n')
    assert [number for number, _ in rows] == [2, 4, 5]
    assert [(r.line, r.code, r.raw) for r in rejects] == [(3, "csv_row", b'3,"4')]
    assert "never closed" in rejects[0].reason


def test_a_quote_that_is_closed_too_late_is_named_with_the_lines_it_took() -> None:
    rows, rejects = read(b'a,b\n1,"2\n3,4\n5,"6"\n7,8\n')
    assert [number for number, _ in rows] == [5]
    assert [(r.line, r.code) for r in rejects] == [(2, "csv_row")]
    assert "lines 2 to 4" in rejects[0].reason


def test_a_quote_that_is_never_closed_takes_bounded_memory() -> None:
    data = b'a,b\n3,"4\n' + b"5,6\n" * 100
    rows, rejects = read(data, bytes_max=100)
    assert [(r.line, r.code) for r in rejects] == [(2, "csv_row")]
    assert [number for number, _ in rows] == list(range(3, 103))


def test_a_line_beyond_the_limit_is_named_and_the_others_used() -> None:
    data = b"a,b\n1,2\n" + b"x" * 200 + b"\n3,4\n"
    rows, rejects = read(data, bytes_max=100, cut=30)
    assert [number for number, _ in rows] == [2, 4]
    assert [(r.line, r.code) for r in rejects] == [(3, "line_too_long")]


def test_a_row_that_is_not_utf8_is_named() -> None:
    rows, rejects = read(b"a,b\n1,caf\xe9\n3,4\n")
    assert [number for number, _ in rows] == [3]
    assert [(r.line, r.code) for r in rejects] == [(2, "invalid_utf8")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "in.csv:1: the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"1,2\n3,4\n", "in.csv:1: '1' looks like a value"),
        (b"id,2024-01-02\n", "'2024-01-02' looks like a value"),
        (b"a,,b\n", "column 2 has no name"),
        (b"a,b,a\n", "two columns are named 'a'"),
        (b"caf\xe9,b\n", "is not UTF-8"),
        (b'{"a":1},x\n', "looks like a value"),
    ],
)
def test_a_file_without_a_header_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=message):
        read(data)
