"""Webhooks against a real server: kills, bombs, smuggled requests, and what is never written."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

KEY = b"canary-key-of-thirty-two-bytes!!"
SOURCES = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: shop}
spec:
  provider: standard-webhooks
  secrets: [secret:shop]
---
apiVersion: helios.io/v1
kind: Source
metadata: {name: packed}
spec:
  provider: standard-webhooks
  secrets: [secret:shop]
  content_encoding: true
"""
DOOR = "/webhook/shop"
GROWTH_MB_MAX = 50


def body(event_id: str) -> bytes:
    return json.dumps({"type": "order.placed", "data": {"id": event_id}}).encode()


def headers(event_id: str, content: bytes) -> dict[str, str]:
    stamp = str(int(time.time()))
    message = b".".join((event_id.encode(), stamp.encode(), content))
    digest = base64.b64encode(hmac.new(KEY, message, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{digest}",
        "content-type": "application/json",
        "authorization": "Bearer canary-token",
    }


def raw(
    event_id: str, content: bytes, path: str = DOOR, extra: str = "connection: close\r\n"
) -> bytes:
    given = "".join(f"{name}: {value}\r\n" for name, value in headers(event_id, content).items())
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\n{given}{extra}"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(content) + content


def connected(server: Any) -> socket.socket:
    place = urlsplit(server.url)
    return socket.create_connection((place.hostname, place.port), 10)


def answered(server: Any, *parts: bytes) -> list[bytes]:
    """The status lines that come back for bytes on one connection."""
    with connected(server) as wire:
        got = b""
        try:
            for part in parts:
                wire.sendall(part)
            while chunk := wire.recv(65_536):
                got += chunk
        except ConnectionError:
            pass
    return [line.split(b" ")[1] for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def declared(serving: Any, folder: Path) -> None:
    """Declare the sources and keep their secret, once for a folder."""
    (folder.parent / "sources.yaml").write_text(SOURCES)
    where = ("--data-dir", str(folder))
    secret = "whsec_" + base64.b64encode(KEY).decode()
    for arguments, given in (
        (("secrets", "set", "shop", "--from-stdin"), secret + "\n"),
        (("sources", "apply", "sources.yaml"), ""),
    ):
        done = serving.command(*arguments, *where, cwd=folder.parent, input=given)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def folder(serving: Any, tmp_path: Path) -> Path:
    made = tmp_path / "data"
    with serving.serving(made) as server:
        declared(serving, made)
        assert server.stop() == 0
    return made


def stored(server: Any) -> list[str]:
    """Ids of the events of both sources."""
    found: list[str] = []
    cursor = ""
    while True:
        url = f"{server.url}/api/v1/events?source=shop,packed&limit=1000{cursor}"
        page = httpx.get(url, timeout=30, trust_env=False).json()
        found += [event["event_id"] for event in page["events"]]
        cursor = f"&cursor={page['next_cursor']}"
        if page["caught_up"]:
            return found


def test_killed_between_append_and_answer_the_sender_comes_again_to_one_event(
    serving: Any, folder: Path
) -> None:
    with serving.serving(folder) as server, connected(server) as wire:
        wire.sendall(raw("a", body("a")))
        deadline = time.monotonic() + 20
        while stored(server) != ["a"]:
            assert time.monotonic() < deadline
        server.kill()  # the answer was never read
    with serving.serving(folder) as server:
        again = httpx.post(server.url + DOOR, content=body("a"), headers=headers("a", body("a")))
        assert again.json()["results"] == ["duplicate"]
        assert stored(server) == ["a"]


async def _load(server: Any, tag: str, kill_after: int) -> tuple[set[str], set[str]]:
    sent: set[str] = set()
    acknowledged: set[str] = set()
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:

        async def client(number: int) -> None:
            for n in range(10_000):
                event_id = f"{tag}-{number}-{n}"
                sent.add(event_id)
                content = body(event_id)
                try:
                    answer = await http.post(
                        DOOR, content=content, headers=headers(event_id, content)
                    )
                except httpx.TransportError:
                    return
                assert answer.status_code == 202, answer.text
                acknowledged.add(event_id)
                if len(acknowledged) == kill_after:
                    server.process.kill()

        await asyncio.gather(*(client(number) for number in range(16)))
    return sent, acknowledged


def test_kills_under_load_lose_and_double_nothing(serving: Any, folder: Path) -> None:
    sent: set[str] = set()
    acknowledged: set[str] = set()
    for round_ in range(3):
        with serving.serving(folder) as server:
            more, taken = asyncio.run(_load(server, f"r{round_}", 60))
            sent |= more
            acknowledged |= taken
    with serving.serving(folder) as server:
        kept = stored(server)
        assert len(kept) == len(set(kept))
        assert acknowledged <= set(kept) <= sent
        with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as http:
            for event_id in sorted(sent):
                content = body(event_id)
                http.post(DOOR, content=content, headers=headers(event_id, content))
        assert sorted(stored(server)) == sorted(sent)


def test_a_thousand_copies_are_one_event(serving: Any, folder: Path) -> None:
    async def main(server: Any) -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
            given = headers("a", body("a"))
            for _ in range(10):
                answers = await asyncio.gather(
                    *(http.post(DOOR, content=body("a"), headers=given) for _ in range(100))
                )
                assert {answer.status_code for answer in answers} == {202}

    with serving.serving(folder) as server:
        asyncio.run(main(server))
        assert stored(server) == ["a"]


def chunked(event_id: str, signed: bytes, chunks: Iterator[bytes], extra: str = "") -> list[bytes]:
    head = raw(
        event_id,
        signed,
        "/webhook/packed",
        extra + "transfer-encoding: chunked\r\nconnection: close\r\n",
    )
    head = head[: head.index(b"content-length")] + b"\r\n"
    return [head, *(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks), b"0\r\n\r\n"]


def resident_mb(server: Any) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


def _zeros(megabytes: int) -> bytes:
    made = zlib.compressobj(9, wbits=31)
    parts = [made.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join([*parts, made.flush()])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_bombs_are_refused_without_memory(serving: Any, folder: Path) -> None:
    bomb = _zeros(200)
    twice = gzip.compress(bomb)
    deep = b'{"a":' * 90_000 + b"1" + b"}" * 90_000
    long = b"x" * 65_536
    packed = "connection: close\r\ncontent-encoding: gzip\r\n"
    with serving.serving(folder) as server:
        answered(server, raw("warm", body("warm")))
        before = resident_mb(server)
        for number in range(10):
            name = f"{number}"
            gzipped = raw(name, bomb, "/webhook/packed", packed)
            assert answered(server, gzipped) == [b"413"]
            assert answered(server, raw(name, twice, "/webhook/packed", packed)) == [b"413"]
            assert answered(server, raw(name, bomb, DOOR, packed)) == [b"400"]
            # Who goes on sending may find the connection reset before he reads the answer.
            flood = answered(server, *chunked(name, b"", (long for _ in range(400))))
            assert flood in ([], [b"413"])
            announced = raw(name, b"").replace(b"content-length: 0", b"content-length: 99999999")
            assert answered(server, announced) == [b"413"]
            # Signed, so it is authentic: set aside, and the sender is not told off.
            assert answered(server, raw(f"deep{number}", deep)) == [b"202"]
        assert resident_mb(server) - before < GROWTH_MB_MAX
        assert stored(server) == ["warm"]
        letters = httpx.get(f"{server.url}/api/v1/dead-letters", trust_env=False).json()["letters"]
        assert len(letters) == 10
        assert {letter["reason"] for letter in letters} == {"invalid_json"}


def framed(*, lengths: tuple[str, ...] = (), transfer: tuple[str, ...] = (), rest: bytes) -> bytes:
    """A signed request with framing headers as given, then whatever follows."""
    head = raw("outer", b"", extra="").partition(b"content-length")[0]
    for value in lengths:
        head += f"content-length:{value}\r\n".encode()
    for value in transfer:
        head += f"transfer-encoding:{value}\r\n".encode()
    return head + b"\r\n" + rest


def smuggling() -> list[bytes]:
    """Requests whose end two readers may see in different places, each with another behind it."""
    inner = raw("smuggled", body("smuggled"))
    plain = raw("outer", b"", extra="")
    return [
        framed(lengths=(" 5",), transfer=(" chunked",), rest=b"0\r\n\r\n" + inner),
        framed(lengths=(" 0",), transfer=(" chunked",), rest=b"0\r\n\r\n" + inner),
        framed(lengths=(" 0", " 5"), rest=inner),
        framed(lengths=(" 0, 5",), rest=inner),
        framed(lengths=(" +0",), rest=inner),
        framed(lengths=(" 0x0",), rest=inner),
        framed(lengths=(" -1",), rest=inner),
        framed(transfer=(" chunked", " identity"), rest=b"0\r\n\r\n" + inner),
        framed(transfer=(" xchunked",), rest=b"0\r\n\r\n" + inner),
        framed(transfer=(" chunked, gzip",), rest=b"0\r\n\r\n" + inner),
        framed(transfer=(" chunked",), rest=b"0x0\r\n\r\n" + inner),
        framed(lengths=(" 0\r\n folded: 1",), rest=inner),
        plain.replace(b"content-length: 0", b"content-length : 0") + inner,
        plain.replace(b"host: x", b"host: x\r\nx:1\rtransfer-encoding: chunked") + inner,
    ]


def test_a_request_whose_end_two_readers_see_elsewhere_is_refused(
    serving: Any, folder: Path
) -> None:
    with serving.serving(folder) as server:
        for number, request in enumerate(smuggling()):
            answers = answered(server, request)
            assert answers, (number, request)
            assert answers == [b"400"], (number, request, answers)
        assert stored(server) == []
        assert answered(server, raw("after", body("after"))) == [b"202"]


def test_no_secret_is_written_anywhere(serving: Any, folder: Path) -> None:
    secret = base64.b64encode(KEY).decode()
    with serving.serving(folder, "--log-level", "debug") as server:
        given = headers("a", body("a"))
        signature = given["webhook-signature"].removeprefix("v1,")
        assert httpx.post(f"{server.url}{DOOR}?code=canary-code", content=b"x", headers=given)
        bad = headers("b", b"{")
        http: dict[str, Any] = {"trust_env": False, "timeout": 30}
        httpx.post(f"{server.url}{DOOR}?code=canary-code", content=b"{", headers=bad, **http)
        httpx.post(f"{server.url}/webhook/none?code=canary-code", content=b"{", headers=bad, **http)
        pages = [
            httpx.get(server.url + path, **http).text
            for path in ("/api/v1/events", "/api/v1/dead-letters", "/metrics", "/api/v1/sources")
        ]
        letter = json.loads(pages[1])["letters"][0]["id"]
        pages.append(httpx.get(f"{server.url}/api/v1/dead-letters/{letter}", **http).text)
        assert server.stop() == 0
        assert server.process.stderr is not None
        written = server.process.stderr.read() + "".join(pages)
    assert "delivery_refused" in written
    for canary in ("canary", secret, signature, bad["webhook-signature"]):
        assert canary not in written
    kept = [path for path in folder.glob("*") if path.is_file()]
    assert kept
    for path in kept:
        content = path.read_bytes()
        assert b"canary" not in content, path
        assert signature.encode() not in content, path
