"""Connections to PostgreSQL: how they are made, kept and lost, and what its errors mean to Helios.

A server goes away now and then: it restarts, fails over, runs out of slots. Whoever only reads may
ask again; whoever writes must know first whether the write took place. So a lost connection is an
error of its own here (`LostError`), and each user decides what it means.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

import asyncpg

from helios.kernel import clock as clocks
from helios.kernel import errors

T = TypeVar("T")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECT_S = 10.0
"""How long a connection may take to be made. At the end: tried again within the caller's bound."""

RETRY_S = 10.0
"""How long a call goes on trying while the server is away. At the end: `StorageError`."""

BACKOFF_S = (0.05, 1.0)
"""First and longest pause between two tries; doubled from one to the next."""

CONNECTIONS = 4
"""Connections of one kind that a store uses. Who needs one more waits for one of them."""

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,39}")

_SETTINGS = {
    "application_name": "helios",
    "jit": "off",
    "lock_timeout": "2s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "5s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "client_min_messages": "error",
}

_CLIENT_TIMEOUT_S = 15.0
"""Longest wait for an answer; beyond the server's own bound, so only a dead network meets it."""

_UNUSABLE = ("clos", "in progress", "released back")
"""In the texts of asyncpg's errors about a connection that ended, or is stuck, under its user."""

_GONE = (
    OSError,
    # What a server says while it ends may reach a connection between two states of its own.
    asyncpg.InternalClientError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
)

