"""Why something is as it is: from its last event back to the first, as a graph and as a story.

Pure: events in, story out. An event names what caused it in its envelope; what people said names
by its content what they answered to, and what was done names what it was done for. Both are
followed. Whoever has the log brings the events that are still `missing` until none is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import causing, events, story_words

NODES_MAX: Final = 500
"""Events of one story. Above: what is farther back is left out, and the story says so."""

PARENTS_MAX: Final = 50
"""Events that one event names as those it goes back to."""

EdgeKind: TypeAlias = Literal["caused", "about"]


class Ref(NamedTuple):
    """An event that another one goes back to: by position, by id, or the newest of a subject.

    `caused`: it would not be there without; `about`: it speaks of it too.
    """

    kind: EdgeKind
    position: int | None = None
    event_id: str | None = None
    subject: str | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a story.

    Attributes:
        time: when it happened, RFC 3339.
        summary: what it says.
        trace_id: of the W3C trace that it is part of.
    """

    position: int
    event_id: str
    type: str
    source: str
    time: str
    actor: str
    client_id: str
    aggregate: str
    correlation_id: str | None
    trace_id: str
    summary: str


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """That one event goes back to another; see `Ref`."""

    cause: int
    effect: int
    kind: EdgeKind


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the story; `position` is null for what is no event."""

    position: int | None
    time: str
    actor: str
    text: str


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What the events led to, where that is no event itself, such as a verdict."""

    time: clocks.Timestamp
    actor: str
    text: str


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """Why something is as it is.

    Attributes:
        key: as it was asked for; kind: what it names.
        nodes: events in order of position; edges: which goes back to which.
        first: positions of the events that nothing known caused; last: of those asked for.
        path: from the first event to the last, one after another.
        steps: the same for people, without what only sums up.
        text: the steps in one line.
        complete: false: there is more behind, see `NODES_MAX`.
    """

    key: str
    kind: str
    nodes: list[Node]
    edges: list[Edge]
    first: list[int]
    last: list[int]
    path: list[int]
    steps: list[Step]
    text: str
    complete: bool


_SUMS_UP = frozenset(
    (events.CONDITIONS_CHANGED, events.RECONCILIATION_COMPLETED, events.PLAN_VOIDED)
)
"""What is left out of the steps, unless it is what was asked for."""


class _Metadata(msgspec.Struct):
    causation_position: int | None = None


def refs(event: envelope.Event) -> list[Ref]:
    """The events that an event goes back to, the nearest first."""
    found = _told(event)
    if event.source == events.SOURCE:
        kind: EdgeKind = "about" if found else "caused"
        found += [each._replace(kind=kind) for each in _by_content(event)]
    return list(dict.fromkeys(found))[:PARENTS_MAX]


def subjects(event: envelope.Event) -> list[str]:
    """What an event is about, by which others name it: `drift:…`, `plan:…`, `heal:…` and so on."""
    if event.source != events.SOURCE or event.aggregate_type != events.STACK:
        return []
    said = _data(event)
    return [f"{what}:{which}" for what, which in _names(event.type, said) if which]


class Walk:
    """A walk back from some events.

    Attributes:
        edges: from each event reached to those it goes back to.
        missing: what is named and not known.
        complete: whether nothing was left out for number.
    """

    def __init__(self, found: Mapping[int, envelope.Event], last: Sequence[int]) -> None:
        self._found = found
        self._by_id = {(each.tenant, each.id): each.position for each in found.values()}
        self._by_subject = _by_subject(found.values())
        self.edges: dict[int, list[tuple[int, EdgeKind]]] = {}
        self.missing: dict[Ref, envelope.Event] = {}
        self.complete = True
        waiting = [place for place in last if place in found]
        while waiting:
            place = waiting.pop()
            if place in self.edges:
                continue
            if len(self.edges) >= NODES_MAX:
                self.complete = False
                break
            self.edges[place] = self._parents(found[place])
            waiting += [cause for cause, _ in self.edges[place]]

    def _parents(self, event: envelope.Event) -> list[tuple[int, EdgeKind]]:
        parents: dict[int, EdgeKind] = {}
        for ref in refs(event):
            place = self._place(ref, event)
            if place is None:
                if ref.subject is None:
                    self.missing.setdefault(ref, event)
                continue
            # Nothing goes back to what came after it, whatever it says.
            if place < event.position and place in self._found:
                parents.setdefault(place, ref.kind)
        return list(parents.items())

    def _place(self, ref: Ref, event: envelope.Event) -> int | None:
        if ref.position is not None:
            return ref.position if ref.position in self._found else None
        if ref.event_id is not None:
            found = self._by_id.get((event.tenant, ref.event_id))
            return found if found is not None else self._newest(f"heal:{ref.event_id}", event)
        return self._newest(ref.subject or "", event)

    def _newest(self, subject: str, event: envelope.Event) -> int | None:
        places = self._by_subject.get(subject, ())
        return max((place for place in places if place < event.position), default=None)


