"""The doors that providers send to: `/webhook/{source}` and `/webhook/{source}/{client_id}`.

And one for who only knows that something changed: `/webhook/content-changed` has the source polled.
"""

import asyncio

import msgspec
import structlog

from helios.access import model
from helios.api import problems, services, web, wire
from helios.api.routes import ingest
from helios.eventlog import envelope
from helios.ingest import doors, incoming, sources
from helios.kernel import errors, jsonio
from helios.providers import ports as providers

_BELL_BYTES_MAX = 64 << 10
_log = structlog.get_logger("helios.api")
_METHODS = ("POST", "GET", "OPTIONS")
_JSON = "application/json"
_SUMMARIES = {
    "POST": "Take a webhook, durable before the answer",
    "GET": "Answer a handshake",
    "OPTIONS": "Answer a handshake",
}


class ContentChanged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That something changed at a provider.

    Attributes:
        client_id: whose.
        provider: the source's name, or its provider's where the client has one such source.
    """

    client_id: str = envelope.DEFAULT_TENANT
    provider: str


class Polling(msgspec.Struct, frozen=True, kw_only=True):
    """That a source is being polled."""

    client_id: str
    source: str


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery, for who looks.

    Attributes:
        results: one per event in it: `stored`, `duplicate`, `dead`; `ignored` when it has none.
        position: to wait for.
    """

    results: list[sources.Result]
    position: int


_changed = msgspec.json.Decoder(ContentChanged).decode


def routes(parts: services.Services) -> list[web.Route]:
    """The operations of webhooks."""
    door = _Door(parts.doors)
    bell = _Bell(parts)
    return [
        web.Route(
            method="POST",
            path="/webhook/content-changed",
            handler=bell.ring,
            summary="Have a source polled now, because something changed there",
            tag="webhooks",
            body={"application/json": ContentChanged},
            replies={202: web.Reply("It is being polled.", Polling)},
        ),
        *_delivering(door),
    ]


def _delivering(door: "_Door") -> list[web.Route]:
    return [
        web.Route(
            method=method,
            path=path,
            handler=door.deliver,
            summary=_SUMMARIES[method],
            tag="webhooks",
            body={"*/*": str} if method == "POST" else {},
            replies={
                200: web.Reply("Taken, or the answer to a handshake.", None, "*/*"),
                202: web.Reply("Durable: stored, seen before, or set aside.", Taken),
                204: web.Reply("Likewise, for a sender that wants no body.", None, "*/*"),
            },
        )
        for path in ("/webhook/{provider}", "/webhook/{provider}/{client_id}")
        for method in _METHODS
    ]


class _Bell:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts
        self._polling: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._rung: set[tuple[str, str]] = set()

    async def ring(self, request: web.Request) -> web.Response:
        body = await request.body(_BELL_BYTES_MAX)
        if request.principal.kind not in ("user", "service"):
            self._parts.keys.check(ingest.delivery(request, body))
        jsonio.parse_object(body)
        try:
            told = _changed(body)
        except msgspec.ValidationError as error:
            incoming.refuse_shape(error)
        request.principal.require(model.Permission.INGEST, told.client_id)
        found = self._parts.table.find(told.client_id, told.provider)
        name = found.declared.name
        if providers.Capability.LIST_CHANGES not in found.kind.capabilities:
            raise errors.InvalidInputError(
                f"source {name} cannot be polled: {found.kind.title} does not list what changed",
                field="provider",
            )
        key = (told.client_id, name)
        # One poll sees all that changed before it began; who rings meanwhile wants the next one.
        self._rung.add(key)
        if key not in self._polling:
            self._polling[key] = asyncio.ensure_future(self._poll(key))
        return web.answer(Polling(client_id=told.client_id, source=name), status=202)

    async def _poll(self, key: tuple[str, str]) -> None:
        client_id, name = key
        try:
            while key in self._rung:
                self._rung.discard(key)
                await self._parts.runners.poll(client_id, name)
        except errors.HeliosError as error:
            _log.warning("poll_failed", client_id=client_id, source=name, error=str(error))
        finally:
            del self._polling[key]


class _Door:
    def __init__(self, inner: doors.Doors) -> None:
        self._doors = inner

    async def deliver(self, request: web.Request) -> web.Response:
        client_id = request.params.get("client_id", envelope.DEFAULT_TENANT)
        head = _head(request)
        answer = await self._doors.deliver(client_id, request.params["provider"], head)
        return _response(answer, request)


def _head(request: web.Request) -> doors.Head:
    scope = request.scope
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    if scope["query_string"]:
        path = f"{path}?{scope['query_string'].decode('latin-1')}"
    encoding = None
    pairs = []
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        pairs.append((name.decode("latin-1"), text))
        if name == b"content-encoding":
            encoding = text.strip().lower()
    return doors.Head(
        method=scope["method"],
        path=path,
        headers=tuple(pairs),
        encoding=encoding,
        read=request.raw_body,
    )


def _response(answer: doors.Answer, request: web.Request) -> web.Response:
    if answer.body is None:
        error = answer.error or errors.HeliosError("nothing to say")
        problem = problems.of(error, instance=request.path, status=answer.status)
        return web.Response(
            status=answer.status,
            body=problem.body,
            content_type=problems.CONTENT_TYPE,
            headers=problem.headers,
        )
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers
    ]
    kind = next((value for name, value in headers if name == b"content-type"), None)
    if kind is None:
        kind = b"text/plain" if answer.kind is doors.Kind.HANDSHAKE else _JSON.encode()
    rest = [pair for pair in headers if pair[0] != b"content-type"]
    if answer.position:
        rest.append(wire.position_header(answer.position))
    return web.Response(status=answer.status, body=answer.body, content_type=kind, headers=rest)
