"""What others are told: every field they agreed on, and schemas that hold of it."""

import json
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from helios.eventlog import envelope
from helios.fanout import subscriber
from helios.kernel import clock as clocks
from helios.kernel import jsonio
from helios.reconcile.bus import events, outward
from helios.reconcile.compositions import events as stack_events
from helios.reconcile.compositions import model
from helios.testing import log_samples

NOW = log_samples.T0
LATER = clocks.Timestamp(NOW + 250_000)
DRIFT = model.Drift(
    drift_id="d1",
    fingerprint="f" * 32,
    type="integration",
    cause="webhook_broken",
    component="integration/cms-webhook",
    path="/url",
    expected="https://a",
    observed="https://b",
    severity="medium",
    confidence=0.9,
    state="confirmed",
    detected_at=NOW,
    last_seen=NOW,
    attempts=1,
    auto_heal_eligible=True,
)
ACTION = model.Action(id="a1", kind="update_webhook", target="integration/cms-webhook")
HEAL = model.Heal(
    action=ACTION,
    plan_id="p1",
    digest="d",
    attempt=2,
    actor="x",
    started_at=NOW,
    status="succeeded",
)
MOVED = stack_events.DriftMoved(
    event_id="e",
    reconciliation_id="r1",
    client_id="acme",
    stack_id="cms",
    drift_type="integration",
    component="integration/cms-webhook",
    expected="https://a",
    observed="https://b",
    severity="medium",
    detected_at="2026-01-01T00:00:00Z",
    auto_heal_eligible=True,
    drift=DRIFT,
)
HEALED = stack_events.HealMoved(
    event_id="e",
    reconciliation_id="r1",
    client_id="acme",
    stack_id="cms",
    drift_detail=DRIFT,
    heal_action="update_webhook",
    status="success",
    started_at="2026-01-01T00:00:00Z",
    completed_at="2026-01-01T00:00:01Z",
    error_message=None,
    heal=HEAL,
)
DONE = stack_events.Completed(
    reconciliation_id="r1",
    client_id="acme",
    stack_id="cms",
    started_at="2026-01-01T00:00:00Z",
    completed_at="2026-01-01T00:00:01Z",
    status="success",
    drift_detected=True,
    drift_count=1,
    auto_heal_attempted=True,
    auto_heal_success_count=1,
)
COMMAND = events.Command(
    command_id="c1",
    correlation_id="k",
    client_id="acme",
    stack_id="cms",
    command_type="heal_drift",
    issued_at="2026-01-01T00:00:00Z",
    expires_at="2026-01-01T00:05:00Z",
    priority="high",
    payload=events.Details(healing_action="update_webhook"),
)
OUT = outward.Outward()


def event(kind: str, payload: msgspec.Struct, **given: Any) -> envelope.Event:
    return envelope.Event(
        position=envelope.Position(7),
        sequence=4,
        recorded_at=LATER,
        occurred_at=NOW,
        id="e7",
        source="helios",
        type=kind,
        tenant="acme",
        aggregate_type=stack_events.STACK,
        aggregate_id="cms",
        correlation_id="k",
        causation_id="cause",
        payload=jsonio.encode(payload),
        **given,
    )


def published(seen: envelope.Event, topic: str) -> outward.Published:
    (found,) = OUT.messages(seen, (topic,))
    schema = outward.schemas()[topic]
    jsonschema_rs.validate(schema, json.loads(found.body))
    return found


def test_d30_and_e02_a_drift_on_its_topic() -> None:
    found = published(event(stack_events.DRIFT_DETECTED, MOVED), outward.DRIFT_EVENTS)
    assert json.loads(found.body) == {
        "event_id": "e7",
        "reconciliation_id": "r1",
        "client_id": "acme",
        "stack_id": "cms",
        "drift_type": "integration",
        "component": "integration/cms-webhook",
        "expected": "https://a",
        "observed": "https://b",
        "severity": "medium",
        "detected_at": "2026-01-01T00:00:00Z",
        "timestamp": "2026-01-01T00:00:00Z",
        "auto_heal_eligible": True,
        "auto_heal_attempted": True,
    }
    assert found.attributes["severity"] == "medium"


def test_d47_and_d48_a_state_event_with_its_attributes() -> None:
    found = published(event(stack_events.HEAL_SUCCEEDED, HEALED), outward.STATE_EVENTS)
    assert json.loads(found.body) == {
        "event_id": "e7",
        "correlation_id": "k",
        "client_id": "acme",
        "stack_id": "cms",
        "event_type": "heal_completed",
        "timestamp": "2026-01-01T00:00:00Z",
        "sequence_number": 4,
        "causation_id": "cause",
        "payload": {
            "drift_type": "integration",
            "component": "integration/cms-webhook",
            "severity": "medium",
            "auto_heal_attempted": True,
            "healing_result": "succeeded",
        },
        "metadata": {"source_plane": "data", "processing_latency_ms": 250, "retry_count": 1},
    }
    assert found.attributes == {
        "event_type": "heal_completed",
        "client_id": "acme",
        "correlation_id": "k",
    }


