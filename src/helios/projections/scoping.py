"""Whose data a view's rows are, and how a query reads only what is in scope.

Each table of a view says how its rows belong to tenants. Under a restricted scope the stores put a
common table expression of the table's own name, with the rows of the scope's tenants only, in
front of a query: it hides the table in all of the query, whatever alias or subquery names it, and
the planner sees through it as through a condition of the query itself.
"""

import functools
import re
from collections.abc import Mapping
from typing import Protocol, TypeAlias, runtime_checkable

import msgspec

from helios.kernel import errors, tenancy
from helios.projections import ports

TENANT = "tenant"
"""The column that says whose a row is."""


class Own(msgspec.Struct, frozen=True):
    """Each row has its tenant in the column `tenant`.

    Attributes:
        shared: tenants whose rows everybody may read, such as what holds for all clients.
    """

    shared: tuple[str, ...] = ()


class Through(msgspec.Struct, frozen=True):
    """A row belongs to whom a row of another table of the view belongs to, which is `Own`.

    Attributes:
        table: that table.
        columns: pairs of a column here and the column there that equals it.
    """

    table: str
    columns: tuple[tuple[str, str], ...]


class Hidden(msgspec.Struct, frozen=True):
    """Nobody's in particular: not readable under a restricted scope."""


class Common(msgspec.Struct, frozen=True):
    """Everybody's: readable in any scope."""


Tenancy: TypeAlias = Own | Through | Hidden | Common
Tables: TypeAlias = Mapping[str, Tenancy]

OWN = Own()
HIDDEN = Hidden()
COMMON = Common()


@runtime_checkable
class ScopedView(Protocol):
    """A view that says for each of its tables whose the rows are.

    The tables of one that does not cannot be read under a restricted scope.
    """

    @property
    def tenancy(self) -> Tables: ...


class Declared:
    """What the views of a store say, by view."""

    def __init__(self) -> None:
        self._views: dict[str, Tables] = {}

    def add(self, view: ports.View) -> None:
        """Take in what a view says of its tables; of one that says nothing, that it is hidden.

        Raises:
            InvalidInputError: it says something of another table, or nothing of one.
        """
        self._views[view.name] = tables_of(view)

    def of(self, view: str) -> Tables:
        """What a view says; nothing where it is not known."""
        return self._views.get(view, {})


def tables_of(view: ports.View) -> Tables:
    """What a view says of its tables.

    Raises:
        InvalidInputError: it says something of another table, or nothing of one.
    """
    if not isinstance(view, ScopedView):
        return dict.fromkeys(view.tables, HIDDEN)
    said = dict(view.tenancy)
    if set(said) != set(view.tables):
        odd = ", ".join(sorted(set(said) ^ set(view.tables)))
        raise errors.InvalidInputError(
            f"view {view.name}: `tenancy` must say of each table whose its rows are: {odd}"
        )
    for table, one in said.items():
        if isinstance(one, Through) and not isinstance(said.get(one.table), Own):
            raise errors.InvalidInputError(
                f"view {view.name}: rows of {table} belong to a tenant through {one.table}, "
                "which has no tenant of its own"
            )
    return said


def restrict(
    sql: str,
    params: ports.Row,
    *,
    prefix: str,
    tables: Tables,
    scope: tenancy.Scope,
    schema: str = "",
) -> tuple[str, ports.Row]:
    """A query as it may run within a scope, and its parameters.

    Args:
        sql: with `{t}` for the prefix, or with the prefix itself.
        params: of the query.
        prefix: of the copy that is read.
        tables: what the view says of them.
        scope: whose data may be seen; restricted.
        schema: that qualifies a table where a name of its own would mean the expression.

    Raises:
        ForbiddenError: it reads what may not be read within a scope.
    """
    assert scope.tenants is not None
    tenants = tuple(sorted(scope.tenants))
    # Tables are declared once, when the view's module is imported: few keys, so the cache holds.
    known = tuple(tables.items())
    text, uses = _restricted(sql.replace("{t}", prefix), prefix, known, len(tenants), schema)
    given = tuple(value for shared in uses for value in (*tenants, *shared))
    return text, (*given, *params)


_SKIPPED = re.compile(r"""'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COPY = re.compile(r"[a-z][a-z0-9_]*__[0-9]+_[a-z0-9_]*")
_FOREIGN = re.compile(
    r"helios_.*|sqlite_.*|pg_.*|main|temp|information_schema|current_setting|set_config"
)
_WITH = re.compile(r"\s*WITH\s+(RECURSIVE\s+)?", re.IGNORECASE)


@functools.lru_cache(maxsize=1024)
def _restricted(
    sql: str, prefix: str, tables: tuple[tuple[str, Tenancy], ...], count: int, schema: str
) -> tuple[str, list[tuple[str, ...]]]:
    """The text, and for each use of the tenants what is shared besides."""
    said = {f"{prefix}{table}": (table, one) for table, one in tables}
    words = set(_WORD.findall(_SKIPPED.sub(" ", sql)))
    for word in sorted(words):
        # Some names of a copy are those of indexes; no query names one.
        if word not in said and (_COPY.fullmatch(word) or _FOREIGN.fullmatch(word.lower())):
            raise errors.ForbiddenError(f"{word}: not to be read within the scope of a client")
    expressions: list[str] = []
    uses: list[tuple[str, ...]] = []
    for name in sorted(words & said.keys()):
        table, one = said[name]
        if isinstance(one, Common):
            continue
        if isinstance(one, Hidden):
            raise errors.ForbiddenError(
                f"table {table} of the view holds nobody's data in particular: "
                "not to be read within the scope of a client"
            )
        condition, shared = _condition(one, name, dict(tables), prefix, count, schema)
        uses.append(shared)
        expressions.append(
            f'"{name}" AS NOT MATERIALIZED (SELECT * FROM {schema}"{name}" WHERE {condition})'
        )
    if not expressions:
        return sql, uses
    found = _WITH.match(sql)
    recursive = "RECURSIVE " if found and found.group(1) else ""
    rest = f", {sql[found.end() :]}" if found else f" {sql}"
    return f"WITH {recursive}{', '.join(expressions)}{rest}", uses


def _condition(  # noqa: PLR0917 - private, called once
    one: Own | Through,
    name: str,
    tables: dict[str, Tenancy],
    prefix: str,
    count: int,
    schema: str,
) -> tuple[str, tuple[str, ...]]:
    if isinstance(one, Own):
        return _among(TENANT, count + len(one.shared)), one.shared
    other = tables[one.table]
    shared = other.shared if isinstance(other, Own) else ()
    same = " AND ".join(f'of.{theirs} = "{name}".{ours}' for ours, theirs in one.columns)
    # A condition of each row: the limit keeps SQLite from making a join of it, which would have
    # this table choose the order in place of the terms of the query.
    return (
        f'EXISTS (SELECT 1 FROM {schema}"{prefix}{one.table}" AS of WHERE {same} '
        f"AND {_among(f'of.{TENANT}', count + len(shared))} LIMIT 1)"
    ), shared


def _among(column: str, count: int) -> str:
    if count == 0:
        return "1 = 0"
    return f"{column} = ?" if count == 1 else f"{column} IN ({', '.join('?' * count)})"


def readable(tables: Tables) -> frozenset[str]:
    """Which tables can be read within a scope at all."""
    return frozenset(name for name, one in tables.items() if not isinstance(one, Hidden))
