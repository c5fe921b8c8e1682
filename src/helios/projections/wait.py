"""Read your writes: wait until a view shows a position.

A worker in this process tells `Progress` after every commit, so a waiter wakes at once. A view
that another process keeps is polled.
"""

import asyncio
import contextlib

from helios.eventlog import envelope
from helios.kernel import errors, limits
from helios.projections import ports

_POLL_LOCAL_S = 0.25
_POLL_REMOTE_S = 0.01


class Progress:
    """How far the live copies of the views have come, as the workers of this process say."""

    def __init__(self) -> None:
        self._positions: dict[str, envelope.Position] = {}
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._pauses: dict[str, asyncio.Future[None]] = {}

    def position(self, view: str) -> envelope.Position | None:
        """Where the view stands, or None when no worker here keeps it."""
        return self._positions.get(view)

    def advance(self, view: str, position: envelope.Position) -> None:
        """Say that the live copy has reached a position; wakes who waits."""
        self._positions[view] = position
        self._wake(view)

    def forget(self, view: str) -> None:
        """Say that no worker here keeps the view any more."""
        self._positions.pop(view, None)
        self._wake(view)

    async def changed(self, view: str, *, timeout_s: float) -> None:
        """Return after the view's next step, or at the timeout."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(view, set())
        waiters.add(waiter)
        self._hurry(view)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await waiter
        finally:
            waiters.discard(waiter)

    async def pause(self, view: str, *, timeout_s: float) -> None:
        """For the view's worker: return at the timeout, or as soon as somebody waits for it."""
        if self._waiters.get(view):
            return
        pause: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pauses[view] = pause
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await pause
        finally:
            if self._pauses.get(view) is pause:
                del self._pauses[view]

    def _hurry(self, view: str) -> None:
        pause = self._pauses.get(view)
        if pause is not None and not pause.done():
            pause.set_result(None)

    def _wake(self, view: str) -> None:
        for waiter in self._waiters.get(view, ()):
            if not waiter.done():
                waiter.set_result(None)


class Waiter:
    """Waits for views, whichever process keeps them.

    Args:
        store: where the views are.
        progress: what the workers of this process tell.
    """

    def __init__(self, store: ports.ViewStore, progress: Progress) -> None:
        self._store = store
        self._progress = progress

    async def wait_for(
        self, view: str, position: envelope.Position, *, timeout_s: float = limits.WAIT_S_MAX
    ) -> envelope.Position:
        """Return the live copy's position as soon as it is at least `position`.

        Args:
            view: its name.
            position: what an append returned.
            timeout_s: longest wait; clipped to `limits.WAIT_S_MAX`.

        Raises:
            DeadlineError: the view has not come so far in time; names both positions.
        """
        timeout_s = min(timeout_s, limits.WAIT_S_MAX)
        reached = self._progress.position(view) or envelope.Position(0)
        if reached >= position:
            return reached
        try:
            async with asyncio.timeout(timeout_s):
                while (reached := await self.reached(view)) < position:
                    await self._pause(view, position)
                return reached
        except TimeoutError:
            raise errors.DeadlineError(
                f"view {view} stands at position {reached}, not yet at {position}, "
                f"after {timeout_s:g} s: try again, or look at /ready for its lag"
            ) from None

    async def reached(self, view: str) -> envelope.Position:
        """Where the live copy stands; 0 when there is none."""
        local = self._progress.position(view)
        if local is not None:
            return local
        for slot in await self._store.slots(view):
            if slot.live:
                return slot.checkpoint.position
        return envelope.Position(0)

    async def _pause(self, view: str, position: envelope.Position) -> None:
        local = self._progress.position(view)
        if local is None:
            await self._progress.changed(view, timeout_s=_POLL_REMOTE_S)
        elif local < position:
            await self._progress.changed(view, timeout_s=_POLL_LOCAL_S)
