"""What the filter bar suggests, and how many events or verdicts there are over time."""

import msgspec

from helios.api import (
    density,
    event_filter,
    facets,
    scoping,
    searching,
    services,
    verdict_reading,
    web,
    wire,
)
from helios.api.routes import search
from helios.kernel import clock as clocks
from helios.kernel import errors, filtering, limits

FACETS = "/api/v1/facets"
HISTOGRAM = "/api/v1/histogram"

_HOUR_US = 3600 * clocks.SECOND_US
_OF_CLIENT = web.Parameter("client_id", "Of this client only.")


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are from `start` (RFC 3339) for the width of a bucket."""

    start: str
    count: float


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """How many events or verdicts there are over time.

    Attributes:
        kind: `events` or `verdicts`.
        start, end: RFC 3339; `end` is exclusive.
        width_s: seconds of each bucket.
        total: of all buckets.
        is_exact: false: reckoned from some of them, spread evenly.
        scanned: how many were looked at.
    """

    kind: str
    start: str
    end: str
    width_s: float
    total: float
    is_exact: bool
    scanned: int
    buckets: list[Bucket]


def routes(parts: services.Services) -> list[web.Route]:
    """The operations."""
    desk = _Desk(parts)
    return [
        web.Route(
            method="GET",
            path=FACETS,
            handler=desk.suggest,
            summary="Values to filter by, with how often each is in a recent sample",
            tag="overview",
            replies={200: web.Reply("Fields with their values.", facets.Facets)},
            parameters=(
                web.Parameter("for", f"One of {', '.join(facets.KINDS)}."),
                search.FILTER,
                _OF_CLIENT,
            ),
        ),
        web.Route(
            method="GET",
            path=HISTOGRAM,
            handler=desk.histogram,
            summary="How many events or verdicts there are over time (the last hour without from)",
            tag="overview",
            replies={200: web.Reply("Buckets in order.", Histogram)},
            parameters=(
                web.Parameter("for", "`events` (by when they were recorded) or `verdicts`."),
                search.FILTER,
                web.Parameter("from", "RFC 3339; an hour before `to` without it."),
                web.Parameter("to", "RFC 3339, exclusive; now without it."),
                web.Parameter("buckets", f"1 to {limits.BUCKETS_MAX}; 60 without it.", int),
                _OF_CLIENT,
            ),
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def suggest(self, request: web.Request) -> web.Response:
        query = request.query("for", "filter", "client_id")
        kind = query.get("for", "events")
        if kind not in facets.KINDS:
            raise errors.InvalidInputError(
                f"expected one of {', '.join(facets.KINDS)}", field="for"
            )
        client_id = query.get("client_id")
        text = query.get("filter", "")
        rows = await self._rows(kind, text, client_id)
        made = facets.Facets(
            kind=kind,
            sampled=len(rows),
            facets=facets.counted(rows, kind),
            fields=dict(facets.TITLES[kind]),
        )
        return web.answer(made)

    async def _rows(self, kind: facets.Kind, text: str, client_id: str | None) -> list[facets.Row]:
        tenants = scoping.tenants(client_id)
        if kind == "events":
            return await facets.of_events(
                self._parts, event_filter.compile(text, client_id=client_id)
            )
        readers = {
            "verdicts": facets.of_verdicts,
            "stacks": facets.of_stacks,
            "drifts": facets.of_drifts,
            "dead-letters": facets.of_letters,
            "audit": facets.of_audit,
        }
        expression = filtering.parse(text)
        facets.check(expression, kind)
        rows = await readers[kind](self._parts, tenants)
        return [row for row in rows if filtering.holds(expression, facets.look(row))]

    async def histogram(self, request: web.Request) -> web.Response:
        query = request.query("for", "filter", "from", "to", "buckets", "client_id")
        kind = query.get("for", "events")
        if kind not in ("events", "verdicts"):
            raise errors.InvalidInputError("expected events or verdicts", field="for")
        now = self._parts.clock.now()
        end = wire.time(query, "to") or now
        start = wire.time(query, "from") or clocks.Timestamp(end - _HOUR_US)
        if start >= end:
            raise errors.InvalidInputError("not after from", field="to")
        buckets = wire.whole(
            query.get("buckets", "60"), "buckets", most=limits.BUCKETS_MAX, least=1
        )
        width = -(-(end - start) // buckets)
        make = self._events if kind == "events" else self._verdicts
        counts, is_exact, scanned = await make(query, start, width, buckets)
        made = [
            Bucket(start=clocks.to_rfc3339(clocks.Timestamp(start + n * width)), count=round(c, 2))
            for n, c in enumerate(counts)
        ]
        return web.answer(
            Histogram(
                kind=kind,
                start=clocks.to_rfc3339(start),
                end=clocks.to_rfc3339(end),
                width_s=width / clocks.SECOND_US,
                total=round(sum(counts), 2),
                is_exact=is_exact,
                scanned=scanned,
                buckets=made,
            )
        )

    async def _events(
        self, query: dict[str, str], start: clocks.Timestamp, width: int, buckets: int
    ) -> tuple[list[float], bool, int]:
        log, now = self._parts.log, self._parts.clock.now()
        what = event_filter.compile(query.get("filter", ""), client_id=query.get("client_id"))
        head = int(await log.head())
        low = await searching.before(log, start, head)
        high = head
        if "to" in query:
            end = clocks.Timestamp(start + width * buckets)
            upto = await searching.before(log, end, head)
            # One more than lies before it, so that the last ones have somewhere to reach to.
            high = min(head, upto + max(1, (upto - low) // 10))
        found, step = await density.sample(log, low, high)
        counts = density.counts(found, step, what, now, start=start, width=width, buckets=buckets)
        return counts, step == 1, len(found)

    async def _verdicts(
        self, query: dict[str, str], start: clocks.Timestamp, width: int, buckets: int
    ) -> tuple[list[float], bool, int]:
        expression = filtering.parse(query.get("filter", ""))
        facets.check(expression, "verdicts")
        asked = verdict_reading.Asked(
            tenants=scoping.tenants(query.get("client_id")),
            expression=expression,
            start=start,
            end=clocks.Timestamp(start + width * buckets),
        )
        counts = [0.0] * buckets
        page = await verdict_reading.page(
            self._parts.verdicts,
            asked,
            self._parts.clock.now(),
            limit=limits.VERDICTS_SCAN_MAX,
            scan=limits.VERDICTS_SCAN_MAX,
        )
        for each in page.verdicts:
            counts[min(buckets - 1, (each.created_at - start) // width)] += 1
        return counts, page.next is None, page.scanned
