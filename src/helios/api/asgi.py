"""The ASGI application: requests to their handlers, past the gate, and answers back.

A thin one of our own. An exact path is one dictionary look-up, so that ingest, which does very
little per request, does not pay for the routes it is not (measured in
`docs/decisions/0002-http-server.md`).
"""

import asyncio
import re
import urllib.parse
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import structlog

from helios.access import model
from helios.api import access_rules, problems, sockets, web
from helios.kernel import acting, errors, limits, tenancy, tracing

Target: TypeAlias = tuple[web.Handler, access_rules.Rule]

_SAFE = ("GET", "HEAD", "OPTIONS")
_DOORS = "/webhook/"
_FOR_PROGRAMS = ("/api", "/assets/", _DOORS)

_log = structlog.get_logger("helios.api")


class Gate(Protocol):
    """Says who asks, and whether they may."""

    async def admit(
        self, request: web.Request, rule: access_rules.Rule
    ) -> tuple[model.Principal, tenancy.Scope]:
        """Who makes a request, and whose data it may touch.

        Raises:
            UnauthenticatedError: the operation is not for strangers.
            ForbiddenError: it is not for them.
        """
        ...

    def still(self, principal: model.Principal) -> bool:
        """Whether who was let in would be let in now."""
        ...


class Open:
    """The gate of a process that only its own person reaches: everybody may do everything."""

    async def admit(
        self, request: web.Request, rule: access_rules.Rule
    ) -> tuple[model.Principal, tenancy.Scope]:
        """See `Gate`."""
        del request, rule
        return model.LOCAL, tenancy.EVERYTHING

    def still(self, principal: model.Principal) -> bool:
        """See `Gate`."""
        del principal
        return True


class Application:
    """The ASGI application over a table of routes.

    Args:
        routes: no two with the same method and path.
        gate: who lets requests pass; without it all do.
        rules: what each operation needs; needed only where there is a gate.

    Raises:
        LookupError: there is a gate, and an operation has no rule.
    """

    def __init__(
        self,
        routes: Sequence[web.Route],
        *,
        gate: Gate | None = None,
        rules: Mapping[tuple[str, str], access_rules.Rule] = access_rules.TABLE,
    ) -> None:
        self.routes = tuple(routes)
        self._gate = gate or Open()
        self._closing = asyncio.Event()
        self._room = web.Room(limits.BODIES_BYTES_MAX)
        self._exact: dict[tuple[str, str], Target] = {}
        self._templates: dict[str, list[tuple[re.Pattern[str], str, Target]]] = {}
        self._sockets: dict[str, tuple[web.SocketHandler, access_rules.Rule]] = {}
        self._lost: Target | None = None
        if gate is not None:
            _check_rules(routes, rules)
        for route in routes:
            rule = rules.get((route.method, route.path), _UNRULED)
            target = (route.handler, rule)
            if route.socket is not None:
                self._sockets[route.path] = (route.socket, rule)
            if route.for_lost:
                self._lost = target
            elif "{" in route.path:
                entry = (_pattern(route), route.method, target)
                self._templates.setdefault(_head(route.path), []).append(entry)
            else:
                assert (route.method, route.path) not in self._exact, route
                self._exact[route.method, route.path] = target

    def drain(self) -> None:
        """End the streams that are open, so that their connections can close."""
        self._closing.set()

    async def __call__(self, scope: web.Scope, receive: web.Receive, send: web.Send) -> None:
        if scope["type"] != "http":
            await self._speak(scope, receive, send)
            return
        request = web.Request(scope, receive, self._room)
        try:
            await self._serve(request, send)
        finally:
            request.let_go()

    async def _serve(self, request: web.Request, send: web.Send) -> None:
        """Answer a request; what it touches, a stream too, stays within what its sender may."""
        try:
            method_path = (request.method, request.path)
            handler, rule = self._exact.get(method_path) or self._match(request)
            # Senders of webhooks are no browsers, and what they sign tells who they are.
            if request.method not in _SAFE and rule.needs != "door":
                _check_origin(request)
            request.principal, allowed = await self._gate.admit(request, rule)
        except web.ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a problem
            await self._send(_failed(error, request), request, send)
            return
        with tenancy.within(allowed), acting.within(request.principal.actor):
            response = await _answered(handler, request)
            if response is not None:
                await self._send(response, request, send)

    async def _speak(self, scope: web.Scope, receive: web.Receive, send: web.Send) -> None:
        """Hold a web socket, opened as a request is made; at ASGI's lifespan nothing happens."""
        if scope["type"] != "websocket":
            await _live_on(receive, send)
            return
        scope["method"] = "GET"
        request = web.Request(scope, receive, self._room)

        async def admit() -> tenancy.Scope:
            request.principal, allowed = await self._gate.admit(request, rule)
            return allowed

        socket = sockets.Socket(request, receive, send, closing=self._closing, admit=admit)
        try:
            handler, rule = self._socket_at(request.path)
            _check_origin(request)
            with tenancy.within(await admit()), acting.within(request.principal.actor):
                await handler(socket)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            failed = _failed(error, request)
            if socket.accepted:
                await socket.close(sockets.FAILED, "the server's log has the details")
            else:
                await sockets.refuse(scope, send, failed)

    def _socket_at(self, path: str) -> tuple[web.SocketHandler, access_rules.Rule]:
        found = self._sockets.get(path)
        if found is None:
            places = ", ".join(self._sockets) or "nowhere"
            raise errors.NotFoundError(f"no web socket is opened at {path}, but at: {places}")
        return found

    def _match(self, request: web.Request) -> Target:
        method, path = request.scope["method"], request.scope["path"]
        if method == "HEAD" and ("GET", path) in self._exact:
            return self._exact["GET", path]
        raw: bytes = request.scope.get("raw_path") or path.encode()
        text = raw.partition(b"?")[0].decode("latin-1")
        allowed: set[str] = set()
        for pattern, wanted, target in self._templates.get(_head(text), ()):
            match = pattern.fullmatch(text)
            if match is None:
                continue
            if wanted == method or (method == "HEAD" and wanted == "GET"):
                request.params = _decoded(match.groupdict())
                return target
            allowed.add(wanted)
        allowed.update(m for m, p in self._exact if p == path)
        if allowed:
            raise problems.MethodError(method, path, sorted(allowed))
        if self._lost is not None and _is_visit(request):
            return self._lost
        raise errors.NotFoundError(f"there is nothing at {path}; /docs lists what there is")

    async def _send(self, response: web.Response, request: web.Request, send: web.Send) -> None:
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
        response: web.Response,
        headers: list[tuple[bytes, bytes]],
        request: web.Request,
        send: web.Send,
    ) -> None:
        assert response.stream is not None
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        pump = asyncio.ensure_future(_pump(response.stream, send, request.scope))
        ends = [
            asyncio.ensure_future(request.gone()),
            asyncio.ensure_future(self._closing.wait()),
            asyncio.ensure_future(self._shut_out(request.principal)),
        ]
        try:
            await asyncio.wait([pump, *ends], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pump, *ends):
                task.cancel()
            await asyncio.gather(pump, *ends, return_exceptions=True)
        if not ends[0].done() or ends[0].cancelled():
            await send({"type": "http.response.body", "body": b""})

    async def _shut_out(self, principal: model.Principal) -> None:
        """Return when somebody who was let in may not read on."""
        # Nothing tells of every change of rights, so it is asked again and again.
        while self._gate.still(principal):  # noqa: ASYNC110
            await asyncio.sleep(STILL_S)


