"""What Helios counts, for Prometheus.

Counters are plain integers that the event loop alone touches: counting costs a tenth of a
microsecond, and the labels are put on when Prometheus asks. Labels that come from outside (source,
event type) are bounded: above `LABELS_MAX` different pairs the rest is counted as `other`.
"""

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client import core, exposition, registry

from helios.eventlog import envelope

LABELS_MAX = 500
CONTENT_TYPE = exposition.CONTENT_TYPE_LATEST.encode()

_APPEND_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

Gauges = Callable[[], Mapping[str, float]]


class Histogram:
    """Counts of values up to each bound, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, name: str, text: str) -> core.HistogramMetricFamily:
        """As Prometheus wants it: cumulated."""
        buckets, total = [], 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
        return core.HistogramMetricFamily(name, text, buckets=buckets, sum_value=self._sum)


class Part(Protocol):
    """What counts something by itself."""

    def families(self) -> Iterator[core.Metric]:
        """What it has counted."""
        ...

    async def refresh(self) -> None:
        """Read what it does not count, when Prometheus asks."""
        ...


class Metrics:
    """All that is counted; `ingest.gateway.Meter` is one side of it."""

    def __init__(self) -> None:
        self._ingested: dict[tuple[str, str], int] = {}
        self._duplicates = 0
        self._conflicts = 0
        self._rejected: dict[str, int] = {}
        self._calls: dict[str, int] = {}
        self._builds: dict[str, int] = {}
        self._deliveries: dict[str, int] = {}
        self._controlled: dict[str, int] = {}
        self._notices: dict[tuple[str, str], int] = {}
        self._received = 0
        self._ignored = 0
        self._suspected = 0
        self._refused: dict[str, int] = {}
        self._dead: dict[str, int] = {}
        self._reconciled: dict[str, int] = {}
        self._verdicts: dict[str, int] = {}
        self._alerts: dict[tuple[str, str], int] = {}
        self._ratios: list[tuple[tuple[str, str], float, float | None]] = []
        self._source_events: dict[tuple[str, str], int] = {}
        self._source_refusals: dict[tuple[str, str], int] = {}
        self._sources: list[tuple[str, str, str, float | None]] = []
        self._append = Histogram(_APPEND_S)
        self._views: Callable[[], Iterator[tuple[str, int, float]]] = lambda: iter(())
        self._gauges: list[tuple[str, str, Callable[[], float]]] = []
        self._parts: list[Part] = []
        self._registry = registry.CollectorRegistry()
        self._registry.register(_Collector(self._families))

    def ingested(self, event: envelope.NewEvent) -> None:
        """An event was appended."""
        key = (event.source, event.type)
        if key not in self._ingested and len(self._ingested) >= LABELS_MAX:
            key = ("other", "other")
        self._ingested[key] = self._ingested.get(key, 0) + 1

    def duplicate(self, event: envelope.NewEvent, *, conflict: bool) -> None:  # noqa: ARG002 - port
        """An event came again; with another content if `conflict`."""
        self._duplicates += 1
        self._conflicts += conflict

    def rejected(self, code: str) -> None:
        """An event or a request was refused."""
        self._rejected[code] = self._rejected.get(code, 0) + 1

    def received(self, count: int) -> None:
        """So many events, or deliveries without one, came to the gate."""
        self._received += count

    def ignored(self) -> None:
        """A delivery held no event."""
        self._ignored += 1

    def suspected(self) -> None:
        """A body came again under another id."""
        self._suspected += 1

    def refused(self, reason: str) -> None:
        """A delivery was refused."""
        _count(self._refused, reason)

    def dead(self, reason: str) -> None:
        """An event became a dead letter."""
        _count(self._dead, reason)

    def called(self, outcome: str) -> None:
        """A call out ended: `2xx` … `5xx`, or the reason why there was no answer."""
        _count(self._calls, outcome)

    def built(self, outcome: str) -> None:
        """A build ended: `succeeded`, or the cause of its failure."""
        _count(self._builds, outcome)

    def delivered(self, outcome: str, count: int = 1) -> None:
        """A delivery to a subscriber ended: `delivered`, `failed` or `abandoned`."""
        self._deliveries[outcome] = self._deliveries.get(outcome, 0) + count

    def controlled(self, outcome: str) -> None:
        """The control bus told of a correlation's new status, or how a command ended."""
        _count(self._controlled, outcome)

    def notified(self, channel_type: str, outcome: str) -> None:
        """A message to people ended: `delivered`, `failed` or `abandoned`."""
        key = (channel_type, outcome)
        self._notices[key] = self._notices.get(key, 0) + 1

    def appended(self, seconds: float) -> None:
        """An append took this long."""
        self._append.observe(seconds)

    def reconciled(self, counts: Mapping[str, int]) -> None:
        """How many current verdicts there are of each status.

        A verdict that is superseded leaves its count; what Prometheus is told never falls.
        """
        for status, count in counts.items():
            self._verdicts[status] = count
            self._reconciled[status] = max(count, self._reconciled.get(status, 0))

    def told(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Of how many keys of each (client, contract) somebody was told."""
        self._alerts = _bounded(counts)

    def standing(self, ratios: Sequence[tuple[tuple[str, str], float, float | None]]) -> None:
        """Of each (client, contract) the share of keys that do not match, and the most allowed."""
        self._ratios = list(ratios[:LABELS_MAX])

    def source_event(self, source: str, result: str, count: int = 1) -> None:
        """Events or deliveries of a source came to this end (`stored`, `duplicate`, `dead` …)."""
        key = (source, result)
        if key not in self._source_events and len(self._source_events) >= LABELS_MAX:
            key = ("other", result)
        self._source_events[key] = self._source_events.get(key, 0) + count

    def source_refused(self, source: str, reason: str) -> None:
        """A delivery for a source was refused."""
        key = (source, reason)
        if key not in self._source_refusals and len(self._source_refusals) >= LABELS_MAX:
            key = (source, "other")
        self._source_refusals[key] = self._source_refusals.get(key, 0) + 1

    def refusals(self, source: str) -> dict[str, int]:
        """How many deliveries of a source were refused since the start, by reason."""
        return {reason: n for (name, reason), n in self._source_refusals.items() if name == source}

    def results(self, source: str) -> dict[str, int]:
        """What became of a source's events since the start."""
        return {result: n for (name, result), n in self._source_events.items() if name == source}

    def sources(self, states: Sequence[tuple[str, str, str, float | None]]) -> None:
        """Client, name, state and lag in messages of each source, as they are now."""
        self._sources = list(states[:LABELS_MAX])

    def watch_views(self, lags: Callable[[], Iterator[tuple[str, int, float]]]) -> None:
        """Where to ask each view's name, lag in events and lag in seconds."""
        self._views = lags

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when Prometheus asks."""
        self._gauges.append((name, text, read))

    def add(self, part: "Part") -> None:
        """Add what a part counts by itself."""
        self._parts.append(part)

    async def refresh(self) -> None:
        """Have the parts read what they do not count.

        Raises:
            StorageError: one cannot; it tells what it had before.
        """
        for part in self._parts:
            await part.refresh()

    @property
    def ingested_total(self) -> int:
        """Events appended since the start."""
        return sum(self._ingested.values())

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return exposition.generate_latest(self._registry)

    def _families(self) -> Iterator[core.Metric]:
        ingested = core.CounterMetricFamily(
            "helios_events_ingested", "Events appended.", labels=("source", "event_type")
        )
        for labels, count in self._ingested.items():
            ingested.add_metric(labels, count)
        yield ingested
        yield _counter("helios_events_duplicate", "Events that came again.", self._duplicates)
        yield _counter(
            "helios_events_conflict", "Events that came again with another body.", self._conflicts
        )
        yield _labelled(
            "helios_events_rejected", "Events and requests refused.", "reason", self._rejected
        )
        yield _labelled("helios_outbound_calls", "Calls to others.", "outcome", self._calls)
        yield _labelled("helios_builds", "Builds of sites that ended.", "outcome", self._builds)
        yield _labelled(
            "helios_deliveries", "Tries to deliver to subscribers.", "outcome", self._deliveries
        )
        yield _labelled(
            "helios_control_bus", "What the control bus told.", "outcome", self._controlled
        )
        notices = core.CounterMetricFamily(
            "helios_notices", "Tries to tell people.", labels=("channel_type", "outcome")
        )
        for labels, count in self._notices.items():
            notices.add_metric(labels, count)
        yield notices
        yield _labelled("helios_events_reconciled", "Verdicts given.", "status", self._reconciled)
        yield from self._gate()
        yield self._append.family("helios_log_append_seconds", "Time until an append is durable.")
        current = core.GaugeMetricFamily(
            "helios_verdicts", "Verdicts that nothing supersedes.", labels=("status",)
        )
        for status, count in self._verdicts.items():
            current.add_metric((status,), count)
        yield current
        yield from self._of_sources()
        yield from self._mismatches()
        yield from self._lags()
        for name, text, read in self._gauges:
            yield core.GaugeMetricFamily(name, text, value=read())
        for part in self._parts:
            yield from part.families()

    def _of_sources(self) -> Iterator[core.Metric]:
        state = core.GaugeMetricFamily(
            "helios_source_state",
            "1 for the state a source is in.",
            labels=("client_id", "source", "state"),
        )
        lag = core.GaugeMetricFamily(
            "helios_source_lag",
            "Messages a source has not fetched yet.",
            labels=("client_id", "source"),
        )
        for client, name, now, behind in self._sources:
            state.add_metric((client, name, now), 1)
            if behind is not None:
                lag.add_metric((client, name), behind)
        events = core.CounterMetricFamily(
            "helios_source_events",
            "Events of a source by what became of them.",
            labels=("source", "result"),
        )
        for labels, count in self._source_events.items():
            events.add_metric(labels, count)
        yield state
        yield lag
        yield events

    def _gate(self) -> Iterator[core.Metric]:
        """What came to the gate is what was appended, seen before, dead, refused or ignored."""
        yield _counter(
            "helios_ingest_received", "Events and empty deliveries at the gate.", self._received
        )
        seen = self._duplicates - self._conflicts
        yield _counter("helios_ingest_duplicates", "Of these, seen before.", seen)
        yield _counter("helios_ingest_ignored", "Of these, without an event.", self._ignored)
        yield _labelled("helios_ingest_refused", "Of these, refused.", "reason", self._refused)
        yield _labelled(
            "helios_dead_letters", "Of these, set aside as dead letters.", "reason", self._dead
        )
        yield _counter(
            "helios_ingest_suspected_replays",
            "Duplicates whose body came under another id.",
            self._suspected,
        )

    def _mismatches(self) -> Iterator[core.Metric]:
        labels = ("client_id", "contract")
        alerts = core.CounterMetricFamily(
            "helios_alerts", "Keys that somebody was told of.", labels=labels
        )
        for name, count in self._alerts.items():
            alerts.add_metric(name, count)
        share = core.GaugeMetricFamily(
            "helios_contract_mismatch_ratio", "Share of keys that do not match.", labels=labels
        )
        most = core.GaugeMetricFamily(
            "helios_contract_mismatch_ratio_max", "The most there may be.", labels=labels
        )
        for name, found, allowed in self._ratios:
            share.add_metric(name, found)
            if allowed is not None:
                most.add_metric(name, allowed)
        yield alerts
        yield share
        yield most

    def _lags(self) -> Iterator[core.Metric]:
        events = core.GaugeMetricFamily(
            "helios_consumer_lag", "Events behind the head.", labels=("topic", "partition")
        )
        seconds = core.GaugeMetricFamily(
            "helios_view_lag_seconds", "Age of the oldest event waiting.", labels=("view",)
        )
        for view, behind, age in self._views():
            events.add_metric((view, "0"), behind)
            seconds.add_metric((view,), age)
        yield events
        yield seconds


class _Collector(registry.Collector):
    def __init__(self, collect: Callable[[], Iterator[core.Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[core.Metric]:
        return self._collect()


def _bounded(counts: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Those of the first `LABELS_MAX` names, and the rest as one."""
    made: dict[tuple[str, str], int] = {}
    for number, name in enumerate(sorted(counts)):
        label = name if number < LABELS_MAX else ("other", "other")
        made[label] = made.get(label, 0) + counts[name]
    return made


def _count(counts: dict[str, int], reason: str) -> None:
    if reason not in counts and len(counts) >= LABELS_MAX:
        reason = "other"
    counts[reason] = counts.get(reason, 0) + 1


def _counter(name: str, text: str, value: int) -> core.CounterMetricFamily:
    return core.CounterMetricFamily(name, text, value=value)


def _labelled(
    name: str, text: str, label: str, values: Mapping[str, int]
) -> core.CounterMetricFamily:
    family = core.CounterMetricFamily(name, text, labels=(label,))
    for value, count in values.items():
        family.add_metric((value,), count)
    return family
