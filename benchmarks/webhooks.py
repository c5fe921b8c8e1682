"""Signed webhooks, durable before the answer, against one commit per request.

    python benchmarks/webhooks.py             rounds of 10 s in turns
    python benchmarks/webhooks.py --quick     one short round
    python benchmarks/webhooks.py --folder /mnt/disk

Standard Webhooks posts of about 730 bytes on 64 connections, one in flight on each: to
`helios serve` with a declared source, and to the same HTTP server with the handler that one would
write first: verify, parse, insert with a unique key, commit with a flush, answer. Each post has an
id of its own; in the end all that was acknowledged must be in the log once, and 10,000 posts of one
id must be one event. Server and sender share the machine.

What a commit per request costs is the disk's flush, and local disks of some machines flush in a
fifth of a millisecond, which no disk over a network does. So the comparison is made twice: on the
disk as it is, and with each flush of both servers made longer by 2.5 ms (`--flush-ms`), for which
the figure holds.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "live"))

import measure  # noqa: E402
import run as live  # noqa: E402
from client import Connection  # noqa: E402

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
CONNECTIONS = 64
COPIES = 10_000
KEPT: list[object] = []
"""What must outlive the function that made it."""

SOURCE = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: shop}
spec:
  provider: standard-webhooks
  secrets: [secret:shop]
  rate: {per_s: 1000000, burst: 1000000}
"""
BODY = json.dumps(
    {
        "type": "order.placed",
        "timestamp": "2026-01-01T00:00:00Z",
        "data": {
            "orderId": "ORD-00000001",
            "customer": {"id": "CUST-004711", "email": "somebody@example.com", "city": "Bern"},
            "currency": "EUR",
            "total": "1299.95",
            "lines": [
                {"sku": f"SKU-{n:05d}", "title": f"Thing number {n}", "price": "99.99", "qty": n}
                for n in range(7)
            ],
        },
    }
).encode()


def signed(event_id: str, body: bytes = BODY) -> str:
    """The headers of a post of this id."""
    stamp = str(int(time.time()))
    message = b".".join((event_id.encode(), stamp.encode(), body))
    signature = base64.b64encode(hmac.digest(KEY, message, hashlib.sha256)).decode()
    return (
        f"webhook-id: {event_id}\r\nwebhook-timestamp: {stamp}\r\n"
        f"webhook-signature: v1,{signature}\r\n"
    )


def slower(flush_ms: float) -> None:
    """Have each flush of this process take longer, as on another disk."""
    import apsw

    class File(apsw.VFSFile):
        def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
            super().__init__("unix", name, flags)

        def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
            super().xSync(flags)
            time.sleep(flush_ms / 1000)

    class Disk(apsw.VFS):
        def __init__(self) -> None:
            super().__init__("slower", "unix", makedefault=True)

        def xOpen(self, name: Any, flags: list[int]) -> File:  # noqa: N802 - SQLite's name
            return File(name, flags)

    if flush_ms:
        KEPT.append(Disk())


async def naive(port: int, folder: Path) -> None:
    """The handler that one would write first, on our HTTP server."""
    import apsw

    from helios.api import asgi, server, web

    db = apsw.Connection(str(folder / "naive.sqlite"))
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE events (source TEXT, id TEXT, body BLOB, UNIQUE (source, id))")

    async def handler(request: web.Request) -> web.Response:
        body = await request.body()
        event_id = request.header(b"webhook-id") or ""
        stamp = request.header(b"webhook-timestamp") or ""
        given = (request.header(b"webhook-signature") or "").removeprefix("v1,")
        message = b".".join((event_id.encode(), stamp.encode(), body))
        made = base64.b64encode(hmac.digest(KEY, message, hashlib.sha256)).decode()
        if not hmac.compare_digest(made, given) or abs(time.time() - int(stamp)) > 300:
            return web.Response(status=401)
        json.loads(body)
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT OR IGNORE INTO events VALUES ('shop', ?, ?)", (event_id, body))
        db.execute("COMMIT")
        return web.Response(status=202, body=b"{}")

    route = web.Route(
        method="POST", path="/webhook/shop", handler=handler, summary="", tag="", replies={}
    )
    listener = server.bind(live.HOST, port)
    await server.serve(server.make(asgi.Application([route]), drain_s=1), listener)


async def hammer(
    port: int, ids: "itertools.count[int]", seconds: float
) -> tuple[float, list[float]]:
    """Posts a second, and how long each took in milliseconds."""
    connections = [Connection(live.HOST, port) for _ in range(CONNECTIONS)]
    await asyncio.gather(*(c.open() for c in connections))
    taken: list[float] = []
    begin = time.perf_counter()

    async def sender(connection: Connection) -> None:
        while (sent := time.perf_counter()) < begin + seconds:
            headers = signed(f"msg_{next(ids):012d}")
            status, body = await connection.request("POST", "/webhook/shop", BODY, headers=headers)
            if status != 202:
                raise RuntimeError(f"answered {status}: {body[:300]!r}")
            taken.append((time.perf_counter() - sent) * 1000)

    await asyncio.gather(*(sender(c) for c in connections))
    rate = len(taken) / (time.perf_counter() - begin)
    for connection in connections:
        connection.close()
    return rate, sorted(taken)


