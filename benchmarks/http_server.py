"""Which HTTP server, which router, which JSON library: measured, not guessed.

    python benchmarks/http_server.py            # all rounds, a table at the end

Each contender runs in a process of its own and gets the same load from another process over
loopback: 32 keep-alive connections, one request in flight on each, a 300-byte JSON event as body.
What counts is CPU microseconds of the server per request, since wall time on a shared machine says
little; ratios are taken within one round, the table shows medians over the rounds.

Needs `uvicorn httptools uvloop granian hypercorn starlette msgspec orjson` in its environment.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BODY = (
    b'{"source":"aws","eventType":"OrderPlaced","payload":{"orderId":"ORD-00000001",'
    b'"customerId":"CUST-004711","amount":1299.95,"currency":"USD","items":[{"productId":'
    b'"SKU-01234","price":259.99,"qty":5}]},"metadata":{"environment":"production",'
    b'"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}'
)
ANSWER = b'{"event_id":"x","position":1,"duplicate":false}'
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(ANSWER)).encode()),
]
PATH = "/api/v1/events/ingest"
CONTENDERS = {
    "floor: own protocol on httptools": ("floor", ""),
    "uvicorn, raw ASGI": ("uvicorn", "raw"),
    "uvicorn, own route table": ("uvicorn", "table"),
    "uvicorn, Starlette router, ASGI endpoint": ("uvicorn", "starlette_router"),
    "uvicorn, Starlette app, Request/Response": ("uvicorn", "starlette"),
    "granian, raw ASGI": ("granian", "raw"),
    "hypercorn, raw ASGI": ("hypercorn", "raw"),
}


async def _body(receive: Any) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


async def raw(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await _body(receive)
    await send({"type": "http.response.start", "status": 202, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


_EXACT = {("POST", PATH): raw, **{("GET", f"/api/v1/thing{n}"): raw for n in range(30)}}
_TEMPLATES = [(re.compile(rf"/api/v1/things{n}/([^/]+)"), raw) for n in range(15)]


async def table(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    endpoint = _EXACT.get((scope["method"], scope["path"]))
    if endpoint is None:
        endpoint = next(e for p, e in _TEMPLATES if p.fullmatch(scope["path"]))
    await endpoint(scope, receive, send)


class _Endpoint:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await raw(scope, receive, send)


def _starlette(*, whole: bool) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route, Router

    async def handler(request: Request) -> Response:
        await request.body()
        return Response(ANSWER, status_code=202, media_type="application/json")

    endpoint: Any = handler if whole else _Endpoint()
    routes = [Route(PATH, endpoint, methods=["POST"])]
    routes += [Route(f"/api/v1/thing{n}", handler) for n in range(45)]
    return Starlette(routes=routes) if whole else Router(routes)


def __getattr__(name: str) -> Any:
    if name in ("starlette", "starlette_router"):
        return _starlette(whole=name == "starlette")
    raise AttributeError(name)


def serve_floor(port: int) -> None:
    import httptools
    import uvloop

    head = b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    answer = head % len(ANSWER) + ANSWER

    class Floor(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.parser = httptools.HttpRequestParser(self)

        def data_received(self, data: bytes) -> None:
            self.parser.feed_data(data)

        def on_message_complete(self) -> None:
            self.transport.write(answer)

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(main())


def serve(kind: str, app: str, port: int) -> None:
    here = f"http_server:{app}"
    bind = ["--host", "127.0.0.1", "--port", str(port)]
    python = [sys.executable, "-m"]
    commands = {
        "uvicorn": [*python, "uvicorn", here, *bind, "--loop", "uvloop", "--http", "httptools",
                    "--no-access-log", "--log-level", "error"],
        "granian": [*python, "granian", "--interface", "asgi", *bind, "--workers", "1", "--loop",
                    "uvloop", "--no-access-log", "--log-level", "error", here],
        "hypercorn": [*python, "hypercorn", "--bind", f"127.0.0.1:{port}", "-k", "uvloop",
                      "--log-level", "error", here],
    }  # fmt: skip
    if kind == "floor":
        serve_floor(port)
    os.chdir(Path(__file__).parent)
    os.execv(sys.executable, commands[kind])


def load(port: int, connections: int, seconds: float) -> None:
    """Closed loop, as many requests as the server takes; prints `requests seconds`."""
    import uvloop

    request = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY
    done = 0
    stop = False

    class Client(asyncio.Protocol):
        buffer = b""

        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            transport.write(request)

        def data_received(self, data: bytes) -> None:
            nonlocal done
            self.buffer += data
            if not self.buffer.endswith(ANSWER):
                return
            assert self.buffer.startswith(b"HTTP/1.1 202"), self.buffer
            self.buffer = b""
            done += 1
            if not stop:
                self.transport.write(request)

    async def main() -> None:
        nonlocal stop
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(Client, "127.0.0.1", port)
        started = time.perf_counter()
        await asyncio.sleep(seconds)
        stop = True
        print(done, time.perf_counter() - started)

    uvloop.run(main())


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children that still run."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) == pid or int(name[1]) == pid:
            total += int(name[11]) + int(name[12])
    return total / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens on {port}")


def measure(name: str, seconds: float) -> tuple[float, float]:
    """Requests per second and CPU microseconds of the server per request."""
    kind, app = CONTENDERS[name]
    port = _free_port()
    me = [sys.executable, __file__]
    server = subprocess.Popen([*me, "serve", kind, app, str(port)], start_new_session=True)
    try:
        _wait(port)
        subprocess.run([*me, "load", str(port), "0.5"], check=True, capture_output=True)
        before = cpu_s(server.pid)
        out = subprocess.run(
            [*me, "load", str(port), str(seconds)], check=True, capture_output=True, text=True
        ).stdout.split()
        return int(out[0]) / float(out[1]), (cpu_s(server.pid) - before) / int(out[0]) * 1e6
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def json_libraries() -> None:
    import msgspec
    import orjson

    answer = {"event_id": "0193f4a1-0000-7000-8000-000000000000", "position": 1, "duplicate": False}
    encoder = msgspec.json.Encoder()
    fields = {"source": str, "eventType": str, "payload": msgspec.Raw, "metadata": msgspec.Raw}
    shape = msgspec.defstruct("Shape", list(fields.items()), gc=False)
    typed, untyped = msgspec.json.Decoder(shape), msgspec.json.Decoder()
    jobs: dict[str, Callable[[], Any]] = {
        "decode to dict, json": lambda: json.loads(BODY),
        "decode to dict, orjson": lambda: orjson.loads(BODY),
        "decode to dict, msgspec": lambda: untyped.decode(BODY),
        "decode to struct with raw payload, msgspec": lambda: typed.decode(BODY),
        "encode answer, json": lambda: json.dumps(answer).encode(),
        "encode answer, orjson": lambda: orjson.dumps(answer),
        "encode answer, msgspec": lambda: encoder.encode(answer),
    }
    print(f"\n| JSON, {len(BODY)}-byte event | us |\n|---|---:|")
    for name, job in jobs.items():
        rounds = []
        for _ in range(5):
            started = time.process_time()
            for _ in range(20_000):
                job()
            rounds.append((time.process_time() - started) / 20_000 * 1e6)
        print(f"| {name} | {statistics.median(rounds):.2f} |")


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        return serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    if sys.argv[1:2] == ["load"]:
        return load(int(sys.argv[2]), 32, float(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(options.rounds):
        for name in CONTENDERS:
            results[name].append(measure(name, options.seconds))
    base = results["uvicorn, raw ASGI"]
    print("| server | requests/s | CPU us/request | CPU, uvicorn raw = 1 |\n|---|---:|---:|---:|")
    for name, rounds in results.items():
        rate = statistics.median(r for r, _ in rounds)
        cpu = statistics.median(c for _, c in rounds)
        ratio = statistics.median(c / b for (_, c), (_, b) in zip(rounds, base, strict=True))
        print(f"| {name} | {rate:,.0f} | {cpu:.0f} | {ratio:.2f} |")
    json_libraries()
    return None


if __name__ == "__main__":
    main()
