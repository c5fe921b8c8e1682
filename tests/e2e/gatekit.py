"""A server whose time and calls out are the test's (`clocked.py`), and senders of raw bytes."""

import asyncio
import base64
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

PROGRAM = Path(__file__).with_name("clocked.py")
START_S = 90
QUIET: dict[str, Any] = {"trust_env": False, "timeout": 30}
_FRAMING = ("content-length", "transfer-encoding", "host", "connection")
_SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


class Source(NamedTuple):
    """What is declared."""

    name: str
    provider: str
    secrets: Sequence[bytes] = ()
    options: Mapping[str, Any] = {}
    credentials: Mapping[str, bytes] = {}
    client: str = "default"
    more: Mapping[str, Any] = {}


class Request(NamedTuple):
    """What is sent, to the byte."""

    path: str
    headers: Iterable[tuple[str, str]] = ()
    body: bytes = b""
    method: str = "POST"

    @property
    def raw(self) -> bytes:
        head = [f"{self.method} {self.path} HTTP/1.1", "host: localhost", "connection: close"]
        head += [f"{name}: {value}" for name, value in self.headers if _ours(name)]
        head.append(f"content-length: {len(self.body)}")
        return "\r\n".join(head).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + self.body


def _ours(name: str) -> bool:
    return name.strip().lower() not in _FRAMING


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def results(self) -> list[str]:
        found: list[str] = json.loads(self.body)["results"]
        return found


def answer(raw: bytes) -> Answer:
    """The first answer in what a connection brought."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    headers = {name.lower(): value for name, _, value in pairs}
    return Answer(int(first.split(" ")[1]), headers, body)


class World:
    """A folder with a server that can be killed and started again.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.errors = folder / "stderr"
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self, *options: str) -> None:
        arguments = ["serve", "--data-dir", str(self.data), "--port", "0", *options]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HELIOS_")}
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(self.folder), *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**kept, "HELIOS_AUTH": "off"},
                cwd=self.folder,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "http://" in line, self.errors.read_text()[-2000:]
        self.url = next(word for word in line.split() if word.startswith("http://"))

    def stop(self) -> str:
        """End it; returns what else it wrote."""
        if self.process is None:
            return ""
        self.process.terminate()
        try:
            out, _ = self.process.communicate(timeout=START_S)
        finally:
            self.process.kill()
            self.process = None
        return out

    def died(self) -> None:
        """Return when it has been killed, or has killed itself."""
        assert self.process is not None
        self.process.communicate(timeout=START_S)
        self.process = None

    def set_now(self, at: int) -> None:
        beside = self.folder / "now.new"
        beside.write_text(str(at))
        beside.replace(self.folder / "now")

    def set_documents(self, documents: Mapping[str, str]) -> None:
        (self.folder / "documents").write_text(json.dumps(documents))

    @property
    def asked(self) -> list[str]:
        """The addresses that were called."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "asked").read_text().split()
        return []

    def declare(self, *sources: Source) -> None:
        documents = [self._document(source) for source in sources]
        made = httpx.post(
            f"{self.url}/api/v1/sources",
            content="\n---\n".join(documents),
            headers={"content-type": "application/yaml"},
            **QUIET,
        )
        assert made.status_code == 201, made.text
        warnings = [w for one in made.json()["sources"] for w in one["warnings"]]
        assert not warnings, warnings

    def _document(self, source: Source) -> str:
        spec = {
            "provider": source.provider,
            "secrets": [self._secret(source, str(n), s) for n, s in enumerate(source.secrets)],
            "credentials": {
                name: self._secret(source, name, value)
                for name, value in source.credentials.items()
            },
            "options": dict(source.options),
            **source.more,
        }
        meta = {"name": source.name, "client_id": source.client}
        top = {"apiVersion": "helios.io/v1", "kind": "Source", "metadata": meta, "spec": spec}
        return json.dumps(top)

    def _secret(self, source: Source, name: str, value: bytes) -> str:
        folder = self.folder / "given"
        folder.mkdir(exist_ok=True)
        path = folder / f"{source.client}.{source.name}.{name}"
        path.write_bytes(value)
        return f"file:{path}"

    def post(self, request: Request) -> Answer:
        return answer(self.exchange(request.raw))

    def connect(self) -> socket.socket:
        place = urlsplit(self.url)
        return socket.create_connection((place.hostname, place.port), START_S)

    def exchange(self, *parts: bytes) -> bytes:
        """All that comes back on one connection until it is closed."""
        got = b""
        with self.connect() as wire, contextlib.suppress(ConnectionError):
            for part in parts:
                wire.sendall(part)
            while chunk := wire.recv(65_536):
                got += chunk
        return got

    def post_together(self, request: Request, count: int) -> list[Answer]:
        place = urlsplit(self.url)

        async def one() -> Answer:
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.write(request.raw)
            got = await reader.read()
            writer.close()
            return answer(got)

        async def main() -> list[Answer]:
            async with asyncio.timeout(START_S):
                return await asyncio.gather(*(one() for _ in range(count)))

        return asyncio.run(main())

    def get(self, path: str) -> Any:
        found = httpx.get(self.url + path, **QUIET)
        assert found.status_code == 200, found.text
        return found.json()

    def text(self, path: str) -> str:
        found = httpx.get(self.url + path, **QUIET)
        assert found.status_code < 500, found.text
        return found.text

    def events(self, *sources: str) -> list[dict[str, Any]]:
        """All events, or those of the sources."""
        found: list[dict[str, Any]] = []
        only = f"&source={','.join(sources)}" if sources else ""
        cursor = ""
        while True:
            page = self.get(f"/api/v1/events?limit=1000{only}{cursor}")
            found += page["events"]
            cursor = f"&cursor={page['next_cursor']}"
            if page["caught_up"]:
                return found

    def letters(self) -> list[dict[str, Any]]:
        """Dead letters as they were recorded in the log."""
        found = self.events("helios")
        return [e["payload"] for e in found if e["eventType"] == "DeadLetterRecorded"]

    def metrics(self) -> dict[tuple[str, str], float]:
        """Value by (name, labels)."""
        found = _SAMPLE.findall(self.text("/metrics"))
        return {(name, labels): float(value) for name, labels, value in found}

    def total(self, name: str) -> int:
        return round(sum(v for (each, _), v in self.metrics().items() if each == name))


@contextlib.contextmanager
def world(folder: Path, *options: str) -> Iterator[World]:
    """A server, ended at the end."""
    made = World(folder)
    try:
        made.start(*options)
        yield made
    finally:
        if made.process is not None:
            made.process.kill()
            made.process.communicate()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
