"""Bursts of changes and the builds they cost; what reading the content cache costs.

    python benchmarks/builds.py            3 rounds of each burst, 10,000 contents
    python benchmarks/builds.py --quick    1 round, 1,000 contents

A burst is 100 webhooks of a CMS, one after the other as fast as they are answered, which change
ten entries ten times each. It comes once while nothing is built and once while a build is under
way. Counted are the builds that begin after it; the site that is published in the end must show
the last change of every entry. The program that builds reads the content over the API and takes a
second, as if it were a generator.

A site build that asks whether anything changed sends the ETag it has. That must cost little
however much is cached: it is compared with the page that it spares, as CPU of the server, in turns.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import ingest_kit as kit  # noqa: E402
import measure  # noqa: E402

CHANGES, ENTRIES, BUILDS_MAX = 100, 10, 2
CONTENTS, CONTENTS_QUICK = 10_000, 1_000
DOOR = "/webhook/cms"
TOKEN = "Bearer of the CMS"
AUTHORISED = f"authorization: {TOKEN}\r\n"
QUIET_S, WAIT_S = 0.5, 60
PAGE = "/api/v1/content?source=cms&limit=1000"
SOURCE = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: cms}
spec:
  provider: strapi
  secrets: [env:CMS_TOKEN]
  rate: {per_s: 1000000, burst: 1000000}
"""
SITE = f"""\
apiVersion: helios.io/v1
kind: Site
metadata: {{name: blog}}
spec:
  content: {{sources: [cms], types: [article]}}
  quiet: {round(QUIET_S * 1000)}ms
  max_delay: 10s
  timeout: 60s
  build: {{type: command, command: [{sys.executable}, build.py], workdir: blog}}
  publish: {{output: _site, folder: www}}
"""
BUILD = """\
import json, os, pathlib, time, urllib.request
page = json.load(urllib.request.urlopen(os.environ["HELIOS_CONTENT_URL"]))
time.sleep(1)
out = pathlib.Path("_site")
out.mkdir(exist_ok=True)
(out / "index.json").write_text(json.dumps({i["id"]: i["title"] for i in page["items"]}))
"""


