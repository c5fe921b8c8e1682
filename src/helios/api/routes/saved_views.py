"""Saved views of the console: a person's own, and those that a client's people share."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from helios.access import model
from helios.api import services, web, wire
from helios.eventlog import envelope
from helios.ingest import incoming
from helios.kernel import clock as clocks
from helios.kernel import errors, filtering, jsonio, limits
from helios.projections.views import saved_views as view

PATH = "/api/v1/saved-views"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_OF_CLIENT = web.Parameter("client_id", "Whose; `default` without it.")


class SavedView(msgspec.Struct, frozen=True, kw_only=True):
    """A saved view.

    Attributes:
        screen: of the console, such as `events`.
        filter: the expression; state: whatever else the page keeps.
        is_shared: all people of the client have it; else only who saved it.
        is_default: the screen begins with it, for who asks.
        is_mine: who asks may change it.
        version: for If-Match; saved_at: RFC 3339.
    """

    id: str
    client_id: str
    screen: str
    title: str
    filter: str
    state: dict[str, Any]
    is_shared: bool
    is_default: bool
    is_mine: bool
    version: int
    saved_at: str
    saved_by: str


class SavedViewList(msgspec.Struct, frozen=True, kw_only=True):
    """Saved views by screen and title."""

    views: list[SavedView]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to save.

    Attributes:
        is_shared: for all people of the client; needs to be an operator of it.
        is_default: whether the screen begins with it, for who saves it; null: as it was.
    """

    screen: str
    title: str
    filter: str = ""
    state: dict[str, Any] = {}
    is_shared: bool = False
    is_default: bool | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The position to wait for, to see it so."""

    id: str
    position: int


def routes(parts: services.Services) -> list[web.Route]:
    """The operations."""
    desk = _Desk(parts)
    one = f"{PATH}/{{id}}"
    return [
        web.Route(
            method="GET",
            path=PATH,
            handler=desk.listing,
            summary="Saved views: one's own, and those that the client shares",
            tag="overview",
            replies={200: web.Reply("All of them.", SavedViewList)},
            parameters=(web.Parameter("screen", "Of this screen only."), _OF_CLIENT, wire.AFTER),
        ),
        web.Route(
            method="GET",
            path=one,
            handler=desk.one,
            summary="One saved view",
            tag="overview",
            replies={200: web.Reply("The view.", SavedView)},
            parameters=(_OF_CLIENT, wire.AFTER),
        ),
        web.Route(
            method="PUT",
            path=one,
            handler=desk.save,
            summary="Save a view, new or changed",
            tag="overview",
            body={"application/json": Asked},
            replies={200: web.Reply("It is changed.", Done), 201: web.Reply("It is new.", Done)},
            parameters=(
                _OF_CLIENT,
                web.Parameter("If-Match", "Its version, to change only that.", str, "header"),
            ),
        ),
        web.Route(
            method="DELETE",
            path=one,
            handler=desk.remove,
            summary="Remove a saved view",
            tag="overview",
            replies={200: web.Reply("It is gone.", Done)},
            parameters=(_OF_CLIENT,),
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("screen", "client_id")
        client_id = wire.client(request, "screen")
        await self._visible(request)
        who = request.principal
        found = await view.listed(
            self._parts.store, client_id, who.actor, screen=query.get("screen")
        )
        return web.answer(SavedViewList(views=[_shown(each, who) for each in found]))

    async def one(self, request: web.Request) -> web.Response:
        client_id = wire.client(request)
        await self._visible(request)
        who = request.principal
        found = await view.one(self._parts.store, client_id, who.actor, request.params["id"])
        return web.answer(_shown(found, who), headers=[wire.version_etag(found.version)])

    async def save(self, request: web.Request) -> web.Response:
        client_id = wire.client(request)
        name, who = request.params["id"], request.principal
        asked = await _asked(request)
        if not _NAME.fullmatch(name):
            raise errors.InvalidInputError(
                "lower case letters, digits, dots and dashes, at most 64", field="id"
            )
        if asked.is_shared:
            who.require(model.Permission.OPERATE, client_id)
        await self._caught_up()
        known = await self._known(client_id, who, name)
        self._check_version(request, known)
        owner = "" if asked.is_shared else who.actor
        if known is None and await view.count(self._parts.store, client_id, owner) >= (
            limits.SAVED_VIEWS_MAX
        ):
            raise errors.ConflictError(f"at most {limits.SAVED_VIEWS_MAX}; remove one first")
        said = view.Saved(
            id=name,
            owner=owner,
            screen=asked.screen,
            title=asked.title,
            filter=asked.filter,
            state=asked.state,
        )
        events = [self._event(client_id, name, view.SAVED, said, who)]
        if asked.is_default is not None and asked.is_default != (
            known is not None and known.is_default
        ):
            chosen = view.Chosen(
                owner=who.actor, screen=asked.screen, view_id=name if asked.is_default else ""
            )
            place = f"default/{asked.screen}/{who.actor}"
            events.append(self._event(client_id, place, view.DEFAULT_CHOSEN, chosen, who))
        expected = {events[0].aggregate: known.sequence} if known is not None else {}
        position = await self._append(events, expected)
        return _done(name, position, status=201 if known is None else 200)

    async def remove(self, request: web.Request) -> web.Response:
        client_id = wire.client(request)
        name, who = request.params["id"], request.principal
        await self._caught_up()
        known = await view.one(self._parts.store, client_id, who.actor, name)
        if known.shared:
            who.require(model.Permission.OPERATE, client_id)
        event = self._event(client_id, name, view.REMOVED, view.Removed(id=name), who)
        return _done(name, await self._append([event], {}), status=200)

    async def _known(self, client_id: str, who: model.Principal, name: str) -> view.Row | None:
        """What is there by this id.

        Raises:
            ConflictError: it is another person's.
        """
        try:
            known = await view.one(self._parts.store, client_id, who.actor, name)
        except errors.NotFoundError:
            if await view.taken(self._parts.store, client_id, name):
                raise errors.ConflictError(
                    f"another person has a saved view {name}; take another id"
                ) from None
            return None
        if known.shared:
            who.require(model.Permission.OPERATE, client_id)
        return known

    def _check_version(self, request: web.Request, known: view.Row | None) -> None:
        given = request.header(b"if-match")
        if given is None or given == "*":
            return
        now = 0 if known is None else known.version
        if given.strip('"') != str(now):
            raise errors.ConflictError(
                f"If-Match asks for version {given[:40]}, but it has version {now}; read it again"
            )

    async def _append(
        self, events: list[envelope.NewEvent], expected: Mapping[envelope.AggregateKey, int]
    ) -> int:
        return int((await self._parts.log.append(events, expected=expected)).position)

    def _event(
        self, client_id: str, name: str, kind: str, said: Any, who: model.Principal
    ) -> envelope.NewEvent:
        return envelope.NewEvent(
            id=self._parts.ids.new(),
            source=view.SOURCE,
            type=kind,
            occurred_at=self._parts.clock.now(),
            tenant=client_id,
            aggregate_type=view.AGGREGATE_TYPE,
            aggregate_id=name,
            actor=who.actor,
            payload=jsonio.encode(said),
        )

    async def _caught_up(self) -> None:
        """Return when the view knows what was saved so far, or at a bound."""
        await self._parts.views.wait_for(
            view.NAME, await self._parts.log.head(), timeout_s=limits.WAIT_S_MAX
        )

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(view.NAME, after)


async def _asked(request: web.Request) -> Asked:
    body = await request.body(limits.SAVED_VIEW_BYTES_MAX)
    jsonio.parse_object(body)
    try:
        asked = msgspec.json.decode(body, type=Asked)
    except msgspec.ValidationError as error:
        incoming.refuse_shape(error)
    if not _NAME.fullmatch(asked.screen):
        raise errors.InvalidInputError("the name of a screen, such as events", field="screen")
    if not 0 < len(asked.title) <= limits.SAVED_VIEW_TITLE_MAX:
        raise errors.InvalidInputError(
            f"1 to {limits.SAVED_VIEW_TITLE_MAX} characters", field="title"
        )
    filtering.parse(asked.filter)
    return asked


def _done(name: str, position: int, *, status: int) -> web.Response:
    told = Done(id=name, position=position)
    return web.answer(told, status=status, headers=[wire.position_header(position)])


def _shown(row: view.Row, who: model.Principal) -> SavedView:
    is_mine = row.owner == who.actor or (
        row.shared and who.may(model.Permission.OPERATE, row.client_id)
    )
    return SavedView(
        id=row.id,
        client_id=row.client_id,
        screen=row.screen,
        title=row.title,
        filter=row.filter,
        state=row.state,
        is_shared=row.shared,
        is_default=row.is_default,
        is_mine=is_mine,
        version=row.version,
        saved_at=clocks.to_rfc3339(row.saved_at),
        saved_by=row.saved_by,
    )
