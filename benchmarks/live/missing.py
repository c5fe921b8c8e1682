"""How soon a leg that does not come is told, after the window and its grace.

    python benchmarks/live/missing.py             100 keys in a quiet log, and 100 in a noisy one
    python benchmarks/live/missing.py --quick     ten

Each key has one event of two; its time runs from that event until its verdict was read over HTTP.
The keys come at uneven moments, so that their ends lie anywhere in a second. In the noisy log
complete keys come all the time: what is open must not wait until the log is quiet.
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measure

from helios.testing import real_processes

WITHIN_S = GRACE_S = 1.0
LATE_S_MAX = 1.0
DEADLINE_S = 60.0
KEYS, KEYS_QUICK = 100, 10
APART_S = 0.13
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


def event(kind: str, key: str, at: float) -> dict[str, Any]:
    return {
        "source": {"OrderPlaced": "aws", "PaymentProcessed": "gcp"}[kind],
        "eventType": kind,
        "event_id": f"{kind}-{key}",
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat(),
        "payload": {"orderId": key},
    }


async def post(http: httpx.AsyncClient, *events: dict[str, Any]) -> None:
    (await http.post("/api/v1/events/ingest/batch", json=events)).raise_for_status()


async def noise(http: httpx.AsyncClient) -> None:
    """Complete keys, until cancelled."""
    for number in itertools.count():
        key, now = f"noise-{number}", time.time()
        await post(http, event("OrderPlaced", key, now), event("PaymentProcessed", key, now))
        await asyncio.sleep(NOISE_S)


async def send(http: httpx.AsyncClient, keys: int, posted: dict[str, float]) -> None:
    rng = random.Random(1)
    for number in range(keys):
        await asyncio.sleep(rng.uniform(0, 2 * APART_S))
        posted[f"k{number}"] = now = time.time()
        await post(http, event("OrderPlaced", f"k{number}", now))


async def delays(url: str, keys: int, *, noisy: bool) -> list[float]:
    """Seconds of each key from its only event until its verdict was read."""
    posted: dict[str, float] = {}
    told: dict[str, float] = {}
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        yaml = {"content-type": "application/yaml"}
        (await http.put("/api/v1/contracts", content=CONTRACT, headers=yaml)).raise_for_status()
        beside = asyncio.create_task(noise(http)) if noisy else None
        sending = asyncio.create_task(send(http, keys, posted))
        async with asyncio.timeout(DEADLINE_S):
            while len(told) < keys:
                path = f"/api/v1/contracts/short/verdicts?status=partial&limit={keys}"
                found = (await http.get(path)).raise_for_status().json()
                now = time.time()
                for each in found["verdicts"]:
                    told.setdefault(each["key"], now)
                await asyncio.sleep(0.01)
        await sending
        if beside is not None:
            beside.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beside
    return [told[key] - posted[key] for key in posted]


def measured(keys: int, *, noisy: bool) -> list[float]:
    """The delays of a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        data, port = Path(folder) / "data", real_processes.free_port()
        with real_processes.Helios(data, port=port, options=["--log-level", "warning"]) as server:
            return asyncio.run(delays(server.url, keys, noisy=noisy))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    keys = KEYS_QUICK if quick else KEYS
    found = {name: measured(keys, noisy=name == "noisy") for name in ("quiet", "noisy")}
    due = WITHIN_S + GRACE_S
    print(f"{measure.machine()}\n")
    head = ("log", "keys", "median s late", "longest s late")
    rows = [
        (name, len(took), f"{statistics.median(took) - due:.2f}", f"{max(took) - due:.2f}")
        for name, took in found.items()
    ]
    print(measure.table(head, rows))
    figures = [
        measure.verdict(f"{name} log: a missing leg is told late by, s", max(took) - due,
                        LATE_S_MAX, at_most=True)
        for name, took in found.items()
    ]  # fmt: skip
    print(f"\n{measure.table(('figure', 'measured', 'must', ''), figures)}")
    sys.exit(any(row[-1] == "MISSED" for row in figures) and not quick)


if __name__ == "__main__":
    main()
