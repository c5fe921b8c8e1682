"""Makes the events that record dead letters. Pure.

A dead letter's id follows from what it is made of, so a sender that repeats what cannot be taken
makes one letter and not one per try.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.ingest import dead_letters, incoming, receiving
from helios.kernel import clock as clocks
from helios.kernel import limits
from helios.providers import ports as providers

DETAIL_CHARS_MAX = 500
HEADERS_KEPT = 64
HEADER_CHARS_MAX = 1_000
BESIDE_BYTES_MAX = 256 << 10
"""Headers of what was fetched, and what was read of it beside the payload, each. Above: not kept;
without the latter it cannot be tried again and has to be fetched anew."""

ADAPTER_ERROR = "adapter_error"
CONFLICT = "conflict"
INVALID_EVENT = "invalid_event"
SCHEMA = "schema"

MASKED = "***"
"""Stands for the value of a header that proves something; that it was there decides how a delivery
is read."""

_PLAIN = frozenset(
    (
        "accept",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "host",
        "idempotency-key",
        "traceparent",
        "user-agent",
        "x-request-id",
    )
)
_FAMILIES = (
    "aeg-",
    "ce-",
    "foxy-",
    "paypal-",
    "sanity-",
    "shopify-",
    "svix-",
    "webhook-",
    "x-amz-sns-",
    "x-contentful-",
    "x-github-",
    "x-gitlab-",
    "x-hub-",
    "x-shopify-",
    "x-strapi-",
    "x-vendure-",
    "x-wc-webhook-",
)
_SECRET = ("auth", "cookie", "hmac", "key", "password", "secret", "sig", "token")
_NAMED = "header:"
_PATH_CHARS_MAX = 2_000
_SLACK_BYTES = 1 << 10
_IDENTITY = re.compile(r"(^|-)(id|uuid|delivery|key)$")


def kept_headers(
    headers: tuple[tuple[str, str], ...], options: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Those that carry meaning, by a list of names, because what is unknown may be a secret.

    Args:
        headers: as sent.
        options: of the source; a header that they name (`header:NAME`) carries meaning too,
            apart from the one that proves who sends.
    """
    named = dict(_named(options))
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower in _PLAIN or lower.endswith("idempotency-key"):
            is_secret = False
        elif lower.startswith(_FAMILIES) or lower in named:
            is_secret = any(word in lower for word in _SECRET)
        else:
            continue
        is_secret = is_secret or named.get(lower, False)
        kept.append((name, MASKED if is_secret else value[:HEADER_CHARS_MAX]))
    return kept[:HEADERS_KEPT]


