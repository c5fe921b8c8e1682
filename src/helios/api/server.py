"""The HTTP server process: uvicorn, told to listen on a socket of ours and to leave signals alone.

We bind the socket ourselves, so that a port in use is one clear line; and `helios.app` owns the
signals, because draining is more than closing connections.
"""

import asyncio
import contextlib
import errno
import functools
import os
import socket
from collections.abc import Collection, Iterator

import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.websockets import websockets_sansio_impl

from helios.api import asgi, sockets
from helios.kernel import errors, limits

BACKLOG = 2048
HEAD_BYTES_MAX = 64 << 10
"""Request line and headers that come in several pieces. Above: 400, and the connection is closed.
What comes in one piece is bounded by the size of a read, 256 KiB."""

HEADERS_MAX = 100
"""Headers of one request. Above: 400, and the connection is closed."""


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


HEAD_S_MAX = 10.0
"""How long the head of a request may take, and what is left of a body that was answered before its
end. Then the connection is closed."""

KEEP_ALIVE_S = 75
"""A connection on which nothing is asked is closed after this. Longer than clients and proxies keep
theirs (5 to 60 s): who closes second would cut off a request that is on its way just then."""

CONNECTIONS_MAX = 4_096
"""Connections at once. Above: closed as they come. Fewer where the process may open fewer files."""

FILES_KEPT = 256
"""Open files that are left for all but clients."""


class Protocol(httptools_impl.HttpToolsProtocol):
    """uvicorn's protocol with bounds on what a client may take, which the parser does not have.

    Who is too slow finds the connection closed and gets no answer: every sender takes that for a
    failure and comes again, and some take any 4xx for delivered.
    """

    _in_head = False
    _upgraded = False
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > connections_max():
            transport.abort()
        else:
            self._limit(HEAD_S_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        self._came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._upgraded:
            return  # To a web socket, which has bounds of its own.
        # Most requests come in one piece and need no timer.
        if self._in_head or self.cycle is None or self.cycle.response_complete:
            # Also what follows an answer and is no head: it keeps uvicorn's own timer from closing.
            self._limit(HEAD_S_MAX)
        elif self.cycle.more_body:
            self._limit(limits.BODY_S_MAX)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._in_head = False
                self.send_400_response("The request's head is too large.")

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self._came()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[sockets.ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._came()
        if len(self.headers) > HEADERS_MAX:
            raise ValueError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._came()
        super().on_message_complete()

    def _limit(self, seconds: float) -> None:
        """Close unless what is awaited has come by then; a limit that runs is left as it is."""
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._late, seconds)

    def _came(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self, seconds: float) -> None:
        self._timer = None
        if self.flow.read_paused:
            self._limit(seconds)  # It is us who are slow.
        else:
            self.transport.close()


SOCKET_BYTES_MAX = 64 << 10
"""One message over a web socket. Above: closed (1009); handlers close at less, with a reason."""

PING_S = 20.0
"""A silent web socket is asked this often whether it is still there, and closed when it does not
answer for as long."""


class SocketProtocol(websockets_sansio_impl.WebSocketsSansIOProtocol):
    """uvicorn's protocol for web sockets, which a handler can cut."""

    async def run_asgi(self) -> None:
        self.scope[sockets.ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]
        await super().run_asgi()


@functools.cache
def connections_max() -> int:
    """Connections taken at once: as many as leave the log and the views their files."""
    files = os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else -1
    if files < 0:
        return CONNECTIONS_MAX
    return min(CONNECTIONS_MAX, max(files - FILES_KEPT, files // 2))


class Server(uvicorn.Server):
    """uvicorn without its own signal handling."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make(application: asgi.Application, *, drain_s: float, proxies: Collection[str] = ()) -> Server:
    """A server over the application; `serve` runs it on a socket until `stop`.

    Args:
        application: answers.
        drain_s: seconds that requests under way get when it stops.
        proxies: addresses and networks whose `X-Forwarded-For` says who calls.
    """
    config = uvicorn.Config(
        application,
        http=Protocol,
        ws=SocketProtocol,
        ws_max_size=SOCKET_BYTES_MAX,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,
        lifespan="off",
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(drain_s)),
    )
    return Server(config)


async def serve(server: Server, listener: socket.socket) -> None:
    """Serve until the server is told to stop, then finish what is under way."""
    await server.serve(sockets=[listener])


async def stop(server: Server, application: asgi.Application) -> None:
    """Stop accepting, end the live streams, let requests under way finish."""
    server.should_exit = True
    application.drain()
    await asyncio.sleep(0)
