"""Declaring sources, and reading what is declared."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.access import model
from helios.api import services, showing, source_spec, web, wire
from helios.api.routes import ingest
from helios.eventlog import envelope
from helios.ingest import declaring, directory, sources
from helios.kernel import acting, errors, jsonio, yamldoc
from helios.kernel import clock as clocks
from helios.projections.views import event_mirror
from helios.projections.views import sources as views

VISIBLE_S = 5.0
"""How long a write waits to see itself in the view; after that it answers without a version."""

PATH = "/api/v1/sources"

CLIENT = web.Parameter("client_id", "Whose source; `default` without it.")
MATCH = web.Parameter("If-Match", "ETag of the version to replace.", str, "header")
DRY_RUN = web.Parameter("dry_run", "`true`: check it and change nothing.")


class LiveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a source is doing in the process that answers.

    Attributes:
        state: `idle`: it waits for webhooks and fetches nothing; `starting`, `running`, `paused`,
            `stopped`; `waiting`: tries again after an error; `standby`: another process fetches;
            `failed`: it needs a person; `unreadable`: a secret or the provider is missing.
        detail: which error, and what to do.
        lag: messages not fetched yet; lag_s: age of the oldest. As far as the sender tells.
        restarts: how often fetching broke off and was begun anew.
        results: events by what became of them, since the process started.
        refusals: deliveries that were refused, by reason (`bad_signature` …), likewise.
    """

    state: str
    detail: str = ""
    lag: int | None = None
    lag_s: float | None = None
    last_event_at: str | None = None
    restarts: int = 0
    results: Mapping[str, int] = {}
    refusals: Mapping[str, int] = {}


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """A declared source.

    Attributes:
        webhook: path of its door, for the sender; null when it takes no webhooks.
        webhook_url: the same with this server's address.
        fetches: it is polled, or a queue, subscription or topic is read.
        last_delivery: event time of the newest event of it in the mirror of 30 days.
        rate: events of it a second, over the last 10 seconds; null: not measured yet.
        spark: rates of the last 60 samples of 2 s, oldest first; fewer after a start.
        spec: what it says.
        yaml: the document as it was declared.
    """

    name: str
    client_id: str
    provider: str
    version: int
    position: int
    declared_at: str
    paused: bool
    fetches: bool
    webhook: str | None
    webhook_url: str | None
    status: LiveStatus
    last_delivery: str | None
    rate: float | None
    spark: list[float]
    spec: source_spec.SourceSpec
    yaml: str


class SourceList(msgspec.Struct, frozen=True, kw_only=True):
    """The sources that are declared now, by client and name."""

    sources: list[SourceView]


