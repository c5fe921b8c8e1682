"""The first screen: what flows, what is wrong, what was mended, and what to begin with."""

import asyncio
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from helios.api import attention, links, pulse, scoping, services
from helios.api import overview_reading as reading
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.projections import worker

Name: TypeAlias = Literal["sources", "log", "views", "streams", "stacks", "healing"]
State: TypeAlias = Literal["ok", "busy", "failing", "idle"]
"""`busy` is behind, and moves; `idle`: nothing is declared, or nothing flows."""


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """One station of the flow strip.

    Attributes:
        name: `sources`, `log`, `views`, `streams`, `stacks`, `healing`, in the order of the flow.
        title: what people call it.
        state: how it is doing.
        detail: one line: what it holds, or what is wrong.
        rate: of `unit` in a second, over the last 10 seconds; null: not measured yet.
        unit: what is counted, such as `events`.
        total: how many things there are of it: sources, events, views, keys, stacks, heals of
            the last 24 hours.
        lag_events: how much it is behind; null: it has no lag.
        lag_s: the same in seconds.
        errors: how many of its things are in trouble.
        spark: rates of the last 60 samples of 2 s, oldest first; fewer after a start.
        link: path of its page.
    """

    name: Name
    title: str
    state: State
    detail: str
    rate: float | None
    unit: str
    total: int
    lag_events: int | None
    lag_s: float | None
    errors: int
    spark: list[float]
    link: str


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Headline figures; null: there is nothing to measure yet.

    Attributes:
        match_rate: share of keys that match, 0 to 1.
        keys: how many keys were judged.
        not_matched: how many of them do not match.
        state_consistency: share of stacks that are as declared, 0 to 1.
        stacks: how many stacks are declared.
        drifts: open drifts, without those only suspected or ignored.
        ingest_rate: events a second from others, over the last 10 seconds.
        p50_s, p99_s: seconds from append until the verdicts are told up to an event, of events
            tried over the last minutes.
    """

    match_rate: float | None
    keys: int
    not_matched: int
    state_consistency: float | None
    stacks: int
    drifts: int
    ingest_rate: float | None
    p50_s: float | None
    p99_s: float | None


class Empty(msgspec.Struct, frozen=True, kw_only=True):
    """What there is none of yet; tells the page which quick start to show.

    Attributes:
        sources, events, contracts, stacks, sites: there is none.
        start: the step that comes next: `send_event`, `declare_contract`, `declare_stack`; null:
            all are done.
    """

    sources: bool
    events: bool
    contracts: bool
    stacks: bool
    sites: bool
    start: Literal["send_event", "declare_contract", "declare_stack"] | None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The first screen in one answer.

    Attributes:
        at: RFC 3339, when it was made; it is kept for a second.
        position: last position of the log.
        client_id: whose it is; null: of all that the reader may see.
        flow: the stations in order.
        attention: what needs somebody, most urgent first.
        healed: what was mended lately, newest first, at most 20.
    """

    at: str
    position: int
    client_id: str | None
    flow: list[Station]
    figures: Figures
    attention: list[attention.Item]
    healed: list[reading.Healed]
    empty: Empty


