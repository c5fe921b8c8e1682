"""Asks the guards, and tells them what was done: breakers, budgets, switches, windows, the fuse."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.projections import ports as view_ports
from helios.reconcile.compositions import (
    breakers,
    events,
    fuse,
    guard_events,
    guards,
    model,
    reading,
    stack,
)

Expected: TypeAlias = Mapping[envelope.AggregateKey, int]
Visible: TypeAlias = Callable[[envelope.Position], Awaitable[object]]
"""Returns when the view has what was appended up to a position."""


class Guardians:
    """See the module."""

    def __init__(
        self,
        store: view_ports.ViewStore,
        log: log_ports.EventLog,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
        visible: Visible,
    ) -> None:
        self._store = store
        self._visible = visible
        self._log = log
        self._clock = clock
        self._ids = id_source

    async def guards(self, state: stack.Stack) -> guards.Guards:
        """The guards over a stack, its own heals counted that the view may not have yet."""
        found = await reading.guards_of(self._store, state.client_id)
        now = self._clock.now()
        for heal in state.heals:
            if heal.started_at > now - guards.HOUR_US:
                found = guards.with_heal(found, heal, state.client_id, state.stack_id, now)
        return found

    async def ended(self, state: stack.Stack, heal: model.Heal) -> list[envelope.NewEvent]:
        """What the end of a heal does to breakers: events to append with it.

        `state` is the stack before its drifts are told to be closed.
        """
        now = self._clock.now()
        found = await reading.guards_of(self._store, state.client_id)
        return self._events(state, breakers.after(found, state, heal, now), now)

    async def claims(
        self, state: stack.Stack, action: model.Action
    ) -> tuple[list[envelope.NewEvent], Expected]:
        """What to append before an action goes through half-open breakers: it alone then does."""
        now = self._clock.now()
        found = await reading.guards_of(self._store, state.client_id)
        said = breakers.claims(found, state, action, now)
        expected = {
            (state.client_id, guard_events.AGGREGATE_TYPE, scope): found.breakers[scope].sequence
            for _, scope, _ in said
        }
        return self._events(state, said, now), expected

    async def mass_drift(self, state: stack.Stack) -> None:
        """Blow the fuse if too much has drifted at once.

        One incident is told however many stacks find it.
        """
        now = self._clock.now()
        since = clocks.Timestamp(now - fuse.WITHIN_US)
        rows = [
            fuse.row_of(client, name, drift, drift.provider)
            for client, name, drift in await reading.drifted_since(self._store, since)
        ]
        if not rows:
            return
        totals = await reading.counts(self._store)
        found = await reading.guards_of(self._store, state.client_id)
        own = [row for row in rows if row.tenant == state.client_id]
        shared = found.shared.fuses if found.shared is not None else {}
        said = [
            (state.client_id, moved)
            for moved in fuse.check(own, totals.get(state.client_id, 0), found.fuses, now)
        ]
        said += [
            (guard_events.SYSTEM_TENANT, moved)
            for moved in fuse.check_all(rows, sum(totals.values()), shared, now)
        ]
        if said:
            done = await self._log.append([_blown(tenant, moved, now) for tenant, moved in said])
            await self._visible(done.position)

    def _events(
        self, state: stack.Stack, said: Sequence[breakers.Said], now: clocks.Timestamp
    ) -> list[envelope.NewEvent]:
        return [
            guard_events.of_guard(
                kind, state.client_id, scope, payload, now=now, id_source=self._ids
            )
            for kind, scope, payload in said
        ]


def _blown(tenant: str, moved: guard_events.FuseMoved, now: clocks.Timestamp) -> envelope.NewEvent:
    """Named by its incident, so that it is told once however many passes find it."""
    about = (tenant, guard_events.AGGREGATE_TYPE, fuse.SCOPE)
    event_id = f"fuse-{moved.fuse_id}"
    return events.made(guard_events.FUSE_BLOWN, about, moved, now=now, event_id=event_id)
