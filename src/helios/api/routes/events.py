"""Reading events: by page, one, and as they come."""

from collections.abc import AsyncIterator

import msgspec

from helios.api import services, web, wire
from helios.api.feed import following, streaming, topics
from helios.eventlog import cursor as cursors
from helios.eventlog import envelope
from helios.kernel import errors, limits

NDJSON = "application/x-ndjson"
_STREAM_PAGE = 200
_encode = msgspec.json.Encoder().encode


def routes(parts: services.Services, feed: following.Feed) -> list[web.Route]:
    """The operations on events."""
    reader = _Reader(parts, feed)
    return [
        web.Route(
            method="GET",
            path="/api/v1/events",
            handler=reader.page,
            summary="Events in the order of the log, by page",
            tag="events",
            replies={200: web.Reply("One page.", wire.EventList)},
            parameters=(*wire.FILTERS, wire.CURSOR, wire.LIMIT, wire.AFTER),
        ),
        web.Route(
            method="GET",
            path="/api/v1/events/stream",
            handler=reader.stream,
            summary="Events as they come (server-sent events or NDJSON), resumed where it ended",
            tag="events",
            replies={200: web.Reply("A stream without end.", None, "text/event-stream")},
            parameters=(
                web.Parameter(
                    "Accept",
                    "`application/x-ndjson`: a line for each event, with the cursor to go on from; "
                    "a line with a cursor alone says that nothing came.",
                    str,
                    "header",
                ),
                web.Parameter(
                    "topics",
                    "Tell what has changed in short messages instead of every event whole: "
                    f"{', '.join(topics.TOPICS)}; separated by commas. The filters but client_id "
                    "hold for `events`.",
                ),
                *wire.FILTERS,
                wire.CURSOR,
                web.Parameter("from", "`now` (default) or `beginning`, without a cursor."),
                web.Parameter("Last-Event-ID", "Id of the last event seen.", str, "header"),
            ),
        ),
        web.Route(
            method="GET",
            path="/api/v1/events/{position_or_id}",
            handler=reader.one,
            summary="One event, by position, or by id with `source`",
            tag="events",
            replies={200: web.Reply("The event.", wire.EventView)},
            parameters=(
                web.Parameter("source", "Who emitted it: the parameter then is its id."),
                web.Parameter("client_id", "Whose event it is, with `source`."),
                wire.AFTER,
            ),
        ),
    ]


