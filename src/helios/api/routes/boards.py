"""Stacks, drifts and heals of many stacks side by side, by a filter."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from helios.api import boards, drift_reading, facets, policy_board, scoping, services, web, wire
from helios.api import drifts as shown_drifts
from helios.api import plans as shown_plans
from helios.api.routes import stack_desk as desks
from helios.kernel import clock as clocks
from helios.kernel import errors, filtering, jsonio, limits
from helios.reconcile.compositions import (
    events,
    model,
    reading,
    reading_many,
    story,
    story_reading,
    story_words,
)

STACKS = "/api/v1/stacks/board"
DRIFTS = "/api/v1/drifts"
HEALS = "/api/v1/heals"
SCANNED_MAX: Final = 5_000
"""Stacks, drifts or actions that are looked at for a page. Above: the page is short."""
_BATCH: Final = 500

T = TypeVar("T")


def routes(parts: services.Services) -> list[web.Route]:
    """The operations."""
    desk = _Boards(parts)
    client = web.Parameter("client_id", "Of this client only.")
    paged = (wire.CURSOR, wire.LIMIT, wire.AFTER)
    found = {200: web.Reply("One page.", boards.StackBoard)}
    begun = (
        web.Parameter("start_time", "Begun not before this time (RFC 3339)."),
        web.Parameter("end_time", "Begun before this time (RFC 3339)."),
    )
    return [
        desks.route(
            method="GET",
            path=STACKS,
            handler=desk.stacks,
            summary="Stacks with whether they agree and whether they are well, by a filter",
            replies=found,
            parameters=(client, _filter(boards.STACK_FIELDS), *paged),
        ),
        desks.route(
            method="GET",
            path=DRIFTS,
            handler=desk.drifts,
            summary="Drifts of all stacks by a filter, those that last changed first",
            replies={200: web.Reply("One page.", boards.DriftBoard)},
            parameters=(
                client,
                web.Parameter("closed", "`true`: those that are over too.", bool),
                _filter(facets.TITLES["drifts"]),
                *paged,
            ),
        ),
        desks.route(
            method="GET",
            path=HEALS,
            handler=desk.heals,
            summary="Actions of healing of all stacks by a filter, newest first, and how it went",
            replies={200: web.Reply("One page.", boards.HealBoard)},
            parameters=(client, *begun, _filter(boards.HEAL_FIELDS), *paged),
        ),
        desks.route(
            method="GET",
            path=f"{HEALS}/{{id}}",
            handler=desk.heal,
            summary="One action of healing: what it should bring about, and what came",
            replies={200: web.Reply("The action.", boards.HealRun)},
            parameters=(
                web.Parameter("client_id", "Whose; without it the id alone finds it."),
                wire.AFTER,
            ),
        ),
        desks.route(
            method="GET",
            path=f"{desks.PATH}/policy/effective",
            handler=desk.policy,
            summary="What holds for a stack, of its policy and of the defaults",
            replies={200: web.Reply("Modes and settings.", policy_board.EffectivePolicy)},
            parameters=(wire.AFTER,),
        ),
    ]


def _filter(fields: Mapping[str, str]) -> web.Parameter:
    return web.Parameter("filter", "An expression over the fields " + ", ".join(fields) + ".")


def _expression(query: Mapping[str, str], fields: Mapping[str, str]) -> filtering.Expression:
    """The filter of a request. Raises InvalidInputError for a field that there is not."""
    found = filtering.parse(query.get("filter", ""))
    unknown = sorted(found.fields() - {"", *fields})
    if unknown:
        raise errors.InvalidInputError(
            f"there is no field {unknown[0][:60]!r}; there are {', '.join(fields)}", field="filter"
        )
    return found


class _Boards(desks.Desk):
    async def stacks(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "filter", "cursor", "limit")
        limit = wire.limit(query)
        expression = _expression(query, boards.STACK_FIELDS)
        tenants = scoping.tenants(query.get("client_id"))
        await self.visible(request)
        place, now = _named(query.get("cursor")), self.parts.clock.now()
        rows: list[boards.StackRow] = []
        scanned, more = 0, True
        while more and len(rows) < limit and scanned < SCANNED_MAX:
            found = await reading_many.known_after(self.parts.store, tenants, place, _BATCH)
            more = len(found) == _BATCH
            for name, known in found:
                scanned, place = scanned + 1, name
                row = boards.stack_row(known, now)
                if filtering.holds(expression, facets.look(boards.stack_fields(row))):
                    rows.append(row)
                if len(rows) == limit:
                    more = True
                    break
        cursor = "/".join(place) if more else None
        shown = await self._verified(rows)
        return web.answer(boards.StackBoard(stacks=shown, next_cursor=cursor, scanned=scanned))

    async def _verified(self, rows: list[boards.StackRow]) -> list[boards.StackRow]:
        """That nothing has changed is told once in a while only; that something was, at once."""
        runs = await reading_many.entries(
            self.parts.store,
            "runs",
            [(each.client_id, each.stack_id) for each in rows],
            before=None,
            limit=1,
        )
        made = []
        for row in rows:
            last = runs.get((row.client_id, row.stack_id))
            times = [each for each in (row.last_verified,) if each is not None]
            times += [each.record.completed_at for each in last or ()]
            made.append(msgspec.structs.replace(row, last_verified=max(times, default=None)))
        return made

    async def drifts(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "filter", "closed", "cursor", "limit")
        expression = _expression(query, facets.TITLES["drifts"])
        limit, place = wire.limit(query), _drift_place(query.get("cursor"))
        await self.visible(request)
        rows: list[shown_drifts.DriftView] = []
        scanned, more = 0, False
        async for each, at in drift_reading.drifts(
            self.parts.store,
            scoping.tenants(query.get("client_id")),
            expression,
            closed=wire.flag(query, "closed"),
            after=place,
        ):
            if len(rows) == limit or scanned == SCANNED_MAX:
                more = True
                break
            scanned, place = scanned + 1, at
            if each is not None:
                rows.append(shown_drifts.drift(each.client_id, each.stack_id, each.drift))
        cursor = jsonio.encode(place).decode() if more else None
        return web.answer(boards.DriftBoard(drifts=rows, next_cursor=cursor, scanned=scanned))

    async def heals(self, request: web.Request) -> web.Response:
        names = ("client_id", "start_time", "end_time", "filter", "cursor", "limit")
        query = request.query(*names)
        expression = _expression(query, boards.HEAL_FIELDS)
        since, until = wire.time(query, "start_time"), wire.time(query, "end_time")
        tenants = scoping.tenants(query.get("client_id"))
        await self.visible(request)

        def shown(found: reading_many.Found) -> shown_plans.HealView:
            return shown_plans.heal(found.client_id, found.stack_id, found.record)

        async def page(before: tuple[int, str] | None, size: int) -> list[reading_many.Found]:
            found = await reading_many.of_clients(
                self.parts.store, "heals", tenants, before=before, limit=size
            )
            return [each for each in found if since is None or each.record.started_at >= since]

        def is_before(found: reading_many.Found) -> bool:
            return until is None or found.record.started_at < until

        rows, cursor, scanned = await _page(
            query, page, shown, boards.heal_fields, expression, wanted=is_before
        )
        newest = await page(None, limits.PAGE_EVENTS_MAX)
        counted = [each.record for each in newest if is_before(each)]
        healed = await self._healed(tenants, since, until)
        made = boards.HealBoard(
            heals=rows,
            next_cursor=cursor,
            scanned=scanned,
            figures=boards.figures(counted, healed),
        )
        return web.answer(made)

    async def _healed(
        self,
        tenants: scoping.Tenants,
        since: clocks.Timestamp | None,
        until: clocks.Timestamp | None,
    ) -> list[model.Drift]:
        found = await reading_many.of_clients(
            self.parts.store,
            "drifts",
            tenants,
            before=None,
            states=("healed",),
            limit=limits.PAGE_EVENTS_MAX,
        )
        drifts: list[model.Drift] = [each.record for each in found]
        return [
            each
            for each in drifts
            if (since is None or (each.closed_at or 0) >= since)
            and (until is None or (each.closed_at or 0) < until)
        ]

    async def heal(self, request: web.Request) -> web.Response:
        asked = wire.client_or_any(request)
        await self.visible(request)
        action_id = request.params["id"]
        place = await story_reading.by_id(self.parts.store, action_id, asked)
        heal = None if place is None else await self._heal(place.client_id, action_id)
        if place is None or heal is None:
            raise errors.NotFoundError.of(asked, "an action of healing", action_id)
        client_id = place.client_id
        entries = await reading.heals(
            self.parts.store, client_id, place.stack_id, limit=limits.PAGE_EVENTS_MAX
        )
        others = [
            shown_plans.heal(client_id, place.stack_id, each.record)
            for each in reversed(entries)
            if each.record.plan_id == heal.plan_id and each.record.action.id != action_id
        ]
        window_s = self.parts.live.seconds("stacks.consistency_window")() + heal.settles_s
        made = boards.HealRun(
            heal=shown_plans.heal(client_id, place.stack_id, heal),
            action=shown_plans.action(heal.action),
            window_s=window_s,
            events=boards.checklist(heal, await self._told(place, heal), window_s),
            others=others,
        )
        return web.answer(made)

    async def _heal(self, client_id: str, action_id: str) -> model.Heal | None:
        found = await reading_many.by_id(self.parts.store, "heals", client_id, action_id)
        return None if found is None else found.record

    async def _told(self, place: story_reading.Place, heal: model.Heal) -> list[boards.Told]:
        """The events about an action and the drifts that it mends, since it began."""
        finder = story_reading.Finder(self.parts.log, self.parts.store)
        found, _ = await finder.at(place)
        mended = {f"drift:{each}" for each in heal.action.drift_ids}
        told = []
        for position in sorted(found):
            event = found[position]
            names = set(story.subjects(event))
            is_end = event.type == events.DRIFT_RESOLVED and mended & names
            if place.subject in names or (is_end and event.occurred_at >= heal.started_at):
                told.append(
                    boards.Told(
                        type=event.type,
                        position=event.position,
                        at=event.occurred_at,
                        summary=story_words.sentence(event),
                    )
                )
            if is_end and told and event.occurred_at >= heal.started_at:
                mended -= names
        return told

    async def policy(self, request: web.Request) -> web.Response:
        request.query()
        known = await self.known(request)
        text = await reading.policy_text(self.parts.store, *desks.name(request))
        return web.answer(policy_board.effective(known, declared=bool(text)))


async def _page(
    query: dict[str, str],
    read: Callable[[tuple[int, str] | None, int], Awaitable[list[reading_many.Found]]],
    shown: Callable[[reading_many.Found], T],
    fields: Callable[[T], Mapping[str, Any]],
    expression: filtering.Expression,
    *,
    wanted: Callable[[reading_many.Found], bool],
) -> tuple[list[T], str | None, int]:
    """One page of records by a filter, where to go on, and how many were looked at."""
    limit, place = wire.limit(query), _placed(query.get("cursor"))
    rows: list[T] = []
    scanned, more = 0, True
    while more and len(rows) < limit and scanned < SCANNED_MAX:
        found = await read(place, _BATCH)
        more = len(found) == _BATCH
        for each in found:
            scanned, place = scanned + 1, (each.position, each.id)
            if not wanted(each):
                continue
            row = shown(each)
            if filtering.holds(expression, facets.look(fields(row))):
                rows.append(row)
            if len(rows) == limit:
                more = True
                break
    cursor = f"{place[0]}/{place[1]}" if more and place is not None else None
    return rows, cursor, scanned


def _named(cursor: str | None) -> tuple[str, str]:
    client_id, slash, stack_id = (cursor or "/").rpartition("/")
    if not slash:
        raise errors.InvalidInputError(
            "expected the next_cursor of the page before", field="cursor"
        )
    return client_id, stack_id


def _drift_place(cursor: str | None) -> drift_reading.Place | None:
    if cursor is None:
        return None
    try:
        found: drift_reading.Place = msgspec.json.decode(cursor, type=tuple[int, str, str, str])
    except msgspec.DecodeError:
        raise errors.InvalidInputError(
            "expected the next_cursor of the page before", field="cursor"
        ) from None
    return found


def _placed(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    position, slash, name = cursor.partition("/")
    if not slash:
        raise errors.InvalidInputError(
            "expected the next_cursor of the page before", field="cursor"
        )
    return wire.whole(position, "cursor", most=2**63 - 1), name
