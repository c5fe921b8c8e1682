"""UmaDB: its server from its package, its Python client, a thread per caller.

    python umadb_store.py FOLDER [--conditional]

Without the option an append checks nothing, which is less than ours does; with it the append
carries the condition that stands for an expected sequence there.
"""

import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import slices
import umadb

START_S = 30


def start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The server on a free port; it answers when this returns."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    program = Path(sys.executable).with_name("umadb")
    server = subprocess.Popen(
        [program, "--listen", address, "--db-path", folder / "uma.db"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.perf_counter() + START_S
    while True:
        try:
            umadb.Client(f"http://{address}").head()
        except Exception:
            if server.poll() is not None or time.perf_counter() > end:
                raise
            time.sleep(0.05)
        else:
            return server, f"http://{address}"


def caller(url: str, *, conditional: bool) -> slices.SyncAppend:
    client = umadb.Client(url)
    stream, count, last = f"order-{uuid4()}", 0, None

    def append() -> None:
        nonlocal stream, count, last
        if count == slices.STREAM_EVENTS:
            stream, count, last = f"order-{uuid4()}", 0, None
        event = umadb.Event("OrderPlaced", slices.PAYLOAD_BYTES, [stream], uuid4())
        condition = None
        if conditional:
            query = umadb.Query([umadb.QueryItem(tags=[stream])])
            condition = umadb.AppendCondition(query, last)
        last = client.append([event], condition)
        count += 1

    return append


def main() -> None:
    server, url = start(Path(sys.argv[1]))
    try:
        slices.serve_threads(lambda: caller(url, conditional="--conditional" in sys.argv))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
