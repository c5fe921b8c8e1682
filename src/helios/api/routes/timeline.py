"""One key of a contract on a time axis."""

from helios.api import scoping, services, timeline, timeline_reading, web, wire
from helios.api.routes import verdicts as shown

PATH = "/api/v1/timeline/{contract}/{key}"


def routes(parts: services.Services) -> list[web.Route]:
    """The operation."""

    async def one(request: web.Request) -> web.Response:
        client_id = wire.client(request)
        scoping.tenants(client_id)
        after = wire.after_header(request)
        if after is not None:
            await parts.views.wait_for(shown.VIEW, after)
        name, key = request.params["contract"], request.params["key"]
        return web.answer(timeline.make(await timeline_reading.read(parts, client_id, name, key)))

    return [
        web.Route(
            method="GET",
            path=PATH,
            handler=one,
            summary="One key's legs on a time axis: windows, what is missing, what was tried",
            tag="reconciliation",
            replies={200: web.Reply("The timeline.", timeline.Timeline)},
            parameters=(
                web.Parameter("client_id", "Whose contract; `default` without it."),
                wire.AFTER,
            ),
        )
    ]
