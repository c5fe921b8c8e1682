"""The live path over HTTP: single posts against an empty handler, batches at a set rate.

    python benchmarks/live_http.py single     # ratio to the same server answering an empty handler
    python benchmarks/live_http.py batches    # 10,000 events/s, time until the verdict can be read

The load comes from a process of its own. `single` is closed-loop with many connections: requests
per second and CPU per request of `helios serve` and of the same server with a handler that reads
the body and answers, in turn. `batches` is open-loop: batches are sent when they are due, whether
or not the ones before were answered, and times count from when they were due. A sampled key is read
with `Helios-After` of the batch that completed it, so its time is what a client would see.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import http_server
import httpx

CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: live}
spec:
  key: payload.orderId
  window: {type: per_key, size: 30s, grace: 5s}
  legs:
    order:     {source: aws, type: OrderPlaced}
    payment:   {source: gcp, type: PaymentProcessed}
    inventory: {source: azure, type: InventoryReserved}
  rules:
    - {name: amount, check: "abs(payment.amount - order.amount) <= 0.01"}
"""
EMPTY = """
import asyncio, sys, uvloop
from helios.api import asgi, server, web
ANSWER = b'{"event_id":"01a1f91f-d225-7190-99a0-885bcde49d25","position":1,"duplicate":false}'
async def handler(request):
    await request.body()
    return web.Response(status=202, body=ANSWER)
async def main():
    path = "/api/v1/events/ingest"
    route = web.Route(method="POST", path=path, handler=handler, summary="", tag="", replies={})
    listener = server.bind("127.0.0.1", 0)
    print("http://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    await server.serve(server.make(asgi.Application([route]), drain_s=1), listener)
uvloop.run(main())
"""


class Started:
    """A server process; its address is in the first line that it prints."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.url = next(word for word in line.split() if word.startswith("http://"))
        self.port = int(self.url.rpartition(":")[2])

    def cpu_s(self) -> float:
        return http_server.cpu_s(self.process.pid)

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)


def serve(folder: Path) -> Started:
    command = "from helios.cli import main; main()"
    return Started("-c", command, "serve", "--data-dir", str(folder), "--port", "0")


def measure(server: Started, connections: int, seconds: float) -> tuple[float, float]:
    """Requests per second and CPU microseconds of the server per request."""
    before = server.cpu_s()
    out = subprocess.run(
        [sys.executable, __file__, "closed", str(server.port), str(connections), str(seconds)],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    return int(out[0]) / float(out[1]), (server.cpu_s() - before) / int(out[0]) * 1e6


def closed(port: int, connections: int, seconds: float) -> None:
    """Post as fast as answers come; prints `requests seconds`."""
    import uvloop

    body = http_server.BODY
    head = f"POST {http_server.PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    done, stopped = 0, False

    class Client(asyncio.Protocol):
        seen = b""

        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            transport.write(request)

        def data_received(self, data: bytes) -> None:
            nonlocal done
            self.seen += data
            if not self.seen.endswith(b"}"):
                return
            if not self.seen.startswith(b"HTTP/1.1 202"):
                raise SystemExit(self.seen.decode())
            self.seen = b""
            done += 1
            if not stopped:
                self.transport.write(request)

    async def main() -> None:
        nonlocal stopped
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(Client, "127.0.0.1", port)
        started = time.perf_counter()
        await asyncio.sleep(seconds)
        stopped = True
        print(done, time.perf_counter() - started)

    uvloop.run(main())


def single(rounds: int, seconds: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="helios-bench-"))
    real, empty = serve(folder / "data"), Started("-c", EMPTY)
    print("| connections | POST/s | empty/s | ratio | POST CPU us | empty CPU us | CPU ratio |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    try:
        for connections in (64, 256):
            pairs = [
                (measure(real, connections, seconds), measure(empty, connections, seconds))
                for _ in range(rounds)
            ]
            cells = [
                statistics.median(values)
                for values in zip(
                    *((a[0], b[0], a[0] / b[0], a[1], b[1], b[1] / a[1]) for a, b in pairs),
                    strict=True,
                )
            ]
            rates = f"{cells[0]:,.0f} | {cells[1]:,.0f} | {cells[2]:.2f}"
            print(f"| {connections} | {rates} | {cells[3]:.0f} | {cells[4]:.0f} | {cells[5]:.2f} |")
    finally:
        real.stop()
        empty.stop()


def _batch(number: int, orders: int) -> tuple[bytes, str]:
    """Events of some orders, all three legs, as NDJSON; and the last order's key."""
    lines, now = [], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    key = ""
    for n in range(orders):
        key = f"ORD-{number:06d}-{n:03d}"
        for source, kind in (
            ("aws", "OrderPlaced"), ("gcp", "PaymentProcessed"), ("azure", "InventoryReserved"),
        ):  # fmt: skip
            payload = {"orderId": key, "amount": 12.5, "currency": "USD", "pad": "x" * 120}
            event = {"source": source, "eventType": kind, "id": f"{source}-{key}",
                     "occurred_at": now, "payload": payload}  # fmt: skip
            lines.append(json.dumps(event))
    return "\n".join(lines).encode(), key


