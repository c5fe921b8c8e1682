"""One correlation: what belongs to it, in what order it is handed on, and how it stands.

What is known is a set: taking the same event twice, or two events the other way round, gives the
same correlation. Everything that is told of it follows from that set and from the time, by times of
append alone; so a bus that was down, or that read the log twice, tells the same in the end.
"""

import collections
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import folding
from helios.reconcile.bus import events, hlc

EVENTS_MAX = 256
"""Events kept for one correlation, as many again of types that it expects. Above: the rest is
handed on at once, and only the log has it under the correlation's id."""

KEPT_S = 7 * 24 * 3600
"""How long a correlation is kept after it began."""

T = TypeVar("T", bound="Start | Fact | Outcome")


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """That a correlation began, or that more belongs to it."""

    position: int
    at: clocks.Timestamp
    said: events.Started

    @property
    def expires_at(self) -> int:
        """End of its window, in microseconds."""
        return self.at + round(self.said.consistency_window * clocks.SECOND_US)


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a correlation, as far as its order and its record need it."""

    event_id: str
    type: str
    position: int
    sequence: int
    aggregate: envelope.AggregateKey
    occurred_at: clocks.Timestamp
    recorded_at: clocks.Timestamp
    causation_id: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a command of a correlation ended."""

    position: int
    at: clocks.Timestamp
    command_id: str
    ok: bool
    code: str = ""
    detail: str = ""


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one correlation; each tuple by position."""

    client_id: str
    correlation_id: str
    starts: tuple[Start, ...] = ()
    facts: tuple[Fact, ...] = ()
    outcomes: tuple[Outcome, ...] = ()

    @property
    def initiated_at(self) -> clocks.Timestamp:
        return self.starts[0].at

    @property
    def expires_at(self) -> clocks.Timestamp:
        return clocks.Timestamp(max(start.expires_at for start in self.starts))

    @property
    def commands(self) -> tuple[str, ...]:
        """Ids of its commands."""
        return tuple(dict.fromkeys(name for s in self.starts for name in s.said.commands))

    @property
    def expects(self) -> tuple[events.Expectation, ...]:
        """What should come; the same one as often as it should."""
        return tuple(each for start in self.starts for each in start.said.expects or ())

    @property
    def positions(self) -> tuple[int, ...]:
        """Where everything is that it is made of."""
        parts = (self.starts, self.facts, self.outcomes)
        return tuple(sorted(each.position for part in parts for each in part))


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """How a correlation stands at a moment.

    Attributes:
        late: it completed after its window.
        completed_at: when the last that it needed was in the log.
        closed_at: from when on events are handed on at once; None: they still wait.
        missing: what has not come.
        failure: of the command it failed by.
    """

    status: events.Status
    late: bool
    completed_at: clocks.Timestamp | None
    closed_at: clocks.Timestamp | None
    missing: tuple[events.Expectation, ...]
    failure: Outcome | None = None


def take(known: Correlation, event: envelope.Event) -> Correlation:
    """Add an event; one that is known already, or is one too many, changes nothing."""
    if event.aggregate_type == events.CORRELATION:
        if event.type != events.CORRELATION_STARTED:
            return known
        said = folding.payload(event, events.Started)
        start = Start(position=event.position, at=event.recorded_at, said=said)
        return msgspec.structs.replace(known, starts=_added(known.starts, start))
    if event.aggregate_type == events.COMMAND:
        if event.type not in events.OUTCOMES:
            return known
        return msgspec.structs.replace(known, outcomes=_added(known.outcomes, _outcome(event)))
    is_expected = any(each.type == event.type for each in known.expects)
    if len(known.facts) >= (2 * EVENTS_MAX if is_expected else EVENTS_MAX):
        return known
    return msgspec.structs.replace(known, facts=_added(known.facts, _fact(event)))


def judge(known: Correlation, now: clocks.Timestamp) -> Judged:
    """How it stands; needs a start."""
    expires_at = known.expires_at
    due, missing = _expected(known)
    ended = {o.command_id: o.at for o in known.outcomes if o.ok}
    failure = min((o for o in known.outcomes if not o.ok), key=lambda o: o.position, default=None)
    open_commands = [name for name in known.commands if name not in ended]
    if failure is not None:
        closed_at = clocks.Timestamp(min(failure.at, expires_at))
        return Judged(
            status="failed",
            late=False,
            completed_at=failure.at,
            closed_at=closed_at,
            missing=missing,
            failure=failure,
        )
    if not missing and not open_commands:
        done_at = max([known.initiated_at, *due, *(ended[name] for name in known.commands)])
        return Judged(
            status="completed",
            late=done_at > expires_at,
            completed_at=clocks.Timestamp(done_at),
            closed_at=clocks.Timestamp(min(done_at, expires_at)),
            missing=(),
        )
    closed_at_or_none = expires_at if now >= expires_at else None
    status: events.Status = "partial" if known.facts or ended else "pending"
    return Judged(
        status="expired" if closed_at_or_none is not None else status,
        late=False,
        completed_at=None,
        closed_at=closed_at_or_none,
        missing=missing,
    )


def ordered(known: Correlation, closed_at: clocks.Timestamp | None) -> list[Fact]:
    """Its events in the order in which they are handed on: those of the window by their stamps,
    those after it as they came.
    """
    waiting = [f for f in known.facts if closed_at is None or f.recorded_at <= closed_at]
    after = [f for f in known.facts if closed_at is not None and f.recorded_at > closed_at]
    stamped = hlc.stamps(waiting)
    return [*sorted(waiting, key=lambda fact: stamped[fact.position]), *after]


def due(known: Correlation, judged: Judged, released: Collection[int]) -> list[Fact]:
    """What is to be handed on now, in order; `released` are the positions of what was."""
    if judged.closed_at is None:
        return []
    return [f for f in ordered(known, judged.closed_at) if f.position not in released]


def out_of_order(known: Correlation) -> list[Fact]:
    """Events that came after the window, or after one that follows them."""
    stamped = hlc.stamps(known.facts)
    found, latest = [], (-1, -1, -1)
    for fact in known.facts:
        if fact.recorded_at > known.expires_at or stamped[fact.position] < latest:
            found.append(fact)
        latest = max(latest, stamped[fact.position])
    return found


def record(known: Correlation, judged: Judged, released: Collection[int]) -> events.Record:
    """The record of it as it is shown and kept."""
    first, expires_at = known.starts[0], known.expires_at
    kept_until = clocks.Timestamp(known.initiated_at + KEPT_S * clocks.SECOND_US)
    in_order = ordered(known, judged.closed_at)
    expected = {each.type for each in known.expects}
    window = (expires_at - known.initiated_at) / clocks.SECOND_US
    return events.Record(
        correlation_id=known.correlation_id,
        client_id=known.client_id,
        correlation_type=first.said.correlation_type,
        command_id=next(iter(known.commands), None),
        command_ids=known.commands,
        event_ids=tuple(fact.event_id for fact in in_order),
        expected_events=tuple(each.type for each in known.expects),
        received_events=tuple(fact.type for fact in in_order if fact.type in expected),
        initiated_at=clocks.to_rfc3339(known.initiated_at),
        consistency_window=window,
        expires_at=clocks.to_rfc3339(expires_at),
        completed_at=_shown(judged.completed_at),
        status=judged.status,
        late=judged.late,
        missing_events=tuple(each.type for each in judged.missing),
        out_of_order_events=tuple(fact.event_id for fact in out_of_order(known)),
        event_buffer=tuple(_buffered(fact, judged, released) for fact in in_order),
        ttl_timestamp=clocks.to_rfc3339(kept_until),
    )


def _buffered(fact: Fact, judged: Judged, released: Collection[int]) -> events.Buffered:
    processed = None
    if fact.position in released:
        processed = clocks.Timestamp(max(fact.recorded_at, judged.closed_at or 0))
    return events.Buffered(
        event_id=fact.event_id,
        received_at=clocks.to_rfc3339(fact.recorded_at),
        sequence_number=fact.sequence,
        processed_at=_shown(processed),
    )


def _expected(
    known: Correlation,
) -> tuple[list[clocks.Timestamp], tuple[events.Expectation, ...]]:
    """When what should come came, and what has not."""
    due: list[clocks.Timestamp] = []
    missing: list[events.Expectation] = []
    wanted: Mapping[events.Expectation, int] = collections.Counter(known.expects)
    for each, count in wanted.items():
        came = sorted(fact.recorded_at for fact in known.facts if _fits(fact, each))
        due += came[:count]
        missing += [each] * (count - len(came))
    return due, tuple(missing)


def _fits(fact: Fact, wanted: events.Expectation) -> bool:
    """Only an event about a stack can be about the wrong one."""
    _, kind, name = fact.aggregate
    other = wanted.stack_id is not None and kind == _STACK and name != wanted.stack_id
    return fact.type == wanted.type and not other


_STACK = "helios.stack"


def _added(known: tuple[T, ...], new: T) -> tuple[T, ...]:
    if any(each.position == new.position for each in known):
        return known
    return tuple(sorted([*known, new], key=lambda each: each.position))


def _fact(event: envelope.Event) -> Fact:
    return Fact(
        event_id=event.id,
        type=event.type,
        position=event.position,
        sequence=event.sequence,
        aggregate=event.aggregate,
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        causation_id=event.causation_id,
    )


def _outcome(event: envelope.Event) -> Outcome:
    said = folding.payload(event, events.Ended)
    return Outcome(
        position=event.position,
        at=event.recorded_at,
        command_id=said.command_id,
        ok=event.type == events.COMMAND_COMPLETED,
        code=said.code or ("expired" if event.type == events.COMMAND_EXPIRED else ""),
        detail=said.detail,
    )


def _shown(value: clocks.Timestamp | None) -> str | None:
    return None if value is None else clocks.to_rfc3339(value)


def folded(client_id: str, correlation_id: str, found: Sequence[envelope.Event]) -> Correlation:
    """The correlation that these events make."""
    known = Correlation(client_id=client_id, correlation_id=correlation_id)
    for event in found:
        known = take(known, event)
    return known
