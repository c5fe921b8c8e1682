"""Which stacks an event of the log is about: those are looked at again.

An event only says where to look. What it leaves out the next scheduled pass finds.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from helios.eventlog import envelope
from helios.reconcile.builds import events as build_events
from helios.reconcile.compositions import (
    composition,
    events,
    guard_events,
    passing,
    surroundings,
    view,
)
from helios.reconcile.runtime import keys

Name = tuple[str, str]
Woken = list[tuple[keys.Key, keys.Priority]]

_SOURCE = "helios.source"
_ANSWERS = frozenset(
    (
        events.APPROVAL_GRANTED,
        events.APPROVAL_DENIED,
        events.APPROVAL_REVOKED,
        events.STACK_RESUMED,
        events.STACK_PINNED,
        events.STACK_UNPINNED,
    )
)
_RELEASES = frozenset(guard_events.TYPES) - {
    guard_events.BREAKER_OPENED,
    guard_events.FUSE_BLOWN,
    guard_events.HEALING_SUSPENDED,
}


class Wakes:
    """Knows which stacks look at what. Kept up by passes, complete after the first walk.

    Args:
        sources: names of the sources that take in the events of a client's adapter.
    """

    def __init__(self, sources: Callable[[str, str], Iterable[str]] = lambda *_: ()) -> None:
        self._sources = sources
        self._about: dict[Name, frozenset[tuple[str, str, str]]] = {}
        self._stacks: dict[tuple[str, str, str], set[Name]] = {}
        self._clients: dict[str, set[Name]] = {}
        self._heard: dict[Name, surroundings.Heard] = {}

    def learn(self, declared: composition.Composition) -> None:
        """Keep what a stack looks at."""
        name = (declared.client_id, declared.stack_id)
        client = declared.client_id
        about = {(client, "source", each.source or each.name) for each in declared.providers}
        about |= {
            (client, "source", source)
            for each in declared.providers
            if each.source is None
            for source in self._sources(client, each.name)
        }
        about |= {
            (client, "site", str(each.settings.get("name", each.name)))
            for each in declared.resources
            if each.kind == "site"
        }
        kept = frozenset(about)
        if self._about.get(name) == kept:
            return
        self.forget(name)
        self._about[name] = kept
        for each in about:
            self._stacks.setdefault(each, set()).add(name)
        self._clients.setdefault(client, set()).add(name)

    def forget(self, name: Name) -> None:
        """Of a stack that is not declared any more."""
        for each in self._about.pop(name, frozenset()):
            found = self._stacks.get(each, set())
            found.discard(name)
            if not found:
                self._stacks.pop(each, None)
        self._clients.get(name[0], set()).discard(name)

    def heard(self, name: Name) -> surroundings.Heard | None:
        """What woke a stack since this was last asked; None: no event."""
        return self._heard.pop(name, None)

    def woken(self, found: Sequence[envelope.Event]) -> Iterator[tuple[keys.Key, keys.Priority]]:
        """A `waking.Woken`."""
        if self._about or any(each.aggregate_type == events.STACK for each in found):
            for event in found:
                yield from self.of(event)

    def of(self, event: envelope.Event) -> Woken:
        """Keys to look at again because of an event, and how urgently."""
        if event.aggregate_type == events.STACK:
            return self._of_stack(event)
        if event.aggregate_type == guard_events.AGGREGATE_TYPE:
            return self._of_guard(event)
        kind, what, shown = "source", event.source, "content"
        if event.aggregate_type == build_events.AGGREGATE_TYPE:
            kind, what, shown = "site", event.aggregate_id, "builds"
        elif event.aggregate_type == _SOURCE:
            what, shown = event.aggregate_id, "sources"
        found = self._stacks.get((event.tenant, kind, what), ())
        return self._keys(found, keys.Priority.EVENT, event, shown)

    def _of_stack(self, event: envelope.Event) -> Woken:
        if event.actor == events.ACTOR:
            return []
        priority = keys.Priority.EVENT
        if event.type == events.RECONCILIATION_REQUESTED:
            manual = b'"trigger":"manual"' in event.payload
            priority = keys.Priority.OPERATOR if manual else keys.Priority.EVENT
        elif event.type in _ANSWERS:
            priority = keys.Priority.APPROVAL
        return self._keys([(event.tenant, event.aggregate_id)], priority, event, view.NAME)

    def _of_guard(self, event: envelope.Event) -> Woken:
        if event.type not in _RELEASES or event.actor == events.ACTOR:
            return []
        if event.tenant == guard_events.SYSTEM_TENANT:
            found = [name for names in self._clients.values() for name in names]
        else:
            found = list(self._clients.get(event.tenant, ()))
        return self._keys(found, keys.Priority.APPROVAL, event, view.NAME)

    def _keys(
        self,
        names: Iterable[Name],
        priority: keys.Priority,
        event: envelope.Event,
        shown: str,
    ) -> Woken:
        woken = []
        small = None
        for name in names:
            small = small or msgspec.structs.replace(event, payload=b"{}")
            known = self._heard.get(name)
            self._heard[name] = surroundings.Heard(
                position=event.position,
                views=frozenset((shown,)) if known is None else known.views | {shown},
                since=event.recorded_at if known is None else known.since,
                event=small,
            )
            woken.append((keys.Key(name[0], passing.FAMILY, name[1]), priority))
        return woken
