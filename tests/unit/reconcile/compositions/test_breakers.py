from collections.abc import Sequence
from typing import Any

import drifting
import msgspec
import pytest
import situations
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.compositions import breakers, guard_events, guarding, guards, model, stack

NOW = situations.NOW
STATE = situations.state()
COMPONENT = "component:cms-ecom-prod/integration/cms-webhook"
PROVIDER = "provider:strapi@cms.test"
ACTION = "action:update_webhook"
STACK = "stack:cms-ecom-prod"


def _at(seconds: float) -> clocks.Timestamp:
    return clocks.Timestamp(NOW + int(seconds * situations.SECOND))


class World(situations.Guarding):
    """Guards that are told what ends, as a pass does."""

    def __init__(self, state: stack.Stack = STATE) -> None:
        super().__init__()
        self.state = state
        self._heals = 0

    def ended(
        self, status: str, when: clocks.Timestamp = NOW, **fields: Any
    ) -> list[breakers.Said]:
        self._heals += 1
        heal = situations.ended(status, when, **{"id": f"h{self._heals}", **fields})
        said = breakers.after(self.found, self.state, heal, when)
        self.heal(heal)
        assert breakers.after(self.found, self.state, heal, when) == said
        self.say_all(said, when)
        return said

    def at(self, scope: str, when: clocks.Timestamp = NOW) -> str:
        return breakers.state_of(self.found, scope, when, self.state.uid)


def _scopes(said: Sequence[breakers.Said]) -> list[tuple[str, str, str]]:
    return [(payload.state, scope, payload.reason) for _, scope, payload in said]


def _opened(**fields: Any) -> World:
    world = World()
    for _ in range(3):
        world.ended("failed", **fields)
    return world


def test_three_failures_in_a_row_open_the_breaker_of_the_component_alone() -> None:
    world = World()
    assert world.ended("failed") == []
    assert world.ended("unverified") == []
    said = world.ended("failed")
    assert _scopes(said) == [("open", COMPONENT, "failures")]
    ((_, _, payload),) = said
    assert payload.half_open_at == _at(60)
    assert payload.cooldown_s == 60
    assert payload.uid == "uid-1"
    assert payload.detail == "3 heals in a row did not help"


def test_a_success_in_between_starts_the_count_again() -> None:
    world = World()
    for status in ("failed", "failed", "succeeded", "failed", "failed"):
        assert world.ended(status) == []
    assert _scopes(world.ended("failed")) == [("open", COMPONENT, "failures")]


@pytest.mark.parametrize("status", ["avoided", "started", "acted"])
def test_what_wrote_nothing_or_is_not_over_opens_nothing(status: str) -> None:
    heal = situations.heal(status=status)
    world = _opened()
    assert breakers.after(world.found, STATE, heal, NOW) == []


def test_failures_of_three_components_open_what_they_have_in_common() -> None:
    world = World()
    for n in (1, 2):
        assert world.ended("failed", target=f"integration/hook-{n}") == []
    assert _scopes(world.ended("failed", target="integration/hook-3")) == [
        ("open", PROVIDER, "failures"),
        ("open", ACTION, "failures"),
        ("open", STACK, "failures"),
    ]


def test_a_stack_with_many_components_may_fail_more_often() -> None:
    many: dict[str, model.Presence] = {f"integration/h{n}": "present" for n in range(40)}
    world = World(msgspec.structs.replace(STATE, presence=many))
    for n in range(9):
        assert STACK not in [each[1] for each in world.ended("failed", target=f"integration/h{n}")]
    assert STACK in [each[1] for each in world.ended("failed", target="integration/h9")]


def test_a_provider_opens_when_half_of_ten_heals_of_a_minute_fail() -> None:
    world = World()
    outcomes = ["failed", "succeeded"] * 4 + ["failed"]
    for n, status in enumerate(outcomes):
        assert world.ended(status, _at(n), target=f"integration/h{n}") == []
    said = world.ended("failed", _at(10), target="integration/h10")
    assert ("open", PROVIDER, "ratio") in _scopes(said)


def test_failures_of_more_than_a_minute_ago_do_not_count_for_the_ratio() -> None:
    world = World()
    for n, status in enumerate(["failed", "succeeded"] * 5):
        world.ended(status, _at(n * 10), target=f"integration/h{n}")
    said = world.ended("failed", _at(101), target="integration/h10")
    assert said == []


def test_an_open_breaker_cools_and_lets_one_through() -> None:
    world = _opened()
    assert breakers.due(world.found, _at(59)) == []
    assert breakers.due_at(world.found) == _at(60)
    said = breakers.due(world.found, _at(60))
    assert _scopes(said) == [("half_open", COMPONENT, "cooled")]
    world.say_all(said, _at(60))
    assert world.at(COMPONENT, _at(60)) == "half_open"
    assert breakers.due(world.found, _at(99)) == []


def test_a_success_of_the_one_let_through_closes_it_and_forgets_the_failures() -> None:
    world = _opened()
    assert _scopes(world.ended("succeeded", _at(70))) == [("closed", COMPONENT, "recovered")]
    assert world.at(COMPONENT, _at(70)) == "closed"
    assert world.ended("failed", _at(80)) == []


def test_each_failure_of_the_one_let_through_doubles_the_pause_up_to_half_an_hour() -> None:
    world = _opened()
    when, pauses = NOW, []
    for _ in range(7):
        when = world.found.breakers[COMPONENT].half_open_at or when
        ((_, _, payload),) = world.ended("failed", when)
        pauses.append(payload.cooldown_s)
    assert pauses == [120, 240, 480, 960, 1800, 1800, 1800]


