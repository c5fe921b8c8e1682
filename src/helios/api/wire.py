"""Events as the API shows them, and what every listing has in common.

Fields are in snake case. `eventType` is not, because producers send it so: what a `GET` gives can
be posted again, apart from its place in the log.
"""

from collections.abc import Collection, Mapping

import msgspec

from helios.api import problems, web
from helios.eventlog import cursor as cursors
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import cloudevents_wire, errors, jsonio, limits, rfc3339


class AggregateView(msgspec.Struct, frozen=True):
    """What an event is about."""

    type: str
    id: str


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the log."""

    position: int
    event_id: str
    source: str
    event_type: str = msgspec.field(name="eventType")
    version: int
    client_id: str
    aggregate: AggregateView
    sequence: int
    occurred_at: str
    recorded_at: str
    actor: str
    correlation_id: str | None
    causation_id: str | None
    payload: msgspec.Raw
    metadata: msgspec.Raw


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of events; read on with `cursor=next_cursor`. At the head `caught_up` is true."""

    events: list[EventView]
    next_cursor: str
    caught_up: bool


FILTERS = (
    web.Parameter("client_id", "Events of this client only."),
    web.Parameter("type", "Event types, separated by commas."),
    web.Parameter("source", "Sources, separated by commas."),
    web.Parameter("aggregate_type", "Kind of what the events are about."),
    web.Parameter("aggregate_id", "What the events are about; needs aggregate_type."),
)
LIMIT = web.Parameter("limit", f"Most items of a page, 1 to {limits.PAGE_EVENTS_MAX}.", int)
CURSOR = web.Parameter("cursor", "Read on after this place: next_cursor of the page before.")
AFTER = web.Parameter(
    "Helios-After", "Answer once this position is visible, at most 30 s later.", int, "header"
)
IDEMPOTENCY_KEY = web.Parameter(
    "Idempotency-Key",
    "The client's name for this request, at most 255 characters, kept for 24 hours.",
    str,
    "header",
)
FILTER_NAMES = tuple(parameter.name for parameter in FILTERS)


def event(seen: envelope.Event) -> EventView:
    """An event as the API shows it."""
    return EventView(
        position=seen.position,
        event_id=seen.id,
        source=seen.source,
        event_type=seen.type,
        version=seen.version,
        client_id=seen.tenant,
        aggregate=AggregateView(seen.aggregate_type, seen.aggregate_id),
        sequence=seen.sequence,
        occurred_at=clocks.to_rfc3339(seen.occurred_at),
        recorded_at=clocks.to_rfc3339(seen.recorded_at),
        actor=seen.actor,
        correlation_id=seen.correlation_id,
        causation_id=seen.causation_id,
        payload=msgspec.Raw(seen.payload),
        metadata=msgspec.Raw(seen.metadata),
    )


def event_filter(query: dict[str, str]) -> envelope.Filter:
    """The filter that query parameters ask for.

    Raises:
        InvalidInputError: aggregate_id without aggregate_type, or a name that is too long.
    """
    for name in FILTER_NAMES:
        if name in query and not query[name]:
            raise errors.InvalidInputError("empty; leave it out or give it a value", field=name)
    if "aggregate_id" in query and "aggregate_type" not in query:
        raise errors.InvalidInputError("needs aggregate_type too", field="aggregate_id")
    return envelope.Filter(
        tenant=query.get("client_id"),
        types=_set(query.get("type")),
        sources=_set(query.get("source")),
        aggregate_type=query.get("aggregate_type"),
        aggregate_id=query.get("aggregate_id"),
    )


