"""How a store is measured: short slices, asked for one at a time, so that contenders take turns.

A contender is a process that stays. It reads `<callers> <seconds>` lines, lets so many callers
append one event after another for so long, each waiting until its own is durable, and answers
with one JSON line. Every caller writes streams of its own, ten events each, as real aggregates do.
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

STREAM_EVENTS = 10
PAYLOAD = {
    "orderId": "ORD-00000000",
    "customerId": "CUST-123456",
    "currency": "USD",
    "items": [{"productId": f"SKU-{n:05d}", "price": 199.99, "qty": 2} for n in range(4)],
    "note": "gift wrap please",
}
PAYLOAD_BYTES = json.dumps(PAYLOAD, separators=(",", ":")).encode()

SyncAppend = Callable[[], None]
AsyncAppend = Callable[[], Awaitable[None]]


def _report(taken: list[float], seconds: float) -> None:
    taken.sort()

    def quantile(share: float) -> float:
        return taken[min(len(taken) - 1, int(len(taken) * share))] * 1000 if taken else 0.0

    row = {
        "appends": len(taken),
        "seconds": seconds,
        "p50_ms": quantile(0.5),
        "p99_ms": quantile(0.99),
    }
    print(json.dumps(row), flush=True)


def _orders() -> Iterator[tuple[int, float]]:
    print("ready", flush=True)
    for line in sys.stdin:
        callers, seconds = line.split()
        yield int(callers), float(seconds)


def _loop(append: SyncAppend, end: float, taken: list[float]) -> None:
    while (begin := time.perf_counter()) < end:
        append()
        taken.append(time.perf_counter() - begin)


def serve_threads(make: Callable[[], SyncAppend]) -> None:
    """Serve slices with a thread per caller; `make` builds one caller's append."""
    callers: list[SyncAppend] = []
    for count, seconds in _orders():
        callers += [make() for _ in range(count - len(callers))]
        taken: list[list[float]] = [[] for _ in range(count)]
        begin = time.perf_counter()
        threads = [
            threading.Thread(target=_loop, args=(append, begin + seconds, mine))
            for append, mine in zip(callers, taken, strict=False)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _report([t for mine in taken for t in mine], time.perf_counter() - begin)


async def _loop_async(append: AsyncAppend, end: float, taken: list[float]) -> None:
    while (begin := time.perf_counter()) < end:
        await append()
        taken.append(time.perf_counter() - begin)


async def serve_tasks(make: Callable[[], AsyncAppend]) -> None:
    """Serve slices with a task per caller."""
    callers: list[AsyncAppend] = []
    for count, seconds in _orders():
        callers += [make() for _ in range(count - len(callers))]
        taken: list[float] = []
        begin = time.perf_counter()
        await asyncio.gather(
            *(_loop_async(append, begin + seconds, taken) for append in callers[:count])
        )
        _report(taken, time.perf_counter() - begin)
