"""What must hold of stacks in every simulated world, whatever went wrong in it.

Each function raises `invariants.Violation`; its first word is the name to look for in a report.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.eventlog import envelope, log
from helios.kernel import clock as clocks
from helios.projections import ports as view_ports
from helios.projections import verify
from helios.reconcile.compositions import (
    composition,
    events,
    evolving,
    guards,
    model,
    passing,
    reading,
    stack,
    view,
)
from helios.reconcile.runtime import keys, shards
from helios.testing import invariants, stack_sim_outside

S = clocks.SECOND_US
LOOKED_WITHIN_S = 900.0
"""A drift that was told was there at some moment of so long before."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is judged.

    Attributes:
        events: of the log, in order.
        declared: each declaration, by client, stack and generation.
        makers: which life made an event, by its id.
        skew_s: by how much clocks were off.
        is_noisy: looks showed what was not true.
    """

    events: Sequence[envelope.Event]
    outside: stack_sim_outside.Outside
    declared: Mapping[tuple[str, str, int], composition.Composition]
    makers: Mapping[str, str]
    skew_s: float = 0.0
    is_noisy: bool = False


def check(told: Told) -> None:
    """All that can be judged by the log and the outside alone."""
    heals_are_told(told)
    what_is_agreed_is_done(told)
    plans_hold(told)
    if not told.is_noisy:
        drifts_are_real(told)
    heals_have_helped(told)
    fences_hold(told)
    breakers_hold(told)


def heals_are_told(told: Told) -> None:
    """A key is begun once and written with once, and every write was begun."""
    begun: dict[str, int] = {}
    for event, heal in _heals(told.events, events.HEAL_STARTED):
        key = heal.action.idempotency_key
        if key in begun:
            raise invariants.Violation("one_key_one_heal", f"{key} at {begun[key]}, {event}")
        begun[key] = event.position
    for key, count in told.outside.calls.items():
        if count > 1:
            raise invariants.Violation("one_key_one_write", f"{key} was sent {count} times")


def what_is_agreed_is_done(told: Told) -> None:
    """What needs an agreement is begun after somebody has agreed to that very digest."""
    granted: dict[str, int] = {}
    for event in told.events:
        if event.type == events.APPROVAL_GRANTED:
            said = msgspec.json.decode(event.payload, type=events.ApprovalAnswered)
            granted[said.grant.digest] = event.position
        if event.type == events.HEAL_STARTED:
            heal = msgspec.json.decode(event.payload, type=events.HealMoved).heal
            if heal.action.requires_approval and heal.digest not in granted:
                raise invariants.Violation("approval_is_needed", f"{heal}")


def plans_hold(told: Told) -> None:
    """The first action of a plan is begun in the situation that the plan was made for."""
    states: dict[tuple[str, str], stack.Stack] = {}
    for event in _of_stacks(told.events):
        name = (event.tenant, event.aggregate_id)
        before = states.get(name, evolving.empty(*name))
        if event.type == events.HEAL_STARTED:
            plan = before.plan
            if plan is None:
                raise invariants.Violation("plan_holds", f"no plan at {event.position}")
            is_first = not any(heal.plan_id == plan.plan_id for heal in before.heals)
            if (plan.generation, plan.desired_hash) != (before.generation, before.hash):
                raise invariants.Violation("plan_holds", f"of another declaration: {plan}")
            if is_first and plan.observed_hash != before.observed_hash:
                raise invariants.Violation("plan_holds", f"made for something else seen: {plan}")
        states[name] = evolving.evolve(before, event)


def drifts_are_real(told: Told) -> None:
    """A drift that was told was there."""
    for event in unreal(told):
        raise invariants.Violation("drift_is_real", f"{event}")


def unreal(told: Told) -> list[envelope.Event]:
    """Drifts that were told and were never there."""
    return [
        event
        for event in told.events
        if event.type == events.DRIFT_DETECTED and not is_real(told, event)
    ]


def is_real(told: Told, event: envelope.Event) -> bool:
    """Whether a drift that was told was there at any moment before."""
    drift = msgspec.json.decode(event.payload, type=events.DriftMoved).drift
    place = (event.tenant, event.aggregate_id, drift.component)
    known = [
        each for (client, name, _), each in told.declared.items() if (client, name) == place[:2]
    ]
    until = event.occurred_at + int(2 * told.skew_s * S)
    since = until - int(LOOKED_WITHIN_S * S)
    return any(
        told.outside.ever(
            place,
            since,
            until,
            lambda value, each=each: stack_sim_outside.differs(  # type: ignore[misc]
                each, drift.component, drift.path, value
            ),
        )
        for each in known
        if each.component(drift.component) is not None
    )


def heals_have_helped(told: Told) -> None:
    """A heal that is said to have helped: the component was as declared after it began."""
    for event, heal in _heals(told.events, events.HEAL_SUCCEEDED):
        place = (event.tenant, event.aggregate_id, heal.action.target)
        fields = heal.action.params.get("set", {})
        skew = int(2 * told.skew_s * S)

        def is_done(value: Any, fields: Mapping[str, Any] = fields) -> bool:
            return value is not None and all(value.get(name) == fields[name] for name in fields)

        if not told.outside.ever(place, heal.started_at - skew, event.occurred_at + skew, is_done):
            raise invariants.Violation("heal_has_helped", f"{heal}")


def fences_hold(told: Told) -> None:
    """Who wrote about a stack was, at that place of the log, the last to take its shard."""
    owners: dict[int, str] = {}
    for event in told.events:
        if event.type == shards.TAKEN:
            body = event.data()
            owners[body["shard"]] = body["owner"]
        elif event.aggregate_type == events.STACK and event.actor == events.ACTOR:
            key = keys.Key(event.tenant, passing.FAMILY, event.aggregate_id)
            owner = owners.get(keys.shard(key))
            maker = told.makers.get(event.id)
            if owner is not None and maker != owner:
                raise invariants.Violation(
                    "fence_holds", f"{maker} wrote {event.type} after {owner} took over"
                )


def breakers_hold(told: Told) -> None:
    """Nothing is begun at a component whose breaker is open, and was when the pass began."""
    found: dict[str, guards.Guards] = {}
    for event in told.events:
        known = found.get(event.tenant, guards.Guards())
        if event.type == events.HEAL_STARTED:
            said = msgspec.json.decode(event.payload, type=events.HealMoved)
            heal = said.heal
            scope = f"component:{event.aggregate_id}:{heal.action.target}"
            scopes = guards.scopes_of(
                event.aggregate_id, heal.action.target, heal.action.provider, heal.action.kind
            )
            scope = scopes[0]
            breaker = known.breakers.get(scope)
            skew = int(2 * told.skew_s * S)
            at = breaker.at(clocks.Timestamp(event.occurred_at + skew)) if breaker else "closed"
            if breaker is not None and at in ("open", "forced_open"):
                raise invariants.Violation("breaker_holds", f"{scope} is {at}: {heal}")
        if event.type in _GUARDED:
            found[event.tenant] = guards.evolve(known, event)


_GUARDED = frozenset(guards.TYPES)


async def views_are_the_log(
    told: Told, source: log.Log, store: view_ports.ViewStore, clock: clocks.Clock
) -> None:
    """The state of each stack is the fold of its events, and the view equals its rebuild."""
    states: dict[tuple[str, str], stack.Stack] = {}
    for event in _of_stacks(told.events):
        name = (event.tenant, event.aggregate_id)
        states[name] = evolving.evolve(states.get(name, evolving.empty(*name)), event)
    for name, state in states.items():
        known = await reading.known(store, *name)
        if known is None or known.state != state:
            raise invariants.Violation("view_equals_fold", f"{name}: {known}\n{state}")
    verified = await verify.verify(view.VIEW, source, store, clock=clock)
    if not verified.is_equal:
        raise invariants.Violation("view_equals_replay", f"{verified}")


def ending(state: stack.Stack) -> dict[str, Any]:
    """How a stack stands in the end, without ids and times and what it went through."""
    return {
        "generation": state.generation,
        "version": state.version,
        "hash": state.hash,
        "applied": (state.applied_generation, state.applied_hash),
        "hashes": (state.expected_hash, state.observed_hash),
        "presence": dict(state.presence),
        "unknown": state.unknown,
        "drifts": sorted((d.component, d.path, d.state) for d in state.drifts.values()),
        "open": [heal.action.target for heal in state.open_heals()],
        "plan": None if state.plan is None else state.plan.digest,
        "approval": None if state.approval is None else state.approval.status,
        "asked": len(state.requested),
        "status": state.status,
        "conditions": sorted((c.type, c.status, c.reason) for c in state.conditions),
        "failures": state.failures,
        "error": state.error,
    }


def _heals(found: Sequence[envelope.Event], kind: str) -> list[tuple[envelope.Event, model.Heal]]:
    return [
        (event, msgspec.json.decode(event.payload, type=events.HealMoved).heal)
        for event in found
        if event.type == kind
    ]


def _of_stacks(found: Sequence[envelope.Event]) -> list[envelope.Event]:
    return [event for event in found if event.aggregate_type == events.STACK]
