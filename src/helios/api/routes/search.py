"""Searching events by a filter expression, and how many there are over time."""

from collections.abc import AsyncIterator

import msgspec

from helios.api import event_filter, searching, services, showing, web, wire
from helios.eventlog import cursor as cursors
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, filtering, jsonio, limits

PATH = "/api/v1/search/events"
SSE = "text/event-stream"
PROGRESS_S = 0.5
"""A stream tells how far it has come at most this often."""
STREAM_S_MAX = 60.0
"""A stream ends after this, with a cursor to go on."""

_DIRECTIONS: tuple[searching.Direction, ...] = ("newest", "oldest")
_PREVIEW_CHARS = 2_000
_NAMES = ("filter", "client_id", "from", "to", "cursor", "direction", "limit")


class FoundEvent(wire.EventView, frozen=True, kw_only=True):
    """An event that was found.

    Attributes:
        payload: null when it has more than 64 KiB.
        size: bytes of the payload.
        cut: whether it was left out; all of it is at `GET /api/v1/events/{position}`.
        preview: its first characters then, else empty.
    """

    size: int
    cut: bool = False
    preview: str = ""


class SearchPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search.

    Attributes:
        events: in the direction that was asked for.
        next_cursor: to go on; null: all was looked at.
        scanned: positions of the log that this page passed.
        matched: how many of their events were found.
        reached: RFC 3339, when that was recorded at which it stands; null: nothing was seen.
        stopped: why it ended: `limit`: enough was found; `time`: two seconds were over, there may
            be more; `end`: there is nothing more.
        filter: the expression as it was understood.
        head: last position of the log.
    """

    events: list[FoundEvent]
    next_cursor: str | None
    scanned: int
    matched: int
    reached: str | None
    stopped: str
    filter: str
    head: int


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """`progress` of a stream, and `done` at its end; fields as of a page."""

    scanned: int
    matched: int
    reached: str | None
    next_cursor: str | None = None
    stopped: str | None = None


def routes(parts: services.Services) -> list[web.Route]:
    """The operation."""
    return [
        web.Route(
            method="GET",
            path=PATH,
            handler=_Desk(parts).search,
            summary="Events of a filter expression, newest first unless asked otherwise",
            tag="events",
            replies={
                200: web.Reply(
                    "One page; with `Accept: text/event-stream` a stream of `found` (a list of "
                    "events), `progress` and at its end `done`.",
                    SearchPage,
                )
            },
            parameters=(
                FILTER,
                web.Parameter("client_id", "Events of this client only."),
                web.Parameter("from", "Recorded not before this time (RFC 3339)."),
                web.Parameter("to", "Recorded before this time (RFC 3339)."),
                wire.CURSOR,
                web.Parameter("direction", "`newest` (default) or `oldest` first."),
                wire.LIMIT,
                web.Parameter("Accept", f"`{SSE}`: tell while it goes on.", str, "header"),
            ),
        )
    ]


FILTER = web.Parameter(
    "filter",
    "Terms that must all hold, such as `type:order.* -status:failed client:acme age<1h "
    'payload.total>100 "free text"`. Fields: '
    + "; ".join(f"{name}: {text}" for name, text in event_filter.FIELDS.items())
    + ".",
)


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._log = parts.log
        self._clock = parts.clock
        self._streams = 0

    async def search(self, request: web.Request) -> web.Response:
        query = request.query(*_NAMES)
        asked, head = await self._asked(query)
        text = filtering.show(filtering.parse(query.get("filter", "")))
        if SSE in (request.header(b"accept") or ""):
            if self._streams >= limits.STREAMS_MAX:
                raise errors.OverloadError(
                    f"{limits.STREAMS_MAX} searches are under way already", retry_after_s=5
                )
            return web.Response(
                content_type=SSE.encode(),
                headers=((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")),
                stream=self._told(asked),
            )
        return web.answer(await self._page(asked, text, head))

    async def _asked(self, query: dict[str, str]) -> tuple[searching.Asked, int]:
        what = event_filter.compile(query.get("filter", ""), client_id=query.get("client_id"))
        direction = query.get("direction", "newest")
        if direction not in _DIRECTIONS:
            raise errors.InvalidInputError("expected newest or oldest", field="direction")
        start, end = wire.time(query, "from"), wire.time(query, "to")
        if start is not None and end is not None and start >= end:
            raise errors.InvalidInputError("not after from", field="to")
        head = int(await self._log.head())
        low, high = 1, head
        if start is not None:
            low = await searching.before(self._log, start, head) + 1
        if "cursor" in query:
            place = _place(query["cursor"], direction, self._log.log_id)
            cursors.check(
                envelope.Position(place - (direction == "newest")), envelope.Position(head)
            )
            low, high = (low, place - 1) if direction == "newest" else (max(low, place + 1), high)
        elif end is not None and direction == "newest":
            # What is above may be skipped only where the whole log is seen; a step is none.
            high = min(high, await self._last(end, head))
        return searching.Asked(
            what=what,
            direction="newest" if direction == "newest" else "oldest",
            low=low,
            high=high,
            start=start,
            end=end,
            limit=wire.limit(query),
        ), head

    async def _last(self, end: clocks.Timestamp, head: int) -> int:
        """A position above which nothing was recorded before a time."""
        low = await searching.before(self._log, end, head)
        page = await self._log.read(envelope.Position(low), limit=1)
        if page.events and page.events[0].recorded_at >= end:
            return page.events[0].position
        return head

    async def _page(self, asked: searching.Asked, text: str, head: int) -> SearchPage:
        begun, now = self._clock.monotonic(), self._clock.now()
        found: list[FoundEvent] = []
        last: searching.Step | None = None
        stopped = "end"
        async for step in searching.search(self._log, asked, now):
            found += [shown(event) for event in step.found]
            last = step
            if step.matched >= asked.limit:
                stopped = "end" if step.ended else "limit"
            elif not step.ended and (
                self._clock.monotonic() - begun >= limits.SEARCH_S_MAX
                or step.scanned >= limits.SEARCH_EVENTS_MAX
            ):
                stopped = "time"
                break
        assert last is not None, asked
        return SearchPage(
            events=found,
            next_cursor=None if last.ended else self._cursor(asked, last),
            scanned=last.scanned,
            matched=last.matched,
            reached=showing.at(last.reached),
            stopped=stopped,
            filter=text,
            head=head,
        )

    async def _told(self, asked: searching.Asked) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            begun = told = self._clock.monotonic()
            last: searching.Step | None = None
            yield b": searching\n\n"
            async for step in searching.search(self._log, asked, self._clock.now()):
                last, now = step, self._clock.monotonic()
                if step.found:
                    yield _block(b"found", [shown(event) for event in step.found])
                if now - told >= PROGRESS_S:
                    yield _block(b"progress", self._progress(asked, step, None))
                    told = now
                if now - begun >= STREAM_S_MAX:
                    break
            assert last is not None, asked
            stopped = "limit" if last.matched >= asked.limit else "time"
            yield _block(b"done", self._progress(asked, last, "end" if last.ended else stopped))
        finally:
            self._streams -= 1

    def _progress(
        self, asked: searching.Asked, step: searching.Step, stopped: str | None
    ) -> Progress:
        return Progress(
            scanned=step.scanned,
            matched=step.matched,
            reached=showing.at(step.reached),
            next_cursor=None if step.ended else self._cursor(asked, step),
            stopped=stopped,
        )

    def _cursor(self, asked: searching.Asked, step: searching.Step) -> str:
        return asked.direction[0] + cursors.encode(self._log.log_id, envelope.Position(step.place))


def _place(text: str, direction: str, log_id: str) -> int:
    if text[:1] != direction[0]:
        raise errors.CursorError(
            f"the cursor is not of a search with the {direction} first: send it with the direction "
            "that it came from, or begin again without one"
        )
    return int(cursors.decode(text[1:], log_id))


def _block(name: bytes, value: object) -> bytes:
    data = jsonio.encode(value)
    if b"\n" in data or b"\r" in data:
        data = jsonio.encode(msgspec.json.decode(data))
    return b"event: %s\ndata: %s\n\n" % (name, data)


def shown(event: envelope.Event) -> FoundEvent:
    """An event as a search shows it: without its payload where that is large."""
    seen = wire.event(event)
    size = len(event.payload)
    fields = {name: getattr(seen, name) for name in seen.__struct_fields__}
    if size > limits.SEARCH_PAYLOAD_BYTES_MAX:
        fields["payload"] = msgspec.Raw(b"null")
        preview = event.payload[:_PREVIEW_CHARS].decode(errors="ignore")
        return FoundEvent(**fields, size=size, cut=True, preview=preview)
    return FoundEvent(**fields, size=size)
