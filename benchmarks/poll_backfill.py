"""Back-fill: a CMS is polled for the first time, and all that it holds comes in.

    python benchmarks/poll_backfill.py            10,000 entries, 3 rounds
    python benchmarks/poll_backfill.py --quick    1,000 entries, 1 round

The CMS is an HTTP server in a process of its own that answers as Strapi 5 lists entries: pages of
100 rows by (updatedAt, id), each after the last row of the one before. Measured is from declaring
the source until the content cache shows every entry; beside it, in the same round, how long it
takes to read the same pages and do nothing with them, which no poller can be faster than.
"""

import argparse
import asyncio
import json
import re
import statistics
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

import httpx
import uvloop

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import ingest_kit as kit  # noqa: E402
import measure  # noqa: E402

ENTRIES, ENTRIES_QUICK, PAGE = 10_000, 1_000, 100
WAIT_S = 300
LATER = re.compile(r"\[\$and\]\[1\]\[id\]\[\$gt\]$")


def row(number: int) -> dict[str, object]:
    """An entry as the content API lists it."""
    seconds, ms = divmod(number, 1_000)
    at = f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}.{ms:03}Z"
    return {
        "id": number, "documentId": f"document{number:06d}", "title": f"Entry {number}",
        "slug": f"entry-{number}", "body": "word " * 60, "createdAt": at, "updatedAt": at,
        "publishedAt": at, "locale": "en",
    }  # fmt: skip


async def cms(port: int, count: int) -> None:
    """Answer as Strapi does, as far as polling asks."""
    from helios.api import asgi, server, web

    rows = [json.dumps(row(number)) for number in range(1, count + 1)]

    async def articles(request: web.Request) -> web.Response:
        pairs = urllib.parse.parse_qsl(request.scope["query_string"].decode())
        after = next((int(value) for name, value in pairs if LATER.search(name)), 0)
        page = ",".join(rows[after : after + PAGE])
        return web.Response(body=f'{{"data":[{page}],"meta":{{"pagination":{{}}}}}}'.encode())

    route = web.Route(
        method="GET", path="/api/articles", handler=articles, summary="", tag="", replies={}
    )
    listener = server.bind(kit.HOST, port)
    await server.serve(server.make(asgi.Application([route]), drain_s=1), listener)


async def reading(url: str) -> tuple[int, float]:
    """Read all pages and nothing else: how many rows, and seconds."""
    begin, count, last = time.perf_counter(), 0, 0
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        while True:
            params = {"filters[$and][1][$or][1][$and][1][id][$gt]": last}
            rows = (await http.get("/api/articles", params=params)).json()["data"]
            if not rows:
                return count, time.perf_counter() - begin
            count, last = count + len(rows), rows[-1]["id"]


def declared(url: str) -> str:
    return f"""\
apiVersion: helios.io/v1
kind: Source
metadata: {{name: cms}}
spec:
  provider: strapi
  credentials: {{token: "env:CMS_TOKEN"}}
  options: {{base_url: "{url}", content_types: {{article: articles}}, drafts: false}}
  rate: {{per_s: 1000000, burst: 1000000}}
  poll: {{every: 1h, overlap: 1m, compare_every: 24h}}
"""


async def filled(server: kit.Server, url: str, count: int) -> tuple[float, float]:
    """Seconds until the cache shows every entry, and CPU of the server."""
    begin, cpu = time.perf_counter(), server.cpu_s()
    await kit.declare(server, declared(url))
    wanted = f"/api/v1/content/cms/article/document{count:06d}"
    while (await kit.ask(server, "GET", wanted))[0] != 200:
        if time.perf_counter() - begin > WAIT_S:
            raise RuntimeError(f"not filled after {WAIT_S} s: {server.log.read_text()[-1000:]}")
        await asyncio.sleep(0.02)
    return time.perf_counter() - begin, server.cpu_s() - cpu


def one_round(folder: Path, url: str, count: int) -> tuple[float, float, float, int, int]:
    """Entries a second, CPU us of each, ratio to reading alone, how many are missing or twice."""
    read, read_s = kit.run(reading(url))
    assert read == count, read
    host = url.removeprefix("http://")
    server = kit.Server(folder / "data", "--outbound-allow", host, env={"CMS_TOKEN": "any"})
    with server.running():
        seconds, cpu = kit.run(filled(server, url, count))
        found = kit.run(kit.kept(server, "cms"))
    lost, doubled = count - len(set(found)), len(found) - len(set(found))
    return count / seconds, cpu / count * 1e6, read_s / seconds, lost, doubled


def main() -> None:
    if sys.argv[1:2] == ["cms"]:
        uvloop.run(cms(int(sys.argv[2]), int(sys.argv[3])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few entries, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    options = parser.parse_args()
    rounds, count = (1, ENTRIES_QUICK) if options.quick else (options.rounds, ENTRIES)
    port = kit.live.free_port()
    command = [sys.executable, __file__, "cms", str(port), str(count)]
    with tempfile.TemporaryDirectory(dir=options.folder) as name, kit.live.process(command, port):
        flush = measure.flush_rate(Path(name))
        print(f"{measure.machine()}; {flush.per_s:,.0f} flushes/s\n", flush=True)
        found = []
        for number in range(rounds):
            folder = Path(name) / f"{number}"
            folder.mkdir()
            found.append(one_round(folder, f"http://{kit.HOST}:{port}", count))
    rates, cpus, ratios, lost, doubled = zip(*found, strict=True)
    kit.leave(
        [
            measure.verdict("entries lost", max(lost), 0, at_most=True),
            measure.verdict("entries twice", max(doubled), 0, at_most=True),
            ("entries/s of the back-fill", measure.number(statistics.median(rates)), "", "shown"),
            ("CPU us of an entry", measure.number(statistics.median(cpus)), "", "shown"),
            ("against reading the pages alone", measure.number(statistics.median(ratios)), "",
             "shown"),
        ],
        counts=2,
        quick=options.quick,
    )  # fmt: skip


if __name__ == "__main__":
    main()
