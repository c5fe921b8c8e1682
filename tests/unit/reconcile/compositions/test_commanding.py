"""What may be ordered of a stack, and what is refused with what code."""

import msgspec
import ordering
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import (
    commanding,
    document,
    events,
    policy,
    refusals,
    stack,
    versions,
)

Life = ordering.Life
NOW = ordering.NOW


@pytest.fixture
def life() -> Life:
    found = Life()
    found.declare("a", "b", "c", "d", "e")
    return found


# -- declare -------------------------------------------------------------------------------------


def test_d_12_the_first_declaration_is_generation_one_of_version_one(life: Life) -> None:
    assert (life.state.generation, life.state.version) == (1, "v1.0.0")
    assert life.state.uid
    assert life.state.hash == ordering.declared("a", "b", "c", "d", "e").hash


def test_what_is_declared_already_needs_no_event(life: Life) -> None:
    assert life.declare("e", "d", "c", "b", "a") == []


def test_each_change_is_a_new_generation_of_the_same_stack(life: Life) -> None:
    uid = life.state.uid
    assert life.declare("a", "b", "c", "d", "e", url="b") == [events.STACK_DECLARED]
    assert (life.state.generation, life.state.version) == (2, "v1.0.1")
    life.declare("a", "b", "c", "d", "e", "f", url="b")
    assert (life.state.generation, life.state.version, life.state.uid) == (3, "v1.1.0", uid)


def test_d_13_earlier_versions_are_kept(life: Life) -> None:
    life.declare("a", "b", "c", "d", "e", url="b")
    assert [each.version for each in life.state.versions] == ["v1.0.0", "v1.0.1"]


def test_u_15_a_declaration_that_takes_much_away_is_refused_unless_it_is_meant(life: Life) -> None:
    with pytest.raises(refusals.RemovalsRefusedError, match="2 of 5 components") as raised:
        life.declare("a", "b", "c")
    assert "--allow-removals" in str(raised.value)
    assert life.declare("a", "b", "c", "d") == [events.STACK_DECLARED]
    assert life.declare("a", removals=True) == [events.STACK_DECLARED]


def test_u_15_more_than_ten_removals_are_refused_however_large_the_stack_is() -> None:
    life = Life()
    names = [f"r{n}" for n in range(100)]
    life.declare(*names)
    with pytest.raises(refusals.RemovalsRefusedError, match="11 of 100"):
        life.declare(*names[11:])
    assert life.declare(*names[10:]) == [events.STACK_DECLARED]


@pytest.mark.parametrize("is_new", [True, False])
def test_scenario_11_an_empty_declaration_changes_nothing(life: Life, *, is_new: bool) -> None:
    subject = Life() if is_new else life
    with pytest.raises(refusals.RemovalsRefusedError, match="declares nothing"):
        subject.declare()


def test_scenario_11_what_cannot_be_read_is_not_taken_for_nothing(life: Life) -> None:
    life.before = None
    with pytest.raises(refusals.RemovalsRefusedError, match="cannot be read"):
        life.declare("a", "b", "c", "d", "e", "f")


def test_a_declaration_of_another_generation_than_meant_is_refused(life: Life) -> None:
    with pytest.raises(errors.ConflictError, match="is at generation 1, and not at 7") as raised:
        life.declare("a", "b", "c", "d", "e", "f", if_match=7)
    assert raised.value.aggregate is None
    assert life.declare("a", "b", "c", "d", "e", "f", if_match=1) == [events.STACK_DECLARED]
    fresh = Life()
    assert fresh.declare("a", if_match=0) == [events.STACK_DECLARED]


def test_the_declaration_of_another_stack_is_refused(life: Life) -> None:
    with pytest.raises(errors.InvalidInputError, match="acme/other") as raised:
        commanding.declare(
            life.state,
            ordering.declared("a", stack_id="other"),
            before=life.before,
            id_source=life.ids,
        )
    assert raised.value.field == "metadata.stack_id"


def test_a_stack_that_is_declared_anew_is_another_one_and_its_versions_go_on(life: Life) -> None:
    uid = life.state.uid
    assert life.say(commanding.remove(life.state, reason="over")) == [events.STACK_REMOVED]
    assert commanding.remove(life.state, reason="again") == []
    life.declare("z")
    assert life.state.uid != uid
    assert (life.state.generation, life.state.version) == (2, "v2.0.0")
    assert life.state.is_declared


