"""Small integers for what repeats in every event.

Numbers are given inside the transaction that needs them first, so several processes may write one
file; once committed they never change, which is what makes them safe to remember. What a
transaction gave out is remembered only after its commit: after a rollback the same number may
come to mean something else.
"""

import abc
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import apsw

K = TypeVar("K", bound=tuple[Any, ...])

CACHE_MAX = 200_000
"""Aggregates, and actors, remembered. Above: forgotten, all at once, and looked up again."""


class _Numbers(abc.ABC, Generic[K]):
    """One table (number, then the columns of its key)."""

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        self._table = table
        self._columns = columns
        marks = ", ".join("?" * (len(columns) + 1))
        self._insert = f"INSERT INTO {table} VALUES ({marks})"
        self._known: dict[K, int] = {}
        self._fresh: dict[K, int] = {}

    def get(self, key: K) -> int | None:
        """The number of a key, if it has one."""
        number = self._known.get(key)
        return self._fresh.get(key) if number is None else number

    def obtain(self, connection: apsw.Connection, key: K) -> int:
        """The number of a key; a new one when it has none."""
        number = self.get(key)
        if number is None:
            number = self._next(connection)
            self._fresh[key] = number
        return number

    def store(self, connection: apsw.Connection) -> None:
        """Write the new ones."""
        if self._fresh:
            rows = [(number, *key) for key, number in self._fresh.items()]
            connection.executemany(self._insert, rows)

    def settle(self) -> None:
        """The transaction was committed."""
        if self._fresh:
            self._known.update(self._fresh)
            self._fresh.clear()

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._fresh.clear()

    @abc.abstractmethod
    def _next(self, connection: apsw.Connection) -> int:
        """The next free number."""


class Dictionary(_Numbers[K]):
    """A table small enough to be held whole."""

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        super().__init__(table, columns)
        names = ", ".join(("number", *columns))
        self._newer = f"SELECT {names} FROM {table} WHERE number > ?"
        self._last = 0

    def refresh(self, connection: apsw.Connection) -> Mapping[K, int]:
        """Learn what others added; returns only that."""
        newer = {row[1:]: row[0] for row in connection.execute(self._newer, (self._last,))}
        if newer:
            self._known.update(newer)
            self._last = max(newer.values())
        return newer

    def settle(self) -> None:
        if self._fresh:
            self._last = max(self._fresh.values())
        super().settle()

    def _next(self, connection: apsw.Connection) -> int:  # noqa: ARG002 - refreshed already
        return self._last + len(self._fresh) + 1


class Index(_Numbers[K]):
    """A table of any size: looked up by key, the recent ones remembered."""

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        super().__init__(table, columns)
        names = ", ".join(("number", *columns))
        same = " AND ".join(f"{column} = ?" for column in columns)
        self._select = f"SELECT {names} FROM {table} WHERE {same}"
        self._max = f"SELECT max(number) FROM {table}"
        self._last: int | None = None

    def look_up(self, connection: apsw.Connection, keys: Iterable[K]) -> None:
        """Learn the numbers of these keys; begins a transaction's work."""
        self._last = None
        if len(self._known) > CACHE_MAX:
            self._known.clear()
        missing = [key for key in keys if key not in self._known]
        if missing:
            for row in connection.executemany(self._select, missing):
                self._known[row[1:]] = row[0]

    def _next(self, connection: apsw.Connection) -> int:
        if self._last is None:
            self._last = connection.execute(self._max).get or 0
        self._last += 1
        return self._last


Origin: TypeAlias = tuple[str, str]
"""(tenant, source)."""

Family: TypeAlias = tuple[str, str]
"""(tenant, aggregate type)."""

Kind: TypeAlias = tuple[int, int, str, int]
"""(origin, family, type, version)."""

AggregateId: TypeAlias = tuple[str | bytes, int]
"""(packed id, family)."""


def origins() -> Dictionary[Origin]:
    return Dictionary("origins", ("tenant", "source"))


def families() -> Dictionary[Family]:
    return Dictionary("families", ("tenant", "aggregate_type"))


def kinds() -> Dictionary[Kind]:
    return Dictionary("kinds", ("origin", "family", "type", "version"))


def actors() -> Index[tuple[str]]:
    return Index("actors", ("name",))


def aggregates() -> Index[AggregateId]:
    return Index("aggregates", ("id", "family"))