def _named(options: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """The headers that options name, and whether what they hold proves something."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _named(value)
        elif isinstance(value, str) and value.startswith(_NAMED):
            yield value.removeprefix(_NAMED).strip().lower(), False
        elif isinstance(value, str) and name.endswith("_header"):
            yield value.lower(), False
    proof = options.get("header")
    if isinstance(proof, str):
        yield proof.lower(), True


def letter_id(
    arrival: receiving.Arrival,
    headers: Sequence[tuple[str, str]],
    *,
    index: int | None = None,
    event_id: str | None = None,
) -> str:
    """The id of the dead letter of a delivery, or of one event of it.

    The body alone does not make it: two events may say the same and be two. What we fetched has a
    place of its own (an offset, a message's id), and is told apart by that.
    """
    named = sorted(h for h in headers if event_id is None and _IDENTITY.search(h[0].lower()))
    place = arrival.origin if event_id is None and arrival.via == "fetched" else None
    parts = (arrival.client_id, arrival.source, arrival.digest, index, event_id, named, place)
    return hashlib.sha256(msgspec.json.encode(_clean(parts))).hexdigest()[:32]


def record(
    arrival: receiving.Arrival,
    *,
    reason: str,
    detail: str,
    index: int | None = None,
    event: envelope.NewEvent | None = None,
    received: providers.Received | None = None,
    options: Mapping[str, Any] | None = None,
) -> envelope.NewEvent:
    """The event that records a dead letter.

    Args:
        arrival: the delivery.
        reason: a word for programs.
        detail: for people, with the place of the fault.
        index: which event of the delivery, when it is one of several.
        event: it, as far as it could be read.
        received: the same in the provider's words; kept where no request can be read again.
        options: of the source.
    """
    delivery = arrival.delivery or providers.Delivery(method="", path="")
    whole, read = arrival.body, None
    if arrival.delivery is None and received is not None:
        read = _read(received, event)
        whole, read = (received.payload, read) if _is_small(read) else (whole, None)
    headers = [*kept_headers(delivery.headers, options or {}), *_beside(arrival)]
    event_id = None if event is None else event.id
    told = dead_letters.Recorded(
        source=arrival.source,
        via=arrival.via,
        reason=reason,
        detail=detail[:DETAIL_CHARS_MAX],
        origin=arrival.origin[:_PATH_CHARS_MAX],
        event_type=None if event is None else event.type[:DETAIL_CHARS_MAX],
        event_id=event_id if event_id is None else event_id[: limits.ID_CHARS_MAX],
        headers=headers,
        method=delivery.method,
        path=_path(delivery.path),
        bytes=len(whole),
        digest=arrival.digest,
        index=index if read is None else None,
        event=read,
    )
    room = limits.EVENT_BYTES_MAX - _size(told) - _SLACK_BYTES
    body = whole[: min(dead_letters.BODY_BYTES_MAX, room * 3 // 4)]
    told = msgspec.structs.replace(
        told, body=base64.b64encode(body).decode(), cut=len(body) < len(whole)
    )
    return control(
        dead_letters.RECORDED,
        told,
        client_id=arrival.client_id,
        letter=letter_id(arrival, headers, index=index, event_id=event_id),
        event_id=None,
        actor=f"provider:{arrival.provider}",
        now=arrival.now,
    )


def of_event(event: envelope.NewEvent, taken: int, now: clocks.Timestamp) -> envelope.NewEvent:
    """The dead letter of an event of the API whose id is taken by another content.

    Its body is the event in the single form, so it can be edited and tried again.
    """
    body = incoming.to_bytes(event)
    said = receiving.digest(msgspec.json.encode((event.type, event.version)) + event.payload)
    arrival = receiving.Arrival(
        client_id=event.tenant,
        source=event.source,
        provider="api",
        environment=None,
        trust=providers.Trust.SIGNED_ID,
        now=now,
        via="api",
        origin="/api/v1/events/ingest",
        body=body,
        digest=said,
    )
    return record(
        arrival,
        reason=CONFLICT,
        detail=f"the id {event.id[:80]} came before with another content, at position {taken}",
        event=event,
    )


def _beside(arrival: receiving.Arrival) -> Sequence[tuple[str, str]]:
    kept = [(name, value[:HEADER_CHARS_MAX]) for name, value in arrival.beside[:HEADERS_KEPT]]
    return kept if _is_small(kept) else ()


def _is_small(value: object) -> bool:
    """Whether it leaves room for a body: a letter that cannot be kept would come for ever."""
    return _size(value) <= BESIDE_BYTES_MAX


def _size(value: object) -> int:
    return len(msgspec.json.encode(_clean(msgspec.to_builtins(value))))


def _read(received: providers.Received, event: envelope.NewEvent | None) -> dead_letters.Event:
    return dead_letters.Event(
        id=received.id or (None if event is None else event.id),
        scope=received.scope,
        type=received.type,
        occurred_at=received.occurred_at,
        time=received.time,
        aggregate_type=received.aggregate_type,
        aggregate_id=received.aggregate_id,
        metadata=received.metadata,
    )


def control(
    event_type: str,
    payload: msgspec.Struct,
    *,
    client_id: str,
    letter: str,
    event_id: str | None,
    actor: str,
    now: clocks.Timestamp,
) -> envelope.NewEvent:
    """An event about a dead letter; `event_id` None: it has the letter's own id."""
    return envelope.NewEvent(
        id=event_id or letter,
        source=dead_letters.SOURCE,
        type=event_type,
        occurred_at=now,
        tenant=client_id,
        aggregate_type=dead_letters.AGGREGATE_TYPE,
        aggregate_id=letter,
        actor=actor,
        payload=msgspec.json.encode(told_clean(payload)),
    )


def told_clean(payload: msgspec.Struct) -> object:
    """The payload with what no log can keep made harmless: NUL, and halves of characters."""
    return _clean(msgspec.to_builtins(payload))


def _clean(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {name: _clean(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value


def _path(path: str) -> str:
    """The path without the values of its query: some senders put their secret there."""
    bare, mark, query = path.partition("?")
    names = [pair.partition("=")[0] for pair in query.split("&") if pair]
    return (bare + mark + "&".join(f"{name}=***" for name in names))[:_PATH_CHARS_MAX]
