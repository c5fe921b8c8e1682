"""Row-level security: a second net under the filters that keep tenants apart.

Whatever a statement forgets, the database itself gives a reader within a scope no other tenant's
rows: it reads as a role of its own, and the policy of each table shows that role the rows of the
tenants that the transaction names, and none where it names none. Nothing is granted to the role
but to read what a scope may see.

The owner passes a policy that is always true, which the planner strikes out: who reads and writes
without a scope pays nothing. Policies are checked whenever a log opens or a copy of a view changes
hands, and made again where they are missing, as after a restore under another login.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import asyncpg
import structlog

from helios.drivers.postgres import codec
from helios.drivers.postgres import connection as connections
from helios.kernel import clock as clocks
from helios.kernel import tenancy

T = TypeVar("T")

SETTING = "helios.tenants"
"""Setting of a transaction: the tenants whose rows it may read, as the text of an array."""

TENANTS = f"nullif(current_setting('{SETTING}', true), '')::text[]"
"""Those tenants; NULL, and so no row, where nothing is set."""

OWN = f"tenant = ANY ({TENANTS})"
"""Condition of a table whose rows have a tenant of their own."""

_PREFIX = "helios_tenant_"
_WITH_SET = 160_000

_STATE = """
SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,
    ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid),
    $2::text IS NULL OR has_table_privilege($2, c.oid, 'SELECT')
FROM pg_class AS c WHERE c.relnamespace = $1::regnamespace AND c.relname = ANY ($3::text[])
"""

_log = structlog.get_logger("helios.postgres")


def role_name(database: str, schema: str) -> str:
    """The role that reads within a scope: roles belong to a whole server, so one per schema."""
    digest = hashlib.sha256(f"{database}\0{schema}".encode()).hexdigest()
    return f"{_PREFIX}{digest[:24]}"


def quoted(text: str) -> str:
    """A literal, where the server takes a backslash for what it is."""
    return "'" + text.replace("'", "''") + "'"


def shared_with_all(tenants: Sequence[str]) -> str:
    """Condition of rows that are shown whoever is named, as long as somebody is."""
    names = ", ".join(quoted(codec.to_text(tenant)) for tenant in tenants)
    return f"{TENANTS} IS NOT NULL AND tenant IN ({names})"


async def role(connection: connections.Connection, schema: str) -> str | None:
    """The role of a schema, made where it is missing; None, with a warning, where it cannot be.

    Call it outside a transaction.
    """
    database = await connection.fetchval("SELECT current_database()")
    user = await connection.fetchval("SELECT current_user")
    name = role_name(database, schema)
    try:
        async with connection.transaction():
            await alone(connection, schema)
            await _make(connection, name, schema)
    except asyncpg.InsufficientPrivilegeError as error:
        _log.warning(
            "row-level security is not in use for reads within the scope of a client: filters "
            "alone keep clients apart there. Let a superuser run the remedy, then restart Helios",
            schema=schema,
            reason=str(error),
            remedy=f'CREATE ROLE "{name}" NOLOGIN; GRANT "{name}" TO "{user}"; '
            f'GRANT USAGE ON SCHEMA "{schema}" TO "{name}"',
        )
        return None
    return name


async def alone(connection: connections.Connection, schema: str) -> None:
    """Let no other process change the same until the transaction ends: it would be refused."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"helios.{schema}"
    )


async def _make(connection: connections.Connection, name: str, schema: str) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name):
        await connection.execute(f'CREATE ROLE "{name}" NOLOGIN')
    await _join(connection, name)
    may_use = "SELECT has_schema_privilege($1, $2, 'USAGE')"
    if not await connection.fetchval(may_use, name, schema):
        await connection.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO "{name}"')


async def _join(connection: connections.Connection, name: str) -> None:
    """Become a member of the role, which is what it takes to read as it."""
    version = await connection.fetchval("SELECT current_setting('server_version_num')::int")
    right = "SET" if version >= _WITH_SET else "MEMBER"
    if await connection.fetchval("SELECT pg_has_role($1::text, $2)", name, right):
        return
    how = " WITH SET TRUE, INHERIT FALSE" if version >= _WITH_SET else ""
    await connection.execute(f'GRANT "{name}" TO CURRENT_USER{how}')