class _Reader:
    def __init__(self, parts: services.Services, feed: following.Feed) -> None:
        self._log = parts.log
        self._clock = parts.clock
        self._heartbeat_s = parts.live.seconds("feed.heartbeat")
        self._live = feed

    async def page(self, request: web.Request) -> web.Response:
        query = request.query(*wire.FILTER_NAMES, "cursor", "limit")
        where = wire.event_filter(query)
        after = wire.position(query, self._log.log_id)
        count = wire.limit(query)
        await self._visible(request)
        page = await self._log.read(after, limit=count, where=where)
        found = wire.EventList(
            events=[wire.event(event) for event in page.events],
            next_cursor=cursors.encode(self._log.log_id, page.next_after),
            caught_up=page.next_after >= page.head,
        )
        return web.answer(found)

    async def one(self, request: web.Request) -> web.Response:
        query = request.query("source", "client_id")
        wanted = request.params["position_or_id"]
        await self._visible(request)
        if "source" in query:
            tenant = query.get("client_id", envelope.DEFAULT_TENANT)
            event = await self._log.find(tenant, query["source"], wanted)
            found = [event] if event is not None else []
        elif wanted.isascii() and wanted.isdecimal() and len(wanted) < 19:
            found = await self._log.read_at([envelope.Position(int(wanted))])
        else:
            raise errors.InvalidInputError(
                "not a position; to find an event by its id give its `source` too",
                field="position_or_id",
            )
        if not found:
            raise errors.NotFoundError(f"there is no event {wanted[:80]}")
        return web.answer(wire.event(found[0]))

    async def stream(self, request: web.Request) -> web.Response:
        query = request.query(*wire.FILTER_NAMES, "cursor", "from", "topics")
        where = wire.event_filter(query)
        if query.get("from", "now") not in ("now", "beginning"):
            raise errors.InvalidInputError("expected `now` or `beginning`", field="from")
        last = request.header(b"last-event-id") or query.get("cursor")
        if last is not None:
            after = cursors.decode(last, self._log.log_id)
            cursors.check(after, await self._log.head())
        elif query.get("from") == "beginning":
            after = envelope.Position(0)
        else:
            after = await self._log.head()
        self._live.enter()
        self._live.leave()  # Counted when it is begun; refused while there is still an answer.
        if "topics" in query:
            resumed = None if last is None and query.get("from") != "beginning" else after
            wanted = following.asked(query, resumed)
            return _streamed(streaming.CONTENT_TYPE, streaming.blocks(self._live, wanted))
        lines = NDJSON in (request.header(b"accept") or "")
        form = _Lines(self._log.log_id) if lines else _Blocks(self._log.log_id)
        return _streamed(form.content_type, self._feed(after, where, form))

    async def _feed(
        self, after: envelope.Position, where: envelope.Filter, form: "_Blocks | _Lines"
    ) -> AsyncIterator[bytes]:
        self._live.enter()
        try:
            yield form.start(after)
            told = self._clock.monotonic()
            while True:
                page = await self._log.read(after, limit=_STREAM_PAGE, where=where)
                after = page.next_after
                if page.events:
                    yield b"".join(form.event(event) for event in page.events)
                    told = self._clock.monotonic()
                silent_s = self._clock.monotonic() - told
                if silent_s >= self._heartbeat_s():
                    yield form.heartbeat(after)
                    told, silent_s = self._clock.monotonic(), 0.0
                if after >= page.head:
                    await self._log.wait(after, timeout_s=self._heartbeat_s() - silent_s)
        finally:
            self._live.leave()

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is None:
            return
        before = envelope.Position(after - 1)
        head = await self._log.wait(before, timeout_s=limits.WAIT_S_MAX)
        if head < after:
            raise errors.DeadlineError(
                f"position {after} is not in the log, which ends at {head}; it may belong to "
                "another log"
            )


def _streamed(content_type: bytes, stream: AsyncIterator[bytes]) -> web.Response:
    return web.Response(
        content_type=content_type,
        headers=((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")),
        stream=stream,
    )


class _Blocks:
    """Server-sent events."""

    content_type = b"text/event-stream"

    def __init__(self, log_id: str) -> None:
        self._log_id = log_id

    def start(self, at: envelope.Position) -> bytes:
        return b"retry: 1000\n" + self._mark(at)

    def event(self, event: envelope.Event) -> bytes:
        at = cursors.encode(self._log_id, event.position).encode()
        return b"id: %s\nevent: event\ndata: %s\n\n" % (at, _one_line(event))

    def heartbeat(self, at: envelope.Position) -> bytes:
        return b": still here\n" + self._mark(at)

    def _mark(self, at: envelope.Position) -> bytes:
        """An id without data: the client resumes from it, though no event was for it."""
        return b"id: %s\n\n" % cursors.encode(self._log_id, at).encode()


class _Lines:
    """NDJSON."""

    content_type = NDJSON.encode()

    def __init__(self, log_id: str) -> None:
        self._log_id = log_id

    def start(self, at: envelope.Position) -> bytes:
        return self.heartbeat(at)

    def event(self, event: envelope.Event) -> bytes:
        at = cursors.encode(self._log_id, event.position).encode()
        return b'{"cursor":"%s","event":%s}\n' % (at, _one_line(event))

    def heartbeat(self, at: envelope.Position) -> bytes:
        return b'{"cursor":"%s"}\n' % cursors.encode(self._log_id, at).encode()


def _one_line(event: envelope.Event) -> bytes:
    """The event's JSON; a payload that came in with line breaks must not end the block."""
    data = _encode(wire.event(event))
    if b"\n" in data or b"\r" in data:
        return _encode(msgspec.json.decode(data))
    return data
