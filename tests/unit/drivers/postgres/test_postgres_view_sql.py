"""The dialect of views, translated."""

import pytest

from helios.drivers.postgres import view_sql
from helios.kernel import errors


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            "CREATE TABLE {t}a (n INTEGER PRIMARY KEY, b BLOB, t TEXT)",
            'CREATE TABLE v__1_a (n BIGINT PRIMARY KEY, b BYTEA, t TEXT COLLATE "C")',
        ),
        (
            "CREATE TABLE {t}a (r REAL NOT NULL DEFAULT 0)",
            "CREATE TABLE v__1_a (r DOUBLE PRECISION NOT NULL DEFAULT 0)",
        ),
        (
            "CREATE TABLE {t}a (n INTEGER) WITHOUT ROWID, STRICT",
            "CREATE TABLE v__1_a (n BIGINT)",
        ),
        ("CREATE TABLE {t}a (n INTEGER) STRICT", "CREATE TABLE v__1_a (n BIGINT)"),
        (
            "CREATE TABLE {t}a (k INTEGER DEFAULT 'INTEGER', text INTEGER, \"BLOB\" INTEGER)",
            "CREATE TABLE v__1_a (k BIGINT DEFAULT 'INTEGER', text BIGINT, \"BLOB\" BIGINT)",
        ),
        (
            "CREATE INDEX {t}a_by_n ON {t}a (n DESC) WHERE n > 0",
            "CREATE INDEX v__1_a_by_n ON v__1_a (n DESC) WHERE n > 0",
        ),
    ],
)
def test_types_of_tables_are_translated_outside_of_quotes(given: str, expected: str) -> None:
    assert view_sql.ddl(given, "v__1_") == expected


def test_parameters_get_numbers_and_the_types_of_their_values() -> None:
    sql, rows = view_sql.statement(
        "INSERT INTO {t}a VALUES (?, ?, ?, ?, ?)", "v__1_", [(1, "x", b"y", 1.5, True)]
    )
    assert sql == (
        "INSERT INTO v__1_a VALUES ($1::bigint, $2::text, $3::bytea, $4::double precision,"
        " $5::bigint)"
    )
    assert rows == [(1, "x", b"y", 1.5, True)]


def test_question_marks_in_quotes_and_comments_are_no_parameters() -> None:
    sql, _ = view_sql.statement(
        """SELECT '?', 'it''s ?', "a?" /* ? */ -- ?\n FROM {t}a WHERE a = ?""", "p_", [(1,)]
    )
    assert sql == """SELECT '?', 'it''s ?', "a?" /* ? */ -- ?\n FROM p_a WHERE a = $1::bigint"""


def test_a_parameter_that_is_always_none_is_null_and_the_others_move_up() -> None:
    sql, rows = view_sql.statement("INSERT INTO {t}a VALUES (?, ?)", "", [(None, 1), (None, None)])
    assert sql == "INSERT INTO a VALUES (NULL, $1::bigint)"
    assert rows == [(1,), (None,)]
    sql, rows = view_sql.statement("SELECT ? IS NULL", "", [(None,)])
    assert (sql, rows) == ("SELECT NULL IS NULL", [()])


def test_integers_and_floats_meet_in_floats() -> None:
    sql, _ = view_sql.statement("SELECT ?", "", [(1,), (2.5,), (None,)])
    assert sql == "SELECT $1::double precision"


def test_texts_that_postgresql_refuses_are_escaped() -> None:
    _, rows = view_sql.statement("SELECT ?", "", [("a\0b",), (None,), ("c",)])
    assert "\0" not in rows[0][0]
    assert rows[1:] == [(None,), ("c",)]


@pytest.mark.parametrize("params", [(), (1, 2)])
def test_a_wrong_number_of_values_is_refused(params: tuple[int, ...]) -> None:
    with pytest.raises(errors.InvalidInputError, match="for 1 parameters"):
        view_sql.statement("SELECT ?", "", [params])


def test_values_of_two_kinds_for_one_parameter_are_refused() -> None:
    with pytest.raises(errors.InvalidInputError, match="int, str"):
        view_sql.statement("SELECT ?", "", [(1,), ("x",)])
