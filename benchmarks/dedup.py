"""Deliveries that come many times: each is one event, and what a copy costs.

    python benchmarks/dedup.py             every vector; 3 rounds of 5 s; 10,000 copies
    python benchmarks/dedup.py --quick     a few vectors, one short round

The vectors are deliveries as real senders signed them, with the time at which they were; they lie
beside the repository (HELIOS_SHARED names another place). Those that are to be accepted are posted
to the doors of real servers, 50 times in parallel and twice more. So that a signature of years ago
is of today, a server is told the time that its vectors name; and the certificates, keys and answers
that verification looks up are those of the vector instead of the sender's. Nothing else is changed.

A copy costs more than a refusal and should not cost much more than a new event, since a sender that
repeats itself does so when we are slow. Copies and new events are posted in turns, on 64
connections with one in flight on each.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import ingest_kit as kit  # noqa: E402
import measure  # noqa: E402

from helios.eventlog import envelope  # noqa: E402
from helios.ingest import captured, explain  # noqa: E402
from helios.kernel import clock as clocks  # noqa: E402
from helios.kernel import outbound  # noqa: E402

SHARED = Path(os.environ.get("HELIOS_SHARED", measure.ROOT.parent / "shared"))
AT_ONCE, COPIES = 50, 10_000
QUICK_VECTORS = 6
NEEDED = {"snipcart": {"api_key": "asks-with-it"}}
"""Credentials that a declaration must have, and that the vectors of a provider do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """A delivery to be accepted, and what its source is.

    Attributes:
        accepted: the status of its sender's policy.
        events: how many are in it.
    """

    name: str
    setting: captured.Setting
    accepted: int
    events: int

    @property
    def source(self) -> str:
        """The name of its source."""
        return self.setting.provider.name

    @property
    def path(self) -> str:
        """Where it is posted to; where it was posted to, if that names its source: some sign it."""
        path, _, query = self.setting.delivery.path.partition("?")
        door, tenant = f"/webhook/{self.source}", self.setting.source.tenant
        if path != door and not path.startswith(f"{door}/"):
            path = door
        if tenant != envelope.DEFAULT_TENANT and path == door:
            path = f"{door}/{urllib.parse.quote(tenant, safe='')}"
        return f"{path}?{query}" if query else path

    def secrets(self) -> dict[str, str]:
        """The environment that holds them."""
        source = self.setting.source
        found = {f"{n}": each.reveal().decode() for n, each in enumerate(source.secrets)}
        found |= {name: each.reveal().decode() for name, each in source.credentials.items()}
        found |= NEEDED.get(source.provider, {})
        return {f"{self._prefix}_{name}": value for name, value in found.items()}

    def declared(self) -> str:
        """Its source; YAML takes JSON."""
        source, setting = self.setting.source, self.setting
        count = range(len(source.secrets))
        needed = [*source.credentials, *NEEDED.get(source.provider, {})]
        spec = {
            "provider": setting.provider.name,
            "options": options(source.options),
            "secrets": [f"env:{self._prefix}_{n}" for n in count],
            "credentials": {name: f"env:{self._prefix}_{name}" for name in needed},
            "body_bytes_max": setting.body_bytes_max,
            "content_encoding": setting.content_encoding,
        }
        meta = {"name": self.source, "client_id": source.tenant}
        whole = {"apiVersion": "helios.io/v1", "kind": "Source", "metadata": meta, "spec": spec}
        return json.dumps(whole)

    @property
    def _prefix(self) -> str:
        return self.name.replace("-", "_").upper()


def options(given: Any) -> dict[str, Any]:
    """What differs from the defaults, as a declaration has it."""
    defaults = type(given)()
    return {
        field.name: msgspec.to_builtins(value)
        for field in msgspec.structs.fields(given)
        if (value := getattr(given, field.name)) != getattr(defaults, field.name)
    }


def vectors() -> list[Vector]:
    """Those that are to be accepted."""
    found = []
    for file in sorted((SHARED / "vectors").glob("*/*.json")):
        if file.parent.name == "schema-compat":
            continue
        read = captured.read(file.read_bytes(), file=file.name)
        told = explain.explain(read, clocks.SystemClock().now(), file=file.name)
        if told.outcome == "accept":
            setting = captured.setting(read, file=file.name)
            found.append(
                Vector(
                    name=file.stem,
                    setting=setting,
                    accepted=setting.provider.answers.stored,
                    events=len(told.events),
                )
            )
    return found


