"""Stacks as the log tells of them: how each stands, and what was found, planned and done.

A stack's row holds its whole state (`stack.Stack`, folded by `evolving`), with columns for what is
asked of many stacks at once: who drifted is one indexed query. The other tables list drifts,
plans, approvals, heals and reconciliations one by one. Guards are folded per client.

The fold reads the states that a page of events is about, and keeps a bounded number of them.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import errors, jsonio
from helios.projections import folding, ports
from helios.reconcile.compositions import (
    document,
    events,
    evolving,
    guard_events,
    guards,
    model,
    policy_document,
    stack,
    verified,
)
from helios.reconcile.compositions import tables as stack_tables

NAME = "stacks"
STATES_KEPT = 2_000
"""States of stacks that the fold keeps between pages. Above: the one unused longest is read again
when it is needed."""

_log = structlog.get_logger("helios.stacks")
_encode = jsonio.encode
_GUARDED = frozenset(guards.TYPES)
_Name = tuple[str, str]


class StacksView:
    """The projection; see the module."""

    name = NAME
    version = 1
    tables = stack_tables.TABLES
    tenancy = stack_tables.TENANCY
    volatile: Sequence[str] = ()
    keys = stack_tables.KEYS
    where = envelope.Filter(
        sources=(events.SOURCE,),
        types=(*events.STACK_TYPES, *guard_events.TYPES, verified.TYPE),
    )
    schema = stack_tables.SCHEMA
    indexes = stack_tables.INDEXES

    def apply(self, found: Sequence[envelope.Event]) -> list[ports.Write]:
        """Not used: this view reads what it wrote, see `begin`."""
        raise NotImplementedError

    async def begin(
        self, slot: ports.Slot, log: log_ports.EventLog, store: ports.ViewStore
    ) -> "Fold":
        """Go on from a copy's checkpoint."""
        del log
        return Fold(slot, store)


VIEW = StacksView()


class Fold:
    """Folds pages; see `ports.Fold`."""

    def __init__(self, slot: ports.Slot, store: ports.ViewStore) -> None:
        self._slot = slot
        self._store = store
        self._states: OrderedDict[_Name, stack.Stack] = OrderedDict()
        self._guards: dict[str, guards.Guards] = {}

    async def apply(
        self, events_: Sequence[envelope.Event], upto: envelope.Position
    ) -> Sequence[ports.Write]:
        del upto
        await self._find(events_)
        writes: list[ports.Write] = []
        touched: dict[_Name, None] = {}
        watched: dict[str, None] = {}
        for event in events_:
            if event.type == verified.TYPE:
                writes += self._flushed(touched)
                writes.append(_verified(event))
                continue
            if event.aggregate_type == events.STACK:
                name = (event.tenant, event.aggregate_id)
                self._states[name] = evolving.evolve(self._states[name], event)
                touched[name] = None
                writes += _DETAILS.get(event.type, _nothing)(event, self._states[name])
            if event.type in _GUARDED:
                self._watch(event)
                watched |= dict.fromkeys((event.tenant, guard_events.SYSTEM_TENANT))
        writes += self._flushed(touched)
        rows = [(tenant, _text(self._guards[tenant])) for tenant in watched]
        if rows:
            writes.append(ports.Write(stack_tables.PUT_GUARD, rows))
        return writes

    def committed(self) -> None:
        while len(self._states) > STATES_KEPT:
            self._states.popitem(last=False)

    def _watch(self, event: envelope.Event) -> None:
        """Fold an event into the guards of its client, and into those that hold for all."""
        shared, tenant = guard_events.SYSTEM_TENANT, event.tenant
        self._guards[shared] = guards.evolve_shared(self._guards[shared], event)
        if tenant != shared:
            self._guards[tenant] = guards.evolve(self._guards[tenant], event)

    def _flushed(self, touched: dict[_Name, None]) -> list[ports.Write]:
        if not touched:
            return []
        rows = [_row(self._states[name]) for name in touched]
        touched.clear()
        return [ports.Write(stack_tables.PUT_STACK, rows)]

    async def _find(self, events_: Sequence[envelope.Event]) -> None:
        """Have the states that a page is about at hand."""
        for event in events_:
            if event.aggregate_type == events.STACK:
                name = (event.tenant, event.aggregate_id)
                if name in self._states:
                    self._states.move_to_end(name)
                else:
                    self._states[name] = await self._state(name)
            if event.type in _GUARDED:
                for tenant in (event.tenant, guard_events.SYSTEM_TENANT):
                    if tenant not in self._guards:
                        self._guards[tenant] = await self._guard(tenant)

    async def _state(self, name: _Name) -> stack.Stack:
        sql = "SELECT state FROM {t}stacks WHERE tenant = ? AND stack = ?"
        found = await self._store.query_slot(self._slot, sql, name)
        if not found:
            return evolving.empty(*name)
        return msgspec.json.decode(found[0][0], type=stack.Stack)

    async def _guard(self, tenant: str) -> guards.Guards:
        sql = "SELECT state FROM {t}guards WHERE tenant = ?"
        found = await self._store.query_slot(self._slot, sql, (tenant,))
        if not found:
            return guards.Guards()
        return msgspec.json.decode(found[0][0], type=guards.Guards)


