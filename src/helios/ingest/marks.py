"""How far a source was polled, kept in the log.

Each `SourcePolled` of a source has the next number in its id, so the last one is found by a few
look-ups of the log's unique index, without a view that could lag behind. Nothing is written when
nothing changed: what is lost with a process is at most a few minutes of progress, which the next
poll asks for again.
"""

import msgspec

from helios.eventlog import envelope, ports
from helios.ingest import sources
from helios.kernel import clock as clocks
from helios.kernel import jsonio

SOURCE = "helios"
POLLED = "SourcePolled"
GAP_FOUND = "SourceGapFound"
AGGREGATE_TYPE = "source"
ACTOR = "service:helios"
EVENT_IDS_MAX = 20
"""Events that a `SourceGapFound` names."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a source was polled: the payload of `SourcePolled`.

    Attributes:
        source: its name.
        number: counts from 1.
        high_water: newest change of which everything before was handed in.
        position: from here on the log tells what was heard of that a poll may bring again.
        stored: events that came since the last mark.
    """

    source: str
    number: int
    high_water: clocks.Timestamp
    position: int
    stored: int = 0


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Events that a poll found and no webhook brought: the payload of `SourceGapFound`.

    Attributes:
        count: how many.
        first, last: times of the oldest and the newest change, in microseconds.
        events: ids of the first of them.
    """

    source: str
    provider: str
    count: int
    first: clocks.Timestamp | None
    last: clocks.Timestamp | None
    events: tuple[str, ...]


async def last(log: ports.EventLog, tenant: str, source: str) -> Mark | None:
    """The last mark of a source, or None. Raises StorageError."""
    known: envelope.Event | None = None
    low, step = 0, 1
    while (found := await _find(log, tenant, source, low + step)) is not None:
        known, low, step = found, low + step, step * 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        found = await _find(log, tenant, source, middle)
        if found is None:
            high = middle
        else:
            known, low = found, middle
    return None if known is None else msgspec.json.decode(known.payload, type=Mark)


async def keep(
    log: ports.EventLog,
    declared: sources.Declared,
    mark: Mark,
    gap: Gap | None,
    now: clocks.Timestamp,
) -> None:
    """Write a mark, and the gap that was found, together. Raises OverloadError, StorageError."""
    event_id = _id(declared.name, mark.number)
    events = [_event(declared, POLLED, event_id, mark, now)]
    if gap is not None:
        events.append(_event(declared, GAP_FOUND, f"{event_id}/gap", gap, now))
    await log.append(events)


def _id(source: str, number: int) -> str:
    return f"source-polled/{source}/{number}"


async def _find(
    log: ports.EventLog, tenant: str, source: str, number: int
) -> envelope.Event | None:
    return await log.find(tenant, SOURCE, _id(source, number))


def _event(
    declared: sources.Declared,
    event_type: str,
    event_id: str,
    payload: Mark | Gap,
    now: clocks.Timestamp,
) -> envelope.NewEvent:
    return envelope.NewEvent(
        id=event_id,
        source=SOURCE,
        type=event_type,
        tenant=declared.client_id,
        aggregate_type=AGGREGATE_TYPE,
        aggregate_id=declared.name,
        occurred_at=now,
        actor=ACTOR,
        payload=jsonio.encode(payload),
    )
