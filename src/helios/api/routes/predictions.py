"""What is foreseen of a stack. Reads only: nothing is ever done for being foreseen."""

from helios.api import predictions as shown
from helios.api import services, web, wire
from helios.api.routes import stack_desk as desks


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on predictions."""
    return [
        desks.route(
            method="GET",
            path=f"{desks.PATH}/predictions",
            handler=_Predictions(parts).listing,
            summary="What is foreseen of a stack, and how well that went so far",
            replies={200: web.Reply("Open ones, the soonest first.", shown.Predictions)},
            parameters=(wire.AFTER,),
        )
    ]


class _Predictions(desks.Desk):
    async def listing(self, request: web.Request) -> web.Response:
        request.query()
        return web.answer(shown.shown((await self.known(request)).state))