STILL_S = 30.0
"""How often it is asked whether who reads a stream may still do so."""

STREAM_SEND_S_MAX = 30.0
"""How long a piece of a stream may take to be taken. Above: the connection is cut; who reads that
slowly would never catch up, and comes again from where he was."""


async def _pump(stream: AsyncIterator[bytes], send: web.Send, scope: web.Scope) -> None:
    try:
        async for chunk in stream:
            async with asyncio.timeout(STREAM_SEND_S_MAX):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except TimeoutError:
        _log.warning("stream_cut", path=scope["path"], reason="the client does not read")
        sockets.cut(scope)
    except errors.HeliosError as error:
        _log.warning("stream_ended", error=str(error))
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def _live_on(receive: web.Receive, send: web.Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _answered(handler: web.Handler, request: web.Request) -> web.Response | None:
    """What the handler answers, or the problem it had; None when nobody is there to hear it."""
    try:
        if (given := request.headers().get(b"traceparent")) is None:
            return await handler(request)
        with tracing.within(tracing.parse(given.decode("latin-1"))):
            return await handler(request)
    except web.ClientGoneError:
        return None
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a problem
        return _failed(error, request)


def _failed(error: Exception, request: web.Request) -> web.Response:
    if not isinstance(error, errors.HeliosError):
        _log.error("request_failed", method=request.method, path=request.path, exc_info=error)
    problem = problems.of(error, instance=request.path)
    return web.Response(
        status=problem.status,
        body=problem.body,
        content_type=problems.CONTENT_TYPE,
        headers=problem.headers,
    )


_UNRULED = access_rules.Rule("public")
"""Where everybody may do everything, no rule is asked."""


def _check_rules(
    routes: Iterable[web.Route], rules: Mapping[tuple[str, str], access_rules.Rule]
) -> None:
    missing = access_rules.missing(((each.method, each.path) for each in routes), rules)
    if missing:
        raise LookupError(f"no rule says who may call {', '.join(missing)}")


def _check_origin(request: web.Request) -> None:
    """Refuse what a page of elsewhere has a browser send that can reach us and the page cannot.

    Some requests a browser sends for any page without asking us first, and only tells whose it is.

    Raises:
        InvalidInputError: it names another origin than ours.
    """
    origin = request.header(b"origin")
    if origin is None:
        return
    if request.header(b"sec-fetch-site") == "same-origin":
        return  # Behind a proxy that calls us by another name.
    if origin.partition("://")[2].lower() != (request.header(b"host") or "").lower():
        raise errors.InvalidInputError(
            "a page of another origin may change nothing here", field="Origin"
        )


def _head(path: str) -> str:
    """The first two segments, which no route has a placeholder in, or the first of a short path."""
    first, _, rest = path[1:].partition("/")
    return f"{first}/{rest.partition('/')[0]}" if first == "api" else first


def _is_visit(request: web.Request) -> bool:
    """Whether a person's browser asks for a page, not a program for data."""
    takes_pages = "text/html" in (request.header(b"accept") or "")
    is_page = not request.scope["path"].startswith(_FOR_PROGRAMS)
    return takes_pages and is_page and request.scope["method"] in ("GET", "HEAD")


def _pattern(route: web.Route) -> re.Pattern[str]:
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
