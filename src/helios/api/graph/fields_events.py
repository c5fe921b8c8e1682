"""Fields of events: pages, one, and what goes back to what."""

from collections.abc import Sequence
from typing import Any

import msgspec

from helios.api import wire
from helios.api.graph import bounds, context, naming, pages
from helios.eventlog import cursor as cursors
from helios.eventlog import envelope
from helios.kernel import errors, tenancy
from helios.reconcile.compositions import story, story_words

EVENT = "Event"
_PAGE = 1_000


class Shown(msgspec.Struct, frozen=True):
    """An event, as the routes show it and as the log has it."""

    view: wire.EventView
    event: envelope.Event


class Causation(msgspec.Struct, frozen=True, kw_only=True):
    """Events and which goes back to which."""

    nodes: list[Shown]
    edges: list[story.Edge]
    complete: bool


def show(found: envelope.Event) -> Shown:
    """An event as fields have it."""
    return Shown(wire.event(found), found)


async def head(_: Any, info: Any) -> int:
    """The last position of the log."""
    return await context.of(info).parts.log.head()


async def one(
    _: Any,
    info: Any,
    *,
    position: int | None = None,
    event_id: str | None = None,
    source: str | None = None,
    client_id: str | None = None,
) -> Shown | None:
    """An event by position, or by client, source and id."""
    at = context.of(info)
    if (position is None) == (event_id is None):
        raise errors.InvalidInputError("expected one of position and eventId", field="position")
    found: envelope.Event | None
    if position is not None:
        found = await at.events.load(position)
    elif source is not None:
        found = await at.parts.log.find(context.owner(client_id), source, str(event_id))
    else:
        found = await at.named.load((context.owner(client_id), str(event_id)))
    return None if found is None else show(found)


async def listing(
    _: Any, info: Any, *, first: int | None = None, after: str | None = None, **where: Any
) -> pages.Connection:
    """Events in the order of the log."""
    log = context.of(info).parts.log
    count = pages.size(first)
    place = envelope.Position(0) if after is None else cursors.decode(after, log.log_id)
    if where.get("aggregate_id") is not None and where.get("aggregate_type") is None:
        raise errors.InvalidInputError("needs aggregateType too", field="aggregateId")
    wanted = envelope.Filter(
        tenant=context.client(where.get("client_id")),
        types=_some(where.get("types")),
        sources=_some(where.get("sources")),
        aggregate_type=where.get("aggregate_type"),
        aggregate_id=where.get("aggregate_id"),
    )
    page = await log.read(place, limit=count, where=wanted)
    edges = [pages.Edge(cursors.encode(log.log_id, e.position), show(e)) for e in page.events]
    info_of = pages.PageInfo(
        has_next_page=page.next_after < page.head,
        # Where a filter is sparse, what was looked through is behind the last event.
        end_cursor=cursors.encode(log.log_id, page.next_after),
    )
    return pages.Connection(edges=edges, page_info=info_of)


