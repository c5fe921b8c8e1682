from typing import Any

import drifting
import msgspec
import situations

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, guard_events, guards, policy

NOW = situations.NOW
COMPONENT = "component:cms-ecom-prod/integration/cms-webhook"


def _later(seconds: float) -> clocks.Timestamp:
    return clocks.Timestamp(NOW + int(seconds * situations.SECOND))


def _opened(scope: str = COMPONENT, **fields: Any) -> guard_events.BreakerMoved:
    return guard_events.BreakerMoved(
        **{"scope": scope, "state": "open", "reason": "failures", **fields}
    )


def test_an_opened_breaker_is_kept_until_it_is_closed() -> None:
    world = situations.Guarding()
    world.say(guard_events.BREAKER_OPENED, COMPONENT, _opened(half_open_at=_later(60)))
    assert world.found.breakers[COMPONENT].state == "open"
    assert world.found.breakers[COMPONENT].sequence == 1
    closed = guard_events.BreakerMoved(scope=COMPONENT, state="closed", reason="recovered")
    world.say(guard_events.BREAKER_CLOSED, COMPONENT, closed)
    assert world.found.breakers == {}


def test_closing_a_breaker_forgets_the_failures_that_led_to_it() -> None:
    world = situations.Guarding()
    world.heal(situations.ended("failed", id="a1"))
    assert world.found.streaks[COMPONENT].count == 1
    closed = guard_events.BreakerMoved(scope=COMPONENT, state="closed", reason="operator")
    world.say(guard_events.BREAKER_CLOSED, COMPONENT, closed)
    assert COMPONENT not in world.found.streaks


def test_time_alone_half_opens_a_breaker_and_ends_a_forced_one() -> None:
    world = situations.Guarding()
    world.say(guard_events.BREAKER_OPENED, "a", _opened("a", half_open_at=_later(60)))
    forced = guard_events.BreakerMoved(
        scope="b", state="forced_open", reason="operator", forced_until=_later(60)
    )
    world.say(guard_events.BREAKER_FORCED, "b", forced)
    found = world.found.breakers
    assert (found["a"].at(_later(59)), found["b"].at(_later(59))) == ("open", "forced_open")
    assert (found["a"].at(_later(60)), found["b"].at(_later(60))) == ("half_open", "closed")


def test_heals_are_counted_by_where_they_went_and_forgotten_after_an_hour() -> None:
    world = situations.Guarding()
    world.heal(situations.heal())
    assert [each.outcome for each in world.found.heals] == ["started"]
    world.heal(situations.ended("succeeded", started_at=NOW))
    assert [each.outcome for each in world.found.heals] == ["succeeded"]
    much_later = situations.heal(situations.action(id="a2"), started_at=_later(3600))
    world.heal(much_later)
    assert [each.action_id for each in world.found.heals] == ["a2"]


def test_what_wrote_nothing_is_no_heal_and_no_failure() -> None:
    world = situations.Guarding()
    world.heal(situations.heal())
    world.heal(situations.ended("avoided", started_at=NOW))
    refused = situations.ended("failed", id="a2", error_code="precondition_failed")
    world.heal(refused)
    assert [each.action_id for each in world.found.heals] == ["a2"]
    assert world.found.streaks == {}


def test_a_success_ends_the_failures_of_all_that_it_went_through() -> None:
    world = situations.Guarding()
    world.heal(situations.ended("failed", id="a1"))
    world.heal(situations.ended("unverified", id="a2", target="integration/other"))
    at_provider = world.found.streaks["provider:strapi@cms.test"]
    assert at_provider.count == 2
    assert len(at_provider.targets) == 2
    world.heal(situations.ended("succeeded", id="a3", target="integration/other"))
    assert set(world.found.streaks) == {COMPONENT}


def test_the_same_heal_told_twice_counts_once() -> None:
    world = situations.Guarding()
    failed = situations.ended("failed")
    world.heal(failed)
    world.heal(failed)
    assert world.found.streaks[COMPONENT].count == 1
    again = guards.with_heal(world.found, failed, drifting.CLIENT, drifting.STACK, NOW)
    assert again == world.found


def test_a_removed_stack_takes_its_breakers_with_it_and_leaves_the_others() -> None:
    world = situations.Guarding()
    scopes = [COMPONENT, "stack:cms-ecom-prod", "stack:cms-ecom-prod-2", "provider:strapi@x"]
    for scope in scopes:
        world.say(guard_events.BREAKER_OPENED, scope, _opened(scope))
    world.heal(situations.ended("failed"))
    world.removed()
    assert set(world.found.breakers) == set(scopes[2:])
    assert COMPONENT not in world.found.streaks
    assert "provider:strapi@cms.test" in world.found.streaks