class Maker:
    """Makes overviews.

    Args:
        parts: where everything is.
        beat: what flows.
    """

    def __init__(self, parts: services.Services, beat: pulse.Pulse) -> None:
        self._parts = parts
        self._beat = beat

    async def make(self, client_id: str | None, tenants: scoping.Tenants) -> Overview:
        """The overview of some clients.

        Raises:
            StorageError: the log or the views cannot be read.
        """
        parts = self._parts
        head, streams, stacks, letters, sites = await asyncio.gather(
            parts.log.head(),
            reading.streams(parts.store, parts.standing, tenants),
            reading.stacks(parts.store, tenants),
            reading.letters(parts.store, tenants),
            reading.sites(parts.store, tenants),
        )
        sources = [
            (entry, now)
            for entry, now in self._beat.sources
            if scoping.holds(tenants, entry.client_id)
        ]
        views = parts.views.health()
        healed = await reading.healed(parts.store, tenants)
        seen = _Seen(head, streams, stacks, letters, sites, sources, views)
        return Overview(
            at=clocks.to_rfc3339(parts.clock.now()),
            position=head,
            client_id=client_id,
            flow=self._flow(seen, tenants),
            figures=self._figures(seen, tenants),
            attention=attention.ranked(self._troubles(seen, tenants)),
            healed=list(healed),
            empty=_empty(seen, no_events=await _is_bare(parts.log, head)),
        )

    def _threshold(self, name: str) -> float:
        return self._parts.live.number(name)()

    def _figures(self, seen: "_Seen", tenants: scoping.Tenants) -> Figures:
        keys, matched, stacks = seen.streams.keys, seen.streams.matched, seen.stacks
        return Figures(
            match_rate=matched / keys if keys else None,
            keys=keys,
            not_matched=keys - matched,
            state_consistency=stacks.in_sync / stacks.total if stacks.total else None,
            stacks=stacks.total,
            drifts=stacks.drifts,
            ingest_rate=self._beat.rate("ingested", tenants),
            p50_s=self._beat.latency(0.5, tenants),
            p99_s=self._beat.latency(0.99, tenants),
        )

    # -- the flow -------------------------------------------------------------------------------

    def _flow(self, seen: "_Seen", tenants: scoping.Tenants) -> list[Station]:
        return [
            self._sources(seen, tenants),
            self._log(seen, tenants),
            self._views(seen, tenants),
            self._streams(seen, tenants),
            self._stacks(seen, tenants),
            self._healing(seen, tenants),
        ]

    def _station(
        self,
        name: Name,
        signal: pulse.Signal,
        tenants: scoping.Tenants,
        *,
        title: str,
        state: State,
        detail: str,
        total: int,
        link: str,
        unit: str = "events",
        lag: tuple[int | None, float | None] = (None, None),
        errors: int = 0,
    ) -> Station:
        return Station(
            name=name,
            title=title,
            state=state,
            detail=detail,
            rate=self._beat.rate(signal, tenants),
            unit=unit,
            total=total,
            lag_events=lag[0],
            lag_s=lag[1],
            errors=errors,
            spark=self._beat.spark(signal, tenants),
            link=link,
        )

    def _sources(self, seen: "_Seen", tenants: scoping.Tenants) -> Station:
        bad = [entry.name for entry, now in seen.sources if now.state in reading.TROUBLED]
        behind = [now.status.lag for _, now in seen.sources if now.status.lag is not None]
        count = len(seen.sources)
        return self._station(
            "sources",
            "ingested",
            tenants,
            title="Sources",
            state="failing" if bad else "ok" if count else "idle",
            detail=f"{', '.join(bad[:3])} failing" if bad else f"{count} declared",
            total=count,
            lag=(round(sum(behind)) if behind else None, None),
            errors=len(bad),
            link=links.INGEST,
        )

    def _log(self, seen: "_Seen", tenants: scoping.Tenants) -> Station:
        fault = self._parts.gateway.fault()
        return self._station(
            "log",
            "appended",
            tenants,
            title="Log",
            state="failing" if fault else "ok" if seen.head else "idle",
            detail=fault or f"at position {seen.head:,}",
            total=seen.head,
            errors=int(fault is not None),
            link=links.EVENTS,
        )

    def _views(self, seen: "_Seen", tenants: scoping.Tenants) -> Station:
        bad = [each.view for each in seen.views if not each.is_ready]
        lag = max((each.lag_events for each in seen.views), default=0)
        lag_s = max((each.lag_s for each in seen.views), default=0.0)
        is_behind = lag > self._threshold(attention.LAG_EVENTS)
        well = f"{lag:,} events behind" if is_behind else f"{len(seen.views)} up to date"
        made = self._station(
            "views",
            "appended",
            tenants,
            title="Views",
            state="failing" if bad else "busy" if is_behind else "ok",
            detail=f"{', '.join(bad[:3])} not moving" if bad else well,
            total=len(seen.views),
            lag=(lag, lag_s),
            errors=len(bad),
            link=links.VIEWS,
        )
        if tenants is not None:
            return made
        return msgspec.structs.replace(made, spark=self._beat.applied())

    def _streams(self, seen: "_Seen", tenants: scoping.Tenants) -> Station:
        found = seen.streams
        lag = next((each for each in seen.views if each.view == "verdicts"), None)
        wrong = found.keys - found.matched
        return self._station(
            "streams",
            "judged",
            tenants,
            title="Streams",
            state="idle" if not found.contracts else "failing" if found.above else "ok",
            detail=f"{wrong:,} of {found.keys:,} keys do not match"
            if found.keys
            else "no keys yet",
            total=found.keys,
            lag=(None, None) if lag is None else (lag.lag_events, lag.lag_s),
            errors=wrong,
            link=links.STREAMS,
        )

    def _stacks(self, seen: "_Seen", tenants: scoping.Tenants) -> Station:
        found = seen.stacks
        off = found.total - found.in_sync
        return self._station(
            "stacks",
            "observed",
            tenants,
            title="Stacks",
            state="idle" if not found.total else "failing" if found.worst else "ok",
            detail=f"{found.in_sync} of {found.total} as declared" if found.total else "none yet",
            total=found.total,
            errors=off,
            link=links.STATE,
        )

    def _healing(self, seen: "_Seen", tenants: scoping.Tenants) -> Station:
        found = seen.stacks
        waits = "waits" if found.pending == 1 else "wait"
        state: State = "idle"
        if found.blocked:
            state = "failing"
        elif found.healing:
            state = "busy"
        elif found.heals:
            state = "ok"
        return self._station(
            "healing",
            "healed",
            tenants,
            title="Healing",
            state=state,
            detail=f"{found.healing} under way, {found.pending} {waits} for approval",
            unit="heals",
            total=found.heals,
            errors=found.failed,
            link=links.HEALING,
        )

    # -- what is wrong --------------------------------------------------------------------------

    def _troubles(self, seen: "_Seen", tenants: scoping.Tenants) -> list[attention.Trouble]:
        found = [*seen.stacks.troubles, *_of_sources(seen), *seen.sites]
        fault = self._parts.gateway.fault()
        if fault is not None:
            made = attention.Trouble(
                kind="log_failing", severity="critical", name="log", detail=fault, link=links.INGEST
            )
            found.append(made)
        found += _of_views(seen.views, self._threshold(attention.LAG_EVENTS))
        found += reading.mismatched(seen.streams, self._threshold(attention.MISMATCH_RATE))
        rate = self._beat.per_minute("dead", tenants)
        if rate > self._threshold(attention.DEAD_LETTERS):
            made = attention.Trouble(
                kind="dead_letters",
                severity="high",
                name="dead letters",
                detail=f"{rate:.0f} a minute; {seen.letters[0]} are open",
                count=seen.letters[0],
                since=seen.letters[1],
                link=links.DEAD_LETTERS,
            )
            found.append(made)
        return found


