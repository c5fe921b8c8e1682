"""What there is besides Helios in a simulated world: components with a state of their own.

Unlike `stack_reality` it does not follow what is declared: what somebody changed stays so until
somebody writes. It knows at every moment how things really are, so it can tell a write that was
needed from one that was not, and keeps the history for those who ask later.
"""

import bisect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, expecting, model, normalising, ports
from helios.testing import stack_reality

Place = stack_reality.Place
Tree = Mapping[str, Any]

_REFUSED_FIELD = "refused"
CREATES: frozenset[model.ActionKind] = frozenset(("create_webhook", "create_resource"))


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """A write that had an effect."""

    at: clocks.Timestamp
    place: Place
    kind: model.ActionKind
    key: str
    fields: tuple[str, ...]


class Outside:
    """See the module.

    Args:
        clock: the true time.
        wrong: told of each write that should not have been; the first word names what is broken.
        is_started: whether the log says that an action was begun, by its idempotency key.

    Attributes:
        writes: those that had an effect.
        calls: how often each idempotency key came.
        others: paths that belong to others and must never be written, by place.
        refused: values of fields that are never taken, as `(place, field)`.
        settles_s: how long a write takes until it shows.
        on_its_way_s: how long it may be from the last look to the write: what somebody mends in
            between nobody can know.
    """

    def __init__(
        self,
        clock: clocks.Clock,
        *,
        wrong: Callable[[str], None],
        is_started: Callable[[str], bool],
    ) -> None:
        self._clock = clock
        self._wrong = wrong
        self._is_started = is_started
        self._there: dict[Place, dict[str, Any] | None] = {}
        self._history: dict[Place, list[tuple[int, dict[str, Any] | None]]] = {}
        self._hidden: dict[Place, tuple[int, dict[str, Any] | None]] = {}
        self.writes: list[Write] = []
        self.calls: dict[str, int] = {}
        self.others: dict[Place, frozenset[tuple[str, ...]]] = {}
        self.refused: dict[tuple[Place, str], Any] = {}
        self.settles_s = 0.0
        self.on_its_way_s = 1.0

    # -- what happens out there -----------------------------------------------------------------

    def build(self, declared: composition.Composition) -> None:
        """Put what is declared there, where nothing is known yet."""
        for each in declared.components():
            place = (declared.client_id, declared.stack_id, each.address)
            if place not in self._there:
                self._put(place, stack_reality.satisfied(expecting.tree(each)))

    def vanish(self, place: Place) -> None:
        """Somebody deletes a component."""
        self._put(place, None)

    def change(self, place: Place, **fields: Any) -> None:
        """Somebody changes fields of a component by hand."""
        self._put(place, {**(self._there[place] or {}), **fields})

    def put(self, place: Place, value: dict[str, Any] | None) -> None:
        """Somebody makes a component be so."""
        self._put(place, value)

    def mend(self, declared: composition.Composition, address: str) -> None:
        """Somebody makes a component as it is declared."""
        component = declared.component(address)
        assert component is not None, address
        place = (declared.client_id, declared.stack_id, address)
        self._put(place, stack_reality.satisfied(expecting.tree(component)))

    def value(self, place: Place) -> dict[str, Any] | None:
        """How a component is now."""
        return self._there[place]

    def places(self) -> Iterable[Place]:
        """Of all components that ever were."""
        return self._there

    def _put(self, place: Place, value: dict[str, Any] | None) -> None:
        self._there[place] = value
        self._history.setdefault(place, []).append((self._clock.now(), value))

    # -- what is true ---------------------------------------------------------------------------

    def ever(
        self, place: Place, since: int, until: int, test: Callable[[Tree | None], bool]
    ) -> bool:
        """Whether a component was such at any moment between two times."""
        known = self._history.get(place, [])
        first = max(0, bisect.bisect_right(known, since, key=lambda each: each[0]) - 1)
        return any(test(value) for at, value in known[first:] if at <= until)

    def is_drifted(
        self, declared: composition.Composition, component: composition.Component
    ) -> bool:
        """Whether a component is not as declared now, in what is ours."""
        place = (declared.client_id, declared.stack_id, component.address)
        value = self._there[place]
        tree = stack_reality.satisfied(expecting.tree(component))
        ours = dict(tree)
        if value is None:
            return True
        others = self.others.get(place, frozenset())
        for path in others:
            if path[0] in ours and isinstance(ours[path[0]], dict):
                ours[path[0]] = {**ours[path[0]], path[-1]: _at(value, path)}
        return not all(_is_same(each, value.get(name)) for name, each in ours.items())

    # -- eyes -----------------------------------------------------------------------------------

    def seen(self, place: Place) -> tuple[dict[str, Any] | None, clocks.Timestamp]:
        """What shows of a component, and since when that is so."""
        hidden = self._hidden.get(place)
        now = self._clock.now()
        if hidden is not None and now < hidden[0]:
            return hidden[1], now
        return self._there.get(place), now

    # -- hands ----------------------------------------------------------------------------------

    def act(self, job: ports.Job) -> ports.Acted:
        """Carry out an action once for each key, whatever it comes to.

        Raises:
            HealError: it is not done.
        """
        action = job.action
        place = (job.stack.client_id, job.stack.stack_id, action.target)
        key = action.idempotency_key
        self.calls[key] = self.calls.get(key, 0) + 1
        if not self._is_started(key):
            self._wrong(f"write_is_told_before: {action.kind} {place}, which the log does not know")
        if self.calls[key] > 1:
            return ports.Acted(detail="done before")
        now, before = self._clock.now(), self._there[place]
        fields = action.params.get("set", {})
        for name in fields:
            if self.refused.get((place, name)) == fields[name] != (before or {}).get(name):
                raise ports.HealError("refused", f"{name} cannot be {fields[name]!r}")
        self._judge(place, action, before)
        if before is None and action.kind not in CREATES:
            raise ports.HealError("precondition_failed", f"{place} is not there any more")
        self._hidden[place] = (now + int(self.settles_s * clocks.SECOND_US), before)
        self.writes.append(
            Write(at=now, place=place, kind=action.kind, key=key, fields=tuple(sorted(fields)))
        )
        self._put(place, {**(before or {}), **_plain(fields)})
        return ports.Acted(detail=f"{action.kind} done", undo={"set": {}}, settles_s=self.settles_s)

    def _judge(self, place: Place, action: model.Action, before: Tree | None) -> None:
        """Say so when a write is not needed, or is of what belongs to others."""
        fields = _plain(action.params.get("set", {}))
        if before is None:
            return
        now = self._clock.now()
        since = now - int(self.on_its_way_s * clocks.SECOND_US)
        is_new = action.kind in CREATES

        def is_needed(value: Tree | None) -> bool:
            """Whether a write of all these fields would have been right then."""
            if value is None or is_new:
                return value is None
            return not any(_is_same(each, value.get(name)) for name, each in fields.items())

        if not fields or not self.ever(place, since, now, is_needed):
            self._wrong(f"no_false_heal: {action.kind} {place} sets {sorted(fields)} for nothing")
        for path in self.others.get(place, ()):
            if path[0] in fields and _at(fields, path) != _at(before, path):
                self._wrong(f"others_are_left_alone: {action.kind} {place} writes {path}")


def differs(declared: composition.Composition, address: str, path: str, value: Tree | None) -> bool:
    """Whether a component that is so parts from what is declared, there."""
    component = declared.component(address)
    assert component is not None, address
    if value is None:
        return True
    tree = stack_reality.satisfied(expecting.tree(component))
    if not path:
        return False
    field = path.removeprefix("/").split("/")[0]
    return not _is_same(tree.get(field), value.get(field))


def _plain(value: Any) -> Any:
    return stack_reality.satisfied(value) if isinstance(value, Mapping) else value


def _is_same(wanted: Any, there: Any) -> bool:
    return bool(normalising.normal(wanted) == normalising.normal(there))


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
