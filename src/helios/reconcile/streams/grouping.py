"""Which windows an event belongs to."""

import operator
from collections.abc import Callable
from typing import Any

from helios.reconcile.streams import program


class Grouping:
    """Keys and groups of the events of one contract.

    Args:
        compiled: the contract.
    """

    def __init__(self, compiled: program.Program) -> None:
        self._program = compiled
        self._window = compiled.contract.window
        self._getters: dict[str, Callable[[Any], str]] = {}

    def key_of(self, event: Any) -> str:
        """The key of an event that some leg wants, and whose payload stands apart."""
        getter = self._getters.get(event.h_type)
        if getter is None:
            bound = self._program.leg_of(event.h_source, event.h_type)
            assert bound is not None
            getter = operator.attrgetter(".".join(("h_payload", *bound.key)))
            if sum(leg.leg.type == event.h_type for leg in self._program.legs) == 1:
                self._getters[event.h_type] = getter
        key: str = getter(event)
        return key

    def groups_of(self, key: str, us: int) -> list[Any]:
        """The groups of an event, where key and time alone tell: not for sessions."""
        window = self._window
        match window.type:
            case "per_key":
                return [key]
            case "tumbling":
                return [(key, us - us % window.size)]
            case "sliding":
                starts = range(us - us % window.every, us - window.size, -window.every)
                return [(key, start) for start in starts]
            case "session":
                return []

    def is_counted(self, window_id: int, us: int) -> bool:
        """Whether an event counts as one event in this window: in the newest of its windows."""
        return self._window.type != "sliding" or window_id == us - us % self._window.every
