"""One key on a time axis, and its verdict as a sentence."""

from typing import Any

import pytest

from helios.api import timeline
from helios.demo import drive
from helios.reconcile.streams import contract as contracts
from helios.testing import console_samples as world

BASE = f"/api/v1/timeline/{world.NAME}"
CLIENT = {"client_id": world.CLIENT}


def test_a_lane_for_each_leg_has_its_events_and_what_rules_read_of_them(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await world.judged(helios)
        found = (await helios.get(f"{BASE}/K2", params=CLIENT)).json()
        assert [lane["leg"] for lane in found["lanes"]] == ["order", "payment"]
        order, payment = found["lanes"]
        assert (order["is_anchor"], payment["is_anchor"]) == (True, False)
        assert order["events"][0]["amounts"] == {"amount": 10}
        assert payment["events"][0]["amounts"] == {"amount": 11}
        assert payment["state"] == "arrived"
        (window,) = found["windows"]
        (conflict,) = window["conflicts"]
        assert (conflict["expected"], conflict["actual"]) == (10, 11)
        assert conflict["check"] == "payment.amount == order.amount"
        assert found["sentence"] == "amount mismatch: expected 10, found 11."
        assert found["watermark"] >= "2026-01-02T03:04"
        assert [each["status"] for each in found["history"]] == ["mismatched"]

    run(scenario)


def test_what_is_missing_has_the_deadline_by_which_it_was_due(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await world.judged(helios)
        gone = (await helios.get(f"{BASE}/K3", params=CLIENT)).json()
        assert gone["sentence"] == "PaymentProcessed (payment) was not seen by 03:00:30."
        assert gone["lanes"][1]["state"] == "missing"
        assert gone["windows"][0]["missing"][0]["overdue"] is True
        assert gone["lanes"][1]["deadline"].startswith("2026-01-02T03:00:30")
        waits = (await helios.get(f"{BASE}/K4", params=CLIENT)).json()
        assert waits["status"] == "pending"
        assert waits["sentence"] == "Waits for payment (PaymentProcessed) until 03:05:30."
        assert waits["lanes"][1]["state"] == "expected"
        assert waits["windows"][0]["verdict_id"] is None
        assert waits["windows"][0]["is_open"] is True
        slash = (await helios.get(f"{BASE}/K%2F1", params=CLIENT)).json()
        assert slash["sentence"] == "All 2 events agree, 1s after the first."

    run(scenario)


def test_what_comes_late_or_twice_is_marked(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        twice = world.payment("K/1", 10, 2, id="p-twice")
        await world.judged(helios, twice, world.payment("K3", 10, 3, id="p-late"))
        double = (await helios.get(f"{BASE}/K%2F1", params=CLIENT)).json()
        marks = [each["is_duplicate"] for each in double["lanes"][1]["events"]]
        assert marks == [False, True]
        assert "payment came 2 times instead of once" in double["sentence"]
        late = (await helios.get(f"{BASE}/K3", params=CLIENT)).json()
        assert late["lanes"][1]["state"] == "late"
        assert [each["status"] for each in late["history"]] == ["partial", "matched"]

    run(scenario)


@pytest.mark.parametrize("path", [f"{BASE}/none", "/api/v1/timeline/other/K2"])
def test_an_unknown_key_is_not_found(run: Any, path: str) -> None:
    async def scenario(helios: Any) -> None:
        await world.judged(helios)
        assert (await helios.get(path, params=CLIENT)).status_code == 404
        bolt = world.seen_by(helios, "bolt")
        assert (await bolt.get(f"{BASE}/K2", params=CLIENT)).status_code == 403

    run(scenario)


def test_values_are_also_those_that_a_rule_reads_of_each_event() -> None:
    of = contracts.parse(drive.contract_text())
    assert timeline._paths(of, "payment") == ["amount"]
    assert timeline._paths(of, "order") == ["items"]
    assert timeline._paths(of, "inventory") == ["items"]
