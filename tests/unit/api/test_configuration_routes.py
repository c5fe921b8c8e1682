"""Settings over the API: read, changed, put back, undone; and what a change does."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from helios import app
from helios.access import model
from helios.api import asgi
from helios.api import gate as gates
from helios.kernel import clock as clocks
from helios.kernel import settings
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


def test_all_settings_are_listed_with_value_origin_and_bounds(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        found = (await helios.get(PATH)).json()["settings"]
        ttl = next(each for each in found if each["name"] == "content.ttl")
        assert (ttl["value"], ttl["origin"], ttl["hot"]) == ("1d", "default", True)
        assert (ttl["least"], ttl["most"]) == ("1s", "365d")
        folder = next(each for each in found if each["name"] == "data_dir")
        assert (folder["hot"], folder["origin"]) == (False, "given at the start")
        names = [each["name"] for each in found]
        assert len(names) == len(set(names))
        assert "content_ttl_s" not in names

    run(scenario)


def test_a_change_is_an_event_that_says_who_why_and_what_was_before(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        done = await put(
            helios, "content.ttl", "2h", reason="a move", headers={"helios-actor": "ada"}
        )
        assert (done["before"], done["after"], done["unchanged"]) == ("1d", "2h", False)
        found = (await helios.get("/api/v1/events")).json()["events"]
        assert [(e["eventType"], e["actor"], e["client_id"]) for e in found] == [
            ("SettingChanged", "user:ada", "helios")
        ]
        assert found[0]["aggregate"] == {"type": "setting", "id": "content.ttl"}
        assert found[0]["payload"] == {
            "name": "content.ttl", "client_id": "helios", "value": "2h", "previous": "1d",
            "was_set": False, "reason": "a move", "undoes": None,
        }  # fmt: skip
        now = await one(helios, "content.ttl")
        assert (now["origin"], now["changed_by"], now["reason"]) == (
            "changed at run time", "user:ada", "a move",
        )  # fmt: skip
        again = await put(helios, "content.ttl", "120m")
        assert again["unchanged"]
        assert len(await types(helios)) == 1

    run(scenario)


def test_a_change_acts_at_once_and_is_still_in_force_after_a_restart(run: Any) -> None:
    async def first(helios: Any) -> None:
        await put(helios, "ready.needs_sources", "on")
        assert helios.parts.kept.live.get("ready.needs_sources") is True

    async def second(helios: Any) -> None:
        assert helios.parts.kept.live.get("ready.needs_sources") is True
        assert (await one(helios, "ready.needs_sources"))["value"] is True

    run(first)
    run(second)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("content.ttl", "900d", "a duration from 1s to 365d"),
        ("alerts.per_minute_max", 0, "a whole number from 1 to 1000"),
        ("log.level", "loud", "one of debug, info, warning, error"),
        ("attention.mismatch_rate_max", "101%", "a share"),
        ("ready.needs_sources", "perhaps", "true or false"),
    ],
)
def test_what_does_not_do_is_refused_with_field_and_bounds(
    run: Any, name: str, value: Any, words: str
) -> None:
    async def scenario(helios: Any) -> None:
        problem = await put(helios, name, value, 400)
        assert problem["field"] == "value"
        assert words in problem["detail"]
        assert await types(helios) == []

    run(scenario)


def test_odd_requests_are_refused_and_change_nothing(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for path, body, status in (
            ("nothing.like.it", {"value": 1}, 404),
            ("content.ttl", {}, 400),
            ("content.ttl", {"value": [1]}, 400),
            ("content.ttl", {"value": "1h", "extra": 1}, 400),
            ("content.ttl", {"value": "1h", "reason": "x" * 501}, 400),
            ("content.ttl?client_id=acme", {"value": "1h"}, 400),
            ("contract.none.within", {"value": "1h"}, 404),
            ("contract.within", {"value": "1h"}, 404),
            ("a%00b", {"value": "1h"}, 400),
            ("a%20b", {"value": "1h"}, 404),
            ("content.ttl?dry_run=x", {"value": "1h"}, 400),
            ("healing.enabled", {"value": False}, 400),
        ):
            answer = await helios.call("PUT", f"{PATH}/{path}", json=body)
            assert answer.status_code == status, (path, answer.text)
        for position in (0, -1, 1 << 70):
            answer = await helios.post(f"{PATH}/content.ttl/undo", {"position": position})
            assert answer.status_code == 400, answer.text
        assert await types(helios) == []

    run(scenario)


def test_a_dry_run_says_what_would_be_and_appends_nothing(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        done = await put(helios, "content.ttl", "2h", params={"dry_run": "true"})
        assert (done["before"], done["after"], done["dry_run"]) == ("1d", "2h", True)
        assert "1d becomes 2h" in done["effect"]
        assert done["setting"]["value"] == "1d"
        assert await types(helios) == []

    run(scenario)


def test_if_match_keeps_two_people_from_undoing_each_other_unseen(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        answer = await helios.get(f"{PATH}/content.ttl")
        etag = answer.headers["etag"]
        await put(helios, "content.ttl", "2h", headers={"if-match": etag})
        refused = await put(helios, "content.ttl", "3h", 409, headers={"if-match": etag})
        assert 'it is "1"' in refused["detail"]
        assert (await one(helios, "content.ttl"))["value"] == "2h"

    run(scenario)


def test_many_changes_at_once_are_one_after_another(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        values = [f"{n}h" for n in range(2, 8)]
        await asyncio.gather(*(put(helios, "content.ttl", value) for value in values))
        past = (await helios.get(f"{PATH}/content.ttl/history")).json()["changes"]
        assert sorted(each["value"] for each in past) == values
        assert [each["previous"] for each in past[:-1]] == [each["value"] for each in past[1:]]

    run(scenario)


def test_a_reset_puts_the_default_back(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await put(helios, "content.ttl", "2h")
        answer = await helios.call("DELETE", f"{PATH}/content.ttl", json={"reason": "done"})
        assert answer.json()["after"] == "1d"
        assert (await one(helios, "content.ttl"))["origin"] == "default"
        again = await helios.call("DELETE", f"{PATH}/content.ttl")
        assert again.json()["unchanged"]
        assert await types(helios) == ["SettingChanged", "SettingReset"]

    run(scenario)


def test_undo_takes_back_the_last_change_and_an_undo_too(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await put(helios, "content.ttl", "2h")
        await put(helios, "content.ttl", "3h")
        undo = f"{PATH}/content.ttl/undo"
        assert (await helios.post(undo, {})).json()["after"] == "2h"
        assert (await helios.post(undo, {})).json()["after"] == "3h"
        past = (await helios.get(f"{PATH}/content.ttl/history")).json()["changes"]
        assert [each["action"] for each in past] == ["undo", "undo", "set", "set"]
        assert past[0]["undoes"] == past[1]["position"]

    run(scenario)


def test_the_first_change_undone_is_the_default_again(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await put(helios, "content.ttl", "2h")
        done = (await helios.post(f"{PATH}/content.ttl/undo", {})).json()
        assert done["setting"]["own"] is None
        assert done["setting"]["origin"] == "default"

    run(scenario)


def test_an_older_change_is_undone_only_by_force(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        first = await put(helios, "content.ttl", "2h")
        await put(helios, "content.ttl", "3h", headers={"helios-actor": "bob"})
        asked = {"position": first["position"]}
        refused = await helios.post(f"{PATH}/content.ttl/undo", asked)
        assert refused.status_code == 409
        assert "by user:bob" in refused.json()["detail"]
        done = await helios.post(f"{PATH}/content.ttl/undo", {**asked, "force": True})
        assert done.json()["after"] == "1d"

    run(scenario)


def test_what_was_never_changed_or_is_another_settings_cannot_be_undone(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        done = await put(helios, "content.ttl", "2h")
        for name, asked in (
            ("log.level", {}),
            ("log.level", {"position": done["position"]}),
            ("content.ttl", {"position": 999}),
        ):
            answer = await helios.post(f"{PATH}/{name}/undo", asked)
            assert answer.status_code == 404, answer.text

    run(scenario)


def test_an_idempotency_key_makes_a_change_once(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for _ in range(2):
            await put(helios, "content.ttl", "2h", headers={"idempotency-key": "k"})
        assert len(await types(helios)) == 1

    run(scenario)


# -- healing is the kill switch --------------------------------------------------------------------


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


# -- who may ---------------------------------------------------------------------------------------


class People:
    """Knows people by tokens that say who they are: `operator@acme`."""

    async def principal_of(self, credential: str) -> model.Principal:
        role, _, tenant = credential.partition("@")
        grant = model.Grant(role=role, tenant=tenant)  # type: ignore[arg-type]
        return model.Principal(kind="user", name=role, grants=(grant,), by="bearer")

    def csrf_of(self, session: str) -> str:
        return session


async def nowhere(client_id: str, stack_id: str) -> str | None:
    del client_id, stack_id


def guarded(parts: app.Parts, routes: Any) -> httpx.AsyncClient:
    made = asgi.Application(
        routes,
        gate=gates.Gate(
            People(),
            hosts=gates.Hosts(None),
            environment_of=nowhere,
            open_ingest=True,
            ingest_is_open=lambda: True,
        ),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://helios")


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        ("admin@*", "PUT", "content.ttl", 200),
        ("admin@*", "PUT", "builds.enabled?client_id=acme", 200),
        ("admin@acme", "PUT", "builds.enabled?client_id=acme", 200),
        ("admin@acme", "PUT", "builds.enabled?client_id=other", 403),
        ("admin@acme", "PUT", "builds.enabled", 403),
        ("admin@acme", "PUT", "content.ttl", 403),
        ("admin@acme", "PUT", "content.ttl?client_id=helios", 403),
        ("admin@helios", "PUT", "content.ttl?client_id=helios", 403),
        ("operator@*", "PUT", "content.ttl", 403),
        ("operator@acme", "PUT", "builds.enabled?client_id=acme", 403),
        ("operator@acme", "PUT", "contract.order-match.within?client_id=acme", 200),
        ("operator@acme", "PUT", "contract.order-match.within?client_id=other", 403),
        ("operator@acme", "PUT", "contract.order-match.within", 403),
        ("operator@other", "PUT", "contract.order-match.within?client_id=acme", 403),
        ("viewer@*", "PUT", "contract.order-match.within?client_id=acme", 403),
        ("approver@*", "DELETE", "content.ttl", 403),
        ("operator@*", "POST", "content.ttl/undo", 403),
        ("viewer@acme", "GET", "content.ttl", 200),
        ("viewer@acme", "GET", "contract.order-match.within?client_id=acme", 200),
        ("viewer@acme", "GET", "contract.order-match.within/history?client_id=acme", 200),
        ("viewer@other", "GET", "contract.order-match.within?client_id=acme", 403),
        ("viewer@other", "GET", "contract.order-match.within/history?client_id=acme", 403),
        ("viewer@other", "GET", "healing.enabled?client_id=acme", 403),
    ],
)
def test_who_may_read_and_change_what(
    run: Any, who: str, method: str, path: str, status: int
) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios, CONTRACT.replace("order-match}", "order-match, client_id: acme}"))
        before = await types(helios)
        body = {"PUT": {"value": _VALUES.get(path.partition("?")[0])}, "POST": {}}.get(method)
        headers = {"authorization": f"Bearer {who}"}
        async with guarded(helios.parts, helios.application.routes) as http:
            answer = await http.request(method, f"{PATH}/{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        if status != 200:
            assert await types(helios) == before
        elif method != "GET":
            assert answer.json()["setting"]["changed_by"] == f"user:{who.partition('@')[0]}"

    run(scenario)


_VALUES = {
    "content.ttl": "2h",
    "builds.enabled": False,
    "contract.order-match.within": "2h",
}


def test_a_list_shows_contracts_of_the_readers_clients_alone(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for client in ("acme", "other"):
            text = CONTRACT.replace("order-match}", f"of-{client}, client_id: {client}}}")
            await declare(helios, text)
        async with guarded(helios.parts, helios.application.routes) as http:

            async def names(who: str, query: str = "") -> set[str]:
                headers = {"authorization": f"Bearer {who}"}
                answer = await http.get(f"{PATH}{query}", headers=headers)
                return {each["name"] for each in answer.json()["settings"]}

            mine = await names("viewer@acme")
            assert "contract.of-acme.within" in mine
            assert "content.ttl" in mine
            assert not any("of-other" in name for name in mine)
            assert "data_dir" not in mine
            every = await names("viewer@*")
            assert {"contract.of-acme.within", "contract.of-other.within", "data_dir"} <= every
            other = await names("viewer@*", "?client_id=other")
            assert not any("of-acme" in name for name in other)

    run(scenario)


def test_secrets_of_the_process_are_masked(tmp_path: Path) -> None:
    async def main() -> None:
        found = settings.Settings(
            data_dir=tmp_path / "data",
            smtp_url="smtp://ada:canary1@mail.example.com",
        )
        async with app.opened(found, briefly=True) as parts, app.kept(parts):
            transport = httpx.ASGITransport(app.application(parts))
            async with httpx.AsyncClient(transport=transport, base_url="http://h") as http:
                text = (await http.get(PATH)).text
        assert "canary1" not in text
        assert "mail.example.com" in text

    asyncio.run(main())
