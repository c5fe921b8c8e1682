"""Declaring subscribers, and reading how their deliveries go."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from helios.access import model
from helios.api import services, web, wire
from helios.api.routes import ingest
from helios.eventlog import envelope
from helios.fanout import events, subscriber, view
from helios.ingest import incoming
from helios.kernel import acting, errors, jsonio, limits
from helios.kernel import clock as clocks

T = TypeVar("T")

BYTES_MAX = 256 << 10
VISIBLE_S = 5.0
_PATH = "/api/v1/subscribers"


class SubscriberView(msgspec.Struct, frozen=True, kw_only=True):
    """A declared subscriber.

    Attributes:
        state: `running`; `stalled`: its endpoint takes nothing and is tried now and then;
            `disabled`: until a person enables it; `failed`: it cannot be set up; `standby`:
            another process delivers.
        detail: what the endpoint said last, or why it is disabled.
        behind: positions of the log between it and the head.
        waiting, abandoned: events that were set aside: to be tried again; given up.
    """

    name: str
    client_id: str
    version: int
    position: int
    declared_at: str
    channel: str
    state: str
    detail: str
    cursor: int
    behind: int
    delivered: int
    waiting: int
    abandoned: int
    yaml: str


class SubscriberList(msgspec.Struct, frozen=True, kw_only=True):
    """The declared subscribers, by client and name."""

    subscribers: list[SubscriberView]


class DeclaredSubscriber(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a declaration; `unchanged`: it was declared so already."""

    name: str
    client_id: str
    version: int | None
    position: int
    unchanged: bool
    dry_run: bool


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for is in the log at this position."""

    name: str
    client_id: str
    position: int


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was set aside for a subscriber."""

    position: int
    status: view.Status
    attempt: int
    next_at: str | None
    detail: str
    updated_at: str


class DeliveryList(msgspec.Struct, frozen=True, kw_only=True):
    """Events that were set aside, oldest first; at most `limit`."""

    deliveries: list[DeliveryView]


class Enable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to go on: with what happened meanwhile, or without it."""

    skip: bool = False


class Redeliver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events that were set aside to try at once."""

    positions: list[int]