_BARE_EVENTS_MAX = 100
"""A log with more events than that is not looked into: somebody uses it."""


class _Seen(msgspec.Struct, frozen=True):
    head: int
    streams: reading.Streams
    stacks: reading.Stacks
    letters: tuple[int, clocks.Timestamp | None]
    sites: Sequence[attention.Trouble]
    sources: Sequence[reading.Source]
    views: Sequence[worker.Health]


def _of_sources(seen: _Seen) -> list[attention.Trouble]:
    return [
        attention.Trouble(
            kind="source_failing",
            severity="high",
            name=f"{entry.client_id}/{entry.name}",
            client_id=entry.client_id,
            detail=now.status.detail or now.state,
            link=links.source(entry.client_id, entry.name),
        )
        for entry, now in seen.sources
        if now.state in reading.TROUBLED
    ]


def _of_views(views: Sequence[worker.Health], lag_max: float) -> list[attention.Trouble]:
    made = []
    for each in views:
        if each.status == "failed":
            why = each.error or str(each.status)
            made.append(
                attention.Trouble(
                    kind="view_failing",
                    severity="critical",
                    name=each.view,
                    detail=why,
                    link=links.view(each.view),
                )
            )
        elif each.lag_events > lag_max:
            made.append(
                attention.Trouble(
                    kind="view_lagging",
                    severity="medium",
                    name=each.view,
                    detail=f"{each.lag_events} events, {each.lag_s:.0f} s behind ({each.status})",
                    link=links.view(each.view),
                )
            )
    return made


async def _is_bare(log: log_ports.EventLog, head: int) -> bool:
    """Whether the log tells of nothing but ourselves: who signed in, what was set."""
    if head > _BARE_EVENTS_MAX:
        return False
    page = await log.read(envelope.Position(0), limit=_BARE_EVENTS_MAX)
    return all(event.source == pulse.OURS for event in page.events)


def _empty(seen: _Seen, *, no_events: bool) -> Empty:
    no_contracts = not seen.streams.contracts
    no_stacks = not seen.stacks.total
    start: Literal["send_event", "declare_contract", "declare_stack"] | None = None
    if no_events:
        start = "send_event"
    elif no_contracts:
        start = "declare_contract"
    elif no_stacks:
        start = "declare_stack"
    return Empty(
        sources=not seen.sources,
        events=no_events,
        contracts=no_contracts,
        stacks=no_stacks,
        sites=not seen.stacks.sites,
        start=start,
    )
