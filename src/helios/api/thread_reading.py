"""Reads what a thread is made of: records of the views, and the events that they name."""

from collections.abc import Sequence
from typing import Any

import msgspec

from helios.api import services, thread, timeline, timeline_reading
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import ports
from helios.reconcile.compositions import events, model, reading, story, story_reading, view
from helios.reconcile.streams import view as verdict_view

_PLANS = 50
_HEALS = 200
_DRIFTS = 200
_EVENTS = 20
_POSITION_DIGITS = 18


class Threads:
    """Follows threads.

    Args:
        parts: where the log and the views are.
    """

    def __init__(self, parts: services.Services) -> None:
        self._parts = parts
        self._store = parts.store
        self._finder = story_reading.Finder(parts.log, parts.store)

    async def follow(self, of: thread.Of, name: str, client_id: str | None) -> thread.Thread:
        """The thread of something.

        Args:
            of: what it is.
            name: its id; of a verdict also `CONTRACT/KEY`, of an event also its position.
            client_id: whose it is; None: whoever's it is that may be read.

        Raises:
            NotFoundError: there is none.
        """
        if of == "event":
            return await self._of_event(name, client_id)
        if of == "verdict":
            return await self._of_verdict(of, name, client_id or envelope.DEFAULT_TENANT)
        place = await story_reading.by_id(self._store, name, client_id)
        wanted = "action" if of == "heal" else of
        if place is None or place.kind != wanted:
            raise errors.NotFoundError(f"there is no {of} {name[:120]!r}")
        return await self._of_stack(of, name, place)

    # -- stacks ---------------------------------------------------------------------------------

    async def _of_stack(
        self, of: thread.Of, name: str, place: story_reading.Place
    ) -> thread.Thread:
        client, stack = place.client_id, place.stack_id
        plan_id, drift_ids, action = await self._named(place)
        drift = await self._drift(client, stack, drift_ids)
        if not plan_id and drift is not None:
            plan_id = drift.plan_id or await self._plan_of(client, stack, drift.drift_id)
        plan, void = await self._plan(client, plan_id)
        if drift is None and plan is not None:
            named = [each for one in plan.actions for each in one.drift_ids]
            drift = await self._drift(client, stack, named)
        heals = await self._heals(client, stack, plan, drift, action)
        return thread.of_stack(
            thread.OfStack(
                of=of,
                id=name,
                client_id=client,
                stack_id=stack,
                events=await self._events(client, drift),
                view=self._viewed(view.NAME),
                drift=drift,
                plan=plan,
                void=void,
                approval=await self._approval(client, plan),
                heals=heals,
            )
        )

    async def _named(self, place: story_reading.Place) -> tuple[str, Sequence[str], str]:
        """The plan, drifts and action that something names by itself."""
        what, _, which = place.subject.partition(":")
        if what == "drift":
            return "", [which], ""
        if what == "plan":
            return which, [], ""
        if what == "approval":
            approval, _ = await reading.approval(self._store, place.client_id, which)
            return approval.plan_id, [], ""
        rows = await self._ask(
            "SELECT record FROM {t}heals WHERE tenant = ? AND action_id = ?",
            (place.client_id, which),
        )
        if not rows:
            raise errors.NotFoundError(f"there is no action {which[:120]!r}")
        heal = msgspec.json.decode(rows[0][0], type=model.Heal)
        return heal.plan_id, heal.action.drift_ids, which

    async def _drift(self, client: str, stack: str, ids: Sequence[str]) -> model.Drift | None:
        for each in ids[:1]:
            try:
                return (await reading.drift(self._store, client, stack, each))[0]
            except errors.NotFoundError:
                return None
        return None

    async def _plan_of(self, client: str, stack: str, drift_id: str) -> str:
        """The newest plan that is about a drift; empty: there is none."""
        for entry in await reading.plans(self._store, client, stack, limit=_PLANS):
            if any(drift_id in each.drift_ids for each in entry.record.actions):
                return str(entry.record.plan_id)
        return ""

    async def _plan(self, client: str, plan_id: str) -> tuple[model.Plan | None, str]:
        if not plan_id:
            return None, ""
        try:
            plan, void, _ = await reading.plan(self._store, client, plan_id)
        except errors.NotFoundError:
            return None, ""
        return plan, void

    async def _approval(self, client: str, plan: model.Plan | None) -> model.Approval | None:
        if plan is None:
            return None
        rows = await self._ask(
            "SELECT record, status FROM {t}approvals WHERE tenant = ? AND plan_id = ? "
            "ORDER BY position DESC LIMIT 1",
            (client, plan.plan_id),
        )
        if not rows:
            return None
        found = msgspec.json.decode(rows[0][0], type=model.Approval)
        return msgspec.structs.replace(found, status=rows[0][1])

    async def _heals(
        self,
        client: str,
        stack: str,
        plan: model.Plan | None,
        drift: model.Drift | None,
        action: str,
    ) -> list[model.Heal]:
        """What was done about it, oldest first."""
        found = [
            each.record for each in await reading.heals(self._store, client, stack, limit=_HEALS)
        ]
        since = drift.detected_at if drift is not None else 0
        made = [
            each
            for each in found
            if each.action.id == action
            or (plan is not None and each.plan_id == plan.plan_id)
            or (
                drift is not None
                and drift.drift_id in each.action.drift_ids
                and each.started_at >= since
            )
        ]
        return sorted(made, key=lambda each: each.started_at)

    async def _events(self, client: str, drift: model.Drift | None) -> list[envelope.Event]:
        """The events that a drift goes back to, oldest first."""
        if drift is None:
            return []
        places = {each.position for each in drift.evidence if each.position}
        if drift.origin.position:
            places.add(drift.origin.position)
        wanted = [envelope.Position(each) for each in sorted(places)[-_EVENTS:]]
        found = [each for each in await self._parts.log.read_at(wanted) if each.tenant == client]
        known = {each.id for each in found}
        ids = {each.event_id for each in drift.evidence if each.event_id} | {drift.origin.event_id}
        for each in sorted(one for one in ids if one is not None and one not in known)[:_EVENTS]:
            event = await self._finder.event(client, each)
            if event is not None:
                found.append(event)
        return sorted(found, key=lambda each: each.position)

    # -- events ---------------------------------------------------------------------------------

    async def _of_event(self, name: str, client_id: str | None) -> thread.Thread:
        event = await self.event(name, client_id)
        for subject in story.subjects(event):
            what, _, which = subject.partition(":")
            if what in ("drift", "plan", "approval", "heal"):
                place = await story_reading.by_id(self._store, which, event.tenant)
                if place is not None:
                    kind: thread.Of = what  # type: ignore[assignment]
                    return await self._of_stack(kind, which, place)
        found = await self._drift_of(event)
        if found is not None:
            return await self._of_stack("event", name, found)
        key = await self._key_of(event)
        if key is not None:
            return await self._of_verdict("event", f"{key[0]}/{key[1]}", event.tenant, asked=name)
        return thread.of_event(event, self._viewed(verdict_view.NAME), name)

    async def event(self, name: str, client_id: str | None) -> envelope.Event:
        """An event by its position, or by its id.

        Raises:
            NotFoundError: there is none.
        """
        found: envelope.Event | None = None
        if name.isascii() and name.isdecimal() and len(name) <= _POSITION_DIGITS:
            read = await self._parts.log.read_at([envelope.Position(int(name))])
            found = read[0] if read and client_id in (None, read[0].tenant) else None
        if found is None:
            found = await self._finder.event(client_id or envelope.DEFAULT_TENANT, name)
        if found is None:
            raise errors.NotFoundError(
                f"there is no event {name[:120]!r}; give its client_id, or its position"
            )
        return found

    async def _drift_of(self, event: envelope.Event) -> story_reading.Place | None:
        """The first drift that names an event."""
        if event.source == events.SOURCE:
            return None
        rows = await self._ask(
            "SELECT stack, drift_id, position, record FROM {t}drifts "
            "WHERE tenant = ? AND position > ? ORDER BY position LIMIT ?",
            (event.tenant, event.position, _DRIFTS),
        )
        for stack, drift_id, position, record in rows:
            drift = msgspec.json.decode(record, type=model.Drift)
            named = {drift.origin.event_id, *(each.event_id for each in drift.evidence)}
            places = {drift.origin.position, *(each.position for each in drift.evidence)}
            if event.id in named or event.position in places:
                return story_reading.Place(
                    kind="drift",
                    client_id=event.tenant,
                    stack_id=stack,
                    position=position,
                    subject=f"drift:{drift_id}",
                )
        return None

    async def _key_of(self, event: envelope.Event) -> tuple[str, str] | None:
        """The contract and key that an event belongs to; of several contracts the first."""
        try:
            data: Any = msgspec.json.decode(event.payload)
        except (msgspec.DecodeError, RecursionError):
            return None
        for each in await self._parts.standing.declared():
            if each.row.tenant != event.tenant or not each.newest or each.withdrawn:
                continue
            for leg in each.parsed.legs:
                if leg.type != event.type or leg.source not in (None, event.source):
                    continue
                key: Any = data
                for step in leg.key:
                    key = key.get(step) if isinstance(key, dict) else None
                if isinstance(key, str | int) and await self._parts.verdicts.latest(
                    event.tenant, each.row.name, str(key)
                ):
                    return each.row.name, str(key)
        return None

    # -- verdicts -------------------------------------------------------------------------------

    async def _of_verdict(
        self, of: thread.Of, name: str, client: str, *, asked: str = ""
    ) -> thread.Thread:
        contract, _, rest = name.partition("/")
        keys = [rest]
        if rest.rpartition("/")[2].isdecimal():
            # The id of a verdict ends with its revision.
            keys.append(rest.rpartition("/")[0].partition("@")[0])
        for key in keys:
            try:
                read = await timeline_reading.read(self._parts, client, contract, key)
            except errors.NotFoundError:
                continue
            return self._judged(of, asked or name, read)
        raise errors.NotFoundError(
            f"there is no verdict {name[:120]!r} of client {client[:80]}; expected CONTRACT/KEY"
        )

    def _judged(self, of: thread.Of, asked: str, read: timeline.Read) -> thread.Thread:
        newest = max(read.current, key=lambda each: each.window_start)
        ours = [each for each in read.history if each.window_id == newest.window_id]
        first = next((each for each in ours if each.status != "matched"), None)
        is_still = first is None or newest.status != "matched"
        ids = {each.id for each in ours} | {newest.id}
        tried = [each for each in read.repairs if each.verdict_id in ids]
        told = next((each for each in read.alerts if each.verdict_id in ids), None)
        seen = sorted(
            (event for each in read.events.values() for event in each),
            key=lambda each: each.position,
        )
        return thread.of_verdict(
            thread.OfVerdict(
                of=of,
                id=asked,
                events=seen[:_EVENTS],
                view=self._viewed(verdict_view.NAME),
                verdict=newest,
                first=None if is_still else first,
                sentence=timeline.sentence(read.contract, newest, tried=len(tried)),
                tried=[(clocks.parse_rfc3339(each.at), each.leg, each.outcome) for each in tried],
                told=None if told is None else (clocks.parse_rfc3339(told.at), told.reason),
            )
        )

    # -- reading --------------------------------------------------------------------------------

    def _viewed(self, name: str) -> thread.Viewed:
        health = next((each for each in self._parts.views.health() if each.view == name), None)
        return thread.Viewed(name, 0 if health is None else health.position)

    async def _ask(self, sql: str, params: ports.Row) -> list[ports.Row]:
        return await self._store.query(view.NAME, sql, params)
