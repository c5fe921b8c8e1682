"""Requests that are made to cost: how soon they are refused, and how much memory they get.

    python benchmarks/ingest_bombs.py            50 tries of each
    python benchmarks/ingest_bombs.py --quick    5 tries of each

Each try has a connection of its own. Its time runs from the first byte sent until the answer's
status line is there, or the connection was closed on us. Before each kind the peak of the server's
resident memory is forgotten; what it grew by meanwhile is the kind's growth, so a peak that lasts
a millisecond counts. Some bombs are signed: they come from whom we trust, and must be set aside
instead of refused, at no higher cost. The caches of the databases are filled before, by ordinary
deliveries as large as the bombs.

For a kind whose request the server must have read whole (a megabyte of brackets) the time includes
that reading, on both sides. Where the machine is shared, the server's CPU time of one try says more
than how long it took.
"""

import argparse
import gzip
import select
import socket
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import ingest_kit as kit  # noqa: E402
import measure  # noqa: E402
import webhooks  # noqa: E402

MIB = 1 << 20
TRIES, TRIES_QUICK = 50, 5
MS_MAX, GROWTH_MB_MAX = 50, 50
LARGE = b'{"type":"page.saved","data":{"text":"%s"}}' % (b"word " * 180_000)
LARGE_COUNT = 100
BATCH = "/api/v1/events/ingest/batch"
ONE = "/api/v1/events/ingest"
PACKED = "/webhook/packed"
SOURCES = f"""{kit.SOURCE}---
{kit.SOURCE.replace("name: shop", "name: packed")}  content_encoding: true
"""
Parts = Iterable[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bomb:
    """A kind of request.

    Attributes:
        made: the bytes of the try of this number, in the pieces that they are sent in.
        status: of the answers that are right; 0: the connection was closed without one.
    """

    name: str
    made: Callable[[int], Parts]
    status: tuple[int, ...]


def head(path: str, *lines: str, length: int | None = None) -> bytes:
    """The head of a POST."""
    given = [*lines] if length is None else [*lines, f"content-length: {length}"]
    first = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json"
    return "\r\n".join([first, *given, "", ""]).encode()


def plain(path: str, body: bytes, *lines: str) -> Callable[[int], Parts]:
    """The same request in every try."""
    request = [head(path, *lines, length=len(body)), body]
    return lambda _: request


def signed(path: str, body: bytes) -> Callable[[int], Parts]:
    """A request of a sender that we trust; another delivery in every try."""

    def made(number: int) -> Parts:
        lines = webhooks.signed(f"bomb_{len(body)}_{number}", body).rstrip().split("\r\n")
        return [head(path, *lines, length=len(body)), body]

    return made


def flood(_: int) -> Iterator[bytes]:
    """A body without an end, in chunks."""
    yield head(kit.DOOR, "transfer-encoding: chunked")
    chunk = b"%x\r\n%s\r\n" % (65_536, b" " * 65_536)
    for _ in range(1024):
        yield chunk


def zeros(megabytes: int) -> bytes:
    """So many, compressed."""
    made = zlib.compressobj(9, wbits=31)
    return b"".join([*(made.compress(bytes(MIB)) for _ in range(megabytes)), made.flush()])


def bombs() -> list[Bomb]:
    """All kinds."""
    gzipped = zeros(500)
    gzip_line = "content-encoding: gzip"
    braces = b'{"a":' * 150_000 + b"1" + b"}" * 150_000
    brackets = b"[" * (MIB - 1)
    empties = b"[" + b"[]," * (MIB // 3 - 2) + b"[]]"
    many = b"[" + b"{}," * (8 * MIB // 3 - 2) + b"{}]"
    return [
        Bomb(name="gzip, 500 MiB of zeros", made=plain(PACKED, gzipped, gzip_line), status=(413,)),
        Bomb(name="gzip of that gzip", status=(413,),
             made=plain(PACKED, gzip.compress(gzipped), gzip_line)),
        Bomb(name="gzip at the door of batches", status=(413,),
             made=plain(BATCH, gzipped, gzip_line)),
        Bomb(name="100 MB announced", status=(413,),
             made=lambda _: [head(kit.DOOR, length=100_000_000)]),
        Bomb(name="chunks without an end", made=flood, status=(413, 0)),
        Bomb(name="150,000 objects deep, signed", made=signed(kit.DOOR, braces), status=(202,)),
        Bomb(name="150,000 objects deep, unsigned", made=plain(kit.DOOR, braces), status=(401,)),
        Bomb(name="150,000 objects deep, event", made=plain(ONE, braces), status=(400,)),
        Bomb(name="1 MiB of brackets, event", made=plain(ONE, brackets), status=(400,)),
        Bomb(name="350,000 empty lists, signed", made=signed(kit.DOOR, empties), status=(202,)),
        Bomb(name="350,000 empty lists, event", made=plain(ONE, empties), status=(400,)),
        Bomb(name="2,800,000 empty objects, batch", made=plain(BATCH, many), status=(413,)),
        Bomb(name="10,000 headers", status=(400, 0),
             made=plain(kit.DOOR, b"{}", *(f"x-{n}: 1" for n in range(10_000)))),
        Bomb(name="a header of 1 MiB", made=plain(kit.DOOR, b"{}", f"x: {'x' * MIB}"),
             status=(400, 0)),
        Bomb(name="300 KB of signatures", status=(400, 401, 0),
             made=plain(kit.DOOR, b"{}", "webhook-id: a", "webhook-timestamp: 1",
                        "webhook-signature: " + "v1,aaaa " * 37_500)),
    ]  # fmt: skip


def tried(server: kit.Server, parts: Parts) -> tuple[int, float]:
    """The status of the answer (0: closed without one), and milliseconds until it was there."""
    got = b""
    with socket.create_connection((kit.HOST, server.port), 30) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin = time.perf_counter()
        wire.setblocking(False)  # noqa: FBT003 - the standard library has it so
        pending = iter(parts)
        left = b""
        while b"\r\n" not in got:
            left = left or next(pending, b"")
            got, left, open_still = turn(wire, got, left)
            if not open_still:
                break
    taken = (time.perf_counter() - begin) * 1000
    return int(got[9:12]) if got.startswith(b"HTTP/1.1 ") else 0, taken


def turn(wire: socket.socket, got: bytes, left: bytes) -> tuple[bytes, bytes, bool]:
    """Send and read what can be now; what is read, what is left to send, whether it is open."""
    wait_for_write = [wire] if left else []
    readable, writable, _ = select.select([wire], wait_for_write, [], 30)
    try:
        if readable:
            piece = wire.recv(65_536)
            return got + piece, left, bool(piece)
        if writable:
            sent = wire.send(left[:262_144])
            return got, left[sent:], True
    except ConnectionError:
        return got, left, False
    raise RuntimeError("no answer for 30 s")


def one_kind(
    server: kit.Server, bomb: Bomb, tries: int
) -> tuple[list[float], float, float, set[int]]:
    """Milliseconds of each try, of the server's CPU too; megabytes that memory grew by; answers
    that are wrong."""
    tried(server, list(bomb.made(tries)))
    server.forget_peak()
    before, cpu = server.memory_mb()[0], server.cpu_s()
    taken, wrong = [], set()
    for number in range(tries):
        status, ms = tried(server, list(bomb.made(number)))
        taken.append(ms)
        wrong |= {status} - {*bomb.status}
    spent = (server.cpu_s() - cpu) * 1000 / tries
    return sorted(taken), spent, server.memory_mb()[1] - before, wrong


def measured(server: kit.Server, tries: int) -> list[tuple[str, ...]]:
    kit.run(kit.declare(server, SOURCES))
    kit.run(kit.posted(server, kit.DOOR, (kit.signed(f"warm_{n}") for n in range(1_000))))
    large = ((LARGE, webhooks.signed(f"warm_large_{n}", LARGE)) for n in range(LARGE_COUNT))
    kit.run(kit.posted(server, kit.DOOR, large, connections=4))
    begun, _ = server.memory_mb()
    rows, medians, growths, strange = [], [], [], 0
    for bomb in bombs():
        taken, spent, growth, wrong = one_kind(server, bomb, tries)
        medians.append((statistics.median(taken), bomb.name))
        growths.append((growth, bomb.name))
        strange += len(wrong)
        answer = " or ".join(str(status or "closed") for status in bomb.status)
        rows.append((
            bomb.name, f"NOT {answer}: {sorted(wrong)}" if wrong else answer,
            f"{medians[-1][0]:.1f}", f"{kit.live.quantile(taken, 0.99):.1f}", f"{spent:.0f}",
            f"{growth:.1f}",
        ))  # fmt: skip
    print(
        measure.table(("bomb", "answer", "p50 ms", "p99 ms", "CPU ms", "more MB"), rows), flush=True
    )
    kit.run(kit.posted(server, kit.DOOR, [kit.signed("after")]))
    kept = [one for one in kit.run(kit.kept(server)) if not one.startswith("warm_")]
    (slowest, slow), (most, big) = max(medians), max(growths)
    return [
        measure.verdict("kinds answered otherwise", strange, 0, at_most=True),
        measure.verdict("events made of bombs", len(kept) - 1, 0, at_most=True),
        measure.verdict(f"slowest refusal ({slow}), p50 ms", slowest, MS_MAX, at_most=True),
        measure.verdict(f"most memory ({big}), MB", most, GROWTH_MB_MAX, at_most=True),
        measure.verdict(
            "memory after all of them, more MB", server.memory_mb()[0] - begun, GROWTH_MB_MAX,
            at_most=True,
        ),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few tries")
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        flush = measure.flush_rate(folder)
        print(f"{measure.machine()}; {flush.per_s:,.0f} flushes/s\n", flush=True)
        with kit.Server(folder / "data").running() as server:
            rows = measured(server, TRIES_QUICK if options.quick else options.tries)
    kit.leave(rows, counts=2, quick=options.quick)


if __name__ == "__main__":
    main()
