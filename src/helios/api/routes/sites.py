"""Declaring sites, building them, and reading what became of builds."""

import contextlib
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from helios.access import model
from helios.api import services, showing, web, wire
from helios.api.routes import ingest
from helios.configuration import registry
from helios.eventlog import envelope
from helios.kernel import acting, errors, jsonio
from helios.kernel import clock as clocks
from helios.projections.views import content_read
from helios.reconcile.builds import batcher, events, view, waiting
from helios.reconcile.builds import site as sites

SITE_BYTES_MAX = 256 << 10
"""One site document. Above: refused (413)."""

VISIBLE_S = 5.0


class SiteView(msgspec.Struct, frozen=True, kw_only=True):
    """A declared site.

    Attributes:
        executor: command, codebuild or webhook; `unreadable`: this version of Helios cannot read
            the declaration, and does not build it.
        running: id of the build under way, or null.
        waiting: contents that changed since the last build that succeeded.
        state: towards the next build: idle, building, due, gathering, retry, gave_up, off, or
            unreadable; why: the same in a sentence; due_at: when it begins if nothing changes.
        failed_attempts: builds in a row that failed for the same content.
        builds, changes_built: how many builds there were, and how many changes they took in.
        builds_saved: builds that batching spared: changes built beyond one a build.
    """

    name: str
    client_id: str
    version: int
    position: int
    declared_at: str
    executor: str
    running: str | None
    waiting: int
    state: str
    why: str
    due_at: str | None
    built_at: str | None
    failed_attempts: int
    builds: int
    changes_built: int
    builds_saved: int
    yaml: str


class SiteList(msgspec.Struct, frozen=True, kw_only=True):
    """The declared sites, by client and name."""

    sites: list[SiteView]


