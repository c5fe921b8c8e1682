"""Clients that send slowly, or not at all, do not hold the server."""

import asyncio

import pytest

from helios.api import server, web
from helios.kernel import limits


async def _echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.body())


async def _sent(*parts: bytes) -> bytes:
    """What a server answers to these parts, until it closes the connection."""
    route = web.Route(method="POST", path="/", handler=_echo, summary="", tag="", replies={})
    listener = server.bind("127.0.0.1", 0)
    http = server.make(web.Application([route]), drain_s=1)
    serving = asyncio.ensure_future(server.serve(http, listener))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    for part in parts:
        writer.write(part)
        await writer.drain()
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    http.should_exit = True
    await serving
    return answer


def test_a_head_that_does_not_end_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_S_MAX", 0.05)
    assert asyncio.run(_sent(b"POST / HTTP/1.1\r\nhost:")) == b""


def test_a_connection_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_S_MAX", 0.05)
    assert asyncio.run(_sent()) == b""


def test_a_second_head_that_does_not_end_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_S_MAX", 0.05)
    first = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"
    answer = asyncio.run(_sent(first, b"POST / HTTP/1.1\r\nho"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"hi")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_body_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_S_MAX", 0.05)
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n"
    answer = asyncio.run(_sent(head, b"hi"))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"longer than 0.05 s" in answer


def test_who_is_in_time_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_S_MAX", 5.0)
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnec"
    rest = b"tion: close\r\ncontent-length: 4\r\n\r\n"
    assert asyncio.run(_sent(head, rest, b"he", b"re")).endswith(b"here")
