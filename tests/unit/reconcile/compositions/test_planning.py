from typing import Any

import drifting
import msgspec
import pytest
import situations
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, model, planning, policy

NOW = situations.NOW

PROVIDER = situations.drift("provider/cms", "/registered", "provider_missing", severity="critical")
HOOK = situations.drift()
SITE = situations.drift("resource/site", "/healthy", "build_broken", severity="high")
CONTENT = situations.drift("content/article", "/differs", "content_differs", severity="low")
QUEUE = situations.drift("resource/orders", "", "resource_missing", severity="high")


def _targets(plan: model.Plan) -> list[str]:
    return [action.target for action in plan.actions]


def _action(plan: model.Plan, target: str) -> model.Action:
    return next(action for action in plan.actions if action.target == target)


def test_nothing_to_heal_is_no_plan() -> None:
    assert situations.plan(situations.state()) is None
    assert situations.plan(situations.state(situations.drift(confidence=0.6))) is None


def test_providers_come_before_integrations_before_content_before_builds() -> None:
    plan = situations.planned(situations.state(SITE, CONTENT, HOOK, PROVIDER))
    assert _targets(plan) == [
        "provider/cms",
        "integration/cms-webhook",
        "content/article",
        "resource/site",
    ]
    assert [action.wave for action in plan.actions] == [0, 1, 2, 3]
    provider, hook, content, site = plan.actions
    assert provider.depends_on == ()
    assert hook.depends_on == content.depends_on == (provider.id,)
    assert set(site.depends_on) == {provider.id, hook.id, content.id}


def test_an_action_does_not_wait_for_one_that_it_has_nothing_to_do_with() -> None:
    shop = situations.drift("provider/ecommerce", "/registered", "provider_missing")
    plan = situations.planned(situations.state(shop, HOOK))
    assert _action(plan, "integration/cms-webhook").depends_on == ()
    assert [action.wave for action in plan.actions] == [0, 1]


def test_drifts_of_one_component_are_one_action() -> None:
    events = situations.drift(path="/events")
    plan = situations.planned(situations.state(HOOK, events))
    (action,) = plan.actions
    assert set(action.drift_ids) == {HOOK.drift_id, events.drift_id}
    assert action.kind == "update_webhook"
    assert action.params["set"] == {
        "url": "https://helios.test/webhook/strapi",
        "events": ["entry.publish", "entry.update"],
    }
    assert plan.remaining == 0


def test_what_is_needed_of_another_kind_comes_with_the_next_plan() -> None:
    locale = situations.drift(path="/locale", cause="integration_changed")
    plan = situations.planned(situations.state(HOOK, locale))
    (action,) = plan.actions
    assert action.kind == "update_webhook"
    assert action.drift_ids == (HOOK.drift_id,)
    assert plan.remaining == 1


def test_a_field_is_set_as_a_whole() -> None:
    header = situations.drift(path="/headers/authorization")
    hook = drifting.seen(drifting.HOOK, NOW, headers={"authorization": "other:1234abcd"})
    seen = drifting.all_seen(drifting.declared(), NOW, integration_cms_webhook=hook)
    (action,) = situations.planned(situations.state(header), seen=seen).actions
    assert action.params == {
        "set": {"headers": {"authorization": "as declared"}},
        "was": {"headers": {"authorization": "other:1234abcd"}},
    }
    assert action.inverse is None
    assert not action.reversible


def test_an_update_is_undone_by_what_was_there_before() -> None:
    hook = drifting.seen(drifting.HOOK, NOW, url="https://elsewhere.test/")
    seen = drifting.all_seen(drifting.declared(), NOW, integration_cms_webhook=hook)
    (action,) = situations.planned(situations.state(HOOK), seen=seen).actions
    assert action.inverse == {"set": {"url": "https://elsewhere.test/"}}
    assert action.reversible
    assert action.summary == (
        "Set url of the webhook integration/cms-webhook at strapi@cms.test as declared"
    )


def test_what_is_not_there_is_made_as_declared() -> None:
    gone = drifting.gone(NOW)
    seen = drifting.all_seen(drifting.declared(), NOW, integration_cms_webhook=gone)
    drift = situations.drift(path="")
    (action,) = situations.planned(situations.state(drift), seen=seen).actions
    assert action.kind == "create_webhook"
    assert action.params["set"]["events"] == ["entry.publish", "entry.update"]
    assert action.params["was"] == {}
    assert action.inverse == {"delete": "integration/cms-webhook"}
    assert action.effects == ("webhook_recreated",)


