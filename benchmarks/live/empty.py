"""The same server with a handler that does nothing: what HTTP alone costs.

python empty.py PORT
"""

import asyncio
import sys

import uvloop

from helios.api import asgi, server, web

ANSWER = b'{"event_id":"x","position":1,"duplicate":false}'


async def nothing(request: web.Request) -> web.Response:
    await request.body()
    return web.Response(status=202, body=ANSWER)


async def main() -> None:
    route = web.Route(
        method="POST",
        path="/empty",
        handler=nothing,
        summary="Nothing",
        tag="none",
        replies={202: web.Reply("Taken.", None)},
    )
    listener = server.bind("127.0.0.1", int(sys.argv[1]))
    http = server.make(asgi.Application([route]), drain_s=1)
    await asyncio.create_task(server.serve(http, listener))


if __name__ == "__main__":
    uvloop.run(main())
