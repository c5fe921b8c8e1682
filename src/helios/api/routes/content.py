"""Reading the content cache, for site builds above all; and saying what is not to be trusted."""

from importlib import metadata
from typing import Any

import msgspec

from helios.access import model
from helios.api import services, web, wire
from helios.api.routes import ingest
from helios.eventlog import envelope
from helios.ingest import incoming
from helios.kernel import acting, errors, jsonio, limits
from helios.kernel import clock as clocks
from helios.projections.views import content, content_read

_REVALIDATE = (b"cache-control", b"private, no-cache")


class Invalidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cached content is stale: of a source, of one type of it, or one."""

    source: str
    client_id: str = envelope.DEFAULT_TENANT
    type: str = ""
    id: str = ""


class Invalidated(msgspec.Struct, frozen=True, kw_only=True):
    """The content is stale from this position on."""

    position: int


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on cached content."""
    desk = _Desk(parts)
    client = web.Parameter("client_id", "Whose content; `default` without it.")
    stage = web.Parameter("stage", "`published` (the default) or `draft`.")
    locale = web.Parameter("locale", "In this language only.")
    known = web.Parameter(
        "If-None-Match", "ETag of what you have: 304 if it stands.", str, "header"
    )
    same = web.Reply("What you have still stands.", None)
    return [
        web.Route(
            method="GET",
            path="/api/v1/content",
            handler=desk.listing,
            summary="Cached content of all providers, in one schema",
            tag="content",
            replies={200: web.Reply("One page, with an ETag.", content_read.Page), 304: same},
            parameters=(
                client,
                web.Parameter("source", "Sources, separated by commas."),
                web.Parameter("type", "Content types, separated by commas."),
                stage,
                locale,
                web.Parameter("slug", "With this slug."),
                wire.CURSOR,
                wire.LIMIT,
                known,
                wire.AFTER,
            ),
        ),
        web.Route(
            method="GET",
            path="/api/v1/content/{source}/{type}/{id}",
            handler=desk.one,
            summary="One content, in every language it has",
            tag="content",
            replies={200: web.Reply("The content, with an ETag.", content_read.Page), 304: same},
            parameters=(client, stage, locale, known, wire.AFTER),
        ),
        web.Route(
            method="POST",
            path="/api/v1/content/invalidate",
            handler=desk.invalidate,
            summary="Mark cached content as stale, so that it is fetched again",
            tag="content",
            body={"application/json": Invalidate},
            replies={202: web.Reply("Marked.", Invalidated)},
            parameters=(wire.IDEMPOTENCY_KEY,),
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts
        self._version = metadata.version("helios")

    async def listing(self, request: web.Request) -> web.Response:
        names = ("client_id", "source", "type", "stage", "locale", "slug", "cursor", "limit")
        query = request.query(*names)
        which = _which(query)
        limit = wire.limit(query)
        await self._visible(request)
        # Before the page is read: should something change in between, the tag is of the past and
        # the next request brings the page anew.
        seen = await content_read.extent(self._parts.store, which)
        fresh_after = self._fresh_after()
        tag = self._tag(which, seen, query.get("cursor"), limit)
        if _stands(request, tag):
            return _not_modified(tag)
        page = await content_read.page(
            self._parts.store,
            which,
            fresh_after=fresh_after,
            limit=limit,
            cursor=query.get("cursor"),
        )
        return web.answer(page, headers=_headers(tag, seen))

    async def one(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "stage", "locale")
        params = request.params
        which = msgspec.structs.replace(
            _which(query), sources=(params["source"],), types=(params["type"],)
        )
        await self._visible(request)
        found = await content_read.one(
            self._parts.store, which, params["id"], fresh_after=self._fresh_after()
        )
        if not found:
            raise errors.NotFoundError(
                f"client {which.client_id[:80]} has no {which.stage} {params['type'][:80]} "
                f"{params['id'][:80]} of {params['source'][:80]}"
            )
        position = max(item.changed_position for item in found)
        seen = content_read.Extent(position=position, count=len(found))
        tag = self._tag(which, seen, params["id"])
        if _stands(request, tag):
            return _not_modified(tag)
        page = content_read.Page(items=found, next_cursor=None)
        return web.answer(page, headers=_headers(tag, seen))

    async def invalidate(self, request: web.Request) -> web.Response:
        body = await request.body(limits.EVENT_BYTES_MAX)
        jsonio.parse_object(body)
        try:
            asked = msgspec.json.decode(body, type=Invalidate)
        except msgspec.ValidationError as error:
            incoming.refuse_shape(error)
        request.principal.require(model.Permission.OPERATE, asked.client_id)
        if asked.id and not asked.type:
            raise errors.InvalidInputError("an id needs its type", field="type")
        said = content.Invalidation(source=asked.source, type=asked.type, id=asked.id)
        event = envelope.NewEvent(
            id=self._parts.ids.new(),
            source=content.SOURCE,
            type=content.INVALIDATED,
            occurred_at=self._parts.clock.now(),
            tenant=asked.client_id,
            aggregate_type=content.AGGREGATE_TYPE,
            aggregate_id=asked.source,
            actor=acting.current(),
            payload=jsonio.encode(said),
        )
        key = ingest.idempotency(request, body, asked.client_id)
        appended = await self._parts.log.append([event], idempotency=key)
        made = Invalidated(position=appended.position)
        return web.answer(made, status=202, headers=[wire.position_header(appended.position)])

    def _tag(self, which: content_read.Which, seen: content_read.Extent, *more: Any) -> str:
        # Another version of Helios may read the same events otherwise.
        return content_read.etag(which, seen, [self._parts.log.log_id, self._version, *more])

    def _fresh_after(self) -> clocks.Timestamp:
        ttl = self._parts.live.micros("content.ttl")()
        return clocks.Timestamp(max(1, self._parts.clock.now() - ttl))

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(content.NAME, after)


def _which(query: dict[str, str]) -> content_read.Which:
    stage = query.get("stage", "published")
    if stage not in ("published", "draft"):
        raise errors.InvalidInputError("expected published or draft", field="stage")
    return content_read.Which(
        client_id=query.get("client_id", envelope.DEFAULT_TENANT),
        sources=_names(query.get("source")),
        types=_names(query.get("type")),
        stage="draft" if stage == "draft" else "published",
        locale=query.get("locale"),
        slug=query.get("slug"),
    )


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(sorted(set(text.split(","))))


def _stands(request: web.Request, tag: str) -> bool:
    """Whether the client has it already (RFC 9110, section 13.1.2: weak comparison)."""
    given = request.header(b"if-none-match")
    if given is None:
        return False
    return given.strip() == "*" or any(
        one.strip().removeprefix("W/") == tag.removeprefix("W/") for one in given.split(",")
    )


def _headers(tag: str, seen: content_read.Extent) -> list[tuple[bytes, bytes]]:
    return [(b"etag", tag.encode()), _REVALIDATE, wire.position_header(seen.position)]


def _not_modified(tag: str) -> web.Response:
    return web.Response(status=304, headers=[(b"etag", tag.encode()), _REVALIDATE])