class DeclaredSite(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a declaration; `unchanged`: it was declared so already."""

    name: str
    client_id: str
    version: int | None
    position: int
    unchanged: bool
    dry_run: bool


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for is in the log at this position, and happens beside."""

    name: str
    client_id: str
    position: int


class BuildView(msgspec.Struct, frozen=True, kw_only=True):
    """One build.

    Attributes:
        status: running, succeeded or failed.
        reason: content, manual, declared or retry.
        changes: contents that changed since the last build that succeeded.
        upto_position: every change up to here is in it.
        position: where in the log it began.
        cause: why it failed: exit_code, timeout, cancelled, interrupted, publish, secret, refused,
            remote, internal; empty otherwise.
    """

    id: str
    client_id: str
    site: str
    number: int
    status: view.Status
    reason: str
    executor: str
    changes: int
    upto_position: int
    position: int
    attempt: int
    started_at: str
    ended_at: str | None
    seconds: float | None
    cause: str
    exit_code: int | None
    detail: str
    published: dict[str, msgspec.Raw] | None


class BuildList(msgspec.Struct, frozen=True, kw_only=True):
    """Builds, newest first; `next_cursor` is null at the end."""

    builds: list[BuildView]
    next_cursor: str | None


_Row: TypeAlias = tuple[str, str, web.Handler, str, dict[int, web.Reply], Sequence[web.Parameter]]
"""Method, path, handler, summary, replies, parameters."""

_Towards: TypeAlias = tuple[str, str, str | None]
"""State, sentence and time of the next build."""

_UNREADABLE: _Towards = ("unreadable", "It was declared to another version of Helios.", None)
_CLIENT = web.Parameter("client_id", "Whose site; `default` without it.")
_ASKED = (_CLIENT, wire.IDEMPOTENCY_KEY)
_ACCEPTED = {202: web.Reply("In the log.", Accepted)}
_DOCUMENT = {"application/yaml": str, "application/json": dict[str, msgspec.Raw]}


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on sites and builds."""
    desk = _Sites(parts)
    return [
        web.Route(
            method=method,
            path=path,
            handler=handler,
            summary=summary,
            tag="sites",
            replies=replies,
            parameters=parameters,
            body=_DOCUMENT if handler == desk.declare else {},
        )
        for method, path, handler, summary, replies, parameters in (
            *_of_sites(desk),
            *_of_builds(_Builds(parts)),
        )
    ]


def _of_sites(desk: "_Sites") -> list[_Row]:
    every, one = "/api/v1/sites", "/api/v1/sites/{name}"
    declared = {
        200: web.Reply("Checked (`dry_run`), or declared as it is already.", DeclaredSite),
        201: web.Reply("Declared; it is built at once.", DeclaredSite),
    }
    write = (
        web.Parameter("dry_run", "`true`: check it and declare nothing."),
        web.Parameter("If-Match", "ETag of the version to replace.", str, "header"),
        wire.IDEMPOTENCY_KEY,
    )
    of_client = web.Parameter("client_id", "Of this client only.")
    listed = {200: web.Reply("All of them.", SiteList)}
    found = {200: web.Reply("The site, with an ETag.", SiteView)}
    gone = "Remove a site; its builds stay to be read"
    return [
        ("POST", every, desk.declare, "Declare a site", declared, write),
        ("PUT", every, desk.declare, "Declare a site anew", declared, write),
        ("GET", every, desk.listing, "The declared sites", listed, (of_client, wire.AFTER)),
        ("GET", one, desk.one, "One site and how it stands", found, (_CLIENT, wire.AFTER)),
        ("DELETE", one, desk.remove, gone, _ACCEPTED, _ASKED),
        ("POST", f"{one}/build", desk.build, "Build a site now", _ACCEPTED, _ASKED),
    ]


def _of_builds(desk: "_Builds") -> list[_Row]:
    every, one = "/api/v1/builds", "/api/v1/builds/{id}"
    of_site = web.Parameter("site", "Of this site only.")
    of_client = web.Parameter("client_id", "Of this client only.")
    paged = (of_client, of_site, wire.CURSOR, wire.LIMIT, wire.AFTER)
    listed = {200: web.Reply("One page.", BuildList)}
    found = {200: web.Reply("The build.", BuildView)}
    printed = {200: web.Reply("The log.", None, "text/plain")}
    log = "What a build printed, secrets masked; while it runs, what it has printed so far"
    offset = web.Parameter("offset", "Leave out so many bytes, which one has already.", int)
    return [
        ("GET", every, desk.listing, "Builds, newest first", listed, paged),
        ("GET", one, desk.one, "One build", found, (_CLIENT, wire.AFTER)),
        ("GET", f"{one}/log", desk.log, log, printed, (_CLIENT, offset)),
        ("POST", f"{one}/cancel", desk.cancel, "End a build", _ACCEPTED, _ASKED),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def _append(
        self, request: web.Request, event: envelope.NewEvent, *, sequence: int | None = None
    ) -> web.Response:
        expected = {} if sequence is None else {event.aggregate: sequence}
        key = ingest.idempotency(request, event.payload, event.tenant)
        appended = await self._parts.log.append([event], expected=expected, idempotency=key)
        headers = [wire.position_header(appended.position)]
        if appended.replayed:
            headers.append(wire.REPLAYED)
        made = Accepted(name=event.aggregate_id, client_id=event.tenant, position=appended.position)
        return web.answer(made, status=202, headers=headers)

    def _event(
        self, kind: str, tenant: str, name: str, payload: events.Payload
    ) -> envelope.NewEvent:
        return events.make(
            kind,
            tenant,
            name,
            payload,
            now=self._parts.clock.now(),
            id_source=self._parts.ids,
            actor=acting.current(),
        )

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(view.NAME, after)


class _Sites(_Desk):
    async def declare(self, request: web.Request) -> web.Response:
        query = request.query("dry_run")
        text = await wire.document(request, SITE_BYTES_MAX)
        site = sites.parse(text)
        request.principal.require(model.Permission.ADMINISTER, site.client_id)
        now = await self._current(site.client_id, site.name)
        if wire.flag(query, "dry_run"):
            return web.answer(_declared(site, None, 0, dry_run=True))
        if now is not None and now.hash == site.hash:
            same = _declared(site, now.version, now.position, unchanged=True)
            return web.answer(same, headers=[wire.version_etag(now.version)])
        payload = events.Declared(name=site.name, yaml=text, hash=site.hash)
        event = self._event(events.DECLARED, site.client_id, site.name, payload)
        wanted = request.header(b"if-match")
        expected = {}
        if wanted is not None:
            if now is None or wanted.strip() != f'"{now.version}"':
                found = "there is none" if now is None else f'it is "{now.version}"'
                raise errors.ConflictError(f"If-Match asks for version {wanted[:40]}, but {found}")
            expected = {event.aggregate: now.sequence}
        key = ingest.idempotency(request, text.encode(), site.client_id)
        appended = await self._parts.log.append([event], expected=expected, idempotency=key)
        headers = [wire.position_header(appended.position)]
        version = await self._version(site, appended.position)
        if version is not None:
            headers.append(wire.version_etag(version))
        if appended.replayed:
            headers.append(wire.REPLAYED)
        made = _declared(site, version, appended.position)
        return web.answer(made, status=201, headers=headers)

    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("client_id")
        await self._visible(request)
        found = await view.sites(self._parts.store, query.get("client_id"))
        return web.answer(SiteList(sites=[await self._view(site) for site in found]))

    async def one(self, request: web.Request) -> web.Response:
        tenant = wire.client(request)
        await self._visible(request)
        found = await view.site(self._parts.store, tenant, request.params["name"])
        return web.answer(await self._view(found), headers=[wire.version_etag(found.version)])

    async def remove(self, request: web.Request) -> web.Response:
        found = await view.site(self._parts.store, wire.client(request), request.params["name"])
        payload = events.Named(name=found.name)
        return await self._append(
            request, self._event(events.REMOVED, found.client_id, found.name, payload)
        )

    async def build(self, request: web.Request) -> web.Response:
        found = await view.site(self._parts.store, wire.client(request), request.params["name"])
        payload = events.Named(name=found.name)
        return await self._append(
            request, self._event(events.REQUESTED, found.client_id, found.name, payload)
        )

    async def _current(self, tenant: str, name: str) -> view.Site | None:
        try:
            return await view.site(self._parts.store, tenant, name)
        except errors.NotFoundError:
            return None

    async def _version(self, site: sites.Site, position: envelope.Position) -> int | None:
        try:
            await self._parts.views.wait_for(view.NAME, position, timeout_s=VISIBLE_S)
        except errors.DeadlineError:
            return None
        found = await self._current(site.client_id, site.name)
        return None if found is None or found.position != position else found.version

    async def _view(self, found: view.Site) -> SiteView:
        executor, changes = "unreadable", 0
        towards = _UNREADABLE
        # A declaration of another version of Helios must not hide the others.
        with contextlib.suppress(errors.InvalidInputError):
            site = sites.parse(found.yaml)
            which = content_read.Which(
                client_id=site.client_id,
                sources=site.content.sources,
                types=site.content.types,
                stage=site.content.stage,
            )
            dirty = await content_read.dirty(self._parts.store, which, found.built_position)
            executor = str(type(site.executor).__struct_config__.tag)
            changes = 0 if dirty is None else dirty.changes
            towards = self._towards(found, site, dirty)
        return SiteView(
            name=found.name,
            client_id=found.client_id,
            version=found.version,
            position=found.position,
            declared_at=clocks.to_rfc3339(found.declared_at),
            executor=executor,
            running=found.running or None,
            waiting=changes,
            state=towards[0],
            why=towards[1],
            due_at=towards[2],
            built_at=clocks.to_rfc3339(found.built_at) if found.built_at else None,
            failed_attempts=found.failed_attempts,
            builds=found.builds,
            changes_built=found.changes_built,
            builds_saved=max(0, found.changes_built - found.builds),
            yaml=found.yaml,
        )

    def _towards(
        self, found: view.Site, site: sites.Site, dirty: content_read.Dirty | None
    ) -> _Towards:
        changed = None
        if dirty is not None:
            changed = batcher.Changed(
                changes=dirty.changes,
                position=dirty.position,
                first_at=dirty.first_at,
                last_at=dirty.last_at,
            )
        live = self._parts.live
        why = waiting.why(
            found.standing(changed),
            waiting.timing(site, live.micros("builds.quiet_min")()),
            self._parts.clock.now(),
            is_on=live.switch_of(registry.BUILDS)(found.client_id),
        )
        due = showing.at(why.due_at)
        return (why.state, why.detail, due)


class _Builds(_Desk):
    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "site", "cursor", "limit")
        limit = wire.limit(query)
        before = None
        if "cursor" in query:
            before = wire.whole(query["cursor"], "cursor", most=2**63 - 1, least=1)
        await self._visible(request)
        found = await view.builds(
            self._parts.store,
            query.get("client_id"),
            site_name=query.get("site"),
            before=before,
            limit=limit,
        )
        more = str(found[-1].position) if len(found) == limit else None
        return web.answer(BuildList(builds=[_build(b) for b in found], next_cursor=more))

    async def one(self, request: web.Request) -> web.Response:
        tenant = wire.client(request)
        await self._visible(request)
        return web.answer(_build(await view.build(self._parts.store, tenant, request.params["id"])))

    async def log(self, request: web.Request) -> web.Response:
        tenant = wire.client(request, "offset")
        offset = wire.whole(
            request.query("client_id", "offset").get("offset", "0"), "offset", most=2**31
        )
        build = await view.build(self._parts.store, tenant, request.params["id"])
        kept = self._parts.build_logs.read(build.client_id, build.site, build.id)
        return web.Response(body=kept[offset:], content_type=b"text/plain; charset=utf-8")

    async def cancel(self, request: web.Request) -> web.Response:
        build = await view.build(self._parts.store, wire.client(request), request.params["id"])
        if build.status != "running":
            raise errors.ConflictError(f"build {build.id} has {build.status}; nothing to cancel")
        payload = events.CancelRequested(build_id=build.id)
        return await self._append(
            request, self._event(events.CANCEL_REQUESTED, build.client_id, build.site, payload)
        )


def _declared(
    site: sites.Site,
    version: int | None,
    position: int,
    *,
    unchanged: bool = False,
    dry_run: bool = False,
) -> DeclaredSite:
    return DeclaredSite(
        name=site.name,
        client_id=site.client_id,
        version=version,
        position=position,
        unchanged=unchanged,
        dry_run=dry_run,
    )


def _build(seen: view.Build) -> BuildView:
    seconds = None
    if seen.ended_at is not None:
        seconds = round((seen.ended_at - seen.started_at) / clocks.SECOND_US, 3)
    published = None
    if seen.published is not None:
        published = {k: msgspec.Raw(jsonio.encode(v)) for k, v in seen.published.items()}
    return BuildView(
        id=seen.id,
        client_id=seen.client_id,
        site=seen.site,
        number=seen.number,
        status=seen.status,
        reason=seen.reason,
        executor=seen.executor,
        changes=seen.changes,
        upto_position=seen.upto_position,
        position=seen.position,
        attempt=seen.attempt,
        started_at=clocks.to_rfc3339(seen.started_at),
        ended_at=showing.at(seen.ended_at),
        seconds=seconds,
        cause=seen.cause,
        exit_code=seen.exit_code,
        detail=seen.detail,
        published=published,
    )
