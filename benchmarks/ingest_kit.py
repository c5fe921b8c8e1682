"""What the benchmarks of ingestion share: a server that can be killed, posts, what is kept."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "live")]

import http_server  # noqa: E402
import measure  # noqa: E402
import run as live  # noqa: E402
import uvloop  # noqa: E402
import webhooks  # noqa: E402
from client import Connection  # noqa: E402

T = TypeVar("T")

HOST = live.HOST
DOOR = "/webhook/shop"
SOURCE = webhooks.SOURCE.replace("secret:shop", "env:BENCH_SECRET")
START_S = 120
CATCH_UP_S = 0.2
_MEMORY = re.compile(r"^(VmRSS|VmHWM):\s+(\d+) kB", re.MULTILINE)


def run(main: Coroutine[Any, Any, T]) -> T:
    """The result, on a loop of its own."""
    return uvloop.run(main)


def leave(rows: Sequence[tuple[str, ...]], *, counts: int, quick: bool) -> NoReturn:
    """Print the figures and end, with 1 when one was missed.

    Args:
        rows: as `measure.verdict` makes them.
        counts: so many of them, the first ones, hold on any machine and in any run; of the others
            a quick run proves nothing.
    """
    print("\n" + measure.table(("figure", "measured", "must", ""), rows))
    proved = rows[:counts] if quick else rows
    sys.exit(any(row[-1] == "MISSED" for row in proved))


class Server:
    """`helios serve` at one address, which can be killed and started again.

    Args:
        folder: its data folder; what it says goes to `server.log` beside it.
        options: of `helios serve`.
        program: what to run instead of the `helios` command.
        env: more of its environment.
    """

    def __init__(
        self,
        folder: Path,
        *options: str | Path,
        program: Iterable[str | Path] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.port = live.free_port()
        self.log = folder.with_name("server.log")
        helios = Path(sys.executable).with_name("helios")
        given = ["serve", "--port", self.port, "--data-dir", folder, "--log-level", "warning"]
        self._command = [*map(str, program or [helios]), *map(str, given), *map(str, options)]
        self._env = {**os.environ, "BENCH_SECRET": webhooks.SECRET, **(env or {})}
        self.process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it, and do not wait."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=subprocess.DEVNULL, stderr=log, env=self._env
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        """Ready when the block begins, ended when it does."""
        self.start()
        try:
            run(ready(self))
            yield self
        finally:
            self.stop()

    def cpu_s(self) -> float:
        return http_server.cpu_s(self.process.pid)

    def memory_mb(self) -> tuple[float, float]:
        """Resident now, and the most since `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = {name: int(kb) / 1024 for name, kb in _MEMORY.findall(status)}
        return found["VmRSS"], found["VmHWM"]

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


async def ready(server: Server) -> None:
    """Return when it says so.

    Raises:
        RuntimeError: it ended, or takes too long.
    """
    end = time.perf_counter() + START_S
    while time.perf_counter() < end:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            status, _ = await ask(server, "GET", "/ready")
            if status == 200:
                return
        await asyncio.sleep(0.02)
    raise RuntimeError(f"not ready: {server.log.read_text()[-2000:]}")


async def caught_up(server: Server) -> None:
    """Return when its views show all that is in the log.

    Raises:
        RuntimeError: it takes too long.
    """
    for _ in range(int(START_S / CATCH_UP_S) * 5):
        if not (await get(server, "/api/v1/status"))["lag_events"]:
            return
        await asyncio.sleep(CATCH_UP_S)
    raise RuntimeError("the views do not catch up")


async def ask(
    server: Server, method: str, path: str, body: bytes = b"", kind: str = "application/json"
) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    async with connected(server) as connection:
        return await connection.request(method, path, body, kind)


@contextlib.asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Connection]:
    connection = Connection(HOST, server.port)
    await connection.open()
    try:
        yield connection
    finally:
        connection.close()


async def get(server: Server, path: str) -> dict[str, Any]:
    status, body = await ask(server, "GET", path)
    if status != 200:
        raise RuntimeError(f"{path} answered {status}: {body[:300]!r}")
    found: dict[str, Any] = json.loads(body)
    return found


async def declare(server: Server, text: str, path: str = "/api/v1/sources") -> None:
    status, body = await ask(server, "PUT", path, text.encode(), "application/yaml")
    if status not in (200, 201):
        raise RuntimeError(f"{path} answered {status}: {body[:500]!r}")


async def posted(
    server: Server,
    path: str,
    requests: Iterable[tuple[bytes, str]],
    *,
    connections: int = webhooks.CONNECTIONS,
    status: int = 202,
) -> tuple[int, float]:
    """Post bodies with headers, one in flight on each connection; how many, and seconds."""
    left, done = iter(requests), 0
    begin = time.perf_counter()

    async def sender() -> None:
        nonlocal done
        async with connected(server) as connection:
            for body, headers in left:
                got, answer = await connection.request("POST", path, body, headers=headers)
                if got != status:
                    raise RuntimeError(f"{path} answered {got}: {answer[:300]!r}")
                done += 1

    await asyncio.gather(*(sender() for _ in range(connections)))
    return done, time.perf_counter() - begin


def signed(event_id: str) -> tuple[bytes, str]:
    """Body and headers of a signed webhook of this id."""
    return webhooks.BODY, webhooks.signed(event_id)


async def kept(server: Server, source: str = "shop") -> list[str]:
    """Ids of what the log holds of a source, in its order."""
    found: list[str] = []
    cursor = ""
    while True:
        page = await get(server, f"/api/v1/events?source={source}&limit=1000{cursor}")
        found += [event["event_id"] for event in page["events"]]
        cursor = f"&cursor={page['next_cursor']}"
        if page["caught_up"]:
            return found