class DeclaredSource(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one declaration.

    Attributes:
        version: the version it made; null with `dry_run`, or when it could not be seen yet.
        position: of the declaration in the log; 0 with `dry_run`.
        unchanged: it was declared so already; nothing was appended for it.
        webhook_url: what to give to the sender; null when it takes no webhooks.
        warnings: what keeps it from working here and now, such as a secret that is not set.
    """

    name: str
    client_id: str
    provider: str
    version: int | None
    position: int
    unchanged: bool
    dry_run: bool
    webhook_url: str | None
    warnings: list[str]


class DeclaredSources(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the declarations, in their order; all of them took effect or none."""

    sources: list[DeclaredSource]


class ChangedSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source that was paused, resumed or removed; `unchanged`: it was so before."""

    name: str
    client_id: str
    position: int
    unchanged: bool


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on declarations of sources."""
    desk = _Desk(parts)
    body = {"application/yaml": str, "application/json": dict[str, msgspec.Raw]}
    done = {200: web.Reply("Done, or so before.", ChangedSource)}
    declared = {
        200: web.Reply("Checked (`dry_run`), or declared as they are already.", DeclaredSources),
        201: web.Reply("Declared.", DeclaredSources),
    }
    return [
        *(
            web.Route(
                method=method,
                path=PATH,
                handler=desk.declare,
                summary="Declare sources, or their next versions",
                tag="sources",
                body=body,
                replies=declared,
                parameters=(DRY_RUN, MATCH, wire.IDEMPOTENCY_KEY),
            )
            for method in ("POST", "PUT")
        ),
        web.Route(
            method="GET",
            path=PATH,
            handler=desk.listing,
            summary="The sources that are declared now",
            tag="sources",
            replies={200: web.Reply("All of them.", SourceList)},
            parameters=(web.Parameter("client_id", "Of this client only."), wire.AFTER),
        ),
        web.Route(
            method="GET",
            path=f"{PATH}/{{name}}",
            handler=desk.one,
            summary="A source and how it is doing",
            tag="sources",
            replies={200: web.Reply("The source, with an ETag.", SourceView)},
            parameters=(CLIENT, wire.AFTER),
        ),
        web.Route(
            method="DELETE",
            path=f"{PATH}/{{name}}",
            handler=desk.remove,
            summary="Remove a source; its events stay",
            tag="sources",
            replies=done,
            parameters=(CLIENT, MATCH, wire.IDEMPOTENCY_KEY),
        ),
        *(
            web.Route(
                method="POST",
                path=f"{PATH}/{{name}}/{verb}",
                handler=handler,
                summary=summary,
                tag="sources",
                replies=done,
                parameters=(CLIENT, wire.IDEMPOTENCY_KEY),
            )
            for verb, handler, summary in (
                ("pause", desk.pause, "Fetch nothing until it is resumed"),
                ("resume", desk.resume, "Fetch again"),
            )
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts
        self._log = parts.log
        self._store = parts.store

    async def declare(self, request: web.Request) -> web.Response:
        query = request.query("dry_run")
        text = await wire.document(request, yamldoc.DOCUMENT_CHARS_MAX, wire.YAML_OR_TEXT)
        found = declaring.parse(text)
        for each in found:
            request.principal.require(model.Permission.ADMINISTER, each.declared.client_id)
            declaring.check(each, self._parts.kinds)
        if wire.flag(query, "dry_run"):
            checked = [self._declared(each, request, dry_run=True) for each in found]
            return web.answer(DeclaredSources(sources=checked))
        key = ingest.idempotency(request, text.encode(), _tenant(found))
        before = [await self._last(each) for each in found]
        wanted = request.header(b"if-match")
        if wanted is not None and len(found) > 1:
            raise errors.InvalidInputError("speaks of one source, but several are declared here")
        same = [key is None and _is_same(e, b) for e, b in zip(found, before, strict=True)]
        changed = [e for e, unchanged in zip(found, same, strict=True) if not unchanged]
        positions: dict[int, int] = {}
        headers: list[tuple[bytes, bytes]] = []
        if changed:
            events = [self._declaration(each) for each in changed]
            expected = _expected(wanted, events[0].aggregate, before[0])
            appended = await self._log.append(events, expected=expected, idempotency=key)
            positions = dict(zip(map(id, changed), appended.positions, strict=True))
            headers = [wire.position_header(appended.position)]
            if appended.replayed:
                headers.append(wire.REPLAYED)
            await self._seen(appended.position)
        answers = [
            self._declared(
                each,
                request,
                unchanged=unchanged,
                seen=await self._last(each),
                position=positions.get(id(each)),
            )
            for each, unchanged in zip(found, same, strict=True)
        ]
        if len(answers) == 1 and answers[0].version is not None:
            headers.append(wire.version_etag(answers[0].version))
        made = DeclaredSources(sources=answers)
        return web.answer(made, status=201 if changed else 200, headers=headers)

    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("client_id")
        await self._visible(request)
        found = await views.all_current(self._store, query.get("client_id"))
        return web.answer(SourceList(sources=[await self._view(s, request) for s in found]))

    async def one(self, request: web.Request) -> web.Response:
        tenant = wire.client(request)
        await self._visible(request)
        found = await views.current(self._store, tenant, request.params["name"])
        return web.answer(
            await self._view(found, request), headers=[wire.version_etag(found.version)]
        )

    async def remove(self, request: web.Request) -> web.Response:
        tenant, name = wire.client(request), request.params["name"]
        key = ingest.idempotency(request, b"", tenant)
        now = await views.last(self._store, tenant, name)
        if (now is None or now.is_removed) and key is None:
            await views.current(self._store, tenant, name)
        event = self._event(views.REMOVED, tenant, name, views.Named(name=name))
        expected = _expected(request.header(b"if-match"), event.aggregate, now)
        return await self._changed(event, expected, key)

    async def pause(self, request: web.Request) -> web.Response:
        return await self._switch(request, views.PAUSED)

    async def resume(self, request: web.Request) -> web.Response:
        return await self._switch(request, views.RESUMED)

    async def _switch(self, request: web.Request, kind: str) -> web.Response:
        tenant, name = wire.client(request), request.params["name"]
        key = ingest.idempotency(request, b"", tenant)
        now = await views.current(self._store, tenant, name)
        if now.paused == (kind == views.PAUSED) and key is None:
            same = ChangedSource(name=name, client_id=tenant, position=0, unchanged=True)
            return web.answer(same)
        event = self._event(kind, tenant, name, views.Named(name=name))
        return await self._changed(event, {}, key)

    async def _changed(
        self,
        event: envelope.NewEvent,
        expected: Mapping[envelope.AggregateKey, int],
        key: Any,
    ) -> web.Response:
        appended = await self._log.append([event], expected=expected, idempotency=key)
        headers = [wire.position_header(appended.position)]
        if appended.replayed:
            headers.append(wire.REPLAYED)
        await self._seen(appended.position)
        done = ChangedSource(
            name=event.aggregate_id,
            client_id=event.tenant,
            position=appended.position,
            unchanged=False,
        )
        return web.answer(done, headers=headers)

    def _declaration(self, made: declaring.Declaration) -> envelope.NewEvent:
        declared = made.declared
        payload = views.Payload(
            name=declared.name,
            provider=declared.provider,
            yaml=made.text,
            hash=made.hash,
            paused=made.paused,
        )
        return self._event(views.DECLARED, declared.client_id, declared.name, payload)

    def _event(
        self, kind: str, tenant: str, name: str, payload: msgspec.Struct
    ) -> envelope.NewEvent:
        return envelope.NewEvent(
            id=self._parts.ids.new(),
            source=views.SOURCE,
            type=kind,
            occurred_at=self._parts.clock.now(),
            tenant=tenant,
            aggregate_type=views.AGGREGATE_TYPE,
            aggregate_id=name,
            actor=acting.current(),
            payload=jsonio.encode(payload),
        )

    def _declared(
        self,
        made: declaring.Declaration,
        request: web.Request,
        *,
        dry_run: bool = False,
        unchanged: bool = False,
        seen: views.Source | None = None,
        position: int | None = None,
    ) -> DeclaredSource:
        declared = made.declared
        is_ours = seen is not None and (unchanged or seen.position == position)
        return DeclaredSource(
            name=declared.name,
            client_id=declared.client_id,
            provider=declared.provider,
            version=seen.version if seen is not None and is_ours else None,
            position=(seen.position if seen and unchanged else position) or 0,
            unchanged=unchanged,
            dry_run=dry_run,
            webhook_url=self._url(declared, request),
            warnings=self._warnings(declared),
        )

    def _warnings(self, declared: sources.Declared) -> list[str]:
        found = []
        for reference in (*declared.secrets, *declared.credentials.values()):
            try:
                self._parts.vault.find(reference)
            except errors.HeliosError as error:
                found.append(str(error))
        if not found:
            try:
                self._parts.table.resolve(declared)
            except errors.StorageError as error:
                found.append(str(error))
        return found

    def _url(self, declared: sources.Declared, request: web.Request) -> str | None:
        path = directory.door(declared, self._parts.kinds)
        return None if path is None else self._parts.address(request.header(b"host")) + path

    async def _view(self, seen: views.Source, request: web.Request) -> SourceView:
        declared = directory.declared(seen.yaml, version=seen.version, paused=seen.paused)
        newest = await event_mirror.by_provider(self._store, seen.client_id, seen.name, limit=1)
        last = newest.entries[0].timestamp if newest.entries else None
        beat = self._parts.pulse
        return SourceView(
            name=seen.name,
            client_id=seen.client_id,
            provider=seen.provider,
            version=seen.version,
            position=seen.position,
            declared_at=clocks.to_rfc3339(seen.declared_at),
            paused=seen.paused,
            fetches=directory.fetches(declared, self._parts.kinds),
            webhook=directory.door(declared, self._parts.kinds),
            webhook_url=self._url(declared, request),
            status=await self._status(seen.client_id, seen.name),
            last_delivery=showing.at(last),
            rate=None if beat is None else beat.source_rate(seen.client_id, seen.name),
            spark=[] if beat is None else beat.source_spark(seen.client_id, seen.name),
            spec=source_spec.of(declared),
            yaml=seen.yaml,
        )

    async def _status(self, tenant: str, name: str) -> LiveStatus:
        now = await self._parts.runners.status(tenant, name)
        at = now.status.last_event_at
        return LiveStatus(
            state=now.state,
            detail=now.status.detail,
            lag=now.status.lag,
            lag_s=now.status.lag_s,
            last_event_at=showing.at(at),
            restarts=now.restarts,
            results=now.results,
            refusals=now.refusals,
        )

    async def _last(self, made: declaring.Declaration) -> views.Source | None:
        return await views.last(self._store, made.declared.client_id, made.declared.name)

    async def _seen(self, position: envelope.Position) -> None:
        with contextlib.suppress(errors.DeadlineError, TimeoutError):
            async with asyncio.timeout(VISIBLE_S):
                await self._parts.views.wait_for(views.NAME, position, timeout_s=VISIBLE_S)
                # The doors of this process know it then, too.
                await self._parts.table.wait_for(position)

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(views.NAME, after)


def _tenant(found: Sequence[declaring.Declaration]) -> str:
    """Whose declarations they are; mixed ones are nobody's in particular."""
    tenants = {each.declared.client_id for each in found}
    return tenants.pop() if len(tenants) == 1 else "*"


def _is_same(made: declaring.Declaration, before: views.Source | None) -> bool:
    if before is None or before.is_removed or before.hash != made.hash:
        return False
    return made.paused is None or made.paused == before.paused


def _expected(
    wanted: str | None, aggregate: envelope.AggregateKey, now: views.Source | None
) -> dict[envelope.AggregateKey, int]:
    """With If-Match, the sequence that the source must still have when we append."""
    if wanted is None:
        return {}
    if now is None or now.is_removed or wanted.strip() != f'"{now.version}"':
        found = "there is none" if now is None or now.is_removed else f'it is "{now.version}"'
        raise errors.ConflictError(f"If-Match asks for version {wanted[:40]}, but {found}")
    return {aggregate: now.sequence}
