from typing import Any

import drifting
import msgspec
import pytest
import situations

from helios.kernel import clock as clocks
from helios.reconcile.compositions import (
    events,
    guard_events,
    guarding,
    guards,
    model,
    policy,
    stack,
)

NOW = situations.NOW
HOOK = situations.drift()
PROVIDER = situations.drift("provider/cms", "/registered", "provider_missing", severity="critical")
QUEUE = situations.drift("resource/orders", "", "resource_missing", severity="high")
COMPONENT = "component:cms-ecom-prod/integration/cms-webhook"


def _later(seconds: float) -> clocks.Timestamp:
    return clocks.Timestamp(NOW + int(seconds * situations.SECOND))


def _blockers(
    state: stack.Stack,
    found: guards.Guards | None = None,
    *,
    plan: model.Plan | None = None,
    rules: policy.Policy = situations.HEALING,
    manual: bool = False,
    now: clocks.Timestamp = NOW,
) -> tuple[model.Blocker, ...]:
    made = plan or situations.planned(state, rules=rules)
    found = found or guards.Guards()
    return guarding.blockers(made, state, rules, found, now, manual=manual)


def _codes(found: tuple[model.Blocker, ...]) -> list[str]:
    return [each.code for each in found]


def _forced(state: Any, **fields: Any) -> guard_events.BreakerMoved:
    return guard_events.BreakerMoved(scope=COMPONENT, state=state, reason="operator", **fields)


def test_nothing_stands_in_the_way_of_what_is_allowed() -> None:
    assert _blockers(situations.state(HOOK, PROVIDER, QUEUE)) == ()


# -- of everything ------------------------------------------------------------------------------


def test_a_kill_switch_stops_everything_and_says_who_threw_it() -> None:
    world = situations.Guarding()
    on = guard_events.KillSwitch(on=True, reason="incident 7")
    world.say(guard_events.KILL_SWITCH_SET, "kill_switch", on)
    (found,) = _blockers(situations.state(HOOK), world.found)
    assert found.code == "kill_switch"
    assert found.action_id is None
    assert "incident 7" in found.detail
    assert found.remedy


def test_a_kill_switch_for_all_stops_every_client_and_an_operator_too() -> None:
    world = situations.Guarding()
    on = guard_events.KillSwitch(on=True, reason="all stop")
    world.say(guard_events.KILL_SWITCH_SET, "kill_switch", on, tenant=guard_events.SYSTEM_TENANT)
    joined = guards.joined(guards.Guards(), world.found)
    (found,) = _blockers(situations.state(HOOK), joined, manual=True)
    assert "all clients" in found.detail


def test_a_suspension_of_the_stack_or_the_client_stops_everything_until_it_ends() -> None:
    world = situations.Guarding()
    said = events.Suspended(mode="heal_only", reason="freeze", until=_later(60))
    world.say(guard_events.HEALING_SUSPENDED, "healing", said)
    own = stack.Suspension(mode="heal_only", reason="own", actor="user:ada", since=NOW)
    state = situations.state(HOOK, suspended=own)
    found = _blockers(state, world.found)
    assert _codes(found) == ["suspended", "suspended"]
    assert [each.until for each in found] == [None, _later(60)]
    over = _blockers(situations.state(HOOK), world.found, now=_later(60))
    assert over == ()


def test_what_drifted_while_healing_was_suspended_is_healed_afterwards() -> None:
    names = ["/url", "/enabled", "/events", "/delivering", "/headers/x"]
    drifts = [situations.drift(path=name) for name in names]
    own = stack.Suspension(mode="heal_only", reason="", actor="", since=NOW, until=_later(60))
    state = situations.state(*drifts, suspended=own)
    assert _codes(_blockers(state)) == ["suspended"]
    plan = situations.planned(state, now=_later(60))
    assert _blockers(state, plan=plan, now=_later(60)) == ()
    (action,) = plan.actions
    assert len(action.drift_ids) == 5


# -- fuses, windows -----------------------------------------------------------------------------