# -- policy --------------------------------------------------------------------------------------


def test_o_07_a_policy_is_declared_and_taken_away(life: Life) -> None:
    found = ordering.rules("{auto_heal: {enabled: true}}")
    assert life.say(commanding.set_policy(life.state, found)) == [events.POLICY_DECLARED]
    assert commanding.set_policy(life.state, found) == []
    assert life.say(commanding.unset_policy(life.state)) == [events.POLICY_DECLARED]
    assert commanding.unset_policy(life.state) == []


def test_a_policy_of_another_stack_or_of_none_is_refused(life: Life) -> None:
    with pytest.raises(errors.InvalidInputError, match="acme/other"):
        commanding.set_policy(life.state, ordering.rules("{}", "other"))
    with pytest.raises(errors.NotFoundError, match="helios apply"):
        commanding.set_policy(Life().state, ordering.rules("{}"))


# -- versions ------------------------------------------------------------------------------------


def test_h_17_a_rollback_declares_the_old_content_again_and_stays_there(life: Life) -> None:
    first, bad = life.state.hash, ordering.declared("a", "b", "c", "d", "e", url="bad")
    life.declare("a", "b", "c", "d", "e", url="bad")
    assert life.rollback("v1.0.0") == [
        events.STACK_DECLARED,
        events.REVISION_REJECTED,
        events.STACK_PINNED,
    ]
    assert life.state.hash == first
    assert (life.state.generation, life.state.version) == (3, "v1.0.2")
    assert life.state.versions[-1].restores == 1
    assert (life.state.pinned, life.state.rejected) == (3, (bad.hash,))


def test_u_7_what_was_rolled_back_does_not_come_again(life: Life) -> None:
    life.declare("a", "b", "c", "d", "e", url="bad")
    life.rollback("v1.0.0")
    with pytest.raises(refusals.StackPinnedError, match=r"pinned at v1\.0\.2"):
        life.declare("a", "b", "c", "d", "e", url="bad")
    # Somebody who pins it elsewhere does not forget what was bad.
    life.state = msgspec.structs.replace(life.state, pinned=None)
    with pytest.raises(refusals.RevisionRejectedError, match="helios unpin"):
        life.declare("a", "b", "c", "d", "e", url="bad")
    assert life.declare("a", "b", "c", "d", "e", url="mended") == [events.STACK_DECLARED]


def test_u_7_a_stack_that_is_unpinned_takes_everything_again(life: Life) -> None:
    life.declare("a", "b", "c", "d", "e", url="bad")
    life.rollback("v1.0.0")
    assert life.say(commanding.unpin(life.state)) == [events.STACK_UNPINNED]
    assert commanding.unpin(life.state) == []
    assert life.declare("a", "b", "c", "d", "e", url="bad") == [events.STACK_DECLARED]


def test_a_rollback_to_what_is_there_or_was_rejected_is_refused(life: Life) -> None:
    with pytest.raises(refusals.NothingToDoError, match="helios pin"):
        life.rollback("v1.0.0")
    life.declare("a", "b", "c", "d", "e", url="bad")
    life.rollback("v1.0.0")
    with pytest.raises(refusals.RevisionRejectedError):
        life.rollback("v1.0.1")


def test_a_rollback_takes_away_what_it_has_to(life: Life) -> None:
    life.declare("a", "b", "c", "d", "e", *(f"n{i}" for i in range(20)))
    assert life.rollback("v1.0.0")[0] == events.STACK_DECLARED
    assert life.state.version == "v2.0.0"


def test_a_stack_is_pinned_at_its_present_version_only(life: Life) -> None:
    life.declare("a", "b", "c", "d", "e", url="b")
    with pytest.raises(refusals.RefusedError, match=r"helios rollback acme/shop --to v1\.0\.0"):
        commanding.pin(life.state, version="v1.0.0")
    assert life.say(commanding.pin(life.state, version="v1.0.1")) == [events.STACK_PINNED]
    assert commanding.pin(life.state) == []
    with pytest.raises(refusals.StackPinnedError, match="helios unpin"):
        life.declare("a", "b", "c", "d", "e", url="c")
    assert life.declare("a", "b", "c", "d", "e", url="b") == []