def tell(
    key: str,
    kind: str,
    found: Mapping[int, envelope.Event],
    last: Sequence[int],
    *,
    ending: Ending | None = None,
    complete: bool = True,
) -> Story:
    """The story of what these events led to.

    Args:
        key: what was asked for.
        kind: what that names.
        found: events by position, at least `last`.
        last: positions of the events that it ends with; several: of one verdict.
        ending: what they led to, where that is no event.
        complete: whether everything that is named was found.
    """
    walk = Walk(found, last)
    reached = sorted(walk.edges)
    path = _path(walk, last)
    steps = _steps([found[place] for place in path if _is_step(found[place], last)])
    if ending is not None:
        time = clocks.to_rfc3339(ending.time)
        steps.append(Step(position=None, time=time, actor=ending.actor, text=ending.text))
    return Story(
        key=key,
        kind=kind,
        nodes=[_node(found[place]) for place in reached],
        edges=[
            Edge(cause=cause, effect=place, kind=how)
            for place in reached
            for cause, how in walk.edges[place]
            if cause in walk.edges
        ],
        first=[place for place in reached if not _caused(walk, place)],
        last=sorted(last),
        path=path,
        steps=steps,
        text=line(steps),
        complete=complete and walk.complete,
    )


def line(steps: Sequence[Step]) -> str:
    """The steps in one line, from the first on."""
    if not steps:
        return ""
    return f"{steps[0].time} {' → '.join(step.text for step in steps)}"


def _caused(walk: Walk, place: int) -> list[int]:
    return [cause for cause, how in walk.edges[place] if how == "caused" and cause in walk.edges]


def _path(walk: Walk, last: Sequence[int]) -> list[int]:
    """From the first event to the last; of several that end the story, through all of them."""
    if len(last) != 1:
        return sorted(place for place in last if place in walk.edges)
    path: list[int] = []
    place: int | None = last[0]
    while place is not None:
        path.append(place)
        parents = _caused(walk, place)
        place = parents[0] if parents else None
    return path[::-1]


def _steps(path: Sequence[envelope.Event]) -> list[Step]:
    """The steps of a path; what says the same once more is left out."""
    steps: list[Step] = []
    for event in path:
        step = _step(event)
        if not steps or steps[-1].text != step.text:
            steps.append(step)
    return steps


def _is_step(event: envelope.Event, last: Sequence[int]) -> bool:
    return event.type not in _SUMS_UP or event.position in last


def _step(event: envelope.Event) -> Step:
    return Step(
        position=event.position,
        time=clocks.to_rfc3339(event.occurred_at),
        actor=event.actor,
        text=story_words.sentence(event),
    )


def _node(event: envelope.Event) -> Node:
    return Node(
        position=event.position,
        event_id=event.id,
        type=event.type,
        source=event.source,
        time=clocks.to_rfc3339(event.occurred_at),
        actor=event.actor,
        client_id=event.tenant,
        aggregate=f"{event.aggregate_type}/{event.aggregate_id}",
        correlation_id=event.correlation_id,
        trace_id=causing.trace_of(event).trace_id,
        summary=story_words.sentence(event),
    )


# -- what events name ------------------------------------------------------------------------------


def _told(event: envelope.Event) -> list[Ref]:
    """What the envelope says."""
    try:
        place = msgspec.json.decode(event.metadata, type=_Metadata).causation_position
    except msgspec.DecodeError:
        place = None
    if place is not None:
        return [Ref("caused", position=place)]
    if event.causation_id is not None:
        return [Ref("caused", event_id=event.causation_id)]
    return []


