"""Who sends for the demo bears a connection that breaks: what it sends may come twice."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from helios.demo import board as boards
from helios.demo import doors, score, screens, shop
from helios.kernel import clock as clocks
from helios.kernel import errors


class Clock(clocks.SystemClock):
    """Waits for nothing, and remembers for how long it was asked to."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    async def sleep(self, seconds: float, /) -> None:
        self.waited.append(seconds)


class Server:
    """Hangs up on the first requests after it has read them, and answers those that follow."""

    def __init__(self, hangs_up: int) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self._hangs_up = hangs_up

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        self.bodies.append(await reader.readexactly(length))
        if len(self.bodies) > self._hangs_up:
            writer.write(
                b"HTTP/1.1 200 OK\r\nhelios-position: 7\r\nconnection: close\r\n"
                b'content-length: 25\r\n\r\n{"results":["duplicate"]}'
            )
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(hangs_up: int) -> AsyncIterator[Server]:
    made = Server(hangs_up)
    listening = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    async with listening:
        made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield made


def _batch() -> list[shop.Delivery]:
    """The first event of the shop that the first cloud brings."""
    orders = shop.orders(random.Random(1), start=clocks.Timestamp(0), rate=1.0, faults=0.0, first=1)
    for each in shop.deliveries(orders):
        if isinstance(each, shop.Delivery) and each.source == "aws":
            return [each]
    raise AssertionError("there are no orders")


def test_a_delivery_that_is_hung_up_on_is_sent_again_as_it_was(tmp_path: Path) -> None:
    clock = Clock()

    async def run() -> tuple[int, int, list[bytes]]:
        async with (
            serving(hangs_up=doors.TRIES - 1) as server,
            doors.Senders(server.url, tmp_path, clock=clock) as senders,
        ):
            position = await senders.deliver(_batch())
            return position, senders.repeated, server.bodies

    position, repeated, bodies = asyncio.run(run())
    assert (position, repeated) == (7, doors.TRIES - 1)
    assert len(bodies) == doors.TRIES
    assert len(set(bodies)) == 1
    assert clock.waited == [0.25, 0.5, 1.0, 2.0]


def test_it_is_given_up_after_so_many_tries(tmp_path: Path) -> None:
    clock = Clock()

    async def run() -> int:
        async with (
            serving(hangs_up=1_000) as server,
            doors.Senders(server.url, tmp_path, clock=clock) as senders,
        ):
            with pytest.raises(errors.HeliosError, match="nobody answers at /webhook/aws/"):
                await senders.deliver(_batch())
            return len(server.bodies)

    assert asyncio.run(run()) == doors.TRIES


@pytest.mark.parametrize(
    ("recognised", "repeated", "is_right"),
    [(3, 0, True), (4, 0, False), (4, 1, True), (5, 1, False), (2, 1, False)],
)
def test_what_was_sent_again_may_be_recognised_or_not(
    recognised: int,
    repeated: int,
    is_right: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    empty = boards.Board(
        url="",
        phase="closing",
        elapsed_s=1.0,
        planned_s=None,
        orders_rate=1.0,
        faults_share=0.0,
        events=10,
        duplicates=3,
        recognised=3,
        counts={},
        rates={},
        open=0,
        p50_ms=None,
        p95_ms=None,
        mismatches=(),
        score=score.Score(),
    )
    assert screens.passed(empty)
    shown = msgspec.structs.replace(empty, recognised=recognised, repeated=repeated)
    assert screens.passed(shown) is is_right
