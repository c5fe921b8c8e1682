"""A leg that does not come is told, after `within` and `grace`, and not before.

How soon after is measured by `benchmarks/live/missing.py`.
"""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

WITHIN_S = 1.0
GRACE_S = 1.0
KEYS = 10
SPREAD_S = 1.3
"""Over which the keys come, so that their deadlines lie anywhere in a second."""

NOISE_S = 0.02
CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: short}
spec:
  key: payload.orderId
  window: {type: per_key, size: 1s, grace: 1s}
  legs:
    order: {source: aws, type: OrderPlaced}
    payment: {source: gcp, type: PaymentProcessed}
"""


def _event(kind: str, key: str, at: float) -> dict[str, Any]:
    return {
        "source": {"OrderPlaced": "aws", "PaymentProcessed": "gcp"}[kind],
        "eventType": kind,
        "event_id": f"{kind}-{key}",
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat(),
        "payload": {"orderId": key},
    }


async def _post(http: httpx.AsyncClient, *events: dict[str, Any]) -> None:
    answer = await http.post("/api/v1/events/ingest/batch", json=events)
    assert answer.status_code == 202, answer.text


async def _noise(http: httpx.AsyncClient) -> None:
    """Complete keys all the time: what is open must not wait until the log is quiet."""
    for number in range(1_000_000):
        now = time.time()
        key = f"noise-{number}"
        await _post(http, _event("OrderPlaced", key, now), _event("PaymentProcessed", key, now))
        await asyncio.sleep(NOISE_S)


async def _delays(driving: Any, url: str, *, noisy: bool) -> dict[str, float]:
    """Key to seconds from its only event until its verdict could be read."""
    posted: dict[str, float] = {}
    told: dict[str, float] = {}
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        declared = await http.put(
            "/api/v1/contracts", content=CONTRACT, headers={"content-type": "application/yaml"}
        )
        assert declared.status_code == 201, declared.text
        noise = asyncio.create_task(_noise(http)) if noisy else None

        async def send() -> None:
            begin = time.time()
            for number in range(KEYS):
                at = begin + SPREAD_S * number / KEYS
                await asyncio.sleep(max(0.0, at - time.time()))
                posted[f"k{number}"] = now = time.time()
                await _post(http, _event("OrderPlaced", f"k{number}", now))

        async def all_told() -> bool:
            found = await driving.get(http, "/api/v1/contracts/short/verdicts?status=partial")
            now = time.time()
            for each in found["verdicts"]:
                assert each["missing_events"] == ["payment"]
                told.setdefault(each["key"], now)
            return len(told) == KEYS

        sending = asyncio.create_task(send())
        await driving.until(all_told, deadline_s=60, every_s=0.01, what="a verdict on every key")
        await sending
        if noise is not None:
            noise.cancel()
    return {key: told[key] - posted[key] for key in posted}


@pytest.mark.parametrize("log", ["quiet", "noisy"])
def test_a_missing_leg_is_told_when_its_time_has_come(
    serving: Any, driving: Any, tmp_path: Path, database_url: str | None, log: str
) -> None:
    place = driving.Place(tmp_path / "data", database_url)
    with serving.serving(place.folder, *place.options) as server:
        delays = asyncio.run(_delays(driving, server.url, noisy=log == "noisy"))
    driving.tell(f"told after {min(delays.values()):.2f} to {max(delays.values()):.2f} s")
    assert min(delays.values()) >= WITHIN_S + GRACE_S
