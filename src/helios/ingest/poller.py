"""Polls a provider: the net under its webhooks, and the way in where there are none.

Every `poll.every` it asks what changed, from before the newest change seen, and hands in what no
webhook told; every `poll.compare_every` it compares what is there with what is believed to be
there. What is decided stands in `polling`; here is what is done: calls, the log, waiting.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import msgspec
import structlog

from helios.eventlog import envelope, ports
from helios.ingest import comparing, marks, polling, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound
from helios.providers import ports as providers
from helios.providers import registry

MARK_EVERY_US = 300 * clocks.SECOND_US
"""How often progress is written when nothing new came by polling."""

_DETAIL_CHARS = 500
_log = structlog.get_logger("helios.ingest")


class Poller:
    """`sources.Runner` for a provider that lists changes.

    Args:
        tools: see `sources.Tools`.
        provider: the adapter.
        log: what was told is read there, and marks are kept there.
        believed: for comparisons; None: there are none.
        ttl: gives how long content may go unheard of, in microseconds; None: for ever.
        every_min: gives the shortest time between polls, in microseconds, whatever is declared.
    """

    def __init__(
        self,
        tools: sources.Tools,
        provider: providers.Provider,
        log: ports.EventLog,
        believed: comparing.Believed | None = None,
        ttl: Callable[[], int] | None = None,
        *,
        every_min: Callable[[], int] = int,
    ) -> None:
        if not isinstance(provider, providers.ChangeLister):
            raise errors.InvalidInputError(
                f"{provider.title} cannot be polled: its adapter lists no changes",
                field="spec.poll",
            )
        self._lister: providers.ChangeLister = provider
        self._tools = tools
        self._provider = provider
        self._declared = tools.declared
        self._poll = tools.declared.poll or sources.Polling()
        self._log = log
        self._every_min = every_min
        self._comparer: comparing.Comparer | None = None
        if believed is not None and isinstance(provider, providers.IdLister):
            self._comparer = comparing.Comparer(
                tools, provider, log, believed=believed, hand_in=self._stored, ttl=ttl
            )
        self._clock = tools.clock
        self._heard: polling.Heard | None = None
        self._mark: marks.Mark | None = None
        self._anchors: list[tuple[clocks.Timestamp, envelope.Position]] = []
        self._marked_at = clocks.Timestamp(0)
        self._polled_at: clocks.Timestamp | None = None
        self._young: clocks.Timestamp | None = None
        self._going = asyncio.Event()
        self._going.set()
        self._wake = asyncio.Event()
        self._status = sources.Status(state="starting")

    async def run(self) -> None:
        """See `sources.Runner.run`.

        Raises:
            InvalidInputError: the source's options or credentials do not do.
        """
        attempt = 0
        while True:
            await self._going.wait()
            self._wake.clear()
            try:
                await self.poll()
            except (providers.ProviderApiError, errors.OverloadError) as error:
                attempt += 1
                pause_s = self._failed(error, attempt, error.retry_after_s)
            except (outbound.OutboundError, errors.StorageError, errors.NotFoundError) as error:
                # Not found is a view that is being built.
                attempt += 1
                pause_s = self._failed(error, attempt, None)
            else:
                attempt = 0
                pause_s = self._pause_s()
            await self._rest(pause_s)

    def pause(self) -> None:
        self._going.clear()

    def resume(self) -> None:
        self._going.set()

    def poll_now(self) -> None:
        """Poll and compare as soon as may be, because somebody says that something changed."""
        if self._comparer is not None:
            self._comparer.soon()
        self._wake.set()

    async def status(self) -> sources.Status:
        now = self._clock.now()
        lag = None if self._polled_at is None else (now - self._polled_at) / clocks.SECOND_US
        state = self._status.state if self._going.is_set() else "paused"
        return msgspec.structs.replace(self._status, state=state, lag_s=lag)

    async def replay(self, what: sources.Replay) -> sources.Replayed:
        """See `sources.Runner.replay`."""
        if what.ids or what.since is None:
            raise errors.InvalidInputError(
                f"{self._declared.name} is polled: it can be replayed from a time on (since), and "
                "not by the ids of events"
            )
        heard = await self._follow()
        total = sources.Replayed()
        async for page in self._lister.list_changes(self._tools.api, what.since):
            chosen = polling.sort(self._told(page.events), heard, self._clock.now(), webhooks=False)
            counts = await self._hand_in(chosen.take)
            total = sources.Replayed(
                fetched=total.fetched + len(page.events),
                stored=total.stored + counts.stored,
                duplicates=total.duplicates + counts.duplicates + chosen.known,
                dead=total.dead + counts.dead,
            )
        return total

    async def poll(self) -> None:
        """One poll, and a comparison if it is time for one.

        Raises:
            OutboundError, ProviderApiError: of the provider; what came before is handed in.
            OverloadError, StorageError: ours.
            InvalidInputError: the source's options or credentials do not do.
        """
        began = self._clock.now()
        heard = await self._follow()
        self._anchors.append((began, heard.position))
        found = await self._changes(heard)
        await self._keep(found, began)
        self._polled_at = began
        self._set(state="running", detail="")
        if self._comparer is not None:
            await self._comparer.read_invalid()
            detail = await self._comparer.compare_if_due(webhooks=self._expects(heard))
            if detail:
                self._set(detail=detail)

    async def _changes(self, heard: polling.Heard) -> "_Found":
        """Ask what changed, and hand it in page by page."""
        found = _Found(is_first=self._mark is None and self._polled_at is None)
        expected = self._expects(heard)
        high_water = None if self._mark is None else self._mark.high_water
        begin = polling.since(high_water, self._poll.overlap)
        async for page in self._lister.list_changes(self._tools.api, begin):
            found.saw(page.high_water)
            chosen = polling.sort(
                self._told(page.events),
                heard,
                self._clock.now(),
                webhooks=expected and not found.is_first,
                grace=self._poll.grace,
            )
            found.left(chosen.young)
            counts = await self._hand_in(chosen.take)
            found.stored += counts.stored
            if expected and not found.is_first:
                found.gaps += [each for each in counts.new if each.id in chosen.untold]
        self._young = found.young
        return found

    def _expects(self, heard: polling.Heard) -> bool:
        """Whether webhooks are expected."""
        return heard.webhooks or bool(self._tools.source.secrets)

    async def _stored(self, received: list[providers.Received]) -> int:
        return (await self._hand_in(received)).stored

    async def _hand_in(self, received: list[providers.Received]) -> "_Counts":
        counts = _Counts()
        if not received:
            return counts
        fetched = [
            sources.Fetched(origin=f"poll {each.id}", body=each.payload, received=(each,))
            for each in received
        ]
        outcomes = await self._tools.gate.admit(self._declared, fetched)
        for each, outcome in zip(received, outcomes, strict=True):
            counts.count(each, outcome.results)
        before = self._status
        self._set(
            fetched=before.fetched + len(received),
            duplicates=before.duplicates + counts.duplicates,
            dead=before.dead + counts.dead,
            last_event_at=self._clock.now(),
        )
        return counts

    async def _keep(self, found: "_Found", now: clocks.Timestamp) -> None:
        """Write how far we are, if there is anything to tell."""
        if found.gaps:
            self._set(gaps=self._status.gaps + len(found.gaps))
            _log.warning("webhook_gap", **self._names(), events=len(found.gaps))
        before = self._mark
        high_water = found.high_water(None if before is None else before.high_water)
        if high_water is None or (not found.stored and not self._has_moved(high_water, now)):
            return
        mark = marks.Mark(
            source=self._declared.name,
            number=1 if before is None else before.number + 1,
            high_water=high_water,
            position=self._anchor(high_water),
            stored=found.stored,
        )
        await marks.keep(self._log, self._declared, mark, self._gap(found), now)
        self._mark, self._marked_at = mark, now

    def _has_moved(self, high_water: clocks.Timestamp, now: clocks.Timestamp) -> bool:
        if self._mark is None:
            return True
        return high_water > self._mark.high_water and now - self._marked_at >= MARK_EVERY_US

    def _anchor(self, high_water: clocks.Timestamp) -> int:
        """A place in the log before which nothing was heard that a poll from there may bring."""
        begin = polling.since(high_water, self._poll.overlap) - self._poll.grace
        fitting = [each for each in self._anchors if each[0] <= begin]
        if fitting:
            self._anchors = self._anchors[len(fitting) - 1 :]
            return int(fitting[-1][1])
        return 0 if self._mark is None else self._mark.position

    def _gap(self, found: "_Found") -> marks.Gap | None:
        if not found.gaps:
            return None
        times = [each.occurred_at for each in found.gaps if each.occurred_at is not None]
        return marks.Gap(
            source=self._declared.name,
            provider=self._provider.name,
            count=len(found.gaps),
            first=min(times, default=None),
            last=max(times, default=None),
            events=tuple(e.id or "" for e in found.gaps[: marks.EVENT_IDS_MAX]),
        )

    async def _follow(self) -> polling.Heard:
        """Read what came to the log of this source since we looked last."""
        if self._heard is None:
            self._mark = await marks.last(self._log, self._declared.client_id, self._declared.name)
            position = 0 if self._mark is None else self._mark.position
            self._heard = polling.Heard(envelope.Position(position))
        heard = self._heard
        where = envelope.Filter(tenant=self._declared.client_id, sources=(self._declared.name,))
        while True:
            page = await self._log.read(heard.position, where=where)
            for event in page.events:
                told = self._states(event.type, event.payload)
                polled = b'"polled":true' in event.metadata
                heard.tell([*told, polling.told_by_id(event.id)], polled=polled)
            heard.position = page.next_after
            if page.next_after >= page.head:
                return heard

    def _told(
        self, events: Sequence[providers.Received]
    ) -> list[tuple[providers.Received, list[polling.State]]]:
        states = [self._states(each.type, each.payload) for each in events]
        return [
            (each, told or [polling.told_by_id(each.id or "")])
            for each, told in zip(events, states, strict=True)
        ]

    def _states(self, event_type: str, payload: bytes) -> list[polling.State]:
        try:
            return polling.states(self._provider, event_type, payload, self._tools.source)
        except Exception as error:  # noqa: BLE001 - an adapter's code may raise anything
            _log.warning("state_not_read", **self._names(), type=event_type, error=str(error))
            return []

    def _failed(
        self, error: errors.HeliosError, attempt: int, retry_after_s: float | None
    ) -> float:
        needs_person = isinstance(error, providers.ProviderApiError) and error.status in (401, 403)
        detail = str(error)[:_DETAIL_CHARS]
        self._set(state="failed" if needs_person else "waiting", detail=detail)
        every = self._every()
        pause_s = polling.back_off(attempt, every, retry_after_s, self._tools.random())
        if needs_person:
            pause_s = max(pause_s, every / clocks.SECOND_US)
        _log.warning("poll_failed", **self._names(), error=detail, again_in_s=round(pause_s, 1))
        return pause_s

    def _every(self) -> int:
        """Microseconds between polls, as declared or as somebody has slowed them down."""
        return max(self._poll.every, self._every_min())

    def _pause_s(self) -> float:
        """Until the next poll: sooner when something was left, or a comparison is due."""
        pause_s = self._every() / clocks.SECOND_US * (0.95 + self._tools.random() / 10)
        if self._young is not None:
            left = self._young + self._poll.grace - self._clock.now()
            pause_s = min(
                pause_s, max(1.0, self._every_min() / clocks.SECOND_US, left / clocks.SECOND_US)
            )
        hurry_s = None if self._comparer is None else self._comparer.hurry_s
        if hurry_s is not None:
            pause_s = min(pause_s, max(1.0, hurry_s))
        return pause_s

    async def _rest(self, seconds: float) -> None:
        """Wait, until somebody wakes us."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sleeping, waking):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(sleeping, waking, return_exceptions=True)

    def _set(self, **values: object) -> None:
        self._status = msgspec.structs.replace(self._status, **values)

    def _names(self) -> dict[str, str]:
        return {"source": self._declared.name, "client_id": self._declared.client_id}


