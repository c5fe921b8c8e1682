"""What an event is.

An event is an immutable fact in the past tense with everything needed to order, attribute and
replay it. `NewEvent` is what a producer hands in; `Event` is what the log made of it: the same
plus its place (`position`, `sequence`) and the time of append.

Payload and metadata stay the bytes that came in. Most readers need a few fields of them or none,
and what was never parsed and printed again cannot have been altered on the way.
"""

from typing import Any, NewType, TypeAlias

import msgspec

from helios.kernel import clock, tenancy

Position = NewType("Position", int)
"""Global place in the log: 1, 2, 3 … without a gap, in commit order. 0 is before the first."""

AggregateKey: TypeAlias = tuple[str, str, str]
"""(tenant, aggregate_type, aggregate_id): whose events share one sequence."""

DEFAULT_TENANT = "default"


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event to append.

    Attributes:
        id: the producer's event id, unique per tenant and source. (tenant, source, id) is the
            dedup key.
        source: who emitted it: `aws`, `gcp`, a provider's name, `helios`.
        type: event type in the past tense, such as `OrderPlaced`.
        version: version of the type's schema, from 1.
        tenant: the client it belongs to (`client_id` at the API).
        aggregate_type, aggregate_id: what it is about.
        occurred_at: event time, in microseconds.
        actor: who caused it: `user:…`, `service:…`, `provider:…`, `agent:…`.
        correlation_id: the operation it belongs to, or None.
        causation_id: the command or event that caused it, or None.
        payload: a JSON object, as UTF-8 bytes.
        metadata: a JSON object, as UTF-8 bytes: trace context, schema id, environment, CloudEvents
            extensions.
    """

    id: str
    source: str
    type: str
    occurred_at: clock.Timestamp
    aggregate_type: str
    aggregate_id: str
    version: int = 1
    tenant: str = DEFAULT_TENANT
    actor: str = "service:unknown"
    correlation_id: str | None = None
    causation_id: str | None = None
    payload: bytes = b"{}"
    metadata: bytes = b"{}"

    @property
    def aggregate(self) -> AggregateKey:
        return (self.tenant, self.aggregate_type, self.aggregate_id)


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event of the log: `NewEvent` plus its place.

    Attributes:
        position: global place in the log; the order of replay.
        sequence: place within its aggregate, contiguous from 1.
        recorded_at: when it was appended, in microseconds.
    """

    position: Position
    sequence: int
    recorded_at: clock.Timestamp
    id: str
    source: str
    type: str
    occurred_at: clock.Timestamp
    aggregate_type: str
    aggregate_id: str
    version: int = 1
    tenant: str = DEFAULT_TENANT
    actor: str = "service:unknown"
    correlation_id: str | None = None
    causation_id: str | None = None
    payload: bytes = b"{}"
    metadata: bytes = b"{}"

    @property
    def aggregate(self) -> AggregateKey:
        return (self.tenant, self.aggregate_type, self.aggregate_id)

    def data(self) -> dict[str, Any]:
        """The payload as a dictionary, parsed at each call."""
        value: dict[str, Any] = msgspec.json.decode(self.payload)
        return value


def placed(
    event: NewEvent | Event, position: Position, sequence: int, recorded_at: clock.Timestamp
) -> Event:
    """What the log makes of an event by giving it a place."""
    return Event(
        position=position,
        sequence=sequence,
        recorded_at=recorded_at,
        id=event.id,
        source=event.source,
        type=event.type,
        occurred_at=event.occurred_at,
        aggregate_type=event.aggregate_type,
        aggregate_id=event.aggregate_id,
        version=event.version,
        tenant=event.tenant,
        actor=event.actor,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        payload=event.payload,
        metadata=event.metadata,
    )


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events a reader wants; filtered where they are stored. None means all.

    A tuple is a set of alternatives; the fields must all hold, `tenant` and `tenants` too.
    """

    tenant: str | None = None
    tenants: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    sources: tuple[str, ...] | None = None
    aggregate_type: str | None = None
    aggregate_id: str | None = None

    def passes(self, event: Event) -> bool:
        """Whether an event is wanted."""
        return (
            self.passes_tenant(event.tenant)
            and (self.types is None or event.type in self.types)
            and (self.sources is None or event.source in self.sources)
            and (self.aggregate_type is None or event.aggregate_type == self.aggregate_type)
            and (self.aggregate_id is None or event.aggregate_id == self.aggregate_id)
        )

    def passes_tenant(self, tenant: str) -> bool:
        """Whether events of a tenant are wanted."""
        return (self.tenant is None or tenant == self.tenant) and (
            self.tenants is None or tenant in self.tenants
        )

    @property
    def all_of(self) -> tuple[str, ...] | None:
        """The tenants whose events are wanted, by both fields; None: everybody's."""
        if self.tenant is None:
            return self.tenants
        return (self.tenant,) if self.passes_tenant(self.tenant) else ()

    def within(self, scope: tenancy.Scope) -> "Filter":
        """What of it a scope lets through."""
        if scope.tenants is None:
            return self
        asked = self.all_of
        wanted = scope.tenants if asked is None else scope.tenants.intersection(asked)
        return msgspec.structs.replace(self, tenant=None, tenants=tuple(sorted(wanted)))


ALL = Filter()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a read.

    Attributes:
        events: in order of position; may be empty though more follow, where a filter is sparse.
        next_after: read on after this: the last position *scanned* in the same snapshot, never
            merely the last match.
        head: the last position of the log in that snapshot; `next_after == head` means caught up.
    """

    events: list[Event]
    next_after: Position
    head: Position


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """What an append did.

    Attributes:
        positions: of each event, in the order given; a duplicate has that of its first copy.
        sequences: likewise.
        duplicates: whether each event was there before (nothing was appended for it).
        replayed: the idempotency key was known; this is the first answer again.
    """

    positions: list[Position]
    sequences: list[int]
    duplicates: list[bool]
    replayed: bool = False

    @property
    def position(self) -> Position:
        """The position to wait for, to read one's own write."""
        return max(self.positions, default=Position(0))
