import asyncio
import contextlib
import json
import resource
import signal
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

EVENT: dict[str, Any] = {"source": "shop", "eventType": "OrderPlaced", "payload": {"n": 1}}
INGEST = "/api/v1/events/ingest"


def _all_events(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = httpx.get(f"{url}/api/v1/events?limit=1000{cursor}", timeout=30).json()
        found += page["events"]
        cursor = f"&cursor={page['next_cursor']}"
        if page["caught_up"]:
            return found


async def _load_until_killed(server: Any, tag: str, kill_after: int) -> dict[str, int]:
    """Post from many clients at once; kill the server in the middle; what was acknowledged."""
    acknowledged: dict[str, int] = {}
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:

        async def client(number: int) -> None:
            for n in range(10_000):
                event_id = f"{tag}-{number}-{n}"
                try:
                    answer = await http.post(INGEST, json={**EVENT, "id": event_id})
                except httpx.TransportError:
                    return
                assert answer.status_code == 202
                acknowledged[event_id] = answer.json()["position"]
                if len(acknowledged) == kill_after:
                    server.process.kill()

        await asyncio.gather(*(client(number) for number in range(16)))
    return acknowledged


def test_a_kill_loses_nothing_that_was_acknowledged(serving: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    acknowledged: dict[str, int] = {}
    for round_ in range(3):
        with serving.serving(folder) as server:
            acknowledged |= asyncio.run(_load_until_killed(server, f"r{round_}", 100))
    with serving.serving(folder) as server:
        events = _all_events(server.url)
        assert server.stop() == 0
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    kept = {event["event_id"]: event["position"] for event in events}
    assert len(kept) == len(events), "an event is there twice"
    assert acknowledged.items() <= kept.items()
    verified = serving.command("log", "verify", "--data-dir", str(folder), cwd=tmp_path)
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_what_is_under_way_and_exits(
    serving: Any, tmp_path: Path, number: signal.Signals
) -> None:
    with serving.serving(tmp_path / "data") as server:
        place = urlsplit(server.url)
        body = json.dumps(EVENT).encode()
        with socket.create_connection((place.hostname, place.port), 10) as slow:
            slow.sendall(
                b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n" % (INGEST.encode(), len(body))
            )
            stream = httpx.Client(timeout=30)
            with stream.stream("GET", f"{server.url}/api/v1/events/stream") as feed:
                chunks = feed.iter_text()
                assert "id: " in next(chunks)
                ended = threading.Thread(target=lambda: list(chunks))
                ended.start()
                server.process.send_signal(number)
                ended.join(20)
                assert not ended.is_alive(), "the live stream held the server up"
            slow.sendall(body)
            answer = slow.recv(4096)
            assert answer.startswith(b"HTTP/1.1 202"), answer
            stream.close()
        assert server.process.wait(20) == 0
        assert not (tmp_path / "data" / "server.url").exists()


def test_a_port_in_use_is_one_clear_line(serving: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = serving.command(
            "serve", "--data-dir", str(tmp_path / "data"), "--port", str(port), cwd=tmp_path
        )
    assert result.returncode == 2
    assert str(port) in serving.one_line(result)
    assert "--port" in result.stderr


def test_a_second_server_over_a_folder_is_refused(serving: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with serving.serving(folder) as server:
        result = serving.command("serve", "--data-dir", str(folder), "--port", "0", cwd=tmp_path)
        assert result.returncode == 2
        assert str(server.process.pid) in serving.one_line(result)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--data-dir", "a-file/data"], "--data-dir"),
        (["--data-dir", "a-file"], "a-file"),
        (["--database-url", "postgresql://nobody@127.0.0.1:1/none"], "127.0.0.1:1"),
        (["--database-url", "mysql://x"], "postgresql://"),
        (["--config", "missing.toml"], "missing.toml"),
        (["--config", "a-file"], "TOML"),
        (["--port", "99999"], "99999"),
        (["--host", "203.0.113.7"], "203.0.113.7"),
    ],
)
def test_what_keeps_it_from_starting_is_one_clear_line(
    serving: Any, tmp_path: Path, options: list[str], hint: str
) -> None:
    (tmp_path / "a-file").write_text("no toml, no folder")
    result = serving.command("serve", "--port", "0", *options, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert hint in serving.one_line(result)


def test_a_full_disk_is_a_503_and_loses_nothing(serving: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    most = 24 << 20

    def limit() -> None:
        # A file may not grow beyond this: to SQLite that is a disk without room.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    acknowledged: dict[str, int] = {}
    refused: list[httpx.Response] = []
    with serving.serving(folder, before=limit) as server:
        for n in range(120):
            event = {**EVENT, "id": f"e{n}", "payload": {"pad": "x" * 500_000}}
            try:
                answer = httpx.post(server.url + INGEST, json=event, timeout=30)
            except httpx.TransportError:
                break  # it stopped, as it must when a flush fails
            if answer.status_code == 202:
                acknowledged[f"e{n}"] = answer.json()["position"]
            else:
                refused.append(answer)
                if len(refused) == 3:
                    break
        with contextlib.suppress(httpx.TransportError):
            assert httpx.get(server.url + "/ready", timeout=30).status_code == 503
        server.kill()
    assert refused
    assert {answer.status_code for answer in refused} == {503}
    assert all("retry-after" in answer.headers for answer in refused)
    with serving.serving(folder) as server:
        kept = {e["event_id"]: e["position"] for e in _all_events(server.url)}
        assert acknowledged.items() <= kept.items()
        assert httpx.post(server.url + INGEST, json=EVENT).status_code == 202


def _raw(url: str, request: bytes) -> bytes:
    """The beginning of the answer; empty when the connection was closed without one."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), 1) as connection:
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.sendall(request)
        with contextlib.suppress(ConnectionError, TimeoutError):
            return connection.recv(65536)
    return b""


def test_malformed_http_is_refused_and_does_not_disturb(serving: Any, tmp_path: Path) -> None:
    body = json.dumps(EVENT).encode()
    path = b"/api/v1/events/ingest"
    head = b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" % path
    length = b"content-length: %d\r\n"
    with serving.serving(tmp_path / "data") as server:
        for request in (
            b"\x00\x01\x02\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            head + b"content-length: x\r\n\r\n" + body,
            head + b"content-length: -1\r\n\r\n" + body,
            head + length % (len(body) + 10) + b"\r\n" + body,
            head + length % len(body) + b"transfer-encoding: chunked\r\n\r\n" + body,
            head + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
            head + b"x-large: " + b"y" * (1 << 20) + b"\r\n" + length % len(body) + b"\r\n" + body,
            head + b"x: y\r\n" * 20_000 + length % len(body) + b"\r\n" + body,
        ):
            answer = _raw(server.url, request)
            assert b" 5" not in answer[:12], answer[:200]
            assert b" 202" not in answer[:14], answer[:200]
        short = head + length % (len(body) - 2) + b"\r\n" + body
        assert b" 400" in _raw(server.url, short)[:14]
        assert httpx.get(f"{server.url}/health").status_code == 200
        assert _all_events(server.url) == []


def test_it_serves_soon_and_stays_small(serving: Any, tmp_path: Path) -> None:
    with serving.serving(tmp_path / "data") as server:
        httpx.get(f"{server.url}/ready")
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        assert int(resident.split()[1]) <= 120 * 1024, resident
