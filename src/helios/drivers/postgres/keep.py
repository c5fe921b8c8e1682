"""The secrets of access in PostgreSQL, in a schema of their own.

A schema of its own, so that whoever may read log and views (a tool for reports, a replica) need not
be able to read these.
"""

import re

from helios.drivers.postgres import connection as connections
from helios.drivers.postgres import migrations
from helios.kernel import clock as clocks
from helios.kernel import errors

SCHEMA = "helios_access"
VALUE_BYTES_MAX = 64 << 10

_MIGRATIONS = (
    """
CREATE TABLE secrets (
    kind text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, value bytea NOT NULL,
    PRIMARY KEY (kind, name));
""",
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SETTINGS = {"application_name": "helios-access", "synchronous_commit": "on"}

_GET = "SELECT value FROM secrets WHERE kind = $1 AND name = $2"
_PUT = (
    "INSERT INTO secrets VALUES ($1, $2, $3) ON CONFLICT (kind, name) DO UPDATE "
    "SET value = excluded.value"
)
_ADD = "INSERT INTO secrets VALUES ($1, $2, $3) ON CONFLICT (kind, name) DO NOTHING"
_DELETE = "DELETE FROM secrets WHERE kind = $1 AND name = $2 RETURNING name"
_NAMES = "SELECT name FROM secrets WHERE kind = $1 ORDER BY name"


class PostgresKeep:
    """`access.ports.Keep` in a database.

    Args:
        url: `postgresql://user:password@host:port/database`.
        clock: for pauses between attempts.
        schema: where the table is; made when it is not there.
    """

    def __init__(self, url: str, *, clock: clocks.Clock, schema: str = SCHEMA) -> None:
        self._schema = connections.check_schema(schema)
        self._pool = connections.Connections(url, schema, clock, _SETTINGS)

    async def open(self) -> None:
        """Make the table unless it is there. Raises StorageError when that is not possible."""
        await self._pool.open()
        await self._pool.run(self._migrate)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._pool.close()

    async def get(self, kind: str, name: str) -> bytes | None:
        key = _checked(kind), _checked(name)
        found: bytes | None = await self._pool.run(lambda c: c.fetchval(_GET, *key))
        return found

    async def put(self, kind: str, name: str, value: bytes) -> None:
        row = _checked(kind), _checked(name), _small(value)
        await self._pool.run(lambda c: c.execute(_PUT, *row))

    async def put_if_absent(self, kind: str, name: str, value: bytes) -> bytes:
        row = _checked(kind), _checked(name), _small(value)
        while True:
            await self._pool.run(lambda c: c.execute(_ADD, *row))
            # It may be deleted between the two; then there is room again.
            if (found := await self.get(kind, name)) is not None:
                return found

    async def delete(self, kind: str, name: str) -> bool:
        key = _checked(kind), _checked(name)
        # Not repeated when the connection is lost: the second try would find nothing, and say that
        # somebody else was first. Whoever asks tries again, and is refused.
        async with self._pool.acquire() as connection:
            return await connection.fetchval(_DELETE, *key) is not None

    async def names(self, kind: str) -> list[str]:
        named = _checked(kind)
        return [row["name"] for row in await self._pool.run(lambda c: c.fetch(_NAMES, named))]

    async def _migrate(self, connection: connections.Connection) -> None:
        await migrations.migrate(connection, self._schema, kind="access", migrations=_MIGRATIONS)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise errors.InvalidInputError("not a name for a secret of access")
    return name


def _small(value: bytes) -> bytes:
    if len(value) > VALUE_BYTES_MAX:
        raise errors.InvalidInputError(f"a secret of access has at most {VALUE_BYTES_MAX} bytes")
    return value
