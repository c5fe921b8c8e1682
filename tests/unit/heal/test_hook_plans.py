"""What is done about a webhook, decided without doing it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.heal import hook_plans
from helios.kernel import secret
from helios.providers import ports as providers
from helios.reconcile.compositions import ports

URL = "https://helios.example/webhook/cms"
NAME = "helios default/shop/cms-webhook"
STAGE = {"x-stage": secret.Secret("prod")}
WANTED = hook_plans.Wanted(
    name=NAME, url=URL, events=("entry.publish", "entry.delete"), headers=STAGE
)
RIGHT = providers.Hook(
    id="1",
    name=NAME,
    url=URL,
    events=("entry.delete", "entry.publish"),
    headers=("X-Stage",),
    header_values={"X-Stage": secret.Secret("prod")},
)
replace = msgspec.structs.replace


def test_a_webhook_that_is_missing_is_made_whole() -> None:
    other = replace(RIGHT, id="9", name="marketing", url="https://other.example/hook")
    plan = hook_plans.created([other], WANTED)
    assert plan.action == "create"
    assert (plan.hook.url, plan.hook.events) == (URL, WANTED.events)
    assert plan.hook.header_values == STAGE
    assert plan.undo is None


def test_one_of_ours_that_leads_elsewhere_is_led_back_and_no_second_one_made() -> None:
    astray = replace(RIGHT, url="https://old.example/webhook")
    plan = hook_plans.created([astray], WANTED)
    assert (plan.action, plan.hook.id, plan.changed) == ("update", "1", ("url",))
    assert plan.undo == {"set": {"url": "https://old.example/webhook"}}


def test_one_that_is_as_declared_is_left_alone() -> None:
    assert hook_plans.created([RIGHT], WANTED).action == "none"


def test_only_the_fields_that_are_asked_for_are_changed() -> None:
    wrong = replace(RIGHT, enabled=False, events=("entry.publish",))
    plan = hook_plans.changed(wrong, WANTED, {"enabled"})
    assert (plan.hook.enabled, plan.hook.events) == (True, ("entry.publish",))
    assert plan.undo == {"set": {"enabled": False}}


def test_the_order_of_events_is_no_difference() -> None:
    shuffled = replace(RIGHT, events=("entry.publish", "entry.delete"))
    assert hook_plans.changed(shuffled, WANTED, hook_plans.FIELDS).action == "none"


def test_a_header_is_set_and_the_others_stay() -> None:
    values = {"X-Stage": secret.Secret("dev"), "X-Trace": secret.Secret("on")}
    wrong = replace(RIGHT, headers=("X-Stage", "X-Trace"), header_values=values)
    plan = hook_plans.changed(wrong, WANTED, {"headers"})
    assert plan.hook.header_values == {**STAGE, "X-Trace": secret.Secret("on")}
    assert plan.undo is None, "nobody keeps the value that was there"
    assert plan.changes == {"headers": ["other", "as declared"]}


def test_what_does_not_deliver_though_it_looks_right_is_written_anew_with_its_secret() -> None:
    signed = replace(WANTED, secret=secret.Secret("signing"))
    plan = hook_plans.changed(RIGHT, signed, hook_plans.fields({"delivering": True}))
    assert (plan.action, plan.changed) == ("update", ())
    assert plan.hook.secret == secret.Secret("signing")


def test_a_field_that_no_webhook_has_is_refused() -> None:
    with pytest.raises(ports.HealError, match="no color"):
        hook_plans.fields({"color": "red"})


def test_a_header_named_by_its_path_is_a_header() -> None:
    assert hook_plans.fields({"/headers/x-stage": "as declared"}) == {"headers"}


HOOKS = st.builds(
    providers.Hook,
    id=st.sampled_from(["1", "2", "3"]),
    name=st.sampled_from([NAME, "marketing", "helios"]),
    url=st.sampled_from([URL, "https://other.example/hook"]),
    events=st.lists(st.sampled_from(["entry.publish", "entry.delete", "entry.create"])).map(tuple),
    enabled=st.booleans(),
)


@given(st.lists(HOOKS, max_size=5, unique_by=lambda hook: hook.id))
def test_nothing_is_ever_done_to_a_webhook_of_others(found: list[providers.Hook]) -> None:
    plan = hook_plans.created(found, WANTED)
    if plan.before is None:
        assert not [each for each in found if each.name == NAME or each.url == URL]
    else:
        assert plan.before.name == NAME or plan.before.url == URL


@given(HOOKS)
def test_what_was_mended_needs_no_mending(found: providers.Hook) -> None:
    plan = hook_plans.changed(found, WANTED, hook_plans.FIELDS)
    assert hook_plans.changed(plan.hook, WANTED, hook_plans.FIELDS).action == "none"


@given(HOOKS)
def test_an_undo_brings_back_what_was_there(found: providers.Hook) -> None:
    bare = replace(WANTED, headers={})
    plan = hook_plans.changed(found, bare, hook_plans.FIELDS)
    if plan.action == "none":
        return
    assert plan.undo is not None
    said = plan.undo["set"]
    back = hook_plans.Wanted(
        name=NAME,
        url=said.get("url", URL),
        events=tuple(said.get("events", ())),
        enabled=said.get("enabled", True),
    )
    undone = hook_plans.changed(plan.hook, back, said)
    assert (undone.hook.url, set(undone.hook.events), undone.hook.enabled) == (
        found.url,
        set(found.events),
        found.enabled,
    )
