"""Keys of which one of two events never comes, and how long it takes until that is told."""

import asyncio
import contextlib
import itertools
import random
from typing import Any

import httpx

from helios.kernel import clock as clocks

WITHIN_S = GRACE_S = 1.0
APART_S = 0.13
"""Between two keys, on average: their ends lie anywhere in a second."""

NOISE_S = 0.02
POLL_S = 0.01
PATIENCE_S = 60.0
_clock = clocks.SystemClock()
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


async def delays(url: str, keys: int, *, noisy: bool) -> list[float]:
    """Declare the contract and send keys to it, at uneven moments.

    Args:
        url: of a server that has no such contract yet and lets everybody in.
        keys: how many.
        noisy: complete keys come all the time: what is open must not wait until the log is quiet.

    Returns:
        Seconds of each key from its only event until its verdict was read.

    Raises:
        TimeoutError: not all were told in time.
        AssertionError: something else is told to be missing.
    """
    posted: dict[str, clocks.Timestamp] = {}
    told: dict[str, clocks.Timestamp] = {}
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        yaml = {"content-type": "application/yaml"}
        (await http.put("/api/v1/contracts", content=CONTRACT, headers=yaml)).raise_for_status()
        beside = asyncio.create_task(_noise(http)) if noisy else None
        sending = asyncio.create_task(_send(http, keys, posted))
        try:
            async with asyncio.timeout(PATIENCE_S + keys * APART_S):
                while len(told) < keys:
                    await asyncio.sleep(POLL_S)
                    for key in await _told(http, keys):
                        told.setdefault(key, _clock.now())
                await sending
        finally:
            for task in (sending, beside):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
    return [(told[key] - posted[key]) / clocks.SECOND_US for key in posted]


async def _told(http: httpx.AsyncClient, keys: int) -> list[str]:
    path = f"/api/v1/contracts/short/verdicts?status=partial&limit={keys}"
    found = (await http.get(path)).raise_for_status().json()["verdicts"]
    assert all(each["missing_events"] == ["payment"] for each in found), found
    return [each["key"] for each in found]


async def _send(http: httpx.AsyncClient, keys: int, posted: dict[str, clocks.Timestamp]) -> None:
    rng = random.Random(1)  # noqa: S311 - not for secrets
    for number in range(keys):
        await asyncio.sleep(rng.uniform(0, 2 * APART_S))
        posted[f"k{number}"] = now = _clock.now()
        await _post(http, _event("OrderPlaced", f"k{number}", now))


async def _noise(http: httpx.AsyncClient) -> None:
    for number in itertools.count():
        key, now = f"noise-{number}", _clock.now()
        await _post(http, _event("OrderPlaced", key, now), _event("PaymentProcessed", key, now))
        await asyncio.sleep(NOISE_S)


async def _post(http: httpx.AsyncClient, *events: dict[str, Any]) -> None:
    (await http.post("/api/v1/events/ingest/batch", json=events)).raise_for_status()


def _event(kind: str, key: str, at: clocks.Timestamp) -> dict[str, Any]:
    return {
        "source": {"OrderPlaced": "aws", "PaymentProcessed": "gcp"}[kind],
        "eventType": kind,
        "event_id": f"{kind}-{key}",
        "timestamp": clocks.to_rfc3339(at),
        "payload": {"orderId": key},
    }