def test_a_blown_fuse_stops_its_stacks_and_whatever_drifts_likewise() -> None:
    world = situations.Guarding()
    moved = guard_events.FuseMoved(
        fuse_id="f1", by="cause:webhook_broken", stacks=("other",), count=30
    )
    world.blow(moved)
    state = situations.state(HOOK, QUEUE)
    plan = situations.planned(state)
    found = _blockers(state, world.found, plan=plan)
    assert _codes(found) == ["fuse_blown"]
    hook = next(each for each in plan.actions if each.target == HOOK.component)
    assert found[0].action_id == hook.id
    assert "f1" in found[0].remedy
    named = msgspec.structs.replace(moved, by="cause:x", stacks=(drifting.STACK,))
    world.blow(named)
    assert _codes(_blockers(state, world.found, plan=plan)) == ["fuse_blown"] * 2


def test_a_fuse_of_all_clients_names_stacks_with_their_client() -> None:
    world = situations.Guarding()
    moved = guard_events.FuseMoved(
        fuse_id="f1", by="cause:x", stacks=(f"{drifting.CLIENT}/{drifting.STACK}",)
    )
    world.blow(moved)
    joined = guards.joined(guards.Guards(), world.found)
    assert _codes(_blockers(situations.state(HOOK), joined)) == ["fuse_blown"]
    assert _blockers(situations.state(HOOK), world.found) == ()


def test_after_one_agreement_healing_goes_on() -> None:
    world = situations.Guarding()
    world.blow(guard_events.FuseMoved(fuse_id="f1", by="cause:webhook_broken"))
    reset = guard_events.FuseMoved(fuse_id="f1", by="cause:webhook_broken")
    world.say(guard_events.FUSE_RESET, "fuse", reset)
    assert _blockers(situations.state(HOOK), world.found) == ()


def _denied(**fields: Any) -> policy.Window:
    hour = 3600 * situations.SECOND
    every = {"id": "freeze", "kind": "deny", "schedule": "0 0 * * *", "duration": 24 * hour - 1}
    return policy.Window(**{**every, **fields})


def test_a_window_of_the_policy_or_of_the_client_closes_and_says_until_when() -> None:
    world = situations.Guarding()
    said = guard_events.WindowDeclared(window=_denied())
    world.say(guard_events.WINDOW_DECLARED, "windows", said)
    state = situations.state(HOOK)
    (found,) = _blockers(state, world.found)
    assert found.code == "window_closed"
    assert found.until is not None
    assert found.until > NOW
    rules = msgspec.structs.replace(situations.HEALING, windows=(_denied(),))
    assert _codes(_blockers(state, rules=rules)) == ["window_closed"]


def test_an_operator_goes_through_a_window_that_lets_him() -> None:
    rules = msgspec.structs.replace(situations.HEALING, windows=(_denied(manual_override=True),))
    assert _blockers(situations.state(HOOK), rules=rules, manual=True) == ()


def test_a_window_asks_for_the_worst_drift_that_an_action_mends() -> None:
    rules = msgspec.structs.replace(
        situations.HEALING, windows=(_denied(severities=("low", "medium", "high")),)
    )
    assert _codes(_blockers(situations.state(HOOK), rules=rules)) == ["window_closed"]
    assert _blockers(situations.state(PROVIDER), rules=rules) == ()


# -- breakers -----------------------------------------------------------------------------------


def test_an_open_breaker_parks_what_goes_through_it_and_nothing_else() -> None:
    world = situations.Guarding()
    opened = guard_events.BreakerMoved(
        scope=COMPONENT, state="open", reason="failures", half_open_at=_later(60)
    )
    world.say(guard_events.BREAKER_OPENED, COMPONENT, opened)
    state = situations.state(HOOK, QUEUE)
    plan = situations.planned(state)
    (found,) = _blockers(state, world.found, plan=plan)
    assert found.code == "breaker_open"
    assert found.until == _later(60)
    hook = next(each for each in plan.actions if each.target == HOOK.component)
    assert found.action_id == hook.id
    assert _blockers(state, world.found, plan=plan, now=_later(60)) == ()


def test_after_a_hundred_events_an_open_breaker_stands_as_it_stood() -> None:
    world = situations.Guarding()
    opened = guard_events.BreakerMoved(
        scope=COMPONENT, state="open", reason="failures", half_open_at=_later(60)
    )
    world.say(guard_events.BREAKER_OPENED, COMPONENT, opened)
    state = situations.state(HOOK)
    found = {_blockers(state, world.found, now=_later(n / 10))[0].until for n in range(100)}
    assert found == {_later(60)}


