"""Names that repeat in every event, stored once.

An entry never changes, so what was read once is known for ever. Ids given inside a transaction are
known to others only once it has committed: `stage` keeps them apart until `keep`.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

from helios.drivers.postgres import codec
from helios.drivers.postgres import connection as connections

Key: TypeAlias = tuple[Any, ...]

ENTRIES_MAX = 50_000
"""Entries of one dictionary kept in memory. Above: it is emptied and fills again."""


class _Table(NamedTuple):
    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]


_TABLES = (
    _Table("types", ("type", "version"), ("text", "integer")),
    _Table("origins", ("tenant", "source"), ("text", "text")),
    _Table("families", ("tenant", "aggregate_type"), ("text", "text")),
    _Table("actors", ("actor",), ("text",)),
)


class Dictionary:
    """One of the dictionaries: ids by entry for who writes, entries by id for who reads."""

    def __init__(self, table: _Table) -> None:
        columns = ", ".join(table.columns)
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(table.types, 1))
        same = " AND ".join(map(_same, table.columns, table.types))
        given = f"unnest({arrays}) AS k ({columns})"
        self._insert = (
            f"INSERT INTO {table.name} ({columns}) SELECT * FROM {given}"
            f" WHERE NOT EXISTS (SELECT FROM {table.name} t WHERE {same})"
        )
        found = ", ".join(f"t.{name}" for name in table.columns)
        self._by_key = f"SELECT t.id, {found} FROM {given} JOIN {table.name} t ON {same}"
        self._by_id = f"SELECT t.id, {found} FROM {table.name} t WHERE t.id = ANY($1::integer[])"
        self.ids: dict[Key, int] = {}
        self.entries: dict[int, Key] = {}

    async def stage(self, connection: connections.Connection, keys: set[Key]) -> dict[Key, int]:
        """Ids of the entries that are not known here, made where they are new."""
        missing = [key for key in keys if key not in self.ids]
        if not missing:
            return {}
        columns = [list(map(_to_column, values)) for values in zip(*missing, strict=True)]
        found = await connection.fetch(self._by_key, *columns)
        if len(found) < len(missing):
            await connection.execute(self._insert, *columns)
            found = await connection.fetch(self._by_key, *columns)
        return {_entry(row): row[0] for row in found}

    def keep(self, staged: dict[Key, int]) -> None:
        """Remember what a committed transaction knew."""
        if len(self.ids) + len(staged) > ENTRIES_MAX:
            self.ids.clear()
        self.ids.update(staged)

    async def load(self, connection: connections.Connection, ids: Iterable[int]) -> None:
        """Make sure that these ids, which committed events hold, are in `entries`."""
        missing = set(ids).difference(self.entries)
        if not missing:
            return
        if len(self.entries) + len(missing) > ENTRIES_MAX:
            # A new dictionary: readers that hold the old one still look up in it.
            self.entries = {}
            missing = set(ids)
        found = await connection.fetch(self._by_id, list(missing))
        self.entries.update((row[0], _entry(row)) for row in found)


class Dictionaries:
    """All dictionaries of one log."""

    def __init__(self) -> None:
        self.types, self.origins, self.families, self.actors = map(Dictionary, _TABLES)


def _same(name: str, kind: str) -> str:
    exact = f"t.{name} = k.{name}"
    return f"md5(t.{name}) = md5(k.{name}) AND {exact}" if kind == "text" else exact


def _to_column(value: str | int) -> str | int:
    return codec.to_text(value) if isinstance(value, str) else value


def _entry(row: Iterable[Any]) -> Key:
    return tuple(codec.from_value(value) for value in tuple(row)[1:])
