"""Stacks, drifts and heals of many stacks side by side."""

from typing import Any

from helios.testing import console_samples as world
from helios.testing import stack_samples as samples

STACK = f"/api/v1/clients/{samples.CLIENT}/stacks/{samples.STACK}"


async def _told(helios: Any, said: list[Any]) -> dict[str, str]:
    parts = helios.parts
    position = await samples.tell(parts.log, said, now=parts.clock.now(), id_source=parts.ids)
    return {"helios-after": str(position)}


def test_a_stack_is_listed_with_both_axes_and_found_by_a_filter(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        said = samples.planned(helios.parts.clock.now())
        after = await _told(helios, [said[0], samples.observed(), *said[1:]])
        path = "/api/v1/stacks/board"
        found = (await helios.get(path, headers=after)).json()
        (row,) = found["stacks"]
        assert (row["agreement"], row["drift_count"], row["drifts"]["medium"]) == ("drifted", 1, 1)
        assert row["approval_id"] == samples.APPROVAL
        assert found["next_cursor"] is None
        asked = {"filter": "agreement:drifted severity:medium waiting:true"}
        assert len((await helios.get(path, params=asked)).json()["stacks"]) == 1
        asked = {"filter": "-agreement:drifted"}
        assert (await helios.get(path, params=asked)).json()["stacks"] == []
        assert (await helios.get(path, params={"filter": "colour:red"})).status_code == 400
        assert (await helios.get(path, params={"cursor": "x"})).status_code == 400
        bolt = world.seen_by(helios, "bolt")
        assert (await bolt.get(path)).json()["stacks"] == []

    run(scenario)


def test_drifts_of_all_stacks_are_paged_and_filtered(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        now = helios.parts.clock.now()
        said = [samples.declared()]
        said += [
            samples.moved(samples.drift(now, drift_id=f"d{n}", fingerprint=f"{n}" * 32))
            for n in range(3)
        ]
        after = await _told(helios, said)
        first = (await helios.get("/api/v1/drifts", params={"limit": 2}, headers=after)).json()
        rest = {"limit": 2, "cursor": first["next_cursor"]}
        second = (await helios.get("/api/v1/drifts", params=rest)).json()
        ids = [each["drift_id"] for each in (*first["drifts"], *second["drifts"])]
        assert sorted(ids) == ["d0", "d1", "d2"]
        assert second["next_cursor"] is None
        one = {"filter": f"component:{first['drifts'][0]['component']} severity:critical"}
        assert (await helios.get("/api/v1/drifts", params=one)).json()["drifts"] == []
        assert (await helios.get("/api/v1/drifts", params={"cursor": "x"})).status_code == 400
        bolt = world.seen_by(helios, "bolt")
        assert (await bolt.get("/api/v1/drifts")).json()["drifts"] == []

    run(scenario)


def test_a_heal_tells_what_should_come_and_what_came(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        now = helios.parts.clock.now()
        expected = ("HealActed", "HealSucceeded", "DriftResolved")
        action = samples.action(expected_events=expected)
        said = [*samples.planned(now)[:3], samples.healed(now, action=action)]
        after = await _told(helios, said)
        path = f"/api/v1/heals/{action.id}"
        ours = {"client_id": samples.CLIENT}
        run_ = (await helios.get(path, params=ours, headers=after)).json()
        states = {each["event_type"]: each["state"] for each in run_["events"]}
        assert states["HealStarted"] == "arrived"
        assert {states[each] for each in expected} == {"awaited"}
        after = await _told(helios, [samples.healed(now, "succeeded", action=action)])
        run_ = (await helios.get(path, params=ours, headers=after)).json()
        states = {each["event_type"]: each["state"] for each in run_["events"]}
        assert states["HealSucceeded"] == "arrived"
        assert (await helios.get(path)).json() == run_, "the id alone finds it"
        assert (await world.seen_by(helios, "bolt").get(path)).status_code == 404
        assert (await world.seen_by(helios, samples.CLIENT).get(path)).json() == run_
        assert states["HealActed"] == "missing"
        page = (await helios.get("/api/v1/heals", params={"filter": "status:succeeded"})).json()
        assert [each["action_id"] for each in page["heals"]] == [action.id]
        assert page["figures"]["success_rate"] == 1.0
        later = {"start_time": "2099-01-01T00:00:00Z"}
        assert (await helios.get("/api/v1/heals", params=later)).json()["heals"] == []
        begun = page["heals"][0]["started_at"]
        for end, count in ((begun, 0), ("2099-01-01T00:00:00Z", 1)):
            until = (await helios.get("/api/v1/heals", params={"end_time": end})).json()
            assert (len(until["heals"]), until["figures"]["actions"]) == (count, count)
        assert (await helios.get("/api/v1/heals/none", params=ours)).status_code == 404

    run(scenario)


def test_a_policy_tells_what_holds_and_who_said_so(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await _told(helios, [samples.declared()])
        usual = (await helios.get(f"{STACK}/policy/effective", headers=after)).json()
        assert not usual["declared"]
        assert {each["origin"] for each in usual["modes"]} == {"default"}
        text = (
            "apiVersion: blackwell.io/v1\nkind: ReconciliationPolicy\n"
            f"metadata: {{client_id: {samples.CLIENT}, stack_id: {samples.STACK}}}\n"
            "spec: {auto_heal: {modes: {webhook_broken: heal}}, schedule: {interval: 10s}}\n"
        )
        sent = {"content": text, "headers": {"content-type": "application/yaml"}}
        put = await helios.call("PUT", f"{STACK}/policy", **sent)
        after = {"helios-after": str(put.json()["position"])}
        found = (await helios.get(f"{STACK}/policy/effective", headers=after)).json()
        modes = {each["cause"]: (each["mode"], each["origin"]) for each in found["modes"]}
        assert modes["webhook_broken"] == ("heal", "policy")
        assert modes["content_stale"][1] == "default"
        settings = {each["name"]: each for each in found["settings"]}
        interval = settings["schedule.interval"]
        assert (interval["value"], interval["default"], interval["origin"]) == (
            "10s", "5m", "policy",
        )  # fmt: skip

    run(scenario)