@pytest.mark.parametrize(
    ("drift", "kind"),
    [
        (PROVIDER, "register_provider"),
        (HOOK, "update_webhook"),
        (situations.drift(path="/locale", cause="integration_changed"), "update_integration"),
        (QUEUE, "create_resource"),
        (
            situations.drift("resource/orders", "/VisibilityTimeout", "configuration_changed"),
            "update_resource",
        ),
        (SITE, "rebuild_resource"),
        (CONTENT, "resync_content"),
    ],
)
def test_each_cause_has_its_kind_of_action(drift: model.Drift, kind: str) -> None:
    (action,) = situations.planned(situations.state(drift)).actions
    assert action.kind == kind
    assert action.summary
    assert action.precondition
    assert action.idempotency_key
    assert not action.requires_approval


def test_what_cannot_be_seen_now_is_not_planned() -> None:
    seen = drifting.all_seen(
        drifting.declared(), NOW, integration_cms_webhook=drifting.not_seen(NOW)
    )
    plan = situations.planned(situations.state(HOOK, QUEUE), seen=seen)
    assert _targets(plan) == ["resource/orders"]
    assert plan.remaining == 1


def test_a_field_that_cannot_be_seen_now_is_not_planned() -> None:
    hook = drifting.seen(drifting.HOOK, NOW, unknown=("url",))
    seen = drifting.all_seen(drifting.declared(), NOW, integration_cms_webhook=hook)
    assert situations.plan(situations.state(HOOK), seen=seen) is None


# -- approval -----------------------------------------------------------------------------------

CHANGED = situations.drift("provider/cms", "/url", "cms_provider_change", severity="critical")


def test_a_change_of_provider_needs_approval_and_says_why() -> None:
    (action,) = situations.planned(situations.state(CHANGED)).actions
    assert action.requires_approval
    assert action.risk == "high"
    assert action.effects == ("cms_provider_change",)
    assert action.approval_reason == "policy wants cms_provider_change to be approved"


def test_what_needs_nobody_is_planned_first_by_itself() -> None:
    plan = situations.planned(situations.state(CHANGED, QUEUE))
    assert _targets(plan) == ["resource/orders"]
    assert plan.remaining == 1


def test_what_comes_after_something_to_be_approved_is_approved_with_it() -> None:
    plan = situations.planned(situations.state(CHANGED, HOOK))
    assert _targets(plan) == ["provider/cms", "integration/cms-webhook"]
    assert [action.requires_approval for action in plan.actions] == [True, False]


def test_what_is_parked_is_left_out() -> None:
    plan = situations.planned(situations.state(CHANGED, QUEUE), parked=("resource/orders",))
    assert _targets(plan) == ["provider/cms"]


UNHEALTHY = situations.drift("resource/orders", "/healthy", "resource_unhealthy", confidence=0.96)


def test_making_anew_what_holds_something_is_destructive_and_always_asked_about() -> None:
    rules = drifting.with_healing(enabled=True, modes={"resource": "heal"}, require_approval=())
    (action,) = situations.planned(situations.state(UNHEALTHY), rules=rules).actions
    assert action.risk == "destructive"
    assert set(action.effects) == {"data_deletion", "resource_replacement"}
    assert action.requires_approval


def test_what_says_itself_how_it_is_built_is_built_without_asking() -> None:
    queue = msgspec.structs.replace(
        drifting.QUEUE, settings={"rebuild": {"executor": "command", "command": ["make"]}}
    )
    declared = drifting.declared(resources=(queue,))
    (action,) = situations.planned(situations.state(UNHEALTHY), declared=declared).actions
    assert action.kind == "rebuild_resource"
    assert not action.requires_approval


def test_a_field_that_cannot_be_changed_in_place_makes_the_resource_anew() -> None:
    fifo = situations.drift("resource/orders", "/FifoQueue", "configuration_changed")
    (action,) = situations.planned(situations.state(fifo)).actions
    assert (action.kind, action.risk) == ("update_resource", "destructive")
    assert action.requires_approval


@pytest.mark.parametrize("confidence", [0.8, 0.94])
def test_what_destroys_needs_more_confidence(confidence: float) -> None:
    drift = msgspec.structs.replace(UNHEALTHY, confidence=confidence)
    assert situations.plan(situations.state(drift)) is None


def test_what_destroys_needs_a_direct_read_of_the_last_minute() -> None:
    def planned(age_s: int) -> model.Plan | None:
        read = drifting.read(clocks.Timestamp(NOW - age_s * situations.SECOND))
        queue = drifting.seen(drifting.QUEUE, NOW, evidence=(read,), healthy=False)
        seen = drifting.all_seen(drifting.declared(), NOW, resource_orders=queue)
        return situations.plan(situations.state(UNHEALTHY), seen=seen)

    assert planned(60) is not None
    assert planned(61) is None


def _queues(number: int) -> tuple[composition.Composition, list[model.Drift]]:
    queues = tuple(composition.Resource(name=f"queue-{n}", kind="sqs_queue") for n in range(number))
    drifts = [situations.drift(each.address, "/healthy", "resource_unhealthy") for each in queues]
    return drifting.declared(resources=queues), drifts