def _text(value: Any) -> str:
    return _encode(value).decode()


def _row(state: stack.Stack) -> ports.Row:
    drifts = sum(drift.state not in ("suspected", "ignored") for drift in state.drifts.values())
    return (
        state.client_id,
        state.stack_id,
        state.uid,
        state.generation,
        state.version,
        state.sequence,
        state.position,
        state.environment,
        state.hash,
        state.expected_hash,
        state.observed_hash,
        drifts,
        state.status,
        int(state.removed),
        state.updated_at,
        _text(state),
    )


def _verified(event: envelope.Event) -> ports.Write:
    said = folding.payload(event, verified.Verified)
    return ports.Write(
        stack_tables.VERIFY, [(at, event.tenant, name) for name, at in said.stacks.items()]
    )


def _nothing(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    del event, state
    return []


def _declared(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    said = folding.payload(event, events.Declared)
    try:
        parsed = document.parse(said.text)
        declared = _text(msgspec.structs.replace(parsed, text="", document={}))
    except errors.InvalidInputError as error:
        # Another version of Helios declared it; the stack then stands still and says why.
        _log.warning("stack_unreadable", stack=event.aggregate_id, error=str(error))
        declared = ""
    row = (event.tenant, event.aggregate_id, said.generation, said.text, declared)
    return [ports.Write(stack_tables.PUT_TEXT, [row]), *_superseded(event, state)]


def _policy(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    del state
    said = folding.payload(event, events.PolicyDeclared)
    declared = ""
    if said.text:
        try:
            declared = _text(policy_document.parse(said.text))
        except errors.InvalidInputError as error:
            _log.warning("policy_unreadable", stack=event.aggregate_id, error=str(error))
    return [
        ports.Write(
            stack_tables.PUT_POLICY, [(event.tenant, event.aggregate_id, said.text, declared)]
        )
    ]


def _drift(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    return _drifts(event, state, [folding.payload(event, events.DriftMoved).drift])


def _drifts(
    event: envelope.Event, state: stack.Stack, found: Sequence[model.Drift]
) -> list[ports.Write]:
    rows = []
    for drift in found:
        current = state.drifts.get(drift.drift_id, drift)
        closed_at = 0 if current.is_open else event.occurred_at
        rows.append(
            (
                event.tenant,
                event.aggregate_id,
                current.drift_id,
                current.occurrence,
                current.state,
                current.type,
                current.cause,
                current.component,
                current.path,
                current.severity,
                current.detected_at,
                current.confirmed_at or 0,
                closed_at,
                event.position,
                _text(current),
            )
        )
    return [ports.Write(stack_tables.PUT_DRIFT, rows)] if rows else []


def _all_drifts(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    """What an event about plans and approvals made of the open drifts."""
    return _drifts(event, state, list(state.drifts.values()))


def _plan(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    plan = folding.payload(event, events.PlanMade).plan
    row = (
        event.tenant,
        plan.plan_id,
        event.aggregate_id,
        plan.digest,
        "",
        plan.created_at,
        event.position,
        _text(plan),
    )
    return [ports.Write(stack_tables.PUT_PLAN, [row]), *_all_drifts(event, state)]


def _voided(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    said = folding.payload(event, events.PlanVoided)
    # What was agreed to a plan that was carried out stays agreed to.
    ended = [] if said.code == "done" else [_unasked(event)]
    void = ports.Write(stack_tables.VOID_PLAN, [(said.code, event.tenant, said.plan_id)])
    return [*ended, void, *_all_drifts(event, state)]


def _superseded(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    """Nothing that was planned for what was declared before holds any more."""
    name = (event.tenant, event.aggregate_id)
    void = ports.Write(stack_tables.VOID_PLANS, [("superseded", *name)])
    gone = ports.Write(stack_tables.CLOSE_DRIFTS, [(event.occurred_at, *name)])
    # Those that are still there, with what is declared now, are written again as they are.
    return [_unasked(event), void, gone, *_all_drifts(event, state)]


def _stale(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    """What was asked about a plan that would not be made any more."""
    return [_unasked(event), *_all_drifts(event, state)]


def _unasked(event: envelope.Event) -> ports.Write:
    name = (event.tenant, event.aggregate_id)
    return ports.Write(stack_tables.END_APPROVALS, [(*name, *name)])


def _approval(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    approval = state.approval
    if approval is None:
        return _stale(event, state)
    row = (
        event.tenant,
        approval.approval_id,
        event.aggregate_id,
        approval.plan_id,
        approval.status,
        approval.requested_at,
        approval.expires_at,
        event.position,
        _text(approval),
    )
    return [ports.Write(stack_tables.PUT_APPROVAL, [row]), *_all_drifts(event, state)]


def _heal(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    heal = folding.payload(event, events.HealMoved).heal
    row = (
        event.tenant,
        heal.action.id,
        event.aggregate_id,
        heal.action.kind,
        heal.action.target,
        heal.status,
        heal.started_at,
        heal.ended_at or 0,
        event.position,
        _text(heal),
    )
    found = [state.drifts[name] for name in heal.action.drift_ids if name in state.drifts]
    return [ports.Write(stack_tables.PUT_HEAL, [row]), *_drifts(event, state, found)]


def _asked(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    """An order takes up again what somebody looked after himself."""
    said = folding.payload(event, events.Requested)
    return _all_drifts(event, state) if said.plan_digest else []


def _run(event: envelope.Event, state: stack.Stack) -> list[ports.Write]:
    del state
    said = folding.payload(event, events.Completed)
    row = (
        event.tenant,
        said.reconciliation_id,
        event.aggregate_id,
        said.status,
        event.occurred_at,
        event.position,
        _text(said),
    )
    return [ports.Write(stack_tables.PUT_RUN, [row])]


_DETAILS: Mapping[str, Callable[[envelope.Event, stack.Stack], list[ports.Write]]] = {
    events.STACK_DECLARED: _declared,
    events.STACK_REMOVED: _superseded,
    events.POLICY_DECLARED: _policy,
    **dict.fromkeys(events.DRIFT_TYPES, _drift),
    events.PLAN_MADE: _plan,
    events.PLAN_VOIDED: _voided,
    events.APPROVAL_REQUESTED: _approval,
    events.APPROVAL_GRANTED: _approval,
    events.APPROVAL_DENIED: _approval,
    events.APPROVAL_REVOKED: _approval,
    events.APPROVAL_EXPIRED: _approval,
    **dict.fromkeys(events.HEAL_TYPES, _heal),
    events.RECONCILIATION_REQUESTED: _asked,
    events.RECONCILIATION_COMPLETED: _run,
}
