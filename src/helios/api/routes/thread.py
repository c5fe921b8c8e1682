"""The thread from an event to what came of it, and the tree of causes and effects."""

import asyncio

from helios.api import causation, scoping, services, thread, thread_reading, web, wire
from helios.kernel import errors
from helios.projections.views import event_mirror
from helios.reconcile.compositions import view
from helios.reconcile.streams import view as verdict_view

THREAD = "/api/v1/thread"
CAUSATION = "/api/v1/causation/{event_id}"

_OF_CLIENT = web.Parameter("client_id", "Whose it is.")


def routes(parts: services.Services) -> list[web.Route]:
    """The operations."""
    desk = _Desk(parts)
    return [
        web.Route(
            method="GET",
            path=THREAD,
            handler=desk.thread,
            summary="From an event over drift, plan and approval to what was done and its proof",
            tag="audit",
            replies={200: web.Reply("The links in order.", thread.Thread)},
            parameters=(
                web.Parameter("of", f"One of {', '.join(thread.KINDS)}."),
                web.Parameter(
                    "id", "Its id; of an event also its position, of a verdict also CONTRACT/KEY."
                ),
                _OF_CLIENT,
                wire.AFTER,
            ),
        ),
        web.Route(
            method="GET",
            path=CAUSATION,
            handler=desk.causation,
            summary="What an event goes back to and what came of it",
            tag="audit",
            replies={200: web.Reply("The tree, by position.", causation.Tree)},
            parameters=(_OF_CLIENT, wire.AFTER),
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts
        self._threads = thread_reading.Threads(parts)

    async def thread(self, request: web.Request) -> web.Response:
        query = request.query("of", "id", "client_id")
        client_id = query.get("client_id")
        scoping.tenants(client_id)
        of = query.get("of", "")
        if of not in thread.KINDS:
            raise errors.InvalidInputError(f"expected one of {', '.join(thread.KINDS)}", field="of")
        if not query.get("id"):
            raise errors.InvalidInputError("required", field="id")
        await self._visible(request)
        return web.answer(await self._threads.follow(of, query["id"], client_id))

    async def causation(self, request: web.Request) -> web.Response:
        client_id = request.query("client_id").get("client_id")
        scoping.tenants(client_id)
        await self._visible(request)
        event = await self._threads.event(request.params["event_id"], client_id)
        return web.answer(await causation.tree(self._parts, event))

    async def _visible(self, request: web.Request) -> None:
        """Wait for the views that something of a thread may show in."""
        after = wire.after_header(request)
        if after is not None:
            names = (view.NAME, event_mirror.NAME, verdict_view.NAME)
            await asyncio.gather(*(self._parts.views.wait_for(name, after) for name in names))
