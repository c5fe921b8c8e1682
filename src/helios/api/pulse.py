"""What flows, over the last two minutes: counters of this process, sampled every two seconds.

The counts of each client come from the events themselves, as the log holds them in memory: all of
them while they are few, else the newest, from which the rest is reckoned. So whoever may see one
client only sees the flow of that client, and nobody pays for it while events pour in.
"""

import asyncio
import collections
import itertools
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec
import structlog

from helios.api import scoping
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.ingest import directory
from helios.ingest import runners as source_runners
from helios.kernel import clock as clocks
from helios.kernel import errors, limits
from helios.projections import catalog
from helios.projections.views import dead_letters
from helios.reconcile.compositions import events
from helios.reconcile.streams import view as verdict_view

EVERY_S = 2.0
"""Between two samples."""
POINTS = limits.PULSE_POINTS_MAX
TENANTS_MAX = 1_000
"""Clients that are counted each for itself; of others nothing is told but in the sum of all."""

_LATENCIES = 300
_PROBE_S = 1.0
_PROBE_STEP_S = 0.002
OURS = "helios"
_MISSED = 3
"""Samples after which nobody seems to take them regularly."""

_log = structlog.get_logger("helios.api")

Signal: TypeAlias = Literal["ingested", "appended", "judged", "observed", "healed", "dead"]
"""What is counted: events of others; all events; those a contract may want; what was said of
stacks; heals that helped; dead letters."""

SIGNALS: tuple[Signal, ...] = ("ingested", "appended", "judged", "observed", "healed", "dead")

Counts: TypeAlias = dict[Signal, float]


class Sample(msgspec.Struct, frozen=True):
    """What was counted between two moments; `seconds` lie between them.

    Attributes:
        all: of everybody.
        of: by client.
        applied: positions that the slowest view has taken in.
        sources: events by client and source.
    """

    seconds: float
    all: Counts
    of: dict[str, Counts]
    applied: float
    sources: dict[tuple[str, str], float]


