"""Puts records into the payloads that others read. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, lifecycle, model, stack, writer

_ENDS: Mapping[str, tuple[str, Literal["started", "success", "failed"]]] = {
    "started": (events.HEAL_STARTED, "started"),
    "acted": (events.HEAL_ACTED, "started"),
    "succeeded": (events.HEAL_SUCCEEDED, "success"),
    "avoided": (events.HEAL_AVOIDED, "success"),
    "failed": (events.HEAL_FAILED, "failed"),
    "unverified": (events.HEAL_UNVERIFIED, "failed"),
}


def drift(state: stack.Stack, moved: lifecycle.Moved, run_id: str | None) -> writer.Said:
    """The event that a drift has moved."""
    found = moved.drift
    payload = events.DriftMoved(
        event_id="",
        reconciliation_id=run_id,
        client_id=state.client_id,
        stack_id=state.stack_id,
        drift_type=found.type,
        component=found.component,
        expected=found.expected,
        observed=found.observed,
        severity=found.severity,
        detected_at=clocks.to_rfc3339(found.detected_at),
        auto_heal_eligible=found.auto_heal_eligible,
        drift=found,
        previous=moved.previous,
    )
    return (moved.event_type, payload)


def heal(state: stack.Stack, moved: model.Heal, run_id: str | None) -> writer.Said:
    """The event that an action has moved."""
    kind, status = _ENDS[moved.status]
    about = next((d for i in moved.action.drift_ids if (d := state.drifts.get(i))), None)
    ended = moved.ended_at
    payload = events.HealMoved(
        event_id="",
        reconciliation_id=run_id,
        client_id=state.client_id,
        stack_id=state.stack_id,
        drift_detail=about,
        heal_action=moved.action.kind,
        status=status,
        started_at=clocks.to_rfc3339(moved.started_at),
        completed_at=None if ended is None else clocks.to_rfc3339(ended),
        error_message=moved.detail if status == "failed" else None,
        heal=moved,
    )
    return (kind, payload)


def closed(
    state: stack.Stack,
    drift_ids: Sequence[str],
    how: model.DriftState,
    reason: str,
    *,
    now: clocks.Timestamp,
    run_id: str | None,
) -> list[writer.Said]:
    """The events that these drifts are over."""
    return [
        drift(
            state,
            lifecycle.Moved(
                event_type=events.DRIFT_RESOLVED,
                drift=msgspec.structs.replace(
                    found, state=how, closed_at=now, last_seen=now, reason=reason
                ),
                previous=found.state,
            ),
            run_id,
        )
        for drift_id in drift_ids
        if (found := state.drifts.get(drift_id)) is not None
    ]


def failed(
    state: stack.Stack,
    moved: model.Heal,
    next_attempt_at: clocks.Timestamp,
    run_id: str | None,
) -> list[writer.Said]:
    """The events that an action did not help: its own, and one for each drift it was for."""
    said = [heal(state, moved, run_id)]
    for drift_id in moved.action.drift_ids:
        found = state.drifts.get(drift_id)
        if found is None:
            continue
        after = msgspec.structs.replace(
            found,
            state="failed",
            attempts=moved.attempt,
            next_attempt_at=next_attempt_at,
            plan_id=None,
            reason=f"{moved.error_code or moved.status}: {moved.detail}"[:500],
        )
        change = lifecycle.Moved(event_type=events.DRIFT_CHANGED, drift=after, previous=found.state)
        said.append(drift(state, change, run_id))
    return said


def not_done(state: stack.Stack, error: str, now: clocks.Timestamp) -> list[writer.Said]:
    """The events that answer what was asked for where the pass has failed."""
    at = clocks.to_rfc3339(now)
    found = [each for each in state.drifts.values() if each.state not in ("suspected", "ignored")]
    return [
        (
            events.RECONCILIATION_COMPLETED,
            events.Completed(
                reconciliation_id=asked.reconciliation_id,
                client_id=state.client_id,
                stack_id=state.stack_id,
                started_at=at,
                completed_at=at,
                status="failed",
                drift_detected=bool(found),
                drift_count=len(found),
                auto_heal_attempted=False,
                auto_heal_success_count=0,
                errors=(error[:500],),
                trigger=asked.trigger,
            ),
        )
        for asked in state.requested
    ]
