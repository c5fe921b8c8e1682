"""What may happen to a delivery between a sender and a door: lost, late, out of order, twice.

A relay takes each delivery, says 200 at once and passes it on, or not, as a seed has it. What the
door does not take (it is not there, it answers an error) is lost too: the sender was told 200, as
a sender that never tries again may as well have been.
"""

import collections
import http.server
import random
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import httpx
import msgspec

WAIT_S = 60.0
_HOP_BY_HOP = frozenset(("connection", "content-length", "host", "keep-alive", "transfer-encoding"))


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of deliveries that are lost, late and sent twice, and how late at most."""

    lost: float = 0.1
    late: float = 0.3
    twice: float = 0.05
    late_s: float = 2.0


class Relay:
    """A context manager; `url` is where it listens.

    Args:
        target: where deliveries are passed on to, without a path; it may change while it runs.
        seed: decides what happens to which.
        faults: how often.

    Attributes:
        answers: how many deliveries the door gave which answer; 0 is none at all.
        taken: bodies that the door took, as often as it did.
        lost: how many were not passed on.
    """

    def __init__(self, target: str, seed: int, faults: Faults | None = None) -> None:
        """Take a free port; deliveries are taken once the context is entered."""
        self.target = target
        self.answers: collections.Counter[int] = collections.Counter()
        self.taken: list[bytes] = []
        self.lost = 0
        self._faults = faults or Faults()
        self._rng = random.Random(seed)  # noqa: S311 - no secret
        self._changed = threading.Condition()
        self._under_way = 0
        self._client = httpx.Client(timeout=30, trust_env=False)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def settle(self, timeout_s: float = WAIT_S) -> None:
        """Return when nothing is under way.

        Raises:
            TimeoutError: it still is.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._under_way, timeout_s):
                raise TimeoutError(f"after {timeout_s} s {self._under_way} are under way")

    def _drawn(self) -> list[float]:
        """How late each copy of a delivery is passed on; none: it is lost."""
        faults, rng = self._faults, self._rng
        with self._changed:
            if rng.random() < faults.lost:
                self.lost += 1
                return []
            copies = 2 if rng.random() < faults.twice else 1
            delays = [
                rng.random() * faults.late_s if rng.random() < faults.late else 0.0
                for _ in range(copies)
            ]
            self._under_way += copies
        return delays

    def _pass_on(self, delay_s: float, path: str, headers: Mapping[str, str], body: bytes) -> None:
        threading.Event().wait(delay_s)
        try:
            answer = self._client.post(self.target + path, headers=headers, content=body)
            status = answer.status_code
        except httpx.HTTPError:
            status = 0
        with self._changed:
            self.answers[status] += 1
            if 200 <= status < 300:
                self.taken.append(body)
            self._under_way -= 1
            self._changed.notify_all()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                kept = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
                for delay_s in relay._drawn():
                    arguments = (delay_s, self.path, kept, body)
                    threading.Thread(target=relay._pass_on, args=arguments, daemon=True).start()
                self.send_response(200)
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
        self.settle()
        self._client.close()
