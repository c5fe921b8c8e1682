"""The doors events come in by."""

import hashlib

import msgspec

from helios.access import model
from helios.api import problems, services, web, wire
from helios.eventlog import cloudevents, envelope, ports
from helios.ingest import gateway as gateways
from helios.ingest import incoming
from helios.ingest import keys as key_checks
from helios.kernel import clock as clocks
from helios.kernel import cloudevents_wire, errors, limits
from helios.providers import ports as providers

_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_INGEST = model.Permission.INGEST
_encode = msgspec.json.Encoder().encode


def routes(parts: services.Services) -> list[web.Route]:
    """The ingest operations."""
    doors = _Doors(parts.gateway, parts.keys)
    receipt = web.Reply("Durable.", gateways.Receipt)
    batch = {
        202: web.Reply("All durable.", gateways.BatchReceipt),
        207: web.Reply("The good ones durable, the rest refused.", gateways.BatchReceipt),
    }
    key = (wire.IDEMPOTENCY_KEY,)
    return [
        web.Route(
            method="POST",
            path="/api/v1/events/ingest",
            handler=doors.one,
            summary="Append one event",
            tag="events",
            body={"application/json": incoming.IncomingEvent},
            replies={202: receipt},
            parameters=key,
        ),
        web.Route(
            method="POST",
            path="/api/v1/events/ingest/batch",
            handler=doors.batch,
            summary="Append many events; a bad one does not lose the good ones",
            tag="events",
            body={
                "application/json": list[incoming.IncomingEvent],
                "application/x-ndjson": str,
                cloudevents_wire.BATCH: list[dict[str, msgspec.Raw]],
            },
            replies=batch,
            parameters=key,
        ),
        web.Route(
            method="POST",
            path="/api/v1/cloudevents",
            handler=doors.cloudevents,
            summary="Append CloudEvents 1.0: structured, binary (ce- headers) or batch",
            tag="events",
            body={
                cloudevents_wire.STRUCTURED: dict[str, msgspec.Raw],
                cloudevents_wire.BATCH: list[dict[str, msgspec.Raw]],
                "*/*": str,
            },
            replies={202: web.Reply("Durable; of a batch all.", None), 207: batch[207]},
            parameters=key,
        ),
    ]


class _Doors:
    def __init__(self, gateway: gateways.Gateway, keys: key_checks.Keys) -> None:
        self._gateway = gateway
        self._keys = keys

    async def one(self, request: web.Request) -> web.Response:
        content_type = request.header(b"content-type")
        if content_type != "application/json":
            _require(content_type, "application/json")
        body = await self._body(request)
        try:
            event = incoming.parse_event(body, self._gateway.arrival())
        except errors.InvalidInputError as error:
            self._gateway.refused(error)
            raise
        request.principal.require(_INGEST, event.tenant)
        return await self._take(event, idempotency(request, body, event.tenant))

    async def batch(self, request: web.Request) -> web.Response:
        kind = cloudevents_wire.media_type(request.header(b"content-type"))
        if kind not in ("application/json", cloudevents_wire.BATCH, *_NDJSON):
            _require(kind, "application/json", _NDJSON[0], cloudevents_wire.BATCH)
        body = await self._body(request)
        return await self._take_all(kind, request, body)

    async def cloudevents(self, request: web.Request) -> web.Response:
        kind = cloudevents_wire.media_type(request.header(b"content-type"))
        body = await self._body(request)
        if kind == cloudevents_wire.BATCH:
            return await self._take_all(kind, request, body)
        headers = request.scope["headers"]
        try:
            if kind == cloudevents_wire.STRUCTURED:
                parsed = cloudevents_wire.parse_structured(body)
            elif any(name == b"ce-specversion" for name, _ in headers):
                parsed = cloudevents_wire.parse_binary(headers, body)
            else:
                _require(kind, cloudevents_wire.STRUCTURED, cloudevents_wire.BATCH)
            event = from_cloudevent(parsed, self._gateway.arrival().now)
        except errors.InvalidInputError as error:
            self._gateway.refused(error)
            raise
        request.principal.require(_INGEST, event.tenant)
        content = _context(headers) + body if kind != cloudevents_wire.STRUCTURED else body
        return await self._take(event, idempotency(request, content, event.tenant))

    async def _body(self, request: web.Request) -> bytes:
        body = await request.body()
        # Whom the gate knows by a token of ours has shown who he is.
        if not self._keys.is_open and request.principal.kind not in ("user", "service"):
            try:
                self._keys.check(delivery(request, body))
            except errors.UnauthenticatedError as error:
                self._gateway.refused(error)
                raise
        return body

    async def _take(self, event: envelope.NewEvent, key: ports.Idempotency | None) -> web.Response:
        receipt, replayed = await self._gateway.take(event, idempotency=key)
        at = (b"helios-position", b"%d" % receipt.position)
        headers = (at, wire.REPLAYED) if replayed else (at,)
        return web.Response(status=202, body=_encode(receipt), headers=headers)

    async def _take_all(self, kind: str, request: web.Request, body: bytes) -> web.Response:
        arrival = self._gateway.arrival()
        try:
            items = _items(kind, body, arrival)
        except errors.InvalidInputError as error:
            self._gateway.refused(error)
            raise
        for tenant in {item.tenant for item in items if isinstance(item, envelope.NewEvent)}:
            request.principal.require(_INGEST, tenant)
        receipt, replayed = await self._gateway.take_all(
            items, idempotency=idempotency(request, body, _tenant(items))
        )
        if receipt.rejected and not receipt.results:
            first = receipt.rejected[0]
            raise errors.InvalidInputError(
                f"none of {len(receipt.rejected)} events can be taken; the first, number "
                f"{first.index}: {first.reason}",
                field=first.field,
            )
        headers = [wire.position_header(receipt.position)]
        if replayed:
            headers.append(wire.REPLAYED)
        return web.answer(receipt, status=207 if receipt.rejected else 202, headers=headers)


