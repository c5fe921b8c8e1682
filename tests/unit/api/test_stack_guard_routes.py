"""The guards over healing, read and changed over the API."""

from typing import Any

import pytest

from helios.reconcile.compositions import events, guard_events
from helios.testing import stack_samples as samples

PATH = "/api/v1/guards"
CLIENT = {"client_id": samples.CLIENT}
SCOPE = "provider:strapi@cms.example.com"
WINDOW = {"id": "night", "kind": "allow", "schedule": "0 22 * * *", "duration": "6h"}


def after(answer: Any) -> dict[str, str]:
    assert answer.status_code == 202, answer.text
    return {"helios-after": answer.headers["helios-position"]}


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def guards(helios: Any, headers: dict[str, str] | None = None) -> Any:
    return (await helios.get(PATH, params=CLIENT, headers=headers or {})).json()


async def say(helios: Any, kind: str, scope: str, payload: Any) -> dict[str, str]:
    parts = helios.parts
    event = guard_events.of_guard(
        kind,
        samples.CLIENT,
        scope,
        payload,
        now=parts.clock.now(),
        id_source=parts.ids,
        because=events.US,
    )
    return {"helios-after": str((await parts.log.append([event])).position)}


def test_a_kill_switch_is_of_a_client_or_of_all(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        on = {"on": True, "reason": "we do not understand it"}
        done = await helios.post(f"{PATH}/kill-switch", on, headers={"helios-actor": "ada"})
        assert done.json()["client_id"] == guard_events.SYSTEM_TENANT
        (switch,) = (await guards(helios, after(done)))["kill_switches"]
        assert (switch["for_all"], switch["actor"]) == (True, "user:ada")
        same = await helios.post(f"{PATH}/kill-switch", on)
        assert same.json()["unchanged"] is True
        mine = await helios.post(f"{PATH}/kill-switch", on, params=CLIENT)
        found = (await guards(helios, after(mine)))["kill_switches"]
        assert [each["for_all"] for each in found] == [False, True]
        off = {"on": False, "reason": "understood"}
        gone = await helios.post(f"{PATH}/kill-switch", off)
        found = (await guards(helios, after(gone)))["kill_switches"]
        assert [each["for_all"] for each in found] == [False]

    run(scenario)


def test_a_breaker_is_closed_or_held_by_people(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        opened = guard_events.BreakerMoved(
            scope=SCOPE, state="open", reason="failures", cooldown_s=60.0
        )
        headers = await say(helios, guard_events.BREAKER_OPENED, SCOPE, opened)
        (breaker,) = (await guards(helios, headers))["breakers"]
        assert (breaker["scope"], breaker["state"]) == (SCOPE, "open")
        reset = {"scope": SCOPE, "reason": "the CMS is back"}
        done = await helios.post(f"{PATH}/breakers/reset", reset, params=CLIENT)
        assert (await guards(helios, after(done)))["breakers"] == []
        same = await helios.post(f"{PATH}/breakers/reset", reset, params=CLIENT)
        assert same.json()["unchanged"] is True
        force = {"scope": SCOPE, "state": "open", "reason": "x", "until": "2999-01-01T00:00:00Z"}
        done = await helios.post(f"{PATH}/breakers/force", force, params=CLIENT)
        (breaker,) = (await guards(helios, after(done)))["breakers"]
        assert breaker["state"] == "forced_open"
        assert breaker["forced_until"].startswith("2999-01-01T00:00:00")
        for wrong in (
            {**force, "scope": "cms"},
            {**force, "state": "half_open"},
            {**force, "until": "2001-01-01T00:00:00Z"},
            {**force, "reason": ""},
        ):
            refused = await helios.post(f"{PATH}/breakers/force", wrong, params=CLIENT)
            assert code(refused) == (400, "invalid_input")

    run(scenario)


def test_one_agreement_lets_healing_go_on_after_a_fuse(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for fuse_id in ("f1", "f2"):
            blown = guard_events.FuseMoved(
                fuse_id=fuse_id, by="provider:strapi", stacks=("a", "b"), count=2, share=0.5
            )
            await say(helios, guard_events.FUSE_BLOWN, "fuse", blown)
        headers = {"helios-after": str(await helios.parts.log.head())}
        several = await helios.post(
            f"{PATH}/fuse/reset", {"reason": "x"}, params=CLIENT, headers=headers
        )
        assert code(several) == (400, "invalid_input")
        named = {"reason": "x", "fuse_id": "f1"}
        done = await helios.post(f"{PATH}/fuse/reset", named, params=CLIENT)
        fuses = {each["fuse_id"]: each for each in (await guards(helios, after(done)))["fuses"]}
        assert (fuses["f1"]["reset_at"] is None, fuses["f2"]["reset_at"]) == (False, None)
        rest = await helios.post(f"{PATH}/fuse/reset", {"reason": "x"}, params=CLIENT)
        after(rest)
        unknown = {"reason": "x", "fuse_id": "f9"}
        refused = await helios.post(f"{PATH}/fuse/reset", unknown, params=CLIENT)
        assert code(refused) == (404, "not_found")

    run(scenario)


def test_healing_is_suspended_and_goes_on(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        asked = {"reason": "black friday", "until": "2999-01-01T00:00:00Z"}
        done = await helios.post(f"{PATH}/suspend", asked, params=CLIENT)
        (held,) = (await guards(helios, after(done)))["suspensions"]
        assert (held["reason"], held["mode"], held["for_all"]) == (
            "black friday",
            "heal_only",
            False,
        )
        done = await helios.post(f"{PATH}/resume", {}, params=CLIENT)
        assert (await guards(helios, after(done)))["suspensions"] == []
        same = await helios.post(f"{PATH}/resume", {}, params=CLIENT)
        assert same.json()["unchanged"] is True

    run(scenario)


def test_windows_are_declared_listed_and_removed(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        window = {**WINDOW, "timezone": "Europe/Berlin", "severities": ["low"], "overrun": False}
        done = await helios.post(f"{PATH}/windows", window)
        (found,) = (await guards(helios, after(done)))["windows"]
        assert found == {
            "id": "night",
            "kind": "allow",
            "schedule": "0 22 * * *",
            "duration": "6h",
            "timezone": "Europe/Berlin",
            "stacks": [],
            "providers": [],
            "severities": ["low"],
            "actions": [],
            "manual_override": False,
            "overrun": False,
            "for_all": True,
        }
        same = await helios.post(f"{PATH}/windows", window)
        assert same.json()["unchanged"] is True
        gone = await helios.call("DELETE", f"{PATH}/windows/night")
        assert (await guards(helios, after(gone)))["windows"] == []
        assert code(await helios.call("DELETE", f"{PATH}/windows/night")) == (404, "not_found")

    run(scenario)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schedule": "often"}, "schedule"),
        ({"duration": "long"}, "duration"),
        ({"timezone": "Moon/Base"}, "timezone"),
        ({"severities": ["huge"]}, "severities"),
        ({"actions": ["dance"]}, "actions"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_window_is_named_by_its_field(run: Any, change: dict[str, Any], field: str) -> None:
    async def scenario(helios: Any) -> None:
        refused = await helios.post(f"{PATH}/windows", {**WINDOW, **change})
        assert code(refused) == (400, "invalid_input")
        assert field in str(refused.json())
        assert "maintenance_windows" not in str(refused.json()), "nobody has written that"

    run(scenario)


def test_a_change_that_comes_again_under_its_key_gets_the_answer_it_had(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        on = {"on": True, "reason": "x"}
        key = {"idempotency-key": "k"}
        first = await helios.post(f"{PATH}/kill-switch", on, headers=key)
        again = await helios.post(f"{PATH}/kill-switch", on, headers={**key, **after(first)})
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        other = await helios.post(f"{PATH}/kill-switch", {**on, "reason": "y"}, headers=key)
        assert code(other) == (422, "idempotency_key_reused")

    run(scenario)
