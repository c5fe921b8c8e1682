from typing import Any

import pytest

from helios.client import Client

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
BASE = "/api/v1/contracts/order-fulfilment/verdicts"


def _order(key: str, amount: float, second: int = 0) -> dict[str, Any]:
    return {
        "source": "aws", "eventType": "OrderPlaced", "client_id": "acme", "id": f"o-{key}",
        "occurred_at": f"2026-01-02T03:{second // 60:02}:{second % 60:02}Z",
        "payload": {"orderId": key, "amount": amount},
    }  # fmt: skip


def _payment(key: str, amount: float, second: int = 1) -> dict[str, Any]:
    return {
        "source": "gcp", "eventType": "PaymentProcessed", "client_id": "acme", "id": f"p-{key}",
        "occurred_at": f"2026-01-02T03:{second // 60:02}:{second % 60:02}Z",
        "payload": {"orderId": key, "amount": amount},
    }  # fmt: skip


async def _judged(helios: Any) -> dict[str, str]:
    """Three keys: one matches, one has a wrong amount, one has no payment; one is open."""
    declared = await helios.post(
        "/api/v1/contracts", content=CONTRACT.encode(), headers={"content-type": "text/yaml"}
    )
    assert declared.status_code == 201
    events = [
        _order("K/1", 10), _payment("K/1", 10), _order("K2", 10), _payment("K2", 11),
        _order("K3", 10), _order("K4", 10, 300), _payment("K5", 10, 300),
    ]  # fmt: skip
    answer = await helios.post("/api/v1/events/ingest/batch", events)
    assert answer.status_code == 202
    return {"helios-after": answer.headers["helios-position"]}


