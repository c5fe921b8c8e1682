"""Who brought a drift about, as far as the log tells. Pure.

The log has what providers told, what people declared and what we did ourselves, in one order. The
newest of it that names what drifted, and is not older than a day, is the origin; where nothing
does, nobody is named: a wrong name is worse than none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections.views import sources
from helios.reconcile.compositions import composition, diffing, events, model, stack

WITHIN: Final = 24 * 3600 * clocks.SECOND_US
"""Age of events that may have brought a drift about, in microseconds."""

NAME_CHARS_MIN = 3
"""Shorter names are in every payload."""

NUMBER_DIGITS_MIN = 6
"""Shorter numbers without quotes may mean anything."""

_SOURCE_CHANGES = frozenset((sources.DECLARED, sources.REMOVED, sources.PAUSED))


class Group(NamedTuple):
    """Drifts that probably have one cause: who, what, where in the component."""

    actor: str | None
    cause: model.Cause
    path: str


class _Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What drifted, as others may name it.

    Attributes:
        names: as JSON has them.
        provider: name of its adapter.
        source: name of the source that takes its events in.
    """

    component: composition.Component
    path: str
    names: tuple[bytes, ...]
    provider: str
    source: str


def origin(
    drift: model.Drift | model.Finding,
    state: stack.Stack,
    declared: composition.Composition,
    found: Sequence[envelope.Event],
    now: clocks.Timestamp,
    *,
    seen: model.Seen | None = None,
) -> model.Origin:
    """Who brought a drift about.

    Args:
        drift: what parts from what is declared.
        state: of the stack; tells which declaration was never seen to be met.
        declared: as it is now.
        found: recent events of the log about the stack, its providers and sources, in any order.
        now: events older than a day before are left out.
        seen: the component; what the provider calls it (`_`) is looked for too.
    """
    component = declared.component(drift.component)
    if component is None:
        return model.Origin()
    subject = _subject(component, drift.path, declared, seen)
    told = [
        event
        for event in found
        if event.tenant == state.client_id
        and event.occurred_at >= now - WITHIN
        and event.position >= state.declared_position
        and _tells_of(event, subject, state)
    ]
    newest = max(told, key=lambda event: event.position, default=None)
    if newest is not None:
        return model.Origin(
            actor=newest.actor,
            event_id=newest.id,
            position=newest.position,
            channel=_channel(newest),
        )
    if state.generation and state.applied_generation != state.generation:
        # It was never seen to be as it is declared now.
        return model.Origin(
            actor=state.declared_by or None,
            event_id=state.declared_event or None,
            position=state.declared_position or None,
            channel="declaration",
        )
    return model.Origin(channel="probe")


def grouped(
    drifts: Iterable[tuple[str, model.Drift]],
) -> dict[Group, tuple[tuple[str, model.Drift], ...]]:
    """Drifts of many stacks by what they probably have in common, the largest group first.

    Args:
        drifts: each with the name of its stack.
    """
    found: dict[Group, list[tuple[str, model.Drift]]] = {}
    for name, drift in drifts:
        group = Group(drift.origin.actor, drift.cause, drift.path)
        found.setdefault(group, []).append((name, drift))
    ordered = sorted(found.items(), key=lambda each: (-len(each[1]), str(each[0])))
    return {group: tuple(members) for group, members in ordered}


def _subject(
    component: composition.Component,
    path: str,
    declared: composition.Composition,
    seen: model.Seen | None,
) -> _Subject:
    provider: composition.Provider | None
    match component:
        case composition.Provider():
            provider = component
            given = [component.url]
        case composition.Integration():
            provider = declared.provider(component.provider)
            given = [component.name, component.url]
        case composition.Resource():
            provider = None
            given = [component.name, *_strings(component.settings)]
        case composition.Content():
            provider = declared.provider(component.provider)
            given = [component.type]
    if seen is not None and seen.value is not None:
        given += [str(each) for each in _strings(seen.value.get("_"))]
    names = {name for name in given if name and len(name) >= NAME_CHARS_MIN}
    adapter = "" if provider is None else provider.name
    return _Subject(
        component=component,
        path=path,
        names=tuple(written for name in sorted(names) for written in _written(name)),
        provider=adapter,
        source=adapter if provider is None or provider.source is None else provider.source,
    )


def _written(name: str) -> list[bytes]:
    """How JSON may have a name; a long number may be one."""
    text = [msgspec.json.encode(name)]
    if name.isdecimal() and len(name) >= NUMBER_DIGITS_MIN:
        text.append(f":{name}".encode())
    return text


def _strings(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return []
    return [str(each) for each in value.values() if isinstance(each, str | int)]


def _tells_of(event: envelope.Event, subject: _Subject, state: stack.Stack) -> bool:
    if event.source == events.SOURCE:
        if event.aggregate == state.key:
            return event.type == events.HEAL_ACTED and _wrote(event, subject)
        is_change = event.type in _SOURCE_CHANGES and event.aggregate_type == sources.AGGREGATE_TYPE
        is_provider = isinstance(subject.component, composition.Provider)
        return is_change and is_provider and event.aggregate_id == subject.source
    is_its_own = not subject.provider or event.source in (subject.provider, subject.source)
    return is_its_own and _names(event, subject)


def _names(event: envelope.Event, subject: _Subject) -> bool:
    about = msgspec.json.encode([event.aggregate_type, event.aggregate_id])
    return any(name in event.payload or name in about for name in subject.names)


def _wrote(event: envelope.Event, subject: _Subject) -> bool:
    """Whether an action of ours wrote there, and not just what is expected of this field."""
    try:
        action = msgspec.json.decode(event.payload, type=events.HealMoved).heal.action
    except msgspec.DecodeError:
        return False
    if action.target != subject.component.address:
        return False
    field = diffing.steps(subject.path)[:1]
    written = action.params.get("set")
    return not field or not isinstance(written, Mapping) or field[0] not in written


def _channel(event: envelope.Event) -> str:
    if event.source != events.SOURCE:
        return "webhook"
    return "heal" if event.type == events.HEAL_ACTED else "declaration"
