"""Asks a source's provider for events that did not come.

Who can look a key up does that; with the others we look through what changed in the last days. A
queue or a topic cannot be asked: its declaration may name an `origin`, the source of the system
whose events come through it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from helios.eventlog import envelope
from helios.ingest import directory, receiving
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, outbound
from helios.providers import ports as providers

LOOK_BACK_US = 3 * 24 * 3600 * clocks.SECOND_US
"""How far back changes are looked through for a key."""

FOUND_MAX = 100
"""Events of one key. Above: the rest is left."""


class Finder:
    """`EventSource` for whatever declared source is asked.

    Args:
        table: finds sources.
        client: for calls to providers.
        clock: the time.
    """

    def __init__(
        self, table: directory.Sources, client: outbound.Outbound, clock: clocks.Clock
    ) -> None:
        self._table = table
        self._client = client
        self._clock = clock

    def can(self, name: str) -> bool:
        """Whether any client's source of this name can be asked."""
        return any(
            each.name == name and self._is_askable(each.client_id, each.name)
            for each in self._table.entries()
        )

    async def find(
        self, tenant: str, source: str, event_type: str, key: str
    ) -> list[envelope.NewEvent]:
        """Events of this type of a key, as they would have come from this source.

        Raises:
            NotFoundError, StorageError: the source is not there, or a secret of it.
            InvalidInputError: it cannot be asked.
            OutboundError, ProviderApiError: the provider does not answer.
        """
        wanted = self._table.find(tenant, source)
        asked = self._asked(wanted)
        adapter: Any = asked.kind.adapter
        api = providers.Api(source=asked.source, client=self._client, clock=self._clock)
        if isinstance(adapter, providers.Finder):
            received: Sequence[providers.Received] = await adapter.find(api, event_type, key)
        elif isinstance(adapter, providers.ChangeLister):
            received = await self._looked_through(adapter, api, event_type, key)
        else:
            raise errors.InvalidInputError(
                f"{source} cannot be asked for events: {asked.kind.title} lists no changes; name "
                "the source of the system that they come from as its `origin`"
            )
        now = self._clock.now()
        return [_event(each, wanted, asked, now) for each in received[:FOUND_MAX]]

    async def _looked_through(
        self, lister: providers.ChangeLister, api: providers.Api, event_type: str, key: str
    ) -> list[providers.Received]:
        found: list[providers.Received] = []
        since = clocks.Timestamp(max(0, self._clock.now() - LOOK_BACK_US))
        spelled = jsonio.encode(key)
        async for page in lister.list_changes(api, since):
            found += [
                each
                for each in page.events
                if each.type == event_type and (each.aggregate_id == key or spelled in each.payload)
            ]
            if len(found) >= FOUND_MAX:
                break
        return found

    def _asked(self, wanted: directory.Found) -> directory.Found:
        origin = wanted.declared.origin
        return wanted if origin is None else self._table.find(wanted.declared.client_id, origin)

    def _is_askable(self, tenant: str, name: str) -> bool:
        try:
            asked = self._asked(self._table.find(tenant, name))
        except errors.HeliosError:
            return False
        adapter = asked.kind.adapter
        return isinstance(adapter, (providers.Finder, providers.ChangeLister))


class Askable(Mapping[str, Finder]):
    """The names of the sources that can be asked at this moment, all by one `Finder`."""

    def __init__(self, finder: Finder, table: directory.Sources) -> None:
        self._finder = finder
        self._table = table

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._finder.can(name)

    def __getitem__(self, name: str) -> Finder:
        if name not in self:
            raise KeyError(name)
        return self._finder

    def __iter__(self) -> Iterator[str]:
        names = {each.name for each in self._table.entries()}
        return iter(sorted(filter(self._finder.can, names)))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _event(
    received: providers.Received,
    wanted: directory.Found,
    asked: directory.Found,
    now: clocks.Timestamp,
) -> envelope.NewEvent:
    arrival = receiving.Arrival(
        client_id=wanted.declared.client_id,
        source=wanted.declared.name,
        provider=asked.declared.provider,
        environment=wanted.declared.environment,
        trust=providers.Trust.SIGNED_ID,
        now=now,
        via="fetched",
        origin=f"{receiving.ASKED}{asked.declared.name}",
        body=received.payload,
        digest=receiving.digest(received.payload),
    )
    (candidate,) = receiving.candidates([received], arrival)
    return candidate.event
