"""Drives a served Helios as impatient clients do: batches again and again until acknowledged.

The server may be killed and come back at the same address meanwhile; who sends does not know.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import httpx
import msgspec

from helios.testing import real_processes

PAGE = 1_000
PAUSE_S = 0.05
"""A client's pause before it tries again; nothing waits for it to be long enough."""

_Batch = Sequence[bytes]


class Place:
    """Where a server keeps its log and views: a folder, or a database."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.folder = folder
        self.options = [] if database_url is None else ["--database-url", database_url]
        self._settings: list[str] = []
        if database_url is not None:
            file = folder.with_suffix(".toml")
            file.write_text(f'database_url = "{database_url}"\n')
            self._settings = ["--config", str(file)]

    def offline(self) -> list[str]:
        """Options of a verb that reads the log itself."""
        return ["--data-dir", str(self.folder), *self._settings]


class Harbour:
    """A server at a fixed address that can be killed and started again.

    Args:
        serving: the module `serving.py`.
        place: what it serves.
    """

    def __init__(self, serving: ModuleType, place: Place) -> None:
        self._serving = serving
        self._place = place
        self.port = real_processes.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.restarts: list[float] = []
        """Seconds from each kill until it answered again."""
        self._stack = contextlib.ExitStack()
        self.server: Any = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.server = self._stack.enter_context(
            self._serving.serving(self._place.folder, *self._place.options, port=self.port)
        )

    def kill(self) -> None:
        """SIGKILL, and start again over what that left."""
        self.server.kill()
        begin = time.perf_counter()
        self._stack.close()
        self._start()
        self.restarts.append(time.perf_counter() - begin)


class Sender:
    """Sends batches until each is acknowledged; the same batch again with the same ids.

    Attributes:
        positions: event id to its position, as acknowledged.
        duplicates: how many events the server had before, by its answers.
        acknowledged: how many batches were.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.positions: dict[str, int] = {}
        self.duplicates = 0
        self.acknowledged = 0
        self._watched: list[tuple[int, asyncio.Event]] = []

    async def reached(self, batches: int) -> None:
        """Return once so many batches have been acknowledged."""
        event = asyncio.Event()
        self._watched.append((batches, event))
        if self.acknowledged < batches:
            await event.wait()

    async def send(self, batches: Sequence[_Batch], *, callers: int) -> None:
        """Send all, `callers` at once."""
        queue = iter(batches)
        async with httpx.AsyncClient(base_url=self.url, timeout=60, trust_env=False) as http:

            async def caller() -> None:
                for batch in queue:
                    await self.deliver(http, batch)

            await asyncio.gather(*(caller() for _ in range(callers)))

    async def deliver(self, http: httpx.AsyncClient, batch: _Batch) -> None:
        """One batch, however often it takes."""
        body = b"\n".join(batch)
        while True:
            try:
                answer = await http.post(
                    "/api/v1/events/ingest/batch",
                    content=body,
                    headers={"content-type": "application/x-ndjson"},
                )
            except httpx.TransportError:
                await asyncio.sleep(PAUSE_S)
                continue
            if answer.status_code == 503:
                await asyncio.sleep(PAUSE_S)
                continue
            assert answer.status_code == 202, answer.text
            receipt = answer.json()
            assert len(receipt["results"]) == len(batch)
            self.duplicates += receipt["duplicates"]
            for each in receipt["results"]:
                assert not each["conflict"]
                known = self.positions.setdefault(each["event_id"], each["position"])
                assert known == each["position"], "the same event at two places"
            self.acknowledged += 1
            for batches, event in self._watched:
                if self.acknowledged >= batches:
                    event.set()
            return


async def kill_now_and_then(
    harbour: Harbour, sender: Sender, rng: random.Random, *, times: int, batches: int
) -> None:
    """Kill the server at drawn moments while the sender sends `batches`."""
    for moment in sorted(rng.sample(range(1, batches), times)):
        await sender.reached(moment)
        # Somewhere in what the server does next: parsing, a commit, a fold, an answer.
        await asyncio.sleep(rng.uniform(0, 0.05))
        await asyncio.to_thread(harbour.kill)


async def get(http: httpx.AsyncClient, path: str, **options: Any) -> Any:
    answer = await http.get(path, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until(
    condition: Any, *, deadline_s: float, every_s: float = 0.02, what: str = "it"
) -> float:
    """Poll an async condition; seconds it took."""
    begin = time.perf_counter()
    while not await condition():
        waited = time.perf_counter() - begin
        assert waited < deadline_s, f"{what} did not come about within {deadline_s} s"
        await asyncio.sleep(every_s)
    return time.perf_counter() - begin


async def caught_up(http: httpx.AsyncClient, *, deadline_s: float) -> float:
    """Wait until the verdicts show everything that is in the log now; seconds it took."""
    head = (await get(http, "/api/v1/status"))["head"]

    async def visible() -> bool:
        answer = await http.get(
            "/api/v1/reconciliation/mismatches?limit=1", headers={"helios-after": str(head)}
        )
        assert answer.status_code in (200, 504), answer.text
        return answer.status_code == 200

    return await until(visible, deadline_s=deadline_s, what=f"position {head} in the verdicts")


async def verdict_pages(
    http: httpx.AsyncClient, contract: str, **query: str
) -> AsyncIterator[list[dict[str, Any]]]:
    """All current verdicts of a contract, page by page."""
    cursor: dict[str, str] = {}
    while True:
        page = await get(
            http,
            f"/api/v1/contracts/{contract}/verdicts",
            params={"limit": str(PAGE), **query, **cursor},
        )
        yield page["verdicts"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


async def verdicts_of(http: httpx.AsyncClient, contract: str) -> list[dict[str, Any]]:
    """All current verdicts of a contract."""
    return [each async for page in verdict_pages(http, contract) for each in page]


class Seen(msgspec.Struct, gc=False):
    """What a test must know of an event of the log."""

    source: str
    event_id: str
    position: int


class Page(msgspec.Struct):
    """One page of the log."""

    events: list[Seen]
    next_cursor: str
    caught_up: bool


page_of = msgspec.json.Decoder(Page).decode


async def log_of(http: httpx.AsyncClient) -> list[Seen]:
    """Every event of the log, in order."""
    found: list[Seen] = []
    query = {"limit": str(PAGE)}
    while True:
        answer = await http.get("/api/v1/events", params=query)
        assert answer.status_code == 200, answer.text
        page = page_of(answer.content)
        found += page.events
        if page.caught_up:
            return found
        query["cursor"] = page.next_cursor


def body(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def tell(text: str) -> None:
    """Say what was measured, to whoever runs the tests with -s."""
    sys.stdout.write(f"\n{text}\n")
