"""Times at which something is due, the earliest first; each key has one at most."""

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

from helios.kernel import clock as clocks

K = TypeVar("K", bound=Hashable)


class Alarms(Generic[K]):
    """Keys and when each is due."""

    def __init__(self) -> None:
        self._at: dict[K, clocks.Timestamp] = {}
        # Entries stay behind when a key is set anew or cancelled; `_at` tells them apart.
        self._heap: list[tuple[clocks.Timestamp, int, K]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._at)

    def set(self, key: K, at: clocks.Timestamp) -> None:
        """Let a key be due then, whatever was said before."""
        self._at[key] = at
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, key))

    def cancel(self, key: K) -> None:
        """Let a key not be due any more; nothing happens if it never was."""
        self._at.pop(key, None)

    def next_at(self) -> clocks.Timestamp | None:
        """When the first is due; None: never."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._at.get(key) == at:
                return at
            heapq.heappop(self._heap)
        return None

    def due(self, now: clocks.Timestamp) -> list[K]:
        """Take out all that are due by now, in order of their times."""
        taken = []
        while (at := self.next_at()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._at[key]
            taken.append(key)
        return taken