async def copies(port: int) -> None:
    """One id, many times."""
    headers = signed("copy")
    left = iter(range(COPIES))

    async def sender() -> None:
        connection = Connection(live.HOST, port)
        await connection.open()
        for _ in left:
            status, _ = await connection.request("POST", "/webhook/shop", BODY, headers=headers)
            if status != 202:
                raise RuntimeError(f"a copy was answered {status}")
        connection.close()

    await asyncio.gather(*(sender() for _ in range(CONNECTIONS)))


async def events(port: int) -> list[str]:
    """Ids of what is in the log."""
    connection = Connection(live.HOST, port)
    await connection.open()
    found: list[str] = []
    cursor = ""
    while True:
        path = f"/api/v1/events?source=shop&limit=1000{cursor}"
        _, body = await connection.request("GET", path)
        page: dict[str, Any] = json.loads(body)
        found += [event["event_id"] for event in page["events"]]
        cursor = f"&cursor={page['next_cursor']}"
        if page["caught_up"]:
            connection.close()
            return found


async def measured(
    rounds: int, seconds: float, port: int, naive_port: int, flush_ms: float
) -> list[tuple[str, ...]]:
    ids = itertools.count()
    rates, ratios, slow, sent = [], [], [], 0
    for _ in range(rounds):
        plain, plain_taken = await hammer(naive_port, itertools.count(sent), seconds)
        rate, taken = await hammer(port, ids, seconds)
        sent += len(taken)
        rates.append(rate)
        ratios.append(rate / plain)
        slow.append(live.quantile(taken, 0.99))
        print(
            f"{rate:,.0f}/s, p50 {live.quantile(taken, 0.5):.1f} ms, p99 {slow[-1]:.1f} ms; one "
            f"commit per request {plain:,.0f}/s, p99 {live.quantile(plain_taken, 0.99):.1f} ms",
            file=sys.stderr,
        )
    await copies(port)
    kept = await events(port)
    lost, doubled = sent + 1 - len(set(kept)), len(kept) - len(set(kept))
    rate, p99, ratio = map(statistics.median, (rates, slow, ratios))
    kept_right = [
        measure.verdict("acknowledged and lost", lost, 0, at_most=True),
        measure.verdict(f"events twice, after {COPIES:,} copies", doubled, 0, at_most=True),
    ]
    if flush_ms:
        name = f"against one commit per request, flushes {flush_ms:g} ms longer"
        return [measure.verdict(name, ratio, 8), *kept_right]
    return [
        measure.verdict("signed webhooks/s, 64 connections", rate, 1_500),
        measure.verdict("p99 ms", p99, 100, at_most=True),
        ("against one commit per request, disk as it is", measure.number(ratio), "", "shown"),
        *kept_right,
    ]


def declare(helios: Path, folder: Path) -> None:
    """Keep the secret and declare the source in a fresh folder, by a server that ends again."""
    where = ["--data-dir", str(folder)]
    port = live.free_port()
    source = folder / "source.yaml"
    source.write_text(SOURCE)
    with live.process([helios, "serve", "--port", str(port), *where], port):
        for arguments, given in (
            (["secrets", "set", "shop", "--from-stdin"], SECRET + "\n"),
            (["sources", "apply", str(source)], ""),
        ):
            subprocess.run(
                [helios, *arguments, *where], input=given, text=True, check=True,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip


def compare(options: argparse.Namespace, flush_ms: float) -> list[tuple[str, ...]]:
    """Both servers in turns, over a fresh folder."""
    rounds, seconds = (1, 2.0) if options.quick else (options.rounds, options.seconds)
    port, naive_port = live.free_port(), live.free_port()
    helios = Path(sys.executable).with_name("helios")
    mine = [sys.executable, __file__, f"{flush_ms:g}"]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        declare(helios, folder)
        flush = measure.flush_rate(folder)
        print(f"{measure.machine()}; {flush.per_s:,.0f} flushes/s, {flush_ms:g} ms longer")
        where = ["--port", str(port), "--data-dir", name, "--log-level", "warning"]
        with (
            live.process([*mine, "helios", "serve", *where], port),
            live.process([*mine, "naive", str(naive_port), name], naive_port),
        ):
            return uvloop.run(measured(rounds, seconds, port, naive_port, flush_ms))


def serve(flush_ms: str, what: str, *arguments: str) -> None:
    """One of the two servers, in a process of its own."""
    slower(float(flush_ms))
    if what == "naive":
        uvloop.run(naive(int(arguments[0]), Path(arguments[1])))
    else:
        from helios import cli

        cli.main(list(arguments))


def main() -> None:
    if sys.argv[2:3] and sys.argv[2] in ("naive", "helios"):
        serve(*sys.argv[1:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--flush-ms", type=float, default=2.5)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    options = parser.parse_args()
    rows = [*compare(options, 0), *compare(options, options.flush_ms)]
    print("\n" + measure.table(("figure", "measured", "must", ""), rows))
    sys.exit(any(row[-1] == "MISSED" for row in rows) and not options.quick)


if __name__ == "__main__":
    main()
