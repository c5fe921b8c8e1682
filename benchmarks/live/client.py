"""A small HTTP/1.1 client: as little work as possible, so that the server is what is measured."""

import asyncio


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

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: str = "",
    ) -> tuple[int, bytes]:
        """Status and body; the answer must carry its length. `headers` end in CR LF each."""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: {self._place}\r\n{headers}"
            f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        start = answer.index(b"content-length:") + 15
        length = int(answer[start : answer.index(b"\r\n", start)])
        return int(answer[9:12]), await self._reader.readexactly(length)
