"""The HTTP server process: uvicorn, told to listen on a socket of ours and to leave signals alone.

We bind the socket ourselves, so that a port in use is one clear line; and `helios.app` owns the
signals, because draining is more than closing connections.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn

from helios.api import web
from helios.kernel import errors

BACKLOG = 2048
HEADER_BYTES_MAX = 64 << 10
"""Request line and headers together. Above: 431 and the connection is closed."""


def bind(host: str, port: int) -> socket.socket:
    """Listen.

    Raises:
        StorageError: the address cannot be had; says why and what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            reason = "another process listens there: stop it, or choose another port with --port"
        elif error.errno == errno.EACCES:
            reason = "this user may not listen there: choose a port from 1024 on with --port"
        else:
            reason = f"{error.strerror or error}: choose another address with --host"
        raise errors.StorageError(f"{host}:{port}: {reason}") from error
    except OverflowError as error:
        listener.close()
        raise errors.StorageError(f"{host}:{port}: ports end at 65535") from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library has it so
    return listener


class Server(uvicorn.Server):
    """uvicorn without its own signal handling."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make(application: web.Application, *, drain_s: float) -> Server:
    """A server over the application; `serve` runs it on a socket until `stop`."""
    config = uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=max(1, round(drain_s)),
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
    )
    return Server(config)


async def serve(server: Server, listener: socket.socket) -> None:
    """Serve until the server is told to stop, then finish what is under way."""
    await server.serve(sockets=[listener])


async def stop(server: Server, application: web.Application) -> None:
    """Stop accepting, end the live streams, let requests under way finish."""
    server.should_exit = True
    application.drain()
    await asyncio.sleep(0)
