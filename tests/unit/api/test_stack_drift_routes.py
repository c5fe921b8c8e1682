"""Drift over the API: told with who saw it, answered by people, checked without writing."""

from collections.abc import Sequence
from typing import Any

from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, writer
from helios.testing import stack_samples as samples

STACK = f"/api/v1/clients/{samples.CLIENT}/stacks/{samples.STACK}"
ONE = f"{STACK}/drift/{samples.DRIFT}"
CHECK = "/api/v1/drift/check"


async def tell(helios: Any, said: Sequence[writer.Said]) -> dict[str, str]:
    parts = helios.parts
    position = await samples.tell(parts.log, said, now=parts.clock.now(), id_source=parts.ids)
    return {"helios-after": str(position)}


async def drifted(helios: Any, **change: Any) -> dict[str, str]:
    found = samples.drift(helios.parts.clock.now(), **change)
    return await tell(helios, [samples.declared(), samples.moved(found)])


def after(answer: Any) -> dict[str, str]:
    assert answer.status_code in (201, 202), answer.text
    return {"helios-after": answer.headers["helios-position"]}


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def seen(helios: Any, *, unknown: tuple[str, ...] = (), generation: int = 1) -> list[writer.Said]:
    del helios
    conditions = events.Conditions(status="healthy", conditions=(), observed_generation=generation)
    return [
        samples.observed(generation, unknown=unknown),
        (events.CONDITIONS_CHANGED, conditions),
    ]


async def verified(helios: Any) -> dict[str, str]:
    """Tell that the stack was looked at just now."""
    from helios.reconcile.compositions import verified as telling  # noqa: PLC0415

    parts = helios.parts
    now = parts.clock.now()
    told = telling.told(samples.CLIENT, {samples.STACK: now}, now=now, id_source=parts.ids)
    return {"helios-after": str((await parts.log.append(told)).position)}


