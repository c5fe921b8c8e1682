"""Keeps the directory of this process as the log has it.

At the start it is filled from the view, then it follows the log by itself: a session that was
closed by another process counts no more as soon as that is known here, within two seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from helios.access import directory, events, limiting, view
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, limits
from helios.projections import ports as view_ports

READY_S = 10.0
"""How long a request waits for the directory at the start. At the end: `StorageError` (503)."""

VISIBLE_S = 5.0
"""How long a change waits to be seen here. At the end: `StorageError` (503)."""

_RETRY_S = 0.05
_AWAY_S = 0.5
_BUILD_S = 5.0
"""How long the view may take to be built at the start before that is worth a word."""

_log = structlog.get_logger("helios.access")


class Follower:
    """Owns the directory and keeps it up to date while `run` runs.

    Args:
        log: where the events are.
        store: where the view is.
        visible: returns when the view shows a position.
        counts: of failed tries to sign in.
        clock: for pauses.
    """

    def __init__(
        self,
        log: log_ports.EventLog,
        store: view_ports.ViewStore,
        *,
        visible: Callable[[envelope.Position], Awaitable[object]],
        counts: limiting.Limits,
        clock: clocks.Clock,
    ) -> None:
        self.directory = directory.Directory()
        self._log = log
        self._store = store
        self._visible = visible
        self._counts = counts
        self._clock = clock
        self._position = envelope.Position(0)
        self._loaded = False
        self._moved = asyncio.Condition()
        self._waiting = 0

    @property
    def is_ready(self) -> bool:
        """Whether the directory is as the log had it at the start, or newer."""
        return self._loaded

    async def run(self) -> None:
        """Follow the log until cancelled.

        Raises:
            StorageFailedError: a flush failed; the process must stop.
        """
        begun = self._clock.monotonic()
        while True:
            try:
                await self._follow()
            except errors.StorageFailedError:
                raise
            except errors.HeliosError as error:
                # A view that is being built, a database that is away: what is known goes on.
                if self._loaded or self._clock.monotonic() - begun > _BUILD_S:
                    _log.warning("access_not_followed", error=str(error))
                await self._clock.sleep(_RETRY_S if not self._loaded else _AWAY_S)

    async def ready(self) -> None:
        """Return when the directory can be asked.

        Raises:
            StorageError: that takes too long.
        """
        if not self._loaded:
            await self._until(lambda: self._loaded, READY_S)

    async def caught_up(self) -> None:
        """Return when the directory has everything that is in the log now.

        Raises:
            StorageError: that takes too long.
        """
        await self.seen(await self._log.head())

    async def seen(self, position: envelope.Position) -> None:
        """Return when the directory has everything up to a position.

        Raises:
            StorageError: that takes too long.
        """
        if not (self._loaded and self._position >= position):
            await self._until(lambda: self._loaded and self._position >= position, VISIBLE_S)

    async def _until(self, reached: Callable[[], bool], seconds: float) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(reached)
        except TimeoutError:
            raise errors.StorageError(
                "it cannot be told yet who may do what: the log or its views are behind; try again"
            ) from None
        finally:
            self._waiting -= 1

    async def _follow(self) -> None:
        if not self._loaded:
            await self._load()
        # Not `tail`: that says nothing of positions without events of ours, and who waits for the
        # head has to know of those too.
        while True:
            page = self._log.recent(self._position, where=events.CHANGES)
            if page is None:
                page = await self._log.read(self._position, where=events.CHANGES)
            self._take(page)
            await self._advance(page.next_after)
            if self._position >= page.head:
                await self._log.wait(self._position, timeout_s=limits.WAIT_S_MAX)

    async def _load(self) -> None:
        head = await self._log.head()
        await self._visible(head)
        # The rows may be newer than the head; what is read of them again changes nothing.
        self.directory.load(await view.entries(self._store))
        self.directory.prune(self._clock.now())
        self._position = head
        target = await self._log.head()
        while self._position < target:
            page = await self._log.read(self._position, where=events.CHANGES)
            self._take(page)
            self._position = page.next_after
        self._loaded = True
        await self._advance(self._position)

    def _take(self, page: envelope.Page) -> None:
        for event in page.events:
            self._counts.saw(event)
            self.directory.apply(event)

    async def _advance(self, position: envelope.Position) -> None:
        self._position = position
        if self._waiting:
            async with self._moved:
                self._moved.notify_all()
