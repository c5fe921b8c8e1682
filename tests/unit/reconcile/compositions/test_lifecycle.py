"""The life of a drift: from the first look that saw it to the one that no longer does."""

from typing import Any

import drifting as kit
import msgspec
import pytest

from helios.reconcile.compositions import (
    confidence,
    events,
    lifecycle,
    model,
    policy,
)

SUSPECTED, DETECTED = events.DRIFT_SUSPECTED, events.DRIFT_DETECTED
CHANGED, RESOLVED = events.DRIFT_CHANGED, events.DRIFT_RESOLVED
IGNORED = events.DRIFT_IGNORED


def broken(seconds: float, **fields: Any) -> dict[str, Any]:
    """The webhook leads elsewhere."""
    fields.setdefault("url", "https://elsewhere.test")
    return {"integration_cms_webhook": kit.seen(kit.HOOK, kit.at(seconds), **fields)}


def by_event(seconds: float, **fields: Any) -> dict[str, Any]:
    """It leads elsewhere, and the provider has told so, too."""
    when = kit.at(seconds)
    both = (kit.read(when), kit.said(when, "signed_event", fields=("url",)))
    return broken(seconds, evidence=both, **fields)


def confirmed(rules: policy.Policy = policy.DEFAULT) -> kit.World:
    world = kit.World(rules=rules)
    world.look(kit.at(1), **broken(1))
    world.look(kit.at(7), **broken(7))
    assert world.drift().state == "confirmed"
    return world


def test_a_quiet_pass_tells_nothing() -> None:
    world = kit.World()
    assert world.look(kit.at(1)) == []
    assert world.look(kit.at(300)) == []


def test_a_difference_is_suspected_first_and_confirmed_after_the_window() -> None:
    world = kit.World()
    assert kit.kinds(world.look(kit.at(1), **broken(1))) == [(SUSPECTED, "suspected")]
    assert kit.kinds(world.look(kit.at(3), **broken(3))) == [(SUSPECTED, "suspected")]
    assert world.look(kit.at(4), **broken(4)) == []
    assert kit.kinds(world.look(kit.at(6), **broken(6))) == [(DETECTED, "confirmed")]
    drift = world.drift()
    assert (drift.detected_at, drift.confirmed_at) == (kit.at(1), kit.at(6))
    assert drift.drift_id == lifecycle.drift_id(drift.fingerprint)
    assert world.look(kit.at(300), **broken(300)) == []


def test_what_lasts_no_longer_than_the_window_was_never_a_drift() -> None:
    world = kit.World()
    world.look(kit.at(1), **broken(1))
    told = world.look(kit.at(4))
    assert kit.kinds(told) == [(RESOLVED, "resolved_externally")]
    assert world.state.drifts == {}


def test_an_event_of_the_provider_and_a_read_confirm_at_once() -> None:
    world = kit.World()
    assert kit.kinds(world.look(kit.at(1), **by_event(1))) == [(DETECTED, "confirmed")]


def test_an_event_that_names_something_else_confirms_nothing() -> None:
    """A busy provider is no second witness of every difference."""
    for fields in ((), ("events",)):
        world = kit.World()
        both = (kit.read(kit.at(1)), kit.said(kit.at(1), "signed_event", fields=fields))
        told = world.look(kit.at(1), **broken(1, evidence=both))
        assert kit.kinds(told) == [(SUSPECTED, "suspected")]
        assert world.drift().confidence == pytest.approx(0.9)
        assert [each.kind for each in world.drift().evidence] == ["direct_read"]


def test_a_read_of_another_field_does_not_clear_a_drift_at_once() -> None:
    world = confirmed()
    other = (kit.read(kit.at(20)),)
    other = (msgspec.structs.replace(other[0], fields=("events",)),)
    fine = {"integration_cms_webhook": kit.seen(kit.HOOK, kit.at(20), evidence=other)}
    told = world.look(kit.at(20), observation=kit.all_seen(world.declared, kit.at(20), **fine))
    assert kit.kinds(told) == [(CHANGED, "confirmed")]


def test_the_same_look_twice_confirms_nothing() -> None:
    world = kit.World(rules=kit.with_healing(persistence=0))
    world.look(kit.at(1), **broken(1))
    assert world.look(kit.at(1), now=kit.at(9), **broken(1)) == []
    assert world.drift().state == "suspected"


@pytest.mark.parametrize("confirmations", [1, 2, 3, 5])
def test_as_many_looks_confirm_as_policy_wants(confirmations: int) -> None:
    world = kit.World(rules=kit.with_healing(confirmations=confirmations, persistence=0))
    states = []
    for look in range(1, 7):
        world.look(kit.at(look), **broken(look))
        states.append(world.drift().state)
    assert states.index("confirmed") == confirmations - 1