def test_a_breaker_of_a_former_incarnation_holds_nothing_up() -> None:
    world = situations.Guarding()
    opened = guard_events.BreakerMoved(
        scope=COMPONENT, state="open", reason="failures", half_open_at=_later(60), uid="uid-1"
    )
    world.say(guard_events.BREAKER_OPENED, COMPONENT, opened)
    assert _codes(_blockers(situations.state(HOOK), world.found)) == ["breaker_open"]
    assert _blockers(situations.state(HOOK, uid="uid-2"), world.found) == ()


def test_a_half_open_breaker_lets_one_action_of_a_plan_through() -> None:
    world = situations.Guarding()
    scope = "action:create_resource"
    moved = guard_events.BreakerMoved(
        scope=scope, state="half_open", reason="cooled", half_open_at=NOW
    )
    world.say(guard_events.BREAKER_HALF_OPENED, scope, moved)
    resources = tuple(msgspec.structs.replace(drifting.QUEUE, name=f"queue-{n}") for n in range(3))
    drifts = [situations.drift(each.address, "", "resource_missing") for each in resources]
    declared = drifting.declared(resources=resources)
    state = situations.state(*drifts)
    plan = situations.planned(state, declared=declared)
    found = _blockers(state, world.found, plan=plan)
    assert _codes(found) == ["breaker_open"] * 2
    assert plan.actions[0].id not in {each.action_id for each in found}


def test_a_half_open_breaker_is_taken_while_an_action_is_under_way() -> None:
    world = situations.Guarding()
    scope = "provider:strapi@cms.test"
    moved = guard_events.BreakerMoved(
        scope=scope, state="half_open", reason="cooled", half_open_at=NOW
    )
    world.say(guard_events.BREAKER_HALF_OPENED, scope, moved)
    world.heal(situations.heal(situations.action("integration/elsewhere", id="z")), "other-stack")
    assert _codes(_blockers(situations.state(HOOK), world.found)) == ["breaker_open"]
    assert _blockers(situations.state(QUEUE), world.found) == ()


def test_an_operator_may_force_a_breaker_open_or_closed() -> None:
    world = situations.Guarding()
    world.say(
        guard_events.BREAKER_FORCED, COMPONENT, _forced("forced_open", forced_until=_later(9))
    )
    (found,) = _blockers(situations.state(HOOK), world.found)
    assert found.until == _later(9)
    assert _blockers(situations.state(HOOK), world.found, now=_later(9)) == ()
    world.say(guard_events.BREAKER_FORCED, COMPONENT, _forced("forced_closed"))
    assert _blockers(situations.state(HOOK), world.found) == ()


# -- budgets ------------------------------------------------------------------------------------


def _spent(number: int, target: str = "integration/cms-webhook") -> tuple[model.Heal, ...]:
    return tuple(
        situations.ended("succeeded", _later(-n - 1), id=f"old{n}", target=target)
        for n in range(number)
    )


def test_a_component_that_was_healed_five_times_in_an_hour_has_to_wait() -> None:
    (found,) = _blockers(situations.state(HOOK, heals=_spent(5)))
    assert found.code == "budget_spent"
    assert found.until is not None
    assert found.until > NOW
    assert _blockers(situations.state(HOOK, heals=_spent(4))) == ()


def test_what_a_plan_lets_through_counts_for_what_comes_after() -> None:
    state = situations.state(HOOK, QUEUE, heals=_spent(19, "integration/other"))
    plan = situations.planned(state)
    found = _blockers(state, plan=plan)
    assert _codes(found) == ["budget_spent"]
    assert found[0].action_id == plan.actions[1].id


def test_heals_of_the_stack_and_of_the_guards_are_the_same_heals() -> None:
    world = situations.Guarding()
    heals = _spent(4)
    for heal in reversed(heals):
        world.heal(heal)
    assert _blockers(situations.state(HOOK, heals=heals), world.found) == ()


