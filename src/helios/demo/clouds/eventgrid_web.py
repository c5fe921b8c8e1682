"""The HTTP side of the Event Grid server: what the SDK calls, and what a portal would be for.

Publishing and pulling are exactly the cloud's. Topics and subscriptions are made under `/manage`,
in a form of our own, since the cloud makes them elsewhere; dead letters lie in the container
`deadletters`, listed and read as in Blob Storage.
"""

import asyncio
import email.utils
import functools
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from xml.sax import saxutils

import msgspec
from starlette import applications, requests, responses, routing

from helios.demo.clouds import drops
from helios.demo.clouds import eventgrid_events as events
from helios.demo.clouds import eventgrid_hooks as hooks
from helios.demo.clouds import eventgrid_push as pushes
from helios.demo.clouds import eventgrid_queue as queues
from helios.demo.clouds import eventgrid_state as states
from helios.kernel import clock as clocks
from helios.kernel import errors

RECEIVE_EVENTS_MAX = 100
WAIT_S = (10, 120)
WAIT_DEFAULT_S = 60
RELEASE_DELAYS_S = (0, 10, 60, 600, 3600)
CONTAINER = "/deadletters"
LIST_MAX = 5_000

S = TypeVar("S", bound=msgspec.Struct)
Handler = Callable[[requests.Request], Awaitable[responses.Response]]


class Tokens(msgspec.Struct):
    """Body of the calls on locked events."""

    lockTokens: list[str]  # noqa: N815 - the cloud's spelling


class Pull(msgspec.Struct, forbid_unknown_fields=True):
    """How a pull subscription is to be made; see `eventgrid_queue.Rules`."""

    lock_s: float = 60
    max_delivery_count: int = 10
    ttl_s: float = 7 * 24 * 3600
    dead_letters: bool = True


class Custom(msgspec.Struct, forbid_unknown_fields=True):
    """How a custom topic is to be made."""

    schema: events.Schema = "EventGridSchema"


class Push(msgspec.Struct, forbid_unknown_fields=True):
    """How a webhook subscription is to be made; see `eventgrid_hooks.Rules`."""

    endpoint: str
    schema: events.Schema = "EventGridSchema"
    max_delivery_attempts: int = 30
    ttl_s: float = 24 * 3600
    batch_max: int = 1
    headers: dict[str, str] = {}


class _RefusedError(Exception):
    """The key is missing or wrong."""


class _MediaTypeError(Exception):
    """The body is of a kind that this topic does not take."""


_STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.NotFoundError, 404, "NotFound"),
    (errors.ConflictError, 409, "Conflict"),
    (errors.TooLargeError, 413, "PayloadTooLarge"),
    (errors.InvalidInputError, 400, "BadRequest"),
    (_RefusedError, 401, "Unauthorized"),
    (_MediaTypeError, 415, "UnsupportedMediaType"),
)


def _json(value: Any, status: int = 200) -> responses.Response:
    return responses.Response(
        msgspec.json.encode(value), status, media_type="application/json; charset=utf-8"
    )


def _guarded(handler: Handler) -> Handler:
    @functools.wraps(handler)
    async def guarded(request: requests.Request) -> responses.Response:
        try:
            return await handler(request)
        except tuple(kind for kind, _, _ in _STATUS) as error:
            for kind, status, code in _STATUS:
                if isinstance(error, kind):
                    told = {"code": code, "message": str(error)}
                    return _json({"error": told}, status)
            raise

    return guarded


async def _decoded(request: requests.Request, kind: type[S]) -> S:
    body = await request.body()
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.InvalidInputError(f"the body: {error}") from None


def _number(request: requests.Request, name: str, default: int, bounds: tuple[int, int]) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not bounds[0] <= int(text) <= bounds[1]:
        raise errors.InvalidInputError(f"{name}: expected {bounds[0]} to {bounds[1]}")
    return int(text)