def test_weak_evidence_is_recorded_and_never_confirmed() -> None:
    """G-01, scenario 1: silence for 72 hours, and missed heartbeats."""
    world = kit.World()
    told = []
    for hour in range(72):
        when = kit.at(3600 * hour + 1)
        missed = tuple(
            kit.said(kit.at(3600 * past), "missed_heartbeat") for past in range(min(hour, 12))
        )
        silent = (kit.said(when, "silence"), *missed)
        told += world.look(when, provider_cms=kit.gone(when, *silent))
    assert {each.event_type for each in told} == {SUSPECTED}
    assert world.drift().state == "suspected"
    assert world.drift().confidence <= confidence.HEARTBEATS_MAX
    assert world.judge(kit.at(3600 * 72)).status != "drift_detected"


def test_at_most_one_detection_is_told_for_an_occurrence() -> None:
    world = confirmed()
    told = []
    for look in range(8, 40):
        told += world.look(kit.at(look * 10), **broken(look * 10, url=f"https://{look}.test"))
    assert DETECTED not in {each.event_type for each in told}


def test_what_wanders_to_another_wrong_value_has_changed() -> None:
    world = confirmed()
    told = world.look(kit.at(20), **broken(20, url="https://third.test"))
    assert kit.kinds(told) == [(CHANGED, "confirmed")]
    assert world.drift().observed == "https://third.test"


def test_content_that_only_grows_older_has_not_changed() -> None:
    world = kit.World()
    old = [kit.seen(kit.ARTICLE, kit.at(s), age_s=700_000 + s) for s in (1, 7, 300)]
    world.look(kit.at(1), content_article=old[0])
    world.look(kit.at(7), content_article=old[1])
    assert world.look(kit.at(300), content_article=old[2]) == []


def test_a_drift_that_is_gone_was_resolved_by_somebody_else() -> None:
    world = confirmed()
    told = world.look(kit.at(20))
    assert kit.kinds(told) == [(RESOLVED, "resolved_externally")]
    assert told[0].drift.reason == "gone"
    assert told[0].drift.closed_at == kit.at(20)
    assert world.look(kit.at(30)) == []


def test_a_closed_drift_that_comes_again_is_another_occurrence() -> None:
    world = confirmed()
    world.look(kit.at(20))
    world.look(kit.at(30), **broken(30))
    assert (world.drift().occurrence, world.drift().state) == (2, "suspected")


def test_weak_evidence_that_it_is_gone_takes_as_many_looks() -> None:
    world = confirmed()
    event = (kit.said(kit.at(20), "signed_event"),)
    fine: dict[str, Any]
    fine = {"integration_cms_webhook": kit.seen(kit.HOOK, kit.at(20), evidence=event)}
    assert kit.kinds(world.look(kit.at(20), **fine)) == [(CHANGED, "confirmed")]
    assert world.drift().score == 1
    fine = {"integration_cms_webhook": kit.seen(kit.HOOK, kit.at(30), evidence=event)}
    assert kit.kinds(world.look(kit.at(30), **fine)) == [(RESOLVED, "resolved_externally")]


def test_what_cannot_be_seen_stays_as_it_was() -> None:
    world = confirmed()
    assert world.look(kit.at(20), integration_cms_webhook=kit.not_seen(kit.at(20))) == []
    no_url = kit.seen(kit.HOOK, kit.at(30), unknown=("url",))
    assert world.look(kit.at(30), integration_cms_webhook=no_url) == []
    assert world.drift().state == "confirmed"


def test_a_late_look_changes_nothing() -> None:
    world = confirmed()
    assert world.look(kit.at(6), now=kit.at(20)) == []
    assert world.look(kit.at(3), now=kit.at(20), **broken(3, url="https://late.test")) == []
    assert world.drift().observed == "https://elsewhere.test"


def test_a_drift_of_what_is_declared_otherwise_now_is_superseded() -> None:
    world = confirmed()
    hook = msgspec.structs.replace(kit.HOOK, url="https://elsewhere.test")
    world.declare(kit.declared(integrations=(hook,)), kit.at(10))
    told = world.look(kit.at(20))
    assert kit.kinds(told) == [(RESOLVED, "superseded")]
    removed = confirmed()
    removed.declare(kit.declared(integrations=()), kit.at(10))
    assert kit.kinds(removed.look(kit.at(20))) == [(RESOLVED, "superseded")]


def test_a_field_of_a_component_that_is_gone_itself_is_no_drift_of_its_own() -> None:
    world = confirmed()
    told = world.look(kit.at(20), integration_cms_webhook=kit.gone(kit.at(20)))
    assert kit.kinds(told) == [(SUSPECTED, "suspected"), (RESOLVED, "resolved_externally")]
    assert world.drift().path == ""


