"""Declaring stacks over the API, and how they stand."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from helios.reconcile.compositions import events, writer
from helios.testing import stack_samples as samples

STACK = f"/api/v1/clients/{samples.CLIENT}/stacks/{samples.STACK}"
YAML = {"content-type": "application/yaml"}
CHANGED = samples.DECLARATION.replace("https://www.example.com", "https://shop.example.com")
SMALLER = samples.DECLARATION[: samples.DECLARATION.index("  resources:")]
POLICY = """\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {client_id: acme-corp, stack_id: cms-ecom-prod}
spec:
  auto_heal: {enabled: true, max_attempts: 5}
"""


async def declare(helios: Any, text: str = samples.DECLARATION, **request: Any) -> Any:
    query = request.pop("params", {})
    headers = {**YAML, **request.pop("headers", {})}
    return await helios.call(
        "PUT", STACK, content=text.encode(), params=query, headers=headers, **request
    )


def after(answer: Any) -> dict[str, str]:
    assert answer.status_code in (200, 201, 202), answer.text
    return {"helios-after": answer.headers["helios-position"]}


async def tell(helios: Any, said: Sequence[writer.Said]) -> dict[str, str]:
    parts = helios.parts
    position = await samples.tell(parts.log, said, now=parts.clock.now(), id_source=parts.ids)
    return {"helios-after": str(position)}


def refused(answer: Any, status: int, code: str) -> str:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    return str(problem["detail"])


def test_o_01_a_stack_that_is_declared_has_a_state_record(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await declare(helios, params={"note": "first"}, headers={"helios-actor": "ada"})
        assert made.status_code == 201
        assert made.json() == {
            "client_id": samples.CLIENT,
            "stack_id": samples.STACK,
            "generation": 1,
            "state_version": "v1.0.0",
            "position": int(made.headers["helios-position"]),
            "hash": made.json()["hash"],
            "added": ["integration/cms-webhook", "provider/cms", "resource/site"],
            "changed": [],
            "removed": [],
            "unchanged": False,
            "dry_run": False,
        }
        answer = await helios.get(STACK, headers=after(made))
        found = answer.json()
        assert answer.headers["etag"] == '"1"'
        assert found["desired_hash"] == made.json()["hash"]
        assert (found["applied_hash"], found["status"]) == (None, "reconciling")
        assert found["resources"] == {"site": "https://www.example.com"}
        assert found["reconciliation_policy"]["auto_heal"] is False
        history = (await helios.get(f"{STACK}/history")).json()
        (version,) = history["versions"]
        assert (version["actor"], version["note"]) == ("user:ada", "first")

    run(scenario)


def test_a_declaration_is_checked_without_being_made(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        tried = await declare(helios, params={"dry_run": "true"})
        assert (tried.status_code, tried.json()["dry_run"]) == (200, True)
        refused(await helios.get(STACK), 404, "not_found")
        made = await declare(helios)
        again = await declare(helios, headers=after(made))
        assert (again.status_code, again.json()["unchanged"]) == (200, True)
        tried = await declare(helios, CHANGED, params={"dry_run": "true"})
        assert (tried.json()["generation"], tried.json()["changed"]) == (2, ["resource/site"])

    run(scenario)


def test_a_declaration_replaces_the_generation_that_it_names_or_none(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await declare(helios)
        stale = {**after(made), "if-match": '"7"'}
        told = refused(await declare(helios, CHANGED, headers=stale), 409, "conflict")
        assert "generation 1" in told
        fits = {**after(made), "if-match": '"1"'}
        changed = await declare(helios, CHANGED, headers=fits)
        assert (changed.status_code, changed.json()["state_version"]) == (201, "v1.0.1")
        found = (await helios.get(STACK, headers=after(changed))).json()
        assert [each["version"] for each in found["previous_versions"]] == ["v1.0.0"]
        first = await helios.get(f"{STACK}/document?generation=1")
        assert first.text == samples.DECLARATION
        assert (await helios.get(f"{STACK}/document")).text == CHANGED
        refused(await helios.get(f"{STACK}/document?generation=9"), 404, "not_found")

    run(scenario)


def test_a_request_that_comes_again_under_its_key_gets_the_answer_it_had(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        key = {"idempotency-key": "k"}
        first = await declare(helios, CHANGED, headers=key)
        again = await declare(helios, CHANGED, headers={**key, **after(first)})
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["idempotency-replayed"] == "true"
        refused(await declare(helios, headers=key), 422, "idempotency_key_reused")

    run(scenario)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (samples.DECLARATION.replace("resources:", "resuorces:"), "spec.resuorces"),
        (samples.DECLARATION.replace("acme-corp", "other"), "metadata.client_id"),
        (samples.DECLARATION.replace("provider: cms", "provider: shop"), "provider"),
    ],
)
def test_a_wrong_declaration_is_named_by_its_place_and_changes_nothing(
    run: Any, text: str, field: str
) -> None:
    async def scenario(helios: Any) -> None:
        answer = await declare(helios, text)
        refused(answer, 400, "invalid_input")
        assert field in str(answer.json()["field"])
        refused(await helios.get(STACK), 404, "not_found")

    run(scenario)


def test_what_would_take_much_away_is_refused_unless_it_is_meant(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await declare(helios)
        told = refused(await declare(helios, SMALLER, headers=after(made)), 409, "removals_refused")
        assert "--allow-removals" in told
        meant = await declare(helios, SMALLER, params={"allow_removals": "true"})
        assert meant.json()["removed"] == ["resource/site"]

    run(scenario)


def test_a_rollback_stays_rolled_back(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        bad = await declare(helios, CHANGED)
        back = await helios.post(
            f"{STACK}/rollback", {"to": "v1.0.0", "reason": "broken"}, headers=after(bad)
        )
        assert (back.status_code, back.json()["changed"]) == (201, ["resource/site"])
        found = (await helios.get(STACK, headers=after(back))).json()
        assert (found["generation"], found["pinned"]) == (3, 3)
        refused(await declare(helios, CHANGED), 409, "stack_pinned")
        refused(await helios.post(f"{STACK}/rollback", {"to": "v1.0.0"}), 409, "nothing_to_do")
        refused(await helios.post(f"{STACK}/rollback", {"to": "v9.0.0"}), 404, "not_found")
        refused(await helios.post(f"{STACK}/rollback", {}), 400, "invalid_input")
        history = (await helios.get(f"{STACK}/history")).json()["versions"]
        assert [each["restores"] for each in history] == [1, None, None]
        assert [each["rejected"] for each in history] == [False, True, False]
        free = await helios.post(f"{STACK}/unpin", {"reason": "fixed"})
        again = await declare(helios, CHANGED, headers=after(free))
        assert again.status_code == 201

    run(scenario)


def test_content_that_was_rolled_back_is_refused_after_a_pin_is_gone(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await declare(helios)
        said = events.Rejected(hash=made.json()["hash"], version="v1.0.0", reason="broken")
        other = await declare(helios, CHANGED)
        seen = await tell(helios, [(events.REVISION_REJECTED, said)])
        told = refused(await declare(helios, headers=seen), 409, "revision_rejected")
        assert "helios unpin" in told
        assert other.status_code == 201

    run(scenario)


def test_a_rollback_to_a_time_takes_the_version_of_that_time(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        first = await declare(helios)
        history = (await helios.get(f"{STACK}/history", headers=after(first))).json()
        moment = history["versions"][0]["declared_at"]
        changed = await declare(helios, CHANGED)
        back = await helios.post(
            f"{STACK}/rollback", {"to_time": moment, "reason": "x"}, headers=after(changed)
        )
        assert (back.status_code, back.json()["hash"]) == (201, first.json()["hash"])

    run(scenario)


def test_a_pinned_stack_stays_and_a_paused_one_says_until_when(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await declare(helios)
        pinned = await helios.post(f"{STACK}/pin", {"reason": "release"}, headers=after(made))
        seen = after(pinned)
        refused(await declare(helios, CHANGED, headers=seen), 409, "stack_pinned")
        same = await helios.post(f"{STACK}/pin", {"reason": "release"})
        assert same.json()["unchanged"] is True
        ends = "2999-01-01T00:00:00Z"
        held = await helios.post(
            f"{STACK}/pause", {"reason": "we move", "until": ends, "mode": "all"}
        )
        found = (await helios.get(STACK, headers=after(held))).json()
        assert found["suspended"]["mode"] == "all"
        assert found["suspended"]["until"].startswith("2999-01-01T00:00:00")
        on = await helios.post(f"{STACK}/resume", {})
        assert (await helios.get(STACK, headers=after(on))).json()["suspended"] is None
        past = await helios.post(f"{STACK}/pause", {"reason": "x", "until": "2001-01-01T00:00:00Z"})
        assert "passed" in refused(past, 400, "invalid_input")
        refused(await helios.post(f"{STACK}/pause", {"reason": " "}), 400, "invalid_input")

    run(scenario)


def test_o_07_and_o_08_a_policy_is_declared_read_and_taken_away(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await declare(helios)
        path = f"{STACK}/policy"
        refused(await helios.call("PUT", path, content=b"{}", headers=YAML), 400, "invalid_input")
        tried = await helios.call(
            "PUT", f"{path}?dry_run=true", content=POLICY.encode(), headers={**YAML, **after(made)}
        )
        assert (tried.status_code, tried.json()["dry_run"]) == (200, True)
        assert (await helios.get(path)).text == ""
        done = await helios.call("PUT", path, content=POLICY.encode(), headers=YAML)
        assert done.status_code == 201
        assert (await helios.get(path, headers=after(done))).text == POLICY
        short = (await helios.get(STACK)).json()["reconciliation_policy"]
        assert (short["auto_heal"], short["max_heal_attempts"]) == (True, 5)
        same = await helios.call("PUT", path, content=POLICY.encode(), headers=YAML)
        assert (same.status_code, same.json()["unchanged"]) == (200, True)
        other = POLICY.replace("cms-ecom-prod", "another")
        refused(
            await helios.call("PUT", path, content=other.encode(), headers=YAML),
            400,
            "invalid_input",
        )
        gone = await helios.call("DELETE", path)
        assert (await helios.get(path, headers=after(gone))).text == ""

    run(scenario)


def test_o_02_a_part_of_the_record_is_changed_and_the_rest_stays(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await declare(helios)
        change = {
            "environment": "staging",
            "reconciliation_policy": {"auto_heal": True, "heal_backoff": "linear"},
            "observability": {"metrics_endpoint": "https://m.example.com"},
        }
        done = await helios.call("PATCH", STACK, json=change, headers=after(made))
        found = (await helios.get(STACK, headers=after(done))).json()
        assert (found["environment"], found["generation"]) == ("staging", 2)
        assert found["reconciliation_policy"]["auto_heal"] is True
        assert found["reconciliation_policy"]["heal_backoff"] == "linear"
        assert found["observability"]["metrics_endpoint"] == "https://m.example.com"
        again = await helios.call(
            "PATCH", STACK, json={"reconciliation_policy": {"max_heal_attempts": 9}}
        )
        found = (await helios.get(STACK, headers=after(again))).json()
        assert found["reconciliation_policy"]["max_heal_attempts"] == 9
        assert found["reconciliation_policy"]["heal_backoff"] == "linear"
        for wrong in (
            {"status": "healthy"},
            {"reconciliation_policy": {"max_heal_attempts": 0}},
            {"environment": "no such!"},
        ):
            refused(await helios.call("PATCH", STACK, json=wrong), 400, "invalid_input")

    run(scenario)


def test_an_exported_state_can_be_declared_again_with_the_same_hash(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await declare(helios)
        exported = await helios.get(f"{STACK}/export", headers=after(made))
        found = exported.json()
        assert (found["kind"], found["desired_hash"]) == ("StateRecord", made.json()["hash"])
        text = json.dumps(found["declaration"])
        again = await helios.call(
            "PUT", STACK, content=text.encode(), headers={"content-type": "application/json"}
        )
        assert (again.status_code, again.json()["unchanged"]) == (200, True)

    run(scenario)


def test_stacks_are_listed_by_client_environment_and_status(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        seen = {}
        for name in ("a", "b", "c"):
            text = samples.DECLARATION.replace(samples.STACK, name)
            path = STACK.replace(samples.STACK, name)
            seen = after(await helios.call("PUT", path, content=text.encode(), headers=YAML))
        first = (await helios.get("/api/v1/stacks?limit=2", headers=seen)).json()
        assert [each["stack_id"] for each in first["stacks"]] == ["a", "b"]
        rest = (await helios.get("/api/v1/stacks", params={"cursor": first["next_cursor"]})).json()
        assert ([each["stack_id"] for each in rest["stacks"]], rest["next_cursor"]) == (["c"], None)
        none = (await helios.get("/api/v1/stacks?environment=dev")).json()
        assert none == {"stacks": [], "next_cursor": None}
        refused(await helios.get("/api/v1/stacks?cursor=x"), 400, "invalid_input")
        refused(await helios.get("/api/v1/stacks?colour=blue"), 400, "invalid_input")

    run(scenario)


def test_a_stack_that_is_removed_is_gone_and_may_come_again_as_another(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await declare(helios)
        gone = await helios.call("DELETE", f"{STACK}?reason=over", headers=after(made))
        refused(await helios.get(STACK, headers=after(gone)), 404, "not_found")
        assert (await helios.get("/api/v1/stacks")).json()["stacks"] == []
        again = await declare(helios)
        assert (again.status_code, again.json()["generation"]) == (201, 2)

    run(scenario)


def test_environments_are_compared_and_a_version_is_promoted_once_it_is_good(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        staging = (
            CHANGED.replace(samples.STACK, "cms-ecom-staging")
            .replace("environment: prod", "environment: staging")
            .replace("[entry.publish]", "[entry.publish, entry.update]")
        )
        path = STACK.replace(samples.STACK, "cms-ecom-staging")
        await declare(helios)
        made = await helios.call("PUT", path, content=staging.encode(), headers=YAML)
        compared = (
            await helios.get(f"{path}/compare?with={samples.STACK}", headers=after(made))
        ).json()
        assert compared["same"] is False
        differing = {
            (each["component"], each["path"]): each["expected"] for each in compared["differences"]
        }
        assert differing[("integration/cms-webhook", "/events")] is False
        assert differing[("resource/site", "/url")] is True
        asked = {"to": samples.STACK, "reason": "tested"}
        refused(await helios.post(f"{path}/promote", asked), 409, "promotion_refused")
        refused(await helios.post(f"{path}/promote", {"to": "none"}), 404, "not_found")
        refused(await helios.get(f"{path}/compare"), 400, "invalid_input")
        good = [
            samples.observed(),
            (
                events.CONDITIONS_CHANGED,
                events.Conditions(status="healthy", conditions=(), observed_generation=1),
            ),
        ]
        parts = helios.parts
        position = await samples.tell(
            parts.log,
            good,
            now=parts.clock.now(),
            id_source=parts.ids,
            stack_id="cms-ecom-staging",
        )
        tried = await helios.post(
            f"{path}/promote", {**asked, "dry_run": True}, headers={"helios-after": str(position)}
        )
        assert (tried.status_code, tried.json()["changed"]) == (200, ["integration/cms-webhook"])
        done = await helios.post(f"{path}/promote", asked)
        assert (done.status_code, done.json()["stack_id"]) == (201, samples.STACK)
        text = (await helios.get(f"{STACK}/document", headers=after(done))).text
        assert "entry.update" in text
        assert "https://www.example.com" in text, "a target keeps its own places"

    run(scenario)
