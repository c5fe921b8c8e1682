"""`helios serve` as it is, but for the time and the world outside, which a test holds in its hands.

    python clocked.py FOLDER serve …

FOLDER holds `now` (the time, in microseconds since 1970; without it the machine's), `documents`
(JSON, what calls out are answered with, by address), `patience` (seconds that heads and bodies may
take, read when it starts) and `kill` (while it is there, the process is
killed as soon as an append is durable, before anybody is answered). Every address that is called
is written to `asked`, one on a line.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from helios import cli
from helios.api import server
from helios.drivers.outbound import client
from helios.ingest import gateway
from helios.kernel import clock as clocks
from helios.kernel import limits, outbound

FOLDER = Path(sys.argv[1])


def now(clock: clocks.SystemClock, real: Any = clocks.SystemClock.now) -> clocks.Timestamp:
    try:
        return clocks.Timestamp(int((FOLDER / "now").read_text()))
    except FileNotFoundError:
        found: clocks.Timestamp = real(clock)
        return found


async def send(_: client.Client, call: outbound.Call) -> outbound.Answer:
    with (FOLDER / "asked").open("a") as asked:
        asked.write(call.url + "\n")
    try:
        known = json.loads((FOLDER / "documents").read_text())
    except FileNotFoundError:
        known = {}
    if call.url not in known:
        raise outbound.OutboundError("there is no world outside", reason="unreachable")
    return outbound.Answer(status=200, headers={}, body=known[call.url].encode())


async def append(*given: Any, real: Any = gateway.Gateway.append, **more: Any) -> Any:
    appended = await real(*given, **more)
    if (FOLDER / "kill").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return appended


if __name__ == "__main__":
    for place, made in (
        (clocks.SystemClock, now),
        (client.Client, send),
        (gateway.Gateway, append),
    ):
        setattr(place, made.__name__, made)
    if (FOLDER / "patience").exists():
        patience_s = float((FOLDER / "patience").read_text())
        server.HEAD_S_MAX = limits.BODY_S_MAX = patience_s
    sys.argv[1:2] = []
    cli.main()
