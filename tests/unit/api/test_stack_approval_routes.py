"""Approvals and plans over the API: what is agreed to is a digest, and each refusal has a code."""

from collections.abc import Sequence
from typing import Any

import pytest

from helios.eventlog import envelope
from helios.reconcile.compositions import events, writer
from helios.testing import stack_samples as samples

PATH = "/api/v1/approvals"
CLIENT = {"client_id": samples.CLIENT}
ONE = f"{PATH}/{samples.APPROVAL}"
STACK = f"/api/v1/clients/{samples.CLIENT}/stacks/{samples.STACK}"


async def tell(helios: Any, said: Sequence[writer.Said]) -> dict[str, str]:
    parts = helios.parts
    position = await samples.tell(parts.log, said, now=parts.clock.now(), id_source=parts.ids)
    return {"helios-after": str(position)}


async def waiting(helios: Any, **change: Any) -> dict[str, str]:
    return await tell(helios, samples.planned(helios.parts.clock.now(), **change))


def answer(**change: Any) -> dict[str, Any]:
    return {"digest": samples.DIGEST, "actor": "ada", "reason": "as discussed", **change}


async def answered(
    helios: Any, word: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> Any:
    return await helios.post(f"{ONE}/{word}", body, params=CLIENT, headers=headers or {})


def test_what_waits_is_listed_with_the_plan_that_is_shown(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await waiting(helios)
        listed = (await helios.get(PATH, params={"status": "pending"}, headers=after)).json()
        (found,) = listed["approvals"]
        assert (found["approval_id"], found["stack_id"]) == (samples.APPROVAL, samples.STACK)
        assert found["shown"]["actions"][0]["target"] == "integration/cms-webhook"
        one = (await helios.get(ONE, params=CLIENT)).json()
        assert one == found
        assert (await helios.get(ONE)).json() == found, "the id alone finds it"
        assert (await helios.get(f"{PATH}/none")).status_code == 404
        assert (await helios.get(ONE, params={"client_id": "default"})).status_code == 404
        none = await helios.get(PATH, params={"status": "granted"})
        assert none.json() == {"approvals": [], "next_cursor": None}
        assert (await helios.get(PATH, params={"status": "asked"})).json()["code"] == (
            "invalid_input"
        )
        assert (await helios.get(f"{PATH}/none", params=CLIENT)).status_code == 404

    run(scenario)


def test_a_plan_is_agreed_to_by_its_digest_and_kept_with_who_did(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await waiting(helios)
        done = await answered(helios, "approve", answer(), after)
        assert (done.status_code, done.json()["unchanged"]) == (202, False)
        seen = {"helios-after": done.headers["helios-position"]}
        one = (await helios.get(ONE, params=CLIENT, headers=seen)).json()
        assert one["status"] == "granted"
        assert one["grants"][0]["actor"] == "user:ada"
        again = await answered(helios, "approve", answer(actor="bob"))
        assert (again.status_code, again.json()["code"]) == (409, "approval_closed")

    run(scenario)


def test_an_answer_for_another_plan_is_refused(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await waiting(helios)
        refused = await answered(helios, "approve", answer(digest="0" * 64), after)
        assert (refused.status_code, refused.json()["code"]) == (409, "digest_mismatch")
        assert "helios approvals show" in refused.json()["detail"]

    run(scenario)


def test_who_may_not_answer_is_refused(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await waiting(
            helios, roles=("oncall",), quorum=2, requested_by="user:ada", not_requester=True
        )
        wrong_role = await answered(helios, "approve", answer(actor="bob"), after)
        assert (wrong_role.status_code, wrong_role.json()["code"]) == (403, "approver_refused")
        asker = await answered(helios, "approve", answer(roles=["oncall"]))
        assert asker.json()["code"] == "approver_refused"
        first = answer(actor="bob", roles=["oncall"])
        done = await answered(helios, "approve", first)
        seen = {"helios-after": done.headers["helios-position"]}
        twice = await answered(helios, "approve", first, seen)
        assert twice.json()["code"] == "approver_refused"
        one = (await helios.get(ONE, params=CLIENT)).json()
        assert (one["status"], len(one["grants"])) == ("pending", 1)

    run(scenario)


def test_a_refused_plan_leaves_its_drifts_to_people(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await waiting(helios)
        done = await answered(helios, "reject", answer(reason="we move off it"), after)
        seen = {"helios-after": done.headers["helios-position"]}
        one = (await helios.get(ONE, params=CLIENT, headers=seen)).json()
        assert one["status"] == "denied"
        revoked = await helios.post(f"{ONE}/revoke", {}, params=CLIENT)
        assert revoked.json()["code"] == "approval_closed"

    run(scenario)


def test_what_is_asked_can_be_taken_back_until_it_is_being_done(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await waiting(helios)
        done = await helios.post(
            f"{ONE}/revoke", {"reason": "no need"}, params=CLIENT, headers=after
        )
        assert done.status_code == 202
        seen = {"helios-after": done.headers["helios-position"]}
        one = (await helios.get(ONE, params=CLIENT, headers=seen)).json()
        assert one["status"] == "revoked"

    run(scenario)


def test_an_answer_that_comes_again_under_its_key_gets_the_answer_it_had(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await waiting(helios)
        key = {**after, "idempotency-key": "k"}
        first = await answered(helios, "approve", answer(), key)
        again = await answered(helios, "approve", answer(), key)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        other = await answered(helios, "approve", answer(reason="another"), key)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    run(scenario)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "x"}, "digest"),
        ({"digest": "d", "actor": "service:reconciler"}, "actor"),
        ({"digest": "d", "actor": "no body"}, "actor"),
        ({"digest": "d", "colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_answer_is_named_by_its_field(run: Any, body: dict[str, Any], field: str) -> None:
    async def scenario(helios: Any) -> None:
        after = await waiting(helios)
        refused = await answered(helios, "approve", body, after)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")
        assert field in str(refused.json())

    run(scenario)


def test_plans_are_listed_and_found_by_their_id_alone(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await waiting(helios)
        listed = (await helios.get(f"{STACK}/plans", headers=after)).json()
        (found,) = listed["plans"]
        assert (found["plan_id"], found["void"], found["digest"]) == (
            samples.PLAN,
            "",
            samples.DIGEST,
        )
        assert (await helios.get(f"{STACK}/plans/{samples.PLAN}")).json() == found
        by_id = await helios.get(f"/api/v1/plans/{samples.PLAN}", params=CLIENT)
        assert by_id.json() == found
        assert (await helios.get(f"{STACK}/plans/none")).status_code == 404
        void = events.PlanVoided(plan_id=samples.PLAN, code="plan_stale", detail="it has changed")
        after = await tell(helios, [(events.PLAN_VOIDED, void)])
        listed = (await helios.get(f"{STACK}/plans", headers=after)).json()
        assert listed["plans"][0]["void"] == "plan_stale"

    run(scenario)


def test_a_plan_that_is_void_is_not_carried_out(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        void = events.PlanVoided(plan_id=samples.PLAN, code="plan_stale", detail="it has changed")
        await waiting(helios)
        after = await tell(helios, [(events.PLAN_VOIDED, void)])
        refused = await helios.post(f"{STACK}/plans/{samples.PLAN}/apply", headers=after)
        assert (refused.status_code, refused.json()["code"]) == (409, "plan_stale")
        assert "helios plan" in refused.json()["detail"]
        assert (await helios.post(f"{STACK}/plans/none/apply")).status_code == 404

    run(scenario)


def test_what_is_being_done_is_not_taken_back_and_stays_in_the_history(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        now = helios.parts.clock.now()
        await waiting(helios)
        after = await tell(helios, [samples.healed(now)])
        refused = await helios.post(f"{ONE}/revoke", {}, params=CLIENT, headers=after)
        assert (refused.status_code, refused.json()["code"]) == (409, "approval_closed")
        assert "helios pause" in refused.json()["detail"]
        changes = {"url": ["https://elsewhere.example.com", "https://h.example.com/webhook/cms"]}
        done = samples.healed(now, "succeeded", ended_at=now, changes=changes)
        after = await tell(helios, [done])
        (heal,) = (await helios.get(f"{STACK}/history", headers=after)).json()["heals"]
        assert (heal["status"], heal["changes"]) == ("succeeded", changes)
        assert heal["target"] == "integration/cms-webhook"

    run(scenario)


def test_a_reconciliation_is_asked_for_once_per_key_and_answered_when_it_ends(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await tell(helios, [samples.declared()])
        key = {**after, "idempotency-key": "k"}
        first = await helios.post(f"{STACK}/reconcile", {"reason": "x"}, headers=key)
        again = await helios.post(f"{STACK}/reconcile", {"reason": "x"}, headers=key)
        assert (first.status_code, again.json()) == (202, first.json())
        run_id = first.json()["reconciliation_id"]
        seen = {"helios-after": first.headers["helios-position"]}
        waits = await helios.get(f"{STACK}/reconciliations/{run_id}", headers=seen)
        assert (waits.status_code, waits.json()["reconciliation_id"]) == (202, run_id)
        after = await tell(helios, [samples.completed(run_id)])
        found = await helios.get(f"{STACK}/reconciliations/{run_id}", headers=after)
        assert (found.status_code, found.json()["status"]) == (200, "success")
        listed = (await helios.get(f"{STACK}/reconciliations")).json()["reconciliations"]
        assert [each["reconciliation_id"] for each in listed] == [run_id]
        waited = await helios.post(
            f"{STACK}/reconcile?wait=1", {"reason": "x"}, headers={"idempotency-key": "k2"}
        )
        assert waited.status_code == 202
        assert (await helios.get(f"{STACK}/reconciliations/none")).status_code == 404
        assert (await helios.post(f"{STACK}/reconcile?wait=31", {})).status_code == 400

    run(scenario)


def test_nothing_is_planned_or_healed_where_nothing_is_wrong(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        empty = samples.DECLARATION[: samples.DECLARATION.index("  providers:")]
        text = f"{empty}  resources:\n    door: {{kind: tcp, host: 127.0.0.1, port: 9}}\n"
        after = await tell(helios, [samples.declared(text=text)])
        key = {**after, "idempotency-key": "k"}
        made = await helios.post(f"{STACK}/plan", {"only": ["resource/door"]}, headers=key)
        assert (made.status_code, made.json()["plan"], made.json()["stored"]) == (200, None, False)
        again = await helios.post(f"{STACK}/plan", {"only": ["resource/door"]}, headers=key)
        assert (again.json(), again.headers["idempotency-replayed"]) == (made.json(), "true")
        other = await helios.post(f"{STACK}/plan", {"only": ["x"]}, headers=key)
        assert other.json()["code"] == "idempotency_key_reused"
        none = await helios.post(f"{STACK}/heal", {})
        assert (none.status_code, none.json()["code"]) == (409, "nothing_to_do")
        assert "helios drift list" in none.json()["detail"]
        unknown = await helios.post(f"{STACK}/heal", {"drifts": ["none"]})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
        wrong = await helios.post(f"{STACK}/heal", {"drift": "x"})
        assert wrong.json()["code"] == "invalid_input"

    run(scenario)


def test_what_is_not_declared_is_not_found(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for method, below in (
            ("POST", "/plan"),
            ("GET", "/plans"),
            ("POST", "/heal"),
            ("POST", "/reconcile"),
            ("GET", "/reconciliations"),
        ):
            answer = await helios.call(method, f"{STACK}{below}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), below
            assert "helios apply" in answer.json()["detail"]

    run(scenario)


def test_an_answer_names_what_it_answers_to(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await waiting(helios)
        await answered(helios, "approve", answer(), after)
        page = await helios.parts.log.read(envelope.Position(0))
        asked = next(e for e in page.events if e.type == events.APPROVAL_REQUESTED)
        granted = next(e for e in page.events if e.type == events.APPROVAL_GRANTED)
        assert granted.causation_id == asked.id
        assert granted.actor == "user:ada"

    run(scenario)
