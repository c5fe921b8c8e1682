"""Eight processes write one SQLite log, some are killed on the way; nothing acknowledged is lost.

Each writer tells on a pipe what it is about to append and what was acknowledged. The reader polls
from another process all the while and must see positions without a hole. Afterwards everything
acknowledged must be there at its place, and nothing twice.
"""

import asyncio
import json
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

from helios.drivers.sqlite import log_storage
from helios.eventlog import envelope, log, verify
from helios.kernel import clock
from helios.testing import log_samples as samples

WRITERS = 8
LANES = 4
KILLED = 4
SECONDS = 3.0

WRITER = """
import asyncio, json, sys
from helios.drivers.sqlite import log_storage
from helios.eventlog import log
from helios.kernel import clock
from helios.testing import log_samples as samples

async def caller(a_log, writer, lane):
    sizes = (1, 3, 20)
    number = writer * 1_000_000 + lane * 100_000
    expected = 0
    while True:
        size = sizes[number % 3]
        name = f"w{writer}-{lane}"
        batch = [samples.event(n, aggregate_id=name) for n in range(number, number + size)]
        done = await a_log.append(batch, expected={("default", "order", name): expected})
        sys.stdout.write(json.dumps([[e.id for e in batch], done.positions]) + "\\n")
        sys.stdout.flush()
        number += size
        expected += size

async def main(path, writer):
    system = clock.SystemClock()
    storage = log_storage.SqliteLogStorage(path, system, prewarm_pages=0)
    a_log = log.Log(storage, system)
    await a_log.open()
    await asyncio.gather(*(caller(a_log, writer, lane) for lane in range(4)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def test_killed_writers_lose_nothing_and_write_nothing_twice(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "log.db"
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    outputs = [tmp_path / f"out-{n}" for n in range(WRITERS)]
    writers = []
    for n, output in enumerate(outputs):
        with output.open("wb") as stdout:
            command = [sys.executable, str(script), str(path), str(n)]
            writers.append(subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE))
    try:
        seen = asyncio.run(_poll(path, writers))
    finally:
        for writer in writers:
            writer.kill()
            assert writer.communicate()[1] == b""
    acknowledged = [json.loads(line) for o in outputs for line in _whole_lines(o)]
    asyncio.run(_check(path, seen, acknowledged))


async def _poll(path: pathlib.Path, writers: list[subprocess.Popen[bytes]]) -> list[int]:
    storage = log_storage.SqliteLogStorage(str(path), clock.SystemClock(), prewarm_pages=0)
    a_log = log.Log(storage, clock.SystemClock())
    await a_log.open()
    seen: list[int] = []
    end = time.monotonic() + 20
    due: list[float] = []
    started: set[str] = set()
    killed = 0
    while time.monotonic() < end:
        page = await a_log.read(envelope.Position(seen[-1] if seen else 0))
        seen.extend(e.position for e in page.events)
        if not page.events:
            await a_log.wait(page.next_after, timeout_s=0.02)
        started |= {e.aggregate_id for e in page.events}
        if not due and len(started) == WRITERS * LANES:
            end = time.monotonic() + SECONDS
            due = [time.monotonic() + SECONDS * (n + 1) / (KILLED + 1) for n in range(KILLED)]
        if due and time.monotonic() > due[0]:
            due.pop(0)
            writers[killed].send_signal(signal.SIGKILL)
            killed += 1
            due = due or [end + 1]
    await a_log.close()
    assert killed == KILLED
    return seen


async def _check(path: pathlib.Path, seen: list[int], acknowledged: list[list[list[Any]]]) -> None:
    storage = log_storage.SqliteLogStorage(str(path), clock.SystemClock(), prewarm_pages=0)
    await storage.open()
    stored = await samples.read_all(storage)
    report = await verify.verify(storage)
    await storage.close()
    assert report.broken is None
    assert [e.position for e in stored] == list(range(1, len(stored) + 1))
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) > 100
    places = {e.id: e.position for e in stored}
    assert len(places) == len(stored), "an event is there twice"
    for ids, positions in acknowledged:
        assert [places.get(i) for i in ids] == positions, "acknowledged, and not there"
    assert len({e.aggregate_id for e in stored}) == WRITERS * LANES
    lost_answers = len(stored) - sum(len(ids) for ids, _ in acknowledged)
    assert 0 <= lost_answers <= WRITERS * LANES * 20


def _whole_lines(path: pathlib.Path) -> list[str]:
    return path.read_text().split("\n")[:-1]
