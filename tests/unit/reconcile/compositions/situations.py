"""Stacks with drifts, actions, heals and guards: what is decided on, without any looking."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import drifting
import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import (
    causes,
    deciding,
    events,
    fuse,
    guard_events,
    guards,
    model,
    planning,
    policy,
    stack,
)

NOW = drifting.at(3600)
SECOND = clocks.SECOND_US
HOUR = 3600 * SECOND
HEALING = policy.Policy(
    auto_heal=policy.AutoHeal(
        enabled=True,
        allowed_drift_types=("provider", "integration", "resource", "configuration", "content"),
        require_approval=("cms_provider_change", "data_deletion", "resource_replacement"),
    )
)


def drift(
    component: str = "integration/cms-webhook",
    path: str = "/url",
    cause: model.Cause = "webhook_broken",
    **fields: Any,
) -> model.Drift:
    """A confirmed drift that nobody has tried to heal."""
    name = f"{component}{path}"
    found = model.Drift(
        drift_id=f"drift:{name}",
        fingerprint=f"print:{name}",
        type=causes.TYPES[cause],
        cause=cause,
        component=component,
        path=path,
        expected="as it should be",
        observed="otherwise",
        severity="medium",
        confidence=0.97,
        state="confirmed",
        detected_at=drifting.at(3500),
        confirmed_at=drifting.at(3550),
        last_seen=NOW,
    )
    return msgspec.structs.replace(found, **fields)


def state(*drifts: model.Drift, **fields: Any) -> stack.Stack:
    """A stack that has these drifts, and all of whose components are there."""
    declared = drifting.declared()
    found = stack.Stack(
        client_id=drifting.CLIENT,
        stack_id=drifting.STACK,
        uid="uid-1",
        generation=3,
        version="v1.0.3",
        hash=declared.hash,
        drifts={each.drift_id: each for each in drifts},
        presence={each.address: "present" for each in declared.components()},
    )
    return msgspec.structs.replace(found, **fields)


def verdicts(of: stack.Stack, rules: policy.Policy = HEALING, **more: Any) -> list[tuple[str, str]]:
    """What is decided on each drift, and why."""
    found = deciding.decide(of, rules, more.pop("now", NOW), **more)
    return [(each.verdict, each.reason) for each in found.values()]


def plan(
    of: stack.Stack,
    *,
    declared: Any = None,
    seen: Mapping[str, model.Seen] | None = None,
    rules: policy.Policy = HEALING,
    now: clocks.Timestamp = NOW,
    prefix: str = "a",
    **fields: Any,
) -> model.Plan | None:
    """The plan that a stack asks for."""
    stack_is = declared or drifting.declared()
    numbers = count(1)
    return planning.make(
        of,
        stack_is,
        drifting.all_seen(stack_is, now) if seen is None else seen,
        rules,
        deciding.decide(of, rules, now),
        now=now,
        plan_id=f"plan-{prefix}",
        action_id=lambda: f"{prefix}{next(numbers)}",
        cursor=17,
        observed_hash=fields.pop("observed_hash", "seen-1"),
        **fields,
    )


def planned(of: stack.Stack, **more: Any) -> model.Plan:
    """The same where there has to be one."""
    found = plan(of, **more)
    assert found is not None
    return found


def action(target: str = "integration/cms-webhook", **fields: Any) -> model.Action:
    found = model.Action(
        id="a1",
        kind="update_webhook",
        target=target,
        provider="strapi@cms.test",
        drift_ids=(f"drift:{target}/url",),
        idempotency_key="key-1",
    )
    return msgspec.structs.replace(found, **fields)


def heal(of: model.Action | None = None, **fields: Any) -> model.Heal:
    """An action that was begun just now."""
    found = model.Heal(
        action=of or action(),
        plan_id="plan-a",
        digest="d",
        attempt=1,
        actor="service:reconciler",
        started_at=NOW,
    )
    return msgspec.structs.replace(found, **fields)


def ended(status: str, when: clocks.Timestamp = NOW, **fields: Any) -> model.Heal:
    """A heal that has ended; `target` and `id` are of its action."""
    named = {name: fields.pop(name) for name in ("target", "id", "kind") if name in fields}
    began = fields.pop("started_at", clocks.Timestamp(when - SECOND))
    return heal(action(**named), status=status, started_at=began, ended_at=when, **fields)


class Guarding:
    """The guards of one client as its events come in."""

    def __init__(self) -> None:
        self.found = guards.Guards()
        self._count = 0

    def heal(self, moved: model.Heal, stack_id: str = drifting.STACK) -> None:
        kinds = {
            "started": events.HEAL_STARTED,
            "acted": events.HEAL_ACTED,
            "succeeded": events.HEAL_SUCCEEDED,
            "failed": events.HEAL_FAILED,
            "unverified": events.HEAL_UNVERIFIED,
            "avoided": events.HEAL_AVOIDED,
        }
        payload = events.HealMoved(
            event_id="",
            reconciliation_id=None,
            client_id=drifting.CLIENT,
            stack_id=stack_id,
            drift_detail=None,
            heal_action=moved.action.kind,
            status="started",
            started_at="",
            completed_at=None,
            error_message=None,
            heal=moved,
        )
        when = moved.ended_at or moved.acted_at or moved.started_at
        made = events.of_stack(
            kinds[moved.status], drifting.CLIENT, stack_id, payload, now=when, event_id="e"
        )
        self._fold(made, when)

    def removed(self, stack_id: str = drifting.STACK) -> None:
        made = events.of_stack(
            events.STACK_REMOVED,
            drifting.CLIENT,
            stack_id,
            events.Noted(),
            now=NOW,
            event_id="e",
        )
        self._fold(made, NOW)

    def say(
        self,
        kind: str,
        scope: str,
        payload: guard_events.GuardPayload,
        when: clocks.Timestamp = NOW,
        tenant: str = drifting.CLIENT,
    ) -> None:
        about = (tenant, guard_events.AGGREGATE_TYPE, scope)
        made = events.made(kind, about, payload, now=when, event_id="e")
        self._fold(made, when)

    def say_all(
        self,
        said: list[tuple[str, str, guard_events.BreakerMoved]],
        when: clocks.Timestamp = NOW,
    ) -> None:
        for kind, scope, payload in said:
            self.say(kind, scope, payload, when)

    def blow(self, moved: guard_events.FuseMoved, when: clocks.Timestamp = NOW) -> None:
        self.say(guard_events.FUSE_BLOWN, fuse.SCOPE, moved, when)

    def _fold(self, made: envelope.NewEvent, when: clocks.Timestamp) -> None:
        self._count += 1
        place = envelope.Position(self._count)
        event = envelope.placed(made, place, self._count, when)
        self.found = guards.evolve(self.found, event)


def ids(prefix: str) -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers)}"
