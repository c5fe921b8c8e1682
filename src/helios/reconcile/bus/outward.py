"""What others are told: the published messages, made of the events of the log.

Pure: an event gives the same messages in every replay, with the same ids. The names of topics,
fields and attributes are those that the systems around Helios agreed on; what is inside Helios may
change without them.
"""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.ingest import normalising
from helios.kernel import clock as clocks
from helios.kernel import jsonio
from helios.projections import folding
from helios.providers import ports as provider_ports
from helios.reconcile.bus import events
from helios.reconcile.compositions import events as stack_events
from helios.reconcile.compositions import model

DRIFT_EVENTS = "blackwell-drift-events"
STATE_EVENTS = "blackwell-state-events"
STATE_COMMANDS = "blackwell-state-commands"
HEAL_EVENTS = "blackwell-heal-events"
CONTENT_EVENTS = "blackwell-content-events"
TOPICS = (DRIFT_EVENTS, STATE_EVENTS, STATE_COMMANDS, HEAL_EVENTS, CONTENT_EVENTS)

Plane: TypeAlias = Literal["control", "observation", "data"]


class DriftMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A drift that was found, or that healing did not mend.

    Attributes:
        timestamp: of the event in the log; `detected_at`: when it was first seen.
        auto_heal_eligible: policy would let it be healed without asking.
        auto_heal_attempted: it was tried.
    """

    event_id: str
    reconciliation_id: str | None
    client_id: str
    stack_id: str
    drift_type: model.DriftType
    component: str
    expected: Any
    observed: Any
    severity: model.Severity
    detected_at: str
    timestamp: str
    auto_heal_eligible: bool
    auto_heal_attempted: bool


class StatePayload(msgspec.Struct, frozen=True, kw_only=True):
    """What a state event says; None where it says nothing of it."""

    drift_type: model.DriftType | None = None
    component: str | None = None
    severity: model.Severity | None = None
    auto_heal_attempted: bool = False
    healing_result: str | None = None


class StateMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """How a state event came about.

    Attributes:
        processing_latency_ms: from the event's time to its append.
        retry_count: tries before this one.
    """

    source_plane: Plane
    processing_latency_ms: int
    retry_count: int = 0


class StateEvent(msgspec.Struct, frozen=True, kw_only=True):
    """How a stack's state moved.

    Attributes:
        sequence_number: of the stack's events, without a gap.
    """

    event_id: str
    correlation_id: str | None
    client_id: str
    stack_id: str
    event_type: Literal["drift_detected", "heal_completed", "state_synced"]
    timestamp: str
    sequence_number: int
    causation_id: str | None
    payload: StatePayload
    metadata: StateMetadata


class ContentMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """More of a changed content, where its provider tells; `change` in Helios' own words."""

    author: str | None = None
    collection: str | None = None
    tags: tuple[str, ...] = ()
    change: str = ""


class ContentChangeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A content that changed at its provider; one that is not public any more is deleted."""

    event_id: str
    client_id: str
    provider_name: str
    event_type: Literal["content.created", "content.updated", "content.deleted"]
    content_id: str
    content_type: str
    timestamp: str
    metadata: ContentMetadata


class AutoHealEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A heal that began or ended."""

    event_id: str
    reconciliation_id: str | None
    client_id: str
    stack_id: str
    drift_detail: model.Drift | None
    heal_action: model.ActionKind
    status: Literal["started", "success", "failed"]
    started_at: str
    completed_at: str | None
    error_message: str | None


Body: TypeAlias = DriftMessage | StateEvent | events.Command | ContentChangeEvent | AutoHealEvent
BODIES: Mapping[str, type[Body]] = {
    DRIFT_EVENTS: DriftMessage,
    STATE_EVENTS: StateEvent,
    STATE_COMMANDS: events.Command,
    HEAL_EVENTS: AutoHealEvent,
    CONTENT_EVENTS: ContentChangeEvent,
}
"""What is published on each topic."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One message on its way.

    Attributes:
        id: of the message; the same in every replay.
        key: messages of one key keep their order where a channel can.
        attributes: to filter by.
        value: what it says.
    """

    topic: str
    id: str
    type: str
    key: str
    attributes: Mapping[str, str]
    value: Body

    @property
    def body(self) -> bytes:
        """The value as JSON."""
        return jsonio.encode(self.value)


