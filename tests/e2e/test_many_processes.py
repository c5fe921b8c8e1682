"""Many processes at one log: writers that are killed, a reader that polls, servers that take over.

What was acknowledged is there once, whoever dies.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

WRITERS = 8
KILLED = 3
BATCHES = 60
KILL_AFTER = 15
"""Batches of a writer that have been acknowledged when it is killed, at least."""

TAKE_OVER_S = 60.0
"""A view that stands still for half of this is taken from its keeper."""

CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: orders}
spec:
  key: payload.orderId
  window: {type: per_key, size: 30s, grace: 5s}
  legs:
    order: {source: aws, type: OrderPlaced}
    payment: {source: gcp, type: PaymentProcessed}
    inventory: {source: azure, type: InventoryReserved}
"""


class Writers:
    """The writer processes, and what they were told."""

    def __init__(self, url: str, folder: Path) -> None:
        script = Path(__file__).with_name("writer.py")
        self.files = [folder / f"w{number}.txt" for number in range(WRITERS)]
        self.processes = []
        for number, file in enumerate(self.files):
            file.touch()
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, str(script), url, f"w{number}", str(BATCHES), str(file)]
                )
            )

    def acknowledged(self, number: int) -> dict[str, int]:
        """Whole lines only: the last one may have been cut by a kill."""
        text = self.files[number].read_text()
        lines = text[: text.rfind("\n") + 1].splitlines()
        return {event: int(at) for event, _, at in (line.partition(",") for line in lines)}

    def all_acknowledged(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for number in range(WRITERS):
            found |= self.acknowledged(number)
        return found


@contextlib.contextmanager
def _writing(url: str, folder: Path) -> Iterator[Writers]:
    writers = Writers(url, folder)
    try:
        yield writers
    finally:
        for process in writers.processes:
            process.kill()
            process.wait(30)


async def _poll(driving: Any, url: str, stop: asyncio.Event) -> list[Any]:
    """Follow the log by cursor, over restarts, until told to stop at the head."""
    found: list[Any] = []
    query = {"limit": "500"}
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        while True:
            stopping = stop.is_set()
            try:
                answer = await http.get("/api/v1/events", params=query)
            except httpx.TransportError:
                await asyncio.sleep(driving.PAUSE_S)
                continue
            assert answer.status_code == 200, answer.text
            page = driving.page_of(answer.content)
            found += page.events
            query["cursor"] = page.next_cursor
            if page.caught_up and stopping:
                return found
            if page.caught_up:
                await asyncio.sleep(0.005)


async def _run(driving: Any, harbour: Any, writers: Writers) -> list[Any]:
    stop = asyncio.Event()
    reader = asyncio.create_task(_poll(driving, harbour.url, stop))
    needed = KILL_AFTER * 20

    async def far_enough(numbers: range) -> None:
        async def reached() -> bool:
            return all(len(writers.acknowledged(n)) >= needed for n in numbers)

        await driving.until(reached, deadline_s=60, what=f"{needed} events of each writer")

    await far_enough(range(KILLED))
    for process in writers.processes[:KILLED]:
        process.kill()
    assert any(process.poll() is None for process in writers.processes[KILLED:])
    await asyncio.to_thread(harbour.kill)

    async def ended() -> bool:
        return all(p.poll() is not None for p in writers.processes)

    await driving.until(ended, deadline_s=60, what="the end of the writers")
    assert [p.returncode for p in writers.processes[KILLED:]] == [0] * (WRITERS - KILLED)
    stop.set()
    return await reader


@pytest.mark.slow
def test_eight_writers_and_a_polling_reader_lose_nothing_and_see_nothing_twice(
    serving: Any, driving: Any, tmp_path: Path, database_url: str | None
) -> None:
    place = driving.Place(tmp_path / "data", database_url)
    with (
        driving.Harbour(serving, place) as harbour,
        _writing(harbour.url, tmp_path) as writers,
    ):
        seen = asyncio.run(_run(driving, harbour, writers))
        assert [each.position for each in seen] == list(range(1, len(seen) + 1))
        places = {each.event_id: each.position for each in seen}
        assert len(places) == len(seen), "an event is there twice"
        acknowledged = writers.all_acknowledged()
        assert acknowledged.items() <= places.items()
        for number in range(KILLED, WRITERS):
            assert len(writers.acknowledged(number)) == BATCHES * 20
        assert len(seen) <= WRITERS * BATCHES * 20
        assert harbour.server.stop() == 0
    checked = serving.command("log", "verify", *place.offline(), cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def _declare(http: httpx.AsyncClient) -> None:
    declared = await http.put(
        "/api/v1/contracts", content=CONTRACT, headers={"content-type": "application/yaml"}
    )
    assert declared.status_code == 201, declared.text


async def _post(driving: Any, writer: Any, url: str, name: str, batches: range) -> dict[str, int]:
    """Send what a writer sends from this process."""
    sender = driving.Sender(url)
    made = [
        [driving.body(event) for event in writer.orders(name, n, writer.BATCH)] for n in batches
    ]
    await sender.send(made, callers=2)
    return dict(sender.positions)


async def _status_of(driving: Any, http: httpx.AsyncClient) -> str:
    found = await driving.get(http, "/api/v1/views")
    return next(str(v["status"]) for v in found["views"] if v["view"] == "verdicts")


async def _two_servers(driving: Any, writer: Any, first: Any, second: Any) -> None:
    def client(url: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)

    async with client(first.url) as one, client(second.url) as two:
        await _declare(one)
        posted = await asyncio.gather(
            _post(driving, writer, first.url, "a", range(30)),
            _post(driving, writer, second.url, "b", range(30)),
        )
        acknowledged = posted[0] | posted[1]
        for http in (one, two):
            await driving.caught_up(http, deadline_s=60)

        async def settled() -> bool:
            return {await _status_of(driving, one), await _status_of(driving, two)} == {
                "live",
                "standby",
            }

        await driving.until(settled, deadline_s=30, what="one keeper and one standing by")
        keeps = [await _status_of(driving, http) for http in (one, two)].index("live")
        keeper, other = (first, second) if keeps == 0 else (second, first)
        http = two if keeps == 0 else one

        keeper.kill()
        begin = time.perf_counter()
        acknowledged |= await _post(driving, writer, other.url, "c", range(30))
        await driving.caught_up(http, deadline_s=TAKE_OVER_S)
        driving.tell(f"taken over after {time.perf_counter() - begin:.1f} s")
        assert await _status_of(driving, http) == "live"

        seen = await driving.log_of(http)
        assert [each.position for each in seen] == list(range(1, len(seen) + 1))
        places = {each.event_id: each.position for each in seen if each.source != "helios"}
        assert places == acknowledged
        verdicts = await driving.verdicts_of(http, "orders")
        keys = {f"{name}-{number}" for name in "abc" for number in range(30 * 20 // 3)}
        assert {v["key"] for v in verdicts} == keys
        assert len(verdicts) == len(keys)
        assert {v["status"] for v in verdicts} == {"matched"}


@pytest.mark.slow
def test_of_two_servers_on_one_database_one_keeps_the_views_and_the_other_takes_over(
    serving: Any, driving: Any, writer: Any, tmp_path: Path, postgres_url: str
) -> None:
    options = ("--database-url", postgres_url)
    with (
        serving.serving(tmp_path / "one", *options) as first,
        serving.serving(tmp_path / "two", *options) as second,
    ):
        asyncio.run(_two_servers(driving, writer, first, second))
        left = next(server for server in (first, second) if server.process.poll() is None)
        checked = serving.command(
            "views", "verify", "verdicts", "--url", left.url, cwd=tmp_path, timeout_s=60
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
