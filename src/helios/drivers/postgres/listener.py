"""Hearing of commits of other processes.

One connection listens; when it is lost, another one is made. While there is none, waiting falls
back to polling: a notification is a hint, and nothing depends on its coming.
"""

import asyncio
import contextlib
from typing import Any

import asyncpg

from helios.drivers.postgres import connection as connections
from helios.kernel import clock as clocks
from helios.kernel import errors

POLL_S = 0.25
"""Longest wait while no connection listens."""


class Listener:
    """Counts commits as they are heard of.

    Args:
        url, schema: where the log is.
        channel: what its commits notify.
        clock: for the pauses between attempts to connect.
    """

    def __init__(self, url: str, schema: str, channel: str, clock: clocks.Clock) -> None:
        self._url = url
        self._schema = schema
        self._channel = channel
        self._clock = clock
        self._changed = asyncio.Event()
        self._listening = False
        self._task: asyncio.Task[None] | None = None
        self.count = 0

    def start(self) -> None:
        """Begin to listen, in the background."""
        self._task = asyncio.create_task(self._run(), name="postgres-listener")

    async def close(self) -> None:
        """Stop listening; who waits returns."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.tell()

    def tell(self, *_: Any) -> None:
        """Something was committed: wake all who wait."""
        self.count += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Return once `count` is not `seen`, or at the timeout, or early."""
        if self.count != seen:
            return
        bound = timeout_s if self._listening else min(timeout_s, POLL_S)
        try:
            async with asyncio.timeout(bound):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _run(self) -> None:
        pause, longest = connections.BACKOFF_S
        while True:
            try:
                await self._listen()
                pause = connections.BACKOFF_S[0]
            except (errors.StorageError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                # Nobody needs to know: readers poll meanwhile, and meet the error themselves.
                pause = min(pause * 2, longest)
            await self._clock.sleep(pause)

    async def _listen(self) -> None:
        connection = await connections.connect(self._url, self._schema)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(self._channel, self.tell)
            self._listening = True
            self.tell()
            await lost.wait()
        finally:
            self._listening = False
            connection.terminate()
            self.tell()
