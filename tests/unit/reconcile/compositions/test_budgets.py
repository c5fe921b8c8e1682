from typing import Any

import pytest
import situations
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.compositions import budgets, guards, model

NOW = situations.NOW
HOUR = situations.HOUR


def _heal(number: int = 0, age_s: float = 0, **fields: Any) -> guards.Recent:
    found: dict[str, Any] = {
        "action_id": f"a{number}",
        "at": clocks.Timestamp(NOW - int(age_s * situations.SECOND)),
        "tenant": "acme",
        "stack": "s",
        "component": "integration/hook",
        "provider": "strapi@cms.test",
        "kind": "update_webhook",
        "risk": "low",
        "outcome": "succeeded",
    }
    return guards.Recent(**{**found, **fields})


WANTED = _heal(999)


def _spent(heals: list[guards.Recent], **more: Any) -> str | None:
    found = budgets.spent(heals, more.pop("wanted", WANTED), NOW, **more)
    return None if found is None else found.scope


@pytest.mark.parametrize(
    ("number", "differing", "scope"),
    [
        (5, {}, "component integration/hook"),
        (20, {"component"}, "stack s"),
        (60, {"component", "stack", "provider"}, "client acme"),
        (300, {"component", "stack", "provider", "tenant"}, "all clients"),
    ],
)
def test_each_scope_has_its_budget_and_the_last_of_it_is_still_allowed(
    number: int, differing: set[str], scope: str
) -> None:
    heals = [
        _heal(n, age_s=n, **{name: f"{name}-{n}" for name in differing}) for n in range(number)
    ]
    assert _spent(heals) == scope
    assert _spent(heals[1:]) is None


def test_a_stack_with_many_components_may_heal_each_of_them_once() -> None:
    heals = [_heal(n, component=f"c{n}") for n in range(20)]
    assert _spent(heals) == "stack s"
    assert _spent(heals, components=30) is None


def test_one_destructive_action_an_hour_is_all_a_client_has() -> None:
    earlier = [_heal(1, risk="destructive", stack="other", component="x")]
    assert _spent(earlier) is None
    wanted = _heal(2, risk="destructive")
    assert _spent(earlier, wanted=wanted) == "destructive actions of acme"
    assert _spent([_heal(1, 3600, risk="destructive")], wanted=wanted) is None


def test_a_provider_that_takes_fewer_has_a_budget_of_its_own() -> None:
    limits = budgets.Limits(providers={"strapi": 2})
    heals = [_heal(n, component=f"c{n}") for n in range(2)]
    assert _spent(heals, limits=limits) == "provider strapi@cms.test"
    elsewhere = [_heal(n, component=f"c{n}", provider="strapi@other.test") for n in range(2)]
    assert _spent(elsewhere, limits=limits) is None


def test_a_token_comes_back_an_hour_after_it_was_taken() -> None:
    heals = [_heal(n, age_s=600 * n) for n in range(5)]
    found = budgets.spent(heals, WANTED, NOW)
    assert found is not None
    assert found.limit == 5
    assert found.until == NOW - 2400 * situations.SECOND + HOUR
    assert budgets.spent(heals, WANTED, found.until) is None
    assert budgets.spent(heals, WANTED, clocks.Timestamp(found.until - 1)) is not None


def test_an_action_is_not_counted_against_itself() -> None:
    assert _spent([_heal(n) for n in range(4)] + [WANTED]) is None


_RISKS: tuple[model.Risk, ...] = ("low", "destructive")


@given(
    tries=st.lists(
        st.tuples(st.integers(0, 600), st.integers(0, 2), st.sampled_from(_RISKS)),
        max_size=120,
    )
)
def test_no_hour_ever_sees_more_than_a_budget(
    tries: list[tuple[int, int, model.Risk]],
) -> None:
    now, done = NOW, list[guards.Recent]()
    for number, (pause, component, risk) in enumerate(tries):
        now = clocks.Timestamp(now + pause * situations.SECOND)
        wanted = _heal(number, component=f"c{component}", risk=risk, at=now)
        found = budgets.spent(done, wanted, now)
        if found is None:
            done.append(wanted)
        else:
            assert now < found.until <= now + HOUR
    for each in done:
        hour = [other for other in done if each.at <= other.at < each.at + HOUR]
        assert len(hour) <= 20
        assert sum(other.risk == "destructive" for other in hour) <= 1
        assert sum(other.component == each.component for other in hour) <= 5
