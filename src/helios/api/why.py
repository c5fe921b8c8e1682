"""Finds out what a key names, and tells why it is as it is."""

from helios.api import services
from helios.eventlog import envelope
from helios.kernel import errors, tenancy
from helios.projections.views import contracts as contracts_view
from helios.reconcile.builds import view as builds
from helios.reconcile.bus import view as bus
from helios.reconcile.compositions import events, reading, story, story_reading
from helios.reconcile.streams import contract, verdicts

KEYS = (
    "CLIENT/STACK, CLIENT/STACK/COMPONENT (such as acme/shop/integration/cms-webhook), "
    "CONTRACT/KEY of a verdict, the id of a drift, plan, action, approval, reconciliation, "
    "command, correlation, build or event, or a position in the log"
)
_POSITION_DIGITS = 18


class Why:
    """Tells stories.

    Args:
        parts: where the log and the views are.
    """

    def __init__(self, parts: services.Services) -> None:
        self._parts = parts
        self._finder = story_reading.Finder(parts.log, parts.store)

    async def tell(self, key: str, client_id: str | None = None) -> story.Story:
        """Why what a key names is as it is.

        Args:
            key: see `KEYS`.
            client_id: whose it is; None: any client's that the key can tell, else `default`.

        Raises:
            NotFoundError: nothing is known by it; says what keys look like.
        """
        for find in (self._at, self._of_stack, self._of_id, self._of_others, self._of_verdict):
            found = await find(key, client_id)
            if found is not None:
                return found
        whose = "" if client_id is None else f" of client {client_id[:80]}"
        raise errors.NotFoundError(f"nothing{whose} is known as {key[:120]!r}; a key is {KEYS}")

    # -- what a key may name --------------------------------------------------------------------

    async def _at(self, key: str, client_id: str | None) -> story.Story | None:
        if not (key.isascii() and key.isdecimal() and len(key) <= _POSITION_DIGITS):
            return None
        found = await self._parts.log.read_at([envelope.Position(int(key))])
        if not found or client_id not in (None, found[0].tenant):
            return None
        return await self._of_event(key, "event", found[0])

    async def _of_stack(self, key: str, client_id: str | None) -> story.Story | None:
        first, slash, rest = key.partition("/")
        if not slash:
            return await self._stack(key, (client_id or envelope.DEFAULT_TENANT, key), "")
        stack_id, _, component = rest.partition("/")
        if client_id in (None, first):
            found = await self._stack(key, (first, stack_id), component)
            if found is not None:
                return found
        return await self._stack(key, (client_id or envelope.DEFAULT_TENANT, first), rest)

    async def _stack(self, key: str, name: tuple[str, str], component: str) -> story.Story | None:
        known = await reading.known(self._parts.store, *name)
        if known is None:
            return None
        place: story_reading.Place | None = None
        if component:
            place = await story_reading.of_component(self._parts.store, *name, component)
            declared = known.declared
            if place is None and (declared is None or declared.component(component) is None):
                return None
        if place is None:
            # A component that never drifted is as its stack was last seen.
            place = story_reading.Place(
                kind="component" if component else "stack",
                client_id=name[0],
                stack_id=name[1],
                position=known.state.position,
            )
        return await self._of_place(key, place)

    async def _of_id(self, key: str, client_id: str | None) -> story.Story | None:
        place = await story_reading.by_id(self._parts.store, key, client_id)
        return None if place is None else await self._of_place(key, place)

    async def _of_others(self, key: str, client_id: str | None) -> story.Story | None:
        """Commands, correlations, builds, events."""
        for each in await self._clients(client_id):
            event = await self._finder.event(each, key)
            if event is not None:
                return await self._of_event(key, "event", event)
            for kind, find in (("command", _command), ("correlation", _row), ("build", _build)):
                try:
                    position = await find(self._parts, each, key)
                except errors.NotFoundError:
                    continue
                found = await self._parts.log.read_at([envelope.Position(position)])
                if found:
                    return await self._of_event(key, kind, found[0])
        return None

    async def _clients(self, client_id: str | None) -> list[str]:
        """Whose a key may be, the one it most probably is of first."""
        if client_id is not None:
            return [client_id]
        declared = await contracts_view.all_current(self._parts.store)
        others = {each.client_id for each in declared}
        others |= {each.client_id for each in self._parts.table.entries()}
        others |= set(await reading.counts(self._parts.store))
        first = envelope.DEFAULT_TENANT
        scope = tenancy.current()
        return [each for each in (first, *sorted(others - {first})) if scope.allows(each)]

    async def _of_verdict(self, key: str, client_id: str | None) -> story.Story | None:
        first, slash, rest = key.partition("/")
        names: list[tuple[str | None, str]] = [(first, rest)] if slash else [(None, key)]
        if slash and rest.rpartition("/")[2].isdecimal():
            # The id of a verdict ends with its revision.
            names.append((first, rest.rpartition("/")[0]))
        asked = [(each, *name) for each in await self._clients(client_id) for name in names]
        for client, name, of_key in asked:
            found = await self._parts.verdicts.latest(client, name, of_key)
            if found:
                newest = max(found, key=lambda each: (each.position, each.contract))
                return await self._verdict(key, newest)
        return None

    # -- stories --------------------------------------------------------------------------------

    async def _of_place(self, key: str, place: story_reading.Place) -> story.Story | None:
        found, last = await self._finder.at(place)
        if not last:
            return None
        found, is_whole = await self._finder.whole(found, last)
        return story.tell(key, place.kind, found, last, complete=is_whole)

    async def _of_event(self, key: str, kind: str, event: envelope.Event) -> story.Story:
        found: dict[int, envelope.Event] = {event.position: event}
        if event.aggregate_type == events.STACK:
            place = story_reading.Place(
                kind=kind,
                client_id=event.tenant,
                stack_id=event.aggregate_id,
                position=event.position,
            )
            found, _ = await self._finder.at(place)
        found, is_whole = await self._finder.whole(found, [event.position])
        return story.tell(key, kind, found, [event.position], complete=is_whole)

    async def _verdict(self, key: str, seen: verdicts.Verdict) -> story.Story:
        """A verdict's events are what caused it."""
        named = [(leg, each) for leg, ids in seen.events.items() for each in ids]
        sources = await self._sources(seen)
        found: dict[int, envelope.Event] = {}
        for leg, event_id in named:
            event = await self._leg(seen.tenant, sources.get(leg), event_id)
            if event is not None:
                found[event.position] = event
        last = sorted(found)
        found, is_whole = await self._finder.whole(found, last)
        ending = story.Ending(
            time=seen.reconciled_at or seen.created_at,
            actor="service:reconciler",
            text=_judged(seen),
        )
        is_whole = is_whole and len(last) >= len(named)
        return story.tell(key, "verdict", found, last, ending=ending, complete=is_whole)

    async def _sources(self, seen: verdicts.Verdict) -> dict[str, str | None]:
        """Where the events of each leg come from, as the contract had it then."""
        history = await contracts_view.history(self._parts.store, seen.tenant, seen.contract)
        for declared in history:
            if declared.version == seen.contract_version:
                return {leg.name: leg.source for leg in contract.parse(declared.yaml).legs}
        return {}

    async def _leg(
        self, client_id: str, source: str | None, event_id: str
    ) -> envelope.Event | None:
        if source is None:
            return await self._finder.event(client_id, event_id)
        return await self._parts.log.find(client_id, source, event_id)


async def _command(parts: services.Services, client_id: str, key: str) -> int:
    return (await bus.command(parts.store, client_id, key)).position


async def _row(parts: services.Services, client_id: str, key: str) -> int:
    row = await bus.correlation(parts.store, client_id, key)
    return max(row.positions, default=row.position)


async def _build(parts: services.Services, client_id: str, key: str) -> int:
    return (await builds.build(parts.store, client_id, key)).position


def _judged(seen: verdicts.Verdict) -> str:
    why = [f"missing {', '.join(seen.missing_events)}"] if seen.missing_events else []
    why += [f"{name} does not hold" for name in sorted(seen.validation_errors)]
    late = " late" if seen.late else ""
    said = f": {'; '.join(why)}" if why else ""
    return f"{seen.key} is {seen.status}{late} by {seen.contract}{said}"
