"""Deliveries at our own doors, counted by source: a provider gives a webhook up that we refuse."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from helios.kernel import clock as clocks

REFRESH_S: Final = 60.0
"""How long the names of sources are taken to be as they were."""

_TAKEN: Final = ("stored", "duplicate", "dead", "ignored")
_REFUSED: Final = "refused"


class Counts:
    """A `memory.Deliveries` over counters that know sources by name only.

    Args:
        results: what became of what a source of that name sent, since the start.
        names: of all sources of all clients. What several clients call the same is not counted:
            it cannot be told whose delivery it was.
        clock: for how long names hold.
    """

    def __init__(
        self,
        results: Callable[[str], Mapping[str, int]],
        names: Callable[[], Iterable[str]],
        clock: clocks.Clock,
    ) -> None:
        self._results = results
        self._names = names
        self._clock = clock
        self._known: Counter[str] = Counter()
        self._until = float("-inf")

    def __call__(self, client_id: str, source: str) -> tuple[int, int] | None:
        """Deliveries that were taken and refused; None: not counted."""
        del client_id
        if self._clock.monotonic() >= self._until:
            self._known = Counter(self._names())
            self._until = self._clock.monotonic() + REFRESH_S
        if self._known[source] != 1:
            return None
        found = self._results(source)
        return sum(found.get(each, 0) for each in _TAKEN), found.get(_REFUSED, 0)
