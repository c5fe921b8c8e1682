"""Wakes keys as events are appended, by any process.

The log's change feed is followed from its head on. How far is remembered by nobody: a process
that starts anew has every key looked at once, which finds what it missed. So a wake-up may come
twice or for nothing, and none is lost.
"""

from collections.abc import Callable, Iterable, Sequence

import structlog

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.runtime import keys, resync

RETRY_S = 1.0

_log = structlog.get_logger("helios.reconcile")

Woken = Callable[[Sequence[envelope.Event]], Iterable[tuple[keys.Key, keys.Priority]]]
"""Which keys these events wake, and how urgent that is. Of one family or of several."""


class Waking:
    """See the module's docstring.

    Args:
        log: is followed.
        wake: wakes a key.
        clock: for pauses.
    """

    def __init__(self, log: log_ports.EventLog, wake: resync.Wake, *, clock: clocks.Clock) -> None:
        self._log = log
        self._wake = wake
        self._clock = clock
        self._woken: list[Woken] = []
        self._missed: list[Callable[[], None]] = []

    def follow(self, woken: Woken, *, missed: Callable[[], None] = lambda: None) -> None:
        """Have events wake keys; before `run`.

        Args:
            woken: see there.
            missed: is called when events may have gone by unseen, at the start too, from where
                on none will: have all keys looked at (`Resync.all_soon`).
        """
        self._woken.append(woken)
        self._missed.append(missed)

    async def run(self) -> None:
        """Wake keys until cancelled.

        Raises:
            StorageFailedError: the process must stop.
        """
        after: envelope.Position | None = None
        while True:
            try:
                if after is None:
                    after = await self._log.head()
                    self._tell_missed()
                async for page in self._log.tail(after):
                    self._pass_on(page.events)
                    after = page.next_after
            except errors.StorageFailedError:
                raise
            except errors.CursorError as error:
                # The log was restored to an earlier point.
                _log.warning("wake_ups_begin_anew", error=error)
                after = None
            except errors.HeliosError as error:
                _log.warning("wake_ups_wait", error=error)
            await self._clock.sleep(RETRY_S)

    def _pass_on(self, events: Sequence[envelope.Event]) -> None:
        if not events:
            return
        for woken, missed in zip(self._woken, self._missed, strict=True):
            try:
                for key, priority in woken(events):
                    self._wake(key, priority)
            except Exception:  # noqa: BLE001 - somebody else's code
                # One event that one family stumbles over must not leave all others asleep.
                _log.exception("wake_ups_failed", after=events[0].position - 1)
                missed()

    def _tell_missed(self) -> None:
        for missed in self._missed:
            missed()
