"""The event mirror: what came of the last 30 days, by client, by provider, by id."""

import msgspec

from helios.api import services, web, wire
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections.views import event_mirror


class MirroredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the mirror; `position` is its place in the log.

    Attributes:
        content_id: what its payload names (`contentId`, `documentId`, `id` …), else its aggregate.
        timestamp: event time.
        drift_checked: whether drift was looked for after it.
        ttl_timestamp: when it leaves the mirror.
        payload: null unless it was asked for.
    """

    event_id: str
    client_id: str
    provider_name: str
    event_type: str
    content_id: str
    timestamp: str
    environment: str | None
    drift_checked: bool
    ttl_timestamp: str
    position: int
    payload: msgspec.Raw


class MirrorPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page, newest event time first; `next_cursor` is null at the end."""

    events: list[MirroredEvent]
    next_cursor: str | None


_NULL = msgspec.Raw(b"null")


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on the mirror."""
    desk = _Desk(parts)
    return [
        web.Route(
            method="GET",
            path="/api/v1/mirror",
            handler=desk.page,
            summary="Events of the last 30 days by client and time, by provider and time, or by id",
            tag="events",
            replies={200: web.Reply("One page.", MirrorPage)},
            parameters=(
                web.Parameter("client_id", "Whose events; `default` without it."),
                web.Parameter("provider", "Of this source only."),
                web.Parameter("event_id", "With this id only, one for each source."),
                web.Parameter("start_time", "Event time not before this (RFC 3339)."),
                web.Parameter("end_time", "Event time before this (RFC 3339)."),
                web.Parameter("payload", "`true`: with their payloads, read from the log."),
                wire.CURSOR,
                wire.LIMIT,
                wire.AFTER,
            ),
        )
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def page(self, request: web.Request) -> web.Response:
        names = ("client_id", "provider", "event_id", "start_time", "end_time", "payload")
        query = request.query(*names, "cursor", "limit")
        if query.get("payload", "false") not in ("true", "false"):
            raise errors.InvalidInputError("expected true or false", field="payload")
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(event_mirror.NAME, after)
        found = await self._found(query)
        payloads = [_NULL] * len(found.entries)
        if query.get("payload") == "true":
            read = await event_mirror.payloads(self._parts.log, found.entries)
            payloads = [msgspec.Raw(payload) for payload in read]
        shown = [_shown(e, p) for e, p in zip(found.entries, payloads, strict=True)]
        return web.answer(MirrorPage(events=shown, next_cursor=found.next_cursor))

    async def _found(self, query: dict[str, str]) -> event_mirror.Page:
        store = self._parts.store
        client_id = query.get("client_id", envelope.DEFAULT_TENANT)
        if "event_id" in query:
            others = {"provider", "start_time", "end_time", "cursor"} & set(query)
            if others:
                name = min(others)
                raise errors.InvalidInputError("not together with event_id", field=name)
            entries = await event_mirror.by_id(store, client_id, query["event_id"])
            return event_mirror.Page(entries=entries, next_cursor=None)
        bounds = {
            "since": wire.time(query, "start_time"),
            "until": wire.time(query, "end_time"),
        }
        limit, cursor = wire.limit(query), query.get("cursor")
        if "provider" in query:
            return await event_mirror.by_provider(
                store, client_id, query["provider"], limit=limit, cursor=cursor, **bounds
            )
        return await event_mirror.by_client(store, client_id, limit=limit, cursor=cursor, **bounds)


def _shown(entry: event_mirror.Entry, payload: msgspec.Raw) -> MirroredEvent:
    return MirroredEvent(
        event_id=entry.event_id,
        client_id=entry.client_id,
        provider_name=entry.provider_name,
        event_type=entry.event_type,
        content_id=entry.content_id,
        timestamp=clocks.to_rfc3339(entry.timestamp),
        environment=entry.environment,
        drift_checked=entry.drift_checked,
        ttl_timestamp=clocks.to_rfc3339(entry.ttl_timestamp),
        position=entry.position,
        payload=payload,
    )