# -- drift ---------------------------------------------------------------------------------------


def test_o_06_a_drift_is_acknowledged_by_somebody(life: Life) -> None:
    life.drift()
    said = commanding.acknowledge(life.state, "d1", actor="user:ada", reason="on it")
    assert life.say(said) == [events.DRIFT_ACKNOWLEDGED]
    found = life.state.drifts["d1"]
    assert found.state == "acknowledged"
    assert found.reason == "acknowledged by user:ada: on it"
    assert commanding.acknowledge(life.state, "d1", actor="user:bob") == []


def test_a_drift_that_is_none_is_closed(life: Life) -> None:
    life.drift()
    said = commanding.false_positive(life.state, "d1", actor="user:ada", now=NOW)
    assert life.say(said) == [events.DRIFT_RESOLVED]
    assert not life.state.drifts
    assert life.state.past["d1"].closed == "false_positive"
    with pytest.raises(refusals.DriftClosedError):
        commanding.acknowledge(life.state, "d1", actor="user:ada")


def test_a_drift_that_is_not_there_or_is_being_healed_is_refused(life: Life) -> None:
    with pytest.raises(errors.NotFoundError, match="helios drift list"):
        commanding.acknowledge(life.state, "nothing", actor="user:ada")
    life.drift("healing")
    with pytest.raises(refusals.RefusedError, match="is being healed"):
        commanding.acknowledge(life.state, "d1", actor="user:ada")
    with pytest.raises(refusals.RefusedError, match="helios pause"):
        commanding.false_positive(life.state, "d1", actor="user:ada", now=NOW)


def test_a_plan_is_void_without_a_drift_it_was_for(life: Life) -> None:
    life.drift()
    life.plan("d1")
    assert life.state.drifts["d1"].state == "planned"
    said = commanding.acknowledge(life.state, "d1", actor="user:ada")
    assert life.say(said) == [events.PLAN_VOIDED, events.DRIFT_ACKNOWLEDGED]
    assert life.state.plan is None
    assert [each.state for each in life.state.drifts.values()] == ["acknowledged"]


def test_a_plan_that_is_given_up_is_not_made_again_for_the_same_drifts(life: Life) -> None:
    life.drift()
    life.drift(name="d2")
    life.plan("d1")
    said = commanding.cancel(life.state, actor="user:ada", reason="not now")
    assert life.say(said) == [events.PLAN_VOIDED, events.DRIFT_ACKNOWLEDGED]
    assert {name: each.state for name, each in life.state.drifts.items()} == {
        "d1": "acknowledged",
        "d2": "confirmed",
    }
    with pytest.raises(refusals.NothingToDoError, match="no plan"):
        commanding.cancel(life.state, actor="user:ada")


def test_a_baseline_is_of_the_present_drifts(life: Life) -> None:
    assert commanding.baseline(life.state, reason="known") == []
    life.drift(name="d2")
    life.drift()
    said = commanding.baseline(life.state, reason="known", expires_at=NOW)
    assert life.say(said) == [events.BASELINE_TAKEN]
    assert life.state.baseline == ("f-d1", "f-d2")
    with pytest.raises(errors.InvalidInputError, match="say why"):
        commanding.baseline(life.state, reason=" ")


def test_an_ignore_rule_needs_a_reason_and_has_an_owner(life: Life) -> None:
    asked = policy.IgnoreRule(id="", component="resource/a", path="/x", reason="known")
    said = commanding.declare_rule(
        life.state, asked, actor="user:ada", expires_at=None, id_source=life.ids
    )
    assert life.say(said) == [events.RULE_DECLARED]
    (rule,) = life.state.rules
    assert (rule.owner, rule.component) == ("user:ada", "resource/a")
    assert rule.id.startswith("rule-")
    again = commanding.declare_rule(
        life.state, rule, actor="user:bob", expires_at=None, id_source=life.ids
    )
    assert again == []
    assert life.say(commanding.remove_rule(life.state, rule.id)) == [events.RULE_REMOVED]
    with pytest.raises(errors.NotFoundError, match="of its policy"):
        commanding.remove_rule(life.state, rule.id)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (policy.IgnoreRule(id="r", component="a"), "say why"),
        (policy.IgnoreRule(id="r", reason="x"), "leaves out everything"),
        (policy.IgnoreRule(id="r", reason="x", path="/"), "leaves out everything"),
        (policy.IgnoreRule(id="r", reason="x", path="tags"), "JSON pointer"),
    ],
)
def test_a_wrong_rule_is_refused(life: Life, rule: policy.IgnoreRule, said: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=said):
        commanding.declare_rule(
            life.state, rule, actor="user:ada", expires_at=None, id_source=life.ids
        )