class Pulse:
    """Samples what flows.

    Args:
        log: whose events are counted.
        views: whose progress is told.
        runners: how sources are doing.
        clock: when.
    """

    def __init__(
        self,
        log: log_ports.EventLog,
        views: catalog.Catalog,
        runners: source_runners.Manager,
        clock: clocks.Clock,
    ) -> None:
        self._log = log
        self._views = views
        self._runners = runners
        self._clock = clock
        self._samples: collections.deque[Sample] = collections.deque(maxlen=POINTS)
        self._latencies: collections.deque[tuple[str, float]] = collections.deque(maxlen=_LATENCIES)
        self._after: envelope.Position | None = None
        self._at: float | None = None
        self._applied = 0
        self._sampling = asyncio.Lock()
        self.sources: Sequence[tuple[directory.Entry, source_runners.Now]] = ()

    async def run(self) -> None:
        """Sample until cancelled; what cannot be sampled now is left out."""
        while True:
            try:
                await self.refresh()
                await self._probe()
            except errors.HeliosError:
                pass
            except Exception:  # noqa: BLE001 - see below
                # A figure of the first screen is nothing to stop a server for.
                _log.exception("pulse_failed")
            await self._clock.sleep(EVERY_S)

    async def begin(self) -> None:
        """Take a sample if nobody samples regularly; returns at once where somebody does."""
        if self._at is None or self._clock.monotonic() - self._at > _MISSED * EVERY_S:
            await self.refresh()

    async def refresh(self) -> None:
        """Take a sample if the last one is older than `EVERY_S`.

        Raises:
            StorageError: the log cannot be read.
        """
        async with self._sampling:
            now = self._clock.monotonic()
            if self._at is not None and now - self._at < EVERY_S:
                return
            head = await self._log.head()
            applied = min((each.position for each in self._views.health()), default=0)
            if self._after is not None and self._at is not None:
                sums, of, sources = await self._counted(self._after, head)
                moved = max(0, applied - self._applied)
                self._samples.append(Sample(now - self._at, sums, of, moved, sources))
            self._after, self._at, self._applied = head, now, applied
            self.sources = await self._runners.all()

    def spark(self, signal: Signal, tenants: scoping.Tenants) -> list[float]:
        """A second's count at each of the last samples, oldest first."""
        return [_of(each, signal, tenants) / each.seconds for each in self._samples]

    def applied(self) -> list[float]:
        """Positions that the slowest view took in each second, at each of the last samples."""
        return [each.applied / each.seconds for each in self._samples]

    def rate(self, signal: Signal, tenants: scoping.Tenants, *, points: int = 5) -> float | None:
        """A second's count over the last samples; None: there is none yet."""
        newest = list(self._samples)[-points:]
        seconds = sum(each.seconds for each in newest)
        if seconds <= 0:
            return None
        return sum(_of(each, signal, tenants) for each in newest) / seconds

    def source_rate(self, tenant: str, source: str, *, points: int = 5) -> float | None:
        """Events a second of a source over the last samples; None: there is none yet."""
        newest = list(self._samples)[-points:]
        seconds = sum(each.seconds for each in newest)
        if seconds <= 0:
            return None
        return sum(each.sources.get((tenant, source), 0.0) for each in newest) / seconds

    def source_spark(self, tenant: str, source: str) -> list[float]:
        """Events a second of a source at each of the last samples, oldest first."""
        key = (tenant, source)
        return [each.sources.get(key, 0.0) / each.seconds for each in self._samples]

    def per_minute(self, signal: Signal, tenants: scoping.Tenants) -> float:
        """A minute's count, over as much of the last minute as was sampled."""
        return 60.0 * (self.rate(signal, tenants, points=round(60 / EVERY_S)) or 0.0)

    def latency(self, share: float, tenants: scoping.Tenants) -> float | None:
        """Seconds from append to verdict, below which this share of what was tried lay."""
        found = sorted(s for tenant, s in self._latencies if scoping.holds(tenants, tenant))
        return found[min(len(found) - 1, int(share * len(found)))] if found else None

    # -- counting -------------------------------------------------------------------------------

    async def _counted(
        self, after: envelope.Position, head: envelope.Position
    ) -> tuple[Counts, dict[str, Counts], dict[tuple[str, str], float]]:
        total = head - after
        start = envelope.Position(max(after, head - limits.PULSE_EVENTS_MAX))
        found: list[envelope.Event] = []
        while start < head:
            page = self._log.recent(start) or await self._log.read(start)
            found += [each for each in page.events if each.position <= head]
            if page.next_after <= start:
                break
            start = page.next_after
        sums, of = counted(found)
        sources = by_source(found)
        scale = total / len(found) if found and total > len(found) else 1.0
        if scale > 1.0:
            for counts in (sums, *of.values()):
                for signal in counts:
                    counts[signal] *= scale
            sources = {key: count * scale for key, count in sources.items()}
        return sums, of, sources

    async def _probe(self) -> None:
        """Follow the next event from its append until the verdicts are told up to it."""
        head = await self._log.head()
        reached = await self._log.wait(head, timeout_s=EVERY_S)
        progress = self._views.progress
        if reached <= head or progress.position(verdict_view.NAME) is None:
            return
        page = self._log.recent(envelope.Position(reached - 1), limit=1)
        if page is None or not page.events:
            return
        seen = page.events[0]
        deadline = self._clock.monotonic() + _PROBE_S
        # To wait for the view would make it hurry, and so measure what nobody else gets.
        while (progress.position(verdict_view.NAME) or 0) < seen.position:
            if self._clock.monotonic() >= deadline:
                break
            await self._clock.sleep(_PROBE_STEP_S)
        took = (self._clock.now() - seen.recorded_at) / clocks.SECOND_US
        self._latencies.append((seen.tenant, max(0.0, took)))


def counted(found: Iterable[envelope.Event]) -> tuple[Counts, dict[str, Counts]]:
    """How many of each signal these events are: of everybody, and by client."""
    sums: Counts = dict.fromkeys(SIGNALS, 0.0)
    of: dict[str, Counts] = {}
    for event in found:
        own = of.get(event.tenant)
        if own is None and len(of) < TENANTS_MAX:
            own = of[event.tenant] = dict.fromkeys(SIGNALS, 0.0)
        for signal, counts in itertools.product(_signals(event), (sums, own)):
            if counts is not None:
                counts[signal] += 1
    return sums, of


def by_source(found: Iterable[envelope.Event]) -> dict[tuple[str, str], float]:
    """How many of these events are of each client's source, without our own."""
    made: dict[tuple[str, str], float] = {}
    for event in found:
        key = (event.tenant, event.source)
        if event.source != OURS and (key in made or len(made) < TENANTS_MAX):
            made[key] = made.get(key, 0.0) + 1
    return made


def _signals(event: envelope.Event) -> tuple[Signal, ...]:
    if event.source != OURS:
        return ("appended", "ingested", "judged")
    if event.type == dead_letters.RECORDED:
        return ("appended", "dead")
    if event.type == events.HEAL_SUCCEEDED:
        return ("appended", "observed", "healed")
    if event.aggregate_type == events.STACK:
        return ("appended", "observed")
    return ("appended",)


def _of(sample: Sample, signal: Signal, tenants: scoping.Tenants) -> float:
    if tenants is None:
        return sample.all[signal]
    return sum(sample.of[each][signal] for each in tenants if each in sample.of)