@pytest.mark.parametrize(
    ("kind", "payload", "told", "plane"),
    [
        (stack_events.DRIFT_DETECTED, MOVED, "drift_detected", "observation"),
        (stack_events.HEAL_FAILED, HEALED, "heal_completed", "data"),
        (stack_events.HEAL_UNVERIFIED, HEALED, "heal_completed", "data"),
        (stack_events.HEAL_AVOIDED, HEALED, "heal_completed", "data"),
        (stack_events.RECONCILIATION_COMPLETED, DONE, "state_synced", "control"),
    ],
)
def test_d47_every_kind_of_state_event_says_its_plane(
    kind: str, payload: msgspec.Struct, told: str, plane: str
) -> None:
    found = json.loads(published(event(kind, payload), outward.STATE_EVENTS).body)
    assert (found["event_type"], found["metadata"]["source_plane"]) == (told, plane)


def test_p04_d44_and_d46_a_command_with_its_attributes() -> None:
    found = published(event(events.COMMAND_ISSUED, COMMAND), outward.STATE_COMMANDS)
    said = json.loads(found.body)
    assert said["payload"] == {"healing_action": "update_webhook"}
    assert said["retry_policy"] == {"max_attempts": 3, "backoff_strategy": "exponential"}
    assert found.attributes == {
        "command_type": "heal_drift",
        "client_id": "acme",
        "priority": "high",
    }


@pytest.mark.parametrize("kind", [stack_events.HEAL_STARTED, stack_events.HEAL_SUCCEEDED])
def test_e03_a_heal_on_its_topic(kind: str) -> None:
    found = published(event(kind, HEALED), outward.HEAL_EVENTS)
    said = json.loads(found.body)
    assert said["heal_action"] == "update_webhook"
    assert said["drift_detail"]["drift_id"] == "d1"
    assert set(said) == {
        "event_id",
        "reconciliation_id",
        "client_id",
        "stack_id",
        "drift_detail",
        "heal_action",
        "status",
        "started_at",
        "completed_at",
        "error_message",
    }


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("entry.create", "content.created"),
        ("entry.update", "content.updated"),
        ("entry.publish", "content.updated"),
        ("entry.delete", "content.deleted"),
    ],
)
def test_e01_a_changed_content_of_a_real_provider(kind: str, told: str) -> None:
    payload = {
        "event": kind,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "model": "article",
        "uid": "api::article.article",
        "entry": {
            "id": 1,
            "documentId": "doc1",
            "title": "Hello",
            "author": "ada",
            "tags": ["a", "b"],
            "publishedAt": "2026-01-01T00:00:00.000Z",
            "updatedAt": "2026-01-01T00:00:00.000Z",
        },
    }
    seen = msgspec.structs.replace(
        event(kind, DONE),
        source="blog",
        payload=jsonio.encode(payload),
        metadata=b'{"provider":"strapi"}',
    )
    found = published(seen, outward.CONTENT_EVENTS)
    said = json.loads(found.body)
    assert (said["event_type"], said["provider_name"]) == (told, "blog")
    assert (said["content_id"], said["content_type"]) == ("doc1", "article")
    if told != "content.deleted":
        assert said["metadata"]["author"] == "ada"
        assert said["metadata"]["tags"] == ["a", "b"]


def test_what_is_not_published_is_published_nowhere() -> None:
    quiet = event(stack_events.STACK_OBSERVED, DONE)
    assert OUT.messages(quiet, outward.TOPICS) == []
    foreign = msgspec.structs.replace(event("OrderPlaced", DONE), source="shop")
    assert OUT.messages(foreign, outward.TOPICS) == []


def test_the_filter_of_topics_lets_through_what_they_are_made_of() -> None:
    for topics in ((outward.DRIFT_EVENTS,), (outward.STATE_COMMANDS, outward.HEAL_EVENTS)):
        where = OUT.where("acme", topics)
        assert where.sources == ("helios",)
        for kind, payload in (
            (stack_events.DRIFT_DETECTED, MOVED),
            (stack_events.HEAL_STARTED, HEALED),
            (events.COMMAND_ISSUED, COMMAND),
            (stack_events.STACK_OBSERVED, DONE),
        ):
            seen = event(kind, payload)
            assert where.passes(seen) == bool(OUT.messages(seen, topics))
    assert OUT.where("acme", (outward.CONTENT_EVENTS,)) == envelope.Filter(tenant="acme")


def test_the_topics_of_declarations_are_those_that_are_published() -> None:
    assert set(subscriber.TOPICS) == set(outward.TOPICS) == set(outward.BODIES)
