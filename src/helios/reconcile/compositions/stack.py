"""How one stack stands: the fold of its events.

`evolve` is pure and total: the same events give the same state in every process, in a rebuild and
in the simulation. What decides (`lifecycle`, `deciding`, `planning`) reads this state and returns
events; nothing else changes it.
"""

from collections.abc import Mapping

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, model, policy
from helios.reconcile.compositions.predicting import prediction as foreseen

VERSIONS_KEPT = 100
CLOSED_KEPT = 200
"""Closed drifts remembered for a stack, for occurrences and fights. Above: the oldest go."""
HEALS_KEPT = 50
"""Ended heals remembered for a stack, for budgets, fights and verification."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version that was declared.

    Attributes:
        position: of its declaration in the log, where its text is.
    """

    generation: int
    version: str
    hash: str
    declared_at: clocks.Timestamp
    actor: str
    environment: str
    position: int
    note: str = ""
    restores: int | None = None


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a closed drift.

    Attributes:
        closed: how it ended the last time.
        healed: when it was healed, newest last, at most 20.
    """

    occurrence: int
    closed: model.DriftState
    closed_at: clocks.Timestamp
    healed: tuple[clocks.Timestamp, ...] = ()


class Suspension(msgspec.Struct, frozen=True, kw_only=True):
    """That a stack is suspended; see `events.Suspended`."""

    mode: str
    reason: str
    actor: str
    since: clocks.Timestamp
    until: clocks.Timestamp | None = None

    def holds(self, now: clocks.Timestamp) -> bool:
        return self.until is None or now < self.until


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The event that was last said of something, so that what follows can name it as its cause.

    Attributes:
        position: None: it is being appended just now.
        correlation_id: the operation it belongs to.
        traceparent: its W3C trace context.
    """

    event_id: str
    position: int | None = None
    correlation_id: str | None = None
    traceparent: str | None = None


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """How one stack stands.

    Attributes:
        uid: of this incarnation; empty: it was never declared.
        sequence, position: of the last event of its aggregate.
        applied_hash, applied_generation, last_applied: what was declared when the stack was last
            seen to be as declared.
        rejected: hashes of content that must not be declared again.
        pinned: generation that it stays at; None: it is not pinned.
        expected_hash, observed_hash: equal: no drift; empty: not looked at yet.
        drifts: open ones, by id.
        past: closed ones, by id.
        approval: of the present plan.
        ordered: digest of the plan that somebody has ordered to be carried out.
        ordered_by: who last asked for healing.
        heals: open ones first in time, then ended ones are dropped beyond `HEALS_KEPT`.
        baseline: fingerprints of drifts that are known; until when.
        requested: asked for and not completed, oldest first.
        predictions: open ones, by component and horizon (`Prediction.key`).
        onsets: when each component has begun to drift, the last times, by address.
        foretold: predictions that have ended, newest last; `foresight` counts all of them.
        marks: the last event of each thing that is still open, by its subject (`causing`).
    """

    client_id: str
    stack_id: str
    uid: str = ""
    generation: int = 0
    version: str = ""
    sequence: int = 0
    position: int = 0
    hash: str = ""
    environment: str = "prod"
    created_at: clocks.Timestamp = clocks.Timestamp(0)
    updated_at: clocks.Timestamp = clocks.Timestamp(0)
    declared_at: clocks.Timestamp = clocks.Timestamp(0)
    declared_position: int = 0
    declared_event: str = ""
    declared_by: str = ""
    removed: bool = False
    versions: tuple[Version, ...] = ()
    applied_hash: str = ""
    applied_generation: int = 0
    last_applied: clocks.Timestamp | None = None
    rejected: tuple[str, ...] = ()
    pinned: int | None = None
    policy_hash: str = ""
    policy_position: int = 0
    rules: tuple[policy.IgnoreRule, ...] = ()
    baseline: tuple[str, ...] = ()
    baseline_until: clocks.Timestamp | None = None
    suspended: Suspension | None = None
    observed_generation: int = 0
    expected_hash: str = ""
    observed_hash: str = ""
    observed_cursor: int = 0
    presence: Mapping[str, model.Presence] = {}
    unknown: tuple[str, ...] = ()
    detail: Mapping[str, str] = {}
    drifts: Mapping[str, model.Drift] = {}
    past: Mapping[str, Past] = {}
    plan: model.Plan | None = None
    approval: model.Approval | None = None
    ordered: str = ""
    ordered_by: str = ""
    heals: tuple[model.Heal, ...] = ()
    status: model.StackStatus = "reconciling"
    conditions: tuple[model.Condition, ...] = ()
    failures: int = 0
    error: str = ""
    requested: tuple[events.Requested, ...] = ()
    last_reconciliation: str = ""
    marks: Mapping[str, Mark] = {}
    predictions: Mapping[str, foreseen.Prediction] = {}
    onsets: Mapping[str, tuple[clocks.Timestamp, ...]] = {}
    foretold: tuple[foreseen.Ended, ...] = ()
    foresight: foreseen.Record = foreseen.Record()

    @property
    def is_declared(self) -> bool:
        return bool(self.uid) and not self.removed

    @property
    def key(self) -> envelope.AggregateKey:
        return (self.client_id, events.STACK, self.stack_id)

    def open_heals(self) -> tuple[model.Heal, ...]:
        """Actions that were begun and have not ended."""
        return tuple(heal for heal in self.heals if heal.is_open)

    def condition(self, kind: model.ConditionType) -> model.Condition | None:
        """One aspect; None: it was never told."""
        return next((each for each in self.conditions if each.type == kind), None)

    def is_suspended(self, now: clocks.Timestamp) -> bool:
        return self.suspended is not None and self.suspended.holds(now)
