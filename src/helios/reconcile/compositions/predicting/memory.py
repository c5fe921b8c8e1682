"""Keeps what looking measures, and tells the signs in it. In memory: a restart learns anew.

What is kept of a component does not grow, and neither does the number of components: above
`COMPONENTS_MAX` those that come later are not followed, rather than all of them forgotten between
two looks. Dates, counts and what a stack remembers of its drifts need no memory and no learning.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, model, normalising
from helios.reconcile.compositions.predicting import estimators, ports, slopes, watched

COMPONENTS_MAX: Final = 60_000
"""Components that are followed in one process, of less than 2 KB each."""

IDLE_S: Final = 86_400.0
"""What was not looked at for so long may make room for others."""

PEERS_WINDOW: Final = 2_000
PEERS_MIN: Final = 20
"""With fewer values it is not known what is usual at peers."""

_Counts: TypeAlias = tuple[int, int]

Deliveries = Callable[[str, str], _Counts | None]
"""Deliveries of a source (client, name) that were taken and refused since the start of the process;
None: they are not counted."""


class _Stack:
    __slots__ = ("components", "counts", "hot", "sources")

    def __init__(self) -> None:
        self.components: dict[str, watched.Watched] = {}
        self.counts: dict[str, _Counts] = {}
        self.sources: dict[str, str] = {}
        self.hot: set[str] = set()


class Memory:
    """`ports.Signals` and `ports.Recorder`.

    Args:
        deliveries: counts at our own doors.
        components_max: see `COMPONENTS_MAX`.
    """

    def __init__(
        self,
        deliveries: Deliveries = lambda _client, _source: None,
        *,
        components_max: int = COMPONENTS_MAX,
    ) -> None:
        self._deliveries = deliveries
        self._components_max = components_max
        self._stacks: dict[ports.Name, _Stack] = {}
        self._peers: dict[tuple[str, str], estimators.Quantile] = {}
        self._count = 0
        self._swept_at = clocks.Timestamp(0)

    # -- asked by passes ------------------------------------------------------------------------

    def is_due(self, name: ports.Name, now: clocks.Timestamp) -> bool:
        """See `ports.Signals`."""
        del now
        found = self._stacks.get(name)
        return found is not None and bool(found.hot)

    def sights(self, name: ports.Name, now: clocks.Timestamp) -> Mapping[str, ports.Sight]:
        """See `ports.Signals`."""
        found = self._stacks.get(name)
        if found is None:
            return {}
        sights = {address: each.sight(now) for address, each in found.components.items()}
        found.hot = {address for address, each in sights.items() if each.bases}
        return sights

    # -- told by those who look -----------------------------------------------------------------

    def looked(
        self,
        stack: composition.Composition,
        declared: composition.Component,
        seen: model.Seen,
        *,
        took_s: float,
        now: clocks.Timestamp,
    ) -> None:
        """See `ports.Recorder`."""
        name = (stack.client_id, stack.stack_id)
        found = self._watched(name, declared.address, now)
        if found is None:
            return
        kind = _kind(declared)
        taken = self._taken(stack, declared, seen, took_s)
        found.look(declared, seen, taken, now, lambda signal: self._usual(kind, signal))
        self._compare(kind, seen, took_s)
        mine = self._stacks[name]
        if found.sight(now).bases:
            mine.hot.add(declared.address)
        else:
            mine.hot.discard(declared.address)

    def _watched(
        self, name: ports.Name, address: str, now: clocks.Timestamp
    ) -> watched.Watched | None:
        mine = self._stacks.get(name)
        found = None if mine is None else mine.components.get(address)
        if found is not None:
            return found
        if self._count >= self._components_max:
            self._sweep(now)
            if self._count >= self._components_max:
                return None
        if mine is None:
            mine = self._stacks.setdefault(name, _Stack())
        self._count += 1
        return mine.components.setdefault(address, watched.Watched())

    def _sweep(self, now: clocks.Timestamp) -> None:
        """Make room, at most once in an hour: it walks over everything."""
        if now - self._swept_at < 3600 * clocks.SECOND_US:
            return
        self._swept_at = now
        before = now - round(IDLE_S * clocks.SECOND_US)
        for name, mine in list(self._stacks.items()):
            kept = {address: each for address, each in mine.components.items() if each.at > before}
            self._count -= len(mine.components) - len(kept)
            mine.components = kept
            if not kept:
                del self._stacks[name]

    def _usual(self, kind: str, signal: str) -> float | None:
        found = self._peers.get((kind, signal))
        return None if found is None or found.count < PEERS_MIN else found.value

    def _compare(self, kind: str, seen: model.Seen, took_s: float) -> None:
        """Have a look count among its peers."""
        failed = seen.state == "unknown"
        values = {slopes.ERRORS.signal: float(failed)}
        if not failed:
            values[slopes.LATENCY.signal] = took_s
        for signal, value in values.items():
            key = (kind, signal)
            if key not in self._peers:
                self._peers[key] = estimators.Quantile(0.5, PEERS_WINDOW)
            self._peers[key].update(value)

    def _taken(
        self,
        stack: composition.Composition,
        declared: composition.Component,
        seen: model.Seen,
        took_s: float,
    ) -> watched.Taken:
        """With the deliveries of the source of an integration since its last look."""
        mine = self._stacks[stack.client_id, stack.stack_id]
        if isinstance(declared, composition.Provider):
            name = ((seen.value or {}).get(normalising.SERVER_MANAGED) or {}).get("source")
            if isinstance(name, str):
                mine.sources[declared.role] = name
        if not isinstance(declared, composition.Integration):
            return watched.Taken(took_s=took_s)
        source = mine.sources.get(declared.provider)
        counts = None if source is None else self._deliveries(stack.client_id, source)
        if counts is None:
            return watched.Taken(took_s=took_s)
        before = mine.counts.get(declared.address, counts)
        mine.counts[declared.address] = counts
        taken, refused = (max(0, a - b) for a, b in zip(counts, before, strict=True))
        return watched.Taken(took_s=took_s, delivered=taken, refused=refused)


def _kind(declared: composition.Component) -> str:
    """Whose peer it is: what takes about as long to look at."""
    match declared:
        case composition.Provider():
            return f"provider:{declared.name}"
        case composition.Integration():
            return "integration"
        case composition.Resource():
            return f"resource:{declared.kind}"
        case composition.Content():
            return "content"
