"""The doors that providers send to: `/webhook/{source}` and `/webhook/{source}/{client_id}`."""

import msgspec

from helios.api import problems, services, web, wire
from helios.eventlog import envelope
from helios.ingest import doors, sources
from helios.kernel import errors

_METHODS = ("POST", "GET", "OPTIONS")
_JSON = "application/json"
_SUMMARIES = {
    "POST": "Take a webhook, durable before the answer",
    "GET": "Answer a handshake",
    "OPTIONS": "Answer a handshake",
}


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery, for who looks.

    Attributes:
        results: one per event in it: `stored`, `duplicate`, `dead`; `ignored` when it has none.
        position: to wait for.
    """

    results: list[sources.Result]
    position: int


def routes(parts: services.Services) -> list[web.Route]:
    """The operations of webhooks."""
    door = _Door(parts.doors)
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
    length = encoding = None
    pairs = []
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        pairs.append((name.decode("latin-1"), text))
        if name == b"content-length" and text.isdecimal():
            length = int(text[:20])
        elif name == b"content-encoding":
            encoding = text.strip().lower()
    return doors.Head(
        method=scope["method"],
        path=path,
        headers=tuple(pairs),
        length=length,
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
