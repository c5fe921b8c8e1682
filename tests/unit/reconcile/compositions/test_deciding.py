import drifting
import msgspec
import pytest
import situations
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.compositions import deciding, model, policy, stack

NOW = situations.NOW


def _rules(**fields: object) -> policy.Policy:
    return drifting.with_healing(**{"enabled": True, **fields})


def _verdict(drift: model.Drift, rules: policy.Policy, **more: object) -> str:
    ((verdict, _),) = situations.verdicts(situations.state(drift), rules, **more)
    return verdict


def test_what_policy_allows_heals_by_itself() -> None:
    ((verdict, reason),) = situations.verdicts(situations.state(situations.drift()), _rules())
    assert (verdict, reason) == ("heal", "policy lets webhook_broken heal by itself")


def test_without_auto_heal_nothing_heals_and_all_is_told() -> None:
    ((verdict, reason),) = situations.verdicts(
        situations.state(situations.drift()), _rules(enabled=False)
    )
    assert (verdict, reason) == ("warn", "policy has auto_heal off")


def test_what_policy_does_not_name_is_told_only() -> None:
    drift = situations.drift("resource/orders", "/VisibilityTimeout", "configuration_changed")
    assert _verdict(drift, _rules()) == "warn"


def test_a_cause_that_is_to_be_approved_waits_although_its_type_may_heal() -> None:
    drift = situations.drift("provider/cms", "/url", "cms_provider_change")
    rules = _rules(allowed_drift_types=("provider",))
    assert _verdict(drift, rules) == "approve"


def test_a_missing_resource_and_a_broken_build_count_as_unhealthy_resources() -> None:
    missing = situations.drift("resource/orders", "", "resource_missing")
    broken = situations.drift("resource/site", "/healthy", "build_broken")
    rules = _rules(allowed_drift_types=("resource_unhealthy",))
    assert [_verdict(missing, rules), _verdict(broken, rules)] == ["heal", "heal"]


@pytest.mark.parametrize(
    ("mode", "verdict"),
    [
        ("off", "ignore"),
        ("observe", "watch"),
        ("warn", "warn"),
        ("approve", "approve"),
        ("heal", "heal"),
    ],
)
def test_a_mode_by_name_goes_before_the_lists(mode: str, verdict: str) -> None:
    rules = _rules(modes={"webhook_broken": mode}, allowed_drift_types=(), enabled=False)
    assert _verdict(situations.drift(), rules) == verdict


def test_the_narrowest_word_of_several_modes_wins() -> None:
    rules = _rules(modes={"resource": "heal", "resource_unhealthy": "warn", "build_broken": "off"})
    broken = situations.drift("resource/site", "/healthy", "build_broken")
    missing = situations.drift("resource/orders", "", "resource_missing")
    unhealthy = situations.drift("resource/orders", "/healthy", "resource_unhealthy")
    changed = situations.drift("resource/orders", "/Tags", "configuration_changed")
    assert _verdict(broken, rules) == "ignore"
    assert _verdict(missing, rules) == "warn"
    assert _verdict(unhealthy, rules) == "warn"
    assert _verdict(changed, rules) == "warn"


@pytest.mark.parametrize(
    ("confidence", "verdict"),
    [(0.0, "watch"), (0.49, "watch"), (0.5, "warn"), (0.79, "warn"), (0.8, "heal"), (1.0, "heal")],
)
def test_confidence_decides_between_watching_telling_and_healing(
    confidence: float, verdict: str
) -> None:
    assert _verdict(situations.drift(confidence=confidence), _rules()) == verdict


def test_a_policy_may_want_more_confidence() -> None:
    drift = situations.drift(confidence=0.85)
    assert _verdict(drift, _rules(confidence=0.9)) == "warn"


def test_what_is_only_suspected_is_watched() -> None:
    assert _verdict(situations.drift(state="suspected"), _rules()) == "watch"


def test_what_nothing_mends_is_told() -> None:
    drift = situations.drift("provider/cms", "/authorised", "credential_invalid", healable=False)
    ((verdict, reason),) = situations.verdicts(
        situations.state(drift), _rules(allowed_drift_types=("provider",))
    )
    assert (verdict, reason) == ("warn", "there is no action that mends credential_invalid")


def test_after_the_last_attempt_people_are_asked() -> None:
    drift = situations.drift(attempts=3, state="failed")
    ((verdict, reason),) = situations.verdicts(situations.state(drift), _rules(max_attempts=3))
    assert (verdict, reason) == ("escalate", "3 of 3 attempts did not help")


def test_an_attempt_waits_for_its_time() -> None:
    later = clocks.Timestamp(NOW + situations.SECOND)
    drift = situations.drift(attempts=1, state="failed", next_attempt_at=later)
    assert _verdict(drift, _rules()) == "wait"
    assert _verdict(drift, _rules(), now=later) == "heal"


def test_a_failed_drift_does_not_hold_up_another_one() -> None:
    failed = situations.drift(attempts=3, state="failed")
    other = situations.drift("provider/cms", "/registered", "provider_missing")
    found = deciding.decide(situations.state(failed, other), _rules(), NOW)
    assert found[failed.drift_id].verdict == "escalate"
    assert found[other.drift_id].verdict == "heal"