def test_o_05_and_o_10_the_status_counts_what_is_no_noise(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await drifted(helios)
        now = helios.parts.clock.now()
        noise = [
            samples.moved(samples.drift(now, drift_id="d2", state="suspected")),
            samples.moved(samples.drift(now, drift_id="d3", state="ignored", rule="r")),
        ]
        headers = await tell(helios, noise)
        found = (await helios.get(f"{STACK}/drift", headers=headers)).json()
        assert (found["has_drift"], found["drift_count"]) == (True, 1)
        assert found["auto_heal_eligible"] is True
        assert found["drift_details"][0]["drift_id"] == samples.DRIFT
        assert len(found["drift_details"]) == 3

    run(scenario)


def test_one_drift_is_shown_with_its_evidence_origin_and_history(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await drifted(helios)
        now = helios.parts.clock.now()
        over = samples.drift(now, state="healed", closed_at=now)
        again = samples.drift(now, occurrence=2)
        headers = await tell(
            helios, [samples.moved(over, events.DRIFT_RESOLVED), samples.moved(again)]
        )
        found = (await helios.get(ONE, headers=headers)).json()
        assert found["drift"]["occurrence"] == 2
        assert [each["state"] for each in found["history"]] == ["healed"]
        assert found["drift"]["origin"]["actor"] == "user:eve"
        assert found["drift"]["evidence"][0]["witness"] == "probe:strapi"
        listed = (await helios.get(f"{STACK}/drifts?state=healed")).json()["drifts"]
        assert [each["occurrence"] for each in listed] == [1]
        assert code(await helios.get(f"{STACK}/drift/none")) == (404, "not_found")

    run(scenario)


def test_o_06_a_drift_is_acknowledged_once(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        headers = await drifted(helios)
        body = {"reason": "INC-142"}
        done = await helios.post(
            f"{ONE}/acknowledge", body, headers={**headers, "helios-actor": "ada"}
        )
        found = (await helios.get(ONE, headers=after(done))).json()["drift"]
        assert found["state"] == "acknowledged"
        assert "user:ada" in found["reason"]
        assert "INC-142" in found["reason"]
        again = await helios.post(f"{ONE}/acknowledge", body)
        assert again.json()["unchanged"] is True
        none = await helios.post(f"{STACK}/drift/none/acknowledge", body)
        assert code(none) == (404, "not_found")

    run(scenario)


def test_a_drift_that_is_none_is_closed_and_cannot_be_answered_again(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        headers = await drifted(helios)
        done = await helios.post(f"{ONE}/false-positive", {"reason": "x"}, headers=headers)
        found = (await helios.get(f"{STACK}/drift", headers=after(done))).json()
        assert found["has_drift"] is False
        assert code(await helios.post(f"{ONE}/acknowledge", {})) == (409, "drift_closed")

    run(scenario)


def test_what_is_being_healed_is_not_answered(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        headers = await drifted(helios, state="healing")
        refused = await helios.post(f"{ONE}/acknowledge", {}, headers=headers)
        assert code(refused) == (409, "refused")
        assert "helios pause" in refused.json()["detail"]

    run(scenario)


def test_a_baseline_and_rules_say_what_is_known(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        headers = await drifted(helios)
        done = await helios.post(
            f"{STACK}/baseline",
            {"reason": "as it was handed over", "expires_at": "2999-01-01T00:00:00Z"},
            headers=headers,
        )
        rules = (await helios.get(f"{STACK}/rules", headers=after(done))).json()
        assert (rules["rules"], rules["baseline"]) == ([], 1)
        rule = {"id": "replicas", "component": "resource/site", "path": "/replicas", "reason": "x"}
        done = await helios.post(f"{STACK}/rules", rule, headers={"helios-actor": "ada"})
        rules = (await helios.get(f"{STACK}/rules", headers=after(done))).json()["rules"]
        assert rules == [
            {
                "id": "replicas",
                "component": "resource/site",
                "path": "/replicas",
                "effect": "alarm",
                "owner": "user:ada",
                "reason": "x",
                "expires_at": None,
                "origin": "stack",
                "active": True,
            }
        ]
        gone = await helios.call("DELETE", f"{STACK}/rules/replicas?reason=over")
        assert (await helios.get(f"{STACK}/rules", headers=after(gone))).json()["rules"] == []
        assert code(await helios.call("DELETE", f"{STACK}/rules/replicas")) == (404, "not_found")
        for wrong in (
            {"component": "resource/site"},
            {"reason": "x"},
            {"reason": "x", "component": "resource/site", "effect": "all"},
        ):
            assert code(await helios.post(f"{STACK}/rules", wrong)) == (400, "invalid_input")
        assert code(await helios.post(f"{STACK}/baseline", {"reason": ""})) == (
            400,
            "invalid_input",
        )

    run(scenario)


def test_a_check_says_clean_drift_or_unknown_and_writes_nothing(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        headers = await tell(helios, [samples.declared()])
        before = await helios.parts.log.head()
        found = (await helios.get(CHECK, headers=headers)).json()
        assert found["outcome"] == "unknown", "it was not looked at yet"
        assert "not looked at" in found["stacks"][0]["unknown"][0]
        assert await helios.parts.log.head() == before
        await tell(helios, seen(helios))
        clean = (await helios.get(CHECK, headers=await verified(helios))).json()
        assert clean["outcome"] == "clean", clean
        headers = await tell(helios, seen(helios, unknown=("resource/site",)))
        unknown = (await helios.get(CHECK, headers=headers)).json()
        assert (unknown["outcome"], unknown["stacks"][0]["unknown"]) == (
            "unknown",
            ["resource/site"],
        )
        drift = samples.moved(samples.drift(clocks.Timestamp(helios.parts.clock.now())))
        headers = await tell(helios, [drift])
        found = (await helios.get(CHECK, headers=headers)).json()
        assert found["outcome"] == "drift", "drift is worse than what is unknown"
        assert found["stacks"][0]["drifts"][0]["drift_id"] == samples.DRIFT

    run(scenario)


def test_a_check_is_of_the_stacks_that_are_named_and_leaves_out_what_is_ignored(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await drifted(helios)
        await tell(helios, seen(helios))
        headers = await verified(helios)
        which = {"client_id": samples.CLIENT, "stack_id": samples.STACK}

        async def outcome(**more: str) -> Any:
            return (await helios.get(CHECK, params={**which, **more}, headers=headers)).json()

        assert (await outcome())["outcome"] == "drift"
        ignored = await outcome(ignore="integration/*#/url")
        assert (ignored["outcome"], ignored["stacks"][0]["ignored"]) == ("clean", 1)
        assert (await outcome(ignore="integration/*#/events"))["outcome"] == "drift"
        assert (await outcome(ignore="resource/*"))["outcome"] == "drift"
        none = await helios.get(CHECK, params={**which, "stack_id": "none"})
        assert code(none) == (404, "not_found")
        for wrong in (
            {"stack_id": samples.STACK},
            {"ignore": "#/url"},
            {"ignore": "resource/site#url"},
            {"fresh": "yes"},
        ):
            assert code(await helios.get(CHECK, params=wrong)) == (400, "invalid_input")
        empty = (await helios.get(CHECK, params={"environment": "dev"})).json()
        assert empty == {"outcome": "clean", "fresh": False, "stacks": []}

    run(scenario)


def test_a_fresh_check_looks_at_the_things_themselves_and_records_nothing(run: Any) -> None:
    async def scenario(helios: Any, folder: Any) -> None:
        text = samples.DECLARATION[: samples.DECLARATION.index("  providers:")]
        text += f"  resources:\n    page: {{kind: file, path: {folder}/page.html}}\n"
        path = STACK
        made = await helios.call(
            "PUT", path, content=text.encode(), headers={"content-type": "application/yaml"}
        )
        assert made.status_code == 201, made.text
        head = await helios.parts.log.head()
        found = await helios.get(f"{CHECK}?fresh=true", headers=after(made))
        assert found.status_code == 200, found.text
        (stack,) = found.json()["stacks"]
        assert found.json()["fresh"] is True
        assert stack["outcome"] in ("drift", "unknown"), stack
        assert all(each["drift_id"] is None for each in stack["drifts"])
        assert await helios.parts.log.head() == head

    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        run(lambda helios: scenario(helios, folder))


def test_all_stacks_of_a_client_are_asked_about_and_reconciled_at_once(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        client = f"/api/v1/clients/{samples.CLIENT}"
        assert code(await helios.get(f"{client}/drift")) == (404, "not_found")
        await drifted(helios)
        parts = helios.parts
        other = samples.declared(stack_id="other", uid="u2")
        position = await samples.tell(
            parts.log, [other], now=parts.clock.now(), id_source=parts.ids, stack_id="other"
        )
        headers = {"helios-after": str(position)}
        found = (await helios.get(f"{client}/drift", headers=headers)).json()
        assert (found["stack_id"], found["drift_count"]) == (None, 1)
        assert found["drift_details"][0]["stack_id"] == samples.STACK
        assert found["last_verified"] is None
        key = {"idempotency-key": "k"}
        asked = await helios.post(f"{client}/reconcile", {"reason": "x"}, headers=key)
        runs = asked.json()["reconciliations"]
        assert [each["stack_id"] for each in runs] == [samples.STACK, "other"]
        again = await helios.post(f"{client}/reconcile", {"reason": "x"}, headers=key)
        assert (again.json(), again.headers["idempotency-replayed"]) == (asked.json(), "true")
        ended = samples.completed(runs[1]["reconciliation_id"], "other")
        position = await samples.tell(
            parts.log, [ended], now=parts.clock.now(), id_source=parts.ids, stack_id="other"
        )
        listed = await helios.get(
            f"{client}/reconciliations", headers={"helios-after": str(position)}
        )
        assert [each["stack_id"] for each in listed.json()["reconciliations"]] == ["other"]

    run(scenario)
