"""HTTP as the handlers see it: a request in, a response out, a table of routes between.

A thin ASGI application of our own. Its route table is plain data, so the API's description is
generated from the very thing that serves it; and an exact path is one dictionary look-up, so that
ingest, which does very little per request, does not pay for the routes it is not (measured in
`docs/decisions/0002-http-server.md`).
"""

import asyncio
import re
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

import msgspec
import structlog

from helios.api import problems
from helios.ingest import bodies
from helios.kernel import errors, limits, tracing

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Handler: TypeAlias = "Callable[[Request], Awaitable[Response]]"

JSON = b"application/json"
_SAFE = ("GET", "HEAD", "OPTIONS")
_DOORS = "/webhook/"

_encode = msgspec.json.Encoder(decimal_format="number").encode
_log = structlog.get_logger("helios.api")


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
    """

    __slots__ = ("_headers", "_held", "_receive", "_room", "params", "scope")

    def __init__(self, scope: Scope, receive: Receive, room: Room) -> None:
        self.scope = scope
        self._receive = receive
        self._room = room
        self._held = 0
        self._headers: dict[bytes, bytes] | None = None
        self.params: Mapping[str, str] = {}

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


def _check_origin(request: Request) -> None:
    """Refuse what a page of elsewhere has a browser send that can reach us and the page cannot.

    Some requests a browser sends for any page without asking us first, and only tells whose it is.
    Senders of webhooks are no browsers, and what they sign tells who they are.

    Raises:
        InvalidInputError: it names another origin than ours.
    """
    origin = request.header(b"origin")
    if origin is None or request.path.startswith(_DOORS):
        return
    if request.header(b"sec-fetch-site") == "same-origin":
        return  # Behind a proxy that calls us by another name.
    if origin.partition("://")[2].lower() != (request.header(b"host") or "").lower():
        raise errors.InvalidInputError(
            "a page of another origin may change nothing here", field="Origin"
        )


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


class Application:
    """The ASGI application over a table of routes.

    Args:
        routes: no two with the same method and path.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._closing = asyncio.Event()
        self._room = Room(limits.BODIES_BYTES_MAX)
        self._exact: dict[tuple[str, str], Handler] = {}
        self._templates: dict[str, list[tuple[re.Pattern[str], str, Handler]]] = {}
        for route in routes:
            if "{" in route.path:
                entry = (_pattern(route), route.method, route.handler)
                self._templates.setdefault(_head(route.path), []).append(entry)
            else:
                assert (route.method, route.path) not in self._exact, route
                self._exact[route.method, route.path] = route.handler

    def drain(self) -> None:
        """End the streams that are open, so that their connections can close."""
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse_protocol(scope, receive, send)
            return
        request = Request(scope, receive, self._room)
        try:
            response = await self._answered(request)
            if response is not None:
                await self._send(response, request, send)
        finally:
            request.let_go()

    async def _answered(self, request: Request) -> Response | None:
        """What the handler answers, or the problem it had; None when nobody is there to hear it."""
        scope = request.scope
        try:
            if scope["method"] not in _SAFE:
                _check_origin(request)
            handler = self._exact.get((scope["method"], scope["path"])) or self._match(request)
            if (given := request.headers().get(b"traceparent")) is None:
                return await handler(request)
            with tracing.within(tracing.parse(given.decode("latin-1"))):
                return await handler(request)
        except ClientGoneError:
            return None
        except errors.HeliosError as error:
            return _problem(error, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a problem
            _log.exception("request_failed", method=request.method, path=request.path)
            return _problem(error, request)

    def _match(self, request: Request) -> Handler:
        method, path = request.scope["method"], request.scope["path"]
        if method == "HEAD" and ("GET", path) in self._exact:
            return self._exact["GET", path]
        raw: bytes = request.scope.get("raw_path") or path.encode()
        text = raw.partition(b"?")[0].decode("latin-1")
        allowed: set[str] = set()
        for pattern, wanted, handler in self._templates.get(_head(text), ()):
            match = pattern.fullmatch(text)
            if match is None:
                continue
            if wanted == method or (method == "HEAD" and wanted == "GET"):
                request.params = _decoded(match.groupdict())
                return handler
            allowed.add(wanted)
        allowed.update(m for m, p in self._exact if p == path)
        if allowed:
            raise problems.MethodError(method, path, sorted(allowed))
        raise errors.NotFoundError(f"there is nothing at {path}; /docs lists what there is")

    async def _send(self, response: Response, request: Request, send: Send) -> None:
        headers = [(b"content-type", response.content_type), *response.headers]
        if response.stream is not None:
            await self._send_stream(response, headers, request, send)
            return
        headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        body = b"" if request.scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    async def _send_stream(
        self,
        response: Response,
        headers: list[tuple[bytes, bytes]],
        request: Request,
        send: Send,
    ) -> None:
        assert response.stream is not None
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        pump = asyncio.ensure_future(_pump(response.stream, send))
        ends = [
            asyncio.ensure_future(request.gone()),
            asyncio.ensure_future(self._closing.wait()),
        ]
        try:
            await asyncio.wait([pump, *ends], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pump, *ends):
                task.cancel()
            await asyncio.gather(pump, *ends, return_exceptions=True)
        if not ends[0].done() or ends[0].cancelled():
            await send({"type": "http.response.body", "body": b""})


async def _pump(stream: AsyncIterator[bytes], send: Send) -> None:
    try:
        async for chunk in stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except errors.HeliosError as error:
        _log.warning("stream_ended", error=str(error))
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def _refuse_protocol(scope: Scope, receive: Receive, send: Send) -> None:
    """Nothing happens at ASGI's lifespan events, and web sockets are closed at once."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1003})
        return
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def _problem(error: Exception, request: Request) -> Response:
    problem = problems.of(error, instance=request.path)
    return Response(
        status=problem.status,
        body=problem.body,
        content_type=problems.CONTENT_TYPE,
        headers=problem.headers,
    )


def _head(path: str) -> str:
    """The first two segments, which no route has a placeholder in, or the first of a short path."""
    first, _, rest = path[1:].partition("/")
    return f"{first}/{rest.partition('/')[0]}" if first == "api" else first


def _pattern(route: Route) -> re.Pattern[str]:
    """Placeholders take one segment of the raw path, so that `%2F` stays part of a value."""
    parts = re.split(r"\{(\w+)\}", route.path)
    names = len(parts) // 2
    regex = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            regex.append(re.escape(part))
        elif route.catch_all and index // 2 == names - 1:
            regex.append(f"(?P<{part}>.+)")
        else:
            regex.append(f"(?P<{part}>[^/]+)")
    return re.compile("".join(regex))


def _decoded(params: Mapping[str, str]) -> dict[str, str]:
    values = {}
    for name, raw in params.items():
        try:
            value = urllib.parse.unquote(raw, errors="strict")
        except UnicodeDecodeError as error:
            raise errors.InvalidInputError("not UTF-8 once decoded", field=name) from error
        if "\0" in value:
            raise errors.InvalidInputError("holds a NUL character", field=name)
        values[name] = value
    return values
