"""The live path: HTTP in, durable log, contract, verdict out.

    python benchmarks/live/run.py             10,000 events/s for 30 s; single posts in turns
    python benchmarks/live/run.py --quick     2,000 events/s for 3 s
    python benchmarks/live/run.py --database-url postgresql://…

Batches are sent at a fixed rate, whatever the server does, and an event's waiting begins when it
was due, not when a late sender got to it. Of each batch one key that it completes is asked for,
with the position of the batch; its latency runs from when the batch was due until the verdict has
been read over HTTP. Server and sender share the machine.
"""

import argparse
import asyncio
import contextlib
import itertools
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from client import Connection

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "stream")]

import measure  # noqa: E402
import workload  # noqa: E402

HOST = "127.0.0.1"
BATCH = 100
SENDERS = 8
SINGLE_CALLERS = 64
START_S = 30
SETTLE_S = 60
PROBES = 32
LEGS = {"OrderPlaced": 1, "PaymentProcessed": 2, "InventoryReserved": 4}
ALL_LEGS = 7
DECIDED = (b'"status":"matched"', b'"status":"mismatched"')
SINGLE = (
    b'{"source":"aws","eventType":"OrderPlaced","payload":{"orderId":"ORD-00000001",'
    b'"customerId":"CUST-004711","amount":1299.95,"currency":"USD","items":[{"productId":'
    b'"SKU-01234","price":259.99,"qty":5}]},"metadata":{"environment":"production"}}'
)


class Sent(msgspec.Struct, gc=False):
    """What the sender must know of an event it sends."""

    event_type: str
    payload: dict[str, Any]


class Receipt(msgspec.Struct):
    """What the sender must know of the answer."""

    position: int