def test_a_kill_switch_is_thrown_and_turned_off() -> None:
    world = situations.Guarding()
    on = guard_events.KillSwitch(on=True, reason="incident 7")
    world.say(guard_events.KILL_SWITCH_SET, "kill_switch", on)
    assert world.found.kill_switch is not None
    assert world.found.kill_switch.reason == "incident 7"
    off = guard_events.KillSwitch(on=False, reason="over")
    world.say(guard_events.KILL_SWITCH_SET, "kill_switch", off)
    assert world.found.kill_switch is None


def test_healing_is_suspended_until_a_time_or_until_it_is_resumed() -> None:
    world = situations.Guarding()
    said = events.Suspended(mode="heal_only", reason="migration", until=_later(60))
    world.say(guard_events.HEALING_SUSPENDED, "healing", said)
    assert world.found.suspended is not None
    assert world.found.suspended.holds(_later(59))
    assert not world.found.suspended.holds(_later(60))
    world.say(guard_events.HEALING_RESUMED, "healing", events.Noted())
    assert world.found.suspended is None


def test_windows_are_declared_replaced_and_removed() -> None:
    world = situations.Guarding()
    window = policy.Window(id="w", kind="deny", schedule="0 9 * * *", duration=1)
    longer = msgspec.structs.replace(window, duration=2)
    for each in (window, longer):
        said = guard_events.WindowDeclared(window=each)
        world.say(guard_events.WINDOW_DECLARED, "windows", said)
    assert world.found.windows == {"w": longer}
    gone = guard_events.WindowRemoved(window_id="w")
    world.say(guard_events.WINDOW_REMOVED, "windows", gone)
    assert world.found.windows == {}


def _reset_at(world: situations.Guarding) -> clocks.Timestamp | None:
    return world.found.fuses["f"].reset_at


def test_a_fuse_that_was_reset_is_remembered_as_such() -> None:
    world = situations.Guarding()
    blown = guard_events.FuseMoved(fuse_id="f", by="cause:webhook_broken", stacks=("a", "b"))
    world.blow(blown)
    assert _reset_at(world) is None
    reset = guard_events.FuseMoved(fuse_id="f", by="cause:webhook_broken")
    world.say(guard_events.FUSE_RESET, "fuse", reset, _later(5))
    assert _reset_at(world) == _later(5)
    unknown = guard_events.FuseMoved(fuse_id="other", by="")
    world.say(guard_events.FUSE_RESET, "fuse", unknown)
    assert set(world.found.fuses) == {"f"}


def test_of_many_fuses_those_that_were_reset_go_first() -> None:
    world = situations.Guarding()
    for n in range(guards.FUSES_MAX):
        world.blow(guard_events.FuseMoved(fuse_id=f"f{n}", by="cause:x"))
    reset = guard_events.FuseMoved(fuse_id="f7", by="cause:x")
    world.say(guard_events.FUSE_RESET, "fuse", reset)
    world.blow(guard_events.FuseMoved(fuse_id="new", by="cause:x"))
    assert len(world.found.fuses) == guards.FUSES_MAX
    assert "f7" not in world.found.fuses
    assert "f0" in world.found.fuses


def test_guards_are_the_same_after_they_were_stored() -> None:
    world = situations.Guarding()
    world.say(guard_events.BREAKER_OPENED, COMPONENT, _opened(half_open_at=_later(60)))
    world.heal(situations.ended("failed"))
    joined = guards.joined(world.found, guards.Guards())
    assert msgspec.json.decode(msgspec.json.encode(joined), type=guards.Guards) == joined


def test_what_holds_for_all_counts_the_heals_of_every_client_and_nothing_else() -> None:
    heal = situations.ended("failed")
    payload = events.HealMoved(
        event_id="",
        reconciliation_id=None,
        client_id="globex",
        stack_id="s",
        drift_detail=None,
        heal_action="update_webhook",
        status="failed",
        started_at="",
        completed_at=None,
        error_message=None,
        heal=heal,
    )
    made = events.of_stack(events.HEAL_FAILED, "globex", "s", payload, now=NOW, event_id="e")
    event = envelope.placed(made, envelope.Position(1), 1, NOW)
    shared = guards.evolve_shared(guards.Guards(), event)
    assert [each.tenant for each in shared.heals] == ["globex"]
    assert shared.streaks == {}
    on = guard_events.KillSwitch(on=True, reason="all")
    switch = events.made(
        guard_events.KILL_SWITCH_SET,
        (guard_events.SYSTEM_TENANT, guard_events.AGGREGATE_TYPE, "kill_switch"),
        on,
        now=NOW,
        event_id="k",
    )
    thrown = guards.evolve_shared(shared, envelope.placed(switch, envelope.Position(2), 1, NOW))
    assert thrown.kill_switch is not None
    other = msgspec.structs.replace(switch, tenant="globex")
    ignored = guards.evolve_shared(shared, envelope.placed(other, envelope.Position(3), 1, NOW))
    assert ignored.kill_switch is None
