"""What there is besides Helios, scripted: components that are there, gone, broken or out of sight.

It is eyes and hands at once: what is written shows at the next look, and every write is kept with
its key. Faults are those that real systems have and that cannot be had at will.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, expecting, model, ports

KINDS: tuple[model.ActionKind, ...] = (
    "register_provider",
    "create_webhook",
    "update_webhook",
    "update_integration",
    "create_resource",
    "update_resource",
    "rebuild_resource",
    "resync_content",
)
Place = tuple[str, str, str]
"""Client, stack and address."""


class ProcessEnded(BaseException):
    """The process is killed here."""


class Reality:
    """See the module; a `ports.Observer` and a `ports.Executor`.

    Attributes:
        writes: every action that had an effect: place, kind, idempotency key.
        calls: every action that was asked for, in order.
        looks: how often each place was looked at.
        unknown: places that cannot be looked at now, or clients and stacks as a whole.
        deaf: places where a write is answered as done and changes nothing.
        refusals: errors to raise instead of the next writes at a place.
        dies: called before and after each side effect with where it is; may raise ProcessEnded.
    """

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._there: dict[Place, dict[str, Any] | None] = {}
        self._keys: set[str] = set()
        self.writes: list[tuple[Place, model.ActionKind, str]] = []
        self.calls: list[ports.Job] = []
        self.looks: dict[Place, int] = {}
        self.unknown: set[Place | tuple[str, str]] = set()
        self.deaf: set[Place] = set()
        self.refusals: dict[Place, list[ports.HealError]] = {}
        self.latency_s = 0.0

    # -- what happens out there -----------------------------------------------------------------

    def vanish(self, client_id: str, stack_id: str, address: str) -> None:
        """Somebody deletes a component."""
        self._there[client_id, stack_id, address] = None

    def change(self, client_id: str, stack_id: str, address: str, **fields: Any) -> None:
        """Somebody changes fields of a component by hand."""
        place = (client_id, stack_id, address)
        self._there[place] = {**(self._there.get(place) or {}), **fields}

    def keep(self, client_id: str, declared: composition.Composition) -> None:
        """What is there stays as it is, whatever is declared from now on."""
        for each in declared.components():
            place = (client_id, declared.stack_id, each.address)
            self._there.setdefault(place, satisfied(expecting.tree(each)))

    def restore(self, client_id: str, stack_id: str, address: str) -> None:
        """Somebody makes it as it was declared."""
        self._there.pop((client_id, stack_id, address), None)

    @contextlib.contextmanager
    def away(self, *places: "Place | tuple[str, str]") -> Iterator[None]:
        """These cannot be looked at within the block."""
        self.unknown.update(places)
        try:
            yield
        finally:
            self.unknown.difference_update(places)

    # -- eyes -----------------------------------------------------------------------------------

    async def observe(self, look: ports.Look) -> model.Observation:
        """See `ports.Observer`."""
        if self.latency_s:
            await self._clock.sleep(self.latency_s)
        return {
            each.address: self._seen(look.stack, each)
            for each in look.stack.components()
            if look.only is None or each.address in look.only
        }

    def _seen(self, stack: composition.Composition, each: composition.Component) -> model.Seen:
        place = (stack.client_id, stack.stack_id, each.address)
        self.looks[place] = self.looks.get(place, 0) + 1
        now = self._clock.now()
        if place in self.unknown or place[:2] in self.unknown:
            return model.Seen(state="unknown", as_of=now, detail="connection refused")
        witness = model.Evidence(kind="direct_read", witness=f"probe:{each.address}", at=now)
        value = self._value(place, each)
        if value is None:
            return model.Seen(state="absent", as_of=now, evidence=(witness,))
        return model.Seen(state="present", as_of=now, value=value, evidence=(witness,))

    def _value(self, place: Place, each: composition.Component) -> Mapping[str, Any] | None:
        if place not in self._there:
            return satisfied(expecting.tree(each))
        there = self._there[place]
        return None if there is None else {**satisfied(expecting.tree(each)), **there}

    # -- hands ----------------------------------------------------------------------------------

    def kinds(self) -> Collection[model.ActionKind]:
        """See `ports.Executor`."""
        return KINDS

    async def act(self, job: ports.Job) -> ports.Acted:
        """See `ports.Executor`; a key that was seen before has no second effect."""
        place = (job.stack.client_id, job.stack.stack_id, job.action.target)
        self.calls.append(job)
        self.dies("before", job)
        if self.latency_s:
            await self._clock.sleep(self.latency_s)
        waiting = self.refusals.get(place)
        if waiting:
            raise waiting.pop(0)
        if job.action.idempotency_key not in self._keys:
            self._keys.add(job.action.idempotency_key)
            self.writes.append((place, job.action.kind, job.action.idempotency_key))
            if place not in self.deaf:
                component = job.stack.component(job.action.target)
                assert component is not None
                # As it was declared when it was written: a later declaration does not change it.
                self._there[place] = satisfied(expecting.tree(component))
        self.dies("after", job)
        return ports.Acted(detail=f"{job.action.kind} done", undo={"set": {}})

    def dies(self, where: str, job: ports.Job) -> None:
        """Nothing; a test puts something else here."""


def satisfied(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A value that is as a tree expects."""
    return {name: _satisfied(value) for name, value in tree.items()}


def _satisfied(value: Any) -> Any:
    if isinstance(value, Mapping):
        if len(value) == 1:
            (word, given), *_ = value.items()
            if word in ("$min", "$max", "$set"):
                return given
        return satisfied(value)
    return value