def delivery(request: web.Request, body: bytes) -> providers.Delivery:
    """A request as those who verify see it."""
    return providers.Delivery(
        method=request.method,
        path=request.path,
        headers=tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.scope["headers"]
        ),
        body=body,
    )


def idempotency(request: web.Request, content: bytes, tenant: str) -> ports.Idempotency | None:
    """The client's name for this request, if it gave one.

    Raises:
        InvalidInputError: empty, too long, or not printable ASCII.
    """
    key = request.header(b"idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise errors.InvalidInputError(
            "expected 1 to 255 printable ASCII characters", field="Idempotency-Key"
        )
    return ports.Idempotency(
        scope=f"{tenant}|{request.principal.actor}|{request.method} {request.path}"[
            : 4 * limits.ID_CHARS_MAX
        ],
        key=key,
        request_hash=hashlib.sha256(content).digest(),
    )


def from_cloudevent(event: cloudevents.CloudEvent, now: clocks.Timestamp) -> envelope.NewEvent:
    """The event to append, its time cut where it lies too far in the future."""
    latest = clocks.Timestamp(now + limits.CLOCK_SKEW_S_MAX * clocks.SECOND_US)
    made = cloudevents.to_new_event(event, now, latest=latest)
    incoming.check_source(made.source)
    incoming.check_aggregate(made.aggregate_type)
    incoming.check_size(made.payload, made.metadata)
    return made


def _items(kind: str, body: bytes, arrival: incoming.Arrival) -> list[incoming.Item]:
    if kind in _NDJSON:
        return incoming.parse_lines(body, arrival)
    if kind != cloudevents_wire.BATCH:
        return incoming.parse_array(body, arrival)
    items: list[incoming.Item] = []
    for index, raw in enumerate(incoming.split_array(body)):
        try:
            items.append(from_cloudevent(cloudevents_wire.parse_structured(raw), arrival.now))
        except errors.InvalidInputError as error:
            items.append(incoming.rejected(index, error))
    return items


def _tenant(items: list[incoming.Item]) -> str:
    """Whose batch it is; a mixed one is nobody's in particular."""
    tenants = {item.tenant for item in items if isinstance(item, envelope.NewEvent)}
    return tenants.pop() if len(tenants) == 1 else "*"


def _context(headers: cloudevents_wire.Headers) -> bytes:
    return b"\n".join(
        b"%s: %s" % header
        for header in sorted(headers)
        if header[0].startswith(b"ce-") or header[0] == b"content-type"
    )


def _require(content_type: str | None, *wanted: str) -> None:
    if cloudevents_wire.media_type(content_type) not in wanted:
        found = content_type or "nothing"
        raise problems.MediaTypeError(f"content type {found}; send {' or '.join(wanted)}")
