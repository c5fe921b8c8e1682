"""What the fields of one request share: whose data it reads, and look-ups gathered together."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from helios.api import services
from helios.api.graph import loading
from helios.eventlog import envelope
from helios.kernel import rfc3339, tenancy
from helios.projections.views import contracts, event_mirror
from helios.reconcile.compositions import events as stack_events
from helios.reconcile.compositions import reading, reading_many
from helios.reconcile.streams import verdicts

Named: TypeAlias = tuple[str, str]
"""Client and name, or client and id."""

_FOUND_SINGLY_MAX = 50
"""Events of one read that are looked for in the log one by one. Above: left out."""


class Listing(msgspec.Struct, frozen=True):
    """One page of records of a stack: what a loader gathers for many stacks.

    Attributes:
        table: see `reading_many.KINDS`.
        after: position and id of the last record of the page before.
    """

    table: str
    after: tuple[int, str] | None
    states: tuple[str, ...] | None
    limit: int


class Context:
    """One request.

    Args:
        parts: where everything is read.
    """

    def __init__(self, parts: services.Services) -> None:
        self.parts = parts
        self.tasks: set[asyncio.Task[None]] = set()
        self.events: loading.Loader[int, envelope.Event] = self._loader(self._events)
        self.named: loading.Loader[Named, envelope.Event] = self._loader(self._named)
        self.stacks: loading.Loader[Named, reading.Known] = self._loader(self._stacks)
        self.plans: loading.Loader[Named, Any] = self._loader(self._plans)
        self.contracts: loading.Loader[Named, contracts.Contract] = self._loader(self._contracts)
        self.legs: loading.Loader[verdicts.Place, Mapping[str, Sequence[int]]] = self._loader(
            parts.verdicts.positions
        )
        self._records: dict[Listing, loading.Loader[Named, list[reading_many.Found]]] = {}

    def close(self) -> None:
        """Give up what is still being read."""
        for task in self.tasks:
            task.cancel()

    def records(self, asked: Listing) -> loading.Loader[Named, list[reading_many.Found]]:
        """Reads one page of records for each of many stacks."""
        found = self._records.get(asked)
        if found is None:

            async def fetch(names: Sequence[Named]) -> Mapping[Named, list[reading_many.Found]]:
                return await reading_many.entries(
                    self.parts.store,
                    asked.table,
                    names,
                    before=asked.after,
                    states=asked.states,
                    limit=asked.limit,
                )

            found = self._records[asked] = self._loader(fetch)
        return found

    def _loader(self, fetch: Callable[..., Any]) -> loading.Loader[Any, Any]:
        return loading.Loader(fetch, self.tasks)

    async def _events(self, positions: Sequence[int]) -> Mapping[int, envelope.Event]:
        found = await self.parts.log.read_at([envelope.Position(each) for each in positions])
        scope = tenancy.current()
        return {each.position: each for each in found if scope.allows(each.tenant)}

    async def _named(self, names: Sequence[Named]) -> Mapping[Named, envelope.Event]:
        """Events by client and id: those that the mirror knows, then ours of any age."""
        entries = await event_mirror.by_ids(self.parts.store, names)
        places = {(each.client_id, each.event_id): each.position for each in entries}
        read = await self._events(list(places.values()))
        found = {name: read[place] for name, place in places.items() if place in read}
        for client_id, event_id in [each for each in names if each not in found][
            :_FOUND_SINGLY_MAX
        ]:
            event = await self.parts.log.find(client_id, stack_events.SOURCE, event_id)
            if event is not None:
                found[client_id, event_id] = event
        return found

    async def _stacks(self, names: Sequence[Named]) -> Mapping[Named, reading.Known]:
        """Declared stacks; each was last looked at when it is told, or when something was done."""
        store = self.parts.store
        found = await reading_many.known(store, names)
        runs = await reading_many.entries(store, "runs", names, before=None, limit=1)
        made = {}
        for name, known in found.items():
            times = [rfc3339.parse(each.record.completed_at) for each in runs[name]]
            if known.last_verified is not None:
                times.append(known.last_verified)
            if known.state.is_declared:
                last = max(times, default=None)
                made[name] = msgspec.structs.replace(known, last_verified=last)
        return made

    async def _plans(self, names: Sequence[Named]) -> Mapping[Named, Any]:
        return await reading_many.plans(self.parts.store, names)

    async def _contracts(self, names: Sequence[Named]) -> Mapping[Named, contracts.Contract]:
        clients = {client_id for client_id, _ in names}
        found: dict[Named, contracts.Contract] = {}
        for client_id in clients:
            for each in await contracts.all_current(self.parts.store, client_id):
                found[each.client_id, each.name] = each
        return found


def of(info: Any) -> Context:
    """The request that a field is of."""
    context: Context = info.context
    return context


def client(client_id: str | None) -> str | None:
    """Whose data a list is of; None: of all that may be read, which the log and views see to.

    Raises:
        ForbiddenError: that client is out of scope.
    """
    if client_id is not None:
        tenancy.require(client_id)
    return client_id


def owner(client_id: str | None) -> str:
    """Whose one thing is.

    Raises:
        ForbiddenError: that client is out of scope.
    """
    name = client_id or envelope.DEFAULT_TENANT
    tenancy.require(name)
    return name
