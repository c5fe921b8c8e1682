"""Drifts as the API shows them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from helios.api import showing
from helios.kernel import clock as clocks
from helios.reconcile.compositions import model, reading

QUIET: frozenset[str] = frozenset(("suspected", "ignored"))
"""States of open drifts that are no alarm."""


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """One witness of what was seen; `supports` is false where it speaks against it.

    Attributes:
        fields: what it speaks of; empty: all that was seen.
    """

    kind: model.EvidenceKind
    witness: str
    at: str
    supports: bool
    fields: list[str]
    detail: str
    event_id: str | None
    position: int | None


class OriginView(msgspec.Struct, frozen=True, kw_only=True):
    """Who brought a drift about and how that came to us, as far as the log tells."""

    actor: str | None
    event_id: str | None
    position: int | None
    channel: str | None


class DriftView(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between what is declared and what is so (DriftDetail).

    Attributes:
        drift_id: the same for the same difference.
        occurrence: 2 when it was closed once and came again.
        path: JSON pointer below the component; empty: the component itself.
        attempts: heals of this occurrence that were begun.
        auto_heal_eligible: policy would let it be healed without asking.
        rule: what makes it ignored.
        origin, evidence: who brought it about, and who saw it.
    """

    drift_id: str
    client_id: str
    stack_id: str
    occurrence: int
    type: model.DriftType
    cause: model.Cause
    component: str
    path: str
    expected: Any
    observed: Any
    severity: model.Severity
    confidence: float
    state: model.DriftState
    reason: str
    detected_at: str
    confirmed_at: str | None
    last_seen: str
    closed_at: str | None
    seen_count: int
    attempts: int
    next_attempt_at: str | None
    auto_heal_eligible: bool
    healable: bool
    plan_id: str | None
    rule: str | None
    fingerprint: str
    origin: OriginView
    evidence: list[EvidenceView]


class DriftStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack differs in now, or all stacks of a client.

    Attributes:
        stack_id: null: of all; then `last_verified` is of the one that was looked at the longest
            time ago, null where one never was.
        drift_count: open drifts that are neither only suspected nor ignored.
        auto_heal_eligible: one of them at least would be healed without asking.
        drift_details: open drifts, the suspected and ignored ones too.
    """

    client_id: str
    stack_id: str | None
    has_drift: bool
    drift_count: int
    last_detected: str | None
    auto_heal_eligible: bool
    last_verified: str | None
    drift_details: list[DriftView]


class DriftList(msgspec.Struct, frozen=True, kw_only=True):
    """Drifts, newest first, closed ones too; read on with `cursor=next_cursor`."""

    drifts: list[DriftView]
    next_cursor: str | None


class DriftHistory(msgspec.Struct, frozen=True, kw_only=True):
    """One drift, and its earlier occurrences, newest first."""

    drift: DriftView
    history: list[DriftView]


def drift(client_id: str, stack_id: str, found: model.Drift) -> DriftView:
    """A drift as it is shown."""
    return DriftView(
        drift_id=found.drift_id,
        client_id=client_id,
        stack_id=stack_id,
        occurrence=found.occurrence,
        type=found.type,
        cause=found.cause,
        component=found.component,
        path=found.path,
        expected=found.expected,
        observed=found.observed,
        severity=found.severity,
        confidence=found.confidence,
        state=found.state,
        reason=found.reason,
        detected_at=clocks.to_rfc3339(found.detected_at),
        confirmed_at=showing.at(found.confirmed_at),
        last_seen=clocks.to_rfc3339(found.last_seen),
        closed_at=showing.at(found.closed_at),
        seen_count=found.seen_count,
        attempts=found.attempts,
        next_attempt_at=showing.at(found.next_attempt_at),
        auto_heal_eligible=found.auto_heal_eligible,
        healable=found.healable,
        plan_id=found.plan_id,
        rule=found.rule,
        fingerprint=found.fingerprint,
        origin=OriginView(**showing.fields(found.origin, OriginView)),
        evidence=[evidence(each) for each in found.evidence],
    )


def evidence(found: model.Evidence) -> EvidenceView:
    """A witness as it is shown."""
    shared = showing.fields(found, EvidenceView)
    about = {"at": clocks.to_rfc3339(found.at), "fields": list(found.fields)}
    return EvidenceView(**{**shared, **about})


def drift_status(known: reading.Known) -> DriftStatus:
    """What a stack differs in, as it is known."""
    state = known.state
    found = sorted(state.drifts.values(), key=_worst_first)
    counted = [each for each in found if each.state not in QUIET]
    return DriftStatus(
        client_id=state.client_id,
        stack_id=state.stack_id,
        has_drift=bool(counted),
        drift_count=len(counted),
        last_detected=showing.at(max((each.detected_at for each in counted), default=None)),
        auto_heal_eligible=any(each.auto_heal_eligible for each in counted),
        last_verified=showing.at(known.last_verified),
        drift_details=[drift(state.client_id, state.stack_id, each) for each in found],
    )


def client_status(client_id: str, found: Sequence[reading.Known]) -> DriftStatus:
    """What all stacks of a client differ in, as it is known."""
    each_one = [drift_status(each) for each in found]
    detected = [each.last_detected for each in each_one if each.last_detected is not None]
    verified = [each.last_verified for each in each_one]
    return DriftStatus(
        client_id=client_id,
        stack_id=None,
        has_drift=any(each.has_drift for each in each_one),
        drift_count=sum(each.drift_count for each in each_one),
        last_detected=max(detected, default=None),
        auto_heal_eligible=any(each.auto_heal_eligible for each in each_one),
        last_verified=min((each for each in verified if each is not None), default=None)
        if None not in verified
        else None,
        drift_details=[drift for each in each_one for drift in each.drift_details],
    )


def _worst_first(found: model.Drift) -> tuple[bool, int, str, str]:
    return (
        found.state in QUIET,
        -model.SEVERITIES.index(found.severity),
        found.component,
        found.path,
    )
