"""HTTP as the handlers see it: a request in, a response out, a table of routes between.

The table is plain data, so the API's description is generated from the very thing that serves it;
`application` serves it.
"""

import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

import msgspec

from helios.access import model
from helios.ingest import bodies
from helios.kernel import errors, limits

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Handler: TypeAlias = "Callable[[Request], Awaitable[Response]]"
SocketHandler: TypeAlias = Callable[[Any], Awaitable[None]]
"""Speaks over a `sockets.Socket`."""

JSON = b"application/json"

_encode = msgspec.json.Encoder(decimal_format="number").encode


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete; nobody to answer."""


class Room:
    """How much of bodies may be held at once.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    def take(self, size: int) -> None:
        """Count bytes that are held from now on.

        Raises:
            OverloadError: there are too many; they count until they are given back.
        """
        self._held += size
        if self._held > self._most:
            raise errors.OverloadError("too much is being read at once", retry_after_s=1.0)

    def give(self, size: int) -> None:
        """Count bytes that are held no more."""
        self._held -= size


class Request:
    """One HTTP request.

    Attributes:
        scope: the ASGI scope.
        params: values of the path's placeholders, percent-decoded.
        principal: who asks.
    """

    __slots__ = ("_headers", "_held", "_receive", "_room", "params", "principal", "scope")

    def __init__(self, scope: Scope, receive: Receive, room: Room) -> None:
        self.scope = scope
        self._receive = receive
        self._room = room
        self._held = 0
        self._headers: dict[bytes, bytes] | None = None
        self.params: Mapping[str, str] = {}
        self.principal = model.LOCAL

    @property
    def method(self) -> str:
        method: str = self.scope["method"]
        return method

    @property
    def path(self) -> str:
        path: str = self.scope["path"]
        return path

    def headers(self) -> Mapping[bytes, bytes]:
        """Headers by lower-case name; of one that comes twice the last."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers

    def header(self, name: bytes) -> str | None:
        """Value of a header by its lower-case name, or None.

        Raises:
            InvalidInputError: it comes twice: two readers would pick different ones.
        """
        headers = self.headers()
        value = headers.get(name)
        if value is None:
            return None
        if len(headers) != len(self.scope["headers"]):
            self._refuse_twice(name)
        return value.decode("latin-1")

    def _refuse_twice(self, name: bytes) -> None:
        if sum(key == name for key, _ in self.scope["headers"]) > 1:
            raise errors.InvalidInputError("the header comes twice", field=name.decode())

    def query(self, *known: str) -> dict[str, str]:
        """The query parameters.

        Args:
            known: names that are understood.

        Raises:
            InvalidInputError: an unknown name, one given twice, or text that is not UTF-8.
        """
        raw: bytes = self.scope["query_string"]
        if not raw:
            return {}
        try:
            pairs = urllib.parse.parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=50,
            )
        except ValueError as error:
            raise errors.InvalidInputError(f"the query string is malformed: {error}") from error
        values: dict[str, str] = {}
        for name, value in pairs:
            if name not in known:
                names = ", ".join(known) or "none"
                raise errors.InvalidInputError(f"unknown parameter; known: {names}", field=name)
            if name in values:
                raise errors.InvalidInputError("given twice", field=name)
            if "\0" in value:
                raise errors.InvalidInputError("holds a NUL character", field=name)
            values[name] = value
        return values

    async def body(self, bytes_max: int = limits.BODY_BYTES_MAX) -> bytes:
        """The whole body, its content encoding undone.

        Raises:
            TooLargeError: more than `bytes_max`, on the wire or inflated.
            InvalidInputError: a content encoding that is not understood, or damaged.
            OverloadError: the bodies of all requests that are being answered are too much.
            ClientGoneError: the client went away.
        """
        data = await self.raw_body(bytes_max, self._grew)
        encoding = self.header(b"content-encoding")
        if encoding is not None:
            data = bodies.inflate(data, encoding.strip().lower(), bytes_max=bytes_max)
            self._grew(len(data))
        return data

    def _grew(self, size: int) -> None:
        self._held += size
        self._room.take(size)

    def let_go(self) -> None:
        """Count its body as held no more."""
        self._room.give(self._held)
        self._held = 0

    async def raw_body(self, bytes_max: int, grew: Callable[[int], None] | None = None) -> bytes:
        """The whole body as it was sent.

        Args:
            bytes_max: most bytes that are read.
            grew: told of each piece's size; may raise.

        Raises:
            TooLargeError: more than `bytes_max`.
            InvalidInputError: its length is given twice.
            ClientGoneError: the client went away.
        """
        length = self.header(b"content-length")
        if length is not None and (not length.isdecimal() or int(length[:20]) > bytes_max):
            raise _too_large(bytes_max)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        data: bytes = message.get("body", b"")
        if grew is not None:
            grew(len(data))
        if message.get("more_body", False):
            data = await self._rest(data, bytes_max, grew)
        if len(data) > bytes_max:
            raise _too_large(bytes_max)
        return data

    async def _rest(
        self, first: bytes, bytes_max: int, grew: Callable[[int], None] | None
    ) -> bytes:
        parts, size = [first], len(first)
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if grew is not None:
                grew(len(parts[-1]))
            if size > bytes_max:
                raise _too_large(bytes_max)
            more = message.get("more_body", False)
        return b"".join(parts)

    async def gone(self) -> None:
        """Return when the client has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _too_large(bytes_max: int) -> errors.TooLargeError:
    return errors.TooLargeError(f"the body has more than {bytes_max} bytes; send it in parts")


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What to answer: a body, or a stream of chunks that ends when the client or server goes."""

    status: int = 200
    body: bytes = b""
    content_type: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = ()
    stream: AsyncIterator[bytes] | None = None


def answer(
    value: Any, *, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()
) -> Response:
    """A JSON response; structs, dictionaries and lists alike."""
    return Response(status=status, body=_encode(value), headers=headers)


class Parameter(msgspec.Struct, frozen=True):
    """A query parameter or header, as the API's description shows it."""

    name: str
    description: str
    kind: type = str
    place: str = "query"


class Reply(msgspec.Struct, frozen=True):
    """One possible answer: its schema (None: no JSON) and what it means."""

    description: str
    schema: Any = None
    content_type: str = "application/json"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of the API, for the server and for its description.

    Attributes:
        method, path: such as `GET` and `/api/v1/events/{position}`.
        handler: what runs.
        summary: one line.
        tag: the group it is shown in.
        body: schemas of the request body by content type.
        replies: by status; problems that any operation may answer are added by the description.
        parameters: query parameters and headers.
        catch_all: the last placeholder takes slashes too.
        socket: what speaks where a web socket is opened at the path; it has no placeholders.
        is_described: whether it is part of the API's description; the pages for people are not.
        for_lost: answers a browser that goes to a page at which there is nothing.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    replies: Mapping[int, Reply]
    body: Mapping[str, Any] = {}
    parameters: Sequence[Parameter] = ()
    catch_all: bool = False
    socket: SocketHandler | None = None
    is_described: bool = True
    for_lost: bool = False
