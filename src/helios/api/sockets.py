"""A web socket as a handler sees it: admitted already, with bounded messages both ways."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from helios.api import web
from helios.kernel import errors

SEND_S_MAX: Final = 10.0
"""How long one message may take to be taken. Above: the connection is cut, as who does not read
does not read a farewell either."""

ABORT: Final = "helios.abort"
"""In an ASGI scope: cuts the connection at once."""

GOING_AWAY: Final = 1001
UNAUTHENTICATED: Final = 4401
FORBIDDEN: Final = 4403
TIMEOUT: Final = 4408
TOO_MUCH: Final = 4413
FAILED: Final = 1011

Handler: TypeAlias = "Callable[[Socket], Awaitable[None]]"


class GoneError(Exception):
    """The connection is closed; nobody to speak to."""


class Socket:
    """One web socket whose opening was allowed; not accepted yet.

    Args:
        request: that opened it.
        receive, send: of ASGI.
        closing: set when the server stops.
        admit: asks again whether who opened it may; raises as it did at first.
    """

    def __init__(
        self,
        request: web.Request,
        receive: web.Receive,
        send: web.Send,
        *,
        closing: asyncio.Event,
        admit: Callable[[], Awaitable[object]],
    ) -> None:
        self.request = request
        self.closing = closing
        self.admit = admit
        self._receive = receive
        self._send = send
        self._closed = False
        self._accepted = False

    @property
    def accepted(self) -> bool:
        """Whether it was begun to speak."""
        return self._accepted

    @property
    def subprotocols(self) -> list[str]:
        """Those that the client offers."""
        offered: list[str] = self.request.scope.get("subprotocols", [])
        return offered

    async def accept(self, subprotocol: str | None) -> None:
        """Begin to speak."""
        await self._put({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
        self._accepted = True

    async def receive(self) -> str | bytes:
        """What the client says next. Raises GoneError when it will say nothing more."""
        while not self._closed:
            message = await self._receive()
            if message["type"] == "websocket.receive":
                text: str | None = message.get("text")
                return text if text is not None else bytes(message.get("bytes") or b"")
            if message["type"] == "websocket.disconnect":
                self._closed = True
        raise GoneError

    async def send(self, text: str) -> None:
        """Say something; waits until the client takes it. Raises GoneError when it does not."""
        await self._put({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str = "") -> None:
        """Say goodbye; nothing if that was said."""
        if self._closed:
            return
        with contextlib.suppress(GoneError):
            await self._put({"type": "websocket.close", "code": code, "reason": _short(reason)})
        self._closed = True

    async def _put(self, message: web.Message) -> None:
        if self._closed:
            raise GoneError
        try:
            async with asyncio.timeout(SEND_S_MAX):
                await self._send(message)
        except TimeoutError:
            self._closed = True
            cut(self.request.scope)
            raise GoneError from None
        except OSError:  # What servers raise when the client is gone.
            self._closed = True
            raise GoneError from None


def _short(reason: str) -> str:
    """A reason has room in a frame of 125 bytes, with its code."""
    return reason.encode()[:120].decode(errors="ignore")


def cut(scope: web.Scope) -> None:
    """End a connection whose client does not read, where the server lets us."""
    abort = scope.get(ABORT)
    if abort is not None:
        abort()


def code_of(error: errors.HeliosError) -> int:
    """The code with which a socket is closed for an error."""
    if isinstance(error, errors.UnauthenticatedError):
        return UNAUTHENTICATED
    if isinstance(error, errors.ForbiddenError):
        return FORBIDDEN
    return TOO_MUCH if isinstance(error, errors.TooLargeError) else FAILED


async def refuse(scope: web.Scope, send: web.Send, response: web.Response) -> None:
    """Answer an opening that is not allowed, with a status where the server can."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": FORBIDDEN})
        return
    headers = [(b"content-type", response.content_type), *response.headers]
    await send(
        {"type": "websocket.http.response.start", "status": response.status, "headers": headers}
    )
    await send({"type": "websocket.http.response.body", "body": response.body})