def _set(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(sorted(set(text.split(",")) - {""})) or None


def limit(query: dict[str, str], *, default: int = 100) -> int:
    """The page size asked for.

    Raises:
        InvalidInputError: not a whole number from 1 to the most a page has.
    """
    text = query.get("limit")
    if text is None:
        return default
    return whole(text, "limit", most=limits.PAGE_EVENTS_MAX, least=1)


def whole(text: str, field: str, *, most: int, least: int = 0) -> int:
    """A whole number between bounds.

    Raises:
        InvalidInputError: it is not one.
    """
    if text.isascii() and text.isdecimal() and len(text) <= 19 and least <= int(text) <= most:
        return int(text)
    raise errors.InvalidInputError(
        f"{text[:40]!r}; expected a whole number from {least} to {most}", field=field
    )


def position(query: dict[str, str], log_id: str) -> envelope.Position:
    """The place to read on after.

    Raises:
        CursorError: not a cursor of this log.
    """
    text = query.get("cursor")
    return envelope.Position(0) if text is None else cursors.decode(text, log_id)


def time(query: dict[str, str], name: str) -> clocks.Timestamp | None:
    """A time parameter.

    Raises:
        InvalidInputError: not RFC 3339 with a zone.
    """
    return when(query.get(name), name)


def when(text: str | None, field: str) -> clocks.Timestamp | None:
    """A time that somebody wrote.

    Raises:
        InvalidInputError: not RFC 3339 with a zone; names the field.
    """
    if text is None:
        return None
    try:
        return rfc3339.parse(text)
    except ValueError as error:
        # A plus sign in a query string means a space; senders forget to encode it.
        hint = " (write + as %2B)" if " " in text else ""
        raise errors.InvalidInputError(f"{error}{hint}", field=field) from None


YAML = ("application/yaml", "application/x-yaml")
"""What declarations are sent as. Not text/plain where a declaration runs or calls something: a page
of another origin may post that without asking."""

YAML_OR_TEXT = (*YAML, "text/yaml", "text/x-yaml", "text/plain")
REPLAYED = (b"idempotency-replayed", b"true")


async def document(request: web.Request, bytes_max: int, kinds: Collection[str] = YAML) -> str:
    """The text of a declaration: YAML, or strict JSON.

    Raises:
        MediaTypeError: another content type.
        TooLargeError: more than `bytes_max`.
        InvalidInputError: not UTF-8, or not strict JSON though it says so.
    """
    kind = cloudevents_wire.media_type(request.header(b"content-type"))
    if kind not in ("application/json", *kinds):
        raise problems.MediaTypeError(
            f"content type {kind or 'nothing'}; send application/yaml or application/json"
        )
    body = await request.body(bytes_max)
    if kind == "application/json":
        jsonio.parse_object(body)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise errors.InvalidInputError(f"not UTF-8: byte {error.start}") from error


def client(request: web.Request, *known: str) -> str:
    """The `client_id` of a request; `known` are the other parameters that it may have."""
    return request.query("client_id", *known).get("client_id", envelope.DEFAULT_TENANT)


def client_or_any(request: web.Request) -> str | None:
    """The `client_id` of a request for one thing by its id; None: whosever it is."""
    return request.query("client_id").get("client_id")


def flag(query: Mapping[str, str], name: str) -> bool:
    """A parameter that is `true` or `false`; without it false.

    Raises:
        InvalidInputError: it is neither.
    """
    value = query.get(name, "false")
    if value not in ("true", "false"):
        raise errors.InvalidInputError("expected true or false", field=name)
    return value == "true"


def version_etag(version: int) -> tuple[bytes, bytes]:
    """The header that names a declaration's version, for If-Match."""
    return (b"etag", b'"%d"' % version)


def position_header(at: int) -> tuple[bytes, bytes]:
    """The header with which a write says what to wait for."""
    return (b"helios-position", str(at).encode())


def after_header(request: web.Request) -> envelope.Position | None:
    """The position a read must not be older than, if the client asks for one.

    Raises:
        InvalidInputError: not a position.
    """
    text = request.header(b"helios-after")
    if text is None:
        return None
    return envelope.Position(whole(text, "Helios-After", most=2**63 - 1))
