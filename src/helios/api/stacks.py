"""Declared stacks as the API shows them.

The records are those of `reconcile.compositions`, with times as RFC 3339 text and with the client
and the stack that they are of.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from helios.api import drifts, plans, showing
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, model, reading, stack


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """One version that was declared; `restores` is the generation whose content it has again."""

    generation: int
    version: str
    hash: str
    declared_at: str
    actor: str
    environment: str
    position: int
    note: str
    restores: int | None
    rejected: bool


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What was declared of a stack and what was done to it, newest first."""

    client_id: str
    stack_id: str
    versions: list[VersionView]
    heals: list[plans.HealView]
    next_cursor: str | None


class ReconciliationResult(events.Completed, frozen=True, kw_only=True):
    """What became of one reconciliation.

    Attributes:
        status: `partial`: something could not be looked at, named in `unknown`.
    """


class ReconciliationList(msgspec.Struct, frozen=True, kw_only=True):
    """Reconciliations that were asked for or changed something, newest first."""

    reconciliations: list[ReconciliationResult]
    next_cursor: str | None


class ConditionView(msgspec.Struct, frozen=True, kw_only=True):
    """One aspect of how a stack stands, and since when; it speaks of `observed_generation`."""

    type: model.ConditionType
    status: str
    reason: str
    message: str
    last_transition: str
    observed_generation: int


class SuspendedView(msgspec.Struct, frozen=True, kw_only=True):
    """That nothing is healed (`heal_only`), or nothing at all is done, until a time."""

    mode: str
    reason: str
    actor: str
    since: str
    until: str | None


class StateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How a stack stands.

    Attributes:
        desired_hash, applied_hash: SHA-256 of what is declared, and of what was last seen to be
            in place; null: nothing was yet.
        generation, observed_generation: of the declaration, and of the one that was last looked
            at.
        drift_details: open drifts that are neither only suspected nor ignored.
        resources: what each resource is called where it is.
        pinned: the generation it stays at; `rejected`: content that must not come again.
        plan_id, approval_id: of the plan at hand, and of the question whether it may be.
        error: why the last pass failed; empty: it did not.
        position: of the last event about the stack, for `Helios-After`.
    """

    client_id: str
    stack_id: str
    environment: str
    state_version: str
    generation: int
    observed_generation: int
    desired_hash: str
    applied_hash: str | None
    status: model.StackStatus
    conditions: list[ConditionView]
    drift_details: list[dict[str, Any]]
    resources: dict[str, str]
    reconciliation_policy: dict[str, Any]
    observability: dict[str, Any]
    previous_versions: list[dict[str, Any]]
    pinned: int | None
    rejected: list[str]
    suspended: SuspendedView | None
    plan_id: str | None
    approval_id: str | None
    last_applied: str | None
    last_verified: str | None
    created_at: str
    updated_at: str
    last_reconciliation: str | None
    error: str
    position: int


class StackSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A stack in a list; `drift_count` as in DriftStatus."""

    client_id: str
    stack_id: str
    environment: str
    state_version: str
    generation: int
    status: model.StackStatus
    drift_count: int
    last_verified: str | None
    updated_at: str


class StackList(msgspec.Struct, frozen=True, kw_only=True):
    """Declared stacks by client and name."""

    stacks: list[StackSummary]
    next_cursor: str | None


def version(state: stack.Stack, found: stack.Version) -> VersionView:
    """A version as it is shown."""
    return VersionView(
        generation=found.generation,
        version=found.version,
        hash=found.hash,
        declared_at=clocks.to_rfc3339(found.declared_at),
        actor=found.actor,
        environment=found.environment,
        position=found.position,
        note=found.note,
        restores=found.restores,
        rejected=found.hash in state.rejected,
    )


def result(found: events.Completed) -> ReconciliationResult:
    """The result of a reconciliation as it is shown."""
    return ReconciliationResult(**showing.fields(found, ReconciliationResult))


def record(known: reading.Known, exported: Mapping[str, Any]) -> StateRecord:
    """How a stack stands; `exported` is `exporting.record` of it."""
    state = known.state
    names = StateRecord.__struct_fields__
    shared = {name: value for name, value in exported.items() if name in names}
    held = state.suspended
    return StateRecord(
        **shared,
        observed_generation=state.observed_generation,
        conditions=[condition(each) for each in state.conditions],
        suspended=None if held is None else _suspended(held),
        plan_id=None if state.plan is None else state.plan.plan_id,
        approval_id=None if state.approval is None else state.approval.approval_id,
        last_reconciliation=state.last_reconciliation or None,
        error=state.error,
        position=state.position,
    )


def condition(found: model.Condition) -> ConditionView:
    """An aspect of a stack as it is shown."""
    fields = showing.fields(found, ConditionView)
    since = clocks.to_rfc3339(found.last_transition)
    return ConditionView(**{**fields, "last_transition": since})


def _suspended(found: stack.Suspension) -> SuspendedView:
    fields = showing.fields(found, SuspendedView)
    times = {"since": clocks.to_rfc3339(found.since), "until": showing.at(found.until)}
    return SuspendedView(**{**fields, **times})


def of_summary(known: reading.Known) -> StackSummary:
    """A stack as in a list."""
    state = known.state
    return StackSummary(
        client_id=state.client_id,
        stack_id=state.stack_id,
        environment=state.environment,
        state_version=state.version,
        generation=state.generation,
        status=state.status,
        drift_count=sum(each.state not in drifts.QUIET for each in state.drifts.values()),
        last_verified=showing.at(known.last_verified),
        updated_at=clocks.to_rfc3339(state.updated_at),
    )


def summary(found: reading.Listed) -> StackSummary:
    """A stack of a list."""
    return StackSummary(
        client_id=found.client_id,
        stack_id=found.stack_id,
        environment=found.environment,
        state_version=found.version,
        generation=found.generation,
        status=found.status,
        drift_count=found.drifts,
        last_verified=showing.at(found.last_verified),
        updated_at=clocks.to_rfc3339(found.updated_at),
    )
