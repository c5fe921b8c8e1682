"""Commands and correlations over HTTP, without a bus: what is asked is kept and shown."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from helios import app
from helios.kernel import settings
from helios.reconcile.bus import commands, events

Scenario = Callable[[httpx.AsyncClient, app.Parts], Awaitable[None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Scenario], None]:
    def runner(scenario: Scenario) -> None:
        async def main() -> None:
            found = settings.Settings(data_dir=tmp_path / "data")
            async with app.opened(found, briefly=True) as parts, app.kept(parts):
                transport = httpx.ASGITransport(app.application(parts))
                async with httpx.AsyncClient(transport=transport, base_url="http://h") as http:
                    await scenario(http, parts)

        asyncio.run(main())

    return runner


ASKED: dict[str, Any] = {"command_type": "reconcile_client", "client_id": "acme", "stack_id": "cms"}


async def issue(http: httpx.AsyncClient, **given: Any) -> httpx.Response:
    headers = given.pop("headers", {})
    return await http.post("/api/v1/commands", json={**ASKED, **given}, headers=headers)


async def shown(http: httpx.AsyncClient, path: str, after: int | str) -> Any:
    answer = await http.get(f"/api/v1/{path}", headers={"helios-after": str(after)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_command_is_answered_with_what_to_follow_it_by(run: Callable[[Scenario], None]) -> None:
    async def scenario(http: httpx.AsyncClient, _: app.Parts) -> None:
        answer = await issue(
            http, payload={"reason": "a new shop"}, headers={"helios-actor": "ada"}
        )
        assert answer.status_code == 202
        made = answer.json()
        (command,) = made["commands"]
        position = answer.headers["helios-position"]
        assert str(made["position"]) == position
        one = await shown(http, f"commands/{command['command_id']}?client_id=acme", position)
        assert (one["status"], one["payload"]) == ("queued", {"reason": "a new shop"})
        assert {k: one[k] for k in command} == command
        record = await shown(
            http, f"correlations/{made['correlation_id']}?client_id=acme", position
        )
        assert record["status"] == "pending"
        assert record["command_ids"] == [command["command_id"]]
        event = (await http.get("/api/v1/events?type=CommandIssued")).json()["events"][0]
        assert event["actor"] == "user:ada"

    run(scenario)


def test_the_same_key_issues_one_command_and_another_request_is_refused(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(http: httpx.AsyncClient, _: app.Parts) -> None:
        key = {"idempotency-key": "k1"}
        first, again = await issue(http, headers=key), await issue(http, headers=key)
        assert first.json() == again.json()
        assert again.headers["idempotency-replayed"] == "true"
        other = await issue(http, headers=key, priority="low")
        assert other.json()["code"] == "idempotency_key_reused"

    run(scenario)


def test_the_same_command_id_is_the_same_command(run: Callable[[Scenario], None]) -> None:
    async def scenario(http: httpx.AsyncClient, _: app.Parts) -> None:
        first = await issue(http, command_id="c")
        again = await issue(http, command_id="c")
        assert (first.status_code, again.status_code) == (202, 200)
        assert again.json()["unchanged"]
        assert again.json()["commands"] == first.json()["commands"]
        other = await issue(http, command_id="c", priority="low")
        assert other.json()["code"] == "idempotency_key_reused"
        assert "new command_id" in other.json()["detail"]

    run(scenario)


def test_p07_commands_are_issued_together(run: Callable[[Scenario], None]) -> None:
    async def scenario(http: httpx.AsyncClient, _: app.Parts) -> None:
        body = {"commands": [ASKED, {**ASKED, "stack_id": "shop"}], "correlation_id": "both"}
        answer = await http.post("/api/v1/commands/together", json=body)
        assert answer.status_code == 202
        record = await shown(
            http, "correlations/both?client_id=acme", answer.headers["helios-position"]
        )
        assert len(record["command_ids"]) == 2
        assert len(record["expected_events"]) == 4

    run(scenario)


def test_lists_are_filtered_and_paged(run: Callable[[Scenario], None]) -> None:
    async def scenario(http: httpx.AsyncClient, _: app.Parts) -> None:
        for name in ("a", "b", "c"):
            answer = await issue(http, command_id=name, correlation_id=f"k{name}")
        await issue(http, client_id="other")
        after = answer.headers["helios-position"]
        first = await shown(http, "correlations?client_id=acme&status=pending&limit=2", after)
        assert [r["correlation_id"] for r in first["correlations"]] == ["kc", "kb"]
        cursor = first["next_cursor"]
        rest = await shown(http, f"correlations?client_id=acme&limit=2&cursor={cursor}", after)
        assert [r["correlation_id"] for r in rest["correlations"]] == ["ka"]
        queue = await shown(http, "commands?client_id=acme&status=queued", after)
        assert [c["command_id"] for c in queue["commands"]] == ["c", "b", "a"]
        assert (await shown(http, "correlations?status=failed", after))["correlations"] == []

    run(scenario)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"expects": []}, "expects"),
        ({"command_type": "explode"}, "command_type"),
        ({"payload": {"force": True}}, "payload"),
        ({"surprise": 1}, None),
        ({"command_type": "rollback_state"}, "payload"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    run: Callable[[Scenario], None], given: dict[str, Any], field: str | None
) -> None:
    async def scenario(http: httpx.AsyncClient, parts: app.Parts) -> None:
        answer = await issue(http, **given)
        assert answer.status_code == 400
        assert answer.json()["code"] == "invalid_input"
        assert answer.json().get("field") == field
        assert await parts.log.head() == 0

    run(scenario)


def test_nobody_joins_a_correlation_that_has_ended(run: Callable[[Scenario], None]) -> None:
    async def scenario(http: httpx.AsyncClient, parts: app.Parts) -> None:
        answer = await issue(http, correlation_id="k")
        now = parts.clock.now()
        after = answer.headers["helios-position"]
        record = msgspec.convert(
            await shown(http, "correlations/k?client_id=acme", after), events.Record
        )
        ended = msgspec.structs.replace(record, status="completed")
        moved = events.Moved(record=ended, positions=(), released=(), upto=1)
        appended = await parts.log.append(
            [
                commands.made_event(
                    events.CORRELATION_COMPLETED,
                    ("acme", events.CORRELATION, "k"),
                    moved,
                    now=now,
                    event_id="moved",
                    correlation_id="k",
                )
            ]
        )
        await parts.views.wait_for("correlations", appended.position)
        refused = await issue(http, correlation_id="k", headers={"idempotency-key": "late"})
        assert refused.status_code == 409
        assert "has ended (completed)" in refused.json()["detail"]
        assert answer.status_code == 202

    run(scenario)


def test_what_is_not_there_is_said_so(run: Callable[[Scenario], None]) -> None:
    async def scenario(http: httpx.AsyncClient, _: app.Parts) -> None:
        for path in ("commands/x", "correlations/x"):
            assert (await http.get(f"/api/v1/{path}")).status_code == 404
        for path in ("commands", "correlations"):
            bad = await http.get(f"/api/v1/{path}?status=odd")
            assert bad.json()["field"] == "status"

    run(scenario)
