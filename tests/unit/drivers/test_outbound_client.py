"""The outbound client against a real server on this machine."""

import asyncio
import contextlib
import gzip
import random
from collections.abc import AsyncIterator, Callable

import pytest

from helios.drivers.outbound import client, policy
from helios.kernel import clock as clocks
from helios.kernel import outbound, tracing

Handler = Callable[[str, dict[str, str], bytes], bytes]


class Paused(clocks.SystemClock):
    """The machine's clock, but pauses only say how long they would be."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float, /) -> None:
        self.pauses.append(seconds)


@contextlib.asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[int]:
    """A server on a free port that answers with raw bytes."""

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                pairs = (line.split(": ", 1) for line in lines)
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                writer.write(handler(first, headers, body))
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*serving)


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@contextlib.asynccontextmanager
async def made(
    clock: clocks.Clock | None = None, *, allowed: str = "127.0.0.1", **more: object
) -> AsyncIterator[client.Client]:
    async with client.Client(
        clock=clock or clocks.SystemClock(),
        allowed=policy.parse_allowed(allowed),
        rng=random.Random(1),
        **more,  # type: ignore[arg-type]
    ) as found:
        yield found


def test_a_call_carries_method_headers_body_and_the_trace() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []

    def handle(first: str, headers: dict[str, str], body: bytes) -> bytes:
        seen.append((first, headers, body))
        return answer(201, b'{"a": 1}', "X-Thing: y")

    async def run() -> outbound.Answer:
        async with answering(handle) as port, made() as http:
            with tracing.within(tracing.Trace("a" * 32, "b" * 16)):
                return await http.send(
                    outbound.Call(
                        method="POST",
                        url=f"http://127.0.0.1:{port}/x?q=1",
                        headers=[("X-Key", "secret")],
                        body=b"hello",
                    )
                )

    got = asyncio.run(run())

    first, headers, body = seen[0]
    assert first == "POST /x?q=1 HTTP/1.1"
    assert body == b"hello"
    assert headers["x-key"] == "secret"
    parsed = tracing.parse(headers["traceparent"])
    assert parsed is not None
    assert parsed.trace_id == "a" * 32
    assert parsed.span_id != "b" * 16
    assert (got.status, got.json(), got.headers["x-thing"]) == (201, {"a": 1}, "y")


def test_a_name_that_leads_to_this_machine_is_refused_and_nothing_is_connected() -> None:
    connected = []

    def handle(first: str, _headers: dict[str, str], _body: bytes) -> bytes:
        connected.append(first)
        return answer(200)

    async def rebinding(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14", "127.0.0.1"]

    async def run() -> None:
        async with answering(handle) as port, made(allowed="", resolve=rebinding) as http:
            with pytest.raises(outbound.OutboundError) as caught:
                await http.send(outbound.Call(url=f"https://shop.example:{port}/"))
            assert caught.value.reason == "forbidden_address"

    asyncio.run(run())
    assert connected == []


def test_the_name_is_resolved_once_and_the_checked_address_is_called() -> None:
    asked = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async def run() -> int:
        async with (
            answering(lambda *_: answer(204)) as port,
            made(allowed="127.0.0.0/8", resolve=resolve) as http,
        ):
            return (await http.send(outbound.Call(url=f"http://shop.example:{port}/"))).status

    assert asyncio.run(run()) == 204
    assert asked == ["shop.example"]


def test_an_answer_that_is_too_large_is_cut_off_also_when_it_inflates() -> None:
    bomb = gzip.compress(bytes(1 << 20))

    async def run() -> list[str]:
        reasons = []
        for raw in (
            answer(200, bytes(2000)),
            answer(200, bomb, "content-encoding: gzip"),
        ):
            async with answering(lambda *_, raw=raw: raw) as port, made() as http:
                call = outbound.Call(url=f"http://127.0.0.1:{port}/", bytes_max=1500)
                with pytest.raises(outbound.OutboundError) as caught:
                    await http.send(call)
                reasons.append(caught.value.reason)
        return reasons

    assert asyncio.run(run()) == ["too_large", "too_large"]


def test_a_server_that_never_answers_ends_the_call_in_time() -> None:
    async def run() -> str:
        async with answering(lambda *_: b"") as port, made() as http:
            with pytest.raises(outbound.OutboundError) as caught:
                await http.send(outbound.Call(url=f"http://127.0.0.1:{port}/", timeout_s=0.05))
        return caught.value.reason

    assert asyncio.run(run()) == "timeout"


def test_what_may_be_retried_is_with_pauses_that_honour_what_is_asked() -> None:
    answers = [
        answer(503),
        answer(429, b"", "retry-after: 7"),
        answer(200, b"ok"),
    ]
    clock = Paused()

    async def run() -> outbound.Answer:
        async with answering(lambda *_: answers.pop(0)) as port, made(clock) as http:
            return await http.send(outbound.Call(url=f"http://127.0.0.1:{port}/", attempts=3))

    assert asyncio.run(run()).body == b"ok"
    first, second = clock.pauses
    assert 0 <= first <= client.RETRY_BASE_S
    assert 7 <= second <= 7 + 2 * client.RETRY_BASE_S


def test_what_is_not_idempotent_is_never_tried_again() -> None:
    asked = []

    def handle(first: str, _headers: dict[str, str], _body: bytes) -> bytes:
        asked.append(first)
        return answer(503)

    async def run() -> int:
        async with answering(handle) as port, made(Paused()) as http:
            call = outbound.Call(
                method="POST", url=f"http://127.0.0.1:{port}/", attempts=5, idempotent=False
            )
            return (await http.send(call)).status

    assert asyncio.run(run()) == 503
    assert len(asked) == 1


def test_a_redirect_is_followed_only_if_allowed_and_leaves_secrets_behind() -> None:
    seen: list[dict[str, str]] = []

    def target(_first: str, headers: dict[str, str], _body: bytes) -> bytes:
        seen.append(headers)
        return answer(200, b"there")

    async def run() -> tuple[int, bytes, str]:
        async with answering(target) as there:
            url = f"http://localhost:{there}/b"
            redirect = answer(302, b"", f"location: {url}")
            async with (
                answering(lambda *_: redirect) as here,
                made(allowed="127.0.0.1, localhost") as http,
                made(allowed="127.0.0.1") as narrow,
            ):
                call = outbound.Call(
                    url=f"http://127.0.0.1:{here}/a", headers=[("Authorization", "Bearer x")]
                )
                first = await http.send(call)
                following = outbound.Call(
                    url=call.url, headers=[("Authorization", "Bearer x")], redirects=1
                )
                second = await http.send(following)
                with pytest.raises(outbound.OutboundError) as caught:
                    await narrow.send(following)
                return first.status, second.body, caught.value.reason

    assert asyncio.run(run()) == (302, b"there", "forbidden_host")
    assert "authorization" not in seen[0]


def test_a_connection_that_is_refused_says_which_and_holds_no_query() -> None:
    async def run() -> str:
        async with answering(lambda *_: b"") as port:
            pass
        async with made() as http:
            with pytest.raises(outbound.OutboundError) as caught:
                await http.send(outbound.Call(url=f"http://127.0.0.1:{port}/?token=geheim"))
        assert caught.value.reason == "unreachable"
        return str(caught.value)

    said = asyncio.run(run())
    assert "127.0.0.1" in said
    assert "geheim" not in said


def test_a_header_with_a_line_break_is_refused() -> None:
    async def run() -> str:
        async with answering(lambda *_: answer(200)) as port, made() as http:
            with pytest.raises(outbound.OutboundError) as caught:
                await http.send(
                    outbound.Call(url=f"http://127.0.0.1:{port}/", headers=[("X", "a\r\nY: b")])
                )
        return caught.value.reason

    assert asyncio.run(run()) == "protocol"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
        ("soon", None),
        (None, None),
        ("-3", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    now = clocks.parse_rfc3339("2015-10-21T07:28:00Z")

    assert client.retry_after(value, now) == seconds
