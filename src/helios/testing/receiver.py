"""Somebody's webhook address: an HTTP server on loopback that keeps what it is sent.

It answers at once and in parallel, as the systems that post to it expect, so deliveries that were
sent side by side are kept in any order. Waiting ends with the delivery, not with a clock.
"""

import http.server
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import msgspec

WAIT_S = 60


class Delivery(msgspec.Struct, frozen=True):
    """One request, as it came. Header names are spelt as they were sent."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name, in any case."""
        found = (value for key, value in self.headers if key.lower() == name.lower())
        return next(found, None)


class Receiver:
    """A context manager; `url` is where it listens.

    Attributes:
        status: what it answers; a test may change it at any time.
    """

    status: int = 200

    def __init__(self) -> None:
        """Take a free port; deliveries are answered once the context is entered."""
        self._deliveries: list[Delivery] = []
        self._changed = threading.Condition()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhook"

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """What came until now."""
        with self._changed:
            return tuple(self._deliveries)

    def wait(
        self, done: Callable[[Sequence[Delivery]], bool], timeout_s: float = WAIT_S
    ) -> Sequence[Delivery]:
        """Return what came as soon as `done` says that it is all.

        Raises:
            TimeoutError: it never was; the message tells how many deliveries came.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: done(tuple(self._deliveries)), timeout_s):
                raise TimeoutError(f"after {timeout_s} s only {len(self._deliveries)} deliveries")
            return tuple(self._deliveries)

    def forget(self) -> None:
        """Begin anew."""
        with self._changed:
            self._deliveries.clear()

    def _take(self, delivery: Delivery) -> None:
        with self._changed:
            self._deliveries.append(delivery)
            self._changed.notify_all()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                receiver._take(Delivery(self.path, tuple(self.headers.items()), body))
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: the test looks at what was kept."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