def test_at_most_one_thing_is_destroyed_in_one_plan() -> None:
    declared, drifts = _queues(3)
    plan = situations.planned(situations.state(*drifts), declared=declared)
    assert len(plan.actions) == 1
    assert plan.remaining == 2


# -- bounds, order, digests ---------------------------------------------------------------------


def test_five_actions_are_the_most_and_the_rest_is_counted() -> None:
    queues = tuple(composition.Resource(name=f"q{n}", kind="sqs_queue") for n in range(8))
    drifts = [situations.drift(each.address, "", "resource_missing") for each in queues]
    plan = situations.planned(
        situations.state(*drifts), declared=drifting.declared(resources=queues)
    )
    assert len(plan.actions) == 5
    assert plan.remaining == 3
    assert plan.blast_radius == {"components": 5, "providers": 1, "tenants": 1}


def test_a_plan_is_bound_to_what_was_declared_and_seen() -> None:
    of = situations.state(HOOK)
    plan = situations.planned(of, observed_hash="seen-9")
    assert (plan.generation, plan.desired_hash, plan.observed_hash) == (3, of.hash, "seen-9")
    assert plan.observed_cursor == 17
    assert plan.confidence_min == 0.97
    assert plan.expires_at - plan.created_at == 15 * 60 * situations.SECOND
    assert len(plan.digest) == 64


def test_the_same_situation_has_the_same_digest() -> None:
    one = situations.planned(situations.state(HOOK, QUEUE, SITE), prefix="a")
    failed = msgspec.structs.replace(HOOK, attempts=2, state="failed")
    later = clocks.Timestamp(NOW + situations.HOUR)
    seen = drifting.all_seen(drifting.declared(), NOW)
    other = situations.planned(
        situations.state(SITE, failed, QUEUE), prefix="b", now=later, seen=seen
    )
    assert one.digest == other.digest
    assert one.actions[0].id != other.actions[0].id


def test_what_is_done_or_seen_or_declared_otherwise_has_another_digest() -> None:
    one = situations.planned(situations.state(HOOK))
    elsewhere = drifting.seen(drifting.HOOK, NOW, url="https://elsewhere.test/")
    seen = drifting.all_seen(drifting.declared(), NOW, integration_cms_webhook=elsewhere)
    others = [
        situations.planned(situations.state(HOOK, QUEUE)),
        situations.planned(situations.state(HOOK), observed_hash="seen-2"),
        situations.planned(situations.state(HOOK, generation=4)),
        situations.planned(situations.state(HOOK, hash="f" * 64)),
        situations.planned(situations.state(HOOK), seen=seen),
    ]
    assert len({one.digest, *(each.digest for each in others)}) == 6


def test_another_attempt_and_another_occurrence_have_keys_of_their_own() -> None:
    def key(**fields: Any) -> str:
        of = situations.state(msgspec.structs.replace(HOOK, **fields))
        return situations.planned(of).actions[0].idempotency_key

    assert key() == key(reason="another word for it")
    assert len({key(), key(attempts=1, state="failed"), key(occurrence=2)}) == 3


def test_the_precondition_does_not_wait_for_what_changes_by_itself() -> None:
    one = drifting.seen(drifting.ARTICLE, NOW, age_s=10, count=4, differs=1)
    other = drifting.seen(drifting.ARTICLE, NOW, age_s=99, count=5, differs=1)
    assert planning.seen_hash(one) == planning.seen_hash(other)
    changed = drifting.seen(drifting.ARTICLE, NOW, differs=2)
    assert planning.seen_hash(one) != planning.seen_hash(changed)
    early = drifting.seen(drifting.SITE, NOW, healthy=False, built=False, unbuilt=1, unbuilt_s=5)
    late = drifting.seen(drifting.SITE, NOW, healthy=False, built=False, unbuilt=3, unbuilt_s=95)
    assert planning.seen_hash(early) == planning.seen_hash(late)


def test_the_precondition_knows_another_webhook_by_its_id() -> None:
    one = drifting.seen(drifting.HOOK, NOW, _={"id": "17", "createdAt": "2026"})
    same = drifting.seen(drifting.HOOK, NOW, _={"id": "17", "createdAt": "2027"})
    other = drifting.seen(drifting.HOOK, NOW, _={"id": "18", "createdAt": "2026"})
    assert planning.seen_hash(one) == planning.seen_hash(same) != planning.seen_hash(other)


# -- staleness ----------------------------------------------------------------------------------


def _stale(of: Any, seen: str = "seen-1", now: clocks.Timestamp = NOW) -> str | None:
    found = planning.stale(situations.planned(situations.state(HOOK)), of, seen, now)
    return None if found is None else found[0]


