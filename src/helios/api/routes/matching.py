"""How well contracts match: current verdicts of all of them, rates over time, leg by leg."""

import msgspec

from helios.api import facets, matching_reading, scoping, services, verdict_reading, web, wire
from helios.api.routes import verdicts as shown
from helios.kernel import clock as clocks
from helios.kernel import durations, errors, filtering, limits

VERDICTS = "/api/v1/verdicts"
RATES = "/api/v1/matching/rates"
MATRIX = "/api/v1/matching/matrix"

_WINDOWS = ("30s", "1m", "5m")
_OF_CLIENT = web.Parameter("client_id", "Of this client only.")
FILTER = web.Parameter(
    "filter",
    "Such as `status:partial,mismatched missing:payment`, over the fields "
    + ", ".join(facets.TITLES["verdicts"])
    + "; a text is looked for in key, missing legs and rules.",
)


class FoundVerdicts(msgspec.Struct, frozen=True, kw_only=True):
    """One page of verdicts, newest first.

    Attributes:
        next_cursor: to go on; null at the end. A page may be short, or empty, and have one.
        scanned: verdicts that were looked at for it.
        filter: the expression as it was understood.
    """

    verdicts: list[shown.VerdictView]
    next_cursor: str | None
    scanned: int
    filter: str


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How much matched over time, by the time of events.

    Attributes:
        window_s: seconds of each window.
        is_whole: false: a contract has more verdicts in the range than are counted; the oldest
            windows then lack some.
        windows: oldest first.
    """

    contracts: list[str]
    window_s: float
    is_whole: bool
    windows: list[matching_reading.Rate]


def routes(parts: services.Services) -> list[web.Route]:
    """The operations."""
    desk = _Desk(parts)
    contract = web.Parameter("contract", "Name of the contract.")
    return [
        web.Route(
            method="GET",
            path=VERDICTS,
            handler=desk.listed,
            summary="Current verdicts of all contracts by a filter, newest first",
            tag="reconciliation",
            replies={200: web.Reply("One page.", FoundVerdicts)},
            parameters=(
                contract,
                web.Parameter("status", "matched, mismatched, partial, separated by commas."),
                FILTER,
                web.Parameter("start_time", "Decided not before this time (RFC 3339)."),
                web.Parameter("end_time", "Decided before this time (RFC 3339)."),
                _OF_CLIENT,
                wire.CURSOR,
                wire.LIMIT,
                wire.AFTER,
            ),
        ),
        web.Route(
            method="GET",
            path=RATES,
            handler=desk.rates,
            summary="How many keys matched in each window of the last time",
            tag="reconciliation",
            replies={200: web.Reply("Windows, oldest first.", Rates)},
            parameters=(
                contract,
                web.Parameter("window", f"{', '.join(_WINDOWS)}; 1m without it."),
                web.Parameter("buckets", f"1 to {limits.BUCKETS_MAX}; 60 without it.", int),
                web.Parameter("to", "End of the last window (RFC 3339); now without it."),
                _OF_CLIENT,
            ),
        ),
        web.Route(
            method="GET",
            path=MATRIX,
            handler=desk.matrix,
            summary="What is wrong with a contract's keys, leg by leg",
            tag="reconciliation",
            replies={200: web.Reply("The matrix.", matching_reading.Matrix)},
            parameters=(contract, web.Parameter("client_id", "Whose contract it is.")),
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def listed(self, request: web.Request) -> web.Response:
        query = request.query(
            "contract", "status", "filter", "start_time", "end_time", "client_id", "cursor", "limit"
        )
        text = query.get("filter", "")
        if query.get("status"):
            text = f"status:{query['status']} {text}"
        expression = filtering.parse(text)
        facets.check(expression, "verdicts")
        asked = verdict_reading.Asked(
            tenants=scoping.tenants(query.get("client_id")),
            expression=expression,
            contract=query.get("contract"),
            start=wire.time(query, "start_time"),
            end=wire.time(query, "end_time"),
        )
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(shown.VIEW, after)
        page = await verdict_reading.page(
            self._parts.verdicts,
            asked,
            self._parts.clock.now(),
            after=query.get("cursor"),
            limit=wire.limit(query),
        )
        return web.answer(
            FoundVerdicts(
                verdicts=[shown.view(each) for each in page.verdicts],
                next_cursor=page.next,
                scanned=page.scanned,
                filter=filtering.show(expression),
            )
        )

    async def rates(self, request: web.Request) -> web.Response:
        query = request.query("contract", "window", "buckets", "to", "client_id")
        window = query.get("window", "1m")
        if window not in _WINDOWS:
            raise errors.InvalidInputError(f"expected {', '.join(_WINDOWS)}", field="window")
        buckets = wire.whole(
            query.get("buckets", "60"), "buckets", most=limits.BUCKETS_MAX, least=1
        )
        width = int(durations.parse(window))
        tenants = scoping.tenants(query.get("client_id"))
        of = await matching_reading.declared(self._parts.standing, tenants, query.get("contract"))
        end = wire.time(query, "to") or self._parts.clock.now()
        # Windows are aligned, so that what was counted once is counted the same again.
        last = -(-end // width) * width
        found, is_whole = await matching_reading.rates(
            self._parts.store,
            of,
            start=clocks.Timestamp(last - width * buckets),
            width=width,
            buckets=buckets,
        )
        return web.answer(
            Rates(
                contracts=sorted({each.row.name for each in of}),
                window_s=width / clocks.SECOND_US,
                is_whole=is_whole,
                windows=found,
            )
        )

    async def matrix(self, request: web.Request) -> web.Response:
        query = request.query("contract", "client_id")
        if not query.get("contract"):
            raise errors.InvalidInputError("required", field="contract")
        tenants = scoping.tenants(query.get("client_id"))
        found = await matching_reading.declared(self._parts.standing, tenants, query["contract"])
        if len(found) > 1:
            clients = ", ".join(sorted(each.row.tenant for each in found)[:10])
            raise errors.InvalidInputError(
                f"several clients have such a contract: {clients}", field="client_id"
            )
        return web.answer(await matching_reading.matrix(self._parts.store, found[0]))