def test_our_own_change_in_flight_is_no_drift() -> None:
    """Scenario 2."""
    world = confirmed()
    name = world.drift().drift_id
    world.heal(kit.at(8), name)
    halfway = kit.seen(kit.HOOK, kit.at(9), url="https://elsewhere.test", enabled=False)
    assert world.look(kit.at(9), integration_cms_webhook=halfway) == []
    assert world.look(kit.at(15)) == []
    assert list(world.state.drifts) == [name]


@pytest.mark.parametrize("state", ["planned", "awaiting_approval"])
def test_a_planned_drift_is_left_alone_unless_it_is_gone(state: model.DriftState) -> None:
    world = confirmed()
    world.set(world.drift().drift_id, kit.at(8), state=state)
    assert world.look(kit.at(20), **broken(20, url="https://third.test")) == []
    told = world.look(kit.at(30))
    assert kit.kinds(told) == [(RESOLVED, "resolved_externally")]


def test_a_drift_whose_action_ended_without_a_word_is_not_forgotten() -> None:
    world = confirmed()
    world.set(world.drift().drift_id, kit.at(8), state="verifying")
    assert kit.kinds(world.look(kit.at(20), **broken(20))) == [(CHANGED, "confirmed")]


@pytest.mark.parametrize("state", ["acknowledged", "escalated"])
def test_what_is_left_to_people_stays_so_until_it_changes(state: model.DriftState) -> None:
    world = confirmed()
    world.set(world.drift().drift_id, kit.at(8), state=state)
    assert world.look(kit.at(20), **broken(20)) == []
    told = world.look(kit.at(30), **broken(30, url="https://third.test"))
    assert kit.kinds(told) == [(CHANGED, "confirmed")]


def test_a_drift_judged_to_be_none_is_not_alarmed_again() -> None:
    world = confirmed()
    world.set(world.drift().drift_id, kit.at(8), state="false_positive", closed_at=kit.at(8))
    told = world.look(kit.at(20), **broken(20))
    assert kit.kinds(told) == [(events.DRIFT_ACKNOWLEDGED, "acknowledged")]
    assert world.look(kit.at(30), **broken(30)) == []


def test_a_late_look_does_not_bring_a_closed_drift_back() -> None:
    world = confirmed()
    world.look(kit.at(20))
    assert world.look(kit.at(8), now=kit.at(25), **by_event(8)) == []
    assert world.state.drifts == {}


def test_a_late_look_at_a_suspected_drift_does_not_say_what_it_is_now() -> None:
    world = kit.World()
    world.look(kit.at(3), **broken(3))
    world.look(kit.at(1), now=kit.at(4), **by_event(1, url="https://late.test"))
    assert world.drift().observed == "https://elsewhere.test"


def test_another_drift_of_a_component_we_are_at_work_on_stays_as_it_was() -> None:
    world = kit.World()
    both: dict[str, Any] = {"url": "https://elsewhere.test", "enabled": False}
    world.look(kit.at(1), integration_cms_webhook=kit.seen(kit.HOOK, kit.at(1), **both))
    first, other = world.state.drifts.values()
    world.heal(kit.at(2), first.drift_id)
    assert (
        world.look(kit.at(9), integration_cms_webhook=kit.seen(kit.HOOK, kit.at(9), **both)) == []
    )
    assert world.look(kit.at(15)) == []
    assert world.state.drifts[other.drift_id].state == "suspected"


def test_one_more_look_is_due_when_it_may_confirm() -> None:
    world = kit.World()
    world.look(kit.at(1), **broken(1))
    again = lifecycle.look_again_at
    assert again(world.drift(), world.rules, kit.at(1)) == kit.at(6)
    assert again(world.drift(), world.rules, kit.at(6)) is None
    five = kit.with_healing(confirmations=5, persistence=0)
    assert again(world.drift(), five, kit.at(1)) == kit.at(2)
    unsure = msgspec.structs.replace(world.drift(), confidence=0.4)
    assert again(unsure, world.rules, kit.at(1)) is None
    assert again(confirmed().drift(), world.rules, kit.at(1)) is None


def rule(effect: policy.Ignored, until: float | None = None) -> policy.IgnoreRule:
    return policy.IgnoreRule(
        id="known",
        component="integration/*",
        path="/url",
        effect=effect,
        expires_at=None if until is None else kit.at(until),
    )


def test_an_ignored_drift_is_recorded_with_its_rule_and_not_alarmed() -> None:
    """U4, U5."""
    world = kit.World(rules=policy.Policy(ignore=(rule("alarm"),)))
    assert kit.kinds(world.look(kit.at(1), **by_event(1))) == [(IGNORED, "ignored")]
    assert world.drift().rule == "known"
    assert world.look(kit.at(9), **by_event(9, url="https://third.test")) == []
    assert len(set(kit.hashes(world))) == 1
    assert world.judge(kit.at(9)).status == "healthy"