_Row: TypeAlias = tuple[
    str, str, web.Handler, str, dict[int, web.Reply], Sequence[web.Parameter], Mapping[str, Any]
]
"""Method, path, handler, summary, replies, parameters, body."""


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on subscribers."""
    return [
        web.Route(
            method=method,
            path=path,
            handler=handler,
            summary=summary,
            tag="subscribers",
            replies=replies,
            parameters=parameters,
            body=body,
        )
        for method, path, handler, summary, replies, parameters, body in _table(_Desk(parts))
    ]


def _table(desk: "_Desk") -> list[_Row]:
    one = f"{_PATH}/{{name}}"
    client = web.Parameter("client_id", "Whose subscriber; `default` without it.")
    of_client = web.Parameter("client_id", "Of this client only.")
    asked = (client, wire.IDEMPOTENCY_KEY)
    dry_run = web.Parameter("dry_run", "`true`: check it and declare nothing.")
    write = (dry_run, wire.IDEMPOTENCY_KEY)
    document = {"application/yaml": str, "application/json": dict[str, msgspec.Raw]}
    noted = {202: web.Reply("In the log.", Noted)}
    declared = {
        200: web.Reply("Checked (`dry_run`), or declared as it is already.", DeclaredSubscriber),
        201: web.Reply("Declared.", DeclaredSubscriber),
    }
    listed = {200: web.Reply("All of them.", SubscriberList)}
    found = {200: web.Reply("The subscriber.", SubscriberView)}
    aside = {200: web.Reply("Oldest first.", DeliveryList)}
    enable, again = {"application/json": Enable}, {"application/json": Redeliver}
    shown = "One subscriber and how its deliveries go"
    waiting = "Events that were set aside: to be tried again, or given up"
    retried = "Try events that were set aside at once"
    return [
        ("POST", _PATH, desk.declare, "Declare a subscriber", declared, write, document),
        ("PUT", _PATH, desk.declare, "Declare a subscriber anew", declared, write, document),
        ("GET", _PATH, desk.listing, "The subscribers", listed, (of_client, wire.AFTER), {}),
        ("GET", one, desk.one, shown, found, (client, wire.AFTER), {}),
        ("DELETE", one, desk.remove, "Remove a subscriber", noted, asked, {}),
        ("POST", f"{one}/disable", desk.disable, "Deliver nothing more", noted, asked, {}),
        ("POST", f"{one}/enable", desk.enable, "Go on delivering", noted, asked, enable),
        (
            "GET",
            f"{one}/deliveries",
            desk.deliveries,
            waiting,
            aside,
            (client, wire.LIMIT, wire.AFTER),
            {},
        ),
        ("POST", f"{one}/redeliver", desk.redeliver, retried, noted, asked, again),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def declare(self, request: web.Request) -> web.Response:
        query = request.query("dry_run")
        text = await wire.document(request, BYTES_MAX)
        asked = subscriber.parse(text)
        request.principal.require(model.Permission.ADMINISTER, asked.client_id)
        now = await self._current(asked.client_id, asked.name)
        if wire.flag(query, "dry_run"):
            return web.answer(_declared(asked, None, 0, dry_run=True))
        if now is not None and now.hash == asked.hash and not now.disabled:
            return web.answer(_declared(asked, now.version, now.position, unchanged=True))
        payload = events.Declared(name=asked.name, yaml=text, hash=asked.hash, start=asked.start)
        appended, headers = await self._append(
            request, events.DECLARED, asked.client_id, asked.name, payload
        )
        version = None
        try:
            await self._parts.views.wait_for(view.NAME, appended, timeout_s=VISIBLE_S)
        except errors.DeadlineError:
            pass
        else:
            found = await self._current(asked.client_id, asked.name)
            version = None if found is None else found.version
        return web.answer(_declared(asked, version, appended), status=201, headers=headers)

    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("client_id")
        await self._visible(request)
        found = await view.every(self._parts.store, query.get("client_id"))
        return web.answer(SubscriberList(subscribers=[await self._view(row) for row in found]))

    async def one(self, request: web.Request) -> web.Response:
        tenant = wire.client(request)
        await self._visible(request)
        found = await view.one(self._parts.store, tenant, request.params["name"])
        return web.answer(await self._view(found))

    async def remove(self, request: web.Request) -> web.Response:
        return await self._note(request, events.REMOVED, events.Noted(name=request.params["name"]))

    async def disable(self, request: web.Request) -> web.Response:
        payload = events.Noted(name=request.params["name"], note="disabled by a person")
        return await self._note(request, events.DISABLED, payload)

    async def enable(self, request: web.Request) -> web.Response:
        asked = await _body(request, Enable) if await _has_body(request) else Enable()
        payload = events.Noted(name=request.params["name"], skip=asked.skip)
        return await self._note(request, events.ENABLED, payload)

    async def deliveries(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "limit")
        tenant = query.get("client_id", envelope.DEFAULT_TENANT)
        await self._visible(request)
        row = await view.one(self._parts.store, tenant, request.params["name"])
        found = await view.set_aside(
            self._parts.store, row.client_id, row.name, limit=wire.limit(query)
        )
        return web.answer(DeliveryList(deliveries=[_delivery(one) for one in found]))

    async def redeliver(self, request: web.Request) -> web.Response:
        tenant, name = wire.client(request), request.params["name"]
        row = await view.one(self._parts.store, tenant, name)
        asked = await _body(request, Redeliver)
        there = await view.set_aside(self._parts.store, tenant, name, limit=limits.PAGE_EVENTS_MAX)
        known: dict[int, view.Delivery] = {found.position: found for found in there}
        unknown = [p for p in asked.positions if p not in known]
        if unknown or not asked.positions:
            raise errors.InvalidInputError(
                f"not set aside for this subscriber: {unknown[:10]}"
                if unknown
                else "expected at least one position",
                field="positions",
            )
        now = self._parts.clock.now()
        made = [
            self._event(
                events.FAILED,
                row.client_id,
                row.name,
                events.Failed(
                    position=position,
                    attempt=min(known[position].attempt, 1),
                    next_at=now,
                    detail=known[position].detail,
                ),
            )
            for position in asked.positions
        ]
        appended = await self._parts.log.append(made)
        done = Noted(name=row.name, client_id=row.client_id, position=appended.position)
        return web.answer(done, status=202, headers=[wire.position_header(appended.position)])

    async def _note(self, request: web.Request, kind: str, payload: events.Noted) -> web.Response:
        tenant = wire.client(request)
        row = await view.one(self._parts.store, tenant, payload.name)
        position, headers = await self._append(request, kind, row.client_id, row.name, payload)
        done = Noted(name=row.name, client_id=row.client_id, position=position)
        return web.answer(done, status=202, headers=headers)

    async def _append(
        self,
        request: web.Request,
        kind: str,
        tenant: str,
        name: str,
        payload: events.Declared | events.Noted,
    ) -> tuple[envelope.Position, list[tuple[bytes, bytes]]]:
        event = self._event(kind, tenant, name, payload)
        key = ingest.idempotency(request, event.payload, tenant)
        appended = await self._parts.log.append([event], idempotency=key)
        headers = [wire.position_header(appended.position)]
        if appended.replayed:
            headers.append(wire.REPLAYED)
        return appended.position, headers

    def _event(
        self, kind: str, tenant: str, name: str, payload: msgspec.Struct
    ) -> envelope.NewEvent:
        return envelope.NewEvent(
            id=self._parts.ids.new(),
            source=events.SOURCE,
            type=kind,
            occurred_at=self._parts.clock.now(),
            tenant=tenant,
            aggregate_type=events.AGGREGATE_TYPE,
            aggregate_id=name,
            actor=acting.current(),
            payload=jsonio.encode(payload),
        )

    async def _current(self, tenant: str, name: str) -> view.Row | None:
        try:
            return await view.one(self._parts.store, tenant, name)
        except errors.NotFoundError:
            return None

    async def _view(self, row: view.Row) -> SubscriberView:
        state, detail = self._parts.deliveries(row.client_id, row.name)
        if row.disabled:
            state, detail = "disabled", row.note
        found = await view.set_aside(
            self._parts.store, row.client_id, row.name, limit=limits.PAGE_EVENTS_MAX
        )
        head = await self._parts.log.head()
        channel = "unreadable"
        # A declaration of another version of Helios must not hide the others.
        with contextlib.suppress(errors.InvalidInputError):
            declared = subscriber.parse(row.yaml)
            channel = str(type(declared.channel).__struct_config__.tag)
        return SubscriberView(
            name=row.name,
            client_id=row.client_id,
            version=row.version,
            position=row.position,
            declared_at=clocks.to_rfc3339(row.declared_at),
            channel=channel,
            state=state,
            detail=detail,
            cursor=row.cursor,
            behind=max(0, head - row.cursor),
            delivered=row.delivered,
            waiting=sum(one.status == "waiting" for one in found),
            abandoned=row.abandoned,
            yaml=row.yaml,
        )

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(view.NAME, after)


async def _has_body(request: web.Request) -> bool:
    return request.header(b"content-length") not in (None, "0")


async def _body(request: web.Request, kind: type[T]) -> T:
    body = await request.body(limits.EVENT_BYTES_MAX)
    jsonio.parse_object(body)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        incoming.refuse_shape(error)


def _declared(
    asked: subscriber.Subscriber,
    version: int | None,
    position: int,
    *,
    unchanged: bool = False,
    dry_run: bool = False,
) -> DeclaredSubscriber:
    return DeclaredSubscriber(
        name=asked.name,
        client_id=asked.client_id,
        version=version,
        position=position,
        unchanged=unchanged,
        dry_run=dry_run,
    )


def _delivery(seen: view.Delivery) -> DeliveryView:
    waiting = seen.status == "waiting"
    return DeliveryView(
        position=seen.position,
        status=seen.status,
        attempt=seen.attempt,
        next_at=clocks.to_rfc3339(seen.next_at) if waiting else None,
        detail=seen.detail,
        updated_at=clocks.to_rfc3339(seen.updated_at),
    )