class _Counts:
    """What became of events that were handed in."""

    def __init__(self) -> None:
        self.new: list[providers.Received] = []
        self.duplicates = 0
        self.dead = 0

    @property
    def stored(self) -> int:
        return len(self.new)

    def count(self, received: providers.Received, results: tuple[sources.Result, ...]) -> None:
        if "stored" in results:
            self.new.append(received)
        self.duplicates += results.count("duplicate")
        self.dead += results.count("dead")


class _Found:
    """What one poll brought."""

    def __init__(self, *, is_first: bool) -> None:
        self.is_first = is_first
        self.gaps: list[providers.Received] = []
        self.stored = 0
        self.young: clocks.Timestamp | None = None
        self._newest: clocks.Timestamp | None = None

    def saw(self, at: clocks.Timestamp | None) -> None:
        """A page says that its newest change is of this time."""
        if at is not None:
            self._newest = at if self._newest is None else max(self._newest, at)

    def left(self, young: clocks.Timestamp | None) -> None:
        """A change of this time is left for the next poll."""
        if young is not None:
            self.young = young if self.young is None else min(self.young, young)

    def high_water(self, before: clocks.Timestamp | None) -> clocks.Timestamp | None:
        """Up to when everything was handed in."""
        newest = self._newest
        if newest is not None and self.young is not None:
            newest = clocks.Timestamp(min(newest, self.young - 1))
        known = [each for each in (newest, before) if each is not None]
        return max(known, default=None)


def factory(
    log: ports.EventLog,
    believed: comparing.Believed | None = None,
    ttl: Callable[[], int] | None = None,
    every_min: Callable[[], int] = int,
) -> sources.Factory:
    """What makes pollers, for the manager of runners.

    Args:
        log: see `Poller`.
        believed: likewise.
        ttl: likewise.
        every_min: likewise.
    """

    async def make(tools: sources.Tools) -> sources.Runner:
        return Poller(
            tools, registry.get(tools.declared.provider), log, believed, ttl, every_min=every_min
        )

    return make
