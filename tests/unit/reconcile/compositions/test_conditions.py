"""How a stack stands, and the one word for it."""

from typing import Any

import drifting as kit
import msgspec
import pytest

from helios.reconcile.compositions import conditions, events, model, policy, stack
from helios.reconcile.compositions.predicting import prediction

BROKEN: dict[str, Any] = {"url": "https://elsewhere.test"}


def status_of(judged: conditions.Judged, kind: model.ConditionType) -> tuple[str, str]:
    (found,) = [each for each in judged.conditions if each.type == kind]
    return found.status, found.reason


def looked() -> kit.World:
    world = kit.World()
    world.look(kit.at(1))
    return world


def drifted() -> kit.World:
    world = kit.World()
    for second in (1, 7):
        hook = kit.seen(kit.HOOK, kit.at(second), **BROKEN)
        world.look(kit.at(second), integration_cms_webhook=hook)
    return world


def test_there_are_ten_conditions_each_once() -> None:
    judged = looked().judge(kit.at(1))
    assert [each.type for each in judged.conditions] == [
        "Ready", "InSync", "DriftDetected", "Healing", "AwaitingApproval",
        "Blocked", "Stalled", "Contested", "Stale", "Predicted",
    ]  # fmt: skip


def test_a_stack_seen_to_be_as_declared_is_healthy() -> None:
    """L-09."""
    judged = looked().judge(kit.at(1))
    assert judged.status == "healthy"
    assert status_of(judged, "Ready") == ("True", "AsDeclared")
    assert status_of(judged, "InSync")[0] == "True"
    assert judged.observed_generation == 1


def test_a_confirmed_drift_is_told_and_names_the_component() -> None:
    """L-08, U6."""
    judged = drifted().judge(kit.at(7))
    assert judged.status == "drift_detected"
    assert status_of(judged, "DriftDetected") == ("True", "WebhookBroken")
    assert status_of(judged, "InSync")[0] == "False"
    assert status_of(judged, "Ready")[0] == "False"


def test_a_suspicion_does_not_make_a_healthy_stack_ill_nor_a_new_one_healthy() -> None:
    hook = kit.seen(kit.HOOK, kit.at(2), **BROKEN)
    world = looked()
    world.judge(kit.at(1))
    world.look(kit.at(2), integration_cms_webhook=hook)
    judged = world.judge(kit.at(2))
    assert judged.status == "healthy"
    assert status_of(judged, "InSync")[0] == "False"
    new = kit.World()
    new.look(kit.at(2), integration_cms_webhook=hook)
    judged = new.judge(kit.at(2))
    assert judged.status == "reconciling"
    assert status_of(judged, "Ready")[0] == "Unknown"


def test_unknown_is_never_healthy() -> None:
    """Scenario 3, U6."""
    world = looked()
    world.judge(kit.at(1))
    world.look(kit.at(2), provider_cms=kit.not_seen(kit.at(2)))
    judged = world.judge(kit.at(2))
    assert judged.status == "reconciling"
    for kind in ("Ready", "InSync", "DriftDetected"):
        assert status_of(judged, kind)[0] == "Unknown"


def test_a_declaration_that_was_not_looked_at_yet_is_never_healthy() -> None:
    world = looked()
    world.judge(kit.at(1))
    world.declare(kit.declared(resources=()), kit.at(2))
    world.detection = None
    judged = world.judge(kit.at(3))
    assert judged.status == "reconciling"
    assert judged.observed_generation == 1
    assert status_of(judged, "InSync")[0] == "Unknown"


def test_a_pass_that_failed_is_an_error_and_says_why() -> None:
    """L-10."""
    world = looked()
    world.judge(kit.at(1))
    world.detection = None
    judged = world.judge(kit.at(2), error="the view is away")
    assert judged.status == "error"
    assert judged.conditions[0].message == "the view is away"
    assert status_of(judged, "Stalled")[0] == "False"
    stalled = world.judge(kit.at(3), error="no such field", stalled=True)
    assert status_of(stalled, "Stalled") == ("True", "Terminal")


def test_a_stack_nobody_looks_at_any_more_is_stale() -> None:
    world = looked()
    world.judge(kit.at(1))
    world.detection = None
    interval_s = policy.DEFAULT.interval // kit.SECOND
    in_time = world.judge(kit.at(3 * interval_s), last_verified=kit.at(1))
    assert in_time.status == "healthy"
    late = world.judge(kit.at(3 * interval_s + 2), last_verified=kit.at(1))
    assert (late.status, status_of(late, "Stale")[0]) == ("error", "True")
    world.look(kit.at(3 * interval_s + 3))
    assert world.judge(kit.at(3 * interval_s + 3)).status == "healthy"


def test_a_heal_under_way_is_reconciling() -> None:
    world = drifted()
    world.heal(kit.at(8), world.drift().drift_id)
    judged = world.judge(kit.at(8))
    assert judged.status == "reconciling"
    assert status_of(judged, "Healing") == ("True", "Acting")
    world.heal(kit.at(8), world.drift().drift_id, status="acted")
    assert status_of(world.judge(kit.at(9)), "Healing") == ("True", "Verifying")


