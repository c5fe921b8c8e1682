"""Why, and the audit, over the API: over the very events of a life."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from helios.eventlog import envelope
from helios.reconcile.compositions import events
from helios.testing import stack_bench, stack_lives

WHY = "/api/v1/why"
AUDIT = "/api/v1/audit"
OF_ACME = {"client_id": stack_bench.CLIENT}
CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: order-fulfilment, client_id: acme}
spec:
  key: payload.orderId
  window: {type: per_key, size: 30s, grace: 5s}
  legs:
    order:   {source: aws, type: OrderPlaced}
    payment: {source: gcp, type: PaymentProcessed}
  rules:
    - {name: amount_mismatch, check: "payment.amount == order.amount"}
"""
LEGS: list[dict[str, Any]] = [
    {"source": "aws", "eventType": "OrderPlaced", "occurred_at": "2026-01-02T03:00:00Z"},
    {"source": "gcp", "eventType": "PaymentProcessed", "occurred_at": "2026-01-02T03:00:01Z"},
]

Scenario = Callable[[Any, list[envelope.Event]], Awaitable[None]]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> list[envelope.Event]:
    return stack_lives.healed(tmp_path_factory.mktemp("life"))


@pytest.fixture
def lived(run: Any, life: list[envelope.Event]) -> Callable[[Scenario], None]:
    def play(scenario: Scenario) -> None:
        async def main(helios: Any) -> None:
            position = await stack_lives.retold(helios.parts.log, life)
            for name in helios.parts.views.names:
                await helios.parts.views.wait_for(name, position)
            await scenario(helios, life)

        run(main)

    return play


def named(life: list[envelope.Event], kind: str) -> envelope.Event:
    return next(event for event in life if event.type == kind)


def test_every_kind_of_key_leads_back_to_what_the_provider_told(
    lived: Callable[[Scenario], None],
) -> None:
    async def scenario(helios: Any, life: list[envelope.Event]) -> None:
        heal = stack_lives.heal_of(named(life, events.HEAL_STARTED))
        approval = named(life, events.APPROVAL_GRANTED).data()["approval_id"]
        succeeded = named(life, events.HEAL_SUCCEEDED)
        keys = {
            f"{stack_bench.CLIENT}/{stack_bench.STACK}": "stack",
            stack_lives.COMPONENT: "component",
            heal.action.drift_ids[0]: "drift",
            heal.plan_id: "plan",
            heal.action.id: "action",
            approval: "approval",
            succeeded.id: "event",
            str(succeeded.position): "event",
            succeeded.data()["reconciliation_id"]: "reconciliation",
        }
        for key, kind in keys.items():
            answer = await helios.get(WHY, params={"key": key})
            assert answer.status_code == 200, (key, answer.text)
            found = answer.json()
            assert (found["key"], found["kind"]) == (key, kind)
            assert found["complete"], key
            types = {node["position"]: node["type"] for node in found["nodes"]}
            assert "webhook.delete" in types.values(), key
            assert found["path"][-1] in found["last"]

    lived(scenario)


def test_the_story_of_a_component_is_told_step_by_step(lived: Callable[[Scenario], None]) -> None:
    async def scenario(helios: Any, life: list[envelope.Event]) -> None:
        del life
        found = (await helios.get(WHY, params={"key": stack_lives.COMPONENT})).json()
        text = found["text"]
        told = ["was gone", "confirmed after", "plan", "agreed by ada", "did create_webhook"]
        places = [text.index(each) for each in [*told, "verified"]]
        assert places == sorted(places)
        assert found["steps"][-1]["text"].startswith(f"{stack_lives.HOOK}: healed")

    lived(scenario)


