from typing import Any

import msgspec
import pytest
import situations
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import approving, model, policy

NOW = situations.NOW
PLAN = situations.planned(
    situations.state(situations.drift("provider/cms", "/url", "cms_provider_change"))
)


def _asked(**fields: Any) -> model.Approval:
    rules = policy.Policy(approvals=policy.Approvals(**fields))
    return approving.request(PLAN, rules, approval_id="ap-1", requested_by="user:ada", now=NOW)


def _answer(approval: model.Approval, actor: str = "user:bob", **fields: Any) -> model.Grant:
    said: dict[str, Any] = {
        "roles": ("operator",),
        "digest": approval.digest,
        "granted": True,
        "reason": "looks right",
        "now": NOW,
        **fields,
    }
    return approving.answer(approval, actor=actor, **said)


def _with(approval: model.Approval, *grants: model.Grant) -> model.Approval:
    return msgspec.structs.replace(approval, grants=(*approval.grants, *grants))


def test_people_are_asked_about_a_digest_with_the_reason_and_for_a_day() -> None:
    approval = _asked()
    assert approval.digest == PLAN.digest
    assert approval.shown == PLAN
    assert approval.expires_at - NOW == 24 * situations.HOUR
    assert approval.reason == (
        "Register provider/cms again: policy wants cms_provider_change to be approved"
    )
    assert approving.status(approval, NOW) == "pending"


def test_one_grant_is_enough_unless_policy_wants_more() -> None:
    assert approving.status(_with(_asked(), _answer(_asked())), NOW) == "granted"
    two = _asked(quorum=2)
    first = _with(two, _answer(two))
    assert approving.status(first, NOW) == "pending"
    assert approving.missing(first) == 1
    both = _with(first, _answer(first, "user:eve"))
    assert approving.status(both, NOW) == "granted"


def test_the_same_person_counts_once() -> None:
    two = _asked(quorum=2)
    first = _with(two, _answer(two))
    with pytest.raises(errors.InvalidInputError, match="agreed to this already; 1 more"):
        _answer(first)
    twice = _with(first, _answer(two))
    assert approving.status(twice, NOW) == "pending"


def test_a_grant_for_another_digest_is_a_conflict() -> None:
    with pytest.raises(errors.ConflictError, match="look at the plan again"):
        _answer(_asked(), digest="0" * 64)


def test_who_has_none_of_the_roles_may_not_answer() -> None:
    approval = _asked(roles=("security",))
    with pytest.raises(errors.InvalidInputError, match="none of the roles security"):
        _answer(approval)
    with pytest.raises(errors.InvalidInputError, match="none of the roles"):
        _answer(approval, granted=False)
    assert _answer(approval, roles=("operator", "security")).granted


def test_who_has_asked_may_say_no_but_not_yes_if_policy_wants_it_so() -> None:
    approval = _asked(not_requester=True)
    with pytest.raises(errors.InvalidInputError, match="somebody else has to agree"):
        _answer(approval, "user:ada")
    assert not _answer(approval, "user:ada", granted=False).granted
    assert _answer(_asked(), "user:ada").granted


def test_one_no_is_a_no() -> None:
    two = _asked(quorum=2)
    no = _with(two, _answer(two), _answer(two, "user:eve", granted=False))
    assert approving.status(no, NOW) == "denied"


def test_an_answer_after_the_end_is_a_conflict() -> None:
    approval = _asked(ttl=60 * situations.SECOND)
    late = clocks.Timestamp(NOW + 60 * situations.SECOND)
    with pytest.raises(errors.ConflictError, match="is expired"):
        _answer(approval, now=late)
    revoked = msgspec.structs.replace(approval, status="revoked")
    with pytest.raises(errors.ConflictError, match="is revoked"):
        _answer(revoked)


def test_what_nobody_answers_expires() -> None:
    approval = _asked(ttl=60 * situations.SECOND, quorum=2)
    assert approving.ended(approval, PLAN, NOW) is None
    found = approving.ended(approval, PLAN, approval.expires_at)
    assert found is not None
    assert (found.status, found.reason) == ("expired", "2 of 2 did not answer in time")


def test_what_was_agreed_to_is_stale_once_something_else_would_be_done() -> None:
    granted = msgspec.structs.replace(_asked(), status="granted")
    other = msgspec.structs.replace(PLAN, digest="0" * 64)
    for plan in (other, None):
        found = approving.ended(granted, plan, NOW)
        assert found is not None
        assert found.status == "stale"
    again = msgspec.structs.replace(PLAN, plan_id="plan-again")
    assert approving.ended(granted, again, NOW) is None


def test_what_was_answered_does_not_expire() -> None:
    granted = msgspec.structs.replace(_asked(), status="granted")
    much_later = clocks.Timestamp(granted.expires_at + 1)
    assert approving.ended(granted, PLAN, much_later) is None


@given(
    quorum=st.integers(1, 3),
    answers=st.lists(
        st.tuples(
            st.sampled_from(("user:ada", "user:bob", "user:eve", "user:joe")),
            st.sampled_from(("operator", "guest")),
            st.booleans(),
        ),
        max_size=8,
    ),
)
def test_it_is_granted_only_by_enough_different_people_who_may(
    quorum: int, answers: list[tuple[str, str, bool]]
) -> None:
    approval = _asked(quorum=quorum, roles=("operator",), not_requester=True)
    yes: set[str] = set()
    for actor, role, granted in answers:
        try:
            grant = _answer(approval, actor, roles=(role,), granted=granted)
        except errors.InvalidInputError:
            assert role == "guest" or actor == "user:ada" or actor in yes
            continue
        except errors.ConflictError:
            assert approving.status(approval, NOW) in ("granted", "denied")
            continue
        approval = _with(approval, grant)
        if granted:
            yes.add(actor)
    status = approving.status(approval, NOW)
    assert (status == "granted") == (len(yes) >= quorum and status != "denied")
    assert yes <= {"user:bob", "user:eve", "user:joe"}
