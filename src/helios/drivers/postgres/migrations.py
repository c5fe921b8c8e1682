"""How the tables of a schema become the current ones."""

from helios.drivers.postgres import connection as connections
from helios.kernel import errors


async def migrate(
    connection: connections.Connection,
    schema: str,
    *,
    kind: str,
    migrations: tuple[str, ...],
) -> None:
    """Bring a schema up to date in one transaction; several processes may call it at once.

    Args:
        connection: its search path is the schema.
        schema: its name; made when it is not there.
        kind: what lives there, `log` or `views`: one of each per schema.
        migrations: all steps from nothing on.

    Raises:
        StorageError: it was written by a newer Helios.
    """
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = 0")
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"helios.{schema}"
        )
        known = await connection.fetchval("SELECT to_regnamespace($1)::text", f'"{schema}"')
        if known is None:
            await connection.execute(f'CREATE SCHEMA "{schema}"')
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS helios_schema"
            " (kind text PRIMARY KEY, version integer NOT NULL)"
        )
        found: int | None = await connection.fetchval(
            "SELECT version FROM helios_schema WHERE kind = $1", kind
        )
        version = found or 0
        if version > len(migrations):
            raise errors.StorageError(
                f"schema {schema}: its {kind} has version {version}, written by a newer Helios; "
                f"this one knows version {len(migrations)}: install the newer one"
            )
        for sql in migrations[version:]:
            await connection.execute(sql)
        if version < len(migrations):
            await connection.execute(
                "INSERT INTO helios_schema VALUES ($1, $2)"
                " ON CONFLICT (kind) DO UPDATE SET version = excluded.version",
                kind,
                len(migrations),
            )