def test_an_operator_tries_again_what_was_given_up_and_what_is_not_due() -> None:
    spent = situations.drift(attempts=3, state="escalated")
    later = situations.drift("provider/cms", "/registered", "provider_missing").drift_id
    waiting = situations.drift(
        "provider/cms",
        "/registered",
        "provider_missing",
        next_attempt_at=clocks.Timestamp(NOW + situations.HOUR),
    )
    found = deciding.decide(situations.state(spent, waiting), _rules(), NOW, manual=True)
    assert {each.verdict for each in found.values()} == {"heal"}
    assert later in found


def test_an_operator_does_not_heal_what_policy_only_tells_of() -> None:
    assert _verdict(situations.drift(), _rules(enabled=False), manual=True) == "warn"


def test_what_is_acknowledged_is_left_to_who_did_it() -> None:
    assert _verdict(situations.drift(state="acknowledged"), _rules()) == "warn"


def test_what_is_ignored_stays_so() -> None:
    assert _verdict(situations.drift(state="ignored", rule="r1"), _rules()) == "ignore"


def test_a_rule_that_leaves_healing_to_others_still_tells() -> None:
    rule = policy.IgnoreRule(id="r1", effect="heal", owner="team-shop")
    drift = situations.drift(rule="r1")
    of = situations.state(drift, rules=(rule,))
    assert situations.verdicts(of, _rules()) == [("warn", "rule r1 leaves it to others")]


def test_a_rule_for_alarms_alone_does_not_stop_healing() -> None:
    rule = policy.IgnoreRule(id="r1", effect="alarm")
    of = situations.state(situations.drift(rule="r1"), rules=(rule,))
    assert situations.verdicts(of, _rules())[0][0] == "heal"


def test_what_is_in_the_baseline_is_ignored_until_it_expires() -> None:
    drift = situations.drift()
    of = situations.state(drift, baseline=(drift.fingerprint,), baseline_until=NOW)
    before = clocks.Timestamp(NOW - 1)
    assert situations.verdicts(of, _rules(), now=before)[0][0] == "ignore"
    assert situations.verdicts(of, _rules())[0][0] == "heal"


def test_an_action_under_way_is_waited_for_by_all_drifts_of_its_component() -> None:
    url, other = situations.drift(), situations.drift(path="/enabled")
    begun = situations.heal(situations.action(drift_ids=(url.drift_id,)))
    of = situations.state(url, other, heals=(begun,))
    assert [each[0] for each in situations.verdicts(of, _rules())] == ["wait", "wait"]


def test_a_drift_that_is_fought_over_is_left_to_people_and_its_writer_named() -> None:
    origin = model.Origin(actor="user:ada", channel="webhook")
    drift = situations.drift(origin=origin, occurrence=4)
    healed = tuple(clocks.Timestamp(NOW - n * 600 * situations.SECOND) for n in (3, 2, 1))
    past = stack.Past(occurrence=3, closed="healed", closed_at=healed[-1], healed=healed)
    of = situations.state(drift, past={drift.drift_id: past})
    ((verdict, reason),) = situations.verdicts(of, _rules())
    assert verdict == "escalate"
    assert "healed 3 times" in reason
    assert "user:ada" in reason


def test_closed_drifts_are_not_decided_on() -> None:
    assert situations.verdicts(situations.state(situations.drift(state="healed"))) == []


def test_eligible_is_what_would_heal_without_asking() -> None:
    drift = situations.drift()
    assert deciding.is_eligible(_rules(), drift)
    assert not deciding.is_eligible(_rules(require_approval=("webhook_broken",)), drift)
    assert not deciding.is_eligible(_rules(), situations.drift(confidence=0.7))


def test_an_effect_is_asked_about_unless_policy_lets_it_heal_by_name() -> None:
    asks = deciding.asks_for(_rules(), ("data_deletion",))
    assert asks == "policy wants data_deletion to be approved"
    assert deciding.asks_for(_rules(modes={"data_deletion": "heal"}), ("data_deletion",)) is None
    assert deciding.asks_for(_rules(), ("webhook_recreated",)) is None


_STATES = st.sampled_from(
    ("suspected", "confirmed", "acknowledged", "ignored", "failed", "escalated", "healing")
)


@given(
    state=_STATES,
    confidence=st.floats(0, 1),
    attempts=st.integers(0, 6),
    enabled=st.booleans(),
    mode=st.sampled_from((None, "off", "observe", "warn", "approve", "heal")),
    manual=st.booleans(),
)
def test_nothing_heals_that_is_unsure_unconfirmed_or_not_allowed(
    state: model.DriftState,
    confidence: float,
    attempts: int,
    enabled: bool,  # noqa: FBT001
    mode: policy.Mode | None,
    manual: bool,  # noqa: FBT001
) -> None:
    rules = _rules(enabled=enabled, modes={} if mode is None else {"webhook_broken": mode})
    drift = situations.drift(state=state, confidence=confidence, attempts=attempts)
    of = situations.state(drift)
    decision = deciding.decide(of, rules, NOW, manual=manual)[drift.drift_id]
    assert decision == deciding.decide(of, rules, NOW, manual=manual)[drift.drift_id]
    assert decision.reason
    if decision.verdict == "heal":
        assert confidence >= 0.8
        assert mode == "heal" or (mode is None and enabled)
        assert state not in ("suspected", "ignored", "healing")
        assert manual or (attempts < 3 and state in ("confirmed", "failed"))
    assert msgspec.to_builtins(decision)["drift_id"] == drift.drift_id
