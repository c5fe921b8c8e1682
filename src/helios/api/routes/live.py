"""The live feed over a web socket."""

from helios.api import problems, services, sockets, web
from helios.api.feed import following, live
from helios.kernel import errors

PATH = "/api/v1/live"


def routes(parts: services.Services, feed: following.Feed) -> list[web.Route]:
    """The operation that opens a web socket."""
    del parts

    async def plain(_: web.Request) -> web.Response:
        error = errors.InvalidInputError(
            f"a web socket is opened here ({live.PROTOCOL}); over plain HTTP follow "
            "/api/v1/events/stream",
            field="Upgrade",
        )
        problem = problems.of(error, instance=PATH, status=426)
        return web.Response(
            status=problem.status,
            body=problem.body,
            content_type=problems.CONTENT_TYPE,
            headers=((b"upgrade", b"websocket"), (b"connection", b"upgrade")),
        )

    async def speak(socket: sockets.Socket) -> None:
        await live.serve(socket, feed)

    return [
        web.Route(
            method="GET",
            path=PATH,
            handler=plain,
            socket=speak,
            summary="What changes, over a web socket (subprotocol helios.v1)",
            tag="events",
            replies={101: web.Reply("Messages in JSON, both ways.")},
            parameters=(
                web.Parameter("Upgrade", "`websocket`.", str, "header"),
                web.Parameter("Sec-WebSocket-Protocol", "`helios.v1`.", str, "header"),
            ),
        )
    ]
