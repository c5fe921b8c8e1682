"""Settings whose truth is elsewhere: in a contract, in the guards."""

from typing import Any

from helios.kernel import clock as clocks
from helios.reconcile.streams import ticker

PATH = "/api/v1/configuration"
CONTRACT = """\
# Orders of the shop.
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: order-match}
spec:
  key: payload.orderId
  window: {type: per_key, size: 1h, grace: 0s}  # as agreed
  legs:
    order: {source: aws, type: OrderPlaced}
    payment: {source: gcp, type: PaymentProcessed}
"""
WITHIN = f"{PATH}/contract.order-match.within"


async def put(helios: Any, name: str, value: Any, status: int = 200, **given: Any) -> Any:
    headers = given.pop("headers", {})
    params = given.pop("params", {})
    answer = await helios.call(
        "PUT", f"{PATH}/{name}", json={"value": value, **given}, headers=headers, params=params
    )
    assert answer.status_code == status, answer.text
    return answer.json()


async def declare(helios: Any, text: str = CONTRACT) -> None:
    answer = await helios.call(
        "POST", "/api/v1/contracts", content=text, headers={"content-type": "application/yaml"}
    )
    assert answer.status_code == 201, answer.text


async def one(helios: Any, name: str, **params: str) -> Any:
    answer = await helios.get(f"{PATH}/{name}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def types(helios: Any) -> list[str]:
    return [each["eventType"] for each in (await helios.get("/api/v1/events")).json()["events"]]


async def throw(helios: Any, asked: Any, query: str = "", **given: Any) -> None:
    answer = await helios.post(f"/api/v1/guards/kill-switch{query}", asked, **given)
    await helios.parts.views.wait_for("stacks", int(answer.headers["helios-position"]))


def test_healing_off_is_the_kill_switch_and_the_kill_switch_is_healing_off(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        done = await put(helios, "healing.enabled", "off", reason="we do not understand it")
        assert done["setting"]["value"] is False
        assert await types(helios) == ["KillSwitchSet", "SettingChanged"]
        switches = (await helios.get("/api/v1/guards")).json()["kill_switches"]
        assert [each["reason"] for each in switches] == ["we do not understand it"]
        assert done["setting"]["origin"] == "changed at run time"
        await throw(helios, {"on": False, "reason": "we do"})
        assert (await one(helios, "healing.enabled"))["value"] is True
        await throw(helios, {"on": True, "reason": "again"})
        found = await one(helios, "healing.enabled")
        assert (found["value"], found["origin"]) == (False, "kill switch by user:anonymous")
        asked = {"reason": "undone"}
        refused = await helios.post(f"{PATH}/healing.enabled/undo", asked)
        assert refused.status_code == 409, refused.text
        assert "kill switch by user:anonymous" in refused.json()["detail"]
        done = await helios.post(f"{PATH}/healing.enabled/undo", {**asked, "force": True})
        assert done.json()["after"] is True

    run(scenario)


def test_a_kill_switch_thrown_by_hand_is_told_as_such(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        headers = {"helios-actor": "eve"}
        asked = {"on": True, "reason": "stop"}
        await throw(helios, asked, "?client_id=acme", headers=headers)
        found = await one(helios, "healing.enabled", client_id="acme")
        assert (found["value"], found["origin"]) == (False, "kill switch by user:eve")
        assert (await one(helios, "healing.enabled"))["value"] is True
        params = {"client_id": "acme"}
        done = await put(helios, "healing.enabled", "on", reason="go on", params=params)
        assert done["setting"]["value"] is True
        guards = (await helios.get("/api/v1/guards?client_id=acme")).json()
        assert guards["kill_switches"] == []

    run(scenario)


# -- contracts -------------------------------------------------------------------------------------


def test_a_window_is_changed_in_the_contract_itself(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        assert (await one(helios, "contract.order-match.within"))["origin"] == "contract v1"
        done = await put(helios, "contract.order-match.within", "45m", reason="slow bank")
        assert (done["before"], done["after"]) == ("1h", "45m")
        contract = (await helios.get("/api/v1/contracts/order-match")).json()
        assert contract["version"] == 2
        assert contract["yaml"] == CONTRACT.replace("size: 1h", "size: 45m")
        assert await types(helios) == ["contract.declared", "contract.declared", "SettingChanged"]
        assert (await one(helios, "contract.order-match.within"))["origin"] == "changed at run time"

    run(scenario)


def test_a_contract_declared_anew_is_what_holds_and_the_page_says_so(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        changed = await put(helios, "contract.order-match.within", "45m")
        await declare(helios, CONTRACT.replace("size: 1h", "size: 2h"))
        found = await one(helios, "contract.order-match.within")
        assert (found["value"], found["origin"]) == ("2h", "contract v3")
        asked = {"position": changed["position"]}
        refused = await helios.post(f"{WITHIN}/undo", asked)
        assert refused.status_code == 409
        assert "contract v3" in refused.json()["detail"]
        past = (await helios.get(f"{WITHIN}/history")).json()["changes"]
        assert [(each["action"], each["value"]) for each in past] == [
            ("declared", "2h"), ("set", "45m"), ("declared", "1h"),
        ]  # fmt: skip
        forced = await helios.post(f"{WITHIN}/undo", {**asked, "force": True})
        assert forced.json()["after"] == "1h"

    run(scenario)


def test_a_window_is_put_back_to_what_was_declared_last(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        await put(helios, "contract.order-match.within", "45m")
        await put(helios, "contract.order-match.within", "30m")
        assert (await helios.post(f"{WITHIN}/undo", {})).json()["after"] == "45m"
        done = (await helios.call("DELETE", WITHIN)).json()
        assert (done["before"], done["after"]) == ("45m", "1h")

    run(scenario)


def test_grace_may_not_be_longer_than_the_window(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        problem = await put(helios, "contract.order-match.grace", "2h", 400)
        assert problem["field"] == "value"
        assert "a grace of 2h is longer than any window (1h)" in problem["detail"]
        assert await types(helios) == ["contract.declared"]

    run(scenario)


def test_two_truths_are_changed_together_or_not_at_all(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        etag = (await helios.get(WITHIN)).headers["etag"]
        await declare(helios, CONTRACT.replace("size: 1h", "size: 2h"))
        headers = {"if-match": etag}
        await put(helios, "contract.order-match.within", "45m", 409, headers=headers)
        assert await types(helios) == ["contract.declared", "contract.declared"]

    run(scenario)


def test_a_waiting_key_is_judged_at_the_new_deadline(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        appended = (await helios.ingest(order)).json()
        await helios.parts.views.wait_for("verdicts", appended["position"])
        name, dry = "contract.order-match.within", {"dry_run": "true"}
        asked = await put(helios, name, "90m", params=dry)
        assert asked["effect"].startswith("1 open key of order-match (ORD-7) gets until ")
        done = await put(helios, name, "1ms")
        assert done["effect"] == "1 open key of order-match (ORD-7) is judged at once"
        now = helios.parts.clock.now() + 2 * clocks.SECOND_US
        ticked = await helios.parts.log.append([ticker.tick("t1", clocks.Timestamp(now))])
        path = "/api/v1/contracts/order-match/verdicts/ORD-7"
        answer = await helios.get(path, headers={"helios-after": str(ticked.position)})
        (verdict,) = answer.json()["verdicts"]
        assert (verdict["status"], verdict["contract_version"]) == ("partial", 2)
        later = await put(helios, name, "2h")
        assert later["effect"] == "no key of order-match waits; keys that come get the new time"

    run(scenario)


def test_windows_that_cannot_go_on_are_said_to_end_as_they_are(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios, CONTRACT.replace("type: per_key", "type: tumbling"))
        done = await put(helios, "contract.order-match.within", "2h")
        assert done["effect"] == (
            "windows of order-match that are open end as they are; tumbling windows from now on "
            "are new"
        )

    run(scenario)


def test_a_window_that_was_changed_is_told_beside_the_one_that_was_declared(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        await put(helios, "contract.order-match.within", "2h")
        listed = (await helios.get(PATH)).json()["settings"]
        (in_list,) = [each for each in listed if each["name"] == "contract.order-match.within"]
        alone = await one(helios, "contract.order-match.within")
        assert [(each["value"], each["default"]) for each in (alone, in_list)] == [("2h", "1h")] * 2
        await declare(helios, CONTRACT.replace("size: 1h", "size: 3h"))
        found = await one(helios, "contract.order-match.within")
        assert (found["value"], found["default"]) == ("3h", "3h")

    run(scenario)
