"""Events of one declared stack as they come in life, to put a log into a state for a test."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.reconcile.compositions import events, model, writer

CLIENT = "acme-corp"
STACK = "cms-ecom-prod"
DECLARATION = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme-corp, stack_id: cms-ecom-prod, environment: prod}
spec:
  providers:
    cms: {name: strapi, url: https://cms.example.com, secret_ref: env:STRAPI_TOKEN}
  integrations:
    cms-webhook: {provider: cms, events: [entry.publish], url: https://h.example.com/webhook/cms}
  resources:
    site: {kind: http, url: https://www.example.com}
"""
DIGEST = "3f2a9c41" * 8
DRIFT = "d1"
PLAN = "plan-1"
APPROVAL = "approval-1"

_replace = msgspec.structs.replace


def declared(**change: Any) -> writer.Said:
    """That the stack was declared."""
    fields = {
        "stack_id": STACK,
        "uid": "u1",
        "generation": 1,
        "version": "v1.0.0",
        "hash": "a" * 64,
        "text": DECLARATION,
        "environment": "prod",
        **change,
    }
    return events.STACK_DECLARED, events.Declared(**fields)


def drift(now: clocks.Timestamp, **change: Any) -> model.Drift:
    """A webhook that leads elsewhere."""
    found = model.Drift(
        drift_id=DRIFT,
        fingerprint="f" * 32,
        type="integration",
        cause="webhook_broken",
        component="integration/cms-webhook",
        path="/url",
        expected="https://h.example.com/webhook/cms",
        observed="https://elsewhere.example.com",
        severity="medium",
        confidence=0.9,
        state="confirmed",
        detected_at=now,
        last_seen=now,
        confirmed_at=now,
        auto_heal_eligible=True,
        origin=model.Origin(actor="user:eve", channel="webhook", position=7),
        evidence=(model.Evidence(kind="direct_read", witness="probe:strapi", at=now),),
    )
    return _replace(found, **change)


def moved(found: model.Drift, kind: str = events.DRIFT_DETECTED) -> writer.Said:
    """That a drift has moved."""
    return kind, events.DriftMoved(
        event_id="",
        reconciliation_id=None,
        client_id=CLIENT,
        stack_id=STACK,
        drift_type=found.type,
        component=found.component,
        expected=found.expected,
        observed=found.observed,
        severity=found.severity,
        detected_at=clocks.to_rfc3339(found.detected_at),
        auto_heal_eligible=found.auto_heal_eligible,
        drift=found,
    )


def action(**change: Any) -> model.Action:
    """Setting the address of the webhook."""
    found = model.Action(
        id="action-1",
        kind="update_webhook",
        target="integration/cms-webhook",
        params={
            "set": {"url": "https://h.example.com/webhook/cms"},
            "was": {"url": "https://elsewhere.example.com"},
        },
        drift_ids=(DRIFT,),
        reversible=True,
        requires_approval=True,
        approval_reason="policy asks for webhook_broken",
        summary="Set url of the webhook integration/cms-webhook at strapi as declared",
    )
    return _replace(found, **change)


def plan(now: clocks.Timestamp, **change: Any) -> model.Plan:
    """A plan of that one action."""
    found = model.Plan(
        plan_id=PLAN,
        digest=DIGEST,
        client_id=CLIENT,
        stack_id=STACK,
        generation=1,
        desired_version="v1.0.0",
        desired_hash="a" * 64,
        observed_hash="b" * 64,
        observed_cursor=3,
        actions=(action(),),
        blast_radius={"components": 1, "providers": 1, "tenants": 1},
        confidence_min=0.9,
        created_at=now,
        expires_at=clocks.Timestamp(now + 900 * clocks.SECOND_US),
    )
    return _replace(found, **change)


def approval(now: clocks.Timestamp, **change: Any) -> model.Approval:
    """That somebody has to agree to that plan."""
    found = model.Approval(
        approval_id=APPROVAL,
        plan_id=PLAN,
        digest=DIGEST,
        shown=plan(now),
        reason="Set url of the webhook: policy asks for webhook_broken",
        requested_by=events.ACTOR,
        requested_at=now,
        expires_at=clocks.Timestamp(now + 3600 * clocks.SECOND_US),
    )
    return _replace(found, **change)


def planned(now: clocks.Timestamp, **change: Any) -> list[writer.Said]:
    """The stack with a drift, a plan for it, and somebody asked; `change` is of the approval."""
    return [
        declared(),
        moved(drift(now)),
        (events.PLAN_MADE, events.PlanMade(plan=plan(now))),
        (
            events.APPROVAL_REQUESTED,
            events.ApprovalRequested(approval=approval(now, **change)),
        ),
    ]


def observed(generation: int = 1, **change: Any) -> writer.Said:
    """That the stack was looked at and found to be as declared."""
    fields = {
        "generation": generation,
        "expected_hash": "e" * 64,
        "observed_hash": "e" * 64,
        "cursor": 1,
        "presence": {"provider/cms": "present"},
        **change,
    }
    return events.STACK_OBSERVED, events.Observed(**fields)


def completed(reconciliation_id: str, stack_id: str = STACK) -> writer.Said:
    """That a reconciliation ended well."""
    return events.RECONCILIATION_COMPLETED, events.Completed(
        reconciliation_id=reconciliation_id,
        client_id=CLIENT,
        stack_id=stack_id,
        started_at="2026-01-01T00:00:00Z",
        completed_at="2026-01-01T00:00:01Z",
        status="success",
        drift_detected=False,
        drift_count=0,
        auto_heal_attempted=False,
        auto_heal_success_count=0,
    )


def healed(now: clocks.Timestamp, status: str = "started", **change: Any) -> writer.Said:
    """That the action was begun, or has ended."""
    kinds: dict[str, tuple[str, Literal["started", "success", "failed"]]] = {
        "started": (events.HEAL_STARTED, "started"),
        "succeeded": (events.HEAL_SUCCEEDED, "success"),
        "failed": (events.HEAL_FAILED, "failed"),
    }
    kind, told = kinds[status]
    found = model.Heal(
        plan_id=PLAN,
        digest=DIGEST,
        attempt=1,
        actor=events.ACTOR,
        started_at=now,
        **{"action": action(), "status": status, **change},
    )
    return kind, events.HealMoved(
        event_id="",
        reconciliation_id=None,
        client_id=CLIENT,
        stack_id=STACK,
        drift_detail=drift(now),
        heal_action=found.action.kind,
        status=told,
        started_at=clocks.to_rfc3339(now),
        completed_at=None,
        error_message=None,
        heal=found,
    )


async def tell(
    log: log_ports.EventLog,
    said: Sequence[writer.Said],
    *,
    now: clocks.Timestamp,
    id_source: ids.Ids,
    stack_id: str = STACK,
    actor: str = events.ACTOR,
) -> envelope.Position:
    """Append what is said of a stack; where the last of it is."""
    made = []
    for kind, payload in said:
        event_id = id_source.new()
        if isinstance(payload, events.DriftMoved | events.HealMoved):
            payload = _replace(payload, event_id=event_id)  # noqa: PLW2901 - it is told which
        made.append(
            events.of_stack(
                kind,
                CLIENT,
                stack_id,
                payload,
                now=now,
                event_id=event_id,
                because=events.Because(actor=actor),
            )
        )
    return (await log.append(made)).position
