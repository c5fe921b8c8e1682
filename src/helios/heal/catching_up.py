"""Brings what a provider told while its webhook was broken.

The source is asked for everything since the last event that is known to have arrived, with some
time to spare; what is in the log already stays as it is, so asking too much costs calls and
nothing else. What no list of changes shows, deletions above all, is found by a comparison.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeAlias

import structlog

from helios.eventlog import ports as log_ports
from helios.heal import attempts, reaching, rereading
from helios.ingest import directory, polling, sources
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import ports as view_ports
from helios.projections.views import event_mirror
from helios.providers import ports as providers
from helios.reconcile.compositions import composition, ports

LOOK_BACK_US = 7 * 24 * 3600 * clocks.SECOND_US
"""How far back is asked when no event is known to have arrived."""

SPARE_US = 600 * clocks.SECOND_US
"""Before the last one known: events overtake each other, and clocks differ."""

PAGES_MAX = 20
PAGE = 100

LastGood: TypeAlias = Callable[[ports.Job], Awaitable[clocks.Timestamp | None]]
"""When the component of an action was last seen to be as declared; None: not known."""

_POLLED = b'"polled":true'
_DETAIL_CHARS = 200
_log = structlog.get_logger("helios.heal")


class Fetching(Protocol):
    """Asks sources again (`ingest.runners.Manager` is one)."""

    async def replay(self, tenant: str, name: str, what: sources.Replay) -> sources.Replayed:
        """Fetch again; what is in the log already stays as it is. Raises HeliosError."""
        ...


class CatchingUp:
    """See the module.

    Args:
        fetching: asks sources for changes.
        rereader: compares.
        log: where events are.
        store: where the event mirror is.
        clock: the time.
        last_good: tells more of when the break was; None: only the events tell.
    """

    def __init__(
        self,
        fetching: Fetching,
        rereader: rereading.Rereader,
        *,
        log: log_ports.EventLog,
        store: view_ports.ViewStore,
        clock: clocks.Clock,
        last_good: LastGood | None = None,
    ) -> None:
        self._fetching = fetching
        self._rereader = rereader
        self._log = log
        self._store = store
        self._clock = clock
        self._last_good = last_good

    async def after_mend(
        self,
        attempt: attempts.Attempt,
        reached: reaching.Reached,
        integration: composition.Integration,
    ) -> str:
        """Bring what was missed; what came of it, for people. Never raises.

        The webhook is mended by now, and that is what the action is judged by.
        """
        found = reached.found
        if found is None:
            return "no source of Helios takes its events in, so nothing was asked again"
        try:
            async with asyncio.timeout(attempt.left_s):
                return await self._caught_up(attempt, reached, found, integration)
        except TimeoutError:
            why = "it took too long"
        except Exception as error:  # noqa: BLE001 - an adapter's code may raise anything
            known = isinstance(error, (errors.HeliosError, ports.HealError))
            why = attempt.mask.text(str(error) if known else type(error).__name__)[:_DETAIL_CHARS]
        name = found.declared.name
        _log.warning(
            "heal_did_not_catch_up",
            action=attempt.action.id,
            client_id=found.declared.client_id,
            source=name,
            error=why,
        )
        return (
            f"what was missed could not be asked for ({why}); `helios sources replay {name}` does"
        )

    async def _caught_up(
        self,
        attempt: attempts.Attempt,
        reached: reaching.Reached,
        found: directory.Found,
        integration: composition.Integration,
    ) -> str:
        tenant, name = found.declared.client_id, found.declared.name
        since = await self.since(attempt, found, integration)
        said = []
        can_list = providers.Capability.LIST_CHANGES in found.kind.capabilities
        if can_list or found.kind.make is not None:
            told = await self._fetching.replay(tenant, name, sources.Replay(since=since))
            said.append(
                f"asked {name} again since {clocks.to_rfc3339(since)}: {told.fetched} events, "
                f"{told.stored} of them new"
            )
        if self._rereader.can(reached):
            compared = await self._rereader.reread(found, reached, attempt)
            said.append(f"compared: {compared.found} differed, {compared.stored} new")
        return "; ".join(said) or f"{reached.provider.name} cannot be asked for what was missed"

    async def since(
        self,
        attempt: attempts.Attempt,
        found: directory.Found,
        integration: composition.Integration,
    ) -> clocks.Timestamp:
        """From when on to ask."""
        known = [await self._arrived(found, _untold(attempt, integration))]
        if self._last_good is not None:
            known.append(await self._last_good(attempt.job))
        times = [each for each in known if each is not None]
        oldest = clocks.Timestamp(max(0, self._clock.now() - LOOK_BACK_US))
        return polling.since(min(times), SPARE_US) if times else oldest

    async def _arrived(
        self, found: directory.Found, types: Collection[str]
    ) -> clocks.Timestamp | None:
        """Event time of the last event of these types (none: of any) that a webhook brought."""
        tenant, name = found.declared.client_id, found.declared.name
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await event_mirror.by_provider(
                self._store, tenant, name, limit=PAGE, cursor=cursor
            )
            entries = [each for each in page.entries if not types or each.event_type in types]
            events = await self._log.read_at([each.position for each in entries])
            times = [each.occurred_at for each in events if _POLLED not in each.metadata]
            if times:
                return max(times)
            cursor = page.next_cursor
            if cursor is None:
                break
        return None


def _untold(attempt: attempts.Attempt, integration: composition.Integration) -> frozenset[str]:
    """The types that a webhook did not tell of though all others came; none: nothing came."""
    seen = attempt.was.get("events")
    if not isinstance(seen, (list, tuple)) or set(attempt.wanted) - {"events"}:
        return frozenset()
    return frozenset(integration.events) - frozenset(map(str, seen))