async def secure(
    connection: connections.Connection,
    schema: str,
    tables: Mapping[str, str | None],
    *,
    role: str | None,
    granted: Sequence[str] = (),
) -> None:
    """Put tables under row-level security, or see that they are.

    Args:
        connection: in a transaction, as their owner.
        schema: that they are in.
        tables: by name, the condition of rows that the role may read; None: none.
        role: who reads within a scope; None: nobody can.
        granted: tables that hold no tenant's data and that the role may read whole.
    """
    user = await connection.fetchval("SELECT current_user")
    names = [*tables, *granted]
    for name, forced, policies, readable in await connection.fetch(
        _STATE, f'"{schema}"', role, names
    ):
        for sql in _statements(name, tables, user, forced=forced, policies=policies):
            await connection.execute(sql)
        wanted = name in granted or tables.get(name) is not None
        if role is not None and wanted and not readable:
            await connection.execute(f'GRANT SELECT ON "{name}" TO "{role}"')


def _statements(
    name: str,
    tables: Mapping[str, str | None],
    user: str,
    *,
    forced: bool,
    policies: Sequence[str],
) -> list[str]:
    """What a table lacks."""
    if name not in tables:
        return []
    found = []
    # Both names follow from what the policy says, so that one which is there is the right one.
    ours = f"helios_owner_{_digest(user)}"
    if ours not in policies:
        found.append(f'CREATE POLICY {ours} ON "{name}" TO CURRENT_USER USING (true)')
    condition = tables[name]
    theirs = None if condition is None else f"helios_tenants_{_digest(condition)}"
    old = [each for each in policies if each.startswith("helios_tenants_") and each != theirs]
    found += [f'DROP POLICY "{each}" ON "{name}"' for each in old]
    if theirs is not None and theirs not in policies:
        found.append(f'CREATE POLICY {theirs} ON "{name}" FOR SELECT USING ({condition})')
    if not forced:
        found.append(f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY')
        found.append(f'ALTER TABLE "{name}" FORCE ROW LEVEL SECURITY')
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Net:
    """Reads within a scope: connections of their own, which are never anything but the role.

    Args:
        url, schema, clock, settings, retry_s, prepare: see `connections.Connections`.
        plain: who reads where there is no role.
    """

    def __init__(
        self,
        url: str,
        schema: str,
        clock: clocks.Clock,
        settings: Mapping[str, str],
        *,
        plain: connections.Connections,
        retry_s: float = connections.RETRY_S,
        prepare: Callable[[connections.Connection], Awaitable[None]] | None = None,
    ) -> None:
        self._plain = plain
        self._schema = schema
        self._prepare = prepare
        self._own = connections.Connections(
            url,
            schema,
            clock,
            {**settings, "standard_conforming_strings": "on"},
            retry_s=retry_s,
            prepare=self._become,
        )
        self._is_open = False
        self._opening = asyncio.Lock()
        self.role: str | None = None
        """Who reads within a scope; None: the filters stand alone."""

    async def ready(self, connection: connections.Connection, granted: Sequence[str] = ()) -> None:
        """Find the role, with a connection of the owner outside a transaction.

        Args:
            connection: of the owner.
            granted: tables that hold no tenant's data and that the role may read whole.
        """
        self.role = await role(connection, self._schema)
        async with connection.transaction():
            await alone(connection, self._schema)
            await secure(connection, self._schema, {}, role=self.role, granted=granted)

    async def close(self) -> None:
        """Let go of the connections."""
        self._is_open = False
        await self._own.close()

    async def run(
        self, scope: tenancy.Scope, call: Callable[[connections.Connection], Awaitable[T]]
    ) -> T:
        """Run a read, which may be repeated, in a transaction that sees the scope's rows only."""
        if self.role is None:
            return await self._plain.run(call)
        own = await self._opened()

        async def within(connection: connections.Connection) -> T:
            await connection.execute(f"BEGIN READ ONLY; {named(scope)}")
            try:
                result = await call(connection)
            except BaseException:
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")
            return result

        return await own.run(within)

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[connections.Connection]:
        """A connection; the transaction that is begun on it must say `named` first."""
        own = self._plain if self.role is None else await self._opened()
        async with own.acquire() as connection:
            yield connection

    async def _opened(self) -> connections.Connections:
        async with self._opening:
            if not self._is_open:
                await self._own.open()
                self._is_open = True
        return self._own

    async def _become(self, connection: connections.Connection) -> None:
        if self._prepare is not None:
            await self._prepare(connection)
        await connection.execute(f'SET ROLE "{self.role}"')


def named(scope: tenancy.Scope) -> str:
    """The statement by which a transaction names the tenants that it may read.

    It takes no snapshot, so it may stand in front of locks.
    """
    assert scope.tenants is not None
    names = ",".join(map(_element, sorted(scope.tenants)))
    return f"SET LOCAL {SETTING} = {quoted('{' + names + '}')}"


def _element(tenant: str) -> str:
    text = codec.to_text(tenant).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