def _some(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(sorted(set(values))) if values else None


async def causes(seen: Shown, info: Any, *, depth: int | None = None) -> Causation:
    """What an event goes back to."""
    at, steps = context.of(info), _depth(depth)
    found: dict[int, envelope.Event] = {seen.event.position: seen.event}
    edges: dict[tuple[int, int], story.Edge] = {}
    layer, complete = [seen.event], True
    for _ in range(steps):
        named = [(event, ref) for event in layer for ref in story.refs(event)]
        layer = []
        for event, ref, cause in await _looked_up(at, named):
            if cause is None or cause.position >= event.position:
                complete = complete and (cause is not None or ref.kind == "about")
                continue
            pair = (cause.position, event.position)
            edges.setdefault(pair, story.Edge(cause=pair[0], effect=pair[1], kind=ref.kind))
            if cause.position not in found and len(found) < bounds.CAUSATION_NODES_MAX:
                found[cause.position] = cause
                layer.append(cause)
    complete = complete and not any(story.refs(event) for event in layer)
    return _graph(found, list(edges.values()), complete=complete)


async def _looked_up(
    at: context.Context, named: Sequence[tuple[envelope.Event, story.Ref]]
) -> list[tuple[envelope.Event, story.Ref, envelope.Event | None]]:
    """The events that are named by position or id, all read together."""
    asked = [(event, ref) for event, ref in named if ref.position or ref.event_id]
    places = await _each(at.events, [ref.position for _, ref in asked])
    ids = await _each(
        at.named, [(event.tenant, ref.event_id) if ref.event_id else None for event, ref in asked]
    )
    return [
        (event, ref, place or by_id)
        for (event, ref), place, by_id in zip(asked, places, ids, strict=True)
    ]


async def _each(loader: Any, keys: Sequence[Any]) -> list[Any]:
    wanted = list(dict.fromkeys(key for key in keys if key is not None))
    await loader.load_all(wanted)
    return [None if key is None else await loader.load(key) for key in keys]


async def effects(seen: Shown, info: Any, *, depth: int | None = None) -> Causation:
    """What an event led to, among those soon after it: one look through the log, forwards."""
    log, steps = context.of(info).parts.log, _depth(depth)
    start = seen.event
    found: dict[int, envelope.Event] = {start.position: start}
    far: dict[int, int] = {start.position: 0}
    by_id: dict[tuple[str, str], int] = {(start.tenant, start.id): start.position}
    edges: list[story.Edge] = []
    after, scanned = start.position, 0
    complete = False
    while scanned < bounds.EFFECTS_SCANNED_MAX and len(found) < bounds.CAUSATION_NODES_MAX:
        page = await log.read(after, limit=_PAGE, where=envelope.Filter(tenant=start.tenant))
        for event in page.events:
            for ref in story.refs(event):
                cause = ref.position
                if cause is None and ref.event_id is not None:
                    cause = by_id.get((event.tenant, ref.event_id))
                if cause is None or far.get(cause, steps) >= steps:
                    continue
                edges.append(story.Edge(cause=cause, effect=event.position, kind=ref.kind))
                found[event.position] = event
                by_id[event.tenant, event.id] = event.position
                far[event.position] = min(far.get(event.position, steps), far[cause] + 1)
        scanned += page.next_after - after
        after = page.next_after
        if after >= page.head:
            complete = True
            break
    return _graph(found, edges, complete=complete)


def _graph(found: dict[int, Any], edges: Sequence[story.Edge], *, complete: bool) -> Causation:
    shown = sorted(found)[: bounds.CAUSATION_NODES_MAX]
    within = set(shown)
    return Causation(
        nodes=[show(found[place]) for place in shown],
        edges=sorted(
            (each for each in edges if {each.cause, each.effect} <= within),
            key=lambda each: (each.effect, each.cause),
        ),
        complete=complete and len(shown) == len(found),
    )


def _depth(depth: int | None) -> int:
    if depth is not None and 1 <= depth <= bounds.CAUSATION_DEPTH_MAX:
        return depth
    raise errors.InvalidInputError(
        f"expected a number from 1 to {bounds.CAUSATION_DEPTH_MAX}", field="depth"
    )


async def at_position(seen: Any, info: Any) -> Shown | None:
    """The event that a witness or origin names."""
    if seen.position is None:
        return None
    found = await context.of(info).events.load(seen.position)
    return None if found is None else show(found)


def id_of(seen: Shown, _: Any) -> str:
    """The opaque id of an event."""
    return naming.made(EVENT, seen.event.tenant, seen.event.position)


async def by_parts(at: context.Context, parts: Sequence[Any]) -> Shown | None:
    """The event of an id."""
    found = await at.events.load(int(parts[1]))
    if found is None or found.tenant != parts[0] or not tenancy.current().allows(found.tenant):
        return None
    return show(found)


def payload(seen: Shown, _: Any) -> Any:
    """The payload as a value."""
    return msgspec.Raw(seen.event.payload)


def metadata(seen: Shown, _: Any) -> Any:
    """The metadata as a value."""
    return msgspec.Raw(seen.event.metadata)


def summary(seen: Shown, _: Any) -> str:
    """What an event says, in a sentence."""
    return story_words.sentence(seen.event)


QUERY = {"head": head, "event": one, "events": listing}
FIELDS = {
    "Event": {
        "id": id_of,
        "payload": payload,
        "metadata": metadata,
        "summary": summary,
        "causes": causes,
        "effects": effects,
    },
    "Origin": {"event": at_position},
    "Evidence": {"event": at_position},
}