def serve(world: str, *arguments: str) -> None:
    """The server, at the time and with the documents that a file names."""
    from helios import cli
    from helios.drivers.outbound import client

    told = json.loads(Path(world).read_text())
    documents: Mapping[str, Any] = told["documents"]

    async def send(_: client.Client, call: outbound.Call) -> outbound.Answer:
        if call.url not in documents:
            raise outbound.OutboundError("not of the vector", reason="forbidden_host")
        status, body = documents[call.url]
        return outbound.Answer(status=status, headers={}, body=body.encode())

    async def permit(_: client.Client, url: str) -> None:
        """Every address is public here."""

    client.Client.send = send  # type: ignore[method-assign]
    client.Client.permit = permit  # type: ignore[method-assign]
    if told["now"] is not None:
        ahead = told["now"] - clocks.SystemClock().now()

        def now(_: clocks.SystemClock) -> clocks.Timestamp:
            return clocks.Timestamp(time.time_ns() // 1000 + ahead)

        clocks.SystemClock.now = now  # type: ignore[method-assign]
    cli.main(list(arguments))


@contextlib.contextmanager
def served(folder: Path, group: Sequence[Vector]) -> Iterator[kit.Server]:
    """A server of the time of these vectors, with their secrets and documents."""
    documents: dict[str, tuple[int, str]] = {}
    env: dict[str, str] = {}
    for each in group:
        env |= each.secrets()
        for url, document in each.setting.documents.items():
            documents[url] = document.status, document.body.decode()
    folder.mkdir()
    world = folder / "world.json"
    world.write_text(json.dumps({"now": group[0].setting.now, "documents": documents}))
    program = [sys.executable, __file__, "serve", world]
    with kit.Server(folder / "data", program=program, env=env).running() as server:
        yield server


async def posted(server: kit.Server, vector: Vector) -> list[str]:
    """Post it 50 times in parallel, then twice; what is wrong with the answers and the log."""
    delivery = vector.setting.delivery
    ours = ("host", "content-length", "connection", "transfer-encoding", "content-type")
    kind = next((v for n, v in delivery.headers if n.lower() == "content-type"), "text/plain")
    headers = "".join(f"{n}: {v}\r\n" for n, v in delivery.headers if n.lower() not in ours)

    async def once() -> int:
        async with kit.connected(server) as connection:
            status, _ = await connection.request(
                "POST", vector.path, delivery.body, kind, headers
            )  # fmt: skip
        return status

    statuses = await asyncio.gather(*(once() for _ in range(AT_ONCE)))
    statuses += [await once(), await once()]
    wrong = [f"{vector.name}: answered {status}" for status in set(statuses) - {vector.accepted}]
    kept = await kit.kept(server, vector.source)
    if len(kept) != vector.events:
        wrong.append(f"{vector.name}: {len(kept)} events instead of {vector.events}")
    return wrong


async def group_posted(server: kit.Server, group: Sequence[Vector]) -> list[str]:
    await kit.declare(server, "\n---\n".join(vector.declared() for vector in group))
    return [wrong for vector in group for wrong in await posted(server, vector)]


def all_vectors(folder: Path, *, quick: bool) -> list[tuple[str, ...]]:
    """Every vector, a server for each time that they name; two of one source have one each."""
    found = vectors()[: QUICK_VECTORS if quick else None]
    if not found and not os.environ.get("CI"):
        print(f"no vectors in {SHARED}: HELIOS_SHARED names the folder that they are in")
        return []
    groups: dict[tuple[int | None, int], list[Vector]] = defaultdict(list)
    seen: Counter[tuple[int | None, str]] = Counter()
    for vector in found:
        now = vector.setting.now
        groups[now, seen[now, vector.source]].append(vector)
        seen[now, vector.source] += 1
    wrong = []
    for number, group in enumerate(groups.values()):
        with served(folder / f"{number}", group) as server:
            wrong += kit.run(group_posted(server, group))
    for line in wrong:
        print(line, flush=True)
    print(f"{len(found)} vectors, each {AT_ONCE} times in parallel and twice more", flush=True)
    return [
        measure.verdict("vectors posted to the doors", len(found), 1),
        measure.verdict("what is wrong with their answers or events", len(wrong), 0, at_most=True),
    ]


async def hammered(server: kit.Server, ids: Iterator[str], seconds: float) -> tuple[float, float]:
    """Webhooks of these ids for so long; how many a second, and CPU microseconds of each."""
    end = time.perf_counter() + seconds
    limited = itertools.takewhile(lambda _: time.perf_counter() < end, ids)
    cpu = server.cpu_s()
    done, taken = await kit.posted(server, kit.DOOR, map(kit.signed, limited))
    return done / taken, (server.cpu_s() - cpu) / done * 1e6


async def copies(server: kit.Server, rounds: int, seconds: float) -> list[tuple[str, ...]]:
    """New events and copies in turns; then one delivery very often."""
    await kit.declare(server, kit.SOURCE)
    fresh = (f"new_{n:09d}" for n in itertools.count())
    ratios, news, olds = [], [], []
    for _ in range(rounds):
        news.append(await hammered(server, fresh, seconds))
        olds.append(await hammered(server, itertools.cycle(["again", "and-again"]), seconds))
        ratios.append(olds[-1][0] / news[-1][0])
    await kit.posted(server, kit.DOOR, (kit.signed("copy") for _ in range(COPIES)))
    kept = [one for one in await kit.kept(server) if not one.startswith("new_")]
    rows = [
        (name, *(measure.number(statistics.median(column)) for column in zip(*found, strict=True)))
        for name, found in (("new events", news), ("copies", olds))
    ]
    print("\n" + measure.table(("posts", "a second", "CPU us"), rows), flush=True)
    return [
        measure.verdict(f"events of {COPIES:,} copies", kept.count("copy"), 1, at_most=True),
        measure.verdict("events twice", len(kept) - len(set(kept)), 0, at_most=True),
        ("copies / new events, posts a second", measure.number(statistics.median(ratios)), "",
         "shown"),
    ]  # fmt: skip


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few vectors, one short round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    options = parser.parse_args()
    rounds, seconds = (1, 1.0) if options.quick else (options.rounds, options.seconds)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        flush = measure.flush_rate(folder)
        print(f"{measure.machine()}; {flush.per_s:,.0f} flushes/s\n", flush=True)
        rows = all_vectors(folder, quick=options.quick)
        with kit.Server(folder / "data").running() as server:
            rows += kit.run(copies(server, rounds, seconds))
    kit.leave(rows, counts=len(rows), quick=options.quick)


if __name__ == "__main__":
    main()
