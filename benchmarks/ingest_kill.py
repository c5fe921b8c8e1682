"""Servers killed with SIGKILL under a load of signed webhooks: nothing acknowledged may be missing.

    python benchmarks/ingest_kill.py sqlite              60 kills, then 5 with 1,000,000 events
    python benchmarks/ingest_kill.py postgres            the same over a PostgreSQL of its own
    python benchmarks/ingest_kill.py postgres --database-url postgresql://…    an empty database
    python benchmarks/ingest_kill.py sqlite --quick

As many senders as the other figures have, each with one delivery in flight. A sender whose
connection breaks sends the same delivery again, as real ones do, until it is acknowledged; some
deliveries are sent once more afterwards. In the end the log must hold every id that was
acknowledged, each once, and nothing that was not sent.

How soon a restarted server takes the first webhook is measured from the start of the process until
the first 202. For that the log and its views hold a million events, which are appended without the
server.
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "log")]

import ours  # noqa: E402
import slices  # noqa: E402

sys.path.remove(str(HERE / "log"))
import ingest_kit as kit  # noqa: E402
import measure  # noqa: E402
import webhooks  # noqa: E402
from client import Connection  # noqa: E402

from helios.eventlog import envelope, log  # noqa: E402
from helios.kernel import clock as clocks  # noqa: E402
from helios.kernel import ids  # noqa: E402

ROUNDS, RESTARTS, EVENTS = 60, 5, 1_000_000
QUICK = (4, 1, 20_000)
LOAD_S = (0.05, 0.5)
RETRY_S = 0.03
AGAIN = 2_000
BATCH = 4_000
ACCEPTED_S_MAX = 2.0


class Senders:
    """Connections that never give a delivery up.

    Attributes:
        sent, acknowledged: ids.
        unavailable: how often it was answered 503.
    """

    def __init__(self, server: kit.Server, prefix: str) -> None:
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.unavailable = 0
        self._server = server
        self._fresh = (f"{prefix}_{n:09d}" for n in itertools.count())
        self._stopping = False
        self._accepted = asyncio.Event()
        self._era = 0
        self._work: list[asyncio.Task[None]] = []

    def start(self, count: int = webhooks.CONNECTIONS) -> None:
        self._work = [asyncio.create_task(self._send()) for _ in range(count)]

    async def stop(self) -> None:
        """Return when what is under way has been acknowledged."""
        self._stopping = True
        await asyncio.gather(*self._work)

    async def accepted(self) -> None:
        """Return at the next acknowledgement of what is sent from now on: answers of a server that
        was killed meanwhile may still be on their way.
        """
        self._era += 1
        self._accepted.clear()
        waiting = asyncio.ensure_future(self._accepted.wait())
        await asyncio.wait([waiting, *self._work], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(*self._work)

    async def _send(self) -> None:
        connection: Connection | None = None
        while not self._stopping:
            event_id = next(self._fresh)
            self.sent.add(event_id)
            while event_id not in self.acknowledged:
                connection = await self._try(event_id, connection)
        if connection is not None:
            connection.close()

    async def _try(self, event_id: str, connection: Connection | None) -> Connection | None:
        body, headers = kit.signed(event_id)
        era = self._era
        try:
            if connection is None:
                connection = Connection(kit.HOST, self._server.port)
                await connection.open()
            status, answer = await connection.request("POST", kit.DOOR, body, headers=headers)
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(RETRY_S)
            return None
        if status == 202:
            self.acknowledged.add(event_id)
            if era == self._era:
                self._accepted.set()
        elif status == 503:
            self.unavailable += 1
            await asyncio.sleep(RETRY_S)
        else:
            raise RuntimeError(f"answered {status}: {answer[:300]!r}")
        return connection


async def killed(
    server: kit.Server, rounds: int, prefix: str, rng: random.Random
) -> tuple[Senders, list[float], list[float]]:
    """Start and kill it so often under load, then once more to the end.

    Returns:
        The senders; of each start the seconds until the first event, and the CPU seconds of it.
    """
    senders = Senders(server, prefix)
    senders.start()
    taken, cpu = [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        server.start()
        await senders.accepted()
        taken.append(time.perf_counter() - begin)
        cpu.append(server.cpu_s())
        await asyncio.sleep(rng.uniform(*LOAD_S))
        server.kill()
    server.start()
    await senders.stop()
    return senders, taken, cpu


async def lossless(server: kit.Server, rounds: int, rng: random.Random) -> list[tuple[str, ...]]:
    """Kills under load, and what the log holds in the end."""
    server.start()
    await kit.ready(server)
    await kit.declare(server, kit.SOURCE)
    server.kill()
    senders, taken, cpu = await killed(server, rounds, "kill", rng)
    again = rng.sample(sorted(senders.acknowledged), min(AGAIN, len(senders.acknowledged)))
    await kit.posted(server, kit.DOOR, (kit.signed(event_id) for event_id in again))
    found = await kit.kept(server)
    unique = set(found)
    print(
        f"{rounds} kills under load: {len(senders.acknowledged):,} webhooks acknowledged, "
        f"{senders.unavailable:,} answers 503, {len(again):,} sent again; first event "
        f"{statistics.median(taken):.2f} s after a start, at most {max(taken):.2f} s, "
        f"{statistics.median(cpu):.2f} s of it CPU",
        flush=True,
    )
    strange = len(unique - senders.sent)
    lost = len(senders.acknowledged - unique)
    return [
        measure.verdict("kills under load", rounds, rounds),
        measure.verdict("acknowledged and lost", lost, 0, at_most=True),
        measure.verdict("doubled", len(found) - len(unique), 0, at_most=True),
        measure.verdict("in the log and never sent", strange, 0, at_most=True),
    ]


async def fill(kind: str, place: str, count: int) -> None:
    """Append so many events without a server."""
    clock = clocks.SystemClock()
    fresh = ids.Uuid7Ids(clock)
    events = log.Log(ours.storage(kind, place, clock, fresh), clock)
    await events.open()
    for begin in range(0, count, BATCH):
        await events.append(
            [
                envelope.NewEvent(
                    id=f"before_{n}",
                    source="before",
                    type="order.placed",
                    occurred_at=clock.now(),
                    aggregate_type="order",
                    aggregate_id=f"{n // 4}",
                    payload=slices.PAYLOAD_BYTES,
                )
                for n in range(begin, min(count, begin + BATCH))
            ]
        )
    await events.close()


async def restarted(
    server: kit.Server, rounds: int, events: int, rng: random.Random
) -> list[tuple[str, ...]]:
    """Let the views catch up, then kill it under load and see when it takes the first event."""
    server.start()
    await kit.ready(server)
    await kit.caught_up(server)
    server.kill()
    # The first start only finds the load; what it took is no restart under load.
    senders, taken, cpu = await killed(server, rounds + 1, "restart", rng)
    found = {one for one in await kit.kept(server) if one.startswith("restart")}
    lost = len(senders.acknowledged - found)
    print(f"restarts: {', '.join(f'{s:.2f}' for s in taken[1:])} s")
    name = f"restart to first event, {events:,} in the log"
    seconds, of_it = statistics.median(taken[1:]), statistics.median(cpu[1:])
    return [
        measure.verdict("acknowledged and lost, long log", lost, 0, at_most=True),
        (f"{name}, CPU s", measure.number(of_it), "", "shown"),
        measure.verdict(f"{name}, s", seconds, ACCEPTED_S_MAX, at_most=True),
    ]


async def measured(
    server: kit.Server, kind: str, place: str, sizes: tuple[int, int, int]
) -> list[tuple[str, ...]]:
    rounds, restarts, events = sizes
    rng = random.Random(7)
    try:
        rows = await lossless(server, rounds, rng)
        server.stop()
        begin = time.perf_counter()
        await fill(kind, place, events)
        print(f"{events:,} events appended in {time.perf_counter() - begin:.0f} s", flush=True)
        return rows + await restarted(server, restarts, events, rng)
    finally:
        server.stop()


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A durable server with its data in the folder; its URL."""
    script: list[str | Path] = [sys.executable, measure.ROOT / "scripts/postgres.py"]
    place: list[str | Path] = ["--folder", folder / "postgres"]
    started = subprocess.run(
        [*script, "start", *place], check=True, stdout=subprocess.PIPE, text=True
    )
    try:
        yield started.stdout.split()[-1]
    finally:
        subprocess.run([*script, "stop", *place], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backend", choices=("sqlite", "postgres"))
    parser.add_argument("--quick", action="store_true", help="few kills, a short log")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="kills under load")
    parser.add_argument("--events", type=int, default=EVENTS, help="in the log at the restarts")
    parser.add_argument("--database-url", help="an empty database; default: a server of its own")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    options = parser.parse_args()
    sizes = QUICK if options.quick else (options.rounds, RESTARTS, options.events)
    with tempfile.TemporaryDirectory(dir=options.folder) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own
        flush = measure.flush_rate(folder)
        print(f"{measure.machine()}; {flush.per_s:,.0f} flushes/s; {options.backend}", flush=True)
        place, more = str(folder / "data/log.sqlite"), []
        if options.backend == "postgres":
            place = options.database_url or stack.enter_context(postgres(folder))
            more = ["--database-url", place]
        server = kit.Server(folder / "data", *more)
        rows = kit.run(measured(server, options.backend, place, sizes))
    kit.leave(rows, counts=5, quick=options.quick)


if __name__ == "__main__":
    main()
