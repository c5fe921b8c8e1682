"""The events that say what was done about verdicts that are not matched.

Their ids are made from the verdict and the step, so that a step that is taken again after a crash,
or by two processes at once, is in the log once.
"""

import hashlib
from decimal import Decimal
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import limits
from helios.reconcile.streams import missing, verdicts

SOURCE = "helios"
AGGREGATE_TYPE = "repair"
ATTEMPTED = "reconciliation.repair_attempted"
CLOSED = "reconciliation.repair_closed"
ALERTED = "reconciliation.alerted"
TYPES = (ATTEMPTED, CLOSED, ALERTED)

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `ATTEMPTED`: a source was asked for the events of a leg.

    Attributes:
        version, window_id, revision, position: of the verdict.
        attempt: 1 for the first of this verdict and leg.
        detail: for people: what came, or why nothing did.
    """

    contract: str
    version: int
    key: str
    window_id: int
    revision: int
    position: int
    verdict: str
    leg: str
    attempt: int
    outcome: missing.Outcome
    detail: str


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `CLOSED`: nothing more is tried for a verdict that sources were asked for."""

    contract: str
    key: str
    verdict: str
    reason: str


class Alerted(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `ALERTED`: somebody is told of one verdict, or of many at once.

    Attributes:
        count: verdicts it tells of.
        key, verdict, status: None when it tells of many.
        after, upto: those many are the verdicts of this contract and version behind position
            `after` and up to `upto` that were not told one by one.
        asking: legs whose sources could be asked then; partial verdicts that miss one of these
            are not among the many.
    """

    contract: str
    version: int
    count: int
    reason: str
    key: str | None = None
    verdict: str | None = None
    status: verdicts.Status | None = None
    position: int = 0
    missing_events: list[str] = []
    validation_errors: dict[str, dict[str, Any]] = {}
    after: int = 0
    upto: int = 0
    asking: list[str] = []


decode_attempted = msgspec.json.Decoder(Attempted).decode
decode_closed = msgspec.json.Decoder(Closed).decode
decode_alerted = msgspec.json.Decoder(Alerted, float_hook=Decimal).decode


def attempted(
    verdict: verdicts.Verdict,
    ask: missing.Ask,
    outcome: missing.Outcome,
    detail: str,
    now: clocks.Timestamp,
) -> envelope.NewEvent:
    """The event that a source was asked, or could not be."""
    said = Attempted(
        contract=verdict.contract,
        version=verdict.contract_version,
        key=verdict.key,
        window_id=verdict.window_id,
        revision=verdict.revision,
        position=verdict.position,
        verdict=verdict.id,
        leg=ask.leg,
        attempt=ask.number,
        outcome=outcome,
        detail=detail,
    )
    step = f"attempt {ask.leg} {ask.number}"
    return _event(ATTEMPTED, (verdict.tenant, verdict.id, step), said, now)


def closed(tenant: str, said: Closed, now: clocks.Timestamp) -> envelope.NewEvent:
    """The event that nothing more is tried for a verdict."""
    return _event(CLOSED, (tenant, said.verdict, "close"), said, now)


def alerted(verdict: verdicts.Verdict, reason: str, now: clocks.Timestamp) -> envelope.NewEvent:
    """The event that tells of one verdict."""
    said = Alerted(
        contract=verdict.contract,
        version=verdict.contract_version,
        count=1,
        reason=reason,
        key=verdict.key,
        verdict=verdict.id,
        status=verdict.status,
        position=verdict.position,
        missing_events=verdict.missing_events,
        validation_errors=verdict.validation_errors,
    )
    return _event(ALERTED, (verdict.tenant, verdict.id, "alert"), said, now)


def summarised(tenant: str, said: Alerted, now: clocks.Timestamp) -> envelope.NewEvent:
    """The event that tells of many verdicts at once."""
    name = f"{said.contract}/v{said.version}"
    return _event(ALERTED, (tenant, name, f"summary {said.after}"), said, now)


def _event(
    kind: str, about: tuple[str, str, str], said: msgspec.Struct, now: clocks.Timestamp
) -> envelope.NewEvent:
    """An event about (tenant, subject, step)."""
    tenant, subject, step = about
    name = subject if len(subject) <= limits.ID_CHARS_MAX else _digest(subject)
    return envelope.NewEvent(
        id="repair-" + _digest(f"{subject}\n{step}"),
        source=SOURCE,
        type=kind,
        tenant=tenant,
        occurred_at=now,
        aggregate_type=AGGREGATE_TYPE,
        aggregate_id=name,
        actor="service:helios",
        correlation_id=name,
        payload=_encode(said),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]
