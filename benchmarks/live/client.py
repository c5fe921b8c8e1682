"""A small HTTP/1.1 client: as little work as possible, so that the server is what is measured."""

import asyncio
from collections.abc import AsyncIterator


class Connection:
    """One keep-alive connection with one request in flight."""

    def __init__(self, host: str, port: int) -> None:
        self._place = f"{host}:{port}"
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port, limit=16 << 20
        )

    def close(self) -> None:
        self._writer.close()

    def _send(self, method: str, path: str, content_type: str, body: bytes) -> None:
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: {self._place}\r\n"
            f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)

    async def _head(self) -> tuple[int, bytes]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head[9:12]), head.lower()

    async def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """Status and body; the answer must carry its length."""
        self._send(method, path, content_type, body)
        status, head = await self._head()
        start = head.index(b"content-length:") + 15
        length = int(head[start : head.index(b"\r\n", start)])
        return status, await self._reader.readexactly(length)

    async def events(self, path: str) -> AsyncIterator[bytes]:
        """The data lines of a stream of server-sent events, as they come."""
        self._send("GET", path, "text/plain", b"")
        status, _ = await self._head()
        if status != 200:
            raise RuntimeError(f"{path} answered {status}")
        while line := await self._reader.readline():
            if line.startswith(b"data: "):
                yield line[6:]