receipt = msgspec.json.Decoder(Receipt).decode


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(command: list[str | Path], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server that accepts connections when this returns, and is asked to stop at the end."""
    server = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    try:
        end = time.perf_counter() + START_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    break
            if server.poll() is not None or time.perf_counter() > end:
                raise RuntimeError(f"{command[0]} does not listen")
            time.sleep(0.05)
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


async def hammer(port: int, path: str, callers: int, seconds: float) -> float:
    """Single posts on many connections, one in flight on each; answers a second."""
    connections = [Connection(HOST, port) for _ in range(callers)]
    await asyncio.gather(*(c.open() for c in connections))
    begin = time.perf_counter()
    end, done = begin + seconds, 0

    async def caller(connection: Connection) -> None:
        nonlocal done
        while time.perf_counter() < end:
            status, body = await connection.request("POST", path, SINGLE)
            if status != 202:
                raise RuntimeError(f"{path} answered {status}: {body[:300]!r}")
            done += 1

    await asyncio.gather(*(caller(c) for c in connections))
    rate = done / (time.perf_counter() - begin)
    for connection in connections:
        connection.close()
    return rate


async def singles(port: int, empty_port: int, rounds: int, seconds: float) -> tuple[str, ...]:
    """Single posts against the empty handler, in turns."""
    ratios, rates = [], []
    for _ in range(rounds):
        empty = await hammer(empty_port, "/empty", SINGLE_CALLERS, seconds)
        rates.append(await hammer(port, "/api/v1/events/ingest", SINGLE_CALLERS, seconds))
        ratios.append(rates[-1] / empty)
        print(f"single posts: {rates[-1]:,.0f}/s, empty handler {empty:,.0f}/s", file=sys.stderr)
    return measure.verdict("single posts / empty handler", statistics.median(ratios), 0.5)


class Probe:
    """Asks for the verdict of one key that each batch completes; latencies in milliseconds."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.undecided = 0
        self._legs: dict[str, int] = {}
        self._asked: asyncio.Queue[tuple[str, float, int]] = asyncio.Queue()

    def completed(self, batch: list[Sent]) -> str | None:
        """A key whose third event is in the batch."""
        found = None
        for event in batch:
            key = event.payload["orderId"]
            self._legs[key] = legs = self._legs.get(key, 0) | LEGS[event.event_type]
            if legs == ALL_LEGS:
                found = key
        return found

    def ask(self, key: str, due: float, position: int) -> None:
        self._asked.put_nowait((key, due, position))

    async def work(self, port: int) -> None:
        """One connection that asks; it waits in the server until the verdict is visible."""
        connection = Connection(HOST, port)
        await connection.open()
        while True:
            key, due, position = await self._asked.get()
            path = f"/api/v1/contracts/order-match/verdicts/{key}"
            status, body = await connection.request(
                "GET", path, headers=f"helios-after: {position}\r\n"
            )
            self.taken.append((time.perf_counter() - due) * 1000)
            self.undecided += status != 200 or not any(word in body for word in DECIDED)
            self._asked.task_done()

    async def settled(self) -> None:
        await self._asked.join()


async def send(port: int, lines: list[bytes], rate: float, probe: Probe) -> tuple[int, float]:
    """All lines in batches at a fixed rate; how many answers were no 202, and the rate held."""
    decode = msgspec.json.Decoder(Sent).decode
    batches = enumerate(lines[i : i + BATCH] for i in range(0, len(lines), BATCH))
    refused = 0
    begin = time.perf_counter() + 0.2

    async def sender() -> None:
        nonlocal refused
        connection = Connection(HOST, port)
        await connection.open()
        for number, batch in batches:
            due = begin + number * BATCH / rate
            key = probe.completed([decode(line) for line in batch])
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            status, body = await connection.request(
                "POST", "/api/v1/events/ingest/batch", b"".join(batch), "application/x-ndjson"
            )
            refused += status != 202
            if status == 202 and key is not None:
                probe.ask(key, due, receipt(body).position)
        connection.close()

    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return refused, len(lines) / (time.perf_counter() - begin)


def quantile(ordered: list[float], share: float) -> float:
    return ordered[int(len(ordered) * share)] if ordered else float("inf")


async def declare(port: int) -> None:
    connection = Connection(HOST, port)
    await connection.open()
    contract = (HERE.parent / "stream/order-match.yaml").read_bytes()
    status, body = await connection.request(
        "POST", "/api/v1/contracts", contract, "application/yaml"
    )
    if status not in (200, 201, 202):
        raise RuntimeError(f"the contract was refused: {status} {body!r}")
    connection.close()


async def sustained(port: int, rate: float, seconds: float) -> list[tuple[str, ...]]:
    """Batches at a fixed rate, with the contract declared."""
    folder = workload.prepare(max(10_000, int(rate * seconds / 2.98)))
    with (folder / "all.jsonl").open("rb") as source:
        lines = list(itertools.islice(source, int(rate * seconds)))
    await declare(port)
    probe = Probe()
    probing = [asyncio.create_task(probe.work(port)) for _ in range(PROBES)]
    refused, held = await send(port, lines, rate, probe)
    await asyncio.wait_for(probe.settled(), SETTLE_S)
    for task in probing:
        task.cancel()
    taken = sorted(probe.taken)
    p50, p95, p99 = (quantile(taken, share) for share in (0.5, 0.95, 0.99))
    print(
        f"{len(lines):,} events at {held:,.0f}/s; in to verdict of {len(taken):,} keys: "
        f"p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms"
    )
    return [
        measure.verdict("events/s held", held, 0.99 * rate),
        measure.verdict("in to verdict, p95 ms", p95, 500, at_most=True),
        measure.verdict("batches refused", refused, 0, at_most=True),
        measure.verdict("complete keys without a verdict", probe.undecided, 0, at_most=True),
    ]


async def measured(
    options: argparse.Namespace, port: int, empty_port: int
) -> list[tuple[str, ...]]:
    rate, seconds, rounds = (2_000, 3.0, 1) if options.quick else (options.rate, options.seconds, 5)
    rows = await sustained(port, rate, seconds) if not options.no_verdicts else []
    rows.append(await singles(port, empty_port, rounds, min(3.0, seconds)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short run at a low rate")
    parser.add_argument("--rate", type=float, default=10_000.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--database-url", help="default: SQLite")
    parser.add_argument("--no-verdicts", action="store_true", help="single posts only")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    options = parser.parse_args()
    port, empty_port = free_port(), free_port()
    helios = Path(sys.executable).with_name("helios")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        flush = measure.flush_rate(Path(folder))
        print(f"{measure.machine()}; {flush.per_s:,.0f} flushes/s\n")
        serve: list[str | Path] = [helios, "serve", "--port", str(port), "--data-dir", folder]
        if options.database_url:
            serve += ["--database-url", options.database_url]
        with (
            process(serve, port),
            process([sys.executable, HERE / "empty.py", str(empty_port)], empty_port),
        ):
            rows = uvloop.run(measured(options, port, empty_port))
    print("\n" + measure.table(("figure", "measured", "must", ""), rows))
    sys.exit(any(row[-1] == "MISSED" for row in rows) and not options.quick)


if __name__ == "__main__":
    main()