def test_an_action_that_was_begun_is_not_judged_again() -> None:
    state = situations.state(HOOK, QUEUE)
    plan = situations.planned(state)
    begun = tuple(situations.heal(action) for action in plan.actions)
    rules = msgspec.structs.replace(situations.HEALING, windows=(_denied(),))
    after = situations.state(HOOK, QUEUE, heals=begun)
    assert _blockers(after, plan=plan, rules=rules) == ()


# -- fights, approvals, dependencies ------------------------------------------------------------


def test_a_drift_that_is_fought_over_is_contested_unless_an_operator_orders_it() -> None:
    plan = situations.planned(situations.state(HOOK))
    healed = (_later(-1800), _later(-1200), _later(-600))
    past = stack.Past(occurrence=3, closed="healed", closed_at=NOW, healed=healed)
    state = situations.state(HOOK, past={HOOK.drift_id: past})
    (found,) = _blockers(state, plan=plan)
    assert found.code == "contested"
    assert found.until == _later(1800)
    assert _blockers(state, plan=plan, manual=True) == ()


CHANGED = situations.drift("provider/cms", "/url", "cms_provider_change", severity="critical")


def _approved(plan: model.Plan, **fields: Any) -> model.Approval:
    found = model.Approval(
        approval_id="ap-1",
        plan_id=plan.plan_id,
        digest=plan.digest,
        shown=plan,
        reason="",
        requested_by="",
        requested_at=NOW,
        expires_at=_later(60),
        status="granted",
    )
    return msgspec.structs.replace(found, **fields)


def test_what_needs_approval_waits_for_a_grant_of_this_digest() -> None:
    plan = situations.planned(situations.state(CHANGED))

    def codes(approval: model.Approval | None) -> list[str]:
        return _codes(_blockers(situations.state(CHANGED, approval=approval), plan=plan))

    assert codes(None) == ["approval_missing"]
    assert codes(_approved(plan, status="pending")) == ["approval_missing"]
    assert codes(_approved(plan, digest="0" * 64)) == ["approval_missing"]
    assert codes(_approved(plan)) == []


def test_who_may_approve_is_told_what_to_approve() -> None:
    plan = situations.planned(situations.state(CHANGED))
    pending = _approved(plan, status="pending")
    (found,) = _blockers(situations.state(CHANGED, approval=pending), plan=plan)
    assert found.detail == "policy wants cms_provider_change to be approved"
    assert found.remedy == "have it approved: helios approve ap-1"


def test_what_comes_after_something_that_is_held_is_held_with_it() -> None:
    state = situations.state(CHANGED, HOOK)
    plan = situations.planned(state)
    found = _blockers(state, plan=plan)
    assert _codes(found) == ["approval_missing", "dependency_unhealthy"]
    assert found[1].action_id == plan.actions[1].id


@pytest.mark.parametrize("presence", ["absent", "unknown"])
def test_an_integration_waits_for_a_provider_that_is_not_to_be_seen(presence: Any) -> None:
    state = situations.state(HOOK)
    away = msgspec.structs.replace(state, presence={**state.presence, "provider/cms": presence})
    (found,) = _blockers(away)
    assert found.code == "dependency_unhealthy"
    assert "provider/cms" in found.detail


def test_an_integration_waits_for_a_provider_whose_credential_is_bad() -> None:
    bad = situations.drift(
        "provider/cms", "/authorised", "credential_invalid", severity="critical", healable=False
    )
    (found,) = _blockers(situations.state(HOOK, bad))
    assert found.detail == "it relies on provider/cms, which has drifted (credential_invalid)"


def test_a_provider_that_the_same_plan_mends_first_holds_nothing_up() -> None:
    assert _blockers(situations.state(HOOK, PROVIDER)) == ()


def test_all_that_stands_in_the_way_is_told_the_gravest_first() -> None:
    world = situations.Guarding()
    world.blow(guard_events.FuseMoved(fuse_id="f1", by="cause:cms_provider_change"))
    on = guard_events.KillSwitch(on=True, reason="")
    world.say(guard_events.KILL_SWITCH_SET, "kill_switch", on)
    rules = msgspec.structs.replace(situations.HEALING, windows=(_denied(),))
    state = situations.state(CHANGED)
    assert _codes(_blockers(state, world.found, rules=rules)) == [
        "kill_switch",
        "fuse_blown",
        "window_closed",
        "approval_missing",
    ]