def test_a_failure_while_it_is_open_changes_nothing() -> None:
    world = _opened()
    assert world.ended("failed", _at(10)) == []
    assert world.found.breakers[COMPONENT].half_open_at == _at(60)


def test_the_third_heal_of_one_drift_within_an_hour_opens_it_as_contested() -> None:
    name = "drift:integration/cms-webhook/url"
    healed = (_at(-1200), _at(-600))
    past = stack.Past(occurrence=2, closed="healed", closed_at=_at(-600), healed=healed)
    state = msgspec.structs.replace(STATE, past={name: past})
    world = World(state)
    said = world.ended("succeeded")
    assert _scopes(said) == [("open", COMPONENT, "contested")]
    assert said[0][2].half_open_at == _at(1800)
    long_ago = msgspec.structs.replace(past, healed=(_at(-7200), _at(-600)))
    assert World(msgspec.structs.replace(STATE, past={name: long_ago})).ended("succeeded") == []


def test_a_new_incarnation_of_the_stack_starts_with_closed_breakers() -> None:
    world = _opened()
    assert world.at(COMPONENT) == "open"
    again = msgspec.structs.replace(STATE, uid="uid-2")
    assert breakers.state_of(world.found, COMPONENT, NOW, again.uid) == "closed"


def test_a_breaker_that_was_forced_open_stays_so_until_its_time_is_up() -> None:
    world = World()
    forced = guard_events.BreakerMoved(
        scope=COMPONENT, state="forced_open", reason="operator", forced_until=_at(600)
    )
    world.say(guard_events.BREAKER_FORCED, COMPONENT, forced)
    assert world.ended("succeeded", _at(10)) == []
    assert world.at(COMPONENT, _at(599)) == "forced_open"
    assert _scopes(breakers.due(world.found, _at(600))) == [("closed", COMPONENT, "cooled")]


def test_a_breaker_that_was_forced_closed_does_not_open() -> None:
    world = World()
    forced = guard_events.BreakerMoved(
        scope=COMPONENT, state="forced_closed", reason="operator", forced_until=_at(600)
    )
    world.say(guard_events.BREAKER_FORCED, COMPONENT, forced)
    for _ in range(5):
        assert world.ended("failed", _at(10)) == []
    assert world.at(COMPONENT, _at(600)) == "closed"


def test_who_goes_through_a_half_open_breaker_says_so_first_with_its_sequence() -> None:
    world = _opened()
    action = situations.action(id="mine")
    (said,) = breakers.claims(world.found, STATE, action, _at(60))
    kind, scope, payload = said
    assert (kind, scope) == (guard_events.BREAKER_HALF_OPENED, COMPONENT)
    assert payload.probe == "mine"
    assert world.found.breakers[scope].sequence > 0
    world.say_all([said], _at(60))
    assert breakers.claims(world.found, STATE, action, _at(61)) == []


def test_nobody_claims_a_breaker_that_is_closed_or_open() -> None:
    assert breakers.claims(guards.Guards(), STATE, situations.action(), NOW) == []
    assert breakers.claims(_opened().found, STATE, situations.action(), _at(1)) == []


def test_a_claim_that_came_to_nothing_is_free_again() -> None:
    world = _opened()
    world.say_all(breakers.claims(world.found, STATE, situations.action(id="x"), _at(60)), _at(60))
    other = situations.action(id="other")
    breaker = world.found.breakers[COMPONENT]
    assert breakers.is_taken(breaker, COMPONENT, other.id, (), _at(61))
    assert not breakers.is_taken(breaker, COMPONENT, other.id, (), _at(60 + 15 * 60))
    world.heal(situations.ended("avoided", _at(62), id="x"))
    freed = world.found.breakers[COMPONENT]
    assert not breakers.is_taken(freed, COMPONENT, other.id, (), _at(63))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 90), st.sampled_from(("failed", "succeeded", "avoided"))),
        min_size=5,
        max_size=40,
    )
)
def test_a_half_open_breaker_never_lets_two_through(steps: list[tuple[int, str]]) -> None:
    """Passes begin what the guards let them; ends come later, in any order of outcomes."""
    world = _opened()
    drift = situations.drift()
    state = situations.state(drift)
    when, open_heals, number = NOW, list[model.Heal](), 0
    for pause, outcome in steps:
        when = clocks.Timestamp(when + pause * situations.SECOND)
        for _ in range(2):
            number += 1
            action = situations.action(id=f"p{number}")
            plan = model.Plan(
                plan_id="p",
                digest="d",
                client_id=drifting.CLIENT,
                stack_id=drifting.STACK,
                generation=3,
                desired_version="",
                desired_hash="",
                observed_hash="",
                observed_cursor=0,
                actions=(action,),
                created_at=when,
                expires_at=when,
            )
            found = guarding.blockers(
                plan, state, situations.HEALING, world.found, when, manual=False
            )
            before = world.at(COMPONENT, when)
            if any(each.code == "breaker_open" for each in found):
                assert before in ("open", "half_open")
                continue
            assert before != "open"
            if before == "half_open":
                assert open_heals == []
            world.say_all(breakers.claims(world.found, state, action, when), when)
            heal = situations.heal(action, started_at=when)
            world.heal(heal)
            open_heals.append(heal)
        if open_heals:
            heal = open_heals.pop(0)
            ended = msgspec.structs.replace(heal, status=outcome, ended_at=when)
            said = breakers.after(world.found, state, ended, when)
            world.heal(ended)
            world.say_all(said, when)
