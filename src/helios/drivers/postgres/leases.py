"""Which of several processes runs a source: advisory locks of one session.

The session is the lease. Whatever ends it (the process dies, the connection breaks, the server
restarts) gives every lock back, so nobody has to tell a dead process from a slow one. Who holds
leases looks every two seconds whether the session lives, and stops what it runs when it does not.
"""

import asyncio
import hashlib
from collections.abc import Awaitable
from typing import TypeVar

import asyncpg

from helios.drivers.postgres import connection as connections
from helios.kernel import clock as clocks
from helios.kernel import errors

T = TypeVar("T")

BEAT_S = 2.0
"""How often it is looked whether the session lives."""

ANSWER_S = 5.0
"""Longest wait for an answer. Above: the session counts as dead and is ended."""

_SETTINGS = {
    # The server finds out within seconds, too, when the network is cut.
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "application_name": "helios-leases",
}
_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class PostgresLease:
    """See `ingest.runners.Lease`."""

    def __init__(self, leases: "PostgresLeases", name: str) -> None:
        self._leases = leases
        self._name = name
        self.ended = asyncio.Event()

    async def lost(self) -> None:
        await self.ended.wait()

    async def release(self) -> None:
        await self._leases.release(self._name, self)


class PostgresLeases:
    """`ingest.runners.Leases` over one PostgreSQL database.

    Args:
        url: `postgresql://user:password@host:port/database`.
        clock: for pauses.
    """

    def __init__(self, url: str, *, clock: clocks.Clock) -> None:
        self._url = url
        self._clock = clock
        # One session serves one question at a time.
        self._turn = asyncio.Lock()
        self._connection: connections.Connection | None = None
        self._held: dict[str, PostgresLease] = {}
        self._beating: asyncio.Task[None] | None = None

    async def acquire(self, name: str) -> PostgresLease | None:
        """See `ingest.runners.Leases.acquire`."""
        async with self._turn:
            # The same session may take a lock twice; two runners must not.
            if name in self._held:
                return None
            connection = await self._connected()
            got = await self._answered(
                connection.fetchval("SELECT pg_try_advisory_lock($1)", _key(name))
            )
            if not got:
                return None
            self._held[name] = PostgresLease(self, name)
            return self._held[name]

    async def release(self, name: str, lease: PostgresLease) -> None:
        """Let another process have it."""
        async with self._turn:
            if self._held.get(name) is not lease:
                return
            del self._held[name]
            lease.ended.set()
            if self._connection is None:
                return
            try:
                await self._answered(
                    self._connection.execute("SELECT pg_advisory_unlock($1)", _key(name))
                )
            except errors.StorageError:
                # The session is ended then, and the lock with it.
                return

    async def close(self) -> None:
        """End the session; every lease is lost."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
        self._end()

    async def _connected(self) -> connections.Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        self._end()
        made = await connections.connect(self._url, "public", _SETTINGS)
        made.add_termination_listener(self._ended)
        self._connection = made
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat(), name="postgres-leases")
        return made

    async def _answered(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await call
        except _ERRORS as error:
            self._end()
            place = connections.place(self._url)
            raise errors.StorageError(
                f"{place}: it cannot be told who runs a source ({error or type(error).__name__}); "
                "it is tried again"
            ) from error
        except asyncio.CancelledError:
            # Whether the lock was taken is not known; only the end of the session tells.
            self._end()
            raise

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(BEAT_S)
            async with self._turn:
                if self._connection is None:
                    return
                try:
                    await self._answered(self._connection.execute("SELECT"))
                except errors.StorageError:
                    return

    def _ended(self, connection: object) -> None:
        if connection is self._connection:
            self._end()

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        held, self._held = self._held, {}
        for lease in held.values():
            lease.ended.set()
        if connection is not None:
            connection.terminate()


def _key(name: str) -> int:
    digest = hashlib.sha256(b"helios.lease\0" + name.encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
