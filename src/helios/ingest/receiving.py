"""From what a delivery holds to events that may be appended. Pure.

What makes two deliveries the same event is decided here, by how far the provider's id can be
trusted (`providers.ports.Trust`), and told to the log in its own terms: the id of the event, and
for ids that nothing signs an idempotency key made of the body. So whatever is decided holds for
every door and every process, and no cache can forget it.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from helios.eventlog import envelope, ports
from helios.ingest import dead_letters, incoming
from helios.kernel import clock as clocks
from helios.kernel import limits
from helios.providers import ports as providers

_DIGEST_CHARS = 32
ASKED = "asked "
"""How the origin of an event begins that somebody was asked for, before who that was."""

_COMPARED = (providers.Trust.HEADER_ID, providers.Trust.SIGNED_ID_WEAK_DIGEST)
_encode = msgspec.json.Encoder().encode

Judgement: TypeAlias = Literal["same", "conflict", "other_scope"]


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery: where it came from, how, when; what all its events have in common.

    Attributes:
        client_id, source, provider, environment: of the declared source.
        trust: what the provider's ids are worth.
        now: time of arrival.
        via, origin: by which door, and where exactly; no secret.
        body: the raw bytes.
        digest: SHA-256 of the raw bytes as they were sent first, in hex.
        verified: how it was told to be authentic; None for what we fetched ourselves.
        attempt: which try of the sender it is, if it says so.
        delivery: the request it came in, if it was one.
        beside: what came beside the body of what we fetched, to read it again; no secret.
        letter: the dead letter that is tried again, if it is one.
        kept_id: the id that its event had, where that was made of the body.
        traceparent: W3C trace context of the sender, if it sends one.
    """

    client_id: str
    source: str
    provider: str
    environment: str | None
    trust: providers.Trust
    now: clocks.Timestamp
    via: dead_letters.Via
    origin: str
    body: bytes
    digest: str
    verified: providers.Verified | None = None
    attempt: int | None = None
    delivery: providers.Delivery | None = None
    beside: tuple[tuple[str, str], ...] = ()
    letter: str | None = None
    kept_id: str | None = None
    traceparent: str | None = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is to be appended, and what tells it from others of its id.

    Attributes:
        event: as it will stand in the log.
        scope: what its id is unique within, if that is less than the source.
        digest: of its delivery.
        compared: whether another body under the same id is a conflict.
    """

    event: envelope.NewEvent
    scope: str | None
    digest: str
    compared: bool


class _Kept(msgspec.Struct):
    """What the metadata of an event say of the delivery it came in."""

    scope: str | None = None
    digest: str | None = None
    origin: str = ""


_kept = msgspec.json.Decoder(_Kept).decode


def digest(body: bytes) -> str:
    """SHA-256 of raw bytes, in hex."""
    return hashlib.sha256(body).hexdigest()


def candidates(received: Sequence[providers.Received], arrival: Arrival) -> list[Candidate]:
    """The events that a delivery holds, as they are to be appended."""
    alone = len(received) == 1
    compared = arrival.trust in _COMPARED
    common = _common(arrival)
    return [
        Candidate(
            event=_event(one, arrival, common, _event_id(one, arrival, alone=alone)),
            scope=one.scope,
            digest=arrival.digest,
            compared=compared,
        )
        for one in received
    ]


def digest_key(
    received: Sequence[providers.Received], arrival: Arrival
) -> ports.Idempotency | None:
    """The key by which the log finds out a body that comes again under another id.

    Only where the id stands in a header that nothing signs. The same body about another topic is
    not the same, since providers do send one state under several topics.
    """
    if arrival.trust is not providers.Trust.HEADER_ID or not received:
        return None
    topics = [(one.scope, one.type) for one in received]
    ids = [one.id for one in received]
    return ports.Idempotency(
        scope=f"{arrival.client_id}|{arrival.source}|digest",
        key=hashlib.sha256(_encode((arrival.digest, topics))).hexdigest(),
        request_hash=hashlib.sha256(_encode(ids)).digest(),
        ttl_s=limits.DIGEST_TTL_S,
    )


def judge(candidate: Candidate, kept: envelope.Event) -> Judgement:
    """What it means that an event of this id is there already."""
    try:
        said = _kept(kept.metadata)
    except msgspec.DecodeError:
        said = _Kept()
    # Who was asked for an event does not know the scopes of the queue that lost it.
    was_asked = said.origin.startswith(ASKED)
    if candidate.scope is not None and said.scope != candidate.scope and not was_asked:
        return "other_scope"
    if candidate.compared and said.digest != candidate.digest:
        return "conflict"
    return "same"


def scoped(candidate: Candidate) -> Candidate:
    """The same under an id that names its scope: the plain one is taken by another scope's."""
    assert candidate.scope is not None
    event_id = f"{candidate.scope}|{candidate.event.id}"
    if len(event_id) > limits.ID_CHARS_MAX:
        event_id = f"sha256:{digest(event_id.encode())}"
    event = msgspec.structs.replace(candidate.event, id=event_id)
    return msgspec.structs.replace(candidate, event=event)


def _event_id(received: providers.Received, arrival: Arrival, *, alone: bool) -> str:
    if received.id and arrival.trust is not providers.Trust.WEAK_ID:
        return received.id
    if arrival.kept_id is not None:
        return arrival.kept_id
    of_item = arrival.digest if alone else digest(received.payload)
    return f"{received.id or ''}:{of_item[:_DIGEST_CHARS]}"


def _common(arrival: Arrival) -> dict[str, Any]:
    """What the metadata of every event of a delivery say; it wins over what the provider says."""
    made: dict[str, Any] = {"provider": arrival.provider, "origin": arrival.origin}
    if arrival.environment is not None:
        made["environment"] = arrival.environment
    if arrival.verified is not None:
        verified = {"scheme": arrival.verified.scheme, "secret": arrival.verified.secret}
        made["verified_by"] = verified
    if arrival.attempt is not None:
        made["attempt"] = arrival.attempt
    if arrival.letter is not None:
        made["dead_letter"] = arrival.letter
    if arrival.traceparent is not None:
        made["traceparent"] = arrival.traceparent
    made["digest"] = arrival.digest
    return made


def _event(
    received: providers.Received, arrival: Arrival, common: dict[str, Any], event_id: str
) -> envelope.NewEvent:
    metadata = {**received.metadata, **common}
    if received.scope is not None:
        metadata["scope"] = received.scope
    occurred_at = received.occurred_at
    if occurred_at is None:
        occurred_at = arrival.now
    else:
        occurred_at, claimed = incoming.cap_future(occurred_at, arrival.now)
        if claimed is not None:
            metadata["claimed_occurred_at"] = received.time or clocks.to_rfc3339(claimed)
    aggregate_type, aggregate_id = received.aggregate_type, received.aggregate_id
    if aggregate_type is not None and aggregate_type.startswith(incoming.OWN_AGGREGATES):
        aggregate_type = aggregate_id = None
    return envelope.NewEvent(
        id=event_id,
        source=arrival.source,
        type=received.type,
        tenant=arrival.client_id,
        aggregate_type=aggregate_type or incoming.SOURCE_AGGREGATE,
        aggregate_id=aggregate_id or arrival.source,
        occurred_at=occurred_at,
        actor=f"provider:{arrival.provider}",
        payload=received.payload,
        metadata=_encode(metadata),
    )