async def _offer(url: str, rate: int, seconds: float) -> dict[str, Any]:
    orders = 33
    every = 3 * orders / rate
    count = int(seconds / every)
    prepared = [_batch(number, orders) for number in range(count)]
    answered: list[float] = []
    visible: list[float] = []
    errors: list[str] = []
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as http:
        started = time.perf_counter() + 0.2

        async def send(number: int) -> None:
            due = started + number * every
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            body, key = prepared[number]
            answer = await http.post(
                "/api/v1/events/ingest/batch", content=body,
                headers={"content-type": "application/x-ndjson"},
            )  # fmt: skip
            answered.append(time.perf_counter() - due)
            if answer.status_code != 202:
                errors.append(f"{answer.status_code} {answer.text[:200]}")
            elif number % 10 == 0:
                after = {"helios-after": answer.headers["helios-position"]}
                found = await http.get(f"/api/v1/contracts/live/verdicts/{key}", headers=after)
                visible.append(time.perf_counter() - due)
                if found.status_code != 200 or found.json()["verdicts"][0]["status"] != "matched":
                    errors.append(f"{found.status_code} {found.text[:200]}")

        await asyncio.gather(*(send(number) for number in range(count)))
        elapsed = time.perf_counter() - started
    return {"events": count * 3 * orders, "seconds": elapsed, "answered": sorted(answered),
            "visible": sorted(visible), "errors": errors}  # fmt: skip


def batches(rate: int, seconds: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="helios-bench-"))
    server = serve(folder / "data")
    try:
        httpx.post(
            f"{server.url}/api/v1/contracts", content=CONTRACT,
            headers={"content-type": "application/yaml"},
        ).raise_for_status()  # fmt: skip
        before = server.cpu_s()
        offered = subprocess.run(
            [sys.executable, __file__, "open", server.url, str(rate), str(seconds)],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        cpu = server.cpu_s() - before
        counts = httpx.get(f"{server.url}/api/v1/status", timeout=60).json()["verdicts"]
    finally:
        server.stop()
    found = json.loads(offered)

    def at(values: list[float], share: float) -> str:
        return f"{1000 * values[min(len(values) - 1, int(share * len(values)))]:.0f}"

    print(f"{found['events']:,} events in {found['seconds']:.1f} s, {rate:,}/s offered")
    print(f"errors {len(found['errors'])} {found['errors'][:3]}; verdicts {counts}")
    print(f"CPU us/event {cpu / found['events'] * 1e6:.0f}")
    for name in ("answered", "visible"):
        values = found[name]
        print(f"{name}: p50 {at(values, 0.5)} ms, p95 {at(values, 0.95)} ms, "
              f"p99 {at(values, 0.99)} ms, max {at(values, 1)} ms")  # fmt: skip


def main() -> None:
    if sys.argv[1:2] == ["closed"]:
        return closed(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    if sys.argv[1:2] == ["open"]:
        print(json.dumps(asyncio.run(_offer(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))))
        return None
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["single", "batches"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--rate", type=int, default=10_000)
    options = parser.parse_args()
    if options.what == "single":
        return single(options.rounds, options.seconds or 2.0)
    return batches(options.rate, options.seconds or 20.0)


if __name__ == "__main__":
    main()