_BUSY = (
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


class LostError(errors.StorageError):
    """The connection is gone, or the server is too busy; the same call may succeed soon."""


_MEANINGS: tuple[tuple[tuple[type[Exception], ...], type[errors.HeliosError], str], ...] = (
    (_BUSY, LostError, "too slow, or held up by another session: try again"),
    (
        (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError),
        errors.StorageError,
        "check user, password and grants",
    ),
    ((asyncpg.InvalidCatalogNameError,), errors.StorageError, "create the database first"),
    (
        (asyncpg.DiskFullError, asyncpg.OutOfMemoryError),
        errors.StorageError,
        "free space on the server",
    ),
    (
        (asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError),
        errors.CorruptionError,
        "restore a backup",
    ),
    ((asyncpg.ClientConfigurationError,), errors.InvalidInputError, "see the database URL"),
    (
        (asyncpg.InsufficientResourcesError, asyncpg.PostgresSystemError),
        errors.StorageError,
        "see the log of the server",
    ),
)


class PlainConnection(asyncpg.Connection):
    """A connection that goes back to its pool without a round trip to clean it."""

    def get_reset_query(self) -> str:
        return ""


def check_schema(schema: str) -> str:
    """The name as it is, or an error that says what a name may be.

    Raises:
        InvalidInputError: not 1-40 lower case letters, digits and underscores.
    """
    if not _SCHEMA.fullmatch(schema):
        raise errors.InvalidInputError(
            f"{schema!r} is no name for a schema: at most 40 lower case letters, digits and "
            "underscores, no digit first"
        )
    return schema


def place(url: str) -> str:
    """Host, port and database of a URL, without user and password: fit for messages."""
    parts = urlsplit(url)
    return f"postgresql://{parts.hostname or ''}:{parts.port or 5432}{parts.path}"


def is_gone(error: Exception) -> bool:
    """Whether the connection is of no use any more."""
    if isinstance(error, asyncpg.InterfaceError):
        # The class is for misuse as well; only the text tells the two apart.
        return any(words in str(error) for words in _UNUSABLE)
    return isinstance(error, _GONE)


def translate(error: Exception, where: str) -> Exception:
    """Helios' error for one of PostgreSQL's; a mistake in the SQL itself is returned unchanged."""
    if is_gone(error):
        reason = str(error) or type(error).__name__
        return LostError(f"{where}: the server is away ({reason}); start it, or try again")
    for kinds, made, remedy in _MEANINGS:
        if isinstance(error, kinds):
            return made(f"{where}: {error}; {remedy}")
    return error


def _options(schema: str, settings: Mapping[str, str]) -> dict[str, Any]:
    return {
        "timeout": CONNECT_S,
        "command_timeout": _CLIENT_TIMEOUT_S,
        "server_settings": {**_SETTINGS, **settings, "search_path": f'"{schema}"'},
    }


async def connect(url: str, schema: str, settings: Mapping[str, str] | None = None) -> Connection:
    """One connection whose names are looked up in `schema`.

    Raises:
        LostError: the server cannot be reached now.
        StorageError: it refuses; says why.
    """
    try:
        return await asyncpg.connect(url, **_options(schema, settings or {}))
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        translated = translate(error, place(url))
        if translated is error:
            raise
        raise translated from error


async def patiently(
    clock: clocks.Clock, call: Callable[[], Awaitable[T]], *, retry_s: float = RETRY_S
) -> T:
    """Call again while the server is away, with growing pauses, at most `retry_s`.

    Only for calls that may be repeated.

    Raises:
        StorageError: the server was away all that time.
    """
    deadline = clock.monotonic() + retry_s
    pause, longest = BACKOFF_S
    while True:
        try:
            return await call()
        except LostError as error:
            if clock.monotonic() + pause > deadline:
                raise errors.StorageError(str(error)) from error
        await clock.sleep(pause)
        pause = min(pause * 2, longest)


class Connections:
    """A few connections of one kind, replaced when the server has been away.

    Args:
        url, schema: where they lead.
        clock: for the pauses between attempts.
        settings: of the server, for these connections.
        retry_s: how long `run` goes on while the server is away.
        prepare: called with each new connection.
    """

    def __init__(
        self,
        url: str,
        schema: str,
        clock: clocks.Clock,
        settings: Mapping[str, str],
        *,
        retry_s: float = RETRY_S,
        prepare: Callable[[Any], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._retry_s = retry_s
        self._url = url
        self._prepare = prepare
        self._schema = schema
        self._clock = clock
        self._settings = settings
        self._where = place(url)
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Make the first connection. Raises StorageError when that is not possible."""
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=CONNECTIONS,
                connection_class=PlainConnection,
                init=self._prepare,
                **_options(self._schema, self._settings),
            )
        except (ValueError, asyncpg.InterfaceError) as error:
            raise translate(error, self._where) from error
        await self.run(_ask)

    async def close(self) -> None:
        """Let running calls finish for a moment, then let go of the connections."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(CONNECT_S):
                await pool.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pool.terminate()

    async def run(self, call: Callable[[Connection], Awaitable[T]]) -> T:
        """Run a call that may be repeated, again while the server is away.

        Raises:
            StorageError: it stays away.
        """

        async def once() -> T:
            async with self.acquire() as connection:
                return await call(connection)

        return await patiently(self._clock, once, retry_s=self._retry_s)

    def acquire(self) -> "_Lease":
        """One connection for a while; errors inside are translated."""
        return _Lease(self._open_pool(), self._where)

    def _open_pool(self) -> Pool:
        if self._pool is None:
            raise errors.StorageError(f"{self._where}: closed; open it first")
        return self._pool


async def _ask(connection: Connection) -> None:
    await connection.execute("SELECT")


class _Lease:
    """A connection out of the pool, for the time of a `with` block."""

    def __init__(self, pool: Pool, where: str) -> None:
        self._pool = pool
        self._where = where
        self._connection: Any = None

    async def __aenter__(self) -> Connection:
        try:
            self._connection = await self._pool.acquire(timeout=CONNECT_S)
        except Exception as error:
            translated = translate(error, self._where)
            if translated is error:
                raise
            raise translated from error
        connection: Connection = self._connection
        return connection

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        connection, self._connection = self._connection, None
        translated = translate(error, self._where) if isinstance(error, Exception) else None
        # The pool takes a broken connection back by itself; then all of this is misuse to it.
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if isinstance(translated, LostError) or (error and connection.is_in_transaction()):
                connection.terminate()
            await self._pool.release(connection)
        if translated is not None and translated is not error:
            raise translated from error