def test_an_ignored_drift_leaves_a_stack_healthy() -> None:
    world = drifted()
    world.set(world.drift().drift_id, kit.at(8), state="ignored")
    world.rules = policy.Policy(ignore=(policy.IgnoreRule(id="known"),))
    world.look(kit.at(9), integration_cms_webhook=kit.seen(kit.HOOK, kit.at(9), **BROKEN))
    assert world.judge(kit.at(9)).status == "healthy"


def test_a_condition_keeps_the_time_of_its_last_transition() -> None:
    world = looked()
    world.judge(kit.at(1))
    world.look(kit.at(300))
    assert {each.last_transition for each in world.judge(kit.at(300)).conditions} == {kit.at(1)}
    world.look(kit.at(600), provider_cms=kit.not_seen(kit.at(600)))
    moved = {
        each.type
        for each in world.judge(kit.at(600)).conditions
        if each.last_transition == kit.at(600)
    }
    assert moved == {"Ready", "InSync", "DriftDetected"}


def test_the_same_situation_is_judged_the_same() -> None:
    world = drifted()
    first = world.judge(kit.at(7))
    assert world.judge(kit.at(8)) == first


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("window_closed", "Window"),
        ("breaker_open", "Breaker"),
        ("fuse_blown", "Fuse"),
        ("budget_spent", "Budget"),
        ("dependency_unhealthy", "Dependency"),
    ],
)
def test_what_blocks_the_plan_is_the_reason_of_blocked(
    code: model.BlockerCode, reason: str
) -> None:
    world = drifted()
    world.append(events.PLAN_MADE, events.PlanMade(plan=_plan(world.state, code)), kit.at(8))
    assert status_of(world.judge(kit.at(8)), "Blocked") == ("True", reason)


def test_a_missing_approval_is_a_condition_of_its_own() -> None:
    world = drifted()
    plan = _plan(world.state, "approval_missing")
    world.append(events.PLAN_MADE, events.PlanMade(plan=plan), kit.at(8))
    approval = model.Approval(
        approval_id="a1",
        plan_id=plan.plan_id,
        digest=plan.digest,
        shown=plan,
        reason="policy asks",
        requested_by="service:reconciler",
        requested_at=kit.at(8),
        expires_at=kit.at(9000),
    )
    world.append(events.APPROVAL_REQUESTED, events.ApprovalRequested(approval=approval), kit.at(8))
    judged = world.judge(kit.at(8))
    assert status_of(judged, "Blocked")[0] == "False"
    assert status_of(judged, "AwaitingApproval") == ("True", "ApprovalRequested")


def test_a_suspended_stack_is_blocked_and_still_looked_at() -> None:
    world = drifted()
    suspended = events.Suspended(mode="heal_only", reason="audit", until=kit.at(100))
    world.append(events.STACK_SUSPENDED, suspended, kit.at(8))
    assert status_of(world.judge(kit.at(9)), "Blocked") == ("True", "Suspended")
    assert status_of(world.judge(kit.at(9)), "DriftDetected")[0] == "True"
    assert status_of(world.judge(kit.at(100)), "Blocked")[0] == "False"


def test_what_is_healed_again_and_again_is_contested() -> None:
    """Scenario 5."""
    world = drifted()
    name = world.drift().drift_id
    known = stack.Past(
        occurrence=3,
        closed="healed",
        closed_at=kit.at(0),
        healed=(kit.at(-30), kit.at(-20), kit.at(-10)),
    )
    world.state = msgspec.structs.replace(world.state, past={name: known})
    assert status_of(world.judge(kit.at(8)), "Contested")[0] == "True"


def test_what_is_foreseen_is_a_condition_and_no_reason_to_be_unwell() -> None:
    world = looked()
    open_one = prediction.Prediction(
        prediction_id="p1",
        component="resource/orders",
        horizon="week",
        probability=0.9,
        horizon_s=700_000.0,
        lead_time_s=600_000.0,
        raised_at=kit.at(1),
        basis=(),
    )
    world.state = msgspec.structs.replace(world.state, predictions={open_one.key: open_one})
    judged = world.judge(kit.at(2))
    assert status_of(judged, "Predicted") == ("True", "DriftPredicted")
    assert status_of(judged, "Ready")[0] == "True"
    assert judged.status == "healthy"
    world.state = msgspec.structs.replace(world.state, predictions={})
    assert status_of(world.judge(kit.at(3)), "Predicted") == ("False", "NothingPredicted")


def _plan(state: stack.Stack, code: model.BlockerCode) -> model.Plan:
    return model.Plan(
        plan_id="p1",
        digest="d1",
        client_id=state.client_id,
        stack_id=state.stack_id,
        generation=state.generation,
        desired_version=state.version,
        desired_hash=state.hash,
        observed_hash="",
        observed_cursor=0,
        actions=(),
        blockers=(model.Blocker(code=code, detail="why"),),
        created_at=kit.at(8),
        expires_at=kit.at(908),
    )
