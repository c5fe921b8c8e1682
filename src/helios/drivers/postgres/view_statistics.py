"""Statistics for the planner while a view grows.

Of a table that was never analysed the planner thinks that a view has many contracts with few keys
each, while it has few contracts with many keys: it then reads a whole contract to find one key.
Autovacuum comes round once a minute, and a view catching up writes millions of rows in that time,
or it is switched off. So a copy is analysed each time it has grown fourfold.
"""

import asyncpg

from helios.drivers.postgres import connection as connections

FIRST_ROWS = 2_000
"""Rows written to a copy until it is first analysed; then at four times as many, and so on."""

_GROWTH = 4


class Growth:
    """Counts what this process has written to each copy."""

    def __init__(self) -> None:
        self._written: dict[str, int] = {}
        self._due: dict[str, int] = {}

    def wrote(self, prefix: str, rows: int) -> bool:
        """Count rows written to a copy; whether it should be analysed now."""
        written = self._written[prefix] = self._written.get(prefix, 0) + rows
        if written < self._due.get(prefix, FIRST_ROWS):
            return False
        self._due[prefix] = _GROWTH * written
        return True

    def forget(self, prefix: str) -> None:
        """The copy is gone."""
        self._written.pop(prefix, None)
        self._due.pop(prefix, None)


async def analyse(connection: connections.Connection, prefix: str) -> None:
    """Analyse the tables of a copy; nothing happens to one that is gone."""
    tables = await connection.fetchval("SELECT tables FROM helios_slots WHERE prefix = $1", prefix)
    for table in tables or ():
        try:
            await connection.execute(f'ANALYZE "{prefix}{table}"')
        except asyncpg.UndefinedTableError:
            return
