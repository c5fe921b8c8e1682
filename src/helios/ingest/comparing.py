"""Compares what a provider lists with what is known of it, and reads again what cannot be trusted.

The part of a poller for what no time of change gives away: deletions, edits taken back, content
that somebody invalidated, content that was not heard of for the cache's time to live. What is
decided stands in `polling`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec
import structlog

from helios.eventlog import envelope, ports
from helios.ingest import polling, sources
from helios.kernel import clock as clocks
from helios.providers import ports as providers

CONFIRM_S = 30.0
"""Longest pause before a listing that is to confirm what another one found; half the grace."""

PAUSE_S = 60.0
"""Comparisons that are asked for come no closer than this."""

BELIEVED_MAX = 500_000
"""Contents of one source that can be compared. Above: no comparison, and the status says so."""

READ_AT_ONCE = 1_000
"""Contents that are read again after one poll; more wait for the next."""

HandIn = Callable[[list[providers.Received]], Awaitable[int]]
"""Takes events to the gate; how many were new."""

_log = structlog.get_logger("helios.ingest")


Known: TypeAlias = tuple[polling.Content, str, clocks.Timestamp, clocks.Timestamp]
"""A content that is there as far as events tell: which; the newest version that was told; when
that was appended; when it was last told of, 0 if it is not to be trusted."""


class Believed(Protocol):
    """Knows which content events have told of."""

    def believed(self, tenant: str, source: str) -> AsyncIterator[Known]:
        """What is there as far as events tell. Raises StorageError: it cannot be read now."""
        ...

    async def invalid(self, tenant: str, source: str, limit: int) -> Sequence[polling.Content]:
        """What is there and not to be trusted. Raises StorageError."""
        ...

    def confirmation(
        self, tenant: str, source: str, types: Sequence[str], as_of: clocks.Timestamp
    ) -> envelope.NewEvent:
        """The event that says: then the provider had what is known, of these types."""
        ...


class Comparer:
    """Compares now and then.

    Args:
        tools: see `sources.Tools`.
        lister: the adapter.
        log: where it is written that all is as known.
        believed: what is known.
        hand_in: takes what is found to the gate.
        ttl: gives how long content may go unheard of, in microseconds; None: for ever.
    """

    def __init__(
        self,
        tools: sources.Tools,
        lister: providers.IdLister,
        log: ports.EventLog,
        *,
        believed: Believed,
        hand_in: HandIn,
        ttl: Callable[[], int] | None,
    ) -> None:
        self._tools = tools
        self._clock = tools.clock
        self._lister = lister
        self._log = log
        self._believed = believed
        self._hand_in = hand_in
        self._ttl = ttl
        self._poll = tools.declared.poll or sources.Polling()
        self._confirm_s = min(CONFIRM_S, max(1.0, self._poll.grace / 2 / clocks.SECOND_US))
        self._doubt: polling.Doubt | None = None
        self._at: float | None = None
        self._compared_at: float | None = None

    @property
    def hurry_s(self) -> float | None:
        """Seconds until a comparison that is to settle a doubt; None: there is none."""
        if self._doubt is None or self._at is None:
            return None
        return max(0.0, self._at - self._clock.monotonic())

    def soon(self) -> None:
        """Compare as soon as may be."""
        soonest = (self._compared_at or float("-inf")) + PAUSE_S
        if self._at is not None:
            self._at = min(self._at, max(soonest, self._clock.monotonic()))

    async def compare_if_due(self, *, webhooks: bool) -> str:
        """Compare if it is time to; returns what people should know.

        Args:
            webhooks: they are expected: what changed just now may still come by one.

        Raises:
            OutboundError, ProviderApiError, OverloadError, StorageError: try again later.
        """
        if self._at is not None and self._clock.monotonic() < self._at:
            return ""
        pause_s = self._pause_s()
        try:
            compared = await self._compare(webhooks=webhooks)
            pause_s = pause_s if compared.doubt is None else self._confirm_s
        finally:
            self._compared_at = self._clock.monotonic()
            self._at = self._compared_at + pause_s
        self._doubt = compared.doubt
        return compared.detail

    async def read_invalid(self) -> None:
        """Read again what is not to be trusted. Raises as `compare_if_due`."""
        if isinstance(self._lister, providers.ContentReader):
            found = await self._believed.invalid(*self._whose, READ_AT_ONCE)
            types = set(self._lister.listed_types(self._tools.source))
            wanted = [each for each in found if each[0] in types]
            await self._read(wanted, replaces=self._clock.now())

    def _pause_s(self) -> float:
        """Often enough that nothing grows stale that the provider still has."""
        every = self._poll.compare_every
        if self._ttl is not None and isinstance(self._lister, providers.ContentReader):
            every = min(every, max(self._ttl() // 3, self._poll.every))
        return every / clocks.SECOND_US

    async def _compare(self, *, webhooks: bool) -> polling.Compared:
        began = self._clock.now()
        there: dict[polling.Content, str] = {}
        async for page in self._lister.list_ids(self._tools.api):
            there.update((polling.content(each), each.version) for each in page)
        settled: dict[polling.Content, str] = {}
        young: set[polling.Content] = set()
        oldest = began
        async for key, version, changed_at, heard_at in self._believed.believed(*self._whose):
            if changed_at < began - self._poll.grace:
                settled[key] = version
            else:
                young.add(key)
            oldest = min(oldest, heard_at or began)
            if len(settled) > BELIEVED_MAX:
                detail = f"more than {BELIEVED_MAX} contents: what is gone is not looked for"
                return polling.Compared(detail=detail)
        types = self._lister.listed_types(self._tools.source)
        compared = polling.compare(settled, there, types, self._doubt, young=young)
        await self._delete({each: settled[each] for each in compared.gone}, began)
        settled_at = clocks.Timestamp(began - self._poll.grace)
        await self._read(sorted(compared.changed), replaces=settled_at, webhooks=webhooks)
        is_told = all(there.values()) and not compared.detail
        if is_told and self._ttl is not None and oldest < began - self._ttl() // 3:
            await self._log.append([self._believed.confirmation(*self._whose, types, began)])
        return compared

    async def _delete(self, gone: dict[polling.Content, str], began: clocks.Timestamp) -> None:
        if gone:
            listed = (polling.listed(each, gone[each]) for each in sorted(gone))
            new = await self._hand_in([self._lister.deletion(each, began) for each in listed])
            _log.info("deletions_found", **self._names(), events=new)

    async def _read(
        self,
        wanted: Sequence[polling.Content],
        *,
        replaces: clocks.Timestamp,
        webhooks: bool = False,
    ) -> None:
        """Read contents again; that stands in for whatever was told before this time.

        Their ids are of this reading: the same state may have been told before, and be known
        otherwise all the same.
        """
        if not wanted or not isinstance(self._lister, providers.ContentReader):
            return
        began = self._clock.now()
        new = 0
        listed = [polling.listed(each) for each in wanted]
        async for page in self._lister.read_contents(self._tools.api, listed):
            read = [
                msgspec.structs.replace(
                    each,
                    id=f"{each.id}:read:{began}",
                    metadata={**each.metadata, polling.REPLACES: replaces},
                )
                for each in page
                if not (webhooks and (each.occurred_at or 0) > began - self._poll.grace)
            ]
            new += await self._hand_in(read)
        _log.info("contents_read_again", **self._names(), contents=len(listed), events=new)

    @property
    def _whose(self) -> tuple[str, str]:
        return self._tools.declared.client_id, self._tools.declared.name

    def _names(self) -> dict[str, str]:
        return {"source": self._tools.declared.name, "client_id": self._tools.declared.client_id}
