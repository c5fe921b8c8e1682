"""Finds the events of a story: where the views say that something was told of last, then the log.

The views say roughly where; the log has the events. Around that place the events of the stack are
read at once, since most of a story is there, and what they name elsewhere is read one by one.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.projections import ports as view_ports
from helios.projections.views import event_mirror
from helios.reconcile.compositions import events, guard_events, story, view

SPAN: Final = 50_000
"""Positions before and after a place in which the events of its stack are read at once."""

NEAR: Final = 500
"""The same where the stack has so many events that they do not fit on a page."""

PAGE: Final = 1_000
ROUNDS_MAX: Final = 40
"""Times that what is named and not known is looked up. Above: the story is not complete."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the views know something.

    Attributes:
        kind: what it is.
        subject: as events name it, see `story.subjects`; empty: the place is that of the event.
        position: of an event about it, or near.
    """

    kind: str
    client_id: str
    stack_id: str
    position: int
    subject: str = ""


_BY_ID: tuple[tuple[str, str, str, str], ...] = (
    ("drift", "drifts", "drift_id", "drift"),
    ("plan", "plans", "plan_id", "plan"),
    ("approval", "approvals", "approval_id", "approval"),
    ("action", "heals", "action_id", "heal"),
    ("reconciliation", "runs", "reconciliation_id", "run"),
)


async def by_id(
    store: view_ports.ViewStore, name: str, client_id: str | None = None
) -> Place | None:
    """The drift, plan, approval, action or reconciliation of an id; of any client for None."""
    of_client = ""
    params: tuple[str, ...] = (name,)
    if client_id is not None:
        of_client, params = " AND tenant = ?", (name, client_id)
    for kind, table, column, subject in _BY_ID:
        rows = await store.query(
            view.NAME,
            f"SELECT tenant, stack, position FROM {{t}}{table} WHERE {column} = ?{of_client} "
            "ORDER BY position DESC LIMIT 1",
            params,
        )
        for row in rows:
            return Place(
                kind=kind,
                client_id=row[0],
                stack_id=row[1],
                position=row[2],
                subject=f"{subject}:{name}",
            )
    return None


async def of_component(
    store: view_ports.ViewStore, client_id: str, stack_id: str, component: str
) -> Place | None:
    """The newest drift of a component; None: it never had one."""
    rows = await store.query(
        view.NAME,
        "SELECT drift_id, position FROM {t}drifts WHERE tenant = ? AND stack = ? "
        "AND component = ? ORDER BY position DESC LIMIT 1",
        (client_id, stack_id, component),
    )
    for row in rows:
        return Place(
            kind="component",
            client_id=client_id,
            stack_id=stack_id,
            position=row[1],
            subject=f"drift:{row[0]}",
        )
    return None


class Finder:
    """Reads what a story is made of.

    Args:
        log: where events are.
        store: where the mirror of events is, for ids of events of others.
    """

    def __init__(self, log: log_ports.EventLog, store: view_ports.ViewStore) -> None:
        self._log = log
        self._store = store

    async def at(self, place: Place) -> tuple[dict[int, envelope.Event], list[int]]:
        """Events around a place, and the position of the last one about it."""
        found = await self._around(place)
        if not place.subject:
            here = await self._log.read_at([envelope.Position(place.position)])
            found |= {event.position: event for event in here}
            return found, [event.position for event in here]
        last = [each for each, event in found.items() if place.subject in story.subjects(event)]
        return found, [max(last)] if last else [place.position] if place.position in found else []

    async def whole(
        self, found: dict[int, envelope.Event], last: Sequence[int]
    ) -> tuple[dict[int, envelope.Event], bool]:
        """Add what the last events go back to; whether all that is named could be found."""
        asked: set[story.Ref] = set()
        for _ in range(ROUNDS_MAX):
            walk = story.Walk(found, last)
            wanted = {ref: by for ref, by in walk.missing.items() if ref not in asked}
            if not wanted:
                return found, walk.complete
            asked.update(wanted)
            before = len(found)
            found = {**found, **await self._fetched(wanted.items())}
            if len(found) == before:
                return found, walk.complete
        return found, False

    async def _fetched(
        self, wanted: Iterable[tuple[story.Ref, envelope.Event]]
    ) -> dict[int, envelope.Event]:
        made: dict[int, envelope.Event] = {}
        places: dict[int, str] = {}
        for ref, by in wanted:
            if ref.position is not None:
                places[ref.position] = by.tenant
            elif ref.event_id is not None:
                event = await self.event(by.tenant, ref.event_id)
                if event is not None:
                    made[event.position] = event
        for event in await self._log.read_at([envelope.Position(each) for each in places]):
            # A cause is of the same client, or of what holds for all.
            if event.tenant in (places[event.position], guard_events.SYSTEM_TENANT):
                made[event.position] = event
        return made

    async def event(self, client_id: str, event_id: str) -> envelope.Event | None:
        """An event of a client by its id: one of ours, or one that the mirror still knows."""
        found = await self._log.find(client_id, events.SOURCE, event_id)
        if found is not None:
            return found
        entries = await event_mirror.by_id(self._store, client_id, event_id)
        read = await self._log.read_at([each.position for each in entries[:1]])
        return read[0] if read else None

    async def _around(self, place: Place) -> dict[int, envelope.Event]:
        """Events of the stack around a place."""
        where = envelope.Filter(
            tenant=place.client_id, aggregate_type=events.STACK, aggregate_id=place.stack_id
        )
        for span in (SPAN, NEAR):
            after = envelope.Position(max(0, place.position - span))
            page = await self._log.read(after, limit=PAGE, where=where)
            if page.next_after >= min(place.position, page.head):
                break
        return {event.position: event for event in page.events}
