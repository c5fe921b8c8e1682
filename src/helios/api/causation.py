"""What an event goes back to, and what came of it: a tree that events' envelopes tell."""

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from helios.api import links, services
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import limits
from helios.reconcile.compositions import story, story_reading, story_words

DEPTH_MAX: Final = 10
NODES_MAX: Final = 200
SCAN_S: Final = 1.0

_POSITION = re.compile(rb'"causation_position":\s*(\d{1,18})')


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the tree.

    Attributes:
        kind: `cause` of what was asked for, `self`, or `effect` of it.
        parent: position of what caused it; null: nothing that is known.
        depth: 0 is what was asked for; causes are below 0.
        handler: who made it of its cause.
        delta_ms: from its cause, by when both were recorded; null: it has none.
        crosses: it comes from another source than its cause: a boundary between systems.
        title: what it says.
        link: path of its page.
    """

    kind: Literal["cause", "self", "effect"]
    position: int
    parent: int | None
    depth: int
    event_id: str
    type: str
    source: str
    client_id: str
    time: str
    handler: str
    delta_ms: float | None
    crosses: bool
    title: str
    correlation_id: str | None
    link: str


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """Causes and effects of an event.

    Attributes:
        position: of what was asked for.
        nodes: by position: causes, the event, effects.
        scanned: positions behind it that were looked at for effects.
        is_whole: false: there may be more effects behind those, or more causes before.
    """

    position: int
    nodes: list[Node]
    scanned: int
    is_whole: bool


async def tree(parts: services.Services, event: envelope.Event) -> Tree:
    """The tree of an event."""
    finder = story_reading.Finder(parts.log, parts.store)
    found, is_known = await finder.whole({event.position: event}, [event.position])
    causes = _causes(found, event)
    effects, scanned, is_all = await _effects(parts.log, event, parts.clock)
    nodes = [_node(each, cause, depth, event) for each, cause, depth in (*causes, *effects)]
    nodes.sort(key=lambda node: node.position)
    return Tree(position=event.position, nodes=nodes, scanned=scanned, is_whole=is_all and is_known)


_Placed = tuple[envelope.Event, envelope.Event | None, int]


def _causes(found: Mapping[int, envelope.Event], event: envelope.Event) -> list[_Placed]:
    """The event and what it goes back to, each with its own cause and depth."""
    walk = story.Walk(found, [event.position])
    made: list[_Placed] = []
    here, depth, seen = event, 0, {event.position}
    while True:
        parents = walk.edges.get(here.position, ())
        caused = [place for place, how in parents if how == "caused"]
        # What only speaks of something is its cause too where nothing else is.
        places = caused or [place for place, _ in parents]
        cause = found[places[0]] if places and places[0] not in seen else None
        made.append((here, cause, depth))
        if cause is None or depth <= -DEPTH_MAX:
            return made
        seen.add(cause.position)
        here, depth = cause, depth - 1


async def _effects(
    log: log_ports.EventLog, event: envelope.Event, clock: clocks.Clock
) -> tuple[list[_Placed], int, bool]:
    """What came of an event: events behind it that name it, or one that does."""
    known: dict[str, tuple[envelope.Event, int]] = {event.id: (event, 0)}
    places = {int(event.position): (event, 0)}
    made: list[_Placed] = []
    where = envelope.Filter(tenant=event.tenant)
    after, begun = event.position, clock.monotonic()
    while True:
        page = await log.read(after, where=where)
        for each in page.events:
            cause = _named(each, known, places)
            if cause is None or cause[1] >= DEPTH_MAX:
                continue
            if len(made) >= NODES_MAX:
                return made, after - event.position, False
            made.append((each, cause[0], cause[1] + 1))
            known[each.id] = places[int(each.position)] = (each, cause[1] + 1)
        is_stuck = page.next_after <= after
        after = page.next_after
        scanned = after - event.position
        if after >= page.head or is_stuck:
            return made, scanned, True
        if scanned >= limits.SCAN_EVENTS_MAX or clock.monotonic() - begun >= SCAN_S:
            return made, scanned, False


def _named(
    event: envelope.Event,
    known: Mapping[str, tuple[envelope.Event, int]],
    places: Mapping[int, tuple[envelope.Event, int]],
) -> tuple[envelope.Event, int] | None:
    """What an event names as its cause, of those that are known."""
    if event.causation_id is not None and event.causation_id in known:
        return known[event.causation_id]
    found = _POSITION.search(event.metadata)
    return None if found is None else places.get(int(found.group(1)))


def _node(
    event: envelope.Event, cause: envelope.Event | None, depth: int, asked: envelope.Event
) -> Node:
    kind: Literal["cause", "self", "effect"] = "effect" if depth > 0 else "cause"
    return Node(
        kind="self" if event.position == asked.position else kind,
        position=event.position,
        parent=None if cause is None else cause.position,
        depth=depth,
        event_id=event.id,
        type=event.type,
        source=event.source,
        client_id=event.tenant,
        time=clocks.to_rfc3339(event.recorded_at),
        handler=event.actor,
        delta_ms=None if cause is None else (event.recorded_at - cause.recorded_at) / 1_000,
        crosses=cause is not None and cause.source != event.source,
        title=story_words.sentence(event),
        correlation_id=event.correlation_id,
        link=links.event(event.position),
    )
