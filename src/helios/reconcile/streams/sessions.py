"""Sessions: windows that grow with their events, and join when an event bridges them.

A session is known by its key and the time of the event that opened it, whatever it grows to.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from helios.reconcile.streams import layout, telling
from helios.reconcile.streams.layout import State

Group: TypeAlias = tuple[str, int]


class Sessions:
    """Which sessions each key has.

    Args:
        open_: open windows by group; kept by the engine.
        closed: closed ones that are still known; likewise.
        gap: the silence that ends a session, microseconds.
        merge: puts the events of the second state into the first.
    """

    def __init__(
        self,
        open_: dict[Any, State],
        closed: dict[Any, State],
        gap: int,
        merge: Callable[[State, State], None],
    ) -> None:
        self._open = open_
        self._closed = closed
        self._gap = gap
        self._merge = merge
        self._groups: dict[str, list[Group]] = {}

    def of(self, key: str) -> list[Group]:
        """The sessions of a key."""
        return list(self._groups.get(key, ()))

    def around(self, key: str, us: int) -> list[Group]:
        """The sessions that an event at this time belongs to, in order of their opening events.

        More than one: it bridges them.
        """
        found = []
        for group in self._groups.get(key, ()):
            state = self._open.get(group) or self._closed.get(group)
            if state is None:
                continue
            if state[layout.START] - self._gap < us < state[layout.END] + self._gap:
                found.append(group)
        return sorted(found)

    def of_event(self, key: str, us: int, leg: int, event_id: str) -> list[Group]:
        """Likewise, but of an event that has been seen before only the session it stands in.

        Another session may have come near since; the event must not move there, nor join them.
        """
        found = self.around(key, us)
        if len(found) > 1:
            ids = layout.ids(leg)
            for group in found:
                if event_id in layout.listed(self._state(group)[ids]):
                    return [group]
        return found

    def add(self, group: Group) -> None:
        """A session begins, or comes back."""
        groups = self._groups.setdefault(group[0], [])
        if group not in groups:
            groups.append(group)

    def remove(self, group: Group) -> None:
        """A session is forgotten."""
        groups = self._groups.get(group[0])
        if groups is not None and group in groups:
            groups.remove(group)
            if not groups:
                del self._groups[group[0]]

    def join(self, into: Group, other: Group) -> None:
        """An event has bridged two sessions: the second's events join the first.

        But one of which a verdict was told stays what it is: no event may stand in two verdicts.
        """
        second = self._open.get(other)
        if second is None or telling.is_told(second):
            return
        del self._open[other]
        self.remove(other)
        second[layout.NEXT] = None
        self._merge(self._state(into), second)

    def reach(self, group: Group, us: int) -> State:
        """A session reaches to an event."""
        state = self._state(group)
        state[layout.START] = min(state[layout.START], us)
        state[layout.END] = max(state[layout.END], us)
        return state

    def _state(self, group: Group) -> State:
        return self._open.get(group) or self._closed[group]