def test_a_key_that_nothing_knows_is_refused_with_what_keys_look_like(
    lived: Callable[[Scenario], None],
) -> None:
    async def scenario(helios: Any, life: list[envelope.Event]) -> None:
        for key in ("nothing", "acme/none", "acme/shop/resource/none", "999999", "x/y/1"):
            answer = await helios.get(WHY, params={"key": key})
            assert answer.status_code == 404, key
            assert "CLIENT/STACK" in answer.json()["detail"]
        assert (await helios.get(WHY)).json()["code"] == "invalid_input"
        drift = stack_lives.heal_of(named(life, events.HEAL_STARTED)).action.drift_ids[0]
        for key in (drift, "3", stack_lives.COMPONENT, named(life, events.HEAL_ACTED).id):
            other = await helios.get(WHY, params={"key": key, "client_id": "other"})
            assert other.status_code == 404, key

    lived(scenario)


def test_a_verdict_is_told_by_the_events_that_it_is_of(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        headers = {"content-type": "application/yaml"}
        declared = await helios.post("/api/v1/contracts", content=CONTRACT, headers=headers)
        assert declared.status_code == 201, declared.text
        legs = [
            {**leg, "client_id": "acme", "payload": {"orderId": "ORD-7", "amount": number}}
            for number, leg in enumerate(LEGS)
        ]
        answer = await helios.post("/api/v1/events/ingest/batch", legs)
        after = {"helios-after": answer.headers["helios-position"]}
        path = "/api/v1/contracts/order-fulfilment/verdicts/ORD-7?client_id=acme"
        await helios.get(path, headers=after)
        for key in ("order-fulfilment/ORD-7", "order-fulfilment/ORD-7/1", "ORD-7"):
            found = (await helios.get(WHY, params={"key": key})).json()
            assert found["kind"] == "verdict", key
            types = [node["type"] for node in found["nodes"]]
            assert types == ["OrderPlaced", "PaymentProcessed"]
            assert found["complete"]
            said = "ORD-7 is mismatched by order-fulfilment: amount_mismatch does not hold"
            assert found["steps"][-1]["text"] == said

    run(scenario)


def test_the_audit_has_who_did_what_and_what_was_shown(
    lived: Callable[[Scenario], None],
) -> None:
    async def scenario(helios: Any, life: list[envelope.Event]) -> None:
        listed = (await helios.get(AUDIT, params={**OF_ACME, "kind": "heal"})).json()
        (heal,) = listed["entries"]
        assert (heal["action"], heal["success"]) == ("create_webhook", True)
        assert heal["approver"] == ["user:ada"]
        assert heal["position"] == named(life, events.HEAL_STARTED).position
        one = (await helios.get(f"{AUDIT}/{heal['entry_id']}")).json()
        assert one["entry"] == heal
        assert one["plan"]["digest"] == heal["plan_digest"]
        assert (await helios.get(f"{AUDIT}/none")).status_code == 404
        other = {"client_id": "other"}
        assert (await helios.get(f"{AUDIT}/{heal['entry_id']}", params=other)).status_code == 404

    lived(scenario)


def test_the_audit_is_read_page_by_page_and_by_who_and_when(
    lived: Callable[[Scenario], None],
) -> None:
    async def scenario(helios: Any, life: list[envelope.Event]) -> None:
        every = (await helios.get(AUDIT)).json()["entries"]
        paged: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await helios.get(AUDIT, params={"limit": 2, **cursor})).json()
            paged += page["entries"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert paged == every
        assert [each["position"] for each in every] == sorted(
            (each["position"] for each in every), reverse=True
        )
        by_ada = (await helios.get(AUDIT, params={"actor": "user:ada"})).json()["entries"]
        assert {each["actor"] for each in by_ada} == {"user:ada"}
        at = every[0]["timestamp"]
        since = (await helios.get(AUDIT, params={"since": at})).json()["entries"]
        until = (await helios.get(AUDIT, params={"until": at})).json()["entries"]
        assert len(since) + len(until) == len(every)
        assert since
        assert until
        wrong = await helios.get(AUDIT, params={"kind": "none"})
        assert wrong.json()["code"] == "invalid_input"
        assert (await helios.get(AUDIT, params={"since": at, "until": at})).status_code == 400

    lived(scenario)


def test_the_audit_is_the_same_however_often_it_is_built(
    lived: Callable[[Scenario], None],
) -> None:
    async def scenario(helios: Any, life: list[envelope.Event]) -> None:
        del life
        for name in ("audit", "stacks"):
            answer = await helios.http.post(f"/api/v1/views/{name}/verify")
            last = answer.text.splitlines()[-1]
            assert '"equal":true' in last, last

    lived(scenario)


def test_the_report_is_complete_over_a_life_as_it_should_be(
    lived: Callable[[Scenario], None],
) -> None:
    async def scenario(helios: Any, life: list[envelope.Event]) -> None:
        del life
        asked = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
        found = (await helios.get(f"{AUDIT}/report", params=asked)).json()
        assert found["complete"], found["breaches"]
        assert found["executed"] == 1
        (client,) = found["clients"]
        assert client["time_to_heal"]["count"] == 1
        assert 0 < client["time_to_detect"]["max_s"] < 60
        assert client["open_drifts"] == []
        before = {"since": "2025-01-01T00:00:00Z", "until": "2025-01-02T00:00:00Z"}
        empty = (await helios.get(f"{AUDIT}/report", params=before)).json()
        assert (empty["clients"], empty["complete"]) == ([], True)

    lived(scenario)


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_the_trace_of_a_request_goes_on_in_what_it_orders(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        text = stack_bench.DECLARED.format(client=stack_bench.CLIENT, stack=stack_bench.STACK)
        headers = {"content-type": "application/yaml", "traceparent": TRACEPARENT}
        path = f"/api/v1/clients/{stack_bench.CLIENT}/stacks/{stack_bench.STACK}"
        done = await helios.call("PUT", path, content=text, headers=headers)
        assert done.status_code == 201, done.text
        asked = {"command_type": "reconcile_client", "client_id": stack_bench.CLIENT}
        issued = await helios.post("/api/v1/commands", asked, headers={"traceparent": TRACEPARENT})
        assert issued.status_code == 202
        page = await helios.parts.log.read(envelope.Position(0))
        wanted = {events.STACK_DECLARED, "CommandIssued"}
        traced = {e.type: e.metadata for e in page.events if e.type in wanted}
        assert set(traced) == wanted
        assert all(TRACEPARENT.split("-")[1].encode() in each for each in traced.values())
        assert TRACEPARENT.encode() in traced["CommandIssued"]

    run(scenario)


def test_a_trace_context_that_is_none_is_ignored(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        asked = {"command_type": "reconcile_client", "client_id": stack_bench.CLIENT}
        for wrong in ("", "00-0-0-0", "zz" * 30):
            issued = await helios.post("/api/v1/commands", asked, headers={"traceparent": wrong})
            assert issued.status_code == 202
        page = await helios.parts.log.read(envelope.Position(0))
        assert all(b"traceparent" not in event.metadata for event in page.events)

    run(scenario)


def test_the_audit_is_narrowed_by_an_expression_and_read_on(
    lived: Callable[[Scenario], None],
) -> None:
    async def scenario(helios: Any, life: list[envelope.Event]) -> None:
        del life
        every = (await helios.get(AUDIT)).json()["entries"]
        narrowed: tuple[tuple[str, Callable[[Any], bool]], ...] = (
            ("kind:heal", lambda entry: entry["kind"] == "heal"),
            ("-kind:heal", lambda entry: entry["kind"] != "heal"),
            ("actor:service:*", lambda entry: entry["actor"].startswith("service:")),
        )
        for text, keep in narrowed:
            wanted = [each["entry_id"] for each in every if keep(each)]
            assert wanted, text
            found, query = [], {"filter": text, "limit": 1}
            while True:
                page = (await helios.get(AUDIT, params=query)).json()
                found += [each["entry_id"] for each in page["entries"]]
                if page["next_cursor"] is None:
                    break
                query["cursor"] = page["next_cursor"]
            assert found == wanted, text
        answer = await helios.get(AUDIT, params={"filter": "colour:red"})
        assert (answer.status_code, answer.json()["field"]) == (400, "filter")

    lived(scenario)
