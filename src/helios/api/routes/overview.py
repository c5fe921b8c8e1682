"""The first screen in one answer."""

from helios.api import overview, pulse, scoping, services, web
from helios.kernel import limits, tenancy

PATH = "/api/v1/overview"
KEPT_S = 1.0
"""How long an overview is kept for the same reader."""


def routes(parts: services.Services) -> list[web.Route]:
    """The operation."""
    return [
        web.Route(
            method="GET",
            path=PATH,
            handler=_Desk(parts).overview,
            summary="What flows, what needs attention, what was mended lately",
            tag="overview",
            replies={200: web.Reply("The overview, at most a second old.", overview.Overview)},
            parameters=(web.Parameter("client_id", "Of this client only."),),
        )
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._clock = parts.clock
        self._beat = parts.pulse or pulse.Pulse(parts.log, parts.views, parts.runners, parts.clock)
        self._maker = overview.Maker(parts, self._beat)
        self._kept: dict[tuple[str | None, scoping.Tenants], tuple[float, web.Response]] = {}

    async def overview(self, request: web.Request) -> web.Response:
        client_id = request.query("client_id").get("client_id")
        tenants = scoping.tenants(client_id)
        now = self._clock.monotonic()
        kept = self._kept.get((client_id, tenants))
        if kept is not None and now - kept[0] < KEPT_S:
            return kept[1]
        # What flows is counted once for all readers, whoever asks first.
        with tenancy.within(tenancy.EVERYTHING):
            await self._beat.begin()
        made = web.answer(await self._maker.make(client_id, tenants))
        if len(self._kept) >= limits.OVERVIEWS_MAX:
            self._kept.clear()
        self._kept[client_id, tenants] = (now, made)
        return made
