"""A key that does not match is told: by the API, by the command, and among the metrics."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: short}
spec:
  key: payload.orderId
  window: {type: per_key, size: 1s, grace: 0s}
  legs:
    order: {source: aws, type: OrderPlaced}
    payment: {source: gcp, type: PaymentProcessed}
  on_missing: {after: 1s, action: replay_from_source, then: alert}
  objectives: {mismatch_rate: 1%}
"""


def _event(kind: str, key: str) -> dict[str, Any]:
    return {
        "source": {"OrderPlaced": "aws", "PaymentProcessed": "gcp"}[kind],
        "eventType": kind,
        "event_id": f"{kind}-{key}",
        "timestamp": datetime.fromtimestamp(time.time(), UTC).isoformat(),
        "payload": {"orderId": key},
    }


async def _told(driving: Any, url: str) -> list[dict[str, Any]]:
    """Let one key match and one not; returns the alerts once there are some."""
    found: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as http:
        declared = await http.put(
            "/api/v1/contracts", content=CONTRACT, headers={"content-type": "application/yaml"}
        )
        assert declared.status_code == 201, declared.text
        events = [_event("OrderPlaced", "good"), _event("PaymentProcessed", "good")]
        events.append(_event("OrderPlaced", "lonely"))
        answer = await http.post("/api/v1/events/ingest/batch", json=events)
        assert answer.status_code == 202, answer.text

        async def is_told() -> bool:
            found[:] = (await driving.get(http, "/api/v1/alerts?contract=short"))["alerts"]
            return bool(found)

        await driving.until(is_told, deadline_s=20, every_s=0.05, what="an alert")
        metrics = (await http.get("/metrics")).text
    labels = '{client_id="default",contract="short"}'
    assert f"helios_alerts_total{labels} 1.0" in metrics
    assert f"helios_contract_mismatch_ratio{labels} 0.5" in metrics
    assert f"helios_contract_mismatch_ratio_max{labels} 0.01" in metrics
    return found


async def _alerts(driving: Any, url: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as http:
        found: list[dict[str, Any]] = (await driving.get(http, "/api/v1/alerts"))["alerts"]
        return found


def test_a_key_that_does_not_match_is_told_once_also_after_a_crash(
    serving: Any, driving: Any, tmp_path: Path, database_url: str | None
) -> None:
    place = driving.Place(tmp_path / "data", database_url)
    with serving.serving(place.folder, *place.options) as server:
        (alert,) = asyncio.run(_told(driving, server.url))
        assert (alert["key"], alert["status"], alert["count"]) == ("lonely", "partial", 1)
        assert alert["missing_events"] == ["payment"]
        assert alert["reason"] == "payment missing; no source can be asked"
        server.kill()
    with serving.serving(place.folder, *place.options) as server:
        shown = serving.command("alerts", "short", "--url", server.url, cwd=tmp_path)
        assert shown.returncode == 0, shown.stderr
        assert "lonely" in shown.stdout
        # Two intervals in which a forgetful process would tell it again.
        begun = time.monotonic()

        async def still_one() -> None:
            async def is_over() -> bool:
                assert await _alerts(driving, server.url) == [alert]
                return time.monotonic() - begun > 2.5

            await driving.until(is_over, deadline_s=20, every_s=0.1, what="some passes")

        asyncio.run(still_one())
