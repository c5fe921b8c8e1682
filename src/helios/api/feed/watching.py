"""Watches what is no event: verdicts, which are folded, and how far the views are.

One watcher serves all who follow, and rests while nobody does. It looks at most ten times a second,
and only when the view of verdicts has moved; what it finds waits in a ring of bounded length, from
which each reads on from where he was. Who was too slow is told that there is more.
"""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Sequence

import msgspec
import structlog

from helios.api.feed import changes
from helios.kernel import clock as clocks
from helios.kernel import errors, tenancy
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.reconcile.streams import newest
from helios.reconcile.streams import view as verdict_view

PACE_S = 0.1
VIEWS_PACE_S = 0.5
ELSEWHERE_S = 0.5
"""How often the store is asked for a view that another process keeps."""

RING_MAX = 2_000

_log = structlog.get_logger("helios.api.feed")


class News(msgspec.Struct, frozen=True):
    """What somebody has not read yet; `more`: some of it is gone, or was never looked up."""

    upto: int
    found: Sequence[changes.Change]
    more: bool


class Watcher:
    """See the module.

    Args:
        store: where the view of verdicts is.
        views: how far they are, those that are kept here.
        clock: for pauses.
    """

    def __init__(
        self, store: view_ports.ViewStore, views: catalog.Catalog, clock: clocks.Clock
    ) -> None:
        self._store = store
        self._views = views
        self._clock = clock
        self._newest = newest.Newest(store)
        self._ring: collections.deque[tuple[int, changes.Change | None]] = collections.deque()
        self._number = 0
        self._moved = asyncio.Event()
        self._followers = 0
        self._task: asyncio.Task[None] | None = None
        self._position = -1
        self._known = -1
        self._shown: dict[str, tuple[str, int]] = {}
        self._due = {"views": 0.0, "elsewhere": 0.0}
        self._looking = asyncio.Lock()

    @property
    def number(self) -> int:
        """Of the last thing found; to read on from."""
        return self._number

    @property
    def position(self) -> int:
        """Every event up to here shows in the verdicts that were looked at."""
        return max(0, self._position)

    @contextlib.asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Watch for as long as the block runs; what was is looked at first."""
        self._followers += 1
        try:
            if self._task is None:
                # On behalf of nobody: who may see what is asked when it is handed out.
                with tenancy.within(tenancy.EVERYTHING):
                    await self._tried()
                    if self._task is None:
                        self._task = asyncio.create_task(self._run(), name="feed-watcher")
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                await self._rest()

    async def _rest(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        # What happens meanwhile is not seen: the next one to follow begins anew.
        self._newest = newest.Newest(self._store)
        self._position = self._known = -1

    def since(self, number: int) -> News:
        """What was found after a number that was read up to."""
        oldest = self._ring[0][0] if self._ring else self._number + 1
        entries = [each for at, each in self._ring if at > number]
        return News(
            upto=self._number,
            found=[each for each in entries if each is not None],
            more=number + 1 < oldest or any(each is None for each in entries),
        )

    async def wait(self, number: int) -> None:
        """Return when there is something after a number, or the verdicts have moved on."""
        while self._number <= number:
            await self._moved.wait()

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(PACE_S)
            await self._tried()

    async def _tried(self) -> None:
        async with self._looking:
            try:
                await self._look()
            except errors.HeliosError as error:
                _log.warning("feed_look_failed", error=str(error))

    async def _look(self) -> None:
        before = self._number
        await self._locate()
        if self._known != self._position:
            at = self._known
            found = await self._newest.look()
            for each in found.verdicts:
                self._put(changes.of_verdict(each))
            if found.more:
                self._put(None)
            self._position = at
        if self._clock.monotonic() >= self._due["views"]:
            self._due["views"] = self._clock.monotonic() + VIEWS_PACE_S
            self._look_at_views()
        if self._number != before:
            self._moved.set()
            self._moved = asyncio.Event()

    async def _locate(self) -> None:
        """Find out how far the verdicts are: here, or in the process that keeps them."""
        here = self._views.progress.position(verdict_view.NAME)
        if here is not None:
            self._known = here
        elif self._clock.monotonic() >= self._due["elsewhere"]:
            self._due["elsewhere"] = self._clock.monotonic() + ELSEWHERE_S
            slots = await self._store.slots(verdict_view.NAME)
            self._known = max((each.checkpoint.position for each in slots if each.live), default=0)

    def _look_at_views(self) -> None:
        for health in self._views.health():
            seen = (str(health.status), int(health.position))
            if self._shown.get(health.view) != seen:
                self._shown[health.view] = seen
                self._put(changes.of_view(health.view, *seen, health.head))

    def _put(self, change: changes.Change | None) -> None:
        self._number += 1
        self._ring.append((self._number, change))
        if len(self._ring) > RING_MAX:
            self._ring.popleft()