def _by_content(event: envelope.Event) -> list[Ref]:
    said = _data(event)
    own = [f"{what}:{which}" for what, which in _names(event.type, said) if which]
    found = [Ref("about", subject=name) for name in (*_before(event.type, said), *own)]
    drift = _at(said, "drift")
    if isinstance(drift, dict) and said.get("previous") is None:
        origin = _at(drift, "origin", "position")
        seen = [_at(each, "position") for each in drift.get("evidence") or ()]
        found = [Ref("about", position=each) for each in (origin, *seen) if each] + found
    if said.get("command_id") and event.type == events.RECONCILIATION_REQUESTED:
        found.append(Ref("about", event_id=f"command:{said['command_id']}"))
    return found


def _names(kind: str, said: dict[str, Any]) -> list[tuple[str, Any]]:
    """What an event of a stack is about."""
    if kind in events.DRIFT_TYPES:
        return [("drift", _at(said, "drift", "drift_id"))]
    if kind in events.HEAL_TYPES:
        return [("heal", _at(said, "heal", "action", "id"))]
    if kind == events.PLAN_MADE:
        return [("plan", _at(said, "plan", "plan_id")), ("digest", _at(said, "plan", "digest"))]
    if kind == events.APPROVAL_REQUESTED:
        return [("approval", _at(said, "approval", "approval_id"))]
    fields = _FIELDS.get(kind)
    return [] if fields is None else [(fields[0], said.get(fields[1]))]


_FIELDS: Mapping[str, tuple[str, str]] = {
    events.STACK_DECLARED: ("declared", "stack_id"),
    events.PLAN_VOIDED: ("plan", "plan_id"),
    events.RECONCILIATION_REQUESTED: ("run", "reconciliation_id"),
    events.RECONCILIATION_COMPLETED: ("run", "reconciliation_id"),
    events.APPROVAL_GRANTED: ("approval", "approval_id"),
    events.APPROVAL_DENIED: ("approval", "approval_id"),
    events.APPROVAL_REVOKED: ("approval", "approval_id"),
    events.APPROVAL_EXPIRED: ("approval", "approval_id"),
}


def _before(kind: str, said: dict[str, Any]) -> list[str]:
    """Subjects of what an event follows from, the nearest first."""
    if kind in events.DRIFT_TYPES and said.get("previous") is None:
        return [f"declared:{said.get('stack_id')}"]
    find = _FOLLOWS.get(kind)
    return [] if find is None else find(said)


def _of_plan(said: dict[str, Any]) -> list[str]:
    actions = _at(said, "plan", "actions") or ()
    return [f"drift:{each}" for action in actions for each in action.get("drift_ids", ())]


def _of_heal(said: dict[str, Any]) -> list[str]:
    heal = _at(said, "heal") or {}
    names = [f"heal:{_at(heal, 'action', 'id')}", f"agreed:{heal.get('digest')}"]
    names += [f"heal:{each}" for each in _at(heal, "action", "depends_on") or ()]
    names.append(f"plan:{heal.get('plan_id')}")
    names += [f"drift:{each}" for each in _at(heal, "action", "drift_ids") or ()]
    return names


_FOLLOWS: Mapping[str, Callable[[dict[str, Any]], list[str]]] = {
    events.HEAL_STARTED: _of_heal,
    events.HEAL_AVOIDED: _of_heal,
    events.PLAN_MADE: _of_plan,
    events.APPROVAL_REQUESTED: lambda said: [f"plan:{_at(said, 'approval', 'plan_id')}"],
    events.RECONCILIATION_REQUESTED: lambda said: [f"digest:{said.get('plan_digest')}"],
    events.DRIFT_RESOLVED: lambda said: [f"mends:{_at(said, 'drift', 'drift_id')}"],
}


def _by_subject(found: Iterable[envelope.Event]) -> dict[str, list[int]]:
    known: dict[str, list[int]] = {}
    for event in found:
        names = subjects(event)
        if event.type in events.HEAL_TYPES:
            mended = _at(_data(event), "heal", "action", "drift_ids") or ()
            names += [f"mends:{each}" for each in mended]
        if event.type == events.APPROVAL_GRANTED:
            names.append(f"agreed:{_at(_data(event), 'grant', 'digest')}")
        for name in names:
            known.setdefault(name, []).append(event.position)
    return known


def _data(event: envelope.Event) -> dict[str, Any]:
    try:
        return event.data()
    except msgspec.DecodeError:
        return {}


def _at(value: Any, *names: str) -> Any:
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