def test_a_plan_is_refused_once_the_world_has_changed() -> None:
    of = situations.state(HOOK)
    assert _stale(of) is None
    assert _stale(of, "seen-2") == "plan_stale"
    assert _stale(situations.state(HOOK, generation=4)) == "generation_changed"
    assert _stale(of, now=clocks.Timestamp(NOW + planning.TTL_US)) == "plan_expired"


def test_a_plan_that_has_changed_the_world_itself_goes_on() -> None:
    begun = situations.heal(status="succeeded", plan_id="plan-a")
    assert _stale(situations.state(HOOK, heals=(begun,)), "seen-2") is None


def test_a_plan_lives_as_long_as_people_are_asked_about_it() -> None:
    of = situations.state(CHANGED)
    plan = situations.planned(of)
    ends = clocks.Timestamp(NOW + 24 * situations.HOUR)
    approval = model.Approval(
        approval_id="ap",
        plan_id=plan.plan_id,
        digest=plan.digest,
        shown=plan,
        reason="",
        requested_by="",
        requested_at=NOW,
        expires_at=ends,
    )
    assert planning.deadline(plan, approval) == ends
    denied = msgspec.structs.replace(approval, status="denied")
    assert planning.deadline(plan, denied) == plan.expires_at
    other = msgspec.structs.replace(approval, digest="0" * 64)
    assert planning.deadline(plan, other) == plan.expires_at


# -- properties ---------------------------------------------------------------------------------

_KINDS = ("sqs_queue", "site", "dns", "integration_api", "codebuild_project")


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[composition.Composition, list[model.Drift]]:
    names = [f"r{n}" for n in range(draw(st.integers(0, 7)))]
    addresses = [f"resource/{name}" for name in names]
    resources = tuple(
        composition.Resource(
            name=name,
            kind=draw(st.sampled_from(_KINDS)),
            depends_on=tuple(
                draw(st.lists(st.sampled_from([*addresses, "provider/cms"]), max_size=2))
            ),
        )
        for name in names
    )
    causes: list[model.Cause] = ["resource_missing", "resource_unhealthy"]
    possible = [PROVIDER, CHANGED, HOOK, CONTENT]
    for address in addresses:
        cause = draw(st.sampled_from(causes))
        path = "" if cause == "resource_missing" else "/healthy"
        severity = draw(st.sampled_from(model.SEVERITIES))
        possible.append(situations.drift(address, path, cause, severity=severity))
    drifts = draw(st.lists(st.sampled_from(possible), unique_by=lambda each: each.drift_id))
    return drifting.declared(resources=resources), drifts


@given(world=_worlds(), shuffled=st.randoms(use_true_random=False))
def test_a_plan_is_small_ordered_and_the_same_in_whatever_order_drift_was_found(
    world: tuple[composition.Composition, list[model.Drift]], shuffled: Any
) -> None:
    declared, drifts = world
    plan = situations.plan(situations.state(*drifts), declared=declared)
    other = list(drifts)
    shuffled.shuffle(other)
    again = situations.plan(situations.state(*other), declared=declared, prefix="b")
    if plan is None:
        assert again is None
        return
    assert again is not None
    assert plan.digest == again.digest
    assert 1 <= len(plan.actions) <= planning.ACTIONS_MAX
    assert sum(each.risk == "destructive" for each in plan.actions) <= 1
    assert len(_targets(plan)) == len(set(_targets(plan)))
    mended = [name for action in plan.actions for name in action.drift_ids]
    assert plan.remaining + len(mended) == len(drifts)
    waves = {action.id: action.wave for action in plan.actions}
    assert set(waves.values()) == set(range(max(waves.values()) + 1))
    graph = planning.relations(declared)
    for action in plan.actions:
        assert all(waves[before] < action.wave for before in action.depends_on)
        direct = [each.id for each in plan.actions if each.target in graph[action.target]]
        assert set(direct) <= set(action.depends_on)
    wanted = {drift.component for drift in drifts}
    for action in plan.actions:
        assert wanted & graph[action.target] <= set(_targets(plan))


def test_declared_circles_do_not_stop_planning() -> None:
    resources = (
        composition.Resource(name="a", kind="sqs_queue", depends_on=("resource/b",)),
        composition.Resource(name="b", kind="sqs_queue", depends_on=("resource/a",)),
    )
    drifts = [situations.drift(each.address, "", "resource_missing") for each in resources]
    plan = situations.planned(
        situations.state(*drifts), declared=drifting.declared(resources=resources)
    )
    assert len(plan.actions) == 2


def test_a_policy_of_another_stack_changes_nothing_by_itself() -> None:
    assert situations.plan(situations.state(HOOK), rules=policy.DEFAULT) is None
