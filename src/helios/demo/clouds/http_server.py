"""An HTTP server on a socket of ours, for as long as a block runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from helios.api import server as servers

DRAIN_S = 1


def address(host: str, port: int) -> str:
    """Host and port as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.asynccontextmanager
async def serving(application: Any, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve an ASGI application; yields its address, such as `http://127.0.0.1:4711`.

    Raises:
        StorageError: the address cannot be had; says why.
    """
    listener = servers.bind(host, port)
    config = uvicorn.Config(
        application,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = servers.Server(config)
    running = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield f"http://{address(host, listener.getsockname()[1])}"
    finally:
        server.should_exit = True
        await running
        listener.close()
