"""Settings over the API: read, changed, put back, undone; and what a change does."""

import asyncio
from typing import Any

import pytest

from helios.api import attention
from helios.configuration import events, registry
from helios.eventlog import envelope

PATH = "/api/v1/configuration"


async def put(helios: Any, name: str, value: Any, status: int = 200, **given: Any) -> Any:
    headers = given.pop("headers", {})
    params = given.pop("params", {})
    answer = await helios.call(
        "PUT", f"{PATH}/{name}", json={"value": value, **given}, headers=headers, params=params
    )
    assert answer.status_code == status, answer.text
    return answer.json()


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


def test_a_value_of_a_newer_helios_leaves_the_last_good_one_and_is_told_in_ready(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await put(helios, "content.ttl", "2h")
        event = envelope.NewEvent(
            id="newer",
            source=events.SOURCE,
            type=events.CHANGED,
            occurred_at=helios.parts.clock.now(),
            tenant=events.INSTALLATION,
            aggregate_type=events.AGGREGATE_TYPE,
            aggregate_id="content.ttl",
            payload=b'{"name": "content.ttl", "client_id": "helios", "value": {"adaptive": true}}',
        )
        await helios.parts.log.append([event])
        await helios.parts.kept.follower.catch_up()
        assert helios.parts.kept.live.get("content.ttl") == "2h"
        checks = (await helios.get("/ready")).json()["checks"]
        told = next(each for each in checks if each["name"] == "configuration")
        assert told["ok"]
        assert "content.ttl: position 2" in told["detail"]
        assert (await one(helios, "content.ttl"))["value"] == "2h"
        await put(helios, "content.ttl", "3h")
        assert (await one(helios, "content.ttl"))["value"] == "3h"

    run(scenario)


def test_a_threshold_changes_what_needs_attention(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        found = helios.parts.kept.live
        assert found.get("attention.lag_events_max") == 5_000
        await put(helios, "attention.lag_events_max", "7")
        threshold = found.number("attention.lag_events_max")()
        assert threshold == 7.0

    run(scenario)


def test_every_threshold_of_the_overview_is_a_setting_with_its_default() -> None:
    defaults = {
        attention.MISMATCH_RATE: 0.01,
        attention.LAG_EVENTS: 5_000.0,
        attention.DEAD_LETTERS: 10.0,
    }
    for name, default in defaults.items():
        assert registry.SETTINGS[name].default == default
