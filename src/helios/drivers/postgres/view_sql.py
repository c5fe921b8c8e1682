"""From the dialect that views are written in to PostgreSQL's.

The dialect is what SQLite and PostgreSQL have in common, with `?` for parameters and INTEGER,
TEXT, BLOB, REAL for types. Two things need care. PostgreSQL wants to know the type of each
parameter before it sees a value, so it is told, from the values. And it sorts text as its locale
says, SQLite by bytes, so columns get the collation "C". Not the same in both, so not for views:
where NULLs sort unless the query says it, LIKE on letters of either case, scalar min and max.

Rows go in one by one through a prepared statement, all in one round trip. Arrays for many rows at
once were measured and are not faster, and an upsert could not repeat a key in them.
"""

import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from helios.drivers.postgres import codec
from helios.kernel import errors
from helios.projections import ports

_SKIPPED = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/"""
_PARAMETER = re.compile(rf"{_SKIPPED}|(\?)", re.DOTALL)
# In capitals only: a column may be called `text`.
_TYPE = re.compile(
    rf"{_SKIPPED}|\b(INTEGER|BLOB|REAL|TEXT)\b|(?:,\s*)?\b(?:WITHOUT\s+ROWID|STRICT)\b", re.DOTALL
)
_DDL = {
    "INTEGER": "BIGINT",
    "BLOB": "BYTEA",
    "REAL": "DOUBLE PRECISION",
    "TEXT": 'TEXT COLLATE "C"',
}
_NULL = "NULL"
_NAMES: dict[frozenset[type], str] = {
    frozenset(): _NULL,
    frozenset({int}): "bigint",
    frozenset({bool}): "bigint",
    frozenset({int, bool}): "bigint",
    frozenset({float}): "double precision",
    frozenset({int, float}): "double precision",
    frozenset({str}): "text",
    frozenset({bytes}): "bytea",
    frozenset({memoryview}): "bytea",
    frozenset({bytearray}): "bytea",
}


class Statement(NamedTuple):
    """A statement as PostgreSQL takes it, and the rows to run it with, one after another."""

    sql: str
    rows: Sequence[Sequence[Any]]


@functools.lru_cache(maxsize=512)
def ddl(sql: str, prefix: str) -> str:
    """A `CREATE` statement of a view."""

    def replace(found: re.Match[str]) -> str:
        word = found.group(1)
        if word is not None:
            return _DDL[word]
        return found.group(0) if found.group(0)[0] in "'\"-/" else ""

    return _TYPE.sub(replace, sql.replace("{t}", prefix)).rstrip()


def statement(sql: str, prefix: str, rows: Sequence[ports.Row]) -> Statement:
    """A statement for all of these rows of parameters.

    Raises:
        InvalidInputError: a row has not one value for each `?`, or values of two kinds meet in one.
    """
    columns = list(zip(*rows, strict=True))
    kinds = tuple(map(_kind, columns))
    translated = _translated(sql.replace("{t}", prefix), kinds)
    given = [_values(c, kind) for c, kind in zip(columns, kinds, strict=True) if kind != _NULL]
    return Statement(translated, list(zip(*given, strict=True)) if given else [()] * len(rows))


@functools.lru_cache(maxsize=512)
def _translated(sql: str, kinds: tuple[str, ...]) -> str:
    """`?` to `$n::type`; a parameter that is always None becomes NULL, which fits every type."""
    marks = sum(found.group(1) is not None for found in _PARAMETER.finditer(sql))
    if marks != len(kinds):
        raise errors.InvalidInputError(f"{len(kinds)} values for {marks} parameters: {sql}")
    left = iter(kinds)
    number = 0

    def replace(found: re.Match[str]) -> str:
        nonlocal number
        if found.group(1) is None:
            return found.group(0)
        kind = next(left)
        if kind == _NULL:
            return _NULL
        number += 1
        return f"${number}::{kind}"

    return _PARAMETER.sub(replace, sql)


def _kind(column: Sequence[Any]) -> str:
    found = frozenset(map(type, column)) - {type(None)}
    kind = _NAMES.get(found)
    if kind is None:
        names = ", ".join(sorted(one.__name__ for one in found))
        raise errors.InvalidInputError(
            f"values of types {names} for one parameter: int, float, str or bytes, one kind each"
        )
    return kind


def _values(column: Sequence[Any], kind: str) -> Sequence[Any]:
    if kind == "text" and any(v is not None and codec.is_special(v) for v in column):
        return [None if v is None else codec.to_text(v) for v in column]
    return column