class Outward:
    """Says which events are published on which topics, and how; see `messages` and `where`."""

    def where(self, client_id: str, topics: Collection[str]) -> envelope.Filter:
        """The events of a client that these topics are made of."""
        if CONTENT_EVENTS in topics:
            # A provider may call its events what it likes.
            return envelope.Filter(tenant=client_id)
        types = sorted({kind for topic in topics for kind in _MADE[topic]})
        return envelope.Filter(tenant=client_id, types=tuple(types), sources=(stack_events.SOURCE,))

    def messages(self, event: envelope.Event, topics: Collection[str]) -> list[Published]:
        """What is published of an event on these topics; empty: nothing."""
        if event.source != stack_events.SOURCE:
            return content(event) if CONTENT_EVENTS in topics else []
        return [_MADE[t][event.type](event) for t in topics if event.type in _MADE[t]]


@functools.cache
def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema (2020-12) of what is published on each topic."""
    found = {}
    for topic, body in BODIES.items():
        (schema,), components = msgspec.json.schema_components(
            (body,), ref_template="#/$defs/{name}"
        )
        found[topic] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:blackwell:{topic}",
            **schema,
            "$defs": components,
        }
    return found


def content(event: envelope.Event) -> list[Published]:
    """The content changes that an event of a provider tells of."""
    found = normalising.changes(event)
    many = len(found) > 1
    return [_content(event, change, n if many else None) for n, change in enumerate(found)]


_CHANGES: Mapping[
    provider_ports.Change, Literal["content.created", "content.updated", "content.deleted"]
] = {
    "created": "content.created",
    "updated": "content.updated",
    "published": "content.updated",
    "unpublished": "content.deleted",
    "deleted": "content.deleted",
}


def _content(
    event: envelope.Event, change: provider_ports.ContentChange, number: int | None
) -> Published:
    event_id = event.id if number is None else f"{event.id}#{number}"
    kind = _CHANGES[change.change]
    raw = change.content.raw if change.content is not None else {}
    tags = raw.get("tags")
    value = ContentChangeEvent(
        event_id=event_id,
        client_id=event.tenant,
        provider_name=event.source,
        event_type=kind,
        content_id=change.id,
        content_type=change.type,
        timestamp=clocks.to_rfc3339(event.occurred_at),
        metadata=ContentMetadata(
            author=_word(raw.get("author")),
            collection=_word(raw.get("collection")),
            tags=tuple(t for t in tags if isinstance(t, str)) if isinstance(tags, list) else (),
            change=change.change,
        ),
    )
    attributes = {"event_type": kind, "client_id": event.tenant, "provider_name": event.source}
    return Published(
        topic=CONTENT_EVENTS,
        id=event_id,
        type=kind,
        key=f"{change.type}/{change.id}",
        attributes=attributes,
        value=value,
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _drift(event: envelope.Event) -> Published:
    said = folding.payload(event, stack_events.DriftMoved)
    value = DriftMessage(
        event_id=event.id,
        reconciliation_id=said.reconciliation_id,
        client_id=event.tenant,
        stack_id=event.aggregate_id,
        drift_type=said.drift_type,
        component=said.component,
        expected=said.expected,
        observed=said.observed,
        severity=said.severity,
        detected_at=said.detected_at,
        timestamp=clocks.to_rfc3339(event.occurred_at),
        auto_heal_eligible=said.auto_heal_eligible,
        auto_heal_attempted=said.drift.attempts > 0,
    )
    attributes = {"drift_type": said.drift_type, "severity": said.severity}
    return _published(DRIFT_EVENTS, event, "drift_detected", value, attributes)


def _heal(event: envelope.Event) -> Published:
    said = folding.payload(event, stack_events.HealMoved)
    value = AutoHealEvent(
        event_id=event.id,
        reconciliation_id=said.reconciliation_id,
        client_id=event.tenant,
        stack_id=event.aggregate_id,
        drift_detail=said.drift_detail,
        heal_action=said.heal_action,
        status=said.status,
        started_at=said.started_at,
        completed_at=said.completed_at,
        error_message=said.error_message,
    )
    attributes = {"heal_action": said.heal_action, "status": said.status}
    return _published(HEAL_EVENTS, event, f"heal_{said.status}", value, attributes)


def _command(event: envelope.Event) -> Published:
    said = folding.payload(event, events.Command)
    return Published(
        topic=STATE_COMMANDS,
        id=event.id,
        type=said.command_type,
        key=said.stack_id or said.client_id,
        attributes={
            "command_type": said.command_type,
            "client_id": said.client_id,
            "priority": said.priority,
        },
        value=said,
    )


def _state_of_drift(event: envelope.Event) -> Published:
    said = folding.payload(event, stack_events.DriftMoved)
    told = StatePayload(
        drift_type=said.drift_type,
        component=said.component,
        severity=said.severity,
        auto_heal_attempted=said.drift.attempts > 0,
    )
    return _state(event, "drift_detected", told, "observation", said.drift.attempts)


def _state_of_heal(event: envelope.Event) -> Published:
    said = folding.payload(event, stack_events.HealMoved)
    drift = said.drift_detail
    told = StatePayload(
        drift_type=drift.type if drift is not None else None,
        component=drift.component if drift is not None else said.heal.action.target,
        severity=drift.severity if drift is not None else None,
        auto_heal_attempted=True,
        healing_result=said.heal.status,
    )
    return _state(event, "heal_completed", told, "data", max(0, said.heal.attempt - 1))


def _state_of_pass(event: envelope.Event) -> Published:
    said = folding.payload(event, stack_events.Completed)
    told = StatePayload(
        auto_heal_attempted=said.auto_heal_attempted,
        healing_result=said.status if said.auto_heal_attempted else None,
    )
    return _state(event, "state_synced", told, "control", 0)


def _state(
    event: envelope.Event,
    kind: Literal["drift_detected", "heal_completed", "state_synced"],
    told: StatePayload,
    plane: Plane,
    retries: int,
) -> Published:
    value = StateEvent(
        event_id=event.id,
        correlation_id=event.correlation_id,
        client_id=event.tenant,
        stack_id=event.aggregate_id,
        event_type=kind,
        timestamp=clocks.to_rfc3339(event.occurred_at),
        sequence_number=event.sequence,
        causation_id=event.causation_id,
        payload=told,
        metadata=StateMetadata(
            source_plane=plane,
            processing_latency_ms=max(0, event.recorded_at - event.occurred_at) // 1000,
            retry_count=retries,
        ),
    )
    return _published(STATE_EVENTS, event, kind, value, {})


def _published(
    topic: str, event: envelope.Event, kind: str, value: Body, more: Mapping[str, str]
) -> Published:
    attributes = {"event_type": kind, "client_id": event.tenant, **more}
    if event.correlation_id is not None:
        attributes["correlation_id"] = event.correlation_id
    return Published(
        topic=topic,
        id=event.id,
        type=kind,
        key=event.aggregate_id,
        attributes=attributes,
        value=value,
    )


_HEALED = (
    stack_events.HEAL_SUCCEEDED,
    stack_events.HEAL_FAILED,
    stack_events.HEAL_UNVERIFIED,
)
_Make: TypeAlias = Callable[[envelope.Event], Published]
_MADE: Mapping[str, Mapping[str, _Make]] = {
    DRIFT_EVENTS: {stack_events.DRIFT_DETECTED: _drift, stack_events.DRIFT_ESCALATED: _drift},
    STATE_EVENTS: {
        stack_events.DRIFT_DETECTED: _state_of_drift,
        **dict.fromkeys((*_HEALED, stack_events.HEAL_AVOIDED), _state_of_heal),
        stack_events.RECONCILIATION_COMPLETED: _state_of_pass,
    },
    STATE_COMMANDS: {events.COMMAND_ISSUED: _command},
    HEAL_EVENTS: dict.fromkeys((stack_events.HEAL_STARTED, *_HEALED), _heal),
    CONTENT_EVENTS: {},
}
