"""Lets time pass for open windows when no event comes.

A window whose deadline has passed on the clock, but not yet for the events seen, is closed by
a tick: an event like any other, recorded in the log, so a replay closes it at the same place. A
tick is written only when one is needed; a quiet log stays quiet.
"""

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.reconcile.streams import fold, view

INTERVAL_S = 0.1
"""How often it is looked at whether something is due."""

_SPACING_US = 250_000
"""Between two ticks."""

_LAG_EVENTS_MAX = 10_000
"""How far behind the verdicts may be: further back it is not known what is due now."""


class Ticker:
    """Writes ticks while the verdicts of this process are up to date.

    Args:
        log: where ticks are appended.
        verdicts: whose open windows are watched.
        clock: whose time passes.
        id_source: of event ids.
    """

    def __init__(
        self,
        log: log_ports.EventLog,
        verdicts: view.VerdictView,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
    ) -> None:
        self._log = log
        self._view = verdicts
        self._clock = clock
        self._ids = id_source
        self._last = clocks.Timestamp(0)

    async def run(self) -> None:
        """Tick until cancelled.

        Raises:
            StorageFailedError: a flush failed; the process must stop.
        """
        while True:
            await self._clock.sleep(INTERVAL_S)
            try:
                await self.tick_if_due()
            except errors.StorageFailedError:
                raise
            except errors.HeliosError:
                # The log is full or away; who appends is told. The next round tries again.
                continue

    async def tick_if_due(self) -> bool:
        """Append a tick if a deadline has passed that the events do not show; whether it did."""
        live = self._view.live
        now = self._clock.now()
        if live is None or now - self._last < _SPACING_US:
            return False
        if not any(each.is_due(now) for each in live.engines()):
            return False
        if await self._log.head() - live.position > _LAG_EVENTS_MAX:
            return False
        self._last = now
        await self._log.append([tick(self._ids.new(), now)])
        return True


def tick(event_id: str, now: clocks.Timestamp) -> envelope.NewEvent:
    """The event that says: it is `now`."""
    return envelope.NewEvent(
        id=event_id,
        source=fold.SOURCE,
        type=fold.TICKED,
        occurred_at=now,
        aggregate_type="clock",
        aggregate_id="contracts",
        actor="service:helios",
    )