class Site:
    """The handlers; all of them answer errors as the cloud does."""

    def __init__(
        self, state: states.State, pushing: pushes.Pushing, *, key: str, pace: float
    ) -> None:
        self._state = state
        self._pushing = pushing
        self._key = key
        self._pace = pace
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let nobody wait for events any more."""
        self._closing.set()

    def application(self) -> applications.Starlette:
        """All routes."""
        on = "/topics/{topic}/eventsubscriptions/{name}"
        hook = "/manage/custom-topics/{topic}/eventsubscriptions/{name}"
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/topics/{topic}:publish", self.publish),
            ("POST", on + ":receive", self.receive),
            ("POST", on + ":acknowledge", self.acknowledge),
            ("POST", on + ":release", self.release),
            ("POST", on + ":reject", self.reject),
            ("POST", on + ":renewLock", self.renew),
            ("POST", "/api/events", self.publish_custom),
            ("POST", "/{topic}/api/events", self.publish_custom),
            ("PUT", "/manage/topics/{topic}", self.make_topic),
            ("PUT", "/manage" + on, self.make_subscription),
            ("PUT", "/manage/custom-topics/{topic}", self.make_custom_topic),
            ("PUT", hook, self.make_webhook),
            ("GET", hook, self.show_webhook),
            ("DELETE", hook, self.delete_webhook),
            ("GET", pushes.VALIDATE_PATH, self.validate),
            ("GET", CONTAINER, self.list_dead_letters),
            ("GET", CONTAINER + "/{path:path}", self.dead_letter),
            ("GET", drops.PATH, self.show_dropped),
        ]
        return applications.Starlette(
            routes=[routing.Route(path, _guarded(h), methods=[m]) for m, path, h in table]
        )

    async def publish(self, request: requests.Request) -> responses.Response:
        self._enter(request)
        found = await self._events(request, "CloudEventSchemaV1_0")
        self._state.publish(request.path_params["topic"], found)
        return _json({})

    async def publish_custom(self, request: requests.Request) -> responses.Response:
        if not self._is_key(request.headers.get("aeg-sas-key", "")):
            raise _RefusedError("aeg-sas-key is missing or wrong; nothing else is taken here")
        name = request.path_params.get("topic") or next(iter(self._state.custom_topics), "")
        topic = self._state.custom_topic(name)
        self._state.publish_custom(topic.name, await self._events(request, topic.schema))
        return responses.Response(status_code=200)

    async def receive(self, request: requests.Request) -> responses.Response:
        queue = self._queue(request)
        count = _number(request, "maxEvents", 1, (1, RECEIVE_EVENTS_MAX))
        wait_s = _number(request, "maxWaitTime", WAIT_DEFAULT_S, WAIT_S)
        state = self._state
        give_up = clocks.Timestamp(state.clock.now() + wait_s * clocks.SECOND_US)
        await request.body()
        over = asyncio.Event()
        ending = asyncio.ensure_future(self._end(request, over))
        try:
            while True:
                now = state.clock.now()
                # Who left gets nothing: it would be locked for nobody.
                taken = [] if over.is_set() else queue.receive(now, count=count)
                self._bury(request, queue)
                if taken or now >= give_up or over.is_set():
                    return _json({"value": [_received(locked) for locked in taken]})
                await state.changes.wait(min(queue.next_at() or give_up, give_up))
        finally:
            ending.cancel()

    async def _end(self, request: requests.Request, over: asyncio.Event) -> None:
        """See to it that a wait is over when whoever asked has left, or the server is about to."""
        closing = asyncio.ensure_future(self._closing.wait())
        left = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait({closing, left}, return_when=asyncio.FIRST_COMPLETED)
            over.set()
            self._state.changes.tell()
        finally:
            closing.cancel()
            left.cancel()

    async def acknowledge(self, request: requests.Request) -> responses.Response:
        return await self._settled(request, lambda q, t, now: q.acknowledge(t, now))

    async def release(self, request: requests.Request) -> responses.Response:
        text = request.query_params.get("releaseDelayInSeconds", "0")
        if text not in {str(delay) for delay in RELEASE_DELAYS_S}:
            raise errors.InvalidInputError(f"releaseDelayInSeconds: one of {RELEASE_DELAYS_S}")
        delay_s = int(text)
        return await self._settled(request, lambda q, t, now: q.release(t, now, delay_s=delay_s))

    async def reject(self, request: requests.Request) -> responses.Response:
        return await self._settled(request, lambda q, t, now: q.reject(t, now))

    async def renew(self, request: requests.Request) -> responses.Response:
        return await self._settled(request, lambda q, t, now: q.renew(t, now))

    async def make_topic(self, request: requests.Request) -> responses.Response:
        self._manage(request)
        self._state.create_topic(request.path_params["topic"])
        return _json({}, 201)

    async def make_subscription(self, request: requests.Request) -> responses.Response:
        self._manage(request)
        wanted = await _decoded(request, Pull)
        rules = queues.Rules(
            lock_us=_us(wanted.lock_s),
            attempts_max=wanted.max_delivery_count,
            lifetime_us=_us(wanted.ttl_s),
            dead_letters=wanted.dead_letters,
        )
        path = request.path_params
        self._state.create_subscription(path["topic"], path["name"], rules)
        return _json(wanted, 201)

    async def make_custom_topic(self, request: requests.Request) -> responses.Response:
        self._manage(request)
        wanted = await _decoded(request, Custom)
        self._state.create_custom_topic(request.path_params["topic"], wanted.schema)
        return _json(wanted, 201)

    async def make_webhook(self, request: requests.Request) -> responses.Response:
        self._manage(request)
        wanted = await _decoded(request, Push)
        webhook = await self.subscribe(
            request.path_params["topic"],
            request.path_params["name"],
            wanted,
            url=str(request.base_url).rstrip("/"),
        )
        return _json({"state": webhook.state}, 201)

    async def subscribe(self, topic: str, name: str, wanted: Push, *, url: str) -> states.Webhook:
        """Make a webhook subscription, once the webhook agrees to it.

        Args:
            topic: the custom topic.
            name: of the subscription.
            wanted: how it is to be.
            url: of this server, as the webhook reaches it.

        Raises:
            InvalidInputError: the webhook refused, or a value is out of bounds.
            NotFoundError: there is no such topic.
        """
        target = self._state.custom_topic(topic)
        _check_push(wanted, target)
        rules = hooks.Rules(
            schema=wanted.schema,
            attempts_max=wanted.max_delivery_attempts,
            lifetime_us=_us(wanted.ttl_s),
            batch_max=wanted.batch_max,
            pace=self._pace,
        )
        webhook = states.Webhook(
            topic=topic,
            name=name,
            endpoint=wanted.endpoint,
            hook=hooks.Hook(rules),
            headers=wanted.headers,
        )
        before = target.webhooks.get(name)
        target.webhooks[name] = webhook
        try:
            await self._pushing.validate(webhook, url)
        except errors.InvalidInputError:
            del target.webhooks[name]
            if before is not None:
                target.webhooks[name] = before
            raise
        return webhook

    async def show_webhook(self, request: requests.Request) -> responses.Response:
        self._manage(request)
        webhook = self._state.webhook(request.path_params["topic"], request.path_params["name"])
        shown = {"state": webhook.state, "owed": webhook.hook.owed}
        return _json({"endpoint": webhook.endpoint.partition("?")[0], **shown})

    async def delete_webhook(self, request: requests.Request) -> responses.Response:
        self._manage(request)
        topic, name = request.path_params["topic"], request.path_params["name"]
        webhook = self._state.webhook(topic, name)
        del self._state.custom_topic(topic).webhooks[name]
        await self._pushing.farewell(webhook)
        return responses.Response(status_code=204)

    async def validate(self, request: requests.Request) -> responses.Response:
        query = request.query_params
        proven = self._pushing.called_back(
            query.get("topic", ""), query.get("id", ""), query.get("code", "")
        )
        if not proven:
            raise errors.NotFoundError("nothing waits for this code, or not any more")
        return _json("Webhook successfully validated as a subscription endpoint")

    async def list_dead_letters(self, request: requests.Request) -> responses.Response:
        self._state.advance()
        prefix = request.query_params.get("prefix", "")
        begin = request.query_params.get("marker", "")
        size = _number(request, "maxresults", LIST_MAX, (1, LIST_MAX))
        names = sorted(n for n in self._state.blobs if n.startswith(prefix) and n >= begin)
        after = names[size] if len(names) > size else ""
        blobs = "".join(_listed(self._state.blobs[name]) for name in names[:size])
        body = (
            '<?xml version="1.0" encoding="utf-8"?>'
            f'<EnumerationResults ContainerName="{CONTAINER[1:]}">'
            f"<Prefix>{saxutils.escape(prefix)}</Prefix><Blobs>{blobs}</Blobs>"
            f"<NextMarker>{saxutils.escape(after)}</NextMarker></EnumerationResults>"
        )
        return responses.Response(body, media_type="application/xml")

    async def dead_letter(self, request: requests.Request) -> responses.Response:
        blob = self._state.blobs.get(request.path_params["path"])
        if blob is None:
            raise errors.NotFoundError("no such dead letter")
        return responses.Response(blob.body, media_type="application/json")

    async def show_dropped(self, _request: requests.Request) -> responses.Response:
        return drops.answer(self._state.dropped)

    def _enter(self, request: requests.Request) -> None:
        """Let in who has the key and names a version of the API."""
        self._manage(request)
        if not request.query_params.get("api-version"):
            raise errors.InvalidInputError("api-version is missing in the query")

    def _manage(self, request: requests.Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "SharedAccessKey" or not self._is_key(key):
            raise _RefusedError("expected `Authorization: SharedAccessKey KEY` with the right key")

    def _is_key(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._key.encode())

    async def _events(
        self, request: requests.Request, schema: events.Schema
    ) -> list[dict[str, Any]]:
        content_type = request.headers.get("content-type", "")
        kind = content_type.partition(";")[0].strip().lower()
        if schema == "CloudEventSchemaV1_0" and kind not in events.CLOUD_EVENT_TYPES:
            raise _MediaTypeError(
                f"{kind or 'no content type'}: expected {' or '.join(events.CLOUD_EVENT_TYPES)}"
            )
        return events.parse(await request.body(), content_type, schema)

    def _queue(self, request: requests.Request) -> queues.Queue:
        self._enter(request)
        return self._state.queue(request.path_params["topic"], request.path_params["name"])

    def _bury(self, request: requests.Request, queue: queues.Queue) -> None:
        self._state.bury(request.path_params["topic"], request.path_params["name"], queue)

    async def _settled(
        self,
        request: requests.Request,
        call: Callable[[queues.Queue, list[str], clocks.Timestamp], list[bool]],
    ) -> responses.Response:
        queue = self._queue(request)
        tokens = (await _decoded(request, Tokens)).lockTokens
        done = call(queue, tokens, self._state.clock.now())
        self._bury(request, queue)
        self._state.changes.tell()
        return _json(_told(tokens, done))


async def _left(request: requests.Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _told(tokens: Sequence[str], done: Sequence[bool]) -> dict[str, Any]:
    lost = {"code": "TokenLost", "message": "Token has expired."}
    pairs = list(zip(tokens, done, strict=True))
    return {
        "succeededLockTokens": [token for token, ok in pairs if ok],
        "failedLockTokens": [{"lockToken": token, "error": lost} for token, ok in pairs if not ok],
    }


def _received(locked: queues.Locked) -> dict[str, Any]:
    about = {"lockToken": locked.token, "deliveryCount": locked.delivery_count}
    return {"brokerProperties": about, "event": locked.event}


def _listed(blob: states.Blob) -> str:
    at = email.utils.format_datetime(clocks.to_datetime(blob.at), usegmt=True)
    return (
        f"<Blob><Name>{saxutils.escape(blob.name)}</Name><Properties>"
        f"<Creation-Time>{at}</Creation-Time><Last-Modified>{at}</Last-Modified>"
        f"<Content-Length>{len(blob.body)}</Content-Length>"
        "<Content-Type>application/json</Content-Type><BlobType>BlockBlob</BlobType>"
        "</Properties></Blob>"
    )


def _check_push(wanted: Push, topic: states.CustomTopic) -> None:
    if not wanted.endpoint.startswith(("http://", "https://")):
        raise errors.InvalidInputError("expected a URL", field="endpoint")
    if topic.schema == "CloudEventSchemaV1_0" and wanted.schema != topic.schema:
        raise errors.InvalidInputError(
            "a topic of CloudEvents delivers CloudEvents only", field="schema"
        )
    for field, value, most in (
        ("max_delivery_attempts", wanted.max_delivery_attempts, 30),
        ("batch_max", wanted.batch_max, 5_000),
    ):
        if not 1 <= value <= most:
            raise errors.InvalidInputError(f"expected 1 to {most}", field=field)


def _us(seconds: float) -> int:
    return round(seconds * clocks.SECOND_US)