class Cms:
    """Tells of changes; each is later than the one before."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def publish(self, entry: str, title: str, kind: str = "article") -> tuple[bytes, str]:
        """Body and headers of the webhook."""
        number = next(self._count)
        minute, ms = divmod(number, 60_000)
        at = f"2026-01-01T{minute // 60:02}:{minute % 60:02}:{ms // 1000:02}.{ms % 1000:03}Z"
        row = {
            "id": number, "documentId": entry, "title": title, "slug": entry, "body": "word " * 60,
            "createdAt": at, "updatedAt": at, "publishedAt": at,
        }  # fmt: skip
        told = {"event": "entry.publish", "createdAt": at, "model": kind, "entry": row}
        return json.dumps(told).encode(), AUTHORISED


async def until_quiet(server: kit.Server) -> list[dict[str, Any]]:
    """The builds so far, newest first, once nothing is built or waits to be."""
    calm_since = time.perf_counter()
    for _ in range(int(WAIT_S / 0.05)):
        site = await kit.get(server, "/api/v1/sites/blog")
        if site["running"] is not None or site["waiting"]:
            calm_since = time.perf_counter()
        elif time.perf_counter() - calm_since > 3 * QUIET_S:
            found: list[dict[str, Any]] = (await kit.get(server, "/api/v1/builds"))["builds"]
            return found
        await asyncio.sleep(0.05)
    raise RuntimeError(f"builds do not end within {WAIT_S} s")


async def burst(
    server: kit.Server, cms: Cms, root: Path, number: int, *, busy: bool
) -> tuple[int, bool, float]:
    """Builds that it cost, whether the last changes are shown, and seconds until they were."""
    if busy:
        await kit.ask(server, "POST", "/api/v1/sites/blog/build")
        await building(server)
    begun = {build["id"] for build in (await kit.get(server, "/api/v1/builds"))["builds"]}
    wanted = {f"entry{n}": f"{number}.{CHANGES - ENTRIES + n}" for n in range(ENTRIES)}
    changes = (cms.publish(f"entry{n % ENTRIES}", f"{number}.{n}") for n in range(CHANGES))
    await kit.posted(server, DOOR, changes, connections=1)
    told = time.perf_counter()
    shown = await published(root, wanted)
    seconds = time.perf_counter() - told
    after = await until_quiet(server)
    return len({build["id"] for build in after} - begun), shown, seconds


async def building(server: kit.Server) -> None:
    """Return when a build is under way."""
    for _ in range(int(WAIT_S / 0.02)):
        if (await kit.get(server, "/api/v1/sites/blog"))["running"] is not None:
            return
        await asyncio.sleep(0.02)
    raise RuntimeError(f"no build begins within {WAIT_S} s")


async def published(root: Path, wanted: dict[str, str]) -> bool:
    """Whether the site comes to show this."""
    for _ in range(int(WAIT_S / 0.02)):
        if json.loads((root / "www/index.json").read_text()) == wanted:
            return True
        await asyncio.sleep(0.02)
    return False


async def bursts(server: kit.Server, cms: Cms, root: Path, rounds: int) -> list[tuple[str, ...]]:
    await kit.declare(server, SOURCE)
    await kit.declare(server, SITE, "/api/v1/sites")
    await until_quiet(server)
    rows: list[tuple[str, ...]] = []
    shown = 0
    for name, busy in (("while nothing is built", False), ("while a build runs", True)):
        found = [
            await burst(server, cms, root, n + rounds * busy, busy=busy) for n in range(rounds)
        ]
        shown += sum(last for _, last, _ in found)
        counts = [builds for builds, _, _ in found]
        seconds = statistics.median(taken for _, _, taken in found)
        print(f"100 changes {name}: builds {counts}, published {seconds:.1f} s later", flush=True)
        most = max(counts)
        rows.append(measure.verdict(f"builds for a burst {name}", most, BUILDS_MAX, at_most=True))
    missed = 2 * rounds - shown
    rows.append(measure.verdict("bursts whose last change is not shown", missed, 0, at_most=True))
    return rows


def tagged(server: kit.Server) -> tuple[str, int]:
    """The ETag of the first page, and how many bytes it has."""
    with urllib.request.urlopen(server.url + PAGE, timeout=30) as answer:
        return answer.headers["etag"], len(answer.read())


async def asked(server: kit.Server, count: int, status: int, headers: str) -> tuple[float, float]:
    """CPU of the server and time until the answer, of one request, in milliseconds."""
    taken = []
    cpu = server.cpu_s()
    async with kit.connected(server) as connection:
        for _ in range(count):
            begin = time.perf_counter()
            got, _ = await connection.request("GET", PAGE, headers=headers)
            taken.append(time.perf_counter() - begin)
            if got != status:
                raise RuntimeError(f"answered {got} instead of {status}")
    return (server.cpu_s() - cpu) * 1000 / count, statistics.median(taken) * 1000


def contents(cms: Cms, count: int) -> Iterator[tuple[bytes, str]]:
    return (cms.publish(f"product{n}", f"Product {n}", "product") for n in range(count))


async def cached(server: kit.Server, cms: Cms, count: int, rounds: int) -> list[tuple[str, ...]]:
    """What a page costs, and what it costs to say that it still stands."""
    done, seconds = await kit.posted(server, DOOR, contents(cms, count))
    await kit.caught_up(server)
    tag, size = await asyncio.to_thread(tagged, server)
    pages, stands = [], []
    for _ in range(rounds):
        pages.append(await asked(server, 30, 200, ""))
        stands.append(await asked(server, 300, 304, f"if-none-match: {tag}\r\n"))
    rows = [
        (name, measure.number(statistics.median(cpu for cpu, _ in found)),
         measure.number(statistics.median(wall for _, wall in found)))
        for name, found in (
            (f"a page of 1,000, {size:,} bytes", pages), ("the same, If-None-Match: 304", stands),
        )
    ]  # fmt: skip
    print(f"{done:,} contents came at {done / seconds:,.0f}/s\n")
    print(measure.table((f"of {count:,} contents", "CPU ms", "ms"), rows), flush=True)
    pairs = zip(stands, pages, strict=True)
    ratio = statistics.median(short / long for (short, _), (long, _) in pairs)
    return [("CPU of a 304 / of its page", measure.number(ratio), "", "shown")]


async def measured(server: kit.Server, root: Path, options: argparse.Namespace) -> list[
    tuple[str, ...]
]:  # fmt: skip
    cms = Cms()
    rounds, count = (1, CONTENTS_QUICK) if options.quick else (options.rounds, CONTENTS)
    rows = await bursts(server, cms, root, rounds)
    return rows + await cached(server, cms, count, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, few contents")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        root = Path(name) / "sites"
        (root / "blog").mkdir(parents=True)
        (root / "blog/build.py").write_text(BUILD)
        flush = measure.flush_rate(root)
        print(f"{measure.machine()}; {flush.per_s:,.0f} flushes/s\n", flush=True)
        server = kit.Server(
            Path(name) / "data", "--builds-root", root, env={"CMS_TOKEN": TOKEN}
        )  # fmt: skip
        with server.running():
            rows = kit.run(measured(server, root, options))
    kit.leave(rows, counts=3, quick=options.quick)


if __name__ == "__main__":
    main()