def test_the_alarm_returns_when_the_rule_expires() -> None:
    """Scenario 17."""
    world = kit.World(rules=policy.Policy(ignore=(rule("alarm", until=60),)))
    world.look(kit.at(1), **broken(1))
    assert world.look(kit.at(59), **broken(59)) == []
    told = world.look(kit.at(60), **broken(60))
    assert kit.kinds(told) == [(DETECTED, "confirmed")]
    assert told[0].previous == "ignored"
    assert world.drift().rule is None


def test_a_rule_that_comes_later_takes_a_drift_out_of_its_plan() -> None:
    world = confirmed()
    world.set(world.drift().drift_id, kit.at(8), state="planned")
    world.rules = policy.Policy(ignore=(rule("alarm"),))
    assert kit.kinds(world.look(kit.at(20), **broken(20))) == [(IGNORED, "ignored")]


def test_what_a_rule_says_not_to_heal_is_told_and_not_eligible() -> None:
    healing = policy.AutoHeal(enabled=True)
    free = kit.World(rules=policy.Policy(auto_heal=healing))
    free.look(kit.at(1), **by_event(1))
    assert free.drift().auto_heal_eligible
    world = kit.World(rules=policy.Policy(auto_heal=healing, ignore=(rule("heal"),)))
    assert kit.kinds(world.look(kit.at(1), **by_event(1))) == [(DETECTED, "confirmed")]
    assert not world.drift().auto_heal_eligible
    assert world.drift().rule == "known"


def test_what_a_rule_gives_away_is_closed_and_not_seen_again() -> None:
    world = confirmed()
    world.rules = policy.Policy(ignore=(rule("own"),))
    assert kit.kinds(world.look(kit.at(20), **broken(20))) == [(RESOLVED, "resolved_externally")]
    assert world.look(kit.at(30), **broken(30)) == []


def test_a_field_that_is_yielded_may_change_a_thousand_times() -> None:
    """Scenario 4."""
    yielded = policy.Owned(
        component="resource/orders",
        path="/VisibilityTimeout",
        manager="autoscaler:aws",
        mode="yield",
    )
    world = kit.World(rules=policy.Policy(ownership=(yielded,)))
    for look in range(1, 1001):
        seen = kit.seen(kit.QUEUE, kit.at(look), VisibilityTimeout=30 + look)
        assert world.look(kit.at(look), resource_orders=seen) == []
    assert len(set(kit.hashes(world))) == 1


def test_a_baseline_makes_what_is_there_known_until_it_ends() -> None:
    world = confirmed()
    taken = events.Baseline(
        fingerprints=(world.drift().fingerprint,), reason="migration", expires_at=kit.at(60)
    )
    world.append(events.BASELINE_TAKEN, taken, kit.at(8))
    assert kit.kinds(world.look(kit.at(20), **broken(20))) == [(IGNORED, "ignored")]
    assert world.drift().rule == "baseline"
    assert kit.kinds(world.look(kit.at(60), **broken(60))) == [(DETECTED, "confirmed")]


def test_a_change_of_policy_that_makes_it_eligible_is_told() -> None:
    """H-06, H-25."""
    world = confirmed()
    assert not world.drift().auto_heal_eligible
    world.rules = kit.with_healing(enabled=True)
    assert kit.kinds(world.look(kit.at(20), **broken(20))) == [(CHANGED, "confirmed")]
    assert world.drift().auto_heal_eligible


def test_confidence_that_crosses_a_threshold_is_told_once() -> None:
    world = kit.World()

    def failing(seconds: float, *more: model.Evidence) -> dict[str, Any]:
        evidence = (kit.said(kit.at(seconds), "failed_call"), *more)
        return broken(seconds, evidence=evidence)

    world.look(kit.at(1), **failing(1))
    world.look(kit.at(7), **failing(7))
    assert world.drift().confidence == pytest.approx(0.6)
    told = world.look(kit.at(20), **failing(20, kit.read(kit.at(20))))
    assert kit.kinds(told) == [(CHANGED, "confirmed")]
    assert world.drift().confidence == pytest.approx(0.96)
    assert world.look(kit.at(30), **failing(30, kit.read(kit.at(30)))) == []


def test_an_origin_that_is_known_is_told_with_the_drift() -> None:
    world = kit.World()
    seen = kit.all_seen(world.declared, kit.at(1), **by_event(1))
    world.look(kit.at(1), observation=seen)
    assert world.detection is not None
    (finding,) = world.detection.findings
    told = lifecycle.progress(
        kit.World().state,
        world.detection,
        world.rules,
        kit.at(1),
        origins={finding.fingerprint: model.Origin(actor="user:ada")},
    )
    assert told[0].drift.origin.actor == "user:ada"
