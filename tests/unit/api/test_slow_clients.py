"""Clients that send slowly, or not at all, do not hold the server."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import pytest

from helios.api import asgi, server, web
from helios.kernel import limits


async def _echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.body())


T = TypeVar("T")


def _application() -> asgi.Application:
    route = web.Route(method="POST", path="/", handler=_echo, summary="", tag="", replies={})
    return asgi.Application([route])


async def _served(
    main: Callable[[tuple[str, int]], Awaitable[T]], application: asgi.Application | None = None
) -> T:
    """What comes of a client, which is given the address of a server."""
    listener = server.bind("127.0.0.1", 0)
    http = server.make(application or _application(), drain_s=1)
    serving = asyncio.ensure_future(server.serve(http, listener))
    async with asyncio.timeout(20):
        answer = await main(listener.getsockname())
    http.should_exit = True
    await serving
    return answer


async def _sent(*parts: bytes) -> bytes:
    """What a server answers to these parts, until it closes the connection."""

    async def main(place: tuple[str, int]) -> bytes:
        reader, writer = await asyncio.open_connection(*place)
        for part in parts:
            writer.write(part)
            await writer.drain()
        answer = await reader.read()
        writer.close()
        return answer

    return await _served(main)


async def _dribbled(first: bytes, then: bytes) -> bytes:
    """What a server answers before it closes the connection of who goes on and on."""

    async def main(place: tuple[str, int]) -> bytes:
        reader, writer = await asyncio.open_connection(*place)
        writer.write(first)
        answer = await reader.read(100)
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(then)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        return answer

    return await _served(main)


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


HEAD = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\ncontent-length: 9\r\n\r\n"


@pytest.mark.parametrize("begun", [b"", b"hi"])
def test_a_body_that_does_not_end_or_begin_is_closed_without_an_answer(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some senders take any 4xx for delivered, and none a connection that breaks."""
    monkeypatch.setattr(limits, "BODY_S_MAX", 0.05)
    assert asyncio.run(_sent(HEAD + begun)) == b""


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (HEAD.replace(b"length: 9", b"length: 99999999"), b"413"),
        (HEAD.replace(b"POST / ", b"POST /none "), b"404"),
    ],
)
def test_what_follows_an_early_answer_for_long_is_closed(
    request_head: bytes, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_S_MAX", 0.05)
    monkeypatch.setattr(limits, "BODY_S_MAX", 0.1)
    answer = asyncio.run(_dribbled(request_head, b"x"))
    assert answer.split(b" ")[1] == status


def test_line_ends_after_an_answer_do_not_keep_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "HEAD_S_MAX", 0.05)
    assert asyncio.run(_dribbled(HEAD + b"123456789", b"\r\n")).startswith(b"HTTP/1.1 200")


def test_more_connections_than_files_allow_are_closed_as_they_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "connections_max", lambda: 2)

    async def main(port: tuple[str, int]) -> list[bytes]:
        wires = [await asyncio.open_connection(*port) for _ in range(3)]
        answers = []
        for reader, writer in reversed(wires):
            with contextlib.suppress(ConnectionError):
                writer.write(HEAD + b"123456789")
                answers.append((await reader.read(12))[9:])
            writer.close()
        return answers

    answers = asyncio.run(_served(main))
    assert answers.count(b"200") == 2
    assert answers[0] != b"200"


def test_bodies_are_read_only_while_there_is_room_for_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "BODIES_BYTES_MAX", 12)
    application = _application()

    async def main(port: tuple[str, int]) -> list[bytes]:
        answers = []
        first, second = [await asyncio.open_connection(*port) for _ in range(2)]
        first[1].write(HEAD + b"12345678")
        while not application._room._held:  # noqa: ASYNC110 - there is nothing to be told by
            await asyncio.sleep(0)
        second[1].write(HEAD + b"12345678")
        answers.append((await second[0].read(12))[9:])
        first[1].write(b"9")
        answers.append((await first[0].read(12))[9:])
        third = await asyncio.open_connection(*port)
        third[1].write(HEAD + b"123456789")
        answers.append((await third[0].read(12))[9:])
        for _, writer in (first, second, third):
            writer.close()
        return answers

    assert asyncio.run(_served(main, application)) == [b"503", b"200", b"200"]


def test_who_is_in_time_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_S_MAX", 5.0)
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnec"
    rest = b"tion: close\r\ncontent-length: 4\r\n\r\n"
    assert asyncio.run(_sent(head, rest, b"he", b"re")).endswith(b"here")


def test_a_connection_is_kept_for_longer_than_those_who_call_keep_it() -> None:
    """Who closes first is not asked any more; a server that does cuts off what is on its way."""
    kept = server.make(_application(), drain_s=1).config.timeout_keep_alive
    by_our_clients, by_load_balancers = httpx.Limits().keepalive_expiry, 60
    assert by_our_clients is not None
    assert kept > max(by_our_clients, by_load_balancers)
