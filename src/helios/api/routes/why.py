"""Why something is as it is: its causes back to the first event."""

from helios.api import services, web, wire
from helios.api import why as stories
from helios.kernel import errors
from helios.reconcile.compositions import story, view

PATH = "/api/v1/why"


def routes(parts: services.Services) -> list[web.Route]:
    """The operation."""
    return [
        web.Route(
            method="GET",
            path=PATH,
            handler=_Desk(parts).why,
            summary="Why something is as it is: events that caused it, back to the first",
            tag="audit",
            replies={200: web.Reply("The causes, as a graph and as a story.", story.Story)},
            parameters=(
                web.Parameter("key", f"What it is about: {stories.KEYS}."),
                web.Parameter("client_id", "Whose it is, where the key does not say."),
                wire.AFTER,
            ),
        )
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts
        self._why = stories.Why(parts)

    async def why(self, request: web.Request) -> web.Response:
        query = request.query("key", "client_id")
        if not query.get("key"):
            raise errors.InvalidInputError(f"required: {stories.KEYS}", field="key")
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(view.NAME, after)
        return web.answer(await self._why.tell(query["key"], query.get("client_id")))