def test_a_key_can_be_asked_by_contract_and_as_an_order(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await _judged(helios)
        order = await helios.get("/api/v1/reconciliation/K2?client_id=acme", headers=after)
        found = order.json()
        assert found["orderId"] == "K2"
        assert found["status"] == "mismatched"
        assert found["missingEvents"] == []
        assert found["events"] == {"order": ["o-K2"], "payment": ["p-K2"]}
        assert list(found["validationErrors"]) == ["amount_mismatch"]
        missing = (await helios.get("/api/v1/reconciliation/K3?client_id=acme")).json()
        assert (missing["status"], missing["missingEvents"]) == ("partial", ["payment"])
        pending = (await helios.get("/api/v1/reconciliation/K4?client_id=acme")).json()
        assert pending["status"] == "pending"
        assert pending["reconciledAt"] is None
        slash = (await helios.get(f"{BASE}/K%2F1?client_id=acme")).json()
        (verdict,) = slash["verdicts"]
        assert (verdict["status"], verdict["key"]) == ("matched", "K/1")

    run(scenario)


def test_unknown_keys_and_contracts_are_404(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await _judged(helios)
        for path in (
            "/api/v1/reconciliation/none?client_id=acme",
            "/api/v1/reconciliation/K2",
            f"{BASE}/none?client_id=acme",
            f"{BASE}/K2",
            "/api/v1/contracts/none/verdicts/K2?client_id=acme",
        ):
            assert (await helios.get(path, headers=after)).status_code == 404, path

    run(scenario)


def test_mismatches_are_listed_by_page(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await _judged(helios)
        path = "/api/v1/reconciliation/mismatches"
        whole = (await helios.get(path, headers=after)).json()
        assert sorted(v["key"] for v in whole["verdicts"]) == ["K2", "K3"]
        first = (await helios.get(f"{path}?limit=1&client_id=acme")).json()
        rest = (await helios.get(f"{path}?limit=1&cursor={first['next_cursor']}")).json()
        assert first["verdicts"] + rest["verdicts"] == whole["verdicts"]
        assert (await helios.get(f"{path}?client_id=other")).json()["verdicts"] == []
        past = "start_time=2020-01-01T00:00:00Z&end_time=2020-01-02T00:00:00Z"
        assert (await helios.get(f"{path}?{past}")).json()["verdicts"] == []

    run(scenario)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "cursor=x", "cursor=%ff", "start_time=x", "start_time=2026-01-02T03:04:05+01:00",
     "start_time=2026-01-02T00:00:00Z&end_time=2026-01-01T00:00:00Z", "status=matched"],
)  # fmt: skip
def test_bad_queries_for_mismatches_are_refused(run: Any, query: str) -> None:
    async def scenario(helios: Any) -> None:
        after = await _judged(helios)
        answer = await helios.get(f"/api/v1/reconciliation/mismatches?{query}", headers=after)
        assert answer.status_code == 400, answer.text

    run(scenario)


def test_verdicts_of_a_contract_are_listed_by_status(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await _judged(helios)
        for status, keys in (
            ("matched", ["K/1"]),
            ("mismatched", ["K2"]),
            ("partial", ["K3"]),
        ):
            page = (await helios.get(f"{BASE}?status={status}", headers=after)).json()
            assert [v["key"] for v in page["verdicts"]] == keys
        assert len((await helios.get(BASE)).json()["verdicts"]) == 3
        assert (await helios.get(f"{BASE}?status=pending")).status_code == 400

    run(scenario)


def test_a_late_event_supersedes_and_the_history_stays(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await _judged(helios)
        assert (await helios.get(f"{BASE}/K3?client_id=acme", headers=after)).status_code == 200
        late = await helios.ingest(_payment("K3", 10, 2))
        after = {"helios-after": late.headers["helios-position"]}
        now = (await helios.get(f"{BASE}/K3?client_id=acme", headers=after)).json()
        assert [(v["status"], v["late"]) for v in now["verdicts"]] == [("matched", True)]
        told = (await helios.get(f"{BASE}/K3?client_id=acme&history=true")).json()["verdicts"]
        assert [v["status"] for v in told] == ["partial", "matched"]
        assert told[0]["superseded_by"] == told[1]["id"]

    run(scenario)


def test_a_replay_is_done_once_per_key_of_idempotency(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await _judged(helios)
        await helios.get(f"{BASE}/K2?client_id=acme", headers=after)
        path = "/api/v1/reconciliation/replay"
        asked = {"contract": "order-fulfilment", "client_id": "acme", "keys": ["K2"]}
        key = {"idempotency-key": "k"}
        first = await helios.post(path, asked, headers=key)
        assert (first.status_code, first.json()["requested"]) == (200, 1)
        head = await helios.parts.log.head()
        again = await helios.post(path, asked, headers=key)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        assert await helios.parts.log.head() == head
        other = await helios.post(path, {**asked, "keys": ["K3"]}, headers=key)
        assert other.status_code == 422

    run(scenario)


def test_the_client_has_keys_judged_again(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await _judged(helios)
        await helios.get(f"{BASE}/K2?client_id=acme", headers=after)
        async with Client("http://helios", transport=helios.http._transport) as client:
            keys = await client.judge_again("order-fulfilment", keys=["K2"], client_id="acme")
            since = "2000-01-01T00:00:00Z"
            all_ = await client.judge_again("order-fulfilment", client_id="acme", start=since)
        assert (keys.requested, all_.requested > 1) == (1, True)
        assert all_.position > keys.position

    run(scenario)


@pytest.mark.parametrize(
    "asked",
    [{}, {"contract": "order-fulfilment"}, {"contract": "x", "keys": []}, {"contract": 1},
     {"contract": "x", "keys": ["k"] * 1001}, {"contract": "x", "keys": [1]},
     {"contract": "x", "start_time": "x"}, {"contract": "x", "keys": ["k"], "unknown": 1}, []],
)  # fmt: skip
def test_a_bad_replay_is_refused(run: Any, asked: Any) -> None:
    async def scenario(helios: Any) -> None:
        answer = await helios.post("/api/v1/reconciliation/replay", asked)
        assert answer.status_code == 400

    run(scenario)


def test_a_replay_of_an_unknown_contract_is_a_404(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await helios.get("/api/v1/contracts", headers={"helios-after": "0"})
        asked = {"contract": "none", "keys": ["k"]}
        assert (await helios.post("/api/v1/reconciliation/replay", asked)).status_code == 404

    run(scenario)


def test_the_numbers_at_a_glance_count_verdicts(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await _judged(helios)
        await helios.get(f"{BASE}/K2?client_id=acme", headers=after)
        now = (await helios.get("/api/v1/status")).json()
        assert {k: v for k, v in now["verdicts"].items() if v} == {
            "matched": 1,
            "mismatched": 1,
            "partial": 1,
        }
        assert now["contracts"] == 1
        text = (await helios.get("/metrics")).text
        assert 'helios_events_reconciled_total{status="mismatched"} 1.0' in text

    run(scenario)