def test_a_stack_has_so_many_rules_and_no_more(life: Life) -> None:
    full = tuple(policy.IgnoreRule(id=f"r{n}", component="a") for n in range(200))
    life.state = msgspec.structs.replace(life.state, rules=full)
    more = policy.IgnoreRule(id="more", component="a", reason="x")
    with pytest.raises(refusals.RefusedError, match="has 200 ignore rules"):
        commanding.declare_rule(
            life.state, more, actor="user:ada", expires_at=None, id_source=life.ids
        )
    instead = policy.IgnoreRule(id="r7", component="a", reason="x")
    assert commanding.declare_rule(
        life.state, instead, actor="user:ada", expires_at=None, id_source=life.ids
    )


# -- suspension ----------------------------------------------------------------------------------


def test_a_stack_is_suspended_with_a_reason_and_resumed(life: Life) -> None:
    until = clocks.Timestamp(NOW + 3_600 * clocks.SECOND_US)
    assert commanding.resume(life.state) == []
    said = commanding.suspend(life.state, mode="all", reason="audit", until=until)
    assert life.say(said) == [events.STACK_SUSPENDED]
    assert commanding.suspend(life.state, mode="all", reason="audit", until=until) == []
    assert commanding.suspend(life.state, mode="heal_only", reason="audit", until=until)
    with pytest.raises(errors.InvalidInputError, match="say why"):
        commanding.suspend(life.state, mode="all", reason="")
    assert life.say(commanding.resume(life.state)) == [events.STACK_RESUMED]
    assert life.state.suspended is None


def test_nothing_is_ordered_of_a_stack_that_is_not_declared() -> None:
    fresh: stack.Stack = Life().state
    with pytest.raises(errors.NotFoundError):
        commanding.suspend(fresh, mode="all", reason="x")
    with pytest.raises(errors.NotFoundError):
        commanding.pin(fresh)
    with pytest.raises(errors.NotFoundError):
        commanding.baseline(fresh, reason="x")


# -- in any order --------------------------------------------------------------------------------

_ORDERS = st.lists(
    st.one_of(
        st.tuples(st.just("declare"), st.sampled_from(["ab", "abc", "abcd", "b", "", "xyz"])),
        st.tuples(st.just("force"), st.sampled_from(["ab", "abc", "", "xyz"])),
        st.tuples(st.just("rollback"), st.integers(0, 5)),
        st.tuples(st.sampled_from(["pin", "unpin", "remove"]), st.just(0)),
    ),
    max_size=12,
)


def _order(life: Life, verb: str, what: object) -> None:
    match verb:
        case "declare" | "force":
            life.declare(*str(what), removals=verb == "force")
        case "rollback" if life.state.versions and isinstance(what, int):
            life.rollback(life.state.versions[what % len(life.state.versions)].version)
        case "pin":
            life.say(commanding.pin(life.state))
        case "unpin":
            life.say(commanding.unpin(life.state))
        case "remove":
            life.say(commanding.remove(life.state, reason="x"))
        case _:
            pass


@given(_ORDERS)
@settings(max_examples=150)
def test_whatever_is_ordered_generations_and_versions_only_grow(
    orders: list[tuple[str, object]],
) -> None:
    life = Life()
    for verb, what in orders:
        before = life.state
        try:
            _order(life, verb, what)
        except (refusals.RefusedError, errors.NotFoundError):
            assert life.state == before
        after = life.state
        assert after.generation >= before.generation
        if after.generation > before.generation:
            assert after.hash == document.parse(life.texts[after.generation]).hash
            if before.version:
                assert versions.parse(after.version) > versions.parse(before.version)
        if before.pinned is not None and before.uid == after.uid and verb in ("declare", "force"):
            assert after.hash == before.hash
        assert after.hash not in after.rejected or not after.is_declared
    names = [each.version for each in life.state.versions]
    assert len(names) == len(set(names))
